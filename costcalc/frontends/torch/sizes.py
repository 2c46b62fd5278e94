"""The sizes that an exported program takes: fixed ones, and those that it was exported for a range of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import SymInt, Tensor
from torch.utils._pytree import tree_unflatten

from costcalc.errors import CostcalcError, UnknownName, listing, near
from costcalc.frontends.torch.expressions import expression
from costcalc.ir.dims import Dim

Shapes = Sequence[int] | Mapping[str, Sequence[int]] | None
MOST = 2**40
"""A bound that is none: sizes without one are said to reach into the billions of billions."""


class ProgramSizes:
    """What a program is run on.

    leaves   its inputs by name, as it was exported: tensors without values, numbers, texts
    ranges   by the name of an open size, as PyTorch calls it: the size at export, the least and the most
    program  what they are of
    """

    def __init__(self, program: Any, path: str) -> None:
        self.path, self.program = path, program
        self.tree = program.call_spec.in_spec
        made = {node.name: node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"}
        kind = torch.export.graph_signature.InputKind.USER_INPUT
        given = [spec.arg for spec in program.graph_signature.input_specs if spec.kind is kind]
        self.leaves: dict[str, Any] = {
            arg.name: arg.value if hasattr(arg, "value") else made.get(arg.name) for arg in given
        }
        self.ranges: dict[str, tuple[int, int, int]] = {}
        for size in self._open():
            for symbol in size.node.expr.free_symbols:
                if str(symbol) not in self.ranges:
                    bounds = program.range_constraints.get(symbol)
                    # PyTorch's infinity says that it is finite, so that bounds are compared.
                    least = int(bounds.lower) if bounds is not None and bounds.lower > 0 else 0
                    most = int(bounds.upper) if bounds is not None and bounds.upper < MOST else MOST
                    self.ranges[str(symbol)] = (self._hint(size, symbol), least, most)

    def inputs(
        self, batch: int | None, input: Shapes, given: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any], dict[str, int]]:
        """Arguments of the program, by position and by name, and its open sizes.

        batch   the first axis of the first input and of those that have as many samples, if not the exported one
        input   shapes without the batch, of the first input or by name
        given   open sizes by name

        Raises ``CostcalcError`` for sizes that it was not exported for.
        """
        values = self._bound(batch, input, given)
        leaves: list[Any] = []
        for value in self.leaves.values():
            if isinstance(value, Tensor):
                shape = [self.size(s, values) for s in value.shape]
                leaves.append(torch.empty(shape, dtype=value.dtype, device="meta"))
            else:
                leaves.append(self.size(value, values) if isinstance(value, SymInt) else value)
        args, kwargs = tree_unflatten(leaves, self.tree)
        return tuple(args), dict(kwargs), values

    def declared(self, names: Sequence[str]) -> dict[str, tuple[Dim, ...]]:
        """The shapes of the inputs in the open sizes, by the ``names`` that a graph has for them."""
        tensors = [leaf for leaf in self.leaves.values() if isinstance(leaf, Tensor)]
        return {name: tuple(map(expression, t.shape)) for name, t in zip(names, tensors, strict=True)}

    def _bound(self, batch: int | None, input: Shapes, given: Mapping[str, Any]) -> dict[str, int]:
        """Each open size."""
        tensors = {name: value for name, value in self.leaves.items() if isinstance(value, Tensor)}
        wanted: dict[str, int] = {}
        for name, number in given.items():
            if name not in self.ranges:
                has = f"open are {listing(self.ranges)}" if self.ranges else "all its sizes are fixed"
                raise UnknownName(f"{self.path} has no size called '{name[:80]}'{near(name, self.ranges)}; {has}")
            if type(number) is not int:
                raise CostcalcError(f"{name} is a size of {self.path}, a whole number, not {str(number)[:60]}")
            self._bind(name, number, wanted, name)
        asked = list(self._asked(tensors, batch, input))
        for name, sizes in asked:
            for axis, (declared, size) in enumerate(zip(tensors[name].shape, sizes, strict=True)):
                line = _line(declared) if size is not None else None
                if size is not None and line:
                    symbol, factor, offset = line
                    if (size - offset) % factor:
                        low = size - (size - offset) % factor
                        reason = f"axis {axis} is {declared}, as {low} and {low + factor} are, and cannot be {size}"
                        raise CostcalcError(f"{self._exported(name)}; {reason}")
                    self._bind(symbol, (size - offset) // factor, wanted, f"axis {axis} of {name}", size)
        values = {name: wanted.get(name, hint) for name, (hint, _, _) in self.ranges.items()}
        for name, sizes in asked:
            for axis, (declared, size) in enumerate(zip(tensors[name].shape, sizes, strict=True)):
                fixed = self.size(declared, values)
                if size is not None and size != fixed:
                    why = f"must be {declared} there" if isinstance(declared, SymInt) else "is fixed"
                    raise CostcalcError(f"{self._exported(name)}; axis {axis} {why}, {fixed}, and cannot be {size}")
        return values

    def _asked(
        self, tensors: Mapping[str, Tensor], batch: int | None, input: Shapes
    ) -> Iterator[tuple[str, list[int | None]]]:
        """The shape that each input shall have; None where nothing is asked."""
        first = next(iter(tensors), "")
        shapes = input if isinstance(input, Mapping) else {} if input is None else {first: input}
        samples = next((self.size(t.shape[0]) for t in tensors.values() if t.ndim), 0)
        for name in shapes:
            if name not in tensors:
                raise UnknownName(
                    f"{self.path} has no input '{name[:80]}'{near(name, tensors)}; it has {listing(tensors)}"
                )
        for name, value in tensors.items():
            many = batch if value.ndim and self.size(value.shape[0]) == samples else None
            if name in shapes:
                sizes: list[int | None] = [many, *shapes[name]] if value.ndim else list(shapes[name])
                if len(sizes) != value.ndim:
                    written = "×".join(map(str, shapes[name]))
                    raise CostcalcError(f"{self._exported(name)}; {written} has {len(sizes)} axes with the batch")
                yield name, sizes
            elif many is not None:
                yield name, [many, *(None for _ in value.shape[1:])]

    def _bind(self, symbol: str, size: int, wanted: dict[str, int], of: str, asked: int | None = None) -> None:
        _, least, most = self.ranges[symbol]
        if not least <= size <= most:
            upto = f"from {least} to {most}" if most < MOST else f"from {least} on"
            raise CostcalcError(
                f"{self.path} was exported for {symbol} {upto}; {of} cannot be {size if asked is None else asked}"
            )
        if wanted.setdefault(symbol, size) != size:
            raise CostcalcError(f"{self.path}: {of} is the size {symbol}, which is {wanted[symbol]}, not {size}")

    def _exported(self, name: str) -> str:
        shape = "×".join(map(str, self.leaves[name].shape))
        return f"{self.path} was exported for {name} {shape}"

    def _open(self) -> Iterator[SymInt]:
        for value in self.leaves.values():
            sizes = value.shape if isinstance(value, Tensor) else [value]
            yield from (size for size in sizes if isinstance(size, SymInt))

    def _hint(self, size: SymInt, symbol: Any) -> int:
        environment = size.node.shape_env
        known = getattr(environment, "backed_var_to_val", None)  # its name from 2.12 on
        known = environment.var_to_val if known is None else known
        if symbol in known:
            return int(known[symbol])
        # A file says of 4·s what that was, not of s.
        for told, value in known.items():
            line = _line_of(told)
            if line and line[0] == str(symbol):
                return (int(value) - line[2]) // line[1]
        raise CostcalcError(f"{self.path} does not tell what its size {symbol} was when it was exported")

    def size(self, size: Any, values: Mapping[str, int] | None = None) -> int:
        """A size in numbers: as it was when the program was exported, or with these open sizes."""
        if not isinstance(size, SymInt):
            return int(size)
        expression = size.node.expr
        known = {s: (values or {}).get(str(s), self.ranges[str(s)][0]) for s in expression.free_symbols}
        return int(expression.subs(known))


def _line(size: Any) -> tuple[str, int, int] | None:
    """The open size in ``size``, and by what it is multiplied and what is added; None of any other expression."""
    return _line_of(size.node.expr) if isinstance(size, SymInt) else None


def _line_of(expression: Any) -> tuple[str, int, int] | None:
    """The same of an expression of sympy."""
    if len(expression.free_symbols) != 1:
        return None
    (symbol,) = expression.free_symbols
    factor, offset = expression.coeff(symbol), expression.subs(symbol, 0)
    if not (factor.is_Integer and offset.is_Integer) or factor <= 0 or factor * symbol + offset != expression:
        return None
    return str(symbol), int(factor), int(offset)
