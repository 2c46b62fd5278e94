"""The answer: every figure of a graph, by layer, by block and in total."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from costcalc.analysis.costs import work_of
from costcalc.analysis.liveness import liveness
from costcalc.analysis.receptive import receptive_fields
from costcalc.analysis.records import Block, Layer, Report, Settings, Total
from costcalc.analysis.storage import Storage, Tensors, weight_name
from costcalc.ir.dims import Dim, total
from costcalc.ir.expr import Expr
from costcalc.ir.graph import Graph, Node
from costcalc.ir.op import Op

if TYPE_CHECKING:
    from costcalc.analysis.roofline import Machine, Time


def report(
    graph: Graph, *, bits: int | None = None, machine: Machine | None = None, fps: float | None = None
) -> Report:
    """Every figure of ``graph``.

    bits      width of floating-point elements in place of their own (32 for a spec)
    machine   also the time of each layer on it
    fps       passes a second that are wanted; reports then tell the bandwidth needed
    """
    symbolic = any(isinstance(d, Expr) for t in graph.types.values() for d in t.shape)
    fields_seen = {} if symbolic else receptive_fields(graph)
    storage = Storage(graph, bits)
    work = work_of(bits)
    blocks: dict[str, _Sum] = {}
    whole = _Sum(Tensors(storage))
    layers: list[Layer] = []
    needless: dict[str, Dim] = {}
    for node in graph.nodes:
        done = work(graph, node)
        types, made = graph.input_types(node), graph.output_types(node)
        if type(node.op).needless is not Op.needless:
            spared, which = node.op.needless(*types, y=made[0])
            needless[which] = needless.get(which, 0) + spared
        own = Tensors(storage)
        for local, weight in done.weights.items():
            own.weights[weight_name(node, local)] = weight
        own.add(node.inputs)
        read: Dim = 0
        write: Dim = 0
        if not node.op.is_view:
            read = own.value_bits() + done.read_bits
            write = total(storage.bits[v] for v in node.outputs)
        own.add(node.outputs)
        layer = Layer(
            macs=done.macs,
            ops=done.ops,
            params=done.params,
            buffers=done.buffers,
            weight_bits=done.weight_bits,
            storage_bits=own.value_bits() + done.weight_bits,
            read_bits=read,
            write_bits=write,
            name=node.name,
            op=node.op.name,
            kind=done.kind,
            options={option.name: getattr(node.op, option.name) for option in node.op.fields},
            inputs=node.inputs,
            input_shapes=tuple(t.shape for t in types),
            output_shapes=tuple(t.shape for t in made),
            receptive_field=fields_seen.get(node.outputs[0]),
            source=node.place.short if node.place else "",
            time=machine.time_of(done.macs, read + write, bits) if machine else None,
            counted=node.op.is_counted,
        )
        layers.append(layer)
        whole.add(layer, own, node, len(done.weights))
        for prefix in _prefixes(node.name):
            if prefix not in blocks:
                blocks[prefix] = _Sum(Tensors(storage))
            blocks[prefix].add(layer, own, node, len(done.weights))

    alive = liveness(graph, storage)
    return Report(
        name=graph.name,
        source=graph.source,
        inputs={v: graph.types[v].shape for v in graph.inputs},
        outputs={v: graph.types[v].shape for v in graph.outputs},
        parameters=graph.parameters,
        settings=Settings(bits, machine.name if machine else None, fps),
        total=Total(
            **whole.figures(), peak_bits=alive.peak, peak_at=alive.at, layers=len(layers), time=whole.time
        ),
        layers=tuple(layers),
        blocks=tuple(
            Block(
                **b.figures(), name=name, layers=b.count, output_shapes=b.last.output_shapes,
                receptive_field=b.last.receptive_field, time=b.time,
            )
            for name, b in blocks.items() if b.last
        ),
        assumptions=graph.assumed,
        machine=machine,
        notes=tuple(_needless(macs, which) for which, macs in needless.items() if which),
    )  # fmt: skip


def _needless(macs: Dim, which: str) -> str:
    figure = f"{macs:,}" if isinstance(macs, int) else str(macs)
    return f"{figure} of the MACs are {which}, and need not be done"


class _Sum:
    """Adds up layers: what adds up is summed, tensors are collected so that each counts once."""

    def __init__(self, tensors: Tensors) -> None:
        self.tensors = tensors
        self.macs: Dim = 0
        self.ops: Dim = 0
        self.read: Dim = 0
        self.write: Dim = 0
        self.params: Dim = 0
        self.buffers: Dim = 0
        self.weight_bits: Dim = 0
        self.weights = 0
        self.count = 0
        self.time: Time | None = None
        self.last: Layer | None = None

    def add(self, layer: Layer, own: Tensors, node: Node, weights: int) -> None:
        """Take in ``layer``, which has so many ``weights``."""
        self.macs = self.macs + layer.macs
        self.ops = self.ops + layer.ops
        self.read = self.read + layer.read_bits
        self.write = self.write + layer.write_bits
        self.params = self.params + layer.params
        self.buffers = self.buffers + layer.buffers
        self.weight_bits = self.weight_bits + layer.weight_bits
        self.weights += weights
        self.count += 1
        if node.inputs or self.last is None:  # a weight that nothing reads comes last in a trace
            self.last = layer
        self.tensors.weights.update(own.weights)
        self.tensors.add(node.inputs)
        self.tensors.add(node.outputs)
        if layer.time is not None:
            self.time = layer.time if self.time is None else self.time.then(layer.time)

    def figures(self) -> dict[str, Dim]:
        params, buffers, weight_bits = self.params, self.buffers, self.weight_bits
        if len(self.tensors.weights) < self.weights:  # some are shared, and stored once
            params, buffers, weight_bits = self.tensors.held()
        return {
            "macs": self.macs,
            "ops": self.ops,
            "params": params,
            "buffers": buffers,
            "weight_bits": weight_bits,
            "storage_bits": weight_bits + self.tensors.value_bits(),
            "read_bits": self.read,
            "write_bits": self.write,
        }


def _prefixes(name: str) -> Iterator[str]:
    """The blocks that a layer is in, outermost first: ``a.b.c`` is in ``a`` and ``a.b``."""
    end = name.find(".")
    while end >= 0:
        yield name[:end]
        end = name.find(".", end + 1)
