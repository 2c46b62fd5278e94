"""Functions along axes that go: sums, means, extrema, spread, norms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from costcalc.classes import NamedTuple
from costcalc.errors import OptionError
from costcalc.ir.call import Call, Traced
from costcalc.ir.dims import Dim
from costcalc.ir.fields import Axes, Dtype, Number, ints, number, spelled
from costcalc.ir.index_map import AxisMap, IndexMap
from costcalc.ir.op import Condition, Example, Op, find_op, op
from costcalc.ir.saved import NOTHING, Moment, Saves
from costcalc.ir.tensor import TensorType
from costcalc.ops.axes import has_axes, position, reduced_axes, several
from costcalc.ops.traced_steps import converted

if TYPE_CHECKING:
    from torch import Tensor, nn


class ReductionRule(NamedTuple):
    """What a reduction costs, from the elements that go in and come out, and what it returns."""

    ops: Callable[[Dim, Dim], Dim]
    returns: str = ""  # element types, where they are not the input's: "int64", "=,int64" …


def _each(n: int) -> Callable[[Dim, Dim], Dim]:
    return lambda size, made: n * size


def _between(size: Dim, made: Dim) -> Dim:
    return size - made


RULES: dict[str, ReductionRule] = {
    name: rule
    for names, rule in {
        "amax amin prod sum nansum max min median nanmedian mode kthvalue": ReductionRule(_between),
        "argmax argmin": ReductionRule(_between, "int64"),
        "any all": ReductionRule(_between, "bool"),
        "aminmax": ReductionRule(lambda size, made: 2 * (size - made), "=,="),
        "mean": ReductionRule(_each(1)),
        "count_nonzero": ReductionRule(_each(1), "int64"),
        "var std": ReductionRule(_each(4)),  # add into the mean, subtract, square, add
        "var_mean std_mean": ReductionRule(_each(4), "=,="),
        "linalg_vector_norm norm frobenius_norm": ReductionRule(_each(2)),  # power, add
        "logsumexp": ReductionRule(_each(4)),  # maximum, subtract, exp, add
    }.items()
    for name in names.split()
}
ONE_AXIS = ("prod", "median", "nanmedian", "mode", "kthvalue", "argmax", "argmin", "aminmax")
"""What PyTorch takes along one axis alone, so that several are made one first; and whatever keeps indices."""
WITH_INDICES = ("max", "min", "median", "nanmedian", "mode", "kthvalue")
NUMBERED = {
    **dict.fromkeys(("var", "std", "var_mean", "std_mean"), "correction"),
    **dict.fromkeys(("linalg_vector_norm", "norm", "frobenius_norm"), "ord"),
    "kthvalue": "k",
}
"""What PyTorch calls the number that some functions take beside axes."""
NEUTRAL = {"correction": 1, "ord": 2}
"""What that is where nobody says it."""


_SUMMING = ("sum", "mean", "prod", "nansum")
"""What takes the element type of its result, in which it adds up."""


class _AlongAxes(Op):
    """What reductions share: the given axes go, or stay with size 1."""

    if TYPE_CHECKING:
        axes: Axes  # fields of each
        keepdim: bool

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from has_axes(self, x, *several(self.axes))

    def reduced_shape(self, x: TensorType) -> tuple[Dim, ...]:
        """What is left of the shape of ``x``."""
        gone = self._gone(x)
        left = ((1 if axis in gone else size) for axis, size in enumerate(x.shape) if self.keepdim or axis not in gone)
        return tuple(left)

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        gone = self._gone(x)
        axis_maps = (None if axis in gone else AxisMap(axis) for axis in range(len(x.shape)))
        return (tuple(f for f in axis_maps if f is not None or self.keepdim),)

    def _gone(self, x: TensorType) -> set[int]:
        return {position(axis, x) for axis in several(self.axes)}


@op("reduction")
class Reduction(_AlongAxes):
    """A function along axes that go, or stay with size 1.

    Ops          extrema, products, truth: one comparison or operation fewer than there are elements, for each
                 result; variance 4 an element (mean, subtract, square, add), norms 2 (power, add),
                 logsumexp 4.
    Not counted  what happens once for each result: a root, a division, a logarithm; keeping indices.

    ``number`` is what some functions take beside the axes: the correction of a variance or a deviation (1 if nobody
    says it), the order of a norm (2), which value ``kthvalue`` is, from the least. No figure depends on it.
    """

    aten = " ".join(name for name in RULES if name not in ("sum", "mean")) + " _is_all_true _is_any_true renorm dist"

    choices = {"function": RULES}

    roles = {"number": "options"}

    function: str
    axes: Axes
    keepdim: bool = False
    dtype: Dtype | None = None
    indices: bool = False
    number: Number | None = None

    def check(self) -> None:
        if self.number is not None and self.function not in NUMBERED:
            raise OptionError(f"reduction: {self.function} takes no number; {', '.join(NUMBERED)} do")

    def infer(self, x: TensorType) -> TensorType | tuple[TensorType, ...]:
        shape = self.reduced_shape(x)
        dtypes = self.dtype or RULES[self.function].returns or "="
        made = tuple(TensorType(shape, x.dtype if d == "=" else d) for d in dtypes.split(","))
        if self.indices:
            made = (*made, TensorType(shape, "int64"))
        return made[0] if len(made) == 1 else made

    def discards(self, x: TensorType, *, y: TensorType) -> tuple[TensorType, ...]:
        """A copy that the k-th value and a median are found in: of the k-th with each place, of a median where the axis
        is not the last."""
        if self.function == "kthvalue":
            return (x, TensorType(x.shape, "int64"))
        is_last = self._gone(x) == {len(x.shape) - 1}
        return (x,) if self.function in ("median", "nanmedian") and not is_last else ()

    def saves(self, x: TensorType, *, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        """By function, where it is known; where a largest element was, or input and result."""
        if self.function in ("sum", "mean", "nansum", "any", "all", "argmax", "argmin", "count_nonzero"):
            return NOTHING if self.function != "nansum" else Saves((0,))
        if self.function == "mode":
            return Saves(outputs=(1,)) if self.indices else None
        if self.indices:
            return Saves(outputs=(1,))
        return Saves((0,)) if self.function in ("var", "var_mean") else Saves((0,), (0,))

    def beside_gradients(
        self, x: TensorType, *, y: TensorType, trained: bool, wanted: tuple[bool, ...]
    ) -> tuple[Moment, ...]:
        """By function; an extremum is shared by all that are as large, so that these are found and counted."""
        truth, count = TensorType(x.shape, "bool"), TensorType(y.shape, "int64")
        if self.indices:
            return ()
        if self.function in ("amax", "amin", "max", "min"):
            return (Moment((truth, count, y)),)
        if self.function in ("var", "var_mean"):
            return (Moment((x, y, y)),)
        if self.function in ("std", "std_mean"):
            return (Moment((x, y, y, y)),)
        if self.function == "logsumexp":
            return (Moment((x, x)),)
        if self.function == "nansum":
            return (Moment((truth, truth)),)
        if self.function in ("linalg_vector_norm", "norm", "frobenius_norm"):
            return self._beside_norms(x, y)
        return ()

    def _beside_norms(self, x: TensorType, y: TensorType) -> tuple[Moment, ...]:
        """By the order of the norm, as PyTorch's formulas have it."""
        truth, count = TensorType(x.shape, "bool"), TensorType(y.shape, "int64")
        order = float(number(2 if self.number is None else self.number))
        if order == 2:
            return (Moment((x, TensorType(y.shape, "bool"))),)
        if abs(order) == float("inf"):
            return (Moment((x, x, x, truth, count, y)),)
        if order > 2:
            return (Moment((x, y)),)
        if order == 1:
            return (Moment((x,)),)
        return (Moment((x, x) if order > 1 else (x, x, truth)),) if order else ()

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        return RULES[self.function].ops(x.size, y.size)

    def kind(self, x: TensorType) -> str:
        return self.function

    def to_torch(self, x: TensorType) -> nn.Module:
        from costcalc.ops.functional import functional

        if self.function == "kthvalue" and self.number is None:
            raise NotImplementedError("kthvalue has no PyTorch counterpart: its number is not in the spec")
        gone = sorted(self._gone(x))
        left = [axis for axis in range(len(x.shape)) if axis not in gone]
        shape, outputs = ints(self.reduced_shape(x)), self.infer(x)
        types = [outputs.dtype] if isinstance(outputs, TensorType) else [t.dtype for t in outputs]
        function, is_one_axis = self._along(), self.indices or self.function in ONE_AXIS

        def reduce(x: Tensor) -> Any:
            axes = tuple(gone)
            if not gone:  # a scalar
                x, axes = x.unsqueeze(-1), (-1,)
            elif is_one_axis and len(gone) > 1:
                x, axes = x.permute(*left, *gone).flatten(len(left)), (-1,)
            made = function(x, axes[0] if is_one_axis else axes)
            made = made if isinstance(made, tuple) else (made,)
            made = tuple(t.reshape(shape).to(getattr(torch, d)) for t, d in zip(made, types, strict=False))
            return made if len(types) > 1 else made[0]

        import torch

        return functional(reduce)

    def _along(self) -> Callable[[Tensor, Any], Any]:
        """The function along given axes."""
        import torch

        if self.function in NUMBERED:
            word = NUMBERED[self.function]
            given = number(NEUTRAL[word] if self.number is None else self.number)
            if word == "ord":
                return lambda x, axes: torch.linalg.vector_norm(x, given, axes)
            function = getattr(torch, self.function)
            return lambda x, axes: function(x, dim=axes, **{word: given})
        function = getattr(torch, self.function)
        if self.function in ("max", "min") and not self.indices:
            function = getattr(torch, f"a{self.function}")
        dtype = {"dtype": getattr(torch, self.dtype)} if self.dtype and self.function in _SUMMING else {}
        return lambda x, axes: function(x, dim=axes, **dtype)

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        if call.name in ("max", "min") and len(call.tensors()) > 1:  # the larger of two tensors, element by element
            from costcalc.ops.elementwise import elementwise

            return elementwise(call, "maximum" if call.name == "max" else "minimum", *call.tensors())
        if call.name == "renorm":  # each part along an axis times what its norm says
            x, axis = call["self"], call["dim"] % len(call["self"].shape)
            others = tuple(a for a in range(len(x.shape)) if a != axis)
            norm = call.add(cls("linalg_vector_norm", others, keepdim=True, number=_number(call, "norm")), x)
            return call.add(find_op("multiply")(), x, _limiting(call, norm))
        if call.name == "dist":
            x = call.add(find_op("subtract")(), *call.tensors())
            return call.add(cls("norm", tuple(range(len(x.shape))), number=_number(call, "norm")), x)
        return reduced(call, {"_is_all_true": "all", "_is_any_true": "any"}.get(call.name, call.name))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls("amax", 1), TensorType((2, 3, 4))
        yield cls("var", (1, 2), keepdim=True), TensorType((2, 3, 4))
        yield cls("std_mean", 1, number=0), TensorType((2, 3, 4))
        yield cls("linalg_vector_norm", (0, 2), number="inf"), TensorType((2, 3, 4))
        yield cls("kthvalue", 1, indices=True, number=2), TensorType((2, 3, 4))
        yield cls("max", -1, indices=True), TensorType((2, 5))
        yield cls("argmax", 0), TensorType((4, 2))


