"""Recurrent kernels, whose states are kept from one inference to the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from costcalc.frontends.compose import Unlike, Value
from costcalc.frontends.tflite.build import TFLiteBuilder
from costcalc.frontends.tflite.read import TFLiteOperator
from costcalc.frontends.tflite.rules.table import finish, options_of, rule
from costcalc.ir.op import find_op

_GATES = "input", "forget", "cell", "output"


_ACTIVATIONS = {0: "none", 1: "relu", 2: "hardtanh", 3: "relu6", 4: "tanh"}


@rule("UNIDIRECTIONAL_SEQUENCE_LSTM")
def sequence_lstm(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """24 inputs, the first 20 in older files: those of one direction, states, and the norms of gates."""
    inputs = (*o.inputs, *[-1] * (24 - len(o.inputs)))
    finish(b, o, _lstm(b, o.inputs[0], inputs[1:18], inputs[20:24], batch_first=not options_of(o).flag(3)))


@rule("LSTM")
def lstm_of_a_step(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """One step of the same; the last output is the state, those before it are what is kept."""
    if options_of(o).byte(3):
        _basic(b, o)
        return
    inputs = (*o.inputs, *[-1] * (24 - len(o.inputs)))
    batch, width = b.type_of(o.inputs[0]).shape
    step = b.make("reshape", o.inputs[0], shape=(1, batch, width), keep_batch=False)
    y = _lstm(b, step, inputs[1:18], inputs[20:24], batch_first=False)
    y = b.make("reshape", y, shape=(batch, b.type_of(y).shape[-1]), keep_batch=False)
    b.bind(o.outputs[-1], y)


def _basic(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """The basic kernel: one product for all gates, of the input and what the last step made, which is an input.

    Outputs are what this step makes, the state of the cell, and what the kernel has in between.
    """
    x, before, weight, bias, kept = o.inputs[:5]
    if not b.is_constant(weight) or not b.is_constant(bias):
        raise Unlike("its weights are computed while it runs")
    width = b.type_of(before).shape[-1]
    if not isinstance(width, int) or b.sizes(weight)[:1] != (4 * width,):
        raise Unlike(f"its weights are not those of 4 gates of {width}")
    joined = b.make("concat", x, before, axis=-1)
    gates = b.make("linear", joined, weights={"weight": weight, "bias": bias}, out_features=4 * width)
    entering, made, leaving, out = b.several(find_op("split")(4, axis=-1), gates)
    new = b.make("multiply", b.make("sigmoid", entering), b.make("tanh", made))
    state = b.make("add", new, b.make("multiply", b.make("sigmoid", leaving), kept))
    y = b.make("multiply", b.make("sigmoid", out), b.make("tanh", state))
    for index, value in zip(o.outputs, (y, state, joined, gates), strict=False):
        b.bind(index, value)


@rule("BIDIRECTIONAL_SEQUENCE_LSTM")
def bidirectional_lstm(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """48 inputs: those of each direction, states, a second input, which is the way back's if it has no weights."""
    inputs, t = (*o.inputs, *[-1] * (48 - len(o.inputs))), options_of(o)
    if any(index >= 0 for index in inputs[40:48]):
        raise Unlike("it has weights for a second input")
    batch_first = not t.flag(4, True)
    back = inputs[39] if inputs[39] >= 0 else inputs[0]
    _both(
        b,
        o,
        _lstm(b, inputs[0], inputs[1:18], (-1,) * 4, batch_first=batch_first),
        _backwards(b, back, batch_first, lambda x: _lstm(b, x, inputs[18:35], (-1,) * 4, batch_first=batch_first)),
        merged=t.flag(3),
    )


def _lstm(b: TFLiteBuilder, x: int | Value, inputs: Sequence[int], norms: Sequence[int], *, batch_first: bool) -> Value:
    """Weights by gate of the input and the state, those of the cell, biases, projection; and the gates' norms."""
    found: dict[str, int] = {}
    for i, gate in enumerate(_GATES):
        found |= {
            f"input_to_{gate}_weights": inputs[i], f"recurrent_to_{gate}_weights": inputs[4 + i],
            f"{gate}_gate_bias": inputs[11 + i], f"{gate}_layer_norm_coefficients": norms[i],
        }  # fmt: skip
    found |= {f"cell_to_{gate}_weights": inputs[8 + i] for i, gate in enumerate(("input", "forget", "output"))}
    found |= {"projection_weights": inputs[15], "projection_bias": inputs[16]}
    found = {name: index for name, index in found.items() if index >= 0}
    if not all(b.is_constant(index) for index in found.values()):
        raise Unlike("its weights are computed while it runs")
    return b.make(
        "split_lstm", x, weights=found, hidden=b.sizes(found["input_to_output_weights"])[0],
        projection=b.sizes(found["projection_weights"])[0] if "projection_weights" in found else 0,
        coupled="input_to_input_weights" not in found, peephole="cell_to_output_weights" in found,
        normalised="output_layer_norm_coefficients" in found, projection_bias="projection_bias" in found,
        batch_first=batch_first,
    )  # fmt: skip


