"""The networks that the course notes speak of: each is shipped, and what the notes say of it holds.

``test_published.py`` holds every number of the table of literature against ours; here is what the notes themselves
print, stated once more, so that no line can drop out of the table.
"""

from __future__ import annotations

import re

import pytest

from costcalc import literature, zoo
from costcalc.analysis.records import Report
from costcalc.analysis.report import report
from costcalc.models import load

# As the notes name them; each of the shipped models that stand for them.
ARCHITECTURES = {
    "LeNet-5": "lenet5 lenet5_original",
    "AlexNet, ZFNet": "alexnet alexnet_2012 zfnet",
    "VGG, with and without batch norm": "vgg11 vgg13 vgg16 vgg19 vgg11_bn vgg13_bn vgg16_bn vgg19_bn",
    "plain nets and ResNet": "plain18 plain34 resnet18 resnet34 resnet50 resnet101 resnet152",
    "CIFAR ResNet": "resnet20 resnet32 resnet44 resnet56 resnet110 resnet1202",
    "pre-activation ResNet": "preact_resnet18 preact_resnet50 preact_resnet110_cifar",
    "Wide ResNet": "wrn_40_1 wrn_40_2 wrn_40_4 wrn_40_8 wrn_28_10 wrn_28_12 wrn_22_8 wrn_22_10 wrn_16_8 wrn_16_10",
    "ResNeXt": "resnext50_32x4d resnext101_32x4d resnext101_64x4d",
    "Inception": "googlenet googlenet_aux inception_v2 inception_v3 inception_resnet_v2",
    "PolyNet": "polynet",
    "DenseNet": "densenet121 densenet169 densenet201 densenet264",
    "SE-ResNet": "se_resnet50",
    "SqueezeNet": "squeezenet1_0 squeezenet1_1",
    "MobileNet": "mobilenet mobilenet_0.75 mobilenet_0.5 mobilenet_0.25 mobilenet_v2",
    "ShuffleNet v1, by groups": "shufflenet_1x_g1 shufflenet_1x_g2 shufflenet_1x_g3 shufflenet_1x_g4 shufflenet_1x_g8",
    "ShuffleNet v1, by width": "shufflenet_0.25x_g3 shufflenet_0.5x_g4 shufflenet_1.5x_g3 shufflenet_2x_g3",
    "ShuffleNet v1, other": "shufflenet_2x_g3_se shufflenet_0.5x_shallow_g3",
    "ShuffleNet v2": "shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0",
    "EfficientNet": " ".join(f"efficientnet_b{n}" for n in range(8)),
    "EfficientNetV2": "efficientnet_v2_s efficientnet_v2_m efficientnet_v2_l",
    "RegNet": "regnet_y_16gf",
    "ConvNeXt": "convnext_t convnext_s convnext_b convnext_l convnext_b_384 convnext_l_384",
    "transformers": "deit_s deit_b vit_b_16 swin_t swin_s swin_b swin_b_384",
    "shifts": "shiftnet_a shiftnet_b shiftresnet20_1 shiftresnet110_9",
    "deformable ResNet": "deformable_resnet50 deformable_resnet101",
    "segmentation": "fcn32s_vgg16 fcn8s_vgg16 fcn_resnet50 unet unet_same deeplab_v3_resnet50 deconvnet",
    "detection": "retinanet_resnet50_fpn rpn_vgg16 faster_rcnn_resnet50_fpn r_fcn_resnet101",
    "video": "c3d r2plus1d_18 r3d_18 r2d_18",
}


@pytest.mark.parametrize("family", ARCHITECTURES)
def test_every_architecture_of_the_notes_is_shipped_and_analysed(family: str) -> None:
    for name in ARCHITECTURES[family].split():
        assert name in zoo.models()
        found = report(load(name))
        assert not found.uncounted
        assert found.total.macs > 0


# What a network is called after: convolutions and linear layers on its longest path, none of a shortcut.
DEPTHS = """
alexnet 8, vgg11 11, vgg13 13, vgg16 16, vgg19 19, plain18 18, plain34 34, resnet18 18, resnet34 34, resnet50 50,
resnet101 101, resnet152 152, resnet20 20, resnet32 32, resnet44 44, resnet56 56, resnet110 110, resnet1202 1202,
preact_resnet50 50, resnext50_32x4d 50, resnext101_32x4d 101, se_resnet50 50, densenet121 121, densenet169 169,
densenet201 201, densenet264 265
"""  # DenseNet-264 has one more by the depths of its paper's table 1: 2·(6 + 12 + 64 + 48) + 5.


@pytest.mark.parametrize(("name", "depth"), re.findall(r"(\w+) (\d+)", DEPTHS))
def test_a_network_has_as_many_layers_as_its_name_says(name: str, depth: str) -> None:
    layers = [la for la in report(load(name)).layers if la.op in ("conv", "linear") and "downsample" not in la.name]
    assert len(layers) == int(depth)


