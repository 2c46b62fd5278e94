"""Receptive fields against autograd, at selected places of selected layers.

At each place the pixels with a gradient must lie inside the window that we claim. At places of which the claim is
sharp (``verify.sharp``) the first and the last pixel of the window must have one too, and what we call global must
see from one end of the image to the other. Where nothing says that a claim is sharp and no gradient shows it, it is
listed as an upper bound.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import ceil, floor, inf
from typing import TYPE_CHECKING, Any, TypeAlias

from costcalc.analysis.axis_factors import moves
from costcalc.analysis.element_extents import element_extents
from costcalc.analysis.extent_tables import ElementExtents
from costcalc.analysis.layout import image_of
from costcalc.analysis.pixel_map import UNKNOWN, PixelMap, Span
from costcalc.analysis.pixel_maps import pixel_maps
from costcalc.analysis.place_tables import looked_up
from costcalc.analysis.records import Report
from costcalc.classes import NamedTuple
from costcalc.errors import listing
from costcalc.ir.graph import Graph, Node
from costcalc.ir.index_map import Number
from costcalc.ir.tensor import FLOATING_BITS
from costcalc.verification.result import Check, Disagreement
from costcalc.verification.run import ModuleCall, WitnessRun, calls_by_number
from costcalc.verification.sharp import Sharp, sharpness

if TYPE_CHECKING:
    from torch import Tensor, nn

NAME = "receptive fields"
MOST_LAYERS = 32
MOST_WORK = 100 * 10**9
"""In MACs, about how much the gradients may cost: some seconds. One costs what the layers up to it do."""
WORK_PER_ELEMENT = 30
"""MACs in the time that a layer without MACs takes to write an element."""
PLACES = ("first", "middle", "last")
Place: TypeAlias = "tuple[Number, Number] | None"


class Extent(NamedTuple):
    """The first and the last pixel along an image axis."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.first}…{self.last}"

    def within(self, size: int) -> Extent | None:
        """The part of it that is in an image of ``size``; None if nothing is."""
        factor = Extent(max(self.first, 0), min(self.last, size - 1))
        return factor if factor.first <= factor.last else None


class Compared(NamedTuple):
    """How a claim compares with the gradients: what contradicts it, and whether they reach both ends of it."""

    contradictions: tuple[tuple[str, str], ...]
    reached: bool


def receptive(
    figures: Report, graph: Graph, module: nn.Module, ran: WitnessRun, inputs: tuple[Tensor, ...], without: str = ""
) -> tuple[Check, list[Disagreement]]:
    """Compare the claims of ``analysis.pixel_maps`` with the gradients of ``module``, whose weights are overwritten.

    ran        the module's run, for which submodules it calls
    without    why there are no gradients to be had, if so
    """
    from costcalc.verification.probe import Complete, transparent

    image, axes = image_of(graph) or ("", ())
    if not axes or graph.types[image].dtype not in FLOATING_BITS:
        return Check(NAME, 0, 0, note="no image among the inputs"), []
    if without:
        return Check(NAME, 0, len(graph.nodes), note=without), []
    claims = pixel_maps(graph, image, axes)
    # The probe has other values, which may decide otherwise.
    decided = {name for size in graph.sizes for name in size.layers}
    numbered = calls_by_number(graph, ran)
    candidates = [
        n
        for n in graph.nodes
        if (n.name in ran.shapes or n.name in numbered)
        and n.name not in decided
        and _placed(claims[n.outputs[0]], graph, n)
    ]
    chosen = _choose(figures, graph, candidates, claims)
    told: Mapping[str, ElementExtents | None] = {}
    if any(claim.bound for n in chosen if (claim := claims[n.outputs[0]])):
        told = element_extents(graph, image, axes)
    sharp = sharpness(graph, claims, tuple(graph.types[image].shape[axis] for axis in axes))
    bounds: list[str] = []
    underivable: list[str] = []
    disagreements: list[Disagreement] = []
    pixels = inputs[graph.inputs.index(image)].detach().requires_grad_()
    arguments = tuple(pixels if v == image else t for v, t in zip(graph.inputs, inputs, strict=True))
    with transparent(module, {numbered.get(n.name) or ModuleCall(n.name, 0): n.name for n in chosen}) as kept:
        with suppress(Complete):
            module(*arguments)
        for node in chosen:
            value, claim = _first(kept[node.name]), claims[node.outputs[0]]
            assert claim is not None
            try:
                extents = told.get(node.outputs[0]) if claim.bound else None
                found = _compare(value, pixels, axes, claim, sharp[node.outputs[0]], extents)
            except RuntimeError as error:  # of a decomposition of matrices, say
                if "derivative" not in str(error):
                    raise
                underivable.append(node.name)
                continue
            for ours, theirs in found.contradictions[:1]:
                disagreements.append(Disagreement(NAME, node.name, ours, theirs, "autograd"))
            if not found.contradictions and not found.reached:
                bounds.append(node.name)
    spatial = sum(1 for n in graph.nodes if claims[n.outputs[0]] is not None)
    notes = [] if len(chosen) == spatial else ["chosen evenly among those that change what is seen"]
    if decided:
        notes.append("without those of which values decide the size")
    if bounds:
        notes.append(f"upper bounds, which no place reaches that was looked at: {listing(bounds)}")
    if underivable:
        notes.append(f"PyTorch has no gradient of {listing(underivable)}")
    return Check(NAME, len(chosen) - len(underivable), spatial, note="; ".join(notes)), disagreements


