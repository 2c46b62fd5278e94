"""What the schema of a PyTorch operator says, worked out once for each operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costcalc.frontends.calls.rules import has_rule
from costcalc.frontends.torch.layouts import ATTENTION, KEEPING
from costcalc.frontends.torch.pytrees import tensors_among
from costcalc.frontends.torch.value_dependent import GUESSES

if TYPE_CHECKING:
    from torch import Tensor
    from torch._ops import OpOverload

PASSES = frozenset(("detach", "alias", "lift_fresh", "lift", "lift_fresh_copy", "view_as_self", "_lazy_clone"))
"""Operators that return their input under another name, which is not work."""
SPLIT = frozenset(("aten.where.default", *(f"aten.atleast_{n}d.Sequence" for n in (1, 2, 3))))
"""Overloads that do something else than the operator of their name, or do it to several tensors."""


class Operator:
    """One overload of an operator.

    name        as ``Call.name`` has it: ``conv2d``, in-place forms without their underscore
    splits      it is made of other operators and has no rule of its own: its parts are recorded
    writes      positions and names of the arguments that it changes
    views       whether what it returns can share memory with its first tensor
    passes      whether it returns its input under another name
    keeps_format   what it makes has the memory format of its input, which the meta device does not tell
    pure        its result depends on the shapes and types of its arguments alone, and is new or its first argument
    """

    __slots__ = (
        "_arguments",
        "_defaults",
        "_outs",
        "keeps_format",
        "name",
        "passes",
        "pure",
        "splits",
        "views",
        "writes",
    )

    def __init__(self, func: OpOverload) -> None:
        import torch

        schema = func._schema
        namespace, _, base = schema.name.partition("::")
        marks = [(i, a.name, a.alias_info) for i, a in enumerate(schema.arguments) if a.alias_info]
        self.writes = tuple((i, name) for i, name, mark in marks if mark.is_write)
        self.views = bool(marks) and not self.writes
        if self.writes and base.endswith("_") and not base.endswith("__"):
            base = base[:-1]
        elif self.writes and base.startswith("__i"):
            base = f"__{base[3:]}"
        self.name = base if namespace == "aten" else f"{namespace}::{base}"
        self._arguments = tuple(a.name for a in schema.arguments)
        self._defaults = {a.name: a.default_value if a.has_default_value() else None for a in schema.arguments}
        self._outs = tuple(a.name for a in schema.arguments if a.is_out)
        self.passes = self.name in PASSES
        self.keeps_format = (self.name in KEEPING or self.name == ATTENTION) and not self.writes
        in_place = len(self.writes) == 1 and self.writes[0][0] == 0 and len(schema.returns) == 1
        self.pure = (in_place or not marks) and self.name not in GUESSES
        composite = torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd")
        self.splits = bool(composite) and not self.passes and (not has_rule(self.name) or str(func) in SPLIT)

    def named(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a call by name, with the defaults."""
        found = dict(self._defaults)
        found.update(zip(self._arguments, args, strict=False))
        found.update(kwargs)
        for name in self._outs:  # where the result goes is none of what it is made from
            del found[name]
        return found

    def written(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Tensor]:
        """The tensors that a call changes."""
        if not self.writes:
            return []
        return tensors_among(args[i] if i < len(args) else kwargs.get(name) for i, name in self.writes)
