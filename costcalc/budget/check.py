"""Holding models to their budgets: verdicts, each with by how much, because of what, and where."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from heapq import nlargest
from typing import TYPE_CHECKING, Any, TypeAlias

from costcalc.amounts.formatting import beside, in_unit, own_unit, percent, show, signed, told_apart
from costcalc.amounts.parsing import AllowedChange
from costcalc.analysis.figures import Figure, Value, known_of
from costcalc.analysis.pixel_map import ReceptiveField
from costcalc.analysis.records import Layer
from costcalc.analysis.sizes import iterating, unset
from costcalc.budget.baseline import Baseline, Past
from costcalc.budget.config import WARN, Budget, BudgetedModel, Config, Exemption, Limit, Setup
from costcalc.budget.limits import WorkSoFar
from costcalc.budget.measure import (
    Measured,
    field_of,
    has_revisions,
    held,
    in_config,
    is_global,
    matching,
    measured,
    trained,
    value_of,
    why_unknown,
)
from costcalc.budget.outcome import EXEMPT, FAIL, OK, UNCHECKED, WARNED, Because, Outcome, Result, Verdict
from costcalc.budget.reuse import Kept, MeasuredBefore, traced
from costcalc.classes import replace
from costcalc.difference import Diff, diff
from costcalc.difference.entries import own_location
from costcalc.errors import CostcalcError, Location
from costcalc.progress import each

if TYPE_CHECKING:
    from costcalc.budget.measure import Basis

SET = "at: [{parameters: {{}: NUMBER}}]"
"""How a config sets a size that values decide."""

Seen: TypeAlias = Callable[[BudgetedModel, Setup, Measured, dict[str, Any]], None]
Edited: TypeAlias = Callable[["Location | None", str], "Location | None"]


def check(
    config: Config,
    baseline: Baseline,
    *,
    today: date,
    allow_code: bool = False,
    with_diffs: bool = False,
    edited: Edited | None = None,
    warns_of_code: bool = False,
    kept: Kept | None = None,
    seen: Seen | None = None,
) -> Outcome:
    """Measure every model of ``config`` and hold it to its budgets.

    today       decides which exemptions still hold
    with_diffs  compare every model with its past, not only where a budget is exceeded
    edited      the line that the user edited, from where a cause was seen and what it says
    warns_of_code  say of each model that is code if there is nothing to compare it with
    kept        the models that are code and did not change, which are then not traced
    seen        called with what else was traced, and what that depended on
    """
    results, verdicts, notes = [], [], []
    work, before = WorkSoFar(config), MeasuredBefore()
    excused = {e for e in config.exempt if e.until >= today}
    for late in (e for e in config.exempt if e not in excused):
        notes.append(f"{late.location}: the exemption of {late.model} from {late.metric} ended on {late.until}")
    for model in each("measuring", config.models, lambda model: model.name):
        bases = _bases(model.budgets)
        mine = {e.metric: e for e in excused if e.model == model.name}
        for setup in model.at:
            try:
                unchanged = kept(model, setup) if kept and allow_code else None
                if unchanged:
                    now = measured(unchanged, setup.bits, bases)
                else:
                    now, trace = traced(model, setup, config, bases, before, allow_code=allow_code)
                    if trace and seen:
                        seen(model, setup, now, trace)
            except CostcalcError as error:
                raise (in_config(error, model, setup) if config.file else error.at(model.location)) from None
            work.measured(model, now.graph)
            past = baseline(model, setup, now)
            if now.report.uncounted:
                names = ", ".join(f"{layer.name} ({layer.kind})" for layer in now.report.uncounted[:3])
                more = f" and {len(now.report.uncounted) - 3} more" if len(now.report.uncounted) > 3 else ""
                notes.append(f"{model.name}: no rule counts {names}{more}; its figures are lower bounds")
            if now.report.unset:
                notes.append(f"{model.name}: {unset(now.report, *([SET] if config.file else []))}")
            notes += [f"{model.name}: {sentence}" for sentence in iterating(now.report.layers)]
            found = [v for b in model.budgets for v in _verdicts(model, setup, b, now, past, mine)]
            said = any(v.status == UNCHECKED and past.reason in v.description for v in found)
            if warns_of_code and past.reason and not said and not has_revisions(model.model):
                notes.append(f"{model.title(setup)} is compared with nothing: {past.reason}")
            bad = [v for v in found if v.status in (FAIL, WARNED, EXEMPT)]
            changed = _diff(model, now, past, setup, edited) if with_diffs or bad else None
            verdicts += [explain(v, now, changed, model.message) for v in found]
            results.append(Result(model, setup, now, past, changed))
    return Outcome(tuple(results), tuple(verdicts), tuple(notes))


def _bases(budgets: Iterable[Budget]) -> dict[str, Basis]:
    """The machines and tables of energies that ``budgets`` name, each read once. A name that is none is an error where
    it stands."""
    from costcalc.energy import load_energy_table
    from costcalc.machines import load_machine

    found: dict[str, Basis] = {}
    for budget in budgets:
        if budget.basis and budget.basis not in found:
            try:
                found[budget.basis] = (load_machine if budget.machine else load_energy_table)(budget.basis)
            except CostcalcError as error:
                raise error.at(budget.location) from None
    return found


def _diff(model: BudgetedModel, now: Measured, past: Past, setup: Setup, edited: Edited | None) -> Diff | None:
    if past.found is None or past.found is now:
        return None
    found = diff(past.found.graph, now.graph, bits=setup.bits, name=model.title(setup))
    if edited is None:
        return found
    causes = (replace(c, location=edited(c.location, f"{c.kind} {c.description}")) for c in found.causes)
    return replace(found, causes=tuple(causes))


def _verdicts(
    model: BudgetedModel, setup: Setup, budget: Budget, now: Measured, past: Past, excused: dict[str, Exemption]
) -> Iterator[Verdict]:
    try:
        value = value_of(now, budget)
    except CostcalcError as error:
        raise error.at(budget.location) from None
    for rule, bound in (("max", budget.max), ("min", budget.min)):
        if bound is not None:
            why = why_unknown(now, budget) if value is None else ""
            verdict = _bounded(model, setup, budget, rule, value, bound, excused, why)
            if budget.figure.name == "receptive_field":
                yield _of_bound(verdict) if _is_bound(now, budget) else verdict
                continue
            mark = now.report.mark(budget.figure.name)
            yield verdict._replace(description=f"{mark} {verdict.description}") if mark else verdict
    for rule, change in (("max_increase", budget.max_increase), ("max_decrease", budget.max_decrease)):
        if change is not None:
            verdict = _changed(model, setup, budget, rule, value, change, past, excused)
            if budget.figure.name == "receptive_field" and past.found is not now:
                verdict = _of_bounds(verdict, _is_bound(now, budget), _was_bound(past, budget))
            yield verdict


def _is_bound(now: Measured, budget: Budget) -> bool:
    field = field_of(now, budget)
    return isinstance(field, ReceptiveField) and field.bound


def _was_bound(past: Past, budget: Budget) -> bool:
    try:
        return _is_bound(past.found, budget) if past.found else bool(past.marks.get(budget.figure.name))
    except CostcalcError:
        return False


def _of_bound(verdict: Verdict) -> Verdict:
    """The verdict where the receptive field is no more than an upper bound: that proves no least."""
    if verdict.rule == "min" and verdict.status == OK:
        return verdict._replace(
            status=UNCHECKED,
            description=f"≤ {verdict.description}: an upper bound, which proves no least",
        )
    return verdict._replace(description=f"≤ {verdict.description}")


def _of_bounds(verdict: Verdict, now: bool, before: bool) -> Verdict:
    """The verdict on a change where what is seen now, or was before, is no more than an upper bound."""
    if verdict.base is None or not (now or before):
        return verdict
    sides = (("what is seen now", now), ("what was seen before", before))
    whose = " and ".join(side for side, is_bound in sides if is_bound)
    unproved = now if verdict.rule == "max_decrease" else before
    status = UNCHECKED if unproved and verdict.status == OK else verdict.status
    said = f"{whose} {'are upper bounds' if now and before else 'is an upper bound'}"
    return verdict._replace(status=status, description=f"≈ {verdict.description}: {said}")


def _bounded(
    model: BudgetedModel, setup: Setup, budget: Budget, rule: str, value: Value | str | None, bound: Limit,
    excused: dict[str, Exemption], why: str,
) -> Verdict:  # fmt: skip
    figure, limit = budget.figure, bound.amount
    known = Verdict(model.name, setup.label, budget, rule, OK, value, limit, None, 0, "")
    word = "at most" if rule == "max" else "at least"
    if is_global(value):
        over: Value = 0 if rule == "min" else 1
        return _crossed(
            known._replace(over=over),
            f"it is the whole image, {word} {show(figure, limit)} wanted",
            excused,
        )
    if value is None or isinstance(value, str):
        return known._replace(status=UNCHECKED, description=why or f"{figure.name} is not known")
    over = max(value - limit if rule == "max" else limit - value, 0)
    shown, wanted = beside(figure, value, limit, bound.whole)
    if not over:
        return known._replace(description=f"{shown}, {word} {wanted} allowed")
    way = "over" if rule == "max" else "under"
    crossed = in_unit(figure, over, own_unit(figure, limit, bound.whole))
    description = f"{shown} is {crossed} {way} the budget of {wanted}"
    description += f" ({percent(value - limit, limit)})" if limit else ""
    description += f"; {figure.title} are {figure.description}" if figure.on_demand else ""
    return _crossed(known._replace(over=over), description, excused)


def _changed(
    model: BudgetedModel, setup: Setup, budget: Budget, rule: str, value: Value | str | None, change: AllowedChange,
    past: Past,
    excused: dict[str, Exemption],
) -> Verdict:  # fmt: skip
    figure, up = budget.figure, rule == "max_increase"
    known = Verdict(model.name, setup.label, budget, rule, OK, value, None, None, 0, "")
    base, reason = _base(budget, past)
    if base is None or value is None or isinstance(base, str) or isinstance(value, str):
        if is_global(value) and is_global(base):
            return known._replace(description="it is the whole image, as before")
        return known._replace(
            status=UNCHECKED, description=f"its change is not checked: {reason or 'it is not a number'}"
        )
    allowed = change.allowed(base)
    limit = base + allowed if up else base - allowed
    over = max(value - limit if up else limit - value, 0)
    known = known._replace(base=base, limit=limit, over=over)
    shown, was = told_apart(figure, value, base)
    moved = f"{signed(figure, value - base)} ({percent(value - base, base)}) from {was} to {shown}"
    if not over:
        return known._replace(description=f"{moved}, {change.text} allowed" if value != base else f"{shown}, as before")
    return _crossed(known, f"{moved} since {past.where}, {change.text} allowed", excused)


def _base(budget: Budget, past: Past) -> tuple[Value | str | None, str]:
    """The earlier value, or why there is none."""
    if past.found is not None:
        try:
            return value_of(past.found, budget), ""
        except CostcalcError as error:
            return None, f"in {past.where}, {error.message}"
    if past.reason or budget.layers or budget.at or budget.basis or budget.engine or budget.step:
        return None, past.reason or f"{past.where} has only totals"
    value = known_of(past.figures, budget.figure)
    return value, "" if value is not None else f"{past.where} does not have {budget.figure.name}"


def _crossed(verdict: Verdict, description: str, excused: dict[str, Exemption]) -> Verdict:
    """``verdict`` with its status: failed or warned if something is crossed, unless that is exempt."""
    if not verdict.over:
        return verdict._replace(description=description)
    exemption = excused.get(verdict.budget.figure.name)
    if exemption is not None:
        description = f"{description}; exempt until {exemption.until}: {exemption.reason}"
        return verdict._replace(status=EXEMPT, description=description)
    return verdict._replace(status=WARNED if verdict.budget.level == WARN else FAIL, description=description)


def explain(
    verdict: Verdict,
    now: Measured,
    changed: Diff | None,
    message: str = "",
    edited: Edited | None = None,
    most: int = 3,
) -> Verdict:
    """``verdict`` with what made the figure what it is: the causes of its change, or its largest layers."""
    if verdict.status not in (FAIL, WARNED, EXEMPT):
        return verdict
    because = _causes(verdict, changed, most) or _largest(verdict, now, most)
    location = next((b.location for b in because if b.location), None)
    return verdict._replace(because=tuple(because), location=location or verdict.budget.location, message=message)


def _causes(verdict: Verdict, changed: Diff | None, most: int) -> list[Because]:
    figure = verdict.budget.figure
    if changed is None or verdict.budget.layers or not figure.is_summed:
        return []
    down = verdict.rule in ("min", "max_decrease")
    guilty = [c for c in changed.by(figure.name) if (c.of(figure.name) < 0) == down and c.of(figure.name)]
    return [Because(f"{c.kind}: {c.description}", c.location, c.of(figure.name)) for c in guilty[:most]]


def _largest(verdict: Verdict, now: Measured, most: int) -> list[Because]:
    figure: Figure = verdict.budget.figure
    if verdict.budget.engine and verdict.rule in ("max", "max_increase"):
        memory = held(now, verdict.budget.engine)
        alive = memory.alive(memory.peak_step)[:most]
        names = {t.name for t in alive}
        where = {
            v: own_location(node.location) for node in now.graph.nodes for v in (node.name, *node.outputs) if v in names
        }
        return [Because(t.name, where.get(t.name), 8 * t.bytes) for t in alive]
    if verdict.budget.step and verdict.rule in ("max", "max_increase"):
        kept = sorted(trained(now, verdict.budget.step).saved, key=lambda saved: -saved.bytes)[:most]
        places = {node.name: own_location(node.location) for node in now.graph.nodes}
        return [Because(f"kept by {s.layer}", places.get(s.layer), 8 * s.bytes) for s in kept]
    whole = now.by.get(verdict.budget.basis or "", now.report)
    pattern = verdict.budget.layers
    layers: Iterable[Layer] = whole.layers if pattern is None else matching(now, whole, pattern)
    at_peak = figure.name == "peak"
    if (figure.whole and not at_peak) or verdict.rule in ("min", "max_decrease"):
        return []
    parts: list[tuple[Value, Layer]] = [
        ((layer.peak_bits if at_peak else figure.part(layer)) or 0, layer) for layer in layers
    ]
    ranked = nlargest(most, parts, key=lambda part: part[0])
    names = {layer.name for _, layer in ranked}
    locations = {node.name: own_location(node.location) for node in now.graph.nodes if node.name in names}
    return [Because(layer.name, locations.get(layer.name), amount) for amount, layer in ranked if amount]
