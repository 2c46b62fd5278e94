"""What the witnesses make of einsums: indices of size 1, broadcasting, several operands, four digits."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from torch import nn

import costcalc
from costcalc.verification import verify

CASES = 120


class Einsum(nn.Module):
    def __init__(self, equation: str) -> None:
        super().__init__()
        self.equation = equation

    def forward(self, *x: Any) -> Any:
        return torch.einsum(self.equation, *x)


def drawn(draw: random.Random) -> tuple[str, list[tuple[int, ...]]]:
    """An equation of two to four operands, and shapes, of which some axes are 1 where others are not."""
    letters = "abcdef"[: draw.randint(2, 6)]
    sizes = {c: draw.choice((1, 2, 3, 5, 7, 37)) for c in letters}
    terms = ["".join(draw.sample(letters, draw.randint(1, min(3, len(letters))))) for _ in range(draw.randint(2, 4))]
    used = sorted(set("".join(terms)))
    out = "".join(draw.sample(used, draw.randint(0, min(3, len(used)))))
    shapes = [tuple(1 if draw.random() < 0.15 else sizes[c] for c in term) for term in terms]
    return f"{','.join(terms)}->{out}", shapes


def test_random_einsums_are_confirmed_or_explained() -> None:
    draw = random.Random(15)
    for _ in range(CASES):
        equation, shapes = drawn(draw)
        module = Einsum(equation)
        result = verify(costcalc.trace(module, *shapes), module)
        assert result.agrees, (equation, shapes, result.disagreements)


@pytest.mark.parametrize(
    ("equation", "shapes", "torchs", "fvcores"),
    [
        ("ij,jk->ik", [(3, 1), (1, 4)], 0, 12),
        ("ij,jk->ik", [(3, 5), (1, 4)], 0, 60),
        ("ijk,jkl->il", [(3, 5, 6), (5, 1, 4)], 60, 360),
        ("ij,jk,kl->il", [(3, 4), (4, 1), (1, 6)], 12, 30),
        ("ij,jk,kl->il", [(37, 37)] * 3, 101_306, 101_300),
        ("bi,bj,bk->bijk", [(2, 3), (2, 4), (2, 5)], 0, 120),
    ],
)
def test_the_habits_by_name(equation: str, shapes: list[tuple[int, ...]], torchs: int, fvcores: int) -> None:
    module = Einsum(equation)
    result = verify(costcalc.trace(module, *shapes), module)
    assert result.agrees
    assert {tally.witness: tally.total for tally in result.tallies} == {
        "torch's FlopCounterMode": torchs,
        "fvcore": fvcores,
    }
