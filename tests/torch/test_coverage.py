"""What must be counted right in a traced model, each case against a count that is not ours.

``by_torch`` is half of what torch's FlopCounterMode finds, the fused paths off, on the meta device, where no kernel
hides what it does. Where that counter has no rule, the expected number is worked out beside the case.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from costcalc.analysis.records import Report  # noqa: E402
from costcalc.analysis.report import report  # noqa: E402
from costcalc.frontends.torch.tracer import trace  # noqa: E402


class Call(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Any], *parts: nn.Module, **tensors: Tensor) -> None:
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(parts)
        for name, tensor in tensors.items():
            self.register_parameter(name, nn.Parameter(tensor))

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(*inputs, *self.parts, **dict(self.named_parameters(recurse=False)))


def by_torch(module: nn.Module, *shapes: tuple[int, ...]) -> int:
    """MACs by torch's own counter."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            module.eval().to("meta")(*(torch.empty(shape, device="meta") for shape in shapes))
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return int(counter.get_total_flops() // 2)


def traced(module: nn.Module, *shapes: tuple[int, ...]) -> Report:
    """Our report, nothing left uncounted, with as many parameters as the module has."""
    found = report(trace(module, *shapes))
    assert [u.kind for u in found.uncounted] == []
    assert found.total.params == sum(p.numel() for p in module.parameters())
    return found


def packed(x: Tensor, layer: nn.Module) -> Any:
    """A recurrent layer over two sequences of 5 and 3 steps."""
    return layer(nn.utils.rnn.pack_padded_sequence(x, [5, 3], batch_first=True))[0].data


def in_groups(a: Tensor, b: Tensor) -> Tensor:
    """Three groups that end at 1, 2 and 4."""
    result: Tensor = torch._grouped_mm(a, b, offs=torch.tensor([1, 2, 4], dtype=torch.int32))
    return result


IMAGE, IMAGES = (3, 9, 11), (2, 3, 9, 11)
SEQUENCE = (2, 5, 8)

LIKE_TORCH: dict[str, tuple[Callable[[], nn.Module], tuple[tuple[int, ...], ...]]] = {
    "conv 1-d": (lambda: nn.Conv1d(3, 6, 3, 2, 1, groups=3), ((2, 3, 12),)),
    "conv 2-d": (lambda: nn.Conv2d(3, 4, (3, 2), (2, 1), (1, 0), dilation=(1, 2)), (IMAGES,)),
    "conv 3-d": (lambda: nn.Conv3d(3, 4, 3, padding=1, bias=False), ((1, 3, 4, 5, 6),)),
    "conv without batch": (lambda: nn.Conv2d(3, 4, 3), (IMAGE,)),
    "conv 'same', odd kernel": (lambda: nn.Conv2d(3, 4, 3, padding="same"), (IMAGES,)),
    "conv 'same', even kernel": (lambda: nn.Conv2d(3, 4, (4, 2), padding="same", dilation=2), (IMAGES,)),
    "conv, circular padding": (lambda: nn.Conv2d(3, 4, 3, padding=2, padding_mode="circular"), (IMAGES,)),
    "conv, reflected padding": (lambda: nn.Conv1d(3, 4, 3, padding=2, padding_mode="reflect"), ((2, 3, 8),)),
    "transposed conv": (lambda: nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, groups=2), ((2, 4, 5, 6),)),
    "transposed conv without batch": (lambda: nn.ConvTranspose1d(4, 6, 3, 2), ((4, 5),)),
    "linear on a vector": (lambda: nn.Linear(8, 3), ((8,),)),
    "linear on four axes": (lambda: nn.Linear(8, 3, bias=False), ((2, 3, 4, 8),)),
    "mm": (lambda: Call(torch.mm), ((3, 4), (4, 5))),
    "bmm": (lambda: Call(torch.bmm), ((2, 3, 4), (2, 4, 5))),
    "addmm": (lambda: Call(torch.addmm), ((5,), (3, 4), (4, 5))),
    "addmm, scaled": (lambda: Call(lambda c, a, b: torch.addmm(c, a, b, beta=2, alpha=3)), ((5,), (3, 4), (4, 5))),
    "baddbmm": (lambda: Call(torch.baddbmm), ((2, 3, 5), (2, 3, 4), (2, 4, 5))),
    "matmul, the right one stretched": (lambda: Call(torch.matmul), ((6, 2, 3, 4), (4, 5))),
    "matmul, the left one stretched": (lambda: Call(torch.matmul), ((3, 4), (6, 2, 4, 5))),
    "matmul, both stretched": (lambda: Call(torch.matmul), ((6, 1, 3, 4), (2, 4, 5))),
    "einsum of two": (lambda: Call(lambda a, b: torch.einsum("bqhd,bkhd->bhqk", a, b)), ((2, 5, 3, 4), (2, 6, 3, 4))),
    "einsum that sums one side first": (
        lambda: Call(lambda a, b: torch.einsum("ijk,jl->il", a, b)),
        ((2, 3, 4), (3, 5)),
    ),
    "einsum with dots": (lambda: Call(lambda a, b: torch.einsum("...ij,jk->...ik", a, b)), ((2, 7, 3, 4), (4, 5))),
    "attention": (lambda: Call(F.scaled_dot_product_attention), ((2, 3, 5, 4),) * 3),
    "attention, mask": (lambda: Call(F.scaled_dot_product_attention), (*((2, 3, 5, 4),) * 3, (5, 5))),
    "attention, causal": (
        lambda: Call(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True)),
        ((2, 3, 5, 4),) * 3,
    ),
    "multi-head attention": (
        lambda: Call(lambda x, m: m(x, x, x)[0], nn.MultiheadAttention(8, 2, batch_first=True)),
        (SEQUENCE,),
    ),
    "multi-head attention, weights not wanted": (
        lambda: Call(lambda x, m: m(x, x, x, need_weights=False)[0], nn.MultiheadAttention(8, 2)),
        (SEQUENCE,),
    ),
    "multi-head attention, kdim and vdim": (
        lambda: Call(lambda q, k, v, m: m(q, k, v)[0], nn.MultiheadAttention(8, 2, kdim=6, vdim=4, add_bias_kv=True)),
        ((5, 2, 8), (7, 2, 6), (7, 2, 4)),
    ),
    "encoder layer, whose fused path is off": (
        lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
        (SEQUENCE,),
    ),
    "encoder": (lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2), (SEQUENCE,)),
    "transformer": (lambda: nn.Transformer(8, 2, 1, 1, 16, batch_first=True), (SEQUENCE, (2, 4, 8))),
    "LSTM": (lambda: nn.LSTM(8, 6, 2, batch_first=True), (SEQUENCE,)),
    "LSTM, both ways, projected": (lambda: nn.LSTM(8, 6, 2, bidirectional=True, proj_size=3), (SEQUENCE,)),
    "LSTM without batch": (lambda: nn.LSTM(8, 6, bias=False), ((5, 8),)),
    "GRU, both ways": (lambda: nn.GRU(8, 6, bidirectional=True), (SEQUENCE,)),
    "RNN": (lambda: nn.RNN(8, 6, nonlinearity="relu"), (SEQUENCE,)),
    "weight norm": (lambda: nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3)), (IMAGES,)),
    "conv with a computed kernel": (
        lambda: Call(lambda x, w: F.conv2d(x, w.exp()), w=torch.rand(4, 3, 3, 3)),
        (IMAGES,),
    ),
    "linear with a computed weight": (lambda: Call(lambda x, w: F.linear(x, w * 2), w=torch.rand(4, 8)), (SEQUENCE,)),
    "linear with a computed bias": (
        lambda: Call(lambda x, m, w: F.linear(x, m.weight, w * 2), nn.Linear(8, 4, False), w=torch.rand(4)),
        (SEQUENCE,),
    ),
}


