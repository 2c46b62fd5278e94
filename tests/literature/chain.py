"""Reports of a few layers in a row, which the facts of the course notes are about."""

from __future__ import annotations

from typing import Any

from costcalc.analysis.records import Report
from costcalc.analysis.report import report
from costcalc.ir.graph import GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType


def chain(shape: tuple[int, ...], *layers: tuple[Any, ...], inputs: dict[str, tuple[int, ...]] | None = None) -> Report:
    """The report of ``layers``, each (op, options…, {named options}), one after the other."""
    values = {"image": TensorType(shape)} | {name: TensorType(s) for name, s in (inputs or {}).items()}
    builder = GraphBuilder("facts", values)
    value = "image"
    for i, (name, *args) in enumerate(layers):
        options = args.pop() if args and isinstance(args[-1], dict) else {}
        others = list(inputs or {}) if name == "deform_conv" else []
        (value, *_) = builder.add(f"block.l{i}", find_op(name)(*args, **options), [value, *others])
    return report(builder.build([value]))


def out(result: Report) -> tuple[Any, ...]:
    """The shape that comes out at the end."""
    return result.layers[-1].output_shapes[0]
