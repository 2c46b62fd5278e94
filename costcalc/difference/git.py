"""Specs of another revision, read with plain git; the user's checkout is not touched."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

from costcalc.classes import NamedTuple, replace
from costcalc.difference.safe_git import GitError, environment, git, repository_of
from costcalc.errors import CostcalcError, Location, near
from costcalc.frontends.sources import source_of, suffixes
from costcalc.ir.graph import Graph
from costcalc.reading.files import contents

MAX_FILE = 8 * 2**20
MAX_FILES = 20_000
MAX_ALONE = 2 * 2**30
"""Bytes of a file that names no others, which is written out only when it is asked for."""
AT_A_TIME = 4 * MAX_FILE
MOST_FILES, MOST_BYTES = 200_000, 4 * 2**30
"""Of a whole revision that is written out."""
PLAIN, LINK = (b"100644", b"100755"), b"120000"


class File(NamedTuple):
    """A file of a commit: by which name git keeps its content, and how many bytes that has."""

    sha: str
    size: int


class Commit(NamedTuple):
    """A commit: its whole name, the day it was made on as 2027-01-31, and the first line of its message."""

    sha: str
    day: str
    subject: str

    @property
    def short(self) -> str:
        """The beginning of its name, as git shows it."""
        return self.sha[:8]


class Tree(NamedTuple):
    """The specs of one revision, written below a temporary folder.

    revision   as the user named it
    folder     where the files lie
    write      writes a file there that no other names, if the revision has it
    """

    revision: str
    folder: str
    write: Callable[[str], None] | None = None

    def path(self, relative: str) -> str:
        """Where the file ``relative`` to the repository's root lies."""
        if self.write is not None:
            self.write(relative)
        return str(Path(self.folder, relative))

    def load(self, relative: str, variant: str, choices: Mapping[str, Any]) -> Graph:
        """The model in the file ``relative``, or the ``variant`` of it, built as ``choices`` say.

        Its places, and those in the message of a ``CostcalcError``, have the repository's paths.
        """
        from costcalc import load

        path = self.path(relative) + (f":{variant}" if variant else "")
        try:
            return self.relabel(load(path, **choices, within=self.folder))
        except CostcalcError as error:
            raise CostcalcError(self.shown(str(error))) from None

    def shown(self, text: str) -> str:
        """``text`` with the repository's paths in place of the temporary ones."""
        return text.replace(self.folder + os.sep, "")

    def relabel(self, graph: Graph) -> Graph:
        """``graph`` with the repository's paths in its places."""
        nodes = tuple(n._replace(location=self._shown(n.location)) for n in graph.nodes)
        return replace(graph, nodes=nodes)

    def _shown(self, location: Location | None) -> Location | None:
        if location is None:
            return None
        return location._replace(file=self.shown(location.file), within=self._shown(location.within))


