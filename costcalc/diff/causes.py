"""Why the figures changed: causes whose effects add up exactly to the change.

The causes are applied to the old graph one after another, in the order of ``sites.KINDS`` and within a kind in
the order of the graph, and each is told what the figures changed by when it was applied. Shapes are
inferred anew each time, so a stride that doubles the maps of fifty layers below it is one cause with one
place in the file. What is left at the end is the difference of the two skeletons: layers added, removed
or replaced, and whatever their neighbours change because of them. Sums telescope, so nothing is lost and
nothing is counted twice; an effect that two causes have only together goes to the later one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from costcalc.analysis.roofline import Machine
from costcalc.diff.align import Pairs, repeats
from costcalc.diff.layers import NOTHING, Entry, Share, common_place, minus, own_place, plus
from costcalc.diff.records import Cause
from costcalc.diff.replay import Replay, State
from costcalc.diff.sites import Site, find_sites, in_steps, to_apply, width_of_input
from costcalc.errors import Place


def find_causes(
    old: list[Entry], new: list[Entry], pairs: Pairs, bits: int | None, machine: Machine | None
) -> tuple[Cause, ...]:
    """The causes of every change between ``old`` and ``new``, aligned by ``pairs``."""
    partner = {i: j for i, j in pairs if old[i].op == new[j].op}
    goals = {
        i: State(e.node.op if e.node else None, e.takes, e.makes) for i, j in partner.items() for e in (new[j],)
    }  # fmt: skip
    follows = {i: width_of_input(old[i], new[j]) for i, j in partner.items()}
    follows = {i: options for i, options in follows.items() if options}
    sites = [site for i, j in partner.items() for site in find_sites(i, old[i], new[j], follows.get(i, {}))]
    replay = Replay(old, goals, follows, bits, machine)
    so_far = [e.share for e in old]
    causes = []
    for place, group in in_steps(sites, new, partner):
        inputs, options = to_apply(group, old, new, partner)
        effects = replay.step(inputs, options)
        for i, effect in effects.items():
            so_far[i] = plus(so_far[i], effect)
        causes.append(_cause(place, group, effects, new, partner))
    causes += _skeleton(old, new, pairs, partner, replay, so_far)
    return tuple(causes)


def _cause(
    place: Place | None, group: list[Site], effects: dict[int, Share], new: list[Entry], partner: dict[int, int]
) -> Cause:
    first = new[partner[group[0].at]]
    texts = dict.fromkeys(", ".join(f"{name} {_short(a)}→{_short(b)}" for name, a, b in s.options) for s in group)
    says, *others = texts
    if others:
        says = f"{says} and other {group[0].options[0][0]}" if len(others) > 2 else "; ".join(texts)
    more = f" and {len(group) - 1} more" if len(group) > 1 else ""
    where = [(new[partner[i]], effect) for i, effect in effects.items() if i in partner]
    effect = _sum(effects.values())
    return Cause(group[0].kind, f"{says} ({first.name}{more})", place, len(group), effect, _largest(where))


def _skeleton(
    old: list[Entry], new: list[Entry], pairs: Pairs, partner: dict[int, int], replay: Replay, so_far: list[Share]
) -> list[Cause]:
    """The causes in what one graph has and the other has not."""
    runs: list[tuple[str, str, Place | None, int]] = []
    effects: list[list[tuple[Entry, Share]]] = []
    run_of_old: dict[str, int] = {}
    run_of_new: dict[str, int] = {}

    def start(kind: str, says: str, place: Place | None, layers: int) -> int:
        runs.append((kind, says, place, layers))
        effects.append([])
        return len(runs) - 1

    for says, place, same in _replacements(old, new, [pair for pair in pairs if pair[0] not in partner]):
        run = start("op", says, place, len(same))
        for i, j in same:
            effects[run].append((new[j], minus(new[j].share, so_far[i])))
            run_of_old.update(dict.fromkeys(old[i].outputs, run))
            run_of_new.update(dict.fromkeys(new[j].outputs, run))
    for begin, end in _runs(len(old), {i for i, _ in pairs}):
        run = start(*_named("removed", old, begin, end))
        for e, share in zip(old[begin:end], so_far[begin:end], strict=True):
            effects[run].append((e, minus(NOTHING, share)))
            run_of_old.update(dict.fromkeys(e.outputs, run))
    for begin, end in _runs(len(new), {j for _, j in pairs}):
        run = start(*_named("added", new, begin, end))
        for e in new[begin:end]:
            effects[run].append((e, e.share))
            run_of_new.update(dict.fromkeys(e.outputs, run))

    # Layers that both have, but that are not yet as in the new graph: because of a neighbour that came or went.
    rewired: int | None = None
    for i, j in partner.items():
        a, b, state = old[i], new[j], replay.states[i]
        if state.takes == b.takes and state.makes == b.makes and so_far[i] == b.share:
            continue
        blame = _blame(a, b, state, run_of_old, run_of_new)
        if blame is None:
            if rewired is None:
                rewired = start(
                    "wiring", f"other inputs, or tensors shared or viewed otherwise ({b.name})", own_place(b.place), 0
                )
            blame = rewired
        if state.makes != b.makes:
            run_of_new.update(dict.fromkeys(b.outputs, blame))
        effects[blame].append((b, minus(b.share, so_far[i])))
    return [
        Cause(kind, says, place, layers or len(own), _sum(effect for _, effect in own), _largest(own))
        for (kind, says, place, layers), own in zip(runs, effects, strict=True)
        if layers or any(any(effect) for _, effect in own)
    ]


def _replacements(old: list[Entry], new: list[Entry], pairs: Pairs) -> Iterator[tuple[str, Place | None, Pairs]]:
    """Layers whose op was replaced, those of one line and one replacement together."""
    groups: dict[tuple[str, str, str], Pairs] = {}
    for i, j in pairs:
        place = own_place(new[j].place)
        groups.setdefault((old[i].op, new[j].op, place.short if place else ""), []).append((i, j))
    for (was, now, _), same in groups.items():
        first = new[same[0][1]]
        more = f" and {len(same) - 1} more" if len(same) > 1 else ""
        yield f"{was}→{now} ({first.name}{more})", own_place(first.place), same


def _blame(a: Entry, b: Entry, state: State, run_of_old: dict[str, int], run_of_new: dict[str, int]) -> int | None:
    """The run of layers because of which a paired layer is not as it would have been."""
    sides = zip(a.inputs, b.inputs, state.takes, b.takes, strict=False)
    for was, now, takes, wants in sides:
        if takes != wants:
            found = run_of_new.get(now, run_of_old.get(was))
            if found is not None:
                return found
    for was, now in zip(a.inputs, b.inputs, strict=False):
        found = run_of_new.get(now, run_of_old.get(was))
        if found is not None:
            return found
    return None


def _runs(n: int, paired: set[int]) -> Iterator[tuple[int, int]]:
    begin = 0
    for i in (*sorted(paired), n):
        if begin < i:
            yield begin, i
        begin = i + 1


def _named(kind: str, entries: list[Entry], begin: int, end: int) -> tuple[str, str, Place | None, int]:
    run = entries[begin:end]
    depth = repeats(entries, begin, end)
    count = f"{end - begin} layer" + "s" * (end - begin > 1)
    says = f"{'+' if kind == 'added' else '-'}{count}: {common_name(run, entries)}"
    return "depth" if depth else kind, says, common_place(run), end - begin


def common_name(run: list[Entry], entries: list[Entry]) -> str:
    """The shortest name for neighbouring layers: a block's if they are all of it, else the first … the last."""
    paths = [e.name.split(".") for e in run]
    shared = 0
    while all(len(p) > shared and p[shared] == paths[0][shared] for p in paths):
        shared += 1
    block = ".".join(paths[0][:shared])
    if shared and len(run) == sum(e.name == block or e.name.startswith(block + ".") for e in entries):
        return block
    heads = list(dict.fromkeys(".".join(p[: shared + 1]) for p in paths))
    return heads[0] if len(heads) == 1 else f"{heads[0]} … {heads[-1]}"


def _largest(where: Iterable[tuple[Entry, Share]], most: int = 5) -> tuple[tuple[str, Place | None, Share], ...]:
    ranked = sorted(where, key=lambda item: [-abs(x) for x in item[1]])[:most]
    return tuple((e.name, own_place(e.place), effect) for e, effect in ranked if any(effect))


def _sum(shares: Iterable[Share]) -> Share:
    return tuple(map(sum, zip(NOTHING, *shares, strict=True)))


def _short(value: Any) -> str:
    if isinstance(value, tuple):
        return "×".join(map(str, value)) if not any(isinstance(v, tuple) for v in value) else str(value)
    return str(value)
