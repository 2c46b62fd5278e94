"""A folded network has no norm after its convolutions and computes the same."""

from __future__ import annotations

from typing import Any

import pytest

from costcalc.analysis.report import report
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType
from costcalc.transforms.fold_norm import fold_norm


def op(name: str, *args: Any, **kwargs: Any) -> Any:
    return find_op(name)(*args, **kwargs)


def residual() -> Graph:
    b = GraphBuilder("residual", {"image": TensorType((1, 3, 8, 8))})
    b.add("conv", op("conv", 4, 3, padding=1, bias=False), ["image"])
    b.add("bn", op("batch_norm"), ["conv"])
    b.add("relu", op("relu"), ["bn"])
    b.add("conv2", op("conv", 4, 3, padding=1), ["relu"])
    b.add("bn2", op("batch_norm"), ["conv2"])
    b.add("add", op("add"), ["bn2", "bn"])
    b.add("bn3", op("batch_norm"), ["add"])
    return b.build(["bn3"])


def test_norms_after_convs_go_and_their_bias_stays() -> None:
    before, after = report(residual()), report(fold_norm(residual()))
    assert [layer.name for layer in after.layers] == ["conv", "relu", "conv2", "add", "bn3"]
    # conv: 27·4 weights + 4 of bias; conv2: 36·4 + 4; bn3 follows an addition and stays: 8
    assert after.total.params == 112 + 148 + 8
    assert after.total.macs == before.total.macs
    # each folded norm did 2 operations on 256 values; conv gains a bias: 256 additions
    assert after.total.ops == before.total.ops - 2 * 2 * 256 + 256
    assert after.total.read_bits < before.total.read_bits


def test_a_norm_stays_where_its_input_is_read_by_others_or_shared() -> None:
    b = GraphBuilder("shared", {"image": TensorType((1, 4, 8, 8))})
    b.add("conv", op("conv", 4, 3, padding=1), ["image"])
    b.add("bn", op("batch_norm"), ["conv"])
    b.add("add", op("add"), ["bn", "conv"])
    b.add("again", op("conv", 4, 3, padding=1), ["add"], called={"weight": "conv.weight", "bias": "conv.bias"})
    b.add("bn2", op("batch_norm"), ["again"])
    graph = b.build(["bn2"])
    assert [n.name for n in fold_norm(graph).nodes] == [n.name for n in graph.nodes]


def test_a_norm_goes_into_a_layer_whose_weights_the_model_calls_otherwise() -> None:
    b = GraphBuilder("named", {"image": TensorType((1, 4, 8, 8))})
    b.add("stem.conv", op("conv", 4, 3, bias=False), ["image"], called={"weight": "stem.weight"})
    b.add("bn", op("batch_norm"), ["stem.conv"])
    assert [n.name for n in fold_norm(b.build(["bn"])).nodes] == ["stem.conv"]


def test_a_norm_stays_behind_a_layer_whose_weights_another_layer_takes() -> None:
    b = GraphBuilder("tied", {"image": TensorType((1, 4, 8, 8))})
    b.add("first", op("conv", 4, 3, padding=1, bias=False), ["image"])
    b.add("bn", op("batch_norm"), ["first"])
    b.add("second", op("conv", 4, 3, padding=1, bias=False), ["bn"], called={"weight": "first.weight"})
    assert [n.name for n in fold_norm(b.build(["second"])).nodes] == ["first", "bn", "second"]


def test_a_norm_of_the_batch_itself_stays() -> None:
    # Without running statistics the scale depends on the images: no weight can hold it.
    b = GraphBuilder("batch", {"image": TensorType((2, 3, 8, 8))})
    b.add("conv", op("conv", 4, 3), ["image"])
    b.add("bn", op("batch_norm", track_running_stats=False), ["conv"])
    assert [n.name for n in fold_norm(b.build(["bn"])).nodes] == ["conv", "bn"]


@pytest.mark.parametrize(("shape", "left"), [((2, 6), ["fc"]), ((2, 5, 6), ["fc", "bn"])])
def test_after_a_linear_layer_a_norm_goes_where_its_features_are_the_channels(
    shape: tuple[int, ...], left: list[str]
) -> None:
    # Of (batch, tokens, features) batch norm scales the tokens.
    b = GraphBuilder("linear", {"x": TensorType(shape)})
    b.add("fc", op("linear", 4, bias=False), ["x"])
    b.add("bn", op("batch_norm"), ["fc"])
    folded = fold_norm(b.build(["bn"]))
    assert [n.name for n in folded.nodes] == left
    assert folded.nodes[0].op == op("linear", 4, bias=len(left) == 1)


def test_the_folded_network_computes_what_the_other_did() -> None:
    torch = pytest.importorskip("torch")
    from costcalc.backends.module import to_module

    torch.manual_seed(0)
    original = to_module(residual()).eval()
    for name, tensor in original.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand_like(tensor) + 0.5 if "var" in name else torch.randn_like(tensor))
    folded = to_module(fold_norm(residual())).eval()
    old, new = original.state_dict(), folded.state_dict()
    for conv, bn in (("conv", "bn"), ("conv2", "bn2")):
        scale = old[f"{bn}.weight"] / (old[f"{bn}.running_var"] + 1e-5).sqrt()
        bias = old.get(f"{conv}.bias", torch.zeros(4))
        new[f"{conv}.weight"].copy_(old[f"{conv}.weight"] * scale[:, None, None, None])
        new[f"{conv}.bias"].copy_(old[f"{bn}.bias"] + scale * (bias - old[f"{bn}.running_mean"]))
    for name in new:
        if name.startswith("bn3"):
            new[name].copy_(old[name])
    image = torch.randn(1, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(folded(image), original(image), rtol=1e-4, atol=1e-4)
