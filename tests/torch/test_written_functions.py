"""Functions of tensors, written as a spec by a trace: it has the same figures, and its module is the same function.

Expected are the values that PyTorch makes of a random input."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

from costcalc.analysis.receptive_fields import receptive_fields  # noqa: E402
from costcalc.analysis.report import report  # noqa: E402
from costcalc.backends.module import to_module  # noqa: E402
from costcalc.errors import CostcalcError  # noqa: E402
from costcalc.frontends.spec.write import write  # noqa: E402
from costcalc.frontends.torch.tracer import trace  # noqa: E402
from costcalc.ir.graph import Graph  # noqa: E402
from costcalc.models import load  # noqa: E402

Made = Callable[[Any], Any]
SIZE = (1, 2, 3, 4)
FUNCTIONS: dict[str, Made] = {
    # What is infinite or undefined
    "masked_fill with -inf": lambda x: x.masked_fill(x > 0.5, -math.inf).softmax(-1),
    "masked_fill with inf": lambda x: x.masked_fill(x > 0, math.inf),
    "where with nan": lambda x: torch.where(x > 0, x, math.nan),
    "a triangle of -inf": lambda x: (x + torch.full((3, 4), -math.inf).triu(1)).softmax(-1),
    "some of a row are -inf": lambda x: (x + torch.tensor([0.0, -math.inf, 1.0, math.nan])).softmax(-1),
    "pad with -inf": lambda x: F.pad(x, (1, 0), value=-math.inf),
    "crop and pad": lambda x: F.pad(x, (-4, 3), value=2.0),
    "nan_to_num": lambda x: (x / 0).nan_to_num(),
    "nan_to_num(1, 2, -3)": lambda x: (x / 0).nan_to_num(1.0, 2.0, -3.0),
    "nan_to_num(neginf=-3)": lambda x: (x / 0).nan_to_num(neginf=-3.0),
    "nan_to_num(inf)": lambda x: (x / 0).nan_to_num(posinf=math.inf),
    # Complex numbers
    "complex": lambda x: torch.complex(x, x * 2),
    "real and imaginary parts": lambda x: torch.complex(x, x * 2).real * torch.complex(x, x * 2).imag,
    "view_as_real": lambda x: torch.view_as_real(torch.complex(x, x * 2)) + 1,
    "view_as_complex": lambda x: torch.view_as_complex(x.reshape(1, 2, 3, 2, 2)).abs(),
    "polar": lambda x: torch.polar(x, x * 2).angle(),
    "fft": lambda x: torch.fft.fft(x).abs(),
    "ifft": lambda x: torch.fft.ifft2(torch.complex(x, x * 3), norm="ortho").abs(),
    "fft and back": lambda x: torch.fft.irfft2(torch.fft.rfft2(x, norm="forward"), s=(3, 4), norm="forward"),
    "conjugate": lambda x: torch.complex(x, x * 2).conj() * torch.complex(x, x),
    "sums of complex numbers": lambda x: torch.complex(x, x * 2) / torch.complex(x, x + 9) - torch.complex(x, x) + x,
    "multiples of complex numbers": lambda x: torch.add(torch.complex(x, x * 2), torch.complex(x, x), alpha=3),
    "conjugate in a product": lambda x: torch.fft.rfft(x).conj() @ torch.fft.rfft(x).mT,
    "adjoint": lambda x: torch.complex(x, x * 2).mH.abs() + torch.complex(x, x * 2).mH.angle(),
    "imaginary part of a conjugate": lambda x: torch.complex(x, x * 2).conj().imag + 1,
    "real part of a conjugate": lambda x: torch.complex(x, x * 2).conj().real + 1,
    # Along axes
    "cross": lambda x: torch.linalg.cross(x.mT, (x * 2 + 1).mT.flip(2)),
    "cross along the height": lambda x: torch.linalg.cross(x, x.flip(3) + 1, dim=2),
    "cross stretched": lambda x: torch.cross(x, x[..., :1].flip(1) + 1, dim=-2),
    "var": lambda x: x.var(1),
    "var of all": lambda x: x.var(),
    "var without correction": lambda x: x.var((2, 3), correction=0, keepdim=True),
    "biased var": lambda x: torch.var(x, dim=-1, unbiased=False),
    "std": lambda x: x.std((1, 3)),
    "std with correction 2": lambda x: x.std(3, correction=2),
    "var_mean": lambda x: torch.add(*torch.var_mean(x, (1, 2))),
    "std_mean": lambda x: torch.add(*torch.std_mean(x, 2, correction=0)),
    "norm": lambda x: x.norm(dim=1),
    "norm of order 1": lambda x: x.norm(1, dim=(1, 2)),
    "linalg.norm": lambda x: torch.linalg.norm(x, dim=1),
    "linalg.norm of all": lambda x: torch.linalg.norm(x[0, 0]),
    "vector_norm of order 3": lambda x: torch.linalg.vector_norm(x, 3, dim=(1, 2), keepdim=True),
    "vector_norm of order inf": lambda x: torch.linalg.vector_norm(x, math.inf, dim=1),
    "vector_norm of order -inf": lambda x: torch.linalg.vector_norm(x, -math.inf, dim=1),
    "vector_norm of order 0": lambda x: torch.linalg.vector_norm(x, 0, dim=1),
    "matrix_norm": torch.linalg.matrix_norm,
    "matrix_norm of order 1": lambda x: torch.linalg.matrix_norm(x, 1),
    "matrix_norm of order -inf": lambda x: torch.linalg.matrix_norm(x, -math.inf),
    "normalize": lambda x: F.normalize(x, p=3.0, dim=1),
    "cosine similarity": lambda x: F.cosine_similarity(x, x.flip(1), dim=1),
    "pairwise distance": lambda x: F.pairwise_distance(x, x.flip(1), p=1.0),
    "dist": lambda x: torch.dist(x, x * 2, 3),
    "renorm": lambda x: x.renorm(2, 1, 0.5),
    "extrema": lambda x: (x.amax(1), x.min(2)[0], x.max(), *x.aminmax(dim=3)),
    "places of extrema": lambda x: (x.max(1)[1], x.argmin(2), x.argmax()),
    "medians": lambda x: (x.median(3)[0], x.median(), x.nanmedian(2)[0]),
    "kthvalue": lambda x: x.kthvalue(2, dim=3)[0],
    "mode": lambda x: x.round().mode(3)[0],
    "prod": lambda x: x.prod(1),
    "truths": lambda x: ((x > 0).any(1), (x > 0).all((2, 3)), x.count_nonzero(1)),
    "logsumexp": lambda x: x.logsumexp((1, 3)),
    "sums in another type": lambda x: (x.sum(1, dtype=torch.float64), x.mean(2, dtype=torch.float64)),
    "nansum": lambda x: (x / x.relu()).nan_to_num(posinf=math.nan).nansum(1),
    "nanmean": lambda x: x.masked_fill(x > 0, math.nan).nanmean((1, 2)),
    "quantile": lambda x: x.quantile(0.3, dim=3),
    "running": lambda x: (x.cumsum(1), x.cumprod(2), x.logcumsumexp(3), x.cummax(3)[0], x.cummin(2)[1]),
    "running in another type": lambda x: x.cumsum(-1, dtype=torch.float64),
    "order": lambda x: (x.sort(-1)[0], x.sort(2, descending=True)[1], x.argsort(3), torch.msort(x)),
    "topk": lambda x: (x.topk(2, -1)[0], x.topk(2, 2, largest=False)[0]),
    # Element by element
    "truncate the quotient": lambda x: torch.div(x, 0.3, rounding_mode="trunc"),
    "round the quotient down": lambda x: torch.div(x, x.flip(1), rounding_mode="floor"),
    "truncate the quotient of tensors": lambda x: torch.div(x, x.flip(1), rounding_mode="trunc"),
    "of one tensor": lambda x: (x.sgn(), x.signbit(), torch.rad2deg(x)),
    "special": lambda x: (torch.special.i1(x), torch.special.entr(x.abs()), torch.special.log_ndtr(x)),
    "polygamma": lambda x: torch.polygamma(1, x.abs() + 1),
    "of two tensors": lambda x: (torch.ldexp(x, torch.tensor([2])), torch.special.zeta(x.abs() + 1.5, x.abs() + 1)),
    "log of a sigmoid": F.logsigmoid,
    # Intervals
    "bucketize": lambda x: torch.bucketize(x, torch.tensor([-0.5, 0.0, 0.5])),
    "bucketize to the right": lambda x: torch.bucketize(x.round(), torch.tensor([0.0]), right=True, out_int32=True),
    "searchsorted": lambda x: torch.searchsorted(torch.tensor([-0.5, 0.0, 0.5]), x, side="right"),
    "searchsorted in rows": lambda x: torch.searchsorted(x.sort(-1)[0], x[..., :2].contiguous()),
    "histc": lambda x: (torch.histc(x, 5, -1, 1), torch.histc(x[0], bins=3)),
    "frexp": lambda x: torch.frexp(x),
    "ldexp of frexp": lambda x: torch.ldexp(*torch.frexp(x)),
    # Put together
    "index_reduce": lambda x: x.scatter_reduce(1, torch.zeros(1, 1, 3, 4, dtype=torch.int64), x[:, 1:], "amax"),
    "scatter_reduce without itself": lambda x: x.scatter_reduce(
        2, torch.zeros(1, 2, 2, 4, dtype=torch.int64), x[:, :, 1:], "mean", include_self=False
    ),
    "scatter_add": lambda x: x.scatter_add(3, x.argsort(3), x),
    "scatter": lambda x: x.scatter(3, x.argsort(3), x * 2),
}  # fmt: skip


class Of(nn.Module):
    def __init__(self, function: Made) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function(x)


def written(graph: Graph, folder: Path) -> Graph:
    path = folder / "written.yaml"
    path.write_text(write(graph), encoding="utf-8")
    return load(path)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_written_function_is_the_same_function(name: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    module, x = Of(FUNCTIONS[name]), torch.randn(SIZE)
    graph = trace(module, SIZE)
    again = written(graph, tmp_path)
    assert not report(graph).uncounted
    assert report(again).total == report(graph).total
    assert receptive_fields(again) == receptive_fields(graph)
    ours, theirs = to_module(again)(x), module(x)
    for mine, other in zip(*(y if isinstance(y, tuple) else (y,) for y in (ours, theirs)), strict=True):
        assert (mine.shape, mine.dtype) == (other.shape, other.dtype)
        assert torch.allclose(mine, other, rtol=1e-4, atol=1e-5, equal_nan=True)


def test_a_function_whose_places_data_tell_has_no_module_and_says_so(tmp_path: Path) -> None:
    graph = written(trace(Of(lambda x: torch.bincount((x > 0).flatten().int(), minlength=3)), SIZE), tmp_path)
    with pytest.raises(CostcalcError, match="scatter has no PyTorch counterpart"):
        to_module(graph)


def test_a_factor_that_a_spec_cannot_tell_makes_no_module(tmp_path: Path) -> None:
    def sums(x: Any) -> Any:
        z = torch.complex(x, x)
        return torch.add(z, z, alpha=2j).abs()

    with pytest.raises(CostcalcError, match="numbers are not in the spec"):
        to_module(written(trace(Of(sums), SIZE), tmp_path))


@pytest.mark.parametrize(("axis", "field"), [(1, (1, 1)), (2, (3, 1)), (3, (1, 3))])
def test_a_cross_product_meets_along_its_axis_alone(axis: int, field: tuple[int, int]) -> None:
    """Expected: where the gradient of the middle place is not 0."""

    def crossed(x: Any) -> Any:
        y = F.conv2d(x, torch.ones(3, 3, 1, 1))
        return torch.linalg.cross(y, y.square() + 1, dim=axis)

    x = torch.rand(1, 3, 3, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(crossed(x)[:, :, 1, 1].square().sum(), x)
    rows, columns = (gradient.abs().sum((0, 1, other)).nonzero().flatten() for other in (3, 2))
    assert tuple(int(seen[-1] - seen[0]) + 1 for seen in (rows, columns)) == field
    assert report(trace(Of(crossed), (1, 3, 3, 3))).layers[-1].receptive_field[0] == field
