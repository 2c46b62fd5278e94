"""What a model cost over the commits that touched it: specs as git has them, code as the lock of each commit has it.

Nothing of a commit runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from costcalc.analysis.figures import LOCK, Figure, Value, figures_in, known_of
from costcalc.analysis.report import report
from costcalc.budget.baseline import committed_lock
from costcalc.budget.config import BudgetedModel, Config, Setup, beside
from costcalc.budget.lock import NAME, LockEntry, LockError, graph_hash
from costcalc.budget.measure import has_revisions
from costcalc.classes import NamedTuple
from costcalc.difference.git import Commit, Repository
from costcalc.errors import CostcalcError, OptionError, UnknownName, listing, near
from costcalc.frontends.sources import split
from costcalc.ir.graph import Graph
from costcalc.progress import each

MOST_COMMITS, MOST_LAYERS = 150, 100_000
"""Commits that are looked at, the newest of those that touched the file, and layers that these have together."""


class HistoryPoint(NamedTuple):
    """A model at one commit.

    reason  where there is none, or it cannot be read
    marks   what stands before figures that are no more than bounds, as ``Report.mark`` says
    """

    commit: Commit
    figures: Mapping[str, Value | None] = {}
    reason: str = ""
    marks: Mapping[str, str] = {}


class History(NamedTuple):
    """A model in one setup over commits, the oldest first.

    source    where it was read: the path of the spec, or the lock
    left_out  how many older commits were not looked at
    """

    name: str
    setup: str
    source: str
    figures: tuple[Figure, ...]
    points: tuple[HistoryPoint, ...]
    left_out: int = 0

    @property
    def title(self) -> str:
        """``backbone at 3x224x224``."""
        return f"{self.name} at {self.setup}" if self.setup else self.name


def of_spec(
    repository: Repository, model: str, setup: Setup, figures: Sequence[Figure], since: str | None
) -> History:  # fmt: skip
    """The history of the spec at the path ``model``, seen from here, perhaps with its variant."""
    from costcalc import load

    path, variant = split(model)
    own = repository.relative(path)
    graph = load(model, **setup.choices())
    commits, left_out = _commits(repository, [own, *_files(repository, graph)], since)
    known: dict[str, HistoryPoint] = {}
    layers = 0

    def at(commit: Commit) -> HistoryPoint:
        with repository.specs(commit.short, commit.sha) as tree:
            if not Path(tree.path(own)).is_file():
                return HistoryPoint(commit, reason="it is not there")
            try:
                found = tree.load(own, variant, setup.choices())
            except CostcalcError as error:
                return HistoryPoint(commit, reason=str(error).split("\n")[0])
            nonlocal layers
            layers += len(found.nodes)
            key = graph_hash(found)
            if key not in known:
                whole = report(found, bits=setup.bits)
                values = {figure.name: figure.value(whole) for figure in figures}
                known[key] = HistoryPoint(commit, values, marks=_marked(figures, whole.mark))
        return known[key]._replace(commit=commit)

    points: list[HistoryPoint] = []
    for commit in each("reading commit", commits[::-1], lambda commit: commit.short):
        if layers > MOST_LAYERS:
            break
        points.append(at(commit))
    left_out += len(commits) - len(points)
    return History(model, setup.label, own, tuple(figures), tuple(points[::-1]), left_out)


def _marked(figures: Sequence[Figure], mark: Callable[[str], str]) -> dict[str, str]:
    return {figure.name: said for figure in figures if (said := mark(figure.name))}


def _files(repository: Repository, graph: Graph) -> Iterator[str]:
    """The files of the repository in which layers of ``graph`` stand."""
    files = {location.file for node in graph.nodes if node.location for location in node.location.chain}
    for file in sorted(files):
        if Path(file).is_file():
            try:
                yield repository.relative(file)
            except CostcalcError:  # a block that ships
                continue


def of_lock(
    repository: Repository, lock: str, name: str, setups: Sequence[str], figures: Sequence[Figure], since: str | None
) -> list[History]:
    """The histories of the model ``name`` in each of ``setups`` in the file ``lock``, and what its figures were."""
    kept = [figure.name for figure in figures_in(LOCK)]
    missing = [
        figure.name
        for figure in figures
        if figure.name not in kept and not {*(figure.sum_of or (figure.name,))} <= {*kept}
    ]
    if missing:
        raise OptionError(f"{NAME} does not keep {missing[0]}; for models that are code it has {listing(kept)}")
    path = repository.relative(lock)
    commits, left_out = _commits(repository, [path], since)
    entries = [
        (commit, _entries(repository, commit, path))
        for commit in each("reading commit", commits, lambda commit: commit.short)
    ]
    found = []
    for setup in setups:
        points: list[HistoryPoint] = []
        before: object = None
        for commit, there in entries:
            entry = there if isinstance(there, str) else there.get((name, setup))
            seen = (entry.graph, entry.figures) if isinstance(entry, LockEntry) else entry
            if seen != before and not (entry is None and not points):
                points.append(_point(commit, entry, figures))
            before = seen
        found.append(History(name, setup, path, tuple(figures), tuple(points), left_out))
    return found


def _point(commit: Commit, entry: LockEntry | str | None, figures: Sequence[Figure]) -> HistoryPoint:
    if isinstance(entry, LockEntry):
        values = {figure.name: known_of(entry.figures, figure) for figure in figures}
        return HistoryPoint(commit, values, marks={f.name: mark for f in figures if (mark := _locked_mark(entry, f))})
    return HistoryPoint(commit, reason=entry or "the lock does not have it")


def _locked_mark(entry: LockEntry, figure: Figure) -> str:
    if entry.marks:
        return next((entry.marks[name] for name in figure.sum_of or (figure.name,) if name in entry.marks), "")
    # A lock of before does not say which sizes values decide: a layer without a rule makes no lower bound of others.
    return "" if figure.exact or not entry.figures.get("uncounted") else "≈"


def _entries(repository: Repository, commit: Commit, path: str) -> dict[tuple[str, str], LockEntry] | str:
    try:
        lock = committed_lock(repository, commit.sha, path, f"{NAME} at {commit.short}")
    except LockError as error:
        return error.message
    return "there is no lock" if lock is None else lock.entries


def _commits(repository: Repository, paths: Sequence[str], since: str | None) -> tuple[list[Commit], int]:
    """The commits that touched ``paths``, the oldest first, and how many more there are."""
    found = repository.log(dict.fromkeys(paths), since)
    return found[-MOST_COMMITS:], max(len(found) - MOST_COMMITS, 0)


def histories(
    model: str, config: Config | None, setup: Setup, figures: Sequence[Figure], since: str | None
) -> list[History]:
    """The histories of what ``model`` names: a model of the config, in each way in which that measures it; or a spec.

    setup   how a spec that is named by its path is built
    """
    known = {m.name: m for m in config.models} if config else {}
    by_path = {m.model: m for m in known.values()}
    one = known.get(model) or by_path.get(model)
    if has_revisions(model) and (one is None or setup.label):
        return [of_spec(Repository(str(Path(split(model)[0]).parent)), model, setup, figures, since)]
    if one is None or config is None:
        raise UnknownName(_unknown(model, config, known))
    repository = Repository(config.folder or ".")
    if has_revisions(one.model):
        path = beside(config.folder, one.model)
        return [of_spec(repository, path, at, figures, since)._replace(name=one.name) for at in one.at]
    return _of_code(repository, one, config, setup, figures, since)


def _of_code(
    repository: Repository,
    model: BudgetedModel,
    config: Config,
    setup: Setup,
    figures: Sequence[Figure],
    since: str | None,
) -> list[History]:
    labels = [at.label for at in model.at]
    if setup.label and setup.label not in labels:
        raise OptionError(
            f"the history of {model.name} is that of {NAME}, which has it at {listing(labels) or 'its own size'}"
        )
    lock = str(Path(config.folder, NAME))
    return of_lock(repository, lock, model.name, [setup.label] if setup.label else labels, figures, since)


def _unknown(model: str, config: Config | None, known: Mapping[str, Any]) -> str:
    if config is None:
        return f"'{model[:80]}' is not a spec's path, and there is no costcalc.yaml whose lock could have its history"
    return f"{config.file} has no model '{model[:80]}'{near(model, known)}; it has {listing(known)}"
