"""What each layer of ncnn is that changes shapes, order or extent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costcalc.frontends.compose import Unlike, Value
from costcalc.frontends.ncnn.read import LISTS, REST, NcnnLayer
from costcalc.frontends.ncnn.rules import rule
from costcalc.ir.dims import prod

if TYPE_CHECKING:
    from costcalc.frontends.ncnn.build import NcnnBuilder


def _written(b: NcnnBuilder, value: Value) -> Value:
    """What ncnn writes anew, though only its order or extent is another."""
    return b.make("elementwise", value, function="copy")


@rule("Split")
def split(b: NcnnBuilder, layer: NcnnLayer, x: Value) -> list[Value]:
    """One value under several names."""
    return [x] * len(layer.outputs)


@rule("Noop")
def noop(b: NcnnBuilder, layer: NcnnLayer, *inputs: Value) -> list[Value]:
    """Nothing."""
    return list(inputs)


@rule("MemoryData")
def memory_data(b: NcnnBuilder, layer: NcnnLayer) -> Value:
    """A tensor of the model, which has no batch."""
    sizes = [layer.whole(number) for number in (2, 1, 0)]
    shape = tuple(size for size in sizes if size)
    return b.make("parameter", shape=(1, *shape))


@rule("PriorBox")
def prior_boxes(b: NcnnBuilder, layer: NcnnLayer, x: Value, *image: Value) -> Value:
    """Boxes of fixed sides at each place of a map, with their variances: they follow from sizes, not from values."""
    smallest, largest, ratios = (_listed(layer, number) for number in (0, 1, 2))
    if not image:
        raise Unlike("it is not told of the image")
    each = smallest * (ratios + 1) + largest + smallest * ratios * layer.whole(7, 1)
    return b.make("constant", shape=(1, 2, prod(b.type_of(x).shape[-2:]) * each * 4))


def _listed(layer: NcnnLayer, number: int) -> int:
    """How many numbers an option lists."""
    value = layer.options.get(LISTS - number, ())
    return len(value) if isinstance(value, tuple) else 0


@rule("Concat")
def concat(b: NcnnBuilder, layer: NcnnLayer, *inputs: Value) -> Value:
    """Along an axis, counted without the batch; what has no batch is repeated for it."""
    axis = layer.whole(0)
    rank = len(b.type_of(inputs[0]).shape)
    batch = next((b.type_of(v).shape[0] for v in inputs if b.type_of(v).shape[0] != 1), 1)
    even = [
        v if b.type_of(v).shape[0] == batch else b.make("expand", v, shape=(batch, *b.type_of(v).shape[1:]))
        for v in inputs
    ]
    return b.make("concat", *even, axis=axis + 1 if axis >= 0 else rank + axis)


@rule("Slice")
def slices(b: NcnnBuilder, layer: NcnnLayer, x: Value) -> list[Value]:
    """Parts of an axis; -233 takes an even share of what is left."""
    axis, sizes = layer.whole(1), layer.wholes(0)
    at = axis + 1 if axis >= 0 else len(b.type_of(x).shape) + axis
    whole: Any = b.type_of(x).shape[at]
    parts: list[Any] = []
    for i, size in enumerate(sizes or (REST,) * len(layer.outputs)):
        left = whole - sum(parts)
        parts.append(left // (len(layer.outputs) - i) if size == REST else size)
    made = b.several("split", x, parts=tuple(parts), axis=at)
    return [_written(b, part) for part in made]


@rule("Crop")
def crop(b: NcnnBuilder, layer: NcnnLayer, x: Value, *more: Value) -> Value:
    """A part of each axis: from a place on, so many; or from one place to another along axes that are named."""
    if more:
        raise Unlike("it takes the size of another")
    shape = b.type_of(x).shape
    starts, ends, axes = layer.wholes(9), layer.wholes(10), layer.wholes(11)
    if starts:
        chosen = axes or tuple(range(len(starts)))
        for start, end, axis in zip(starts, ends, chosen, strict=True):
            at = axis + 1 if axis >= 0 else len(shape) + axis
            size: Any = shape[at]
            stop = None if end == REST or (isinstance(size, int) and end >= size) else end
            x = b.make("slice", x, axis=at, start=start, stop=stop)
        gone = _gone(layer, b, x)
        return _written(b, b.make("reshape", x, shape=gone) if gone else x)
    numbers = {3: ((2, 5, 8), (1, 4, 7), (0, 3, 6)), 2: ((1, 4, 7), (0, 3, 6)), 1: ((0, 3, 6),)}[len(shape) - 1]
    for axis, (offset, size_, cut) in enumerate(numbers, 1):
        start, count, after = layer.whole(offset), layer.whole(size_), layer.whole(cut)
        stop = start + count if count not in (0, REST) else -after if after > 0 else None
        if start == REST:
            raise Unlike("it starts where another says")
        if start or stop is not None:
            x = b.make("slice", x, axis=axis, start=start, stop=None if stop == shape[axis] else stop)
    return _written(b, x)


def _gone(layer: NcnnLayer, b: NcnnBuilder, x: Value) -> tuple[Any, ...]:
    """The shape that the file says, where axes of size 1 are left out of it."""
    shape = b.type_of(x).shape[1:]
    theirs = layer.shapes[0] if layer.shapes else shape
    small = tuple(d for d in shape if d != 1)
    return tuple(theirs) if len(theirs) < len(shape) and tuple(d for d in theirs if d != 1) == small else ()


@rule("Padding")
def padding(b: NcnnBuilder, layer: NcnnLayer, x: Value, *more: Value) -> Value:
    """Before and after each axis: a number, the edge, or mirrored."""
    if more or layer.whole(4) > 2:
        raise Unlike("its amounts are computed while it runs")
    top, bottom, left, right, front, behind = (layer.whole(n) for n in (0, 1, 2, 3, 7, 8))
    pairs = ((front, behind), (top, bottom), (left, right))
    mode = ("zeros", "replicate", "reflect")[layer.whole(4)]
    rank = len(b.type_of(x).shape)
    chosen = {axis: pair for axis, pair in zip(range(rank - 3, rank), pairs, strict=True) if any(pair) and axis > 0}
    if mode != "zeros":
        if front or behind:
            raise Unlike("it mirrors channels")
        return b.make("pad", x, amount=pairs[1:], mode=mode)
    if not chosen:
        return _written(b, x)
    return b.make("pad", x, amount=tuple(chosen.values()), axes=tuple(chosen), value=layer.real(5))


@rule("Flatten")
def flatten(b: NcnnBuilder, layer: NcnnLayer, x: Value) -> Value:
    """All elements in a row."""
    return b.make("reshape", x, shape=(-1,))


@rule("Reshape")
def reshape(b: NcnnBuilder, layer: NcnnLayer, x: Value, *more: Value) -> Value:
    """To a width, height and channels: -1 is what is left, 0 as it is."""
    if more or layer.whole(3):
        raise Unlike("its shape is given otherwise")
    given = [layer.whole(n, REST) for n in (2, 11, 1, 0)]
    before = (1,) * 4 + b.type_of(x).shape[1:]
    wanted = [before[len(before) - 4 + i] if size == 0 else size for i, size in enumerate(given) if size != REST]
    return b.make("reshape", x, shape=tuple(wanted))


_ORDERS = {
    2: ((0, 1), (1, 0)),
    3: ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)),
}  # fmt: skip
"""Of so many axes, from the outermost: which axis of the input each is."""


@rule("Permute")
def permute(b: NcnnBuilder, layer: NcnnLayer, x: Value) -> Value:
    """The axes in another order."""
    orders = _ORDERS.get(len(b.type_of(x).shape) - 1)
    if orders is None:
        raise Unlike("it orders four axes")
    order = orders[layer.whole(0)]
    return _written(b, b.make("permute", x, axes=(0, *(axis + 1 for axis in order))))


@rule("ShuffleChannel")
def shuffle(b: NcnnBuilder, layer: NcnnLayer, x: Value) -> Value:
    """Channels dealt out to groups, or gathered again."""
    groups = layer.whole(0, 1)
    if layer.whole(1):
        channels: Any = b.type_of(x).shape[1]
        groups = channels // groups
    return b.make("channel_shuffle", x, groups=groups)


@rule("PixelShuffle", "Reorg")
def pixel_shuffle(b: NcnnBuilder, layer: NcnnLayer, x: Value) -> Value:
    """Channels to pixels, and back."""
    op = "pixel_shuffle" if layer.kind == "PixelShuffle" else "pixel_unshuffle"
    return b.make(op, x, factor=layer.whole(0, 1))


@rule("ExpandDims", "Squeeze")
def dims(b: NcnnBuilder, layer: NcnnLayer, x: Value) -> Value:
    """Axes of size 1 come or go."""
    axes = layer.wholes(3)
    shape = list(b.type_of(x).shape)
    if not axes:
        raise Unlike("its axes are given one by one")
    if layer.kind == "ExpandDims":
        for axis in sorted(axes):
            shape.insert(axis + 1 if axis >= 0 else len(shape) + 1 + axis, 1)
    else:
        gone = {axis + 1 if axis >= 0 else len(shape) + axis for axis in axes}
        shape = [size for axis, size in enumerate(shape) if axis not in gone]
    return b.make("reshape", x, shape=tuple(shape[1:]))


_REDUCTIONS = ("sum", "", "", "mean", "amax", "amin", "prod")


@rule("Reduction")
def reduction(b: NcnnBuilder, layer: NcnnLayer, x: Value) -> Value:
    """Sum, mean, largest … along axes, or of all."""
    kind, rank = layer.whole(0), len(b.type_of(x).shape)
    function = _REDUCTIONS[kind] if kind < len(_REDUCTIONS) else ""
    if not function:
        raise Unlike(f"its kind {kind} has no rule")
    chosen = range(1, rank) if layer.whole(1, 1) else (a + 1 if a >= 0 else rank + a for a in layer.wholes(3))
    axes, keepdim = tuple(chosen), bool(layer.whole(4))
    if function in ("sum", "mean"):
        return b.make(function, x, axes=axes, keepdim=keepdim)
    return b.make("reduction", x, function=function, axes=axes, keepdim=keepdim)
