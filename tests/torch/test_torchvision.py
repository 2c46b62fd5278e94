"""torchvision's models traced by name: published MACs to the last digit, published parameters, nothing uncounted.

One model of each family runs in every test run, every builder with ``pytest -m long``. The reference is torchvision's
own metadata of its weights, whose MACs were recounted exactly (``recheck_macs``; see the README beside it).
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import torchvision_stub  # noqa: E402

from costcalc.analysis.records import Report  # noqa: E402
from costcalc.analysis.report import report  # noqa: E402
from costcalc.errors import CostcalcError  # noqa: E402
from costcalc.frontends.torch.models import load_model  # noqa: E402

if not torchvision_stub.install():
    pytest.skip("torchvision is not installed", allow_module_level=True)

REFERENCE = Path(__file__).parent.parent / "reference" / "torchvision.csv"
ROWS = list(csv.DictReader(REFERENCE.read_text(encoding="utf-8").splitlines()))
QUICK = [
    "vgg11_bn",
    "convnext_large",
    "densenet169",
    "googlenet",
    "inception_v3",
    "mnasnet0_5",
    "mobilenet_v3_large",
    "regnet_y_400mf",
    "shufflenet_v2_x1_0",
    "squeezenet1_0",
    "swin_t",
    "swin_v2_t",
    "vit_b_16",
    "maxvit_t",
    "efficientnet_b0",
    "wide_resnet50_2",
    "resnext50_32x4d",
    "deeplabv3_mobilenet_v3_large",
    "raft_small",
    "s3d",
    "ssdlite320_mobilenet_v3_large",
    "fasterrcnn_resnet50_fpn",
    "retinanet_resnet50_fpn",
]
# The published parameters of these leave out the frozen batch norms of the backbone; built without weights they have
# plain ones, whose weights and biases count.
FROZEN = {"resnet50": 53_120, "mobilenet": 24_400}


def traced(row: dict[str, str]) -> Report:
    """The builder of ``row``, as its published numbers were taken."""
    name, options = row["builder"], {}
    if row["task"] == "segmentation" and not name.startswith("lraspp"):
        options["aux_loss"] = True
    crop = int(row["crop_size"]) if row["crop_size"].isdecimal() else 0
    shape: Any = (3, crop, crop) if crop and row["task"] == "classification" else None
    if name == "vit_h_14" or (name.startswith("vit") and crop not in (0, 224)):
        options["image_size"] = crop
    if name == "fasterrcnn_mobilenet_v3_large_fpn":
        options["proposals"] = 0
    return report(load_model(f"torchvision:{name}", input=shape, parameters=options))


def _marked() -> list[Any]:
    first = {row["builder"]: row for row in reversed(ROWS)}
    return [
        pytest.param(
            row,
            id=row["weights"],
            marks=[] if row["builder"] in QUICK and first[row["builder"]] is row else pytest.mark.long,
        )
        for row in ROWS
    ]


@pytest.mark.parametrize("row", _marked())
def test_a_model_costs_what_is_published(row: dict[str, str]) -> None:
    found = traced(row)
    assert [u.kind for u in found.uncounted] == []
    if row["recheck_macs"]:
        assert found.total.macs == int(row["recheck_macs"])
    else:
        assert f"{found.total.macs / 1e9:.3f}".rstrip("0") == f"{float(row['gflops_ops']):.3f}".rstrip("0")
    frozen = next((n for key, n in FROZEN.items() if key in row["builder"]), 0) if "leaves out" in row["note"] else 0
    assert found.total.params == int(row["num_params"]) + frozen


def builders() -> list[str]:
    """All of torchvision's builders of float models."""
    from torchvision import models

    return [name for name in models.list_models() if not name.startswith("quantized")]


@pytest.mark.long
@pytest.mark.parametrize("name", builders())
def test_every_builder_traces_with_nothing_uncounted(name: str) -> None:
    found = report(load_model(f"torchvision:{name}"))
    assert [u.kind for u in found.uncounted] == []
    assert found.total.macs > 0


def test_a_quantizable_model_traces_in_float() -> None:
    # The float model's own: quantised rows of the metadata copy it.
    found = report(load_model("torchvision.models.quantization:resnet18", input=(3, 224, 224)))
    assert (found.total.macs, found.total.params, found.uncounted) == (1_814_073_344, 11_689_512, ())


def test_the_number_of_proposals_is_a_parameter_with_a_name() -> None:
    for settings, said in {
        ("proposals", "many"): "proposals is a whole number from 0, not many",
        ("proposals", -1): "proposals is a whole number from 0, not -1",
        ("proposals", 2.5): "proposals is a whole number from 0, not 2.5",
        ("roi_head.proposals", 20): "nothing in ssd300_vgg16 asks for 'roi_head.proposals'",
    }.items():
        with pytest.raises(CostcalcError, match=said):
            load_model("torchvision:ssd300_vgg16", parameters=dict([settings]))
    counts = {}
    for proposals in (None, 300, 0):
        graph = load_model(
            "torchvision:fasterrcnn_resnet50_fpn", parameters={} if proposals is None else {"proposals": proposals}
        )
        assert graph.parameters["proposals"] == (1000 if proposals is None else proposals)
        kept = [size for size in graph.sizes if size.parameter == "proposals"]
        assert all(
            "non-maximum suppression keeps" in size.kind and size.given == (proposals is not None) for size in kept
        )
        assert [size.name for size in kept] == ["rpn.proposals", "roi_heads.proposals"][: 1 if proposals == 0 else 2]
        counts[proposals] = report(graph).total.macs
    # The box head does 14,359,552 MACs a region: the two linear layers, the classes and the boxes.
    head = 256 * 7 * 7 * 1024 + 1024 * 1024 + 1024 * (91 + 4 * 91)
    assert head == 14_359_552
    assert counts[None] - counts[0] == 1000 * head
    assert counts[300] - counts[0] == 300 * head
