"""Which part of the image each value sees.

Every value carries, for each of its axes, how an index along that axis tells a place along an axis
of the image (``Part``), and for each image axis the ``Window`` that maps a place to the inputs seen
from there. Ops say how their outputs follow their inputs (``Op.sights``); this file composes that
through the graph. Flattening a map to tokens or cutting it into attention windows regroups the parts
and loses nothing.

The window of a value is the tightest ``[stride·o + lo, stride·o + hi]`` that holds what *every* place
``o`` of it sees. Where branches meet it covers them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from costcalc.analysis.parts import Part, aligned, redistribute
from costcalc.ir.graph import Graph
from costcalc.ir.tensor import TensorType
from costcalc.ir.window import IDENTITY, Follow, Number, Regroup, Sight, Window, whole

GLOBAL = "global"
UNKNOWN = "unknown"
Seen: TypeAlias = "Window | str"  # a window, GLOBAL or UNKNOWN


class ReceptiveField(NamedTuple):
    """What a value sees of the image, per image axis.

    size      the most pixels that one place of the value depends on, in one piece
    stride    pixels between the windows of neighbouring places; a fraction after upsampling, 0 along
              an axis that is seen whole
    offset    the first pixel that place 0 sees; negative where the window starts in the padding
    aligned   False where branches with different centres or strides met
    """

    size: tuple[int, ...]
    stride: tuple[Number, ...]
    offset: tuple[int, ...]
    aligned: bool = True


class View(NamedTuple):
    """What a value sees: per tensor axis its parts (outermost first), per image axis a window."""

    parts: tuple[tuple[Part, ...], ...]
    windows: tuple[Seen, ...]
    aligned: bool = True


def receptive_fields(graph: Graph) -> dict[str, ReceptiveField | str | None]:
    """For each value what it sees of the first input that has spatial axes.

    ``"global"`` after an op whose every output depends on all of the image; ``"unknown"`` where the
    places of a value can no longer be told; None for a value that sees nothing of that input.
    Sizes must be numbers.
    """
    image = image_of(graph)
    if image is None:
        return dict.fromkeys(graph.types)
    extent: tuple[int, ...] = graph.types[image].spatial  # type: ignore[assignment]
    found = views(graph, image)
    # By the object: most layers change nothing of what is seen, and comparing views takes longer than `_field`.
    distinct = {id(view): view for view in found.values()}
    fields = {key: view and _field(view, extent) for key, view in distinct.items()}
    return {value: fields[id(view)] for value, view in found.items()}


def image_of(graph: Graph) -> str | None:
    """The first input that has spatial axes."""
    return next((v for v in graph.inputs if len(graph.types[v].shape) > 2), None)


def views(graph: Graph, image: str) -> dict[str, View | None]:
    """For each value what it sees of the input ``image``; None if nothing."""
    found: dict[str, View | None] = dict.fromkeys(graph.inputs)
    found[image] = _of_image(graph.types[image])
    sights: dict[object, list[tuple[Sight | None, TensorType]]] = {}
    for node in graph.nodes:
        types = graph.input_types(node)
        for index, value in enumerate(node.outputs):
            y = graph.types[value]
            key = (node.op, types, index)
            through = sights.get(key)
            if through is None:
                stated = node.op.sights_of(index, *types, y=y)
                through = [(None if _same(s, x, y) else s, x) for s, x in zip(stated, types, strict=True)]
                sights[key] = through
            before = [found[v] for v in node.inputs]
            seen = [
                view if sight is None else _through(view, sight, x, y)
                for view, (sight, x) in zip(before, through, strict=True)
                if view is not None
            ]
            changed = any(view is not before[0] for view in seen)
            found[value] = _union(seen) if changed else seen[0] if seen else None
    return found


def _same(sight: Sight, x: TensorType, y: TensorType) -> bool:
    """Whether each place of ``y`` sees its own place of ``x`` and nothing else."""
    return x.shape == y.shape and sight == tuple(Follow(axis) for axis in range(len(x.shape)))


def _of_image(t: TensorType) -> View:
    plain = [(_plain(t, axis),) for axis in range(2)]
    along = [(Part(i, 1, size),) for i, size in enumerate(t.spatial)]  # type: ignore[arg-type]
    return View((*plain, *along), (IDENTITY,) * len(along))


def _plain(t: TensorType, axis: int) -> Part:
    return Part(None, 1, t.shape[axis])  # type: ignore[arg-type]


def _through(view: View, sight: Sight, x: TensorType, y: TensorType) -> View:
    """What the output sees through one of its inputs."""
    if isinstance(sight, Regroup):
        return _regroup(view, x, y)
    windows = list(view.windows)
    followed = {f.axis for f in sight if f is not None}
    for axis, parts in enumerate(view.parts):
        if axis not in followed:
            _mix(parts, axis, view.parts, followed, windows)
    parts_out: list[tuple[Part, ...]] = []
    for axis in range(len(y.shape)):
        follow = sight[axis] if sight else None
        if follow is None:
            parts_out.append((_plain(y, axis),))
        elif follow.window == IDENTITY and x.shape[follow.axis] == y.shape[axis]:
            parts_out.append(view.parts[follow.axis])
        else:
            parts_out.append(_slide(view, follow, _plain(y, axis).size, windows))
    return View(tuple(parts_out), tuple(windows), view.aligned)


def _mix(
    parts: tuple[Part, ...], mixed: int, all_parts: Sequence[tuple[Part, ...]], followed: set[int], windows: list[Seen]
) -> None:
    """Every output place sees all of these parts: widen the windows of their image axes."""
    for part in parts:
        seen = windows[part.axis] if part.axis is not None else GLOBAL
        if part.axis is None or part.size == 1 or not isinstance(seen, Window):
            continue
        kept = [p for a in followed for p in all_parts[a] if p.axis == part.axis]
        if kept:
            windows[part.axis] = seen._replace(hi=seen.hi + seen.stride * part.step * (part.size - 1))
        else:
            windows[part.axis] = GLOBAL


def _slide(view: View, follow: Follow, size: int, windows: list[Seen]) -> tuple[Part, ...]:
    """An output axis that follows an input axis through a window other than the identity."""
    parts, window = view.parts[follow.axis], follow.window
    images = [p for p in parts if p.axis is not None]
    if not images:
        return (Part(None, 1, size),)
    if len(parts) > 1:
        if window.stride == 1 and window.lo == window.hi:
            return parts  # tokens moved along, as by a class token before them: each sees what it saw
        for p in images:
            if windows[p.axis] != GLOBAL:  # type: ignore[index]
                windows[p.axis] = UNKNOWN  # type: ignore[index]
        return (Part(None, 1, size),)
    (part,) = images
    axis: int = part.axis  # type: ignore[assignment]
    seen = windows[axis]
    if not isinstance(seen, Window):
        return (Part(axis, 1, size),)
    if window.stride == 0:
        # The same place of the input, wherever the output place is.
        there = seen.stride * part.step
        windows[axis] = Window(seen.stride, seen.lo + there * window.lo, seen.hi + there * window.hi)
        return (Part(None, 1, size),)
    others = [p for ps in view.parts for p in ps if p.axis == axis and p is not part]
    if others and window.stride != 1:
        windows[axis] = UNKNOWN
        return (Part(None, 1, size),)
    if others:
        reach = part.step * seen.stride
        windows[axis] = Window(seen.stride, seen.lo + reach * window.lo, seen.hi + reach * window.hi)
        return (Part(axis, part.step, size),)
    scaled = Window(window.stride * part.step, window.lo * part.step, window.hi * part.step)
    windows[axis] = scaled.after(seen)
    return (Part(axis, 1, size),)


def _regroup(view: View, x: TensorType, y: TensorType) -> View:
    """The same elements, in the same order, under the shape of ``y``."""
    parts_out: list[tuple[Part, ...]] = []
    for before, after in aligned(x.shape, y.shape):
        parts = view.parts[before.start : before.stop]
        if len(before) == len(after) == 1:
            parts_out.extend(parts)
            continue
        found = redistribute([p for ps in parts for p in ps], [_plain(y, axis).size for axis in after])
        if found is None:
            lost = tuple(w if w == GLOBAL else UNKNOWN for w in view.windows)
            return View(tuple((_plain(y, a),) for a in range(len(y.shape))), lost, view.aligned)
        parts_out.extend(found)
    return View(tuple(parts_out), view.windows, view.aligned)


def _union(views: list[View]) -> View:
    """What a place sees through all of its inputs together."""
    result = views[0]
    for view in views[1:]:
        if view is not result and view != result:
            result = _merge(result, view)
    return _renumbered(result)


def _renumbered(view: View) -> View:
    """Where only every n-th place of an image axis is left, number what is left: equal views are then equal."""
    for axis, seen in enumerate(view.windows):
        places = _places(view.parts, axis)
        if len(places) == 1 and places[0].step != 1 and isinstance(seen, Window):
            (old,) = places
            parts = tuple(tuple(p._replace(step=1) if p == old else p for p in ps) for ps in view.parts)
            wider = seen._replace(stride=seen.stride * old.step)
            windows = (*view.windows[:axis], wider, *view.windows[axis + 1 :])
            view = View(parts, windows, view.aligned)
    return view


def _merge(a: View, b: View) -> View:
    windows: list[Seen] = []
    aligned = a.aligned and b.aligned
    parts = tuple(
        p if p == q or all(f.axis is None for f in q) else q if all(f.axis is None for f in p) else p
        for p, q in zip(a.parts, b.parts, strict=True)
    )
    for axis, (v, w) in enumerate(zip(a.windows, b.windows, strict=True)):
        if GLOBAL in (v, w):
            windows.append(GLOBAL)
        elif not isinstance(v, Window) or not isinstance(w, Window):
            windows.append(UNKNOWN)
        else:
            of_a, of_b, both = _places(a.parts, axis), _places(b.parts, axis), _places(parts, axis)
            if {*of_a} - {*both} or {*of_b} - {*both}:
                windows.append(UNKNOWN)
                continue
            v, w = _spread(v, of_a, both), _spread(w, of_b, both)
            joined, same = _join(v, w, 1 + sum(p.step * (p.size - 1) for p in both))
            aligned = aligned and (same or not of_a or not of_b)
            windows.append(joined)
    return View(parts, tuple(windows), aligned)


def _places(parts: Sequence[tuple[Part, ...]], axis: int) -> list[Part]:
    return [p for ps in parts for p in ps if p.axis == axis and p.size > 1]


def _spread(window: Window, own: list[Part], both: list[Part]) -> Window:
    """``window`` of a value that does not move along some of the parts, as a function of all."""
    if not own:
        return window._replace(stride=0) if both else window
    still = sum(p.step * (p.size - 1) for p in both if p not in own)
    return window._replace(lo=window.lo - window.stride * still)


def _join(v: Window, w: Window, places: int) -> tuple[Window, bool]:
    """The window that covers both at each of ``places`` places, and whether their centres agree."""
    if v.stride == w.stride:
        return Window(v.stride, min(v.lo, w.lo), max(v.hi, w.hi)), v.lo + v.hi == w.lo + w.hi
    stride, last = max(v.stride, w.stride), places - 1
    ends = [(u, (u.stride - stride) * o) for u in (v, w) for o in (0, last)]
    return Window(stride, min(u.lo + gap for u, gap in ends), max(u.hi + gap for u, gap in ends)), False


def _field(view: View, extent: tuple[int, ...]) -> ReceptiveField | str:
    if UNKNOWN in view.windows:
        return UNKNOWN
    if all(w == GLOBAL for w in view.windows):
        return GLOBAL
    size, stride, offset = [], [], []
    for axis, (w, pixels) in enumerate(zip(view.windows, extent, strict=True)):
        if isinstance(w, Window):
            size.append(w.size)
            stride.append(whole(w.stride * min((p.step for p in _places(view.parts, axis)), default=1)))
            offset.append(int(-(-w.lo // 1)))
        else:
            size.append(pixels)
            stride.append(0)
            offset.append(0)
    return ReceptiveField(tuple(size), tuple(stride), tuple(offset), view.aligned)