def test_mobilenet_takes_any_width_and_resolution() -> None:
    # The maps of 448 have four times the places of 224 at every layer; the classifier sees none of that.
    classifier = 1024 * 1000
    (small, large) = (report(load("mobilenet", parameters={"resolution": r})).total.macs for r in (224, 448))
    assert large - classifier == 4 * (small - classifier)
    assert report(load("mobilenet", parameters={"width": 0.35, "resolution": 160})).layers[-1].input_shapes == (
        (1, int(0.35 * 1024)),
    )


# As the notes print them: model, rule, value. MFLOPs of the mobile nets and FLOPs of ConvNeXt's table are MACs.
PRINTED = """
resnet20 params 0.27 M, resnet32 params 0.46 M, resnet44 params 0.66 M, resnet56 params 0.85 M, resnet110 params 1.7 M,
resnet1202 params 19.4 M,
wrn_40_1 params 0.6 M, wrn_40_2 params 2.2 M, wrn_40_4 params 8.9 M, wrn_40_8 params 35.7 M, wrn_28_10 params 36.5 M,
wrn_28_12 params 52.5 M, wrn_22_8 params 17.2 M, wrn_22_10 params 26.8 M, wrn_16_8 params 11.0 M,
wrn_16_10 params 17.1 M,
mobilenet macs 569 M, mobilenet_0.75 macs 325 M, mobilenet_0.5 macs 149 M, mobilenet_0.25 macs 41 M,
shufflenet_2x_g3 macs 524 M, shufflenet_2x_g3_se macs 527 M, shufflenet_1.5x_g3 macs 292 M, shufflenet_1x_g8 macs 140 M,
shufflenet_0.5x_g4 macs 38 M, shufflenet_0.5x_shallow_g3 macs 40 M,
squeezenet1_0 bytes 4.8 MiB, alexnet_2012 bytes 240 MB, resnet50 bytes 0.1 GB, vit_b_16 bytes 0.3 GB,
regnet_y_16gf params 84 M, regnet_y_16gf macs 16.0 G, efficientnet_b7 params 66 M, efficientnet_b7 macs 37.0 G,
efficientnet_v2_l params 120 M, efficientnet_v2_l macs 53.0 G, deit_s params 22 M, deit_s macs 4.6 G,
deit_b params 87 M, deit_b macs 17.6 G, swin_t params 28 M, swin_t macs 4.5 G, convnext_t params 29 M,
convnext_t macs 4.5 G, swin_s params 50 M, swin_s macs 8.7 G, convnext_s params 50 M, convnext_s macs 8.7 G,
swin_b params 88 M, swin_b macs 15.4 G, convnext_b params 89 M, convnext_b macs 15.4 G, swin_b_384 params 88 M,
swin_b_384 macs 47.1 G, convnext_b_384 params 89 M, convnext_b_384 macs 45.0 G, convnext_l params 198 M,
convnext_l macs 34.4 G, convnext_l_384 params 198 M, convnext_l_384 macs 101.0 G
"""
# Those that no count of the network gives; the table of literature says why.
NOT_MET = {
    "shufflenet_1x_g8 macs 140 M", "shufflenet_0.5x_g4 macs 38 M", "regnet_y_16gf macs 16.0 G",
    "efficientnet_b7 macs 37.0 G", "efficientnet_v2_l params 120 M", "efficientnet_v2_l macs 53.0 G",
    "convnext_b_384 macs 45.0 G", "alexnet_2012 bytes 240 MB",
}  # fmt: skip


def test_every_number_of_the_notes_is_in_the_table_and_met_or_explained() -> None:
    printed = {" ".join(line.split()) for line in PRINTED.split(",")}
    in_table = {f"{r.model} {r.rule} {r.value} {r.unit}": r for r in literature.table() if not r.settings}

    assert printed - in_table.keys() == set()
    assert {line for line in printed if in_table[line].reason} == NOT_MET


def test_large_files_are_about_what_the_notes_say() -> None:
    # ResNet-50 about 100 MB, ViT-B above 300, at 32 bits.
    sizes = {name: report(load(name)).total.weight_bits / 8e6 for name in ("resnet50", "vit_b_16")}
    assert round(sizes["resnet50"], -1) == 100
    assert 300 < sizes["vit_b_16"] < 350


def test_from_resnet_50_to_convnext_t() -> None:
    resnet, convnext = report(load("resnet50")), report(load("convnext_t"))

    assert depths(resnet, r"layer(\d)\.\d+$") == [3, 4, 6, 3]
    assert depths(convnext, r"stages\.(\d)\.\d+$") == [3, 3, 9, 3]
    # GELU for ReLU, layer norm for batch norm; a norm and an activation fewer in each block.
    assert (kinds(resnet)["relu"], kinds(resnet)["batch_norm"]) == (49, 53)
    assert (kinds(convnext)["gelu"], kinds(convnext)["layer_norm"]) == (18, 18 + 1 + 3 + 1)
    assert not {"relu", "batch_norm"} & kinds(convnext).keys()
    # A 7×7 kernel and a bias for each channel.
    depthwise = [layer for layer in convnext.layers if layer.name.endswith("dwconv")]
    assert [layer.params for layer in depthwise] == [50 * c for c in 3 * [96] + 3 * [192] + 9 * [384] + 3 * [768]]


