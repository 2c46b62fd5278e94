"""A verification's result as text: a line a check, the witnesses' sums, then what is ours to mend."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap
from typing import TYPE_CHECKING

from costcalc.backends.paint import Paint, painted, plain

if TYPE_CHECKING:
    from costcalc.verification.result import Check, Tally, VerifyResult

MOST = 50
"""Disagreements to list; past that, how many more."""


def render(result: VerifyResult, *, width: int = 80, colour: bool = False) -> str:
    """The result in lines of at most ``width`` characters, where words admit it."""
    paint = painted if colour else plain
    lines = [*wrap(f"{result.model}: {result.ran}", width), "", *_checks(result, width, paint)]
    for tally in result.tallies:
        lines += ["", *_sum(tally, width)]
    if result.disagreements:
        lines += ["", *_disagreements(result, paint)]
    total = sum(result.seconds.values())
    verdict = (
        paint("agrees", "green") + ": nothing contradicts the figures but the witnesses' known faults"
        if result.agrees
        else paint(f"{len(result.disagreements)} figures of ours are contradicted", "red")
    )
    return "\n".join([*lines, "", f"{verdict} ({total:.1f} s)", ""])


def _checks(result: VerifyResult, width: int, paint: Paint) -> Iterator[str]:
    names = max(len(check.name) for check in result.checks)
    said = {check: extent(check) for check in result.checks}
    longest = max(map(len, said.values()))
    for check, many in said.items():
        yield f"{check.name:{names}}  {many:{longest}}  {paint(*outcome(result, check))}"
        if check.note:
            yield from (paint(f"  {line}", "dim") for line in wrap(check.note, width - 2))


def outcome(result: VerifyResult, check: Check) -> tuple[str, str]:
    """How ``check`` went, in words, and in which style that is painted."""
    wrong = sum(d.check == check.name for d in result.disagreements)
    if wrong:
        return f"{wrong} contradicted", "red"
    return ("agree", "green") if check.compared else ("not compared", "yellow")


def extent(check: Check) -> str:
    """How much of what there is was compared: ``175 of 176 layers``."""
    whole = f"{check.compared:,}" if check.compared == check.of else f"{check.compared:,} of {check.of:,}"
    return f"{whole} {check.unit}"


def _sum(tally: Tally, width: int) -> list[str]:
    whole = str(tally)
    if len(whole) <= width:
        return [whole]
    first, *rest = tally.terms
    indent = " " * len(f"{tally.witness} {tally.total:,} ")
    return [f"{tally.witness} {tally.total:,} = {first}", *(indent + term for term in rest)]


def _disagreements(result: VerifyResult, paint: Paint) -> Iterator[str]:
    for d in result.disagreements[:MOST]:
        yield f"{paint(d.layer or 'the whole model', 'bold')}: {d.check}"
        yield f"  we say {d.ours}"
        yield f"  {d.witness} says {d.theirs}"
    rest = len(result.disagreements) - MOST
    if rest > 0:
        yield f"and {rest} more; --format json has them all"
