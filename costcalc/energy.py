"""Tables of energies: picojoules of a MAC and of a byte, read from ``configs/energy`` or from a user's own file."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from costcalc.analysis.energy import EnergyTable
from costcalc.errors import SpecError, UnknownName, listing, near

if TYPE_CHECKING:
    from costcalc.reading.tree import Tree

KEYS = ("title", "macs", "memory", "source")
NEEDED = ("title", "source")
TYPES = ("float64", "float32", "float16", "float8", "float4", "int64", "int32", "int16", "int8", "int4", "int2")
ENDINGS = (".yaml", ".yml")
MOST = 1e9
"""Picojoules."""


def energy_tables() -> dict[str, str]:
    """The shipped tables: name → file."""
    from costcalc.zoo import directory

    return {path.stem: str(path) for path in sorted((directory() / "energy").glob("*.yaml"))}


def with_level(given: str) -> tuple[str, str]:
    """What ``given`` names, and the level of memory after its colon, if it has one.

    >>> with_level("horowitz_45nm:dram"), with_level("mine.yaml"), with_level("C:/mine.yaml:sram")
    (('horowitz_45nm', 'dram'), ('mine.yaml', ''), ('C:/mine.yaml', 'sram'))
    """
    name, colon, level = given.rpartition(":")
    return (name, level) if colon and not given.endswith(ENDINGS) else (given, "")


def load_energy_table(given: str) -> EnergyTable:
    """The table called ``given``, or that of the YAML file; with ``:level`` after it, traffic is charged to that level.

    Raises ``UnknownName`` with the nearest name, or ``SpecError`` with the place in the file.
    """
    known = energy_tables()
    name, level = with_level(given)
    if name in known:
        return _read(known[name], name, f"{name}.yaml", level)
    if name.endswith(ENDINGS):
        from costcalc.reading.reach import unquoted

        with unquoted(name):
            return _read(name, Path(name).stem, name, level)
    raise UnknownName(
        f"no energy table called '{name[:80]}'{near(name, known)}; there are {listing(known)}, or give a YAML file"
    )


def _read(path: str, name: str, shown: str, level: str) -> EnergyTable:
    from costcalc.reading.keys import by_key
    from costcalc.reading.tree import Scalar
    from costcalc.reading.yaml import read_file

    tree = read_file(path, shown, "an energy table")
    values = by_key(tree, "an energy table", KEYS)
    for needed in NEEDED:
        if needed not in values:
            _fail(f"the energy table has no {needed}; it needs title, source, and macs or memory", tree)
    if "macs" not in values and "memory" not in values:
        _fail("an energy table has macs or memory, in picojoules, or both", tree)

    def text(key: str) -> str:
        value = values[key]
        return value.text if isinstance(value, Scalar) else _fail(f"{key} must be one value", value)

    macs = _energies(values["macs"], "macs", TYPES) if "macs" in values else {}
    memory = _energies(values["memory"], "memory", ()) if "memory" in values else {}
    if level and level not in memory:
        has = f"it has {listing(memory)}" if memory else "it has none"
        raise UnknownName(f"{name[:80]} has no memory '{level[:80]}'{near(level, memory)}; {has}")
    return EnergyTable(name, text("title"), macs, memory, level or next(iter(memory), ""), text("source"))


def _energies(tree: Tree, what: str, names: tuple[str, ...]) -> dict[str, float]:
    """Name → picojoules; of ``names``, if there are any."""
    from costcalc.reading.tree import Mapping, Scalar

    if not isinstance(tree, Mapping) or not tree.pairs:
        _fail(f"{what} must give picojoules for each, such as {{{names[1] if names else 'dram'}: 4.6}}", tree)
    found = {}
    for key, value in tree.pairs:
        if names and key.text not in names:
            raise SpecError(
                f"no element type '{key.text[:80]}'{near(key.text, names)}; there are {listing(names)}", key.location
            )
        try:
            number = float(value.text if isinstance(value, Scalar) else "")
        except ValueError:
            number = -1.0
        if not (isfinite(number) and 0 < number <= MOST):
            _fail(f"{key.text[:80]} must be picojoules, more than 0 and at most {MOST:g}", value)
        found[key.text] = number
    return found


def _fail(sentence: str, at: Tree) -> NoReturn:
    raise SpecError(sentence, at.location)
