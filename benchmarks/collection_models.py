"""Models of collections, built from configurations and defaults: which there are, how each is made and run."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from further_models import TABLES

Made = tuple[Any, ...]
"""A model, what it is run on by place and by name, and perhaps what builds it with values."""
Built = Callable[[Callable[[], Any]], Any]


class Collection(NamedTuple):
    """A collection of models.

    package   what is installed
    module    what is imported
    names     of its models
    make      a model without its weights, and what it is run on; the second argument builds without weights
    whole     the same as large as its defaults say, where ``make`` makes it smaller
    """

    package: str
    module: str
    names: Callable[[], Iterable[str]]
    make: Callable[[str, Built], Made]
    whole: Callable[[str, Built], Made] | None = None


def installed(name: str) -> bool:
    """Whether the collection ``name`` can be imported."""
    return importlib.util.find_spec(COLLECTIONS[name].module) is not None


TOKENS = 64
"""Of a text, where the model has places for as many."""
SMALLER = {
    "num_hidden_layers": 2,
    "n_layer": 2,
    "n_layers": 2,
    "num_layers": 2,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "num_decoder_layers": 2,
    "num_encoder_layers": 2,
    "depth": 2,
}
"""Depths in configurations of transformers; widths stay as published."""


def _transformers_names() -> list[str]:
    from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

    return sorted(MODEL_MAPPING_NAMES)


def _transformers(name: str, built: Built) -> Made:
    from transformers import CONFIG_MAPPING

    config = CONFIG_MAPPING[name]()
    text = getattr(config, "text_config", None)
    raw: dict[str, Any] = {"model_type": name}
    raw |= {key: value for key, value in SMALLER.items() if isinstance(getattr(config, key, None), int)}
    for part in ("text_config", "vision_config", "audio_config", "decoder", "encoder"):
        inner = getattr(config, part, None)
        known = {key: v for key, v in SMALLER.items() if isinstance(getattr(inner, key, None), int)}
        if known and hasattr(inner, "to_dict"):
            raw[part] = {"model_type": inner.model_type, **known}
    if getattr(config, "num_experts_per_tok", 0) is None:
        raw["num_experts_per_tok"] = 2
    if getattr(config, "attn_layer_indices", 0) is None:
        raw["attn_layer_indices"] = [1]
    layers = getattr(text or config, "layer_types", None)
    if isinstance(layers, list):
        kinds = list(dict.fromkeys(layers))
        holder = raw.setdefault("text_config", {}) if text is not None else raw
        holder |= {"layer_types": kinds if len(kinds) > 1 else kinds * 2, "num_hidden_layers": max(2, len(kinds))}
    return _of_config(raw)


def _whole_transformers(name: str, built: Built) -> Made:
    return _of_config({"model_type": name})


def _of_config(raw: dict[str, Any]) -> Made:
    from costcalc.frontends.torch.hugging_face import hugging_face
    from costcalc.frontends.torch.hugging_face_inputs import places

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "config.json")
        path.write_text(json.dumps(raw), encoding="utf-8")
        try:
            found = hugging_face(str(path), {"tokens": TOKENS})
        except Exception as error:
            if "reads no text" not in str(error):
                raise
            found = hugging_face(str(path), {})
        if places(found.model) < TOKENS:
            found = hugging_face(str(path), {})
    assert found.named is not None
    args, kwargs = found.named(1, None)
    return found.model, list(args), dict(kwargs), found.again


def _timm(name: str, built: Built) -> Made:
    import timm

    model = built(lambda: timm.create_model(name)).eval()
    return model, [(1, *(model.pretrained_cfg.get("input_size") or (3, 224, 224)))], {}


def _timm_names() -> list[str]:
    import timm

    return list(timm.list_models()[::17])


def _torchvision_names() -> list[str]:
    from torchvision import models

    return list(models.list_models())


def _torchvision(name: str, built: Built) -> Made:
    from costcalc.frontends.torch.libraries import torchvision

    found = torchvision(name, {})
    return found.model, list(found.inputs(1, None)), {}


_SMP_ENCODERS = ("resnet18", "mobilenet_v2", "efficientnet-b0", "mit_b0", "vgg11", "densenet121", "timm-regnetx_002")


def _smp_names() -> list[str]:
    decoders = (
        "Unet",
        "UnetPlusPlus",
        "MAnet",
        "Linknet",
        "FPN",
        "PSPNet",
        "DeepLabV3",
        "DeepLabV3Plus",
        "PAN",
        "UPerNet",
        "Segformer",
        "DPT",
    )
    return [f"{d}/{e}" for d in decoders for e in _SMP_ENCODERS if d != "DPT"] + [
        "DPT/tu-vit_base_patch16_224.augreg_in21k"
    ]


def _smp(name: str, built: Built) -> Made:
    import segmentation_models_pytorch as smp

    decoder, encoder = name.split("/")
    model = built(lambda: getattr(smp, decoder)(encoder_name=encoder, encoder_weights=None, classes=5)).eval()
    return model, [(1, 3, 224, 224) if decoder == "DPT" else (1, 3, 256, 256)], {}


def _ultralytics_names() -> list[str]:
    import ultralytics

    folder = Path(ultralytics.__file__).parent / "cfg" / "models"
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*.yaml"))


def _ultralytics(name: str, built: Built) -> Made:
    import ultralytics
    from ultralytics.nn import tasks

    folder = Path(ultralytics.__file__).parent / "cfg" / "models"
    kind = next((k for k in ("seg", "pose", "cls", "obb") if f"-{k}" in name), "detect")
    kinds = {
        "seg": tasks.SegmentationModel,
        "pose": tasks.PoseModel,
        "cls": tasks.ClassificationModel,
        "obb": tasks.OBBModel,
        "detect": tasks.RTDETRDetectionModel
        if "rtdetr" in name
        else tasks.WorldModel
        if "world" in name
        else tasks.DetectionModel,
    }
    return (
        kinds[kind](str(folder / name), verbose=False).eval(),
        [(1, 3, 224 if kind == "cls" else 640, 224 if kind == "cls" else 640)],
        {},
    )


def _clip_names() -> list[str]:
    import open_clip

    return list(open_clip.list_models())


def _clip(name: str, built: Built) -> Made:
    import open_clip
    import torch

    known = open_clip.get_model_config(name)
    model = built(lambda: open_clip.create_model(name, load_weights=False, pretrained_image=False)).eval()
    side = known["vision_cfg"]["image_size"]
    sides = (side, side) if isinstance(side, int) else tuple(side)
    length = known.get("text_cfg", {}).get("context_length", 77)
    return model, [(1, 3, *sides), torch.ones(1, length, dtype=torch.int64)], {}


def _by_table(
    table: Callable[[], dict[str, Callable[[], Made]]],
) -> tuple[Callable[[], list[str]], Callable[[str, Built], Made]]:
    """``names`` and ``make`` of a collection that is a table of builders."""

    def make(name: str, built: Built) -> Made:
        return table()[name]()

    return lambda: list(table()), make


def _from(module: str, of: str, inputs: Any, **options: Any) -> Callable[[], Made]:
    """Builds ``of`` in ``module`` with ``options``; ``inputs`` are shapes."""

    def make() -> Made:
        from costcalc.frontends.torch.build import built

        kind = getattr(importlib.import_module(module), of)
        given = inputs if isinstance(inputs, list) else [inputs]

        def model() -> Any:
            return kind(**options).eval()

        return built(model), given, {}, model

    return make


def words(length: int, batch: int = 1) -> Any:
    """A text of so many words."""
    import torch

    return torch.ones(batch, length, dtype=torch.int64)


def _monai() -> dict[str, Callable[[], Made]]:
    n, box, flat = "monai.networks.nets", (1, 1, 64, 64, 64), (1, 1, 64, 64)
    seg = {"in_channels": 1, "out_channels": 2}
    d3, d2 = {"spatial_dims": 3, **seg}, {"spatial_dims": 2, **seg}
    unet = {"channels": (16, 32, 64), "strides": (2, 2)}
    return {
        "UNet 3d": _from(n, "UNet", box, **d3, **unet),
        "UNet 2d": _from(n, "UNet", flat, **d2, **unet),
        "AttentionUnet": _from(n, "AttentionUnet", box, **d3, **unet),
        "BasicUNet": _from(n, "BasicUNet", box, **d3),
        "BasicUNetPlusPlus": _from(n, "BasicUNetPlusPlus", flat, **d2),
        "SegResNet": _from(n, "SegResNet", box, **d3),
        "SegResNetVAE": _from(n, "SegResNetVAE", box, input_image_size=(64, 64, 64), **d3),
        "VNet": _from(n, "VNet", box, **d3),
        "DynUNet": _from(
            n, "DynUNet", box, kernel_size=[3, 3, 3], strides=[1, 2, 2], upsample_kernel_size=[2, 2], **d3
        ),
        "UNETR": _from(n, "UNETR", box, in_channels=1, out_channels=2, img_size=(64, 64, 64)),
        "SwinUNETR": _from(n, "SwinUNETR", box, in_channels=1, out_channels=2, feature_size=12),
        "ViT": _from(n, "ViT", box, in_channels=1, img_size=(64, 64, 64), patch_size=(16, 16, 16), classification=True),
        "DenseNet121": _from(n, "DenseNet121", box, **d3),
        "SENet154": _from(n, "SENet154", flat, spatial_dims=2, in_channels=1, num_classes=2),
        "EfficientNetBN": _from(n, "EfficientNetBN", (1, 3, 64, 64), model_name="efficientnet-b0", pretrained=False),
        "HighResNet": _from(n, "HighResNet", box, **d3),
        "FlexibleUNet": _from(
            n, "FlexibleUNet", (1, 3, 64, 64), in_channels=3, out_channels=2, backbone="efficientnet-b0"
        ),
        "AutoEncoder": _from(n, "AutoEncoder", flat, channels=(4, 8), strides=(2, 2), **d2),
        "VarAutoEncoder": _from(
            n,
            "VarAutoEncoder",
            flat,
            spatial_dims=2,
            in_shape=(1, 64, 64),
            out_channels=1,
            latent_size=8,
            channels=(4, 8),
            strides=(2, 2),
        ),
        "Regressor": _from(n, "Regressor", flat, in_shape=(1, 64, 64), out_shape=(4,), channels=(4, 8), strides=(2, 2)),
        "Discriminator": _from(n, "Discriminator", flat, in_shape=(1, 64, 64), channels=(4, 8), strides=(2, 2)),
        "ResNet 18": _from(n, "resnet18", box, n_input_channels=1, num_classes=2),
        "MILModel": _from(n, "MILModel", (1, 4, 3, 64, 64), num_classes=2, pretrained=False),
        "TorchVisionFCModel": _from(n, "TorchVisionFCModel", (1, 3, 224, 224), model_name="resnet18", num_classes=2),
        "AHNet": _from(n, "AHNet", (1, 1, 128, 128, 64), spatial_dims=3, in_channels=1, out_channels=2),
        "DynUNet 2d": _from(n, "DynUNet", flat, kernel_size=[3, 3], strides=[1, 2], upsample_kernel_size=[2], **d2),
        "MedNeXt S": _from(n, "MedNeXtS", box, spatial_dims=3, in_channels=1, out_channels=2),
        "GlobalNet": _from(
            n,
            "GlobalNet",
            (1, 1, 32, 32, 32),
            image_size=[32, 32, 32],
            spatial_dims=3,
            in_channels=1,
            num_channel_initial=4,
            depth=2,
        ),
        "AutoencoderKL": _from(
            n,
            "AutoencoderKL",
            flat,
            spatial_dims=2,
            in_channels=1,
            out_channels=1,
            channels=(32, 64),
            latent_channels=3,
            num_res_blocks=1,
            norm_num_groups=16,
            attention_levels=(False, True),
        ),
    }


def _torchaudio() -> dict[str, Callable[[], Made]]:
    m, sound = "torchaudio.models", (1, 16000)
    return {
        **{n: _from(m, n, sound) for n in ("wav2vec2_base", "hubert_base", "wavlm_base", "wav2vec2_large")},
        "DeepSpeech": _from(m, "DeepSpeech", (1, 1, 100, 80), n_feature=80),
        "Wav2Letter": _from(m, "Wav2Letter", (1, 1, 16000), num_classes=40),
        "ConvTasNet": _from(m, "ConvTasNet", (1, 1, 16000)),
        "HDemucs": _from(m, "hdemucs_low", (1, 2, 44100), sources=["a", "b"]),
        "WaveRNN": _from(
            m,
            "WaveRNN",
            [(1, 1, 60), (1, 1, 128, 5)],
            upsample_scales=[2, 3, 10],
            n_classes=512,
            hop_length=60,
            kernel_size=5,
        ),
    }


def _vit_pytorch() -> dict[str, Callable[[], Made]]:
    vit = {"image_size": 224, "num_classes": 10, "dim": 192, "depth": 2, "heads": 4, "mlp_dim": 384}
    patch = {"patch_size": 16, **vit}
    x = (1, 3, 224, 224)
    v = "vit_pytorch"
    plain = {
        "simple_vit": "SimpleViT",
        "vit": "ViT",
        "deepvit": "DeepViT",
        "parallel_vit": "ViT",
        "vit_for_small_dataset": "ViT",
        "look_vit": "LookViT",
        "simple_vit_with_patch_dropout": "SimpleViT",
        "simple_vit_with_register_tokens": "SimpleViT",
        "simple_vit_with_qk_norm": "SimpleViT",
        "simple_flash_attn_vit": "SimpleViT",
        "learnable_memory_vit": "ViT",
        "xcit": "XCiT",
        "vit_with_patch_dropout": "ViT",
        "local_vit": "LocalViT",
        "normalized_vit": "nViT",
        "simple_uvit": "SimpleUViT",
        "vit_with_patch_merger": "ViT",
        "simple_vit_with_value_residual": "SimpleViT",
        "simple_vit_with_fft": "SimpleViT",
        "vit_with_decorr": "ViT",
        "vit_nd": "ViTND",
        "jumbo_vit": "JumboViT",
        "vit_1d": "ViT",
        "simple_vit_1d": "SimpleViT",
        "vit_3d": "ViT",
        "simple_vit_3d": "SimpleViT",
    }

    def fitting(module: str, of: str, **given: Any) -> Callable[[], Made]:
        def make() -> Made:
            kind = getattr(importlib.import_module(module), of)
            takes = inspect.signature(kind.__init__).parameters
            extra = {
                "cls_depth": 1,
                "frames": 16,
                "frame_patch_size": 2,
                "seq_len": 256,
                "num_jumbo_cls": 1,
                "jumbo_ff_mult": 2,
                "freq_patch_size": 8,
            }
            options = {k: w for k, w in {**extra, **patch, **given}.items() if k in takes}
            shape = (1, 3, 256) if "seq_len" in takes else (1, 3, 16, 224, 224) if "frames" in takes else x
            return _from(module, of, shape, **options)()

        return make

    return {
        **{m: fitting(f"{v}.{m}", c) for m, c in plain.items()},
        "cait": fitting(f"{v}.cait", "CaiT"),
        "pit": _from(
            f"{v}.pit",
            "PiT",
            x,
            image_size=224,
            patch_size=14,
            num_classes=10,
            dim=64,
            depth=(1, 1),
            heads=4,
            mlp_dim=128,
        ),
        "levit": _from(
            f"{v}.levit",
            "LeViT",
            x,
            image_size=224,
            num_classes=10,
            dim=(64, 96, 128),
            depth=1,
            heads=(2, 3, 4),
            mlp_mult=2,
        ),
        "cvt": _from(f"{v}.cvt", "CvT", x, num_classes=10),
        "twins": _from(f"{v}.twins_svt", "TwinsSVT", x, num_classes=10),
        "crossformer": _from(f"{v}.crossformer", "CrossFormer", x, num_classes=10),
        "regionvit": _from(f"{v}.regionvit", "RegionViT", x, num_classes=10),
        "scalable_vit": _from(
            f"{v}.scalable_vit",
            "ScalableViT",
            (1, 3, 256, 256),
            num_classes=10,
            dim=64,
            heads=(2, 4, 8, 16),
            depth=(1, 1, 1, 1),
            ssa_dim_key=(40, 40, 40, 32),
            reduction_factor=(8, 4, 2, 1),
            window_size=(64, 32, None, None),
        ),
        "sep_vit": _from(
            f"{v}.sep_vit",
            "SepViT",
            x,
            num_classes=10,
            dim=32,
            dim_head=32,
            heads=(1, 2, 4, 8),
            depth=(1, 1, 1, 1),
            window_size=7,
        ),
        "max_vit": _from(f"{v}.max_vit", "MaxViT", x, num_classes=10, dim=32, depth=(1, 1), window_size=7),
        "nest": _from(
            f"{v}.nest",
            "NesT",
            x,
            image_size=224,
            patch_size=4,
            dim=96,
            heads=3,
            num_hierarchies=3,
            block_repeats=(1, 1, 1),
            num_classes=10,
        ),
        "mobile_vit": _from(
            f"{v}.mobile_vit",
            "MobileViT",
            (1, 3, 256, 256),
            image_size=(256, 256),
            dims=[96, 120, 144],
            channels=[16, 32, 48, 48, 64, 64, 80, 80, 96, 96, 384],
            num_classes=10,
        ),
        "cct": _from(
            f"{v}.cct",
            "CCT",
            x,
            img_size=(224, 224),
            embedding_dim=96,
            n_conv_layers=2,
            num_layers=2,
            num_heads=3,
            mlp_ratio=2.0,
            num_classes=10,
        ),
        "t2t": _from(f"{v}.t2t", "T2TViT", x, dim=128, image_size=224, depth=2, heads=4, mlp_dim=128, num_classes=10),
        "cross_vit": _from(
            f"{v}.cross_vit",
            "CrossViT",
            (1, 3, 256, 256),
            image_size=256,
            num_classes=10,
            depth=1,
            sm_dim=48,
            lg_dim=96,
        ),
        "rvt": fitting(f"{v}.rvt", "RvT"),
        "vivit": fitting(f"{v}.vivit", "ViT", spatial_depth=1, temporal_depth=1, image_patch_size=16),
        "ats_vit": fitting(f"{v}.ats_vit", "ViT", max_tokens_per_depth=(128, 64)),
    }


def _x_transformers() -> dict[str, Callable[[], Made]]:
    def decoder(**options: Any) -> Callable[[], Made]:
        def make() -> Made:
            from x_transformers import Decoder, TransformerWrapper

            from costcalc.frontends.torch.build import built

            wrapped = {"num_tokens": 1000, "max_seq_len": 128}
            made = built(
                lambda: TransformerWrapper(**wrapped, attn_layers=Decoder(dim=128, depth=2, heads=4, **options))
            )
            return made.eval(), [words(64)], {}

        return make

    switches = [
        "rotary_pos_emb",
        "alibi_pos_bias",
        "rel_pos_bias",
        "dynamic_pos_bias",
        "use_rmsnorm",
        "ff_glu",
        "ff_swish",
        "sandwich_norm",
        "macaron",
        "attn_talking_heads",
        "attn_qk_norm",
        "shift_tokens",
        "attn_flash",
        "gate_residual",
        "use_scalenorm",
        "attn_one_kv_head",
        "attn_on_attn",
        "residual_attn",
        "rotary_xpos",
        "ff_relu_squared",
        "use_simple_rmsnorm",
        "attn_gate_values",
        "sandwich_coef",
        "resi_dual",
        "ff_no_bias",
        "use_dynamic_tanh",
        "attn_value_rmsnorm",
        "attn_add_zero_kv",
        "ff_post_act_ln",
    ]
    special = {
        "attn_kv_heads": 2,
        "attn_num_mem_kv": 4,
        "attn_sparse_topk": 8,
        "num_residual_streams": 2,
        "attn_dim_head": 16,
    }
    return {
        "plain": decoder(),
        **{s: decoder(**{s: True}) for s in switches},
        **{k: decoder(**{k: v}) for k, v in special.items()},
    }


def _diffusers() -> dict[str, Callable[[], Made]]:
    d = "diffusers"
    latent, steps = (1, 4, 32, 32), (1,)
    small = {
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "block_out_channels": (64, 128),
        "layers_per_block": 1,
        "cross_attention_dim": 64,
        "norm_num_groups": 16,
    }
    return {
        "UNet2DConditionModel": _from(d, "UNet2DConditionModel", [latent, steps, (1, 77, 64)], sample_size=32, **small),
        "UNet2DConditionModel SD1": _from(
            d, "UNet2DConditionModel", [(1, 4, 64, 64), steps, (1, 77, 768)], sample_size=64, cross_attention_dim=768
        ),
        "UNet2DModel": _from(d, "UNet2DModel", [(1, 3, 64, 64), steps], sample_size=64),
        "AutoencoderKL": _from(d, "AutoencoderKL", (1, 3, 64, 64)),
        "VQModel": _from(d, "VQModel", (1, 3, 32, 32)),
        "AutoencoderTiny": _from(d, "AutoencoderTiny", (1, 3, 64, 64)),
        "UNet1DModel": _from(
            d,
            "UNet1DModel",
            [(1, 2, 1024), steps],
            sample_size=1024,
            in_channels=2,
            out_channels=2,
            extra_in_channels=64,
        ),
        "DiTTransformer2DModel": _from(
            d, "DiTTransformer2DModel", [latent, words(1).flatten(), words(1).flatten()], num_layers=2
        ),
        "PixArtTransformer2DModel": _from(
            d,
            "PixArtTransformer2DModel",
            [latent, (1, 20, 4096), words(1).flatten()],
            num_layers=2,
            sample_size=32,
            caption_channels=4096,
        ),
        "SD3Transformer2DModel": _from(
            d, "SD3Transformer2DModel", [(1, 16, 32, 32), (1, 20, 4096), (1, 2048), steps], num_layers=2, sample_size=32
        ),
        "ControlNetModel": _from(d, "ControlNetModel", [latent, steps, (1, 77, 1280), (1, 3, 256, 256)]),
        "UNet2DModel with attention": _from(
            d,
            "UNet2DModel",
            [(1, 3, 32, 32), steps],
            sample_size=32,
            block_out_channels=(64, 128),
            down_block_types=("DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        ),
        "PriorTransformer": _from(d, "PriorTransformer", [(1, 768), steps, (1, 768), (1, 77, 768)], num_layers=2),
        "Kandinsky3UNet": _from(d, "Kandinsky3UNet", [latent, steps, (1, 77, 4096), (1, 77)]),
        "T2IAdapter": _from(d, "T2IAdapter", (1, 3, 256, 256)),
        "AsymmetricAutoencoderKL": _from(d, "AsymmetricAutoencoderKL", (1, 3, 64, 64)),
        "AutoencoderDC": _from(d, "AutoencoderDC", (1, 3, 64, 64)),
        "AutoencoderKLTemporalDecoder": _from(
            d, "AutoencoderKLTemporalDecoder", [(2, 3, 32, 32), False, False, None, 2]
        ),
    }


def _kornia() -> dict[str, Callable[[], Made]]:
    f, x = "kornia.feature", (1, 1, 32, 32)
    return {
        **{n: _from(f, n, x, pretrained=False) for n in ("HardNet", "HyNet", "SOSNet", "TFeat", "HardNet8")},
        "DISK": _from(f, "DISK", (1, 3, 64, 64)),
        "KeyNet": _from(f, "KeyNet", (1, 1, 64, 64), pretrained=False),
        "OriNet": _from(f, "OriNet", x, pretrained=False),
        "SIFTDescriptor": _from(f, "SIFTDescriptor", (4, 1, 41, 41), patch_size=41),
        "VisionTransformer": _from("kornia.contrib", "VisionTransformer", (1, 3, 224, 224), depth=2),
        "MKDDescriptor": _from(f, "MKDDescriptor", (4, 1, 32, 32)),
        "BlobDoG": _from(f, "BlobDoG", (1, 1, 4, 32, 32)),
        "CornerGFTT": _from(f, "CornerGFTT", (1, 1, 32, 32)),
        "Sobel": _from("kornia.filters", "Sobel", (1, 3, 32, 32)),
        "DexiNed": _from("kornia.filters", "DexiNed", (1, 3, 64, 64), pretrained=False),
        "Canny": _from("kornia.filters", "Canny", (1, 3, 32, 32)),
        "SSIM": _from("kornia.metrics", "SSIM", [(1, 3, 32, 32), (1, 3, 32, 32)], window_size=5),
    }


def _pytorchvideo() -> dict[str, Callable[[], Made]]:
    m, film = "pytorchvideo.models", (1, 3, 8, 224, 224)
    return {
        "slow": _from(m, "create_resnet", film),
        "x3d": _from(m, "create_x3d", (1, 3, 13, 160, 160)),
        "csn": _from(m, "create_csn", film),
        "r2plus1d": _from(m, "create_r2plus1d", (1, 3, 16, 224, 224)),
        "slowfast": _from(m, "create_slowfast", [[(1, 3, 8, 224, 224), (1, 3, 32, 224, 224)]]),
        "mvit": _from(
            m, "create_multiscale_vision_transformers", (1, 3, 16, 224, 224), spatial_size=224, temporal_size=16
        ),
    }


def _mambapy() -> dict[str, Callable[[], Made]]:
    def make(pscan: bool) -> Callable[[], Made]:
        def made() -> Made:
            from mambapy.mamba import Mamba, MambaConfig

            return Mamba(MambaConfig(d_model=64, n_layers=2, pscan=pscan)).eval(), [(1, 32, 64)], {}

        return made

    return {"parallel scan": make(True), "sequential scan": make(False)}


def _efficientnet() -> dict[str, Callable[[], Made]]:
    def make(name: str) -> Callable[[], Made]:
        def made() -> Made:
            from efficientnet_pytorch import EfficientNet

            from costcalc.frontends.torch.build import built

            side = EfficientNet.get_image_size(name)
            return built(lambda: EfficientNet.from_name(name)).eval(), [(1, 3, side, side)], {}

        return made

    return {f"efficientnet-b{i}": make(f"efficientnet-b{i}") for i in range(8)}


def _pretrainedmodels() -> dict[str, Callable[[], Made]]:
    import pretrainedmodels

    def make(name: str) -> Callable[[], Made]:
        def made() -> Made:
            from costcalc.frontends.torch.build import built

            side = {
                "inceptionv3": 299,
                "inceptionv4": 299,
                "inceptionresnetv2": 299,
                "xception": 299,
                "nasnetalarge": 331,
                "pnasnet5large": 331,
                "polynet": 331,
            }.get(name, 224)
            return (
                built(lambda: pretrainedmodels.__dict__[name](num_classes=1000, pretrained=None)).eval(),
                [(1, 3, side, side)],
                {},
            )

        return made

    return {name: make(name) for name in pretrainedmodels.model_names}


COLLECTIONS: dict[str, Collection] = {
    "transformers": Collection("transformers", "transformers", _transformers_names, _transformers, _whole_transformers),
    "torchvision": Collection("torchvision", "torchvision", _torchvision_names, _torchvision),
    "timm": Collection("timm", "timm", _timm_names, _timm),
    "segmentation-models-pytorch": Collection(
        "segmentation-models-pytorch", "segmentation_models_pytorch", _smp_names, _smp
    ),
    "ultralytics": Collection("ultralytics", "ultralytics", _ultralytics_names, _ultralytics),
    "open_clip": Collection("open_clip_torch", "open_clip", _clip_names, _clip),
    "monai": Collection("monai", "monai", *_by_table(_monai)),
    "torchaudio": Collection("torchaudio", "torchaudio", *_by_table(_torchaudio)),
    "vit-pytorch": Collection("vit-pytorch", "vit_pytorch", *_by_table(_vit_pytorch)),
    "x-transformers": Collection("x-transformers", "x_transformers", *_by_table(_x_transformers)),
    "diffusers": Collection("diffusers", "diffusers", *_by_table(_diffusers)),
    "kornia": Collection("kornia", "kornia", *_by_table(_kornia)),
    "pytorchvideo": Collection("pytorchvideo", "pytorchvideo", *_by_table(_pytorchvideo)),
    "mambapy": Collection("mambapy", "mambapy", *_by_table(_mambapy)),
    "efficientnet_pytorch": Collection("efficientnet_pytorch", "efficientnet_pytorch", *_by_table(_efficientnet)),
    "pretrainedmodels": Collection("pretrainedmodels", "pretrainedmodels", *_by_table(_pretrainedmodels)),
}
COLLECTIONS |= {name: Collection(package, module, *_by_table(of)) for name, (package, module, of) in TABLES.items()}
