"""MACs of the backward pass, against the products that PyTorch runs for it."""

from __future__ import annotations

import warnings
from math import prod
from typing import Any

import pytest
import torch
from torch import linalg, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import costcalc


class Products(TorchDispatchMode):
    """The MACs of the products that run while it is open, counted by their shapes."""

    def __init__(self) -> None:
        super().__init__()
        self.macs = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        self.macs += of_product(func._schema.name.removeprefix("aten::"), args, made)
        return made


def of_product(name: str, args: Any, made: Any) -> int:
    """MACs of one operator; 0 of what is no product."""
    if name in ("mm", "bmm"):
        return prod(args[0].shape) * args[1].shape[-1]  # type: ignore[no-any-return]
    if name in ("addmm", "baddbmm"):
        return prod(args[1].shape) * args[2].shape[-1]  # type: ignore[no-any-return]
    if name in ("convolution", "convolution_backward"):
        forward = name == "convolution"
        x, weight = (args[0], args[1]) if forward else (args[1], args[2])
        transposed = args[6] if forward else args[7]
        places = x if transposed else made if forward else args[0]
        return prod(places.shape) * prod(weight.shape[1:]) * (1 if forward else sum(args[10][:2]))
    if "flash_attention_for_cpu" in name:
        back = name.endswith("backward")
        q, k, v = args[1:4] if back else args[:3]
        pairs = prod(q.shape[:-1]) * k.shape[-2]
        return pairs * (3 * q.shape[-1] + 2 * v.shape[-1] if back else q.shape[-1] + v.shape[-1])  # type: ignore[no-any-return]
    return 0


def counted(model: nn.Module, *inputs: torch.Tensor) -> tuple[int, int]:
    """MACs forward and backward in a real run; recurrent layers step by step, without oneDNN."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as oneDNN's settings are put back, it speaks of other devices
        with torch.backends.mkldnn.flags(enabled=False):  # type: ignore[attr-defined]
            with Products() as forward:
                result = model(*inputs)
            loss: Any = sum(t.sum() for t in tree_leaves(result) if isinstance(t, torch.Tensor) and t.requires_grad)
            with Products() as backward:
                loss.backward()
    return forward.macs, backward.macs


class Behind(nn.Module):
    """A function or layer on inputs that have a gradient."""

    def __init__(self, run: Any) -> None:
        super().__init__()
        self.run, self.scale = run, nn.Parameter(torch.ones(()))

    def forward(self, *x: torch.Tensor) -> Any:
        return self.run(*(t * self.scale for t in x))


IMAGE = {1: (2, 4, 20), 2: (2, 4, 9, 8), 3: (2, 4, 7, 6, 8)}
CASES: list[tuple[str, Any, tuple[tuple[int, ...], ...]]] = [
    *((f"conv {rank}d {options}", getattr(nn, f"Conv{rank}d")(4, 8, 3, **options), (IMAGE[rank],))
      for rank in IMAGE for options in ({"dilation": 2}, {"groups": 2, "stride": 2}, {"groups": 4, "padding": 1})),
    *((f"transposed {rank}d {options}", getattr(nn, f"ConvTranspose{rank}d")(4, 8, 3, **options), (IMAGE[rank],))
      for rank in IMAGE for options in ({"dilation": 2}, {"groups": 2, "stride": 2}, {"groups": 4})),
    *((f"einsum {equation}", lambda *x, e=equation: torch.einsum(e, *x), shapes) for equation, shapes in [
        ("bij,bjk->bik", ((2, 3, 4), (2, 4, 5))), ("ij,jk,kl->il", ((3, 4), (4, 5), (5, 6))),
        ("bi,oij,bj->bo", ((2, 4), (6, 4, 5), (2, 5))), ("i,j->ij", ((4,), (5,))),
        ("bhqd,bhkd,h->bqk", ((2, 3, 4, 5), (2, 3, 6, 5), (3,))),
    ]),
    *((f"attention {name}", lambda *x, o=options: F.scaled_dot_product_attention(*x, **o), shapes)
      for name, options, shapes in [
        ("fused", {}, ((2, 3, 8, 16), (2, 3, 10, 16), (2, 3, 10, 16))),
        ("causal", {"is_causal": True}, ((2, 4, 8, 16),) * 3),
        ("grouped", {"enable_gqa": True}, ((2, 4, 8, 16), (2, 2, 8, 16), (2, 2, 8, 16))),
        ("of three axes", {}, ((2, 8, 16), (2, 10, 16), (2, 10, 16))),
        ("unlike widths", {}, ((2, 3, 8, 16), (2, 3, 10, 16), (2, 3, 10, 12))),
    ]),
    ("heads", nn.MultiheadAttention(16, 4, kdim=12, vdim=10, batch_first=True), ((2, 8, 16), (2, 6, 12), (2, 6, 10))),
    *((f"{kind.__name__} {options}", kind(5, 7, **options), ((4, 3, 5),)) for kind in (nn.LSTM, nn.GRU, nn.RNN)
      for options in ({}, {"num_layers": 2, "bidirectional": True, "batch_first": True}, {"bias": False})),
    ("cells", nn.GRUCell(5, 7), ((3, 5),)),
    ("stack and matrix", torch.matmul, ((2, 5, 4), (4, 3))),
    ("chain", lambda a, b, c: linalg.multi_dot([a, b, c]), ((5, 3), (3, 4), (4, 6))),
]  # fmt: skip


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize(("name", "layer", "shapes"), CASES, ids=[name for name, *_ in CASES])
def test_gradients_multiply_as_what_pytorch_runs(
    name: str, layer: Any, shapes: tuple[tuple[int, ...], ...], behind: bool
) -> None:
    """Its inputs are the model's, which need no gradient, or stand behind something that is trained."""
    if not behind and not isinstance(layer, nn.Module):
        return  # nothing of it is trained
    model = Behind(layer) if behind else layer
    found = costcalc.training(model, *shapes)
    assert found.unknown == ()
    assert (found.forward_macs, found.backward_macs) == counted(model, *map(torch.rand, shapes))