class Repository:
    """The repository that ``folder`` is in by its own ``.git``. Raises ``GitError`` if it is in none."""

    def __init__(self, folder: str = ".") -> None:
        self.root = repository_of(folder).root

    def commit(self, revision: str) -> str:
        """The commit that ``revision`` names; a ``GitError`` names the nearest branch or tag."""
        found = self._try("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision or 'HEAD'}^{{commit}}")
        if found is None or found.startswith(b"^"):
            refs = self._try("for-each-ref", "--format=%(refname:short)") or b""
            hint = near(revision, refs.decode(errors="replace").split())
            shallow = (self._try("rev-parse", "--is-shallow-repository") or b"").strip() == b"true"
            more = (
                "; this clone is shallow: fetch more of it (fetch-depth: 0 on GitHub)" if shallow and not hint else ""
            )
            raise GitError(f"git knows no revision '{revision[:80]}'{hint}{more}")
        return found.decode().strip()

    def merge_base(self, revision: str) -> str:
        """Where the branch that is checked out left ``revision``; that revision itself if git cannot tell."""
        commit = self.commit(revision)
        found = self._try("merge-base", commit, "HEAD")
        return found.decode().strip() if found else commit

    def relative(self, path: str) -> str:
        """``path``, which is relative to the working directory, from the repository's root."""
        full = Path(path).resolve()
        if not full.is_relative_to(self.root):
            raise GitError(f"'{path}' is outside the repository at {self.root}")
        return full.relative_to(self.root).as_posix()

    def changed(self, commit: str, other: str | None = None) -> list[str]:
        """Model files that differ between ``commit`` and ``other``, or the files as they lie there now."""
        before = self._files(commit)
        if other is not None:
            after = self._files(other)
            return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
        listed = self._run("ls-files", "--others", "--exclude-standard", "-z")
        new = {path for path in map(os.fsdecode, listed.split(b"\0")) if path.endswith(suffixes())}
        return sorted(new | {path for path, file in before.items() if not self._is_as(path, file)})

    def _is_as(self, path: str, file: File) -> bool:
        """Whether ``path`` lies there as the commit has it: byte by byte, whatever attributes say of it."""
        there = Path(self.root, path)
        if not there.is_file() or there.is_symlink():
            return False
        if not path.endswith(suffixes(refers=True)):
            return there.stat().st_size == file.size and _name_of(there, len(file.sha)) == file.sha
        try:
            data = contents(str(there), most=MAX_FILE)
        except CostcalcError:
            return False
        # Some keep lines with other ends in the working tree than in the repository.
        texts = (data, data.replace(b"\r\n", b"\n"))
        return any(_name([text], len(text), len(file.sha)) == file.sha for text in texts)

    def log(self, paths: Iterable[str], since: str | None = None) -> list[Commit]:
        """The commits before HEAD that touched ``paths``, the oldest first; only those after the revision ``since``."""
        after = [f"^{self.commit(since)}"] if since is not None else []
        head = self.commit("HEAD")
        plain = ("--no-color", "--no-show-signature", "--no-decorate", "--no-notes", "--no-follow")
        form = ("-z", "--reverse", "--topo-order", "--format=%H%x09%cs%x09%s")
        text = self._run("log", *form, *plain, head, *after, "--", *paths)
        rows = (row.split("\t", 2) for row in text.decode(errors="replace").split("\0") if row)
        return [Commit(*row) for row in rows if len(row) == 3]

    def fetch(self, branch: str) -> None:
        """Get the newest commit of ``branch`` of ``origin``, by HTTPS or from a folder; a shallow clone may lack it."""
        if not branch or branch.startswith("-") or any(c in branch for c in ":*?[\\^~ \n"):
            raise GitError(f"'{branch[:80]}' is not a name of a branch")
        refs = f"+refs/heads/{branch}:refs/remotes/origin/{branch}"
        variables = {**environment(self.root), "GIT_ALLOW_PROTOCOL": "https:file"}
        git(self.root, "fetch", "--quiet", "--no-tags", "--depth=1", "origin", refs, variables=variables)

    def read(self, commit: str, path: str) -> bytes | None:
        """The file ``path`` of ``commit``; None if that has none."""
        return self._try("cat-file", "blob", f"{commit}:{path}")

    @contextlib.contextmanager
    def specs(self, revision: str, commit: str) -> Iterator[Tree]:
        """All spec files of ``commit`` in a temporary folder while the context lasts; others as they are asked for."""
        files, together = self._files(commit), suffixes(refers=True)
        wanted = {path: f for path, f in files.items() if f.size <= MAX_FILE and path.endswith(together)}
        alone = {path: file for path, file in files.items() if not path.endswith(together)}
        if len(wanted) > MAX_FILES:
            raise GitError(f"{revision} has {len(wanted):,} YAML files; at most {MAX_FILES:,} are read")
        with _temporary() as folder:
            self._write(folder, wanted)

            def write(path: str) -> None:
                file, full = alone.pop(path, None), Path(folder, path)
                if file is None or not _is_below(path):
                    return
                if file.size > MAX_ALONE:
                    raise GitError(f"{path} has {file.size:,} bytes at {revision}; at most {MAX_ALONE:,} are read")
                full.parent.mkdir(parents=True, exist_ok=True)
                with full.open("wb") as stream:
                    git(self.root, "cat-file", "blob", file.sha, into=stream)

            yield Tree(revision, folder, write)

    @contextlib.contextmanager
    def files(self, revision: str, commit: str) -> Iterator[Tree]:
        """All files of ``commit`` in a temporary folder, while the context lasts: a working tree of which git does not
        know, so that nothing of git's runs and the checkout stays as it is. Submodules are left out, and so are links
        that lead out of it."""
        listed = [(path, mode, file) for path, mode, file in self._listed(commit) if mode in (*PLAIN, LINK)]
        total = sum(file.size for _, _, file in listed)
        if len(listed) > MOST_FILES or total > MOST_BYTES:
            description = f"{revision} has {len(listed):,} files of {total >> 20:,} MiB"
            raise GitError(
                f"{description}; at most {MOST_FILES:,} of {MOST_BYTES >> 20:,} MiB are written out for a trace"
            )
        with _temporary() as folder:
            self._write(folder, {path: file for path, mode, file in listed if mode in PLAIN})
            links = [(Path(folder, path), file) for path, mode, file in listed if mode == LINK and _is_below(path)]
            for (link, _), target in zip(links, self._blobs([file for _, file in links]), strict=True):
                inside = Path(os.path.normpath(link.parent / os.fsdecode(target))).is_relative_to(folder)
                if inside and not os.path.lexists(link) and link.parent.resolve().is_relative_to(folder):
                    link.parent.mkdir(parents=True, exist_ok=True)
                    link.symlink_to(os.fsdecode(target))
            yield Tree(revision, folder)

    def _write(self, folder: str, wanted: dict[str, File]) -> None:
        """Write files by path below ``folder``, which has no links yet."""
        names: dict[File, list[Path]] = {}
        for path, file in wanted.items():
            if _is_below(path):
                names.setdefault(file, []).append(Path(folder, path))
        # One content may have many names, and is kept once.
        for (first, *others), data in zip(names.values(), self._blobs([*names]), strict=True):
            first.parent.mkdir(parents=True, exist_ok=True)
            first.write_bytes(data)
            for other in others:
                other.parent.mkdir(parents=True, exist_ok=True)
                other.hardlink_to(first)

    def _blobs(self, files: list[File]) -> Iterator[bytes]:
        """The content of each of ``files``, of some megabytes at a time."""
        while files:
            sizes = accumulate(file.size for file in files)
            count = max(sum(size <= AT_A_TIME for size in sizes), 1)
            some, files = files[:count], files[count:]
            done = self._run("cat-file", "--batch", stdin="".join(f"{file.sha}\n" for file in some).encode())
            at = 0
            for file in some:
                start = done.index(b"\n", at) + 1
                yield done[start : start + file.size]
                at = start + file.size + 1

    def _files(self, commit: str) -> dict[str, File]:
        """The model files of ``commit`` by path; no links and no submodules, which are not followed."""
        return {path: file for path, mode, file in self._listed(commit) if mode in PLAIN and path.endswith(suffixes())}

    def _listed(self, commit: str) -> Iterator[tuple[str, bytes, File]]:
        """Path, mode and content of everything in ``commit``."""
        for row in self._run("ls-tree", "-r", "-l", "-z", "--full-tree", commit).split(b"\0"):
            about, _, name = row.partition(b"\t")
            if name:
                mode, _, sha, size = about.split()
                yield os.fsdecode(name), mode, File(sha.decode(), int(size) if size.isdigit() else 0)

    def _run(self, *args: str, stdin: bytes = b"") -> bytes:
        return git(self.root, *args, stdin=stdin)

    def _try(self, *args: str) -> bytes | None:
        try:
            return self._run(*args)
        except GitError as error:
            if "not installed" in error.message:
                raise
            return None


