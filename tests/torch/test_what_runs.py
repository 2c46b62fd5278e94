"""Where a product can be done in several orders, the MACs are those of the products that PyTorch runs.

Its profiler tells the matrix products of a real run on the CPU with their shapes; the sum over them is the expected
value. Fused kernels of attention and of LSTMs are switched off for it: they hide their products.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

import costcalc
from costcalc.ir.op import Op
from costcalc.ir.tensor import TensorType

sys.path.insert(0, str(Path(__file__).parents[1] / "laws"))
from uses import WITH_MODULE, outputs_of

pytestmark = pytest.mark.filterwarnings("ignore")  # of profiling, and of oneDNN
FIRST = {"mm": 0, "bmm": 0, "mv": 0, "dot": 0, "addmm": 1, "baddbmm": 1, "addmv": 1}
"""Products that are not made of others, with the position of the first factor among the tensors."""


def run_macs(call: Callable[..., Any], *inputs: Tensor) -> int:
    """MACs of the matrix products that PyTorch runs for ``call``."""
    with (
        torch.no_grad(), sdpa_kernel(SDPBackend.MATH), torch.backends.mkldnn.flags(enabled=False),
        profile(activities=[ProfilerActivity.CPU], record_shapes=True) as seen,
    ):  # fmt: skip
        call(*inputs)
    found = 0
    for event in seen.events():
        name = event.name.removeprefix("aten::").rstrip("_")
        inside = event.cpu_parent.name.removeprefix("aten::").rstrip("_") if event.cpu_parent else ""
        if name in FIRST and inside not in FIRST:
            a, b = event.input_shapes[FIRST[name] :][:2]
            found += torch.Size(a).numel() * (b[-1] if len(b) > 1 else 1)
    return found


class Calls(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(*inputs)


def einsum(equation: str) -> Callable[..., Tensor]:
    return lambda *inputs: torch.einsum(equation, *inputs)


def attention(*, causal: bool = False) -> Callable[..., Tensor]:
    def attend(q: Tensor, k: Tensor, v: Tensor, *mask: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, mask[0] if mask else None, is_causal=causal)

    return attend


CASES: dict[str, tuple[Callable[..., Any], list[tuple[int, ...]]]] = {
    "bilinear": (nn.Bilinear(8, 9, 4), [(5, 8), (5, 9)]),
    "bilinear without bias": (nn.Bilinear(8, 9, 4, bias=False), [(5, 8), (5, 9)]),
    "bilinear, wide first": (nn.Bilinear(30, 2, 4), [(5, 30), (5, 2)]),
    "bilinear over more axes": (nn.Bilinear(3, 7, 2), [(2, 6, 3), (2, 6, 7)]),
    "bilinear with a computed weight": (lambda a, b, w: F.bilinear(a, b, w), [(5, 8), (5, 9), (4, 8, 9)]),
    "multi_dot from the left": (lambda *x: torch.linalg.multi_dot(x), [(10, 100), (100, 5), (5, 50)]),
    "multi_dot from the right": (lambda *x: torch.linalg.multi_dot(x), [(50, 40), (40, 30), (30, 2)]),
    "multi_dot of four": (lambda *x: torch.linalg.multi_dot(x), [(10, 100), (100, 5), (5, 50), (50, 3)]),
    "multi_dot of a vector": (lambda *x: torch.linalg.multi_dot(x), [(100,), (100, 5), (5, 50)]),
    "a power of a matrix": (lambda x: torch.linalg.matrix_power(x, 11), [(6, 6)]),
    "tensordot": (lambda a, b: torch.tensordot(a, b, ([1, 0], [0, 1])), [(3, 4, 5), (4, 3, 2)]),
    "tensordot over nothing": (lambda a, b: torch.tensordot(a, b, 0), [(3, 4), (2,)]),
    "baddbmm": (torch.baddbmm, [(2, 3, 5), (2, 3, 4), (2, 4, 5)]),
    "baddbmm without its input": (lambda c, a, b: torch.baddbmm(c, a, b, beta=0), [(2, 3, 5), (2, 3, 4), (2, 4, 5)]),
    "addbmm": (torch.addbmm, [(3, 5), (2, 3, 4), (2, 4, 5)]),
    "einsum of three": (einsum("ij,jk,kl->il"), [(2, 30), (30, 4), (4, 50)]),
    "einsum of three, dear from the left": (einsum("ij,jk,kl->il"), [(50, 40), (40, 30), (30, 2)]),
    "einsum of four": (einsum("ab,bc,cd,de->ae"), [(3, 4), (4, 5), (5, 6), (6, 7)]),
    "einsum of all elements": (einsum("ij,ij->"), [(3, 4), (3, 4)]),
    "einsum of heads": (einsum("bqhd,bkhd->bhqk"), [(2, 5, 3, 4), (2, 6, 3, 4)]),
    "einsum that sums one alone": (einsum("ijk,jl->il"), [(3, 4, 5), (4, 6)]),
    "einsum that broadcasts": (einsum("bij,bjk->bik"), [(1, 3, 5), (4, 5, 2)]),
    "few distances": (torch.cdist, [(25, 3), (25, 3)]),
    "many distances": (torch.cdist, [(26, 3), (5, 3)]),
    "many distances to": (torch.cdist, [(5, 3), (26, 3)]),
    "attention": (attention(), [(2, 3, 5, 4), (2, 3, 6, 4), (2, 3, 6, 7)]),
    "attention with a mask": (attention(), [(2, 3, 5, 4), (2, 3, 6, 4), (2, 3, 6, 7), (5, 6)]),
    "causal attention": (attention(causal=True), [(2, 3, 5, 4), (2, 3, 6, 4), (2, 3, 6, 7)]),
    "LSTM": (nn.LSTM(5, 8), [(4, 2, 5)]),
    "LSTM with projections": (nn.LSTM(5, 8, proj_size=3), [(4, 2, 5)]),
    "LSTM of two layers, two directions, projections": (
        nn.LSTM(5, 8, 2, bidirectional=True, proj_size=3), [(4, 2, 5)],
    ),
    "GRU": (nn.GRU(5, 8, 2), [(4, 2, 5)]),
    "RNN": (nn.RNN(5, 8, bidirectional=True), [(4, 2, 5)]),
    "covariance": (torch.cov, [(4, 6)]),
}  # fmt: skip
"""Name → what is called, and the shapes that it is called with."""


@pytest.mark.parametrize("name", CASES)
def test_the_products_that_run_are_the_products_that_count(name: str) -> None:
    call, shapes = CASES[name]
    module = (call if isinstance(call, nn.Module) else Calls(call)).eval()

    report = costcalc.analyze(module, *shapes)

    assert not report.uncounted
    assert report.total.macs == run_macs(module, *(torch.randn(shape) for shape in shapes))


def test_a_bilinear_layer_takes_its_first_input_first() -> None:
    """5 examples, 4 outputs: 8·9 products for aᵀ·W, then 9 with b."""
    assert costcalc.analyze(nn.Bilinear(8, 9, 4), (5, 8), (5, 9)).total.macs == 5 * 4 * (8 * 9 + 9) == 1620


def test_einsum_multiplies_in_the_order_that_opt_einsum_found() -> None:
    """``torch.einsum`` hands the path to the operator that is traced, where opt_einsum is installed."""
    from torch import _VF

    shapes = [(50, 40), (40, 30), (30, 2)]

    def ordered(*inputs: Tensor) -> Tensor:
        made: Tensor = _VF.einsum("ij,jk,kl->il", inputs, path=[1, 2, 0, 1])  # type: ignore[attr-defined]
        return made

    macs = costcalc.analyze(Calls(ordered), *shapes).total.macs

    assert macs == run_macs(ordered, *map(torch.randn, shapes)) == 40 * 30 * 2 + 50 * 40 * 2


def test_opt_einsum_itself_is_followed() -> None:
    pytest.importorskip("opt_einsum")
    shapes = [(50, 40), (40, 30), (30, 2)]

    assert costcalc.analyze(Calls(einsum("ij,jk,kl->il")), *shapes).total.macs == 40 * 30 * 2 + 50 * 40 * 2


class Extra(TorchDispatchMode):
    """Keeps what the last kernel made beside its first output."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.made: list[Tensor] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, tuple) and len(result) > 1:
            self.made = [t for t in result[1:] if isinstance(t, Tensor) and t.numel()]
        return result


