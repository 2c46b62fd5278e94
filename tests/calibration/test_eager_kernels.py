"""What PyTorch's own kernels move on a GPU: by hand from what autocast casts, and what the library's kernels want."""

from __future__ import annotations

import pytest

from costcalc import load
from costcalc.analysis.estimate import features_of
from costcalc.errors import CostcalcError
from costcalc.ir.expr import Expr
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType


def graph(*layers: tuple[str, str, dict[str, object], list[str]], x: tuple[int, ...]) -> Graph:
    """Layers by name, op, options and inputs, the last of which is the result."""
    builder = GraphBuilder("net", {"x": TensorType(x)})
    for name, op, options, inputs in layers:
        builder.add(name, find_op(op)(**options), inputs)
    return builder.build([layers[-1][0]])


def moved(net: Graph, bits: int | None = 16) -> dict[str, float]:
    """Bytes of activations by layer."""
    return {name: one.activations for name, one in features_of(net, "eager", bits)}


def test_a_dense_convolution_copies_its_maps_to_another_format() -> None:
    layers = ("conv", "conv", {"out_channels": 16, "kernel": 3, "padding": 1}, ["x"])
    x, y = 2 * 8 * 64, 2 * 16 * 64
    # What is given is in float32 and is cast: read 4, written 2. Then each map is read and written by the kernel, and
    # once more each to and from the other format.
    assert moved(graph(layers, x=(2, 8, 8, 8)))["conv"] == 6 * x + 2 * (x + y) + 4 * (x + y)
    assert moved(graph(layers, x=(2, 8, 8, 8)), None)["conv"] == 4 * (x + y) + 8 * (x + y)


def test_of_single_places_it_copies_what_it_reads_alone() -> None:
    layers = ("conv", "conv", {"out_channels": 16, "kernel": 1}, ["x"])
    x, y = 2 * 8 * 64, 2 * 16 * 64
    assert moved(graph(layers, x=(2, 8, 8, 8)))["conv"] == 6 * x + 2 * (x + y) + 4 * x


def test_a_depthwise_one_finds_its_taps_in_a_cache_and_one_by_groups_is_slow() -> None:
    options = {"out_channels": 8, "kernel": 3, "padding": 1}
    x = 8 * 64
    depthwise = graph(("conv", "conv", {**options, "groups": 8}, ["x"]), x=(1, 8, 8, 8))
    assert moved(depthwise)["conv"] == pytest.approx(6 * x + 4 * x + 0.2 * 2 * 9 * x)
    grouped = graph(("conv", "conv", {**options, "groups": 2}, ["x"]), x=(1, 8, 8, 8))
    assert moved(grouped)["conv"] == 6 * x + 4 * 4 * x


def test_norms_of_channels_turn_the_map_and_are_in_float32() -> None:
    net = graph(
        ("stem", "conv", {"out_channels": 8, "kernel": 1}, ["x"]),
        ("last", "permute", {"axes": (0, 2, 3, 1)}, ["stem"]),
        ("norm", "layer_norm", {}, ["last"]),
        ("first", "permute", {"axes": (0, 3, 1, 2)}, ["norm"]),
        ("conv", "conv", {"out_channels": 8, "kernel": 1}, ["first"]),
        x=(2, 8, 4, 4),
    )
    found, x = moved(net), 2 * 8 * 16
    # 2 → 4 bytes, read and written at 4, and a copy at 4 that turns the axes, which takes 2.3 times as long.
    assert found["norm"] == pytest.approx(6 * x + 8 * x + 2.3 * 8 * x)
    # Its channels are last already: cast, read, written.
    assert found["conv"] == 6 * x + 4 * x


def test_sums_are_as_wide_as_the_wider_and_kernels_that_only_move_take_longer() -> None:
    net = graph(
        ("half", "linear", {"out_features": 8}, ["x"]),
        ("sum", "add", {}, ["half", "x"]),
        ("twice", "concat", {"axis": 1}, ["sum", "sum"]),
        x=(4, 8),
    )
    found, x = moved(net), 32
    assert found["half"] == 6 * x + 4 * x
    assert found["sum"] == 2 * x + 4 * x + 4 * x
    assert found["twice"] == 1.5 * (4 * x + 8 * x)


def test_attention_on_other_than_four_axes_writes_its_scores() -> None:
    four = graph(("y", "scaled_dot_product_attention", {}, ["x", "x", "x"]), x=(2, 3, 10, 4))
    five = graph(("y", "scaled_dot_product_attention", {}, ["x", "x", "x"]), x=(1, 2, 3, 10, 4))
    size, scores = 2 * 3 * 10 * 4, 2 * 3 * 10 * 10
    assert moved(four)["y"] == 6 * size + 2 * size + 2 * size  # one tensor, cast and read once
    assert moved(five)["y"] == 6 * size + 3 * size * (2 + 8) + 16 * scores + size * 10


def test_products_copy_what_cannot_be_seen_as_a_stack_of_matrices() -> None:
    net = graph(
        ("q", "transpose", {"first": 1, "second": 2}, ["x"]),
        ("scores", "matmul", {}, ["q", "q"]),
        x=(2, 5, 3, 5),
    )
    size = 2 * 5 * 3 * 5
    assert moved(net, None)["scores"] == pytest.approx(4 * size + 4 * 2 * 3 * 25 + 8 * 2.3 * size)


@pytest.mark.parametrize("name", ["convnext_t", "swin_t", "efficientnet_b0", "vit_b_16", "unet", "mobilenet_v2"])
def test_no_layer_moves_less_than_it_must(name: str) -> None:
    net = load(name)
    least = {layer: one.activations for layer, one in features_of(net, "gpu", 16)}
    found = moved(net)
    assert found.keys() == least.keys()
    assert all(found[layer] >= least[layer] for layer in least)


@pytest.mark.parametrize("processor", ["cpu", "gpu", "eager", "ort"])
@pytest.mark.parametrize("name", ["swin_t", "shufflenet_v2_x1_0", "efficientnet_b0"])
def test_features_are_the_same_whatever_width_was_worked_out_before(name: str, processor: str) -> None:
    net = load(name)
    for bits in (None, 8, 16):
        alone = dict(features_of(net, processor, bits, bits))
        for before in (None, 8, 16):
            assert dict(features_of(net, processor, bits, before)) == alone


def test_symbols_are_refused() -> None:
    net = graph(("y", "linear", {"out_features": 3}, ["x"]), x=(Expr.symbol("n"), 4))  # type: ignore[arg-type]
    with pytest.raises(CostcalcError, match="numbers, not symbols"):
        moved(net)
