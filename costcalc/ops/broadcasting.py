"""How shapes of different operands meet: aligned from the right, an axis of size 1 stretched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from costcalc.ir.dims import Dim, equal
from costcalc.ir.index_map import AxisMaps, elementwise
from costcalc.ir.op import Condition
from costcalc.ir.saved import Moment
from costcalc.ir.tensor import FLOATING_BITS, TensorType


def broadcast(*shapes: Sequence[Dim]) -> tuple[Dim, ...]:
    """The shape that all of ``shapes`` stretch to, as PyTorch does.

    A symbol meets a number, or another symbol, as if they were equal: ``stretches`` assumes so.

    >>> broadcast((8, 1, 5), (4, 5), (1,))
    (8, 4, 5)
    """
    meeting = zip_longest(*(reversed(s) for s in shapes), fillvalue=1)
    return tuple(next((d for d in dims if not is_one(d)), 1) for dims in meeting)[::-1]


def stretches(*shapes: Sequence[Dim], what: str = "the inputs") -> Iterator[Condition]:
    """Along each axis the sizes are equal, or 1."""
    whole = broadcast(*shapes)
    for shape in shapes:
        for axis, (size, wanted) in enumerate(
            zip(shape, whole[len(whole) - len(shape) :], strict=True), len(whole) - len(shape)
        ):
            if not is_one(size):
                yield (
                    equal(size, wanted),
                    f"axis {axis} of {what} is {wanted} and {size}; the sizes must be equal, or one of them 1",
                )


def joint_dtype(*types: TensorType) -> str:
    """The element type of a result: the widest of the floating-point operands, scalars apart if others are among them,
    else that of the first.

    >>> joint_dtype(TensorType((2,), "bfloat16"), TensorType((2,)), TensorType((), "float64"))
    'float32'
    """
    floating = [t for t in types if t.dtype in FLOATING_BITS]
    found = {t.dtype for t in floating if t.shape} or {t.dtype for t in floating}
    if len(found) < 2:
        return found.pop() if found else types[0].dtype
    widest = max(found, key=FLOATING_BITS.__getitem__)
    return "float32" if found == {"bfloat16", "float16"} else widest


def is_one(d: Dim) -> bool:
    """Whether ``d`` stretches. Only a plain 1 does; what is 1 in some designs, or for some symbol, does not."""
    return isinstance(d, int) and d == 1


def leading(shape: Sequence[Dim], whole: Sequence[Dim]) -> AxisMaps:
    """How the axes ``whole`` follow those of ``shape``, which stretch to them."""
    return elementwise(TensorType(tuple(shape)), TensorType(tuple(whole)))


def before_sums(
    x: Sequence[TensorType],
    y: TensorType,
    wanted: Sequence[bool],
    own: Sequence[bool],
    beside: Sequence[TensorType] = (),
) -> tuple[Moment, ...]:
    """Of inputs that are stretched: their gradients before they are summed, one after the other.

    own      for each input whether its gradient is worked out in memory of its own
    beside   what is there when the last of them is worked out
    """
    stretched = [i for i, t in enumerate(x) if wanted[i] and t.shape != y.shape]
    whole = tuple([i for i in range(len(x)) if wanted[i] and i not in stretched])
    found = [Moment((y,) * sum(own[i] for i in stretched) + tuple(beside), whole)] if beside else []
    for done, i in enumerate(stretched):
        left = sum(own[j] for j in stretched[done:])
        if left:
            found.append(Moment((y,) * left, (*whole, *stretched[:done], i)))
    return tuple(found)
