"""Lists as a table or for programs: what costcalc ships, models, machines or transforms; what a file of weights has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from costcalc.amounts import units
from costcalc.backends.escape import visible
from costcalc.backends.grid import GAP, grid
from costcalc.backends.paint import Paint
from costcalc.classes import NamedTuple

SCHEMA = 1
"""The version of the JSON of a catalogue."""

ROOMY = 24
"""Characters of a column that can be cut, before a spare one beside it is shown."""


class CatalogueColumn(NamedTuple):
    """One column.

    value   of an entry, None where it has none
    shows   that value as text
    left    set flush left
    least   it may be cut to so many characters; 0: never
    spare   left out where a terminal has no room for it
    """

    name: str
    title: str
    value: Callable[[dict[str, Any]], Any]
    shows: Callable[[Any], str] = str
    left: bool = False
    least: int = 0
    spare: bool = False


def _of(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda entry: entry.get(name)


def _peak(*types: str) -> Callable[[dict[str, Any]], Any]:
    """The best rate of a machine over element types."""
    return lambda entry: max((int(entry["macs"][t]) for t in types if t in entry["macs"]), default=None)


def _each(key: str) -> Callable[[dict[str, Any]], str]:
    """Names and numbers: ``float32 4.6, int8 0.23``."""
    return lambda entry: ", ".join(f"{name} {value:g}" for name, value in entry[key].items())


def _memory(amount: int) -> str:
    return units.size(8 * amount) if amount % 1000**2 else f"{units.count(amount)}B"


MODELS = (
    CatalogueColumn("name", "model", _of("name"), left=True),
    CatalogueColumn("family", "family", _of("family"), left=True, spare=True),
    CatalogueColumn("task", "task", _of("task"), left=True, least=8),
    CatalogueColumn("input", "input", lambda entry: "×".join(map(str, next(iter(entry["inputs"].values()))[1:]))),
    CatalogueColumn("macs", "MACs", _of("macs"), units.count),
    CatalogueColumn("params", "params", _of("params"), units.count),
    CatalogueColumn("year", "year", _of("year"), spare=True),
    CatalogueColumn("source", "source", _of("source"), left=True, least=ROOMY, spare=True),
    CatalogueColumn("title", "title", _of("title"), left=True, least=ROOMY, spare=True),
)
MACHINES = (
    CatalogueColumn("name", "machine", _of("name"), left=True),
    CatalogueColumn("float32", "float32", _peak("float32"), units.count),
    CatalogueColumn("bits16", "16 bits", _peak("float16", "bfloat16"), units.count),
    CatalogueColumn("int8", "int8", _peak("int8"), units.count),
    CatalogueColumn("bandwidth", "bandwidth", _of("bandwidth"), units.rate),
    CatalogueColumn("memory", "memory", _of("memory"), _memory, spare=True),
    CatalogueColumn("title", "title", _of("title"), left=True, least=12),
    CatalogueColumn("source", "source", _of("source"), left=True, least=ROOMY, spare=True),
)
ENERGY = (
    CatalogueColumn("name", "table", _of("name"), left=True),
    CatalogueColumn("macs", "pJ a MAC", _each("macs"), left=True),
    CatalogueColumn("memory", "pJ a byte", _each("memory"), left=True),
    CatalogueColumn("title", "title", _of("title"), left=True, least=12),
    CatalogueColumn("source", "source", _of("source"), left=True, least=ROOMY, spare=True),
)
TRANSFORMS = (
    CatalogueColumn("name", "transform", _of("name"), left=True),
    CatalogueColumn("kinds", "kinds", lambda entry: ", ".join(entry["kinds"]) or None, left=True, least=8),
    CatalogueColumn("says", "what it does", _of("says"), left=True, least=ROOMY),
)
TENSORS = (
    CatalogueColumn("name", "tensor", _of("name"), left=True, least=ROOMY),
    CatalogueColumn("type", "type", _of("type"), left=True),
    CatalogueColumn("shape", "shape", lambda entry: "×".join(map(str, entry["shape"])) or "scalar"),
    CatalogueColumn("elements", "elements", _of("elements"), units.count),
    CatalogueColumn("bits", "bits", _of("bits"), "{:.4g}".format),
    CatalogueColumn("bytes", "bytes", _of("bytes"), lambda size: units.size(8 * size)),
    CatalogueColumn("tied", "tied to", _of("tied"), left=True, least=ROOMY, spare=True),
)
TYPES = (
    CatalogueColumn("name", "type", _of("name"), left=True),
    CatalogueColumn("tensors", "tensors", _of("tensors")),
    CatalogueColumn("elements", "elements", _of("elements"), units.count),
    CatalogueColumn("bits", "bits", _of("bits"), "{:.4g}".format),
    CatalogueColumn("bytes", "bytes", _of("bytes"), lambda size: units.size(8 * size)),
)
COLUMNS = {
    "models": MODELS,
    "machines": MACHINES,
    "energy": ENERGY,
    "transforms": TRANSFORMS,
    "tensors": TENSORS,
    "types": TYPES,
}


def table(kind: str, entries: Sequence[dict[str, Any]], width: int, paint: Paint) -> str:
    """As many of the columns as ``width`` has room for, the narrowest spare ones first."""
    cells = {c.title: [c.title, *(visible(_cell(c, entry)) for entry in entries)] for c in COLUMNS[kind]}
    wide = {c.name: min(max(map(len, cells[c.title])), ROOMY if c.least else width) for c in COLUMNS[kind]}
    room = width - sum(wide[c.name] + len(GAP) for c in COLUMNS[kind] if not c.spare) + len(GAP)
    left_out = set()
    for column in sorted((c for c in COLUMNS[kind] if c.spare), key=lambda c: wide[c.name]):
        if wide[column.name] + len(GAP) > room:
            left_out.add(column.name)
        else:
            room -= wide[column.name] + len(GAP)
    columns = [column for column in COLUMNS[kind] if column.name not in left_out]
    least = {c.title: c.least for c in columns if c.least}
    head, *rows = grid({c.title: cells[c.title] for c in columns}, width, [c.title for c in columns if c.left], least)
    lines = [paint(GAP.join(head).rstrip(), "bold")]
    lines += [GAP.join([row[0], *(paint(cell, "dim") for cell in row[1:])]).rstrip() for row in rows]
    return "\n".join(lines) + "\n"


def markdown(kind: str, entries: Sequence[dict[str, Any]]) -> str:
    """All columns, for a page."""
    from costcalc.backends.markdown import table as rows

    columns = COLUMNS[kind]
    sides = "".join("<" if c.left else ">" for c in columns)
    return "\n".join(rows([c.title for c in columns], sides, [[_cell(c, e) for c in columns] for e in entries])) + "\n"


def csv(kind: str, entries: Sequence[dict[str, Any]]) -> str:
    """All columns, for a spreadsheet: exact numbers, rates a second, bytes."""
    from costcalc.backends import escape

    return escape.csv(
        [[c.name for c in COLUMNS[kind]], *([c.value(entry) for c in COLUMNS[kind]] for entry in entries)]
    )


def json(kind: str, entries: Sequence[dict[str, Any]]) -> str:
    """All that is known of each, a line each."""
    from costcalc.backends import escape

    lines = ",\n  ".join(map(escape.json, entries))
    return f'{{\n "schema": {SCHEMA},\n "{kind}": [\n  {lines}\n ]\n}}\n'


def _cell(column: CatalogueColumn, entry: dict[str, Any]) -> str:
    value = column.value(entry)
    return "–" if value is None else column.shows(value)
