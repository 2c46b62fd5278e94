"""Which operators PyTorch casts for under autocast on the CPU, by its own names (torch 2.13,
``aten/src/ATen/autocast_mode.h`` and ``.cpp``): a table of the engine, held to the installed torch by a test.

What of an op does not follow from its operators stands in the op, ``Op.under_autocast``.
"""

from __future__ import annotations

_NARROWER = """
    conv1d conv2d conv3d convolution conv_transpose1d conv_transpose2d conv_transpose3d conv_tbc linear matmul mm bmm
    addmm addbmm baddbmm linalg_vecdot prelu scaled_dot_product_attention"""
NARROWER = frozenset(_NARROWER.split())
"""Take all floating-point inputs and weights in the narrower type."""
_FLOAT32 = """adaptive_avg_pool3d adaptive_max_pool3d avg_pool3d max_pool3d fractional_max_pool2d fractional_max_pool3d
    max_unpool2d max_unpool3d binary_cross_entropy binary_cross_entropy_with_logits cosine_embedding_loss
    cross_entropy_loss ctc_loss hinge_embedding_loss huber_loss kl_div l1_loss margin_ranking_loss mse_loss
    multi_margin_loss multilabel_margin_loss nll_loss nll_loss2d poisson_nll_loss smooth_l1_loss soft_margin_loss
    triplet_margin_loss cdist grid_sampler grid_sampler_2d grid_sampler_3d polar prod quantile nanquantile trace
    view_as_complex reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d replication_pad3d stft fft_fft
    fft_fft2 fft_fftn fft_hfft fft_ifft fft_ifft2 fft_ifftn fft_ihfft fft_irfft fft_irfft2 fft_irfftn fft_rfft fft_rfft2
    fft_rfftn"""
FLOAT32 = frozenset(_FLOAT32.split())
"""Take what is narrower in float32."""
WIDEST = frozenset(("cat", "stack", "index_copy"))
"""Take all of them in the widest type that they have."""
