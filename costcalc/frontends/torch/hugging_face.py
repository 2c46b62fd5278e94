"""Models of Hugging Face's transformers from their configuration: a file, a folder, or what lies in the local cache.

Only the configuration is read, never a weight; nothing is looked up in a network, and no code that a configuration
names (``auto_map``, kernels of a hub) runs unless the user allows what comes with the model.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import nn

from costcalc.errors import CostcalcError, Location, OptionError, SpecError, UnknownName, listing, near
from costcalc.frontends.torch.configurations import configuration
from costcalc.frontends.torch.hugging_face_code import HINT, OwnCode, allowed
from costcalc.frontends.torch.hugging_face_inputs import Texts, inputs_of
from costcalc.frontends.torch.hugging_face_sizes import TextSizes
from costcalc.frontends.torch.named_model import NamedModel, builder, by_default
from costcalc.reading.reach import unquoted

CONFIG = "config.json"
INDEX = "model_index.json"
"""Of a pipeline of diffusers, beside the folders of its parts."""
MOST_BYTES = 4 << 20
_IN_A_HUB = re.compile(r"[\w.-]{1,96}(/[\w.-]{1,96})?")
_ELSEWHERE = ("attn_implementation", "experts_implementation", "quantization_config", "use_kernels", "auto_map")
"""Keys that choose how a model is run or what code is fetched: left out at every depth, as those that begin with _."""


def hugging_face(name: str, given: dict[str, Any]) -> NamedModel:
    """The model whose configuration ``name`` is, or whose folder, or which is called so in the local cache.

    given   ``tokens``, ``prompt`` and ``decoder_tokens``, which say what it is run on; ``architecture``, the class of
            transformers; ``allow_code``, whether code may run that comes with the model; and values of the
            configuration. What was taken where nothing was said is added
    """
    folder_of_parts = _pipeline(name)
    if folder_of_parts is not None:
        from costcalc.frontends.torch.diffusers_pipelines import pipeline

        return pipeline(name, folder_of_parts, given, hugging_face)
    path = config_path(name)
    raw = _read(path)
    if "model_type" not in raw:
        from costcalc.frontends.torch.diffusers_parts import part

        return part(name, raw, path, given)
    texts = Texts.taken(given)
    own = OwnCode(raw, path) if allowed(given) else None
    with offline():
        library = _transformers()
        wanted = given.pop("architecture", None)
        overrides = dict(given)
        with unquoted(path) if Path(name).exists() else nullcontext():
            config, notes = _config(library, raw, overrides, path, own)
            kind, note = _class(library, config, raw, wanted, path, own)
        notes += note

        def make() -> nn.Module:
            with offline(), _without_initialising():
                made, _ = _config(library, raw, overrides, path, own)
                model = kind._from_config(made)
            model.tie_weights()  # which is left out too where weights are not filled
            return model  # type: ignore[no-any-return]

        model, again = builder(make, f"hf:{name}")
        folder = Path(path).parent
        taken = inputs_of(model, texts, folder)
    if wanted:
        given["architecture"] = wanted
    given |= texts.said()
    sizes = TextSizes(taken, lambda lengths: inputs_of(model, lengths, folder))
    return NamedModel(model, again, by_default(model), named=taken, notes=(*notes, *taken.notes), texts=sizes)


def _pipeline(name: str) -> Path | None:
    """The folder of the pipeline that ``name`` means, by its path or in the local cache; None if it means none."""
    if Path(name).exists() or not _IN_A_HUB.fullmatch(name):
        return Path(name) if Path(name, INDEX).is_file() else None
    with offline():
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(name, INDEX)
    return Path(found).parent if isinstance(found, str) else None


def config_path(name: str) -> str:
    """Where the configuration that ``name`` means lies.

    Raises ``UnknownName`` if there is none.
    """
    if Path(name).is_dir():
        path = Path(name, CONFIG)
        if not path.is_file():
            raise UnknownName(f"the folder {name} has no {CONFIG}")
        return str(path)
    if Path(name).exists() or name.endswith(".json"):
        return name
    if not _IN_A_HUB.fullmatch(name):
        raise UnknownName(f"hf:{name[:80]} is not a configuration, a folder with one, or the name of a model")
    with offline():
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(name, CONFIG)
    if not isinstance(found, str):
        raise UnknownName(
            f"there is no file or folder {name}, and no model of that name in the local cache of Hugging Face; "
            f"costcalc fetches nothing: `hf download {name} {CONFIG}` does"
        )
    return found


def _read(path: str) -> dict[str, Any]:
    """What is in the configuration at ``path``."""
    raw = configuration(path, MOST_BYTES)
    if not isinstance(raw.get("model_type"), str):
        if isinstance(raw.get("_class_name"), str):
            return raw
        raise SpecError("this is not a configuration of transformers: it has no 'model_type'", Location(path))
    return raw


def _transformers() -> Any:
    try:
        import_module("transformers.modeling_utils")
        return import_module("transformers")
    except Exception as error:
        text = str(error).split("\n")[0][:200]
        raise CostcalcError(
            f"transformers cannot be imported ({type(error).__name__}: {text})"
            + ("; install the torchvision that fits your torch, or none" if "torchvision" in text else "")
        ) from error


def _config(
    library: Any, raw: Mapping[str, Any], overrides: Mapping[str, Any], path: str, own: OwnCode | None
) -> tuple[Any, list[str]]:
    """The configuration as transformers has it, or the model's ``own`` code, and what is to be said of it."""
    kind, notes = raw["model_type"], []
    written = own.config() if own is not None else None
    if written is None and kind not in library.CONFIG_MAPPING:
        if "auto_map" in raw and own is None:
            raise CostcalcError(
                f"{path}: '{kind[:80]}' is built by code that comes with the model (auto_map), which is not run "
                f"unasked; if you trust it, {HINT}"
            )
        known = list(library.CONFIG_MAPPING.keys())
        hint = near(kind, known) or f"; it has {listing(known, 8)}"
        raise UnknownName(f"{path}: transformers {library.__version__} has no model_type '{kind[:80]}'{hint}")
    if "auto_map" in raw and own is None:
        notes.append(f"built by transformers' own {kind}; code that comes with the model (auto_map) is not run")
    if raw.get("quantization_config"):
        notes.append("quantization_config is left out: weights are those before it")
    try:
        config = (written or library.CONFIG_MAPPING[kind]).from_dict(_plain(raw))
        for name, value in overrides.items():
            if not hasattr(config, name):
                known = [*config.to_dict(), *Texts.NAMES, "architecture"]
                raise UnknownName(f"the configuration of {kind} has no '{name[:80]}'{near(name, known)}")
            setattr(config, name, value)
    except CostcalcError:
        raise
    except Exception as error:
        text = str(error).strip().split("\n")[0][:200]
        raise CostcalcError(f"{path}: transformers refuses it: {type(error).__name__}: {text}") from error
    return config, notes


