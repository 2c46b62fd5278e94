"""Problems of Timeloop (format 0.4): a document for each nest that differs. Dimensions are as in its own examples."""

from __future__ import annotations

from collections.abc import Iterator

from costcalc.analysis.workload import Loops
from costcalc.backends.escape import json
from costcalc.backends.export import Exported
from costcalc.backends.export.loops import three
from costcalc.ir.dims import Dim

AXES = (("O", "T", "D"), ("P", "R", "H"), ("Q", "S", "W"))
"""Places, taps, and what the input has of each: depth, height, width."""


def write(exported: Exported) -> str:
    """YAML, whose documents are parted by ``---``."""
    return "---\n".join("".join(_problem(*found)) for found in exported.workload.distinct())


def _problem(loops: Loops, count: int) -> Iterator[str]:
    nest = loops.nest
    axes = AXES if len(nest.places) == 3 else AXES[1:]
    group = ["G"] if nest.groups != 1 else []
    slid = [f"[[{tap}, {name}dilation], [{place}, {name}stride]]" for place, tap, name in axes]
    plain = [f"[[{place}]]" for place, _, _ in axes]
    of_input, of_output = (plain, slid) if nest.transposed else (slid, plain)
    weights = [f"[[{d}]]" for d in (*group, "C", "M", *(tap for _, tap, _ in axes))]
    inputs = [f"[[{d}]]" for d in ("N", *group, "C")] + of_input
    outputs = [f"[[{d}]]" for d in ("N", *group, "M")] + of_output
    dimensions = [*group, "C", "M", "N", *(place for place, _, _ in axes), *(tap for _, tap, _ in axes)]
    yield f"# {json(loops.name)}: {loops.kind}, {nest.macs} MACs; layers like it: {count}\n"
    yield "problem:\n  version: 0.4\n  shape:\n"
    yield f"    name: {json(loops.name)}\n"
    yield f"    dimensions: [{', '.join(dimensions)}]\n"
    yield "    coefficients:\n"
    for _, _, name in axes:
        yield f"    - {{name: {name}stride, default: 1}}\n    - {{name: {name}dilation, default: 1}}\n"
    yield "    data_spaces:\n"
    for what, projection in (("Weights", weights), ("Inputs", inputs), ("Outputs", outputs)):
        yield f"    - name: {what}\n      projection: [{', '.join(projection)}]\n"
    yield "      read_write: true\n"
    yield "  instance:\n"
    coefficients = [f"{axis}{what}" for _, _, axis in axes for what in ("stride", "dilation")]
    sizes = _sizes(loops)
    yield from (f"    {name}: {sizes[name]}\n" for name in (*dimensions, *coefficients))


def _sizes(loops: Loops) -> dict[str, Dim]:
    nest = loops.nest
    found: dict[str, Dim] = {"G": nest.groups, "C": nest.into, "M": nest.out, "N": nest.batch}
    along = zip(
        AXES, three(nest.places, 1), three(nest.taps, 1), three(nest.stride, 1), three(nest.dilation, 1), strict=True
    )
    for (place, tap, name), places, taps, stride, dilation in along:
        found |= {place: places, tap: taps, f"{name}stride": stride, f"{name}dilation": dilation}
    return found
