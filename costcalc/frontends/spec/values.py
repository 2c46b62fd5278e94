"""The values that expressions have, and arithmetic on them that cannot run away.

A value is a number, a symbolic size, a truth value, a word, None, or a list of values. Whole numbers are
exact, up to ``MAX_BITS`` bits; lists are tuples, with at most ``MAX_LIST`` values inside, those in inner
lists included. Every function here raises ``SpecError`` where a value would leave these bounds.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

from costcalc.errors import SpecError
from costcalc.ir import dims
from costcalc.ir.expr import Expr, Relation, symbols_of

MAX_BITS = 1024
MAX_LIST = 100_000
MAX_LIST_DEPTH = 8
MAX_TERMS = 1000
MAX_STEPS = 1_000_000

Value: TypeAlias = Any  # int | float | bool | str | None | Expr | tuple[Value, ...]


class Word(str):
    """The name of an op or a block as a value, perhaps with options: ``leaky_relu(0.1)``; as a text, what is written.

    spec    the file in which it means what it means, if it was handed to a block of another
    """

    __slots__ = ("args", "kwargs", "name", "spec")
    name: str
    args: tuple[Value, ...]
    kwargs: dict[str, Value]
    spec: Any

    def __new__(
        cls, of: str, args: tuple[Value, ...] = (), kwargs: dict[str, Value] | None = None, spec: Any = None
    ) -> Word:
        """``of`` with these options, after those that it has if it is a ``Word``."""
        name, kwargs = str(of), kwargs or {}
        if isinstance(of, Word):
            name, args, kwargs, spec = of.name, (*of.args, *args), {**of.kwargs, **kwargs}, spec or of.spec
        options = [*map(shown, args), *(f"{key}={shown(value)}" for key, value in kwargs.items())]
        word = super().__new__(cls, f"{name}({', '.join(options)})" if options else name)
        word.name, word.args, word.kwargs, word.spec = name, args, kwargs, spec
        return word


class WorkLimit:
    """The work that one spec may still cause: a step is a layer, a turn of a loop, an element
    of a list or a few signs of an expression."""

    __slots__ = ("left",)

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self.left = steps

    def spend(self, steps: int = 1) -> None:
        """Take ``steps`` off; ``SpecError`` when none are left."""
        self.left -= steps
        if self.left < 0:
            raise SpecError(f"the spec takes more than {MAX_STEPS:,} steps to write out; shorten its loops")


def shown(value: Value) -> str:
    """``value`` as messages write it, shortened."""
    if isinstance(value, tuple):
        text = f"[{', '.join(shown(v) for v in value[:12])}{', …' if len(value) > 12 else ''}]"
    else:
        text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def admit(value: Value) -> Value:
    """``value`` itself if it is within the bounds."""
    if isinstance(value, int):
        if value.bit_length() > MAX_BITS:
            raise SpecError(f"a number has {value.bit_length():,} bits; {MAX_BITS:,} are the most")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise SpecError("a number is infinite or undefined")
    elif isinstance(value, tuple):
        weigh(value)
    elif isinstance(value, Expr):
        widest = max((c.bit_length() for c in value.terms.values()), default=0)
        if len(value.terms) > MAX_TERMS or widest > MAX_BITS:
            raise SpecError("a symbolic size has grown too large")
    elif isinstance(value, complex):
        raise SpecError("a root of a negative number is not a size")
    return value


def weigh(value: Value, depth: int = 0) -> int:
    """How many values are in ``value``, itself and inner lists included."""
    if not isinstance(value, tuple):
        return 1
    if depth >= MAX_LIST_DEPTH:
        raise SpecError(f"lists are nested more than {MAX_LIST_DEPTH} deep")
    count = 1 + len(value)
    for item in value:
        if isinstance(item, tuple):
            count += weigh(item, depth + 1)
        if count > 2 * MAX_LIST:
            break
    if count > 2 * MAX_LIST or len(value) > MAX_LIST:
        raise SpecError(f"a list has more than {MAX_LIST:,} values")
    return count


def is_number(value: Value) -> bool:
    """Whether ``value`` can be calculated with."""
    return isinstance(value, (int, float, Expr))


def add(a: Value, b: Value) -> Value:
    """a + b: of numbers, or one list after another."""
    if isinstance(a, tuple) and isinstance(b, tuple):
        return admit(a + b)
    _numbers("+", a, b)
    return admit(a + b)


def subtract(a: Value, b: Value) -> Value:
    """a - b."""
    _numbers("-", a, b)
    return admit(a - b)


def multiply(a: Value, b: Value) -> Value:
    """a * b: of numbers, or a list repeated."""
    if isinstance(b, tuple):
        a, b = b, a
    if isinstance(a, tuple) and isinstance(b, int):
        if len(a) * b > MAX_LIST:
            raise SpecError(f"a list would have {len(a) * b:,} values; {MAX_LIST:,} are the most")
        return admit(a * b)
    _numbers("*", a, b)
    if isinstance(a, Expr) and isinstance(b, Expr) and len(a.terms) * len(b.terms) > MAX_TERMS:
        raise SpecError("a symbolic size has grown too large")
    return admit(a * b)


def divide(a: Value, b: Value) -> Value:
    """a / b, a fraction in floating point."""
    _numbers("/", a, b)
    if isinstance(a, Expr) or isinstance(b, Expr):
        raise SpecError(f"{shown(a)} / {shown(b)} need not be a whole number; write // for symbols")
    return admit(a / b)


def floor_divide(a: Value, b: Value) -> Value:
    """a // b, rounded down."""
    _numbers("//", a, b)
    return admit(a // b)


def modulo(a: Value, b: Value) -> Value:
    """a % b, the rest of a // b."""
    _numbers("%", a, b)
    return admit(a % b)


def power(a: Value, b: Value) -> Value:
    """a ** b."""
    _numbers("**", a, b)
    if isinstance(a, int) and isinstance(b, int) and b > 1 and (abs(a).bit_length() - 1) * b > MAX_BITS:
        raise SpecError(f"{shown(a)} ** {shown(b)} has more than {MAX_BITS:,} bits, the most that a number may have")
    if isinstance(a, Expr) or isinstance(b, Expr):
        if not isinstance(b, int) or not 0 <= b <= 8:
            raise SpecError(f"{shown(a)} ** {shown(b)}: a symbol takes the powers 0 to 8")
        result: Value = 1
        for _ in range(b):
            result = multiply(result, a)
        return result
    return admit(a**b)


def negative(a: Value) -> Value:
    """-a."""
    _numbers("-", a)
    return -a


def positive(a: Value) -> Value:
    """+a."""
    _numbers("+", a)
    return a


def truth(value: Value) -> bool:
    """Whether ``value`` counts as true; ``SpecError`` if that depends on a symbol."""
    if isinstance(value, (Relation, Expr)):
        names = ", ".join(sorted(value.symbols))
        said = str(value).strip("[]") if isinstance(value, Relation) else f"{value} ≠ 0"
        raise SpecError(f"whether {said} depends on the symbol {names}, so the layers do")
    return bool(value)


def equal(a: Value, b: Value) -> bool | Relation:
    """a == b. Of symbolic sizes it may stay open."""
    if isinstance(a, Expr) or isinstance(b, Expr):
        if not (isinstance(a, (int, Expr)) and isinstance(b, (int, Expr))):
            return False
        gap = Expr.of(a) - b
        if at_least(gap, 1) is True or at_least(-gap, 1) is True:
            return False
        return dims.equal(a, b)
    return bool(a == b)


def at_least(a: Value, b: Value) -> bool | Relation:
    """a >= b. Of symbolic sizes it may stay open."""
    _numbers("a comparison", a, b)
    if not (isinstance(a, Expr) or isinstance(b, Expr)):
        return bool(a >= b)
    if dims.at_least(b, a + 1) is True:
        return False
    return dims.at_least(a, b)


def where(condition: bool | Relation, a: Value, b: Value) -> Value:
    """``a`` if ``condition`` holds, else ``b``, where the condition is open."""
    if isinstance(condition, Relation) and isinstance(a, (int, Expr)) and isinstance(b, (int, Expr)):
        return admit(dims.where(condition, a, b))
    return a if truth(condition) else b


def index(value: Value, at: Value) -> Value:
    """value[at], a place or a slice of a list."""
    if not isinstance(value, tuple):
        raise SpecError(f"{shown(value)} is not a list, so it has no [{shown(at)}]")
    if isinstance(at, slice):
        return value[at]
    if not isinstance(at, int):
        raise SpecError(f"a list is indexed by a whole number, not {shown(at)}")
    if not -len(value) <= at < len(value):
        raise SpecError(f"the list {shown(value)} has {len(value)} values, so no [{at}]")
    return value[at]


def _numbers(sign: str, *values: Value) -> None:
    for v in values:
        if type(v) is not int:
            break
    else:
        return
    for v in values:
        if not is_number(v):
            takes = {"+": "numbers or two lists", "*": "numbers, or a list and a whole number"}.get(sign, "numbers")
            raise SpecError(f"{sign} takes {takes}, not {' and '.join(shown(v) for v in values)}")
    if any(isinstance(v, Expr) for v in values) and any(isinstance(v, float) for v in values):
        raise SpecError(f"{' and '.join(shown(v) for v in values)}: symbols stand for whole numbers; use // and *")


def symbols_in(value: Value) -> set[str]:
    """The symbols that ``value`` depends on."""
    if isinstance(value, tuple):
        return set().union(*map(symbols_in, value))
    return symbols_of(value) if isinstance(value, Expr) else set()
