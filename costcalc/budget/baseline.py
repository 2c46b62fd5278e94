"""What models were before: in ``costcalc.lock``, at a git revision, or in the JSON of an earlier analysis."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from math import inf
from pathlib import Path
from typing import Any, TypeAlias

from costcalc.analysis.figures import FIGURES
from costcalc.budget.config import BudgetedModel, Config, Setup, beside
from costcalc.budget.lock import MAX_BYTES, NAME, Lock, LockError, graph_hash, graph_of, parse_lock
from costcalc.budget.measure import Measured, has_revisions, measured
from costcalc.budget.read import read_config
from costcalc.classes import NamedTuple
from costcalc.difference.git import Repository, Tree
from costcalc.difference.isolated_trace import Answer, Wanted, tracing
from costcalc.errors import CostcalcError, Location, UnknownName
from costcalc.frontends.sources import is_path, split
from costcalc.ir.graph import Graph
from costcalc.reading.files import contents


class Past(NamedTuple):
    """A model as it was.

    where     in words: ``costcalc.lock``, ``origin/main``
    found     its graph and reports, where they can be had
    figures   what was recorded of it where only numbers are left
    reason    why there is nothing to compare with, if there is not
    marks     what stands before those figures that are no more than bounds
    """

    where: str
    found: Measured | None = None
    figures: Mapping[str, int | float] = {}
    reason: str = ""
    marks: Mapping[str, str] = {}


Baseline: TypeAlias = Callable[[BudgetedModel, Setup, Measured], Past]
"""The past of a model in a setup, given what it is now: an unchanged model is not measured twice."""


EARLIER = "the earlier graph"


def nothing(reason: str) -> Baseline:
    """A baseline that knows no model."""
    return lambda model, setup, now: Past("", reason=reason)


def by_kind(files: Baseline, others: Baseline) -> Baseline:
    """``files`` for models that revisions have as files of data; ``others`` for those that are code, or ship."""

    def past(model: BudgetedModel, setup: Setup, now: Measured) -> Past:
        return (files if has_revisions(model.model) else others)(model, setup, now)

    return past


def from_lock(lock: Lock, shown: str, missing: str = "`costcalc lock --update` adds it") -> Baseline:
    """The models as the lock has them."""

    def past(model: BudgetedModel, setup: Setup, now: Measured) -> Past:
        entry = lock.entries.get((model.name, setup.label))
        if entry is None:
            return Past(shown, reason=f"{shown} does not have it; {missing}")
        if entry.graph == graph_hash(now.graph):
            return Past(shown, now, entry.figures)
        graph = graph_of(entry)
        found = measured(graph, setup.bits, now.bases) if graph else None
        return Past(shown, found, entry.figures, marks=entry.marks)

    return past


AGAIN = "commit one there, or add --trace-base"


def committed_lock(repository: Repository, commit: str, path: str, shown: str) -> Lock | None:
    """The lock that ``commit`` has at ``path``; None if it has none. ``LockError`` if it cannot be used."""
    data = repository.read(commit, path)
    if data is None:
        return None
    if len(data) > MAX_BYTES:
        raise LockError(f"the lock has {len(data):,} bytes; at most {MAX_BYTES:,} are read", Location(shown))
    return parse_lock(data, shown)


def lock_at(repository: Repository, revision: str, commit: str, file: str) -> Lock | str:
    """The lock as ``file`` was at ``commit``, which is called ``revision``; or why there is none to compare with."""
    shown = f"{NAME} at {revision}"
    try:
        lock = committed_lock(repository, commit, repository.relative(file), shown)
    except LockError as error:
        return str(error)
    return f"there is no {shown} to compare code with; {AGAIN}" if lock is None else lock


def from_lock_at(lock: Lock, repository: Repository, revision: str, commit: str) -> Baseline:
    """The models as ``lock`` had them at ``commit``, where that is as new as the code that it was made of.

    What lies beside the config now is not asked: whoever changes a model can change that too.
    """
    shown = f"{NAME} at {revision}"
    known = from_lock(lock, shown, AGAIN)
    there: dict[str, set[str]] = {}

    def digests(file: str) -> set[str]:
        """Of the file as git has it, as it lies in a working tree with other ends of lines, and of what LFS keeps."""
        if file not in there:
            data = repository.read(commit, file)
            texts = [] if data is None else [data, data.replace(b"\n", b"\r\n")]
            there[file] = {sha256(text).hexdigest() for text in texts}
            if data is not None and data.startswith(b"version https://git-lfs"):
                there[file] |= {
                    line[11:].decode(errors="replace") for line in data.split(b"\n") if line.startswith(b"oid sha256:")
                }
        return there[file]

    def past(model: BudgetedModel, setup: Setup, now: Measured) -> Past:
        entry = lock.entries.get((model.name, setup.label))
        files = entry.trace.get("files") if entry and entry.trace else None
        for file, content in files.items() if isinstance(files, dict) else ():
            if content not in digests(file):
                how = f"is older than {file} there" if digests(file) else f"was made with a {file} that is not there"
                return Past(shown, reason=f"{shown} {how}, so it does not tell what the model was; add --trace-base")
        return known(model, setup, now)

    return past


def from_trace(repository: Repository, tree: Tree, config: Config) -> Baseline:
    """The models that are code as the files in ``tree`` have them, all traced by one process when one is asked for."""
    before = _named_at(repository, tree, config)
    wanted = {
        (model.name, setup.label): Wanted(_from_here(before.get(model.name, model.model), config), setup.choices())
        for model in config.models
        if not has_revisions(model.model)
        for setup in model.at
    }
    where = tree.revision
    answers: dict[tuple[str, str], Answer] = {}

    def past(model: BudgetedModel, setup: Setup, now: Measured) -> Past:
        if not answers:
            with tracing(repository, tree, [*wanted.values()], config.folder or ".") as traced:
                answers.update(zip(wanted, traced(), strict=True))
        graph = answers[model.name, setup.label]
        if isinstance(graph, UnknownName):
            return Past(where, reason=f"it is new since {where} ({graph})")
        if isinstance(graph, CostcalcError):
            return Past(where, reason=f"at {where} it cannot be traced: {graph}")
        return Past(
            where, now if graph_hash(graph) == graph_hash(now.graph) else measured(graph, setup.bits, now.bases)
        )

    return past


def _from_here(model: str, config: Config) -> str:
    return beside(config.folder, model) if is_path(model) else model


def _named_at(repository: Repository, tree: Tree, config: Config) -> dict[str, str]:
    """Which model each name of the config stood for at the revision of ``tree``, as far as a config there says."""
    if not config.file:
        return {}
    try:
        there = tree.path(repository.relative(config.file))
        return {model.name: model.model for model in read_config(there).models if not has_revisions(model.model)}
    except (CostcalcError, OSError):
        return {}


def from_git(repository: Repository, tree: Tree, folder: str) -> Baseline:
    """The specs as they were at the revision of ``tree``."""

    def past(model: BudgetedModel, setup: Setup, now: Measured) -> Past:
        where = tree.revision
        path, variant = split(model.model)
        old = repository.relative(str(Path(folder, path)))
        if not Path(tree.path(old)).exists():
            return Past(where, reason=f"it is new since {where}")
        try:
            graph = tree.load(old, variant, setup.choices())
            if graph_hash(graph) == graph_hash(now.graph):
                return Past(where, now)
            return Past(where, measured(graph, setup.bits, now.bases))
        except CostcalcError as error:
            return Past(where, reason=f"at {where} it cannot be read: {error}")

    return past


def from_graph(graph: Graph) -> Baseline:
    """What ``graph`` costs, whatever the model is called."""

    def past(model: BudgetedModel, setup: Setup, now: Measured) -> Past:
        same = graph_hash(graph) == graph_hash(now.graph)
        return Past(EARLIER, now if same else measured(graph, setup.bits, now.bases))

    return past


def from_json(path: str) -> Baseline:
    """The models of earlier analyses: one report of ``analyze --format json``, or a list of them."""
    try:
        data = json.loads(contents(path, kind="a report", form="a JSON file", most=MAX_BYTES))
    except (ValueError, RecursionError):
        raise CostcalcError(
            "this is not JSON; write it with `costcalc analyze MODEL --format json`", Location(path)
        ) from None
    reports = data if isinstance(data, list) else [data]
    known = {}
    for one in reports:
        try:
            figures = _figures(one["total"])
            shapes = {tuple(shape[1:]) for shape in one["model"]["inputs"].values()}
            applied = one["settings"].get("apply")  # reports of before do not say it
            known[one["model"]["name"]] = figures, shapes, None if applied is None else tuple(map(str, applied))
        except (KeyError, TypeError, AttributeError):
            raise CostcalcError(
                "this is not a report of costcalc; write it with `costcalc analyze MODEL --format json`", Location(path)
            ) from None

    def past(model: BudgetedModel, setup: Setup, now: Measured) -> Past:
        name = model.model.rpartition(":")[2] if is_path(model.model) else model.model
        stem = Path(split(model.model)[0]).stem
        found = next((known[n] for n in (model.name, name, stem) if n in known), None)
        if found is None:
            return Past(path, reason=f"{path} has no model called '{model.name}'")
        figures, shapes, applied = found
        wanted = {tuple(setup.input)} if isinstance(setup.input, tuple) else None
        if wanted and wanted != shapes:
            return Past(path, reason=f"{path} has it at another input size")
        if applied != setup.apply and (applied or setup.apply):
            return Past(path, reason=f"{path} {_otherwise(applied, setup.apply)}")
        return Past(path, None, figures)

    return past


def _otherwise(applied: tuple[str, ...] | None, wanted: tuple[str, ...]) -> str:
    """That a report was made after other transforms than are wanted."""
    now = f"after {', '.join(wanted)}" if wanted else "without transforms"
    if applied is None:
        return f"does not say whether it has it {now}"
    return f"has it {f'after {joined}' if (joined := ', '.join(applied)) else 'without transforms'}, not {now}"


def _figures(total: dict[str, Any]) -> dict[str, int | float]:
    figures: dict[str, int | float] = {}
    for name, figure in FIGURES.items():
        value = total.get(figure.key)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if not 0 <= value < inf:
                raise TypeError(name)
            figures[name] = value
    for name, figure in FIGURES.items():
        if figure.sum_of and figures.keys() >= {*figure.sum_of}:
            figures[name] = sum(figures[part] for part in figure.sum_of)
    return figures
