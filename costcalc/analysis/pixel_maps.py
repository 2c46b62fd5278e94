"""Which part of the image each value sees.

Every value carries, for each of its axes, how an index along that axis moves over the image (``Factor``), and for
each image axis the pixels around that place which are seen from there (``Span``). Ops say how their outputs
follow their inputs (``Op.index_maps``); this file composes that through the graph. Flattening a map to tokens,
cutting it into windows or patches, tiling and repeating it regroup the factors and lose nothing.

What a value is said to see is the tightest ``[Σ step·index + lo, Σ step·index + hi]`` that holds what *every*
place of it sees. Where branches meet, or a value was put over places of another, it covers them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from costcalc.analysis.axis_factors import Factor, moves
from costcalc.analysis.long_fractions import shortened
from costcalc.analysis.masks import Masks
from costcalc.analysis.pixel_map import UNKNOWN, PixelMap, Span
from costcalc.analysis.pixel_map_composition import is_beyond, on_lines, through
from costcalc.analysis.pixel_map_union import union
from costcalc.analysis.routes import Route, plain_axis, route
from costcalc.ir.graph import Graph, Node
from costcalc.ir.index_map import IndexMap, Regroup, Steps, own_places
from costcalc.ir.memo import Memo
from costcalc.ir.tensor import TensorType
from costcalc.ir.use import Use

Ways: TypeAlias = "list[tuple[IndexMap | Route | None, TensorType]]"

MOST_TOLD = 1_000_000
"""Places of all values that are told one by one: seconds of work. What comes after lies between lines."""
MANY = 64
MOST_FOLLOWED = 60_000
"""Inputs of ops with more than ``MANY`` that are followed one by one: seconds of work. What comes after is unknown."""


def pixel_maps(graph: Graph, image: str, axes: tuple[int, ...] | None = None) -> dict[str, PixelMap | None]:
    """For each value what it sees of the input ``image`` along its ``axes``, by default from the third on."""
    axes = tuple(range(2, len(graph.types[image].shape))) if axes is None else axes
    found: dict[str, PixelMap | None] = {**dict.fromkeys(graph.inputs), image: _of_image(graph.types[image], axes)}
    extent: tuple[int, ...] = tuple(graph.types[image].shape[axis] for axis in axes)  # type: ignore[misc]
    ways_of, asked = Memo("pixel maps"), dict[Use, tuple[int | None, tuple[Ways, ...]]]()
    unchanged: set[Use] = set()  # of one input, whose outputs see what that does
    # Equal maps are one object, so that what an op makes of equal ones is worked out once.
    kept: dict[PixelMap, PixelMap] = {}
    known: dict[tuple[object, ...], PixelMap | None] = {}
    how: tuple[object, ...]
    followed = told = 0
    masks = Masks(graph)
    for node, use in zip(graph.nodes, graph.uses, strict=True):
        if use in unchanged:
            pixel_map = found[node.inputs[0]]
            for value in node.outputs:
                found[value] = pixel_map
            continue
        before = [found[v] for v in node.inputs]
        if use not in asked:
            axis = node.op.joins(*use.inputs) if len(before) > 1 else None
            asked[use] = axis, ()
        axis, ways_each = asked[use]
        if axis is not None:
            (value,) = node.outputs
            apart = {id(pixel_map): pixel_map for pixel_map in before if pixel_map is not None}
            if not any(moves(pixel_map.factors[axis]) for pixel_map in apart.values()):
                how = (-1, axis, graph.types[value].shape[axis], *apart)
                if how not in known:
                    pixel_map = seen_beside(list(apart.values()), axis, graph.types[value], extent)
                    known[how] = pixel_map and kept.setdefault(pixel_map, pixel_map)
                found[value] = known[how]
                continue
        if not ways_each and node.outputs:
            ways_each = ways_of.get(use) or ()
            if not ways_each:
                ways_of.put(use, ways_each := tuple([_ways(use, index) for index in range(len(node.outputs))]))
            asked[use] = axis, ways_each
            if all(len(ways) == 1 and ways[0][0] is None for ways in ways_each) and not node.op.is_bounded_only:
                unchanged.add(use)
        is_masked = len(before) == 2 and masks.among(node)
        for value, ways in zip(node.outputs, ways_each, strict=True):
            if len(ways) == 1 and ways[0][0] is None and not node.op.is_bounded_only:
                found[value] = before[0]
                continue
            how = (id(ways), *map(id, before), *([node.name] if is_masked else []))
            if how not in known and len(before) > MANY and (followed := followed + len(before)) > MOST_FOLLOWED:
                known[how] = _untold(before, graph.types[value])
            elif how not in known and (not node.op.is_counted or node.op.is_untold):
                known[how] = _untold(before, graph.types[value])  # an operator without a rule may read anything
            elif how not in known:
                pixel_map = seen_along(ways, before, graph.types[value], extent)
                if pixel_map and node.op.is_bounded_only:
                    pixel_map = pixel_map._replace(bound=True)
                is_apart = any(view.unlike for view in before if view is not None)
                if pixel_map and (node.op.leaves_zeros or (is_apart and node.op.mixes_parts())):
                    pixel_map = pixel_map._replace(unlike=True)
                if pixel_map and is_masked:
                    pixel_map = masks.seen(node, pixel_map, extent)
                if pixel_map and (places := places_told(pixel_map)) and (told := told + places) > MOST_TOLD:
                    pixel_map = on_lines(pixel_map, range(len(pixel_map.factors)))
                if pixel_map and is_beyond(pixel_map := shortened(pixel_map).tightened(), extent):
                    pixel_map = None
                known[how] = pixel_map and kept.setdefault(pixel_map, pixel_map)
            found[value] = known[how]
    return found


def _untold(before: Sequence[PixelMap | None], y: TensorType) -> PixelMap | None:
    """What a value of type ``y`` sees of which nothing is known, or would take too long to tell."""
    some = next((pixel_map for pixel_map in before if pixel_map is not None), None)
    factors = tuple([plain_axis(size) for size in y.shape])
    return some and PixelMap(factors, (UNKNOWN,) * len(some.spans))


def ways_in(graph: Graph, node: Node, index: int) -> Ways:
    """How output ``index`` of ``node`` sees each of its inputs, with the type of that; None for each place its own."""
    return _ways(Use(node.op, graph.input_types(node), graph.output_types(node)), index)


def _ways(use: Use, index: int) -> Ways:
    y = use.outputs[index]
    stated = use.op.index_maps_of(index, *use.inputs, y=y)
    return [(_way(s, x, y), x) for s, x in zip(stated, use.inputs, strict=True)]


def seen_along(
    ways: Ways, before: Sequence[PixelMap | None], y: TensorType, extent: tuple[int, ...]
) -> PixelMap | None:
    """What a value of type ``y`` sees through inputs that see ``before``."""
    if len(ways) == 1:
        ((pixel_map,), ((index_map, x),)) = before, ways
        if pixel_map is None or index_map is None:
            return pixel_map
        pixel_map = through(pixel_map, index_map, x.shape, y.shape, extent)
        return pixel_map and (union([pixel_map], extent) if pixel_map.within else pixel_map)
    found = [
        pixel_map if index_map is None else through(pixel_map, index_map, x.shape, y.shape, extent)
        for pixel_map, (index_map, x) in zip(before, ways, strict=True)
        if pixel_map is not None
    ]
    seen = [pixel_map for pixel_map in found if pixel_map is not None]
    return union(seen, extent) if any(v is not before[0] for v in seen) else seen[0] if seen else None


def seen_beside(pixel_maps: list[PixelMap], axis: int, y: TensorType, extent: tuple[int, ...]) -> PixelMap | None:
    """What a value of type ``y`` sees that joins values with ``pixel_maps`` along an axis which runs along no axis of
    the image, so that their order does not matter.
    """
    plain = plain_axis(y.shape[axis])
    seen = []
    for pixel_map in pixel_maps:
        starts = pixel_map.starts and (*pixel_map.starts[:axis], 0, *pixel_map.starts[axis + 1 :])
        factors = (*pixel_map.factors[:axis], plain, *pixel_map.factors[axis + 1 :])
        seen.append(pixel_map._replace(factors=factors, starts=starts if starts and any(starts) else None, within=None))
    unlike = any(
        pixel_map.unlike or pixel_map.spans != pixel_maps[0].spans or seen[0].factors != other.factors
        for pixel_map, other in zip(pixel_maps, seen, strict=True)
    )
    return union(seen, extent)._replace(unlike=unlike) if seen else None


def _way(index_map: IndexMap, x: TensorType, y: TensorType) -> IndexMap | Route | None:
    """``index_map`` made ready; None where each place of ``y`` sees its own place of ``x`` and nothing else."""
    if isinstance(index_map, (Regroup, Steps)):
        return index_map
    return None if x.shape == y.shape and index_map == own_places(len(x.shape)) else route(index_map, x.shape, y.shape)


def places_told(pixel_map: PixelMap) -> int:
    """How many places of ``pixel_map`` are told one by one."""
    return sum([p.size for factors in pixel_map.factors for p in factors if p.table])


def _of_image(t: TensorType, axes: tuple[int, ...]) -> PixelMap:
    along = {axis: Factor(i, 1, t.shape[axis]) for i, axis in enumerate(axes)}  # type: ignore[arg-type]
    factors = tuple((along[axis],) if axis in along else plain_axis(size) for axis, size in enumerate(t.shape))
    return PixelMap(factors, (Span(),) * len(axes))
