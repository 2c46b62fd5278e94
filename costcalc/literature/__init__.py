"""What papers and other tools publish of the shipped models, each number compared by its source's own rule of counting.

``configs/published.csv`` has one line a number: the model, its settings if they are not the spec's own, the rule
(``rules.RULES``), the value as it is printed with its unit, the source, and the reason where the value cannot be met.
A value is met if ours rounds to the digits that are printed; without a unit it is exact.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from costcalc import zoo
from costcalc.classes import NamedTuple
from costcalc.literature.rules import RULES

if TYPE_CHECKING:
    from costcalc.analysis.records import Report

UNITS = {"": 1, "K": 10**3, "Ki": 2**10, "M": 10**6, "G": 10**9, "Gi": 2**30, "MB": 10**6, "GB": 10**9, "MiB": 2**20}


class Published(NamedTuple):
    """One published number."""

    model: str
    settings: str
    rule: str
    value: str
    unit: str
    source: str
    reason: str


class PublishedVerdict(NamedTuple):
    """A published number beside ours, which is in units too."""

    published: Published
    ours: Decimal
    met: bool

    @property
    def difference(self) -> float:
        """Ours over the published one, less 1."""
        return float(self.ours / Decimal(self.published.value) - 1)


def table() -> list[Published]:
    """All published numbers, in the order of the file."""
    with (Path(zoo.directory()) / "published.csv").open(encoding="utf-8", newline="") as stream:
        return [Published(**row) for row in csv.DictReader(stream)]


def verdicts(numbers: Iterable[Published]) -> Iterator[PublishedVerdict]:
    """Each number with ours."""
    for number in numbers:
        counted = RULES[number.rule.partition(" ")[0]].figure(report_of(number.model, number.settings), number.rule)
        ours = Decimal(counted) / UNITS[number.unit]
        yield PublishedVerdict(number, ours, abs(ours - Decimal(number.value)) <= tolerance(number))


def tolerance(number: Published) -> Decimal:
    """Half of the last printed digit; nothing for a whole number without a unit.

    >>> tolerance(Published("resnet50", "", "macs", "4.1", "G", "", ""))
    Decimal('0.05')
    """
    digits = Decimal(number.value).as_tuple().exponent
    if not number.unit:
        return Decimal(0)
    return Decimal(5).scaleb(int(digits) - 1)


@lru_cache(maxsize=4)  # the numbers of one model stand together
def report_of(model: str, settings: str) -> Report:
    """The report of a model with settings as the table writes them: ``input=3x288x288 num_classes=10``."""
    from costcalc.analysis.report import report
    from costcalc.frontends.spec.settings import parse_value
    from costcalc.models import load

    shape: tuple[int, ...] | None = None
    parameters: dict[str, Any] = {}
    for setting in settings.split():
        name, _, value = setting.partition("=")
        if name == "input":
            shape = tuple(int(size) for size in value.split("x"))
        else:
            parameters[name] = parse_value(value)
    return report(load(model, input=shape, parameters=parameters))
