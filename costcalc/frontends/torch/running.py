"""Runs the calls of a model without values where it can, with values where they are small and known."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload

from costcalc.frontends.torch.aliases import Aliases, storage_of
from costcalc.frontends.torch.data import Assumptions, Values
from costcalc.frontends.torch.layouts import laid_out
from costcalc.frontends.torch.operators import Operator
from costcalc.frontends.torch.structure import (
    META,
    elements,
    on_meta,
    replaced,
    signature,
    tensors_among,
    without_values,
)

LARGEST_CONSTANT = 1 << 20
"""Elements up to which tensors that depend on no input and no weight have values."""
LARGEST_WANTED = 1 << 24
"""The same where the model is known to ask for values."""
MOST_CONSTANTS = 1 << 27
"""Elements of all of them together, since a trace keeps them: half a GiB at 4 bytes each. Beyond, only little ones."""
LITTLE = 1 << 12
FILLED = frozenset(("zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full"))
"""Operators that read only the shape of their first argument."""
CPU = torch.device("cpu")

Args = tuple[Any, ...]
Kwargs = dict[str, Any]


class Runner:
    """Runs operators on the meta device.

    Weights and inputs have no values. Small tensors that depend on neither (positions, scales, sizes)
    are computed for real, so that code which asks for their values gets them. Where a real tensor
    meets one without values, its shadow on the meta device takes its place: so a model may hold real
    weights, on any device, and none is read or written.

    values    "constants": larger ones are computed too, and those made in the likeness of a tensor without values;
              "all": everything has values; what the model would change of its own is copied first
    """

    def __init__(self, aliases: Aliases, assumptions: Assumptions, values: Values) -> None:
        self._aliases, self._assumptions, self._values = aliases, assumptions, values
        self._largest = LARGEST_CONSTANT if values == "few" else LARGEST_WANTED
        self._room = MOST_CONSTANTS
        self._shadows: dict[int, tuple[Tensor, Tensor]] = {}
        self._reshaped: list[tuple[Tensor, Tensor]] = []  # each with its data before
        self._theirs: set[int] = set()  # storages that were there before the trace
        self._copies: dict[int, torch.UntypedStorage] = {}  # what stands for those of them that the model writes to
        self._valueless: set[int] = set()  # real tensors whose values must not be used
        self._overwritten: set[int] = set()  # and storages
        self._known: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}

    def hide(self, tensor: Tensor) -> None:
        """Treat ``tensor``, a weight, as if it had no values."""
        self._valueless.add(id(tensor))

    def keep(self, tensor: Tensor) -> None:
        """See to it that the memory of ``tensor``, a weight or another of the model's own, is not changed."""
        if not tensor.is_meta and tensor.layout is torch.strided:
            self._theirs.add(storage_of(tensor))

    def run(self, func: OpOverload, operator: Operator, args: Args, kwargs: Kwargs, given: list[Tensor]) -> Any:
        """What the call returns. Raises ``ValuesNeeded`` where that would take values that are not there."""
        if self._values == "all":
            self._keep_unseen(operator, given)
            return self._with_values(func, operator, args, kwargs)
        if operator.name == "batch_norm" and len(args) >= 6 and _fits(*args[:6]):
            return torch.empty_like(args[0], device=META)
        run_args, run_kwargs = args, kwargs
        if self._values == "constants" and operator.name in FILLED and self._is_small(args):
            return self._kept(func(*args, **{**kwargs, "device": CPU}), given)
        if given and all(t.is_meta for t in given):
            if operator.pure and not kwargs.get("device"):
                return self._once(func, operator, args, kwargs)
        elif self._has_values(func, operator, args, kwargs, given):
            return self._kept(func(*args, **kwargs), given)
        else:
            for t in operator.written(args, kwargs):
                self._valueless.add(id(t))
                self._overwritten.add(storage_of(t))
            if operator.name == "index":
                args = (args[0], self._located(args[1]))
            elif operator.name == "repeat_interleave" and len(args) > 2 and self._counts(args[1]):
                times = args[0].shape[args[2]] if args[1].numel() == 1 else 1  # one number is for every place
                kwargs = {**kwargs, "output_size": int(args[1].sum()) * times}
            run_args, run_kwargs = replaced(args, self.shadow), replaced(kwargs, self.shadow)
            if given and operator.pure and not operator.writes and not kwargs.get("device"):
                return self._once(func, operator, run_args, run_kwargs)
        guess = self._assumptions.guess(operator.name, run_args, run_kwargs)
        if guess is not None:
            return guess
        run_args, run_kwargs = on_meta(run_args), on_meta(run_kwargs)
        if not given:
            run_kwargs["device"] = META
        return self._unshadowed(operator, args, kwargs, func(*run_args, **run_kwargs))

    def _once(self, func: OpOverload, operator: Operator, args: Args, kwargs: Kwargs) -> Any:
        """Run a call whose result depends on nothing but shapes, if none like it has run.

        Deep networks repeat few calls, and the operators' own code for the meta device is slow.
        """
        key = (func, signature(args), signature(kwargs.values()), tuple(kwargs))
        known = self._known.get(key)
        if known is not None:
            if operator.writes:
                return args[0]
            made = [torch.empty_strided(s, stride, dtype=dtype, device=META) for s, stride, dtype in known]
            return made[0] if len(made) == 1 else tuple(made)
        before = (args[0].shape, args[0].stride()) if operator.writes else None
        result = func(*args, **kwargs)
        if operator.keeps_format:
            result = laid_out(operator.name, tensors_among(args), args, result)
        if before and before != (args[0].shape, args[0].stride()):
            return result  # such as unsqueeze_, which changes how the tensor given looks
        several = isinstance(result, tuple) and len(result) > 1 and all(isinstance(t, Tensor) for t in result)
        if several or isinstance(result, Tensor):
            self._known[key] = [(t.shape, t.stride(), t.dtype) for t in tensors_among([result])]
        return result

    def _with_values(self, func: OpOverload, operator: Operator, args: Args, kwargs: Kwargs) -> Any:
        for tensor in (*operator.written(args, kwargs), *_statistics(operator, args)):
            if self._belongs_to_model(tensor) and tensor.layout is torch.strided:
                storage = storage_of(tensor)
                if storage not in self._copies:
                    self._copies[storage] = tensor.untyped_storage().clone()
        if not self._copies:
            return func(*args, **kwargs)
        result = func(*replaced(args, self._copied), **replaced(kwargs, self._copied))
        return self._unshadowed(operator, args, kwargs, result)

    def _copied(self, tensor: Tensor) -> Tensor:
        """``tensor`` in the copy of its storage, if there is one."""
        copy = self._copies.get(storage_of(tensor)) if tensor.layout is torch.strided else None
        if copy is None:
            return tensor
        kept = self._shadows.get(id(tensor))
        if kept is None or kept[0] is not tensor:
            place = (tensor.storage_offset(), tensor.shape, tensor.stride())
            made = torch.empty(0, dtype=tensor.dtype, device=tensor.device).set_(copy, *place)
            kept = self._shadows[id(tensor)] = (tensor, made)
        return kept[1]

    def _keep_unseen(self, operator: Operator, given: list[Tensor]) -> None:
        """Keep the tensors that no call has made or seen, which are the model's, unless they come from numbers."""
        if operator.name != "lift_fresh":
            for tensor in given:
                if self._aliases.find(tensor) is None:
                    self.keep(tensor)

    def _has_values(
        self, func: OpOverload, operator: Operator, args: Args, kwargs: Kwargs, given: list[Tensor]
    ) -> bool:
        """Whether to run a call for real: it depends on no input and no weight, and is small."""
        self._keep_unseen(operator, given)
        if not all(map(self._is_known, given)):
            return False
        if any(map(self._belongs_to_model, operator.written(args, kwargs))):
            return False
        device = kwargs.get("device")
        if device is not None and torch.device(device).type == "meta":
            return False
        if not given:
            sizes = args[0] if args else ()
            return not isinstance(sizes, (list, tuple)) or elements(sizes) <= self._largest
        if not operator.pure or sum(t.numel() for t in given) <= 64:
            return True
        try:
            trial = func(*on_meta(replaced(args, self.shadow)), **on_meta(replaced(kwargs, self.shadow)))
        except (RuntimeError, NotImplementedError):
            return True  # its size depends on values, which are there
        return sum(t.numel() for t in tensors_among([trial])) <= self._largest

    def _kept(self, made: Any, given: list[Tensor]) -> Any:
        """``made``, whose values take of the room that there is for them unless they are those of ``given``."""
        for tensor in tensors_among([made]):
            if tensor.numel() > LITTLE and storage_of(tensor) not in map(storage_of, given):
                self._room -= tensor.numel()
        if self._room < 0:
            self._largest = LITTLE
        return made

    def _located(self, indices: list[Tensor | None]) -> list[Tensor | None]:
        """``indices`` with the places that a mask selects for each mask whose values are known."""
        places: list[Tensor | None] = []
        for i in indices:
            known = i is not None and i.dtype in (torch.bool, torch.uint8) and self._is_known(i)
            places += i.nonzero().unbind(1) if i is not None and known else [i]
        return places

    def _counts(self, repeats: object) -> bool:
        """Whether ``repeats`` are numbers that are known, of which the output's size is the sum."""
        return isinstance(repeats, Tensor) and repeats.numel() > 0 and self._is_known(repeats)

    def knows(self, tensor: Tensor) -> bool:
        """Whether the values of ``tensor`` are the same whatever the model is given."""
        return self._values != "all" and self._is_known(tensor)

    def _is_known(self, tensor: Tensor) -> bool:
        """Whether ``tensor`` has values that may be used."""
        if tensor.is_meta or id(tensor) in self._valueless or tensor.numel() > self._largest:
            return False
        overwritten = bool(self._overwritten) and storage_of(tensor) in self._overwritten
        return not overwritten and tensor.device.type == "cpu"

    def _is_small(self, args: Args) -> bool:
        """Whether what an operator of ``FILLED`` makes may have values."""
        sizes = args[1] if len(args) > 1 and isinstance(args[1], (list, tuple)) else args[0].shape
        return elements(sizes) <= self._largest

    def _belongs_to_model(self, tensor: Tensor) -> bool:
        """Whether what ``tensor`` holds was there before the trace, so that it must not be changed."""
        entry = self._aliases.find(tensor)
        if entry is None or entry.traced.weight:
            return True
        return not tensor.is_meta and tensor.layout is torch.strided and storage_of(tensor) in self._theirs

    def _unshadowed(self, operator: Operator, args: Args, kwargs: Kwargs, result: Any) -> Any:
        """What a call that writes returns is the tensor that the caller gave, not its shadow."""
        written = [t for t in operator.written(args, kwargs) if id(t) in self._shadows]
        if not written:
            return result
        for tensor in written:
            self._reshape(tensor, self._shadows[id(tensor)][1])
        own = {id(self._shadows[id(t)][1]): t for t in written}
        return replaced(result, lambda t: own.get(id(t), t))

    def _reshape(self, tensor: Tensor, shadow: Tensor) -> None:
        """Give ``tensor`` the shape that ``unsqueeze_`` or its like has given its shadow."""
        if shadow.shape != tensor.shape and shadow.numel() == tensor.numel():
            self._aliases.read(tensor)  # as it was
            self._reshaped.append((tensor, tensor.data))
            tensor.data = tensor.detach().as_strided(shadow.shape, shadow.stride())

    def shape_back(self) -> None:
        """Give what the run gave another shape its own back."""
        while self._reshaped:
            tensor, data = self._reshaped.pop()
            tensor.data = data

    def shadow(self, tensor: Tensor) -> Tensor:
        """``tensor`` without values."""
        if tensor.is_meta:
            return tensor
        kept = self._shadows.get(id(tensor))
        if kept is None or kept[0] is not tensor or kept[1].shape != tensor.shape:
            kept = self._shadows[id(tensor)] = (tensor, without_values(tensor))
        return kept[1]


def _statistics(operator: Operator, args: Args) -> list[Tensor]:
    """The running mean and variance of a norm, which its schema does not say that it changes."""
    return tensors_among(args[3:5]) if operator.name in ("batch_norm", "instance_norm") else []


def _fits(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor | None, variance: Tensor | None, trains: bool
) -> bool:
    """Whether a batch norm has what it needs, one number a channel each; its result is then a tensor like ``x``.

    PyTorch finds that out by taking the norm apart, which takes longer than all else in a convolutional network.
    """
    channels = x.shape[1:2]
    if not x.is_floating_point() or not channels or not (trains or (mean is not None and variance is not None)):
        return False
    return all(v is None or v.shape == channels for v in (weight, bias, mean, variance))