def _returns_it(op: Op, x: TensorType, *_: TensorType) -> bool:
    """Whether what is discarded is a result of an operator, which a mode sees. No copy is, that a kernel makes itself,
    nor are indices of one axis, which are made only while a mode looks on (tests/planning/test_what_kernels_take.py).
    """
    return op.name not in ("sort", "reduction") and not (op.name == "max_pool" and len(x.shape) == 3)


DISCARDING = [
    use
    for use in WITH_MODULE
    if type(use.values[0]).discards is not Op.discards and _returns_it(use.values[0], *use.values[1])
]


@pytest.mark.parametrize(("op", "types"), DISCARDING)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
def test_what_is_made_and_discarded_is_what_a_run_makes(op: Op, types: list[TensorType], dtype: str) -> None:
    inputs = [t._replace(dtype=dtype) if t.dtype == "float32" else t for t in types]
    module = op.to_torch(*types).eval().to(getattr(torch, dtype))
    with torch.no_grad(), Extra() as extra:
        try:
            module(*(torch.zeros(t.shape, dtype=getattr(torch, t.dtype)) for t in inputs))
        except NotImplementedError as error:
            assert dtype == "bfloat16" and "not implemented for 'BFloat16'" in str(error)
            pytest.skip("PyTorch has no kernel of it for bfloat16")

    said = op.discards(*inputs, y=outputs_of(op, inputs)[0])
    asked = len(outputs_of(op, inputs)) > 1
    made = [] if asked else [(t.numel(), str(t.dtype).removeprefix("torch.")) for t in extra.made]

    assert [(t.size, t.dtype) for t in said] == made


def test_max_pooling_writes_where_the_largest_were_though_nobody_asks() -> None:
    pool = next(op for op, *_ in [use.values for use in WITH_MODULE] if op.name == "max_pool" and not op.indices)
    x = TensorType((1, 64, 112, 112))

    (indices,) = pool.discards(x, y=pool.infer(x))

    assert indices == TensorType((1, 64, 56, 56), "int64")
