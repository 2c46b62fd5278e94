"""The table of rules, and what several of them share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from costcalc.frontends.compose import Unlike, Value, registering
from costcalc.frontends.tflite.flat import FlatTable
from costcalc.frontends.tflite.read import TFLiteOperator
from costcalc.ir.call import once

if TYPE_CHECKING:
    from costcalc.frontends.tflite.build import TFLiteBuilder

Rule = Callable[["TFLiteBuilder", TFLiteOperator], None]
RULES: dict[str, Rule] = {}
"""Name of an operator in the schema → its rule."""

SAME = 0
"""The number of that padding."""


rule = registering(RULES)
"""Decorator: the function is the rule of these operators."""


def options_of(o: TFLiteOperator) -> FlatTable:
    if o.options is None:
        raise Unlike("its options are missing")
    return o.options


def second_options_of(o: TFLiteOperator) -> FlatTable:
    """Those of the newer operators."""
    if o.options2 is None:
        raise Unlike("its options are missing")
    return o.options2


def finish(b: TFLiteBuilder, o: TFLiteOperator, value: Value, activation: int = 0) -> None:
    """The activation that is part of the operator, and its output."""
    made: dict[int, Callable[[], Value]] = {
        0: lambda: value,
        1: lambda: b.make("relu", value),
        2: lambda: b.make("hardtanh", value, low=-1.0, high=1.0),
        3: lambda: b.make("relu6", value),
        4: lambda: b.make("tanh", value),
        5: lambda: b.make("elementwise", value, function="sign", dtype=b.type_of(value).dtype),
    }
    if activation not in made:
        raise Unlike(f"its activation {activation} is not known")
    b.bind(o.outputs[0], made[activation]())


def weights_of(b: TFLiteBuilder, o: TFLiteOperator, filter: int = 1, bias: int = 2) -> dict[str, int]:
    found = {"weight": o.inputs[filter]}
    if len(o.inputs) > bias and o.inputs[bias] >= 0:
        found["bias"] = o.inputs[bias]
    if not all(b.is_constant(i) for i in found.values()):
        raise Unlike("its weights are computed while it runs")
    return found


def sliding(t: FlatTable, stride: Sequence[int], dilation: Sequence[int] = ()) -> dict[str, Any]:
    """Stride, dilation and padding from the fields of the options, which list the height before the width."""
    return {
        "stride": once(tuple(t.whole(field, 1) or 1 for field in stride)),
        "padding": "same" if t.byte(0) == SAME else 0,
        **({"dilation": once(tuple(t.whole(field, 1) or 1 for field in dilation))} if dilation else {}),
        "channels_last": True,
    }


def copied(b: TFLiteBuilder, value: Value) -> Value:
    """What TFLite writes anew, though only its order or extent is another."""
    return b.make("elementwise", value, function="copy")
