"""Which op stands for which PyTorch operator."""

from __future__ import annotations

from costcalc.ir.op import ATEN, Op, find_op
from costcalc.ops.aten import RULES


def has_rule(name: str) -> bool:
    """Whether an op stands for the operator ``name``."""
    return name in ATEN or name in RULES


def rule_for(name: str) -> type[Op] | None:
    """The op that stands for the operator ``name``, imported now if it was not; None if there is none."""
    # An op that a user has just defined comes before ours.
    op = ATEN.get(name) or RULES.get(name)
    return find_op(op) if op else None
