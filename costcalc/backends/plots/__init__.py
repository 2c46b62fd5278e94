"""Pictures as matplotlib figures: rooflines, treemaps, lives in memory, receptive fields, Pareto fronts, waterfalls.

Each module draws one kind of record of ``pictures/``; matplotlib is imported with them, when a picture is asked for.
"""

from __future__ import annotations

from costcalc.errors import CostcalcError

FORMATS = ("svg", "png", "pdf")


def need_matplotlib() -> None:
    """Raise ``CostcalcError`` where there is no matplotlib."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise CostcalcError("pictures need matplotlib: pip install 'costcalc[plot]'") from None
