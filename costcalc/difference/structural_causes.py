"""What one graph has and the other has not: the last causes, and what they do to their neighbours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import accumulate

from costcalc.analysis.amounts import Amounts
from costcalc.difference.align import Pairs, repeats
from costcalc.difference.entries import Entry, common_location, largest, own_location
from costcalc.difference.records import Cause
from costcalc.difference.replay import LayerState
from costcalc.errors import Location

IDLE = ("macs", "ops", "params", "buffers")
"""What layers that only move data have nothing of."""


class LayerRun:
    """Layers next to each other that came or went together, or had their op replaced; and all that this changes.

    moves_data    whether they only move data: no arithmetic, no weights
    """

    def __init__(
        self, kind: str, description: str, location: Location | None, layers: int, moves_data: bool = False
    ) -> None:
        self.kind, self.description, self.location, self.layers, self.moves_data = (
            kind,
            description,
            location,
            layers,
            moves_data,
        )
        self.effects: list[tuple[Entry, Amounts]] = []

    def cause(self) -> Cause | None:
        """The run as a cause; None if nothing came of it."""
        if not self.layers and not any(any(effect.values()) for _, effect in self.effects):
            return None
        effect = Amounts.sum(effect for _, effect in self.effects)
        return Cause(
            self.kind, self.description, self.location, self.layers or len(self.effects), effect, largest(self.effects)
        )


def structural_causes(
    old: list[Entry],
    new: list[Entry],
    pairs: Pairs,
    partner: dict[int, int],
    states: list[LayerState],
    so_far: list[Amounts],
    size_changed: bool,
) -> tuple[list[Cause], list[tuple[Entry, Amounts]]]:
    """The causes, and what belongs to the change of the input's size instead.

    states, so_far   of each old layer, after all options were applied
    size_changed     whether an input has another size: then layers that only move data, such as padding to whole
                     windows, came because of it, and what lies behind them changed because of it
    """
    runs: list[LayerRun] = []
    run_of_old: dict[str, LayerRun] = {}
    run_of_new: dict[str, LayerRun] = {}

    for description, location, same in _replacements(old, new, [pair for pair in pairs if pair[0] not in partner]):
        run = LayerRun("op", description, location, len(same))
        runs.append(run)
        for i, j in same:
            run.effects.append((new[j], new[j].contribution - so_far[i]))
            run_of_old.update(dict.fromkeys(old[i].outputs, run))
            run_of_new.update(dict.fromkeys(new[j].outputs, run))
    sizes = block_sizes(old)
    for begin, end in _runs(len(old), {i for i, _ in pairs}):
        run = _named("removed", old, begin, end, sizes)
        runs.append(run)
        for e, contribution in zip(old[begin:end], so_far[begin:end], strict=True):
            run.effects.append((e, Amounts() - contribution))
            run_of_old.update(dict.fromkeys(e.outputs, run))
    sizes = block_sizes(new)
    for begin, end in _runs(len(new), {j for _, j in pairs}):
        run = _named("added", new, begin, end, sizes)
        runs.append(run)
        for e in new[begin:end]:
            run.effects.append((e, e.contribution))
            run_of_new.update(dict.fromkeys(e.outputs, run))

    # Layers that both have, but that are not yet as in the new graph: because of a neighbour that came or went.
    rewired: LayerRun | None = None
    regrouped: LayerRun | None = None
    resized: list[tuple[Entry, Amounts]] = []
    for i, j in partner.items():
        a, b, state = old[i], new[j], states[i]
        if state.takes == b.takes and state.makes == b.makes and so_far[i] == b.contribution:
            continue
        found = _behind(a, b, state, run_of_old, run_of_new)
        if found is None and (a.kernel or b.kernel):
            found = _in_kernel(a, b, run_of_old, run_of_new)
            if found is None and state.takes == b.takes and state.makes == b.makes:
                if regrouped is None:
                    regrouped = LayerRun(
                        "fusion", f"kernels do other layers together ({b.name} first)", own_location(b.location), 0
                    )
                    runs.append(regrouped)
                found = regrouped
        if found is None:
            if rewired is None:
                description = f"other inputs, or tensors shared or viewed otherwise ({b.name})"
                rewired = LayerRun("wiring", description, own_location(b.location), 0)
                runs.append(rewired)
            found = rewired
        if state.makes != b.makes:
            run_of_new.update(dict.fromkeys(b.outputs, found))
        effect = b.contribution - so_far[i]
        if size_changed and found.moves_data:
            resized.append((b, effect))
        else:
            found.effects.append((b, effect))
    return [cause for run in runs if (cause := run.cause())], resized


def _behind(
    a: Entry, b: Entry, state: LayerState, run_of_old: dict[str, LayerRun], run_of_new: dict[str, LayerRun]
) -> LayerRun | None:
    """The run because of which a paired layer is not as it would have been: of an input that differs, else of any."""
    sides = list(zip(a.inputs, b.inputs, state.takes, b.takes, strict=False))
    for was, now, *_ in sorted(sides, key=lambda side: side[2] == side[3]):
        found = run_of_new.get(now, run_of_old.get(was))
        if found is not None:
            return found
    return None


def _in_kernel(a: Entry, b: Entry, run_of_old: dict[str, LayerRun], run_of_new: dict[str, LayerRun]) -> LayerRun | None:
    """The run of a layer that one kernel does with this one, or did before."""
    sides = (*map(run_of_new.get, b.kernel), *map(run_of_old.get, a.kernel))
    return next((run for run in sides if run is not None), None)


def _replacements(old: list[Entry], new: list[Entry], pairs: Pairs) -> Iterator[tuple[str, Location | None, Pairs]]:
    """Layers whose op was replaced, those of one line and one replacement together."""
    groups: dict[tuple[str, str, str], Pairs] = {}
    for i, j in pairs:
        location = own_location(new[j].location)
        groups.setdefault((old[i].op, new[j].op, location.short if location else ""), []).append((i, j))
    for (was, now, _), same in groups.items():
        first = new[same[0][1]]
        more = f" and {len(same) - 1} more" if len(same) > 1 else ""
        yield f"{was}→{now} ({first.name}{more})", own_location(first.location), same


def _runs(n: int, paired: set[int]) -> Iterator[tuple[int, int]]:
    begin = 0
    for i in (*sorted(paired), n):
        if begin < i:
            yield begin, i
        begin = i + 1


def _named(kind: str, entries: list[Entry], begin: int, end: int, sizes: Mapping[str, int]) -> LayerRun:
    run = entries[begin:end]
    depth = repeats(entries, begin, end)
    count = f"{end - begin} layer" + "s" * (end - begin > 1)
    description = f"{'+' if kind == 'added' else '-'}{count}: {common_name(run, sizes)}"
    moves_data = not any(e.contribution[name] for e in run for name in IDLE)
    return LayerRun("depth" if depth else kind, description, common_location(run), end - begin, moves_data)


def block_sizes(entries: list[Entry]) -> Mapping[str, int]:
    """How many layers there are of each name or below it."""
    return Counter(prefix for e in entries for prefix in accumulate(e.name.split("."), "{}.{}".format))


def common_name(run: list[Entry], sizes: Mapping[str, int]) -> str:
    """The shortest name for neighbouring layers: a block's if they are all of it, else the first … the last."""
    paths = [e.name.split(".") for e in run]
    shared = 0
    while all(len(p) > shared and p[shared] == paths[0][shared] for p in paths):
        shared += 1
    block = ".".join(paths[0][:shared])
    if shared and len(run) == sizes[block]:
        return block
    heads = list(dict.fromkeys(".".join(p[: shared + 1]) for p in paths))
    return heads[0] if len(heads) == 1 else f"{heads[0]} … {heads[-1]}"
