"""The receptive field of each value: what it sees of the image, in pixels along its axes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import ceil, floor, lcm

from costcalc.analysis.axis_factors import Factor, PlaceTable
from costcalc.analysis.element_extents import element_extents
from costcalc.analysis.extent_tables import ElementExtents
from costcalc.analysis.layout import axis_names, image_of
from costcalc.analysis.pixel_map import GLOBAL, UNKNOWN, PixelMap, ReceptiveField, Seen, Span
from costcalc.analysis.pixel_maps import pixel_maps
from costcalc.analysis.place_tables import beside_line, kept
from costcalc.classes import NamedTuple
from costcalc.ir.collector import uncollected
from costcalc.ir.graph import Graph, Node
from costcalc.ir.index_map import Number, Window, ratio, size_of, whole

MOST_TRIED, LEAST_TRIED = 8192, 16
"""Places that are looked at on either side for the one that shows most: in all, but of each line so many at least."""


class ReceptiveFields(NamedTuple):
    """The receptive fields of a graph's values.

    of          for each value its receptive field; ``"global"`` after an op whose every output depends on all of the
                image; ``"unknown"`` where the places of a value, or of the image, cannot be told; None for a value
                that sees nothing of the image
    image       the input that is meant, "" if there is none; and what each of its axes is
    axes
    global_at   the last layer that makes places of the image, if each of them sees all of it; else ""
    """

    of: dict[str, ReceptiveField | str | None]
    image: str = ""
    axes: tuple[str, ...] = ()
    global_at: str = ""


class LaterFields:
    """The receptive fields of a graph's layers, worked out, all at once, when one of them is asked for.

    They take a quarter of an analysis, and who wants totals of many models never looks at them. The graph is kept until
    then.
    """

    def __init__(self, graph: Graph) -> None:
        self._known: Graph | tuple[dict[str, ReceptiveField | str | None], str] = graph

    def of(self, layer: str) -> ReceptiveField | str | None:
        """What the first output of ``layer`` sees; None of a graph whose sizes are symbols."""
        return self._told()[0].get(layer)

    def global_at(self, _: str = "") -> str:
        """As ``ReceptiveFields`` has it."""
        return self._told()[1]

    def _told(self) -> tuple[dict[str, ReceptiveField | str | None], str]:
        graph = self._known
        if isinstance(graph, Graph):
            with uncollected():
                seen = ReceptiveFields({}) if graph.is_symbolic else receptive_fields(graph)
                fields = {node.name: seen.of.get(node.outputs[0]) for node in graph.nodes}
            self._known = graph = fields, seen.global_at
        return graph


def layout(graph: Graph) -> dict[str, tuple[str, ...]]:
    """What each axis is of the input along which receptive fields are told; nothing where there is no such input."""
    image = None if graph.is_symbolic else image_of(graph)
    return {image[0]: axis_names(graph, image[0])} if image else {}


def receptive_fields(graph: Graph) -> ReceptiveFields:
    """The receptive fields along the first input that has places. Sizes must be numbers."""
    image = image_of(graph)
    if image is None:
        return ReceptiveFields(dict.fromkeys(graph.types))
    value, axes = image
    names = axis_names(graph, value)
    if not axes:
        rank = len(graph.types[value].shape)
        unknown: dict[str, ReceptiveField | str | None]
        unknown = {v: pixel_map and UNKNOWN for v, pixel_map in pixel_maps(graph, value, tuple(range(2, rank))).items()}
        return ReceptiveFields(unknown, value, names)
    extent: tuple[int, ...] = tuple(graph.types[value].shape[axis] for axis in axes)  # type: ignore[misc]
    found = pixel_maps(graph, value, axes)
    # By the object: most layers change nothing of what is seen, and comparing maps takes longer than `_field`.
    distinct = {id(pixel_map): pixel_map for pixel_map in found.values()}
    fields = {key: pixel_map and _field(pixel_map, extent) for key, pixel_map in distinct.items()}
    last = next((n for n in reversed(graph.nodes) if _has_places(found[n.outputs[0]], n, graph)), None)
    sees_all = last is not None and fields[id(found[last.outputs[0]])] == GLOBAL
    of = {v: fields[id(pixel_map)] for v, pixel_map in found.items()}
    if any(isinstance(field, ReceptiveField) and field.bound for field in fields.values()):
        for told, extents in element_extents(graph, value, axes).items():
            field = of[told]
            if isinstance(field, ReceptiveField) and field.bound:
                of[told] = extents and _exact(field, extents)
    return ReceptiveFields(
        of,
        value,
        names,
        last.name if last and sees_all else "",
    )


def _exact(field: ReceptiveField, extents: ElementExtents) -> ReceptiveField:
    """``field``, which is a bound, with what its elements really see: pixels of the image alone."""
    most = extents.most()
    assert most is not None
    first = tuple(next(lo for lo, hi in zip(t.lo, t.hi, strict=True) if hi >= 0) for t in extents.tables)
    return field._replace(size=most, seen=most, offset=first, bound=False)


def _has_places(pixel_map: PixelMap | None, node: Node, graph: Graph) -> bool:
    if pixel_map is None:
        return False
    axes = zip(pixel_map.factors, graph.types[node.outputs[0]].shape, strict=True)
    return any(size != 1 and any(p.axis is not None and p.size > 1 for p in factors) for factors, size in axes)


def _field(pixel_map: PixelMap, extent: tuple[int, ...]) -> ReceptiveField | str:
    if UNKNOWN in pixel_map.spans:
        return UNKNOWN
    if all(seen == GLOBAL for seen in pixel_map.spans):
        return GLOBAL
    moving = tuple([p for factors in pixel_map.factors for p in factors if p.axis is not None])
    if any(p.table and not any(p.table.places) for p in moving):
        return UNKNOWN  # all are places of mirrored or far pixels, of which nothing is told
    # A table of places takes long to compare, and much memory to keep.
    tell = _field_of.__wrapped__ if any(p.table for p in moving) else _field_of
    return tell(moving, pixel_map.spans, pixel_map.aligned, pixel_map.borders, pixel_map.bound, extent)


@lru_cache(maxsize=8192)  # models of a family, and layers of unlike channels, see alike
def _field_of(
    moving: tuple[Factor, ...],
    spans: tuple[Seen, ...],
    aligned: bool,
    borders: frozenset[tuple[int, str]],
    bound: bool,
    extent: tuple[int, ...],
) -> ReceptiveField:
    """The field of a pixel map whose places run along the image as ``moving`` does."""
    lines: list[tuple[Factor, ...]] = [()] * len(extent)
    for p in moving:
        for line in p.lines() if p.size > 1 else ():
            lines[line.axis] += (line,)  # type: ignore[index]
    size, stride, offset, inside = [], [], [], []
    for axis, (seen, pixels) in enumerate(zip(spans, extent, strict=True)):
        if isinstance(seen, Span):
            if len(lines[axis]) == 1 and (table := lines[axis][0].table):
                most, within, first = _told(seen, table, pixels)
                seen = Span(first, first)
            else:
                if any(p.table for p in lines[axis]):
                    bound = True
                    for p in lines[axis]:
                        seen = seen.widened(1, *(beside_line(p) if p.table else (0, 0)))
                most, within = _sizes(seen, tuple([p[1:3] for p in lines[axis]]), pixels)
            size.append(most)
            # Of a single place that is left, the step by which it lay among others.
            only = next((p.step for p in moving if p.axis == axis), 0)
            stride.append(whole(min([p.step for p in lines[axis]], key=size_of, default=only)))
            offset.append(int(-(-seen.lo // 1)))
            inside.append(within)
        else:
            size.append(pixels)
            stride.append(0)
            offset.append(0)
            inside.append(pixels)
    border: tuple[str, ...] = ()
    if borders:
        border = tuple("+".join(sorted(mode for a, mode in borders if a == axis)) for axis in range(len(extent)))
    return ReceptiveField(
        tuple(size), tuple(stride), tuple(offset), aligned, tuple(inside), extent, border if any(border) else (), bound
    )


@kept(lambda seen, table, pixels: len(table.places))
def _told(seen: Span, table: PlaceTable, pixels: int) -> tuple[int, int, Number]:
    """The most pixels that one place of a ``table`` sees, and those of the image; and the first that the first sees."""
    ends = [(ceil(lo + seen.lo), floor(hi + seen.hi)) for _, (lo, hi) in table.seeing()]
    most = max([last - first for first, last in ends]) + 1
    end = pixels - 1
    inside = max([(last if last < end else end) - (first if first > 0 else 0) for first, last in ends]) + 1
    return most, inside, ends[0][0]


@lru_cache(maxsize=4096)  # the axes of an image are mostly seen alike, and by many layers
def _sizes(seen: Span, lines: tuple[tuple[Number, int], ...], pixels: int) -> tuple[int, int]:
    """The most pixels that one place sees, and those of an image of so many ``pixels``.

    lines   the places: the steps from one to the next, with how many there are
    """
    size = _pixels(seen, [step for step, _ in lines])
    return size, min(size, _most_inside(seen, lines, pixels))


def _most_inside(seen: Span, lines: Sequence[tuple[Number, int]], pixels: int) -> int:
    """The most of an image of ``pixels`` that one place sees, of those that lie along ``lines``.

    Where the middle of a window is nearest to that of the image it shows most; of a place its pixels are counted. After
    as many places as a step has parts a pixel falls as it fell before.
    """
    parts = lcm(*(n.denominator for n in (*seen, *(step for step, _ in lines))))
    lo, hi = (int(n * parts) for n in seen)  # fractions would take most of the time
    end, middle, places = pixels - 1, (pixels - 1) * parts - lo - hi, {0}
    for step, many in sorted(lines, key=lambda line: -size_of(line[0])):  # the coarse ones first, then the finer
        near: set[int] = set()
        up = int(step * parts)
        turns = min(step.denominator, max(MOST_TRIED // len(places), LEAST_TRIED))
        for at in places:
            best = (middle - 2 * at) // (2 * up) if up else 0
            first, after = min(max(best - turns, 0), many - 1), min(max(best + turns + 2, 1), many)
            near.update(range(at + up * first, at + up * after, up) if up else (at,))
        places = near
    return max([min((at + hi) // parts, end) - max(-((-at - lo) // parts), 0) for at in places]) + 1


def _pixels(seen: Span, steps: Sequence[Number]) -> int:
    """The most whole pixels that are seen from one place: places are at multiples of the steps."""
    finest = lcm(*(step.denominator for step in steps))
    return Window(ratio(1, finest), seen.lo, seen.hi).size
