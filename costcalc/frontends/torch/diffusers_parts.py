"""Parts of pipelines of diffusers from their configurations: denoisers and autoencoders, and what they are run on."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import torch
from torch import nn

from costcalc.classes import NamedTuple
from costcalc.errors import CostcalcError, OptionError, UnknownName, near
from costcalc.frontends.sources import Shapes, check_shape
from costcalc.frontends.torch.named_model import NamedModel, builder, by_default

CLASS = "_class_name"
SIDE = 64
"""Of a latent, where a configuration names none."""
WORDS = 77
"""Of a text, as CLIP reads it, where nobody says how long it is."""
_WIDTHS = ("caption_channels", "encoder_hid_dim", "joint_attention_dim", "cross_attention_dim", "text_embed_dim")
"""Of a text's vectors, as configurations call it; what projects them first stands first."""


class PartSizes(NamedTuple):
    """What is said of the inputs of a part.

    side    height and width of the latent, or of the image of an autoencoder; None for those of the configuration
    words   of a text
    """

    side: tuple[int, int] | None = None
    words: int | None = None

    @classmethod
    def taken(cls, given: dict[str, Any]) -> PartSizes:
        """What is said among ``given``, which is taken out. Raises ``OptionError`` for what is no size."""
        found = {name: given.pop(name, None) for name in ("tokens", "height", "width")}
        for name, value in found.items():
            whole(name, value)
        if (found["height"] is None) != (found["width"] is None):
            raise OptionError("height and width go together")
        side = None if found["height"] is None else (found["height"], found["width"])
        return cls(side, found["tokens"])


def whole(name: str, value: Any) -> None:
    """Raise ``OptionError`` unless ``value`` is None or a whole number from 1."""
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise OptionError(f"{name} is a whole number from 1, not {str(value)[:80]}")


def library() -> Any:
    """diffusers. Raises ``CostcalcError`` if it cannot be imported."""
    try:
        return import_module("diffusers")
    except Exception as error:
        text = str(error).split("\n")[0][:200]
        raise CostcalcError(
            f"a part of diffusers needs diffusers, which cannot be imported ({type(error).__name__}: {text}); "
            "pip install diffusers"
        ) from error


def part_class(name: str, path: str) -> Any:
    """The class of diffusers that a configuration at ``path`` is of."""
    diffusers = library()
    found = getattr(diffusers, name, None) if name.isidentifier() else None
    if not (isinstance(found, type) and issubclass(found, diffusers.ModelMixin)):
        raise UnknownName(f"{path}: diffusers {diffusers.__version__} has no model '{name[:80]}'")
    return found


def part(name: str, raw: Mapping[str, Any], path: str, given: dict[str, Any]) -> NamedModel:
    """The model of diffusers whose configuration is ``raw``.

    given   ``tokens``, and ``height`` and ``width`` of what it takes; values of the configuration
    """
    asked, overrides = PartSizes.taken(given), dict(given)
    model, again = built_part(name, raw, path, overrides)
    return NamedModel(model, again, by_default(model), named=PartInputs(model, asked))


def built_part(
    name: str, raw: Mapping[str, Any], path: str, overrides: Mapping[str, Any]
) -> tuple[nn.Module, Callable[[], nn.Module]]:
    """The model without weights, and what makes it with them."""
    kind = part_class(str(raw[CLASS]), path)
    known = [n for n in inspect.signature(kind.__init__).parameters if n != "self"]
    for option in overrides:
        if option not in known:
            raise UnknownName(f"the configuration of {kind.__name__} has no '{option[:80]}'{near(option, known)}")
    kept = {key: value for key, value in raw.items() if not key.startswith("_")} | dict(overrides)
    return builder(lambda: kind.from_config(kept), f"hf:{name}")


