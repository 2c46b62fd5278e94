"""The search for a packing within a given height, in plain loops over lists of numbers.

Tensors stack up over sections of time; ``floor`` is how far each section is filled. At a valley, a run of sections with
equal floors between higher walls, something lies on the floor of a section next, or nothing ever does: so a node of the
search takes one section of a valley and tries each tensor that fits into the valley there, and at last leaves the floor
empty up to the next height at which anything could lie. The section with the fewest ways is taken, weighed by how often
its like ran into a dead end ("fail first"; conflict-directed weights). After each step every section asks whether its
tensors, each from the lowest place that is left to it, still end below the height: the bound of one machine with
release dates. All choices that are left out have an equal in those that are tried, so a search that ends without a
packing is a proof that there is none.

What is built here is sound for packings in which each tensor rests on the floor or on another; any packing can be
pushed down to such a one. The idea of bottom-up canonical packings over sections is that of M. D. Moffitt, "MiniMalloc:
A Lightweight Memory Allocator for Hardware-Accelerated Machine Learning", ASPLOS 2023; the branching at a section of a
valley, the bound and the weights are those of this file.

Nothing here allocates, calls another module, or uses what a compiler of plain loops does not know: where numba is
installed ``compiled`` runs these very functions as machine code.
"""

from __future__ import annotations

from costcalc.classes import NamedTuple
from costcalc.packing.problem import Problem

FOUND, NONE, STOPPED = 1, 0, -1
"""How a search ended: with a packing, with the proof that there is none, at the limit of nodes."""
FAR = 1 << 60
DEAD_END = 16
"""What a dead end adds to the weight of a section, which begins with as much."""
FLOOR, TOP, READY, LEAST, BASE, PLACED = 0, 1, 2, 3, 4, 5


class SearchState(NamedTuple):
    """How far the search is; lists (or arrays) of numbers, made by ``search.SearchState``.

    floor     by section: nothing can be put below it any more
    top       by section: the end of the highest tensor that lies there
    rest      by section: the sizes of the tensors that are not placed yet
    open      by section: how many these are
    ready     by section: how many of them could lie on its floor
    least     by section: the smallest size of those
    mark      by section: whether it is to be looked at again
    weight    by section: ``DEAD_END``, and that for each dead end in this run
    base      by tensor: the lowest place that is left to it
    offset    by tensor: where it lies, or -1
    rank      by tensor: those with more are tried first
    kind, what, was   by change, to be undone: which list, which place in it, and what was there; ``used[0]`` of them
    began, section, raised, way, ways_end   by choice that is open: the changes before it, its section, the floor that
              is left to try or -1, and the places in ``ways`` of the tensors that are left to try
    ways      tensors, those of each open choice side by side
    bases, sizes      room to sort the tensors of a section
    """

    floor: list[int]
    top: list[int]
    rest: list[int]
    open: list[int]
    ready: list[int]
    least: list[int]
    mark: list[int]
    weight: list[int]
    base: list[int]
    offset: list[int]
    rank: list[int]
    kind: list[int]
    what: list[int]
    was: list[int]
    used: list[int]
    began: list[int]
    section: list[int]
    raised: list[int]
    way: list[int]
    ways_end: list[int]
    ways: list[int]
    bases: list[int]
    sizes: list[int]


def begin(p: Problem, s: SearchState) -> None:
    """Nothing is placed."""
    for k in range(len(s.floor)):
        s.floor[k] = 0
        s.top[k] = 0
        s.rest[k] = p.load[k]
        s.open[k] = p.of_section[k + 1] - p.of_section[k]
        s.ready[k] = s.open[k]
        s.mark[k] = 0
        s.weight[k] = DEAD_END
        least = FAR
        for m in range(p.of_section[k], p.of_section[k + 1]):
            least = min(least, p.size[p.members[m]])
        s.least[k] = least
    for t in range(len(s.base)):
        s.base[t] = 0
        s.offset[t] = -1


def choose(p: Problem, s: SearchState, height: int) -> int:
    """The section of a valley with the fewest ways to go on, weighed by its dead ends."""
    n = len(s.floor)
    best, found = FAR, -1
    k = 0
    while k < n:
        if s.open[k] == 0:
            k += 1
            continue
        a, f = k, s.floor[k]
        least = FAR
        while k < n and s.open[k] > 0 and s.floor[k] == f:
            least = min(least, s.least[k])
            k += 1
        wall = FAR
        if a > 0 and s.open[a - 1] > 0:
            wall = s.floor[a - 1]
        if k < n and s.open[k] > 0:
            wall = min(wall, s.floor[k])
        if wall < f:
            continue
        lift = min(wall - f, least)
        for c in range(a, k):
            ways = s.ready[c]
            slack = height - f - s.rest[c]
            if (lift <= slack and k - a > 1) or wall - f <= slack:
                ways += 1
            if ways <= 1:
                return c
            key = (ways << 32) // s.weight[c]
            if key < best:
                best, found = key, c
    return found


