"""CSV that a stranger may have made, as rows that know their lines: read within bounds, nothing in it is a formula."""

from __future__ import annotations

import csv
import io

from costcalc.classes import NamedTuple
from costcalc.errors import Location, SpecError
from costcalc.reading.files import contents

MOST_BYTES = 2**20
MOST_ROWS = 10_000
MOST_COLUMNS = 100
MOST_CHARACTERS = 200
"""Of a cell."""


class CsvRow(NamedTuple):
    """The cells of a row, without the spaces around them, and where it begins."""

    cells: tuple[str, ...]
    location: Location


class Sheet(NamedTuple):
    """A file of CSV: the heads of its columns, none twice, and its rows, each with as many cells."""

    file: str
    heads: tuple[str, ...]
    rows: tuple[CsvRow, ...]


def read_csv(path: str, kind: str) -> Sheet:
    """The sheet in the file at ``path``, which should be ``kind``. Raises ``SpecError`` with the line of a mistake."""
    data = contents(path, kind=kind, form="a CSV file", most=MOST_BYTES)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SpecError("this is not UTF-8 text; save the table as CSV in UTF-8", Location(path, line)) from None
    rows = _rows(text, path)
    if not rows:
        raise SpecError("the file has no rows; the first one has the heads of the columns", Location(path))
    heads, *body = rows
    if len(heads.cells) > MOST_COLUMNS:
        raise SpecError(f"there are {len(heads.cells):,} columns; at most {MOST_COLUMNS} are read", heads.location)
    if len(heads.cells) == 1 and ";" in heads.cells[0]:
        raise SpecError("columns are separated by commas, not by semicolons", heads.location)
    for head in heads.cells:
        if not head:
            raise SpecError("a column has no head; each has one in the first row", heads.location)
        if heads.cells.count(head) > 1:
            raise SpecError(f"two columns are called '{head[:40]}'", heads.location)
    for row in body:
        if len(row.cells) != len(heads.cells):
            many = f"{len(row.cells)} cell{'s' * (len(row.cells) != 1)}"
            raise SpecError(f"this row has {many}, and there are {len(heads.cells)} columns", row.location)
    return Sheet(path, heads.cells, tuple(body))


def _rows(text: str, path: str) -> list[CsvRow]:
    found: list[CsvRow] = []
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    begins = 1
    try:
        for cells in reader:
            location, begins = Location(path, begins), reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if len(found) > MOST_ROWS:
                raise SpecError(f"there are more rows than {MOST_ROWS:,}; at most so many are read", location)
            if any(len(cell) > MOST_CHARACTERS for cell in cells):
                raise SpecError(f"a cell has more than {MOST_CHARACTERS} characters", location)
            found.append(CsvRow(tuple(cell.strip() for cell in cells), location))
    except csv.Error:
        why = "this is not a CSV: a quote is not closed, or stands within a cell; a quote in quotes is doubled"
        raise SpecError(why, Location(path, begins)) from None
    return found
