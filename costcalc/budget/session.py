"""What a command line asks of budgets: which models, what they are compared with, what is written."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from costcalc.amounts.formatting import told_apart
from costcalc.analysis.figures import COUNT, FIGURES, Figure
from costcalc.budget.baseline import (
    Baseline,
    by_kind,
    from_git,
    from_graph,
    from_json,
    from_lock,
    from_lock_at,
    from_trace,
    lock_at,
    nothing,
)
from costcalc.budget.check import Edited, Seen, check
from costcalc.budget.config import Budget, BudgetedModel, Config, Setup
from costcalc.budget.limits import WorkSoFar
from costcalc.budget.lock import MADE_BY, NAME, Lock, LockEntry, LockError, entry, lock_text, read_lock
from costcalc.budget.measure import Measured, in_config
from costcalc.budget.outcome import FAIL, Because, Outcome, Verdict
from costcalc.budget.read import find_config, parse_max, read_config
from costcalc.budget.reuse import Kept, MeasuredBefore, is_marked, mark, traced
from costcalc.budget.reuse import from_lock as kept_in
from costcalc.classes import NamedTuple, replace
from costcalc.difference.git import Edits, Repository
from costcalc.errors import CostcalcError, Location, OptionError, UnknownName, listing, near
from costcalc.ir.graph import Graph
from costcalc.progress import each
from costcalc.reading.reach import reach_of, refuse_outside
from costcalc.writing import Version, update


class Asked(NamedTuple):
    """The options of ``costcalc check`` that decide what is compared with what."""

    models: tuple[str, ...] = ()
    config: str | None = None
    max: tuple[str, ...] = ()
    choices: Mapping[str, Any] = {}
    base: str | None = None
    compare_to: str | Graph | None = None
    trace_base: bool = False
    bits: int | None = None


def today() -> date:
    """The date by which exemptions are judged; ``COSTCALC_TODAY`` replaces it, for tests."""
    given = os.environ.get("COSTCALC_TODAY")
    try:
        return date.fromisoformat(given) if given else date.today()
    except ValueError:
        raise OptionError(f"COSTCALC_TODAY is not a date: {given}") from None


def read_models(asked: Asked) -> Config:
    """The models to check: those of the command line if it gives budgets, else those of the config."""
    if asked.max:
        if not asked.models:
            raise OptionError("--max needs a model: costcalc check resnet50 --max macs=4.2G")
        budgets, location = parse_max(asked.max), Location("")
        setup = Setup(**asked.choices, bits=asked.bits)
        models = tuple(BudgetedModel(name, name, location, (setup,), budgets) for name in dict.fromkeys(asked.models))
        return Config("", "", models)
    if asked.choices or asked.bits is not None:
        raise OptionError(
            "--input, --batch, --set, --apply and --layout go with --max, and so does --bits; "
            "a config says it per model: at: [{input: 3x224x224, bits: 16}]"
        )
    return of_names(read_config(config_file(asked.config)), asked.models)


def of_names(config: Config, names: tuple[str, ...]) -> Config:
    """``config`` with those of its models that have these ``names``, in their order; all if there are none."""
    if not names:
        return config
    known = {model.name: model for model in config.models}
    for name in names:
        if name not in known:
            if Path(name).name == Path(config.file).name:
                raise UnknownName(
                    f"'{name[:80]}' is a config, not a model of one: give it as --config {name[:80]}, or as config= in "
                    f"Python; models that can be named are {listing(known)}"
                )
            raise UnknownName(f"{config.file} has no model '{name[:80]}'{near(name, known)}; it has {listing(known)}")
    return config._replace(models=tuple(known[name] for name in dict.fromkeys(names)))


def config_file(given: str | None) -> str:
    """The config to read: ``given``, else the one in this folder or, up to the repository's root, above it."""
    if given is not None:
        return given
    found = nearest_config()
    if found is None:
        raise OptionError(
            "there is no costcalc.yaml here; `costcalc init` writes one; check also takes a model and --max macs=4.2G"
        )
    return found


def nearest_config() -> str | None:
    """The config in this folder or, up to the repository's root, above it."""
    folder = Path()
    while True:
        found = find_config(str(folder))
        if found is not None:
            # Nobody has named it, so it may be a link to anything.
            refuse_outside(found, reach_of(found), found, None, "nobody")
            return found
        if (folder / ".git").exists() or folder.resolve() == folder.resolve().parent:
            return None
        folder = folder / ".."


