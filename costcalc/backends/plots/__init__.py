"""Pictures as matplotlib figures: rooflines, treemaps, lives in memory, receptive fields, Pareto fronts, waterfalls.

Each module draws one kind of record of ``pictures/``; matplotlib is imported with them, when a picture is asked for.
"""

from __future__ import annotations

from costcalc.errors import CostcalcError
from costcalc.reading.settings_of_libraries import MATPLOTLIB, passed_by

FORMATS = ("svg", "png", "pdf")


def need_matplotlib() -> None:
    """Import matplotlib, without settings that lie in the working directory.

    Raises ``CostcalcError`` where there is no matplotlib.
    """
    try:
        with passed_by(MATPLOTLIB):
            import matplotlib  # noqa: F401
    except ImportError:
        raise CostcalcError("pictures need matplotlib: pip install 'costcalc[plot]'") from None
