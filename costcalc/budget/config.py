"""What a team holds its models to: the records that ``costcalc.yaml`` is read into."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from costcalc.amounts.formatting import show
from costcalc.amounts.parsing import AllowedChange
from costcalc.analysis.figures import Figure
from costcalc.classes import NamedTuple
from costcalc.errors import Location
from costcalc.writing import Version

if TYPE_CHECKING:
    from costcalc.planning.training import StepAsked

ERROR, WARN = "error", "warn"


def beside(folder: str, path: str) -> str:
    """``path``, which is relative to ``folder``, as seen from here: ``net.yaml``, not ``ci/../net.yaml``."""
    whole = Path(folder, path)
    short = Path(os.path.normpath(whole.parent))
    # Where a link lies on the way, the way back leads elsewhere.
    same = short.is_dir() and whole.parent.is_dir() and short.samefile(whole.parent)
    return str((short if same else whole.parent) / whole.name)


class Limit(NamedTuple):
    """A bound that a figure must not cross, as an amount, and as it was written and where.

    prefix   of the figure's name there: ``G`` of ``gflops: 8.2``
    """

    amount: Fraction
    text: str
    location: Location
    prefix: str = ""

    @property
    def whole(self) -> str:
        """The amount as it was written, with the prefix."""
        return f"{self.text} {self.prefix}".rstrip()


class Budget(NamedTuple):
    """What one figure is held to.

    layers         a pattern of layer names whose sum is meant; None for the whole model
    at             the layer or block whose receptive field is meant
    machine        the machine whose time is meant
    engine         the engine whose memory is meant
    step           the step of training whose memory is meant
    energy         the table by which an energy is meant
    """

    figure: Figure
    location: Location
    max: Limit | None = None
    min: Limit | None = None
    max_increase: AllowedChange | None = None
    max_decrease: AllowedChange | None = None
    level: str = ERROR
    layers: str | None = None
    at: str | None = None
    machine: str | None = None
    engine: str | None = None
    energy: str | None = None
    step: StepAsked | None = None

    @property
    def basis(self) -> str | None:
        """The machine or the table of energies by which its figure is meant."""
        return self.machine or self.energy

    @property
    def description(self) -> str:
        """What is held to it: ``macs``, ``macs of head.*``, ``time on a100``, ``memory in tflm``."""
        of = f" of {self.layers}" if self.layers else ""
        return self.figure.name + of + (f" at {self.at}" if self.at else "") + self.on

    @property
    def on(self) -> str:
        """`` on a100`` where a machine is meant, `` in tflm`` where an engine is, `` in training with adamw`` a step,
        `` by horowitz_45nm`` a table."""
        if self.energy:
            return f" by {self.energy}"
        if self.step:
            again = self.step.checkpoint
            told = show(self.figure, 8 * again) if isinstance(again, int) else again
            return (
                f" in training with {self.step.optimizer}"
                + f", checkpoint {told}" * (again != "none")
                + (f", autocast {self.step.autocast}" if self.step.autocast else "")
            )
        return f" on {self.machine}" if self.machine else f" in {self.engine}" if self.engine else ""


class Setup(NamedTuple):
    """One way in which a model is measured: shapes of its inputs without the batch, and the rest as ``load`` has it."""

    input: tuple[int, ...] | Mapping[str, tuple[int, ...]] | None = None
    batch: int | None = None
    bits: int | None = None
    parameters: Mapping[str, Any] = {}
    apply: tuple[str, ...] = ()
    layout: str | Mapping[str, str] = ""

    @property
    def label(self) -> str:
        """``3x224x224, batch 8``; "" for the model as its spec has it."""
        shapes = self.input if isinstance(self.input, Mapping) else {"": self.input} if self.input else {}
        parts = [f"{name}={text}" if name else text for name, s in shapes.items() for text in ("x".join(map(str, s)),)]
        parts += [f"batch {self.batch}"] if self.batch is not None else []
        parts += [f"{self.bits} bit"] if self.bits is not None else []
        if self.apply:
            from costcalc.transforms import label

            parts += map(label, self.apply)
        layouts = self.layout if isinstance(self.layout, Mapping) else {"": self.layout}
        parts += [f"{name}={text}" if name else text for name, text in layouts.items() if text]
        return ", ".join([*parts, *(f"{name}={value}" for name, value in self.parameters.items())])

    def choices(self) -> dict[str, Any]:
        """What ``load`` takes of it."""
        given = {
            "batch": self.batch, "input": self.input, "parameters": dict(self.parameters), "apply": self.apply,
            "layout": self.layout,
        }  # fmt: skip
        return {name: value for name, value in given.items() if value}


class BudgetedModel(NamedTuple):
    """A model under budget, measured in one way or several.

    model     what ``load`` takes; a path is relative to the config's folder
    message   what to say to who exceeds a budget
    locations  where each of ``at`` stands, where the config has them
    """

    name: str
    model: str
    location: Location
    at: tuple[Setup, ...] = (Setup(),)
    budgets: tuple[Budget, ...] = ()
    message: str = ""
    locations: tuple[Location, ...] = ()

    def location_of(self, setup: Setup) -> Location:
        """Where the config says to measure it so; where it names the model, if it says nothing."""
        return dict(zip((s.label for s in self.at), self.locations, strict=False)).get(setup.label, self.location)

    def title(self, setup: Setup) -> str:
        """What it is called in one of its setups: ``backbone at 3x224x224``."""
        return f"{self.name} at {setup.label}" if setup.label else self.name


class Exemption(NamedTuple):
    """A budget that may be exceeded for a while, and why."""

    model: str
    metric: str
    until: date
    reason: str
    location: Location


class Config(NamedTuple):
    """A config file; ``folder`` is what its paths are relative to, "" for the working directory.

    seen   the version of the file that was read
    """

    file: str
    folder: str
    models: tuple[BudgetedModel, ...]
    exempt: tuple[Exemption, ...] = ()
    seen: Version | None = None

    @property
    def reach(self) -> str | None:
        """The folder in which lies what the config names; None where the command line names it."""
        from costcalc.reading.reach import reach_of

        return reach_of(self.file) if self.file else None
