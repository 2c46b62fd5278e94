"""Receptive fields against autograd, at selected places of selected layers.

At each place the pixels with a gradient must lie inside the window that we claim. Where a bound of the
window lies inside the image, that pixel must have one, unless paths of different strides meet before
it: there the window is the tightest for all places together and one place may see less. What we call
global must see, from one place, all that any place of the layer sees.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from costcalc.analysis.receptive import GLOBAL, UNKNOWN, View, image_of, views
from costcalc.ir.graph import Graph, Node
from costcalc.ir.tensor import FLOATING_BITS
from costcalc.ir.window import Follow, Window
from costcalc.verify.result import Check, Disagreement

if TYPE_CHECKING:
    from torch import Tensor, nn

NAME = "receptive fields"
MOST_LAYERS = 40
MOST_MACS = 400 * 10**9
"""About how much work the gradients may cost; a gradient costs what the layers up to it do."""


class Extent(NamedTuple):
    """The first and the last pixel along an image axis."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.first}…{self.last}"


def receptive(
    graph: Graph, module: nn.Module, inputs: tuple[Tensor, ...], macs: dict[str, int]
) -> tuple[Check, list[Disagreement]]:
    """Compare the claims of ``analysis.receptive`` with the gradients of ``module``, whose weights are overwritten.

    macs    of each layer, to choose as many as ``MOST_MACS`` admits
    """
    from costcalc.verify.probe import transparent

    image = image_of(graph)
    if image is None or graph.types[image].dtype not in FLOATING_BITS:
        return Check(NAME, 0, 0, note="no image among the inputs"), []
    claims = views(graph, image)
    names = {name for name, _ in module.named_modules()}
    candidates = [n for n in graph.nodes if n.name in names and _checkable(claims[n.outputs[0]])]
    chosen = _choose(graph, candidates, claims, macs)
    loose = _loose(graph)
    disagreements: list[Disagreement] = []
    pixels = inputs[graph.inputs.index(image)].detach().requires_grad_()
    arguments = tuple(pixels if v == image else t for v, t in zip(graph.inputs, inputs, strict=True))
    with transparent(module, {n.name for n in chosen}) as kept:
        module(*arguments)
        for node in chosen:
            value, claim = _first(kept[node.name]), claims[node.outputs[0]]
            assert claim is not None
            for ours, theirs in _contradictions(value, pixels, claim, node.outputs[0] in loose):
                disagreements.append(Disagreement(NAME, node.name, ours, theirs, "autograd"))
                break
    spatial = sum(1 for n in graph.nodes if claims[n.outputs[0]] is not None)
    note = "" if len(chosen) == spatial else "chosen evenly among those that change what is seen"
    return Check(NAME, len(chosen), spatial, note=note), disagreements


def _checkable(claim: View | None) -> bool:
    return claim is not None and UNKNOWN not in claim.windows


def _choose(graph: Graph, candidates: list[Node], claims: dict[str, View | None], macs: dict[str, int]) -> list[Node]:
    """The layers to check: of those that see otherwise than their first input, evenly as many as admitted."""
    changing = [n for n in candidates if claims[n.outputs[0]] != claims.get(n.inputs[0])] or candidates
    before, cost = 0, {}
    for node in graph.nodes:
        before += macs[node.name]
        cost[node.name] = before
    count = min(MOST_LAYERS, len(changing))
    while count > 1:
        chosen = _evenly(changing, count)
        if PLACES * sum(cost[n.name] for n in chosen) <= MOST_MACS:
            return chosen
        count -= 1
    return changing[:1]


def _evenly(nodes: list[Node], count: int) -> list[Node]:
    """``count`` of ``nodes`` with the last among them."""
    return [nodes[(i + 1) * len(nodes) // count - 1] for i in range(count)]


def _loose(graph: Graph) -> set[str]:
    """The values before which places are interpolated or paths of different strides or centres meet."""
    loose: set[str] = set()
    image = image_of(graph)
    claims = views(graph, image) if image else {}
    for node in graph.nodes:
        for value in node.outputs:
            claim = claims[value]
            sights = node.op.sights(*graph.input_types(node), y=graph.types[value])
            finer = any(
                follow.window.stride % 1 for sight in sights for follow in sight if isinstance(follow, Follow)
            )  # fmt: skip
            if finer or loose.intersection(node.inputs) or (claim is not None and not claim.aligned):
                loose.add(value)
    return loose


PLACES = 3


def _contradictions(value: Tensor, pixels: Tensor, claim: View, loose: bool) -> Iterator[tuple[str, str]]:
    """What we claim and what autograd finds, wherever they do not fit."""
    import torch

    shape: tuple[int, ...] = tuple(value.shape)
    extent = tuple(pixels.shape[2:])
    if GLOBAL in claim.windows:
        reach = _seen(value, torch.ones_like(value), pixels)
    for where in ("first", "middle", "last"):
        places, seed = _place(where, shape, claim, len(extent))
        found = _seen(value, seed.expand(shape).to(value), pixels)
        for axis, window in enumerate(claim.windows):
            here = f"{where} place, axis {axis}: "
            if isinstance(window, Window):
                at = window.stride * places[axis]
                claimed = Extent(int(-(-(at + window.lo) // 1)), int((at + window.hi) // 1))
                bounds = Extent(max(claimed.first, 0), min(claimed.last, extent[axis] - 1))
                if not _fits(found[axis], claimed, bounds, extent[axis], loose):
                    yield f"{here}sees pixels {bounds}", f"{found[axis] or 'none'}"
            elif found[axis] != reach[axis]:
                yield f"{here}sees all", f"pixels {found[axis]} of {reach[axis]}"


def _fits(found: Extent | None, claimed: Extent, bounds: Extent, size: int, loose: bool) -> bool:
    if found is None:
        return bounds.first > bounds.last
    if found.first < bounds.first or found.last > bounds.last:
        return False
    if loose:
        return True
    # A bound outside of the image cannot be seen, and what is seen last depends on the padding before it.
    return (claimed.first < 0 or found.first == claimed.first) and (claimed.last >= size or found.last == claimed.last)


def _place(where: str, shape: tuple[int, ...], claim: View, axes: int) -> tuple[list[int], Tensor]:
    """A place along each image axis, and a mask over the tensor of what stands there."""
    import torch

    places = [0] * axes
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
