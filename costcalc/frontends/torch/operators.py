"""What the schema of a PyTorch operator says, worked out once for each operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costcalc.frontends.torch.rules import has_rule

if TYPE_CHECKING:
    from torch._ops import OpOverload


class Operator:
    """One overload of an operator.

    name        as ``Call.name`` has it: ``conv2d``, in-place forms without their underscore
    arguments   name and default of each argument in order
    splits      it is made of other operators and has no rule of its own: its parts are recorded
    writes      positions (or names) of the arguments that it changes
    views       whether what it returns can share memory with its first tensor
    passes      whether it returns its input under another name, which is no work
    """

    __slots__ = ("arguments", "defaults", "name", "passes", "splits", "views", "writes")

    def __init__(self, func: OpOverload) -> None:
        import torch

        schema = func._schema
        namespace, _, base = schema.name.partition("::")
        marks = [a.alias_info for a in schema.arguments]
        self.writes = tuple(
            (i, a.name)
            for i, (a, mark) in enumerate(zip(schema.arguments, marks, strict=True))
            if mark and mark.is_write
        )
        self.views = not self.writes and any(mark is not None for mark in marks)
        if self.writes and base.endswith("_") and not base.endswith("__"):
            base = base[:-1]
        elif self.writes and base.startswith("__i"):
            base = f"__{base[3:]}"
        self.name = base if namespace == "aten" else f"{namespace}::{base}"
        self.arguments = tuple(a.name for a in schema.arguments)
        self.defaults = {a.name: a.default_value for a in schema.arguments if a.has_default_value()}
        self.passes = self.name in PASSES
        composite = torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd")
        self.splits = bool(composite) and not self.passes and (not has_rule(self.name) or str(func) in SPLIT)

    def named(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a call by name, with the defaults."""
        found = dict(self.defaults)
        found.update(zip(self.arguments, args, strict=False))
        found.update(kwargs)
        return found


SPLIT = frozenset({"aten.where.default"})
"""Overloads that do something else than the operator of their name."""

PASSES = frozenset(["detach", "alias", "lift_fresh", "lift", "lift_fresh_copy", "view_as_self", "_lazy_clone"])
