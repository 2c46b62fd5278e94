"""Models of torchvision and timm, by name."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from costcalc.errors import CostcalcError, UnknownName, listing, near
from costcalc.frontends.torch.named_model import NamedModel, builder, by_default

if TYPE_CHECKING:
    from torch import nn


def torchvision(name: str, kwargs: dict[str, Any]) -> NamedModel:
    """A model of torchvision, run on the size of image that its published weights were made for."""
    models = library_of("torchvision").models
    _known(name, models.list_models(), "torchvision")
    options = {"weights": None, **kwargs}
    if _takes(models.get_model_builder(name), "weights_backbone"):
        options.setdefault("weights_backbone", None)
    build = builder(lambda: _quietly(models.get_model, name, **options), f"torchvision:{name}")
    detects = name in models.list_models(models.detection)
    flows = name in models.list_models(models.optical_flow)
    films = name in models.list_models(models.video)

    def inputs(batch: int, shape: tuple[int, ...] | None) -> Sequence[Any]:
        size = shape or _torchvision_size(models, name, model)
        if detects:
            return [[size] * batch]  # a list of images
        if films and len(size) == 3:
            size = (size[0], 16, *size[1:])
        return [(batch, *size)] * (2 if flows else 1)

    model, again = build
    return NamedModel(model, again, inputs)


def _torchvision_size(models: Any, name: str, model: nn.Module) -> tuple[int, ...]:
    """Channels and sizes that the weights published with a model were made for."""
    side = getattr(model, "image_size", None)
    if isinstance(side, int):
        return (3, side, side)
    if name in models.list_models(models.segmentation):
        return (3, 520, 520)
    if name in models.list_models(models.optical_flow):
        return (3, 512, 512)
    if name in models.list_models(models.detection):
        side = {"ssd300_vgg16": 300, "ssdlite320_mobilenet_v3_large": 320}.get(name, 800)
        return (3, side, side)
    first = next(iter(models.get_model_weights(name)), None)
    crop = first.transforms.keywords["crop_size"] if first is not None else 224
    sides = (crop, crop) if isinstance(crop, int) else tuple(crop)
    return (3, *sides)


def timm(name: str, kwargs: dict[str, Any]) -> NamedModel:
    """A model of timm, run on the size of image that its configuration names; a tag after a dot chooses one."""
    library = library_of("timm")
    _known(name.partition(".")[0], library.list_models(), "timm")
    model, again = builder(lambda: _quietly(library.create_model, name, **kwargs), f"timm:{name}")
    return NamedModel(model, again, by_default(model))


def library_of(name: str, module: str = "") -> Any:
    """The library ``name``, or its ``module``.

    Raises ``CostcalcError`` where it is not there, or does not fit the torch that is.
    """
    if importlib.util.find_spec(name) is None:
        raise CostcalcError(f"{name} is not installed; pip install {name}")
    try:
        return importlib.import_module(module or name)
    except Exception as error:
        text = str(error).split("\n")[0][:200]
        misfit = "torchvision" if "torchvision::" in text else name  # timm imports torchvision
        raise CostcalcError(
            f"{name} cannot be imported ({type(error).__name__}: {text}); install the {misfit} that fits your torch"
        ) from error


def _quietly(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call ``function`` without its warnings, of weights that are not initialised as they will be one day."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **kwargs)


def _known(name: str, names: Iterable[str], library: str) -> None:
    known = list(names)
    if name not in known:
        hint = near(name, known) or f"; it has {listing(known, 8)}"
        raise UnknownName(f"{library} has no model '{name[:80]}'{hint}")


def _takes(function: Callable[..., Any], parameter: str) -> bool:
    import inspect

    return parameter in inspect.signature(function).parameters
