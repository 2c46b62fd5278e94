"""Elements that data choose or put together: true places, distinct elements, rows of keys, segments, boxes."""

from __future__ import annotations

from costcalc.frontends.compose import Unlike, Value
from costcalc.frontends.tflite.build import TFLiteBuilder
from costcalc.frontends.tflite.read import TFLiteOperator
from costcalc.frontends.tflite.rules.table import finish, options_of, rule
from costcalc.ir.dims import Dim
from costcalc.ir.op import find_op
from costcalc.ir.tensor import ELEMENT_BITS

_COMBINES = {"SUM": "sum", "PROD": "prod", "MAX": "amax", "MIN": "amin"}


@rule("WHERE")
def true_places(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Where a tensor is not 0, one place after another; how many there are, values decide."""
    x, known = b.type_of(o.inputs[0]), b.known(o.inputs[0])
    if known is not None and all(isinstance(n, int) for n in known):
        found: Dim = sum(map(bool, known))
    else:
        found = b.chosen(x.size, "elements that are not 0")
    finish(b, o, b.make("gather", o.inputs[0], shape=(found, len(x.shape)), dtype=b.declared(o.outputs[0]).dtype))


@rule("UNIQUE")
def distinct(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """The distinct elements of a vector, and which of these each is."""
    x, places = b.type_of(o.inputs[0]), b.declared(o.outputs[1]).dtype
    found = b.chosen(x.size, "distinct elements")
    ordered, order = b.several(find_op("sort")(axis=0), o.inputs[0])
    b.bind(o.outputs[0], b.make("gather", ordered, shape=(found,)))
    b.bind(o.outputs[1], b.make("gather", order, shape=x.shape, dtype=places))


@rule("MULTINOMIAL")
def drawn(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """So many draws of each row by its odds."""
    (count,) = b.wanted(o.inputs[1])
    odds = b.make("softmax", o.inputs[0], axis=-1)
    shape = b.type_of(o.inputs[0]).shape
    finish(b, o, b.make("gather", odds, shape=(*shape[:-1], count), dtype=b.declared(o.outputs[0]).dtype))


@rule("HASHTABLE_LOOKUP")
def rows_of_keys(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """The rows of a table that keys name, and which keys are there; both are inputs."""
    wanted, keys, rows = o.inputs
    count, *others = b.type_of(wanted).shape
    made = (count, *others, *b.type_of(rows).shape[1:])
    b.bind(o.outputs[0], b.make("gather", rows, wanted, keys, shape=made))
    b.bind(o.outputs[1], b.make("gather", keys, wanted, shape=(count, *others), dtype=b.declared(o.outputs[1]).dtype))


@rule("EMBEDDING_LOOKUP_SPARSE")
def bags_of_rows(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Rows of a table, each times its weight, added where the places of the wanted rows say."""
    wanted, places, shape, weights, table = o.inputs
    rows, count = b.type_of(table).shape, b.type_of(wanted).shape[0]
    x = b.make("gather", table, wanted, shape=(count, *rows[1:]))
    each = b.make("reshape", weights, shape=(count, *[1] * (len(rows) - 1)), keep_batch=False)
    x = b.make("multiply", x, each)
    made = (*b.wanted(shape)[:-1], *rows[1:])
    total = b.make("scatter", b.make("constant", shape=made, dtype=b.type_of(table).dtype), places, x, adds=True)
    if options_of(o).byte(0):  # a mean, or by the root of the sum of squares
        total = b.make("elementwise", total, function="divide", dtype=b.type_of(total).dtype)
    finish(b, o, total)


@rule("BITCAST")
def as_bits(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """The same bits as elements of another type, which are more or fewer along the last axis."""
    x, dtype = b.type_of(o.inputs[0]), b.declared(o.outputs[0]).dtype
    mine, theirs = ELEMENT_BITS[x.dtype], ELEMENT_BITS[dtype]
    made = x.shape
    if mine > theirs:
        made = (*x.shape, mine // theirs)
    elif mine < theirs:
        made = x.shape[:-1]
    finish(b, o, b.make("gather", o.inputs[0], shape=made, dtype=dtype))


@rule("SEGMENT_SUM", *(f"UNSORTED_SEGMENT_{name}" for name in _COMBINES))
def of_segments(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Rows that belong together as one; how many there are, the file says or the number of the last segment."""
    x, places = b.type_of(o.inputs[0]), b.type_of(o.inputs[1]).shape
    if o.name == "SEGMENT_SUM":
        segments: Dim = b.wanted(o.inputs[1])[-1] + 1
    else:
        (segments,) = b.wanted(o.inputs[2])
    zeros = b.make("constant", shape=(segments, *x.shape[len(places) :]), dtype=x.dtype)
    combines = _COMBINES[o.name.rpartition("_")[2]]
    finish(b, o, b.make("scatter", zeros, o.inputs[1], o.inputs[0], adds=True, combines=combines))


@rule("NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5")
def suppressed(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """As many of the boxes as are asked for, the best first; what is beyond those that are kept is filled up."""
    boxes, scores = o.inputs[:2]
    (most,), count = b.wanted(o.inputs[2]), b.type_of(boxes).shape[0]
    if not isinstance(count, int):
        raise Unlike("how many boxes there are is not known")
    kept: Value = b.make("nms", boxes, scores, kept=min(most, count))
    if most > count:
        kept = b.make("pad", kept, amount=((0, most - count),), axes=(0,))
    chosen = b.make("elementwise", kept, function="copy", dtype="int32")
    b.bind(o.outputs[0], chosen)
    if o.name.endswith("V5"):
        b.bind(o.outputs[1], b.make("gather", scores, chosen, shape=(most,)))
    b.bind(o.outputs[-1], b.make("gather", chosen, shape=(), dtype="int32"))


@rule("BUCKETIZE")
def buckets(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Between which of some bounds each element lies."""
    finish(b, o, b.make("gather", o.inputs[0], shape=b.type_of(o.inputs[0]).shape, dtype="int32"))


@rule("MATRIX_SET_DIAG")
def with_diagonal(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Matrices with another diagonal."""
    finish(b, o, b.make("scatter", *o.inputs[:2]))


@rule("SPARSE_TO_DENSE")
def dense(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """One number everywhere but at some places."""
    places, shape, values = o.inputs[:3]
    filled = b.make("constant", shape=tuple(b.wanted(shape)), dtype=b.declared(o.outputs[0]).dtype)
    finish(b, o, b.make("scatter", filled, places, values))


@rule("RANDOM_UNIFORM", "RANDOM_STANDARD_NORMAL")
def random(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Random numbers of a shape."""
    shape, dtype = tuple(b.wanted(o.inputs[0])), b.declared(o.outputs[0]).dtype
    finish(b, o, b.make("constant", shape=shape, dtype=dtype, random=True))


@rule("RFFT2D")
def fourier(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """The Fourier transform of the last two axes, of real numbers; they are cut, or filled up, to a size first."""
    shape, sizes = b.type_of(o.inputs[0]).shape, b.wanted(o.inputs[1])
    x: Value | int = o.inputs[0]
    for axis, size in zip((len(shape) - 2, len(shape) - 1), sizes, strict=True):
        have = shape[axis]
        if not isinstance(have, int):
            raise Unlike("how large it is is not known")
        if size < have:
            x = b.make("slice", x, axis=axis, stop=size)
        elif size > have:
            x = b.make("pad", x, amount=((0, size - have),), axes=(axis,))
    finish(b, o, b.make("fourier", x, axes=(-2, -1)))
