"""``costcalc lock``."""

from __future__ import annotations

from typing import Annotated

from costcalc.cli.output import emit
from costcalc.cli.parameters import command, option

EXAMPLES = {
    "costcalc lock": "record what the models of costcalc.yaml cost",
    "costcalc lock --update": "agree to what they cost now",
}


@command
def lock(
    config: Annotated[
        str | None, option("--config", metavar="FILE", help="The config, instead of costcalc.yaml.")
    ] = None,
    update: Annotated[bool, option("--update", help="Overwrite a lock that differs.")] = False,
    allow_code: Annotated[
        bool, option("--allow-code", help="Run models that are Python code when the config names them.")
    ] = False,
) -> int:
    """Write costcalc.lock: what each model costs, layer by layer, for later checks and for reviews to read.

    If the lock says otherwise, what changed is shown and the exit code is 1, until --update agrees to it.
    """
    from costcalc.budget.lock import LockError, lock_text, read_lock
    from costcalc.budget.session import Asked, lock_changes, lock_file, new_lock, read_models, write_lock
    from costcalc.writing import version_of

    chosen = read_models(Asked(config=config))
    path = lock_file(chosen)
    seen = version_of(path)
    try:
        old = read_lock(path)
    except LockError as error:
        if not update or "newer costcalc" in error.message:
            raise
        old = None
    new = new_lock(chosen, old, allow_code=allow_code)
    changes = lock_changes(old, new)
    if old is not None and lock_text(old) == lock_text(new):
        emit(f"{path} is up to date\n")
        return 0
    if old is None or update or not changes:
        write_lock(path, new, seen)
        count = f"{len(new.entries)} measurement{'s' * (len(new.entries) != 1)}"
        emit("".join(f"{line}\n" for line in changes if old is not None) + f"wrote {path}: {count}\n")
        return 0
    emit("".join(f"{line}\n" for line in changes) + "nothing was written; --update agrees to it\n")
    return 1
