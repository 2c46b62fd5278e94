"""Which axis of an input is which.

A layout that the user gave is what it says. Else the graph tells: the axes over which the first op slides that takes
(batch, channels, places …) are the input's places, through whatever permutes, reshapes, repeats and mixes stand
between. Without such an op: those that are cut into windows of which some op sees one whole; else those that are left
where weights mix one axis, as a linear layer does with the colours of each pixel. Where nothing tells, an axis has no
name.
"""

from __future__ import annotations

from collections.abc import Iterator

from costcalc.analysis.axis_factors import Factor
from costcalc.analysis.axis_origins import axes_of, carried
from costcalc.analysis.pixel_map import GLOBAL, PixelMap, Span
from costcalc.analysis.pixel_maps import seen_along, ways_in
from costcalc.ir.graph import Graph, Node
from costcalc.ir.layout import AXES, PLACES

NAMED = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}
"""What so many places are called, in their order."""


def axis_names(graph: Graph, value: str) -> tuple[str, ...]:
    """What each axis of the input ``value`` is: ``batch``, ``channels``, one of ``PLACES``; ``""`` where nothing tells.

    Sizes must be numbers. Receptive fields, budgets of their shorter axis and symbols of formulas all ask here.
    """
    given = graph.layouts.get(value)
    if given:
        return tuple(AXES[letter] for letter in given)
    rank = len(graph.types[value].shape)
    return names_by_sliding(graph, value) or _by_mixing(graph, value) or ("",) * rank


def places_of(graph: Graph, value: str) -> tuple[int, ...]:
    """The axes of the input ``value`` along which it has places; none where nothing tells."""
    return tuple(axis for axis, name in enumerate(axis_names(graph, value)) if name in PLACES)


def image_of(graph: Graph) -> tuple[str, tuple[int, ...]] | None:
    """The input of which receptive fields are told, with its axes of places: the first that has some.

    An input of three or more axes of which none is known for places comes with none; None where there is no such input.
    """
    untold = None
    for value in graph.inputs:
        t = graph.types[value]
        if value not in graph.layouts and len(t.shape) < 3 and not t.dtype.startswith("float"):
            continue  # words
        axes = places_of(graph, value)
        if axes:
            return value, axes
        if len(t.shape) > 2 and untold is None:
            untold = value, axes
    return untold


def _steps(graph: Graph, value: str) -> Iterator[tuple[Node, list[PixelMap | None], list[PixelMap]]]:
    """Each node that reads ``value``, all of whose axes are followed: what its inputs see, and its outputs."""
    shape: tuple[int, ...] = graph.types[value].shape  # type: ignore[assignment]
    start = PixelMap(tuple((Factor(axis, 1, size),) for axis, size in enumerate(shape)), (Span(),) * len(shape))
    found: dict[str, PixelMap | None] = {value: start}
    for node in graph.nodes:
        before = [found.get(v) for v in node.inputs]
        if any(before):
            made = [
                seen_along(ways_in(graph, node, index), before, graph.types[v], shape)
                for index, v in enumerate(node.outputs)
            ]
            found.update(zip(node.outputs, made, strict=True))
            yield node, before, [pixel_map for pixel_map in made if pixel_map is not None]


def names_by_sliding(graph: Graph, value: str) -> tuple[str, ...] | None:
    """What the first op tells that slides over places of ``value``; None without one.

    An axis that it takes for more batch may be slid over by a later one.
    """
    shape = graph.types[value].shape
    names: list[str] = []
    if not shape:
        return None
    for node, (factors, *_) in carried(graph, value):
        if not node.op.slides or factors is None or len(factors) < 3:
            continue
        rank, is_last = len(factors), getattr(node.op, "channels_last", False)
        outer, channels = axes_of(factors[0]), axes_of(factors[rank - 1 if is_last else 1])
        slid = range(1, rank - 1) if is_last else range(2, rank)
        places = [axis for axis in axes_of([p for along in slid for p in factors[along]]) if axis not in channels]
        if not names:
            if not places and any(size != 1 for size in shape[1:]):
                continue
            names = [""] * len(shape)
            for axis, name in zip(places, NAMED.get(len(places), ("length",) * len(places)), strict=True):
                names[axis] = name
            for axis in channels:
                names[axis] = names[axis] or "channels"
            for axis in [0, *outer] if shape[0] == 1 else outer[:1]:
                if not names[axis] and "batch" not in names:
                    names[axis] = "batch"
            _fill(names, shape)
        else:
            for axis in places:
                names[axis] = names[axis] or "frames"
        if all(name or size == 1 for name, size in zip(names, shape, strict=True)):
            break
    unnamed = [axis for axis, name in enumerate(names) if not name]
    if len(unnamed) == 1 and "channels" not in names:  # mixed before the op slides
        names[unnamed[0]] = "channels"
    return tuple(names) or None


def _fill(names: list[str], shape: tuple[object, ...]) -> None:
    """Axes of size 1 leave no trace: a batch of one stands in front, one colour is the channels."""
    for axis, size in enumerate(shape):
        if size == 1 and not names[axis]:
            name = "batch" if axis == 0 and "batch" not in names else "channels"
            names[axis] = name if name not in names else ""


def _by_mixing(graph: Graph, value: str) -> tuple[str, ...] | None:
    """By the first op that mixes places: windows of an axis, or an axis whole."""
    shape = graph.types[value].shape
    rank = len(shape)
    if rank < 3:
        return ("batch", "channels")[:rank]
    whole: set[int] = set()
    windows: set[int] = set()
    told = False
    for node, before, made in _steps(graph, value):
        cut = {axis for pixel_map in before if pixel_map for axis in _cut(pixel_map)}
        for pixel_map in made:
            for axis, seen in enumerate(pixel_map.spans):
                if seen == GLOBAL:
                    whole.add(axis)
                elif not isinstance(seen, Span):
                    return None
                elif seen.lo < seen.hi and axis in cut:
                    windows.add(axis)
        types = graph.input_types(node)
        # A mean or a softmax goes along any axis; what weights mix are channels.
        told = bool(whole) and bool(node.op.weights(*types) or node.op.macs(*types, y=graph.types[node.outputs[0]]))
        if told or windows:
            break
    if windows:
        places = sorted(windows)
    elif told and len(whole) == 1 and 0 not in whole:
        places = [axis for axis in range(1, rank) if axis not in whole]
    elif not whole or {axis for axis in range(1, rank) if shape[axis] != 1} <= whole:
        places = list(range(2, rank))  # all or nothing is mixed: whichever they are, the answer is the same
    else:
        return None
    if len(places) not in NAMED:
        return None
    names = ["batch", *["channels"] * (rank - 1)]
    for axis, name in zip(places, NAMED[len(places)], strict=True):
        names[axis] = name
    return tuple(names)


def _cut(pixel_map: PixelMap) -> Iterator[int]:
    """The axes of the input that lie in several factors."""
    axes = [p.axis for factors in pixel_map.factors for p in factors if p.axis is not None and p.size > 1]
    return (axis for axis in axes if axes.count(axis) > 1)
