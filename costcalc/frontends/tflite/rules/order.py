"""Shapes, order, parts and look-ups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from costcalc.frontends.compose import Unlike, Value
from costcalc.frontends.regrouping import followed, moved
from costcalc.frontends.tflite.build import TFLiteBuilder
from costcalc.frontends.tflite.read import MOST_NUMBERS, TFLiteOperator
from costcalc.frontends.tflite.rules.table import copied, finish, options_of, rule
from costcalc.ir.op import find_op


@rule("RESHAPE")
def reshape(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """The same elements; of known numbers they stay known. A batch that the file fixes follows the given one."""
    x, out = o.inputs[0], o.outputs[0]
    if (known := b.known(x)) is not None:
        b.scope.numbers[out] = known
    if b.is_constant(x):
        b.same(out, x)
        return
    wanted = b.known(o.inputs[1]) if len(o.inputs) > 1 else None
    shape = list(wanted) if wanted is not None else list(b.declared(out).shape)
    given = b.type_of(x)
    if not b.as_written and shape and (len(o.inputs) < 2 or wanted is None or b.is_constant(o.inputs[1])):
        fixed, made = b.declared(x).shape, b.declared(out).shape
        found = followed(fixed, given.shape, made, b.batch)
        if found is not None and found.shape != made:
            b.note("has its sizes fixed in the file; its figures are for those that are given")
            y = b.make("permute", x, axes=moved(len(fixed), found.first, 0)) if found.first else b.value(x)
            y = b.make("reshape", y, shape=found.shape, keep_batch=False)
            b.bind(out, b.make("permute", y, axes=moved(len(found.shape), 0, found.last)) if found.last else y)
            return
    b.bind(
        out,
        b.make("reshape", x, shape=tuple(shape), keep_batch=False)
        if shape
        else b.make("squeeze", x, axes=tuple(range(len(given.shape)))),
    )


@rule("SQUEEZE")
def squeeze(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Axes of size 1 go."""
    x = o.inputs[0]
    shape = b.type_of(x).shape
    given = o.options.ints(0, 8) if o.options else ()
    axes = tuple(a % len(shape) for a in given) or tuple(
        a for a, d in enumerate(shape) if isinstance(d, int) and d == 1
    )
    if (known := b.known(x)) is not None:
        b.scope.numbers[o.outputs[0]] = known
    if b.is_constant(x):
        b.same(o.outputs[0], x)
    else:
        b.bind(o.outputs[0], b.make("squeeze", x, axes=axes))


