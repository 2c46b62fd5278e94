"""Operators on tensors whose elements are known: shapes, axes, positions. What they make is known too, and no layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from costcalc.frontends.onnx import folding
from costcalc.frontends.onnx.elements import NAMES
from costcalc.frontends.onnx.folding import Array, Unknown
from costcalc.frontends.onnx.node_use import FileError, KnownTensor, NodeUse, axis_of
from costcalc.frontends.onnx.read import OnnxTensor
from costcalc.ir.tensor import FLOATING_BITS, TensorType


def folded(n: NodeUse) -> tuple[KnownTensor, ...] | None:
    """What a node makes, if all of that is known; else None. Raises ``Unknown`` where it cannot be worked out."""
    rule = _RULES.get(n.node.operator)
    if rule is None:
        return None
    if n.node.operator not in ("Shape", "Size"):
        for value in n.given:
            if value is None:
                continue
            if isinstance(value, list) or value.numbers is None:
                return None
            if value.weight and value.type.dtype in FLOATING_BITS and value.type.size != 1:
                return None  # a weight stays one
    made = rule(n)
    for value in n.given:
        if value is not None:
            n.build.looked_at(value)
    return made if isinstance(made, tuple) else (made,)


def _array(n: NodeUse, index: int) -> Array:
    value = n.held(index)
    shape = value.type.shape
    folding.count(shape)  # type: ignore[arg-type]
    assert value.numbers is not None
    return Array(shape, value.numbers)  # type: ignore[arg-type]


def _made(array: Array, dtype: str) -> KnownTensor:
    return KnownTensor(TensorType(array.shape, dtype), array.numbers)


def _like(n: NodeUse, array: Array) -> KnownTensor:
    return _made(array, n.type(0).dtype)


def _each(n: NodeUse) -> KnownTensor:
    operator = n.node.operator
    arrays = [_array(n, i) for i in range(len(n.given))]
    dtype = "bool" if operator in folding.TRUTHS else n.type(1 if operator == "Where" else 0).dtype
    return _made(folding.each(folding.FUNCTIONS[operator], *arrays), dtype)


def _clip(n: NodeUse) -> KnownTensor:
    x = _array(n, 0)
    for index, name, rule in ((1, "min", "Max"), (2, "max", "Min")):
        if name in n.node.attributes or n.has(index):
            bound = n.attribute(name) if name in n.node.attributes else _array(n, index).numbers[0]
            x = folding.each(folding.FUNCTIONS[rule], x, Array((), (bound,)))
    return _like(n, x)


def _shape(n: NodeUse) -> KnownTensor:
    shape = n.shape(0)
    start, stop = n.attribute("start", 0), n.attribute("end", None)
    taken = shape[slice(start, stop)]
    return KnownTensor(TensorType((len(taken),), "int64"), taken)


def _size(n: NodeUse) -> KnownTensor:
    return KnownTensor(TensorType((), "int64"), (n.type(0).size,))


def _constant(n: NodeUse) -> KnownTensor | Any:
    for name, value in n.node.attributes.items():
        if name in ("value", "sparse_value") and isinstance(value, OnnxTensor):
            kind = TensorType(value.shape, value.dtype)
            if value.numbers is not None and (kind.size == 1 or value.dtype not in FLOATING_BITS):
                return KnownTensor(kind, value.numbers, "" if kind.size == 1 else n.node.outputs[0])
            return n.build.tensor(value, n.node.outputs[0])
        if name in ("value_int", "value_float"):
            return KnownTensor(TensorType((), "int64" if name == "value_int" else "float32"), (value,))
        if name in ("value_ints", "value_floats"):
            return KnownTensor(TensorType((len(value),), "int64" if name == "value_ints" else "float32"), value)
    raise Unknown


def _constant_of_shape(n: NodeUse) -> KnownTensor:
    shape = _array(n, 0).numbers
    value = n.attribute("value")
    number, dtype = (value.numbers or (0,), value.dtype) if isinstance(value, OnnxTensor) else ((0.0,), "float32")
    return KnownTensor(TensorType(shape, dtype), number[:1] * folding.count(shape))


def _range(n: NodeUse) -> KnownTensor:
    start, stop, step = (_array(n, i).numbers[0] for i in range(3))
    numbers = tuple(folding.counted(start, stop, step))
    return KnownTensor(TensorType((len(numbers),), n.type(0).dtype), numbers)


def _identity(n: NodeUse) -> KnownTensor:
    return _like(n, _array(n, 0))


def _cast(n: NodeUse) -> KnownTensor:
    x = _array(n, 0)
    dtype = n.type(1).dtype if n.node.operator == "CastLike" else NAMES.get(n.attribute("to", 0), "")
    if dtype in FLOATING_BITS:
        return _made(Array(x.shape, [folding.decimal(v) for v in x.numbers]), dtype)
    if dtype == "bool":
        if any(not isinstance(v, (int, float)) for v in x.numbers):
            raise Unknown
        return _made(Array(x.shape, [bool(v) for v in x.numbers]), dtype)
    if not dtype.startswith(("int", "uint")):
        raise Unknown
    return _made(Array(x.shape, [folding.whole(v) for v in x.numbers]), dtype)


def _gather(n: NodeUse) -> KnownTensor:
    x, indices = _array(n, 0), _array(n, 1)
    return _like(n, folding.gathered(x, indices, axis_of(n.attribute("axis", 0), len(x.shape))))


def _concat(n: NodeUse) -> KnownTensor:
    arrays = [_array(n, i) for i in range(len(n.given))]
    return _like(n, folding.joined(arrays, axis_of(n.attribute("axis", 1), len(arrays[0].shape))))


def _slice(n: NodeUse) -> KnownTensor:
    x = _array(n, 0)
    for axis, start, stop, step in slices(n, len(x.shape)):
        if not all(type(v) is int for v in (start, stop, step)) or not step:
            raise Unknown
        taken = places(x.shape[axis], start, stop, step)
        x = folding.gathered(x, Array((len(taken),), list(taken)), axis)
    return _like(n, x)


def places(size: int, start: int, stop: int, step: int) -> range:
    """The places of an axis that a slice takes: its ends are brought inside of the axis, unlike Python's own.

    >>> list(places(4, -9, -9, -1)), list(places(4, 3, -9, -2)), list(places(4, 1, 2**40, 2))
    ([0], [3, 1], [1, 3])
    """
    start, stop = (at + size if at < 0 else at for at in (start, stop))
    low, high = (0, size) if step > 0 else (-1, size - 1)
    return range(min(max(start, 0), high), min(max(stop, low), high), step)


def slices(n: NodeUse, rank: int) -> list[tuple[int, Any, Any, Any]]:
    """The axes that ``Slice`` cuts, each with where it starts, where it stops, and its step."""
    starts, stops = n.sizes("starts", 1), n.sizes("ends", 2)
    axes = n.sizes("axes", 3) or tuple(range(len(starts)))
    steps = n.sizes("steps", 4) or (1,) * len(starts)
    return [(axis_of(a, rank), b, e, s) for a, b, e, s in zip(axes, starts, stops, steps, strict=True)]


def _split(n: NodeUse) -> tuple[KnownTensor, ...]:
    x = _array(n, 0)
    axis = axis_of(n.attribute("axis", 0), len(x.shape))
    at, made = 0, []
    for size in split_sizes(n, x.shape[axis]):
        made.append(_like(n, folding.sliced(x, axis, at, at + size, 1)))
        at += size
    return tuple(made)


MOST_PARTS = 4096
"""Parts that a tensor is cut into."""


def split_sizes(n: NodeUse, size: Any) -> tuple[Any, ...]:
    """The parts that ``Split`` makes of an axis of ``size``."""
    given = n.sizes("split", 1)
    if given:
        return tuple(given)
    parts = n.attribute("num_outputs") or len(n.node.outputs)
    if not isinstance(parts, int) or not 0 < parts <= MOST_PARTS:
        raise FileError(f"Split makes {parts} parts; from 1 to {MOST_PARTS:,} can be made")
    if not isinstance(size, int):
        return (size // parts,) * parts
    each = -(-size // parts)
    # As ONNX Runtime cuts: the last ones have what is left, if anything.
    return tuple(max(min(each, size - i * each), 0) for i in range(parts))


def _squeeze(n: NodeUse) -> KnownTensor:
    x = _array(n, 0)
    given = n.sizes("axes", 1)
    axes = {axis_of(a, len(x.shape)) for a in given} if given else {i for i, s in enumerate(x.shape) if s == 1}
    return _like(n, Array([s for i, s in enumerate(x.shape) if i not in axes], x.numbers))


def _unsqueeze(n: NodeUse) -> KnownTensor:
    x = _array(n, 0)
    given = n.sizes("axes", 1)
    rank = len(x.shape) + len(given)
    axes = {axis_of(a, rank) for a in given}
    sizes = iter(x.shape)
    return _like(n, Array([1 if i in axes else next(sizes) for i in range(rank)], x.numbers))


def _reshape(n: NodeUse) -> KnownTensor:
    x = _array(n, 0)
    shape = reshaped_to(n, x.shape, len(x.numbers), n.sizes("shape", 1))
    return _like(n, Array(shape, x.numbers))


def reshaped_to(n: NodeUse, before: Any, size: Any, shape: Any) -> tuple[Any, ...]:
    """The shape that ``Reshape`` makes: 0 keeps a size unless ``allowzero``, -1 is what is left."""
    keeps = not n.attribute("allowzero", 0)
    made = [before[i] if isinstance(d, int) and d == 0 and keeps else d for i, d in enumerate(shape)]
    others: Any = 1
    for d in made:
        if not (isinstance(d, int) and d == -1):
            others = others * d
    whole = isinstance(size, int) and isinstance(others, int)
    if whole and (size % others if any(d == -1 for d in made) and others else size != others):
        wanted = "×".join(map(str, made))
        raise FileError(f"Reshape: {size} elements do not fit into {wanted}")
    return tuple(size // others if isinstance(d, int) and d == -1 else d for d in made)


def _expand(n: NodeUse) -> KnownTensor:
    if n.type(0).dtype in FLOATING_BITS:
        raise Unknown  # a view of one number, whatever it stretches to
    x = _array(n, 0)
    wanted = Array(_array(n, 1).numbers, ())
    return _like(n, folding.stretched(x, folding.together(x, wanted)))


def _transpose(n: NodeUse) -> KnownTensor:
    x = _array(n, 0)
    return _like(n, folding.transposed(x, n.attribute("perm") or tuple(reversed(range(len(x.shape))))))


def _reduce(n: NodeUse) -> KnownTensor:
    x = _array(n, 0)
    given = n.sizes("axes", 1)
    axes = [axis_of(a, len(x.shape)) for a in given] if given else list(range(len(x.shape)))
    if not given and n.attribute("noop_with_empty_axes", 0):
        return _like(n, x)
    function = folding.REDUCTIONS[n.node.operator]
    return _like(n, folding.reduced(x, axes, bool(n.attribute("keepdims", 1)), function))


def _tile(n: NodeUse) -> KnownTensor:
    x = _array(n, 0)
    for axis, repeats in enumerate(_array(n, 1).numbers):
        if type(repeats) is not int or repeats < 0 or repeats * len(x.numbers) > folding.MOST:
            raise Unknown
        x = folding.joined([x] * repeats, axis) if repeats else folding.sliced(x, axis, 0, 0, 1)
    return _like(n, x)


def _scatter(n: NodeUse) -> KnownTensor:
    x, indices, updates = (_array(n, i) for i in range(3))
    if len(x.shape) != 1 or len(updates.numbers) != len(indices.numbers):
        raise Unknown
    numbers = list(x.numbers)
    for i, value in zip(indices.numbers, updates.numbers, strict=True):
        if type(i) is not int or not -len(numbers) <= i < len(numbers):
            raise Unknown
        numbers[i] = value
    return _like(n, Array(x.shape, numbers))


def _nonzero(n: NodeUse) -> KnownTensor:
    x = _array(n, 0)
    if not x.shape or any(not isinstance(v, (int, float)) for v in x.numbers):
        raise Unknown
    at = [i for i, v in enumerate(x.numbers) if v]
    rows = [[i // step % size for i in at] for size, step in zip(x.shape, x.strides, strict=True)]
    return _made(Array((len(x.shape), len(at)), [v for row in rows for v in row]), "int64")


_RULES: dict[str, Callable[[NodeUse], Any]] = {
    **dict.fromkeys(folding.FUNCTIONS, _each), **dict.fromkeys(folding.REDUCTIONS, _reduce),
    "Clip": _clip,
    "Shape": _shape, "Size": _size, "Constant": _constant, "ConstantOfShape": _constant_of_shape, "Range": _range,
    "Identity": _identity, "Cast": _cast, "CastLike": _cast, "Gather": _gather, "Concat": _concat, "Slice": _slice,
    "Split": _split, "Squeeze": _squeeze, "Unsqueeze": _unsqueeze, "Reshape": _reshape,
    "Expand": _expand, "Transpose": _transpose, "Tile": _tile, "ScatterND": _scatter, "ScatterElements": _scatter,
    "NonZero": _nonzero,
}  # fmt: skip