@pytest.mark.parametrize("case", LIKE_TORCH)
def test_macs_are_those_of_torch_s_counter(case: str) -> None:
    make, shapes = LIKE_TORCH[case]
    module = make()
    found = traced(module, *shapes).total.macs
    assert found == by_torch(module, *shapes)
    assert found > 0


# MACs worked out by hand, where torch's counter has no rule or another one.
BY_HAND: dict[str, tuple[Callable[[], nn.Module], tuple[tuple[int, ...], ...], int]] = {
    "mv": (lambda: Call(torch.mv), ((3, 4), (4,)), 3 * 4),
    "dot": (lambda: Call(torch.dot), ((4,), (4,)), 4),
    "matmul of a vector": (lambda: Call(torch.matmul), ((4,), (2, 4, 3)), 2 * 4 * 3),
    "matmul with a vector": (lambda: Call(torch.matmul), ((2, 3, 4), (4,)), 2 * 3 * 4),
    "einsum of three": (
        lambda: Call(lambda a, b, c: torch.einsum("ij,jk,kl->il", a, b, c)),
        ((2, 3), (3, 4), (4, 5)),
        2 * 3 * 4 + 2 * 4 * 5,
    ),
    "outer product, nothing is summed": (lambda: Call(lambda a, b: torch.einsum("i,j->ij", a, b)), ((3,), (4,)), 0),
    "attention, grouped queries": (
        lambda: Call(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True)),
        ((1, 4, 5, 8), (1, 2, 6, 8), (1, 2, 6, 8)),
        2 * (4 * 5 * 6 * 8),
    ),
    "packed LSTM, both ways": (lambda: Call(packed, nn.LSTM(8, 6, bidirectional=True)), (SEQUENCE,), 2 * 8 * 24 * 14),
    "packed GRU": (lambda: Call(packed, nn.GRU(8, 6)), (SEQUENCE,), 8 * 18 * 14),
    "attention that drops scores though it does not train": (
        lambda: Call(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, dropout_p=0.1)),
        ((2, 3, 5, 4),) * 3,
        2 * (2 * 3 * 5 * 5 * 4),
    ),
    "bilinear": (lambda: nn.Bilinear(3, 4, 5), ((2, 3), (2, 4)), 2 * 5 * (3 * 4 + 4)),
    "inner, rows with rows": (lambda: Call(torch.inner), ((2, 3, 4), (5, 4)), 2 * 3 * 5 * 4),
    "addbmm sums over the stack": (lambda: Call(torch.addbmm), ((3, 5), (2, 3, 4), (2, 4, 5)), 2 * 3 * 4 * 5),
    "an outer product that is added": (lambda: Call(torch.addr), ((3, 4), (3,), (4,)), 0),
    "whole numbers of eight bits": (
        lambda: Call(lambda x: torch._int_mm(x.to(torch.int8), x.to(torch.int8).T)),
        ((32, 16),),
        32 * 16 * 32,
    ),
    "written where the code says": (
        lambda: Call(lambda a, b: torch.mm(a, b, out=torch.empty(3, 5))),
        ((3, 4), (4, 5)),
        3 * 4 * 5,
    ),
    "a grid from an affine map: (x, y, 1) · 3×2": (
        lambda: Call(lambda theta: F.affine_grid(theta, [2, 3, 8, 7], align_corners=False)),
        ((2, 2, 3),),
        2 * 8 * 7 * 3 * 2,
    ),
    "weight norm with one length": (
        lambda: nn.utils.parametrizations.weight_norm(nn.Linear(8, 3), dim=None),
        (SEQUENCE,),
        2 * 5 * 8 * 3,
    ),
    "rows to experts": (lambda: Call(in_groups), ((6, 4), (3, 4, 8)), 6 * 4 * 8),
    "columns to experts": (lambda: Call(in_groups), ((3, 6, 4), (4, 8)), 6 * 4 * 8),
    "a product for each group": (lambda: Call(in_groups), ((6, 4), (4, 8)), 6 * 4 * 8),
    "a product for each pair": (lambda: Call(torch._grouped_mm), ((3, 6, 4), (3, 4, 8)), 3 * 6 * 4 * 8),
    "spectral norm: the linear alone, since W·v and u·that are prepared once": (
        lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(8, 3)),
        (SEQUENCE,),
        2 * 5 * 8 * 3,
    ),
    "distances by a matrix product": (lambda: Call(torch.cdist), ((30, 4), (40, 4)), 30 * 40 * (4 + 2)),
    "distances pair by pair": (lambda: Call(lambda a, b: torch.cdist(a, b, p=1.0)), ((2, 3, 4), (2, 5, 4)), 0),
    "embedding": (lambda: nn.Embedding(10, 4), ((2, 3),), 0),
    "FFT": (lambda: Call(lambda x: torch.fft.irfft2(torch.fft.rfft2(x))), ((2, 8, 8),), 0),
    "unfold": (lambda: nn.Unfold(3, padding=1), (IMAGES,), 0),
    "grid_sample": (lambda: Call(lambda x, g: F.grid_sample(x, g, align_corners=False)), (IMAGES, (2, 4, 5, 2)), 0),
    "sort": (lambda: Call(lambda x: x.sort()[0]), ((2, 8),), 0),
}


