"""StableHLO's operators that move elements: stretched, padded, looked up, put, cut and ordered."""

from __future__ import annotations

from costcalc.frontends.compose import Unlike, Value
from costcalc.frontends.tflite.build import TFLiteBuilder
from costcalc.frontends.tflite.read import MOST_AXES, MOST_NUMBERS, TFLiteOperator
from costcalc.frontends.tflite.rules.table import copied, finish, rule, second_options_of
from costcalc.frontends.tflite.rules.windows import padded, spread
from costcalc.ir.dims import prod


@rule("STABLEHLO_BROADCAST_IN_DIM")
def broadcast(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Each axis goes to one of the output's, and stretches there if its size is 1; all is written out."""
    made, shape = b.declared(o.outputs[0]).shape, b.type_of(o.inputs[0]).shape
    places = second_options_of(o).longs(0, MOST_AXES)
    if len(places) != len(shape) or sorted({*places}) != list(places) or not {*places} <= {*range(len(made))}:
        raise Unlike("its axes do not go to axes of its output, one after another")
    at = dict(zip(places, shape, strict=True))
    x = b.make("reshape", o.inputs[0], shape=tuple(at.get(a, 1) for a in range(len(made))), keep_batch=False)
    finish(b, o, copied(b, b.make("expand", x, shape=made)))


@rule("STABLEHLO_PAD")
def pad(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Before, after and between the elements of each axis; less than nothing cuts off."""
    before, after, between = (second_options_of(o).longs(field, MOST_AXES) for field in range(3))
    x = spread(b, b.value(o.inputs[0]), [n + 1 for n in between])
    finish(b, o, copied(b, padded(b, x, list(zip(before, after, strict=True)))))


@rule("STABLEHLO_IOTA")
def counted(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """0, 1, 2 … along an axis: numbers that are known."""
    made, axis = b.declared(o.outputs[0]), second_options_of(o).long(0)
    if axis >= len(made.shape):
        raise Unlike(f"it counts along axis {axis} of {len(made.shape)}")
    size = prod(made.shape)
    if isinstance(size, int) and size <= MOST_NUMBERS:
        inner = prod(made.shape[axis + 1 :])
        b.scope.numbers[o.outputs[0]] = [i // inner % made.shape[axis] for i in range(size)]
    value = b.elements(o.outputs[0])
    b.bind(o.outputs[0], b.make("constant", shape=made.shape, dtype=made.dtype, value=value))


@rule("STABLEHLO_DYNAMIC_SLICE")
def cut(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """A part of a known size, from a place that data tell, or that is known."""
    sizes, shape = second_options_of(o).longs(0, MOST_AXES), b.type_of(o.inputs[0]).shape
    starts = [b.known(i) for i in o.inputs[1:]]
    if len(sizes) != len(shape) or len(starts) != len(shape):
        raise Unlike(f"it does not say a place and a size for each of {len(shape)} axes")
    if not all(starts):
        finish(b, o, b.make("gather", *o.inputs, shape=sizes))
        return
    x = b.value(o.inputs[0])
    for axis, (size, start, whole) in enumerate(zip(sizes, starts, shape, strict=True)):
        if not isinstance(whole, int) or size > whole:
            raise Unlike(f"it cuts {size} of {whole}")
        assert start and isinstance(start[0], int)
        first = min(max(start[0], 0), whole - size)  # so that the part lies inside
        if size != whole:
            x = b.make("slice", x, axis=axis, start=first, stop=first + size)
    finish(b, o, copied(b, x))


@rule("STABLEHLO_DYNAMIC_UPDATE_SLICE")
def written_over(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """A part written over, from a place that data tell."""
    finish(b, o, b.make("scatter", o.inputs[0], *o.inputs[2:], o.inputs[1]))


@rule("STABLEHLO_GATHER")
def gather(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Parts of a known size from places that an axis of the second input tells."""
    t, where = second_options_of(o), b.type_of(o.inputs[1]).shape
    offset, gone, sizes = (t.longs(field, MOST_AXES) for field in (0, 1, 4))
    told = t.long(3)
    batch = [size for axis, size in enumerate(where) if axis != told]
    kept = [size for axis, size in enumerate(sizes) if axis not in gone]
    rank = len(batch) + len(kept)
    if len(offset) != len(kept) or not {*offset} <= {*range(rank)} or len(sizes) != len(b.type_of(o.inputs[0]).shape):
        raise Unlike("its axes are not those of its inputs")
    at, rest = dict(zip(offset, kept, strict=True)), iter(batch)
    made = tuple(at[axis] if axis in at else next(rest) for axis in range(rank))
    finish(b, o, b.make("gather", *o.inputs[:2], shape=made))


@rule("STABLEHLO_RNG_BIT_GENERATOR")
def random(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Random bits, and the state of the generator after them."""
    state, drawn = o.outputs
    b.bind(state, b.make("elementwise", o.inputs[0], function="copy", dtype=b.declared(state).dtype))
    made = b.declared(drawn)
    value: Value = b.make("constant", shape=made.shape, dtype=made.dtype, random=True)
    b.bind(drawn, value)
