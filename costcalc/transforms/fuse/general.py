"""What compiled engines join more often than not; the engine by itself, without a name.

A linear layer takes in its norm, a sum and an activation, a norm its activation, and chains of arithmetic are one.
"""

from __future__ import annotations

from costcalc.transforms.fuse.joiner import POINTWISE, Joiner, attention, rule

LINEAR = "conv conv_transpose linear attended deform_conv dynamic_conv scaled_dot_product_attention"
NORMS = "batch_norm instance_norm group_norm layer_norm rms_norm softmax log_softmax"


class General(Joiner):
    """Linear layer, norm of running statistics, and any chain of arithmetic behind it; attention."""

    title = "fuse"
    last_first = True
    rules = (
        *attention(),
        rule("batch_norm", LINEAR, "chain", "a norm of running statistics goes into the weights"),
        rule("batch_norm", "chain pool", "chain", "it treats each element by itself"),
        rule(NORMS, "chain scaled add", "chain", "a norm follows a chain of arithmetic in one pass over each row"),
        rule(POINTWISE, f"{LINEAR} {NORMS} scaled chain", "chain", "it treats each element by itself, as it is made"),
    )


ENGINE = General
