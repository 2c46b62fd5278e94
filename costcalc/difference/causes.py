"""Why the figures changed: causes whose effects add up exactly to the change.

The causes are applied to the old graph one after another, in the order of ``edits.KINDS`` and within a kind in
the order of the graph, and each is told what the figures changed by when it was applied. Shapes are
inferred anew each time, so a stride that doubles the maps of fifty layers below it is one cause with one
place in the file. What is left at the end is the difference in structure: layers added, removed
or replaced, and whatever their neighbours change because of them. Sums telescope, so nothing is lost and
nothing is counted twice; an effect that two causes have only together goes to the later one.
"""

from __future__ import annotations

from typing import Any

from costcalc.analysis.amounts import Amounts
from costcalc.analysis.energy import EnergyTable
from costcalc.analysis.roofline import Machine
from costcalc.analysis.storage import Storage
from costcalc.classes import replace
from costcalc.difference.align import Pairs
from costcalc.difference.edits import INPUT_KINDS, Edit, find_edits, in_steps, to_apply, width_of_input
from costcalc.difference.entries import Entry, largest
from costcalc.difference.records import Cause
from costcalc.difference.replay import LayerState, Replay
from costcalc.difference.structural_causes import structural_causes
from costcalc.errors import Location


def find_causes(
    old: list[Entry], new: list[Entry], pairs: Pairs, storage: Storage, machine: Machine | None,
    energies: EnergyTable | None,
) -> tuple[Cause, ...]:  # fmt: skip
    """The causes of every change between ``old`` and ``new``, aligned by ``pairs``; ``storage`` has the old values."""
    partner = {i: j for i, j in pairs if old[i].op == new[j].op}
    goals = {
        i: LayerState(e.node.op if e.node else None, e.takes, e.makes) for i, j in partner.items() for e in (new[j],)
    }  # fmt: skip
    follows = {i: width_of_input(old[i], new[j]) for i, j in partner.items()}
    follows = {i: options for i, options in follows.items() if options}
    edits = [edit for i, j in partner.items() for edit in find_edits(i, old[i], new[j], follows.get(i, {}))]
    replay = Replay(old, goals, follows, storage, machine, energies)
    so_far = [e.contribution for e in old]
    causes = []
    for location, group in in_steps(edits, new, partner):
        inputs, options = to_apply(group, old, new, partner)
        effects = replay.step(inputs, options)
        if not effects:
            continue  # taken already, with what it follows
        for i, effect in effects.items():
            so_far[i] = so_far[i] + effect
        causes.append(_cause(location, group, effects, new, partner))
    sizes = [k for k, cause in enumerate(causes) if cause.kind in INPUT_KINDS]
    structural, resized = structural_causes(old, new, pairs, partner, replay.states, so_far, bool(sizes))
    if resized:
        first = causes[sizes[0]]
        effect = first.effect + Amounts.sum(effect for _, effect in resized)
        causes[sizes[0]] = replace(first, effect=effect, where=largest([*resized]))
    return (*causes, *structural)


def _cause(
    location: Location | None, group: list[Edit], effects: dict[int, Amounts], new: list[Entry], partner: dict[int, int]
) -> Cause:
    first = new[partner[group[0].at]]
    texts = dict.fromkeys(", ".join(f"{name} {_short(a)}→{_short(b)}" for name, a, b in s.options) for s in group)
    description, *others = texts
    if others:
        description = f"{description} and other {group[0].options[0][0]}" if len(others) > 2 else "; ".join(texts)
    more = f" and {len(group) - 1} more" if len(group) > 1 else ""
    where = [(new[partner[i]], effect) for i, effect in effects.items() if i in partner]
    effect = Amounts.sum(effects.values())
    return Cause(group[0].kind, f"{description} ({first.name}{more})", location, len(group), effect, largest(where))


def _short(value: Any) -> str:
    if isinstance(value, tuple):
        return "×".join(map(str, value)) if not any(isinstance(v, tuple) for v in value) else str(value)
    return str(value)
