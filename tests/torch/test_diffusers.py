"""Pipelines of diffusers and their parts from configurations, against torch's counter on the parts alone."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torchvision_stub

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
diffusers = pytest.importorskip("diffusers")

from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from costcalc.analysis.report import report  # noqa: E402
from costcalc.cli.dispatch import outcome  # noqa: E402
from costcalc.errors import CostcalcError  # noqa: E402
from costcalc.frontends.torch import diffusers_pipelines  # noqa: E402
from costcalc.models import load  # noqa: E402

torchvision_stub.install()

CLIP = {"model_type": "clip_text_model", "hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2,
        "num_hidden_layers": 2, "vocab_size": 60, "max_position_embeddings": 77, "projection_dim": 24}  # fmt: skip
T5 = {"model_type": "t5", "d_model": 40, "d_ff": 48, "num_layers": 1, "num_heads": 2, "d_kv": 8, "vocab_size": 60}
VAE = {"_class_name": "AutoencoderKL", "block_out_channels": [16, 16], "norm_num_groups": 4, "latent_channels": 4,
       "down_block_types": ["DownEncoderBlock2D"] * 2, "up_block_types": ["UpDecoderBlock2D"] * 2,
       "sample_size": 32}  # fmt: skip
UNET = {"_class_name": "UNet2DConditionModel", "sample_size": 16, "block_out_channels": [16, 32], "norm_num_groups": 4,
        "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"], "layers_per_block": 1, "attention_head_dim": 4,
        "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"], "cross_attention_dim": 32}  # fmt: skip
PIPELINES: dict[str, tuple[str, dict[str, tuple[str, dict[str, Any]]], str, int]] = {
    # class, parts with their classes, which is the denoiser, pixels along a side of what it is run on
    "Stable Diffusion": (
        "StableDiffusionPipeline",
        {"text_encoder": ("CLIPTextModel", CLIP), "unet": ("UNet2DConditionModel", UNET),
         "vae": ("AutoencoderKL", VAE)}, "unet", 32,
    ),
    "Stable Diffusion XL": (
        "StableDiffusionXLPipeline",
        {"text_encoder": ("CLIPTextModel", CLIP),
         "text_encoder_2": ("CLIPTextModelWithProjection", {**CLIP, "hidden_size": 48}),
         "unet": ("UNet2DConditionModel",
                  {**UNET, "cross_attention_dim": 80, "addition_embed_type": "text_time",
                   "addition_time_embed_dim": 8, "projection_class_embeddings_input_dim": 24 + 6 * 8}),
         "vae": ("AutoencoderKL", VAE)}, "unet", 32,
    ),
    "Stable Diffusion 3": (
        "StableDiffusion3Pipeline",
        {"text_encoder": ("CLIPTextModelWithProjection", CLIP),
         "text_encoder_2": ("CLIPTextModelWithProjection", CLIP), "text_encoder_3": ("T5EncoderModel", T5),
         "transformer": ("SD3Transformer2DModel",
                         {"sample_size": 16, "in_channels": 4, "num_layers": 2, "attention_head_dim": 8,
                          "num_attention_heads": 4, "joint_attention_dim": 40, "caption_projection_dim": 32,
                          "pooled_projection_dim": 48, "out_channels": 4, "pos_embed_max_size": 24}),
         "vae": ("AutoencoderKL", VAE)}, "transformer", 32,
    ),
    "Flux": (
        "FluxPipeline",
        {"text_encoder": ("CLIPTextModel", CLIP), "text_encoder_2": ("T5EncoderModel", T5),
         "transformer": ("FluxTransformer2DModel",
                         {"in_channels": 16, "num_layers": 1, "num_single_layers": 1, "attention_head_dim": 16,
                          "num_attention_heads": 2, "joint_attention_dim": 40, "pooled_projection_dim": 32,
                          "guidance_embeds": True, "axes_dims_rope": [4, 4, 8]}),
         "vae": ("AutoencoderKL", VAE)}, "transformer", 256,
    ),
    "PixArt": (
        "PixArtAlphaPipeline",
        {"text_encoder": ("T5EncoderModel", T5),
         "transformer": ("PixArtTransformer2DModel",
                         {"sample_size": 16, "in_channels": 4, "out_channels": 8, "num_layers": 1,
                          "attention_head_dim": 8, "num_attention_heads": 4, "cross_attention_dim": 32,
                          "caption_channels": 40}),
         "vae": ("AutoencoderKL", VAE)}, "transformer", 32,
    ),
    "DDPM, without text and decoder": (
        "DDPMPipeline",
        {"unet": ("UNet2DModel",
                  {"sample_size": 16, "block_out_channels": [16, 32], "norm_num_groups": 4, "layers_per_block": 1,
                   "down_block_types": ["DownBlock2D", "AttnDownBlock2D"], "attention_head_dim": 4,
                   "up_block_types": ["AttnUpBlock2D", "UpBlock2D"]})}, "unet", 16,
    ),
    "DiT": (
        "DiTPipeline",
        {"transformer": ("DiTTransformer2DModel",
                         {"sample_size": 16, "in_channels": 4, "out_channels": 8, "num_layers": 1,
                          "attention_head_dim": 8, "num_attention_heads": 4, "num_embeds_ada_norm": 10}),
         "vae": ("AutoencoderKL", VAE)}, "transformer", 32,
    ),
}  # fmt: skip


def written(folder: Path, what: str) -> str:
    kind, parts, *_ = PIPELINES[what]
    index: dict[str, Any] = {"_class_name": kind, "_diffusers_version": "0.42.1", "scheduler": ["diffusers", "X"]}
    for name, (class_, config) in parts.items():
        library = "transformers" if "model_type" in config else "diffusers"
        index[name] = [library, class_]
        (folder / name).mkdir()
        whole = config if library == "transformers" else {"_class_name": class_, **config}
        (folder / name / "config.json").write_text(json.dumps(whole), encoding="utf-8")
    (folder / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    return f"hf:{folder}"


def counted_by_torch(what: str, side: int, words: int | None = None) -> tuple[int, int, int]:
    """MACs of the texts, one step and the decoder, each part built by its library and run as its pipeline does."""
    import transformers

    _, parts, denoiser, _ = PIPELINES[what]
    texts = step = decoder = 0
    for name, (class_, config) in parts.items():
        with torch.device("meta"):
            if "model_type" in config:
                made = transformers.CONFIG_MAPPING[config["model_type"]].from_dict(
                    {k: v for k, v in config.items() if k != "model_type"}
                )
                model = getattr(transformers, class_)(made).eval()
                tokens = words or {"PixArt": 120, "Stable Diffusion 3": 256}.get(what, 512)
                tokens = 77 if "CLIP" in class_ else tokens
                texts += macs(lambda m=model, n=tokens: m(torch.zeros(1, n, dtype=torch.int64)))
                continue
            model = getattr(diffusers, class_)(**{k: v for k, v in config.items() if k != "_class_name"}).eval()
            if name == "vae":
                latent = torch.empty(1, 4, side // 2, side // 2)
                decoder = macs(lambda m=model, x=latent: m.decode(x))
                continue
            assert name == denoiser
            step = macs(lambda m=model: m(**step_inputs(what, side, words)))
    return texts, step, decoder


def step_inputs(what: str, side: int, words: int | None) -> dict[str, Any]:
    """What the pipeline of diffusers hands its denoiser at each step."""
    half = side // 2
    latent, time = torch.empty(1, 4, half, half), torch.ones(1)
    match what:
        case "Stable Diffusion":
            return {"sample": latent, "timestep": time, "encoder_hidden_states": torch.empty(1, 77, 32)}
        case "Stable Diffusion XL":
            return {"sample": latent, "timestep": time,
                    "encoder_hidden_states": torch.empty(1, 77, 80),
                    "added_cond_kwargs": {"text_embeds": torch.empty(1, 24), "time_ids": torch.empty(1, 6)},
                    }  # fmt: skip
        case "Stable Diffusion 3":
            return {"hidden_states": latent, "timestep": time, "pooled_projections": torch.empty(1, 48),
                    "encoder_hidden_states": torch.empty(1, 77 + (words or 256), 40)}  # fmt: skip
        case "Flux":
            row = (half // 2) ** 2
            return {"hidden_states": torch.empty(1, row, 16), "timestep": time, "guidance": time,
                    "pooled_projections": torch.empty(1, 32),
                    "encoder_hidden_states": torch.empty(1, words or 512, 40),
                    "img_ids": torch.empty(row, 3), "txt_ids": torch.empty(words or 512, 3)}  # fmt: skip
        case "PixArt":
            return {"hidden_states": latent, "timestep": time,
                    "encoder_hidden_states": torch.empty(1, words or 120, 40),
                    "added_cond_kwargs": {"resolution": None, "aspect_ratio": None}}  # fmt: skip
        case "DiT":
            none = torch.zeros(1, dtype=torch.int64)
            return {"hidden_states": latent, "timestep": none, "class_labels": none}
    return {"sample": torch.empty(1, 3, side, side), "timestep": time}


def macs(run: Any) -> int:
    with torch.no_grad(), torch.device("meta"), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops()) // 2


@pytest.mark.parametrize("what", PIPELINES)
def test_a_pipeline_does_its_texts_once_its_steps_and_its_decoder(what: str, tmp_path: Path) -> None:
    name, (*_, side) = written(tmp_path, what), PIPELINES[what]
    texts, step, decoder = counted_by_torch(what, side)
    assert step > 0
    for steps in (1, 2, 5):
        found = report(load(name, parameters={"steps": steps}))
        assert found.uncounted == () and found.is_complete
        assert found.total.macs == texts + steps * step + decoder
    assert found.total.params == report(load(name, parameters={"steps": 1})).total.params


@pytest.mark.parametrize("what", ["Stable Diffusion", "Stable Diffusion 3", "PixArt", "DDPM, without text and decoder"])
def test_steps_that_are_copied_are_those_that_a_trace_of_all_has(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = written(tmp_path, what)
    copied = load(name, parameters={"steps": 5})
    monkeypatch.setattr(diffusers_pipelines, "TRACED", 5)
    traced = load(name, parameters={"steps": 5})
    assert run(copied) == run(traced)
    assert (copied.inputs, len(copied.outputs)) == (traced.inputs, len(traced.outputs))
    assert {*copied.modules.values()} == {*traced.modules.values()}
    mine, whole = report(copied).total, report(traced).total
    assert (mine.macs, mine.ops, mine.params, mine.traffic_bits) == (
        whole.macs, whole.ops, whole.params, whole.traffic_bits,
    )  # fmt: skip


def run(graph: Any) -> list[Any]:
    """What an inference runs, values by their places; what is made beforehand a trace of all steps makes at each."""
    nodes = [n for n in graph.nodes if not graph.settled & {*n.outputs}]
    made = [*graph.inputs, *(value for n in nodes for value in n.outputs)]
    at = {value: i for i, value in enumerate(made)}
    return [(re.sub(r"_\d+$", "", n.name), n.op, [at.get(v) for v in n.inputs], {*n.called.values()}) for n in nodes]


def test_sizes_of_a_pipeline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = written(tmp_path, "Stable Diffusion")
    larger = report(load(name, parameters={"steps": 3, "height": 64, "width": 32}))
    assert larger.inputs and load(name, parameters={"height": 64, "width": 32}).types["rest.sample"].shape == (
        1,
        4,
        32,
        16,
    )
    guided, plain = (report(load(name, parameters={"steps": 3, "guidance": g})).total.macs for g in (True, False))
    texts, step, _ = counted_by_torch("Stable Diffusion", 32)
    assert guided - plain == texts + 3 * step
    assert load(name, parameters={"tokens": 20, "steps": 1}).types["texts.text_encoder.input_ids"].shape == (1, 20)
    assert outcome(["analyze", name, "--depth", "1"]) == 0
    said = capsys.readouterr().out
    assert "totals with ≈" in said and "--set\nsteps=NUMBER" in said.replace(" steps", "\nsteps")
    assert "diffusers takes 50 steps" in said
    assert outcome(["analyze", name, "--depth", "1", "--strict"]) == 4
    capsys.readouterr()
    assert outcome(["analyze", name, "--depth", "1", "--set", "steps=2", "--strict"]) == 0


def test_a_pipeline_in_the_cache_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    kept = tmp_path / "models--org--pictures"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text("abc", encoding="utf-8")
    (kept / "snapshots" / "abc").mkdir(parents=True)
    written(kept / "snapshots" / "abc", "DDPM, without text and decoder")
    graph = load("hf:org/pictures", parameters={"steps": 2})
    assert graph.name == "pictures" and graph.sizes[-1].name == "steps"


@pytest.mark.parametrize("part", ["", "/unet"])
def test_a_pipeline_has_no_closed_form(part: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = written(tmp_path, "DDPM, without text and decoder")
    assert outcome(["formula", name + part]) == 2
    assert "whose parts are traced with numbers: it has no closed form" in capsys.readouterr().err


def test_a_part_alone(tmp_path: Path) -> None:
    name = written(tmp_path, "Stable Diffusion")
    graph = load(f"{name}/unet", parameters={"tokens": 9, "layers_per_block": 2})
    assert graph.types["encoder_hidden_states"].shape == (1, 9, 32) and graph.name == "unet"
    assert report(load(f"{name}/unet")).total.macs == counted_by_torch("Stable Diffusion", 32)[1]
    assert load(f"{name}/vae", batch=2, input=(3, 64, 48)).types["sample"].shape == (2, 3, 64, 48)
    assert report(load(f"{name}/text_encoder", parameters={"tokens": 77})).total.params > 0


@pytest.mark.parametrize(
    ("part", "parameters", "says"),
    [
        ("", {"steps": 0}, "steps is a whole number from 1"),
        ("", {"steps": 5000}, "steps is at most 1000"),
        ("", {"guidance": 7.5}, "guidance is true or false, not 7.5"),
        ("", {"height": 33, "width": 32}, "are multiples of 2"),
        ("", {"height": 32}, "height and width go together"),
        ("", {"num_layers": 3}, "a pipeline has no 'num_layers'; it has steps, guidance"),
        ("/unet", {"layers_per_blok": 3}, "did you mean 'layers_per_block'"),
        ("/vae", {"tokens": True}, "tokens is a whole number from 1"),
    ],
)
def test_what_cannot_be_is_said(part: str, parameters: dict[str, Any], says: str, tmp_path: Path) -> None:
    name = written(tmp_path, "Stable Diffusion")
    with pytest.raises(CostcalcError, match=says):
        load(name + part, parameters=parameters)


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("model_index.json", "{", "this is not JSON"),
        ("model_index.json", "[]", "an object of JSON"),
        ("model_index.json", "{}", "not the index of a pipeline"),
        ("model_index.json", '{"_class_name": "X"}', "none of its parts is called"),
        ("model_index.json", '{"_class_name": "X", "unet": ["diffusers", "U"], "transformer": ["d", "T"]}', "unet and"),
        ("unet/config.json", '{"_class_name": "os"}', "has no model 'os'"),
        ("unet/config.json", "{}", "not a configuration of diffusers"),
        ("vae/config.json", '{"_class_name": "DiffusionPipeline"}', "has no model 'DiffusionPipeline'"),
    ],
)
def test_a_broken_pipeline(file: str, text: str, says: str, tmp_path: Path) -> None:
    name = written(tmp_path, "Stable Diffusion")
    (tmp_path / file).write_text(text, encoding="utf-8")
    with pytest.raises(CostcalcError, match=says):
        load(name)
