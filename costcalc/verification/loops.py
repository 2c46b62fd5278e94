"""Runs the equation of an op as plain loops: slow, literal, and independent of the op's other rules.

The grammar of ``Op.computes``, after einops and linalg's OpDSL::

    y[n, (g k), o...] += x[n, (g c), (s*o + d*r - p)...] * weight[(g k), c, r...]
    y[n, c, o...] max= x[n, c, (s*o + d*r - p)...] for r < k

An index is a letter, a number, letters that together number one axis ``(g k)``, or a sum; ``...``
repeats it for each further axis. A letter that nowhere stands alone or in a group is an option, as
``Op.letters`` names it; ``padding`` means what is put before. ``for r < k`` bounds a letter by an
option. A place outside the input reads nothing; one outside the result is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from inspect import signature
from itertools import product
from math import prod
from typing import Any

from costcalc.classes import NamedTuple
from costcalc.ir.dims import Dim
from costcalc.ir.fields import ints, pads, per_axis
from costcalc.ir.op import Op
from costcalc.ir.tensor import TensorType

Position = tuple[int, ...]


class Index(NamedTuple):
    """What numbers one axis: ``letters`` together, the last fastest; or a sum of ``terms``."""

    letters: tuple[str, ...] = ()
    terms: tuple[tuple[int, tuple[str, ...]], ...] = ()
    spread: bool = False


class Operand(NamedTuple):
    """A tensor and how the equation indexes it."""

    name: str
    indices: tuple[Index, ...]

    def axes(self, shape: Position) -> Iterator[tuple[tuple[Index, int], int]]:
        """Each axis's index, its number among the spread axes counted from the right, and its size."""
        spread = len(shape) - sum(not i.spread for i in self.indices)
        indices = ((i, a - spread) for i in self.indices for a in range(spread if i.spread else 1))
        return zip(indices, shape, strict=True)


class Equation(NamedTuple):
    """The result, how terms are taken into it (``+=``, ``max=`` …), the factors, the bounded letters."""

    result: Operand
    takes: str
    factors: tuple[Operand, ...]
    bounds: Mapping[str, str]


def parse(text: str) -> Equation:
    """``text`` as an equation.

    >>> parse("y[b..., m] += x[b..., c] * weight[m, c]").factors[1].name
    'weight'
    """
    body, _, condition = text.partition(" for ")
    letters, _, bound = condition.partition("<")
    left, takes, right = re.fullmatch(r"(\w+\[.*?\]) (\w*=|\+=) (.*)", body).groups()  # type: ignore[union-attr]
    operands = tuple(Operand(name, tuple(map(_index, inner.split(",")))) for name, inner in _operands(left + right))
    bounds = {letter.strip(): bound.strip() for letter in letters.split(",") if letter.strip()}
    return Equation(operands[0], takes, operands[1:], bounds)


def _operands(text: str) -> list[tuple[str, str]]:
    return re.findall(r"(\w+)\[([^\]]*)\]", text)


def _index(text: str) -> Index:
    core = text.strip()
    spread = core.endswith("...")
    core = core.removesuffix("...").strip("()")
    if re.search(r"[+*-]|^\d+$", core):
        signed = re.findall(r"([+-]?)\s*(\w+(?:\*\w+)*)", core)
        return Index((), tuple((-1 if sign == "-" else 1, tuple(t.split("*"))) for sign, t in signed), spread)
    return Index(tuple(core.split()), (), spread)


_TAKES: dict[str, Callable[[list[Any]], Any]] = {
    "=": sum,
    "+=": sum,
    "max=": lambda terms: max(terms, default=float("-inf")),
    "mean=": lambda terms: sum(terms) / len(terms),
}


