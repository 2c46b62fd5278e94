"""Which op stands for which PyTorch operator, by name only: an op is imported when a trace meets it."""

from __future__ import annotations

_NAMES = {
    "adaptive_avg_pool": """
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d
    """,
    "adaptive_max_pool": "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d",
    "add": "add",
    "as_strided": "as_strided costcalc::part _reshape_alias resize resize_as set",
    "avg_pool": "avg_pool1d avg_pool2d avg_pool3d",
    "attention_gradient": """
    _scaled_dot_product_flash_attention_for_cpu_backward _scaled_dot_product_flash_attention_backward
    _scaled_dot_product_efficient_attention_backward _scaled_dot_product_cudnn_attention_backward
    """,
    "batch_norm": "batch_norm native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training",
    "bilinear": "bilinear",
    "block_diag": "block_diag",
    "bucketize": "bucketize searchsorted",
    "celu": "celu",
    "channel_shuffle": "channel_shuffle native_channel_shuffle",
    "cholesky": "linalg_cholesky_ex cholesky",
    "cholesky_inverse": "cholesky_inverse",
    "cholesky_solve": "cholesky_solve",
    "concat": "cat concat concatenate stack",
    "conjugate": "_conj",
    "constant": """
    constant costcalc::constant empty empty_like empty_strided new_empty new_empty_strided zeros zeros_like
    new_zeros ones ones_like new_ones full full_like new_full fill zero arange linspace logspace eye range
    scalar_tensor tril_indices triu_indices rand randn rand_like randn_like randint randint_like randperm
    hann_window hamming_window bartlett_window blackman_window kaiser_window fft_fftfreq fft_rfftfreq
    empty_permuted uniform normal bernoulli random exponential _efficientzerotensor
    """,
    "conv": "conv1d conv2d conv3d convolution _convolution",
    "conv_transpose": "conv_transpose1d conv_transpose2d conv_transpose3d",
    "conv_weight_gradient": "convolution_backward",
    "cross": "linalg_cross",
    "deform_conv": "torchvision::deform_conv2d",
    "determinant": "_linalg_det _linalg_slogdet",
    "diag_embed": "diag_embed",
    "diagonal": "diagonal diag",
    "distances": "_cdist_forward _euclidean_dist _pdist_forward",
    "divide": "div divide true_divide",
    "dropout": "dropout feature_dropout alpha_dropout native_dropout feature_alpha_dropout",
    "eig": "linalg_eig linalg_eigvals _linalg_eigvals",
    "eigh": "_linalg_eigh linalg_eigvalsh",
    "einsum": "einsum",
    "elementwise": """
    where masked_fill nan_to_num complex copy abs absolute neg negative positive reciprocal sqrt rsqrt square exp
    exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan atan2 arctan2 sinh cosh asinh acosh atanh sinc erf
    erfc erfinv lgamma digamma floor ceil round trunc frac sign sgn pow float_power remainder fmod floor_divide
    trunc_divide rsub maximum minimum fmax fmin bitwise_and bitwise_or bitwise_xor bitwise_not bitwise_left_shift
    bitwise_right_shift __and__ __or__ __xor__ __lshift__ __rshift__ angle real imag conj_physical copysign
    nextafter heaviside clamp_min clamp_max threshold special_i0 xlogy eq ne lt le gt ge isnan isinf isfinite
    isposinf isneginf signbit logical_and logical_or logical_xor logical_not isin clamp clip hardshrink addcmul
    addcdiv rad2deg deg2rad lerp softshrink log_sigmoid log_sigmoid_forward
    logit hypot logaddexp polar to _to_copy type_as i0 special_i0e
    special_i1 special_i1e special_erfcx special_ndtri special_log_ndtr special_zeta polygamma igamma igammac gcd lcm
    dequantize ldexp special_entr logaddexp2 quantize_per_tensor quantize_per_tensor_dynamic
    quantize_per_channel fake_quantize_per_tensor_affine fake_quantize_per_channel_affine
    fused_moving_avg_obs_fake_quant
    """,
    "elu": "elu",
    "embedding": "embedding embedding_bag",
    "expand": "expand expand_as broadcast_to",
    "flatten": "flatten",
    "flip": "flip fliplr flipud rot90",
    "fold": "col2im",
    "fourier": "_fft_r2c _fft_c2r _fft_c2c",
    "frexp": "frexp",
    "gather": """
    index gather take take_along_dim _unsafe_index masked_select nonzero unique_dim _unique2 unique_consecutive
    one_hot combinations cartesian_prod multinomial _pack_padded_sequence
    _jagged_to_padded_dense_forward _padded_dense_to_jagged_forward
    _convert_indices_from_coo_to_csr _convert_indices_from_csr_to_coo
    """,
    "gelu": "gelu",
    "glu": "glu",
    "gradient": """
    _adaptive_avg_pool2d_backward _adaptive_avg_pool3d_backward _cdist_backward
    _log_softmax_backward_data _softmax_backward_data embedding_dense_backward glu_backward hardshrink_backward
    hardsigmoid_backward hardswish_backward hardtanh_backward leaky_relu_backward log_sigmoid_backward
    logit_backward max_pool2d_with_indices_backward max_pool3d_with_indices_backward mish_backward
    mse_loss_backward native_dropout_backward sigmoid_backward silu_backward softplus_backward
    softshrink_backward tanh_backward threshold_backward upsample_bilinear2d_backward upsample_linear1d_backward
    upsample_nearest1d_backward upsample_nearest2d_backward upsample_nearest3d_backward
    _upsample_nearest_exact1d_backward _upsample_nearest_exact2d_backward _upsample_nearest_exact3d_backward
    upsample_trilinear3d_backward reflection_pad1d_backward reflection_pad2d_backward reflection_pad3d_backward
    replication_pad1d_backward replication_pad2d_backward replication_pad3d_backward avg_pool2d_backward
    avg_pool3d_backward elu_backward gelu_backward native_batch_norm_backward native_group_norm_backward
    native_layer_norm_backward _fused_rms_norm_backward
    """,
    "grouped_matmul": "_grouped_mm",
    "grid_sample": "grid_sampler grid_sampler_2d grid_sampler_3d",
    "group_norm": "group_norm native_group_norm",
    "gru": "gru",
    "hardsigmoid": "hardsigmoid",
    "hardswish": "hardswish",
    "hardtanh": "hardtanh",
    "histogram": "histc",
    "householder_multiply": "ormqr",
    "householder_product": "linalg_householder_product",
    "householder_qr": "geqrf",
    "identity": "contiguous clone identity",
    "instance_norm": "instance_norm",
    "inverse": "linalg_inv_ex",
    "layer_norm": "layer_norm native_layer_norm",
    "ldl": "linalg_ldl_factor_ex",
    "ldl_solve": "linalg_ldl_solve",
    "leaky_relu": "leaky_relu rrelu_with_noise",
    "least_squares": "linalg_lstsq",
    "linear": "linear",
    "log_softmax": "log_softmax _log_softmax",
    "loss": """
    nll_loss_forward nll_loss2d_forward nll_loss_nd nll_loss mse_loss smooth_l1_loss huber_loss binary_cross_entropy
    binary_cross_entropy_with_logits
    """,
    "lstm": "lstm",
    "lu": "linalg_lu_factor_ex linalg_lu",
    "lu_solve": "linalg_lu_solve",
    "lu_unpack": "lu_unpack",
    "matmul": """
    matmul linalg_matmul mm bmm mv dot vdot inner addmm baddbmm addbmm addmv _int_mm addr affine_grid_generator
    """,
    "matrix_exp": "linalg_matrix_exp",
    "max_pool": "max_pool1d max_pool2d max_pool3d max_pool2d_with_indices max_pool3d_with_indices",
    "max_unpool": "max_unpool2d max_unpool3d",
    "mean": "mean",
    "mish": "mish",
    "multiply": "mul multiply",
    "negative_view": "_neg_view",
    "nms": "torchvision::nms",
    "pad": """
    pad constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d
    replication_pad3d select_backward slice_backward
    """,
    "overwrite": "costcalc::overwrite slice_scatter select_scatter",
    "part": "view_as_real view_as_complex",
    "permute": "permute movedim moveaxis numpy_T",
    "pixel_shuffle": "pixel_shuffle",
    "pixel_unshuffle": "pixel_unshuffle",
    "prelu": "prelu _prelu_kernel",
    "pseudo_inverse": "linalg_pinv",
    "qr": "linalg_qr",
    "reduction": """
    amax amin prod nansum max min median nanmedian mode kthvalue argmax argmin any all aminmax count_nonzero var
    std var_mean std_mean linalg_vector_norm norm frobenius_norm logsumexp _is_all_true _is_any_true renorm dist
    """,
    "relu": "relu",
    "relu6": "relu6",
    "repeat_interleave": "repeat_interleave",
    "reshape": "view _unsafe_view reshape unflatten view_as reshape_as ravel atleast_1d atleast_2d atleast_3d",
    "rms_norm": "rms_norm _fused_rms_norm",
    "rnn": "rnn_tanh rnn_relu",
    "roi_align": "torchvision::roi_align torchvision::ps_roi_align",
    "roi_pool": "torchvision::roi_pool torchvision::ps_roi_pool",
    "roll": "roll",
    "scaled_dot_product_attention": """
    scaled_dot_product_attention _scaled_dot_product_attention_math _scaled_dot_product_flash_attention
    _scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_efficient_attention
    _scaled_dot_product_cudnn_attention _scaled_dot_product_fused_attention_overrideable
    """,
    "scan": "cumsum cumprod logcumsumexp cummax cummin",
    "scatter": """
    scatter scatter_add scatter_reduce index_put _index_put_impl index_add index_copy index_fill masked_scatter
    diagonal_scatter histogram bincount put index_reduce unfold_backward
    """,
    "select": "select",
    "selu": "selu",
    "sigmoid": "sigmoid",
    "silu": "silu",
    "slice": "slice narrow narrow_copy slice_copy",
    "softmax": "softmax _softmax _safe_softmax",
    "softplus": "softplus",
    "solve": "_linalg_solve_ex",
    "solve_triangular": "linalg_solve_triangular triangular_solve",
    "sort": "sort topk argsort msort",
    "sparse_matmul": "costcalc::sparse_matmul",
    "sparse_to_dense": "costcalc::sparse_to_dense",
    "split": "split split_with_sizes chunk unsafe_chunk unsafe_split unsafe_split_with_sizes tensor_split",
    "squeeze": "squeeze",
    "subtract": "sub subtract",
    "sum": "sum trace",
    "svd": "_linalg_svd linalg_svdvals",
    "take": "index_select",
    "tanh": "tanh",
    "tile": "repeat tile",
    "transpose": "transpose t swapaxes swapdims mT adjoint",
    "triangle": "tril triu",
    "unbind": "unbind",
    "unfold": "im2col",
    "unsqueeze": "unsqueeze",
    "upsample": """
    upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d _upsample_nearest_exact2d
    _upsample_nearest_exact3d upsample_linear1d upsample_bilinear2d upsample_trilinear3d upsample_bicubic2d
    _upsample_bilinear2d_aa _upsample_bicubic2d_aa _upsample_lanczos2d_aa
    """,
    "weight_norm": "_weight_norm_interface _weight_norm",
    "windows": "unfold",
}

RULES: dict[str, str] = {aten: op for op, names in _NAMES.items() for aten in names.split()}
"""PyTorch operator → op. A test checks it against the ops' own ``aten``."""
