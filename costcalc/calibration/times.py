"""Measured times as a table: a model, its batch and image, milliseconds; and the figures of each model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256
from math import isfinite
from pathlib import Path
from typing import Any

from costcalc.analysis.features import Features
from costcalc.calibration.fit import FitRow
from costcalc.calibration.layouts import of_run
from costcalc.classes import NamedTuple
from costcalc.errors import CodeRefused, CostcalcError, Location, SpecError, listing
from costcalc.frontends.sources import is_path, source_of, split
from costcalc.progress import each
from costcalc.reading.csv import read_csv
from costcalc.reading.reach import reach_of, refuse_outside
from costcalc.transforms import apply

HEADS: Mapping[str, tuple[str, ...]] = {
    "model": ("model", "network"),
    "milliseconds": ("milliseconds", "ms", "min_ms", "infer_step_time"),
    "batch": ("batch", "infer_batch_size"),
    "input": ("input", "image", "infer_img_size"),
}
"""Column → what its head may be: our name first, then those of tables that people have."""
LONGEST = 1e9
MOST_BATCH = 2**20
MOST_LAYERS = 40_000
"""Of all models of a table, each counted once for each input and batch: 4 seconds of work."""


class Measurement(NamedTuple):
    """One line: ``input`` is as ``--input`` has it, or the size of a square image; "" for the model's own."""

    model: str
    seconds: float
    batch: int
    input: str
    location: Location


def read_times(path: str) -> tuple[list[Measurement], str]:
    """The measurements in the CSV file at ``path``, and its hash. Raises ``SpecError`` with the line of a mistake."""
    sheet = read_csv(path, "a table of times")
    at: dict[str, int] = {}
    for column, names in HEADS.items():
        found = [i for i, head in enumerate(sheet.heads) if head.lower() in names]
        if len(found) > 1:
            raise SpecError(f"two columns say {column}: {listing(sheet.heads[i] for i in found)}", Location(path, 1))
        if found:
            at[column] = found[0]
    for needed in ("model", "milliseconds"):
        if needed not in at:
            has = listing(head[:40] for head in sheet.heads[:20])
            raise SpecError(f"no column is called {needed}; the file has {has}", Location(path, 1))
    rows = []
    for row in sheet.rows:

        def cell(column: str, row: Any = row) -> str:
            return row.cells[at[column]] if column in at else ""

        batch = cell("batch") or "1"
        if not batch.isdecimal() or not 1 <= int(batch) <= MOST_BATCH:
            raise SpecError(f"batch must be a whole number from 1 to {MOST_BATCH:,}, not '{batch[:40]}'", row.location)
        if not cell("model"):
            raise SpecError("this row names no model", row.location)
        rows.append(
            Measurement(
                cell("model"), _seconds(cell("milliseconds"), row.location), int(batch), cell("input"), row.location
            )
        )
    return rows, "sha256:" + sha256(Path(path).read_bytes()).hexdigest()


def rows_of(
    measured: Sequence[Measurement],
    processor: str,
    transform: Sequence[str],
    bits: int | None,
    *,
    allow_code: bool = False,
    prefix: str = "",
) -> list[FitRow]:
    """The features of each measurement: its model loaded once for each input and batch.

    prefix   what stands before the names in the file, as ``timm:``

    Raises ``CodeRefused`` for a model that is Python code unless ``allow_code``, and an error with the line of the file
    for one that cannot be loaded.
    """
    from costcalc.models import load

    known: dict[tuple[str, str, int], Features] = {}
    kinds = {(prefix + one.model, one.input, one.batch) for one in measured}
    many = Counter(name for name, _, _ in kinds)
    found, layers = [], dict.fromkeys(many, 0)
    for one in each("counting", measured, lambda one: prefix + one.model):
        name = _named(prefix + one.model, one.location)
        key = name, one.input, one.batch
        if key not in known:
            try:
                if not allow_code and source_of(name).runs_code:
                    raise CodeRefused(
                        f"{one.model[:80]} is Python code, which would run: if you trust it, add --allow-code"
                    )
                graph = load(name, batch=one.batch, input=_input(one.input))
                layers[prefix + one.model] = many[prefix + one.model] * len(graph.nodes)  # this one, and those to come
                if sum(layers.values()) > MOST_LAYERS and not allow_code:
                    raise CostcalcError(
                        f"the models of this table have more than {MOST_LAYERS:,} layers, counted for "
                        "each input and batch; divide the table, or, if you trust it, add --allow-code"
                    )
                joined = apply(graph, tuple(transform)) if transform else graph
                known[key] = of_run(graph, joined, processor, bits)
            except CostcalcError as error:
                raise type(error)(f"{one.location}: {error.message}") from None
        found.append(FitRow(name, known[key], one.seconds))
    return found


def _named(name: str, location: Location) -> str:
    """``name``; the path of a file beside the table, which may not lead out of its repository or folder."""
    if not is_path(name):
        return name
    path = str(Path(location.file).parent / name)
    refuse_outside(split(path)[0], reach_of(location.file), name, location, "a table of times")
    return path


def _input(text: str) -> tuple[int, ...] | None:
    if not text:
        return None
    sizes = text.lower().replace("×", "x").split("x")
    if not all(size.isdecimal() for size in sizes):
        raise CostcalcError(f"input must be sizes, such as 3x224x224, or one of a square image, not '{text[:40]}'")
    numbers = tuple(map(int, sizes))
    return (3, numbers[0], numbers[0]) if len(numbers) == 1 else numbers


def _seconds(text: str, location: Location) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not (isfinite(value) and 0 < value <= LONGEST):
        raise SpecError(
            f"milliseconds must be a number above 0 and at most {LONGEST:,.0f}, not '{text[:40]}'", location
        )
    return value / 1e3
