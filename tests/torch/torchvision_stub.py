"""Makes ``import torchvision`` work where its compiled operators cannot be loaded.

A torchvision built for another torch lacks ``nms``, ``roi_align`` and their kin, and its import fails over
that. Tracing needs only their names and the shapes that they return: this declares the names, and
torchvision's own Python code adds the shapes. Call ``install()`` before torchvision is imported. With
a torchvision that fits its torch it does nothing.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import torch

_BOX = "float spatial_scale, SymInt pooled_height, SymInt pooled_width"
_SIZES = "SymInt batch_size, SymInt channels, SymInt height, SymInt width"
_DEFORM = (
    "Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, SymInt stride_h, SymInt stride_w, "
    "SymInt pad_h, SymInt pad_w, SymInt dilation_h, SymInt dilation_w, SymInt groups, "
    "SymInt offset_groups, bool use_mask"
)
SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    f"roi_align(Tensor input, Tensor rois, {_BOX}, int sampling_ratio, bool aligned) -> Tensor",
    f"qroi_align(Tensor input, Tensor rois, float s, int z, float rs, int rz, {_BOX}, int r, bool aligned) -> Tensor",
    f"roi_pool(Tensor input, Tensor rois, {_BOX}) -> (Tensor, Tensor)",
    f"ps_roi_align(Tensor input, Tensor rois, {_BOX}, int sampling_ratio) -> (Tensor, Tensor)",
    f"ps_roi_pool(Tensor input, Tensor rois, {_BOX}) -> (Tensor, Tensor)",
    f"deform_conv2d({_DEFORM}) -> Tensor",
    f"_roi_align_backward(Tensor grad, Tensor rois, {_BOX}, {_SIZES}, int sampling_ratio, bool aligned) -> Tensor",
    f"_roi_pool_backward(Tensor grad, Tensor rois, Tensor argmax, {_BOX}, {_SIZES}) -> Tensor",
    f"_ps_roi_align_backward(Tensor grad, Tensor rois, Tensor mapping, {_BOX}, int sampling_ratio, {_SIZES}) -> Tensor",
    f"_ps_roi_pool_backward(Tensor grad, Tensor rois, Tensor channel_mapping, {_BOX}, {_SIZES}) -> Tensor",
    f"_deform_conv2d_backward(Tensor grad, {_DEFORM}) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    "box_iou_rotated(Tensor boxes1, Tensor boxes2) -> Tensor",
    "_cuda_version() -> int",
)

_library: Any = None


def install() -> bool:
    """Import torchvision, with stand-ins for its compiled operators if they are missing.

    Returns whether torchvision can be used.
    """
    global _library
    if _library is not None:
        return True
    if importlib.util.find_spec("torchvision") is None:
        return False
    if _has_compiled_operators():
        import torchvision

        return bool(torchvision.__version__)
    _library = torch.library.Library("torchvision", "DEF")
    for schema in SCHEMAS:
        _library.define(schema)
    _library.impl("_cuda_version", lambda: -1, "CompositeExplicitAutograd")
    load = torch.ops.load_library
    torch.ops.load_library = lambda path: None
    try:
        import torchvision
    finally:
        torch.ops.load_library = load
    return bool(torchvision.__version__)


def _has_compiled_operators() -> bool:
    """Whether torchvision's library of operators loads into this torch."""
    spec = importlib.util.find_spec("torchvision")
    assert spec is not None
    for folder in spec.submodule_search_locations or ():
        try:
            torch.ops.load_library(f"{folder}/_C.so")
            return True
        except OSError:
            continue
    return False
