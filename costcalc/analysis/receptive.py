"""Which part of the image each value sees.

Every value carries, for each of its axes, how an index along that axis moves over the image (``Part``), and for
each image axis the pixels around that place which are seen from there (``Span``). Ops say how their outputs
follow their inputs (``Op.sights``); this file composes that through the graph. Flattening a map to tokens,
cutting it into windows or patches, tiling and repeating it regroup the parts and lose nothing.

What a value is said to see is the tightest ``[Σ step·index + lo, Σ step·index + hi]`` that holds what *every*
place of it sees. Where branches meet, or a value was put over places of another, it covers them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from costcalc.analysis.lengths import told
from costcalc.analysis.parts import Part, aligned, as_line, count, moves, paired, redistribute
from costcalc.ir.dims import Dim
from costcalc.ir.graph import Graph, Node
from costcalc.ir.tensor import TensorType
from costcalc.ir.window import (
    IDENTITY,
    Anywhere,
    Axes,
    Follow,
    Number,
    Regroup,
    Sight,
    Steps,
    size_of,
)

GLOBAL = "global"
UNKNOWN = "unknown"


class Span(NamedTuple):
    """The pixels along an image axis that are seen from a place: from ``lo`` to ``hi`` from where it is."""

    lo: Number = 0
    hi: Number = 0

    def widened(self, step: Number, lo: Number, hi: Number) -> Span:
        """What is seen from all places from ``lo`` to ``hi``, which are ``step`` pixels apart."""
        ends = step * lo, step * hi
        return Span(self.lo + min(ends), self.hi + max(ends))


Seen: TypeAlias = "Span | str"  # a span, GLOBAL or UNKNOWN
Ways: TypeAlias = "list[tuple[Sight | None, TensorType]]"


class ReceptiveField(NamedTuple):
    """What a value sees of the image, per image axis.

    size      the most pixels that one place of the value depends on, in one piece
    stride    pixels between the windows of neighbouring places; a fraction after upsampling, 0 along
              an axis that is seen whole
    offset    the first pixel that place 0 sees; negative where the window starts in the padding
    aligned   False where branches with different centres or strides met
    seen      the most pixels of the image itself that the window of one place holds: it may hang over the edge
    image     the pixels that the image has
    border    how places whose window hangs over see the image there: ``reflect``, ``replicate``, ``circular`` or
              several of them joined by +; "" where they see nothing more
    """

    size: tuple[int, ...]
    stride: tuple[Number, ...]
    offset: tuple[int, ...]
    aligned: bool = True
    seen: tuple[int, ...] = ()
    image: tuple[int, ...] = ()
    border: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        """Whether the windows are the same, whatever the image."""
        return isinstance(other, ReceptiveField) and tuple(self)[:4] == tuple(other)[:4]

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(tuple(self)[:4])

    @property
    def sees_all(self) -> bool:
        """Whether the window of some place holds the whole image."""
        return bool(self.image) and self.seen == self.image

    @property
    def hangs_over(self) -> bool:
        """Whether a window is larger than what it can hold of the image."""
        return any(size > seen for size, seen in zip(self.size, self.seen, strict=False))


class View(NamedTuple):
    """What a value sees: per tensor axis its parts (outermost first), per image axis what is seen around a place.

    within   per tensor axis the first and last place that see anything through this input, for what is put among
             others' places; None where all do
    starts   per tensor axis which place of its parts is the first, where not all of them are there or others are
             too: tokens behind a class token start at -1. None where all start at 0
    borders  each image axis along which padding took elements of the image, with how
    """

    parts: tuple[tuple[Part, ...], ...]
    spans: tuple[Seen, ...]
    aligned: bool = True
    within: tuple[tuple[int, int] | None, ...] | None = None
    starts: tuple[int, ...] | None = None
    borders: frozenset[tuple[int, str]] = frozenset()

    def start(self, axis: int) -> int:
        """Which place of its parts is the first along an axis."""
        return self.starts[axis] if self.starts else 0

    def whole(self, axis: int, size: Dim) -> bool:
        """Whether an axis of ``size`` has just the places of its parts."""
        return not self.start(axis) and count(self.parts[axis]) == size


def receptive_fields(graph: Graph) -> dict[str, ReceptiveField | str | None]:
    """For each value what it sees of the first input that has places.

    ``"global"`` after an op whose every output depends on all of the image; ``"unknown"`` where the
    places of a value, or of the image, cannot be told; None for a value that sees nothing of that input.
    Sizes must be numbers.
    """
    from costcalc.analysis.fields import fields_of  # which follows views

    return fields_of(graph).of


def views(graph: Graph, image: str, axes: tuple[int, ...] | None = None) -> dict[str, View | None]:
    """For each value what it sees of the input ``image`` along its ``axes``, by default from the third on."""
    axes = tuple(range(2, len(graph.types[image].shape))) if axes is None else axes
    found: dict[str, View | None] = {**dict.fromkeys(graph.inputs), image: _of_image(graph.types[image], axes)}
    extent: tuple[int, ...] = tuple(graph.types[image].shape[axis] for axis in axes)  # type: ignore[misc]
    ways_of: dict[object, Ways] = {}
    # Equal views are one object, so that what an op makes of the same views is worked out once.
    kept: dict[View, View] = {}
    known: dict[tuple[int, ...], View | None] = {}
    for node in graph.nodes:
        types, before = graph.input_types(node), [found[v] for v in node.inputs]
        for index, value in enumerate(node.outputs):
            ways = ways_of.get(key := (node.op, types, index))
            if ways is None:
                ways = ways_of[key] = ways_in(graph, node, index)
            how = (id(ways), *map(id, before))
            if how not in known:
                view = seen_along(ways, before, graph.types[value], extent)
                known[how] = view and kept.setdefault(view := told(view), view)
            found[value] = known[how]
    return found


def ways_in(graph: Graph, node: Node, index: int) -> Ways:
    """How output ``index`` of ``node`` sees each of its inputs, with the type of that; None for each place its own."""
    types, y = graph.input_types(node), graph.types[node.outputs[index]]
    stated = node.op.sights_of(index, *types, y=y)
    return [(None if _same(s, x, y) else s, x) for s, x in zip(stated, types, strict=True)]


def seen_along(ways: Ways, before: Sequence[View | None], y: TensorType, extent: tuple[int, ...]) -> View | None:
    """What a value of type ``y`` sees through inputs that see ``before``."""
    seen = [
        view if sight is None else through(view, sight, x.shape, y.shape, extent)
        for view, (sight, x) in zip(before, ways, strict=True)
        if view is not None
    ]
    return _union(seen) if any(v is not before[0] for v in seen) else seen[0] if seen else None


def _same(sight: Sight, x: TensorType, y: TensorType) -> bool:
    """Whether each place of ``y`` sees its own place of ``x`` and nothing else."""
    return x.shape == y.shape and sight == tuple(Follow(axis) for axis in range(len(x.shape)))


def _of_image(t: TensorType, axes: tuple[int, ...]) -> View:
    along = {axis: Part(i, 1, t.shape[axis]) for i, axis in enumerate(axes)}  # type: ignore[arg-type]
    parts = tuple((along.get(axis) or _plain(size),) for axis, size in enumerate(t.shape))
    return View(parts, (Span(),) * len(axes))


def _plain(size: Dim) -> Part:
    return Part(None, 0, size)  # type: ignore[arg-type]


def through(view: View, sight: Sight, x: tuple[Dim, ...], y: tuple[Dim, ...], extent: tuple[int, ...]) -> View:
    """What an output of shape ``y`` sees through an input of shape ``x``, of an image of ``extent``."""
    if isinstance(sight, Steps):
        for step, made in sight.steps:
            view, x = through(view, step, x, made, extent), made
        return view
    if isinstance(sight, Regroup):
        return _regroup(view, x, y)
    return _along(view, sight, x, y, extent)


def _along(view: View, sight: Axes, x: tuple[Dim, ...], y: tuple[Dim, ...], extent: tuple[int, ...]) -> View:
    """What an output sees whose axes follow those of its input."""
    spans = list(view.spans)
    follows: dict[int, list[tuple[int, Follow]]] = {}
    mixed = {*range(len(x))}
    for out, entry in enumerate(sight):
        if entry is None:
            continue
        mixed.discard(entry.axis)
        if isinstance(entry, Anywhere):
            _lose(view.parts[entry.axis], spans)
        else:
            follows.setdefault(entry.axis, []).append((out if entry.along is None else entry.along, entry))
    kept = {p.axis for axis in follows for p in view.parts[axis] if p.size > 1}
    for axis in mixed:
        if view.start(axis) > 0 or count(view.parts[axis]) > view.start(axis) + x[axis]:
            _lose(view.parts[axis], spans)  # not all of its places are there
    _mix([p for axis in mixed for p in view.parts[axis]], kept, spans, extent)
    parts: list[tuple[Part, ...]] = [(_plain(size),) for size in y]
    within: list[tuple[int, int] | None] = [None] * len(y)
    starts = [0] * len(y)
    borders = view.borders
    for axis, entries in follows.items():
        ((out, follow), *others) = entries
        if not others and follow.window == IDENTITY and out < len(y) and x[axis] == y[out] and not moves(parts[out]):
            parts[out], starts[out] = view.parts[axis], view.start(axis)
        elif moves(view.parts[axis]):
            single = out < len(y) and not others and len(view.parts[axis]) > 1
            if not single or not _shifted(view, axis, x[axis], out, follow, y, parts, starts, spans):
                _slide(view.parts[axis], view.whole(axis, x[axis]), entries, y, parts, spans)
        for out, follow in entries:
            if follow.within is not None and out < len(y):
                within[out] = follow.within
            if follow.border:
                borders |= {(p.axis, follow.border) for p in view.parts[axis] if p.axis is not None}
    in_part, off = tuple(within) if any(within) else None, tuple(starts) if any(starts) else None
    return View(tuple(parts), tuple(spans), view.aligned, in_part, off, borders)


def _lose(parts: Sequence[Part], spans: list[Seen]) -> None:
    """Nothing tells any longer where along the image axes of ``parts`` a place is."""
    for p in parts:
        if p.axis is not None and p.size > 1 and spans[p.axis] != GLOBAL:
            spans[p.axis] = UNKNOWN


def _mix(parts: Sequence[Part], kept: set[int | None], spans: list[Seen], extent: tuple[int, ...]) -> None:
    """Every output place sees all of these parts. It is global if those are all the places that the image has."""
    steps: dict[int, list[Number]] = {}
    for p in parts:
        seen = spans[p.axis] if p.axis is not None else UNKNOWN
        if p.axis is not None and p.size > 1 and isinstance(seen, Span):
            spans[p.axis] = seen.widened(p.step, 0, p.size - 1)
            steps.setdefault(p.axis, []).append(size_of(p.step))
    for axis, apart in steps.items():
        seen, next_one = spans[axis], min(apart)
        assert isinstance(seen, Span)
        if axis not in kept and seen.lo < max(next_one, 1) and seen.hi > extent[axis] - 1 - max(next_one, 1):
            spans[axis] = GLOBAL


def _shifted(
    view: View, axis: int, size: Dim, out: int, follow: Follow, y: tuple[Dim, ...],
    parts: list[tuple[Part, ...]], starts: list[int], spans: list[Seen],
) -> bool:  # fmt: skip
    """Follow an axis of several parts where that loses none of them: all moved along, turned round, or one place taken.

    Returns whether it could.
    """
    before, (stride, lo, hi) = view.parts[axis], follow.window
    if lo != hi or moves(parts[out]):
        return False
    if stride == -1 and lo == size - 1 and view.whole(axis, size):
        _fix(before, int(lo), spans)
        parts[out] = tuple(p._replace(step=-p.step) for p in before)
        return True
    if stride != 1:
        return False
    start, inner, places = view.start(axis) + int(lo), count(before[1:]), y[out]
    if start >= 0 and start + places <= count(before) and not start % inner and not places % inner:  # type: ignore[operator]
        _fix(before, start, spans)  # whole rows are left
        parts[out] = (before[0]._replace(size=places // inner), *before[1:])  # type: ignore[arg-type]
    else:
        parts[out], starts[out] = before, start
    return True


def _slide(
    before: tuple[Part, ...], whole_axis: bool, entries: list[tuple[int, Follow]], y: tuple[Dim, ...],
    parts: list[tuple[Part, ...]], spans: list[Seen],
) -> None:  # fmt: skip
    """Output axes that follow one input axis, which has the parts ``before``."""
    windows = [follow.window for _, follow in entries]
    if len(before) > 1 and not whole_axis:
        _lose(before, spans)  # which of its places are where is not followed any further
        return
    if len(before) > 1 and all(not w.stride and w.lo == w.hi for w in windows):
        _fix(before, int(sum(w.lo for w in windows)), spans)
        return
    moving = before[0] if len(before) == 1 else _straightened(before, spans)
    if moving is None:
        return
    assert moving.axis is not None
    for out, (stride, lo, hi) in zip((out for out, _ in entries), windows, strict=True):
        seen = spans[moving.axis]
        if isinstance(seen, Span):
            spans[moving.axis] = seen.widened(moving.step, lo, hi)
        if out >= len(y) or not stride:
            continue
        if moves(parts[out]):
            _lose((moving,), spans)  # one axis moves along two axes of the image at once
        else:
            parts[out] = (Part(moving.axis, moving.step * stride, y[out]),)  # type: ignore[arg-type]


def _fix(parts: tuple[Part, ...], index: int, spans: list[Seen]) -> None:
    """All see the place ``index`` of an axis of ``parts``, or start there."""
    for p in reversed(parts):
        index, digit = divmod(index, p.size)
        seen = spans[p.axis] if p.axis is not None else UNKNOWN
        if isinstance(seen, Span):
            spans[p.axis] = seen.widened(p.step, digit, digit)  # type: ignore[index]


def _straightened(parts: tuple[Part, ...], spans: list[Seen]) -> Part | None:
    """Places that lie in several parts along one axis, as a line of places: one part, which covers them all.

    An axis that can follow no line beside another is seen as far as its parts reach.
    """
    lines = {a: as_line(parts, a) for a in dict.fromkeys(p.axis for p in parts) if a is not None}
    steepest = max(lines, key=lambda a: size_of(lines[a][0]))
    for axis, (step, lo, hi) in lines.items():
        seen = spans[axis]
        if not isinstance(seen, Span):
            continue
        if axis != steepest and step:
            lo, hi = (sum(end(0, p.step * (p.size - 1)) for p in parts if p.axis == axis) for end in (min, max))
        spans[axis] = seen.widened(1, lo, hi)
    step = lines[steepest][0]
    return Part(steepest, step, count(parts)) if step else None


def _regroup(view: View, x: tuple[Dim, ...], y: tuple[Dim, ...]) -> View:
    """The same elements, in the same order, under the shape ``y``."""
    spans = list(view.spans)
    parts_out: list[tuple[Part, ...]] = []
    starts: list[int] = []
    for before, after in aligned(x, y):
        parts = view.parts[before.start : before.stop]
        if len(before) == len(after) == 1:
            parts_out.extend(parts)
            starts.append(view.start(before.start))
            continue
        starts += [0] * len(after)
        flat = [p for ps in parts for p in ps]
        whole_axes = all(view.whole(axis, x[axis]) for axis in before)
        found = redistribute(flat, [_plain(y[axis]).size for axis in after]) if whole_axes else None
        if found is None:
            _lose(flat, spans)
            found = [(_plain(y[axis]),) for axis in after]
        parts_out.extend(found)
    return View(
        tuple(parts_out), tuple(spans), view.aligned, None, tuple(starts) if any(starts) else None, view.borders
    )


def _union(views: list[View]) -> View:
    """What a place sees through all of its inputs together."""
    result = views[0]
    for view in views[1:]:
        if view is not result and view != result:
            result = _merge(result, view)
    return result._replace(within=None) if result.within else result


def _merge(a: View, b: View) -> View:
    """What is seen through both: moving as one of them does, wide enough for the other."""
    spans_a, spans_b = list(a.spans), list(b.spans)
    parts_out: list[tuple[Part, ...]] = []
    is_aligned = a.aligned and b.aligned
    moved: tuple[set[int], set[int]] = set(), set()
    starts: list[int] = []
    for at, (p, q) in enumerate(zip(a.parts, b.parts, strict=True)):
        runs_in = [view.start(at) for view, parts in ((a, p), (b, q)) if moves(parts)]
        starts.append(runs_in[0] if runs_in else 0)
        alike = len({*runs_in}) <= 1
        if p == q and alike:
            for each in p:
                if each.axis is not None and each.size > 1:
                    moved[0].add(each.axis)
                    moved[1].add(each.axis)
            parts_out.append(p)
            continue
        pairs = paired(p, q) if alike else None
        if pairs is None:
            starts[-1] = 0
            _lose(p, spans_a)
            _lose(q, spans_b)
            parts_out.append((_plain(max(count(p), count(q))),))
            continue
        chosen = []
        for mine, other in pairs:
            part = _chosen(mine, other)
            chosen.append(part)
            for own, spans, runs, view in ((mine, spans_a, moved[0], a), (other, spans_b, moved[1], b)):
                limits = view.within[at] if view.within and len(pairs) == 1 else None
                first, last = limits or (0, part.size - 1)
                if own.axis is not None and own.size > 1:
                    runs.add(own.axis)
                for axis in {own.axis, part.axis} - {None}:
                    gap = (own.step if own.axis == axis else 0) - (part.step if part.axis == axis else 0)
                    seen = spans[axis]  # type: ignore[index]
                    if gap and isinstance(seen, Span):
                        spans[axis] = seen.widened(gap, first, last)  # type: ignore[index]
            steady = mine.axis is None or other.axis is None or mine == other
            is_aligned = is_aligned and (steady or part.size == 1)
        parts_out.append(tuple(chosen))
    joined = [_joined(v, w) for v, w in zip(spans_a, spans_b, strict=True)]
    for axis, (v, w) in enumerate(zip(spans_a, spans_b, strict=True)):
        if axis in moved[0] and axis in moved[1] and isinstance(v, Span) and isinstance(w, Span):
            is_aligned = is_aligned and v.lo + v.hi == w.lo + w.hi
    off = tuple(starts) if any(starts) else None
    return View(tuple(parts_out), tuple(joined), is_aligned, _both_within(a, b), off, a.borders | b.borders)


def _joined(v: Seen, w: Seen) -> Seen:
    if GLOBAL in (v, w):
        return GLOBAL
    if not isinstance(v, Span) or not isinstance(w, Span):
        return UNKNOWN
    return Span(min(v.lo, w.lo), max(v.hi, w.hi))


def _chosen(p: Part, q: Part) -> Part:
    """How the union of two moves along their common places: as the faster one, or not at all if they part ways."""
    if q.axis is None:
        return p
    if p.axis is None:
        return q
    if p.axis == q.axis:
        return Part(None, 0, p.size) if p.step * q.step < 0 else max(p, q, key=lambda part: size_of(part.step))
    return p


def _both_within(a: View, b: View) -> tuple[tuple[int, int] | None, ...] | None:
    if a.within is None or b.within is None:
        return None
    return tuple(
        (min(v[0], w[0]), max(v[1], w[1])) if v and w else None for v, w in zip(a.within, b.within, strict=True)
    )
