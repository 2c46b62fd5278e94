"""What an op's docstring says, taken apart."""

from __future__ import annotations

from inspect import cleandoc

from costcalc.ir.op import Op

HEADINGS = ("MACs", "Ops", "Not counted", "Source")


def described(op: type[Op]) -> tuple[list[str], list[tuple[str, str]]]:
    """The lines of its prose, and the text under each heading; nothing where Python has dropped docstrings (-OO)."""
    prose: list[str] = []
    facts: list[tuple[str, str]] = []
    for line in cleandoc(op.__doc__ or "").splitlines():
        heading = next((h for h in HEADINGS if line.startswith(h + " ")), None)
        if heading:
            facts.append((heading, line[len(heading) :].strip()))
        elif facts and line.strip():
            facts[-1] = (facts[-1][0], f"{facts[-1][1]} {line.strip()}")
        elif not facts:
            prose.append(line)
    while prose and not prose[-1]:
        prose.pop()
    return prose, facts
