"""The first layers of a network patch by patch: less memory, for MACs that are done again where patches overlap.

A stage is the layers up to one after which a single map lives. That map is kept whole; for each patch of it the layers
before are run on what they must see of their inputs, which their windows give. The image is there as a whole. With more
patches and a deeper stage less lives and more is done again.

Source: Lin et al. 2021, "MCUNetV2: Memory-Efficient Patch-based Inference for Tiny Deep Learning", arXiv 2110.15352.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import accumulate, product

from costcalc.ir.graph import Node
from costcalc.planning.jobs import Job, Jobs, lifetimes, loads, peak
from costcalc.planning.joining import JoinedGroup
from costcalc.planning.records import PatchPlan
from costcalc.planning.sizes import ValueSizes
from costcalc.planning.tflite import buffers
from costcalc.planning.windows import window

COUNTS = (2, 3, 4, 6, 8)
"""Patches along each axis that are tried."""
MOST_GROUPS = 128
"""Kernels that a stage has at the most: each is walked for each patch of each stage, and deep ones do all again."""
Span = tuple[int, int]


def by_patches(sizes: ValueSizes, groups: list[JoinedGroup], jobs: Jobs) -> list[PatchPlan]:
    """For each number of patches the stage with the least peak, of equal ones the one that does least again."""
    macs = sum(_macs(sizes, node) for group in groups for node in group.nodes)
    same = buffers(sizes, micro=True)
    given = sum(jobs.inputs.values())
    later = list(accumulate((step.bytes for step in reversed(loads(lifetimes(jobs).tensors, jobs))), max))[::-1]
    # After a cut lives what the whole network holds there: of all that was made before, the map alone is left.
    rests = {k: later[k + 1] for k in _cuts(sizes, groups[: MOST_GROUPS + 1], jobs, same)}
    # No stage holds less than what comes after it does, or than the image and the whole map.
    least = {k: max(rest, given + sizes.of(groups[k].outputs[0])) for k, rest in rests.items()}
    found = []
    for count in COUNTS:
        best: PatchPlan | None = None
        for k in sorted(rests, key=lambda k: least[k]):
            bound = best.peak_bytes if best else None
            if bound is not None and least[k] > bound:
                break
            stage = _stage(sizes, groups[: k + 1], jobs, count, same, bound)
            if stage is not None:
                made = PatchPlan(count, groups[k].lead.name, max(stage[0], rests[k]), macs + stage[1], stage[1])
                if best is None or (made.peak_bytes, made.again) < (best.peak_bytes, best.again):
                    best = made
        if best is not None:
            found.append(best)
    return found


def _cuts(sizes: ValueSizes, groups: list[JoinedGroup], jobs: Jobs, same: Mapping[str, str]) -> Iterator[int]:
    """The steps after which only the map that they make lives, as far as every layer sees places through windows."""
    last = {buffer: i for i, job in enumerate(jobs.steps) for buffer in job.reads}
    last.update(dict.fromkeys(jobs.kept, len(jobs.steps)))
    alive = {b: last.get(b, 0) for b in jobs.inputs}
    for k, group in enumerate(groups[:-1]):
        if not all(_sees_places(sizes, node, same) for node in group.nodes):
            return
        (made,) = group.outputs
        if made not in last:  # no map asks for any place of it
            return
        alive[made] = last[made]
        alive = {buffer: until for buffer, until in alive.items() if until > k}
        if k and list(alive) == [made] and len(sizes.map(made).shape) == 4:
            yield k


def _sees_places(sizes: ValueSizes, node: Node, same: Mapping[str, str]) -> bool:
    """Whether a place of the map that ``node`` makes depends on some places of the maps that it reads.

    same   value → the value that it is as it stands; other views have their places elsewhere
    """
    y = sizes.map(node.outputs[0])
    if len(node.outputs) != 1 or len(y.shape) != 4:
        return False
    if any(same[value] != sizes.root[value] for value in sizes.read(node)):
        return False
    if window(node.op, sizes.graph.types[node.inputs[0]]):
        return True
    if node.op.name == "batch_norm":
        return True
    maps = [sizes.map(v) for v in node.inputs if v not in sizes.settled]
    return node.op.is_pointwise() and all(t.shape[2:] == y.shape[2:] for t in maps)


def _stage(
    sizes: ValueSizes, groups: list[JoinedGroup], jobs: Jobs, count: int, same: Mapping[str, str], bound: int | None
) -> tuple[int, int] | None:
    """The most that lives while a stage runs by ``count``² patches, and the MACs that it does again.

    None where the map has fewer places than that, or more than ``bound`` bytes live.
    """
    (whole,) = groups[-1].outputs
    rows, columns = sizes.map(whole).shape[2:]
    if not isinstance(rows, int) or not isinstance(columns, int) or min(rows, columns) < count:
        return None
    spans = [
        [_seen(sizes, groups, axis, span, same) for span in _parts(size, count)]
        for axis, size in ((0, rows), (1, columns))
    ]
    patches: dict[tuple[tuple[int, int], ...], dict[str, tuple[int, int]]] = {}
    for down, across in product(*spans):
        tiles = {v: (down[v][1] - down[v][0], across[v][1] - across[v][0]) for v in down}
        patches.setdefault(tuple(tiles.values()), tiles)
    most = 0
    # The largest first: it tells soonest that the bound is crossed.
    for key in sorted(patches, key=lambda key: -sum(rows * columns for rows, columns in key)):
        most = max(most, _patch(sizes, groups, jobs, whole, patches[key]))
        if bound is not None and most > bound:
            return None
    again = 0
    for group in groups:
        for node in group.nodes:
            done = _macs(sizes, node)
            if done:
                height, width = sizes.map(node.outputs[0]).shape[2:]
                covered = [sum(b - a for a, b in (part[node.outputs[0]] for part in along)) for along in spans]
                again += done * covered[0] * covered[1] // (int(height) * int(width)) - done  # type: ignore[arg-type]
    return most, again


def _parts(size: int, count: int) -> list[Span]:
    """``count`` parts of an axis, as equal as they can be."""
    return [(size * i // count, size * (i + 1) // count) for i in range(count)]


def _seen(
    sizes: ValueSizes, groups: list[JoinedGroup], axis: int, span: Span, same: Mapping[str, str]
) -> dict[str, Span]:
    """What the places ``span`` of the last map need of every value before it, along one axis."""
    needed = {groups[-1].outputs[0]: span}
    for node in (node for group in reversed(groups) for node in reversed(group.nodes)):
        first, end = needed[node.outputs[0]]
        for value in (same[v] for v in sizes.read(node)):
            size = sizes.map(value).shape[2 + axis]
            axes = window(node.op, sizes.graph.types[value])
            lo, hi = first, end
            if axes:
                _, reach, stride, (before, _) = axes[axis]
                lo, hi = first * stride - before, (end - 1) * stride - before + reach  # type: ignore[assignment]
            lo, hi = max(lo, 0), min(hi, size)  # type: ignore[assignment,type-var]
            lo = min(lo, hi - 1) if hi > 0 else 0
            known = needed.get(value)
            needed[value] = (lo, hi) if known is None else (min(lo, known[0]), max(hi, known[1]))
    return needed


def _patch(
    sizes: ValueSizes, groups: list[JoinedGroup], jobs: Jobs, whole: str, tiles: Mapping[str, tuple[int, int]]
) -> int:
    """The most that lives while one patch is made of ``whole``."""

    def size(value: str) -> int:
        t = sizes.map(value)
        return sizes.of_type(t.with_shape(*t.shape[:2], *tiles[value]))

    steps: list[Job] = []
    for group, job in zip(groups, jobs.steps, strict=False):
        makes = tuple((name, size(name)) for name, _ in job.makes if name != whole)
        scratch = 0
        if job.scratch:
            y = sizes.map(group.lead.outputs[0])
            scratch = sizes.of_type(y.with_shape(y.shape[0], 1, *tiles[group.lead.outputs[0]]))
        over = tuple(v for v in job.over if v not in jobs.inputs) if makes else ()
        steps.append(job._replace(makes=makes, scratch=scratch, over=over))
    return peak(Jobs({**jobs.inputs, whole: sizes.of(whole)}, tuple(steps), (*jobs.inputs, whole)))


def _macs(sizes: ValueSizes, node: Node) -> int:
    graph = sizes.graph
    found = node.op.macs(*graph.input_types(node), y=graph.types[node.outputs[0]])
    return found if isinstance(found, int) else 0