class LoopNest:
    """The loop nest of an op on inputs of the given types.

    sizes   how far each letter runs; a spread letter has one size an axis, ``o-1`` the last
    """

    def __init__(self, op: Op, *types: TensorType) -> None:
        self._last = bool(getattr(op, "channels_last", False))
        if self._last:  # the equation has the channels second
            from costcalc.ir.channels_last import channels_second, plain

            op, types = plain(op), tuple(map(channels_second, types))
        self._op = op
        self.equation = parse(op.computes)
        made = op.infer(*types)
        shapes = {name: t.shape for name, t in zip(signature(op.infer).parameters, types, strict=False)}
        shapes |= {name: w.type.shape for name, w in op.weights(*types).items()}
        shapes[self.equation.result.name] = (made if isinstance(made, TensorType) else made[0]).shape
        self.operands = (self.equation.result, *self.equation.factors)
        self.shapes = {o.name: ints(shapes[o.name]) for o in self.operands}
        self._options = _options(op, types[0])
        self.sizes = self._solve()
        self._forms = [self._form(operand) for operand in self.operands]
        if self._last:
            maps = {self.equation.result.name, next(iter(signature(op.infer).parameters))}
            for i, operand in enumerate(self.operands):
                if operand.name in maps:
                    self._forms[i] = _last(self._forms[i])
                    self.shapes[operand.name] = tuple(_last(self.shapes[operand.name]))

    def __len__(self) -> int:
        return prod(self.sizes.values())

    def positions(self) -> Iterator[tuple[Position, ...]]:
        """For each turn of the loops, the place it uses in each operand, the result first."""
        names = list(self.sizes)
        for turn in product(*(range(self.sizes[name]) for name in names)):
            at = dict(zip(names, turn, strict=True))
            yield tuple(tuple(c + sum(k * at[name] for name, k in form) for c, form in axes) for axes in self._forms)

    def holds(self, name: str, position: Position) -> bool:
        """Whether ``position`` lies inside the operand ``name``."""
        return all(0 <= i < size for i, size in zip(position, self.shapes[name], strict=True))

    def run(self, values: Mapping[str, Any]) -> dict[Position, Any]:
        """The result, place by place, from arrays by operand name."""
        taken: dict[Position, list[Any]] = {}
        for to, *positions in self.positions():
            if self.holds(self.equation.result.name, to):
                terms = taken.setdefault(to, [])
                if all(map(self.holds, (f.name for f in self.equation.factors), positions)):
                    terms.append(prod(values[f.name][p] for f, p in zip(self.equation.factors, positions, strict=True)))
        join = _TAKES[self.equation.takes]
        return {position: join(terms) for position, terms in taken.items()}

    def _solve(self) -> dict[str, int]:
        """How far each letter runs, from the shapes; a ``ValueError`` if they disagree."""
        axes = range(2 - len(self.shapes[self.equation.result.name]), 0)
        sizes: dict[str, int] = {
            f"{i}{a}": self._options(bound, a) for i, bound in self.equation.bounds.items() for a in axes
        }
        groups = [
            ([_name(letter, index, a) for letter in index.letters], size, index.spread)
            for operand in self.operands
            for (index, a), size in operand.axes(self.shapes[operand.name])
            if index.letters
        ]
        _propagate(groups, sizes)
        for letter in [letter for letters, *_ in groups for letter in letters]:
            if (
                letter not in sizes and letter in self._op.letters.values()
            ):  # the shapes leave it open, so it is an option: groups of a shuffle
                sizes[letter] = self._options(letter, 0)
                _propagate(groups, sizes)
        for letters, size, spread in groups:
            if prod(sizes[letter] for letter in letters) != size and not (spread and size == 1):
                raise ValueError(f"{' '.join(letters)} numbers {size} places, but {sizes}")
        return sizes

    def _form(self, operand: Operand) -> list[tuple[int, list[tuple[str, int]]]]:
        """Each axis as a constant and the letters that it adds, each with its factor."""
        forms = []
        for (index, a), size in operand.axes(self.shapes[operand.name]):
            constant, parts, step = 0, [], 1
            for letter in () if size == 1 and index.spread else reversed(index.letters):
                parts.append((_name(letter, index, a), step))
                step *= self.sizes[_name(letter, index, a)]
            for sign, factors in index.terms:
                names = [_name(f, index, a) for f in factors]
                looped = [name for name in names if name in self.sizes]
                factor = sign * prod(
                    self._options(f, a) for f, name in zip(factors, names, strict=True) if name not in self.sizes
                )
                if looped:
                    parts.append((looped[0], factor))
                else:
                    constant += factor
            forms.append((constant, parts))
        return forms


def _propagate(groups: list[tuple[list[str], int, bool]], sizes: dict[str, int]) -> None:
    """Add to ``sizes`` what follows from each axis of which all letters but one are known."""
    for _ in groups:
        for letters, size, spread in groups:
            missing = [letter for letter in letters if letter not in sizes]
            if len(missing) == 1:
                sizes[missing[0]] = size // prod(sizes.get(letter, 1) for letter in letters)
            elif spread and not missing and sizes[letters[0]] == 1:
                sizes[letters[0]] = size  # broadcast


def _last(axes: Any) -> Any:
    """``axes``, of which the second are the channels, with these last."""
    first, channels, *positions = axes
    return [first, *positions, channels]


def _name(letter: str, index: Index, axis: int) -> str:
    return f"{letter}{axis}" if index.spread else letter


def _options(op: Op, x: TensorType) -> Callable[[str, int], int]:
    """The value of an option by its letter, on a spatial axis counted from the right."""
    fields = {letter: field for field, letter in op.letters.items()}
    n = len(x.spatial)

    def settings(field: str) -> tuple[Dim, ...]:
        given = getattr(op, field, 1)
        return per_axis(settings("kernel") if given is None else given, n)

    def value(letter: str, axis: int) -> int:
        if letter.isdigit():
            return int(letter)
        field = fields[letter]
        if field == "padding":
            padding = pads(op.padding, settings("kernel"), settings("stride"), settings("dilation"), x.spatial)  # type: ignore[attr-defined]
            return int(ints(padding[axis])[0])
        return int(ints(settings(field))[axis])

    return value
