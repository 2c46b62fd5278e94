"""Where a resize looks and what it makes, against PyTorch's own sizes and gradients."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.nn.functional import interpolate

from costcalc import analyze
from costcalc.errors import CostcalcError
from costcalc.frontends.spec.write import write
from costcalc.frontends.torch.tracer import trace
from costcalc.ir.dims import scaled
from costcalc.ir.index_map import AxisMap
from costcalc.ir.tensor import TensorType
from costcalc.models import load
from costcalc.ops import interpolation
from costcalc.ops.interpolation import Resize
from costcalc.ops.resample import Upsample
from costcalc.verification import verify


def test_sizes_are_those_of_pytorch_at_every_tenth_and_hundredth() -> None:
    x = {size: torch.empty(1, 1, size, device="meta") for size in range(1, 100)}
    factors = [k / 10 for k in range(1, 41)] + [k / 100 for k in range(3, 300, 4)]
    pairs = [(size, f) for size in x for f in factors if size * f >= 1.01]
    wrong = [(s, f) for s, f in pairs if scaled(s, f) != interpolate(x[s], scale_factor=f).shape[2]]
    assert len(pairs) > 9_000 and not wrong


def test_90_times_seven_tenths_is_62() -> None:
    # torch.nn.functional.interpolate(torch.empty(1, 1, 90), scale_factor=0.7).shape[2]
    assert Upsample(0.7).infer(TensorType((1, 1, 90))).spatial == (62,)


@pytest.mark.parametrize(("mode", "taps"), [("bilinear", 8), ("bicubic", 16), ("lanczos", 24)])
def test_an_antialiased_kernel_grows_with_the_step(mode: str, taps: int) -> None:
    x = TensorType((1, 2, 64, 64))
    op = Upsample(0.25, mode=mode, antialias=True)
    (index_map,) = op.index_maps(x, y=op.infer(x))
    axis_map = index_map[2]  # type: ignore[index]
    assert isinstance(axis_map, AxisMap) and axis_map.window.size == taps


def test_ops_of_an_antialiased_resize_are_the_products_of_two_passes() -> None:
    # Columns first: 16 rows to 4 columns each, then 4 × 4. By a quarter an inner place weighs 8, the first and the
    # last 6: 2·(6 + 8 + 8 + 6) − 4 = 52 for a row of 4.
    x = TensorType((1, 1, 16, 16))
    op = Upsample(0.25, mode="bilinear", antialias=True)
    assert op.ops(x, y=op.infer(x)) == 16 * 52 + 4 * 52


CASES = 250


def cases(count: int, seed: int) -> Iterator[tuple[Upsample, TensorType, Any]]:
    chance = random.Random(seed)
    modes = ("nearest", "nearest-exact", "linear", "bilinear", "bicubic", "antialiased bilinear", "antialiased bicubic")
    for _ in range(count):
        mode, size = chance.choice(modes), chance.randint(1, 66)
        flat = 2 if mode in ("nearest", "nearest-exact", "linear") else None
        factor: Any = chance.choice([0.5, 2, 1.5, 1 / 3, round(chance.uniform(0.2, 3), chance.randint(1, 3))])
        options: dict[str, Any] = {"mode": mode.removeprefix("antialiased "), "antialias": mode[:4] == "anti"}
        if "linear" in mode or "cubic" in mode:
            options["align_corners"] = chance.random() < 0.3
        if chance.random() < 0.4 or size * factor < 1:
            options["size"] = chance.randint(1, 66) if flat else (1, chance.randint(1, 66))
        else:
            options["scale"] = factor if flat else (1, factor)
            options["recompute_scale_factor"] = chance.random() < 0.3
        dtype = chance.choice(("float32", "float32", "float64"))
        yield Upsample(**options), TensorType((1, 1, size) if flat else (1, 1, 1, size), dtype), mode


def seen(op: Upsample, x: TensorType) -> list[list[int]]:
    """For each output along the last axis the inputs whose gradient is not 0."""
    image = torch.rand(x.shape, dtype=getattr(torch, x.dtype), requires_grad=True)  # type: ignore[call-overload]
    made = op.to_torch(x)(image)
    assert tuple(made.shape) == op.infer(x).shape
    found = []
    for output in made.flatten():
        (gradient,) = torch.autograd.grad(output, image, retain_graph=True)
        found.append(gradient.flatten().nonzero().flatten().tolist())
    return found


def outside(count: int, seed: int) -> tuple[list[Any], list[Any]]:
    """The cases in which a gradient lies outside of the window, and in which no output reaches an end of it."""
    beyond, loose = [], []
    for op, x, mode in cases(count, seed):
        (index_map,) = op.index_maps(x, y=op.infer(x))
        window = index_map[-1].window  # type: ignore[index,union-attr]
        places = seen(op, x)
        if any(p and (p[0] < window.stride * o + window.lo or p[-1] > window.stride * o + window.hi)
               for o, p in enumerate(places)):  # fmt: skip
            beyond.append((mode, op, x))
        inner = [(o, p) for o, p in enumerate(places) if p and p[0] > 0 and p[-1] < x.shape[-1] - 1]  # type: ignore[operator]
        if inner and len(inner) == len(places) and not any(p[0] == window.stride * o + window.lo for o, p in inner):
            loose.append((mode, op, x))
    return beyond, loose


def test_autograd_looks_where_we_say() -> None:
    beyond, loose = outside(CASES, 1)
    # At a place that rounding alone puts beside an element, PyTorch's forward and backward kernels may disagree.
    assert len(beyond) <= CASES // 200, beyond
    assert len(loose) <= CASES // 200, loose


@pytest.mark.long
def test_autograd_looks_where_we_say_in_thousands_of_cases() -> None:
    beyond, loose = outside(20 * CASES, 2)
    assert len(beyond) + len(loose) <= 20 * CASES // 400, (beyond, loose)


@pytest.mark.parametrize("taps", [2, 4])
def test_the_terms_of_a_kernel_are_the_elements_that_it_weighs(taps: int) -> None:
    # By an even step no weight is 0, so that autograd finds each.
    mode = {2: "bilinear", 4: "bicubic"}[taps]
    for size, factor in ((64, 0.25), (48, 0.125), (32, 0.5)):
        x = TensorType((1, 1, 1, size))
        found = seen(Upsample((1, factor), mode=mode, antialias=True), x)
        assert interpolation.terms(Resize(size, len(found), taps, factor, antialias=True)) == sum(map(len, found))


class Net(torch.nn.Module):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.stem, self.options = torch.nn.Conv2d(3, 4, 3, padding=1), options

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return interpolate(self.stem(x), **self.options)


@pytest.mark.parametrize("size", [61, 64, 65, 66, 90])
@pytest.mark.parametrize(
    "options",
    [
        {"scale_factor": 0.7, "mode": "bilinear"},
        {"scale_factor": 0.6},
        {"scale_factor": (1.5, 0.7), "mode": "bicubic"},
        {"scale_factor": 0.3, "mode": "bilinear", "antialias": True},
        {"scale_factor": 0.7, "mode": "bilinear", "recompute_scale_factor": True},
        {"scale_factor": 1.3, "mode": "bilinear", "align_corners": True},
        {"scale_factor": 0.7, "mode": "nearest-exact"},
        {"size": (20, 50), "mode": "bicubic", "antialias": True},
    ],
)
def test_a_trace_written_as_a_spec_resizes_alike(size: int, options: dict[str, Any], tmp_path: Any) -> None:
    graph = trace(Net(**options), (1, 3, size, size))
    (tmp_path / "net.yaml").write_text(write(graph), encoding="utf-8")
    ours, again = analyze(graph), analyze(load(str(tmp_path / "net.yaml")))
    assert [(r.ops, r.output_shapes, r.receptive_field) for r in ours.layers] == [
        (r.ops, r.output_shapes, r.receptive_field) for r in again.layers
    ]
    assert ours.layers[-1].options["antialias"] == options.get("antialias", False)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Upsample(2, antialias=True), "upsample: antialias=True is for mode bicubic, bilinear, lanczos, not "),
        (lambda: Upsample(2, mode="lanczos"), "upsample: antialias=True is what mode='lanczos' needs"),
        (lambda: Upsample(size=2, recompute_scale_factor=True), "upsample: recompute_scale_factor needs a scale, and "),
    ],
)
def test_options_that_contradict_each_other_are_said(make: Any, sentence: str) -> None:
    with pytest.raises(CostcalcError) as caught:
        make()
    assert str(caught.value).startswith(sentence)


def test_a_place_that_rounding_puts_beside_a_pixel_sees_the_next_one_too() -> None:
    """By ⅓ in single precision output 1 stands at ⅓·1½ − ½: at 0 if each step is rounded, at 1.5·10⁻⁸ where a processor
    rounds once, as PyTorch's kernels do where they can. There the next pixel has a weight, and a gradient."""
    assert interpolation.spans(Resize(5, 15, 2, 3.0))[:4] == ((0, 0), (0, 1), (0, 1), (0, 1))
    module = torch.nn.Sequential(
        torch.nn.Upsample(scale_factor=3.0, mode="linear"), torch.nn.Conv1d(1, 1, 3, padding=1)
    )
    assert verify(trace(module, (1, 1, 7)), module).exit_code == 0
