"""Receptive fields against autograd, at selected places of selected layers.

At each place the pixels with a gradient must lie inside the window that we claim. Where a bound of the
window lies inside the image, that pixel must have one too; ``_slack`` says where one place may see less
than the window that covers all. What we call global must see, from one place, all that any place sees.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from costcalc.analysis.receptive import GLOBAL, UNKNOWN, Seen, Span, View, image_of, views
from costcalc.analysis.records import Report
from costcalc.ir.dims import prod
from costcalc.ir.fields import ints
from costcalc.ir.graph import Graph, Node
from costcalc.ir.op import Op
from costcalc.ir.tensor import FLOATING_BITS, TensorType
from costcalc.ir.window import Follow, Number, Sight
from costcalc.verify.result import Check, Disagreement
from costcalc.verify.run import Run

if TYPE_CHECKING:
    from torch import Tensor, nn

NAME = "receptive fields"
MOST_LAYERS = 32
MOST_WORK = 100 * 10**9
"""In MACs, about how much the gradients may cost: some seconds. One costs what the layers up to it do."""
WORK_PER_ELEMENT = 30
"""MACs in the time that a layer without MACs takes to write an element."""
PLACES = ("first", "middle", "last")


class Extent(NamedTuple):
    """The first and the last pixel along an image axis."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.first}…{self.last}"

    def within(self, size: int) -> Extent | None:
        """The part of it that is in an image of ``size``; None if nothing is."""
        part = Extent(max(self.first, 0), min(self.last, size - 1))
        return part if part.first <= part.last else None


def receptive(
    figures: Report, graph: Graph, module: nn.Module, ran: Run, inputs: tuple[Tensor, ...], without: str = ""
) -> tuple[Check, list[Disagreement]]:
    """Compare the claims of ``analysis.receptive`` with the gradients of ``module``, whose weights are overwritten.

    ran        the module's run, for which submodules it calls
    without    why there are no gradients to be had, if so
    """
    from costcalc.verify.probe import Complete, transparent

    image = image_of(graph)
    if image is None or graph.types[image].dtype not in FLOATING_BITS:
        return Check(NAME, 0, 0, note="no image among the inputs"), []
    if without:
        return Check(NAME, 0, len(graph.nodes), note=without), []
    claims = views(graph, image)
    candidates = [n for n in graph.nodes if n.name in ran.shapes and _placed(claims[n.outputs[0]], graph, n)]
    chosen = _choose(figures, graph, candidates, claims)
    slack = _slack(graph, claims)
    disagreements: list[Disagreement] = []
    pixels = inputs[graph.inputs.index(image)].detach().requires_grad_()
    arguments = tuple(pixels if v == image else t for v, t in zip(graph.inputs, inputs, strict=True))
    with transparent(module, {n.name for n in chosen}) as kept:
        with suppress(Complete):
            module(*arguments)
        for node in chosen:
            value, claim = _first(kept[node.name]), claims[node.outputs[0]]
            assert claim is not None
            for ours, theirs in _contradictions(value, pixels, claim, slack[node.outputs[0]]):
                disagreements.append(Disagreement(NAME, node.name, ours, theirs, "autograd"))
                break
    spatial = sum(1 for n in graph.nodes if claims[n.outputs[0]] is not None)
    note = "" if len(chosen) == spatial else "chosen evenly among those that change what is seen"
    return Check(NAME, len(chosen), spatial, note=note), disagreements


def _placed(claim: View | None, graph: Graph, node: Node) -> bool:
    """Whether we know what each place sees: not with a class token among the others, which have moved by one."""
    if claim is None or UNKNOWN in claim.spans:
        return False
    shape = graph.types[node.outputs[0]].shape
    return all(prod(p.size for p in parts) == size for parts, size in zip(claim.parts, shape, strict=True))


def _choose(figures: Report, graph: Graph, candidates: list[Node], claims: dict[str, View | None]) -> list[Node]:
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


BOUNDED = (
    "deform_conv", "max_unpool", "grid_sample", "roi_align", "roi_pool", "nms", "roll", "fold", "gather", "scatter",
    "take", "overwrite", "tile", "part", "as_strided", "triangle", "diag_embed", "block_diag", "lstm", "gru", "rnn",
    "uncounted",
)  # fmt: skip
"""Ops of whose windows only outer bounds are claimed: data say where they look, or places see unlike each other."""


def _uneven(op: Op) -> bool:
    return op.name in BOUNDED or (op.name == "pad" and op.mode != "zeros")  # type: ignore[attr-defined]


def _of_image(view: View | None, axis: int) -> bool:
    """Whether places of the image lie along ``axis``."""
    return view is not None and any(part.axis is not None for part in view.parts[axis])


def _crops(op: Op, x: TensorType, view: View | None) -> bool:
    """Whether what is left is a part of the image, with more of it beyond the edge."""
    return op.name in ("slice", "split") and _of_image(view, op.axis % len(x.shape))  # type: ignore[attr-defined]


def _overhangs(sight: Sight, view: View | None, x: TensorType, y: TensorType) -> bool:
    """Whether a place looks beyond the map ``x``, where there is only padding."""
    for axis, follow in enumerate(sight):
        if isinstance(follow, Follow) and _of_image(view, follow.axis):
            window = follow.window
            places, size = ints((y.shape[axis], x.shape[follow.axis]))
            if window.lo < 0 or window.stride * (places - 1) + window.hi >= size:
                return True
    return False