GROUPED = ("rows to experts", "columns to experts", "a product for each group", "a product for each pair")


@pytest.mark.parametrize("case", BY_HAND)
def test_macs_are_those_worked_out_by_hand(case: str) -> None:
    if case in GROUPED and not hasattr(torch, "_grouped_mm"):
        pytest.skip("this torch has no grouped products")
    make, shapes, macs = BY_HAND[case]
    assert traced(make(), *shapes).total.macs == macs


# Other arithmetic, by the rules of docs/counting.md, for x of 2·3·4 = 24 elements unless said otherwise.
X = (2, 3, 4)
OPS: dict[str, tuple[Callable[[], nn.Module], tuple[tuple[int, ...], ...], int]] = {
    "relu": (lambda: nn.ReLU(), (X,), 24),
    "gelu": (lambda: nn.GELU(), (X,), 5 * 24),
    "exp": (lambda: Call(torch.exp), (X,), 24),
    "plus a number": (lambda: Call(lambda x: x + 1), (X,), 24),
    "plus a scaled tensor": (lambda: Call(lambda x, y: torch.add(x, y, alpha=2)), (X, X), 2 * 24),
    "a comparison": (lambda: Call(lambda x: x > 0), (X,), 24),
    "choosing": (lambda: Call(lambda x, y: torch.where(x > 0, x, y)), (X, X), 24),
    "clamp": (lambda: Call(lambda x: x.clamp(0, 1)), (X,), 2 * 24),
    "mean of an axis": (lambda: Call(lambda x: x.mean(1)), (X,), 24),
    "sum of an axis": (lambda: Call(lambda x: x.sum(-1)), (X,), 24 - 6),
    "largest": (lambda: Call(lambda x: x.amax(1)), (X,), 24 - 8),
    "largest and where": (lambda: Call(lambda x: x.max(1)[0]), (X,), 24 - 8),
    "the larger of two": (lambda: Call(lambda x, y: torch.max(x, y)), (X, X), 24),
    "variance": (lambda: Call(lambda x: x.var(1)), (X,), 4 * 24),
    "length": (lambda: Call(lambda x: x.norm(dim=1)), (X,), 2 * 24),
    "slopes that are computed": (lambda: Call(lambda x, w: F.prelu(x, w * 2)), (X, (3,)), 3 + 2 * 24),
    "RReLU, which is leaky when it does not train": (lambda: nn.RReLU(), (X,), 2 * 24),
    "cross product": (lambda: Call(lambda x, y: torch.linalg.cross(x, y, dim=1)), (X, X), 3 * 24),
    "dropping though it does not train": (lambda: Call(lambda x: F.dropout(x, 0.5)), (X,), 2 * 24),
    "quantised and back": (
        lambda: Call(lambda x: torch.fake_quantize_per_tensor_affine(x, 0.1, 0, 0, 255)),
        (X,),
        7 * 24,
    ),
    "quantised with an observer": (
        lambda: torch.ao.quantization.FusedMovingAvgObsFakeQuantize(dtype=torch.quint8, quant_min=0, quant_max=255),
        (X,),
        7 * 24,
    ),
    "sums of bags of 5": (lambda: nn.EmbeddingBag(10, 4, mode="sum"), ((2, 5),), 2 * 5 * 4),
    "means of bags of 5": (lambda: nn.EmbeddingBag(10, 4), ((2, 5),), 2 * 5 * 4 + 2 * 4),
    "conjugates": (lambda: Call(lambda x: torch.complex(x, x).conj().real), (X,), 24),
    "bits read as whole numbers": (lambda: Call(lambda x: x.view(torch.int32) + 1), (X,), 24),
    "axes squeezed together": (lambda: Call(lambda x: x.squeeze([1, 2]) + 1), ((2, 1, 1, 4),), 8),
    "layer norm, as exported programs call it": (
        lambda: Call(lambda x: torch.ops.aten.native_layer_norm(x, [4], None, None, 1e-5)[0]),
        (X,),
        5 * 24,
    ),
    "group norm, as exported programs call it": (
        lambda: Call(lambda x: torch.ops.aten.native_group_norm(x, None, None, 2, 3, 4, 3, 1e-5)[0]),
        (X,),
        5 * 24,
    ),
    "average pool, as exported programs call it": (
        lambda: Call(lambda x: torch.ops.aten._adaptive_avg_pool2d(x, [1, 2])),
        (X,),
        24,
    ),
    "found among 5": (lambda: Call(lambda x, y: torch.isin(x, y)), (X, (5,)), 24 * 5 + 24 * 4),
    "equal to one": (lambda: Call(lambda x: torch.isin(x, 3.0)), (X,), 24),
    "one found among all": (lambda: Call(lambda x: torch.isin(3.0, x)), (X,), 24 + 23),
    "histogram": (lambda: Call(lambda x: torch.histc(x, 10, 0, 1)), (X,), 24),
    "joined in the wider element type": (lambda: Call(lambda x: torch.cat([x.half(), x])), (X,), 0),
    "stacked in the wider element type": (lambda: Call(lambda x: torch.stack([x > 0, (x > 0).long()])), (X,), 2 * 24),
    "squared errors in the wider element type": (lambda: Call(lambda x: F.mse_loss(x, x.double())), (X,), 2 * 24 + 24),
    "classes by log p in halves": (
        lambda: Call(lambda x: F.nll_loss(x.half(), torch.zeros(2, 4, dtype=torch.int64), reduction="sum")),
        (X,),
        8 + 7,
    ),
    "blocks on a diagonal, in the wider element type": (
        lambda: Call(lambda x: torch.block_diag(x[0].half(), x[1])),
        (X,),
        0,
    ),
    "sigmoid of whole numbers": (lambda: Call(lambda x: x.long().sigmoid()), (X,), 4 * 24),
    "along the axis that a scalar has for PyTorch": (
        lambda: Call(lambda x: x.sum().sum(0).amax(-1).softmax(0).cumsum(0)),
        (X,),
        (24 - 1) + 0 + 0 + 5 + 1,
    ),
    "running largest": (lambda: Call(lambda x: x.cummax(1)[0]), (X,), 24),
    "running sum": (lambda: Call(lambda x: x.cumsum(1)), (X,), 24),
    "softmax": (lambda: Call(lambda x: x.softmax(-1)), (X,), 5 * 24),
    "indexing": (lambda: Call(lambda x: x[:, [0, 2]]), (X,), 0),
    "gathering": (lambda: Call(lambda x: x.gather(1, torch.zeros(2, 1, 4, dtype=torch.int64))), (X,), 0),
    "putting in place": (lambda: Call(lambda x: x.index_fill(1, torch.tensor([0]), 0.0)), (X,), 0),
    "sorting rows of 4": (lambda: Call(lambda x: x.sort(-1)[0]), (X,), 24 * 2),
    "the largest 2 of 4": (lambda: Call(lambda x: x.topk(2)[0]), (X,), 24 * 1),
    "layer norm": (lambda: nn.LayerNorm(4), (X,), 7 * 24),
    "group norm": (lambda: nn.GroupNorm(3, 3), (X,), 7 * 24),
    "batch norm": (lambda: nn.BatchNorm1d(3), (X,), 2 * 24),
    "instance norm": (lambda: nn.InstanceNorm1d(3), (X,), 5 * 24),
    "instance norm by what training gathered": (lambda: nn.InstanceNorm1d(3, track_running_stats=True), (X,), 2 * 24),
    "instance norm, as exported programs call it": (
        lambda: Call(lambda x: torch.ops.aten._native_batch_norm_legit.no_stats(x, None, None, True, 0.1, 1e-5)[0]),
        (X,),
        5 * 24,
    ),
    "batch norm by statistics that are computed": (
        lambda: Call(lambda x, m, v: F.batch_norm(x, m * 2, v * 2)),
        (X, (3,), (3,)),
        3 + 3 + 2 * 24,
    ),
    "the same, affine": (lambda: nn.InstanceNorm1d(3, affine=True, track_running_stats=True), (X,), 2 * 24),
    "stacked in depth": (lambda: Call(lambda x, y: torch.dstack([x[0], y[0]])), (X, X), 0),
    "frequencies": (lambda: Call(lambda x: x * torch.fft.fftfreq(4)), (X,), 24),
    "softmax, as exported programs call it": (
        lambda: Call(lambda x: torch.ops.aten._safe_softmax(x, -1)),
        (X,),
        5 * 24,
    ),
    "RMS norm": (lambda: nn.RMSNorm(4), (X,), 4 * 24),
    "max pool": (lambda: nn.MaxPool1d(2), (X,), 2 * 3 * 2 * 1),
    "bilinear interpolation": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), ((1, 1, 2, 2),), 16 * 7),
    "grid_sample": (
        lambda: Call(lambda x, g: F.grid_sample(x, g, align_corners=False)),
        ((1, 1, 2, 2), (1, 3, 3, 2)),
        9 * 7,
    ),
    "fold": (lambda: nn.Fold((3, 3), 2), ((1, 4, 4),), 16),
    "distances": (lambda: Call(lambda a, b: torch.cdist(a, b, p=1.0)), ((3, 4), (5, 4)), 3 * 3 * 5 * 4),
    "complex FFT of 8": (lambda: Call(lambda x: torch.fft.fft(torch.complex(x, x)).real), ((8,),), 5 * 8 * 3 + 8),
    "real FFT of 8": (lambda: Call(lambda x: torch.fft.rfft(x).abs()), ((8,),), 5 * 8 * 3 // 2 + 5 * 2 // 2),
}


