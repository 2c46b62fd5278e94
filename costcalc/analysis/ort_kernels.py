"""What takes time in ONNX Runtime's kernels for x86, which keep channels in blocks of 16 (AVX-512).

The constants were chosen on kernels of twelve networks that were measured one by one (docs/time.md says which); what
one of each feature takes on a machine is fitted.
"""

from __future__ import annotations

from typing import Any

from costcalc.analysis.convolutions import Convolution, convolution, macs_of_matrices
from costcalc.analysis.features import Features, KernelPart
from costcalc.ir.graph import Node

BLOCK = 16
UNDER_WAY, ALONE = 6.5, 4.0
"""So many sums must be under way to hide how long a multiplication takes; at most so much longer takes a place by
itself, since the next one's begins meanwhile."""
DEPTHWISE = 1.5
"""A depthwise convolution loads for each tap."""
PATCH, STRIDED, FEW = 10.0, 2.0, 4.5
"""Where a convolution is a product of matrices: bytes that are moved for each tap of each place, as it is unrolled,
packed and read; so much more where the taps lie apart; and so much longer takes a product with fewer outputs than a
block."""
CONVOLUTION, GROUP = 2.0, 0.5
"""What starting a convolution or a product takes beside starting another kernel, and each of a convolution's groups
that is a product by itself."""
NEAR, FAR = 0.5, 1.5
"""What a byte that is read beside MACs counts, where one that is written counts 1: of a map that stays in the cache of
a core since it was written, and of a larger one."""
CORE, CHIP = 2 << 20, 48 << 20
"""Bytes that are taken to stay in the cache of a core, and in that of the chip from one run to the next."""
ANEW = 2.0
"""What a byte of weights counts in a network whose weights do not stay there."""
PASSES = {
    "leaky_relu": 1.0, "relu6": 1.5, "hardtanh": 1.5, "hardsigmoid": 2.0, "hardswish": 3.0, "sigmoid": 4.0, "tanh": 4.0,
}  # fmt: skip
"""How often a kernel goes over its outputs for an activation that it does after."""
WARM = 1 / 3
"""What of it takes time after a convolution that is not by groups: its outputs are at hand."""


def macs(node: Node, types: tuple[Any, ...], counted: int) -> float:
    """MACs as the loops do them.

    Channels of a block that is not full take as long. Four blocks of outputs are done at a time, for six places of a
    row, then three, then one, and one by one where a window reaches over the border, of which the taps inside are done.
    A convolution of one place is a matrix times a vector, and takes as long as reading the matrix.
    """
    conv = convolution(node, types)
    if conv is None:
        return macs_of_matrices(node, types, counted)
    if not _is_in_blocks(conv):
        return counted * (FEW if conv.outputs < BLOCK else 1.0)
    if conv.places == 1 and not conv.is_depthwise:
        return 0.0
    outputs = conv.outputs * (conv.groups if conv.is_depthwise else 1)
    blocks = 4 if conv.is_depthwise else min(-(-outputs // BLOCK), 4)
    if max(conv.kernel) == max(conv.stride) == 1:
        long = row(conv.places, [], blocks)  # all places are one row
    else:
        kernel, stride, size = conv.kernel[-1], conv.stride[-1], conv.sizes[-1]
        over = max((size - 1) * stride + kernel - conv.before[-1], 0)
        missing = [m for side in (over // 2, over - over // 2) for m in range(side, 0, -stride)]
        inside = [1 - min(m, kernel - 1) / kernel for m in missing]
        long = row(size, inside[:size], blocks)
    if conv.is_depthwise:
        return counted * long * DEPTHWISE * _filled(outputs)
    # An image's few channels lie side by side, not in blocks.
    return counted * long * _filled(outputs) * (1.0 if conv.inputs < 5 else _filled(conv.inputs))


def _is_in_blocks(conv: Convolution) -> bool:
    """Whether its kernel works in blocks of channels; else it is a product of matrices for each group."""
    return conv.groups == 1 or conv.is_depthwise or not (conv.inputs % BLOCK or conv.outputs % BLOCK)


def row(places: int, inside: list[float], blocks: int) -> float:
    """How much longer a row of ``places`` takes, ``blocks`` of outputs at a time, than with enough sums under way.

    inside   of each place whose window reaches over the border, which part of its taps is inside
    """
    six, rest = divmod(max(places - len(inside), 0), 6)
    three, one = divmod(rest, 3)
    long = sum(many * max(UNDER_WAY / (of * blocks), 1.0) * of for many, of in ((six, 6), (three, 3)))
    return (long + (one + sum(inside)) * min(max(UNDER_WAY / blocks, 1.0), ALONE)) / max(places, 1)


def features(work: KernelPart) -> Features:
    """The features of a layer, whose ``macs`` are weighed already."""
    weights = work.weights * (ANEW if work.network > CHIP else 1.0)
    if not work.is_product:
        moved, passes = work.read + work.written, PASSES.get(work.node.op.name, 0.0)
        if passes and work.after is not None:
            first = convolution(work.after.node, work.after.types)
            moved += work.results * passes * (WARM if first is None or first.groups == 1 else 1.0)
        elif passes and not work.is_alone:
            moved += work.results
        return Features(0.0, 0.0 if passes else work.ops, moved, weights, work.starts)
    conv = convolution(work.node, work.types)
    moved, kernels = NEAR * work.read + work.written, CONVOLUTION * work.starts
    if conv is not None and _is_in_blocks(conv) and work.read > CORE:
        moved += (FAR - NEAR) * work.read
    elif conv is not None and not _is_in_blocks(conv):
        moved += PATCH * conv.taps * (STRIDED if max(conv.stride) > 1 else 1.0)
        kernels += GROUP * conv.groups
    return Features(work.macs, 0.0, moved, weights, kernels)


def _filled(channels: int) -> float:
    """How much longer so many channels take than as many in full blocks."""
    return -(-channels // BLOCK) * BLOCK / channels
