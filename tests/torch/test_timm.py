"""timm's models traced by name: nothing uncounted, all parameters, and the MACs of torch's FlopCounterMode.

A dozen that do odd things run in every test run; every model with ``pytest -m long`` (an hour).
``benchmarks/sweep_timm.py`` does the same in one process and writes a table.
"""

from __future__ import annotations

import os
import warnings

import pytest

torch = pytest.importorskip("torch")

import torchvision_stub  # noqa: E402

if not torchvision_stub.install():
    pytest.skip("timm needs torchvision", allow_module_level=True)
timm = pytest.importorskip("timm")

from torch import nn  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from costcalc.analysis.report import report  # noqa: E402
from costcalc.frontends.torch.build import built  # noqa: E402
from costcalc.frontends.torch.tracer import trace  # noqa: E402

os.environ["HF_HUB_OFFLINE"] = "1"

QUICK = {
    "bat_resnext26ts": "attention over channels by products of three axes",
    "beit_base_patch16_224": "a bias that is put together when called",
    "botnet26t_256": "attention with relative positions in a convolutional network",
    "cait_xxs24_224": "attention among heads, class attention",
    "csatv2": "a layer whose weights are buffers",
    "dm_nfnet_f0": "kernels that are standardised when called",
    "edgenext_xx_small": "attention over channels, positions made when called",
    "gcresnet33ts": "global context",
    "levit_conv_128s": "scores by relative position, looked up",
    "mobilenetv4_hybrid_medium": "multi-query attention",
    "resnetv2_50": "kernels that are standardised when called",
    "tf_efficientnet_cc_b0_4e": "kernels mixed for each image",
    "tresnet_m": "blurring with a kernel that is a buffer",
}


def by_torch(model: nn.Module, shape: tuple[int, ...]) -> int:
    """MACs by torch's own counter, the fused paths off."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model.to("meta").requires_grad_(False)(torch.empty(shape, device="meta"))
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return int(counter.get_total_flops() // 2)


def _names() -> list[object]:
    return [pytest.param(name, marks=[] if name in QUICK else pytest.mark.long) for name in timm.list_models()]


@pytest.mark.parametrize("name", _names())
def test_a_model_of_timm_is_counted_whole(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = built(lambda: timm.create_model(name)).eval()
        shape = (1, *(model.pretrained_cfg.get("input_size") or (3, 224, 224)))
        found = report(trace(model, shape))
        expected = by_torch(model, shape)
    assert [u.kind for u in found.uncounted] == []
    assert found.total.params == sum(p.numel() for p in model.parameters())
    assert found.total.macs == expected
