"""Which blocks of a network to recompute in the backward pass instead of keeping what they keep.

Each block is kept whole, or is in a run of blocks of which only the input is kept and the forward pass is done again
(Chen et al. 2016, arXiv 1604.06174; ``torch.utils.checkpoint``). What a choice holds is a sum over the blocks before,
and the most over all blocks of that and their own. So the best choice is found from the front, block by block, from
those that are no worse than another both in what they hold and in what they do again. It is the best that there is,
unless there are more than ``MOST`` of these.
"""

from __future__ import annotations

from itertools import accumulate

from costcalc.classes import NamedTuple
from costcalc.planning.blocks import BlockChain, LayerRange
from costcalc.planning.gradient_plan import GradientPlan, Segment

MOST = 512
"""Choices that are followed beside each other."""


class CheckpointChoice(NamedTuple):
    """Blocks that are recomputed, what the step then holds, and the MACs that are done again.

    peak      bytes of activations and gradients
    optimal   whether every other choice holds more, or does more again where it holds no more than was asked
    """

    segments: tuple[Segment, ...]
    peak: int
    extra_macs: int
    optimal: bool


class _Label(NamedTuple):
    """One choice for the blocks so far: what stays of them, whether the value at the edge does, the most; and what is
    done again, MACs and layers.

    cached   of what stays the copies of weights that the forward pass holds anyway
    """

    stays: int
    holds: bool
    most: int
    again: tuple[int, int]
    before: _Label | None = None
    segment: Segment | None = None
    cached: int = 0

    def segments(self) -> tuple[Segment, ...]:
        """Those that are recomputed, the first one first."""
        found: list[Segment] = []
        label: _Label | None = self
        while label is not None:
            if label.segment is not None:
                found.append(label.segment)
            label = label.before
        return tuple(found[::-1])


def least(chain: BlockChain, anyway: int = 0) -> CheckpointChoice:
    """The choice that holds least, and of those that hold so much the one that does least again.

    anyway   bytes that are held at another time, whatever is chosen: less than these is no gain
    """
    found = _search(chain, None)
    best = within(chain, max(found.peak, anyway)) if found else None
    if found is None or best is None:
        raise AssertionError("nothing need be done again")
    return best._replace(optimal=found.optimal and best.optimal)


def within(chain: BlockChain, limit: int) -> CheckpointChoice | None:
    """The choice that does least again of those that hold at most ``limit`` bytes; None if none does."""
    return _search(chain, limit)


def kept(chain: BlockChain) -> int:
    """What the step holds where nothing is recomputed."""
    after, casts = _gradients_after(chain.blocks), _casts_before(chain.blocks)
    label = _Label(0, False, 0, (0, 0))
    for k in range(len(chain.blocks)):
        label = _plain(chain, after, casts, label, k)
    return _at_the_loss(chain, casts, label).most


def lower_bound(plan: GradientPlan) -> int:
    """Bytes below which no choice of layers to recompute can go.

    While the gradients of a layer are worked out there is what it keeps, and the gradients of its weights and of all
    behind it.
    """
    behind = 0
    bound = 0
    seen: set[str] = set()
    for layer in reversed(plan.layers):
        if not layer.needs.any:
            continue
        own = {name: size for name, size in layer.weights if name not in seen}
        seen.update(own)
        copies = {copy.name: copy.bytes for copy in layer.casts}  # whose gradients are as narrow at first
        first = sum(min(size, copies.get(name, size)) for name, size in own.items())
        roots = {r for r in (layer.reads[i] for i in layer.keeps.inputs) if r is not None}
        roots |= {r for j in layer.keeps.outputs if (r := plan.root[layer.node.outputs[j]]) is not None}
        there = sum(plan.sizes.of(r) for r in roots if r not in plan.graph.inputs)
        there += sum(map(plan.sizes.of_type, layer.keeps.maps))
        there += sum(copy.bytes for copy in layer.casts if copy.kept)
        bound = max(bound, behind + first + there)
        behind += sum(own.values())
    return bound


def _gradients_after(blocks: list[LayerRange]) -> list[int]:
    """For each edge the bytes of the gradients of all weights behind it."""
    return list(accumulate((b.gradients for b in reversed(blocks)), initial=0))[::-1]


def _casts_before(blocks: list[LayerRange]) -> list[int]:
    """For each edge the bytes of the copies of weights that the blocks before it have made for the forward pass."""
    return list(accumulate((b.casts for b in blocks), initial=0))


def _plain(chain: BlockChain, after: list[int], casts: list[int], label: _Label, k: int) -> _Label:
    """Block ``k`` kept, after ``label``."""
    block = chain.blocks[k]
    way = block.ways[label.holds]
    forward = label.stays - label.cached + casts[k] + way.forward
    backward = way.backward + after[k + 1] + chain.results
    most = max(label.most, forward, label.stays + backward)
    edge = block.given if label.holds or block.keeps_input else 0
    return _Label(
        label.stays + block.inside + edge, block.keeps_output, most, label.again, label,
        cached=label.cached + block.kept_casts,
    )  # fmt: skip


