"""Exported programs: layers in their modules, sizes that are open, layers kept as one operator, quantised weights."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

import costcalc  # noqa: E402
from costcalc.errors import CostcalcError  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch, of its own exporter
Export = Callable[..., str]


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act = nn.Conv2d(4, 4, 3, padding=1), nn.ReLU6(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.conv(x)) + x


class Net(nn.Module):
    """Two blocks, and two heads with one weight."""

    def __init__(self) -> None:
        super().__init__()
        stem = (nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.features = nn.Sequential(*stem, Block(), Block())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head, self.tied = nn.Linear(4, 5), nn.Linear(4, 5)
        self.tied.weight = self.head.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(self.features(x)).flatten(1)
        return self.head(x) + self.tied(x)


@pytest.fixture
def export(tmp_path: Path) -> Export:
    """Exports a module, writes it, and returns the path."""

    def written(module: nn.Module, *inputs: Any, gradients: bool = True, **options: Any) -> str:
        path = tmp_path / f"net{len(list(tmp_path.iterdir()))}.pt2"
        with warnings.catch_warnings(), torch.set_grad_enabled(gradients):
            warnings.simplefilter("ignore")
            torch.export.save(torch.export.export(module.eval(), inputs, **options), path)
        return str(path)

    return written


@pytest.mark.parametrize("strict", [False, True])
def test_layers_are_those_of_the_live_module(export: Export, strict: bool) -> None:
    module = Net()
    theirs = costcalc.trace(module.eval(), (2, 3, 8, 8))
    ours = costcalc.load(export(module, torch.zeros(2, 3, 8, 8), strict=strict))
    assert [(n.name, n.op) for n in ours.nodes] == [(n.name, n.op) for n in theirs.nodes]
    assert "features.2" in [n.name for n in ours.nodes]  # a ReLU, which has no weights
    live, read = costcalc.analyze(theirs).total, costcalc.analyze(ours).total
    assert read == live  # with the tied weight once: 4·27 + 4 + 8 + 2·(4·36 + 4) + 20 + 5 + 5
    assert read.params == 446


def test_a_module_that_is_called_twice_has_two_layers(export: Export) -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Sequential(nn.Linear(4, 4), nn.Tanh())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(self.layer(x))

    theirs = costcalc.trace(Twice().eval(), (2, 4))
    ours = costcalc.load(export(Twice(), torch.zeros(2, 4)))
    assert [n.name for n in ours.nodes] == [n.name for n in theirs.nodes]


def test_sizes_other_than_the_exported_ones_are_refused(export: Export) -> None:
    path = export(Net(), torch.zeros(2, 3, 8, 8))
    wrong = {
        "axis 2 is fixed, 8, and cannot be 9": {"input": (3, 9, 8)},
        "axis 0 is fixed, 2, and cannot be 3": {"batch": 3},
        "9×9 has 3 axes with the batch": {"input": (9, 9)},
        "has no input 'y'; it has x": {"input": {"y": (3, 8, 8)}},
        "has no size called 'depth'; all its sizes are fixed": {"parameters": {"depth": 3}},
    }
    for sentence, given in wrong.items():
        with pytest.raises(CostcalcError, match=sentence):
            costcalc.load(path, **given)  # type: ignore[arg-type]
    assert costcalc.load(path, batch=2, input=(3, 8, 8)).types["x"].shape == (2, 3, 8, 8)


def test_open_sizes_are_bound_within_their_range(export: Export) -> None:
    batch, height = torch.export.Dim("b", min=2, max=64), torch.export.Dim("h", min=8, max=256)
    path = export(Net(), torch.zeros(2, 3, 16, 16), dynamic_shapes={"x": {0: batch, 2: height}})
    graph = costcalc.load(path)
    assert graph.types["x"].shape == (2, 3, 16, 16)
    first, second = sorted(graph.parameters, key=lambda name: graph.parameters[name])
    live = costcalc.analyze(Net().eval(), (4, 3, 20, 16)).total
    assert costcalc.analyze(path, batch=4, input=(3, 20, 16)).total == live
    assert costcalc.analyze(path, parameters={first: 4, second: 20}).total == live
    wrong = {
        f"was exported for {first} from 2 to 64; axis 0 of x cannot be 1": {"batch": 1},
        f"was exported for {second} from 8 to 256; {second} cannot be 300": {"parameters": {second: 300}},
        "axis 3 is fixed, 16, and cannot be 18": {"input": (3, 16, 18)},
        f"axis 0 of x is the size {first}, which is 4, not 5": {"batch": 5, "parameters": {first: 4}},
    }
    for sentence, given in wrong.items():
        with pytest.raises(CostcalcError, match=sentence):
            costcalc.load(path, **given)  # type: ignore[arg-type]


def test_element_types_are_kept_at_other_sizes(export: Export) -> None:
    words = torch.export.Dim("words", min=2, max=64)
    module = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 3))
    path = export(module, torch.zeros(1, 8, dtype=torch.int64), dynamic_shapes=({1: words},))
    graph = costcalc.load(path, input=(12,))
    assert (graph.types["input"].shape, graph.types["input"].dtype) == ((1, 12), "int64")
    half = costcalc.load(export(nn.Linear(8, 4).to(torch.bfloat16), torch.zeros(2, 8, dtype=torch.bfloat16)))
    assert half.types["input"].dtype == "bfloat16"


def test_a_multiple_of_an_open_size_is_known_when_it_is_read(export: Export) -> None:
    """A file tells what 4·s was at export, and not what s was."""
    quarter = torch.export.Dim("quarter", min=1, max=32)
    module = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(4), nn.Conv2d(4, 2, 1))
    path = export(module, torch.zeros(1, 3, 16, 8), dynamic_shapes=({2: 4 * quarter},))
    macs = {rows: 27 * 4 * rows * 8 + 4 * 2 * rows // 4 * 2 for rows in (16, 24)}
    assert costcalc.analyze(path).total.macs == macs[16]
    assert costcalc.analyze(path, input=(3, 24, 8)).total.macs == macs[24]
    with pytest.raises(CostcalcError, match="as 20 and 24 are, and cannot be 22"):
        costcalc.load(path, input=(3, 22, 8))


class Encoder(nn.Module):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, **options), 2)
        self.out = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        return self.out(self.encoder(x, mask=mask))


@pytest.mark.parametrize("options", [{}, {"norm_first": True}, {"activation": "gelu"}], ids=str)
def test_an_encoder_layer_kept_as_one_operator_is_counted_as_its_parts(export: Export, options: dict[str, Any]) -> None:
    module = Encoder(**options).eval()
    path = export(module, torch.zeros(2, 5, 16), strict=True, gradients=False)
    read, live = costcalc.analyze(path), costcalc.analyze(module, (2, 5, 16))
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            module.to("meta")(torch.zeros(2, 5, 16, device="meta"))
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    # By hand, for each layer: 10 tokens × (16·48 + 16·16 + 2·16·32) and two products of 5·5·4 in 8 heads.
    assert read.total.macs == 2 * (10 * (16 * 48 + 16 * 16 + 2 * 16 * 32) + 2 * 8 * 5 * 5 * 4) + 10 * 16 * 3
    assert read.total.macs == counter.get_total_flops() // 2 == live.total.macs
    assert (read.total.ops, read.total.params) == (live.total.ops, live.total.params)
    assert read.uncounted == ()
    names = [layer.name for layer in read.layers]
    assert "encoder.layers.1.self_attn.scaled_dot_product_attention" in names
    assert {"encoder.layers.0.norm1", "encoder.layers.0.linear1"} <= {*names}


@pytest.mark.parametrize("average", [True, False])
@pytest.mark.parametrize("need", [True, False])
@pytest.mark.parametrize("own", [True, False], ids=["self", "cross"])
@pytest.mark.parametrize("mask_type", [None, 0, 1, 2])
def test_attention_as_one_operator_does_what_it_does(
    own: bool, need: bool, average: bool, mask_type: int | None
) -> None:
    from costcalc.frontends.torch.fused import attention

    generator = torch.Generator().manual_seed(0)
    make = lambda *shape: torch.rand(shape, generator=generator)  # noqa: E731
    query, other = make(2, 5, 16), make(2, 5, 16)
    weights = make(48, 16), make(48), make(16, 16), make(16)
    shape = {None: None, 0: (5, 5), 1: (2, 5), 2: (2, 4, 5, 5)}[mask_type]
    mask = None if shape is None else make(*shape) > 0.6
    inputs = (query, query, query) if own else (query, other, other)
    if not own and not need:
        pytest.skip("torch runs this one through another kernel")
    with torch.no_grad():
        theirs = torch._native_multi_head_attention(*inputs, 16, 4, *weights, mask, need, average, mask_type)
        ours = attention(lambda _: nullcontext(), *inputs, 16, 4, *weights, mask, need, average, mask_type)
    torch.testing.assert_close(ours[0], theirs[0], equal_nan=True, rtol=1e-4, atol=1e-4)
    if need:
        torch.testing.assert_close(ours[1], theirs[1], equal_nan=True, rtol=1e-4, atol=1e-4)


class Quantised(torch.Tensor):
    """A weight of whole numbers with a scale a row, that says that it is a float tensor: as torchao has them."""

    @staticmethod
    def __new__(cls, numbers: torch.Tensor, scale: torch.Tensor, shape: tuple[int, ...]) -> Any:
        return torch.Tensor._make_wrapper_subclass(cls, shape, dtype=scale.dtype, device=numbers.device)

    def __init__(self, numbers: torch.Tensor, scale: torch.Tensor, shape: tuple[int, ...]) -> None:
        self.numbers, self.scale = numbers, scale

    def __tensor_flatten__(self) -> tuple[list[str], Any]:
        return ["numbers", "scale"], None

    @classmethod
    def __tensor_unflatten__(cls, inner: dict[str, Any], context: Any, size: Any, stride: Any) -> Any:
        return cls(inner["numbers"], inner["scale"], size)

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is nn.functional.linear:
            x, weight, bias = args
            numbers = weight.numbers.to(x.dtype)
            if numbers.shape[1] != x.shape[-1]:
                numbers = torch.cat([numbers % 16, numbers // 16], 1)
            return x @ numbers.t() * weight.scale.flatten() + bias
        return super().__torch_function__(func, types, args, kwargs or {})

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.detach.default:
            return cls(args[0].numbers, args[0].scale, tuple(args[0].shape))
        raise NotImplementedError(func)


def test_weights_of_a_quantised_module_are_what_is_stored() -> None:
    module = nn.Sequential(nn.Linear(256, 512)).eval()
    numbers, scale = torch.zeros(512, 256, dtype=torch.int8), torch.ones(512, 1)
    module[0].weight = nn.Parameter(Quantised(numbers, scale, (512, 256)), requires_grad=False)
    assert module[0].weight.nbytes == 4 * 512 * 256  # what it says, and what is not
    total = costcalc.analyze(module, (2, 256)).total
    assert total.macs == 2 * 256 * 512
    assert total.weight_bits == 8 * (512 * 256 + 4 * 512 + 4 * 512)  # numbers, scales, and the bias in float32
    assert (total.params, total.buffers) == (512 * 256 + 512, 512)


def test_weights_with_several_numbers_in_an_element_are_said_to_have_them() -> None:
    module = nn.Sequential(nn.Linear(256, 512)).eval()
    packed = torch.zeros(512, 128, dtype=torch.uint8)
    module[0].weight = nn.Parameter(Quantised(packed, torch.ones(512, 1), (512, 256)), requires_grad=False)
    report = costcalc.analyze(module, (2, 256))
    assert report.total.weight_bits == 8 * (512 * 128 + 4 * 512 + 4 * 512)
    assert "0.weight has 131,072 numbers in 65,536 elements, of which parameters are counted" in report.assumptions