@pytest.mark.parametrize("case", OPS)
def test_other_arithmetic_follows_the_rules(case: str) -> None:
    make, shapes, ops = OPS[case]
    assert traced(make(), *shapes).total.ops == ops


def test_each_block_on_a_diagonal_is_read() -> None:
    # Read 3·4 and 5·2 numbers, write a matrix of (3 + 5)×(4 + 2).
    (layer,) = traced(Call(lambda x, y: torch.block_diag(x, y)), (3, 4), (5, 2)).layers
    assert (layer.read_bits, layer.write_bits) == (32 * (12 + 10), 32 * 8 * 6)


def test_a_better_order_of_an_einsum_is_named() -> None:
    module = Call(lambda a, b, c: torch.einsum("ij,jk,kl->il", a, b, c))
    found = traced(module, (20, 30), (30, 40), (40, 1))
    taken, better = 20 * 30 * 40 + 20 * 40 * 1, 30 * 40 * 1 + 20 * 30 * 1
    assert found.total.macs == taken
    saved = "saved if ij,jk,kl->il multiplies operand 1 with 2, 0 with 1"
    assert found.notes == (f"{taken - better:,} of the MACs are {saved}, and need not be done",)


def test_causal_attention_is_counted_dense_with_the_discount_beside_it() -> None:
    module = Call(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True))
    found = traced(module, *((2, 3, 5, 4),) * 3)
    # of 5·5 scores a head the mask leaves 1 + 2 + 3 + 4 + 5 = 15
    assert found.total.macs == 2 * 3 * 25 * (4 + 4)
    hidden = 2 * 3 * 10 * (4 + 4)
    assert found.notes == (f"{hidden} of the MACs are of scores that a causal mask hides, and need not be done",)
    assert found.to_dict()["notes"] == list(found.notes)


