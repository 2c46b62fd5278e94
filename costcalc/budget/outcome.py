"""What comes of holding models to budgets: the records that ``check`` makes, and back ends show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from costcalc.analysis.figures import Value
from costcalc.budget.baseline import Past
from costcalc.budget.config import Budget, BudgetedModel, Setup
from costcalc.budget.measure import Measured
from costcalc.classes import NamedTuple, dataclass
from costcalc.difference.records import Diff
from costcalc.errors import Location

OK, FAIL, WARNED, EXEMPT, UNCHECKED = "ok", "fail", "warn", "exempt", "unchecked"


class Because(NamedTuple):
    """One cause, or one large layer: in words, where, and how much of the figure it is."""

    description: str
    location: Location | None
    amount: Value


class Verdict(NamedTuple):
    """How one bound of one budget is met by one model in one setup.

    rule      ``max``, ``min``, ``max_increase`` or ``max_decrease``
    limit     what the value is held to, in the figure's unit; of a change, the value that is allowed at the most
    over      by how much the limit is crossed; 0 if it is not
    description  one sentence
    because   the largest first
    location  where to change it
    message   what the team says to who crosses it
    """

    model: str
    setup: str
    budget: Budget
    rule: str
    status: str
    value: Value | str | None
    limit: Value | None
    base: Value | None
    over: Value
    description: str
    because: tuple[Because, ...] = ()
    location: Location | None = None
    message: str = ""

    def __repr__(self) -> str:
        from costcalc.backends.escape import visible

        return f"<Verdict {self.status}: {visible(self.subject)}, {visible(self.description)}>"

    @property
    def subject(self) -> str:
        """``backbone at 3x224x224: macs``."""
        at = f" at {self.setup}" if self.setup else ""
        return f"{self.model}{at}: {self.budget.description}"


class Result(NamedTuple):
    """One model in one setup: what it is, what it was, and how that differs."""

    model: BudgetedModel
    setup: Setup
    now: Measured
    past: Past
    diff: Diff | None

    def __repr__(self) -> str:
        from costcalc.backends.escape import visible

        return f"<Result {visible(self.title)}>"

    @property
    def title(self) -> str:
        """``backbone at 3x224x224``."""
        return self.model.title(self.setup)


def stopping(*, fail_on_warn: bool = False, strict: bool = False) -> tuple[str, ...]:
    """The statuses of verdicts for which a check fails; ``strict`` adds what could not be checked."""
    return (FAIL, *[WARNED] * fail_on_warn, *[UNCHECKED] * strict)


@dataclass(frozen=True, repr=False)
class Outcome:
    """What ``costcalc.check`` returns: each verdict, what it was made of, and what else is to be said.

    It is true if everything passed: ``assert costcalc.check("resnet50", budgets={"macs": "4.2 G"})``.

    verdicts   one for each bound of each budget of each model in each setup; iteration goes through them
    results    each model in each setup: its report, what it was, and how that differs
    notes      sentences on what is not counted, or compared with nothing
    """

    results: tuple[Result, ...]
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...]

    def __iter__(self) -> Iterator[Verdict]:
        return iter(self.verdicts)

    def __len__(self) -> int:
        return len(self.verdicts)

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        from costcalc.backends.budget.verdicts import verdict_line

        return f"<Outcome: {verdict_line(self)}>"

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        from costcalc.backends.report.html import preformatted

        return preformatted(self.to_text())

    def having(self, *statuses: str) -> list[Verdict]:
        """The verdicts of these statuses, those crossed most first."""
        found = [v for v in self.verdicts if v.status in statuses]
        return sorted(found, key=lambda v: -(v.over / v.limit) if v.limit else 0)

    @property
    def met(self) -> list[Verdict]:
        """Those that are met. Where layers are not counted, that a ``max`` is met is not proved: see ``complete``."""
        return self.having(OK)

    @property
    def failed(self) -> list[Verdict]:
        """Those that are crossed, the worst first."""
        return self.having(FAIL)

    @property
    def warned(self) -> list[Verdict]:
        """Those that are crossed and only warn."""
        return self.having(WARNED)

    @property
    def exempt(self) -> list[Verdict]:
        """Those that may be crossed for a while."""
        return self.having(EXEMPT)

    @property
    def unchecked(self) -> list[Verdict]:
        """Those that could not be held to anything; each ``description`` why."""
        return self.having(UNCHECKED)

    @property
    def complete(self) -> bool:
        """Whether every layer is counted, every size known and every budget could be checked."""
        return all(r.now.report.is_complete for r in self.results) and not self.unchecked

    @property
    def passed(self) -> bool:
        """Whether nothing failed, and all could be counted and checked: what ``--strict`` asks for."""
        return not self.exit_code(strict=True)

    def exit_code(self, *, fail_on_warn: bool = False, strict: bool = False) -> int:
        """0 fine, 1 a budget is exceeded, 4 incomplete and ``strict``."""
        if self.having(*stopping(fail_on_warn=fail_on_warn)):
            return 1
        return 4 if strict and not self.complete else 0

    def to_text(self) -> str:
        """What the command line prints."""
        from costcalc.backends.budget.verdicts import verdicts
        from costcalc.backends.escape import console

        return console(verdicts(self))

    def to_markdown(self) -> str:
        """The comment on a pull request."""
        from costcalc.backends.budget.comment import comment

        return comment(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """The JSON of ``costcalc check``, as plain lists, dicts, strings and numbers."""
        from costcalc.backends.budget.json import to_dict

        return to_dict(self)