def _cut(claim: View) -> bool:
    """Whether an axis of the image is cut into windows: a place then sees its own window, wherever in it it is."""
    axes = [p.axis for parts in claim.parts for p in parts if p.axis is not None and p.size > 1]
    return len(axes) > len(set(axes))


def _slack(graph: Graph, claims: dict[str, View | None]) -> dict[str, float]:
    """By how many pixels one place of a value may see less than the window that covers all places.

    Nothing where all is aligned. After interpolation places take turns in seeing one coarse place more
    or less; rounding adds up over the levels, to less than twice the coarsest. Where paths of different
    strides met, the image was cut into windows, a part of it was padded, or after one of ``BOUNDED``, anything
    may be less.
    """
    slack, coarsest = dict.fromkeys(graph.inputs, 0.0), dict.fromkeys(graph.inputs, 1.0)
    cropped: set[str] = set()
    for node in graph.nodes:
        types = graph.input_types(node)
        for index, value in enumerate(node.outputs):
            claim = claims[value]
            strides = [abs(float(p.step)) for ps in claim.parts for p in ps] if claim else []
            coarsest[value] = max([*strides, *(coarsest[v] for v in node.inputs)], default=1.0)
            sights = node.op.sights_of(index, *types, y=graph.types[value])
            steps = [f.window.stride for sight in sights for f in sight if isinstance(f, Follow)]
            slack[value] = max((slack[v] for v in node.inputs), default=0.0)
            seen = list(zip(node.inputs, sights, types, strict=True))
            if any(v in cropped or _crops(node.op, x, claims[v]) for v, _, x in seen):
                cropped.add(value)
            padded = any(v in cropped and _overhangs(s, claims[v], x, graph.types[value]) for v, s, x in seen)
            if padded or _uneven(node.op) or (claim is not None and (not claim.aligned or _cut(claim))):
                slack[value] = inf
            elif slack[value] or any(step % 1 for step in steps):
                slack[value] = max(slack[value], 2 * coarsest[value])
    return slack


def _contradictions(value: Tensor, pixels: Tensor, claim: View, slack: float) -> Iterator[tuple[str, str]]:
    """What we claim and what autograd finds, wherever they do not fit."""
    import torch

    shape: tuple[int, ...] = tuple(value.shape)
    extent = tuple(pixels.shape[2:])
    if GLOBAL in claim.spans:
        reach = _seen(value, torch.ones_like(value), pixels)
    for where in PLACES:
        places, seed = _place(where, shape, claim, len(extent))
        found = _seen(value, seed.expand(shape).to(value), pixels)
        claimed = [_claimed(w, p) for w, p in zip(claim.spans, places, strict=True)]
        if None in found and any(c and not c.within(size) for c, size in zip(claimed, extent, strict=True)):
            continue  # all of it is padding, or between the pixels
        for axis, (saw, says, size) in enumerate(zip(found, claimed, extent, strict=True)):
            here = f"{where} place, axis {axis}: "
            if says is None:
                if saw != reach[axis] and not slack:
                    yield f"{here}sees all", f"pixels {saw} of {reach[axis]}"
            elif not _fits(saw, says, size, slack):
                yield f"{here}sees pixels {says.within(size)}", f"{saw or 'none'}"


def _claimed(seen: Seen, place: Number) -> Extent | None:
    """The pixels that are ``seen`` around ``place``; None for all."""
    if not isinstance(seen, Span):
        return None
    return Extent(int(-(-(place + seen.lo) // 1)), int((place + seen.hi) // 1))


def _fits(saw: Extent | None, says: Extent, size: int, slack: float) -> bool:
    inside = says.within(size)
    if saw is None:
        return inside is None or inside.last - inside.first < slack
    if inside is None or saw.first < inside.first or saw.last > inside.last:
        return False
    # A bound outside of the image cannot be seen, and what is seen last depends on the padding before it.
    low, high = says.first < 0 or saw.first - says.first <= slack, says.last >= size or says.last - saw.last <= slack
    return low and high


def _place(where: str, shape: tuple[int, ...], claim: View, axes: int) -> tuple[list[Number], Tensor]:
    """A place along each image axis, and a mask over the tensor of what stands there."""
    import torch

    places: list[Number] = [0] * axes
    mask = torch.ones((1,) * len(shape), dtype=torch.bool)
    for tensor_axis, parts in enumerate(claim.parts):
        index = torch.arange(shape[tensor_axis])
        inner = 1
        for part in reversed(parts):
            if part.axis is not None:
                choice = {"first": 0, "middle": part.size // 2, "last": part.size - 1}[where]
                places[part.axis] += part.step * choice
                here = index // inner % part.size == choice
                mask = mask & here.reshape([-1 if a == tensor_axis else 1 for a in range(len(shape))])
            inner *= part.size
    return places, mask


def _seen(value: Tensor, seed: Tensor, pixels: Tensor) -> list[Extent | None]:
    """Along each image axis the first and the last pixel that has a gradient."""
    import torch

    (gradient,) = torch.autograd.grad(value, pixels, seed, retain_graph=True, allow_unused=True)
    if gradient is None:
        return [None] * (pixels.ndim - 2)
    touched = gradient != 0
    found: list[Extent | None] = []
    for axis in range(2, pixels.ndim):
        others = [a for a in range(pixels.ndim) if a != axis]
        along: Sequence[int] = touched.sum(others).nonzero().flatten().tolist()
        found.append(Extent(along[0], along[-1]) if along else None)
    return found


def _first(made: Any) -> Tensor:
    from torch.utils._pytree import tree_leaves

    tensor: Tensor = tree_leaves(made)[0]
    return tensor