def run_in_kernels(loss: torch.Tensor) -> dict[str, list[list[list[int]]]]:
    """The products and solvers of a backward pass, those that kernels call too, with the shapes that they are given."""
    cpu = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=cpu, record_shapes=True) as profile:
        loss.backward()
    found: dict[str, list[list[list[int]]]] = {}
    for event in profile.events():
        found.setdefault(event.name.removeprefix("aten::"), []).append([list(s) for s in event.input_shapes])
    return found


def in_kernels(loss: torch.Tensor) -> int:
    """MACs of a backward pass: products, and substitution in triangles, n(n - 1) / 2 for each right side."""
    ran = run_in_kernels(loss)
    macs = sum(prod(s[0]) * s[1][-1] for name in ("mm", "bmm") for s in ran.get(name, ()))
    for name, triangles, sides in (
        ("linalg_solve_triangular", 1, 1),
        ("linalg_lu_solve", 2, 2),
        ("cholesky_solve", 2, 0),
    ):
        for shapes in ran.get(name, ()):
            *stack, n, columns = shapes[sides]
            macs += prod(stack) * columns * triangles * n * (n - 1) // 2
    return macs


MATRICES: list[tuple[str, Any, tuple[tuple[int, ...], ...]]] = [
    ("inverse", linalg.inv, ((2, 5, 5),)),
    ("determinant", linalg.det, ((2, 5, 5),)),
    ("logarithm", lambda a: linalg.slogdet(a)[1], ((3, 4, 4),)),
    ("solve", linalg.solve, ((2, 5, 5), (2, 5, 3))),
    ("triangular", lambda a, b: linalg.solve_triangular(a, b, upper=True), ((2, 5, 5), (2, 5, 3))),
    ("cholesky", linalg.cholesky, ((2, 5, 5),)),
    ("cholesky inverse", torch.cholesky_inverse, ((4, 4),)),
    ("cholesky solve", lambda a, b: torch.cholesky_solve(b, a), ((2, 5, 5), (2, 5, 3))),
    ("distances", torch.cdist, ((30, 4), (40, 4))),
    ("bilinear", nn.Bilinear(4, 5, 6), ((3, 4), (3, 5))),
]


@pytest.mark.parametrize(("name", "run", "shapes"), MATRICES, ids=[name for name, *_ in MATRICES])
def test_gradients_within_kernels_multiply_as_what_pytorch_runs(
    name: str, run: Any, shapes: tuple[tuple[int, ...], ...]
) -> None:
    """As the profiler sees it, which also sees what a kernel calls."""
    inputs = [torch.rand(shape) for shape in shapes]
    if shapes[0][-1] == shapes[0][-2]:
        inputs[0] = inputs[0] @ inputs[0].mT + 5 * torch.eye(shapes[0][-1])
    found = costcalc.training(Behind(run), *shapes)
    assert found.unknown == ()
    ran = in_kernels(Behind(run)(*inputs).sum())
    # The sum over outputs of a bilinear layer adds up element by element.
    assert found.backward_macs == ran + (3 * 6 * 5 if name == "bilinear" else 0)


@pytest.mark.parametrize("name", ["svd", "qr", "eigh", "lu_factor", "pinv"])
def test_gradients_of_other_decompositions_are_said_not_to_be_known(name: str) -> None:
    class Decomposes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, x: torch.Tensor) -> Any:
            made = getattr(linalg, name)(x * self.scale)
            return made[0] if isinstance(made, tuple) else made

    b = costcalc.trace(Decomposes(), (4, 4))
    found = costcalc.training(b)
    assert found.unknown
    assert "backward_macs" in found.lower_bounds
