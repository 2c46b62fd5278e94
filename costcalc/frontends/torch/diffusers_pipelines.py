"""Pipelines of diffusers from their folder: texts are read once, the denoiser takes its steps, a decoder follows.

The folder's ``model_index.json`` names the parts; of each the configuration in its own folder is read. What stands
between the parts (the scheduler's arithmetic on a latent, tokenizers) is not run, and no checker of pictures.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, cat, nn

from costcalc.classes import NamedTuple, replace
from costcalc.errors import CostcalcError, Location, OptionError, SpecError
from costcalc.frontends.sources import Shapes
from costcalc.frontends.torch.configurations import configuration
from costcalc.frontends.torch.diffusers_parts import CLASS, PartInputs, PartSizes, built_part, library, whole
from costcalc.frontends.torch.named_model import NamedModel, by_default
from costcalc.ir.graph import Graph
from costcalc.ir.value_size import ValueSize
from costcalc.reading.reach import is_in_cache, reach_of, refuse_outside

INDEX = "model_index.json"
MOST_BYTES = 1 << 20
MOST_STEPS = 1000
TRACED = 2
"""Steps that are traced: the first, and one that goes on from another's result. All others are as the second."""
_DENOISERS = ("transformer", "unet")
_DECODERS = ("vae", "movq", "vqvae", "vqgan")
_LONG = 512
"""Tokens of a text for an encoder that has places for any number, where the pipeline names none."""


class _Index(NamedTuple):
    """What a pipeline is made of: its class, and by the name of a part its library and its class."""

    kind: str
    parts: Mapping[str, tuple[str, str]]


def pipeline(name: str, folder: Path, given: dict[str, Any], text_encoder: Callable[..., NamedModel]) -> NamedModel:
    """The pipeline in ``folder``.

    given          ``steps`` of the denoiser; ``guidance``, whether it runs with and without the text; ``tokens``;
                   ``height`` and ``width`` of the picture
    text_encoder   makes the model of transformers whose configuration a path names
    """
    index = _read(folder)
    steps, guidance = given.pop("steps", None), given.pop("guidance", False)
    whole("steps", steps)
    if steps is not None and steps > MOST_STEPS:
        raise OptionError(f"steps is at most {MOST_STEPS}")
    if not isinstance(guidance, bool):
        raise OptionError(f"guidance is true or false, not {str(guidance)[:80]}")
    asked = PartSizes.taken(given)
    for unknown in given:
        raise OptionError(
            f"a pipeline has no '{unknown[:80]}'; it has steps, guidance, tokens, height and width, and each of its "
            f"parts, hf:{name}/…, the values of its configuration"
        )
    defaults = _defaults(index.kind)
    path = str(folder / INDEX)
    denoiser, decoder = _one(index, _DENOISERS, path), _one(index, _DECODERS, path)
    if denoiser is None:
        raise CostcalcError(
            f"{path}: none of its parts is called {' or '.join(_DENOISERS)}; name one of them: hf:{name}/…"
        )
    scale = _scale(folder, decoder)
    side = None
    if asked.side is not None:
        if any(size % scale for size in asked.side):
            raise OptionError(f"height and width of a picture of {index.kind} are multiples of {scale}")
        side = (asked.side[0] // scale, asked.side[1] // scale)
    made: dict[str, nn.Module] = {}
    texts: dict[str, NamedModel] = {}
    lengths: list[int] = []
    for part in sorted(part for part in index.parts if part.startswith("text_encoder")):
        lengths.append(_tokens(folder / part, asked.words or defaults.get("max_sequence_length")))
        encoder = {"tokens": lengths[-1], "architecture": index.parts[part][1]}
        texts[part] = text_encoder(str(folder / part), encoder)
        made[part] = texts[part].model
    for part in filter(None, (denoiser, decoder)):
        made[part], _ = built_part(f"{name}/{part}", _config(folder / part), str(folder / part / "config.json"), {})
    model = Pipeline(made, denoiser, decoder, min(steps or 1, TRACED))
    rest = PartInputs(made[denoiser], PartSizes(side, max(lengths, default=None)))
    if "pooled_projections" in rest.parameters and not rest.is_a_row and len({*lengths}) > 1:
        rest.asked = PartSizes(side, min(lengths) + max(lengths))  # a short text and a long one, one after the other
    inputs = _Inputs(model, texts, rest, guidance)
    given |= {"steps": steps or 1}
    return NamedModel(
        model, None, by_default(model), named=inputs, notes=tuple(_notes(index, made, defaults, guidance, denoiser)),
        finished=lambda graph: _finished(graph, model, steps),
    )  # fmt: skip


class Pipeline(nn.Module):
    """The parts of a pipeline, one after another."""

    def __init__(self, parts: Mapping[str, nn.Module], denoiser: str, decoder: str | None, steps: int) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)
        self.texts = [name for name in parts if name.startswith("text_encoder")]
        self.denoiser, self.decoder, self.steps = denoiser, decoder, steps

    def forward(self, texts: Mapping[str, Any], rest: Mapping[str, Any], latent: Any = None) -> Any:
        """What is made of the latent that the last step leaves, and the latents that each step does.

        latent   for the decoder, where the denoiser's own is of another form, as a row of patches is
        """
        read = [_first(self.get_submodule(name)(**texts[name])) for name in self.texts]
        rest = dict(rest)
        if "encoder_hidden_states" in rest:
            wanted = rest["encoder_hidden_states"]
            joined = [t for t in (*read, *([cat(read, -1)] if _can_join(read) else ())) if t.shape == wanted.shape]
            rest["encoder_hidden_states"] = joined[0] if joined else wanted
        denoiser = self.get_submodule(self.denoiser)
        first = next(iter(rest))
        x, left = rest.pop(first), []
        for _ in range(self.steps):
            y = denoiser(**{first: x}, **rest)
            y = y[0] if isinstance(y, tuple) else y
            if y.shape != x.shape:  # and of each place how sure it is
                y = y[:, : x.shape[1]]
            x = y
            left.append(x)
        if self.decoder is None:
            return x, left
        decode: Any = self.get_submodule(self.decoder).decode
        return decode(x if latent is None else latent, return_dict=False)[0], left


