"""A workload of AccelForge 1: an Einsum for each nest of loops that differs, with how many layers are like it.

AccelForge fills a file in as a template before it reads it, and evaluates what stands in it: names are identifiers.
Its mapper takes a loop's name for the same loop in all Einsums, and refuses it with two bounds: each has the number of
its Einsum.
"""

from __future__ import annotations

from collections.abc import Iterator

from costcalc.analysis.workload import Loops
from costcalc.backends.escape import identifier
from costcalc.backends.export import Exported
from costcalc.backends.export.loops import three
from costcalc.ir.dims import Dim

AXES = (("o", "t", "D"), ("p", "r", "H"), ("q", "s", "W"))
"""Places, taps, and the rank of what they run along: depth, height, width."""


def write(exported: Exported) -> str:
    """YAML: its Einsums, each of tensors of its own."""
    einsums = (_einsum(number, *found) for number, found in enumerate(exported.workload.distinct()))
    return "workload:\n  einsums:\n" + "".join("".join(lines) for lines in einsums)


def _einsum(number: int, loops: Loops, count: int) -> Iterator[str]:
    nest = loops.nest
    axes = AXES[3 - len(nest.places) :]
    group = ["g"] if nest.groups != 1 else []
    places = [place for place, _, _ in axes]
    taps = [tap for _, tap, _ in axes]
    plain = [f"{place.upper()}: {place}{number}" for place in places]
    steps = zip(axes, _along(nest.stride, axes), _along(nest.dilation, axes), strict=True)
    slid = [
        f"{rank}: {_times(f'{place}{number}', step)} + {_times(f'{tap}{number}', apart)}"
        for (place, tap, rank), step, apart in steps
    ]
    of_input, of_output = (plain, slid) if nest.transposed else (slid, plain)
    projections = {
        "I": [*_ranks(["n", *group, "c"], number), *of_input],
        "W": _ranks([*group, "c", "k", *taps], number),
        "O": [*_ranks(["n", *group, "k"], number), *of_output],
    }
    sizes: dict[str, Dim] = {"g": nest.groups} if group else {}
    sizes |= {"n": nest.batch, "k": nest.out, "c": nest.into}
    sizes |= dict(zip(places, nest.places, strict=True)) | dict(zip(taps, nest.taps, strict=True))
    yield f"  - name: {identifier(f'L{number}_{loops.name}')}\n    n_instances: {count}\n"
    yield "    tensor_accesses:\n"
    for (tensor, projection), bits in zip(projections.items(), loops.bits, strict=True):
        yield f"    - {{name: {tensor}{number}, projection: {{{', '.join(projection)}}}, bits_per_value: {bits}"
        yield ", output: true}\n" if tensor == "O" else "}\n"
    bounds = ", ".join(f"0 <= {name}{number} < {size}" for name, size in sizes.items())
    yield f"    iteration_space_shape: [{bounds}]\n"
    yield f"    renames: {{input: I{number}, weight: W{number}, output: O{number}}}\n"


def _ranks(names: list[str], number: int) -> list[str]:
    return [f"{name.upper()}: {name}{number}" for name in names]


def _along(values: tuple[Dim, ...], axes: tuple[tuple[str, str, str], ...]) -> tuple[Dim, ...]:
    return three(values, 1)[3 - len(axes) :]


def _times(name: str, factor: Dim) -> str:
    return name if factor == 1 else f"{factor} * {name}"
