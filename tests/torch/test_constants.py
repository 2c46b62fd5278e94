"""The elements of constants: a spec that a trace is written as is the same function, or says that it cannot be run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from costcalc.analysis.report import report
from costcalc.backends.module import to_module
from costcalc.errors import CostcalcError
from costcalc.frontends.spec.write import write
from costcalc.frontends.torch.tracer import trace
from costcalc.models import load

SIZE = (1, 3, 4, 5)


class Net(nn.Module):
    def __init__(self, run: Callable[[Tensor], Tensor | None]) -> None:
        super().__init__()
        self.run = run

    def forward(self, x: Tensor) -> Tensor:
        y = x.clone()
        made = self.run(y)
        return y if made is None else made


def put(location: object, value: object) -> Callable[[Tensor], None]:
    return lambda y: y.__setitem__(location, value)


def done(_: Tensor) -> None:
    """A write in place returns nothing."""


def mask(y: Tensor) -> Tensor:
    m = torch.zeros(4, 5, device=y.device)
    m[1:3, 1:3] = 1
    return y * m


def canvas(y: Tensor) -> Tensor:
    c = torch.full((1, 3, 6, 7), 2.0)
    c[:, :, 1:5, 1:6] = y
    return c


def part(y: Tensor) -> None:
    y.transpose(1, 2)[:, 0] = 4


CASES: dict[str, Callable[[Tensor], Tensor | None]] = {
    "0": put((slice(None), 0), 0),
    "5": put((slice(None), 0), 5),
    "-1.5, every other": put((..., slice(None, None, 2)), -1.5),
    "a number in a tensor": put((slice(None), 0), torch.tensor(2.5)),
    "a row": put((slice(None), slice(None), 0, slice(2)), torch.tensor([1.0, 2.0])),
    "at places": put((slice(None), [0, 2]), 6.0),
    "behind a mask": put((slice(None), torch.tensor([True, False, True])), 6.0),
    "fill_": lambda y: done(y[:, 0].fill_(3)),
    "zero_": lambda y: done(y[:, 1].zero_()),
    "through a view": part,
    "full": lambda y: y + torch.full(SIZE, 7.0),
    "new_full": lambda y: y.new_full(SIZE, 1.25) + y,
    "ones": lambda y: y + torch.ones_like(y),
    "arange": lambda y: y + torch.arange(5.0),
    "arange beside the input": lambda y: y + torch.arange(5.0, device=y.device),
    "linspace": lambda y: y * torch.linspace(0, 1, 5),
    "eye": lambda y: y @ torch.eye(5, device=y.device),
    "tril": lambda y: y * torch.tril(torch.ones(4, 5)),
    "a table": lambda y: y * torch.tensor([1.0, 2.0, 3.0])[:, None, None],
    "select_scatter": lambda y: torch.select_scatter(y, torch.full((1, 4, 5), 8.0), 1, 1),
    "a mask that is written": mask,
    "a canvas that is full of something": canvas,
    "with what the input says": lambda y: done(y[:, 0].fill_(y.mean())),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_spec_of_a_trace_is_the_same_function(case: str, tmp_path: Path) -> None:
    module, x = Net(CASES[case]), torch.rand(SIZE)
    path = tmp_path / "net.yaml"
    path.write_text(write(trace(module, SIZE)), encoding="utf-8")
    assert torch.allclose(to_module(load(path))(x), module(x), rtol=1e-4)


BESIDE: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "x + 3": (lambda y: y + 3, "add', numbers=3"),
    "3 - x": (lambda y: 3 - y, "rsub', numbers=3"),
    "x * 0.5": (lambda y: y * 0.5, "multiply', numbers=0.5"),
    "x / 2": (lambda y: y / 2, "divide', numbers=2"),
    "2 / x": (lambda y: 2 / y, "multiply', numbers=2"),
    "x ** 2": (lambda y: y**2, "pow', numbers=2"),
    "2 ** x": (lambda y: 2**y, "pow', numbers=2, numbers_first=True"),
    "x ** -0.5": (lambda y: y**-0.5, "pow', numbers=-0.5"),
    "a multiple is added": (lambda y: torch.add(y, y.flip(1), alpha=2), "add', times=2, numbers=2"),
    "a multiple of a number": (lambda y: torch.add(y, 3, alpha=2), "add', times=2, numbers=(3, 2)"),
    "a multiple is taken": (lambda y: torch.rsub(y, 3, alpha=2), "rsub', numbers=(3, 2)"),
    "x // 0.3": (lambda y: y // 0.3, "floor_divide', numbers=0.3"),
    "x % 0.3": (lambda y: y % 0.3, "remainder', numbers=0.3"),
    "rounded down": (lambda y: torch.div(y, 0.3, rounding_mode="floor"), "floor_divide', numbers=0.3"),
    "two bounds": (lambda y: y.clamp(0.2, 0.6), "clamp', numbers=(0.2, 0.6)"),
    "the same two": (lambda y: y.clamp(0.5, 0.5), "clamp', numbers=(0.5, 0.5)"),
    "a lower bound": (lambda y: y.clamp(min=0.2), "clamp_min', numbers=0.2"),
    "an upper bound": (lambda y: torch.clip(y, max=0.6), "clamp_max', numbers=0.6"),
    "threshold": (lambda y: nn.functional.threshold(y, 0.3, 0.1), "threshold', numbers=(0.3, 0.1)"),
    "masked_fill": (lambda y: y.masked_fill(y > 0.5, 0.25), "masked_fill', numbers=0.25"),
    "where, the other a number": (lambda y: torch.where(y > 0.5, y, 0.0), "where', numbers=0.0"),
    "where, the first a number": (lambda y: torch.where(y > 0.5, 0.0, y), "where', numbers=0.0, numbers_first=True"),
    "where, both numbers": (lambda y: torch.where(y > 0.5, 1.0, 0.0), "where', dtype='float32', numbers=(1.0, 0.0)"),
    "lerp": (lambda y: torch.lerp(y, y.flip(1), 0.3), "lerp', numbers=0.3"),
    "addcmul": (lambda y: torch.addcmul(y, y, y, value=0.3), "addcmul', numbers=0.3"),
    "addcmul of one": (lambda y: torch.addcmul(y, y, y), "elementwise('addcmul')"),
    "addcdiv": (lambda y: torch.addcdiv(y, y, y + 1, value=0.3), "addcdiv', numbers=0.3"),
    "hardshrink": (lambda y: nn.functional.hardshrink(y, 0.3), "hardshrink', numbers=0.3"),
    "softshrink": (lambda y: nn.functional.softshrink(y, 0.3), "softshrink', numbers=0.3"),
    "logit": (lambda y: torch.logit(y, 0.01), "logit', numbers=0.01"),
    "one decimal": (lambda y: torch.round(y, decimals=1), "round', numbers=1"),
    "compared": (lambda y: (y >= 0.5).float(), "ge', numbers=0.5"),
    "whole numbers": (lambda y: (y * 10).long() + 3, "add', numbers=3"),
    "bits": (lambda y: (y * 10).int() & 3, "bitwise_and', numbers=3"),
    "bits moved": (lambda y: (y * 10).int() << 1, "bitwise_left_shift', numbers=1"),
    "in place": (lambda y: y.add_(2).mul_(3), "multiply', numbers=3"),
    "softplus": (lambda y: nn.functional.softplus(y, 2, 3), "softplus(beta=2.0, threshold=3.0)"),
}  # fmt: skip


@pytest.mark.parametrize("case", BESIDE)
def test_numbers_beside_a_function_are_in_the_spec(case: str, tmp_path: Path) -> None:
    function, wanted = BESIDE[case]
    module, x = Net(function), torch.rand(SIZE) * 0.9 + 0.05
    graph, path = trace(module, SIZE), tmp_path / "net.yaml"
    path.write_text(text := write(graph), encoding="utf-8")
    assert wanted in text
    again, y = load(path), module(x)
    assert report(again).total == report(graph).total and to_module(again)(x).dtype == y.dtype
    assert torch.allclose(to_module(again)(x).double(), y.double(), rtol=1e-5)


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("elementwise('exp', numbers=3)", "exp takes none beside its inputs"),
        ("elementwise('clamp', numbers=3)", "clamp takes 3 inputs and numbers together, not 2"),
        ("elementwise('pow', numbers=[1, 2])", "pow takes at most 1 numbers beside its inputs"),
        ("elementwise('pow', numbers_first=True)", "numbers_first, but no numbers are given"),
    ],
)
def test_numbers_that_a_function_does_not_take_are_refused(written: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(f'inputs: {{x: [2, 3, 3]}}\nlayers:\n  - c: "{written}"\n', encoding="utf-8")
    with pytest.raises(CostcalcError, match=r"net.yaml:3:\d+: .*" + says):
        load(path)


class Long(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.arange(5000.0)


def test_a_spec_without_the_numbers_of_a_constant_says_so(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(write(trace(Long(), (1, 5000))), encoding="utf-8")
    with pytest.raises(CostcalcError, match="constant has no PyTorch counterpart: its numbers are not in the spec"):
        to_module(load(path))


def test_a_constant_of_a_spec_has_as_many_elements_as_its_shape(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text("inputs: {x: [2]}\nlayers:\n  - c: 'constant([2], value=[1, 2, 3])'\n", encoding="utf-8")
    with pytest.raises(CostcalcError, match=r"net.yaml:3:\d+: .*constant: 3 values for 2 elements"):
        load(path)


class Diagonal(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = x.clone()
        y.diagonal(0, 2, 3).fill_(2.0)
        return y


def test_a_diagonal_that_is_written_keeps_the_shape() -> None:
    graph = trace(Diagonal(), SIZE)
    assert graph.types[graph.outputs[0]].shape == SIZE


def test_writing_to_no_elements_is_nothing() -> None:
    """As the windows of a map with one row of them do."""

    class Windows(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x + 1
            y[:, :-4, 0:0] = 3.0
            y[:, 0:0].copy_(x[:, 0:0])
            y[:, -2:, :] = 5.0
            return y * 2

    graph = trace(Windows(), (1, 4, 4, 1))
    assert [node.op.name for node in graph.nodes].count("overwrite") == 1


@pytest.mark.parametrize("axes", [4, 5])
def test_padding_by_nothing_along_many_axes_is_a_copy(axes: int) -> None:
    class Padded(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.pad(x, (0, 0) * axes) * 2

    graph = trace(Padded(), (1, 2, 3, 4, 5))
    assert [node.op.name for node in graph.nodes] == ["pad", "elementwise"]


def test_padding_of_more_axes_than_a_spec_can_say_is_named_as_not_counted() -> None:
    class Padded(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.pad(x, (1, 1) * 4) * 2

    graph = trace(Padded(), (1, 2, 3, 4))
    assert [u.kind for u in report(graph).uncounted] == ["pad"]
    assert graph.types[graph.outputs[0]].shape == (3, 4, 5, 6)