def _limiting(call: Call, norm: Traced) -> Traced:
    """By what a part of ``renorm`` is multiplied: the largest norm over its own, and at most 1."""
    elementwise = find_op("elementwise")
    y = call.add(elementwise("add", numbers=1e-07), norm)  # by which PyTorch keeps a norm of 0 away
    y = call.add(elementwise("divide", numbers=spelled(call["maxnorm"]), numbers_first=True), y)
    return call.add(elementwise("clamp_max", numbers=1), y)  # type: ignore[no-any-return]


class _SumOrMean(_AlongAxes):
    """What sums and means share."""

    def infer(self, x: TensorType) -> TensorType:
        return x.with_shape(*self.reduced_shape(x))

    def to_torch(self, x: TensorType) -> nn.Module:
        import torch

        from costcalc.ops.functional import functional

        reduce, axes, keepdim = getattr(torch, self.name), several(self.axes), self.keepdim
        return functional(lambda x: reduce(x, axes, keepdim))

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        x, (made,) = call["self"], call.made
        if call.name == "trace":
            x = call.add(find_op("diagonal")(), x)
            return call.add(cls(0), converted(call, x, made.dtype))
        if made.dtype != x.type.dtype:
            return reduced(call, call.name)
        return call.add(cls(reduced_axes(call), call.get("keepdim", False)), x)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(1), TensorType((2, 3, 4))
        yield cls((2, -1), keepdim=True), TensorType((2, 3, 4, 5))


