"""What a model of transformers is run on, as its configuration says: texts, images, sounds, and a cache."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from costcalc.errors import CostcalcError, OptionError, SpecError
from costcalc.frontends.sources import Shapes, check_shape
from costcalc.frontends.torch.hugging_face_others import Beside, others_of
from costcalc.reading.json import json_object
from costcalc.reading.reach import is_in_cache, is_inside, reach_of

MOST_TOKENS = 512
"""Tokens of a text where nobody says how many, if the model has places for as many."""
_PLACES = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "max_target_positions", "max_length")
_TEXT = ("text_config", "llm_config", "text_encoder", "decoder", "language_config", "thinker_config", "generator")
_VISION = ("vision_config", "encoder", "backbone_config", "image_encoder", "visual_config")
_WHOLE = ("input_ids", "decoder_input_ids")
_AS_LONG_AS_TEXTS = {"states", "encoder_hidden_states"}
"""Inputs beside which ``tokens`` says how long they are."""
_CACHES = ("past_key_values", "cache", "cache_params")
"""Names of what a model keeps of a text, in its forward's parameters and results."""
SECOND = 16_000
"""Samples of a second of sound."""
SIDE = 224
"""Of an image where nobody says it."""
_BANDS_FIRST = ("clvp", "glmasr_encoder")
"""Kinds of models that take a sound of any length as (bands, moments)."""
_STREAMS = ("kyutai_speech_to_text",)
"""Kinds of models that read a text and the codes of a sound side by side."""
_FILMS = ("instructblipvideo", "xclip")
"""Kinds of models whose image is a film."""
_SIDES = ("image_size", "img_size", "input_size", "max_img_size")
"""What configurations call the sides of an image."""
_PAIRS = ("superglue", "superpoint_pair", "lightglue", "efficientloftr")
"""Kinds of models that compare two images."""


class Texts:
    """How long texts are, as the user says.

    tokens           that are run
    prompt           that were run before, and are in the cache
    decoder_tokens   the same as ``tokens`` for a decoder beside an encoder
    """

    NAMES = ("tokens", "prompt", "decoder_tokens")

    def __init__(self, tokens: int | None, prompt: int | None, decoder_tokens: int | None) -> None:
        self.tokens, self.prompt, self.decoder_tokens = tokens, prompt, decoder_tokens
        self.asked = False

    @classmethod
    def taken(cls, given: dict[str, Any]) -> Texts:
        """The lengths among ``given``, which are taken out. Raises ``OptionError`` for what is none."""
        found = {name: given.pop(name, None) for name in cls.NAMES}
        for name, value in found.items():
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise OptionError(f"{name} is a whole number from 1, not {str(value)[:80]}")
        return cls(**found)

    def said(self) -> dict[str, int]:
        """Each length that matters, by name."""
        found = {name: getattr(self, name) for name in self.NAMES}
        return {name: value for name, value in found.items() if value is not None}


class Inputs:
    """Inputs of a model by the names of its forward's parameters. Calling it makes them for a batch."""

    def __init__(
        self,
        model: nn.Module,
        shapes: dict[str, tuple[int, ...]],
        texts: Texts,
        notes: list[str],
        beside: Mapping[str, Beside],
    ) -> None:
        self.model, self.shapes, self.texts, self.notes, self.beside = model, shapes, texts, notes, beside
        self._order = list(inspect.signature(model.forward).parameters)

    def __call__(self, batch: int, given: Shapes) -> tuple[list[Any], dict[str, Any]]:
        """Those that can be given one after another, and the rest by name."""
        shapes = dict(self.shapes)
        if isinstance(given, Mapping):
            for key, shape in given.items():
                check_shape(str(key), shape)
                if key not in self._order:
                    raise OptionError(f"the forward of {type(self.model).__name__} takes no '{str(key)[:80]}'")
            shapes |= {key: tuple(shape) for key, shape in given.items()}
        elif given is not None:
            main = next((n for n in shapes if n not in _WHOLE), next(iter(shapes), "input_ids"))
            shapes[main] = tuple(given)
        made = {name: self._made(name, (batch, *shape)) for name, shape in shapes.items()}
        made |= {name: make(batch, self.texts.tokens or 1) for name, make in self.beside.items() if name not in made}
        if self.texts.prompt is not None:
            made |= _cache(self.model, batch, self.texts.prompt, made)
            if "encoder_outputs" in made:  # what the encoder read is in them
                made = {name: value for name, value in made.items() if name not in self.shapes or "decoder" in name}
        ahead = 0
        for name in self._order:
            if name not in made:
                break
            ahead += 1
        ahead = ahead if list(made)[:ahead] == self._order[:ahead] else 0
        return [made.pop(name) for name in self._order[:ahead]], made

    def _made(self, name: str, shape: tuple[int, ...]) -> Any:
        if name in _WHOLE:
            return torch.full(shape, _plain_word(self.model.config), dtype=torch.int64)
        return shape