Beside: TypeAlias = "Callable[[], Lock | None]"
"""The lock beside the config, as ``read_lock`` has it; read once, by whoever asks first."""


class Before(NamedTuple):
    """What is known of the models from before.

    baseline   what they were
    edited     the function that finds the edited lines, if git knows them
    kept       the models that are code and did not change since a lock that is believed
    """

    baseline: Baseline
    edited: Edited | None = None
    kept: Kept | None = None


def before(asked: Asked, config: Config, stack: ExitStack, beside: Beside) -> Before:
    """What is known of the models of ``config`` from before, as ``asked``."""
    if asked.base is not None and asked.compare_to is not None:
        raise OptionError("--base and --compare-to both say what to compare with; choose one")
    if asked.trace_base and asked.base is None:
        raise OptionError("--trace-base traces the code of a revision: add --base REV, say --base origin/main")
    if asked.base is not None:
        repository = Repository(config.folder or ".")
        commit = repository.merge_base(asked.base)
        tree = stack.enter_context(repository.specs(asked.base, commit))
        specs = from_git(repository, tree, config.folder)
        agreed = lock_at(repository, asked.base, commit, lock_file(config))
        if asked.trace_base:
            whole = stack.enter_context(repository.files(asked.base, commit))
            others = from_trace(repository, whole, config)
        elif isinstance(agreed, Lock):
            others = from_lock_at(agreed, repository, asked.base, commit)
        else:
            others = nothing(agreed)
        edits = Edits(repository, commit, None, repository.relative)
        kept = kept_in(agreed, config) if isinstance(agreed, Lock) else None
        return Before(by_kind(specs, others), edits.line_of, kept)
    if isinstance(asked.compare_to, Graph):
        return Before(from_graph(asked.compare_to))
    if asked.compare_to is not None:
        return Before(from_json(asked.compare_to))
    lock = beside()
    if lock is None:
        return Before(nothing(f"there is no {NAME}; `costcalc lock` writes one"))
    return Before(from_lock(lock, NAME), None, kept_in(lock, config, is_marked))


def judged(
    asked: Asked,
    config: Config,
    *,
    allow_code: bool,
    with_diffs: bool = False,
    locked: bool = False,
    graphs: Mapping[str, Graph] = {},
) -> Outcome:
    """The models of ``config`` held to their budgets, compared with what was ``asked``.

    locked   also whether they are what the lock has
    graphs   name → model, of those that are graphs already
    """
    beside = cache(lambda: read_lock(lock_file(config)))
    with ExitStack() as stack:
        known = before(asked, config, stack, beside)

        def kept(model: BudgetedModel, setup: Setup) -> Graph | None:
            return graphs.get(model.name) or (known.kept(model, setup) if known.kept else None)

        outcome = check(
            config,
            known.baseline,
            today=today(),
            allow_code=allow_code,
            with_diffs=with_diffs or locked,
            edited=known.edited,
            kept=kept,
            seen=remembers(beside),
            warns_of_code=asked.base is not None,
        )
    return lock_verdicts(outcome, config, beside) if locked else outcome


def remembers(beside: Beside) -> Seen:
    """A function that marks what the lock beside the config has, once a trace here has made the same."""

    def seen(model: BudgetedModel, setup: Setup, now: Measured, trace: dict[str, Any]) -> None:
        try:
            lock = beside()
        except LockError:
            return
        made = entry(now.graph, now.report, model.model, setup.label)._replace(trace=trace)
        if lock is not None and lock.entries.get((model.name, setup.label)) == made:
            mark(made)

    return seen


def lock_file(config: Config) -> str:
    """Where the lock of ``config`` is: beside it."""
    return str(Path(config.folder, NAME))


LOCKED = Figure(
    NAME, "lock", COUNT, "what the lock has of a model", NAME, None, whole=lambda report: None, adds=False, shown={}
)  # fmt: skip


