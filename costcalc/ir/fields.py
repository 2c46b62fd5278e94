"""What values the options of ops take: the annotations of their fields, with the check of each.

An annotation in an op is one of the names below; ``KINDS`` says which values it admits and how a
sentence or a schema names them. ``per_axis`` and ``pads`` read the values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from costcalc.classes import NamedTuple
from costcalc.ir.dims import Dim
from costcalc.ir.expr import Expr
from costcalc.ir.tensor import ELEMENT_BITS

Size: TypeAlias = Dim
Count: TypeAlias = Dim
Sizes: TypeAlias = "Dim | tuple[Dim, ...]"
Counts: TypeAlias = "Dim | tuple[Dim, ...]"
Scales: TypeAlias = "Dim | float | tuple[Dim | float, ...]"
Pairs: TypeAlias = "Dim | tuple[Dim | tuple[Dim, Dim], ...]"
Pads: TypeAlias = "Dim | tuple[Dim | tuple[Dim, Dim], ...] | str"
Axis: TypeAlias = int
Axes: TypeAlias = "int | tuple[int, ...]"
Index: TypeAlias = Dim
Places: TypeAlias = "tuple[Dim, ...]"
Parts: TypeAlias = "int | tuple[Dim, ...]"
Shape: TypeAlias = "tuple[Dim, ...]"
Shapes: TypeAlias = "tuple[tuple[Dim, ...], ...]"
Dtype: TypeAlias = str
Dtypes: TypeAlias = "tuple[str, ...]"
Number: TypeAlias = "float | str"
Numbers: TypeAlias = "float | str | tuple[float | str, ...]"

UNKNOWN = "unknown"
"""Of the numbers of a tensor: that nobody says which they are."""

WORDS = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}
"""Numbers that are told by a word, since expressions have none that is infinite or undefined."""


class Kind(NamedTuple):
    """A kind of option value: its check, and how to say what it accepts."""

    accepts: Callable[[Any], bool]
    description: str


def _whole(value: object, least: int) -> bool:
    if isinstance(value, Expr):
        return True
    if isinstance(value, int):
        return not isinstance(value, bool) and value >= least
    # An int64 array of designs: a sweep checks feasibility by `requires`.
    return getattr(getattr(value, "dtype", None), "kind", "") == "i"


def _is_size(value: object) -> bool:
    return _whole(value, 1)


def _is_count(value: object) -> bool:
    return _whole(value, 0)


def _is_scale(value: object) -> bool:
    return _is_size(value) or (isinstance(value, float) and 0 < value < math.inf)


def _per_axis(check: Callable[[object], bool]) -> Callable[[object], bool]:
    def accepts(value: object) -> bool:
        return all(map(check, value)) and 1 <= len(value) <= 3 if isinstance(value, tuple) else check(value)

    return accepts


def _is_pairs(value: object) -> bool:
    def one(v: object) -> bool:
        return _is_count(v) or (isinstance(v, tuple) and len(v) == 2 and all(map(_is_count, v)))

    return 1 <= len(value) <= 3 and all(map(one, value)) if isinstance(value, tuple) else _is_count(value)


def _is_pads(value: object) -> bool:
    return value in ("same", "valid") if isinstance(value, str) else _is_pairs(value)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_axes(value: object) -> bool:
    return all(map(_is_int, value)) if isinstance(value, tuple) else _is_int(value)


def _is_shape(value: object) -> bool:
    return isinstance(value, tuple) and all(_whole(v, -1) for v in value)


def _is_places(value: object) -> bool:
    return isinstance(value, tuple) and all(map(_is_count, value))


def _is_index(value: object) -> bool:
    return isinstance(value, Expr) or _is_int(value)


def _is_parts(value: object) -> bool:
    if isinstance(value, tuple):
        return bool(value) and all(map(_is_size, value))
    return _is_int(value) and _is_size(value)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_told(value: object) -> bool:
    return value in WORDS if isinstance(value, str) else _is_number(value)


def _is_numbers(value: object) -> bool:
    return all(map(_is_told, value)) if isinstance(value, tuple) else value == UNKNOWN or _is_told(value)


def _is_dtype(value: object) -> bool:
    return isinstance(value, str) and value in ELEMENT_BITS


_DTYPES = f"an element type: {', '.join(ELEMENT_BITS)}"
_PAIRS = "a whole number from 0, a list of one or a [before, after] pair for each axis"
_WORDS = " or ".join(map(repr, WORDS))
KINDS: dict[str, Kind] = {
    "Size": Kind(_is_size, "a whole number from 1"),
    "Size | None": Kind(_is_size, "a whole number from 1"),
    "Count": Kind(_is_count, "a whole number from 0"),
    "Sizes": Kind(_per_axis(_is_size), "a whole number from 1, or a list of one for each axis"),
    "Sizes | None": Kind(_per_axis(_is_size), "a whole number from 1, or a list of one for each axis"),
    "Counts": Kind(_per_axis(_is_count), "a whole number from 0, or a list of one for each axis"),
    "Scales | None": Kind(_per_axis(_is_scale), "a number above 0, or a list of one for each axis"),
    "Pairs": Kind(_is_pairs, _PAIRS),
    "Pads": Kind(_is_pads, f"{_PAIRS}, 'same' or 'valid'"),
    "Axis": Kind(_is_int, "a whole number"),
    "Axes": Kind(_is_axes, "a whole number or a list of them"),
    "Axes | None": Kind(_is_axes, "a whole number or a list of them"),
    "Index": Kind(_is_index, "a whole number, counted from the end if negative"),
    "Index | None": Kind(_is_index, "a whole number, counted from the end if negative"),
    "Places": Kind(_is_places, "a list of whole numbers from 0"),
    "Parts": Kind(_is_parts, "a number of equal parts, or a list of sizes"),
    "Shape": Kind(_is_shape, "a list of sizes, -1 for the one to work out"),
    "Shapes": Kind(lambda v: isinstance(v, tuple) and all(map(_is_shape, v)), "a list of shapes"),
    "Dtype": Kind(_is_dtype, _DTYPES),
    "Dtype | None": Kind(_is_dtype, _DTYPES),
    "Dtypes": Kind(lambda v: isinstance(v, tuple) and all(map(_is_dtype, v)), "a list of element types"),
    "bool": Kind(lambda v: isinstance(v, bool), "True or False"),
    "float": Kind(_is_number, "a number"),
    "Number": Kind(_is_told, f"a number, {_WORDS}"),
    "Number | None": Kind(_is_told, f"a number, {_WORDS}"),
    "Numbers": Kind(_is_numbers, f"a number, {_WORDS}, a list of one for each element, or 'unknown'"),
    "str": Kind(lambda v: isinstance(v, str), "a word"),
}


class Field(NamedTuple):
    """One option of an op: its name, the kind of value that it takes, its default, and of a word which there are."""

    name: str
    kind: str
    default: Any = None
    required: bool = False
    choices: tuple[str, ...] = ()

    def accepts(self, value: object) -> bool:
        """Whether ``value`` is of the right kind."""
        if value is None:
            return self.default is None and not self.required
        return value in self.choices if self.choices else KINDS[self.kind].accepts(value)

    @property
    def description(self) -> str:
        """What the option takes, for a sentence."""
        return f"one of {', '.join(self.choices)}" if self.choices else KINDS[self.kind].description


def per_axis(value: Sizes, axes: int) -> tuple[Dim, ...]:
    """``value`` for each of ``axes`` axes: given per axis, or once for all.

    >>> per_axis(3, 2), per_axis((1, 2), 2)
    ((3, 3), (1, 2))
    """
    return value if isinstance(value, tuple) else (value,) * axes


def pads(
    value: Pads, kernel: tuple[Dim, ...], stride: tuple[Dim, ...], dilation: tuple[Dim, ...], sizes: tuple[Dim, ...]
) -> tuple[tuple[Dim, Dim], ...]:
    """Padding as (before, after) for each axis.

    ``'same'`` pads so that ⌈size / stride⌉ places come out, the odd one after: PyTorch's rule where
    the stride is 1, TensorFlow's where it is not.

    >>> pads(1, (3,), (1,), (1,), (8,)), pads("same", (4,), (1,), (1,), (8,)), pads("same", (3,), (2,), (1,), (8,))
    (((1, 1),), ((1, 2),), ((0, 1),))
    """
    from costcalc.ir.dims import ceil_div, maximum

    if isinstance(value, str):
        if value == "valid":
            return ((0, 0),) * len(kernel)
        result = []
        for k, s, d, size in zip(kernel, stride, dilation, sizes, strict=True):
            needed = maximum((ceil_div(size, s) - 1) * s + d * (k - 1) + 1 - size, 0)
            result.append((needed // 2, needed - needed // 2))
        return tuple(result)
    given = value if isinstance(value, tuple) else (value,) * len(kernel)
    return tuple(p if isinstance(p, tuple) else (p, p) for p in given)


def ints(dims: Iterable[Dim]) -> Any:
    """``dims`` as plain ints, for PyTorch; a symbol among them is a ``TypeError``.

    It passes as Any because PyTorch's stubs want tuples of just the right length.
    """
    return tuple(d.__index__() for d in dims)  # type: ignore[union-attr]


LARGEST = 3.4028234663852886e38
"""Of float32."""


def spelled(value: float) -> Number:
    """``value`` as an option has it: in a word where it is infinite or undefined.

    >>> spelled(0.5), spelled(float("-inf"))
    (0.5, '-inf')
    """
    return float(value) if math.isfinite(value) else str(float(value))


def number(value: Number) -> float:
    """What an option of ``Numbers`` says.

    >>> number(2), number("-inf")
    (2, -inf)
    """
    return WORDS[value] if isinstance(value, str) else value


def finite(value: float) -> float:
    """``value``, or the largest number that there is where it is infinite.

    >>> finite(0.5), finite(float("-inf"))
    (0.5, -3.4028234663852886e+38)
    """
    return max(-LARGEST, min(float(value), LARGEST))


def elements(numbers: Sequence[Any] | None, size: Dim) -> Any:
    """The ``size`` elements of a tensor as an option has them: one number where all are alike, ``UNKNOWN`` where a spec
    cannot say them.

    >>> elements((2.0, 2.0), 2), elements((0, float("-inf")), 2), elements((1j,), 1)
    (2.0, (0, '-inf'), 'unknown')
    """
    if isinstance(size, int) and size == 0:
        return 0
    if not numbers or not all(isinstance(n, (int, float)) for n in numbers):
        return UNKNOWN  # complex numbers, and sizes that a file leaves open
    told = tuple(spelled(n) if isinstance(n, float) else int(n) for n in numbers)
    if all(n == told[0] for n in told):
        return told[0]
    return told if isinstance(size, int) and len(told) == size else UNKNOWN


def axes_given(*values: object) -> int | None:
    """The number of axes that per-axis values were given for; None if each was given once for all."""
    lengths = [len(v) for v in values if isinstance(v, tuple)]
    return max(lengths) if lengths else None