def is_text(name: str) -> bool:
    """Whether an input of this name is the words of a text."""
    return name in _WHOLE


def inputs_of(model: nn.Module, texts: Texts, folder: Path) -> Inputs:
    """What ``model`` is run on; lengths that nobody said are noted in ``texts``.

    folder   of the configuration, where that of the model's images and sounds may lie
    """
    config: Any = model.config
    taken = inspect.signature(model.forward).parameters
    notes: list[str] = []
    shapes: dict[str, tuple[int, ...]] = {}
    main = getattr(model, "main_input_name", "input_ids")
    words = getattr(_of(config, _TEXT, "vocab_size"), "vocab_size", None)
    reads = "input_ids" in taken and (main == "input_ids" or bool(words))
    mixes = any(getattr(config, f"image_token_{what}", None) is not None for what in ("id", "index"))
    encodes = bool(getattr(config, "is_encoder_decoder", False)) or "decoder_input_ids" in taken
    heard = _sound(config, "input_features", model)[-1 if _bands_first(config, model) else 0]
    beside = others_of(model, heard)
    images = [name for name in ("pixel_values", "pixel_values_videos", "pixel_values_images") if name in taken]
    images = [name for name in images if name not in beside]
    if "input_ids" in taken and reads:
        shapes["input_ids"] = ()
    needed = bool(images) and taken[images[0]].default is inspect.Parameter.empty
    if images and (needed or not (mixes and reads)):
        shapes[images[0]] = _image(model, folder, notes, frames=_frames(config, images[0]))
    elif images:
        notes.append("no image is given: text alone is run (--input pixel_values=3x336x336 gives one)")
    for sound in ("input_features", "input_values"):
        if sound in taken and not images and (not reads or sound == main or _is_a_pair(config)):
            shapes[sound] = _sound(config, sound, model)
    if encodes and "decoder_input_ids" in taken:
        shapes["decoder_input_ids"] = ()
    several = getattr(getattr(config, "decoder_config", None), "num_channels", None)
    if not any(name in shapes for name in _WHOLE) and beside.keys() & _AS_LONG_AS_TEXTS:
        texts.tokens = texts.tokens or min(MOST_TOKENS, places(model))
    else:
        _count(model, texts, shapes)
    if "decoder_input_ids" in shapes and isinstance(several, int):  # one text for each codebook of a sound
        shapes["decoder_input_ids"] = (*shapes["decoder_input_ids"], several)
    order = [name for name in taken if name in shapes]
    return Inputs(model, {name: shapes[name] for name in order}, texts, notes, beside)


def _is_a_pair(config: Any) -> bool:
    """Whether the model takes a text and a sound, each for itself, as contrastive ones do."""
    joins = any(getattr(config, f"audio_token_{what}", None) is not None for what in ("id", "index"))
    speaks = any(getattr(config, part, None) is not None for part in ("audio_config", "speech_config"))
    return speaks and getattr(config, "text_config", None) is not None and not joins


def _count(model: nn.Module, texts: Texts, shapes: dict[str, tuple[int, ...]]) -> None:
    """Put lengths to the texts among ``shapes``."""
    if not any(name in shapes for name in _WHOLE):
        if texts.tokens or texts.prompt or texts.decoder_tokens:
            raise OptionError(
                f"{type(model).__name__} reads no text: tokens, prompt and decoder_tokens say nothing of it"
            )
        return
    default = min(MOST_TOKENS, places(model))
    encoder, decoder = "input_ids" in shapes, "decoder_input_ids" in shapes
    if texts.prompt is not None and not _caches(model):
        raise OptionError(f"{type(model).__name__} keeps no cache: prompt says nothing of it")
    last = 1 if texts.prompt is not None else None
    if encoder:
        if texts.tokens is None:
            texts.tokens = (last if not decoder else None) or default
        config: Any = model.config
        heard = config.model_type in _STREAMS
        shapes["input_ids"] = (texts.tokens, config.num_codebooks + 1) if heard else (texts.tokens,)
    if decoder:
        if texts.decoder_tokens is None:
            texts.decoder_tokens = last or (texts.tokens if texts.tokens is not None else default)
        shapes["decoder_input_ids"] = (texts.decoder_tokens,)
        if not encoder:
            texts.tokens = None