def _at_the_loss(chain: BlockChain, casts: list[int], label: _Label) -> _Label:
    """``label`` with what is there when the results are summed."""
    return label._replace(most=max(label.most, label.stays - label.cached + casts[-1] + chain.results + chain.loss))


def _search(chain: BlockChain, limit: int | None) -> CheckpointChoice | None:
    blocks = chain.blocks
    after, casts = _gradients_after(blocks), _casts_before(blocks)
    labels: list[list[_Label]] = [[] for _ in range(len(blocks) + 1)]
    labels[0] = [_Label(0, False, 0, (0, 0))]
    whole = chain.exact
    runs = [[_runs(chain, after, casts, i, held) for held in (False, True)] for i in range(len(blocks))]
    for k in range(len(blocks)):
        labels[k], cut = _best(labels[k], limit is None)
        whole = whole and not cut
        for label in labels[k]:
            made = _plain(chain, after, casts, label, k)
            if limit is None or made.most <= limit:
                labels[k + 1].append(made)
            for stop, first, most, again in runs[k][label.holds]:
                peak = max(label.most, label.stays - label.cached + first, label.stays + most)
                if limit is None or peak <= limit:
                    segment = Segment(blocks[k].start, blocks[stop - 1].stop)
                    stays = label.stays + blocks[k].given
                    cost = (label.again[0] + again, label.again[1] + segment.stop - segment.start)
                    labels[stop].append(_Label(stays, False, peak, cost, label, segment, label.cached))
    ends = [_at_the_loss(chain, casts, label) for label in labels[-1]]
    last, cut = _best([label for label in ends if limit is None or label.most <= limit], limit is None)
    if not last:
        return None
    best = min(last, key=lambda a: (a.most, a.again) if limit is None else (a.again, a.most))
    return CheckpointChoice(best.segments(), best.most, best.again[0], whole and not cut)


def _runs(chain: BlockChain, after: list[int], casts: list[int], i: int, held: bool) -> list[tuple[int, int, int, int]]:
    """For each run of blocks from ``i`` on that can be recomputed: the block after it, the most of the first forward
    pass, with the copies of weights that were made by then, the most afterwards, the MACs done again.

    The most is told beside what stays of the blocks before.

    held   whether the block before keeps the input of the first
    """
    found = []
    blocks = chain.blocks
    given = blocks[i].given
    forward = 0  # the most of the first forward pass
    again = 0  # of the second, of the blocks that are done whole
    backward = 0  # of the backward pass of these, with the gradients behind them
    inside = 0  # what is kept of these, with the values at their edges
    unread = 0  # copies of weights that are there as long as the second forward pass and no longer
    holds = True
    macs = 0
    for j in range(i, len(blocks)):
        block = blocks[j]
        way, alone = block.ways[holds if j > i else 1 if held else 2], block.ways[j == i]
        edge = given * (j > i)
        forward = max(forward, edge + alone.bare + casts[j])
        if block.keeps:
            pending = block.pending + after[j + 1] + chain.results
            second = max(again + pending, edge + inside + unread + way.again + pending)
            third = max(backward, edge + inside + way.rest + after[j + 1] + chain.results)
            tail = given + block.tail + after[j + 1] + chain.results
            found.append((j + 1, forward, max(second, third, tail), macs + block.again))
        again = max(again, edge + inside + unread + way.forward)
        backward = max(backward, edge + inside + way.backward + after[j + 1] + chain.results)
        if j > i and (holds or block.keeps_input):
            inside += block.given
        inside += block.inside
        unread += block.casts - block.kept_casts
        holds = block.keeps_output
        macs += block.macs
    return found


def _best(labels: list[_Label], by_most: bool) -> tuple[list[_Label], bool]:
    """Those than which no other is as good in all, and whether there were too many of them."""

    def cost(label: _Label) -> tuple[int, ...]:
        return (label.most,) if by_most else label.again

    found: list[_Label] = []
    for holds in (False, True):
        least: dict[int, tuple[int, ...]] = {}  # by what stays in the forward pass
        for label in sorted((a for a in labels if a.holds == holds), key=lambda a: (a.stays, cost(a), a.again)):
            forward = label.stays - label.cached
            if not any(known <= forward and best <= cost(label) for known, best in least.items()):
                least = {known: best for known, best in least.items() if known < forward or best < cost(label)}
                least[forward] = cost(label)
                found.append(label)
    if len(found) <= MOST:
        return found, False
    step = len(found) / MOST
    return [found[int(i * step)] for i in range(MOST)], True