def note(s: SearchState, kind: int, what: int, was: int) -> None:
    """Remember a change."""
    n = s.used[0]
    s.kind[n] = kind
    s.what[n] = what
    s.was[n] = was
    s.used[0] = n + 1


def undo(p: Problem, s: SearchState, until: int) -> int:
    """Take the changes back, down to the first ``until``; how many tensors are no longer placed."""
    n, taken = s.used[0], 0
    while n > until:
        n -= 1
        kind, i, was = s.kind[n], s.what[n], s.was[n]
        if kind == BASE:
            s.base[i] = was
        elif kind == FLOOR:
            s.floor[i] = was
        elif kind == READY:
            s.ready[i] = was
        elif kind == LEAST:
            s.least[i] = was
        elif kind == TOP:
            s.top[i] = was
        else:
            s.offset[i] = -1
            taken += 1
            for k in range(p.start[i], p.end[i]):
                s.rest[k] += p.size[i]
                s.open[k] += 1
    s.used[0] = n
    return taken


def raise_base(p: Problem, s: SearchState, t: int, to: int) -> None:
    """Tensor ``t`` cannot lie below ``to``; its sections are to be looked at again."""
    note(s, BASE, t, s.base[t])
    s.base[t] = to
    for k in range(p.start[t], p.end[t]):
        s.mark[k] = 1


def put(p: Problem, s: SearchState, t: int) -> None:
    """Place tensor ``t`` at the lowest place that is left to it."""
    at = s.base[t]
    end = at + p.size[t]
    note(s, PLACED, t, 0)
    s.offset[t] = at
    for k in range(p.start[t], p.end[t]):
        note(s, FLOOR, k, s.floor[k])
        note(s, TOP, k, s.top[k])
        s.floor[k] = end
        s.top[k] = end
        s.rest[k] -= p.size[t]
        s.open[k] -= 1
        s.mark[k] = 1
    for m in range(p.of_tensor[t], p.of_tensor[t + 1]):
        u = p.near[m]
        if s.offset[u] < 0 and s.base[u] < end:
            raise_base(p, s, u, end)


def lift(p: Problem, s: SearchState, k: int, to: int) -> None:
    """Nothing lies below ``to`` in section ``k``."""
    note(s, FLOOR, k, s.floor[k])
    s.floor[k] = to
    s.mark[k] = 1
    for m in range(p.of_section[k], p.of_section[k + 1]):
        u = p.members[m]
        if s.offset[u] < 0 and s.base[u] < to:
            raise_base(p, s, u, to)


def tighten(p: Problem, s: SearchState, height: int) -> bool:
    """Look again at each section that is marked; whether all of them can still end within ``height``."""
    possible = True
    for k in range(len(s.floor)):
        if s.mark[k] == 0:
            continue
        s.mark[k] = 0
        if not possible or s.open[k] == 0:
            continue
        low, high, ready, least = FAR, 0, 0, FAR
        for m in range(p.of_section[k], p.of_section[k + 1]):
            t = p.members[m]
            if s.offset[t] >= 0:
                continue
            base = s.base[t]
            if base > high:
                high = base
            if base < low:
                low, ready, least = base, 1, p.size[t]
            elif base == low:
                ready += 1
                if p.size[t] < least:
                    least = p.size[t]
        if low + s.rest[k] > height or (high + s.rest[k] > height and ends_above(p, s, k, height)):
            s.weight[k] += DEAD_END
            possible = False
            continue
        if low != s.floor[k]:
            note(s, FLOOR, k, s.floor[k])
            s.floor[k] = low
        if ready != s.ready[k]:
            note(s, READY, k, s.ready[k])
            s.ready[k] = ready
        if least != s.least[k]:
            note(s, LEAST, k, s.least[k])
            s.least[k] = least
    return possible


def ends_above(p: Problem, s: SearchState, k: int, height: int) -> bool:
    """Whether the tensors of section ``k``, in the order of their lowest places, end above ``height``."""
    n = 0
    for m in range(p.of_section[k], p.of_section[k + 1]):
        t = p.members[m]
        if s.offset[t] < 0:
            base, i = s.base[t], n - 1
            while i >= 0 and s.bases[i] < base:
                s.bases[i + 1] = s.bases[i]
                s.sizes[i + 1] = s.sizes[i]
                i -= 1
            s.bases[i + 1] = base
            s.sizes[i + 1] = p.size[t]
            n += 1
    above = 0
    for i in range(n):
        above += s.sizes[i]
        if s.bases[i] + above > height:
            return True
    return False


