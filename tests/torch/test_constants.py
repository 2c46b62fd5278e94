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
