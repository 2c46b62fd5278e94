"""The ops, one family a file. ``WHERE`` names the module of each, so that only those in use are imported."""

from __future__ import annotations

_MODULES = {
    "activation": "relu relu6 leaky_relu prelu hardtanh hardsigmoid hardswish sigmoid silu tanh gelu mish softplus elu "
    "selu celu softmax log_softmax glu",
    "arithmetic": "add multiply subtract divide",
    "attention": "scaled_dot_product_attention multi_head_attention",
    "conv": "conv",
    "conv_transpose": "conv_transpose",
    "join": "concat",
    "linear": "linear",
    "matmul": "matmul",
    "norm": "batch_norm instance_norm group_norm layer_norm rms_norm",
    "pool": "max_pool avg_pool",
    "scale": "layer_scale local_response_norm",
    "shape": "identity dropout stochastic_depth flatten",
}

WHERE: dict[str, str] = {op: module for module, ops in _MODULES.items() for op in ops.split()}
"""Op name → module in this package. A test checks it against the decorators."""
