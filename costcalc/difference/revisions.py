"""Which specs differ between two revisions of a repository, and by what."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from costcalc.classes import NamedTuple, replace
from costcalc.difference import diff
from costcalc.difference.git import Edits, Repository, Tree
from costcalc.difference.isolated_trace import Answer, Wanted, tracing
from costcalc.difference.memory_causes import MemoryPlan, with_memory
from costcalc.difference.records import Cause, Diff
from costcalc.difference.safe_git import GitError
from costcalc.errors import CodeRefused, CostcalcError, SpecError, UnknownName, listing, near
from costcalc.frontends.sources import SOURCES, SPEC, is_kind, source_of, split, suffixes
from costcalc.ir.graph import Graph
from costcalc.progress import doing, each
from costcalc.reading.files import contents

MOST_LAYERS, MOST_MODELS = 200_000, 320
"""What is compared because it changed, though nobody has named it: layers, at both revisions, and models."""


class Range(NamedTuple):
    """Two revisions; ``new`` is None for the files as they lie there now."""

    old: str
    new: str | None
    from_fork: bool = False


def parse_range(text: str) -> Range | None:
    """``main..HEAD``, ``main...HEAD`` (from where the branches parted), None if ``text`` is not a range of revisions.

    Which it is depends on ``text`` alone, and on no file that may lie there.

    >>> parse_range("main..HEAD"), parse_range("configs/net.yaml"), parse_range("./a..b.yaml")
    (Range(old='main', new='HEAD', from_fork=False), None, None)
    """
    is_path = Path(text).is_absolute() or text.startswith(("../", "./")) or "/../" in text
    if ".." not in text or is_path or split(text)[0].endswith(suffixes()):
        return None
    dots = "..." if "..." in text else ".."
    old, _, new = text.partition(dots)
    return Range(old or "HEAD", new or "HEAD", dots == "...")


class Building(NamedTuple):
    """How a model that is code is built at both revisions, as ``load`` has it, with which bits, and its name then."""

    choices: Mapping[str, Any]
    bits: int | None = None
    label: str = ""


def diff_specs(
    repository: Repository,
    between: Range,
    paths: list[str],
    choices: Mapping[str, Any],
    *,
    bits: int | None = None,
    machine: Any = None,
    energy: Any = None,
    planned: Callable[[Graph], MemoryPlan] | None = None,
    allow_code: bool = False,
    ways: Callable[[str], Sequence[Building]] | None = None,
) -> list[Diff]:
    """A diff for each spec among ``paths`` (or each that changed), and each of its variants, that is not the same.

    Models among ``paths`` that are code are traced at both revisions, if ``allow_code``: in each of the ``ways`` of
    one, where it has any, else as ``choices`` say. With ``planned`` also what an engine holds at most, as it plans it.
    """
    code = [path for path in paths if source_of(path).runs_code]
    if code and not allow_code:
        raise CodeRefused(
            f"'{code[0][:80]}' is Python code, which diff does not run as other revisions have it; "
            "if you trust them, add --allow-code"
        )
    specs = [path for path in paths if path not in code]
    new = between.new
    base = repository.merge_base(between.old) if new is None or between.from_fork else repository.commit(between.old)
    head = None if new is None else repository.commit(new)
    with contextlib.ExitStack() as stack:
        before = stack.enter_context(repository.specs(between.old, base))
        after = Tree("", repository.root) if head is None else stack.enter_context(repository.specs(new or "", head))
        changed_models = () if code else _changed_models(repository, before, after, base, head)
        wanted = _wanted(repository, specs) or dict.fromkeys((path, "") for path in changed_models)
        edits = Edits(repository, base, head)
        found: list[Diff] = []
        layers = compared = 0
        for path, variant in each("comparing", wanted, lambda one: one[0]):
            one = _Spec(path, before, after, choices, between)
            diffs = []
            for v in [variant] if variant else one.variants():
                diffs.append(one.diff(v, bits, machine, energy, planned))
                layers += sum(len(side.layers) for side in (diffs[-1].old, diffs[-1].new) if side is not None)
                compared += 1
                if not paths and layers > MOST_LAYERS:
                    raise GitError(f"the models that changed have more than {MOST_LAYERS:,} layers; name some of them")
                if not paths and compared > MOST_MODELS:
                    raise GitError(f"more than {MOST_MODELS} models changed; name some of them")
            changed = [d for d in diffs if not d.same or d.old is None or d.new is None]
            found += [_at_edits(d, edits) for d in changed or diffs[: 1 if paths else 0]]
    if code:
        jobs = [(model, way) for model in code for way in (ways and ways(model)) or [Building(choices, bits)]]
        of_code = _of_code(repository, between, base, head, jobs, machine, energy, planned)
        found += [_at_edits(d, edits) for d in of_code]
    return found


def _of_code(
    repository: Repository, between: Range, base: str, head: str | None, jobs: Sequence[tuple[str, Building]],
    machine: Any, energy: Any, planned: Callable[[Graph], MemoryPlan] | None,
) -> Iterator[Diff]:  # fmt: skip
    """The diffs of models that are code, each built in its way, each revision traced by a process of its own."""
    models = [*dict.fromkeys(model for model, _ in jobs)]
    wanted = [Wanted(model, way.choices) for model, way in jobs]
    with contextlib.ExitStack() as stack:
        before = stack.enter_context(repository.files(between.old, base))
        after = (
            Tree("", repository.root)
            if head is None
            else stack.enter_context(repository.files(between.new or "", head))
        )
        for model in models:
            if source_of(model).is_file:
                _check_there(repository, split(model)[0], before, after, between)
        doing(f"tracing {listing(models)} at both revisions")
        sides = [stack.enter_context(tracing(repository, tree, wanted)) for tree in (before, after)]
        for (model, way), *answers in zip(jobs, *(side() for side in sides), strict=True):
            old, new = (_graph(answer, tree) for answer, tree in zip(answers, (before, after), strict=True))
            if not (old or new) and isinstance(answers[1], CostcalcError):
                raise answers[1]
            name = f"{model} at {way.label}" if way.label else model
            found = diff(old, new, bits=way.bits, machine=machine, energy=energy, name=name)
            yield with_memory(found, old, new, planned)


def _check_there(repository: Repository, file: str, before: Tree, after: Tree, between: Range) -> None:
    """Raise ``GitError`` if neither revision has ``file``."""
    path = repository.relative(file)
    if not any(Path(tree.path(path)).is_file() for tree in (before, after)):
        raise GitError(f"there is no {path} in {between.old} nor in {between.new or 'the working tree'}")


def _graph(answer: Answer, tree: Tree) -> Graph | None:
    """What a trace has given; None where the revision has no such model."""
    if isinstance(answer, UnknownName):
        return None
    if isinstance(answer, CostcalcError):
        raise CostcalcError(f"at {tree.revision}: {answer}" if tree.revision else str(answer))
    return answer


def _wanted(repository: Repository, paths: list[str]) -> dict[tuple[str, str], None]:
    """The path from the repository's root and the variant of each that is named, each once."""
    wanted: dict[tuple[str, str], None] = {}
    for given in paths:
        path, variant = split(given)
        if not path.endswith(suffixes()):
            raise GitError(f"'{given[:80]}' is not a model file in the repository; only files have revisions")
        wanted[repository.relative(path), variant] = None
    return wanted