@rule("EXPAND_DIMS")
def expand_dims(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """An axis of size 1 comes."""
    if (known := b.known(o.inputs[0])) is not None:
        b.scope.numbers[o.outputs[0]] = known
    (axis,) = b.wanted(o.inputs[1])
    if b.is_constant(o.inputs[0]):
        b.same(o.outputs[0], o.inputs[0])
    else:
        b.bind(o.outputs[0], b.make("unsqueeze", o.inputs[0], axis=axis))


@rule("SHAPE")
def shape(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """The sizes of a tensor, which are known."""
    b.scope.numbers[o.outputs[0]] = list(b.type_of(o.inputs[0]).shape)
    dtype = b.declared(o.outputs[0]).dtype
    made = b.declared(o.outputs[0])
    b.bind(o.outputs[0], b.make("constant", shape=made.shape, dtype=dtype, value=b.elements(o.outputs[0])))


@rule("FILL", "ZEROS_LIKE", "RANGE")
def filled(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Numbers that are the same for every input."""
    t = b.declared(o.outputs[0])
    made = t.shape
    if o.name == "FILL" and (known := b.known(o.inputs[0])) is not None:
        made = tuple(known)
    elif o.name == "ZEROS_LIKE":
        made = b.type_of(o.inputs[0]).shape
    value = 0 if o.name == "ZEROS_LIKE" else b.elements(o.outputs[0])
    b.bind(o.outputs[0], b.make("constant", shape=made, dtype=t.dtype, value=value))


@rule("TRANSPOSE")
def transpose(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """The axes in another order, written anew."""
    order = tuple(b.wanted(o.inputs[1]))
    if b.is_constant(o.inputs[0]):
        b.same(o.outputs[0], o.inputs[0])
        return
    finish(b, o, copied(b, b.make("permute", o.inputs[0], axes=order)))


@rule("PAD", "PADV2")
def pad(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """So many before and after each axis; filled with a number."""
    flat = b.wanted(o.inputs[1])
    amounts = {axis: pair for axis, pair in enumerate(zip(flat[::2], flat[1::2], strict=True)) if any(pair)}
    if not amounts:
        finish(b, o, copied(b, b.value(o.inputs[0])))
        return
    x: int | Value = o.inputs[0]
    for some in ([*amounts][:3], [*amounts][3:]):  # an op takes three at a time
        if some:
            x = b.make("pad", x, amount=tuple(amounts[axis] for axis in some), axes=tuple(some))
    b.bind(o.outputs[0], x)


@rule("MIRROR_PAD")
def mirror_pad(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Mirrored at the border, which REFLECT does not repeat, and SYMMETRIC does."""
    flat = b.wanted(o.inputs[1])
    pairs = [*zip(flat[::2], flat[1::2], strict=True)]
    rank, repeats = len(pairs), options_of(o).byte(0) != 0
    if not repeats and 3 <= rank <= 5 and not any(pairs[0]) and not any(pairs[-1]):
        finish(b, o, b.make("pad", o.inputs[0], amount=tuple(pairs[1:-1]), mode="reflect", channels_last=True))
        return
    x: Value = b.value(o.inputs[0])
    for axis, ((before, after), size) in enumerate(zip(pairs, b.type_of(x).shape, strict=True)):
        most = size if repeats else size - 1
        if not isinstance(size, int) or not isinstance(most, int) or max(before, after) > most or size > MOST_NUMBERS:
            raise Unlike(f"it mirrors {before} and {after} of {size}")
        if before or after:
            edge = 0 if repeats else 1
            places = (*range(before - 1 + edge, edge - 1, -1), *range(size), *range(most - 1, most - 1 - after, -1))
            x = b.make("take", x, axis=axis, indices=places)
    finish(b, o, copied(b, x))


@rule("CONCATENATION")
def concatenation(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """One after another along an axis."""
    t = options_of(o)
    known = [b.known(i) for i in o.inputs]
    if all(k is not None for k in known):
        b.scope.numbers[o.outputs[0]] = [n for k in known for n in k or ()]
    axis = t.whole(0)
    inputs = o.inputs if b.as_written else [_beside(b, i, o.inputs, axis) for i in o.inputs]
    finish(b, o, b.make("concat", *inputs, axis=axis), t.byte(1))


def _beside(b: TFLiteBuilder, x: int, inputs: Sequence[int], axis: int) -> int | Value:
    """A constant that is joined to what is larger than in the file is repeated, as a class token is for each image."""
    if not b.is_constant(x):
        return x
    was = b.declared(x).shape
    made: list[Any] = list(was)
    for other in inputs:
        for i, (old, now) in enumerate(zip(b.declared(other).shape, b.type_of(other).shape, strict=True)):
            if i != axis % len(was) and old == was[i] and old != now:
                made[i] = now
    if made == list(was) or any(old != 1 for old, now in zip(was, made, strict=True) if old != now):
        return x
    b.note("what the file joins once is joined to each sample")
    return b.make("expand", x, shape=tuple(made))


@rule("PACK")
def pack(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """One beside another along a new axis; of known numbers a known shape."""
    axis = o.options.whole(1) if o.options else 0
    known = [b.known(i) for i in o.inputs]
    if all(k is not None for k in known):
        b.scope.numbers[o.outputs[0]] = [n for k in known for n in k or ()]
        t = b.declared(o.outputs[0])
        b.bind(o.outputs[0], b.make("constant", shape=t.shape, dtype=t.dtype, value=b.elements(o.outputs[0])))
        return
    rank = len(b.type_of(o.inputs[0]).shape) + 1
    finish(b, o, b.make("concat", *(b.make("unsqueeze", i, axis=axis % rank) for i in o.inputs), axis=axis % rank))


@rule("UNPACK")
def unpack(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Each place along an axis by itself."""
    axis = o.options.whole(1) if o.options else 0
    parts = b.several(find_op("unbind")(axis=axis), o.inputs[0])
    for index, part in zip(o.outputs, parts, strict=True):
        b.bind(index, copied(b, part))


@rule("SPLIT", "SPLIT_V")
def split(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Parts of an axis, each written anew."""
    if o.name == "SPLIT":
        x, (axis,), parts = o.inputs[1], b.wanted(o.inputs[0]), len(o.outputs)
        pieces: Any = parts
    else:
        x, (axis,) = o.inputs[0], b.wanted(o.inputs[2])
        sizes = b.wanted(o.inputs[1])
        whole = b.type_of(x).shape[axis]
        pieces = tuple(whole - sum(s for s in sizes if s >= 0) if size < 0 else size for size in sizes)
    made = b.several(find_op("split")(pieces, axis=axis), x)
    for index, part in zip(o.outputs, made, strict=True):
        b.bind(index, copied(b, part))


@rule("SLICE")
def slice_(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """From a place on, so many; -1 for all that are left."""
    begin, size = b.wanted(o.inputs[1]), b.wanted(o.inputs[2])
    x: Value = b.value(o.inputs[0])
    was = b.declared(o.inputs[0]).shape
    for axis, (start, count, whole) in enumerate(zip(begin, size, b.type_of(x).shape, strict=True)):
        if not start and not b.as_written and axis < len(was) and count == was[axis]:
            continue  # all of it, however much that is
        if start or (count != -1 and not (isinstance(whole, int) and count == whole)):
            x = b.make("slice", x, axis=axis, start=start, stop=None if count == -1 else start + count)
    finish(b, o, copied(b, x))


@rule("STRIDED_SLICE")
def strided_slice(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Python's slices, axis by axis; a mask says where they have no end, and which axes go."""
    t = options_of(o)
    begin, end, step = (b.wanted(i) for i in o.inputs[1:4])
    begins, ends, ellipsis, new, gone = (t.whole(field) for field in range(5))
    known, x_shape = b.known(o.inputs[0]), b.type_of(o.inputs[0]).shape
    if t.flag(5):
        raise Unlike("it tells where a part ends by its length")
    if known is not None and len(x_shape) == 1 and len(begin) == 1:
        whole = slice(None if begins & 1 else begin[0], None if ends & 1 else end[0], step[0])
        b.scope.numbers[o.outputs[0]] = [known[begin[0]]] if gone & 1 else known[whole]
        made = b.declared(o.outputs[0])
        b.bind(o.outputs[0], b.make("constant", shape=made.shape, dtype=made.dtype, value=b.elements(o.outputs[0])))
        return
    x: Value = b.value(o.inputs[0])
    axis, seen, was = 0, False, b.declared(o.inputs[0]).shape
    for i, (first, last, every) in enumerate(zip(begin, end, step, strict=True)):
        if ellipsis >> i & 1 and not seen:  # as many axes whole as the others leave; a second is an axis as others are
            named = sum(not new >> k & 1 for k in range(len(begin)) if k != i)
            axis, seen = axis + len(x_shape) - named, True
        elif new >> i & 1:
            x, axis = b.make("unsqueeze", x, axis=axis), axis + 1
        elif gone >> i & 1:
            size = b.type_of(x).shape[axis]
            place = min(max(first, -size), size - 1) if isinstance(size, int) else first  # as engines do
            x = b.make("select", x, axis=axis, index=place)
        else:
            start, stop = None if begins >> i & 1 else first, None if ends >> i & 1 else last
            if not b.as_written and not (seen or new or gone) and every > 0 and last == was[axis]:
                stop = None  # to its end, wherever that is
            x = _part(b, x, axis, start, stop, every)
            axis += 1
    finish(b, o, copied(b, x))


def _part(b: TFLiteBuilder, x: Value, axis: int, start: int | None, stop: int | None, step: int) -> Value:
    """A slice of Python's, also backwards."""
    size = b.type_of(x).shape[axis]
    if step < 0:
        if not isinstance(size, int):
            raise Unlike("it runs backwards along an axis whose size is open")
        places = range(*slice(start, stop, step).indices(size))
        if not places:
            raise Unlike("it takes nothing")
        x = b.make("slice", x, axis=axis, start=places[-1], stop=places[0] + 1, step=-step)
        return b.make("flip", x, axes=(axis,))
    if isinstance(size, int):
        start, stop, _ = slice(start, stop, step).indices(size)  # places beyond the ends are those
        stop = None if stop == size else stop
    if not start and stop is None and step == 1:
        return x
    return b.make("slice", x, axis=axis, start=start or 0, stop=stop, step=step)


@rule("GATHER")
def gather(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Places along an axis: known ones, or the rows of a table that are looked up."""
    axis = o.options.whole(0) if o.options else 0
    x, where = o.inputs[:2]
    known, places = b.known(x), b.known(where)
    if known is not None and places is not None and len(b.type_of(x).shape) == 1:
        b.scope.numbers[o.outputs[0]] = [known[i] for i in places if isinstance(i, int)]
    if o.options is not None and (batches := o.options.whole(1)):
        _by_batch(b, o, axis, batches)
        return
    table = b.tensor(x)
    if b.is_constant(x) and axis in (0, -len(table.shape)) and len(table.shape) == 2:
        dtype = b.declared(o.outputs[0]).dtype
        rows, width = table.shape
        y = b.make("embedding", where, weights={"weight": x}, rows=rows, width=width, dtype=dtype)
        finish(b, o, y)
        return
    shape = b.type_of(x).shape
    axis %= len(shape)
    if places is not None and all(isinstance(i, int) for i in places):
        size = len(b.type_of(where).shape)
        if size == 0:
            finish(b, o, copied(b, b.make("select", x, axis=axis, index=places[0])))
            return
        if size == 1:
            finish(b, o, b.make("take", x, axis=axis, indices=tuple(places)))
            return
    made = (*shape[:axis], *b.type_of(where).shape, *shape[axis + 1 :])
    finish(b, o, b.make("gather", x, where, shape=made))


def _by_batch(b: TFLiteBuilder, o: TFLiteOperator, axis: int, batches: int) -> None:
    """Of each of the first axes by itself."""
    x, where = (b.type_of(i).shape for i in o.inputs[:2])
    axis, batches = axis % len(x), batches % (len(where) + 1)
    made = (*x[:axis], *where[batches:], *x[axis + 1 :])
    finish(b, o, b.make("gather", *o.inputs[:2], shape=made))


@rule("EMBEDDING_LOOKUP")
def embedding_lookup(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Rows of a table."""
    table = b.tensor(o.inputs[1])
    if len(table.shape) != 2 or not b.is_constant(o.inputs[1]):
        made = (*b.type_of(o.inputs[0]).shape, *b.type_of(o.inputs[1]).shape[1:])
        finish(b, o, b.make("gather", o.inputs[1], o.inputs[0], shape=made, axes=0))
        return
    rows, width = table.shape
    dtype = b.declared(o.outputs[0]).dtype
    y = b.make("embedding", o.inputs[0], weights={"weight": o.inputs[1]}, rows=rows, width=width, dtype=dtype)
    finish(b, o, y)


@rule("REVERSE_V2")
def reverse(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Axes run the other way."""
    finish(b, o, b.make("flip", o.inputs[0], axes=tuple(b.wanted(o.inputs[1]))))


@rule("TILE")
def tile(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Copies side by side."""
    finish(b, o, b.make("tile", o.inputs[0], repeats=tuple(b.wanted(o.inputs[1]))))


@rule("BROADCAST_TO")
def broadcast_to(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Sizes of 1 stretch, and are written out."""
    wanted = b.known(o.inputs[1])
    made = tuple(wanted) if wanted is not None else b.declared(o.outputs[0]).shape
    if not b.as_written:  # what is as large as the input was is as large as it is
        was, now = b.declared(o.inputs[0]).shape, b.type_of(o.inputs[0]).shape
        skipped = len(made) - len(was)
        made = tuple(now[i - skipped] if i >= skipped and d == was[i - skipped] else d for i, d in enumerate(made))
    finish(b, o, copied(b, b.make("expand", o.inputs[0], shape=made)))


@rule("TOPK_V2")
def top_k(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """The largest along the last axis, and where they are."""
    (count,) = b.wanted(o.inputs[1])
    values = b.several(find_op("sort")(axis=-1, largest=count), o.inputs[0])
    b.bind(o.outputs[0], values[0])
    where = b.declared(o.outputs[1]).dtype
    b.bind(
        o.outputs[1],
        values[1]
        if b.type_of(values[1]).dtype == where
        else b.make("elementwise", values[1], function="copy", dtype=where),
    )
