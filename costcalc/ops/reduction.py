"""Reductions other than the plain sum and mean: extrema, spread, norms, running sums, sorting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from costcalc.ir.call import Call
from costcalc.ir.dims import Dim, log2_ceil, maximum
from costcalc.ir.fields import Axes, Axis, Dtype, Size
from costcalc.ir.index_map import AxisMap, IndexMap, mixing
from costcalc.ir.op import Condition, Example, Op, op
from costcalc.ir.tensor import TensorType
from costcalc.ops.axes import has_axes, position, reduced_axes, replaced, several
from costcalc.ops.traced import reshaped


class Rule(NamedTuple):
    """What a reduction costs, from the elements that go in and come out, and what it returns."""

    ops: Callable[[Dim, Dim], Dim]
    returns: str = ""  # element types, where they are not the input's: "int64", "=,int64" …


def _each(n: int) -> Callable[[Dim, Dim], Dim]:
    return lambda size, made: n * size


def _between(size: Dim, made: Dim) -> Dim:
    return size - made


RULES: dict[str, Rule] = {
    name: rule
    for names, rule in {
        "amax amin prod sum nansum max min median nanmedian mode kthvalue": Rule(_between),
        "argmax argmin": Rule(_between, "int64"),
        "any all": Rule(_between, "bool"),
        "aminmax": Rule(lambda size, made: 2 * (size - made), "=,="),
        "mean": Rule(_each(1)),
        "count_nonzero": Rule(_each(1), "int64"),
        "var std": Rule(_each(4)),  # add into the mean, subtract, square, add
        "var_mean std_mean": Rule(_each(4), "=,="),
        "linalg_vector_norm norm frobenius_norm": Rule(_each(2)),  # power, add
        "logsumexp": Rule(_each(4)),  # maximum, subtract, exp, add
    }.items()
    for name in names.split()
}
WITH_INDICES = ("max", "min", "median", "nanmedian", "mode", "kthvalue")


@op("reduction")
class Reduce(Op):
    """A function along axes that go, or stay with size 1.

    Ops          extrema, products, truth: one comparison or operation fewer than there are elements, for each
                 result; variance 4 an element (mean, subtract, square, add), norms 2 (power, add),
                 logsumexp 4.
    Not counted  what happens once for each result: a root, a division, a logarithm; keeping indices.
    """

    aten = " ".join(name for name in RULES if name not in ("sum", "mean")) + " _is_all_true _is_any_true"

    choices = {"function": RULES}

    function: str
    axes: Axes
    keepdim: bool = False
    dtype: Dtype | None = None
    indices: bool = False

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from has_axes(self, x, *several(self.axes))

    def infer(self, x: TensorType) -> TensorType | tuple[TensorType, ...]:
        gone = {position(axis, x) for axis in several(self.axes)}
        kept = (
            (1,) if axis in gone and self.keepdim else () if axis in gone else (d,) for axis, d in enumerate(x.shape)
        )
        shape = tuple(d for each in kept for d in each)
        dtypes = self.dtype or RULES[self.function].returns or "="
        made = tuple(TensorType(shape, x.dtype if d == "=" else d) for d in dtypes.split(","))
        if self.indices:
            made = (*made, TensorType(shape, "int64"))
        return made[0] if len(made) == 1 else made

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        return RULES[self.function].ops(x.size, y.size)

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        gone = {position(axis, x) for axis in several(self.axes)}
        axis_maps = (None if axis in gone else AxisMap(axis) for axis in range(len(x.shape)))
        return (tuple(f for f in axis_maps if f is not None or self.keepdim),)

    def kind(self, x: TensorType) -> str:
        return self.function

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        if call.name in ("max", "min") and len(call.tensors()) > 1:  # the larger of two tensors, element by element
            from costcalc.ops.elementwise import elementwise

            return elementwise(call, "maximum" if call.name == "max" else "minimum", *call.tensors())
        return reduced(call, {"_is_all_true": "all", "_is_any_true": "any"}.get(call.name, call.name))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls("amax", 1), TensorType((2, 3, 4))
        yield cls("var", (1, 2), keepdim=True), TensorType((2, 3, 4))
        yield cls("max", -1, indices=True), TensorType((2, 5))
        yield cls("argmax", 0), TensorType((4, 2))


def reduced(call: Call, function: str) -> Any:
    """Add the traced reduction as ``function``."""
    x = call.tensors()[0]
    axes = reduced_axes(call)
    keepdim = call.get("keepdim", False)
    indices = function in WITH_INDICES and len(call.made) == 2
    op = Reduce(function, axes, keepdim, indices=indices)
    inferred = op.infer(x.type)
    first = inferred if isinstance(inferred, TensorType) else inferred[0]
    if first.dtype != call.made[0].dtype:
        op = Reduce(function, axes, keepdim, call.made[0].dtype, indices)
    return call.add(op, x)


@op("scan")
class Scan(Op):
    """Running sum, product or extremum along an axis; with ``indices`` where the extremum was, too.

    Ops          1 per element.
    """

    aten = "cumsum cumprod logcumsumexp cummax cummin"

    axis: Axis
    dtype: Dtype | None = None
    indices: bool = False

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from has_axes(self, x, self.axis)

    def infer(self, x: TensorType) -> TensorType | tuple[TensorType, ...]:
        y = TensorType(x.shape, self.dtype or x.dtype)
        return (y, TensorType(x.shape, "int64")) if self.indices else y

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        return x.size

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        return (mixing(x, self.axis),)

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        x, made = call["self"], call.made
        dtype = None if made[0].dtype == x.type.dtype else made[0].dtype
        if not x.shape:  # which has an axis for PyTorch
            scanned = call.add(cls(call["dim"], dtype, len(made) > 1), reshaped(call, x, 1))
            return tuple(reshaped(call, t) for t in scanned) if len(made) > 1 else reshaped(call, scanned)
        return call.add(cls(call["dim"], dtype, len(made) > 1), x)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(1), TensorType((2, 3, 4))
        yield cls(-1, indices=True), TensorType((2, 5))


@op("sort")
class Sort(Op):
    """Order an axis, or take its ``largest`` elements; values and where they were.

    Ops          comparisons of a merge: n·⌈log₂ n⌉ for each row of n; of the largest k n·⌈log₂ k⌉ and at least n.
    """

    aten = "sort topk argsort msort"

    roles = {"largest": "options"}

    axis: Axis = -1
    largest: Size | None = None
    indices_only: bool = False

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from has_axes(self, x, self.axis)

    def infer(self, x: TensorType) -> TensorType | tuple[TensorType, ...]:
        y = x if self.largest is None else replaced(x, self.axis, self.largest)
        places = TensorType(y.shape, "int64")
        return places if self.indices_only else (y, places)

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        size = x.shape[self.axis] if self.largest is None else self.largest
        return x.size * maximum(log2_ceil(size), 1)

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        return (mixing(x, self.axis),)

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        x = call["self"]
        if not x.shape:
            return NotImplemented
        largest = call.get("k")
        return call.add(cls(call.get("dim", -1), largest, call.name == "argsort"), x)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 8))
        yield cls(1, 3), TensorType((2, 9))
        yield cls(0, indices_only=True), TensorType((5, 2))