class _Spec:
    """One spec file at both revisions."""

    def __init__(self, path: str, before: Tree, after: Tree, choices: Mapping[str, Any], between: Range) -> None:
        self.path, self.trees, self.choices = path, (before, after), choices
        self.there = [Path(tree.path(path)).is_file() for tree in self.trees]
        if not any(self.there):
            raise GitError(f"there is no {path} in {between.old} nor in {between.new or 'the working tree'}")
        self.known = [self._variants(side) for side in (0, 1)]

    def variants(self) -> list[str]:
        """Of both revisions; [""] for a spec without."""
        names = [name for side in (1, 0) for name in self.known[side]]
        return list(dict.fromkeys(names)) or [""]

    def _variants(self, side: int) -> list[str]:
        if not self.there[side] or source_of(self.path) is not SOURCES[SPEC]:
            return []
        spec = _parsed(self.trees[side], self.path)
        return list(spec.variants) if spec else []

    def diff(
        self, variant: str, bits: int | None, machine: Any, energy: Any, planned: Callable[[Graph], MemoryPlan] | None
    ) -> Diff:
        """The diff of one variant; a side that lacks it is None. Raises ``SpecError`` if both do."""
        if variant and variant not in (known := self.variants()):
            raise SpecError(f"{self.path} has no variant '{variant[:80]}'{near(variant, known)}")
        old, new = (self._load(side, variant) for side in (0, 1))
        name = f"{self.path}:{variant}" if variant else self.path
        return with_memory(diff(old, new, bits=bits, machine=machine, energy=energy, name=name), old, new, planned)

    def _load(self, side: int, variant: str) -> Graph | None:
        if not self.there[side] or (variant and variant not in self.known[side]):
            return None
        tree = self.trees[side]
        try:
            return tree.load(self.path, variant, self.choices)
        except CostcalcError as error:
            where = f"at {tree.revision}: " if tree.revision else ""
            raise SpecError(f"{where}{error}") from None


def _parsed(tree: Tree, path: str) -> Any:
    """The spec, or None if the file is YAML of another kind."""
    from costcalc.frontends.spec.model import parse_spec
    from costcalc.reading.yaml import read_file

    try:
        return parse_spec(read_file(tree.path(path), path), path)
    except CostcalcError:
        return None


def _changed_models(repository: Repository, before: Tree, after: Tree, base: str, head: str | None) -> Iterator[str]:
    """The changed files that are models, and the models that use a changed file of blocks."""
    changed = repository.changed(base, head)
    shared = []
    for path in changed:
        there = [tree for tree in (after, before) if Path(tree.path(path)).is_file()]
        if source_of(path) is not SOURCES[SPEC]:
            if any(is_kind(tree.path(path)) for tree in there):
                yield path
            continue
        kind = next(filter(None, (kind_of(Path(tree.path(path))) for tree in there)), "")
        if kind == "model":
            yield path
        elif kind == "blocks":
            shared.append(Path(path).name)
    if not shared:
        return
    for file in sorted(Path(after.folder).rglob("*.yaml")):
        path = file.relative_to(after.folder).as_posix()
        if path not in changed and "/." not in f"/{path}" and kind_of(file) == "model":
            text = file.read_text(encoding="utf-8", errors="replace")
            if any(name in text for name in shared):
                yield path


def kind_of(file: Path) -> str:
    """``model`` or ``blocks`` by the keys at the margin, or "" for YAML of another kind."""
    try:
        text = contents(str(file)).decode("utf-8", errors="replace")
    except CostcalcError:
        return ""
    keys = {line.partition(":")[0] for line in text.splitlines() if line[:1].isalpha()}
    return "model" if {"layers", "inputs"} <= keys else "blocks" if "blocks" in keys else ""


def _at_edits(found: Diff, edits: Edits) -> Diff:
    """``found`` with its causes placed at the lines that were edited."""
    causes = (c if c.description.startswith("-") else _edited(c, edits) for c in found.causes)
    return replace(found, causes=tuple(causes))


def _edited(cause: Cause, edits: Edits) -> Cause:
    return replace(cause, location=edits.line_of(cause.location, f"{cause.kind} {cause.description}"))