@rule("UNIDIRECTIONAL_SEQUENCE_RNN")
def sequence_rnn(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Inputs are the sequence, weights of it and of the state, a bias, the state."""
    t = options_of(o)
    finish(b, o, _rnn(b, o.inputs[0], o.inputs[1:4], t.byte(1), batch_first=not t.flag(0)))


@rule("RNN")
def rnn_of_a_step(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """One step of the same."""
    batch, width = b.type_of(o.inputs[0]).shape
    step = b.make("reshape", o.inputs[0], shape=(1, batch, width), keep_batch=False)
    y = _rnn(b, step, o.inputs[1:4], options_of(o).byte(0), batch_first=False)
    finish(b, o, b.make("reshape", y, shape=(batch, b.type_of(y).shape[-1]), keep_batch=False))


@rule("BIDIRECTIONAL_SEQUENCE_RNN")
def bidirectional_rnn(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """12 inputs: weights, bias and state of each direction, a second input, which is that of the way back."""
    inputs, t = (*o.inputs, *[-1] * (12 - len(o.inputs))), options_of(o)
    if any(index >= 0 for index in inputs[10:12]):
        raise Unlike("it has weights for a second input")
    batch_first, kind = not t.flag(0), t.byte(1)
    back = inputs[9] if inputs[9] >= 0 else inputs[0]
    _both(
        b,
        o,
        _rnn(b, inputs[0], inputs[1:4], kind, batch_first=batch_first),
        _backwards(b, back, batch_first, lambda x: _rnn(b, x, inputs[5:8], kind, batch_first=batch_first)),
        merged=t.flag(2),
    )


def _rnn(b: TFLiteBuilder, x: int | Value, inputs: Sequence[int], activation: int, *, batch_first: bool) -> Value:
    if activation not in _ACTIVATIONS:
        raise Unlike(f"its activation {activation} is not known")
    if not all(b.is_constant(index) for index in inputs):
        raise Unlike("its weights are computed while it runs")
    weights = dict(zip(("input_weights", "recurrent_weights", "bias"), inputs, strict=True))
    return b.make(
        "simple_rnn", x, weights=weights, hidden=b.sizes(inputs[0])[0], activation=_ACTIVATIONS[activation],
        batch_first=batch_first,
    )  # fmt: skip


def _backwards(b: TFLiteBuilder, x: int | Value, batch_first: bool, layer: Callable[[Value], Value]) -> Value:
    """``layer`` on the steps in the other order, and its results in the first one."""
    axes = (1 if batch_first else 0,)
    return b.make("flip", layer(b.make("flip", x, axes=axes)), axes=axes)


def _both(b: TFLiteBuilder, o: TFLiteOperator, ahead: Value, back: Value, *, merged: bool) -> None:
    """Both directions, side by side in one output if they are ``merged``."""
    if merged:
        finish(b, o, b.make("concat", ahead, back, axis=-1))
        return
    b.bind(o.outputs[0], ahead)
    b.bind(o.outputs[1], back)


@rule("SVDF")
def svdf(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Inputs are the features, weights over these and over time, a bias and the state."""
    t = options_of(o)
    rank, found = t.whole(0) or 1, {"weights_feature": o.inputs[1], "weights_time": o.inputs[2]}
    filters, memory = b.sizes(o.inputs[2])
    if filters % rank:
        raise Unlike(f"its {filters} filters are not of rank {rank}")
    if o.inputs[3] >= 0:
        found["bias"] = o.inputs[3]
    y = b.make(
        "svdf", o.inputs[0], weights=found, units=filters // rank, memory=memory, rank=rank, bias="bias" in found
    )
    finish(b, o, y, t.byte(1))