@contextlib.contextmanager
def _temporary() -> Iterator[str]:
    """A folder that is gone in the end, its links followed."""
    with tempfile.TemporaryDirectory(prefix="costcalc-") as folder:
        yield str(Path(folder).resolve())


def _is_below(path: str) -> bool:
    """Whether a path of a commit lies below the folder that it is written to, and out of git's own."""
    parts = Path(path).parts
    return not Path(path).anchor and not any(part == ".." or _is_gits(part) for part in parts)


def _is_gits(name: str) -> bool:
    """Whether a file system that takes several names for one may take ``name`` for ``.git``.

    >>> [_is_gits(name) for name in (".git", ".GIT ", "git~1", ".gi\\u200ct", ".git::$DATA", ".github", "git")]
    [True, True, True, True, True, False, False]
    """
    seen = "".join(c for c in unicodedata.normalize("NFKC", name) if unicodedata.category(c) != "Cf")
    return bool(re.fullmatch(r"(\.git|git~\d+)[ .]*(:.*)?", seen, re.IGNORECASE | re.DOTALL))


def _name(parts: Iterable[bytes], size: int, digits: int) -> str:
    """By which name, of so many ``digits``, git keeps what the ``parts``, of ``size`` bytes together, have."""
    found = hashlib.new("sha1" if digits == 40 else "sha256", b"blob %d\0" % size)
    for part in parts:
        found.update(part)
    return found.hexdigest()


