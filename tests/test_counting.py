"""``docs/counting.md`` is true: its table of ops is ours, its table of other counters theirs."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from costcalc.analysis.report import report
from costcalc.frontends.torch.tracer import trace
from costcalc.ir.op import Op, find_op
from costcalc.ir.tensor import TensorType

PAGE = (Path(__file__).parent.parent / "docs" / "counting.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under the header row that starts with ``heading``."""
    table = PAGE[PAGE.index(f"| {heading} |") :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def made(call: str) -> Op:
    """The op that a call as specs write it stands for."""
    name, _, _ = call.partition("(")
    if "(" not in call:
        return find_op(name)()
    tree = ast.parse(call, mode="eval").body
    assert isinstance(tree, ast.Call)
    options = {k.arg or "": ast.literal_eval(k.value) for k in tree.keywords}
    return find_op(name)(*map(ast.literal_eval, tree.args), **options)


@pytest.mark.parametrize(("call", "ops", "which"), rows("layer"))
def test_ops_for_each_output_element(call: str, ops: str, which: str) -> None:
    op = made(call.strip("`"))
    types = [TensorType((2, 4, 6, 10))] * op.inputs[0]
    y = op.infer(*types)
    assert isinstance(y, TensorType)

    assert op.ops(*types, y=y) == int(ops) * y.size  # type: ignore[operator]
    assert bool(which) or ops == "0"


@pytest.mark.parametrize(("names", "macs"), [(row[0], row[2]) for row in rows("decomposition")])
def test_macs_of_decompositions(names: str, macs: str) -> None:
    """The formulas of the page, where they are whole; where they begin a sum or are approximate, their largest term."""
    n, k = 400, 3
    formula = macs.replace("the same, and ", "n³/3 − n²/2 + n/6 + ").removeprefix("≈").partition(", with")[0]
    for name in names.replace("`", "").split(", "):
        op = find_op(name)(
            **({"vectors": False} if name in ("svd", "eigh", "eig") else {}),
            **{"upper": True} if name == "solve_triangular" else {},
        )
        types = [TensorType((n, n)), TensorType((n, k))][: op.inputs[0]]
        y = op.infer(*types)
        ours = op.macs(*types, y=y if isinstance(y, TensorType) else y[0])
        if formula.strip():
            python = (
                formula.replace("−", "-")
                .replace("·", "*")
                .replace("³", "**3")
                .replace("²", "**2")
                .replace(" …", "")
                .rstrip(" +-")
            )
            python = re.sub(r"(\d|\bn|\bk)(?=[n(])", r"\1*", python)
            value = eval(python, {"n": Fraction(n), "k": Fraction(k)})
            whole = "…" not in formula and "≈" not in macs
            assert ours == value if whole else abs(ours / value - 1) < 0.02, (name, ours, value)  # type: ignore[operator]


class Call(nn.Module):
    """A function as a module, which is what fvcore takes."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Any) -> Any:
        return self.function(*inputs)


def r(*shape: int) -> torch.Tensor:
    return torch.randn(*shape)


product = Call(torch.matmul)
einsum = Call(lambda a, b: torch.einsum("ik,kj->ij", a, b))
x = (2, 3, 4, 5)
qkv = [r(1, 2, 5, 4)] * 3
CASES: dict[str, list[Any]] = {
    "convolution": [nn.Conv2d(3, 8, 3), r(1, 3, 5, 4)],
    "convolution, `padding='same'`": [nn.Conv2d(3, 8, 3, padding="same"), r(1, 3, 4, 4)],
    "transposed convolution": [nn.ConvTranspose2d(2, 3, 2, 2), r(1, 2, 3, 4)],
    "linear with bias": [nn.Linear(7, 5), r(2, 7)],
    "matmul, left operand broadcasts over a batch of 2": [product, r(3, 4), r(2, 4, 5)],
    "matmul, right operand broadcasts": [product, r(2, 3, 4), r(4, 5)],
    "matrix times vector": [product, r(2, 3, 4), r(4)],
    "baddbmm": [Call(torch.baddbmm), r(2, 3, 5), r(2, 3, 4), r(2, 4, 5)],
    "scaled dot-product attention, fused, on a CPU": [Call(F.scaled_dot_product_attention), *qkv],
    "nn.MultiheadAttention in eval mode, fused": [nn.MultiheadAttention(4, 2, batch_first=True), *[r(1, 5, 4)] * 3],
    "LSTM, on a CPU without gradients": [nn.LSTM(4, 3), r(5, 1, 4)],
    "LSTM with projection": [nn.LSTM(4, 3, proj_size=2), r(5, 1, 4)],
    "GRU": [nn.GRU(4, 3), r(5, 1, 4)],
    "RNN": [nn.RNN(4, 3), r(5, 1, 4)],
    "einsum of two operands, in fvcore rounded to four digits": [einsum, r(123, 45), r(45, 67)],
    "einsum over an index of size 1, in torch a multiplication": [einsum, r(8, 1), r(1, 6)],
    "einsum over an index of 6 and of 1, in torch a sum first": [
        Call(lambda a, b: torch.einsum("ijk,jkl->il", a, b)),
        r(3, 5, 6),
        r(5, 1, 4),
    ],
    "einsum of three operands, in fvcore rounded": [
        Call(lambda a, b, c: torch.einsum("ij,jk,kl->il", a, b, c)),
        r(37, 37),
        r(37, 37),
        r(37, 37),
    ],
    "batch norm of 120 elements": [nn.BatchNorm2d(3), r(*x)],
    "layer norm of 120 elements": [nn.LayerNorm(5), r(*x)],
    "group norm of 120 elements": [nn.GroupNorm(3, 3), r(*x)],
    "adaptive average pool of 120 elements": [nn.AdaptiveAvgPool2d(1), r(*x)],
    "bilinear upsampling to 480 elements": [nn.Upsample(scale_factor=2, mode="bilinear"), r(*x)],
    "ReLU, softmax, addition": [Call(lambda t: t.relu().softmax(-1) + t), r(*x)],
}
"""Case → module and inputs."""

q = TensorType((1, 2, 5, 4))
image = TensorType((1, 3, 5, 4))
sequence = TensorType((1, 5, 4))
OURS: dict[str, tuple[str, tuple[TensorType, ...]]] = {
    "convolution": ("conv(8, 3)", (image,)),
    "convolution, `padding='same'`": ("conv(8, 3, padding='same')", (TensorType((1, 3, 4, 4)),)),
    "transposed convolution": ("conv_transpose(3, 2, 2)", (TensorType((1, 2, 3, 4)),)),
    "linear with bias": ("linear(5)", (TensorType((2, 7)),)),
    "matmul, left operand broadcasts over a batch of 2": ("matmul", (TensorType((3, 4)), TensorType((2, 4, 5)))),
    "matmul, right operand broadcasts": ("matmul", (TensorType((2, 3, 4)), TensorType((4, 5)))),
    "matrix times vector": ("matmul", (TensorType((2, 3, 4)), TensorType((4,)))),
    "baddbmm": ("matmul", (TensorType((2, 3, 4)), TensorType((2, 4, 5)))),
    "scaled dot-product attention, fused, on a CPU": ("scaled_dot_product_attention", (q, q, q)),
    "nn.MultiheadAttention in eval mode, fused": ("multi_head_attention(2)", (TensorType((1, 5, 4)),)),
    "LSTM, on a CPU without gradients": ("lstm(3)", (sequence,)),
    "LSTM with projection": ("lstm(3, projection=2)", (sequence,)),
    "GRU": ("gru(3)", (sequence,)),
    "RNN": ("rnn(3)", (sequence,)),
    "einsum of two operands, in fvcore rounded to four digits": (
        "einsum('ik,kj->ij')",
        (TensorType((123, 45)), TensorType((45, 67))),
    ),
    "einsum over an index of size 1, in torch a multiplication": (
        "einsum('ik,kj->ij')",
        (TensorType((8, 1)), TensorType((1, 6))),
    ),
    "einsum over an index of 6 and of 1, in torch a sum first": (
        "einsum('ijk,jkl->il')",
        (TensorType((3, 5, 6)), TensorType((5, 1, 4))),
    ),
    "einsum of three operands, in fvcore rounded": (
        "einsum('ij,jk,kl->il')",
        (TensorType((37, 37)),) * 3,
    ),
    "batch norm of 120 elements": ("batch_norm", (TensorType(x),)),
    "layer norm of 120 elements": ("layer_norm", (TensorType(x),)),
    "group norm of 120 elements": ("group_norm(3)", (TensorType(x),)),
    "adaptive average pool of 120 elements": ("adaptive_avg_pool(1)", (TensorType(x),)),
    "bilinear upsampling to 480 elements": ("upsample(2, mode='bilinear')", (TensorType(x),)),
    "ReLU, softmax, addition": ("add", (TensorType(x), TensorType(x))),
}
"""Case → our op and the types of its inputs."""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("case", "macs", "fvcore", "counter"), rows("case"))
def test_what_other_counters_count(case: str, macs: str, fvcore: str, counter: str) -> None:
    from fvcore.nn import FlopCountAnalysis

    module, *inputs = CASES[case]
    module.eval()
    analysis = FlopCountAnalysis(module, tuple(inputs))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
    with torch.no_grad(), FlopCounterMode(display=False) as count:
        module(*inputs)

    if fvcore == "fails":
        with pytest.raises(IndexError):
            analysis.total()
    else:
        assert analysis.total() == number(fvcore)
    assert count.get_total_flops() == 2 * number(counter)


def number(cell: str) -> int:
    return int(cell.replace(",", ""))


@pytest.mark.parametrize(("case", "macs"), [row[:2] for row in rows("case")])
def test_what_we_count(case: str, macs: str) -> None:
    call, types = OURS[case]
    op = made(call)
    y = op.infer(*types)

    assert op.macs(*types, y=y if isinstance(y, TensorType) else y[0]) == number(macs)


def test_every_case_of_the_page_is_run() -> None:
    assert {case for case, *_ in rows("case")} == CASES.keys() == OURS.keys()


# -- the table of others: what torch's tools say besides. That an encoder layer in one operator counts as its parts
# -- with us, and that quantised layers are listed, is in tests/torch/test_exported.py.


def counted(function: Callable[[], Any]) -> int:
    """MACs by FlopCounterMode."""
    with FlopCounterMode(display=False) as count:
        function()
    return count.get_total_flops() // 2


def test_on_the_meta_device_torch_counts_what_it_misses_on_a_cpu() -> None:
    lstm, tokens = nn.LSTM(4, 3, device="meta"), torch.empty(5, 1, 4, device="meta")
    heads = torch.empty(1, 2, 5, 4, device="meta")
    with torch.no_grad():
        assert counted(lambda: lstm(tokens)) == 420
        assert counted(lambda: F.scaled_dot_product_attention(heads, heads, heads)) == 400


def test_gradients_of_grouped_weights_count_as_if_there_were_one_group() -> None:
    conv, image = nn.Conv2d(8, 8, 3, groups=8, padding=1), r(1, 8, 5, 10).requires_grad_()
    assert counted(lambda: conv(image)) == 3_600
    made = conv(image)
    # 3,600 for the gradient of the input, and for that of the weight 8 times as many.
    assert counted(made.sum().backward) == 3_600 + 28_800


def test_products_of_a_group_of_rows_count_nothing() -> None:
    class Experts(nn.Module):
        def forward(self, x: Any) -> Any:
            weight, ends = torch.ones(2, 16, 8, dtype=x.dtype, device=x.device), torch.tensor([16, 32]).int()
            return F.grouped_mm(x, weight, offs=ends.to(x.device))

    x = torch.ones(32, 16, dtype=torch.bfloat16)
    assert counted(lambda: Experts()(x)) == 0
    # Each row meets one matrix.
    assert report(trace(Experts(), x)).total.macs == 32 * 16 * 8


@pytest.mark.filterwarnings("ignore")
def test_an_encoder_layer_of_a_strict_export_counts_nothing() -> None:
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True).eval()
    with torch.no_grad():
        program = torch.export.export(layer, (r(2, 5, 16),), strict=True).module()
        assert counted(lambda: program(r(2, 5, 16))) == 0


@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(set(torch.backends.quantized.supported_engines) <= {"none"}, reason="no quantised operators here")
def test_quantised_linear_layers_count_nothing() -> None:
    torch.backends.quantized.engine = next(e for e in torch.backends.quantized.supported_engines if e != "none")
    module = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(8, 4)), {nn.Linear}, torch.qint8)
    assert counted(lambda: module(r(2, 8))) == 0
    assert report(trace(module, (2, 8))).total.macs == 64


@pytest.mark.filterwarnings("ignore")
def test_indices_of_max_pooling_are_activations_to_the_memory_tracker() -> None:
    from torch.distributed._tools.mem_tracker import MemTracker

    def peak(layer: nn.Module, image: torch.Tensor) -> int:
        tracker = MemTracker()
        with torch.no_grad(), tracker:
            kept = layer(image)
        snapshot = tracker.get_tracker_snapshot("peak")[torch.device("cpu")]
        del kept
        return sum(snapshot.values()) if "Total" not in snapshot else snapshot["Total"]

    image = r(1, 4, 64, 64)
    values = 4 * 32 * 32
    assert peak(nn.MaxPool2d(2), image) - peak(nn.AvgPool2d(2), image) == 8 * values
