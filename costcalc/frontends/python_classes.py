"""Which modules of PyTorch a file of Python defines, as its text says: nothing of it is run."""

from __future__ import annotations

import re

from costcalc.errors import SpecError, listing
from costcalc.reading.files import contents

MOST_BYTES = 1 << 20
MOST_NAMED, MOST_LISTED = 12, 40
_CLASS = re.compile(r"^class\s+(\w{1,80})\s*\(([^()]{1,400})\)\s*:", re.MULTILINE)
_MODULES = ("Module", "Sequential", "LightningModule", "PreTrainedModel")


def module_classes(path: str) -> list[str]:
    """The classes that the file at ``path`` derives from PyTorch's, or from one of its own that is; in its order."""
    try:
        text = contents(path, kind="a model", form="a file of Python", most=MOST_BYTES).decode("utf-8", "replace")
    except SpecError:
        return []
    found: list[str] = []
    for name, bases in _CLASS.findall(text):
        ends = [base.strip().rpartition(".")[2] for base in bases.split(",")]
        if any(base in _MODULES or base in found for base in ends):
            found.append(name)
    return found


def to_choose_from(names: list[str]) -> str:
    """``names`` as the end of a sentence about a file or a module; "" if there are none, or too many to read."""
    return f"; its modules are {listing(names, MOST_NAMED)}" if 0 < len(names) <= MOST_LISTED else ""
