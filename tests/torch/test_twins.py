"""The specs against PyTorch's own networks: traced from torchvision and timm, they cost exactly what ours say.

Compared are MACs, parameters and output shapes, and as a multiset the MACs of every layer: twins have the same layers.
Where the structure is another one (attention as one layer here and as several there) only the totals are equal.
One twin of each family runs in every test run, all of them with ``pytest -m long``.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator

import pytest

torch = pytest.importorskip("torch")

import torchvision_stub  # noqa: E402

from costcalc.analysis.report import report  # noqa: E402
from costcalc.frontends.spec.settings import parse_value  # noqa: E402
from costcalc.frontends.torch.models import load_model  # noqa: E402
from costcalc.models import load  # noqa: E402

# The first of each row runs always; rows go on after two spaces. A name is that of both, or spec=builder; after the
# colon come the settings of the spec, and after a slash those of the builder.
TORCHVISION = """
alexnet
vgg11_bn vgg11 vgg13 vgg16 vgg19 vgg13_bn vgg16_bn vgg19_bn
squeezenet1_1 squeezenet1_0
resnet18 resnet34 resnet50 resnet101 resnet152 wide_resnet50_2 wide_resnet101_2
  resnext50_32x4d resnext101_32x8d resnext101_64x4d
densenet121 densenet161 densenet169 densenet201
googlenet_torchvision=googlenet:/aux_logits=False
inception_v3:/aux_logits=False
mobilenet_v2 mobilenet_v2_1.3=mobilenet_v2:/width_mult=1.3 mnasnet_b1_1.3=mnasnet1_3
mobilenet_v3_small mobilenet_v3_large
shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0
efficientnet_b0 efficientnet_b1 efficientnet_b2:resolution=288 efficientnet_b3 efficientnet_b4
  efficientnet_b5 efficientnet_b6 efficientnet_b7
efficientnet_v2_s efficientnet_v2_m efficientnet_v2_l
regnet_x_400mf:torchvision_rounding=True regnet_x_800mf regnet_x_1_6gf regnet_x_3_2gf
  regnet_x_8gf regnet_x_16gf regnet_x_32gf
  regnet_y_400mf regnet_y_800mf:torchvision_rounding=True regnet_y_1_6gf regnet_y_3_2gf
  regnet_y_8gf:torchvision_rounding=True regnet_y_16gf regnet_y_32gf regnet_y_128gf
convnext_t=convnext_tiny convnext_s=convnext_small convnext_b=convnext_base convnext_l=convnext_large
  convnext_s_384=convnext_small convnext_b_384=convnext_base convnext_l_384=convnext_large
vit_b_16 vit_b_32 vit_l_16 vit_l_32 vit_h_14
swin_t swin_s swin_b
fcn_resnet50:/aux_loss=False fcn_resnet101:/aux_loss=False fcn_resnet101_aux=fcn_resnet101:/aux_loss=True
deeplab_v3_resnet50=deeplabv3_resnet50:/aux_loss=False deeplab_v3_resnet101=deeplabv3_resnet101:/aux_loss=False
r3d_18 mc3_18 r2plus1d_18
retinanet_resnet50_fpn:/weights_backbone=None
  faster_rcnn_resnet50_fpn=fasterrcnn_resnet50_fpn:/weights_backbone=None,proposals=1000
ssd300_vgg16:/weights_backbone=None
"""
TIMM = """
inception_resnet_v2
mobilenet=mobilenetv1_100
mobilenet_v2_0.5=mobilenetv2_050 mobilenet_v2_1.4=mobilenetv2_140
  mobilenet_v2_0.35=mobilenetv2_035 mobilenet_v2_0.75=mobilenetv2_075
mobilenet_v3_small_minimalistic=tf_mobilenetv3_small_minimal_100 mobilenet_v3_small_0.75=tf_mobilenetv3_small_075
  mobilenet_v3_large_minimalistic=tf_mobilenetv3_large_minimal_100 mobilenet_v3_large_0.75=tf_mobilenetv3_large_075
se_resnet18=legacy_seresnet18 se_resnet34=legacy_seresnet34 se_resnet50=seresnet50 se_resnet101=seresnet101
  se_resnet152=seresnet152 se_resnext50_32x4d=seresnext50_32x4d se_resnext101_32x4d=seresnext101_32x4d
  resnext101_32x4d
preact_resnet18=resnetv2_18:stem_norm=False preact_resnet34=resnetv2_34:stem_norm=False
  preact_resnet50=resnetv2_50:stem_norm=False preact_resnet101=resnetv2_101:stem_norm=False
  preact_resnet152=resnetv2_152:stem_norm=False
efficientnet_v2_b0=tf_efficientnetv2_b0 efficientnet_v2_b1=tf_efficientnetv2_b1
  efficientnet_v2_b3=tf_efficientnetv2_b3 efficientnet_v2_b2=tf_efficientnetv2_b2
