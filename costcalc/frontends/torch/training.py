"""Runs a step of training as PyTorch itself would on the CPU, without values: forward, sum of the results, backward.

What autograd keeps for the backward pass is seen by its own hooks for saved tensors, and storages are seen to come and
go, as ``memory_run`` sees those of a forward pass. Nothing is allocated, and no parameter is changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload

from costcalc.errors import CostcalcError
from costcalc.frontends.torch.differentiation import NO_GRADIENT
from costcalc.frontends.torch.inputs import default_inputs
from costcalc.frontends.torch.memory_run import Ready, Seeing, Unseen, ready_to_run
from costcalc.frontends.torch.pytrees import tensors_among
from costcalc.ir.allocations import ObservedStep, SavedForBackward

WORKSPACES = frozenset({"aten::mkldnn_rnn_layer"})
"""Operators whose kernels keep a workspace for the backward pass of which PyTorch itself does not say the size."""


INTO_ZEROS: dict[Any, OpOverload] = {
    torch.ops.aten.scatter.src: torch.ops.aten.scatter_.src,
    torch.ops.aten.scatter_add.default: torch.ops.aten.scatter_add_.default,
    torch.ops.aten.index_add.default: torch.ops.aten.index_add_.default,
}
"""How the gradient of what picks elements (a sort, a maximum with its place, an index) is put into zeros, by operator
that autograd calls while a dispatch mode is on: by itself it writes into the zeros (torch 2.13,
``areAnyTensorSubclassLike`` in ``FunctionsManual.cpp``)."""


class TrainingRun(Seeing):
    """Also notes what is kept for the backward pass, and there for which layer each operator runs."""

    def __init__(self, ready: Ready) -> None:
        super().__init__(ready)
        self._at: dict[int, str] = {}
        self.saved: dict[int, SavedForBackward] = {}
        self.backward_from = -1
        self.unknown: dict[str, None] = {}

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if self.backward_from < 0:
            # Autograd has numbered the node of this operator before it calls the operator itself.
            if func._schema.name in WORKSPACES:
                self.unknown[super()._layer(func)] = None
            self._at.setdefault(torch._C._autograd._get_sequence_nr() - 1, super()._layer(func))
        elif func is torch.ops.aten.add.Tensor and adds_in_place(*args):
            func = torch.ops.aten.add_.Tensor
        elif not torch.is_grad_enabled():
            func = INTO_ZEROS.get(func, func)
        return super().__torch_dispatch__(func, types, args, kwargs)

    def keep(self, tensor: Tensor) -> Tensor:
        """What autograd does with a tensor that it saves."""
        key = tensor.untyped_storage()._cdata
        if key not in self._weights and key not in self.saved and tensor.layout is torch.strided:
            path = self._where.now.path
            self.saved[key] = SavedForBackward(path, tensor.untyped_storage().nbytes(), key in self._given)
        return tensor.detach()  # as autograd itself keeps results: without a way back to what made them

    def _died(self, key: int, number: int) -> None:
        super()._died(key, number)
        if self.backward_from < 0:
            self.saved.pop(key, None)  # of a branch that leads nowhere; another storage may come to stand there

    def turn(self) -> None:
        """The forward pass is over."""
        self.backward_from = len(self._steps)

    def _layer(self, func: OpOverload) -> str:
        if self.backward_from < 0:
            return super()._layer(func)
        node = torch._C._current_autograd_node()
        return "the loss" if node is None else self._at.get(node._sequence_nr(), "the gradients of the weights")


def adds_in_place(gradient: Any, other: Any = None) -> bool:
    """Whether autograd would add ``other`` in the memory of ``gradient`` if nobody watched.

    It does where it alone holds a whole tensor and its storage; while a dispatch mode is on it never does (torch 2.13,
    ``can_accumulate_inplace`` and ``isTensorSubclassLike``).
    """
    if torch.is_grad_enabled():  # a forward pass that is done again
        return False
    if not isinstance(gradient, Tensor) or not isinstance(other, Tensor) or gradient.shape != other.shape:
        return False
    storage = gradient.untyped_storage()
    whole = gradient.numel() * gradient.element_size() == storage.nbytes()
    stored: int = torch._C._storage_Use_Count(storage._cdata)
    held: int = gradient._use_count()  # type: ignore[attr-defined]
    return whole and held <= HOLDERS and stored <= STORED


HOLDERS, STORED = 4, 2
"""Who holds a gradient, and its storage, where autograd alone does but for those who ask."""


def trained(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], autocast: str = "") -> ObservedStep:
    """As ``step_of``; raises ``CostcalcError`` where the model cannot be run so."""
    try:
        return step_of(model, args if args or kwargs else default_inputs(model), kwargs, autocast)
    except Unseen as reason:
        raise CostcalcError(f"a step of training cannot be run without values ({reason})") from None


def step_of(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], autocast: str = "") -> ObservedStep:
    """What a step of training holds. All of ``model`` is in training mode; parameters that are frozen stay so.

    args, kwargs   for its forward; shapes stand for tensors, as ``trace`` has them
    autocast       the narrower type of an autocast around the forward pass and the loss; "" for none

    Raises ``Unseen`` where the model asks for values, or an operator has no rule for tensors without them.
    """
    try:
        return _step_of(model, args, kwargs, autocast)
    except Unseen as reason:
        if NO_GRADIENT not in str(reason):
            raise
    return _step_of(model, args, kwargs, autocast, by_inputs=True)  # by which the forward itself differentiates


def _step_of(
    model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], autocast: str, *, by_inputs: bool = False
) -> ObservedStep:
    with ready_to_run(model, args, kwargs) as ready:
        for module in model.modules():
            module.__dict__["training"] = True
        weights = ready.weights
        trained = ready.require_gradients(by_inputs=by_inputs)
        seen = TrainingRun(ready)
        hooks = torch.autograd.graph.saved_tensors_hooks(seen.keep, lambda t: t)
        narrower = torch.autocast("cpu", dtype=getattr(torch, autocast)) if autocast else nullcontext()
        with ready.seen_by(seen), torch.enable_grad(), hooks:
            with narrower:
                result = ready.forward()
                loss: Any = sum(t.float().sum() for t in tensors_among([result]) if t.requires_grad)
            if not isinstance(loss, Tensor):
                raise Unseen("none of its results depends on a parameter that is trained")
            seen.turn()
            loss.backward()
            after = seen.now()
        moved = {t.untyped_storage()._cdata: t for t in trained if t.grad is not None}  # optimizers skip all others
        gradients = sum(t.grad.untyped_storage().nbytes() for t in trained if t.grad is not None)
        parameters = [t.untyped_storage().nbytes() for t in moved.values()]
        held = {t.untyped_storage()._cdata: t.untyped_storage().nbytes() for t in weights.values()}
        del result, loss
    saved = tuple(seen.saved.values())
    return ObservedStep(
        seen.run(), seen.backward_from, saved, gradients, after, tuple(parameters), sum(held.values()),
        tuple(seen.unknown),
    )  # fmt: skip
