"""Images whose channels are last, around layers that have them second."""

from __future__ import annotations

from collections.abc import Callable

from costcalc.frontends.onnx.node_use import NodeUse
from costcalc.ir.call import Traced
from costcalc.ops.traced_steps import permuted


def second(n: NodeUse, x: Traced) -> Traced:
    """``x``, whose channels are last, with its channels second."""
    rank = len(x.type.shape)
    return permuted(n.call, x, 0, rank - 1, *range(1, rank - 1))


def last(n: NodeUse, x: Traced) -> Traced:
    """And back."""
    return permuted(n.call, x, 0, *range(2, len(x.type.shape)), 1)


def in_channels_last(rule: Callable[[NodeUse, Traced], Traced]) -> Callable[[NodeUse], Traced]:
    """A rule for images whose channels are last."""
    return lambda n: last(n, rule(n, second(n, n.x(0))))
