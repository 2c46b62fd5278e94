"""What models of transformers take beside texts, images and sounds, as their configurations say."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

REGIONS = 36
"""Parts of an image that a detector found, as LXMERT's authors take them."""
QUERIES = 32
"""Of a module that asks another one, where nobody says it."""
PIXELS = 224
"""A side of an image that is given as patches, where nobody says it."""
SEEN = 256
"""Patches of an image, where nobody says how many."""
Beside = Callable[[int, int], Any]
"""Makes an input of a batch and so many tokens: a shape, or a tensor where its values matter."""


def others_of(model: nn.Module, moments: int) -> dict[str, Beside]:
    """Inputs beside texts, images and sounds that ``model`` cannot do without, by name.

    moments   of a sound that it takes
    """
    config: Any = model.config
    taken = inspect.signature(model.forward).parameters
    found: dict[str, Beside] = {}
    if "bbox" in taken:
        looked_up = any(name.endswith("x_position_embeddings") for name, _ in model.named_modules())
        found["bbox"] = lambda b, n: torch.zeros(b, n, 4, dtype=torch.int64) if looked_up else (b, n, 4)
    grid = next((name for name in ("grid_thw", "image_grid_thw") if _is_needed(name, taken)), None)
    if grid:
        found |= _patches(config, next(iter(taken)), grid)
        if _is_needed("merge_sizes", taken):
            found["merge_sizes"] = lambda b, n: torch.ones(b, dtype=torch.int64)
    if _is_needed("query_embeds", taken):
        queries = getattr(config, "num_query_tokens", None) or QUERIES
        found["query_embeds"] = lambda b, n: (b, queries, config.hidden_size)
        if "encoder_hidden_states" in taken and getattr(config, "encoder_hidden_size", None):
            found["encoder_hidden_states"] = lambda b, n: (b, n, config.encoder_hidden_size)
    if {"states", "actions", "returns_to_go"} <= taken.keys() and hasattr(config, "state_dim"):
        found["states"] = lambda b, n: (b, n, config.state_dim)
        found["actions"] = lambda b, n: (b, n, config.act_dim)
        found["rewards"] = found["returns_to_go"] = lambda b, n: (b, n, 1)
        found["timesteps"] = lambda b, n: torch.zeros(b, n, dtype=torch.int64)
        found["attention_mask"] = lambda b, n: torch.ones(b, n, dtype=torch.int64)
    found |= _seen_parts(config, taken)
    found |= _series(config, taken)
    if "input_features_mask" in taken:
        found["input_features_mask"] = lambda b, n: torch.ones(b, moments, dtype=torch.int64)
    return found


def _seen_parts(config: Any, taken: Mapping[str, Any]) -> dict[str, Beside]:
    """What models that read a text beside an image, or a sound by itself, take in a form of their own."""
    found: dict[str, Beside] = {}
    queries: Any = getattr(config, "latent_query_num", None)
    if "qformer_input_ids" in taken:
        found["qformer_input_ids"] = lambda b, n: torch.ones(b, n, dtype=torch.int64)
    if {"visual_feats", "visual_pos"} <= taken.keys():
        found["visual_feats"] = lambda b, n: (b, REGIONS, config.visual_feat_dim)
        found["visual_pos"] = lambda b, n: (b, REGIONS, config.visual_pos_dim)
    if "image_embeds_position_mask" in taken and isinstance(queries, int):
        found["image_embeds_position_mask"] = lambda b, n: (torch.arange(n) < queries).to(torch.int64).expand(b, n)
    if "spatial_shapes" in taken:  # an image as its patches, which may be fewer than there are places
        seen = getattr(config, "vision_config", None) or config
        side = int(seen.num_patches**0.5)
        patches, deep = side * side, seen.num_channels * seen.patch_size**2
        found["pixel_values"] = lambda b, n: (b, patches, deep)
        found["pixel_attention_mask"] = lambda b, n: torch.ones(b, patches, dtype=torch.int64)
        found["spatial_shapes"] = lambda b, n: torch.tensor([[side, side]] * b)
    if _is_needed("pixel_position_ids", taken):
        pooled = getattr(config, "pooling_kernel_size", None) or 1
        across = int(SEEN**0.5) // pooled * pooled
        places = torch.cartesian_prod(torch.arange(across), torch.arange(across))
        found["pixel_values"] = lambda b, n: (b, across**2, 3 * config.patch_size**2)
        found["pixel_position_ids"] = lambda b, n: places.expand(b, -1, -1)
    if {"audio_mel", "audio_mel_mask"} <= taken.keys():
        found["audio_mel"] = lambda b, n: (b, 100, config.input_feat_size)
        found["audio_mel_mask"] = lambda b, n: torch.zeros(b, 100, dtype=torch.bool)
    return found


def _series(config: Any, taken: Mapping[str, Any]) -> dict[str, Beside]:
    """Numbers along time, as models of series take them; and rows of numbers that stand for anything."""
    found: dict[str, Beside] = {}
    length, channels = getattr(config, "context_length", None), getattr(config, "num_input_channels", None)
    if _is_needed("past_values", taken) and isinstance(length, int):
        row = (length,) if channels is None else (length, channels)
        found["past_values"] = lambda b, n: (b, *row)
        if _is_needed("past_values_padding", taken):
            found["past_values_padding"] = lambda b, n: torch.zeros(b, length, dtype=torch.int64)
        if _is_needed("freq", taken):
            found["freq"] = lambda b, n: torch.zeros(b, 1, dtype=torch.int64)
    width = getattr(config, "d_model", None)
    if _is_needed("inputs", taken) and isinstance(width, int):
        found["inputs"] = lambda b, n: (b, SEEN, width)
    wide = getattr(config, "hidden_size", None)
    if _is_needed("inputs_embeds", taken) and "input_ids" not in taken and isinstance(wide, int):
        found["inputs_embeds"] = lambda b, n: (b, n, wide)
    said = getattr(config, "task_seq_len", None)
    if _is_needed("task_inputs", taken) and isinstance(said, int):
        found["task_inputs"] = lambda b, n: torch.ones(b, said, dtype=torch.int64)
    return found


def _is_needed(name: str, taken: Mapping[str, Any]) -> bool:
    """Whether the forward does not run without an input of this name."""
    return name in taken and taken[name].default is inspect.Parameter.empty


def _patches(config: Any, name: str, grid: str) -> dict[str, Beside]:
    """An image as the patches that it is cut into, one after another, and how many there are along each axis."""
    patch: int = getattr(config, "patch_size", None) or 14
    merged: int = getattr(config, "spatial_merge_size", None) or 1
    deep: int = getattr(config, "temporal_patch_size", None) or 1
    named = (getattr(config, name, None) for name in ("in_channels", "in_chans", "num_channels"))
    colours: int = next((c for c in named if c), 3)
    image = getattr(config, "image_size", None)
    side = max(1, (image if isinstance(image, int) else PIXELS) // (patch * merged)) * merged
    return {
        name: lambda b, n: (b * side * side, colours * deep * patch * patch),
        grid: lambda b, n: torch.tensor([[1, side, side]] * b),
    }
