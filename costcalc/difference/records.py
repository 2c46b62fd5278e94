"""What a diff says: the layers, the figures, and the causes whose effects add up to the change."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from costcalc.analysis.amounts import Amounts
from costcalc.analysis.figures import FIGURES, Value, amount_of, attributed
from costcalc.analysis.records import Report
from costcalc.classes import dataclass
from costcalc.difference.memory_causes import HeldChange
from costcalc.errors import Location

if TYPE_CHECKING:
    from costcalc.backends.plots.attached import DiffPlots

SCHEMA = 1
"""The version of the JSON of a diff."""


@dataclass(frozen=True)
class Change:
    """One layer of either model.

    mark      ``+`` added, ``-`` removed, ``~`` changed, ``=`` as it was
    name, op  in the new model; of a removed layer in the old one. An added layer has no ``old_name`` and ``old_op``, ""
    options   option, old, new: of those that differ
    shape     the old and the new output shape, where they differ
    reads     the old and the new input shapes, where only those differ
    before    what the layer adds to each figure that is attributed; None for an added layer
    """

    mark: str
    name: str
    old_name: str
    op: str
    old_op: str
    options: tuple[tuple[str, Any, Any], ...]
    shape: tuple[str, str] | None
    before: Amounts | None
    after: Amounts | None
    location: Location | None
    reads: tuple[str, str] | None = None

    def effect(self, figure: str) -> Value:
        """What the layer's contribution to ``figure`` changed by."""
        return _of(self.after, figure) - _of(self.before, figure)

    @property
    def description(self) -> str:
        """What changed, in words: ``kernel 3→7, output 56×56→54×54``."""
        if self.mark in "+-":
            return self.op if self.mark == "+" else self.old_op
        parts = [] if self.op == self.old_op else [f"{self.old_op}→{self.op}"]
        parts += [f"{name} {_plain(a)}→{_plain(b)}" for name, a, b in self.options]
        if self.shape:
            parts.append("output " + "→".join(self.shape))
        if self.reads:
            parts.append("input " + "→".join(self.reads))
        if self.name != self.old_name:
            parts.append(f"was {self.old_name}")
        return ", ".join(parts)


@dataclass(frozen=True)
class Cause:
    """One reason why the figures changed.

    kind      ``width``, ``depth``, ``kernel`` …: see ``docs/diff.md``
    description  what was changed, in words
    location  where, in the new file (in the old one for what was removed)
    layers    how many layers were changed for it
    effect    by figure, what the total changes by; over all causes these add up exactly
    where     the layers whose figures it changes: name, place, effect
    """

    kind: str
    description: str
    location: Location | None
    layers: int
    effect: Amounts
    where: tuple[tuple[str, Location | None, Amounts], ...] = ()

    def of(self, figure: str) -> Value:
        """Its part of the change of ``figure``."""
        return _of(self.effect, figure)


