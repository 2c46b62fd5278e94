"""A model's figures as other programs read them; ``FORMATS`` is the one table of what there is."""

from __future__ import annotations

from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING

from costcalc.classes import NamedTuple
from costcalc.errors import OptionError, listing, near

if TYPE_CHECKING:
    from costcalc.analysis.energy import EnergyTable
    from costcalc.analysis.records import Report
    from costcalc.analysis.roofline import Machine
    from costcalc.analysis.workload import Loops, Workload
    from costcalc.ir.graph import Graph


class ExportFormat(NamedTuple):
    """One kind of file.

    title     who reads it
    module    what writes it: ``write(exported) → text``, or bytes
    file      what such a file is called
    takes     the option that it takes beside those of all: ``layer``, ``by``
    needs     the option that it cannot be without: ``machine``
    binary    whether it is no text
    """

    title: str
    module: str
    file: str
    takes: str = ""
    needs: str = ""
    binary: bool = False


_HERE = "costcalc.backends.export"
FORMATS: dict[str, ExportFormat] = {
    "loops": ExportFormat("the loop nests of layers, a row each that differs", f"{_HERE}.loops", "loops.csv", "layer"),
    "parquet": ExportFormat("the same as Parquet", f"{_HERE}.parquet", "loops.parquet", "layer", binary=True),
    "scale-sim": ExportFormat("SCALE-Sim: a topology", f"{_HERE}.scale_sim", "topology.csv", "layer"),
    "timeloop": ExportFormat("Timeloop: a problem a document", f"{_HERE}.timeloop", "problem.yaml", "layer"),
    "zigzag": ExportFormat("ZigZag: a workload", f"{_HERE}.zigzag", "workload.yaml", "layer"),
    "accelforge": ExportFormat("AccelForge: a workload of Einsums", f"{_HERE}.accelforge", "workload.yaml", "layer"),
    "metrics": ExportFormat("totals for MLflow, Weights & Biases and DVC", f"{_HERE}.metrics", "metrics.json"),
    "model-card": ExportFormat("a section for a Hugging Face model card", f"{_HERE}.model_card", "README.md"),
    "perfetto": ExportFormat(
        "the schedule on a machine, for Perfetto and Chrome", f"{_HERE}.perfetto", "trace.json", needs="machine"
    ),
    "netron": ExportFormat("Netron: figures at each operator of a file", f"{_HERE}.netron", "attachment.json"),
    "model-explorer": ExportFormat(
        "Model Explorer: the graph with its figures", f"{_HERE}.model_explorer", "graph.json", "by"
    ),
    "node-data": ExportFormat(
        "Model Explorer: a figure of each node of its graph", f"{_HERE}.node_data", "macs.json", "by"
    ),
}
"""Name → format. Each module is imported when it is asked for."""


class Written(NamedTuple):
    """What a file has in it, and what a reader of it must know that is not in it.

    text   "" of a format that is no text
    data   its bytes; None of one that is
    """

    text: str
    notes: tuple[str, ...] = ()
    data: bytes | None = None

    def __str__(self) -> str:
        return self.text


class Exported:
    """What is written: a graph, its figures, its loops; each is worked out when a format asks for it.

    bits      width of floating-point elements, in place of their own
    machine   the machine on which its layers take time
    energy    the table by which they take energy
    layer     the one layer of which loops are written
    by        the figure that colours a graph
    """

    def __init__(
        self, graph: Graph, *, bits: int | None = None, machine: Machine | None = None,
        energy: EnergyTable | None = None, layer: str | None = None, by: str | None = None,
    ) -> None:  # fmt: skip
        self.graph, self.bits, self.machine, self.energy, self.layer = graph, bits, machine, energy, layer
        self.by = by
        self.notes: list[str] = []
        """What a reader of the file must know that is not in it."""

    @cached_property
    def report(self) -> Report:
        """Every figure."""
        from costcalc.analysis.report import report

        return report(self.graph, bits=self.bits, machine=self.machine, energy=self.energy)

    def say_unset(self) -> None:
        """Make a note of sizes for which there is a default alone, on which all figures rest."""
        if unset := sum(size.is_unset for size in self.graph.sizes):
            self.notes.append(f"sizes that values decide and that are not set: {unset}; the file has what is assumed")

    def say_uncounted(self) -> None:
        """Make a note of layers of whose figures nothing is known."""
        if uncounted := len(self.report.uncounted):
            self.notes.append(f"layers without a rule, of which figures are unknown: {uncounted}")

    @cached_property
    def workload(self) -> Workload:
        """The loops of all layers, or of ``layer``; what has none becomes a note."""
        from costcalc.analysis.workload import workload

        found = workload(self.graph, bits=self.bits)
        if self.layer is not None:
            loops = tuple(one for one in found.loops if self.layer in (one.layer, one.name))
            if not loops:
                names = [one.name for one in found.loops]
                hint = near(self.layer, names)
                raise OptionError(f"no layer '{self.layer[:80]}' of {found.name[:80]} is a nest of loops{hint}")
            return found._replace(loops=loops, left_out=())
        self.say_unset()
        for one in found.left_out:
            macs = "unknown MACs" if one.macs is None else f"{one.macs:,} MACs"
            self.notes.append(f"left out: {one.layer}, {macs}: {one.why}")
        return found

    @property
    def loops(self) -> tuple[Loops, ...]:
        """Those of ``workload``, in the order of the layers."""
        return self.workload.loops


def find_format(name: str) -> ExportFormat:
    """The format called ``name``. Raises ``OptionError`` with those that there are."""
    if name not in FORMATS:
        raise OptionError(f"no format '{name[:40]}'{near(name, FORMATS)}; export writes {listing(FORMATS)}")
    return FORMATS[name]


def render(name: str, exported: Exported) -> Written:
    """``exported`` in the format called ``name``. Raises ``OptionError`` for what it needs or does not take."""
    format = find_format(name)
    if format.needs and getattr(exported, format.needs) is None:
        raise OptionError(f"export {name} needs --{format.needs}")
    for option, why in (("layer", "is of a whole model"), ("by", "has the figures that it has")):
        if getattr(exported, option) is not None and format.takes != option:
            has = listing(name for name, one in FORMATS.items() if one.takes == option)
            raise OptionError(f"export {name} {why}; --{option} is for {has}")
    made = import_module(format.module).write(exported)
    notes = tuple(exported.notes)
    return Written("", notes, made) if format.binary else Written(made, notes)