def _placed(claim: PixelMap | None, graph: Graph, node: Node) -> bool:
    """Whether we know what each place sees: not with a class token among the others, which have moved by one."""
    if claim is None or UNKNOWN in claim.spans:
        return False
    return all(claim.whole(axis, size) for axis, size in enumerate(graph.types[node.outputs[0]].shape))


def _choose(figures: Report, graph: Graph, candidates: list[Node], claims: dict[str, PixelMap | None]) -> list[Node]:
    """The layers to check: of those that see otherwise than their first input, evenly as many as admitted."""
    changing = [n for n in candidates if claims[n.outputs[0]] != claims.get(n.inputs[0])] or candidates
    before, work = 0, {}
    for node, layer in zip(graph.nodes, figures.layers, strict=True):
        written: Any = sum(t.size for t in graph.output_types(node))
        macs: Any = layer.macs
        before += macs + WORK_PER_ELEMENT * written
        work[node.name] = before
    # Of a model that is too large only the beginning can be checked.
    near = [n for n in changing if len(PLACES) * work[n.name] <= MOST_WORK / 2] or changing[:1]
    for count in range(min(MOST_LAYERS, len(near)), 1, -1):
        chosen = _evenly(near, count)
        if len(PLACES) * sum(work[n.name] for n in chosen) <= MOST_WORK:
            return chosen
    return near[-1:]