def _name_of(file: Path, digits: int) -> str:
    """The same of what is in ``file``, which may be too large for the memory."""
    with file.open("rb") as stream:
        return _name(iter(lambda: stream.read(2**20), b""), file.stat().st_size, digits)


def edited_lines(before: bytes, after: bytes) -> set[int]:
    """The lines of ``after``, from 1, that ``before`` has not; of lines that only went, the one before them."""
    lines: set[int] = set()
    with tempfile.TemporaryDirectory(prefix="costcalc-") as folder:
        # Beside every repository, where no attributes hold.
        for name, data in (("before", before), ("after", after)):
            Path(folder, name).write_bytes(data)
        options = ("--no-index", "--unified=0", "--no-color", "--no-ext-diff", "--no-textconv", "--text")
        text = git(folder, "diff", *options, "--", "before", "after", fine=(0, 1))
    for line in text.splitlines():
        if line.startswith(b"@@"):
            start, _, count = line.split(b"+", 1)[1].split(b" ", 1)[0].partition(b",")
            n = int(count or b"1")
            lines.update(range(int(start), int(start) + n) if n else [max(int(start), 1)])
    return lines


class Edits:
    """The lines that were edited since ``commit``, up to ``other`` or to the files as they lie there.

    named   a file as places have it → its path from the repository's root
    """

    def __init__(
        self, repository: Repository, commit: str, other: str | None, named: Callable[[str], str] = lambda file: file
    ) -> None:
        self._repository, self._commits, self._named = repository, (commit, other), named
        self._known: dict[str, tuple[set[int], str]] = {}

    def line_of(self, location: Location | None, description: str) -> Location | None:
        """Where the user made the change that was seen at ``location`` and is told as ``description``.

        The line itself if it was edited, else one that led to it, else in those files the edited line that has most
        of the words; ``location`` if nothing there was edited.
        """
        for call in location.chain if location else ():
            if call.line in self._of(call.file)[0]:
                return call
        for file in dict.fromkeys(call.file for call in (location.chain if location else ())):
            changed, text = self._of(file)
            # In a file of its own, blocks say, an edit is only of this place if the place is there.
            if location and changed and (file == location.file or location.file.endswith(".py")):
                near = next(call for call in location.chain if call.file == file)
                return pick_line(near, changed, text, words_of(description))
        return location

    def _of(self, file: str) -> tuple[set[int], str]:
        if file not in self._known and not source_of(file).has_lines:
            self._known[file] = set(), ""
        if file not in self._known:
            commit, other = self._commits
            try:
                path = self._named(file)
                there = str(Path(self._repository.root, path))
                text = contents(there, most=MAX_FILE) if other is None else self._repository.read(other, path) or b""
                lines = edited_lines(self._repository.read(commit, path) or b"", text)
                self._known[file] = lines, text.decode(errors="replace")
            except (CostcalcError, OSError):
                self._known[file] = set(), ""
        return self._known[file]


def words_of(description: str) -> list[str]:
    """What an edited line may have: options, the parts of a layer's name, and the numbers that came."""
    words = [
        word for word in re.findall(r"[A-Za-z_]\w+", description) if word not in ("and", "more", "layers", "layer")
    ]
    return words + re.findall(r"→(\d+)", description)


def pick_line(location: Location, changed: set[int], text: str, words: list[str]) -> Location:
    """The edited line of the file of ``location`` with most ``words``, of several the nearest."""
    lines = text.splitlines()

    def worth(line: int) -> tuple[int, int]:
        said = lines[line - 1] if line <= len(lines) else ""
        numbers = re.findall(r"\d+", said)
        return sum(word in (numbers if word.isdigit() else said) for word in words if word), -abs(line - location.line)

    return Location(location.file, max(sorted(changed), key=worth))
