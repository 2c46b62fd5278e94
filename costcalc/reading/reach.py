"""How far a file reaches: what it names lies in its repository or, where there is none, in its folder.

Only whoever types a command may name a file anywhere. What specs and configs name comes with them, perhaps from a
stranger, whose links and paths would otherwise lead to any file of the machine; and a message would quote it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from costcalc.errors import CostcalcError, Location, SpecError


def reach_of(file: str) -> str:
    """The folder in which lies what ``file`` may name."""
    try:
        folder = Path(file).parent.resolve()
    except (OSError, ValueError, RuntimeError):  # links in a circle, a name with a null character
        return str(Path(file).parent)
    return str(next((above for above in (folder, *folder.parents) if os.path.lexists(above / ".git")), folder))


def is_inside(path: str, reach: str) -> bool:
    """Whether ``path``, its links followed, lies in the folder ``reach``."""
    try:
        return Path(path).resolve().is_relative_to(Path(reach).resolve())
    except (OSError, ValueError, RuntimeError):
        return False


def is_in_cache(file: Path) -> bool:
    """Whether ``file`` lies as the local cache of Hugging Face keeps a revision: a link to one of its ``blobs``."""
    above = file.parents[1:3]  # of a revision's own files, and of those in a folder of a part
    return any(f.name == "snapshots" and is_inside(str(file), str(f.parent / "blobs")) for f in above)


def refuse_outside(path: str, reach: str, named: str, location: Location | None, by: str) -> None:
    """Raise ``SpecError`` at ``location`` if ``path``, which a file called ``named``, lies out of its ``reach``."""
    if not is_inside(path, reach):
        whole = "repository" if os.path.lexists(Path(reach, ".git")) else "folder"
        raise SpecError(
            f"'{named[:80]}' leads out of the {whole} of this file, and is not read because {by} names it", location
        )


def _leads_out(path: str) -> bool:
    """Whether ``path`` is a link, or goes through one of its repository or of the working directory, that leads out."""
    whole = Path(os.path.normpath(Path.cwd() / path))
    inner = [whole, *whole.parents]
    # Links above these are the user's or the system's own, as where home folders lie.
    above = next((i for i, one in enumerate(inner) if i and os.path.lexists(one / ".git")), 1)
    if not Path(path).is_absolute() and whole.is_relative_to(Path.cwd()):
        above = max(above, inner.index(Path.cwd()))
    return any(one.is_symlink() and not is_inside(path, reach_of(str(one))) for one in inner[:above])


@contextmanager
def unquoted(path: str, shown: str = "") -> Iterator[None]:
    """While open, an error quotes nothing of the file at ``path`` if that is a link which leads out of its reach."""
    try:
        yield
    except CostcalcError as error:
        if not _leads_out(path):
            raise
        sentence = "this link leads out of its repository or folder, to a file that is not what is wanted"
        raise type(error)(
            f"{sentence}; nothing of it is quoted: name the file itself", Location(shown or path)
        ) from None