def _evenly(nodes: list[Node], count: int) -> list[Node]:
    """``count`` of ``nodes`` with the last among them."""
    return [nodes[(i + 1) * len(nodes) // count - 1] for i in range(count)]


def _compare(
    value: Tensor,
    pixels: Tensor,
    axes: tuple[int, ...],
    claim: PixelMap,
    sharp: Sharp,
    told: ElementExtents | None,
) -> Compared:
    """What we claim against what autograd finds; where elements are ``told`` one by one, of these."""
    shape: tuple[int, ...] = tuple(value.shape)
    extent = tuple(pixels.shape[axis] for axis in axes)
    bordered = {axis for axis, _ in claim.borders}
    wrong: list[tuple[str, str]] = []
    reached = [False] * len(extent)
    for where in PLACES:
        indices = [
            _index(where, size, inner) if moves(factors) else None
            for factors, size, inner in zip(claim.factors, shape, sharp.places, strict=True)
        ]
        found = _seen(value, _mask(shape, indices).expand(shape).to(value), pixels, axes)
        places = _pixels(claim, indices, len(extent))
        held = where == "middle" and sharp.holds
        if told is not None:
            for axis, (saw, said) in enumerate(zip(found, told.at(indices), strict=True)):
                mine = Extent(*said) if said else None
                reached[axis] |= saw == mine
                fits = saw is None or (mine is not None and mine.first <= saw.first and saw.last <= mine.last)
                if not fits or (sharp.holds and saw != mine):
                    wrong.append((f"{where} place, axis {axis}: sees pixels {mine or 'none'}", f"{saw or 'none'}"))
            continue
        for axis, (saw, seen, place, size) in enumerate(zip(found, claim.spans, places, extent, strict=True)):
            here = f"{where} place, axis {axis}: "
            if not isinstance(seen, Span):
                # What all places together see may end a step before the image does.
                ends = saw is not None and saw.first < sharp.coarsest and saw.last > size - 1 - sharp.coarsest
                reached[axis] |= ends
                if held and saw is not None and not ends:  # a kernel on nothing but padding sees none
                    wrong.append((f"{here}sees all", f"pixels {saw or 'none'} of {size}"))
                continue
            inside = _claimed(seen, place).within(size)
            if axis in bordered and (where != "middle" or None in sharp.places or not sharp.holds):
                continue  # at the border padding shows pixels beside the window, of which nothing is claimed
            fits = saw is None or (inside is not None and inside.first <= saw.first and saw.last <= inside.last)
            gap: float = 0
            if saw and inside:
                gap = max(saw.first - inside.first, inside.last - saw.last)
            elif inside and not sharp.slack:  # a transposed conv leaves places that none of its taps reach
                gap = inf
            reached[axis] |= gap <= sharp.slack
            if not fits or (held and gap > sharp.slack):
                wrong.append((f"{here}sees pixels {inside or 'none'}", f"{saw or 'none'}"))
    return Compared(tuple(wrong), all(reached))


def _claimed(seen: Span, place: Place) -> Extent:
    """The pixels that are ``seen`` around ``place``: none where that sees nothing."""
    if place is None:
        return Extent(0, -1)
    return Extent(ceil(place[0] + seen.lo), floor(place[1] + seen.hi))


def _index(where: str, size: int, inner: tuple[int, int] | None) -> int:
    """A place along an axis; the middle one is among those ``inner`` of which the claim is sharp, if there are any."""
    first, last = inner or (0, size - 1)
    return {"first": 0, "middle": (first + last) // 2, "last": size - 1}[where]


def _pixels(claim: PixelMap, indices: Sequence[int | None], axes: int) -> list[Place]:
    """What is seen along each image axis from the place that ``indices`` tell of the axes of a value, but for what all
    places see around them."""
    places: list[Place] = [(0, 0)] * axes
    for factors, index in zip(claim.factors, indices, strict=True):
        rest = index or 0
        for factor in reversed(factors):
            rest, digit = divmod(rest, factor.size)
            for line in factor.lines():
                before, more = places[line.axis], looked_up(line)(digit)  # type: ignore[index]
                places[line.axis] = before and more and (before[0] + more[0], before[1] + more[1])  # type: ignore[index]
    return places


def _mask(shape: tuple[int, ...], indices: Sequence[int | None]) -> Tensor:
    """Which elements of a value of ``shape`` stand at ``indices``."""
    import torch

    mask = torch.ones((1,) * len(shape), dtype=torch.bool)
    for axis, (size, index) in enumerate(zip(shape, indices, strict=True)):
        if index is not None:
            here = torch.arange(size) == index
            mask = mask & here.reshape([-1 if a == axis else 1 for a in range(len(shape))])
    return mask


def _seen(value: Tensor, seed: Tensor, pixels: Tensor, axes: tuple[int, ...]) -> list[Extent | None]:
    """Along each of the image's ``axes`` the first and the last pixel that has a gradient."""
    import torch

    (gradient,) = torch.autograd.grad(value, pixels, seed, retain_graph=True, allow_unused=True)
    if gradient is None:
        return [None] * len(axes)
    touched = gradient != 0
    found: list[Extent | None] = []
    for axis in axes:
        others = [a for a in range(pixels.ndim) if a != axis]
        # Of a single axis there are no others, and a sum over no axes would be over all.
        along: Sequence[int] = (touched.sum(others) if others else touched).nonzero().flatten().tolist()
        found.append(Extent(along[0], along[-1]) if along else None)
    return found


def _first(made: Any) -> Tensor:
    from torch.utils._pytree import tree_leaves

    tensor: Tensor = tree_leaves(made)[0]
    return tensor
