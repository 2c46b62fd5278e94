"""Where the claim of a receptive field is sharp: just what a place sees, not only a bound around it.

A claim covers every place of a value. Near a border a place sees less: what it would see beyond lies in the padding,
and shows nothing. So a claim is sharp at the inner places, from which no tap on the way falls on padding; of an
interpolation it is sharp but for its rounding. Of a union whose branches move unlike each other, of a value that lies
among others, and of ops whose places see unlike each other, it is a bound.
"""

from __future__ import annotations

from math import ceil, floor
from typing import Any, TypeAlias

from costcalc.analysis.axis_factors import aligned, moves
from costcalc.analysis.pixel_map import UNKNOWN, PixelMap
from costcalc.analysis.pixel_map_composition import through
from costcalc.classes import NamedTuple
from costcalc.ir.graph import Graph, Node
from costcalc.ir.index_map import Anywhere, AxisMap, AxisMaps, IndexMap, Regroup, Steps

Inner: TypeAlias = "tuple[int, int] | None"


class Sharp(NamedTuple):
    """Where a claim is sharp.

    places     along each axis of the value the first and the last place; None where there is none
    holds      whether it is, somewhere
    slack      by how many pixels a place may see less at either end, after interpolation
    coarsest   the longest step on the way, in pixels
    """

    places: tuple[Inner, ...]
    holds: bool = True
    slack: float = 0.0
    coarsest: float = 1.0


def sharpness(graph: Graph, claims: dict[str, PixelMap | None], extent: Any = None) -> dict[str, Sharp]:
    """For each value that sees something of the image, where its claim is sharp.

    ``extent``: the pixels that the image has; by default along all axes from the third on.
    """
    found: dict[str, Sharp] = {}
    image = next((v for v in graph.inputs if claims[v] is not None), None)
    if image is None:
        return found
    extent = extent or graph.types[image].spatial
    found[image] = Sharp(_full(graph.types[image].shape))
    for node in graph.nodes:
        for index, value in enumerate(node.outputs):
            if claims[value] is not None:
                found[value] = _of_output(graph, node, index, claims, found, extent)
    return found


def _of_output(
    graph: Graph, node: Node, index: int, claims: dict[str, PixelMap | None], found: dict[str, Sharp], extent: Any
) -> Sharp:
    value = node.outputs[index]
    y, claim, types = graph.types[value].shape, claims[value], graph.input_types(node)
    assert claim is not None
    branches: list[tuple[PixelMap, Sharp]] = []
    for name, index_map, x in zip(
        node.inputs, node.op.index_maps_of(index, *types, y=graph.types[value]), types, strict=True
    ):
        pixel_map = claims[name]
        seen, sharp = (
            (None, None) if pixel_map is None else _through(pixel_map, found[name], index_map, x.shape, y, extent)
        )
        if seen is not None and sharp is not None:
            branches.append((seen, sharp))
    steps = [abs(float(p.step)) for factors in claim.factors for p in factors]
    coarsest = max([*steps, *(sharp.coarsest for _, sharp in branches)])
    slack = max(sharp.slack for _, sharp in branches)
    # What places see that are told one by one is what they see through all branches together.
    told = [p.axis for factors in claim.factors for p in factors if p.table]
    alike = len(branches) == 1 or all(
        all(p == q or q[0].axis in told for p, q in zip(pixel_map.factors, claim.factors, strict=True))
        and (told or not _among_others(pixel_map))
        for pixel_map, _ in branches
    )
    known = UNKNOWN not in claim.spans and not claim.bound
    holds = alike and claim.aligned and known and not _uneven(graph, node, claim)
    places = tuple(
        _meeting(inners) if moves(factors) else (0, size - 1)
        for factors, size, *inners in zip(claim.factors, y, *(sharp.places for _, sharp in branches), strict=True)
    )
    holds = holds and None not in places and all(sharp.holds for _, sharp in branches)
    return Sharp(places, holds, slack, coarsest)


def _among_others(pixel_map: PixelMap) -> bool:
    """Whether places that see something through ``pixel_map`` lie beside others that do not."""
    limits = pixel_map.within or ()
    return any(limit is not None and moves(factors) for limit, factors in zip(limits, pixel_map.factors, strict=False))


def _uneven(graph: Graph, node: Node, claim: PixelMap) -> bool:
    """Whether data say what the places of a layer see, or places see unlike each other."""
    if node.op.weighs and any(_masks(graph, value) for value in node.inputs):
        return True
    if node.op.leaves_zeros:
        return any(map(moves, claim.factors))
    return node.op.is_bound()


def _masks(graph: Graph, value: str) -> bool:
    """Whether a value is made of no input, and not of trained weights alone, which are above 0 when it is verified."""
    if value not in graph.settled:
        return False
    open_, seen = [value], {value}
    makers = {v: node for node in graph.nodes for v in node.outputs if v in graph.settled}
    while open_:
        node = makers[open_.pop()]
        weights = node.op.weights(*graph.input_types(node))
        if (not node.inputs and not all(weight.trained for weight in weights.values())) or not (node.inputs or weights):
            return True
        open_ += [v for v in node.reads if v not in seen]
        seen.update(node.reads)
    return False


