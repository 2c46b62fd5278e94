"""The floor: against counts by PyTorch, every tiling of small products, and measured products where there are any."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations, product
from math import ceil, prod
from pathlib import Path

import pytest

from costcalc import analyze, load
from costcalc.analysis.floor import least_moved, product_of
from costcalc.analysis.layer_costs import Works
from costcalc.analysis.roofline import Machine
from costcalc.analysis.storage import Storage
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.op import Op, find_op
from costcalc.ir.tensor import TensorType
from costcalc.machines import load_machine, machines
from costcalc.ops.conv import Conv
from costcalc.ops.conv_transpose import ConvTranspose
from costcalc.ops.linear import Linear

GOLDEN = Path(__file__).parents[3] / "shared" / "golden" / "latency"
SMALL = Machine("small", "a small chip", {"float32": 1e9}, 1e8, "made up", caches={"L1": 1024}, local=0)


def chain(shape: tuple[int, ...], *layers: tuple[str, Op]) -> Graph:
    """Named layers, one after the other."""
    builder = GraphBuilder("net", {"image": TensorType(shape)})
    before = "image"
    for name, op in layers:
        builder.add(name, op, [before])
        before = name
    return builder.build([before])


IMAGE = (1, 4, 8, 8)
RELU = find_op("relu")()


OPS = [
    (op, x)
    for kind in (Conv, ConvTranspose)
    for op, x in kind.examples()
    if not op.channels_last
] + [
    (Conv(4, 5, padding=2), TensorType((1, 4, 3, 2))),
    (Conv(4, 3, padding=4, dilation=4), TensorType((2, 2, 5, 5))),
    (Conv(6, 3, stride=4, padding=1, groups=2), TensorType((1, 4, 9, 7))),
    (ConvTranspose(4, 4, stride=2, padding=3), TensorType((1, 2, 5, 4))),
    (ConvTranspose(4, 3, stride=3, padding=1, dilation=2, groups=2), TensorType((1, 2, 4, 6))),
]  # fmt: skip


@pytest.mark.parametrize(("op", "x"), OPS)
def test_needed_macs_are_those_that_pytorch_multiplies_by_no_padding(op: Conv, x: TensorType) -> None:
    """With an image and a kernel of ones each MAC that falls on a place adds one."""
    torch = pytest.importorskip("torch")
    module = op.to_torch(x).requires_grad_(False)
    module.weight.fill_(1)
    if module.bias is not None:
        module.bias.fill_(0)
    y = module(torch.ones(x.shape))
    if isinstance(op, ConvTranspose) or module._forward_hooks or module._forward_pre_hooks:
        assert y.shape == op.infer(x).shape
    assert op.needed_macs(x, y=op.infer(x)) == int(y.sum())


@pytest.mark.parametrize(("op", "x"), OPS)
def test_reuse_is_how_many_outputs_of_a_channel_an_input_gives_to(op: Conv, x: TensorType) -> None:
    torch = pytest.importorskip("torch")
    module = op.to_torch(x).requires_grad_(False)
    module.weight.fill_(1)
    if module.bias is not None:
        module.bias.fill_(0)
    image = torch.ones(x.shape, requires_grad=True)
    y = module(image)
    each = y[:, 0] if isinstance(op, Conv) else y
    if isinstance(op, Conv):
        each.sum().backward()
        assert int(image.grad.max()) <= op.reuse(x)
    else:  # of one input channel, how many places each output takes from
        first = torch.zeros(x.shape)
        first[:, 0] = 1
        assert int(module(first).max()) <= op.reuse(x)


# -- what tilings move --------------------------------------------------------------------------


def tilings(sizes: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    return product(*(sorted({1, 2, 3, 4, 6, 8, size} & {*range(1, size + 1)}) for size in sizes))


def moved(
    sizes: tuple[int, ...], tile: tuple[int, ...], order: tuple[int, ...], uses: tuple[tuple[int, ...], ...],
    footprint: list[int], room: int,
) -> int | None:  # fmt: skip
    """Elements that a loop over tiles moves, in ``order``: each of three tensors keeps its tile until one of its
    indices changes; a sum that is not finished is stored and loaded again. None if the tiles have no room together.
    """
    if sum(footprint) > room:
        return None
    trips = [ceil(size / t) for size, t in zip(sizes, tile, strict=True)]
    total = 0
    for tensor, own in enumerate(uses):
        inner = max((order.index(axis) for axis in own if trips[axis] > 1), default=-1)
        changes = prod(trips[axis] for axis in order[: inner + 1])
        if tensor < 2:
            total += changes * footprint[tensor]
        else:
            distinct = prod(trips[axis] for axis in own)
            total += (2 * changes - distinct) * footprint[tensor]
    return total


@pytest.mark.parametrize("sizes", [(8, 8, 8), (12, 6, 8), (16, 4, 4), (4, 24, 6)])
@pytest.mark.parametrize("room", [3, 12, 27, 48, 75])
def test_no_tiling_of_a_product_moves_less(sizes: tuple[int, int, int], room: int) -> None:
    uses = ((0, 2), (2, 1), (0, 1))  # m×k, k×n, m×n
    best = min(
        total
        for tile in tilings(sizes)
        for order in permutations(range(3))
        for total in [moved(sizes, tile, order, uses, [prod(tile[a] for a in own) for own in uses], room)]
        if total is not None
    )
    assert least_moved(prod(sizes), 1, (1, 1, 1), room) <= best
    assert best >= sizes[0] * sizes[2] + sizes[2] * sizes[1] + sizes[0] * sizes[1]


@pytest.mark.parametrize(
    ("channels", "outputs", "places", "kernel", "stride"),
    [(4, 4, 8, 3, 1), (8, 2, 6, 3, 2), (2, 8, 6, 5, 1), (1, 1, 12, 7, 1)],
)
@pytest.mark.parametrize("room", [8, 24, 60, 120])
def test_no_tiling_of_a_convolution_moves_less(
    channels: int, outputs: int, places: int, kernel: int, stride: int, room: int
) -> None:
    """Over a row of places, with the taps tiled or not: tiles of the row overlap, and are read with their rims."""
    sizes = outputs, channels, places, kernel
    op = Conv(outputs, kernel, stride=stride, bias=False)
    x = TensorType((1, channels, stride * (places - 1) + kernel))
    best = None
    for tile in tilings(sizes):
        row = stride * (tile[2] - 1) + tile[3]
        prints = [tile[1] * row, tile[0] * tile[1] * tile[3], tile[0] * tile[2]]
        for order in permutations(range(4)):
            total = moved(sizes, tile, order, ((1, 2, 3), (0, 1, 3), (0, 2)), prints, room)
            if total is not None and (best is None or total < best):
                best = total
    macs, reuse = op.macs(x, y=op.infer(x)), op.reuse(x)
    assert best is not None
    assert least_moved(macs, reuse, (1, 1, 1), room) <= best


def test_the_bound_of_a_product_is_the_published_one() -> None:
    """2mnk/√S - 2S, Smith et al. 2019; elements of 16 bits move 16 times as many bits."""
    assert least_moved(100**3, 1, (1, 1, 1), 100) == 2 * 100**3 / 10 - 200
    assert least_moved(100**3, 1, (16, 16, 16), 1600) == 16 * (2 * 100**3 / 10 - 200)


def product_with(first: list[tuple[str, Op]], second: list[tuple[str, Op]], shape: tuple[int, ...]) -> Graph:
    """A product of two tensors that are made, as views, of one image."""
    builder = GraphBuilder("net", {"x": TensorType(shape)})
    ends = []
    for side, steps in (("a", first), ("b", second)):
        before = "x"
        for name, op in steps:
            builder.add(f"{side}{name}", op, [before])
            before = f"{side}{name}"
        ends.append(before)
    builder.add("y", find_op("matmul")(), ends)
    return builder.build(["y"])


def tiled_bits(graph: Graph, room: int) -> float | None:
    """The least bits that the last layer moves as a product by itself."""
    storage, node = Storage(graph, None), graph.nodes[-1]
    product = product_of(graph, node, Works(None)(graph, node), storage)
    return None if product is None else product.moved(room)


def test_an_element_may_be_one_of_both_tensors_of_a_product() -> None:
    """x·xᵀ: a square of the result with 2b rows of x takes only those rows, in place of as many again of the other."""
    transposed = find_op("transpose")(0, 1)
    graph = product_with([], [("t", transposed)], (64, 32))
    one, apart = tiled_bits(graph, 1024), least_moved(64 * 64 * 32, 1, (32, 32, 32), 1024)
    assert one == least_moved(64 * 64 * 32, 1, (16, 16, 32), 1024)
    assert one < apart
    # A schedule: for each pair of blocks of b rows, of which those on the diagonal are loaded once, and a column at a
    # time; b·b sums stay. With b = 4: 16 sums and 8 elements of a column, of 32.
    loads = sum(4 * 32 if i == j else 8 * 32 for i in range(16) for j in range(16))
    assert one / 32 <= loads + 64 * 64


def test_nothing_is_known_of_the_tiles_of_what_is_expanded() -> None:
    """All of the products are of one row: as few elements are read as that has."""
    graph = product_with([("e", find_op("expand")((64, 32)))], [("t", find_op("transpose")(0, 1))], (1, 32))
    assert graph.types["ae"].shape == (64, 32)
    assert tiled_bits(graph, 1024) is None
    other = product_with([("r", RELU)], [("t", find_op("transpose")(0, 1))], (64, 32))
    assert tiled_bits(other, 1024) == least_moved(64 * 64 * 32, 1, (32, 32, 32), 1024)


# -- machines -----------------------------------------------------------------------------------


def test_a_layer_takes_the_needed_macs_or_what_leaves_the_chip() -> None:
    net = chain(IMAGE, ("conv", Conv(6, 3, padding=1, bias=False)))
    layer = analyze(net, machine=SMALL).layers[0]
    needed = 6 * 4 * 22 * 22  # of 8 places each row has 22 of its 24 taps inside
    # Of what is read as much may lie in the cache when it begins, and of what is written when it ends.
    moved_bytes = 4 * (4 * 64 + 6 * 4 * 9) - 1024 + 4 * 6 * 64 - 1024
    assert layer.floor.macs == needed
    assert layer.floor.bits == 8 * moved_bytes
    assert layer.floor_seconds == max(needed / 1e9, moved_bytes / 1e8)
    assert layer.floor.bound == "memory"


def test_what_passes_between_layers_need_not_leave_the_chip() -> None:
    net = chain(IMAGE, ("a", Conv(64, 1, bias=False)), ("b", RELU), ("c", Conv(4, 1, bias=False)))
    report = analyze(net, machine=SMALL)
    weights = 4 * (64 * 4 + 4 * 64)
    assert report.total.floor.bits == 8 * (4 * 4 * 64 + weights - 1024 + max(4 * 4 * 64 - 1024, 0))
    assert report.total.floor.macs == 2 * 64 * 4 * 64


def test_a_block_reads_what_comes_from_outside_and_writes_what_is_read_outside() -> None:
    net = chain(
        (1, 2, 8, 8),
        ("a", Conv(4, 1, bias=False)),
        ("body.a", Conv(16, 1, bias=False)),
        ("body.b", RELU),
        ("body.c", Conv(4, 1, bias=False)),
        ("c", Conv(2, 1, bias=False)),
    )
    report = analyze(net, machine=SMALL)
    (block,) = report.blocks
    assert block.floor.bits == 8 * (4 * (4 * 64 + 4 * 16 + 16 * 4) - 1024 + max(4 * 4 * 64 - 1024, 0))


def test_a_machine_whose_caches_are_not_known_has_a_floor_of_arithmetic_alone() -> None:
    bare = Machine("bare", "bare", {"float32": 1e9}, 1e8, "made up")
    floor = analyze("alexnet", machine=bare).total.floor
    assert floor.bits is None
    assert floor.traffic == 0
    assert floor.seconds == floor.macs / 1e9


def test_where_both_directions_go_at_once_the_more_binds() -> None:
    net = chain(IMAGE, ("conv", Conv(64, 1, bias=False)))
    both = replace(SMALL, bandwidth=1e6, duplex=True)
    read, written = 4 * (4 * 64 + 64 * 4) - 1024, 4 * 64 * 64 - 1024
    assert analyze(net, machine=replace(both, duplex=False)).total.floor.bits == 8 * (read + written)
    total = analyze(net, machine=both).total
    assert total.floor.bits == 8 * max(read, written)
    assert total.floor.seconds == max(read, written) / 1e6


def test_the_floor_is_at_the_highest_clock_and_on_any_unit_that_can() -> None:
    net = chain(IMAGE, ("conv", Conv(64, 1, bias=False)))
    slow = replace(SMALL, macs={"float32": 4e6, "float16": 1e6, "int8": 9e6}, clock=1e9, turbo=3e9)
    macs = 64 * 4 * 64
    assert analyze(net, machine=slow).total.floor.compute == pytest.approx(macs / 12e6)
    assert analyze(net, machine=slow, bits=16).total.floor.compute == pytest.approx(macs / 12e6)
    assert analyze(net, machine=slow, bits=16).total.time.compute == pytest.approx(macs / 1e6)
    assert analyze(net, machine=slow, bits=8).total.floor.compute == pytest.approx(macs / 27e6)


def test_units_that_round_count_for_the_floor_alone() -> None:
    fast = Machine("fast", "fast", {"float32": 1e12, "tfloat32": 8e12}, 1e15, "made up", caches={"L2": 2**40})
    total = analyze("vgg16", machine=fast).total
    assert total.floor.compute == pytest.approx(total.floor.macs / 8e12)
    assert total.time.compute == pytest.approx(total.macs / 1e12)


@pytest.mark.parametrize("machine", ["a100", "stm32h743", "core_i7_8700"])
@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v2", "vit_b_16", "densenet121", "convnext_t", "unet"])
def test_the_floor_is_never_above_the_roofline(name: str, machine: str) -> None:
    report = analyze(load(name), machine=machine)
    for row in (*report.layers, *report.blocks, report.total):
        assert row.floor.seconds <= row.time.seconds * (1 + 1e-12), row.name


@pytest.mark.parametrize("card", ["a100", "h100", "h200", "l40s"])
def test_no_measured_product_is_below_the_floor(card: str) -> None:
    """Products m×k by k×n in bfloat16, milliseconds. The floor is a good part of the largest and of the widest."""
    file = GOLDEN / f"gemm_bf16_{card}.csv"
    if not file.exists():
        pytest.skip("the measurements are not at hand")
    if card not in machines():
        pytest.skip("the machine is not known")
    machine = load_machine(card)
    rows = []
    with file.open() as lines:
        for row in csv.DictReader(lines):
            m, n, k = int(row["m"]), int(row["n"]), int(row["k"])
            net = chain((m, k), ("product", Linear(n, bias=False)))
            total = analyze(net, machine=machine, bits=16).total
            rows.append((total.floor.seconds / (float(row["ms"]) / 1e3), total.macs, total.traffic_bits))
    assert max(ratio for ratio, _, _ in rows) < 1
    for by in (1, 2):
        most = sorted(rows, key=lambda row: -row[by])[:50]
        assert sorted(ratio for ratio, *_ in most)[25] > 0.4
