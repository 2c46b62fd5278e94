"""A graph as a PyTorch module."""

from __future__ import annotations

import weakref

import pytest
import torch
from torch import nn

from costcalc.backends.module import to_module
from costcalc.errors import CostcalcError
from costcalc.ir.graph import GraphBuilder
from costcalc.ir.op import Op, find_op
from costcalc.ir.tensor import TensorType

IMAGE = {"image": TensorType((1, 3, 8, 8))}


def op(name: str, *args: object, **options: object) -> Op:
    return find_op(name)(*args, **options)


def test_parameters_have_the_layers_dotted_name_and_pytorchs_own() -> None:
    b = GraphBuilder("net", IMAGE)
    b.add("features.0.conv", op("conv", 4, 3), ["image"])
    b.add("features.0.bn", op("batch_norm"), ["features.0.conv"])
    module = to_module(b.build(["features.0.bn"]))
    assert [n for n, _ in module.named_parameters()] == [
        "features.0.conv.weight", "features.0.conv.bias", "features.0.bn.weight", "features.0.bn.bias",
    ]  # fmt: skip
    assert {n for n, _ in module.named_buffers()} == {
        "features.0.bn.running_mean", "features.0.bn.running_var", "features.0.bn.num_batches_tracked",
    }  # fmt: skip


def test_it_computes_what_the_same_modules_compute_in_sequence() -> None:
    b = GraphBuilder("net", IMAGE)
    b.add("conv", op("conv", 4, 3), ["image"])
    b.add("relu", op("relu"), ["conv"])
    b.add("add", op("add"), ["relu", "conv"])
    module = to_module(b.build(["add"]))
    x = torch.rand(1, 3, 8, 8)
    y = module.get_submodule("conv")(x)
    assert torch.equal(module(x), y.relu() + y)


def test_inputs_come_in_the_graphs_order_and_several_outputs_as_a_tuple() -> None:
    b = GraphBuilder("net", {"left": TensorType((1, 2)), "right": TensorType((1, 2))})
    b.add("difference", op("subtract"), ["left", "right"])
    b.add("relu", op("relu"), ["right"])
    one, two = to_module(b.build(["difference", "relu"]))(torch.tensor([[5.0, 7.0]]), torch.tensor([[1.0, -2.0]]))
    assert one.tolist() == [[4.0, 9.0]]
    assert two.tolist() == [[1.0, 0.0]]


def test_a_wrong_number_of_inputs_is_refused() -> None:
    b = GraphBuilder("net", IMAGE)
    b.add("relu", op("relu"), ["image"])
    with pytest.raises(TypeError, match="net takes 1 inputs, not 2"):
        to_module(b.build(["relu"]))(torch.rand(1), torch.rand(1))


def test_an_op_with_several_outputs_feeds_each_to_its_reader() -> None:
    b = GraphBuilder("net", {"x": TensorType((1, 4))})
    first, second = b.add("split", op("split", (1, 3)), ["x"])
    module = to_module(b.build([second, first]))
    assert [t.tolist() for t in module(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))] == [[[2.0, 3.0, 4.0]], [[1.0]]]


def test_a_value_is_dropped_after_its_last_use() -> None:
    b = GraphBuilder("net", {"x": TensorType((1, 4))})
    for i in range(3):
        b.add(f"relu{i}", op("tanh"), [f"relu{i - 1}" if i else "x"])
    module = to_module(b.build(["relu2"]))
    made: list[weakref.ref[torch.Tensor]] = []
    alive: list[int] = []

    def watch(_: nn.Module, __: object, output: torch.Tensor) -> None:
        made.append(weakref.ref(output))
        alive.append(sum(1 for ref in made if ref() is not None))

    for i in range(3):
        module.get_submodule(f"relu{i}").register_forward_hook(watch)
    with torch.no_grad():
        module(torch.rand(1, 4))
    assert alive == [1, 2, 2]  # a layer's input and its output, never more


