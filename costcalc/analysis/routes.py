"""Index maps by axes, made ready once for all that is seen through them."""

from __future__ import annotations

from functools import lru_cache

from costcalc.analysis.axis_factors import Factor
from costcalc.classes import NamedTuple
from costcalc.ir.dims import Dim
from costcalc.ir.index_map import IDENTITY, Anywhere, AxisMap, AxisMaps, Window


class Route(NamedTuple):
    """An index map by axes, between two shapes, as what is to be done with any pixel map.

    axis_maps  each input axis that is followed, with the output axes that do and how; and the one among these
               that has it just as it is, or -1
    anywhere   the input axes of which nothing tells what is seen
    mixed      those that every output sees whole
    within     and borders: of which outputs, and how beyond them, as ``AxisMap`` has them
    windows    each input axis that is followed with the output axis that does, and by which window: None where that
               has it just as it is. None where there is more to it than whole steps of a window
    """

    axis_maps: tuple[tuple[int, tuple[tuple[int, AxisMap], ...], int], ...]
    anywhere: tuple[int, ...]
    mixed: tuple[int, ...]
    within: tuple[tuple[int, int] | None, ...] | None
    borders: tuple[tuple[int, str], ...]
    windows: tuple[tuple[int, int, Window | None], ...] | None


def route(index_map: AxisMaps, x: tuple[Dim, ...], y: tuple[Dim, ...]) -> Route:
    """``index_map``, from an input of shape ``x`` to an output of shape ``y``."""
    kept = []
    for out, entry in enumerate(index_map):
        if isinstance(entry, AxisMap):
            out = out if entry.along is None else entry.along
            kept.append(out < len(y) and x[entry.axis] == y[out])
    return _route(index_map, len(x), len(y), tuple(kept))


@lru_cache(maxsize=4096)
def _route(index_map: AxisMaps, inputs: int, outputs: int, kept: tuple[bool, ...]) -> Route:
    """``route`` from as many axes to as many; ``kept``: whether an entry's output axis is as long as its input axis."""
    axis_maps: dict[int, list[tuple[int, AxisMap]]] = {}
    same: dict[int, int] = {}
    anywhere: list[int] = []
    long = iter(kept)
    for out, entry in enumerate(index_map):
        if isinstance(entry, Anywhere):
            anywhere.append(entry.axis)
        elif entry is not None:
            out = out if entry.along is None else entry.along
            straight = next(long) and entry.window == IDENTITY and entry.axis not in axis_maps
            same[entry.axis] = out if straight else -1
            axis_maps.setdefault(entry.axis, []).append((out, entry))
    within: list[tuple[int, int] | None] = [None] * outputs
    borders = []
    for axis, entries in axis_maps.items():
        for out, axis_map in entries:
            if axis_map.within is not None and out < outputs:
                within[out] = axis_map.within
            if axis_map.border:
                borders.append((axis, axis_map.border))
    mixed = tuple(axis for axis in range(inputs) if axis not in axis_maps and axis not in anywhere)
    found = tuple((axis, tuple(entries), same[axis]) for axis, entries in axis_maps.items())
    plain = not anywhere and not borders
    windows = _windows(found, outputs) if plain else None
    return Route(found, tuple(anywhere), mixed, tuple(within) if any(within) else None, tuple(borders), windows)


def _windows(
    axis_maps: tuple[tuple[int, tuple[tuple[int, AxisMap], ...], int], ...], outputs: int
) -> tuple[tuple[int, int, Window | None], ...] | None:
    """``windows`` of a route."""
    found: dict[int, tuple[int, int, Window | None]] = {}
    for axis, entries, same in axis_maps:
        ((out, axis_map), *others) = entries
        is_told = not (axis_map.bound or axis_map.sees) and axis_map.gap == 1
        is_whole = all(isinstance(n, int) for n in axis_map.window) and axis_map.window.stride > 0
        if others or out in found or out >= outputs or not (is_told and is_whole):
            return None
        found[out] = axis, out, None if same >= 0 else axis_map.window
    return tuple(found.values())


@lru_cache(maxsize=4096)
def plain_axis(size: int) -> tuple[Factor, ...]:
    """An axis of ``size`` that runs along none of the image."""
    return (Factor(None, 0, size),)
