"""Normalisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from costcalc.frontends.onnx.node_use import NodeUse, axis_of
from costcalc.ir.call import Traced, once
from costcalc.ops.norm import by_channel
from costcalc.ops.traced_steps import scaled


def batch_norm(n: NodeUse) -> Any:
    """By the statistics that the file has; in training mode by those of the batch."""
    x = n.x(0)
    if n.attribute("training_mode", 0):
        y = by_channel(n.call, n.add("batch_norm", x, options=(False, False)), n.x(1), n.x(2))
        return (y, *(n.x(i) for i in (3, 4)))
    if not all(map(n.is_weight, range(1, 5))):
        return by_channel(n.call, by_channel(n.call, x, n.x(4), n.x(3)), n.x(1), n.x(2))
    weights = {
        "weight": n.weight(1), "bias": n.weight(2),
        "running_mean": n.weight(3, trained=False), "running_var": n.weight(4, trained=False),
    }  # fmt: skip
    return n.add("batch_norm", x, weights=weights, counter=False)


def instance_norm(n: NodeUse) -> Traced:
    x = n.x(0)
    if n.is_weight(1) and n.is_weight(2):
        weights = {"weight": n.weight(1), "bias": n.weight(2)}
        return n.add("instance_norm", x, options=(True,), weights=weights)  # type: ignore[no-any-return]
    return by_channel(n.call, n.add("instance_norm", x), n.x(1), n.x(2))


def group_norm(n: NodeUse) -> Traced:
    """Scale and bias have a number for each channel, and for each group before opset 21."""
    x, groups = n.x(0), n.attribute("num_groups", 1)
    channels = x.type.shape[1]
    own = n.is_weight(1) and n.is_weight(2) and n.shape(1) == (channels,)
    if own:
        weights = {"weight": n.weight(1), "bias": n.weight(2)}
        return n.add("group_norm", x, options=(groups,), weights=weights)  # type: ignore[no-any-return]
    y = n.add("group_norm", x, options=(groups, False))
    if n.shape(1) == (channels,):
        return by_channel(n.call, y, n.x(1), n.x(2))
    each = (n.add("repeat_interleave", n.x(i), options=(channels // groups, 0)) for i in (1, 2))
    return by_channel(n.call, y, *each)


def layer_norm(n: NodeUse) -> Any:
    """Over the axes from ``axis`` on; with the means and the deviations, where something reads them."""
    y = over_last(n, n.x(0), n.attribute("axis", -1), 1, 2)
    axis = axis_of(n.attribute("axis", -1), len(y.type.shape))
    beside = y.type._replace(shape=(*y.type.shape[:axis], *(1,) * (len(y.type.shape) - axis)))
    return (y, *(n.constant(beside) for i in (1, 2) if n.wants(i)))


def over_last(n: NodeUse, x: Traced, axis: int, scale: int, bias: int, rms: bool = False) -> Traced:
    """A layer norm, or RMS norm, of ``x`` over its axes from ``axis`` on, by inputs ``scale`` and ``bias``."""
    rank = len(x.type.shape)
    first = axis_of(axis, rank)
    axes, sizes = rank - first, x.type.shape[first:]
    with_bias = n.has(bias) and not rms
    fits = n.has(scale) and n.is_weight(scale) and n.type(scale).size == x.type._replace(shape=sizes).size
    if fits and with_bias:
        fits = n.is_weight(bias) and n.type(bias).size == n.type(scale).size
    if not fits:
        y = n.add("rms_norm" if rms else "layer_norm", x, options=(axes, False))
        return scaled(n.call, y, n.x(scale) if n.has(scale) else None, n.x(bias) if n.has(bias) else None)
    weights = {"weight": n.weight(scale, sizes)} | ({"bias": n.weight(bias, sizes)} if with_bias else {})
    if rms:
        y = n.add("rms_norm", x, options=(axes,), weights=weights)
        return n.add("add", y, n.x(bias)) if n.has(bias) else y  # type: ignore[no-any-return]
    return n.add("layer_norm", x, options=(axes, True, with_bias), weights=weights)  # type: ignore[no-any-return]


def rms_norm(n: NodeUse) -> Any:
    y = over_last(n, n.x(0), n.attribute("axis", -1), 1, 2, rms=True)
    beside = y.type._replace(shape=(*y.type.shape[:-1], 1))
    return (y, *(n.constant(beside) for i in (1, 2) if n.wants(i)))


def local_response(n: NodeUse) -> Traced:
    return n.add("local_response_norm", n.x(0), options=(n.attribute("size", 5),))  # type: ignore[no-any-return]


def lp_norm(n: NodeUse) -> Traced:
    x = n.x(0)
    axis = axis_of(n.attribute("axis", -1), len(x.type.shape))
    return n.add("divide", x, n.add("reduction", x, options=("norm", axis, True)))  # type: ignore[no-any-return]


def mean_variance(n: NodeUse) -> Traced:
    """(x − mean) / deviation over ``axes``, which are the batch and the places by default."""
    x = n.x(0)
    axes = tuple(axis_of(a, len(x.type.shape)) for a in n.attribute("axes") or (0, 2, 3))
    centred = n.add("subtract", x, n.add("mean", x, options=(once(axes), True)))
    return n.add("divide", centred, n.add("reduction", x, options=("std", once(axes), True)))  # type: ignore[no-any-return]


RULES: dict[str, Callable[[NodeUse], Any]] = {
    "BatchNormalization": batch_norm, "InstanceNormalization": instance_norm, "GroupNormalization": group_norm,
    "LayerNormalization": layer_norm, "RMSNormalization": rms_norm, "SimplifiedLayerNormalization": rms_norm,
    "LRN": local_response, "LpNormalization": lp_norm, "MeanVarianceNormalization": mean_variance,
}  # fmt: skip