HIGHER = pytest.mark.skipif(
    not hasattr(torch.utils._python_dispatch.TorchDispatchMode, "supports_higher_order_operators"),
    reason="this torch lets no mode see operators on functions",
)


@HIGHER
@pytest.mark.filterwarnings("ignore")  # flex_attention says that it would be faster compiled
def test_flex_attention_counts_its_two_products_densely() -> None:
    from torch.nn.attention.flex_attention import flex_attention

    module = Call(lambda q, k, v: flex_attention(q, k, v, score_mod=lambda s, b, h, i, j: s + (i - j)))
    assert traced(module, *((2, 3, 128, 16),) * 3).total.macs == 2 * 3 * 128 * 128 * (16 + 16)


@HIGHER
def test_the_branch_that_a_condition_takes_is_counted() -> None:
    module = Call(lambda x, fc: torch.cond(x.sum() >= 0, fc, lambda x: x[:, :4], (x,)), nn.Linear(8, 4))
    assert traced(module, (3, 8)).total.macs == 3 * 8 * 4  # of noise from 0 to 1


def test_the_lstm_counts_each_step_layer_and_direction() -> None:
    # 4 gates · hidden 6 · (input + state) a step: 8 + 6 in layer 0, 2·6 + 6 in layer 1; 5 steps, batch 2, 2 directions
    module = nn.LSTM(8, 6, 2, bidirectional=True, batch_first=True)
    assert traced(module, SEQUENCE).total.macs == 5 * 2 * 2 * 4 * 6 * ((8 + 6) + (12 + 6))