def places(model: nn.Module) -> int:
    """Tokens for which the model has places."""
    config: Any = model.config
    texts = _of(config, _TEXT, *_PLACES)
    found = next((getattr(texts, n) for n in _PLACES if isinstance(getattr(texts, n, None), int)), MOST_TOKENS)
    for name, module in model.named_modules():
        padded = getattr(module, "padding_idx", None)
        if name.endswith(("position_embeddings", "embed_positions")) and isinstance(padded, int):
            rows = getattr(module, "num_embeddings", None)
            found = min(found, rows - padded - 1) if isinstance(rows, int) else found
    return max(1, found if found > 1 else MOST_TOKENS)


def _of(config: Any, parts: Sequence[str], *names: str) -> Any:
    """``config``, or the first of its ``parts`` that has one of ``names``."""
    for holder in (config, *(getattr(config, part, None) for part in parts)):
        if holder is not None and any(getattr(holder, name, None) is not None for name in names):
            return holder
    return config


def _plain_word(config: Any) -> int:
    """A token that means nothing to a model beside that it is one."""
    special = set()
    for holder in (config, *(getattr(config, part, None) for part in _TEXT)):
        for name, value in getattr(holder, "__dict__", {}).items():  # whatever a file has in a part's place
            if name.endswith(("token_id", "token_index")) and isinstance(value, int):
                special.add(value)
    return next(n for n in range(1, len(special) + 2) if n not in special)


def _image(model: nn.Module, folder: Path, notes: list[str], frames: int | None) -> tuple[int, ...]:
    """Channels and sides of an image, after the number of images where the model takes several."""
    config: Any = model.config
    holder = _of(config, _VISION, *_SIDES)
    if holder is config:
        holder = _of(getattr(config, "vision_config", None) or config, _VISION, *_SIDES)
    size = next((s for s in (getattr(holder, name, None) for name in _SIDES) if s), None)
    channels = getattr(_of(config, _VISION, "num_channels", "in_chans", "in_channels"), "num_channels", None)
    if size is None:
        size = _prepared(folder)
    scales = getattr(config, "scaled_images_ratios", None)
    if size is None and scales:  # each of the smaller ones is as large as a patch
        size = round(config.patch_size / min(scales))
    if size is None:  # of a model of timm inside, which knows it
        inside = (getattr(m, "img_size", None) for m in model.modules())
        size = next((list(sides) for sides in inside if isinstance(sides, tuple)), None)
    if size is None:
        size = SIDE
        notes.append("the configuration names no size of image: 3×224×224 is taken (--input 3x640x640 says another)")
    if isinstance(size, Mapping):
        size = (size.get("height") or size.get("shortest_edge"), size.get("width") or size.get("shortest_edge"))
    sides: tuple[Any, ...] = (size, size) if isinstance(size, int) else (*size,)[-2:]
    if frames is None and getattr(config, "model_type", "") in _PAIRS:
        frames = 2
    return (*(() if frames is None else (frames,)), channels if isinstance(channels, int) else 3, *sides)


def _frames(config: Any, name: str) -> int | None:
    """Frames of a film; None where the model takes one image."""
    frames = getattr(_of(config, _VISION, "num_frames"), "num_frames", None)
    known = frames if isinstance(frames, int) and frames > 0 else None
    if known and known == getattr(config, "num_frames", None):
        return known
    return known or 8 if name == "pixel_values_videos" or config.model_type in _FILMS else None


def _prepared(folder: Path) -> list[int] | None:
    """The sides of the image that is made for the model, as the file beside its configuration says."""
    file = folder / "preprocessor_config.json"
    if not is_in_cache(file) and not is_inside(str(file), reach_of(str(file))):
        return None
    try:
        known = json_object(str(file), 1 << 20)
    except SpecError:
        return None
    size = known.get("crop_size") or known.get("size")
    if isinstance(size, dict):
        size = [size.get(side) or size.get("shortest_edge") for side in ("height", "width")]
    sides: list[Any] = (size if isinstance(size, list) else [size, size])[-2:]
    return sides if len(sides) == 2 and all(type(side) is int and side > 0 for side in sides) else None


