"""Records what a model does: each call of a PyTorch operator with the tensors that it meets.

The model runs below autograd under a ``TorchDispatchMode``, so that operators arrive whole (``linear``,
``conv2d``, ``scaled_dot_product_attention``), before PyTorch takes them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from costcalc.frontends.torch.aliases import Aliases
from costcalc.frontends.torch.data import Assumptions
from costcalc.frontends.torch.operators import Operator
from costcalc.frontends.torch.scopes import Scope, Where
from costcalc.frontends.torch.types import type_of
from costcalc.ir.call import Traced

LARGEST_CONSTANT = 1 << 20
"""Elements up to which tensors that depend on no input and no weight have real values."""


class Recorded(NamedTuple):
    """One call: the operator's name, its arguments by name, what it made, and in which module."""

    name: str
    arguments: Mapping[str, Any]
    made: tuple[Traced, ...]
    scope: Scope


class Recorder(TorchDispatchMode):
    """Runs operators on the meta device and writes them down.

    Weights and inputs have no values. Small tensors that depend on neither (positions, scales,
    sizes) are computed for real, so that code which asks for their values gets them. Whatever
    real tensor meets one without values is replaced by its shadow on the meta device; so a model
    may hold real weights, on any device, and none is read or written.

    real    True runs everything for real instead; only tensors that the model would change are shadowed
    """

    def __init__(self, model: torch.nn.Module, where: Where, assumptions: Assumptions, *, real: bool = False) -> None:
        super().__init__()
        self.calls: list[Recorded] = []
        self.weights: list[Traced] = []
        self.where, self.assumptions, self.real = where, assumptions, real
        assumptions.where = where
        self.aliases = Aliases(self._note, keep=not real)
        self._operators: dict[OpOverload, Operator] = {}
        self._shadows: dict[int, tuple[Tensor, Tensor]] = {}
        self._valueless: set[int] = set()  # real tensors that something without values was written into
        for tensors, trained in ((model.named_parameters(), True), (model.named_buffers(), False)):
            for name, tensor in tensors:
                self.weights.append(self.aliases.adopt(tensor, Traced(type_of(tensor), name, trained)))
                if trained:
                    self._valueless.add(id(tensor))

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch would import its compiler, which takes longer than most traces

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        operator = self._operators.get(func)
        if operator is None:
            operator = self._operators[func] = Operator(func)
        if operator.splits:
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        given = _tensors_in((*args, *kwargs.values()))
        result = self._run(func, operator, args, kwargs, given)
        self._record(operator, args, kwargs, given, result)
        return result

    # -- running -------------------------------------------------------------------------------

    def _run(
        self, func: OpOverload, operator: Operator, args: tuple[Any, ...], kwargs: dict[str, Any], given: list[Tensor]
    ) -> Any:
        if self.real:
            return self._run_real(func, operator, args, kwargs, given)
        if given and all(t.is_meta for t in given):
            run_args, run_kwargs = args, kwargs
        elif self._has_values(func, operator, args, kwargs, given):
            return func(*args, **kwargs)
        else:
            if operator.writes:
                self._valueless.update(id(t) for t in self._written(operator, args, kwargs))
            run_args, run_kwargs = _replaced(args, self._shadow), _replaced(kwargs, self._shadow)
        guess = self.assumptions.guess(operator.name, run_args, run_kwargs)
        if guess is not None:
            return guess
        if not given or any(isinstance(v, torch.device) for v in (*run_args, *run_kwargs.values())):
            run_args, run_kwargs = _on_meta(run_args), _on_meta(run_kwargs)
            if not given:
                run_kwargs = {**run_kwargs, "device": torch.device("meta")}
        result = func(*run_args, **run_kwargs)
        return self._unshadowed(operator, args, kwargs, result) if operator.writes else result

    def _run_real(
        self, func: OpOverload, operator: Operator, args: tuple[Any, ...], kwargs: dict[str, Any], given: list[Tensor]
    ) -> Any:
        """Run with values, on copies of what belongs to the model and would be changed."""
        for tensor in self._written(operator, args, kwargs):
            if id(tensor) not in self._shadows and self._belongs_to_model(tensor):
                self._shadows[id(tensor)] = (tensor, tensor.detach().clone())
        if self._shadows:
            changed = {i: copy for i, (_, copy) in self._shadows.items()}
            swap = lambda t: changed.get(id(t), t)  # noqa: E731
            result = func(*_replaced(args, swap), **_replaced(kwargs, swap))
            return self._unshadowed(operator, args, kwargs, result) if operator.writes else result
        return func(*args, **kwargs)

    def _has_values(
        self, func: OpOverload, operator: Operator, args: tuple[Any, ...], kwargs: dict[str, Any], given: list[Tensor]
    ) -> bool:
        """Whether to run a call for real: it depends on no input and no weight, and is small."""
        for t in given:
            if t.is_meta or id(t) in self._valueless or t.numel() > LARGEST_CONSTANT or t.device.type != "cpu":
                return False
        if operator.writes and any(map(self._belongs_to_model, self._written(operator, args, kwargs))):
            return False
        device = kwargs.get("device")
        if device is not None and torch.device(device).type == "meta":
            return False
        if not given:
            sizes = args[0] if args else ()
            return not isinstance(sizes, (list, tuple)) or _product(sizes) <= LARGEST_CONSTANT
        if sum(t.numel() for t in given) <= 64 and operator.name != "expand":
            return True
        if operator.writes or operator.views or func._schema.returns == []:
            return True
        try:
            trial = func(*_on_meta(_replaced(args, self._shadow)), **_on_meta(_replaced(kwargs, self._shadow)))
        except (RuntimeError, NotImplementedError):
            return True  # its size depends on values, which are there
        return sum(t.numel() for t in _tensors_in((trial,))) <= LARGEST_CONSTANT

    def _belongs_to_model(self, tensor: Tensor) -> bool:
        """Whether ``tensor`` was there before the trace, so that it must not be changed."""
        entry = self.aliases.find(tensor)
        return entry is None or bool(entry.traced.weight)

    def _written(self, operator: Operator, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Tensor]:
        """The tensors that a call changes."""
        found = [args[i] if i < len(args) else kwargs.get(name) for i, name in operator.writes]
        return _tensors_in(found)

    def _unshadowed(self, operator: Operator, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> Any:
        """What a call that writes returns is the tensor that the caller gave, not its shadow."""
        own = {id(self._shadows[id(t)][1]): t for t in self._written(operator, args, kwargs) if id(t) in self._shadows}
        return _replaced((result,), lambda t: own.get(id(t), t))[0] if own else result

    def _shadow(self, tensor: Tensor) -> Tensor:
        """``tensor`` without values."""
        if tensor.is_meta:
            return tensor
        kept = self._shadows.get(id(tensor))
        if kept is None or kept[0] is not tensor:
            empty = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
            kept = self._shadows[id(tensor)] = (tensor, empty)
        return kept[1]

    # -- writing down --------------------------------------------------------------------------

    def _record(
        self, operator: Operator, args: tuple[Any, ...], kwargs: dict[str, Any], given: list[Tensor], result: Any
    ) -> None:
        results = _tensors_in((result,))
        if operator.passes:
            if results and given:
                self.aliases.share(results[0], given[0])
            return
        written = self._written(operator, args, kwargs) if operator.writes else []
        old = {id(t) for t in given}
        fresh = [t for t in results if id(t) not in old]
        if not written and not fresh:
            return  # it returned its input as it is, or a number
        arguments = _replaced(operator.named(args, kwargs), self.aliases.read)
        made = []
        for tensor in results if written and not operator.views else fresh:
            if id(tensor) in old:
                made.append(self.aliases.write(tensor))
            elif operator.views and given:
                made.append(self.aliases.view(tensor, given[0]))
            else:
                made.append(self.aliases.adopt(tensor, Traced(type_of(tensor))))
        returned = {id(t) for t in results}
        made += [self.aliases.write(t) for t in written if id(t) not in returned]
        self.calls.append(Recorded(operator.name, arguments, tuple(made), self.where.now))

    def _note(self, name: str, arguments: Mapping[str, Any], made: Traced) -> None:
        self.calls.append(Recorded(name, arguments, (made,), self.where.now))


def _tensors_in(values: Any) -> list[Tensor]:
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found += _tensors_in(value)
    return found


def _replaced(values: Any, change: Callable[[Tensor], Any]) -> Any:
    """``values`` with each tensor replaced, in lists and dicts too."""
    if isinstance(values, Tensor):
        return change(values)
    if isinstance(values, (list, tuple)):
        return [_replaced(v, change) for v in values] if isinstance(values, list) else tuple(
            _replaced(v, change) for v in values
        )  # fmt: skip
    if isinstance(values, dict):
        return {key: _replaced(v, change) for key, v in values.items()}
    return values


def _on_meta(values: Any) -> Any:
    """``values`` with the meta device in place of any other."""
    meta = torch.device("meta")
    if isinstance(values, dict):
        return {key: meta if isinstance(v, torch.device) else v for key, v in values.items()}
    return tuple(meta if isinstance(v, torch.device) else v for v in values)


def _product(sizes: Any) -> int:
    result = 1
    for size in sizes:
        result *= int(size) if isinstance(size, int) else 1
    return result
