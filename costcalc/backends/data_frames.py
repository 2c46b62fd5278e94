"""Rows as data frames, exact: a column of whole numbers keeps them even where 64 bits do not hold their sum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from costcalc.errors import CostcalcError

Columns = Mapping[str, Sequence[Any]]
"""Head of a column → its values."""


def pandas(columns: Columns) -> Any:
    """A ``pandas.DataFrame``. Whole numbers are ``int64`` where their sum is one too, else Python's own (``object``).

    Raises ``CostcalcError`` where pandas is not installed.
    """
    frames = _package("pandas")

    def series(values: Sequence[Any]) -> Any:
        kind = _kind(values)
        whole = kind == "whole" and _fits(values, 63)
        return frames.Series(list(values), dtype="int64" if whole else "float64" if kind == "real" else "object")

    return frames.DataFrame({name: series(values) for name, values in columns.items()})


def polars(columns: Columns) -> Any:
    """A ``polars.DataFrame``. Whole numbers are ``Int64`` where their sum is one too, else ``Int128``, else text.

    Raises ``CostcalcError`` where polars is not installed.
    """
    frames = _package("polars")

    def series(name: str, values: Sequence[Any]) -> Any:
        kind = _kind(values)
        if kind == "whole":
            width = next((width for width in (64, 128) if _fits(values, width - 1)), None)
            if width:
                return frames.Series(name, list(values), dtype=getattr(frames, f"Int{width}"))
        if kind == "real":
            return frames.Series(name, values, dtype=frames.Float64)
        return frames.Series(name, [None if v is None else str(v) for v in values], dtype=frames.String)

    return frames.DataFrame([series(name, values) for name, values in columns.items()])


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise CostcalcError(f"{name} is not installed: pip install {name}") from None


def _kind(values: Sequence[Any]) -> str:
    kinds = {type(value) for value in values}
    if kinds == {int}:
        return "whole"
    return "real" if kinds and kinds <= {float, int, type(None)} and kinds != {type(None)} else "text"


def _fits(values: Sequence[int], bits: int) -> bool:
    return sum(abs(value) for value in values) < 1 << bits
