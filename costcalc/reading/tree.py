"""What the readers make: scalars, lists and mappings that know their places; every scalar is text still."""

from __future__ import annotations

from typing import Any, TypeAlias

from costcalc.classes import NamedTuple
from costcalc.errors import Location


class Scalar(NamedTuple):
    """A piece of text; ``quoted`` if YAML quotes stood around it."""

    text: str
    location: Location
    quoted: bool = False


class Sequence(NamedTuple):
    """A list."""

    items: list[Any]
    location: Location


class Mapping(NamedTuple):
    """Pairs in the order of the file; no key occurs twice."""

    pairs: list[tuple[Scalar, Any]]
    location: Location


Tree: TypeAlias = "Scalar | Sequence | Mapping"