def _first(made: Any) -> Tensor:
    """The vectors of a text's tokens among what an encoder makes."""
    found: Tensor = made.last_hidden_state if hasattr(made, "last_hidden_state") else made[0]
    return found


def _can_join(read: list[Tensor]) -> bool:
    return len(read) > 1 and all(t.shape[:-1] == read[0].shape[:-1] for t in read)


class _Inputs:
    """Inputs of a pipeline for a batch of pictures."""

    def __init__(self, model: Pipeline, texts: Mapping[str, NamedModel], denoiser: PartInputs, guidance: bool) -> None:
        self.model, self.texts, self.denoiser, self.guidance = model, texts, denoiser, guidance

    def __call__(self, batch: int, given: Shapes) -> tuple[list[Any], dict[str, Any]]:
        if given is not None:
            raise OptionError("the inputs of a pipeline are set by height, width and tokens; its parts take --input")
        many = batch * 2 if self.guidance else batch
        texts: dict[str, Any] = {}
        for name, text in self.texts.items():
            assert text.named is not None
            ahead, named = text.named(many, None)
            order = list(inspect.signature(text.model.forward).parameters)
            texts[name] = {**dict(zip(order, ahead, strict=False)), **named}
        _, rest = self.denoiser(many, None)
        return [], {"texts": texts, "rest": rest, **self._latent(batch)}

    def _latent(self, batch: int) -> dict[str, Any]:
        """What the decoder is given where it is not what the denoiser makes: of guided pictures one of each two."""
        if self.model.decoder is None:
            return {}
        decoder: Any = self.model.get_submodule(self.model.decoder)
        height, width = self.denoiser.latent()
        channels = getattr(decoder.config, "latent_channels", None) or self.denoiser.image()[0]
        same = not self.denoiser.is_a_row and not self.guidance and channels == self.denoiser.image()[0]
        return {} if same else {"latent": (batch, channels, height, width)}


def _finished(graph: Graph, model: Pipeline, steps: int | None) -> Graph:
    """``graph``, of which as many steps are traced as differ, with all of its ``steps``, which are a named size."""
    if model.steps < (steps or 1):
        graph = _with_steps(graph, steps or 1)
    layers = tuple(node.name for node in graph.nodes if node.name.startswith(f"{model.denoiser}."))
    size = ValueSize(
        "steps", steps or 1, MOST_STEPS, "steps that the denoiser takes", steps is not None, False, False, layers
    )  # fmt: skip
    read = {value for node in graph.nodes for value in node.reads}
    inputs = tuple(name for name in graph.inputs if name in read)  # a text that an encoder has read is none
    return replace(graph, sizes=(*graph.sizes, size), inputs=inputs, outputs=graph.outputs[:1])