class PartInputs:
    """Inputs of a part by the names of its forward's parameters. Calling it makes them for a batch."""

    def __init__(self, model: nn.Module, asked: PartSizes) -> None:
        self.model, self.asked = model, asked
        self.parameters = inspect.signature(model.forward).parameters

    def __call__(self, batch: int, given: Shapes) -> tuple[list[Any], dict[str, Any]]:
        """None one after another; all by name."""
        first = next(iter(self.parameters))
        if given is not None and not isinstance(given, Mapping):
            given = {first: given}
        for name, shape in (given or {}).items():
            check_shape(str(name), shape)
            if name not in self.parameters:
                raise OptionError(f"the forward of {type(self.model).__name__} takes no '{str(name)[:80]}'")
        shapes = {str(name): (batch, *shape) for name, shape in (given or {}).items()}
        made = self.made(batch, shapes)
        if "return_dict" in self.parameters:
            made["return_dict"] = False
        return [], made

    def made(self, batch: int, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
        """Each input that the configuration tells, of this ``batch``; what is among ``shapes`` is of those."""
        config: Any = self.model.config
        found: dict[str, Any] = {}
        for name, parameter in self.parameters.items():
            value = shapes.get(name) or self._input(name, config, batch)
            if value is not None:
                found[name] = value
            elif parameter.default is inspect.Parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
                raise CostcalcError(
                    f"the configuration of {type(self.model).__name__} does not tell what its {name} is: "
                    f"--input {name}=…"
                )
        return found

    def _input(self, name: str, config: Any, batch: int) -> Any:
        width = _first(next((w for w in (getattr(config, n, None) for n in _WIDTHS) if w), None))
        words = self.asked.words or WORDS
        match name:
            case "sample" | "x":
                return (batch, *self.image())
            case "hidden_states":
                return (batch, *self.image())
            case "timestep":
                return torch.ones(batch)
            case "encoder_hidden_states":
                return (batch, words, width) if width else None
            case "pooled_projections":
                pooled = getattr(config, "pooled_projection_dim", None)
                return (batch, pooled) if pooled else None
            case "class_labels":
                by_class = ("num_class_embeds", "num_embeds_ada_norm")
                is_dit = type(self.model).__name__.startswith("DiT")
                labelled = getattr(config, by_class[0], None) or (is_dit and getattr(config, by_class[1], None))
                return torch.zeros(batch, dtype=torch.int64) if labelled else None
            case "guidance":
                return torch.ones(batch) if getattr(config, "guidance_embeds", False) else None
            case "img_ids":
                return torch.zeros(self.places(), 3)
            case "txt_ids":
                return torch.zeros(words, 3)
            case "added_cond_kwargs":
                return self._added(config, batch)
        return None

    def _added(self, config: Any, batch: int) -> dict[str, Any] | None:
        """What some denoisers take beside the text: of SDXL its pooled vector, and six sizes of the picture."""
        if getattr(config, "addition_embed_type", None) == "text_time":
            each: int = config.addition_time_embed_dim
            pooled = config.projection_class_embeddings_input_dim - 6 * each
            return {"text_embeds": (batch, pooled), "time_ids": (batch, 6)}
        if "Pixart" in type(self.model).__name__ or "PixArt" in type(self.model).__name__:
            return {"resolution": None, "aspect_ratio": None}
        return None

    def places(self) -> int:
        """Of a denoiser that reads its latent as a row of patches of 2 × 2, how many there are."""
        height, width = self.latent()
        return (height // 2) * (width // 2)

    def latent(self) -> tuple[int, int]:
        """Height and width of the latent."""
        config: Any = self.model.config
        size = self.asked.side or getattr(config, "sample_size", None) or (2 * SIDE if self.is_a_row else SIDE)
        return (size, size) if isinstance(size, int) else (size[0], size[-1])

    @property
    def is_a_row(self) -> bool:
        """Whether the denoiser reads its latent as a row of patches."""
        return "img_ids" in self.parameters

    def image(self) -> tuple[int, ...]:
        """Shape of what is denoised, or of the image of an autoencoder, without the batch."""
        config: Any = self.model.config
        channels: int = config.in_channels
        if self.is_a_row:
            return (self.places(), channels)
        name = type(self.model).__name__
        if "1D" in name:
            return (channels, self.latent()[0])
        if "3D" in name or "Video" in name or any(n in self.parameters for n in ("num_frames", "img_shapes")):
            first = next(iter(self.parameters))
            raise CostcalcError(f"how long the film of {name} is, no configuration tells: --input {first}=…")
        return (channels, *self.latent())


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, (list, tuple)) else value
