"""Einstein summation of any number of tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import TYPE_CHECKING, Any

from costcalc.classes import NamedTuple
from costcalc.errors import OptionError
from costcalc.ir.call import Call
from costcalc.ir.dims import Dim, equal, prod
from costcalc.ir.fields import Axes
from costcalc.ir.index_map import AxisMap, IndexMap
from costcalc.ir.nest import Nest
from costcalc.ir.op import Condition, Example, Op, op
from costcalc.ir.saved import NOTHING, Saves
from costcalc.ir.tensor import TensorType
from costcalc.ir.under_autocast import UnderAutocast
from costcalc.ops.broadcasting import is_one, joint_dtype

if TYPE_CHECKING:
    from torch import nn

MOST_ORDERS = 6  # operands up to which all orders are tried


class EinsumWork(NamedTuple):
    """MACs of the products that sum, other ops of those that do not and of plain sums; the former as loops.

    pairs   MACs of each pair, in their order
    """

    macs: Dim
    ops: Dim
    nests: tuple[Nest, ...]
    pairs: tuple[Dim, ...]


@op("einsum", inputs=(1, None))
class Einsum(Op):
    """A sum of products over named axes: ``einsum('bhqd,bhkd->bhqk')`` is the scores of attention.

    Operands are contracted two at a time, from the left, or as ``path`` lists them (pairs of positions, the
    result going to the end), as PyTorch does. Reports say if another order would take fewer MACs.

    MACs         for each pair that shares a summed axis: the product of the sizes of all their axes.
    Ops          for a pair that shares none: 1 per element of their product; for an axis that only one
                 operand has and that goes: the additions.
    Source       Einstein 1916; PyTorch, torch.einsum.
    """

    under_autocast = UnderAutocast(is_known=False)

    aten = "einsum"

    weighs = True

    equation: str
    path: Axes | None = None

    def check(self) -> None:
        if "->" in self.equation and self.equation.count("->") > 1:
            raise OptionError(f"einsum: '{self.equation[:60]}' has more than one '->'")
        bad = {c for c in self.equation.replace("->", "").replace("...", "") if not (c.isalpha() or c in ", ")}
        if bad:
            raise OptionError(f"einsum: '{self.equation[:60]}' may have letters, ',', '...' and '->', not '{min(bad)}'")

    def requires(self, *x: TensorType) -> Iterator[Condition]:
        terms, _ = _split(self.equation)
        if len(terms) != len(x):
            yield False, f"einsum: '{self.equation}' is for {len(terms)} tensors, not {len(x)}"
            return
        for term, t in zip(terms, x, strict=True):
            named = len(term.replace("...", ""))
            fits = named <= len(t.shape) if "..." in term else named == len(t.shape)
            if not fits:
                yield False, f"einsum: '{term}' does not name the {len(t.shape)} axes of an operand"
                return
        labels, _ = self.labels(x)
        sizes = _sizes(labels, x)
        for names, t in zip(labels, x, strict=True):
            for name, size in zip(names, t.shape, strict=True):
                if not (isinstance(size, int) and size == 1):
                    yield equal(sizes[name], size), f"einsum: axis {name} is {sizes[name]} and {size}"

    def infer(self, *x: TensorType) -> TensorType:
        labels, out = self.labels(x)
        sizes = _sizes(labels, x)
        return TensorType(tuple(sizes[name] for name in out), joint_dtype(*x))

    def backward_macs(self, *x: TensorType, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Dim | None:
        """Each product of a pair has a gradient for either factor that something wanted stands before."""
        macs: Dim = 0
        order, needed = self.order(len(x)), list(wanted)
        for (i, j), of_pair in zip(order, self._work(x, order).pairs, strict=True):
            by = needed.pop(max(i, j)), needed.pop(min(i, j))
            macs = macs + of_pair * sum(by)
            needed.append(any(by))
        return macs

    def macs(self, *x: TensorType, y: TensorType) -> Dim:
        return self._work(x, self.order(len(x))).macs

    def nests(self, *x: TensorType, y: TensorType) -> tuple[Nest, ...]:
        """A product of matrices for each pair that sums; axes that both have and keep are stacks of them."""
        return self._work(x, self.order(len(x))).nests

    def saves(self, *x: TensorType, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        """Of two each for the gradient of the other; a copy where its axes do not lie in the product's order."""
        if len(x) == 1:
            return NOTHING
        if len(x) > 2:
            return None
        labels, out = self.labels(x)
        inputs, maps = [], []
        for i in (0, 1):
            if not wanted[1 - i]:
                continue
            if self._as_matrices(i, labels, out, x):
                inputs.append(i)
            else:
                maps.append(x[i])
        return Saves(tuple(inputs), maps=tuple(maps))

    def _as_matrices(self, i: int, labels: list[list[str]], out: list[str], x: Sequence[TensorType]) -> bool:
        """Whether operand ``i`` can be seen as a stack of matrices, its axes in the product's order, without a copy."""
        own, other = labels[i], labels[1 - i]
        one = {n for n, size in zip(own, x[i].shape, strict=True) if is_one(size)}
        both = [n for n in out if n in own and n in other]
        alone = [n for n in out if n in own and n not in other]
        summed = [n for n in own if n not in out]
        if not summed:
            return True  # a product of elements
        order = {n: j for j, n in enumerate(own)}
        groups = [both, alone, summed] if i == 0 else [both, summed, alone]
        places = [[order[n] for n in group if n not in one] for group in groups]
        return all(group == list(range(group[0], group[0] + len(group))) for group in places if group)

    def ops(self, *x: TensorType, y: TensorType) -> Dim:
        return self._work(x, self.order(len(x))).ops

    def skippable(self, *x: TensorType, y: TensorType) -> tuple[Dim, str]:
        better = self.better_order(*x)
        if better is None:
            return 0, ""
        order, macs = better
        pairs = ", ".join(f"{a} with {b}" for a, b in order)
        return self.macs(*x, y=y) - macs, f"saved if {self.equation} multiplies operand {pairs}"

    def better_order(self, *x: TensorType) -> tuple[list[tuple[int, int]], Dim] | None:
        """The order that takes the fewest MACs, and how many, if that is fewer than this one takes."""
        if not 3 <= len(x) <= MOST_ORDERS or not all(isinstance(d, int) for t in x for d in t.shape):
            return None
        now = self._work(x, self.order(len(x))).macs
        best = min(_orders(len(x)), key=lambda order: self._work(x, order).macs)  # type: ignore[arg-type,return-value]
        macs = self._work(x, best).macs
        return (best, macs) if macs < now else None  # type: ignore[operator]

    def index_maps(self, *x: TensorType, y: TensorType) -> tuple[IndexMap, ...]:
        labels, out = self.labels(x)
        return tuple(tuple(AxisMap(names.index(name)) if name in names else None for name in out) for names in labels)

    def labels(self, x: Sequence[TensorType]) -> tuple[list[list[str]], list[str]]:
        """The name of each axis of each operand and of the output; those of ``...`` are numbered from the right."""
        terms, output = _split(self.equation)
        labels = [_spread(term, len(t.shape)) for term, t in zip(terms, x, strict=True)]
        if output is not None:
            most = max((sum(n.startswith(".") for n in names) for names in labels), default=0)
            return labels, _spread(output, len(output.replace("...", "")) + (most if "..." in output else 0))
        named = "".join(terms).replace("...", "")
        dots = sorted({n for names in labels for n in names if n.startswith(".")}, reverse=True)
        return labels, dots + sorted(c for c in set(named) if named.count(c) == 1)

    def order(self, operands: int) -> list[tuple[int, int]]:
        """Pairs of positions; the result of each goes to the end of those left."""
        if isinstance(self.path, tuple):
            return [(self.path[i], self.path[i + 1]) for i in range(0, len(self.path) - 1, 2)]
        # The first two; then the first of the others with the result, which stands last.
        return [(0, 1)] + [(0, left - 1) for left in range(operands - 1, 1, -1)] if operands > 1 else []

    def _work(self, x: Sequence[TensorType], order: list[tuple[int, int]]) -> EinsumWork:
        labels, out = self.labels(x)
        sizes = _sizes(labels, x)
        terms = [set(names) for names in labels]
        macs: Dim = 0
        ops: Dim = 0
        pairs: list[Dim] = []
        nests: list[Nest] = []
        made: list[int | str] = list(range(len(x)))  # what each term is: an operand, or the result of a product
        for i, j in order:
            b, a = terms.pop(max(i, j)), terms.pop(min(i, j))
            factors = made.pop(max(i, j)), made.pop(min(i, j))
            later = set(out).union(*terms)
            summed = (a & b) - later
            for own in (a - b, b - a):  # what only one of them has and nobody needs is summed first
                alone = own - later
                if alone:
                    whole = a if own <= a else b
                    ops = ops + prod(sizes[n] for n in whole) - prod(sizes[n] for n in whole - alone)
                    a, b = a - alone, b - alone
            pairs.append(prod(sizes[n] for n in a | b) if summed else 0)
            if summed:
                macs = macs + pairs[-1]
                axes = (a - b, b - a, summed, (a & b) - summed)
                rows, columns, inner, stack = (prod(sizes[n] for n in some) for some in axes)
                part = f"product_{len(nests)}"
                nests.append(Nest(rows, columns, inner, stack, part=part, reads=factors[::-1]))
                made.append(part)
            else:
                ops = ops + prod(sizes[n] for n in a | b)
                made.append(factors[1])
            terms.append((a | b) - summed)
        (last,) = terms
        if last - set(out):
            ops = ops + prod(sizes[n] for n in last) - prod(sizes[n] for n in out)
        parts = tuple(nests if len(nests) > 1 else (nest._replace(part="") for nest in nests))
        return EinsumWork(macs, ops, parts, tuple(pairs))

    def to_torch(self, *x: TensorType) -> nn.Module:
        from torch import _VF  # the public function takes no path

        from costcalc.ops.functional import functional

        equation, path = self.equation, self.path
        return functional(lambda *inputs: _VF.einsum(equation, inputs, path=path))  # type: ignore[attr-defined]

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        path = call.get("path")
        return call.add(cls(call["equation"].replace(" ", ""), tuple(path) if path else None), *call["tensors"])

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls("bhqd,bhkd->bhqk"), TensorType((2, 3, 4, 5)), TensorType((2, 3, 6, 5))
        yield cls("...c,dc->...d"), TensorType((2, 4, 3)), TensorType((5, 3))
        yield cls("ij,jk,kl->il"), TensorType((2, 3)), TensorType((3, 4)), TensorType((4, 5))
        yield cls("ij,jk,kl->il", (1, 2, 0, 1)), TensorType((2, 3)), TensorType((3, 4)), TensorType((4, 5))
        yield cls("i,j"), TensorType((3,)), TensorType((4,))
        yield cls("ijk->ki"), TensorType((2, 3, 4))


def _split(equation: str) -> tuple[list[str], str | None]:
    left, arrow, right = equation.replace(" ", "").partition("->")
    return left.split(","), right if arrow else None


def _spread(term: str, rank: int) -> list[str]:
    """``['.1', '.0', 'c']`` for ``...c`` of three axes."""
    before, dots, after = term.partition("...")
    if not dots:
        return list(term)
    between = rank - len(before) - len(after)
    return [*before, *(f".{i}" for i in reversed(range(between))), *after]


def _sizes(labels: list[list[str]], x: Sequence[TensorType]) -> dict[str, Dim]:
    """The size of each axis, by its letter: that of the first operand in which it is not 1."""
    sizes: dict[str, Dim] = {}
    for names, t in zip(labels, x, strict=True):
        for name, size in zip(names, t.shape, strict=True):
            known = sizes.get(name, 1)
            if isinstance(known, int) and known == 1:
                sizes[name] = size
    return sizes


def _orders(operands: int) -> Iterator[list[tuple[int, int]]]:
    """Every order in which pairs can be contracted."""
    if operands == 1:
        yield []
        return
    for i, j in permutations(range(operands), 2):
        if i < j:
            for rest in _orders(operands - 1):
                yield [(i, j), *rest]
