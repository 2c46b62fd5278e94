"""On random layers PyTorch refuses what we refuse, makes the shapes and weights that we say, and counts the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy
from strategies import RANDOM, Layer
from torch.utils.flop_counter import FlopCounterMode

from costcalc.ir.index_map import AxisMap
from costcalc.ir.op import Op
from costcalc.verification.loops import LoopNest

QUIET = pytest.mark.filterwarnings("ignore")  # PyTorch warns of odd but legal layers
Check = Callable[[Layer], str]


def tried(strategy: SearchStrategy[Layer], check: Check, examples: int, fresh: bool) -> Counter[str]:
    """How often ``check`` gave each of its answers, over ``examples`` random layers."""
    seen: Counter[str] = Counter()

    @settings(
        max_examples=examples, database=None, derandomize=not fresh,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategy)
    def run(layer: Layer) -> None:
        seen[check(layer)] += 1

    run()
    return seen


def made_by_torch(layer: Layer) -> tuple[Any, list[Any]] | None:
    """PyTorch's module and its outputs on real numbers; None where it refuses the layer."""
    try:
        module = layer.twin().eval()
        y = module(torch.zeros(layer.shape))
    except (RuntimeError, ValueError, NotImplementedError):
        return None
    ys = [y] if torch.is_tensor(y) else list(y)
    # ConvTranspose3d alone would give a map without places; we refuse that.
    return (module, ys) if all(y.numel() for y in ys) else None


def outputs(op: Op, layer: Layer) -> list[Any]:
    made = op.infer(layer.type)
    return list(made) if isinstance(made[0], type(layer.type)) else [made]


def beyond_input(layer: Layer) -> bool:
    """Whether a kernel is larger than the input without its padding; AvgPool3d alone refuses that."""
    kernel = layer.options["kernel"]
    sizes = layer.shape[2:]
    return any(k > size for k, size in zip(kernel if isinstance(kernel, tuple) else [kernel] * 3, sizes, strict=True))


def agrees(layer: Layer) -> str:
    """Refused by both, or the same shapes, weights and work."""
    if layer.module == "AvgPool3d" and beyond_input(layer):
        return "passed over"
    op, made = layer.accepted(), made_by_torch(layer)
    assert (op is None) == (made is None), f"{layer}: ours {op}, PyTorch {'refuses' if made is None else 'accepts'}"
    if op is None or made is None:
        return "refused"
    module, ys = made
    assert [t.shape for t in outputs(op, layer)] == [tuple(y.shape) for y in ys], layer
    ours = {name: w.type.shape for name, w in op.weights(layer.type).items()}
    assert ours == {name: tuple(p.shape) for name, p in module.named_parameters()}, layer
    assert 2 * op.macs(layer.type, y=outputs(op, layer)[0]) == flops_on_meta(layer), layer
    return "accepted"


def flops_on_meta(layer: Layer) -> int:
    """What PyTorch's own counter sees, two per MAC, with nothing allocated."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        layer.twin().eval()(torch.empty(layer.shape))
    return int(counter.get_total_flops())


def agrees_with_fvcore(layer: Layer) -> str:
    """The same MACs as fvcore counts for the convs of the layer, where they can be built."""
    from fvcore.nn import FlopCountAnalysis

    op = layer.accepted()
    if op is None or isinstance(layer.options.get("padding"), str):  # fvcore counts 0 for 'same' and 'valid'
        return "passed over"
    analysis = FlopCountAnalysis(layer.twin().eval(), torch.zeros(layer.shape))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
    assert op.macs(layer.type, y=outputs(op, layer)[0]) == analysis.by_operator()["conv"], layer
    return "compared"


def agrees_with_loops(layer: Layer) -> str:
    """The equation, run on random numbers, gives PyTorch's, and turns once per MAC."""
    op = layer.accepted()
    if op is None or op.computes == "" or op.name == "avg_pool":
        return "passed over"
    loops = LoopNest(op, layer.type)
    if len(loops) > 5_000:
        return "passed over"
    module = op.to_torch(layer.type).double().eval()
    x = torch.randint(-8, 9, layer.shape).double()
    with torch.no_grad():
        for name, weight in module.named_parameters():
            weight.copy_(torch.randint(-4, 5, weight.shape) if name in loops.shapes else 0)
    y = module(x)
    y = y if torch.is_tensor(y) else y[0]
    expected = torch.zeros(y.shape, dtype=y.dtype)
    for place, value in loops.run({"x": x} | dict(module.named_parameters())).items():
        expected[place] = value

    assert torch.equal(y, expected), layer
    assert sees_what_loops_touch(op, layer, loops), layer
    assert op.macs(layer.type, y=outputs(op, layer)[0]) in (0, len(loops)), layer
    return "compared"