def test_a_layer_may_be_named_inside_another_layer_before_or_after_it() -> None:
    b = GraphBuilder("net", IMAGE)
    b.add("conv.relu", op("relu"), ["image"])
    b.add("conv", op("conv", 4, 3), ["conv.relu"])
    b.add("conv.bn", op("batch_norm"), ["conv"])
    module = to_module(b.build(["conv.bn"]))
    assert module(torch.rand(1, 3, 8, 8)).shape == (1, 4, 6, 6)
    assert "conv.bn.weight" in dict(module.named_parameters())


def test_a_layer_that_has_the_name_of_a_part_of_another_is_refused() -> None:
    b = GraphBuilder("net", {"x": TensorType((1, 4, 8))})
    b.add("attention", op("multi_head_attention", 2), ["x"])
    b.add("attention.out_proj", op("relu"), ["attention"])
    with pytest.raises(CostcalcError, match=r"attention.out_proj: this name is that of a part of another layer"):
        to_module(b.build(["attention.out_proj"]))


@pytest.mark.parametrize("name", ["double", "forward", "train", "weight", "training"])
def test_a_layer_may_be_called_as_modules_call_something_else(name: str) -> None:
    b = GraphBuilder("net", IMAGE)
    b.add(f"block.{name}", op("conv", 4, 3), ["image"])
    module = to_module(b.build([f"block.{name}"]))
    assert module(torch.rand(1, 3, 8, 8)).shape == (1, 4, 6, 6)
    assert f"block.{name}.bias" in dict(module.named_parameters())


def test_layers_that_share_a_weight_have_the_same_tensor() -> None:
    b = GraphBuilder("net", {"x": TensorType((1, 4))})
    b.add("first", op("linear", 4), ["x"])
    b.add("second", op("linear", 4), ["first"], {"weight": "first.weight"})
    module = to_module(b.build(["second"]))
    assert module.get_parameter("second.weight") is module.get_parameter("first.weight")
    assert module.get_parameter("second.bias") is not module.get_parameter("first.bias")


def test_a_shared_weight_that_no_layer_owns_belongs_to_its_first_user() -> None:
    b = GraphBuilder("net", {"x": TensorType((1, 4))})
    b.add("first", op("linear", 4), ["x"], {"weight": "table"})
    b.add("second", op("linear", 4), ["first"], {"weight": "table"})
    module = to_module(b.build(["second"]))
    assert module.get_parameter("second.weight") is module.get_parameter("first.weight")


def test_on_the_meta_device_shapes_come_out_and_nothing_is_allocated() -> None:
    b = GraphBuilder("net", {"x": TensorType((1, 10**6))})
    b.add("huge", op("linear", 10**6), ["x"])  # 4 TB of weights
    module = to_module(b.build(["huge"]), device="meta")
    assert module(torch.empty(1, 10**6, device="meta")).shape == (1, 10**6)


def test_it_can_be_traced() -> None:
    b = GraphBuilder("net", IMAGE)
    b.add("conv", op("conv", 4, 3), ["image"])
    b.add("relu", op("relu"), ["conv"])
    module = to_module(b.build(["relu"])).eval()
    x = torch.rand(1, 3, 8, 8)
    assert torch.equal(torch.jit.trace(module, x)(x), module(x))


def test_without_initialisation_constants_are_still_written() -> None:
    b = GraphBuilder("net", IMAGE)
    b.add("shift", op("shift", 3), ["image"])
    b.add("bn", op("batch_norm"), ["shift"])
    graph = b.build(["bn"])
    x = torch.rand(1, 3, 8, 8)
    assert torch.equal(to_module(graph, initialise=False).eval()(x), to_module(graph).eval()(x))


def test_an_op_without_a_counterpart_is_a_sentence_with_the_layers_name() -> None:
    b = GraphBuilder("net", {"x": TensorType((1, 4))})
    b.add("something", Op.__new__(type("Odd", (Op,), {"name": "odd"})), ["x"])
    with pytest.raises(CostcalcError, match="something: odd has no PyTorch counterpart"):
        to_module(b.build(["something"]))
