"""Layouts that engines make for themselves: channels in blocks, channels last.

Weights are padded to whole blocks there, and the layers compute with what is padded. That is what is counted, and the
report says how many channels there are of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from costcalc.frontends.onnx.node_use import NodeUse
from costcalc.frontends.onnx.rules import channels, layers, moves, pools, quantised
from costcalc.frontends.onnx.rules.channels import in_channels_last
from costcalc.frontends.onnx.rules.microsoft import convolved_and_added
from costcalc.ir.call import Traced


def into_blocks(n: NodeUse) -> Traced:
    x = n.x(0)
    if n.attribute("channels_last", 0):
        x = channels.second(n, x)
    return n.elementwise("copy", x)


def out_of_blocks(n: NodeUse) -> Traced:
    """``channels`` says how many channels there are."""
    x = n.x(0)
    real, padded = n.attribute("channels", 0), x.type.shape[1]
    if real and isinstance(padded, int) and real < padded:
        n.build.notes[
            f"{n.node.inputs[0][:60]} has {real} channels, padded to {padded}, with which its layers compute"
        ] = None
        x = n.add("slice", x, options=(1, 0, real))
    if n.attribute("channels_last", 0):
        x = channels.last(n, x)
    return n.elementwise("copy", x)


def conv(n: NodeUse) -> Traced:
    """The input may have fewer channels than the weights, which are padded."""
    wanted = n.shape(1)[1] * n.attribute("group", 1)
    x = n.x(0)
    have = x.type.shape[1]
    if isinstance(have, int) and isinstance(wanted, int) and have < wanted:
        x = n.add("pad", x, options=(((0, wanted - have),),), axes=(1,))
    return convolved_and_added(n, x)


def _nhwc_conv(n: NodeUse, x: Traced) -> Traced:
    return layers.activated(n, layers.convolved(n, x, 1, 2))


def _nhwc_pool(n: NodeUse, x: Traced) -> Traced:
    return pools.pooled(n, x, n.node.operator)  # type: ignore[no-any-return]


def _nhwc_whole(n: NodeUse, x: Traced) -> Traced:
    return n.add("global_avg_pool" if n.node.operator == "GlobalAveragePool" else "global_max_pool", x)  # type: ignore[no-any-return]


def upsample(n: NodeUse) -> Traced:
    x, scales = n.x(0), n.attribute("scales") or ()
    made = [d * s for d, s in zip(x.type.shape, scales, strict=True)]
    return moves.resampled(n, x, made, [float(s) for s in scales])


RULES: dict[Any, Callable[[NodeUse], Any]] = {
    ("com.microsoft.nchwc", "Conv"): conv, ("com.microsoft.nchwc", "MaxPool"): pools.pool,
    ("com.microsoft.nchwc", "AveragePool"): pools.pool, ("com.microsoft.nchwc", "GlobalMaxPool"): pools.whole,
    ("com.microsoft.nchwc", "GlobalAveragePool"): pools.whole, ("com.microsoft.nchwc", "Upsample"): upsample,
    "ReorderInput": into_blocks, "ReorderOutput": out_of_blocks,
    ("com.ms.internal.nhwc", "Conv"): in_channels_last(_nhwc_conv),
    ("com.ms.internal.nhwc", "MaxPool"): in_channels_last(_nhwc_pool),
    ("com.ms.internal.nhwc", "AveragePool"): in_channels_last(_nhwc_pool),
    ("com.ms.internal.nhwc", "GlobalAveragePool"): in_channels_last(_nhwc_whole),
    ("com.ms.internal.nhwc", "GlobalMaxPool"): in_channels_last(_nhwc_whole),
    ("com.ms.internal.nhwc", "QLinearConv"): quantised.conv,
}  # fmt: skip
