"""Receptive fields, shapes and MACs of random programs that move places about, against autograd and real runs.

At every place of the output the pixels with a gradient lie inside what is claimed. Where the claim is sharp they
reach both ends of it, and what is global sees from one end of the image to the other; a field that is not said to be
an upper bound is as wide as what some place sees. What is told element by element is so of each. Images have one to
three axes, lie in any layout, and are padded in all ways.
The spec that a trace is written as has the same figures, and is the same function.
"""

from __future__ import annotations

from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from random_moves import Program  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from costcalc.analysis.axis_factors import moves  # noqa: E402
from costcalc.analysis.element_extents import element_extents  # noqa: E402
from costcalc.analysis.pixel_map import GLOBAL, UNKNOWN, ReceptiveField, Span  # noqa: E402
from costcalc.analysis.pixel_maps import pixel_maps  # noqa: E402
from costcalc.analysis.receptive_fields import _field, receptive_fields  # noqa: E402
from costcalc.analysis.report import report  # noqa: E402
from costcalc.backends.module import to_module  # noqa: E402
from costcalc.errors import CostcalcError  # noqa: E402
from costcalc.frontends.spec.write import write  # noqa: E402
from costcalc.frontends.torch.tracer import trace  # noqa: E402
from costcalc.ir.graph import Graph  # noqa: E402
from costcalc.models import load  # noqa: E402
from costcalc.verification.receptive_fields import _claimed, _pixels  # noqa: E402
from costcalc.verification.sharp import sharpness  # noqa: E402


def gradients(y: Any, x: Any, axes: tuple[int, ...]) -> Any:
    """Which pixels each element of ``y`` depends on, as truth values: (*shape of y, *places of x)."""
    seeds = torch.eye(y.numel(), dtype=y.dtype).reshape(-1, *y.shape)
    made = [torch.autograd.grad(y, x, seed, retain_graph=True, allow_unused=True)[0] for seed in seeds]
    seen = torch.stack([torch.zeros_like(x) if g is None else g for g in made])
    touched = seen != 0
    for axis in reversed([a for a in range(x.ndim) if a not in axes]):
        touched = touched.any(axis + 1)
    return touched.reshape(*y.shape, *(x.shape[axis] for axis in axes))


def fault(graph: Graph, seen: Any, axes: tuple[int, ...]) -> str:
    """Where what is claimed of the output is not what its places see."""
    claims = pixel_maps(graph, graph.inputs[0], axes)
    (output,) = graph.outputs
    many = len(axes)
    claim, shape, extent = claims[output], graph.types[output].shape, tuple(seen.shape[-many:])
    if claim is None:
        return "it is said to see nothing" if seen.any() else ""
    if not all(claim.whole(axis, size) for axis, size in enumerate(shape)):
        return ""
    sharp = sharpness(graph, claims, extent)[output]
    bordered = {axis for axis, _ in claim.borders}
    widest = [0] * many
    for indices in product(*(range(n) if moves(p) else [None] for p, n in zip(claim.factors, shape, strict=True))):
        taken = seen[tuple(slice(None) if i is None else slice(i, i + 1) for i in indices)].reshape(-1, *extent).any(0)
        inner = all(i is None or (p and p[0] <= i <= p[1]) for i, p in zip(indices, sharp.places, strict=True))
        held = sharp.holds and inner
        places = zip(claim.spans, _pixels(claim, indices, many), extent, strict=True)
        for axis, (span, place, size) in enumerate(places):
            others = tuple(a for a in range(many) if a != axis)
            along = (taken.any(others) if others else taken).nonzero().flatten().tolist()
            if along:
                widest[axis] = max(widest[axis], along[-1] - along[0] + 1)
            if axis in bordered and not held:
                continue  # at the border padding shows pixels beside the window, of which nothing is claimed
            here = f"{indices}, axis {axis}: sees {along}, said to see "
            if isinstance(span, Span):
                said = _claimed(span, place).within(size)
                if along and (said is None or along[0] < said.first or along[-1] > said.last):
                    return f"{here}{said}"
                if held and said and not along and not sharp.slack:
                    return f"{here}{said}"
                if held and said and along and max(along[0] - said.first, said.last - along[-1]) > sharp.slack:
                    return f"{here}just {said}"
            elif span == GLOBAL and held and along and not reaches(along, size, sharp.coarsest):
                return f"{here}all of {size}"
    if not claim.bound and held_somewhere(sharp) and not sharp.slack:
        # Of an axis of which one place is left it is no longer told whether that stood away from the padding.
        left = {line.axis for factors in claim.factors for p in factors for line in p.lines() if p.size > 1}
        for axis, (span, most) in enumerate(zip(claim.spans, widest, strict=True)):
            said = _field(claim, extent)
            if (
                isinstance(span, Span)
                and (axis in left or sharp.holds)
                and isinstance(said, ReceptiveField)
                and axis not in bordered
                and most != said.size[axis]
            ):
                return f"axis {axis}: no bound, but {said.size[axis]} is said and {most} seen"
    return ""