def _with_steps(graph: Graph, steps: int) -> Graph:
    """``graph``, whose last output is what the second step makes, with as many as are wanted, each like the second.

    A step reads what the one before made, and what all read alike; what is made beforehand is made once.
    """
    first, last = graph.outputs[-2:]
    at = {value: i for i, node in enumerate(graph.nodes) for value in node.outputs}
    begin, end = at[first] + 1, at[last] + 1
    again = [node for node in graph.nodes[begin:end] if not graph.settled & {*node.outputs}]
    names, types, modules = set(graph.types) | {n.name for n in graph.nodes}, dict(graph.types), dict(graph.modules)
    nodes, before = list(graph.nodes[:end]), last
    for _ in range(TRACED, steps):
        value_of = {first: before}
        for node in again:
            name = _free(node.name, names)
            made = (name,) if len(node.outputs) == 1 else tuple(f"{name}.{i}" for i in range(len(node.outputs)))
            value_of |= dict(zip(node.outputs, made, strict=True))
            types |= {new: types[old] for old, new in zip(node.outputs, made, strict=True)}
            if node.name in modules:
                modules[name] = modules[node.name]
            nodes.append(node._replace(name=name, inputs=_renamed(node.inputs, value_of), outputs=made))
        before = value_of[last]
    after = {last: before}
    nodes += [node._replace(inputs=_renamed(node.inputs, after)) for node in graph.nodes[end:]]
    outputs = _renamed(graph.outputs, after)
    return replace(graph, nodes=tuple(nodes), types=types, modules=modules, outputs=outputs)


def _renamed(values: tuple[str, ...], new: Mapping[str, str]) -> tuple[str, ...]:
    return tuple([new.get(value, value) for value in values])


def _free(name: str, taken: set[str]) -> str:
    """The next name after ``name`` that a layer which is called again has; it is ``taken`` then."""
    base, _, number = name.rpartition("_")
    base, count = (base, int(number)) if base and number.isdigit() else (name, 0)
    while f"{base}_{count}" in taken:
        count += 1
    taken.add(f"{base}_{count}")
    return f"{base}_{count}"


def _read(folder: Path) -> _Index:
    path = str(folder / INDEX)
    raw = configuration(path, MOST_BYTES)
    kind = raw.get(CLASS)
    if not isinstance(kind, str):
        raise SpecError(f"this is not the index of a pipeline: it has no '{CLASS}'", Location(path))
    parts = {
        name: (value[0], value[1])
        for name, value in raw.items()
        if name.isidentifier()
        and isinstance(value, list)
        and len(value) == 2
        and all(isinstance(v, str) for v in value)
    }
    return _Index(kind, parts)


def _config(folder: Path) -> dict[str, Any]:
    raw = _of_part(folder)
    if not isinstance(raw.get(CLASS), str):
        path = str(folder / "config.json")
        raise SpecError(f"this is not a configuration of diffusers: it has no '{CLASS}'", Location(path))
    return raw


def _of_part(folder: Path) -> dict[str, Any]:
    """The configuration in the ``folder`` of a part, which nobody has named but the index beside it."""
    file = folder / "config.json"
    if not is_in_cache(file):
        index = str(folder.parent / INDEX)
        refuse_outside(str(file), reach_of(index), f"{folder.name}/config.json", Location(index), "an index")
    return configuration(str(file), MOST_BYTES)


def _one(index: _Index, names: tuple[str, ...], path: str) -> str | None:
    """The part that has one of these ``names``; None if there is none."""
    found = [part for part in index.parts if part.startswith(names)]
    if len(found) > 1:
        raise CostcalcError(
            f"{path}: {' and '.join(found)} share the work in a way that it does not tell; name one part"
        )
    return found[0] if found else None


def _defaults(kind: str) -> dict[str, Any]:
    """What the pipeline's own call takes where nothing is said; nothing of a class that diffusers does not have."""
    found = getattr(library(), kind, None) if kind.isidentifier() else None
    if not isinstance(found, type):
        return {}
    parameters = inspect.signature(found.__call__).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def _scale(folder: Path, decoder: str | None) -> int:
    """Pixels along a side of a picture for one of its latent."""
    if decoder is None:
        return 1
    raw = _config(folder / decoder)
    blocks = raw.get("block_out_channels") or raw.get("encoder_block_out_channels") or raw.get("ch_mult")
    return int(2 ** (len(blocks) - 1)) if isinstance(blocks, list) and blocks else 8


def _tokens(folder: Path, wanted: int | None) -> int:
    """Of a text, as an encoder reads them: as many as it has places for, or as the pipeline takes of a long one."""
    places = _of_part(folder).get("max_position_embeddings")
    long = wanted or _LONG
    return min(long, places) if isinstance(places, int) and places > 0 else long


def _notes(
    index: _Index, made: Mapping[str, nn.Module], defaults: Mapping[str, Any], guidance: bool, denoiser: str
) -> Iterator[str]:
    left = [name for name, (source, kind) in index.parts.items() if name not in made and "Checker" in kind]
    if left:
        yield f"{', '.join(left)} is not run, nor what stands between the parts (scheduler, tokenizers)"
    usual = defaults.get("num_inference_steps")
    if isinstance(usual, int):
        yield f"diffusers takes {usual} steps of {index.kind} unless told otherwise"
    config: Any = made[denoiser].config
    if not guidance and "guidance_scale" in defaults and not getattr(config, "guidance_embeds", False):
        yield f"without guidance, for which {denoiser} runs with and without the text: --set guidance=true"