regnet_x_200mf=regnetx_002 regnet_x_600mf=regnetx_006 regnet_x_4gf=regnetx_040 regnet_x_6_4gf=regnetx_064
  regnet_x_12gf=regnetx_120 regnet_x_400mf=regnetx_004 regnet_y_800mf=regnety_008
  regnet_y_200mf=regnety_002 regnet_y_600mf=regnety_006 regnet_y_4gf=regnety_040 regnet_y_6_4gf=regnety_064
  regnet_y_8gf=regnety_080 regnet_y_12gf=regnety_120
deit_t=deit_tiny_patch16_224 deit_s=deit_small_patch16_224 deit_b=deit_base_patch16_224
  deit_b_384=deit_base_patch16_384 vit_b_16_384=vit_base_patch16_384
  deit_t_distilled=deit_tiny_distilled_patch16_224 deit_s_distilled=deit_small_distilled_patch16_224
  deit_b_distilled=deit_base_distilled_patch16_224 deit_b_distilled_384=deit_base_distilled_patch16_384
  swin_b_384=swin_base_patch4_window12_384 swin_l_384=swin_large_patch4_window12_384
  swin_l=swin_large_patch4_window7_224
  convnext_xl=convnext_xlarge
mnasnet_a1=semnasnet_100 mnasnet_b1=mnasnet_100 mnasnet_a1_0.75=semnasnet_075 mnasnet_a1_0.5=semnasnet_050
  mnasnet_a1_1.4=semnasnet_140 mnasnet_b1_0.75=mnasnet_075 mnasnet_b1_0.5=mnasnet_050
ghostnet=ghostnet_100 ghostnet_v2=ghostnetv2_100 ghostnet_0.5=ghostnet_050 ghostnet_1.3=ghostnet_130
  ghostnet_v2_1.3=ghostnetv2_130 ghostnet_v2_1.6=ghostnetv2_160
darknet53
hrnet_w18 hrnet_w30 hrnet_w32 hrnet_w40 hrnet_w44 hrnet_w48 hrnet_w64
repvgg_a0:deploy=False repvgg_a1:deploy=False repvgg_a2:deploy=False repvgg_b0:deploy=False repvgg_b1:deploy=False
  repvgg_b1g4:deploy=False repvgg_b2:deploy=False repvgg_b2g4:deploy=False repvgg_b3:deploy=False
  repvgg_b3g4:deploy=False
mixer_s_32=mixer_s32_224 mixer_b_16=mixer_b16_224 mixer_b_32=mixer_b32_224 mixer_s_16=mixer_s16_224
  mixer_l_16=mixer_l16_224 mixer_l_32=mixer_l32_224
xception=legacy_xception
senet154=legacy_senet154
res2net50_14w_8s res2net50_26w_4s res2net50_48w_2s res2net50_26w_6s res2net50_26w_8s res2net101_26w_4s
dla34 dla46_c dla46x_c dla60x_c dla60 dla60x dla102 dla102x dla169
poolformer_s12 poolformer_s24 poolformer_s36 poolformer_m36 poolformer_m48
"""
OTHER_LAYERS = ("vit", "deit", "swin")
DETECTORS = ("retinanet", "faster_rcnn", "ssd")  # they choose among the heads' outputs, which ours return


def twins() -> Iterator[object]:
    for library, table in (("torchvision", TORCHVISION), ("timm", TIMM)):
        for row in table.replace("\n  ", " ").split("\n"):
            for i, twin in enumerate(row.split()):
                names, _, settings = twin.partition(":")
                spec, _, builder = names.partition("=")
                ours, _, theirs = settings.partition("/")
                marks = [pytest.mark.long] if i else []
                yield pytest.param(
                    spec, f"{library}:{builder or spec}", ours, theirs, marks=marks, id=f"{spec}-{library}"
                )


@pytest.fixture(scope="module", autouse=True)
def torchvision() -> None:
    if not torchvision_stub.install():
        pytest.skip("torchvision is not installed")


@pytest.mark.parametrize(("spec", "twin", "ours", "theirs"), list(twins()))
def test_a_spec_costs_what_the_network_of_pytorch_does(spec: str, twin: str, ours: str, theirs: str) -> None:
    written = report(load(spec, parameters={name: parse_value(value) for name, value in settings(ours)}))
    shape = next(iter(written.inputs.values()))[1:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the libraries' own
        built = report(
            load_model(twin, input=shape, kwargs={name: parse_value(value) for name, value in settings(theirs)})
        )

    assert not built.uncounted
    assert (written.total.macs, written.total.params) == (built.total.macs, built.total.params)
    if not spec.startswith(DETECTORS):
        assert sorted(written.outputs.values()) == sorted(built.outputs.values())
    if not spec.startswith(OTHER_LAYERS):
        layers, theirs_too = (Counter(layer.macs for layer in r.layers if layer.macs) for r in (written, built))
        assert layers == theirs_too


def settings(text: str) -> list[tuple[str, str]]:
    """``a=1,b=2`` → the pairs."""
    return [(name, value) for name, _, value in (setting.partition("=") for setting in text.split(",") if setting)]
