"""``[tool.costcalc]`` of a TOML file as the tree that a YAML config gives; places are found by a search for the key."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from typing import Any

from costcalc.errors import CostcalcError, Location, SpecError
from costcalc.reading.files import contents
from costcalc.reading.tree import Mapping, Scalar, Sequence, Tree

SECTION = "tool.costcalc"
MAX_BITS = 1024
MOST_PARTS = 100
PART = re.compile(r"""\.[ \t]*(?:[\w-]+|"[^"\n]*"|'[^'\n]*')""")
"""What follows in a key after its first part: ``.b`` of ``a.b``."""


def read_toml(path: str) -> Tree:
    """The tree below ``[tool.costcalc]``. Raises ``SpecError`` if there is none, or if the file is not TOML."""
    data = contents(path, kind="a config", form="a TOML file")
    parser = _parser()
    try:
        text = data.decode("utf-8")
        _shallow(text, path)
        # Numbers stay text, so that 4.2 is exactly 4.2.
        whole = parser.loads(text, parse_float=str)
    except UnicodeDecodeError:
        raise SpecError("this is not UTF-8 text", Location(path)) from None
    except RecursionError:
        raise SpecError("tables are nested too deeply", Location(path)) from None
    except parser.TOMLDecodeError as error:
        raise SpecError(f"this is not valid TOML: {error}", Location(path)) from None
    except ValueError:  # Python's own limit
        raise SpecError("a number has thousands of digits", Location(path)) from None
    table: Any = whole
    for key in SECTION.split("."):
        table = table.get(key) if isinstance(table, dict) else None
    if table is None:
        raise SpecError(f"there is no [{SECTION}]", Location(path))
    return _tree(table, _Lines(path, text), Location(path, _Lines(path, text).line_of(SECTION)))


def _shallow(text: str, path: str) -> None:
    """Raise ``SpecError`` for a key of very many parts: parsers take time and memory with their square."""
    parts = end = 0
    for part in PART.finditer(text):
        parts = parts + 1 if not text[end : part.start()].strip(" \t") else 1
        end = part.end()
        if parts > MOST_PARTS:
            line = text.count("\n", 0, end) + 1
            raise SpecError(f"a key has more than {MOST_PARTS} parts", Location(path, line))


def _parser() -> Any:
    name = "tomllib" if sys.version_info >= (3, 11) else "tomli"
    try:
        return import_module(name)
    except ImportError:
        raise CostcalcError(
            "reading pyproject.toml needs Python 3.11 or the package tomli; a costcalc.yaml needs neither"
        ) from None


class _Lines:
    """Looks up the line of a key: the first below the section that sets it and was not given out yet."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self._lines = text.splitlines()
        self._start = max(self.line_of(SECTION), 1)
        self._given: dict[str, int] = {}

    def line_of(self, key: str) -> int:
        return next((i for i, line in enumerate(self._lines, 1) if key in line and line.lstrip().startswith("[")), 0)

    def location(self, key: str) -> Location:
        setting = re.compile(rf"(^|[\s{{,.\[\"']){re.escape(key)}[\"']?\s*[=\].]")
        for i in range(self._given.get(key, self._start), len(self._lines) + 1):
            if setting.search(self._lines[i - 1]):
                self._given[key] = i + 1
                return Location(self.path, i)
        return Location(self.path, self._start)


def _tree(value: Any, lines: _Lines, location: Location) -> Tree:
    if isinstance(value, dict):
        pairs = []
        for key, inner in value.items():
            at = lines.location(key)
            pairs.append((Scalar(key, at, True), _tree(inner, lines, at)))
        return Mapping(pairs, location)
    if isinstance(value, list):
        return Sequence([_tree(v, lines, location) for v in value], location)
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise SpecError(f"a number has more than {MAX_BITS:,} bits", location)
    return Scalar(str(value), location)