def _plain(value: Any) -> Any:
    """A configuration without what names code or weights elsewhere."""
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if not isinstance(value, dict):
        return value
    kept = {k: _plain(v) for k, v in value.items() if not k.startswith("_") and k not in _ELSEWHERE}
    return {k: False if k == "use_pretrained_backbone" else v for k, v in kept.items()}


def _class(
    library: Any, config: Any, raw: Mapping[str, Any], wanted: str | None, path: str, own: OwnCode | None
) -> tuple[Any, list[str]]:
    """The class of transformers, or of the model's ``own`` code, by which it was written, or that is asked for."""
    written = raw.get("architectures")
    names = [wanted] if wanted else [n for n in written if isinstance(n, str)] if isinstance(written, list) else []
    made = own.model(names) if own is not None else None
    if made is not None:
        return made, [f"built by {made.__name__}, code that comes with the model (auto_map)"]
    for name in names:
        found: Any = getattr(library, name, None) if name.isidentifier() else None
        is_model = isinstance(found, type) and issubclass(found, library.PreTrainedModel)
        if is_model and found.config_class is not None and isinstance(config, found.config_class):
            return found, []
    if wanted:
        raise OptionError(f"transformers has no model '{str(wanted)[:80]}' for a configuration of {config.model_type}")
    mapping = library.MODEL_MAPPING
    if type(config) not in mapping:
        raise CostcalcError(
            f"{path}: it names no architecture, and transformers has no plain model of {config.model_type}; say which: "
            "--set architecture=…"
        )
    found = mapping[type(config)]
    found = found[0] if isinstance(found, (tuple, list)) else found
    return found, [f"transformers has no {names[0][:80]}: {found.__name__} is taken"] if names else []


@contextmanager
def offline() -> Iterator[None]:
    """While open, Hugging Face's libraries ask no network."""
    before = os.environ.get("HF_HUB_OFFLINE")
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        from huggingface_hub import constants

        was, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
        loggers = [logging.getLogger(name) for name in ("transformers", "huggingface_hub")]
        levels = [logger.level for logger in loggers]
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            constants.HF_HUB_OFFLINE = was
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
    finally:
        if before is None:
            del os.environ["HF_HUB_OFFLINE"]
        else:
            os.environ["HF_HUB_OFFLINE"] = before


@contextmanager
def _without_initialising() -> Iterator[None]:
    """While open, models of transformers do not fill their weights, where this release of it can be told so."""
    for name in ("transformers.initialization", "transformers.modeling_utils"):
        try:
            manager: Callable[[], Any] = import_module(name).no_init_weights
        except (ImportError, AttributeError):
            continue
        with manager():
            yield
        return
    yield
