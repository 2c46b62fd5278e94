"""Records what a model does: each call of a PyTorch operator with the tensors that it meets.

The model runs below autograd under a ``TorchDispatchMode``, so that operators arrive whole (``linear``,
``conv2d``, ``scaled_dot_product_attention``), before PyTorch takes them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch._ops import HigherOrderOperator, OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from costcalc.errors import Location
from costcalc.frontends.calls.recorded import GradientScope, Recorded, Scope
from costcalc.frontends.torch.aliases import Aliases, region_of, storage_of
from costcalc.frontends.torch.differentiation import BackwardScopes
from costcalc.frontends.torch.fused import FUSED
from costcalc.frontends.torch.lines import Lines
from costcalc.frontends.torch.nested import jagged_parts
from costcalc.frontends.torch.operators import Operator
from costcalc.frontends.torch.pytrees import replaced, tensors_among, wraps
from costcalc.frontends.torch.quantised import BEFORE, PackedWeights, PartOfKernel, parts
from costcalc.frontends.torch.running import Runner
from costcalc.frontends.torch.scopes import Where
from costcalc.frontends.torch.sparse import SparseTensors, is_sparse, parts_of, stored
from costcalc.frontends.torch.types import type_of
from costcalc.frontends.torch.value_dependent import Assumptions, Values, ValuesNeeded
from costcalc.ir.call import Traced

LOOKED_UP = frozenset(
    (
        "index", "_unsafe_index", "index_select", "take_along_dim", "gather", "repeat_interleave", "index_put",
        "_index_put_impl", "index_add", "index_copy", "index_reduce",
    )
)  # fmt: skip
"""Operators that find elements by numbers among their arguments."""
MADE_OF_NUMBERS = frozenset(
    (
        "arange", "linspace", "logspace", "eye", "range", "scalar_tensor", "tril_indices", "triu_indices",
        "hann_window", "hamming_window", "bartlett_window", "blackman_window", "kaiser_window",
        "fft_fftfreq", "fft_rfftfreq",
    )
)  # fmt: skip
"""Operators that make elements of numbers alone, not all alike."""
RESTRIDED = frozenset(("as_strided", "_reshape_alias"))
"""Operators that see elements of a storage in steps of their own."""
MOST_NUMBERS = 4096
"""Values that are kept of a tensor."""


class Recorder(TorchDispatchMode):
    """While it is entered, every call of an operator is run by ``Runner`` and written down in ``calls``.

    weights    the model's parameters and buffers
    lines      where in the user's code calls and weights were made
    failing    the call that raised, with the shapes that met there
    asked      whether a call asked for values that are not there

    With ``autograd`` the model is run above it.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        where: Where,
        assumptions: Assumptions,
        values: Values = "few",
        *,
        autograd: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        assumptions.where = where
        assumptions.identity = self._identity
        self.calls: list[Recorded] = []
        self.failing = ""
        self.asked = False
        self.weights: list[Traced] = []
        self.aliases = Aliases(
            self._note,
            self._numbers,
            keep="all" if autograd else "none" if values == "all" else "real",
            shared=autograd,
        )
        self._backward = BackwardScopes(self.calls) if autograd else None
        self._turned: dict[Traced, Traced] | None = {} if autograd else None  # transposed weights
        self._where, self._assumptions, self.lines = where, assumptions, Lines(model)
        self.runner = Runner(self.aliases, assumptions, values)
        self._operators: dict[OpOverload, Operator] = {}
        self.packed = PackedWeights(model)
        self.sparse = SparseTensors(self._write_down, self._again, assumptions, values)
        for tensors, trained in ((model.named_parameters(), True), (model.named_buffers(), False)):
            for name, whole in tensors:
                if is_sparse(whole):
                    self._adopt_parts(name, whole, trained)
                    continue
                parts = stored(name, whole)
                largest = max(part.numel() for _, part in parts)
                for own, tensor in parts:
                    # The rest of what a library's own tensor holds are scales and zero points.
                    self._adopt_weight(own, tensor, trained and tensor.numel() == largest, trained)
                if whole.numel() > largest:
                    self._note_packed(name, whole, largest)

    def _adopt_weight(self, name: str, tensor: Tensor, counted: bool, hidden: bool) -> None:
        self.weights.append(self.aliases.adopt(tensor, Traced(type_of(tensor), name, counted)))
        self.runner.keep(tensor)
        if hidden:
            self.runner.hide(tensor)

    def _adopt_parts(self, name: str, tensor: Tensor, trained: bool) -> None:
        """Take in what a sparse weight stores."""
        parts = parts_of(tensor)
        for part, held in parts.items():
            own = trained and part == "values"
            self._adopt_weight(f"{name}.{part}", held, own, own)
        self.sparse.hold(tensor, parts)

    def adopt_input(self, name: str, tensor: Tensor) -> dict[str, Traced]:
        """Take in an input, of a sparse one what it stores, and return each by its name."""
        if tensor.is_nested:
            parts = jagged_parts(tensor)
            return {f"{name}.{part}": self.aliases.adopt(held, Traced(type_of(held))) for part, held in parts.items()}
        if not is_sparse(tensor):
            return {name: self.aliases.adopt(tensor, Traced(type_of(tensor)))}
        parts = {part: self.runner.shadow(held) for part, held in parts_of(tensor).items()}
        self.sparse.hold(tensor, parts)
        return {f"{name}.{part}": self.aliases.adopt(held, Traced(type_of(held))) for part, held in parts.items()}

    def made(self, tensor: Tensor) -> list[Traced]:
        """What stands for ``tensor``, of a sparse one for all that it stores."""
        if tensor.is_nested:
            return [self.aliases.read(part) for part in jagged_parts(tensor).values()]
        if not is_sparse(tensor):
            return [self.aliases.read(tensor)]
        held = self.sparse.held(tensor)
        return [self.aliases.read(part) for part in (held.values, *held.places)]

    def _write_down(self, name: str, arguments: Mapping[str, Any], made: Sequence[Tensor]) -> None:
        """Write down a call that makes new tensors."""
        given = {key: replaced(value, self.aliases.read) for key, value in arguments.items()}
        results = tuple(self.aliases.adopt(tensor, Traced(type_of(tensor))) for tensor in made)
        self.calls.append(Recorded(name, given, results, self._where.now, False, self._line()))

    def _again(self, func: OpOverload, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        with self:
            return func(*args, **kwargs)

    supports_higher_order_operators = True  # newer torch asks; 2.6 lets none pass through a mode

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch would import its compiler, which takes longer than most traces

    def __torch_dispatch__(
        self,
        func: OpOverload | HigherOrderOperator,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if isinstance(func, HigherOrderOperator):
            return self._of_functions(func, args, kwargs)
        if any(map(wraps, types)):
            if func.name() == "export::access_subclass_inner_tensor":
                return getattr(*args)
            return NotImplemented  # the tensor runs the operators that it is made of
        if self._backward is not None:
            return self._of_autograd(self._backward, func, args, kwargs)
        return self._run(func, args, kwargs)

    def _of_autograd(
        self, backward: BackwardScopes, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Run a call that autograd has seen, or makes."""
        before, until = self._where.now, backward.begins()
        for tensor in (*tensors_among(args), *tensors_among(kwargs.values())):
            same = None if is_sparse(tensor) or tensor.is_nested else self.aliases.recognised(tensor)
            if same is not None:
                self.runner.beside.same(tensor, same)
        self._where.now = backward.now(before)
        try:
            return self._run(func, args, kwargs)
        finally:
            self._where.now = before
            backward.ended(until)

    def _run(self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        operator = self._operators.get(func)
        if operator is None:
            operator = self._operators[func] = Operator(func)
        if operator.splits:
            result = self._split(func, args, kwargs)
            if result is not NotImplemented:
                return result
        if operator.name in FUSED:
            return self._of_parts(operator.name, args, kwargs)
        given = tensors_among(args)
        if kwargs:
            given += tensors_among(kwargs.values())
        if self.sparse.meets(operator, given):
            made = self._of_sparse(func, operator, args, kwargs)
            if made is not NotImplemented:
                return made
        try:
            result = self.runner.run(func, operator, args, kwargs, given)
        except Exception as error:
            self.asked = self.asked or isinstance(error, ValuesNeeded)
            self.failing = self.failing or f"{operator.name}({', '.join(str(type_of(t)) for t in given)})"
            raise
        self._record(operator, args, kwargs, given, result)
        for decision in self._assumptions.fresh:
            decision.calls.append(len(self.calls) - 1)
        self._assumptions.fresh.clear()
        return result

    def _of_sparse(self, func: OpOverload, operator: Operator, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What a call of sparse tensors returns; ``NotImplemented`` where there is no rule for it."""
        try:
            made = self.sparse.run(func, operator, args, kwargs)
        except ValuesNeeded:
            self.asked = True
            raise
        for decision in self._assumptions.fresh:
            decision.calls.append(len(self.calls) - 1)
        self._assumptions.fresh.clear()
        return made

    def _identity(self, tensor: Tensor) -> object:
        return self.aliases.read(tensor)

    def _of_functions(self, func: HigherOrderOperator, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run an operator on functions, ``flex_attention`` or ``cond``: it is made of the operators that it calls."""
        kernel = func.py_kernels.get(torch._C.DispatchKey.CompositeExplicitAutograd)
        with self:
            if func.name() == "cond":
                holds, then, otherwise, operands = args
                return (then if holds else otherwise)(*operands)
            try:
                if kernel is not None:
                    return kernel(*args, **kwargs)
            except AssertionError as error:
                if "Mode should never be enabled" not in str(error):
                    raise
        raise NotImplementedError(f"no rule for HigherOrderOperator {func.name()} ")

    def _of_parts(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run what a fused operator is made of."""
        with self:
            return FUSED[name](self._within, *args, **kwargs)

    @contextmanager
    def _within(self, weight: Tensor) -> Iterator[None]:
        """While open, what runs is in the module that has ``weight``."""
        before = self._where.now
        self._where.now = Scope(self.aliases.read(weight).weight.rpartition(".")[0] or before.path)
        try:
            yield
        finally:
            self._where.now = before

    def _note_packed(self, name: str, whole: Tensor, largest: int) -> None:
        numbers = f"{whole.numel():,} numbers in {largest:,} elements"
        self._assumptions.note(f"{name} has {numbers}, of which parameters are counted")

    def _split(self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the operators that a call is made of."""
        before = len(self.calls)
        with self:
            try:
                return func.decompose(*args, **kwargs)
            except RuntimeError as error:
                if "same device" not in str(error):
                    raise
            del self.calls[before:]

            def shadow(tensor: Tensor) -> Tensor:
                made = self.runner.shadow(tensor)
                if made is not tensor:
                    self.aliases.adopt(made, self.aliases.read(tensor))
                return made

            return func.decompose(*replaced(args, shadow), **replaced(kwargs, shadow))

    def _record(
        self, operator: Operator, args: tuple[Any, ...], kwargs: dict[str, Any], given: list[Tensor], result: Any
    ) -> None:
        results = [result] if isinstance(result, Tensor) else tensors_among([result])
        if operator.passes:
            if results and given:
                self.aliases.alias(results[0], given[0])
            return
        old = set(map(id, given))
        fresh = [t for t in results if id(t) not in old]
        name = operator.name
        if any(map(is_sparse, given)) or any(map(is_sparse, results)):
            name = f"{name} of sparse tensors"  # for which no rule says how many of their elements there are
        written = operator.written(args, kwargs)
        if not written and not fresh:
            return  # it returned its input as it is, or a number
        if operator.name == "copy" and written and _is_itself(given[0], given[-1]):
            return  # the end of ``x[i] *= 2``, which has been done in place
        read: Callable[[Tensor], Any] = self.aliases.read
        if name != operator.name:
            results, fresh, read = self._parts_made(results, old), self._parts_made(fresh, old), self.made
        arguments = {
            name: replaced(value, read) if isinstance(value, (Tensor, list, tuple)) else value
            for name, value in operator.named(args, kwargs).items()
        }
        if name == "t" and self._turned and arguments["self"] in self._turned:
            self.aliases.adopt(results[0], self._turned[arguments["self"]])  # a weight turned back
            return
        if operator.name in LOOKED_UP:
            self._tell_numbers(given)
        elif operator.name in MADE_OF_NUMBERS and results:
            arguments["numbers"] = self._numbers(results[0])
        elif operator.name in RESTRIDED and given and results:
            arguments |= {"held": region_of(given[0]), "wanted": region_of(results[0])}
        made = []
        for tensor in results if written else fresh:
            if id(tensor) in old:
                made.append(self.aliases.write(tensor))
            elif operator.views and given:
                made.append(self.aliases.view(tensor, given[0]))
            else:
                made.append(self.aliases.adopt(tensor, Traced(type_of(tensor))))
        if written:
            returned = set(map(id, results))
            made += [self.aliases.write(t) for t in written if id(t) not in returned]
        if "quantized" in name:
            whole = parts(name, arguments, self.packed, self._where.now.path)
            if whole:
                self._of_kernel(whole, tuple(made))
                return
            if any(isinstance(value, torch.ScriptObject) for value in args):
                location = self._where.now.path or "the model"
                self._assumptions.note(f"weights packed for {operator.name} in {location} are in no figure")
        copies = operator.views and bool(fresh) and bool(given) and storage_of(fresh[0]) != storage_of(given[0])
        if self._turned is not None:
            name, arguments = self._whole(name, arguments, made)
        self.calls.append(Recorded(name, arguments, tuple(made), self._where.now, copies, self._line()))

    def _whole(self, name: str, arguments: dict[str, Any], made: Sequence[Traced]) -> tuple[str, dict[str, Any]]:
        """A product with a transposed weight as the ``linear`` that autograd has taken apart."""
        assert self._turned is not None
        first = arguments.get("self")
        if name == "t" and isinstance(first, Traced) and first.weight and len(first.shape) == 2:
            self._turned[made[0]] = first
        weight = self._turned.get(arguments["mat2"]) if name in ("mm", "addmm") else None
        if weight is None or isinstance(self._where.now, GradientScope):
            return name, arguments
        if name == "mm":
            return "linear", {"input": first, "weight": weight, "bias": None}
        if arguments["beta"] != 1 or arguments["alpha"] != 1 or not isinstance(first, Traced) or len(first.shape) != 1:
            return name, arguments
        return "linear", {"input": arguments["mat1"], "weight": weight, "bias": first}

    def _parts_made(self, results: list[Tensor], old: set[int]) -> list[Tensor]:
        """``results``, and for each new sparse one what it stores."""
        found: list[Tensor] = []
        for tensor in results:
            held = self.sparse.held(tensor) if is_sparse(tensor) else None
            found += [tensor] if held is None or id(tensor) in old else [held.values, *held.places]
        return found

    def _of_kernel(self, whole: Sequence[PartOfKernel], made: tuple[Traced, ...]) -> None:
        """Write down the calls that one of a quantised kernel stands for."""
        before: Traced | None = None
        for i, part in enumerate(whole):
            arguments = {key: before if value is BEFORE else value for key, value in part.arguments.items()}
            results = made if i == len(whole) - 1 else (Traced(part.type(made[0].type)),)
            self.calls.append(Recorded(part.name, arguments, results, self._where.now, False, self._line()))
            before = results[0]

    def _numbers(self, tensor: Tensor) -> tuple[Any, ...] | None:
        """The elements of ``tensor`` in their order, if they are few, and known whatever the model is given."""
        known = self.runner.known(tensor) if 0 < tensor.numel() <= MOST_NUMBERS else None
        return None if known is None else tuple(known.flatten().tolist())

    def _tell_numbers(self, given: list[Tensor]) -> None:
        """Note the values of the places among ``given``, where they are known: they say what is seen of the others."""
        for tensor in given:
            numbers = None if tensor.is_floating_point() else self._numbers(tensor)
            if numbers is not None:
                self.aliases.read(tensor).numbers = numbers

    def _note(self, name: str, arguments: Mapping[str, Any], made: Traced) -> None:
        self.calls.append(Recorded(name, arguments, (made,), self._where.now, line=self._line()))

    def _line(self) -> Location | None:
        return self.lines.of_call(self._where.now.path)


def _is_itself(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors hold the same elements of one storage."""
    return storage_of(a) == storage_of(b) and region_of(a) == region_of(b)
