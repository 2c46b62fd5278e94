"""Runs the calls of a model without values where it can, with values where they are small and known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload

from costcalc.frontends.torch.aliases import Aliases, storage_of
from costcalc.frontends.torch.layouts import JOINING, laid_out, normed
from costcalc.frontends.torch.norms import fits, statistics
from costcalc.frontends.torch.operators import Operator
from costcalc.frontends.torch.pytrees import (
    CPU,
    META,
    all_on_meta,
    elements,
    has_values,
    on_meta,
    replaced,
    signature,
    tensors_among,
    without_values,
)
from costcalc.frontends.torch.selections import FILLED, INDEX, LIKE, SELECTS, TOLD_APART, meet, places_of
from costcalc.frontends.torch.value_dependent import SPREAD, Assumptions, Values, ValuesNeeded
from costcalc.frontends.torch.values import (
    CHOICES,
    DECIDES,
    LARGEST_CHOICE,
    Beside,
    choice,
    drawn_apart,
    evenly,
    has_mask,
    is_random,
    seeded,
)

LARGEST_CONSTANT, LARGEST_WANTED = 1 << 20, 1 << 24
"""Elements up to which tensors that depend on no input and no weight have values; where the model asks for values."""
MOST_CONSTANTS = 1 << 27
"""Elements of all of them together, since a trace keeps them: half a GiB at 4 bytes each. Beyond, only little ones."""
LITTLE = 1 << 12

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
        self.beside = Beside()
        self._untold = False
        self.generator = torch.Generator().manual_seed(0)  # so that the process's own is left alone
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
            made = self._with_values(func, operator, args, kwargs)
            meet(self._assumptions, operator, args, kwargs, made)
            return made
        if operator.name == "batch_norm" and len(args) >= 6 and fits(*args[:6]):
            return normed(args[0])
        if not all_on_meta(given):
            self._keep_unseen(operator, given)
        elif not self._aliases.all_known(given):
            self._untold = True  # torch.tensor([1, 2], device=x.device) tells no mode its numbers
        if operator.name in FILLED and self._is_small(args):
            return self._filled(func, args, kwargs, given)
        if operator.name in LIKE and self._value(args[0]) is not None:
            func = LIKE[operator.name]
            like = args[1].dtype if operator.name == "type_as" else list(args[1].shape)
            return self.run(func, Operator(func), (args[0], like), {}, [args[0]])
        if all(self._value(t) is not None for t in given):
            made = self._worked_out(func, operator, args, kwargs, given)
            if made is not NotImplemented:
                return made
        if operator.name == "masked_select":
            args = self._as_index(*args[:2])
            return self.run(INDEX, Operator(INDEX), args, {}, tensors_among(args))
        if func is INDEX and has_mask(args[1]):
            args = (args[0], self._located(args[1]))
            return self.run(INDEX, Operator(INDEX), args, {}, tensors_among(args))
        made = self._without_values(func, operator, args, kwargs, given)
        if operator.name in CHOICES:
            chosen = choice(operator.name, operator.named(args, kwargs), made)
            if chosen is not None:
                self.beside.presume(chosen[1:], supposed=False)
                self.beside.keep(*chosen)
        return made

    def _without_values(
        self, func: OpOverload, operator: Operator, args: Args, kwargs: Kwargs, given: list[Tensor]
    ) -> Any:
        """Run a call on the meta device."""
        for t in operator.written(args, kwargs):
            self._forget(t)
        if operator.name == "repeat_interleave" and "self" in operator.named(args, kwargs):
            kwargs = self._repeated(operator.named(args, kwargs), kwargs)
        simple = bool(given) and operator.pure and not kwargs.get("device")
        if simple and all_on_meta(given):
            join = JOINING.get(operator.name)
            made = None if join is None else join(**operator.named(args, kwargs))
            return self._once(func, operator, args, kwargs) if made is None else made
        run_args, run_kwargs = replaced(args, self.shadow), replaced(kwargs, self.shadow)
        if simple and not operator.writes:
            return self._once(func, operator, run_args, run_kwargs)
        if operator.name in SELECTS:
            self._check_told()
        guess = self._assumptions.guess(operator.name, args, kwargs)
        if guess is not None:
            places = places_of(operator.name, args, guess)
            if places is not None:
                self.beside.presume([places], supposed=True)
                self.beside.keep(guess, places)
            return guess
        run_args, run_kwargs = on_meta(run_args), on_meta(run_kwargs)
        if not given:
            run_kwargs["device"] = META
        return self._unshadowed(operator, args, kwargs, func(*run_args, **run_kwargs))

    def _worked_out(self, func: OpOverload, operator: Operator, args: Args, kwargs: Kwargs, given: list[Tensor]) -> Any:
        """Run a call for real: all that it reads has values. Where it is for the meta device, they are kept beside.

        ``NotImplemented`` where that must not be, or takes too much, or cannot be done with values that are presumed.
        """
        written = operator.written(args, kwargs)
        if any(map(self._belongs_to_model, written)):
            return NotImplemented
        known = [self._real(t) for t in given]
        if operator.name in TOLD_APART and any(map(self.beside.is_supposed, known)):
            return NotImplemented  # which of them are left is unknown, so that it is unknown how many are distinct
        presumed, supposed = any(map(self.beside.is_presumed, known)), any(map(self.beside.is_supposed, known))
        if not self._has_room(func, operator, args, kwargs, given, presumed):
            return NotImplemented
        device = kwargs.get("device")
        beside = any(t.is_meta for t in given) if device is None else torch.device(device).type != "cpu"
        run: Callable[..., Any] | None = func
        if is_random(func):
            run, presumed = seeded(func, self.generator), True
        run_kwargs = {**replaced(kwargs, self._real), **({} if device is None else {"device": CPU})}
        if run is None:
            return NotImplemented
        try:
            made = run(*replaced(args, self._real), **run_kwargs)
        except (RuntimeError, IndexError, ValueError):
            if beside or presumed:
                return NotImplemented
            raise
        values = tensors_among([made])
        if presumed:
            self.beside.presume([*values, *map(self._real, written)], supposed=supposed)
            leaves = device is not None and not beside and any(t.is_meta for t in given)
            masks = operator.name == "index" and has_mask(args[1])
            if leaves or masks or operator.name in DECIDES:
                self._decided(*known)
        if beside and values and (operator.views or any(self._value(t) is None for t in written)):
            # The tensors of the meta device share memory, or take another shape, as those with values do.
            on_device = func(*on_meta(replaced(args, self.shadow)), **on_meta(replaced(kwargs, self.shadow)))
            shown = self._unshadowed(operator, args, kwargs, on_device)
            for tensor, value in zip(tensors_among([shown]), values, strict=True):
                if tensor.is_meta:
                    self.beside.keep(tensor, value)
            return shown
        names = {id(self._real(t)): t for t in (given if beside else written)}
        return replaced(self._kept(made, given), lambda t: names[id(t)] if id(t) in names else self._twin(t, beside))

    def _filled(self, func: OpOverload, args: Args, kwargs: Kwargs, given: list[Tensor]) -> Any:
        """What an operator of ``FILLED`` makes, which reads no values."""
        made = func(self.shadow(args[0]), *args[1:], **{**kwargs, "device": CPU})
        if func._schema.name.endswith(("empty", "empty_like")):
            made.zero_()
        device = kwargs.get("device")
        on_cpu = not args[0].is_meta if device is None else torch.device(device).type == "cpu"
        return self._twin(self._kept(made, given), self._values == "few" and not on_cpu)

    def _twin(self, value: Tensor, beside: bool) -> Tensor:
        """A tensor on the meta device that has ``value`` beside it; ``value`` itself where that is wanted."""
        if not beside:
            return value
        made = without_values(value)
        self.beside.keep(made, value)
        return made

    def _value(self, tensor: Tensor) -> Tensor | None:
        """The values of ``tensor``; None where they are unknown."""
        if not tensor.is_meta:
            return tensor if self._is_known(tensor) else None
        value = self.beside.of(tensor) if self.beside else None
        return None if value is None or storage_of(value) in self._overwritten else value

    def _real(self, tensor: Tensor) -> Tensor:
        """The values of ``tensor``, which are known."""
        value = self._value(tensor)
        assert value is not None
        return value

    def _forget(self, tensor: Tensor) -> None:
        """``tensor`` is written with what is unknown."""
        if tensor.is_meta:
            value = self.beside.of(tensor) if self.beside else None
            if value is not None:
                self._overwritten.add(storage_of(value))
        else:
            self._valueless.add(id(tensor))
            self._overwritten.add(storage_of(tensor))

    def _decided(self, *values: Tensor) -> None:
        """Say, where ``values`` are presumed, that sizes or numbers were taken from them."""
        for value in values:
            if self.beside.is_supposed(value):
                self._assumptions.bounds = False
            elif self.beside.is_presumed(value):
                self._assumptions.note(SPREAD)

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
            result = laid_out(operator.name, tensors_among(args), args, result, operator.named(args, kwargs))
        if before and before != (args[0].shape, args[0].stride()):
            return result  # such as unsqueeze_, which changes how the tensor given looks
        several = isinstance(result, tuple) and len(result) > 1 and all(isinstance(t, Tensor) for t in result)
        if several or isinstance(result, Tensor):
            self._known[key] = [(t.shape, t.stride(), t.dtype) for t in tensors_among([result])]
        return result

    def _with_values(self, func: OpOverload, operator: Operator, args: Args, kwargs: Kwargs) -> Any:
        for tensor in (*operator.written(args, kwargs), *statistics(operator, args)):
            if self._belongs_to_model(tensor) and tensor.layout is torch.strided:
                storage = storage_of(tensor)
                if storage not in self._copies:
                    self._copies[storage] = tensor.untyped_storage().clone()
        run = drawn_apart(func, self.generator, operator.named(args, kwargs)) if is_random(func) else func
        if not self._copies:
            return run(*args, **kwargs)
        result = run(*replaced(args, self._copied), **replaced(kwargs, self._copied))
        return self._unshadowed(operator, args, kwargs, result)

    def _copied(self, tensor: Tensor) -> Tensor:
        """``tensor`` in the copy of its storage, if there is one."""
        copy = self._copies.get(storage_of(tensor)) if tensor.layout is torch.strided else None
        if copy is None:
            return tensor
        kept = self._shadows.get(id(tensor))
        if kept is None or kept[0] is not tensor:
            location = (tensor.storage_offset(), tensor.shape, tensor.stride())
            made = torch.empty(0, dtype=tensor.dtype, device=tensor.device).set_(copy, *location)
            kept = self._shadows[id(tensor)] = (tensor, made)
        return kept[1]

    def _keep_unseen(self, operator: Operator, given: list[Tensor]) -> None:
        """Keep the tensors that no call has made or seen, which are the model's, unless they come from numbers."""
        if operator.name != "lift_fresh":
            for tensor in given:
                if self._aliases.find(tensor) is None:
                    self.keep(tensor)

    def _has_room(
        self, func: OpOverload, operator: Operator, args: Args, kwargs: Kwargs, given: list[Tensor], presumed: bool
    ) -> bool:
        """Whether what a call makes is small enough to be worked out."""
        largest = max(self._largest, LARGEST_CHOICE) if presumed and self._room > 0 else self._largest
        if not given:
            sizes = args[0] if args else ()
            return not isinstance(sizes, (list, tuple)) or elements(sizes) <= largest
        if any(t.numel() > largest for t in given):
            return False
        if not operator.pure or sum(t.numel() for t in given) <= 64:
            return True
        try:
            trial = func(*on_meta(replaced(args, self.shadow)), **on_meta(replaced(kwargs, self.shadow)))
        except (RuntimeError, NotImplementedError):
            return True  # its size depends on values, which are there
        return sum(t.numel() for t in tensors_among([trial])) <= largest

    def _kept(self, made: Any, given: list[Tensor]) -> Any:
        """``made``, whose values take of the room that there is for them unless they are those of ``given``."""
        for tensor in tensors_among([made]):
            if tensor.numel() > LITTLE and storage_of(tensor) not in map(storage_of, given):
                self._room -= tensor.numel()
        if self._room < 0:
            self._largest = LITTLE
        return made

    def known(self, tensor: Tensor) -> Tensor | None:
        """The values of ``tensor`` if they are the same whatever the model is given."""
        value = None if self._values == "all" else self._value(tensor)
        return None if value is None or self.beside.is_presumed(value) else value

    def told(self, tensor: Tensor) -> Tensor | None:
        """The values of ``tensor`` for Python to read; None where they are unknown."""
        if self._values == "all":
            return None if tensor.is_meta else self._copied(tensor) if self._copies else tensor
        value = self._value(tensor)
        if value is not None:
            self._decided(value)
        return value

    def _check_told(self) -> None:
        """Raise ``ValuesNeeded`` where what decides may be among numbers put straight onto the meta device."""
        if self._untold and self._values == "few":
            raise ValuesNeeded

    def _as_index(self, x: Tensor, mask: Tensor) -> Args:
        """The arguments of ``index`` that make it what ``masked_select`` of ``x`` and ``mask`` is."""
        shape = torch.broadcast_shapes(x.shape, mask.shape)
        value, known = self._value(x), self._value(mask)
        stretched = self.shadow(x).expand(shape)
        if value is not None:
            self.beside.keep(stretched, value.expand(shape))
        if known is not None:
            return stretched, self._said(known.expand(shape))
        self._check_told()
        return stretched, self._supposed(self._assumptions.selected(mask, shape.numel()), shape)

    def _located(self, indices: list[Tensor | None]) -> list[Tensor | None]:
        """``indices`` with the places that it selects for each mask: those that it says, if its values are known."""
        places: list[Tensor | None] = []
        for i in indices:
            if i is None or not has_mask([i]):
                places.append(i)
                continue
            known = self._value(i)
            if known is not None:
                places += self._said(known)
            else:
                self._check_told()
                places += self._supposed(self._assumptions.selected(i, i.numel()), i.shape)
        return places

    def _said(self, mask: Tensor) -> list[Tensor]:
        """The places that ``mask`` selects, axis by axis, on the meta device."""
        places = mask.nonzero()
        self._decided(mask)
        if self.beside.is_presumed(mask):
            self.beside.presume([places], supposed=self.beside.is_supposed(mask))
        return [self._twin(axis, True) for axis in places.unbind(1)]

    def _supposed(self, count: int, shape: Sequence[int]) -> list[Tensor]:
        """So many places of ``shape``, axis by axis, on the meta device."""
        places = evenly(count, shape)
        self.beside.presume([places], supposed=True)
        return [self._twin(axis, True) for axis in places.unbind(1)]

    def _repeated(self, arguments: Mapping[str, Any], kwargs: Kwargs) -> Kwargs:
        """``kwargs`` with how many elements all repetitions make, where their numbers are known."""
        repeats = self._value(arguments["repeats"]) if isinstance(arguments["repeats"], Tensor) else None
        if repeats is None or arguments.get("output_size") is not None:
            return kwargs
        self._decided(repeats)
        axis = arguments["dim"]
        length = arguments["self"].numel() if axis is None else arguments["self"].shape[axis]
        return {**kwargs, "output_size": int(repeats.sum()) * (length if repeats.numel() == 1 else 1)}

    def _is_known(self, tensor: Tensor) -> bool:
        """Whether ``tensor`` has values that may be used."""
        if not has_values(tensor) or id(tensor) in self._valueless or tensor.numel() > self._largest:
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
