"""The sizes that a file leaves open: their texts as expressions, and what they are.

A size is a number, or a text: a name (``batch``), or something worked out of names (``2*((height - 1)//2) + 1``, as
PyTorch's exporter writes it, or ``floor(1.0*batch)``, as ONNX Runtime's tools do).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from costcalc.errors import OptionError, listing, near
from costcalc.frontends.onnx.read import DeclaredValue
from costcalc.frontends.regrouping import Batch
from costcalc.frontends.sources import check_order
from costcalc.ir.dims import Dim, maximum, minimum
from costcalc.ir.expr import Expr
from costcalc.ir.values import value_at

_TOKEN = re.compile(r"\s*(?:(\d+\.\d*|\.\d+|\d+)|([A-Za-z_][\w.:\[\]]*)|(//|[-+*/%(),]))")
MOST_TEXT = 500
FUNCTIONS = ("floor", "ceiling", "ceil", "Max", "max", "Min", "min", "FloorDiv", "CeilDiv", "Mod", "trunc")


class _Unreadable(Exception):
    pass


def expression(text: str) -> Dim:
    """What ``text`` says; itself as a symbol where it is not an expression.

    >>> print(expression("batch"), expression("2*((((height - 1)//2)) + 1)//4 + 2"))
    batch ⌊2·⌊(height + 1)/2⌋/4⌋ + 2
    >>> print(expression("floor(1.0*batch)"), expression("ceiling(h/2)"), expression("my size!"))
    batch ⌊(h + 1)/2⌋ my size!
    """
    if text.isidentifier() or len(text) > MOST_TEXT:
        return Expr.symbol(text)
    try:
        return _Parser(text).whole()
    except (_Unreadable, ZeroDivisionError, RecursionError, OptionError):
        return Expr.symbol(text)


class _Parser:
    """By precedence: sums of products of values, each an expression over a whole number that it is divided by."""

    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str, str]] = []
        at = 0
        while at < len(text.rstrip()):
            found = _TOKEN.match(text, at)
            if found is None:
                raise _Unreadable
            self.tokens.append(found.groups(""))  # type: ignore[arg-type]
            at = found.end()
        self.at = 0

    def whole(self) -> Dim:
        value = self._sum()
        if self.at < len(self.tokens):
            raise _Unreadable
        return _entire(value)

    def _next(self) -> str:
        return self.tokens[self.at][2] if self.at < len(self.tokens) else ""

    def _sum(self) -> tuple[Dim, Fraction]:
        value = self._product()
        while self._next() in ("+", "-"):
            sign = 1 if self._next() == "+" else -1
            self.at += 1
            value = _added(value, self._product(), sign)
        return value

    def _product(self) -> tuple[Dim, Fraction]:
        value = self._value()
        while (sign := self._next()) in ("*", "/", "//", "%"):
            self.at += 1
            other = self._value()
            if sign == "*":
                value = (value[0] * other[0], value[1] * other[1])
            elif sign == "/":
                if isinstance(other[0], Expr):
                    raise _Unreadable
                value = (value[0], value[1] / (other[1] * other[0]))
            elif sign == "//":
                value = (_floored(value, other), Fraction(1))
            else:
                value = (_entire(value) % _entire(other), Fraction(1))
        return value

    def _value(self) -> tuple[Dim, Fraction]:
        if self.at >= len(self.tokens):
            raise _Unreadable
        number, name, sign = self.tokens[self.at]
        self.at += 1
        if number:
            return (1, Fraction(number)) if "." in number else (int(number), Fraction(1))
        if sign == "-":
            value, factor = self._value()
            return value, -factor
        if sign == "(":
            inner = self._sum()
            self._expect(")")
            return inner
        if not name:
            raise _Unreadable
        if self._next() != "(":
            return Expr.symbol(name), Fraction(1)
        if name not in FUNCTIONS:
            raise _Unreadable
        self.at += 1
        given = [self._sum()]
        while self._next() == ",":
            self.at += 1
            given.append(self._sum())
        self._expect(")")
        return _called(name, given), Fraction(1)

    def _expect(self, sign: str) -> None:
        if self._next() != sign:
            raise _Unreadable
        self.at += 1


def _added(a: tuple[Dim, Fraction], b: tuple[Dim, Fraction], sign: int) -> tuple[Dim, Fraction]:
    below = a[1].denominator * b[1].denominator
    return a[0] * int(a[1] * below) + b[0] * int(b[1] * below) * sign, Fraction(1, below)


def _floored(a: tuple[Dim, Fraction], b: tuple[Dim, Fraction]) -> Dim:
    ratio = a[1] / b[1]
    return a[0] * ratio.numerator // (b[0] * ratio.denominator)


def _entire(value: tuple[Dim, Fraction]) -> Dim:
    """A value that is whole; a fraction of one is whole where the text means it to be."""
    whole, factor = value
    return whole * factor.numerator // factor.denominator if factor.denominator > 1 else whole * factor.numerator


def _called(name: str, given: list[tuple[Dim, Fraction]]) -> Dim:
    if name in ("floor", "trunc") and len(given) == 1:
        return _entire(given[0])
    if name in ("ceiling", "ceil") and len(given) == 1:
        whole, factor = given[0]
        return (whole * factor.numerator + factor.denominator - 1) // factor.denominator
    if len(given) == 2:
        a, b = map(_entire, given)
        if name in ("FloorDiv", "CeilDiv"):
            return a // b if name == "FloorDiv" else (a + b - 1) // b
        if name == "Mod":
            return a % b
        return maximum(a, b) if name in ("Max", "max") else minimum(a, b)
    raise _Unreadable


class Open:
    """The open sizes of a file's inputs.

    shapes    each input's shape, with the open sizes as symbols
    names     the symbols, in the order in which the inputs have them
    first     those that are the first axis of an input, which is taken for the batch
    others    the shapes of inputs that are asked for otherwise than the file fixes them
    """

    def __init__(self, inputs: Sequence[DeclaredValue]) -> None:
        self.shapes: dict[str, tuple[Dim, ...]] = {}
        self.names: dict[str, None] = {}
        self.first: set[str] = set()
        self.others: dict[str, tuple[Dim, ...]] = {}
        texts = {d for one in inputs for d in one.shape or () if isinstance(d, str)}
        for one in inputs:
            shape: list[Dim] = []
            for axis, size in enumerate(one.shape or ()):
                if isinstance(size, int) and size > 0:
                    shape.append(size)
                    continue
                text = size if isinstance(size, str) else f"{one.name}_{axis}"
                meant = expression(text)
                named = isinstance(meant, Expr) and not meant.symbols <= texts | {text}
                if named and not set(text) & set("*/ "):
                    meant = Expr.symbol(text)  # 'batch-size' is one word unless there are sizes called batch and size
                shape.append(meant)
                for name in _ordered(meant):
                    self.names[name] = None
                if axis == 0 and isinstance(meant, Expr) and str(meant) in self.names:
                    self.first.add(str(meant))
            self.shapes[one.name] = tuple(shape)

    def values(
        self, model: str, batch: int | None, input: Any, parameters: Mapping[str, Any], side: int | None = None
    ) -> tuple[dict[str, int], dict[str, Any]]:
        """What each open size is, and the parameters that are of none; ``side`` for those that nobody has said.

        Raises ``OptionError`` for what does not fit.
        """
        found: dict[str, int] = {}
        rest = {}
        for name, value in parameters.items():
            if name not in self.names:
                rest[name] = value
                continue
            if type(value) is not int or value < 1:
                raise OptionError(f"the size {name[:80]} of {model} is a whole number from 1, not {value!r}")
            found[name] = value
        if batch is not None:
            for key in self._batched():
                self._bind(model, "the batch", found, key, 0, batch)
        for key, given in self._given(model, input).items():
            shape = self.shapes[key]
            given = tuple(given)
            if len(given) not in (len(shape), len(shape) - 1):
                axes = f"{len(shape) - 1} sizes after the batch" if shape else "no sizes"
                raise OptionError(f"the input {key[:80]} of {model} has {axes}, not {len(given)}")
            skipped = len(shape) - len(given)
            if skipped:
                check_order(model, key, given, shape[1:], is_fixed=True)
            for axis, size in enumerate(given):
                where = f"axis {axis + skipped} of {key[:80]}"
                self._bind(model, where, found, key, axis + skipped, size)
        for name in self.names:
            if name not in found and name in self.first:
                found[name] = 1
        if side is not None:
            found.update({name: side for name in self.names if name not in found})
        missing = [name for name in self.names if name not in found]
        if missing:
            sentence = " ".join(f"--set {name}=…" for name in missing[:4])
            raise OptionError(
                f"{model} leaves open {listing(name[:80] for name in missing)}; say what they are: {sentence}"
            )
        for key, shape in self.shapes.items():
            for dim in shape:
                made = value_at(dim, found)
                if not isinstance(made, int) or made < 1:
                    raise OptionError(f"{dim} of the input {key[:80]} of {model} comes to {made}; sizes are from 1")
        return found, rest

    def _given(self, model: str, input: Any) -> Mapping[str, Sequence[int]]:
        if input is None:
            return {}
        if not isinstance(input, Mapping):
            if not self.shapes:
                raise OptionError(f"{model} has no input")
            return {next(iter(self.shapes)): input}
        for key in input:
            if key not in self.shapes:
                raise OptionError(
                    f"{model} has no input '{key[:80]}'{near(key, self.shapes)}; it has {listing(self.shapes)}"
                )
        return input

    def _batched(self) -> list[str]:
        """The inputs whose first axis is the batch: where it is open, or as large as the others have it.

        A vector of one element is none of these where others are more than vectors.
        """
        fixed = [shape for shape in self.shapes.values() if shape and isinstance(shape[0], int)]
        size = next((shape[0] for shape in fixed), 1)
        are_vectors = all(len(shape) == 1 for shape in self.shapes.values() if shape)
        return [
            key
            for key, shape in self.shapes.items()
            if shape and (
                str(shape[0]) in self.names
                or (shape[0] == size and (size != 1 or len(shape) > 1 or are_vectors))
            )
        ]  # fmt: skip

    def _bind(self, model: str, what: str, found: dict[str, int], key: str, axis: int, value: int) -> None:
        shape = self.others.get(key, self.shapes[key])
        size = self.shapes[key][axis]
        if isinstance(size, int):
            if size != value:
                self.others[key] = (*shape[:axis], value, *shape[axis + 1 :])
        elif str(size) in self.names:
            before = found.setdefault(str(size), value)
            if before != value:
                raise OptionError(f"{what} of {model} is {str(size)[:80]}, which cannot be both {before} and {value}")

    @property
    def batch(self) -> Batch:
        """The batch that is asked for, and that of the file."""
        for key, shape in self.others.items():
            own = self.shapes[key][0]
            if isinstance(own, int) and shape[0] != own:
                return shape[0], own
        return 1, 1


def _ordered(size: Dim) -> list[str]:
    return sorted(size.symbols) if isinstance(size, Expr) else []
