"""Recurrent kernels, whose states are kept from one inference to the next."""

from __future__ import annotations

from costcalc.frontends.compose import Unlike
from costcalc.frontends.tflite.build import TFLiteBuilder
from costcalc.frontends.tflite.read import TFLiteOperator
from costcalc.frontends.tflite.rules.table import finish, options_of, rule

_GATES = "input", "forget", "cell", "output"


@rule("UNIDIRECTIONAL_SEQUENCE_LSTM")
def sequence_lstm(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """24 inputs, the first 20 in older files: weights by gate, then those of the cell, biases, projection, states."""
    inputs = (*o.inputs, *[-1] * (24 - len(o.inputs)))
    found: dict[str, int] = {}
    for i, gate in enumerate(_GATES):
        found |= {
            f"input_to_{gate}_weights": inputs[1 + i], f"recurrent_to_{gate}_weights": inputs[5 + i],
            f"{gate}_gate_bias": inputs[12 + i], f"{gate}_layer_norm_coefficients": inputs[20 + i],
        }  # fmt: skip
    found |= {f"cell_to_{gate}_weights": inputs[9 + i] for i, gate in enumerate(("input", "forget", "output"))}
    found |= {"projection_weights": inputs[16], "projection_bias": inputs[17]}
    found = {name: index for name, index in found.items() if index >= 0}
    if not all(b.is_constant(index) for index in found.values()):
        raise Unlike("its weights are computed while it runs")
    t, (hidden, _) = options_of(o), b.sizes(found["input_to_output_weights"])
    y = b.make(
        "split_lstm", o.inputs[0], weights=found, hidden=hidden,
        projection=b.sizes(found["projection_weights"])[0] if "projection_weights" in found else 0,
        coupled="input_to_input_weights" not in found, peephole="cell_to_output_weights" in found,
        normalised="output_layer_norm_coefficients" in found, projection_bias="projection_bias" in found,
        batch_first=not t.flag(3),
    )  # fmt: skip
    finish(b, o, y)


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
