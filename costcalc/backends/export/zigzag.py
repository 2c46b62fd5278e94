"""A workload of ZigZag 3 and Stream: a layer for each nest, with the layers that it follows."""

from __future__ import annotations

from collections.abc import Iterator

from costcalc.analysis.workload import Loops
from costcalc.backends.escape import json
from costcalc.backends.export import Exported

AXES = "zyx"
ACCUMULATED = 2
"""Bits of a partial sum, by those of an input: what ZigZag's own reader of ONNX takes."""


def write(exported: Exported) -> str:
    """YAML: a list of layers. What a layer multiplies by itself has its own number as its source."""
    return "".join("".join(_layer(number, loops)) for number, loops in enumerate(exported.loops))


def _layer(number: int, loops: Loops) -> Iterator[str]:
    nest = loops.nest
    out, axes = nest.out, AXES[3 - len(nest.places) :]
    if nest.transposed:  # the places are those of the input, and each makes all taps of all channels
        for taps in nest.taps:
            out = out * taps
    slid = not nest.transposed and bool(axes)
    places = "".join(f"[o{a}]" for a in axes)
    taps_of = "".join(f"[f{a}]" for a in axes) if slid else ""
    seen = "".join(f"[i{a}]" for a in axes) if slid else places
    weight = f"W[g][k][c]{taps_of}"
    sizes = {"B": nest.batch, "G": nest.groups, "K": out, "C": nest.into}
    sizes |= {f"O{a.upper()}": size for a, size in zip(axes, nest.places, strict=True)}
    if slid:
        sizes |= {f"F{a.upper()}": size for a, size in zip(axes, nest.taps, strict=True)}
    yield f"- id: {number}\n  name: {json(loops.name)}\n  operator_type: {'Conv' if slid else 'Gemm'}\n"
    yield f"  equation: O[b][g][k]{places}+={weight}*I[b][g][c]{seen}\n"
    along = zip(axes, nest.stride, nest.dilation, strict=True) if slid else ()
    yield f"  dimension_relations: [{', '.join(f'i{a}={s}*o{a}+{d}*f{a}' for a, s, d in along)}]\n"
    yield f"  loop_dims: [{', '.join(sizes)}]\n  loop_sizes: [{', '.join(map(str, sizes.values()))}]\n"
    if slid:
        yield f"  pr_loop_dims: [{', '.join(f'I{a.upper()}' for a in axes)}]\n"
        yield f"  pr_loop_sizes: [{', '.join(map(str, nest.size))}]\n"
        yield f"  padding: [{', '.join(f'[{before}, {after}]' for before, after in nest.padding)}]\n"
    of_input, of_weight, of_output = loops.bits
    partial = max(of_output, ACCUMULATED * of_input)
    yield f"  operand_precision: {{W: {of_weight}, I: {of_input}, O: {partial}, O_final: {of_output}}}\n"
    source, other = (*loops.sources, None)[:2]
    yield f"  operand_source: {{I: {_or(source, number)}, W: {_or(other, number)}}}\n"


def _or(source: int | None, number: int) -> int:
    return number if source is None else source