def _sound(config: Any, name: str, model: nn.Module) -> tuple[int, ...]:
    """Of a sound: its samples, or bands of frequencies and moments as the model takes them."""
    parts = ("audio_config", "encoder", "encoder_config", "speech_encoder")
    audio = _of(config, parts, "num_mel_bins", "input_feat_per_channel")
    bands = getattr(audio, "num_mel_bins", None) or getattr(audio, "input_feat_per_channel", None)
    moments = getattr(audio, "max_source_positions", None)
    if name == "input_features":
        if bands and moments and _bands_first(config, model):
            return (bands, 2 * moments)
        if config.model_type == "clap":
            return (1, 1001, 64)
        width = getattr(config, "feature_projection_input_dim", None) or bands or 80
        width *= getattr(config, "num_stacked_frames", None) or 1
        width = _told_by_a_layer(config, model) or width
        return (width, 100) if config.model_type in _BANDS_FIRST else (100, width)
    if bands:
        return (getattr(config, "max_length", 1024), bands)
    channels = getattr(config, "audio_channels", None)
    if channels is None and any(hasattr(config, name) for name in ("downsampling_ratios", "acoustic_model_config")):
        channels = 1  # a codec, which takes sounds as its convolutions do
    return (channels, SECOND) if isinstance(channels, int) else (SECOND,)


def _told_by_a_layer(config: Any, model: nn.Module) -> int | None:
    """How wide a sound is where the configuration does not tell, but the first layer that reads it does."""
    channels = getattr(config, "subsampling_conv_channels", None)
    for name, module in model.named_modules():
        wide: Any = getattr(module, "in_features", None)
        if name.endswith("input_proj_linear") and isinstance(channels, (list, tuple)):
            return int(wide // channels[-1] * 4)  # after two convolutions that halve it
        if name.rpartition(".")[2] == "input_linear" and isinstance(wide, int):
            return wide
    return None


def _bands_first(config: Any, model: nn.Module) -> bool:
    """Whether a sound is (bands, moments), of a given length, as Whisper's encoder takes it."""
    audio = _of(config, ("audio_config", "encoder"), "num_mel_bins")
    bands, moments = getattr(audio, "num_mel_bins", None), getattr(audio, "max_source_positions", None)
    conv = next((m for m in model.modules() if isinstance(m, nn.Conv1d)), None)
    kinds = f"{getattr(audio, 'model_type', '')} {config.model_type}"
    named = "whisper" in kinds or "audioflamingo" in kinds or any(map(_is_as_whispers, model.modules()))
    return bool(bands and moments and conv is not None and conv.in_channels == bands and named)


def _is_as_whispers(module: nn.Module) -> bool:
    """Whether ``module`` is an encoder of sounds as Whisper's: two convolutions along time, then places."""
    convs = all(isinstance(getattr(module, name, None), nn.Conv1d) for name in ("conv1", "conv2"))
    return convs and hasattr(module, "embed_positions")


def _cache(model: nn.Module, batch: int, prompt: int, made: Mapping[str, Any]) -> dict[str, Any]:
    """What a model keeps of a ``prompt``: it is run on that, without values.

    Raises ``CostcalcError`` where it keeps nothing.
    """
    from costcalc.frontends.torch.tracer import trace_module

    text = "decoder_input_ids" if "decoder_input_ids" in made else "input_ids"
    before = {**made, text: torch.full((batch, prompt), _plain_word(model.config), dtype=torch.int64)}
    results: list[Any] = []
    hook = model.register_forward_hook(lambda module, given, result: results.append(result))
    try:
        trace_module(model, (), {**before, "use_cache": True}, name=f"the prompt of {type(model).__name__}")
    finally:
        hook.remove()
    name, *_ = _caches(model)
    kept = next((k for k in (getattr(results[-1], other, None) for other in _CACHES) if k is not None), None)
    if kept is None:
        raise CostcalcError(f"{type(model).__name__} keeps no cache of a prompt")
    encoded = getattr(results[-1], "encoder_last_hidden_state", None)
    takes = inspect.signature(model.forward).parameters
    more = {"encoder_outputs": (encoded,)} if encoded is not None and "encoder_outputs" in takes else {}
    return {name: kept, **more}


def _caches(model: nn.Module) -> list[str]:
    """By which names the forward of ``model`` takes what it has kept."""
    takes = inspect.signature(model.forward).parameters
    return [name for name in _CACHES if name in takes]
