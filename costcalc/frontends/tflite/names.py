"""What a layer is called: by the scope that TensorFlow or the converter left in the names of tensors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from costcalc.frontends.compose import plain

if TYPE_CHECKING:
    from costcalc.frontends.tflite.read import TFLiteOperator, TFLiteTensor

_LAST = {
    "CONV_2D": "Conv2D", "DEPTHWISE_CONV_2D": "depthwise", "FULLY_CONNECTED": "MatMul", "CONV_3D": "Conv3D",
    "TRANSPOSE_CONV": "conv2d_transpose", "BATCH_MATMUL": "MatMul",
}  # fmt: skip
"""What a scope ends in that made an operator of each kind."""
_OPERATION = re.compile(r"[A-Z]\w*?(_\d+)?\d*")
_NAMELESS = re.compile(
    r"(arith|tfl|tf|stablehlo|StatefulPartitionedCall|Identity|serving_default|PartitionedCall)(\b|_).*|\d*"
)


def named(operator: TFLiteOperator, tensors: list[TFLiteTensor]) -> str:
    """A name for what ``operator`` does: the scope that it was made in, else that of its kind.

    Of the texts that a converter joined with semicolons it is the one that ends as its kind does.
    """
    kind = operator.name.lower() if not operator.custom else plain(operator.name) or "custom"
    last = _LAST.get(operator.name)
    texts = [tensors[i].name for i in (*operator.inputs[1:2], *operator.outputs[:1]) if i >= 0] if last else []
    for text in texts:
        for part in text.split(";"):
            scope, _, end = part.rpartition("/")
            if last and re.fullmatch(rf"{last}(_\d+)?\d*", end) and (name := plain(scope)):
                return name
    for text in (tensors[i].name for i in operator.outputs[:1]):
        first = text.partition(";")[0]
        if _NAMELESS.fullmatch(first):
            continue
        scope, _, end = first.rpartition("/")
        return plain(scope if scope and _OPERATION.fullmatch(end) else first) or kind
    return kind
