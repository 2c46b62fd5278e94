"""What the axes of an input are called in closed forms: places as ``layout`` finds them, and tokens beside them.

A layer that mixes one axis and leaves the others alone, as a linear layer or an embedding does, runs along the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from costcalc.analysis.axis_factors import aligned
from costcalc.analysis.layout import NAMED, names_by_sliding
from costcalc.ir.dims import Dim
from costcalc.ir.graph import Graph
from costcalc.ir.index_map import AxisMaps, IndexMap, Regroup, Steps
from costcalc.ir.layout import AXES, PLACES
from costcalc.ir.tensor import FLOATING_BITS, TensorType

TOKENS = "tokens"

Shape: TypeAlias = "tuple[Dim, ...]"
Tags: TypeAlias = "tuple[frozenset[int], ...]"  # for each axis of a value, the axes of the input that are in it


def named_axes(graph: Graph) -> dict[str, dict[int, str]]:
    """For each input its axes that have a name, by number: ``{"image": {2: "height", 3: "width"}}``.

    Names are those of ``PLACES`` and ``TOKENS``; the batch, channels and axes that cannot be told are left out.
    Sizes must be numbers.
    """
    return {name: _named(graph, name) for name in graph.inputs}


def _named(graph: Graph, name: str) -> dict[int, str]:
    x = graph.types[name]
    if name not in graph.layouts and len(x.shape) == 2 and x.dtype not in FLOATING_BITS:
        return {1: TOKENS}  # words, whose features an embedding makes
    given = tuple(AXES[letter] for letter in graph.layouts.get(name, ()))
    names = given or names_by_sliding(graph, name)
    if names is not None:
        return {axis: called for axis, called in enumerate(names) if called in PLACES}
    places, along = _found(graph, name)
    if places is None and len(along) == 1:
        return dict.fromkeys(along, TOKENS)
    axes = along if places is None else places
    return dict(zip(axes, NAMED.get(len(axes), ()), strict=False))


def _found(graph: Graph, name: str) -> tuple[list[int] | None, list[int]]:
    """The axes of places, or None, and those that the first layer that mixes any runs along."""
    x = graph.types[name]
    tags: dict[str, Tags] = {name: tuple(frozenset((axis,)) for axis in range(len(x.shape)))}
    for node in graph.nodes:
        types = graph.input_types(node)
        for index, value in enumerate(node.outputs):
            y = graph.types[value]
            for read, type_, index_map in zip(
                node.inputs, types, node.op.index_maps_of(index, *types, y=y), strict=True
            ):
                if read not in tags:
                    continue
                held = tags[read]
                for step, before, after in _steps(index_map, type_.shape, y.shape):
                    cut, mixed = _touched(held, step)
                    if cut - {0}:
                        return sorted(cut - {0}), []
                    if mixed:
                        places, along = _beside(x, mixed, held)
                        return places, along or []
                    held = _after(held, step, before, after)
                tags.setdefault(value, held)
    return list(range(2, len(x.shape))), []


def _beside(x: TensorType, mixed: set[int], tags: Tags) -> tuple[list[int] | None, list[int] | None]:
    """The axes that are places, and those of tokens, if a layer mixes ``mixed`` of the input whole."""
    rank = len(x.shape)
    if len(mixed) > 1:
        if rank > 3 or mixed == {2}:
            return list(range(2, rank)), None  # a mean over the places of an image, or all of it flattened
        apart = all(len(tag) < 2 for tag in tags)
        return None, [1] if apart and rank == 3 else []  # attention and recurrent layers: batch, length, features
    (only,) = mixed
    along = sorted(_all(tags) - mixed - {0})
    return (None, along) if len(along) == 1 and along[0] < only else (along, None)


def _steps(index_map: IndexMap, x: Shape, y: Shape) -> Iterator[tuple[AxisMaps | Regroup, Shape, Shape]]:
    """Each step of ``index_map`` with the shapes before and after it."""
    if not isinstance(index_map, Steps):
        yield index_map, x, y
        return
    for step, shape in index_map.steps:
        yield step, x, shape
        x = shape


def _touched(tags: Tags, index_map: AxisMaps | Regroup) -> tuple[set[int], set[int]]:
    """The axes of the input of which a layer mixes a part, having been cut into windows; and those it mixes whole."""
    if isinstance(index_map, Regroup):
        return set(), set()
    kept = {f.axis for f in index_map if f is not None}
    mixed = {axis for axis in range(len(tags)) if axis not in kept}
    beside = _all([tags[axis] for axis in kept])
    touched = {a for axis in mixed for a in tags[axis]}
    return touched & beside, touched - beside


def _after(tags: Tags, index_map: AxisMaps | Regroup, x: Shape, y: Shape) -> Tags:
    """The axes of the input in each axis of what a layer makes."""
    if not isinstance(index_map, Regroup):
        # What comes from anywhere may have more axes than are looked along, or fewer.
        seen = (*index_map, *(None,) * len(y))
        return tuple(frozenset() if f is None else tags[f.axis] for f in seen[: len(y)])
    made: list[frozenset[int]] = []
    for before, after in aligned(x, y):
        whole = _all(tags[before.start : before.stop])
        sizes = [y[axis] for axis in after]
        one = sum(size != 1 for size in sizes) == 1  # then the others are new
        made += [frozenset() if one and size == 1 else whole for size in sizes]
    return tuple(made)


def _all(tags: Sequence[frozenset[int]]) -> frozenset[int]:
    return frozenset().union(*tags)
