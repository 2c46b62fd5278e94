"""The ops, one family a file. ``WHERE`` names the module of each, so that only those in use are imported."""

from __future__ import annotations

_MODULES = {
    "activation": "relu relu6 leaky_relu prelu hardtanh hardsigmoid hardswish "
    "sigmoid silu tanh gelu mish softplus elu selu celu",
    "adaptive_pool": "adaptive_avg_pool adaptive_max_pool global_avg_pool global_max_pool",
    "arithmetic": "add multiply subtract divide",
    "attention": "scaled_dot_product_attention multi_head_attention",
    "constant": "parameter constant uncounted",
    "bilinear": "bilinear distances",
    "binning": "bucketize histogram frexp",
    "boxes": "nms roi_align roi_pool",
    "conjugate": "conjugate negative_view",
    "conv": "conv",
    "conv_transpose": "conv_transpose",
    "copies": "flip tile repeat_interleave triangle diag_embed block_diag",
    "cross": "cross",
    "deform": "deform_conv",
    "dynamic": "dynamic_conv weight_norm",
    "einsum": "einsum",
    "elementwise": "elementwise",
    "factors": "cholesky lu lu_unpack ldl",
    "fourier": "fourier",
    "gradients": "gradient conv_weight_gradient attention_gradient",
    "identity": "identity dropout stochastic_depth",
    "indexing": "embedding take gather",
    "join": "concat split slice",
    "kept_state": "split_lstm simple_rnn svdf",
    "layer_norm": "layer_norm rms_norm",
    "learned": "class_token position_embedding relative_position_bias",
    "linear": "linear",
    "loss": "loss",
    "matmul": "matmul grouped_matmul",
    "move": "pad roll",
    "norm": "batch_norm instance_norm group_norm",
    "order": "permute transpose expand",
    "pool": "max_pool avg_pool",
    "recurrent": "lstm gru rnn",
    "reduction": "reduction sum mean",
    "reflections": "qr householder_qr householder_product householder_multiply",
    "resample": "upsample",
    "sample": "grid_sample unfold fold",
    "scale": "scale layer_scale local_response_norm",
    "scan": "scan sort",
    "separable": "depthwise pointwise",
    "shape": "flatten reshape squeeze unsqueeze",
    "shift": "shift",
    "shuffle": "channel_shuffle pixel_shuffle pixel_unshuffle",
    "softmax": "softmax log_softmax glu",
    "inverting": "inverse cholesky_inverse determinant",
    "solving": "solve_triangular lu_solve cholesky_solve ldl_solve solve least_squares",
    "sparse": "sparse_matmul sparse_to_dense",
    "spectral": "svd eigh eig pseudo_inverse matrix_exp",
    "strided": "select unbind windows diagonal as_strided part",
    "unpool": "max_unpool",
    "writing": "overwrite scatter",
}

WHERE: dict[str, str] = {op: module for module, ops in _MODULES.items() for op in ops.split()}
"""Op name → module in this package. A test checks it against the decorators."""

ALIASES = {
    "fc": "linear", "bmm": "matmul", "swish": "silu", "h_swish": "hardswish", "h_sigmoid": "hardsigmoid",
    "batchnorm": "batch_norm", "layernorm": "layer_norm", "drop_path": "stochastic_depth",
    "mul": "multiply", "sub": "subtract", "div": "divide", "cat": "concat",
}  # fmt: skip
"""What else the field calls some ops. Specs may; reports use the name on the right."""
