"""What a file of TensorFlow Lite joins: operators with an activation of their own, and norms folded by the converter.

Source: the field ``fused_activation_function`` of its schema (tensorflow/lite/schema/schema.fbs), which knows NONE,
RELU, RELU_N1_TO_1, RELU6, TANH and SIGN_BIT.
"""

from __future__ import annotations

from costcalc.ir.graph import Node
from costcalc.transforms.fuse.joiner import Chain, Joiner, JoiningRule, rule


class TFLite(Joiner):
    """Convolution or fully connected layer, norm, activation; and an activation behind arithmetic or a pool."""

    title = "TensorFlow Lite"
    begins = {**Joiner.begins, "add": "arithmetic", "subtract": "arithmetic", "multiply": "arithmetic",
              "divide": "arithmetic", "max_pool": "pool", "avg_pool": "pool"}  # fmt: skip
    rules = (
        rule("batch_norm", "conv linear conv_transpose", "conv", "the converter folds a norm of running statistics"),
        rule(
            "relu relu6 hardtanh", "conv linear conv_transpose arithmetic", "done", "the operator has this activation"
        ),
        rule(
            "relu relu6 hardtanh", "batch_norm", "done", "a norm that stays ends with a sum, which has this activation"
        ),
    )

    def prevents(self, rule: JoiningRule, node: Node, chain: Chain, value: str) -> str:
        op = node.op
        if op.name == "hardtanh" and (getattr(op, "low", -1), getattr(op, "high", 1)) != (-1, 1):
            return "an operator clips to [-1, 1], [0, 6] or from 0 on, and to nothing else"
        return ""


ENGINE = TFLite
