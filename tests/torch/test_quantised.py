"""Modules of ``torch.ao``: what they compute on whole numbers is counted, their packed weights as they are stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import costcalc  # noqa: E402
from costcalc.verification import verify  # noqa: E402

ENGINES = [engine for engine in torch.backends.quantized.supported_engines if engine != "none"]
pytestmark = [
    pytest.mark.skipif(not ENGINES, reason="torch has no quantised operators here"),
    pytest.mark.filterwarnings("ignore"),  # torch.ao says that it moves
]
if ENGINES:
    import torch.ao.nn.intrinsic.quantized as fused
    import torch.ao.nn.quantized as nnq
    import torch.ao.nn.quantized.dynamic as dynamic


@pytest.fixture(autouse=True)
def engine() -> Any:
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = "x86" if "x86" in ENGINES else ENGINES[0]
    yield
    torch.backends.quantized.engine = before


def between(*modules: nn.Module) -> nn.Module:
    return nn.Sequential(nnq.Quantize(0.1, 0, torch.quint8), *modules, nnq.DeQuantize())


def _ones(size: int) -> tuple[nn.Parameter, nn.Parameter]:
    return nn.Parameter(torch.ones(size)), nn.Parameter(torch.ones(size))


MODULES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int, int]] = {
    "linear": (lambda: nnq.Linear(16, 8), (2, 16), 2 * 16 * 8, 8 * 128 + 32 * 8 + 64),
    "linear without bias": (lambda: nnq.Linear(16, 8, bias_=False), (2, 16), 2 * 16 * 8, 8 * 128 + 64),
    "linear and ReLU": (lambda: fused.LinearReLU(4, 5), (2, 4), 2 * 20, 8 * 20 + 32 * 5 + 64),
    "conv": (lambda: nnq.Conv2d(4, 8, 3, 2, 1, groups=2), (1, 4, 8, 8), 16 * 8 * 18, 8 * 144 + 32 * 8 + 64),
    "conv along one axis": (lambda: nnq.Conv1d(4, 8, 3, 1, 2, 2), (1, 4, 9), 9 * 96, 8 * 96 + 32 * 8 + 64),
    "conv and ReLU": (lambda: fused.ConvReLU2d(3, 4, 3), (1, 3, 6, 6), 16 * 4 * 27, 8 * 108 + 32 * 4 + 64),
    "conv along three axes": (lambda: nnq.Conv3d(2, 4, 2), (1, 2, 3, 3, 3), 8 * 64, 8 * 64 + 32 * 4 + 64),
    "transposed": (
        lambda: nnq.ConvTranspose2d(4, 8, 3, 2, output_padding=1), (1, 4, 5, 5), 25 * 4 * 72, 8 * 288 + 32 * 8 + 64
    ),
    "batch norm": (lambda: nnq.BatchNorm2d(3), (1, 3, 4, 4), 0, 32 * 4 * 3 + 64),
    "layer norm": (lambda: nnq.LayerNorm(4, *_ones(4), 0.1, 0), (1, 3, 4), 0, -1),
    "hardswish": (lambda: nnq.Hardswish(0.1, 0), (2, 3), 0, -1),
    "ELU": (lambda: nnq.ELU(0.1, 0), (2, 3), 0, -1),
    "pooling": (lambda: nn.Sequential(nn.MaxPool2d(2), nn.AvgPool2d(2)), (1, 3, 8, 8), 0, -1),
}  # fmt: skip
"""Module, input, MACs, and bits of the weights with a scale and a zero point; -1 where that is not the point."""


@pytest.mark.parametrize("name", MODULES)
def test_static_modules(name: str) -> None:
    make, shape, macs, bits = MODULES[name]
    module = between(make())
    graph = costcalc.trace(module, shape)
    found = costcalc.analyze(graph)

    assert not found.uncounted and found.total.macs == macs
    assert [graph.types[v].shape for v in graph.outputs] == [tuple(module(torch.rand(shape)).shape)]
    if bits >= 0 and name != "batch norm":
        assert found.total.weight_bits == bits + 32 + 64  # Quantize has its own scale, and a zero point of 64 bits


@pytest.mark.parametrize(
    ("make", "given", "macs"),
    [
        (lambda: dynamic.Linear(16, 8), (2, 16), 2 * 16 * 8),
        (lambda: dynamic.Conv2d(3, 4, 3), (1, 3, 5, 5), 9 * 4 * 27),
        (lambda: dynamic.LSTM(8, 16, 2, bidirectional=True), (3, 2, 8), 6 * 2 * (24 * 64 + 48 * 64)),
        (lambda: dynamic.GRU(8, 16), (3, 2, 8), 6 * 24 * 48),
    ],
    ids=["linear", "conv", "lstm", "gru"],
)
def test_dynamic_modules(make: Callable[[], nn.Module], given: tuple[int, ...], macs: int) -> None:
    found = costcalc.analyze(make(), torch.rand(given))

    assert not found.uncounted and found.total.macs == macs
    whole = [t for t in found.layers if t.kind == "quantize_per_tensor_dynamic"]
    assert bool(whole) == (given[0] != 3)  # the kernels of recurrent layers do that within


def test_a_dynamic_model_stores_a_quarter_and_half_floats_half() -> None:
    plain = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 4)).eval()
    numbers = 64 * 32 + 32 * 4
    for dtype, bits in ((torch.qint8, 8), (torch.float16, 16)):
        quantised = torch.ao.quantization.quantize_dynamic(plain, {nn.Linear}, dtype)
        found = costcalc.analyze(quantised, (1, 64))
        scales = 2 * 64 if bits == 8 else 0
        assert found.total.macs == numbers and found.total.params == numbers + 36
        assert found.total.weight_bits == bits * numbers + 32 * 36 + scales
        assert [layer.name for layer in found.layers if layer.op == "linear"] == (
            ["0.linear", "2.linear"] if bits == 8 else ["0", "2"]
        )


def test_tables_are_stored_in_bytes_or_in_halves_of_them() -> None:
    for dtype, rate, pack in (
        (torch.quint8, 8, torch.per_channel_affine_float_qparams),
        (torch.quint4x2, 4, torch.per_channel_affine_float_qparams),
    ):
        rows = torch.quantize_per_channel(torch.rand(10, 16), torch.ones(10) / 9, torch.zeros(10), 0, dtype)
        module = nnq.EmbeddingBag(10, 16, _weight=rows, mode="sum", dtype=dtype)
        assert rows.qscheme() == pack
        found = costcalc.analyze(module, torch.tensor([[1, 2], [3, 4]]))
        assert not found.uncounted and found.total.params == 160
        assert found.total.weight_bits == rate * 160 + 2 * 10 * (32 if rate == 8 else 16)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.quantise, self.back = torch.ao.quantization.QuantStub(), torch.ao.quantization.DeQuantStub()
        self.conv, self.norm, self.relu = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()
        self.pool, self.head = nn.AdaptiveAvgPool2d(1), nn.Linear(8, 5)
        self.joined = nnq.FloatFunctional()

    def forward(self, x: Any) -> Any:
        y = self.relu(self.norm(self.conv(self.quantise(x))))
        y = self.joined.add(y, y)
        return self.back(self.head(self.pool(y).flatten(1)))


def test_a_converted_network_counts_as_the_float_one_and_verifies() -> None:
    net = torch.ao.quantization.fuse_modules(Net().eval(), [["conv", "norm", "relu"]])
    net.qconfig = torch.ao.quantization.get_default_qconfig(torch.backends.quantized.engine)
    prepared = torch.ao.quantization.prepare(net)
    prepared(torch.randn(2, 3, 8, 8))
    converted = torch.ao.quantization.convert(prepared)
    found = costcalc.analyze(converted, (1, 3, 8, 8))

    assert found.total.macs == costcalc.analyze(Net(), (1, 3, 8, 8)).total.macs == 64 * 8 * 27 + 40
    assert not found.uncounted
    channels = 8 + 5 if "per_channel" in str(converted.head.weight().qscheme()) else 2
    assert found.total.weight_bits == 8 * (216 + 40) + 32 * 13 + 64 * channels + 96

    checked = verify(costcalc.trace(converted, (1, 3, 8, 8)), converted)
    assert not checked.disagreements, checked.disagreements
    assert "quantised layers, counted 0" in str(checked)


def test_cells_are_named_as_not_counted_and_their_weights_stored() -> None:
    found = costcalc.analyze(dynamic.LSTMCell(8, 16), torch.rand(2, 8))
    assert [layer.kind for layer in found.uncounted] == ["quantized::quantized_lstm_cell_dynamic"]
    assert found.total.params == 64 * 24 + 2 * 64


AO = {
    "int8 weights": ("Int8WeightOnlyConfig", {}),
    "int8 weights and activations": ("Int8DynamicActivationInt8WeightConfig", {}),
    "float8 weights": ("Float8WeightOnlyConfig", {}),
    "int4 weights, by groups": ("IntxWeightOnlyConfig", {"weight_dtype": "int4", "granularity": 32}),
}


@pytest.mark.parametrize("what", AO)
def test_what_torchao_stores_is_what_is_counted(what: str) -> None:
    """Tried with torchao 0.18. Whole numbers of 4 bits lie in 8 each there; packed ones want kernels of GPUs."""
    quantization = pytest.importorskip("torchao.quantization", reason="not in the test extra: 30 MB for one test")
    name, options = AO[what]
    given = {k: getattr(torch, v) if isinstance(v, str) else quantization.PerGroup(v) for k, v in options.items()}
    module = nn.Sequential(nn.Linear(128, 256), nn.ReLU(), nn.Linear(256, 64)).to(torch.bfloat16).eval()
    quantization.quantize_(module, getattr(quantization, name)(**given))
    inner = [getattr(m.weight, part) for m in (module[0], module[2]) for part in m.weight.__tensor_flatten__()[0]]
    found = costcalc.analyze(module, torch.zeros(3, 128, dtype=torch.bfloat16))
    assert not found.uncounted
    assert found.total.macs == 3 * (128 * 256 + 256 * 64)
    assert found.total.weight_bits == 8 * sum(t.numel() * t.element_size() for t in inner) + 16 * (256 + 64)