def lock_verdicts(outcome: Outcome, config: Config, beside: Beside) -> Outcome:
    """``outcome`` with a failure for each model that is not as the lock has it."""
    path, lock = lock_file(config), beside()
    if lock is None:
        raise OptionError(f"there is no {NAME} to be up to date with; `costcalc lock` writes one")
    budget = Budget(LOCKED, Location(path, 1))
    verdicts = []
    for r in outcome.results:
        now = entry(r.now.graph, r.now.report, r.model.model, r.setup.label)
        moved = _moved(lock.entries.get((r.model.name, r.setup.label)), now)
        if moved is None:
            continue
        causes = r.diff.by("macs")[:3] if r.diff is not None else []
        because = tuple(Because(f"{c.kind}: {c.description}", c.location, c.of("macs")) for c in causes)
        location = next((b.location for b in because if b.location), None)
        description = f"the lock is stale: {moved}; `costcalc lock --update` agrees to it"
        if r.diff is not None and r.diff.same:
            description += f" (costcalc {lock.written_by} wrote it)"
        verdicts.append(
            Verdict(
                r.model.name, r.setup.label, budget, "locked", FAIL, None, None, None, 1, description, because, location
            )
        )
    known = {m.name for m in read_config(config.file).models} if config.file else set()
    gone = [
        f"{path}: {model} is no longer in the config; `costcalc lock --update` removes it"
        for (model, _), e in lock.entries.items()
        if config.file and e.made_by == MADE_BY and model not in known
    ]
    notes = (*outcome.notes, *dict.fromkeys(gone))
    return replace(outcome, verdicts=(*outcome.verdicts, *verdicts), notes=notes)


def _moved(was: LockEntry | None, now: LockEntry) -> str | None:
    """How a model differs from its entry in the lock, in words; None if it does not."""
    if was is None:
        return "the model is not in it"
    names = [n for n in now.figures if was.figures.get(n) != now.figures[n]]
    if not names and was.graph == now.graph:
        return None
    shown = []
    for n in names[:4]:
        values = told_apart(FIGURES[n], was.figures.get(n), now.figures[n])
        sides = (f"{e.marks.get(n, '')} {text}".lstrip() for e, text in zip((was, now), values, strict=True))
        shown.append(f"{n} {' → '.join(sides)}")
    more = [f"{len(names) - 4} more figures"] if len(names) > 4 else []
    return ", ".join([*shown, *more]) or "other layers at the same cost"


def lock_changes(old: Lock | None, new: Lock) -> list[str]:
    """What ``new`` says otherwise than ``old``, a line per model."""
    before = old.entries if old else {}
    lines = []
    for (model, setup), e in new.entries.items():
        moved = _moved(before.get((model, setup)), e)
        if moved is not None:
            lines.append(f"{model}{f' at {setup}' if setup else ''}: {moved}")
    return lines + [f"{model}: no longer in the config" for model, setup in before if (model, setup) not in new.entries]


def new_lock(config: Config, old: Lock | None, *, allow_code: bool = False) -> Lock:
    """The lock of the models of ``config`` as they are, with what pytest put into ``old``."""
    entries = {key: e for key, e in (old.entries if old else {}).items() if e.made_by != MADE_BY}
    work, before, last = WorkSoFar(config), MeasuredBefore(), ""
    for model in each("measuring", config.models, lambda model: model.name):
        if model.model != last:  # a lock needs nothing of other models any more
            before, last = MeasuredBefore(), model.model
        for setup in model.at:
            try:
                found, trace = traced(model, setup, config, {}, before, allow_code=allow_code, command="lock")
            except CostcalcError as error:
                raise (in_config(error, model, setup) if config.file else error.at(model.location)) from None
            work.measured(model, found.graph)
            made = entry(found.graph, found.report, model.model, setup.label)._replace(trace=trace)
            mark(made)
            entries[model.name, setup.label] = made
    return Lock(entries)


def ratchet_config(config: Config, outcome: Outcome) -> list[str]:
    """Lower the budgets of the config file to what is reached, and say which."""
    from costcalc.budget.ratchet import ratchet

    text, said = ratchet(config, outcome)
    if said:
        update(config.file, text, config.seen)
    return said or ["no budget is above what is reached"]


def write_lock(path: str, lock: Lock, seen: Version | None) -> None:
    """Write ``lock`` to ``path``, whole or not at all, in place of the version ``seen``."""
    if Path(path).is_symlink():  # which a stranger may have pointed at any file
        raise CostcalcError("the lock is a link, and is not written to; make it a file", Location(path))
    update(path, lock_text(lock), seen)
