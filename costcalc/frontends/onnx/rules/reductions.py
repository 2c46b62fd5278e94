"""Functions along axes that go: sums, extrema, running sums, sorting, what values choose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from costcalc.frontends.onnx.node_use import FileError, NodeUse, NoRule, axis_of
from costcalc.ir.call import Traced, once
from costcalc.ir.dims import Dim
from costcalc.ops.traced_steps import reshaped

FUNCTIONS = {
    "ReduceMax": "amax", "ReduceMin": "amin", "ReduceProd": "prod", "ReduceL1": "norm", "ReduceL2": "norm",
    "ReduceLogSumExp": "logsumexp",
}  # fmt: skip


CHOSEN = "elements that are selected by value"
MOST_CLASSES = 1000
"""Images times classes for which boxes are suppressed one by one."""


def reduce(n: NodeUse) -> Traced:
    x = n.x(0)
    rank = len(x.type.shape)
    given = n.sizes("axes", 1)
    if not given and n.attribute("noop_with_empty_axes", 0):
        return x
    axes = tuple(axis_of(a, rank) for a in given) if given else tuple(range(rank))
    keep = bool(n.attribute("keepdims", 1))
    if not axes:
        return x
    operator = n.node.operator
    if operator in ("ReduceSum", "ReduceMean"):
        return n.add("sum" if operator == "ReduceSum" else "mean", x, options=(once(axes), keep))  # type: ignore[no-any-return]
    if operator == "ReduceSumSquare":
        return n.add("sum", n.elementwise("square", x), options=(once(axes), keep))  # type: ignore[no-any-return]
    if operator == "ReduceLogSum":
        return n.elementwise("log", n.add("sum", x, options=(once(axes), keep)))
    order = {"number": 1} if operator == "ReduceL1" else {}
    return n.add("reduction", x, options=(FUNCTIONS[operator], once(axes), keep), **order)  # type: ignore[no-any-return]


def extreme_place(n: NodeUse) -> Traced:
    x = n.x(0)
    axis = axis_of(n.attribute("axis", 0), len(x.type.shape))
    return n.add("reduction", x, options=(n.node.operator.lower(), axis, bool(n.attribute("keepdims", 1))))  # type: ignore[no-any-return]


def running(n: NodeUse) -> Traced:
    x = n.x(0)
    axis = axis_of(n.known(1, "the axis")[0], len(x.type.shape))
    function = n.node.operator.lower()
    how = {word: True for word in ("reverse", "exclusive") if n.attribute(word, 0)}
    return n.add("scan", x, options=(axis,), function=function, **how)  # type: ignore[no-any-return]


def top(n: NodeUse) -> Any:
    """The largest; how many is an input, or an attribute before opset 10."""
    x = n.x(0)
    axis = axis_of(n.attribute("axis", -1), len(x.type.shape))
    (kept,) = n.known(1, "how many") if n.has(1) else (n.attribute("k"),)
    size = x.type.shape[axis]
    if isinstance(kept, int) and isinstance(size, int) and kept > size:
        raise FileError(f"TopK keeps {kept} of {size}")
    return n.add("sort", x, options=(axis, kept), reverse=not n.attribute("largest", 1))


def chosen(n: NodeUse, what: str, most: Dim) -> Dim:
    """How many elements values choose: a size that the user can set; of sizes that stay open the most."""
    if not isinstance(most, int):
        n.build.notes[f"of {n.node.operator} there are the most {what} that there can be"] = None
        return n.build.settings.get("selected", most)
    return n.build.setting(n.build.setting_name("selected"), most, what, most)


def nonzero(n: NodeUse) -> Traced:
    x = n.x(0)
    rank = max(len(x.type.shape), 1)
    found = chosen(n, "elements that are not 0", x.type.size)
    return n.add("gather", x, options=((rank, found), "int64"))  # type: ignore[no-any-return]


def compress(n: NodeUse) -> Traced:
    x = n.x(0)
    axis = n.attribute("axis")
    known = n.numbers(1)
    if axis is None:
        found = sum(map(bool, known)) if known is not None else chosen(n, CHOSEN, x.type.size)
        return n.add("gather", x, n.x(1), options=((found,),))  # type: ignore[no-any-return]
    at = axis_of(axis, len(x.type.shape))
    found = sum(map(bool, known)) if known is not None else chosen(n, CHOSEN, x.type.shape[at])
    return n.add("gather", x, n.x(1), options=((*x.type.shape[:at], found, *x.type.shape[at + 1 :]),))  # type: ignore[no-any-return]


def unique(n: NodeUse) -> Any:
    """The distinct elements, or places along an axis; where each was first, which it is, how often it is there."""
    x = n.x(0)
    axis = n.attribute("axis")
    if axis is None:
        flat = reshaped(n.call, x, x.type.size)
        at, x = 0, flat
    else:
        at = axis_of(axis, len(x.type.shape))
    size = x.type.shape[at]
    found = chosen(n, "distinct elements", size)
    ordered, places = n.add("sort", x, options=(at, None))
    y = n.add("gather", ordered, options=((*x.type.shape[:at], found, *x.type.shape[at + 1 :]),))
    lengths = (found, size, found)
    return (y, *(n.add("gather", places, options=((s,),)) if n.wants(i) else None for i, s in enumerate(lengths, 1)))


def suppress(n: NodeUse) -> Traced:
    """``NonMaxSuppression``: boxes (batch, n, 4) and scores (batch, classes, n); each class of each image by itself."""
    boxes, scores = n.x(0), n.x(1)
    batch, count = boxes.type.shape[:2]
    classes = scores.type.shape[1]
    if not isinstance(count, int) or not isinstance(batch, int) or not isinstance(classes, int):
        raise NoRule("sizes that values decide beside sizes that stay open")
    kept = n.numbers(2) if n.has(2) else (0,)
    most = min(kept[0], count) if kept and isinstance(kept[0], int) and kept[0] > 0 else count
    each = min(n.build.setting(n.build.setting_name("proposals"), most, "boxes that are kept of a class", most), count)
    flat = n.add("select", boxes, options=(0, 0))
    one = n.add("select", n.add("select", scores, options=(0, 0)), options=(0, 0))
    times = batch * classes
    if times > MOST_CLASSES:
        raise NoRule(f"{times} images and classes")
    made = [n.add("nms", flat, one, options=(each,)) for _ in range(times)]
    return n.add("gather", *made, options=((times * each, 3),))  # type: ignore[no-any-return]


def loss(n: NodeUse) -> Any:
    """``SoftmaxCrossEntropyLoss`` is a log-softmax over the classes, and ``NegativeLogLikelihoodLoss``."""
    x, target = n.x(0), n.x(1)
    if n.node.operator == "SoftmaxCrossEntropyLoss":
        x = n.add("log_softmax", x, options=(1,))
    weights = [n.x(2)] if n.has(2) else []
    y = n.add("loss", x, target, *weights, options=("nll_loss", n.attribute("reduction", "mean")))
    return (y, x) if n.wants(1) else y


RULES: dict[str, Callable[[NodeUse], Any]] = {
    **dict.fromkeys((*FUNCTIONS, "ReduceSum", "ReduceMean", "ReduceSumSquare", "ReduceLogSum"), reduce),
    "ArgMax": extreme_place, "ArgMin": extreme_place, "CumSum": running, "CumProd": running, "TopK": top,
    "NonZero": nonzero, "Compress": compress, "Unique": unique, "NonMaxSuppression": suppress,
    "Det": lambda n: n.add("determinant", n.x(0)),
    "NegativeLogLikelihoodLoss": loss, "SoftmaxCrossEntropyLoss": loss,
}  # fmt: skip
