"""Sizes that values decide, in words: which there are, what is taken of each, and what that makes of the totals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from costcalc.analysis.records import Layer, Report
from costcalc.errors import listing
from costcalc.ir.value_size import ValueSize


def sizes(report: Report) -> list[str]:
    """A line for each kind of size that values decide, then how to set those that nobody has set."""
    kinds: dict[tuple[str, bool, bool], list[ValueSize]] = {}
    for size in report.sizes:
        kinds.setdefault((size.kind, size.given, size.met), []).append(size)
    lines = [_kind(report, some) for some in kinds.values()]
    return [*lines, unset(report)] if report.unset else lines


def unset(report: Report, how: str = "--set {}=NUMBER") -> str:
    """What the sizes that nobody has set make of the totals, and how to set one, whose name stands for ``{}``."""
    count = len(report.unset)
    what = f"{count} size{'s' * (count != 1)} that values decide"
    mark = report.mark("macs")
    bound = "upper bounds" if mark == "≤" else "no bounds"
    description = f"totals with {mark} are {bound} while {what} {'is' if count == 1 else 'are'} not set"
    names = list(dict.fromkeys(size.parameter for size in report.unset if not size.met))
    if not names:
        return f"totals with {mark} are those of the values in this run, which decide {what.partition(' that')[0]}"
    all_of = f" or {how.replace('{}', names[0])} for all of a kind" if count > 1 else ""
    one = next(size.name for size in report.unset if not size.met)
    return f"{description}: {how.replace('{}', one)}{all_of if one != names[0] else ''}"


def ran_with(found: Sequence[ValueSize]) -> str:
    """What a run made of sizes that values decide: ``selected = 5, proposals_1 … proposals_9 (9) = 0 to 7``."""
    kinds: dict[str, list[ValueSize]] = {}
    for size in found:
        kinds.setdefault(size.kind, []).append(size)
    return ", ".join(f"{named(some)} = {taken(some)}" for some in kinds.values())


def named(some: Sequence[ValueSize]) -> str:
    """One name, or the first and the last of several."""
    return some[0].name if len(some) == 1 else f"{some[0].name} … {some[-1].name} ({len(some)})"


def taken(some: Sequence[ValueSize]) -> str:
    """What is taken: one number, or from the least to the most."""
    least, most = min(size.size for size in some), max(size.size for size in some)
    return f"{most:,}" if least == most else f"{f'{least:,}'} to {f'{most:,}'}"


def _kind(report: Report, some: Sequence[ValueSize]) -> str:
    how = " as set" if some[0].given else " in this run" if some[0].met else ""
    most = f"{max(size.most for size in some):,}"
    largest = all(size.size == size.most and (size.bounds or size.met) for size in some)
    bound = "the most that there can be" if largest else f"of at most {most}"
    decided = {name for size in some for name in size.layers}
    layers = [layer.name for layer in report.layers if layer.name in decided]
    ends = layers if len(layers) < 3 else [f"{layers[0]} … {layers[-1]}"]
    what = f"{len(layers)} layer{'s' * (len(layers) != 1)}" if layers else "no layer"
    decides = f"decide{'s' * (len(some) == 1)} {what}" + (f", {', '.join(ends)}" if layers else "")
    return f"{named(some)} = {taken(some)}{how}, {bound}: {some[0].kind}; {decides}"


def iterating(layers: Iterable[Layer]) -> Iterator[str]:
    """Which of ``layers`` iterate until values are good enough, so that their work is about right; nothing of none."""
    found = [layer for layer in layers if layer.approximate and layer.prepared is None]
    if found:
        kinds = listing(dict.fromkeys(layer.op for layer in found))
        which = f"{found[0].name} and {len(found) - 1} more ({kinds}) iterate" if found[1:] else f"{kinds} iterates"
        yield f"{which} until values are good enough: MACs, ops and times are about right (≈)"
