"""A model under budget, measured, and the value that each budget holds."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from fnmatch import translate
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from costcalc.amounts.formatting import show
from costcalc.analysis.energy import EnergyTable
from costcalc.analysis.figures import FIGURES, Value, amount_of, field_at_end
from costcalc.analysis.pixel_map import GLOBAL, ReceptiveField
from costcalc.analysis.records import Layer, Report
from costcalc.analysis.report import report
from costcalc.budget.config import Budget, BudgetedModel, Setup, beside
from costcalc.classes import dataclass, field
from costcalc.difference.entries import entries
from costcalc.errors import CodeRefused, CostcalcError, OptionError, listing, near
from costcalc.frontends.sources import is_path, source_of, split
from costcalc.ir.graph import Graph
from costcalc.reading.reach import refuse_outside

if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from costcalc.analysis.roofline import Machine
    from costcalc.planning.records import Memory
    from costcalc.planning.training import StepAsked, Training

    Basis: TypeAlias = Machine | EnergyTable


CONFIGURED = "budgets are measured on graphs"
"""Why PyTorch's memory is that of the rule of blocks."""


@dataclass(frozen=True)
class Measured:
    """A model's graph and its report: alone, and by each ``Budget.basis``, a machine or a table of energies."""

    graph: Graph
    report: Report
    by: Mapping[str, Report] = field(default_factory=dict)

    @cached_property
    def worked_out(self) -> dict[tuple[str, ...], Any]:
        """What a budget asked for, since the next may ask for it again: memory, layers by pattern."""
        return {}

    @property
    def bases(self) -> dict[str, Basis]:
        """Those machines and tables."""
        each = ((name, report.machine or report.energies) for name, report in self.by.items())
        return {name: basis for name, basis in each if basis}


def measure(
    model: str,
    setup: Setup,
    folder: str,
    bases: Mapping[str, Basis] = {},
    *,
    allow_code: bool = False,
    within: str | None = None,
    command: str = "check",
) -> Measured:
    """Load ``model``, a path from ``folder`` or a name, in the given setup.

    within    the folder in which it must lie, because a file names it and not the user
    command   who asks, for the sentence of a refusal

    Raises ``CodeRefused`` for a model that is Python code unless ``allow_code``.
    """
    from costcalc import load

    if not allow_code and source_of(model).runs_code:
        raise CodeRefused(
            f"'{model[:80]}' is Python code, which {command} does not run because a config names it; "
            "if you trust this config and its models, add --allow-code"
        )
    path = beside(folder, model) if is_path(model) else model
    if within is not None and is_path(model):
        refuse_outside(split(path)[0], within, model, None, "a config")
    with importable_from(folder) if source_of(model).runs_code else nullcontext():
        graph = load(path, **setup.choices(), within=within)
    return measured(graph, setup.bits, bases)


def in_config(error: CostcalcError, model: BudgetedModel, setup: Setup) -> CostcalcError:
    """``error`` of measuring ``model`` so, in the words and at the place of the config that asks for it."""
    if error.choices:
        return error.in_config().at(model.location_of(setup))
    if error.message.startswith("the forward of ") and setup.input:
        first, *more = error.message.split("\n")
        error.message = "\n".join([f"{first} (it is given {setup.label} by 'at')", *more])
        return error.at(model.location_of(setup))
    return error.at(model.location)


def has_revisions(model: str) -> bool:
    """Whether earlier versions of ``model`` can be read from git without running any."""
    return is_path(model) and source_of(model).has_revisions


@contextmanager
def importable_from(folder: str) -> Iterator[None]:
    """While open, a model that is ``package.module:build`` is also looked for in ``folder``, the config's.

    Only for models that may run: what lies there is imported.
    """
    path = str(Path(folder or ".").resolve())
    sys.path.insert(0, path)
    try:
        yield
    finally:
        if path in sys.path:
            sys.path.remove(path)


def measured(graph: Graph, bits: int | None, bases: Mapping[str, Basis] = {}) -> Measured:
    """``graph`` with its reports."""
    by = {name: reported(graph, bits, basis) for name, basis in bases.items()}
    return Measured(graph, next(iter(by.values()), None) or report(graph, bits=bits), by)


def reported(graph: Graph, bits: int | None, basis: Basis | None) -> Report:
    """The report of ``graph`` on a machine, by a table of energies, or alone."""
    if isinstance(basis, EnergyTable):
        return report(graph, bits=bits, energy=basis)
    return report(graph, bits=bits, machine=basis)


