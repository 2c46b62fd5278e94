"""Loop nests as tidy CSV: a row for each that differs, with how many layers are like it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from costcalc.analysis.workload import Loops
from costcalc.backends.escape import csv
from costcalc.backends.export import Exported

AXES = ("depth", "height", "width")
COLUMNS = (
    *("layer", "part", "kind", "count", "macs", "groups", "N", "K", "C"),
    *("O", "P", "Q", "T", "R", "S"),
    *("in_depth", "in_height", "in_width"),
    *(f"stride_{axis}" for axis in AXES),
    *(f"dilation_{axis}" for axis in AXES),
    *("pad_front", "pad_back", "pad_top", "pad_bottom", "pad_left", "pad_right"),
    *("transposed", "weight", "input_bits", "weight_bits", "output_bits"),
)
"""``count`` layers have ``macs`` each: groups · N · K · C · O · P · Q · T · R · S. K and C are those of one group. O, P
and Q are the places of the output, of a transposed convolution those of its input. ``weight`` is 0 where what stands
in for the weight is data, as in attention."""


def write(exported: Exported) -> str:
    """Lines of CSV, the first with the names of the columns."""
    return csv([COLUMNS, *(row(loops, count) for loops, count in exported.workload.distinct())])


def row(loops: Loops, count: int) -> Iterator[Any]:
    """What stands in ``COLUMNS`` of ``count`` layers that are as ``loops``: names, then whole numbers."""
    nest = loops.nest
    yield from (loops.layer, nest.part, loops.kind, count, nest.macs, nest.groups, nest.batch, nest.out, nest.into)
    for values in (nest.places, nest.taps, nest.size, nest.stride, nest.dilation):
        yield from three(values, 1)
    for pair in three(nest.padding, (0, 0)):
        yield from pair
    yield from (int(nest.transposed), int(bool(nest.weight)), *loops.bits)


def three(values: tuple[Any, ...], fill: Any) -> tuple[Any, ...]:
    """``values`` along depth, height and width; a layer of fewer axes has the last of them.

    >>> three((7, 5), 1), three((), 1)
    ((1, 7, 5), (1, 1, 1))
    """
    return (*(fill,) * (3 - len(values)), *values)
