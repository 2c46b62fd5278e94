"""What an op is said to read is what it touches: places counted by loops, by gradients, and by its equation.

The counts are compulsory traffic: a place that no output depends on need not be read.
"""

from __future__ import annotations

import random
from itertools import product
from typing import Any

import pytest
from strategies import RANDOM, Layer
from test_index_maps import REAL, reached
from test_random_layers import tried
from uses import USES, outputs_of

from costcalc.ir.footprint import laying, taps_laid, touched
from costcalc.ir.op import Op
from costcalc.ir.tensor import TensorType
from costcalc.verification.loops import LoopNest

CASES = 4000
MORE = {
    "adaptive_max_pool": "a draw shows one element of each bin",
    "global_max_pool": "a draw shows one element of each channel",
    "scaled_dot_product_attention": "scores that a mask hides are worked out all the same",
    "roi_align": "which part a region covers depends on values",
    "roi_pool": "which part a region covers depends on values",
}
"""Ops that read more than some draws of values reach, with the reason."""
SYMMETRIC = ("cholesky", "cholesky_solve", "cholesky_inverse", "eigh")
"""Ops whose gradients PyTorch gives to both halves of a matrix, of which they read one: tests/ops/test_matrices.py."""


def test_windows_touch_what_loops_count() -> None:
    draw = random.Random(10)
    left_out = 0
    for _ in range(CASES):
        size, k, s, d = draw.randint(1, 40), draw.randint(1, 5), draw.randint(1, 6), draw.randint(1, 5)
        p, q = (draw.randint(0, 7), draw.randint(0, 7)) if draw.random() < 0.6 else (0, 0)
        room = size + p + q - d * (k - 1) - 1
        if room < 0:
            continue
        windows, beyond = room // s + 1, q
        if draw.random() < 0.3:  # as pools count them with ceil_mode
            windows, beyond = min(-(-room // s) + 1, -(-(size + p) // s)), q + s - 1
        positions = {s * o + d * r - p for o in range(windows) for r in range(k)}
        inside = sum(0 <= place < size for place in positions)

        assert touched(size, windows, k, s, d, p, beyond) == inside, (size, windows, k, s, d, p, q)
        left_out += inside < size
    assert left_out > CASES // 4


def test_places_that_lay_taps_are_what_loops_count() -> None:
    draw = random.Random(11)
    left_out = 0
    for _ in range(CASES):
        size, k, s, d = draw.randint(1, 12), draw.randint(1, 5), draw.randint(1, 5), draw.randint(1, 5)
        before, after = draw.randint(0, 9), draw.randint(-2, 9)
        made = (size - 1) * s + d * (k - 1) + 1 - before - after
        if made < 1:
            continue
        taps = [sum(0 <= s * i + d * r - before < made for r in range(k)) for i in range(size)]

        assert laying(size, made, k, s, d, before, after) == sum(n > 0 for n in taps), (size, k, s, d, before, after)
        assert before == 0 or taps_laid(size, made, k, s, d, before) == sum(taps)
        left_out += 0 in taps
    assert left_out > CASES // 20


@pytest.mark.parametrize(("op", "types"), [use for use in USES if use.values[0].computes])
def test_the_equation_touches_what_is_read(op: Op, types: list[TensorType]) -> None:
    assert op.reads(*types, y=outputs_of(op, types)[0]) == tuple(touched_by(LoopNest(op, *types), op, types))


def touched_by(loops: LoopNest, op: Op, types: list[TensorType]) -> list[int]:
    """Distinct places inside each input that some result inside the output takes in."""
    result, *names = (operand.name for operand in loops.operands)
    found: dict[str, set[Any]] = {name: set() for name in names if name not in op.weights(*types)}
    for to, *positions in loops.positions():
        if loops.holds(result, to):
            for name, place in zip(names, positions, strict=True):
                if name in found and loops.holds(name, place):
                    found[name].add(place)
    return [len(positions) for positions in found.values()]


@pytest.mark.parametrize("family", ["conv", "conv_transpose", "max_pool"])
def test_the_equations_of_random_layers_touch_what_is_read(family: str) -> None:
    seen = tried(RANDOM[family], reads_what_loops_touch, 60, fresh=False)

    assert seen["compared"] > 15


@pytest.mark.long
@pytest.mark.parametrize("family", ["conv", "conv_transpose", "max_pool"])
def test_the_equations_of_many_random_layers_touch_what_is_read(family: str) -> None:
    assert tried(RANDOM[family], reads_what_loops_touch, 3000, fresh=True)["compared"] > 1000


def reads_what_loops_touch(layer: Layer) -> str:
    op = layer.accepted()
    if op is None:
        return "passed over"
    loops = LoopNest(op, layer.type)
    if len(loops) > 5_000:
        return "passed over"
    y = outputs_of(op, [layer.type])[0]
    assert list(op.reads(layer.type, y=y)) == touched_by(loops, op, [layer.type]), layer
    return "compared"


@pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")
@pytest.mark.parametrize(
    ("op", "types"), [use for use in REAL if not (use.values[0].is_view or use.values[0].name in SYMMETRIC)]
)
def test_gradients_reach_what_is_read(op: Op, types: list[TensorType]) -> None:
    y = outputs_of(op, types)[0]
    said = list(op.reads(*types, y=y))
    for masks in reached(op, types):
        found = [int(m.reshape(y.size, -1).any(0).sum()) for m in masks]
        assert all(n <= most for n, most in zip(found, said, strict=True))
        if found == said:
            break

    assert found == said or op.name in MORE


def test_a_strided_pointwise_convolution_reads_a_quarter_of_its_map() -> None:
    """64·14·14 of the 64·28·28 elements, and 8,192 weights: 4·(12,544 + 8,192) = 82,944 bytes."""
    from costcalc.analysis.report import report
    from costcalc.ir.graph import GraphBuilder
    from costcalc.ops.conv import Conv

    for kernel, stride, read in ((1, 2, 82_944), (1, 1, 4 * (64 * 28 * 28 + 64 * 128)), ((1, 3), (2, 1), None)):
        b = GraphBuilder("g", {"x": TensorType((1, 64, 28, 28))})
        graph = b.build(b.add("conv", Conv(128, kernel, stride, bias=False), ["x"]))
        bits = report(graph).total.read_bits

        assert bits == 8 * (read or 4 * (64 * 14 * 28 + 128 * 64 * 3))


def test_products_over_axes_are_what_a_map_is_read_of() -> None:
    """Windows of a map touch, of every axis, the places that its own windows touch."""
    from costcalc.ops.conv import Conv

    op, x = Conv(1, (2, 1, 3), (3, 2, 2), (1, 0, 0), (1, 1, 2)), TensorType((1, 1, 6, 5, 9))
    y = outputs_of(op, [x])[0]
    axes = [
        {s * o + d * r - p for o in range(m) for r in range(k)} & set(range(n))
        for n, m, k, s, p, d in zip(x.spatial, y.spatial, (2, 1, 3), (3, 2, 2), (1, 0, 0), (1, 1, 2), strict=True)
    ]

    assert op.reads(x, y=y) == (len(set(product(*axes))),)


def test_the_shortcuts_of_resnet_50_read_a_quarter_of_three_maps() -> None:
    """Those of stages 2 to 4 have stride 2: of 256·56², 512·28² and 1024·14² elements three quarters are not read."""
    import costcalc

    report = costcalc.analyze("resnet50")
    each = {layer.name: layer for layer in report.layers}
    spared = 0
    for name in ("layer2.0.downsample.conv", "layer3.0.downsample.conv", "layer4.0.downsample.conv"):
        layer = each[name]
        whole = 32 * (layer.params + TensorType(layer.input_shapes[0]).size)
        spared += whole - layer.read_bits

    assert spared == 32 * 3 * (256 * 56**2 + 512 * 28**2 + 1024 * 14**2) // 4 == 33_718_272
    assert report.total.traffic_bits == 3_407_966_720 - 33_718_272
