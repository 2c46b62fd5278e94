"""The command line that makes the same again, for what tells how it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any


def line(command: str, places: Sequence[str], *options: Mapping[str, Any]) -> str:
    """``command`` with what stands at its places and its ``options``, those that are None, False or empty left out.

    >>> line("report", ["a b.yaml"], {"batch": 2, "set": ["n=1", "m=2"], "fold_norm": True, "bits": None})
    "costcalc report 'a b.yaml' --batch 2 --set n=1 --set m=2 --fold-norm"
    """
    from shlex import join

    words = ["costcalc", command, *places]
    for name, value in (item for some in options for item in some.items()):
        for one in value if isinstance(value, list) else [value]:
            if one is None or one is False:
                continue
            words.append(f"--{name.replace('_', '-')}")
            if one is not True:
                words.append(str(one.value if isinstance(one, Enum) else one))
    return join(words)
