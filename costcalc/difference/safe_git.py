"""The one place that runs git: on the repository that a folder is in by its own ``.git``, with nothing of the checkout
in force.

A checkout is a stranger's. Plain files of it can look like a repository without a ``.git``, and attributes, hooks,
filters and monitors are ways to make git run or read something. So the repository is looked for here, git is
started at its root with settings by environment, which come before all others, and what git then calls its root must be
the same folder.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from costcalc.classes import NamedTuple
from costcalc.errors import CostcalcError

SETTINGS = {
    "safe.bareRepository": "explicit",
    "core.attributesFile": os.devnull,
    "core.alternateRefsCommand": "true",
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.quotePath": "false",
    "core.untrackedCache": "false",
    "core.useReplaceRefs": "false",
    "diff.ignoreSubmodules": "all",
    "fetch.recurseSubmodules": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "protocol.allow": "never",
    "submodule.recurse": "false",
}
"""Git's settings for every call. Each closes a way by which git would run a program or read what no call names."""

ENVIRONMENT = {
    "GIT_ALLOW_PROTOCOL": "",  # no transport: what a partial clone lacks is not fetched
    "GIT_ASKPASS": "true",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_PAGER": "cat",
    "GIT_PROTOCOL_FROM_USER": "0",
    "GIT_SSH_COMMAND": "false",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
KEPT = ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_EXEC_PATH")
"""Variables of git's own that the user may have set: where the settings of the user and of the machine are."""


class GitError(CostcalcError):
    """A repository or a revision that is not there, or that is not used."""


class Home(NamedTuple):
    """Where a repository is: the folder of its files, and the folder that git keeps its own in."""

    root: str
    git: str


def environment(root: str, more: Mapping[str, str] = {}) -> dict[str, str]:
    """The variables for git on the repository at ``root``; ``more`` are settings that one call has besides."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name in KEPT}
    settings = {**SETTINGS, **more}
    numbered = {"GIT_CONFIG_COUNT": str(len(settings)), "GIT_CEILING_DIRECTORIES": str(Path(root).parent)}
    for i, (name, value) in enumerate(settings.items()):
        numbered |= {f"GIT_CONFIG_KEY_{i}": name, f"GIT_CONFIG_VALUE_{i}": value}
    return {**kept, **ENVIRONMENT, **numbered}


def git(
    root: str,
    *args: str,
    stdin: bytes = b"",
    fine: tuple[int, ...] = (0,),
    variables: Mapping[str, str] | None = None,
    into: BinaryIO | None = None,
) -> bytes:
    """What git prints when it is started at ``root``; nothing if it goes ``into`` a file.

    Raises ``GitError`` with git's own reason if it ends with a code that is not ``fine``.
    """
    variables = environment(root) if variables is None else variables
    try:
        done = subprocess.run(
            ["git", *args], cwd=root, env=variables, input=stdin, stdout=into or subprocess.PIPE, stderr=subprocess.PIPE
        )  # fmt: skip
    except FileNotFoundError:
        raise GitError("git is not installed, and a revision cannot be read without it") from None
    except (OSError, ValueError) as error:  # of a revision with a NUL in it, or too long
        raise GitError(f"git cannot do that: {error}") from None
    if done.returncode not in fine:
        reason = done.stderr.decode(errors="replace").strip().splitlines()
        raise GitError(f"git {args[0]} failed: {reason[0] if reason else done.returncode}")
    return done.stdout or b""


def find_home(folder: str) -> Home | None:
    """The repository that ``folder`` is in by the nearest ``.git``; None if there is none.

    Raises ``GitError`` for a ``.git`` that names a repository which files of the checkout could make up.
    """
    start = Path(folder or ".").resolve()
    for root in (start, *start.parents):
        entry = root / ".git"
        if os.path.lexists(entry):
            return Home(str(root), str(_own(root, entry)))
    return None


def _own(root: Path, entry: Path) -> Path:
    """The folder that ``entry``, the ``.git`` of ``root``, is or names."""
    if entry.is_dir() and not entry.is_symlink():
        return entry
    named = entry.resolve()
    if entry.is_file():
        with entry.open("rb") as stream:
            head, _, path = os.fsdecode(stream.read(4096)).partition(":")
        named = (root / path.strip()).resolve() if head == "gitdir" else named
    # A submodule's or a second working tree's is inside another .git; some are beside all files. A folder among the
    # files is neither, and each clone of a stranger's repository has one if the stranger wants.
    outer = next((above for above in root.parents if (above / ".git").is_dir()), root)
    if named.is_relative_to(outer) and not named.is_relative_to(outer / ".git"):
        raise GitError(f"the .git of '{root}' names a repository among the files of the checkout, which is not used")
    return named


def repository_of(folder: str) -> Home:
    """The repository that ``folder`` is in, as git agrees. Raises ``GitError`` where there is none to use."""
    if not Path(folder or ".").is_dir():
        raise GitError(f"'{folder}' is not a folder")
    home = find_home(folder)
    if home is None:
        where = "this folder" if folder in ("", ".") else f"'{folder}'"
        made_up = _made_up(Path(folder or ".").resolve())
        refused = f"; '{made_up}' looks like one, but plain files make that up, so it is not used" if made_up else ""
        raise GitError(f"{where} is not in a git repository, so there is no revision to compare with{refused}")
    try:
        located = git(home.root, "rev-parse", "--show-toplevel", "--absolute-git-dir").decode(errors="surrogateescape")
    except GitError as error:
        if "not installed" in error.message:
            raise
        raise GitError(f"git does not use the repository at '{home.root}': {error.message}") from None
    top, _, own = located.rstrip("\n").partition("\n")
    if Path(top).resolve() != Path(home.root) or Path(own).resolve() != Path(home.git).resolve():
        raise GitError(f"git takes the files at '{home.root}' for those of another repository, which is not used")
    return home


def _made_up(start: Path) -> Path | None:
    """The nearest folder from ``start`` up that git would take for a repository without a ``.git``."""
    parts = ("HEAD", "objects", "refs")
    return next((f for f in (start, *start.parents) if all((f / part).exists() for part in parts)), None)
