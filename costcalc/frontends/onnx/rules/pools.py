"""Pools with windows, over whole maps, and of regions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from costcalc.frontends.onnx.node_use import FileError, NodeUse, NoRule
from costcalc.frontends.onnx.rules.layers import paddings, written
from costcalc.frontends.onnx.rules.layers import window as of_window
from costcalc.ir.call import Traced, once
from costcalc.ir.dims import Dim
from costcalc.ir.fields import ints, per_axis


def pool(n: NodeUse) -> Any:
    """MaxPool, AveragePool, LpPool. A last window of ceil_mode that would begin outside is dropped at every opset, as
    ONNX Runtime does."""
    return pooled(n, n.x(0), n.node.operator)


def pooled(n: NodeUse, x: Traced, operator: str) -> Any:
    kernel = tuple(n.attribute("kernel_shape") or ())
    axes = len(kernel)
    if not kernel or len(x.type.shape) != axes + 2:
        raise FileError(f"{operator} has a kernel of {axes} axes and an input of {len(x.type.shape)}")
    if axes > 3:
        raise NoRule("more than three spatial axes")
    options = of_window(n, x.type.spatial, kernel)
    dilation = options.pop("dilation")
    if n.attribute("auto_pad", "NOTSET") in ("SAME_UPPER", "SAME_LOWER"):  # which is for a kernel without dilation
        options["padding"] = written(
            paddings(n, x.type.spatial, kernel, ints(per_axis(options["stride"], axes)), (1,) * axes)
        )
    strides, dilations = per_axis(options["stride"], axes), per_axis(dilation, axes)
    ceil = bool(n.attribute("ceil_mode", 0))
    given = per_axis(options["padding"], axes)
    pairs = [p if isinstance(p, tuple) else (p, p) for p in given]
    windows = [*zip(x.type.spatial, kernel, strides, dilations, pairs, strict=True)]
    if all(isinstance(size, int) for size in x.type.spatial):
        made = [_count(*window, ceil) for window in windows]
        if min(made) < 0:
            raise FileError(f"{operator}: a window is larger than its input by more than the stride")
        if 0 in made:
            y = n.constant(x.type._replace(shape=(*x.type.shape[:2], *made)))
            return (y, n.constant(y.type._replace(dtype="int64"))) if operator == "MaxPool" and n.wants(1) else y
        if dilation != 1 and operator != "MaxPool":
            return _dilated(n, x, windows, ceil)
        if any(_awkward(*window) for window in windows):
            fill = []
            for (size, k, s, d, (before, _)), count in zip(windows, made, strict=True):
                last = (count - 1) * s + d * (k - 1) + 1
                fill.append((before, max(last - size - before, 0)))
            x, ceil, options["padding"] = n.add("pad", x, options=(tuple(fill),)), False, 0
    if options["stride"] == once(kernel):
        del options["stride"]
    if operator == "MaxPool":
        indices = n.wants(1)
        return n.add(
            "max_pool", x, options=(once(kernel),), **options, dilation=dilation, ceil_mode=ceil, indices=indices
        )
    if dilation != 1:
        raise NoRule("a dilated average of sizes that stay open")
    if operator == "LpPool":
        squared = n.elementwise("pow", x)
        return n.elementwise("pow", n.add("avg_pool", squared, options=(once(kernel),), **options, ceil_mode=ceil))
    counts = bool(n.attribute("count_include_pad", 0))
    if options["padding"] == 0:
        counts = True  # there is none, and so PyTorch has it
    return n.add("avg_pool", x, options=(once(kernel),), **options, ceil_mode=ceil, count_include_pad=counts)


def _dilated(n: NodeUse, x: Traced, windows: Sequence[tuple[Any, ...]], ceil: bool) -> Traced:
    """Averages, or roots of sums of powers, of windows whose elements lie apart: views of the input, reduced."""
    rank, is_power = len(x.type.shape), n.node.operator == "LpPool"
    y = n.elementwise("pow", x) if is_power else x
    fill = []
    for size, k, s, d, (before, after) in windows:
        count = _count(size, k, s, d, (before, after), ceil)
        fill.append((before, max((count - 1) * s + d * (k - 1) + 1 - size - before, 0)))
    if any(map(any, fill)):
        y = n.add("pad", y, options=(tuple(fill),))
    for axis, (_, k, s, d, _) in enumerate(windows, 2):
        y = n.add("windows", y, options=(axis, d * (k - 1) + 1, s))
        y = n.add("slice", y, options=(-1,), step=d) if d != 1 else y
    y = n.add("sum" if is_power else "mean", y, options=(tuple(range(rank, 2 * rank - 2)),))
    return n.elementwise("pow", y) if is_power else y


def _count(size: Any, k: int, s: Any, d: Any, padding: tuple[Any, Any], ceil: bool) -> int:
    """Places of a window along an axis, as ONNX Runtime works them out: one that is larger than all there is has one,
    unless it is so by its stride; of ceil_mode the last one has to begin before the padding at the end."""
    before, after = padding
    span = size + before + after - d * (k - 1) - 1
    if not ceil:
        return int(span / s) + 1 if abs(span) < 2**50 else span // s + 1
    count = -(-span // s) + 1
    return count - (count > 0 and (count - 1) * s >= size + before)  # type: ignore[no-any-return]


def _awkward(size: Any, k: int, s: Any, d: Any, padding: tuple[Any, Any]) -> bool:
    """Whether a window can lie in the padding for more than half, or is larger than all there is."""
    return any(2 * p > k for p in padding) or size + sum(padding) < d * (k - 1) + 1


def whole(n: NodeUse) -> Traced:
    """The mean or the largest of each channel."""
    x = n.x(0)
    if n.node.operator == "GlobalLpPool":
        axes = once(tuple(range(2, len(x.type.shape))))
        return n.add("reduction", x, options=("norm", axes, True))  # type: ignore[no-any-return]
    if not 3 <= len(x.type.shape) <= 5:
        op = ("mean", ()) if n.node.operator == "GlobalAveragePool" else ("reduction", ("amax",))
        axes = once(tuple(range(2, len(x.type.shape))))
        return n.add(op[0], x, options=(*op[1], axes, True))  # type: ignore[no-any-return]
    return n.add("global_avg_pool" if n.node.operator == "GlobalAveragePool" else "global_max_pool", x)  # type: ignore[no-any-return]


def max_unpool(n: NodeUse) -> Traced:
    kernel = tuple(n.attribute("kernel_shape") or ())
    strides = tuple(n.attribute("strides") or (1,) * len(kernel))
    pads = tuple(n.attribute("pads") or (0,) * 2 * len(kernel))
    size = n.numbers(2)[2:] if n.has(2) and n.numbers(2) else None  # type: ignore[index]
    if pads[: len(kernel)] != pads[len(kernel) :]:
        raise NoRule("uneven padding")
    options: dict[str, Any] = {"size": once(tuple(size))} if size else {}
    return n.add(  # type: ignore[no-any-return]
        "max_unpool", n.x(0), n.x(1), options=(once(kernel), once(strides), once(pads[: len(kernel)])), **options
    )


def _regions(n: NodeUse, boxes: Traced) -> Traced:
    """Boxes of four numbers as the regions (image, four numbers) that cutting takes."""
    rows = boxes.type.shape[0]
    if boxes.type.shape[-1:] == (5,):
        return boxes
    return n.add("concat", n.constant(boxes.type._replace(shape=(rows, 1))), boxes, options=(1,))  # type: ignore[no-any-return]


def roi_align(n: NodeUse) -> Traced:
    size: tuple[Dim, Dim] = (n.attribute("output_height", 1), n.attribute("output_width", 1))
    samples = n.attribute("sampling_ratio", 0)
    return n.add("roi_align", n.x(0), _regions(n, n.x(1)), options=(once(size), samples))  # type: ignore[no-any-return]


def roi_pool(n: NodeUse) -> Traced:
    return n.add("roi_pool", n.x(0), n.x(1), options=(once(tuple(n.attribute("pooled_shape"))),))  # type: ignore[no-any-return]


RULES: dict[str, Callable[[NodeUse], Any]] = {
    **dict.fromkeys(("MaxPool", "AveragePool", "LpPool"), pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"), whole),
    "MaxUnpool": max_unpool, "RoiAlign": roi_align, "MaxRoiPool": roi_pool,
}  # fmt: skip
