"""Why the figures changed: causes whose effects add up exactly to the change.

The causes are applied to the old graph one after another, in the order of ``KINDS`` and within a kind in
the order of the graph, and each is told what the figures changed by when it was applied. Shapes are
inferred anew each time, so a stride that doubles the maps of fifty layers below it is one cause with one
place in the file. What is left at the end is the difference of the two skeletons: layers added, removed
or replaced, and whatever their neighbours change because of them. Sums telescope, so nothing is lost and
nothing is counted twice; an effect that two causes have only together goes to the later one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from costcalc.analysis.roofline import Machine
from costcalc.diff.align import Pairs, repeats
from costcalc.diff.layers import NOTHING, Entry, Share, minus, plus
from costcalc.diff.records import Cause
from costcalc.diff.replay import Replay, State
from costcalc.errors import Place
from costcalc.ir.tensor import TensorType

OPTION_KINDS = {
    "width": "out_channels out_features channels features hidden_size head_dim dim num_features size_per_head width",
    "groups": "groups heads num_heads",
    "kernel": "kernel window window_size",
    "stride": "stride",
    "dilation": "dilation",
    "padding": "padding output_padding ceil_mode",
    "resolution": "size scale scale_factor output_size",
}
KIND_OF = {option: kind for kind, options in OPTION_KINDS.items() for option in options.split()}
KINDS = ("resolution", "batch", "input", "width", "groups", "kernel", "stride", "dilation", "padding", "options")
"""The order in which causes are applied; then the layers that are on one side only."""
STRUCTURAL = ("depth", "added", "removed", "op", "wiring")

MOST_STEPS = 40
"""Past this many places that changed, one kind is one step."""


class Site(NamedTuple):
    """One change that a user made to one layer or input: old index, what kind, which options."""

    at: int
    kind: str
    options: tuple[tuple[str, Any, Any], ...]


def option_changes(old: Entry, new: Entry) -> tuple[tuple[str, Any, Any], ...]:
    """(option, old, new) for those that differ between two uses of an op."""
    if old.node is None or new.node is None or old.op != new.op:
        return ()
    before, after = old.node.op.__dict__, new.node.op.__dict__
    return tuple((name, before[name], after[name]) for name in before if before[name] != after.get(name))


def find_causes(
    old: list[Entry], new: list[Entry], pairs: Pairs, bits: int | None, machine: Machine | None
) -> tuple[Cause, ...]:
    """The causes of every change between ``old`` and ``new``, aligned by ``pairs``."""
    partner = {i: j for i, j in pairs if old[i].op == new[j].op}
    goals = {
        i: State(e.node.op if e.node else None, e.takes, e.makes) for i, j in partner.items() for e in (new[j],)
    }  # fmt: skip
    follows = {i: _width_of_input(old[i], new[j]) for i, j in partner.items()}
    follows = {i: options for i, options in follows.items() if options}
    sites = [site for i, j in partner.items() for site in _sites(i, old[i], new[j], follows.get(i, {}))]
    replay = Replay(old, goals, follows, bits, machine)
    so_far = [e.share for e in old]
    causes = []
    for group in _steps(sites, {i: new[j] for i, j in partner.items()}):
        inputs, options = _to_apply(group, old, new, partner)
        effects = replay.step(inputs, options)
        for i, effect in effects.items():
            so_far[i] = plus(so_far[i], effect)
        causes.append(_cause(group, effects, new, partner))
    causes += _skeleton(old, new, pairs, partner, replay, so_far)
    return tuple(causes)


def _width_of_input(old: Entry, new: Entry) -> dict[str, Any]:
    """The new options of a layer with a group for each input channel, before and after."""
    if old.node is None or new.node is None:
        return {}
    before, after = old.node.op.__dict__, new.node.op.__dict__
    if not {"groups", "out_channels"} <= before.keys() or before["groups"] == after["groups"]:
        return {}
    depthwise = before["groups"] == old.takes[0].shape[1] and after["groups"] == new.takes[0].shape[1]
    if not depthwise or before["out_channels"] * after["groups"] != after["out_channels"] * before["groups"]:
        return {}
    return {"groups": after["groups"], "out_channels": after["out_channels"]}


def _sites(index: int, old: Entry, new: Entry, follows: dict[str, Any]) -> Iterator[Site]:
    if old.node is None:
        (a,), (b,) = old.makes, new.makes
        yield from (Site(index, kind, (change,)) for kind, change in _input_changes(a, b))
        return
    changed = option_changes(old, new)
    kinds = {name: KIND_OF.get(name, "options") for name, *_ in changed}
    for leader in ("kernel", "dilation"):
        if leader in kinds and kinds.get("padding") == "padding":
            kinds["padding"] = kinds[leader]
    for kind in KINDS:
        own = tuple(change for change in changed if kinds[change[0]] == kind and change[0] not in follows)
        if own:
            yield Site(index, kind, own)


def _input_changes(a: TensorType, b: TensorType) -> Iterator[tuple[str, tuple[str, Any, Any]]]:
    if a == b:
        return
    if len(a.shape) != len(b.shape) or a.dtype != b.dtype:
        yield "input", ("type", f"{a.dtype} {a}", f"{b.dtype} {b}")
        return
    first = 2 if len(a.shape) > 2 else 1
    if a.shape[first:] != b.shape[first:]:
        yield "resolution", ("size", "×".join(map(str, a.shape[first:])), "×".join(map(str, b.shape[first:])))
    if a.shape[0] != b.shape[0]:
        yield "batch", ("batch", a.shape[0], b.shape[0])
    if a.shape[1:first] != b.shape[1:first]:
        yield "input", ("channels", a.shape[1], b.shape[1])


def _steps(sites: list[Site], after: dict[int, Entry]) -> Iterator[list[Site]]:
    """The sites in the order in which they are applied: those of one kind on one line of a file together."""
    groups: dict[tuple[int, str], list[Site]] = {}
    for site in sites:
        entry = after[site.at]
        line = entry.place.short if entry.place else entry.name
        groups.setdefault((KINDS.index(site.kind), line), []).append(site)
    if len(groups) > MOST_STEPS:
        groups = {}
        for site in sites:
            groups.setdefault((KINDS.index(site.kind), ""), []).append(site)
    for _, group in sorted(groups.items(), key=lambda item: item[0][0]):
        yield group


def _to_apply(
    group: list[Site], old: list[Entry], new: list[Entry], partner: dict[int, int]
) -> tuple[dict[int, TensorType], dict[int, dict[str, Any]]]:
    inputs: dict[int, TensorType] = {}
    options: dict[int, dict[str, Any]] = {}
    for site in group:
        if old[site.at].node is not None:
            options.setdefault(site.at, {}).update((name, value) for name, _, value in site.options)
            continue
        a, b = old[site.at].makes[0], new[partner[site.at]].makes[0]
        if len(a.shape) != len(b.shape):
            inputs[site.at] = b
            continue
        first = 2 if len(a.shape) > 2 else 1
        # Resolution comes first, then batch, then the rest; each keeps what those before it changed.
        done = KINDS.index(site.kind)
        shape = (
            b.shape[0] if done >= KINDS.index("batch") else a.shape[0],
            *(b.shape[1:first] if done >= KINDS.index("input") else a.shape[1:first]),
            *b.shape[first:],
        )
        inputs[site.at] = TensorType(shape, b.dtype if site.kind == "input" else a.dtype)
    return inputs, options


def _cause(group: list[Site], effects: dict[int, Share], new: list[Entry], partner: dict[int, int]) -> Cause:
    first = new[partner[group[0].at]]
    texts = dict.fromkeys(", ".join(f"{name} {_short(a)}→{_short(b)}" for name, a, b in s.options) for s in group)
    says, *others = texts
    if others:
        says = f"{says} and other {group[0].options[0][0]}" if len(others) > 2 else "; ".join(texts)
    more = f" and {len(group) - 1} more" if len(group) > 1 else ""
    where = [(new[partner[i]], effect) for i, effect in effects.items() if i in partner]
    return Cause(
        group[0].kind, f"{says} ({first.name}{more})", first.place, len(group), _sum(effects.values()), _largest(where)
    )  # fmt: skip


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
                rewired = start("wiring", f"other inputs, or tensors shared or viewed otherwise ({b.name})", b.place, 0)
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
        place = new[j].place
        groups.setdefault((old[i].op, new[j].op, place.short if place else ""), []).append((i, j))
    for (was, now, _), same in groups.items():
        first = new[same[0][1]]
        more = f" and {len(same) - 1} more" if len(same) > 1 else ""
        yield f"{was}→{now} ({first.name}{more})", first.place, same


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
    place = next((e.place for e in run if e.place), None)
    return "depth" if depth else kind, says, place, end - begin


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
    return tuple((e.name, e.place, effect) for e, effect in ranked if any(effect))


def _sum(shares: Iterable[Share]) -> Share:
    return tuple(map(sum, zip(NOTHING, *shares, strict=True)))


def _short(value: Any) -> str:
    if isinstance(value, tuple):
        return "×".join(map(str, value)) if not any(isinstance(v, tuple) for v in value) else str(value)
    return str(value)
