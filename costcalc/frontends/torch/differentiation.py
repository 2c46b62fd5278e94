"""Autograd inside a forward: forces of an energy, guidance, Jacobians, steps of gradient descent.

A trace runs below autograd, where operators arrive whole. A forward that differentiates is run again with autograd
on, as PyTorch itself would run it: operators arrive as those that autograd knows, and what its engine calls for the
gradients are further calls, seen like all others.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

import torch
from torch import nn
from torch.autograd import forward_ad

from costcalc.frontends.calls.recorded import GradientScope, Recorded, Scope
from costcalc.frontends.torch.exclusive import replaced_here

NO_GRADIENT = "does not require grad"
"""Words of autograd's errors where nothing that it was asked for was recorded by it."""
Autograd = Literal["off", "on", "by inputs"]
"""Whether autograd is on in a trace; and whether all inputs require gradients, as a caller may see to."""


class Differentiates(Exception):
    """The forward asks for derivatives in a run without autograd."""


class DerivativesAsked:
    """Whether a forward asked for derivatives, also where it caught what that raised."""

    def __init__(self) -> None:
        self.holds = False

    def by(self, error: BaseException | None) -> bool:
        """Whether it did, or ended in an ``error`` that says so: scripted functions ask autograd in C++."""
        return self.holds or (error is not None and NO_GRADIENT in str(error))


_STARTS: tuple[tuple[Any, str], ...] = (
    (torch.autograd, "_engine_run_backward"),
    (forward_ad, "enter_dual_level"),
    (torch.autograd.functional, "_grad_preprocess"),
    (sys.modules.get("torch._functorch.eager_transforms"), "_grad_increment_nesting"),
    (sys.modules.get("torch._functorch.eager_transforms"), "_jvp_increment_nesting"),
)
"""Where derivatives begin: ``backward`` and ``grad``, forward mode, Jacobians, and the transforms of ``torch.func``."""


@contextmanager
def not_differentiated(asked: DerivativesAsked) -> Iterator[None]:
    """While open, what asks for derivatives in this thread raises ``Differentiates``, which ``asked`` remembers."""

    def refused(_: Callable[..., Any]) -> Callable[..., Any]:
        def raises(*args: Any, **kwargs: Any) -> Any:
            asked.holds = True
            raise Differentiates("it differentiates in its forward")

        return raises

    with ExitStack() as stack:
        for owner, name in _STARTS:
            if owner is not None:
                stack.enter_context(replaced_here(owner, name, refused))
        yield


@contextmanager
def differentiated(model: nn.Module, *, on_meta: bool) -> Iterator[None]:
    """While open, autograd is on; all else of ``model`` is put back by ``untouched``.

    on_meta   its parameters have no values: autograd wants gradients where the tensors are
    """
    if on_meta:
        made: dict[int, nn.Parameter] = {}
        for module in model.modules():
            for name, own in module._parameters.items():
                if own is None or own.is_meta or own.layout is not torch.strided or type(own) is not nn.Parameter:
                    continue
                if id(own) not in made:
                    empty = torch.empty_strided(own.shape, own.stride(), dtype=own.dtype, device="meta")
                    made[id(own)] = nn.Parameter(empty, own.requires_grad)
                module._parameters[name] = made[id(own)]
    with torch.enable_grad():
        yield


class BackwardScopes:
    """For which call each call of autograd's engine works a gradient out.

    Autograd numbers what it records. When an operator arrives here the numbers since the last are its own.
    """

    def __init__(self, calls: Sequence[Recorded]) -> None:
        self._calls = calls
        self._recorded: dict[int, int] = {}
        self._next = torch._C._autograd._get_sequence_nr()
        self._scopes: dict[int, GradientScope] = {}

    def begins(self) -> int:
        """The number that autograd gives next, at the beginning of a call: all below are of it or of those before."""
        return torch._C._autograd._get_sequence_nr()

    def ended(self, until: int) -> None:
        """Note that the last call is what autograd has numbered below ``until``."""
        if until > self._next:
            for number in range(self._next, until):
                self._recorded[number] = len(self._calls) - 1
            self._next = until

    def now(self, scope: Scope) -> Scope:
        """The scope of the call that runs now, in a module call's ``scope``: that, or of a gradient."""
        node = torch._C._current_autograd_node()
        if node is None or scope.within is node:
            return scope  # or a part of the forward that is done again
        found = self._scopes.get(id(node))
        if found is None or found.node is not node:
            found = self._scopes[id(node)] = self._of(node)
        return found

    def _of(self, node: Any) -> GradientScope:
        at = self._recorded.get(node._sequence_nr())
        return GradientScope(None if at is None or not self._calls[at].made else self._calls[at], node)
