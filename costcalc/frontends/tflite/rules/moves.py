"""Elements that are looked up, put and laid out by places that data tell; and what shapes are worked out."""

from __future__ import annotations

from costcalc.frontends.compose import Unlike
from costcalc.frontends.tflite.build import TFLiteBuilder
from costcalc.frontends.tflite.read import TFLiteOperator
from costcalc.frontends.tflite.rules.table import finish, options_of, rule
from costcalc.ir.dims import Dim


@rule("GATHER_ND")
def gather_nd(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """The last axis of the places names as many axes of the table, from the first on."""
    table, places = (b.type_of(index).shape for index in o.inputs[:2])
    named = places[-1] if places else 0
    if not isinstance(named, int) or named > len(table):
        raise Unlike(f"its places name {named} axes of {len(table)}")
    finish(b, o, b.make("gather", *o.inputs[:2], shape=(*places[:-1], *table[named:])))


@rule("SCATTER_ND")
def scatter_nd(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Elements added to zeros at places."""
    made = tuple(b.wanted(o.inputs[2]))
    zeros = b.make("constant", shape=made, dtype=b.declared(o.outputs[0]).dtype)
    finish(b, o, b.make("scatter", zeros, o.inputs[0], o.inputs[1], adds=True))


@rule("DYNAMIC_UPDATE_SLICE")
def update_slice(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """A part written over, from a place that data tell."""
    finish(b, o, b.make("scatter", o.inputs[0], o.inputs[2], o.inputs[1]))


@rule("REVERSE_SEQUENCE")
def reverse_sequence(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Each sequence backwards as far as it is long."""
    finish(b, o, b.make("gather", *o.inputs[:2], shape=b.type_of(o.inputs[0]).shape))


@rule("ONE_HOT")
def one_hot(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """A new axis along which one place is on."""
    (depth,), places = b.wanted(o.inputs[1]), b.type_of(o.inputs[0]).shape
    axis = options_of(o).whole(0, -1)
    at = axis if axis >= 0 else len(places) + 1 + axis
    dtype = b.declared(o.outputs[0]).dtype
    finish(b, o, b.make("gather", o.inputs[0], shape=(*places[:at], depth, *places[at:]), dtype=dtype))


@rule("MATRIX_DIAG")
def matrix_diagonal(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """The last axis as the diagonal of a matrix."""
    shape = b.type_of(o.inputs[0]).shape
    finish(b, o, b.make("gather", o.inputs[0], shape=(*shape, shape[-1])))


@rule("RANK")
def rank(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """How many axes there are: a number that is known."""
    _known(b, o, [len(b.type_of(o.inputs[0]).shape)])


@rule("BROADCAST_ARGS")
def broadcast_shapes(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """The shape that two shapes stretch to: numbers that are known."""
    first, second = b.wanted(o.inputs[0]), b.wanted(o.inputs[1])
    size = max(len(first), len(second))
    pairs = zip([*[1] * (size - len(first)), *first], [*[1] * (size - len(second)), *second], strict=True)
    _known(b, o, [y if x == 1 else x for x, y in pairs])


def _known(b: TFLiteBuilder, o: TFLiteOperator, numbers: list[Dim]) -> None:
    """Say that the output is a constant of these elements."""
    (made,) = o.outputs
    b.scope.numbers[made] = numbers
    declared = b.declared(made)
    b.bind(made, b.make("constant", shape=declared.shape, dtype=declared.dtype, value=b.elements(made)))
