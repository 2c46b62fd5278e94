"""Which file a model's name or path means, and the specs that have been read."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from costcalc.classes import NamedTuple
from costcalc.errors import CostcalcError, Location, SpecError, listing, near
from costcalc.frontends.sources import SOURCES, SPEC
from costcalc.frontends.spec import settings
from costcalc.frontends.spec.model import BlockDefinition, Spec, parse_spec
from costcalc.frontends.spec.values import Value, WorkLimit
from costcalc.ir.op import OPS, Op, find_op
from costcalc.ops import ALIASES, WHERE
from costcalc.reading.files import contents
from costcalc.reading.reach import is_inside, refuse_outside
from costcalc.reading.yaml import read, read_file

YAML = SOURCES[SPEC].suffixes


class SpecPath(NamedTuple):
    """A file, what messages call it, and the variant asked for ("" for the first)."""

    path: str
    shown: str
    variant: str


class Shelf(Protocol):
    """What ships with costcalc; ``costcalc.zoo`` is it."""

    def find(self, name: str) -> tuple[str, str, str]:
        """Path, shown name and variant of the model ``name``; ``UnknownName`` if there is none."""

    def models(self) -> Collection[str]:
        """The names of the models."""

    def blocks(self) -> Mapping[str, str]:
        """The names of the shared blocks, each with its file."""

    def path(self, file: str) -> str:
        """Where the shipped ``file`` is."""


@lru_cache(maxsize=256)
def _shipped(path: str, shown: str, changed: int) -> Spec:
    """The spec in a shipped file, which many models share, as it was when it was last ``changed``."""
    return parse_spec(read_file(path, shown), path)


@lru_cache(maxsize=4)
def _parsed(data: bytes, path: str, shown: str) -> Spec:
    """The spec that a file had just now: of a family, one variant after another is asked for."""
    return parse_spec(read(data, shown or path), path)


class Files:
    """The specs read while one model is built, each once.

    reach   the folder in which lies what specs name; None lets them name any file
    """

    def __init__(self, shelf: Shelf, reach: str | None = None) -> None:
        self._shelf, self._reach = shelf, reach
        self._specs: dict[str, Spec] = {}
        self._callees: dict[tuple[str, str], type[Op] | tuple[BlockDefinition, Spec] | None] = {}
        self._defaults: dict[str, dict[str, Value]] = {}

    def locate(self, model: str, base: str = "") -> SpecPath:
        """Where ``model`` is: a path, perhaps with ``:variant``, seen from the folder ``base``; or a shipped name.

        Raises ``UnknownName`` if it is neither, ``SpecError`` if a spec in ``base`` may not name it.
        """
        path, variant = split_variant(model)
        if path.endswith(YAML) or (not base and ("/" in path or os.sep in path)):
            shown = str(Path(base, path)) if base else path
            if base:
                self._admit(shown, path, None)
            return SpecPath(shown, shown, variant)
        if path not in self._shelf.models() and not base and Path(path).is_file():
            return SpecPath(path, path, "")
        return SpecPath(*self._shelf.find(path))

    def spec(self, path: str, shown: str) -> Spec:
        """The spec in the file at ``path``."""
        if path not in self._specs:
            file = Path(path)
            if path != shown and file.is_file():  # it ships, and is called by its name there
                self._specs[path] = _shipped(path, shown, file.stat().st_mtime_ns)
            else:
                self._specs[path] = _parsed(contents(path, shown), path, shown)
        return self._specs[path]

    def callee(self, spec: Spec, name: str) -> type[Op] | tuple[BlockDefinition, Spec] | None:
        """What ``name`` calls in ``spec``: a block with the file that defines it, an op, or nothing.

        A spec's own blocks come first, then those of the files that it uses, then ops, then the shared blocks.
        """
        key = spec.file, name
        if key not in self._callees:
            self._callees[key] = self._find(spec, name)
        return self._callees[key]

    def callable_names(self, spec: Spec) -> set[str]:
        """All that ``callee`` would find."""
        used = [self._used(spec, u.text, u.location) for u in spec.use]
        return {
            "model",
            *WHERE,
            *ALIASES,
            *OPS,
            *self._shelf.blocks(),
            *(name for s in (spec, *used) for name in s.blocks),
        }

    def defaults(self, spec: Spec, budget: WorkLimit) -> dict[str, Value]:
        """The parameters of a file whose blocks another uses."""
        if spec.file not in self._defaults:
            self._defaults[spec.file] = settings.parameters(spec, "", {}, budget)
        return self._defaults[spec.file]

    def _find(self, spec: Spec, name: str) -> type[Op] | tuple[BlockDefinition, Spec] | None:
        for other in (spec, *(self._used(spec, u.text, u.location) for u in spec.use)):
            if name in other.blocks:
                return other.blocks[name], other
        if name in OPS or name in WHERE or name in ALIASES:
            return find_op(name)
        file = self._shelf.blocks().get(name)
        if file is None:
            return None
        other = self.spec(self._shelf.path(file), file)
        return (other.blocks[name], other) if name in other.blocks else None

    def _admit(self, path: str, named: str, location: Location | None) -> None:
        """Refuse ``path``, which a spec called ``named``, if it lies neither in reach nor among what ships."""
        if self._reach is not None and not is_inside(path, self._shelf.path("")):
            refuse_outside(path, self._reach, named, location, "a spec")

    def _used(self, spec: Spec, text: str, location: Location) -> Spec:
        # A spec of a stranger could otherwise have the beginning of any file quoted in a message.
        if not text.endswith(YAML):
            raise SpecError(f"'{text[:80]}' is not a YAML file; 'use' takes files that end in .yaml", location)
        path = str(Path(spec.file).parent / text)
        self._admit(path, text, location)
        try:
            return self.spec(path, path)
        except CostcalcError as error:
            raise moved(error, location) from None


def split_variant(model: str) -> tuple[str, str]:
    """The path or name in ``model``, which a spec may name, and the variant after it, "" if there is none."""
    return SOURCES[SPEC].split(model)


def pick_variant(spec: Spec, variant: str) -> str:
    """The variant asked for, or the first of a family; "" if the spec has none."""
    if not variant:
        return next(iter(spec.variants), "")
    if variant not in spec.variants:
        has = f"it has {listing(spec.variants)}" if spec.variants else "it has none"
        raise SpecError(f"{spec.name} has no variant '{variant[:80]}'{near(variant, spec.variants)}; {has}")
    return variant


def moved(error: CostcalcError, location: Location) -> CostcalcError:
    """``error``, blamed on ``location``, where a file calls for the one that it was found in."""
    if error.location is not None and error.location.file != location.file:
        error.message += f" ({error.location.short})"
        error.location = location
    return error.at(location)