def other_elements(graph: Graph, seen: Any, axes: tuple[int, ...]) -> str:
    """Where an element of the output is told to see otherwise than it does; all of them are looked at."""
    told, (output,), many = element_extents(graph, graph.inputs[0], axes), graph.outputs, len(axes)
    if output not in told:
        return ""
    shape, extents = graph.types[output].shape, told[output]
    if extents is None:
        return "its elements are told to see nothing" if seen.any() else ""
    for indices in product(*map(range, shape)):
        said = extents.at(indices)
        for axis in range(many):
            others = tuple(a for a in range(many) if a != axis)
            along = (seen[indices].any(others) if others else seen[indices]).nonzero().flatten().tolist()
            really = (along[0], along[-1]) if along else None
            if said[axis] != really:
                return f"element {indices}, axis {axis}: sees {really}, told to see {said[axis]}"
    return ""


def held_somewhere(sharp: Any) -> bool:
    """Whether there is a place from which no tap on the way falls on padding."""
    return None not in sharp.places


def reaches(along: list[int], size: int, coarsest: float) -> bool:
    """Whether pixels go from one end of the image to the other, but for a step."""
    return along[0] < coarsest and along[-1] > size - 1 - coarsest


def checked(seed: int, folder: Path, wide: bool = False) -> tuple[str, str]:
    """What is wrong about the program of ``seed``, if anything, and what was claimed."""
    program = Program(seed, 1 + seed % 7, wide)
    graph = trace(program, program.size)
    x = (torch.rand(program.size, dtype=torch.float64) + 0.5).requires_grad_()
    with FlopCounterMode(display=False) as counter:
        y = program.double()(x)
    assert graph.types[graph.outputs[0]].shape == tuple(y.shape)
    figures = report(graph)
    assert figures.total.macs == counter.get_total_flops() // 2
    claim = pixel_maps(graph, graph.inputs[0], program.axes)[graph.outputs[0]]
    kind = "nothing" if claim is None else "unknown" if UNKNOWN in claim.spans else "followed"
    seen = gradients(y, x, program.axes)
    wrong = fault(graph, seen, program.axes) or other_elements(graph, seen, program.axes)
    return wrong or other_function(graph, program, x, y, folder), kind


def other_function(graph: Graph, program: Program, x: Any, y: Any, folder: Path) -> str:
    """Where the spec of ``graph`` is not the same as it, or not the same function."""
    if not graph.nodes:
        return ""  # which no spec can say
    path = folder / "traced.yaml"
    path.write_text(write(graph), encoding="utf-8")
    again = load(path)
    if report(again).total != report(graph).total or receptive_fields(again) != receptive_fields(graph):
        return "the spec has other figures"
    try:
        module = to_module(again)
    except CostcalcError:
        return ""  # places that only data tell
    with torch.no_grad():
        for ours, theirs in zip(module.parameters(), program.parameters(), strict=True):
            ours.copy_(theirs)
    return "" if torch.allclose(module(x.float()).double(), y, rtol=1e-4, atol=1e-4) else "the spec is another function"


@pytest.mark.parametrize("first", range(0, 40, 10))
def test_random_moves_are_seen_as_gradients_see_them(first: int, tmp_path: Path) -> None:
    for seed in range(first, first + 10):
        wrong, _ = checked(seed, tmp_path)
        assert not wrong, f"{seed}, {Program(seed, 1 + seed % 7)}: {wrong}"


@pytest.mark.parametrize("first", range(0, 30, 10))
def test_random_moves_in_all_layouts_are_seen_as_gradients_see_them(first: int, tmp_path: Path) -> None:
    for seed in range(first, first + 10):
        wrong, _ = checked(seed, tmp_path, wide=True)
        assert not wrong, f"{seed}, {Program(seed, 1 + seed % 7, wide=True)}: {wrong}"


def test_a_crop_that_leaves_mirrored_pixels_alone_is_unknown(tmp_path: Path) -> None:
    # Its pooling, padding and triangle leave a place of which no table tells anything; it ended in a ValueError.
    wrong, _ = checked(91439, tmp_path, wide=True)
    assert not wrong


@pytest.mark.long
@pytest.mark.parametrize("wide", [False, True])
def test_thousands_of_random_moves_are_seen_as_gradients_see_them(wide: bool, tmp_path: Path) -> None:
    kinds: Counter[str] = Counter()
    faults = []
    for seed in range(3100):
        wrong, kind = checked(seed, tmp_path, wide)
        kinds[kind] += 1
        if wrong:
            faults.append(f"{seed}, {Program(seed, 1 + seed % 7, wide)}: {wrong}")
    assert not faults, f"{len(faults)} of 3,100: {faults[:10]}"
    assert kinds["unknown"] < 300
