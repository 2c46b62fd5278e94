"""Which file a model's name or path means, and the specs that have been read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from costcalc import zoo
from costcalc.errors import CostcalcError, Place, SpecError, listing, near
from costcalc.frontends.spec import settings
from costcalc.frontends.spec.model import Block, Spec, parse_spec
from costcalc.frontends.spec.read import read_file
from costcalc.frontends.spec.values import Budget, Value
from costcalc.ir.op import OPS, Op, find_op
from costcalc.ops import WHERE


class Location(NamedTuple):
    """A file, what messages call it, and the variant asked for ("" for the first)."""

    path: str
    shown: str
    variant: str


def locate(model: str, base: str = "") -> Location:
    """Where ``model`` is: a path, perhaps with ``:variant``, taken from the folder ``base``; or a name of the zoo.

    Raises ``UnknownName`` if it is neither.
    """
    path, colon, variant = model.rpartition(":")
    if not (colon and path.endswith((".yaml", ".yml")) and "/" not in variant and os.sep not in variant):
        path, variant = model, ""
    if path.endswith((".yaml", ".yml")) or "/" in path or os.sep in path:
        shown = str(Path(base, path)) if base else path
        return Location(shown, shown, variant)
    if path not in zoo.models() and not base and Path(path).is_file():
        return Location(path, path, "")
    return Location(*zoo.find(path))


class Files:
    """The specs read while one model is built, each once."""

    def __init__(self) -> None:
        self._specs: dict[str, Spec] = {}
        self._callees: dict[tuple[Spec, str], type[Op] | tuple[Block, Spec] | None] = {}
        self._defaults: dict[Spec, dict[str, Value]] = {}

    def spec(self, path: str, shown: str) -> Spec:
        """The spec in the file at ``path``."""
        if path not in self._specs:
            self._specs[path] = parse_spec(read_file(path, shown), path)
        return self._specs[path]

    def callee(self, spec: Spec, name: str) -> type[Op] | tuple[Block, Spec] | None:
        """What ``name`` calls in ``spec``: a block with the file that defines it, an op, or nothing.

        A spec's own blocks come first, then those of the files that it uses, then ops, then the shared blocks.
        """
        key = spec, name
        if key not in self._callees:
            self._callees[key] = self._find(spec, name)
        return self._callees[key]

    def callable_names(self, spec: Spec) -> set[str]:
        """All that ``callee`` would find."""
        used = [self._used(spec, u.text, u.place) for u in spec.use]
        return {"model", *WHERE, *OPS, *zoo.index()["blocks"], *(name for s in (spec, *used) for name in s.blocks)}

    def defaults(self, spec: Spec, budget: Budget) -> dict[str, Value]:
        """The parameters of a file whose blocks another uses."""
        if spec not in self._defaults:
            self._defaults[spec] = settings.parameters(spec, "", {}, budget)
        return self._defaults[spec]

    def _find(self, spec: Spec, name: str) -> type[Op] | tuple[Block, Spec] | None:
        for other in (spec, *(self._used(spec, u.text, u.place) for u in spec.use)):
            if name in other.blocks:
                return other.blocks[name], other
        if name in OPS or name in WHERE:
            return find_op(name)
        shared = zoo.block_file(name)
        if shared is None:
            return None
        other = self.spec(*shared)
        return other.blocks[name], other

    def _used(self, spec: Spec, text: str, place: Place) -> Spec:
        path = str(Path(spec.file).parent / text)
        try:
            return self.spec(path, path)
        except CostcalcError as error:
            raise error.at(place) from None


def pick_variant(spec: Spec, variant: str) -> str:
    """The variant asked for, or the first of a family; "" if the spec has none."""
    if not variant:
        return next(iter(spec.variants), "")
    if variant not in spec.variants:
        has = f"it has {listing(spec.variants)}" if spec.variants else "it has none"
        raise SpecError(f"{spec.name} has no variant '{variant[:80]}'{near(variant, spec.variants)}; {has}", spec.place)
    return variant