@op("sum")
class Sum(_SumOrMean):
    """Sum along axes.

    Ops          1 per addition: the input's elements less the output's.
    """

    keeps = "nothing"
    rearranges = True

    aten = "sum trace"

    axes: Axes
    keepdim: bool = False

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        return x.size - y.size


@op("mean")
class Mean(_SumOrMean):
    """Mean along axes.

    Ops          1 per input element: the additions, and one division for each output.
    """

    keeps = "nothing"

    aten = "mean"

    axes: Axes
    keepdim: bool = False

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        return x.size


def reduced(call: Call, function: str) -> Any:
    """Add the traced reduction as ``function``."""
    x = call.tensors()[0]
    axes = reduced_axes(call)
    keepdim = call.get("keepdim", False)
    indices = function in WITH_INDICES and len(call.made) == 2
    beside = _number(call, function)
    op = Reduction(function, axes, keepdim, indices=indices, number=beside)
    inferred = op.infer(x.type)
    first = inferred if isinstance(inferred, TensorType) else inferred[0]
    if first.dtype != call.made[0].dtype:
        op = Reduction(function, axes, keepdim, call.made[0].dtype, indices, beside)
    return call.add(op, x)


def _number(call: Call, function: str) -> Number | None:
    """The number that ``function`` takes beside axes, where it is not what it would be anyway."""
    word = NUMBERED.get(function)
    if word is None or function == "frobenius_norm":
        return None
    given = call.get(word, call.get("p") if word == "ord" else None)
    if word == "correction" and given is None and call.get("unbiased", True) is False:
        given = 0
    if not isinstance(given, (int, float)) or given == NEUTRAL.get(word):
        return None
    return given if isinstance(given, int) else spelled(given)
