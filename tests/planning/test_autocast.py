"""Training in a narrower type, against real runs of PyTorch under autocast on the CPU."""

from __future__ import annotations

import gc
import itertools
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

import costcalc
from costcalc.backends.module import to_module
from costcalc.errors import CostcalcError
from costcalc.ir.fields import ints
from costcalc.ir.graph import GraphBuilder, Node
from costcalc.ir.op import Op, all_ops, find_op
from costcalc.ir.tensor import FLOATING_BITS, TensorType
from costcalc.models import load
from costcalc.planning import autocast
from costcalc.planning.autocast_operators import FLOAT32, NARROWER, WIDEST
from tests.planning.live import Live
from tests.planning.saved import alike, bytes_kept, kept, prepared, told

OTHER_CODE = {"weight_norm", "roi_align", "roi_pool", "deform_conv"}
"""Ops whose modules here are written in other operators than PyTorch's own."""


def in_type(t: TensorType, dtype: str) -> TensorType:
    return t._replace(dtype=dtype) if t.dtype in FLOATING_BITS else t


def by_rule(op: Op, types: Sequence[TensorType], wanted: tuple[bool, ...], trained: bool, narrower: str) -> Any:
    """What autocast keeps of a layer, by its rule, in the words of ``saved.told``; None where there is no rule."""
    target = autocast.wanted_type(op, types, narrower)
    node = Node("layer", op, tuple(f"x{i}" for i in range(len(types))), ("layer",))
    stored = node.stored(op.weights(*(in_type(t, "float32") for t in types)))
    wide = target == "float32"
    cast = [in_type(t, target) if target and not (wide and FLOATING_BITS.get(t.dtype, 0) > 32) else t for t in types]
    y = op.infer(*cast)
    if op.under_autocast.widens:
        y = in_type(y, "float32")
    first = y if isinstance(y, TensorType) else y[0]
    saves = op.saves(*cast, y=first, trained=trained, wanted=wanted)
    saves = saves and autocast.kept(node, saves, cast, stored)
    if saves is None or saves.least:
        return None, y
    found = Counter(told(saves))
    for i, (before, after) in enumerate(zip(types, cast, strict=True)):
        if before != after and found.pop(("input", i), 0):
            found[int(after.bits()) // 8] += 1  # type: ignore[arg-type]
    for one in autocast.weight_casts(node, stored, cast, narrower, wanted):
        if one.kept:
            found[one.bytes] += 1
    return found, y


def both(op: Op, types: Sequence[TensorType], wanted: Sequence[bool], trained: bool, narrower: str) -> Any:
    """What is kept in a real run and by the rule, and the types that both make; None where nothing has a gradient."""
    made_ready = prepared(op, types, wanted, trained)
    if made_ready is None:
        return None
    module, inputs, needed, weights = made_ready
    rule, y = by_rule(op, types, needed, weights, narrower)
    with torch.autocast("cpu", dtype=getattr(torch, narrower)):
        made, found = kept(module, inputs)
    if not any(t.requires_grad for t in made):
        return None
    ours = [t.dtype for t in ((y,) if isinstance(y, TensorType) else y)]
    return found, rule, [str(t.dtype)[6:] for t in made], ours


def sweep(narrower: str, *, first: bool) -> tuple[int, list[Any], set[str]]:
    """How many layers were tried, those of which the rule is wrong, and the ops without one.

    first   of each op its first example alone, all of whose gradients are wanted
    """
    torch.manual_seed(0)
    warnings.simplefilter("ignore")
    wrong, without, tried = [], set(), 0
    ways = [(True, True)] if first else [(a, b) for a in (True, False) for b in (True, False)]
    for name, op in all_ops().items():
        for number, (one, *types) in enumerate(op.examples()):
            if name in OTHER_CODE or any(t.dtype == "float64" or t.size > 1 << 16 for t in types) or number * first:
                continue
            for given, (trained, several) in itertools.product(("float32", narrower), ways):
                wanted = [several or i == 0 for i in range(len(types))]
                try:
                    found = both(one, [in_type(t, given) for t in types], wanted, trained, narrower)
                except (NotImplementedError, RuntimeError, TypeError, ValueError):
                    continue  # PyTorch does not take it
                if found is None:
                    continue
                real, rule, made, ours = found
                if rule is None:
                    without.add(name)
                    continue
                tried += 1
                if not alike(real, rule) or made[: len(ours)] != ours[: len(made)]:
                    wrong.append((str(one), list(map(str, types)), given, trained, wanted, real, rule, made, ours))
    return tried, wrong, without


def test_every_op_keeps_what_the_hooks_see_under_autocast() -> None:
    tried, wrong, without = sweep("bfloat16", first=True)
    assert tried > 150
    assert wrong == []
    unknown = {name for name, op in all_ops().items() if not op.under_autocast.is_known}
    assert without <= unknown | {"scatter", "gather", "elementwise", "conv_weight_gradient", "frexp"}


@pytest.mark.long
@pytest.mark.parametrize("narrower", ["bfloat16", "float16"])
def test_all_examples_of_ops_keep_what_the_hooks_see_under_autocast(narrower: str) -> None:
    tried, wrong, _ = sweep(narrower, first=False)
    assert tried > 1500
    assert wrong == []


def test_the_lists_are_those_of_this_torch() -> None:
    """Each operator that has a rule of autocast on the CPU is in one list, or is made of others that are."""
    known = {
        name.removeprefix("aten::").partition(".")[0]
        for name in torch._C._dispatch_get_all_op_names()
        if name.startswith("aten::") and torch._C._dispatch_has_kernel_for_dispatch_key(name, "AutocastCPU")
    }
    ours = NARROWER | FLOAT32 | WIDEST
    assert ours - known == {"convolution"}  # of which PyTorch has the old name alone
    private = {name for name in known if name.startswith("_")}
    linear_algebra = {name for name in known if name.startswith("linalg_")} - ours
    words = "geqrf inverse lu_solve orgqr ormqr pinverse qr svd triangular_solve multilabel_margin_loss_forward"
    others = {*words.split(), "cholesky", "cholesky_inverse", "cholesky_solve"}
    assert known - ours - private - linear_algebra - others == {"fake_quantize_per_tensor_affine", "mkldnn_rnn_layer"}


def real_step(model: nn.Module, dtype: torch.dtype, *inputs: torch.Tensor) -> tuple[int, int]:
    """What a real step keeps for its backward pass, and the most that it holds."""
    model.zero_grad()

    def forward() -> Any:
        with torch.autocast("cpu", dtype=dtype):
            result = model(*inputs)
            return result, result.float().sum()

    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        with bytes_kept(model) as seen:
            made = forward()
        most_kept = sum(seen.values())
        del made
        gc.collect()
        with Live((*model.parameters(), *model.buffers(), *inputs)) as mode:
            made = forward()
            made[1].backward()
    return most_kept, mode.most


class Shared(nn.Module):
    """A weight that is used twice, a frozen one, and a sum of types."""

    def __init__(self) -> None:
        super().__init__()
        self.once, self.frozen, self.norm = nn.Linear(32, 32), nn.Linear(32, 32), nn.LayerNorm(32)
        self.frozen.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> Any:
        x = self.norm(self.once(x)) + x
        return self.once(F.gelu(self.frozen(x))) * 2


def networks() -> list[tuple[str, nn.Module, tuple[int, ...]]]:
    example = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 64), nn.LayerNorm(64))
    conv = nn.Sequential(
        nn.Conv2d(3, 16, 3, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 32, 3, 2), nn.MaxPool2d(2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
    )  # fmt: skip
    return [("example", example, (32, 64)), ("conv", conv, (4, 3, 32, 32)), ("shared", Shared(), (8, 32))]


@pytest.mark.parametrize("narrower", ["bfloat16", "float16"])
@pytest.mark.parametrize(("name", "model", "shape"), networks(), ids=[name for name, *_ in networks()])
def test_a_step_holds_what_a_real_one_does(name: str, model: nn.Module, shape: tuple[int, ...], narrower: str) -> None:
    kept_bytes, peak = real_step(model, getattr(torch, narrower), torch.rand(shape))
    traced = costcalc.training(model, shape, autocast=narrower)
    ruled = costcalc.training(costcalc.trace(model, shape), autocast=narrower)
    assert (traced.saved_bytes, traced.peak_bytes) == (kept_bytes, peak)
    assert (ruled.saved_bytes, ruled.peak_bytes) == (kept_bytes, peak)


@pytest.mark.parametrize("name", ["lenet5", "squeezenet1_1"])
def test_a_spec_holds_what_its_layers_do(name: str) -> None:
    graph = load(name, batch=2)
    kept_bytes, peak = real_step(
        to_module(graph).train(), torch.bfloat16, *(torch.rand(ints(graph.types[v].shape)) for v in graph.inputs)
    )
    found = costcalc.training(graph, autocast="bfloat16")
    assert (found.saved_bytes, found.peak_bytes) == (kept_bytes, peak)
    assert found.to_dict()["autocast"] == "bfloat16"


def test_the_example_that_was_measured() -> None:
    """Linear(64, 256), ReLU, Linear(256, 64), LayerNorm of 32×64: 57,600 bytes, in float32 49,408."""
    model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 64), nn.LayerNorm(64))
    assert costcalc.training(model, (32, 64)).saved_bytes == 49_408
    assert costcalc.training(model, (32, 64), autocast="bfloat16").saved_bytes == 57_600


def test_what_is_not_told_is_said() -> None:
    with pytest.raises(CostcalcError, match="no autocast to 'fp16'; there are bfloat16"):
        costcalc.training("lenet5", autocast="fp16")
    b = GraphBuilder("recurrent", {"x": TensorType((2, 5, 4))})
    (y, *_) = b.add("gru", find_op("gru")(3), ["x"])
    assert costcalc.training(b.build([y])).untold == ()
    assert costcalc.training(b.build([y]), autocast="bfloat16").untold == ("gru",)
