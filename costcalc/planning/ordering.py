"""The order of steps in which the least lives at once.

What has run is a set; what lives then follows from the set alone. So the best order is the path through these sets
whose worst step is least: it is searched from the side of the small peaks, by Dijkstra's algorithm with the maximum in
place of the sum. A step that frees as much as it makes, and does not exceed the peak that stands anyway, is taken at
once: whatever order runs it later, running it now is no worse. The first complete order found is the best.

Before the search there is a bound: at each step lives at least what it reads and makes, and what its ancestors made for
its descendants. Most networks meet that bound in the order in which they are written.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush

from costcalc.classes import NamedTuple
from costcalc.planning.jobs import Job, Jobs

MOST_SETS = 60_000
"""Sets of steps that are looked at before the search gives up."""


class Order(NamedTuple):
    """The steps in their best known order, by their numbers; the peak; and what no order goes below."""

    steps: tuple[int, ...]
    peak: int
    bound: int


class _Steps:
    """The steps of ``jobs`` as numbers: who reads what, and how many bytes each buffer has."""

    def __init__(self, jobs: Jobs) -> None:
        steps, self.n = jobs.steps, len(jobs.steps)
        size = dict(jobs.inputs)
        maker: dict[str, int] = {}
        for i, job in enumerate(steps):
            for name, count in job.makes:
                size[name], maker[name] = count, i
        self.size, self.maker, self.kept = size, maker, set(jobs.kept)
        self.reads = [tuple(dict.fromkeys(job.reads)) for job in steps]
        self.makes = [tuple(name for name, _ in job.makes) for job in steps]
        self.scratch = [job.scratch + sum(job.more) for job in steps]
        self.readers: dict[str, list[int]] = {name: [] for name in size}
        for i, names in enumerate(self.reads):
            for name in names:
                self.readers[name].append(i)
        self.before = [sorted({maker[v] for v in names if v in maker}) for names in self.reads]
        self.after: list[list[int]] = [[] for _ in steps]
        for i, earlier in enumerate(self.before):
            for j in earlier:
                self.after[j].append(i)
        self.made = [sum(size[v] for v in names) for names in self.makes]
        self.inputs = sum(jobs.inputs.values())
        unread = (name for name in jobs.inputs if not self.readers[name] and name not in self.kept)
        self.unread = sum(map(size.__getitem__, unread))  # is there for the first step, whichever that is

    def bound(self) -> int:
        """What lives at least at some step, whatever the order."""
        above = [0] * self.n  # the ancestors of each step, as a set of bits
        for i in range(self.n):
            for j in self.before[i]:
                above[i] |= above[j] | 1 << j
        below = [0] * self.n
        for i in reversed(range(self.n)):
            for j in self.after[i]:
                below[i] |= below[j] | 1 << j
        needs = [0] * self.n
        # A buffer lives at step i if it is made by an ancestor or there at the start, and read by i or a descendant.
        for name, count in self.size.items():
            where = 0
            for reader in self.readers[name]:
                where |= 1 << reader | above[reader]
            made = self.maker.get(name)
            if name in self.kept:
                where = (1 << self.n) - 1
            if made is not None:
                where = where & below[made] | 1 << made
            while where:
                low = where & -where
                needs[low.bit_length() - 1] += count
                where ^= low
        return max((need + s for need, s in zip(needs, self.scratch, strict=True)), default=self.inputs)


def best_order(jobs: Jobs, most: int = MOST_SETS) -> Order:
    """The order of ``jobs`` in which the least lives at once, and a bound: the two are the same where it is proved.

    most   sets of steps after which the search ends with the order in which the steps are, or a better one met so far
    """
    steps = _Steps(jobs)
    given = _peak(steps, range(steps.n))
    bound = steps.bound()
    if given <= bound:
        return Order(tuple(range(steps.n)), given, given)
    greedy = _eagerly(steps)
    known = min((given, tuple(range(steps.n))), (_peak(steps, greedy), tuple(greedy)))
    return _searched(steps, known, bound, most)


def _peak(steps: _Steps, order: Sequence[int]) -> int:
    left = {name: len(readers) for name, readers in steps.readers.items()}
    now = peak = steps.inputs
    for turn, i in enumerate(order):
        now += steps.made[i]
        peak = max(peak, now + steps.scratch[i])
        now -= 0 if turn else steps.unread
        for name in steps.reads[i]:
            left[name] -= 1
            if not left[name] and name not in steps.kept:
                now -= steps.size[name]
        for name in steps.makes[i]:
            if not left[name] and name not in steps.kept:
                now -= steps.size[name]
    return peak


def _freed(steps: _Steps, i: int, done: int) -> int:
    """Bytes that nothing needs any more once step ``i`` has run after those in ``done``."""
    after = done | 1 << i
    freed = 0
    for name in (*steps.reads[i], *steps.makes[i]):
        if name not in steps.kept and all(after >> reader & 1 for reader in steps.readers[name]):
            freed += steps.size[name]
    return freed


def _eagerly(steps: _Steps) -> list[int]:
    """An order: of the steps that can run always the one after which least lives."""
    waits = [len(before) for before in steps.before]
    ready = [i for i in range(steps.n) if not waits[i]]
    done, order = 0, []
    while ready:
        i = min(ready, key=lambda i: (steps.made[i] - _freed(steps, i, done), i))
        ready.remove(i)
        done |= 1 << i
        order.append(i)
        for j in steps.after[i]:
            waits[j] -= 1
            if not waits[j]:
                ready.append(j)
    return order


def _searched(steps: _Steps, known: tuple[int, tuple[int, ...]], bound: int, most: int) -> Order:
    """The best order, by looking at sets of steps in the order of the peaks that lead to them."""
    whole = (1 << steps.n) - 1
    best, order = known
    start = tuple(i for i in range(steps.n) if not steps.before[i])
    heap: list[tuple[int, int, int, int, tuple[int, ...]]] = [(bound, 0, 0, steps.inputs, start)]
    came: dict[int, tuple[int, int, tuple[int, ...]]] = {}  # set → its peak, the set before it, and the steps between
    seen = 0
    while heap:
        peak, _, done, now, ready = heappop(heap)
        if peak >= best:
            return Order(order, best, best)
        bound = peak  # every order that is not known yet has this peak at least
        if done == whole:
            return Order(_path(came, done), peak, peak)
        seen += 1
        if seen > most:
            return Order(order, best, bound)
        for i in ready:
            top = now + steps.made[i] + steps.scratch[i]
            if top >= best:
                continue
            top = max(peak, top)
            one = _advance(steps, i, done, now, ready, top)
            known_as = came.get(one[0])
            if known_as is not None and known_as[0] <= top:
                continue
            came[one[0]] = (top, done, one[3])
            heappush(heap, (top, -one[0].bit_count(), one[0], one[1], one[2]))
    return Order(order, best, best)


def _advance(
    steps: _Steps, i: int, done: int, now: int, ready: Sequence[int], peak: int
) -> tuple[int, int, tuple[int, ...], tuple[int, ...]]:
    """Run step ``i``, and then all that frees as much as it makes within ``peak``: the set, the bytes, what can run
    next, and what was run."""
    waiting, ran, todo = dict.fromkeys(ready), [], [i]
    while todo:
        step = todo.pop()
        now += steps.made[step] - _freed(steps, step, done) - (0 if done else steps.unread)
        done |= 1 << step
        del waiting[step]
        ran.append(step)
        for j in steps.after[step]:
            if all(done >> k & 1 for k in steps.before[j]):
                waiting[j] = None
        for j in waiting:
            fits = now + steps.made[j] + steps.scratch[j] <= peak
            if fits and steps.made[j] <= _freed(steps, j, done):
                todo = [j]
                break
    return done, now, tuple(waiting), tuple(ran)


def _path(came: dict[int, tuple[int, int, tuple[int, ...]]], done: int) -> tuple[int, ...]:
    found: list[tuple[int, ...]] = []
    while done:
        _, done, ran = came[done]
        found.append(ran)
    return tuple(i for ran in reversed(found) for i in ran)


def reordered(jobs: Jobs, order: Sequence[int]) -> Jobs:
    """``jobs`` in ``order``."""
    steps: list[Job] = [jobs.steps[i] for i in order]
    return jobs._replace(steps=tuple(steps))
