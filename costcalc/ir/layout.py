"""What the axes of an input are: the letters that say it, and the names that they stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from costcalc.classes import replace
from costcalc.errors import OptionError, UnknownName, listing, near
from costcalc.ir.dims import Dim
from costcalc.ir.graph import Graph

AXES = {
    "n": "batch", "c": "channels", "t": "frames", "d": "depth", "h": "height", "w": "width", "l": "length",
}  # fmt: skip
"""Letter of a layout → the axis that it names."""
PLACES = ("frames", "depth", "height", "width", "length")
"""The axes along which an input has places: what is seen of it is told along these."""


def full_layout(text: str, axes: int, what: str = "the input") -> str:
    """``text``, ``nhwc`` say, as a layout of ``axes`` axes; the batch may be left out where it stands in front.

    Raises ``OptionError`` for letters that are none, that stand twice, or that are too many or too few.

    >>> full_layout("hwc", 4), full_layout("CHW", 3), full_layout("nt", 2)
    ('nhwc', 'chw', 'nt')
    """
    letters = text.strip().lower()
    wrong = next((letter for letter in letters if letter not in AXES), None)
    if wrong is not None or not letters:
        known = ", ".join(f"{letter} {name}" for letter, name in AXES.items())
        raise OptionError(f"layout '{text[:40]}': a layout has a letter for each axis, as in nhwc: {known}")
    if len(set(letters)) < len(letters):
        raise OptionError(f"layout '{text[:40]}' names an axis twice")
    if len(letters) == axes - 1 and "n" not in letters:
        letters = f"n{letters}"
    if len(letters) != axes:
        raise OptionError(f"layout '{text[:40]}' has {len(letters)} axes, and {what} {axes}")
    return letters


IMAGE_CHANNELS = 4
"""The most channels that an image has: with three of colour one of opacity."""


def other_order(given: Sequence[int], own: Sequence[Dim]) -> tuple[int, ...] | None:
    """``given``, the shape of an image without its batch, in the order of ``own`` if it is in the other one: its
    channels last where those of ``own`` are first, or first where they are last. None where nothing says so.

    >>> other_order((96, 96, 3), (3, 224, 224)), other_order((3, 96, 96), (224, 224, 3))
    ((3, 96, 96), (96, 96, 3))
    >>> other_order((1, 96, 96), (3, 224, 224)), other_order((128, 64, 64), (64, 56, 56))
    (None, None)
    """
    if len(given) != len(own) or len(own) < 2:
        return None
    for channels, elsewhere in ((0, -1), (-1, 0)):
        few, many = own[channels], own[elsewhere]
        places = [*given][:-1] if elsewhere else [*given][1:]
        if (
            (isinstance(few, int) and few <= IMAGE_CHANNELS and few == given[elsewhere])
            and not (isinstance(many, int) and many <= IMAGE_CHANNELS)
            and min(places) > IMAGE_CHANNELS
        ):
            return (few, *places) if elsewhere else (*places, few)
    return None


def laid_out(graph: Graph, layout: str | Mapping[str, str]) -> Graph:
    """``graph`` with what its inputs' axes are: by input, or of the first input that has as many axes.

    Raises ``OptionError`` or ``UnknownName`` where no input is meant or the letters do not fit.

    >>> from costcalc.ir.tensor import TensorType
    >>> laid_out(Graph("g", ("x",), (), ("x",), {"x": TensorType((1, 8, 8, 3))}), "hwc").layouts
    {'x': 'nhwc'}
    """
    if isinstance(layout, str):
        rank = len(layout.strip())
        fitting = [v for v in graph.inputs if len(graph.types[v].shape) in (rank, rank + 1)]
        layout = {(fitting or graph.inputs)[0]: layout} if graph.inputs else {}
    unknown = next((name for name in layout if name not in graph.inputs), None)
    if unknown is not None:
        hint = near(unknown, graph.inputs)
        raise UnknownName(f"{graph.name} has no input '{unknown[:80]}'{hint}; it has {listing(graph.inputs)}")
    given = {v: full_layout(text, len(graph.types[v].shape), f"the input {v}") for v, text in layout.items()}
    return replace(graph, layouts={**graph.layouts, **given})