def depths(found: Report, block: str) -> list[int]:
    """How many blocks each stage has."""
    stages = [match[1] for b in found.blocks if (match := re.match(block, b.name))]
    return [stages.count(stage) for stage in dict.fromkeys(stages)]


def kinds(found: Report) -> dict[str, int]:
    """How many layers of each op there are."""
    ops = [layer.op for layer in found.layers]
    return {op: ops.count(op) for op in ops}


# -- compound scaling --------------------------------------------------------------------------


def efficientnet(**parameters: float) -> Report:
    """EfficientNet-B0 with other coefficients."""
    return report(load("efficientnet_b0", parameters=parameters))


def test_compound_scaling_raises_depth_width_and_resolution_to_the_power_of_phi() -> None:
    # Tan & Le 2019, equation 3 with φ = 3: 1.2³ = 1.728 of the repeats, rounded up; 1.1³ = 1.331 of the filters, to
    # the nearest multiple of 8; 1.15³ = 1.521 of 224 pixels.
    scaled = efficientnet(phi=3)
    assert scaled.inputs == {"image": (1, 3, 341, 341)}
    assert depths(scaled, r"features\.(\d)\.\d+$") == [2, 4, 4, 6, 6, 7, 2]  # of 1, 2, 2, 3, 3, 4, 1
    last = {la.name.split(".")[1]: la.output_shapes[0][1] for la in scaled.layers if la.name.endswith("project.conv")}
    assert [*last.values()] == [24, 32, 56, 104, 152, 256, 424]  # of 16, 24, 40, 80, 112, 192, 320


def test_macs_grow_with_the_depth_and_the_squares_of_width_and_resolution() -> None:
    # So α·β²·γ² ≈ 2 makes them grow 2^φ. The stem does not deepen; depthwise layers grow with the width itself.
    base = efficientnet().total.macs
    deep, wide, fine = ({"depth_coefficient": 2}, {"width_coefficient": 2}, {"resolution": 448})
    assert efficientnet(**deep).total.macs / base == pytest.approx(2, rel=0.1)
    assert efficientnet(**wide).total.macs / base == pytest.approx(4, rel=0.1)
    assert efficientnet(**fine).total.macs / base == pytest.approx(4, rel=0.02)


# -- detection heads: for each anchor a likelihood, 4 coordinates and a vector of classes ------------


def test_the_proposal_head_has_a_likelihood_and_a_box_for_each_anchor() -> None:
    found = report(load("rpn_resnet50_fpn"))
    for level, size in ((2, 200), (3, 100), (4, 50), (5, 25), (6, 13)):  # 800 pixels at strides 4 to 64
        assert found.outputs[f"head.P{level}.objectness"] == (1, 3, size, size)
        assert found.outputs[f"head.P{level}.boxes"] == (1, 3 * 4, size, size)
    # At each place a 3×3 conv of 256 channels, then 3·(1 + 4) filters 1×1.
    places = 200**2 + 100**2 + 50**2 + 25**2 + 13**2
    heads = [block.macs for block in found.blocks if re.match(r"head\.P\d$", block.name)]
    assert sum(heads) == places * 256 * (9 * 256 + 3 * 5)


def test_the_first_proposal_head_has_two_likelihoods_object_or_not() -> None:
    outputs = report(load("rpn_vgg16")).outputs
    assert outputs == {"head.objectness": (1, 9 * 2, 50, 50), "head.boxes": (1, 9 * 4, 50, 50)}


def test_a_head_of_one_stage_has_a_vector_of_classes_for_each_anchor() -> None:
    found = report(load("retinanet_resnet50_fpn"))
    for level, size in ((3, 100), (4, 50), (5, 25), (6, 13), (7, 7)):
        assert found.outputs[f"classes.P{level}.predict"] == (1, 9 * 91, size, size)
        assert found.outputs[f"boxes.P{level}.predict"] == (1, 9 * 4, size, size)


def test_the_second_stage_has_a_vector_of_classes_and_a_box_of_each_for_each_proposal() -> None:
    outputs = report(load("faster_rcnn_resnet50_fpn")).outputs
    assert outputs == {"classes": (1000, 91), "boxes": (1000, 91 * 4)}


def test_a_detectors_backbone_goes_through_all_models_between() -> None:
    # Faster R-CNN has an RPN, which has the backbone: ResNet-101 has 44,549,160 parameters, ResNet-50 25,557,032.
    small, large = (
        report(load("faster_rcnn_resnet50_fpn", input=(3, 224, 224), parameters={"backbone": name})).total.params
        for name in ("resnet50", "resnet101")
    )
    assert large - small == 44_549_160 - 25_557_032
