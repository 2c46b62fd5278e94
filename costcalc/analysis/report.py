"""The answer: every figure of a graph, by layer, by block and in total."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costcalc.analysis.kernel_times import Kernels
from costcalc.analysis.later import ASKS
from costcalc.analysis.layer_costs import Work, Works
from costcalc.analysis.liveness import liveness
from costcalc.analysis.receptive_fields import LaterFields, layout
from costcalc.analysis.records import Block, Layer, Prepared, Report, Settings, Total
from costcalc.analysis.shared_costs import AddedCosts
from costcalc.analysis.sizes import iterating
from costcalc.analysis.storage import Storage
from costcalc.analysis.sums import Sums
from costcalc.ir.collector import uncollected
from costcalc.ir.dims import Dim, total
from costcalc.ir.graph import Graph
from costcalc.ir.memo import Memo
from costcalc.ir.op import Op

if TYPE_CHECKING:
    from costcalc.analysis.energy import EnergyTable
    from costcalc.analysis.roofline import Machine


@uncollected()
def report(
    graph: Graph, *, bits: int | None = None, machine: Machine | None = None, fps: float | None = None,
    energy: EnergyTable | None = None, grid: float | None = None,
) -> Report:  # fmt: skip
    """Every figure of ``graph``.

    bits      width of floating-point elements in place of their own (32 for a spec)
    machine   also the time of each layer on it
    fps       passes a second that are wanted; reports then tell the bandwidth needed
    energy    also the energy of each layer by it; with ``grid``, grams of CO₂ of a kilowatt hour, their grams

    Receptive fields are worked out when one is asked for; until then the report keeps the graph.
    """
    fields = LaterFields(graph)
    storage = Storage(graph, bits)
    work, costs, sums = Works(bits), AddedCosts(graph, storage), Sums(storage)
    timed = Kernels(machine, bits, graph.group_of) if machine and machine.macs else None
    floors = estimates = None
    if machine and machine.macs:
        from costcalc.analysis.floor import Floors

        floors = Floors(graph, storage, machine)
    if machine and machine.calibration:
        from costcalc.analysis.estimate import Estimates

        estimates = Estimates(graph, machine.calibration, bits)
    alive = liveness(graph, storage)
    is_plain = not storage.root.settled and not storage.inside  # nothing is made beforehand or stays in a kernel
    priced = timed or floors or energy or estimates
    layers: list[Layer] = []
    skippable: dict[str, Dim] = {}
    alike = Memo("what layers tell")
    for number, (node, use) in enumerate(zip(graph.nodes, graph.uses, strict=True)):
        done = work.of_use(node, use)
        touched = (node.inputs, node.outputs) if is_plain else storage.touched(node)
        amounts, row = costs(node, done)
        once = None
        if not is_plain and storage.is_prepared(node):
            kept = total(storage.bits[v] for v in touched[1])
            once = Prepared(done.done["macs"], done.done["ops"], kept, uncounted=int(not node.op.is_counted))
        elif done.skippable[1]:
            spared, which = done.skippable
            skippable[which] = skippable.get(which, 0) + spared
        told = alike.get(key := (id(done), id(node.op)))
        if told is None:
            alike.put(key, told := (_same_of(node.op, done), done, node.op))
        # A frozen dataclass sets its fields one by one, through a call each: here they are those of one alike.
        values: dict[str, Any] = told[0].copy()
        values["amounts"], values["name"], values["inputs"] = amounts, node.name, node.inputs
        values[ASKS] = fields.of, node.name
        values["peak_bits"] = alive.held[node.name]
        if node.location:
            values["source"] = node.location.short
        if once is not None:
            values["prepared"] = once
        if graph.modules:
            values["module"] = graph.modules.get(node.name)
        if storage.group_of and (group := storage.group_of.get(node.name)):
            values["group"] = group.name
        if priced:
            macs, moved = amounts["macs"], amounts["read"] + amounts["write"]
            values["time"] = timed(node.name, macs, moved) if timed else None
            values["floor"] = floors(node, done) if floors else None
            values["energy"] = energy.of_layer(done.use, macs, moved) if energy else None
            values["estimate"] = estimates.layer(node.name) if estimates else None
        layer = Layer.__new__(Layer)
        object.__setattr__(layer, "__dict__", values)
        layers.append(layer)
        sums.around(node.name).add(layer, number, row, touched, costs.owned(node, done) if costs.may_share else {})

    blocks = tuple(
        Block.later(
            (fields.of, b.last.name),
            amounts=b.amounts(), name=name, layers=b.layers, output_shapes=b.last.output_shapes, time=b.time,
            floor=floors.of(name) if floors else None,
            energy=b.energy, estimate=estimates.block(name) if estimates else None,
            module=graph.modules.get(name),
            peak_bits=b.peak,
        )
        for name, b in sums.close() if b.last
    )  # fmt: skip
    whole = sums.whole
    return Report.later(
        (fields.global_at, ""),
        name=graph.name,
        source=graph.source,
        inputs={v: graph.types[v].shape for v in graph.inputs},
        outputs={v: graph.types[v].shape for v in graph.outputs},
        parameters=graph.parameters,
        settings=Settings(bits, machine.name if machine else None, fps, graph.applied),
        total=Total(
            whole.amounts(), peak_bits=alive.peak, peak_at=alive.at, layers=whole.layers, time=whole.time,
            floor=floors.of() if floors else None, energy=whole.energy,
            estimate=estimates.block() if estimates else None, prepared=whole.prepared,
            kernels=_kernels(graph) if graph.joinings or graph.groups else None,
        ),
        layers=tuple(layers),
        blocks=blocks,
        assumptions=graph.assumed,
        machine=machine,
        energies=energy,
        grid=grid,
        notes=(*(_skippable(macs, which) for which, macs in skippable.items() if which), *iterating(layers)),
        layout=layout(graph),
        sizes=graph.sizes,
        beyond=estimates.beyond if estimates else (),
    )  # fmt: skip


def _kernels(graph: Graph) -> int:
    """How many kernels an inference runs: one a group, and one for each other layer that does anything."""
    return sum(any(map(graph.runs, kernel)) for kernel in graph.kernels)


def _same_of(op: Op, work: Work) -> dict[str, Any]:
    """A layer's fields, where all are alike that do this ``work`` by an ``op`` written so (1 and 1.0 are equal)."""
    return {
        **{key: None for key in Layer.__match_args__ if key != Layer.LATER},
        "source": "",
        "op": op.name,
        "kind": work.kind,
        "options": {key: value for key, value in op.options() if key != "channels_last" or value},
        "input_shapes": work.input_shapes,
        "output_shapes": work.output_shapes,
        "counted": op.is_counted,
        "approximate": op.is_approximate or None,
    }


def _skippable(macs: Dim, which: str) -> str:
    figure = f"{macs:,}" if isinstance(macs, int) else str(macs)
    return f"{figure} of the MACs are {which}, and need not be done"