@dataclass(frozen=True, repr=False)
class Diff:
    """Two models and how one became the other; ``to_dict`` is the JSON of ``docs/diff.md``.

    old, new     None where the model is on one side only
    parameters   name, old, new: of the specs' parameters that differ
    memory       the change of what an engine holds at most, and its causes, where one was asked for
    """

    name: str
    old: Report | None
    new: Report | None
    layers: tuple[Change, ...]
    causes: tuple[Cause, ...]
    parameters: tuple[tuple[str, Any, Any], ...] = ()
    notes: tuple[str, ...] = ()
    memory: HeldChange | None = None

    def __repr__(self) -> str:
        from costcalc.backends.escape import visible

        return f"<Diff {visible(self.name)}: {len(self.causes)} cause{'s' * (len(self.causes) != 1)}>"

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        from costcalc.backends.report.html import preformatted

        return preformatted(self.to_text(width=120))

    @property
    def plot(self) -> DiffPlots:
        """Pictures, as matplotlib figures: ``diff.plot.waterfall()``."""
        from costcalc.backends.plots.attached import DiffPlots

        return DiffPlots(self)

    def to_text(self, width: int = 80, by: str = "macs") -> str:
        """What the command line prints, causes ranked ``by`` a figure, ``width`` characters wide."""
        from costcalc.backends.diff.formats import text
        from costcalc.backends.escape import console

        return console(text([self], by, width=width))

    def to_markdown(self, by: str = "macs") -> str:
        """The same in GitHub's Markdown."""
        from costcalc.backends.diff.formats import markdown

        return markdown([self], by)

    def figure(self, name: str) -> tuple[Value | None, Value | None]:
        """A figure of the old and of the new model."""
        get = FIGURES[name].value
        return get(self.old) if self.old else None, get(self.new) if self.new else None

    def marks(self, name: str) -> tuple[str, str]:
        """What stands before a figure of the old and of the new model, as ``Report.mark`` says."""
        return self.old.mark(name) if self.old else "", self.new.mark(name) if self.new else ""

    def change(self, name: str) -> Value:
        """What the figure changed by; a model that is not there counts 0."""
        before, after = self.figure(name)
        return (after or 0) - (before or 0)

    @property
    def applied(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The transforms of the old and of the new model; of one that is not there the other's."""
        sides = [side.settings.apply for side in (self.old, self.new) if side]
        return (sides[0], sides[-1]) if sides else ((), ())

    @property
    def same(self) -> bool:
        """Whether nothing but names changed."""
        return not self.causes and not any(c.mark != "=" and (c.options or c.mark != "~") for c in self.layers)

    def by(self, figure: str) -> list[Cause]:
        """The causes, the largest effect on ``figure`` first."""
        return sorted(self.causes, key=lambda c: [-abs(c.of(f)) for f in (figure, "traffic", "params")])

    def kinds(self, figure: str) -> dict[str, Value]:
        """The change of ``figure`` by kind of cause, the largest first."""
        sums: dict[str, Value] = {}
        for cause in self.causes:
            sums[cause.kind] = sums.get(cause.kind, 0) + cause.of(figure)
        return dict(sorted(sums.items(), key=lambda item: -abs(item[1])))

    def to_dict(self, also: Collection[str] = ()) -> dict[str, Any]:
        """As plain lists, dicts, strings and numbers; ``also`` names figures that are there on demand."""
        figures = [name for name, figure in FIGURES.items() if not figure.on_demand or name in also]
        return {
            "schema": SCHEMA,
            "name": self.name,
            "apply": dict(zip(("old", "new"), map(list, self.applied), strict=True)),
            "figures": {
                name: {"old": _number(self.figure(name)[0]), "new": _number(self.figure(name)[1])} for name in figures
            },
            "marks": {
                name: dict(zip(("old", "new"), marks, strict=True))
                for name in figures
                if any(marks := self.marks(name))
            },
            "parameters": [{"name": n, "old": _plain(a), "new": _plain(b)} for n, a, b in self.parameters],
            "causes": [
                {
                    "kind": c.kind, "says": c.description, "source": c.location.short if c.location else "",
                    "layers": c.layers, "effect": _effects(c.effect, also),
                    "where": [
                        {"layer": name, "source": p.short if p else "", "effect": _effects(e, also)}
                        for name, p, e in c.where
                    ],
                }
                for c in self.by("macs")
            ],
            "layers": [
                {
                    "mark": c.mark, "name": c.name, "old_name": c.old_name, "op": c.op, "old_op": c.old_op,
                    "says": c.description,
                    "options": [{"name": n, "old": _plain(a), "new": _plain(b)} for n, a, b in c.options],
                    "old_shape": c.shape[0] if c.shape else None, "new_shape": c.shape[1] if c.shape else None,
                    "source": c.location.short if c.location else "",
                    "old": None if c.before is None else _effects(c.before, also),
                    "new": None if c.after is None else _effects(c.after, also),
                }
                for c in self.layers if c.mark != "="
            ],
            **({"memory": self._memory()} if self.memory is not None else {}),
            "notes": list(self.notes),
        }  # fmt: skip

    def _memory(self) -> dict[str, Any]:
        assert self.memory is not None
        causes = [{"tensor": c.name, "says": c.description, "effect_bytes": c.effect} for c in self.memory.causes]
        return {**{key: value for key, value in vars(self.memory).items() if key != "causes"}, "causes": causes}


def _of(contribution: Amounts | None, figure: str) -> Value:
    return 0 if contribution is None else amount_of(contribution, FIGURES[figure])


def _effects(contribution: Amounts, also: Collection[str]) -> Mapping[str, Any]:
    names = [*(figure.name for figure in attributed()), *(name for name in also if FIGURES[name].is_summed)]
    return {name: _number(_of(contribution, name)) for name in names}


def _number(value: Value | None) -> int | float | None:
    return value if value is None or isinstance(value, int) else float(value)


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value if isinstance(value, (int, float, str, bool, type(None))) else str(value)
