"""Loop nests as Parquet: the rows of ``loops``, with types. Numbers are exact: 64-bit integers, or decimals beyond."""

from __future__ import annotations

import io
from typing import Any

from costcalc import __version__
from costcalc.backends.escape import utf8
from costcalc.backends.export import Exported
from costcalc.backends.export.loops import COLUMNS, row
from costcalc.errors import CostcalcError

NAMES = ("layer", "part", "kind")
FLAGS = ("transposed", "weight")
MOST = (1 << 63) - 1
MOST_DIGITS = 76
"""Of the widest decimal that there is."""


def write(exported: Exported) -> bytes:
    """A file of one table. Raises ``CostcalcError`` where there is no pyarrow, or a number has more digits."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as parquet
    except ImportError:
        raise CostcalcError("Parquet needs pyarrow: pip install 'costcalc[parquet]'") from None
    rows = [tuple(row(loops, count)) for loops, count in exported.workload.distinct()]
    columns = [_column(pa, name, [row[at] for row in rows]) for at, name in enumerate(COLUMNS)]
    about = {"model": utf8(exported.graph.name), "costcalc": __version__}
    table = pa.table(dict(zip(COLUMNS, columns, strict=True))).replace_schema_metadata(about)
    file = io.BytesIO()
    parquet.write_table(table, file)
    return file.getvalue()


def _column(pa: Any, name: str, values: list[Any]) -> Any:
    if name in NAMES:
        return pa.array([utf8(value) for value in values], pa.string())
    if name in FLAGS:
        return pa.array([bool(value) for value in values], pa.bool_())
    if max(values, default=0) <= MOST:
        return pa.array(values, pa.int64())
    from decimal import Decimal

    digits = len(str(max(values)))
    if digits > MOST_DIGITS:
        raise CostcalcError(f"{name} has {digits} digits, and Parquet has numbers of at most {MOST_DIGITS}")
    of = pa.decimal128 if digits <= 38 else pa.decimal256
    return pa.array([Decimal(value) for value in values], of(digits))
