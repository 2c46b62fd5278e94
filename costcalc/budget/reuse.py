"""Models that are code and did not change, taken from a lock instead of being traced again.

Whose lock is believed: that of the base revision, which was agreed to; and, without a base, one that this user's own
trace on this machine has made, of which a mark is kept outside every repository. What else lies in a lock beside a
config may be a stranger's, and claims no figure: then the code is traced.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from costcalc.budget.config import BudgetedModel, Config, Setup
from costcalc.budget.dependencies import unchanged
from costcalc.budget.lock import Lock, LockEntry, graph_of
from costcalc.budget.measure import Measured, measure, reported
from costcalc.classes import replace
from costcalc.errors import CostcalcError
from costcalc.frontends.sources import source_of
from costcalc.ir.graph import Graph
from costcalc.ir.serialization import DAMAGED, location_of, locations_of, record_of, sizes_of

if TYPE_CHECKING:
    from costcalc.budget.measure import Basis

Kept: TypeAlias = Callable[[BudgetedModel, Setup], "Graph | None"]
"""The graph of a model in a setup, if a lock that is believed has it and nothing of it changed."""
MOST_MARKS = 4096


class MeasuredBefore(dict[Any, Measured]):
    """Models that are data, as they were measured for a config that may name them again."""


def traced(
    model: BudgetedModel, setup: Setup, config: Config, bases: Mapping[str, Basis], before: MeasuredBefore, *,
    allow_code: bool, command: str = "check",
) -> tuple[Measured, dict[str, Any] | None]:  # fmt: skip
    """``model``, measured; and what that depended on, where it is code and that can be told."""

    def measured() -> Measured:
        more: dict[str, Any] = {"allow_code": allow_code, "within": config.reach, "command": command}
        if source_of(model.model).runs_code:
            return measure(model.model, setup, config.folder, bases, **more)
        key = (model.model, repr(setup), *bases)
        if key not in before:
            before[key] = measure(model.model, setup, config.folder, bases, **more)
        return before[key]

    if not (allow_code and config.reach and source_of(model.model).runs_code):
        return measured(), None
    from costcalc.budget.dependency_recorder import watching

    try:
        with watching(config.reach) as watch:
            found = measured()
            record = watch.record()
    except CostcalcError:
        return measured(), None  # perhaps its modules cannot be imported twice; if not, the error comes again
    return found, _trace_record(record, found, setup, config) if record else None


def _trace_record(record: dict[str, Any], found: Measured, setup: Setup, config: Config) -> dict[str, Any] | None:
    """What the lock keeps of a trace besides layers; None where the graph would not be the same again."""
    graph, whole, root = found.graph, record_of(found.graph), Path(config.reach or ".")
    if graph.declared:
        return None
    chains: dict[tuple[tuple[str, int], ...], int] = {}
    at = [
        chains.setdefault(tuple((file, line) for file, line in locations_of(node)), len(chains)) for node in graph.nodes
    ]
    shown = {file: _from_root(file, root) for chain in chains for file, _ in chain}
    trace = {
        **record, "choices": _choices(setup, config),
        "graph": {key: whole[key] for key in ("name", "parameters", "source", "assumed", "sizes", "layouts")},
        "places": [[[shown[file], line] for file, line in chain] for chain in chains],
        "at": at,
    }  # fmt: skip
    again = _completed(replace(graph, parameters={}, source="", assumed=(), sizes=()), trace, config)
    if (
        again is None
        or reported(again, setup.bits, next(iter(found.bases.values()), None)).to_dict() != found.report.to_dict()
    ):
        return None
    return trace


def _choices(setup: Setup, config: Config) -> list[Any]:
    """How a model is built, and from where, as JSON has it."""
    folder = os.path.relpath(Path(config.folder or ".").resolve(), config.reach)
    chosen: list[Any] = json.loads(json.dumps([setup.choices(), setup.bits, Path(folder).as_posix()], default=str))
    return chosen


def _from_root(file: str, root: Path) -> str:
    """A file as places have it, from the root of the repository if it lies there."""
    full = Path(file).resolve()
    return full.relative_to(root).as_posix() if full.is_relative_to(root) else file


def _completed(graph: Graph, trace: Mapping[str, Any], config: Config) -> Graph | None:
    """``graph`` of a lock's layers with all else that was told of it."""
    root = config.reach or "."
    try:
        more = trace["graph"]
        here = {file: _from_here(file, root) for chain in trace["places"] for file, _ in chain}
        locations = [location_of([(here[file], line) for file, line in chain]) for chain in trace["places"]]
        pairs = zip(graph.nodes, trace["at"], strict=True)
        nodes = tuple(node._replace(location=locations[at]) for node, at in pairs)
        return replace(
            graph, name=more["name"], nodes=nodes, parameters=more["parameters"], source=more["source"],
            assumed=tuple(more["assumed"]), sizes=sizes_of(more["sizes"]), layouts=more["layouts"],
        )  # fmt: skip
    except (IndexError, *DAMAGED):
        return None


def _from_here(file: str, root: str) -> str:
    return file if Path(file).is_absolute() else os.path.relpath(Path(root, file))


def from_lock(lock: Lock, config: Config, believed: Callable[[LockEntry], bool] = lambda entry: True) -> Kept:
    """The models of ``lock`` that did not change, of those entries that are ``believed``."""

    known: dict[str, Any] = {}

    def kept(model: BudgetedModel, setup: Setup) -> Graph | None:
        entry = lock.entries.get((model.name, setup.label))
        if entry is None or not entry.trace or entry.model != model.model or not config.reach:
            return None
        fits = entry.trace.get("choices") == _choices(setup, config) and believed(entry)
        if not fits or not unchanged(entry.trace, os.path.realpath(config.reach), known):
            return None
        graph = graph_of(entry)
        return None if graph is None else _completed(graph, entry.trace, config)

    return kept


# -- marks of what was traced here ---------------------------------------------------------------


def is_marked(entry: LockEntry) -> bool:
    """Whether this user's own trace has made ``entry`` on this machine."""
    folder = _marks()
    return folder is not None and (folder / _digest(entry)).is_file()


def mark(entry: LockEntry) -> None:
    """Remember that ``entry`` was made by a trace here; where nothing can be remembered, it is traced again."""
    folder = _marks()
    if folder is None or not entry.trace:
        return
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        old = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime)
        for path in old[: max(len(old) - MOST_MARKS, 0)]:
            path.unlink(missing_ok=True)
        (folder / _digest(entry)).touch(mode=0o600)


def _digest(entry: LockEntry) -> str:
    return sha256(json.dumps(entry._asdict(), sort_keys=True).encode()).hexdigest()


def _marks() -> Path | None:
    """The folder of the user's own in which there is an empty file for each entry that was traced."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    try:
        cache = Path(given) if Path(given).is_absolute() else Path.home() / ".cache"
    except RuntimeError:  # nobody's home
        return None
    return cache / "costcalc" / "traced"
