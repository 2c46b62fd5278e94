"""What cuDNN joins by its engines for graphs, as its documentation has it; not measured here.

Source: NVIDIA cuDNN 9, "Graph API", "Supported graph patterns": a product (convolution, matrix product) and a graph of
pointwise operations on what it makes, norms with pointwise operations behind them, and attention as one kernel.
"""

from __future__ import annotations

from costcalc.transforms.fuse.joiner import POINTWISE, Joiner, attention, rule

PRODUCTS = "conv linear scaled attended"
NORMS = "layer_norm rms_norm instance_norm group_norm batch_norm"


class CuDNN(Joiner):
    """A product and the arithmetic behind it; a norm and the arithmetic behind it."""

    title = "cuDNN"
    last_first = True
    rules = (
        *attention(),
        rule("batch_norm", f"{PRODUCTS} product", "product", "a norm of running statistics is a factor and a shift"),
        rule(
            POINTWISE,
            f"{PRODUCTS} product",
            "product",
            "arithmetic on what a product makes is done before that is written",
        ),
        rule(POINTWISE, f"{NORMS} norm", "norm", "arithmetic on what a norm makes is done before that is written"),
    )


ENGINE = CuDNN
