"""Graph → Graph, each a verb: the table of transforms, and how they are applied."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TypeAlias

from costcalc.classes import NamedTuple, replace
from costcalc.errors import OptionError, UnknownName, listing, near
from costcalc.ir.graph import Graph

Given: TypeAlias = "str | Sequence[str]"
"""Transforms as a user gives them: ``"fold_norm"``, ``"fold_norm,fuse:ort"``, ``["fold_norm", "fuse:ort"]``."""


class Transform(NamedTuple):
    """One entry of the table.

    module   holds the function, which is called as the transform is: Graph → Graph
    description  what it does, in a sentence
    kinds    what may stand after a colon, as in ``fuse:ort``; the function takes it second, "" if none is given
    label    what a measurement is called in which it was applied; its name if that is ""
    last     nothing may be applied after it, since it tells of the layers as they are then
    """

    module: str
    description: str
    kinds: tuple[str, ...] = ()
    label: str = ""
    last: bool = False


TRANSFORMS: dict[str, Transform] = {
    "fold_norm": Transform(
        "costcalc.transforms.fold_norm",
        "Batch norms go into the layers before them, as deployed networks have them.",
        label="norms folded",
    ),
    "fuse": Transform(
        "costcalc.transforms.fuse",
        "Layers that one kernel does are groups: what passes between them is neither written nor read.",
        kinds=("ort", "openvino", "inductor", "cudnn", "tflite"),
        last=True,
    ),
}
"""Name → what it is. ``--apply``, configs, locks and the library know a transform by its entry here."""


def named(given: Given, fold_norm: bool = False) -> tuple[str, ...]:
    """The transforms that ``given`` names, each once, where it stands first; ``fold_norm``, the short form, before all.

    Raises ``UnknownName`` for one that is not in the table, ``OptionError`` where two of them do not go together.

    >>> named("fold_norm, fold_norm"), named((), fold_norm=True), named("")
    (('fold_norm',), ('fold_norm',), ())
    """
    texts = [given] if isinstance(given, str) else list(given)
    words = [word.strip() for text in texts for word in text.split(",")] if texts != [""] else []
    found = tuple(dict.fromkeys(["fold_norm", *words] if fold_norm else words))
    for word in found:
        _function(word)
    _in_order((), found)
    return found


def apply(graph: Graph, given: Given) -> Graph:
    """``graph`` after the transforms that ``given`` names, in that order; ``Graph.applied`` says which those were.

    One that was applied to it before is not applied again. Raises as ``named`` does.
    """
    words = [word for word in named(given) if word not in graph.applied]
    _in_order(graph.applied, words)
    for word in words:
        name, _, kind = word.partition(":")
        function = getattr(import_module(TRANSFORMS[name].module), name)
        made: Graph = function(graph, kind) if TRANSFORMS[name].kinds else function(graph)
        graph = replace(made, applied=(*graph.applied, word))
    return graph


def label(word: str) -> str:
    """What a measurement is called in which ``word`` was applied: ``norms folded``, ``fuse:ort``."""
    entry = TRANSFORMS.get(word)
    return (entry.label if entry else "") or word


def spellings() -> list[str]:
    """Every transform, with each of its kinds: ``fold_norm``, ``fuse``, ``fuse:ort``."""
    return [word for name, entry in TRANSFORMS.items() for word in (name, *(f"{name}:{kind}" for kind in entry.kinds))]


def _function(word: str) -> None:
    """Raise ``UnknownName`` if ``word`` is not a transform."""
    name, colon, kind = word.partition(":")
    entry = TRANSFORMS.get(name)
    if entry is None:
        what = f"no transform is called '{name[:40]}'" if name else "a transform has no name"
        raise UnknownName(f"{what}{near(name, TRANSFORMS)}; there are {listing(TRANSFORMS)}")
    if colon and kind not in entry.kinds:
        if not entry.kinds:
            raise UnknownName(f"{name} is one transform, without kinds: not '{word[:80]}'")
        raise UnknownName(f"{name} has no kind '{kind[:40]}'{near(kind, entry.kinds)}; it has {listing(entry.kinds)}")


def _in_order(before: Sequence[str], words: Sequence[str]) -> None:
    """Raise ``OptionError`` if one of ``words`` cannot come after what stands before it."""
    seen = {word.partition(":")[0]: word for word in before}
    for word in words:
        name = word.partition(":")[0]
        if name in seen:
            raise OptionError(f"{seen[name]} and {word} are one transform; choose one of them")
        last = next((there for other, there in seen.items() if TRANSFORMS[other].last), None)
        if last is not None:
            raise OptionError(f"{word} cannot be applied after {last}, which comes last")
        seen[name] = word