def _longest_run(axis_map: AxisMap, inner: tuple[int, int], made: int) -> Inner:
    """The most outputs one after the other that see something, and nothing but places that are in ``inner``."""
    best: Inner = None
    start = 0
    first, last = axis_map.within or (0, made - 1)
    for output in range(made):
        seen = axis_map.sees(output) if axis_map.sees and first <= output <= last else None
        if seen is None or seen[0] < inner[0] or seen[1] > inner[1]:
            start = output + 1
        elif best is None or output - start > best[1] - best[0]:
            best = (start, output)
    return best


def _meeting(inners: list[Inner]) -> Inner:
    """The places that are in all of ``inners``."""
    if None in inners:
        return None
    first, last = max(i[0] for i in inners if i), min(i[1] for i in inners if i)
    return (first, last) if first <= last else None


def _full(shape: Any) -> tuple[Inner, ...]:
    return tuple((0, size - 1) for size in shape)


def _through(
    pixel_map: PixelMap, sharp: Sharp, index_map: IndexMap, x: Any, y: Any, extent: Any
) -> tuple[PixelMap | None, Sharp]:
    """What an output claims through one input, if anything, and where that is sharp."""
    if isinstance(index_map, Steps):
        found: PixelMap | None = pixel_map
        for step, made in index_map.steps:
            if found is not None:
                found, sharp = _through(found, sharp, step, x, made, extent)
            x = made
        return found, sharp
    after = through(pixel_map, index_map, x, y, extent)
    if isinstance(index_map, Regroup):
        return after, _regrouped(pixel_map, sharp, x, y)
    return after, _along(pixel_map, sharp, index_map, x, y)


def _regrouped(pixel_map: PixelMap, sharp: Sharp, x: Any, y: Any) -> Sharp:
    places: list[Inner] = []
    for before, after in aligned(x, y):
        inners = sharp.places[before.start : before.stop]
        whole = inners == _full(x[before.start : before.stop])
        if len(before) == len(after) == 1:
            places += inners
        elif whole or not any(map(moves, pixel_map.factors[before.start : before.stop])):
            places += _full(y[after.start : after.stop])
        else:
            places += [None] * len(after)
    return sharp._replace(places=tuple(places))


def _along(pixel_map: PixelMap, sharp: Sharp, index_map: AxisMaps, x: Any, y: Any) -> Sharp:
    places: list[Inner] = list(_full(y))
    holds, slack = sharp.holds, sharp.slack
    for axis, (factors, inner, size) in enumerate(zip(pixel_map.factors, sharp.places, x, strict=True)):
        if not moves(factors):
            continue
        entries = [(out, entry) for out, entry in enumerate(index_map) if entry is not None and entry.axis == axis]
        if any(isinstance(entry, Anywhere) for _, entry in entries) or inner is None:
            holds = False
            for out, entry in entries:
                at = entry.along if isinstance(entry, AxisMap) and entry.along is not None else out
                if at < len(y):
                    places[at] = None
            continue
        axis_maps = [
            (out if entry.along is None else entry.along, entry) for out, entry in entries if isinstance(entry, AxisMap)
        ]
        moving = [(out, f) for out, f in axis_maps if f.window.stride and out < len(y)]
        lo, hi = sum(f.window.lo for _, f in axis_maps), sum(f.window.hi for _, f in axis_maps)
        if not moving:
            # Mixed places see up to the ends of the image in any case; of a single one it is known which it is.
            whole = inner == (0, size - 1)
            inside = (inner[0] <= lo and hi <= inner[1]) if axis_maps else whole
            holds = holds and inside
            for out, _ in axis_maps:
                if not inside and out < len(y):
                    places[out] = None
            continue
        if any(f.window.stride.denominator != 1 for _, f in moving):
            slack += 2 * max(abs(float(p.step)) for p in factors)
        if len(moving) > 1:
            ends = [f.window.stride * (y[out] - 1) for out, f in moving]
            inside = inner[0] <= lo + sum(min(0, e) for e in ends) and hi + sum(max(0, e) for e in ends) <= inner[1]
            for out, _ in moving:
                places[out] = (0, y[out] - 1) if inside and len(factors) == 1 else None
            continue
        ((out, axis_map),) = moving
        if axis_map.bound and axis_map.sees:
            places[out] = _longest_run(axis_map, inner, y[out])
            continue
        stride = axis_map.window.stride
        if len(factors) > 1 and axis_map != AxisMap(axis):
            places[out] = None
            continue
        low, high = (inner[0] - lo) / stride, (inner[1] - hi) / stride
        if stride < 0:
            low, high = high, low
        first, last = max(ceil(low), 0), min(floor(high), y[out] - 1)
        if axis_map.within:
            first, last = max(first, axis_map.within[0]), min(last, axis_map.within[1])
        places[out] = _meeting([places[out], (first, last) if first <= last else None])  # of a diagonal both
    return sharp._replace(places=tuple(places), holds=holds, slack=slack)
