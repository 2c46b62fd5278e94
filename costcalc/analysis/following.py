"""What an output sees through one of its inputs, by the sight that its op says."""

from __future__ import annotations

from collections.abc import Sequence

from costcalc.analysis.parts import Part, aligned, as_line, count, moves, redistribute
from costcalc.analysis.view import GLOBAL, UNKNOWN, Seen, Span, View
from costcalc.ir.dims import Dim
from costcalc.ir.window import IDENTITY, Anywhere, Axes, Follow, Number, Regroup, Sight, Steps, size_of


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
            lose(view.parts[entry.axis], spans)
        else:
            follows.setdefault(entry.axis, []).append((out if entry.along is None else entry.along, entry))
    kept = {p.axis for axis in follows for p in view.parts[axis] if p.size > 1}
    for axis in mixed:
        if view.start(axis) > 0 or count(view.parts[axis]) > view.start(axis) + x[axis]:
            lose(view.parts[axis], spans)  # not all of its places are there
    _mix([p for axis in mixed for p in view.parts[axis]], kept, spans, extent)
    parts: list[tuple[Part, ...]] = [(plain_part(size),) for size in y]
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


def lose(parts: Sequence[Part], spans: list[Seen]) -> None:
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
        lose(before, spans)  # which of its places are where is not followed any further
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
            lose((moving,), spans)  # one axis moves along two axes of the image at once
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
        found = redistribute(flat, [plain_part(y[axis]).size for axis in after]) if whole_axes else None
        if found is None:
            lose(flat, spans)
            found = [(plain_part(y[axis]),) for axis in after]
        parts_out.extend(found)
    return View(
        tuple(parts_out), tuple(spans), view.aligned, None, tuple(starts) if any(starts) else None, view.borders
    )


def plain_part(size: Dim) -> Part:
    """An axis of ``size`` that runs along none of the image."""
    return Part(None, 0, size)  # type: ignore[arg-type]
