"""An exported program with its open sizes as symbols.

It is traced at several sizes. Where the graphs differ, an option of a layer depends on the sizes, and what it is in
them is looked up among the expressions that PyTorch wrote into the program. The sizes of the traces are such that all
these expressions differ there, so that no two can be confused. Our own rules then run on the symbols; what they say at
sizes that had no part in it is compared with traces there, and how far that holds becomes a condition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from random import Random
from typing import Any

from costcalc.classes import replace
from costcalc.errors import CostcalcError
from costcalc.frontends.torch.sizes import MOST
from costcalc.ir.call import once
from costcalc.ir.dims import Dim, prod
from costcalc.ir.expr import Expr
from costcalc.ir.fields import UNKNOWN
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.tensor import TensorType
from costcalc.ir.values import value_at

Sample = Mapping[str, int]
Limits = Mapping[str, tuple[int, int]]
TRIED = 64
"""Sizes at which expressions are compared: those that agree at all of them are taken to be one."""
FEWEST, MOST_TRACES = 4, 10
"""Traces from which a graph in symbols is made."""
BESIDE = 3
"""Traces at other sizes that it is compared with, beside those at the ends of the range."""
FAR = 64
"""How far beyond twice the exported size sizes are drawn."""


class NotInSymbols(CostcalcError):
    """What a program does depends on its open sizes in a way that has no closed form here."""


def in_symbols(
    trace: Callable[[Sample], Graph],
    shapes: Mapping[str, tuple[Dim, ...]] | None,
    written: Iterable[Dim],
    ranges: Mapping[str, tuple[int, int, int]],
    inner: Limits | None = None,
) -> Graph:
    """The graph of a program with sizes as symbols, and as conditions the sizes that it is right for.

    trace     the program with these numbers for the open sizes
    shapes    of the inputs, in the open sizes; None where they are to be found as options of layers are
    written   expressions in the program
    ranges    by the name of each size that stays open: what it is in numbers, the least and the most
    inner     between which sizes the traces are that it is made from; around those at export if nothing is said

    Raises ``NotInSymbols`` where that cannot be done exactly.
    """
    pool = [e for e in dict.fromkeys(written) if isinstance(e, Expr) and e.symbols <= ranges.keys()]
    random = Random(0)
    if inner is None:
        inner = {name: _inner(*bounds) for name, bounds in ranges.items()}
    drawn = [{name: random.randint(*limits) for name, limits in inner.items()} for _ in range(TRIED)]
    samples = _telling(drawn, pool)
    made = _Generaliser([trace(sample) for sample in samples], samples, pool).graph(shapes)
    for sample in [s for s in drawn if s not in samples][:BESIDE]:
        difference = _difference(made, trace(sample), sample)
        if difference:
            raise NotInSymbols(f"{difference} with {_said(sample)} than with {_said(samples[0])}")
    least, most = _Ends(trace, made, inner, ranges).found()
    conditions = [
        *(f"{name} ≥ {n}" for name, n in least.items() if n > 1),
        *(f"{name} ≤ {n}" for name, n in most.items()),
    ]
    return replace(made, assumed=(*conditions, *made.assumed))


def _inner(hint: int, least: int, most: int) -> tuple[int, int]:
    """Sizes around that at export, without the smallest, at which layers may do nothing."""
    high = min(most, 2 * hint + FAR)
    return min(high, max(least, hint // 2, 2)), high


def _telling(drawn: Sequence[Sample], pool: Sequence[Expr]) -> list[Sample]:
    """Those of ``drawn`` that tell all expressions in ``pool`` apart, and from numbers, as far as all of them do."""
    values = [tuple(value_at(e, sample) for sample in drawn) for e in pool]
    chosen: list[int] = []
    parts: list[tuple[Any, ...]] = [() for _ in pool]

    def distinguished(parts: Iterable[tuple[Any, ...]]) -> int:
        distinct = set(parts)
        return len(distinct) + sum(len(set(part)) > 1 for part in distinct)

    enough = distinguished(values)
    while len(chosen) < min(MOST_TRACES, len(drawn)) and (len(chosen) < FEWEST or distinguished(parts) < enough):
        left = [i for i in range(len(drawn)) if i not in chosen]
        best = max(left, key=lambda i: distinguished((*p, v[i]) for p, v in zip(parts, values, strict=True)))
        chosen.append(best)
        parts = [(*p, v[best]) for p, v in zip(parts, values, strict=True)]
    return [drawn[i] for i in chosen]


class _Generaliser:
    """Makes one graph in symbols of several in numbers."""

    def __init__(self, graphs: Sequence[Graph], samples: Sequence[Sample], pool: Iterable[Expr]) -> None:
        self.graphs, self.samples = graphs, samples
        self.pool: dict[tuple[Any, ...], Expr] = {}
        for e in sorted(pool, key=lambda e: len(str(e))):
            self.pool.setdefault(self._values(e), e)

    def graph(self, shapes: Mapping[str, tuple[Dim, ...]] | None) -> Graph:
        """The graph, whose inputs have the ``shapes``; None where they are to be found."""
        first = self.graphs[0]
        for other, sample in zip(self.graphs[1:], self.samples[1:], strict=True):
            if structure(other) != structure(first):
                what = f"{first.name} has other layers with {_said(sample)} than with {_said(self.samples[0])}"
                raise NotInSymbols(what)
        if shapes is None:
            shapes = {name: self._shape(name) for name in first.inputs}
        types = {name: TensorType(shapes[name], first.types[name].dtype) for name in first.inputs}
        builder = GraphBuilder(first.name, types)
        for nodes in zip(*(graph.nodes for graph in self.graphs), strict=True):
            node = nodes[0]
            near = [d for v in node.inputs for d in _beside(builder.types[v].shape)]
            options = {}
            for field in node.op.fields:
                values = [getattr(n.op, field.name) for n in nodes]
                try:
                    elements = field.kind == "Numbers" and len({*values}) > 1
                    options[field.name] = UNKNOWN if elements else self._one(values, near)
                except NotInSymbols as error:
                    reason = f"{node.name}: {field.name} of {node.op.name} is {error.message}, which has no closed form"
                    raise NotInSymbols(reason) from None
            try:
                op = type(node.op)(**options)
                builder.add(
                    node.name, op, node.inputs, node.called, node.location, node.prepared, node.frozen, node.stored_as
                )
            except CostcalcError:
                raise
            except (TypeError, ValueError, AssertionError, LookupError, ArithmeticError) as error:
                raise NotInSymbols(f"{node.name}: {node.op.name} takes numbers only ({error})") from None
        made = replace(first, nodes=tuple(builder.nodes), types=builder.types, assumed=tuple(builder.assumed))
        for graph, sample in zip(self.graphs, self.samples, strict=True):
            difference = _difference(made, graph, sample)
            if difference:
                raise NotInSymbols(f"{difference} with {_said(sample)} than our rule has in symbols")
        return made

    def _shape(self, name: str) -> tuple[Dim, ...]:
        """The shape of an input, of which each trace has one."""
        try:
            found: tuple[Dim, ...] = self._one([graph.types[name].shape for graph in self.graphs], ())
        except NotInSymbols as error:
            raise NotInSymbols(f"{name}: an axis of it is {error.message}, which has no closed form") from None
        return found

    def _one(self, values: Sequence[Any], near: Sequence[Dim]) -> Any:
        """What an option is, of which each trace has one value."""
        axes = {len(v) for v in values if type(v) is tuple}
        if len(axes) == 1 and any(type(v) is int for v in values):  # equal along all axes, it was written once
            values = [(v,) * next(iter(axes)) if type(v) is int else v for v in values]
        first = values[0]
        if all(type(v) is type(first) and v == first for v in values):
            return first
        if all(type(v) is tuple and len(v) == len(first) for v in values):
            return tuple(self._one(parts, near) for parts in zip(*values, strict=True))
        if not all(type(v) is int for v in values):
            raise NotInSymbols(f"{str(first)[:40]} or {str(next(v for v in values if v != first))[:40]}")
        known = self._known(tuple(values), near)
        if known is None:
            raise NotInSymbols(", ".join(map(str, values)))
        return known

    def _known(self, values: tuple[int, ...], near: Sequence[Dim]) -> Dim | None:
        """The expression that has these values: of those written, those beside, or one of these and two numbers."""
        found = self.pool.get(values)
        if found is not None:
            return found
        others = [e for e in near if isinstance(e, Expr)]
        for e in others:
            if self._values(e) == values:
                return e
        for e in (*self.pool.values(), *others):
            at = self._values(e)
            i, j = at.index(min(at)), at.index(max(at))
            if at[i] != at[j]:
                factor, rest = divmod(values[j] - values[i], at[j] - at[i])
                offset = values[i] - factor * at[i]
                if not rest and factor and all(factor * a + offset == v for a, v in zip(at, values, strict=True)):
                    known: Dim = e * factor + offset
                    return known
        return None

    def _values(self, e: Expr) -> tuple[Any, ...]:
        return tuple(value_at(e, sample) for sample in self.samples)


def _beside(shape: tuple[Dim, ...]) -> Iterator[Dim]:
    """The sizes of ``shape``, and the products of those that stand together."""
    for start in range(len(shape)):
        for stop in range(start + 1, len(shape) + 1):
            yield prod(shape[start:stop])


class _Ends:
    """How far from the exported sizes a graph in symbols is still that of the program."""

    def __init__(
        self, trace: Callable[[Sample], Graph], made: Graph, inner: Limits, ranges: Mapping[str, tuple[int, int, int]]
    ) -> None:
        self.trace, self.made, self.inner, self.ranges = trace, made, inner, ranges

    def found(self) -> tuple[dict[str, int], dict[str, int]]:
        """The least of each size, and the most of those that have one."""
        least, most = {}, {}
        middle = {name: (low + high) // 2 for name, (low, high) in self.inner.items()}
        for name, (hint, low, high) in self.ranges.items():
            inside, beyond = self.inner[name]
            least[name] = self._end(middle, name, max(low, 1), inside)
            far = min(high, 8 * (hint + FAR))
            upto = self._end(middle, name, far, beyond)
            if upto != far or high < MOST:
                most[name] = upto
        while not self._agrees(least) and not self._agrees({n: least[n] + i for i, n in enumerate(least)}):  # together
            lows = {name: limits[0] for name, limits in self.inner.items()}
            if least == lows:
                break
            least = {name: min(2 * n + 1, lows[name]) for name, n in least.items()}
        return least, most

    def _end(self, middle: Sample, name: str, wanted: int, good: int) -> int:
        """The size nearest to ``wanted``, from ``good`` on, up to which the two agree."""
        if self._agrees({**middle, name: wanted}):
            return wanted
        bad = wanted
        while abs(bad - good) > 1:
            half = (bad + good) // 2
            good, bad = (half, bad) if self._agrees({**middle, name: half}) else (good, half)
        return good

    def _agrees(self, sample: Sample) -> bool:
        try:
            return not _difference(self.made, self.trace(sample), sample)
        except CostcalcError:
            return False  # the program takes no such sizes


def structure(graph: Graph) -> list[tuple[Any, ...]]:
    """What must be the same at all sizes."""
    return [(n.name, n.op.name, n.inputs, n.outputs, n.called, n.prepared) for n in graph.nodes] + [
        (graph.inputs, graph.outputs)
    ]


def _difference(made: Graph, graph: Graph, sample: Sample) -> str:
    """Where a graph in symbols is another at ``sample`` than ``graph``, in numbers; else nothing."""
    if structure(made) != structure(graph):
        return f"{made.name} has other layers"
    for ours, theirs in zip(made.nodes, graph.nodes, strict=True):
        for field in ours.op.fields:
            option = _at(getattr(ours.op, field.name), sample)
            told = field.kind != "Numbers" or option != UNKNOWN  # no figure depends on the elements of a constant
            if told and option != (there := getattr(theirs.op, field.name)) and once(option) != there:
                return f"{ours.name}: {ours.op.name} has another {field.name}"
    for name, type_ in made.types.items():
        if TensorType(_at(type_.shape, sample), type_.dtype) != graph.types[name]:
            return f"{name} has another shape"
    return ""


def _at(value: Any, sample: Sample) -> Any:
    if isinstance(value, Expr):
        return value_at(value, sample)
    return tuple(_at(v, sample) for v in value) if type(value) is tuple else value


def _said(sample: Sample) -> str:
    return " and ".join(f"{name}={value}" for name, value in sample.items())