def sees_what_loops_touch(op: Op, layer: Layer, loops: LoopNest) -> bool:
    """Whether all that an output reads lies in its window, and whole strides reach both ends of it."""
    (index_map,) = op.index_maps(layer.type, y=outputs(op, layer)[0])
    position = next(i for i, operand in enumerate(loops.operands) if operand.name == "x")
    read = [(positions[0], positions[position]) for positions in loops.positions()]
    for axis, axis_map in enumerate(index_map):
        if isinstance(axis_map, AxisMap):
            stride, lo, hi = axis_map.window
            gaps = {source[axis_map.axis] - stride * made[axis] for made, source in read}
            if not lo <= min(gaps) <= max(gaps) <= hi or (
                stride.denominator == 1 and (min(gaps), max(gaps)) != (lo, hi)
            ):
                return False
    return True


@QUIET
@pytest.mark.parametrize("family", RANDOM)
def test_pytorch_agrees_on_random_layers(family: str) -> None:
    seen = tried(RANDOM[family], agrees, 80, fresh=False)

    assert seen["accepted"] > 20


@QUIET
@pytest.mark.parametrize("family", ["conv", "conv_transpose"])
def test_fvcore_agrees_on_random_convolutions(family: str) -> None:
    assert tried(RANDOM[family], agrees_with_fvcore, 40, fresh=False)["compared"] > 10


@QUIET
@pytest.mark.parametrize("family", ["conv", "conv_transpose", "max_pool", "shuffle"])
def test_loops_agree_on_random_layers(family: str) -> None:
    assert tried(RANDOM[family], agrees_with_loops, 25, fresh=False)["compared"] > 5


@pytest.mark.long
@QUIET
@pytest.mark.parametrize("family", RANDOM)
def test_pytorch_agrees_on_many_random_layers(family: str, capsys: pytest.CaptureFixture[str]) -> None:
    seen = tried(RANDOM[family], agrees, 5000, fresh=True)

    with capsys.disabled():
        print(
            f"\n{family}: {seen['accepted']} random layers accepted and {seen['refused']} refused by both, 0 mismatches"
        )


@pytest.mark.long
@QUIET
@pytest.mark.parametrize("family", ["conv", "conv_transpose"])
def test_fvcore_agrees_on_many_random_convolutions(family: str, capsys: pytest.CaptureFixture[str]) -> None:
    seen = tried(RANDOM[family], agrees_with_fvcore, 2000, fresh=True)

    with capsys.disabled():
        print(f"\n{family}: {seen['compared']} random layers compared with fvcore, 0 mismatches")


@pytest.mark.long
@QUIET
@pytest.mark.parametrize("family", ["conv", "conv_transpose", "max_pool", "shuffle"])
def test_loops_agree_on_many_random_layers(family: str, capsys: pytest.CaptureFixture[str]) -> None:
    seen = tried(RANDOM[family], agrees_with_loops, 1000, fresh=True)

    with capsys.disabled():
        print(f"\n{family}: {seen['compared']} random layers compared with loops, 0 mismatches")