def value_of(found: Measured, budget: Budget) -> Value | str | None:
    """What ``budget`` holds: a number, or "global" where a receptive field is the whole image; None if it is unknown.

    Raises ``CostcalcError`` if the budget names layers that the model does not have.
    """
    name = budget.figure.name
    whole = found.by[budget.basis] if budget.basis else found.report
    if budget.layers is not None:
        return _sum_of(found, budget.basis or "", budget.layers, name)
    if budget.engine:
        return 8 * held(found, budget.engine).needed_bytes
    if budget.step:
        step = trained(found, budget.step)
        over = budget.max is not None and 8 * step.total_bytes > budget.max.amount
        return 8 * step.total_bytes if over or not step.untold else None
    if name == "receptive_field":
        field = field_of(found, budget)
        if isinstance(field, ReceptiveField):
            # The axis that the bound is harder on.
            return (max if budget.max and not budget.min else min)(field.size)
        return field
    return budget.figure.value(whole)


def why_unknown(found: Measured, budget: Budget) -> str:
    """Why what ``budget`` holds is not known, as half a sentence."""
    said = f"{budget.figure.name} is not known"
    if budget.step:
        step = trained(found, budget.step)
        least = show(budget.figure, 8 * step.total_bytes)
        return f"{said}, at least {least}: how much {listing(step.untold[:3])} keeps is not known"
    whole = found.by[budget.energy] if budget.energy else None
    chosen: Iterable[Layer] = whole.layers if whole else ()
    if whole and budget.layers is not None:
        chosen = matching(found, whole, budget.layers)
    why = next((f"{x.energy.unknown}, which {x.name} needs" for x in chosen if x.energy and x.energy.unknown), "")
    return f"{said}: {why}" if why else said


def field_of(found: Measured, budget: Budget) -> ReceptiveField | str | None:
    """What the layer or block sees that a budget of receptive fields is about."""
    return _field(found.report, budget.at) if budget.at else field_at_end(found.report)[1]


def held(found: Measured, engine: str) -> Memory:
    """What ``engine`` holds of the model, by the rules for graphs: code that a config names is not run for it."""
    from costcalc.planning.engines import plan

    key = ("memory", engine)
    if key not in found.worked_out:
        bits = found.report.settings.bits
        found.worked_out[key] = plan(found.graph, engine, bits, CONFIGURED, patches=False)
    memory: Memory = found.worked_out[key]
    return memory


def trained(found: Measured, asked: StepAsked) -> Training:
    """A step of training, by the rules for graphs. Where layers done again cannot take as little as is asked, the
    least that they can."""
    from costcalc.planning.training import train

    bits, applied = found.report.settings.bits, found.graph.applied
    if bits is not None or applied:
        what = f"{bits} bit" if bits is not None else listing(applied)
        raise CostcalcError(f"memory in training is computed for the model as it is, not with {what}, as 'at' has it")
    key = ("training", repr(asked))
    if key not in found.worked_out:
        try:
            found.worked_out[key] = train(found.graph, asked)
        except OptionError:
            if not isinstance(asked.checkpoint, int):
                raise
            found.worked_out[key] = train(found.graph, asked._replace(checkpoint="auto"))
    step: Training = found.worked_out[key]
    return step


def _field(whole: Report, at: str) -> ReceptiveField | str | None:
    layers = [layer for layer in whole.layers if layer.name == at or layer.name.startswith(f"{at}.")]
    if not layers:
        raise CostcalcError(f"no layer or block of {whole.name} is called '{at[:80]}'{near(at, _names(whole))}")
    return layers[-1].receptive_field


def matching(found: Measured, whole: Report, pattern: str) -> list[Layer]:
    """The layers of ``whole``, a report of ``found``, whose dotted name ``pattern`` fits; ``*`` stands for anything."""
    return [whole.layers[at] for at in _positions(found, pattern)]


def _positions(found: Measured, pattern: str) -> list[int]:
    key = ("positions", pattern)
    if key not in found.worked_out:
        fits = re.compile(translate(pattern)).match
        found.worked_out[key] = [at for at, layer in enumerate(found.report.layers) if fits(layer.name)]
    positions: list[int] = found.worked_out[key]
    return positions


def _sum_of(found: Measured, basis: str, pattern: str, figure: str) -> Value | None:
    whole = found.by[basis] if basis else found.report
    layers = matching(found, whole, pattern)
    if not layers:
        blocks = [b.name for b in whole.blocks if "." not in b.name]
        there = f"; its blocks are {listing(blocks)}" if blocks else ""
        raise CostcalcError(f"'{pattern[:80]}' fits no layer of {whole.name}{near(pattern, _names(whole))}{there}")
    if figure == "uncounted":
        return sum(not layer.counted and layer.prepared is None for layer in layers)
    if FIGURES[figure].derived and any(FIGURES[figure].of(layer) is None for layer in layers):
        return None
    key = ("contributions", basis)
    if key not in found.worked_out:
        found.worked_out[key] = [entry.contribution for entry in entries(found.graph, whole) if entry.node]
    return sum(amount_of(found.worked_out[key][at], FIGURES[figure]) for at in _positions(found, pattern))


def _names(whole: Report) -> list[str]:
    return [b.name for b in whole.blocks] + [layer.name for layer in whole.layers]


def is_global(value: object) -> bool:
    """Whether a receptive field is the whole image."""
    return value == GLOBAL
