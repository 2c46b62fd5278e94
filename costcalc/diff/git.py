"""Specs of another revision, read with plain git; the user's checkout is not touched."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from costcalc.errors import CostcalcError, Place, near
from costcalc.ir.graph import Graph

SPECS = (".yaml", ".yml")
MAX_FILE = 8 * 2**20
MAX_FILES = 20_000


class GitError(CostcalcError):
    """A repository or a revision that is not there."""


class Tree(NamedTuple):
    """The specs of one revision, written below a temporary folder.

    revision   as the user named it
    folder     where the files lie
    """

    revision: str
    folder: str

    def path(self, relative: str) -> str:
        """Where the file ``relative`` to the repository's root lies."""
        return str(Path(self.folder, relative))

    def shown(self, text: str) -> str:
        """``text`` with the repository's paths in place of the temporary ones."""
        return text.replace(self.folder + os.sep, "")

    def relabel(self, graph: Graph) -> Graph:
        """``graph`` with the repository's paths in its places."""
        nodes = tuple(replace(n, place=self._shown(n.place)) for n in graph.nodes)
        return replace(graph, nodes=nodes)

    def _shown(self, place: Place | None) -> Place | None:
        if place is None:
            return None
        return replace(place, file=self.shown(place.file), within=self._shown(place.within))


class Repository:
    """The repository that ``folder`` is in. Raises ``GitError`` if it is in none."""

    def __init__(self, folder: str = ".") -> None:
        self._folder = folder
        top = self._try("rev-parse", "--show-toplevel")
        if top is None:
            where = "this folder" if folder in ("", ".") else f"'{folder}'"
            raise GitError(f"{where} is in no git repository, so that there is no revision to compare with")
        self.root = str(Path(os.fsdecode(top).rstrip("\n")).resolve())

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
        """Spec files that differ between ``commit`` and ``other``, or the files as they lie there now."""
        sides = [commit] if other is None else [commit, other]
        names = self._run("diff", "--name-only", "--no-renames", "-z", "--end-of-options", *sides, "--")
        if other is None:
            names += self._run("ls-files", "--others", "--exclude-standard", "-z", "--full-name", ":/")
        found = {os.fsdecode(name) for name in names.split(b"\0") if name}
        return sorted(name for name in found if name.endswith(SPECS))

    def changed_lines(self, commit: str, path: str, other: str | None = None) -> set[int]:
        """The lines of ``path`` in ``other`` (or as it lies there now) that ``commit`` has not."""
        sides = [commit] if other is None else [commit, other]
        options = ("--unified=0", "--no-color", "--no-ext-diff", "--no-textconv")
        text = self._try("diff", *options, "--end-of-options", *sides, "--", f":/{path}")
        lines: set[int] = set()
        for line in (text or b"").splitlines():
            if line.startswith(b"@@"):
                start, _, count = line.split(b"+", 1)[1].split(b" ", 1)[0].partition(b",")
                n = int(count or b"1")
                # Where lines were only removed, the change is at the line before the gap.
                lines.update(range(int(start), int(start) + n) if n else [max(int(start), 1)])
        return lines

    def read(self, commit: str, path: str) -> bytes | None:
        """The file ``path`` of ``commit``; None if that has none."""
        return self._try("cat-file", "blob", f"{commit}:{path}")

    @contextlib.contextmanager
    def specs(self, revision: str, commit: str) -> Iterator[Tree]:
        """All spec files of ``commit`` in a temporary folder, while the context lasts."""
        with tempfile.TemporaryDirectory(prefix="costcalc-") as folder:
            folder = str(Path(folder).resolve())
            listed = self._run("ls-tree", "-r", "-l", "-z", "--full-tree", commit)
            wanted = []
            for row in listed.split(b"\0"):
                about, _, name = row.partition(b"\t")
                if not name.endswith(tuple(s.encode() for s in SPECS)):
                    continue
                mode, _, sha, size = about.split()
                # Links and submodules are not followed.
                if mode in (b"100644", b"100755") and int(size) <= MAX_FILE:
                    wanted.append((os.fsdecode(name), sha))
            if len(wanted) > MAX_FILES:
                raise GitError(f"{revision} has {len(wanted):,} YAML files; at most {MAX_FILES:,} are read")
            contents = self._blobs([sha for _, sha in wanted])
            for (path, _), data in zip(wanted, contents, strict=True):
                target = Path(folder, path)
                if ".." in target.parts:
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
            yield Tree(revision, folder)

    def _blobs(self, shas: list[bytes]) -> Iterator[bytes]:
        if not shas:
            return
        done = self._start("cat-file", "--batch", stdin=b"\n".join(shas) + b"\n")
        at = 0
        for _ in shas:
            end = done.index(b"\n", at)
            size = int(done[at:end].split()[2])
            yield done[end + 1 : end + 1 + size]
            at = end + 2 + size

    def _start(self, *args: str, stdin: bytes = b"") -> bytes:
        """What git prints; nothing of the user's settings that would run a program is used."""
        command = ["git", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false", *args]
        try:
            done = subprocess.run(command, cwd=self._folder or ".", input=stdin, capture_output=True, check=False)
        except FileNotFoundError:
            raise GitError("git is not installed, and a revision cannot be read without it") from None
        except NotADirectoryError:
            raise GitError(f"'{self._folder}' is no folder") from None
        except (OSError, ValueError) as error:  # of a revision with a NUL in it, or too long
            raise GitError(f"git cannot be asked that: {error}") from None
        if done.returncode:
            reason = done.stderr.decode(errors="replace").strip().splitlines()
            raise GitError(f"git {args[0]} failed: {reason[0] if reason else done.returncode}")
        return done.stdout

    def _run(self, *args: str) -> bytes:
        return self._start(*args)

    def _try(self, *args: str) -> bytes | None:
        try:
            return self._start(*args)
        except GitError as error:
            if "not installed" in error.message:
                raise
            return None


def pick_line(place: Place | None, changed: set[int], text: str, words: list[str]) -> Place | None:
    """Where the user made a change: the line of ``place`` if it was edited, else the edited one with most ``words``."""
    if place is None or not changed or place.line in changed:
        return place
    for call in place.chain:
        if call.file == place.file and call.line in changed:
            return call
    lines = text.splitlines()

    def worth(line: int) -> tuple[int, int]:
        said = lines[line - 1] if line <= len(lines) else ""
        return sum(word in said for word in words if word), -abs(line - place.line)

    return Place(place.file, max(sorted(changed), key=worth))
