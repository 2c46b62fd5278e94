"""Models that are code, traced as they are at a revision: in a folder of its files, by a process of its own.

Two revisions of one module cannot be told apart in one process, which imports each name once. And what a process has
imported from the checkout must not answer for another revision: a trace that used a file of the checkout is refused.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

import costcalc
from costcalc.classes import NamedTuple, replace
from costcalc.difference.git import Repository, Tree
from costcalc.errors import CostcalcError, Location, UnknownName
from costcalc.frontends.sources import is_path, split
from costcalc.ir.graph import Graph
from costcalc.ir.serialization import DAMAGED, graph_of, record_of
from costcalc.reading.installed import is_installed

_START = "import json, sys; r = json.load(open(sys.argv[1], encoding='utf-8')); sys.path[:] = r['path']; " + (
    "from costcalc.difference.isolated_trace import serve; serve(r)"
)


class Wanted(NamedTuple):
    """A model by the name that a user gives it, and how it is built, as ``load`` takes that."""

    model: str
    choices: Mapping[str, Any]


Answer: TypeAlias = "Graph | CostcalcError"


@contextmanager
def tracing(
    repository: Repository, tree: Tree, wanted: Sequence[Wanted], folder: str = "."
) -> Iterator[Callable[[], list[Answer]]]:
    """Start to trace ``wanted`` from the files in ``tree``; what is yielded waits for the answers, one for each.

    Files are named from the working directory, modules looked for there and in ``folder``; places come back from the
    repository's root.
    """
    root = Path(repository.root)
    inside = Path.cwd().resolve().is_relative_to(root)
    here = Path(tree.folder, repository.relative(".") if inside else "")
    here.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="costcalc-") as apart:
        request, answer = Path(apart, "request"), Path(apart, "answer")
        own = tree.path(repository.relative(folder)) if folder != "." else str(here)
        job = {
            "path": _search_path(root, tree.folder, own), "answer": str(answer), "tree": tree.folder, "root": str(root),
            "models": [[_there(repository, tree, model), dict(choices)] for model, choices in wanted],
        }  # fmt: skip
        request.write_text(json.dumps(job), encoding="utf-8")
        command = [sys.executable, "-I", "-B", "-c", _START, str(request)]
        with subprocess.Popen(command, cwd=here, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:

            def answers() -> list[Answer]:
                code = process.wait()
                return _read(answer, code, tree, len(wanted))

            try:
                yield answers
            except BaseException:
                process.kill()
                raise


def _there(repository: Repository, tree: Tree, model: str) -> str:
    """``model`` as the process in ``tree`` has to name it."""
    if not is_path(model):
        return model
    file, part = split(model)
    return tree.path(repository.relative(file)) + (f":{part}" if part else "")


def _search_path(root: Path, folder: str, own: str) -> list[str]:
    """Where the process looks for modules: in ``own``, then as this one does, in ``folder`` for the repository's."""
    found = [str(Path(costcalc.__file__).parent.parent), own]
    for entry in sys.path:
        full = Path(entry or ".").resolve()
        is_own = full.is_relative_to(root) and not is_installed(str(full))
        found.append(str(Path(folder, full.relative_to(root))) if is_own else str(full))
    return found


def _read(answer: Path, code: int, tree: Tree, count: int) -> list[Answer]:
    try:
        job = json.loads(answer.read_text(encoding="utf-8"))
        found = [graph_of(one["graph"]) if "graph" in one else _error(one, tree) for one in job]
    except (OSError, *DAMAGED):
        found = []
    if len(found) != count:
        how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
        return [CostcalcError(f"the process that traced it {how}")] * count
    return found


def _error(job: Mapping[str, Any], tree: Tree) -> CostcalcError:
    kind = UnknownName if job["unknown"] else CostcalcError
    return kind(tree.shown(str(job["error"])).split("\n")[0])


# -- in the other process ------------------------------------------------------------------------


def serve(request: dict[str, Any]) -> None:
    """Trace what is asked for and write the answers."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from costcalc import load

    strays = _Strays(request["root"], request["tree"])
    answers: list[dict[str, Any]] = []
    for model, choices in request["models"]:
        try:
            graph = load(model, **choices)
            nodes = tuple(n._replace(location=_from_root(n.location, request["tree"])) for n in graph.nodes)
            stray = strays.first()
            if stray:
                raise CostcalcError(f"it used '{stray}' of the checkout, which is not of that revision")
            answers.append({"graph": record_of(replace(graph, nodes=nodes))})
        except CostcalcError as error:
            answers.append({"error": str(error), "unknown": isinstance(error, UnknownName)})
    Path(request["answer"]).write_text(json.dumps(answers), encoding="utf-8")


def _from_root(location: Location | None, tree: str) -> Location | None:
    if location is None:
        return None
    full = Path(location.file).resolve()
    file = full.relative_to(tree).as_posix() if full.is_relative_to(tree) else location.file
    return location._replace(file=file, within=_from_root(location.within, tree))


class _Strays:
    """Files of the checkout that this process, which works elsewhere, has opened or imported."""

    def __init__(self, root: str, tree: str) -> None:
        self._root, self._tree = Path(root), Path(tree)
        self._opened: list[str] = []
        self._ours = str(Path(costcalc.__file__).parent)
        if root != tree:
            sys.addaudithook(self._note)

    def _note(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(args[0], (str, bytes)):
            with suppress(Exception):
                self._opened.append(os.fsdecode(args[0]))

    def first(self) -> str:
        """One of them, or ""."""
        opened, self._opened = self._opened, []
        for file in dict.fromkeys(opened):
            full = Path(file).resolve()
            is_of_checkout = full.is_relative_to(self._root) and not full.is_relative_to(self._tree)
            if is_of_checkout and full.is_file() and not self._is_library(str(full)):
                return full.relative_to(self._root).as_posix()
        return ""

    def _is_library(self, file: str) -> bool:
        return file.startswith(self._ours) or is_installed(file)