def rests(p: Problem, s: SearchState, t: int) -> bool:
    """Whether tensor ``t``, at its lowest place, lies on the ground or on another tensor."""
    at = s.base[t]
    if at == 0:
        return True
    for k in range(p.start[t], p.end[t]):  # noqa: SIM110 (a compiler of plain loops takes no generators)
        if s.top[k] == at:
            return True
    return False


def spans(p: Problem, s: SearchState, t: int) -> bool:
    """Whether tensor ``t`` covers all that can still be filled between two sections that are full, and lies on it flat.

    It can then lie there: what any packing has below it may as well be above it.
    """
    at, a, b = s.base[t], p.start[t], p.end[t]
    if (a > 0 and s.open[a - 1] > 0) or (b < len(s.floor) and s.open[b] > 0):
        return False
    for k in range(a, b):  # noqa: SIM110
        if s.top[k] != at:
            return False
    return True


def next_floor(p: Problem, s: SearchState, k: int) -> int:
    """The lowest place above its floor at which anything could lie in section ``k``; ``FAR`` if there is none.

    That is where a tensor that does not fit into the valley is let in, or the end of one in the valley beside ``k``
    that has a tensor of ``k`` on it.
    """
    f, found = s.floor[k], FAR
    a, b = k, k + 1
    for m in range(p.of_section[k], p.of_section[k + 1]):
        t = p.members[m]
        if s.offset[t] < 0:
            if s.base[t] > f:
                found = min(found, s.base[t])
            else:
                a = min(a, p.start[t])
                b = max(b, p.end[t])
    for q in range(a, b):
        m = p.of_section[q + 1] - 1
        while m >= p.of_section[q] and (
            q == a or p.start[p.members[m]] == q
        ):  # they stand in the order of their starts
            u = p.members[m]
            if s.offset[u] < 0 and s.base[u] == f and (p.end[u] <= k or p.start[u] > k):
                found = min(found, f + p.size[u])
            m -= 1
    return found


def open_choice(p: Problem, s: SearchState, depth: int, height: int) -> None:
    """Write down as choice ``depth`` what could come next: the tensors by their rank, and the next floor."""
    k = choose(p, s, height)
    f = s.floor[k]
    first = n = s.ways_end[depth - 1] if depth > 0 else 0
    raised = -1
    if height - f - s.rest[k] > 0:
        raised = next_floor(p, s, k)
        if raised + s.rest[k] > height:
            raised = -1
    for m in range(p.of_section[k], p.of_section[k + 1]):
        t = p.members[m]
        if s.offset[t] >= 0 or s.base[t] != f or not rests(p, s, t):
            continue
        if spans(p, s, t):
            s.ways[first] = t
            n, raised = first + 1, -1
            break
        i = n
        same = False
        while i > first and s.rank[s.ways[i - 1]] < s.rank[t]:
            i -= 1
        for j in range(first, n):
            u = s.ways[j]
            if p.size[u] == p.size[t] and p.start[u] == p.start[t] and p.end[u] == p.end[t]:
                same = True
        if same:
            continue
        j = n
        while j > i:
            s.ways[j] = s.ways[j - 1]
            j -= 1
        s.ways[i] = t
        n += 1
    s.began[depth] = s.used[0]
    s.section[depth] = k
    s.raised[depth] = raised
    s.way[depth] = first
    s.ways_end[depth] = n


def search(p: Problem, s: SearchState, height: int, limit: int) -> tuple[int, int]:
    """Place all tensors within ``height``, after at most ``limit`` nodes; how it ended, and the nodes that it took.

    With ``FOUND`` the offsets are in ``s.offset``.
    """
    begin(p, s)
    s.used[0] = 0
    left, nodes, depth, possible = len(s.base), 0, 0, True
    while True:
        if possible:
            if left == 0:
                return FOUND, nodes
            full = depth + 1 >= len(s.began) or s.used[0] + 8 * len(p.members) > len(s.kind)
            if full or (depth > 0 and s.ways_end[depth - 1] + len(s.base) > len(s.ways)):
                return STOPPED, nodes
            open_choice(p, s, depth, height)
            depth += 1
        possible = False
        while not possible:
            if depth == 0:
                return NONE, nodes
            d = depth - 1
            left += undo(p, s, s.began[d])
            if s.way[d] < s.ways_end[d]:
                put(p, s, s.ways[s.way[d]])
                s.way[d] += 1
                left -= 1
            elif s.raised[d] >= 0:
                lift(p, s, s.section[d], s.raised[d])
                s.raised[d] = -1
            else:
                depth -= 1
                continue
            nodes += 1
            if nodes > limit:
                return STOPPED, nodes
            possible = tighten(p, s, height)


KERNEL = (
    begin, choose, note, undo, raise_base, put, lift, ends_above, tighten, rests, spans, next_floor, open_choice, search
)  # fmt: skip
"""Each before those that call it."""
