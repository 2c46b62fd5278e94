"""What changed between two models, and why the figures did: ``diff(old, new)``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costcalc.difference.records import Cause, Change, Diff

if TYPE_CHECKING:
    from collections.abc import Iterator

    from costcalc.analysis.energy import EnergyTable
    from costcalc.analysis.records import Report
    from costcalc.analysis.roofline import Machine
    from costcalc.difference.entries import Entry
    from costcalc.ir.graph import Graph
    from costcalc.ir.tensor import TensorType

__all__ = ["Cause", "Change", "Diff", "diff"]


def diff(
    old: Graph | None, new: Graph | None, *, bits: int | None = None, machine: Machine | None = None,
    energy: EnergyTable | None = None, name: str = "",
) -> Diff:  # fmt: skip
    """Align the two graphs and attribute the change of every figure to its causes.

    A side that is None has no such model: all of the other's layers are then added, or removed.
    ``bits``, ``machine`` and ``energy`` are those of ``analyze``; of an energy that is unknown on one side a note says
    why, and there is no change of it. Raises ``CostcalcError`` on sizes that are symbols.
    """
    from costcalc.analysis.report import report
    from costcalc.analysis.storage import Storage
    from costcalc.difference.align import align
    from costcalc.difference.causes import find_causes
    from costcalc.difference.entries import entries
    from costcalc.difference.export_effects import remarks

    def reported(energy: EnergyTable | None) -> list[Report | None]:
        return [None if g is None else report(g, bits=bits, machine=machine, energy=energy) for g in (old, new)]

    reports = reported(energy)
    unknown = [] if energy is None else [*_unknown_energy(reports)]
    if unknown:
        energy, reports = None, reported(None)
    a, b = ([] if g is None or r is None else entries(g, r) for g, r in zip((old, new), reports, strict=True))
    pairs = align(a, b)
    before, after = (g.parameters if g else {} for g in (old, new))
    parameters = tuple(
        (key, before.get(key), after.get(key))
        for key in (*before, *(k for k in after if k not in before))
        if before and after and before.get(key) != after.get(key)
    )
    there, before_all = new or old, old or new
    return Diff(
        name=name or (there.name if there else ""),
        old=reports[0],
        new=reports[1],
        layers=tuple(_changes(a, b, pairs)),
        causes=find_causes(a, b, pairs, Storage(before_all, bits), machine, energy) if before_all else (),
        parameters=parameters,
        notes=(
            *(note for r in reports if r is not None for note in _incomplete(r)),
            *unknown,
            *remarks(old, new, reports),
        ),
    )


def _incomplete(r: Report) -> Iterator[str]:
    """Why the figures of ``r`` are bounds, if they are."""
    from costcalc.analysis.sizes import iterating, unset

    if r.uncounted:
        first = r.uncounted[0]
        yield (
            f"{r.name}: no rule counts {len(r.uncounted)} of its layers, {first.name} ({first.kind}) "
            "among them; its figures are lower bounds"
        )
    if r.unset:
        yield f"{r.name}: {unset(r)}"
    yield from (f"{r.name}: {sentence}" for sentence in iterating(r.layers))


def _unknown_energy(reports: list[Report | None]) -> Iterator[str]:
    """Why the energy of a side is not known, if it is not."""
    for r in reports:
        if r is not None and r.total.energy is not None and r.total.energy.unknown:
            yield f"the energy of {r.name} is unknown: {r.total.energy.unknown}"


def _changes(old: list[Entry], new: list[Entry], pairs: list[tuple[int, int]]) -> list[Change]:
    """One record for each layer of either side, in the order of the graphs."""
    found: list[Change] = []
    i = j = 0
    for end_i, end_j in (*pairs, (len(old), len(new))):
        found += [_one_sided("-", e) for e in old[i:end_i]]
        found += [_one_sided("+", e) for e in new[j:end_j]]
        if end_i < len(old) and end_j < len(new):
            found.append(_paired(old[end_i], new[end_j]))
        i, j = end_i + 1, end_j + 1
    return found


def _one_sided(mark: str, e: Entry) -> Change:
    before, after = (e.contribution, None) if mark == "-" else (None, e.contribution)
    from costcalc.difference.entries import own_location

    kind = e.kind or e.op
    old_name, old_op = (e.name, kind) if mark == "-" else ("", "")
    return Change(mark, e.name, old_name, kind, old_op, (), None, before, after, own_location(e.location))


def _paired(a: Entry, b: Entry) -> Change:
    from costcalc.difference.edits import option_changes
    from costcalc.difference.entries import own_location

    options = option_changes(a, b)
    made = None if a.makes == b.makes else (_shapes(a.makes), _shapes(b.makes))
    read = None if a.takes == b.takes or made else (_shapes(a.takes), _shapes(b.takes))
    same = a.op == b.op and not options and not made and a.name == b.name and a.contribution == b.contribution
    mark, location = "=" if same else "~", own_location(b.location)
    return Change(mark, b.name, a.name, b.op, a.op, options, made, a.contribution, b.contribution, location, read)


def _shapes(types: tuple[TensorType, ...]) -> str:
    return ", ".join("×".join(map(str, t.shape[1:])) or "scalar" for t in types)
