"""How each figure of a layer comes about: the formula in letters, in numbers, and what it gives.

No formula stands here: the layer's op runs its own rules on ``TracedInt`` sizes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from string import ascii_lowercase
from typing import Any

from costcalc.analysis.fft import by_fourier
from costcalc.analysis.figures import BITS, COUNT, EXPLANATION, JOULES, SECONDS, Figure, figures_in
from costcalc.analysis.floor import multiplied
from costcalc.analysis.layer_costs import OpUse, input_rows
from costcalc.analysis.pixel_map import UNKNOWN, ReceptiveField
from costcalc.analysis.receptive_fields import receptive_fields
from costcalc.analysis.records import Layer, Report
from costcalc.analysis.roofline import Time
from costcalc.analysis.storage import Storage
from costcalc.classes import NamedTuple
from costcalc.errors import CostcalcError, UnknownName, near
from costcalc.ir.expr import Expr
from costcalc.ir.graph import Graph, Node
from costcalc.ir.index_map import AxisMap
from costcalc.ir.op import Op
from costcalc.ir.tensor import ELEMENT_BITS, FLOATING_BITS, TensorType, Weight
from costcalc.ir.traced_int import QUOTIENT, TracedInt

IMAGE = {3: "ncl", 4: "nchw", 5: "ncthw"}
SEQUENCE = {1: "c", 2: "nc", 3: "nlc", 4: "nhlc"}
MADE = {"c": "m", "t": "u", "h": "e", "w": "f", "l": "e", "n": "b"}
"""The letter of an output's axis where it is not the input's size any more."""
LETTERED = ("Size", "Sizes", "Count", "Counts", "Pairs", "Pads")


class ExplanationLine(NamedTuple):
    """One figure: in letters, in numbers ("" where a rule gave a plain number), and its value, in ``unit``."""

    name: str
    value: Any
    letters: str = ""
    numbers: str = ""
    description: str = ""
    unit: str = COUNT


class ExplainedWeight(NamedTuple):
    """A weight of the layer.

    formula   its sizes in letters
    called    its name in the whole model; "" if it is none of the model's tensors
    shared    the layers and names by which others use it, ``("head.weight",)``
    prepared  the value, made beforehand, that stands for it
    """

    name: str
    shape: tuple[Any, ...]
    formula: str
    called: str
    shared: tuple[str, ...] = ()
    prepared: str = ""


class Explanation(NamedTuple):
    """All that is told of one layer.

    letters   letter → size, in the order in which they come in
    shapes    (value, sizes, letters) of each input and output
    weights   each tensor of the layer's own
    applied   the transforms that the graph has been through
    """

    node: Node
    layer: Layer
    letters: dict[str, int]
    shapes: list[tuple[str, tuple[Any, ...], str]]
    weights: list[ExplainedWeight]
    lines: list[ExplanationLine]
    applied: tuple[str, ...] = ()


def explain(graph: Graph, report: Report, name: str, also: Collection[str] = ()) -> Explanation:
    """The layer called ``name``, with the figures on demand that ``also`` names.

    Raises ``UnknownName`` with the nearest name; sizes must be numbers.
    """
    layer = next((layer for layer in report.layers if layer.name == name), None)
    if layer is None:
        known = [layer.name for layer in report.layers] + [block.name for block in report.blocks]
        tops = dict.fromkeys(path.partition(".")[0] for path in known)
        hint = near(name, known) or f"; its layers and blocks are {', '.join(list(tops)[:12])}{' …' * (len(tops) > 12)}"
        raise UnknownName(f"{report.name} has no layer or block called '{name[:80]}'{hint}")
    node = graph.node(name)
    if any(isinstance(d, Expr) for t in (*graph.input_types(node), *graph.output_types(node)) for d in t.shape):
        raise CostcalcError(f"{name}: its sizes are symbols; `costcalc formula` shows closed forms")
    return _Teller(graph, report, layer, node).explanation(also)


class Alike(NamedTuple):
    """The figures of one layer's explanation, without what it sees; those of like layers have one number."""

    number: int
    lines: list[ExplanationLine]


def explained_alike(graph: Graph, report: Report, most: int) -> Iterator[tuple[str, Alike]]:
    """Each layer by its name and its lines, which are worked out once for like layers, for up to ``most`` unlike ones.

    Layers whose sizes are symbols are left out.
    """
    known: dict[tuple[Any, ...], Alike] = {}
    layers = {layer.name: layer for layer in report.layers}
    for node in graph.nodes:
        layer, types = layers[node.name], graph.input_types(node)
        time = layer.time and (layer.time.compute, layer.time.seconds)
        told = layer.counted, layer.prepared, time, layer.energy
        key = (node.op, types, id(layer.amounts), *told, graph.group_of.get(node.name))
        found = known.get(key)
        if found is None:
            made = graph.output_types(node)
            if len(known) >= most or any(isinstance(d, Expr) for t in (*types, *made) for d in t.shape):
                continue
            teller = _Teller(graph, report, layer, node)
            lines = [
                line for line in teller.explanation(field=False).lines if isinstance(line.value, (int, float, str))
            ]
            found = known[key] = Alike(len(known), lines)
        yield node.name, found


def _sum(parts: Sequence[tuple[Any, Any]]) -> tuple[Any, Any]:
    """The value of a sum, and what is told of it, equal parts together."""
    if any(value is UNKNOWN for value, _ in parts):
        return UNKNOWN, None
    often: dict[int, int] = {}
    for _, told in parts:
        often[id(told)] = often.get(id(told), 0) + 1
    distinct = {id(told): told for _, told in parts}
    told = sum(TracedInt.leaf(n, str(n)) * distinct[key] if n > 1 else distinct[key] for key, n in often.items())
    return sum(value for value, _ in parts), told


class _Teller:
    """The rules of one node, run on told sizes."""

    def __init__(self, graph: Graph, report: Report, layer: Layer, node: Node) -> None:
        self.graph, self.report, self.layer, self.node = graph, report, layer, node
        self.letters: dict[str, int] = {}
        self.op = self._lettered_op(node.op)
        self.options = set(self.letters)
        self.x = tuple(map(self._input, graph.input_types(node)))
        made = self.op.infer(*self.x)
        self.made = (made,) if isinstance(made, TensorType) else made
        self.y = tuple(map(self._output, self.made))

    def explanation(self, also: Collection[str] = (), *, field: bool = True) -> Explanation:
        node, x, y = self.node, self.x, self.y
        weights = self.op.weights(*x)
        shapes = [(v, t.shape, _times(t)) for v, t in zip((*node.inputs, *node.outputs), (*x, *y), strict=True)]
        named = [self._tensor(name, weight.type) for name, weight in weights.items()]
        stored = node.stored(weights).values()
        storage = Storage(self.graph) if self.graph.groups else None
        unread = storage.unread.get(node.name, frozenset()) if storage else frozenset()
        inside = storage.inside if storage else frozenset()
        read = [] if node.op.is_view else [*map(_read, weights.values()), *self._read_of_inputs(unread)]
        made = [t for v, t in zip(node.outputs, y, strict=True) if v not in inside]
        write = [] if node.op.is_view else made
        inputs = [t for v, t in dict(zip(node.inputs, x, strict=True)).items() if v not in inside]
        held = [*(w.type for w in weights.values()), *inputs, *(() if node.op.is_view else made)]
        tensors = {"storage": held, "read": read, "write": write}
        layer = self.layer
        work = layer.prepared or layer
        use = OpUse(self.op, x, y[0], weights, self.report.settings.bits)
        lines, later = self._sizes(), []
        done: dict[str, tuple[Any, Any]] = {}
        for figure in figures_in(EXPLANATION, also):
            if figure.done:
                value = getattr(work, figure.key, 0) if layer.counted else UNKNOWN
                done[figure.name] = value, figure.done(use)
                lines.append(self._line(figure, *done[figure.name]))
            elif figure.sum_of and done.keys() >= {*figure.sum_of}:
                lines.append(self._line(figure, *_sum([done[name] for name in figure.sum_of])))
            elif figure.held and not figure.values:
                each = [figure.held(w, self.report.settings.bits) for w in stored]
                lines.append(self._line(figure, figure.of(layer), sum(each)))
            else:
                result = self._bits(tensors[figure.name]) if figure.name in tensors else None
                later.append(self._line(figure, figure.of(layer), result))
        if layer.prepared:
            kept = ExplanationLine("kept", layer.prepared.bits, unit=BITS)
            lines = [ExplanationLine("prepared", "once, before inference, which does nothing of this"), *lines, kept]
            return self._explanation(lines, shapes, named)
        lines += [*later, *(self._field() if field else ()), *self._time(), *self._energy(use), *self._by_fourier()]
        lines += self._kernel()
        return self._explanation(lines, shapes, named)

    def _kernel(self) -> list[ExplanationLine]:
        """With which layers one kernel does this one, and why it does or what prevents it."""
        group, joining = self.graph.group_of.get(self.node.name), self.graph.joinings.get(self.node.name)
        if group is not None:
            others = [name for name in group.layers if name != self.node.name]
            lines = [
                ExplanationLine("kernel", f"{group.name}'s, with {' and '.join(others)}" if others else group.name)
            ]
        else:
            lines = [ExplanationLine("kernel", "its own")] if joining else []
        if joining:
            word = "joined" if joining.to else "not joined"
            lines.append(ExplanationLine(word, f"{joining.to}: {joining.because}" if joining.to else joining.because))
        return lines

    def _explanation(
        self,
        lines: list[ExplanationLine],
        shapes: list[tuple[str, tuple[Any, ...], str]],
        weights: list[ExplainedWeight],
    ) -> Explanation:
        order = sorted(self.letters, key=lambda letter: letter in self.options)
        letters = {letter: self.letters[letter] for letter in order}
        return Explanation(self.node, self.layer, letters, shapes, weights, lines, self.graph.applied)

    def _tensor(self, name: str, t: TensorType) -> ExplainedWeight:
        if name in self.node.prepared:
            return ExplainedWeight(name, t.shape, _times(t), "", prepared=self.node.prepared[name])
        called, own = self.node.weight(name), f"{self.node.name}.{name}"
        others = tuple(user for user in self.graph.users[called] if user != own)
        return ExplainedWeight(name, t.shape, _times(t), called, others)

    def _read_of_inputs(self, unread: Collection[str]) -> list[TensorType]:
        """What is read of each distinct input that is not ``unread``, as a row of elements."""
        each = input_rows(self.op, self.x, self.y[0])
        return [t for v, t in dict(zip(self.node.inputs, each, strict=True)).items() if v not in unread]

    def _line(self, figure: Figure, value: Any, result: Any) -> ExplanationLine:
        if isinstance(result, TracedInt) and int(result) == value:
            return ExplanationLine(figure.title, value, result.text, result.numbers, unit=figure.unit)
        return ExplanationLine(figure.title, value, unit=figure.unit)

    def _bits(self, types: Iterable[TensorType]) -> Any:
        """The bits of ``types``, those of equal elements together: 32·(… + …)."""
        width = self.report.settings.bits
        sizes: dict[int, Any] = {}
        for t in types:
            bits = width if width is not None and t.dtype in FLOATING_BITS else ELEMENT_BITS[t.dtype]
            sizes[bits] = sizes.get(bits, 0) + t.size
        return sum(TracedInt.leaf(bits, str(bits)) * size for bits, size in sizes.items())

    def _sizes(self) -> list[ExplanationLine]:
        """The output's sizes that have a formula; equal ones in one line."""
        lines: list[ExplanationLine] = []
        for letter, formula in zip(self.y[0].shape, self.made[0].shape, strict=True):
            if isinstance(letter, TracedInt) and isinstance(formula, TracedInt) and letter.text != formula.text:
                if lines and lines[-1].numbers == formula.numbers:
                    lines[-1] = lines[-1]._replace(name=f"{lines[-1].name}, {letter.text}")
                else:
                    lines.append(ExplanationLine(letter.text, int(formula), formula.text, formula.numbers))
        return lines

    def _field(self) -> list[ExplanationLine]:
        """The receptive field of the first output, from that of its input: R pixels every J pixels."""
        field = self.layer.receptive_field
        if not isinstance(field, ReceptiveField):
            return [ExplanationLine("receptive field", field)] if field else []
        line = ExplanationLine("receptive field", field)
        before = receptive_fields(self.graph).of[self.node.inputs[0]] if len(self.node.inputs) == 1 else None
        index_maps = self.op.index_maps_of(0, *self.x, y=self.y[0]) if isinstance(before, ReceptiveField) else ()
        if (
            isinstance(before, ReceptiveField)
            and isinstance(index_maps[0], tuple)
            and len(index_maps[0]) == 2 + len(field.size)
        ):
            made = []
            for axis_map, size, step in zip(index_maps[0][2:], before.size, before.stride, strict=True):
                if isinstance(axis_map, AxisMap) and isinstance(step, int):
                    r, j = TracedInt.leaf(size, "R"), TracedInt.leaf(step, "J")
                    reach: Any = axis_map.window.hi - axis_map.window.lo
                    made.append(r + j * reach if isinstance(reach, TracedInt) else r)
            if tuple(map(int, made)) == field.size:
                description = "R and J: the receptive field of the input, and its step"
                line = ExplanationLine("receptive field", field, made[0].text, made[0].numbers, description)
        return [line]

    def _time(self) -> list[ExplanationLine]:
        machine, time = self.report.machine, self.layer.time
        if machine is None or time is None:
            return []
        rate = machine.rate(self.report.settings.bits)
        traffic = self.layer.traffic_bits
        return [
            ExplanationLine(
                "compute time", time.compute, "MACs/rate", f"{self.layer.macs:,}/{rate:.4g} a second", unit=SECONDS
            ),
            ExplanationLine(
                "memory time",
                time.traffic,
                "(read + write)/bandwidth",
                f"{traffic // 8:,} B/{machine.bandwidth:.4g} B a second",
                unit=SECONDS,
            ),
            self._slower(time),
            *self._floor(),
        ]

    def _floor(self) -> list[ExplanationLine]:
        """What the layer takes at least, were it all that is done."""
        machine, floor = self.report.machine, self.layer.floor
        if machine is None or floor is None or not floor.seconds:
            return []
        if floor.bound == "memory":
            what = "what must leave the chip/bandwidth"
            numbers = f"{(floor.bits or 0) // 8:,} B/{machine.bandwidth:.4g} B a second"
        else:
            what, numbers = "needed MACs/peak rate", f"{floor.macs:,}/{floor.macs / floor.compute:.4g} a second"
        return [
            ExplanationLine("floor", floor.seconds, what, numbers, f"bound by {floor.bound}, in any schedule", SECONDS)
        ]

    def _energy(self, use: OpUse) -> list[ExplanationLine]:
        """What its MACs and its traffic take, by the report's table."""
        table, energy = self.report.energies, self.layer.energy
        if table is None or energy is None:
            return []
        macs, traffic = self.layer.macs, self.layer.traffic_bits
        lines = []
        if energy.macs is not None and macs:
            bits, floating = multiplied(use)
            numbers = f"{macs:,}·{table.of_mac(bits, floating):g} pJ"
            lines.append(ExplanationLine("MAC energy", energy.macs, "MACs·energy of one", numbers, unit=JOULES))
        if energy.traffic is not None and traffic:
            numbers = f"{traffic // 8:,} B·{table.memory[table.level]:g} pJ"
            what = f"(read + write)·energy of a byte with {table.level}"
            lines.append(ExplanationLine("traffic energy", energy.traffic, what, numbers, unit=JOULES))
        if energy.joules is None:
            return [*lines, ExplanationLine("energy", f"unknown: {energy.unknown}")]
        return [*lines, ExplanationLine("energy", energy.joules, "the sum of the two", unit=JOULES)]

    def _slower(self, time: Time) -> ExplanationLine:
        if self.layer.group is None:
            return ExplanationLine("time", time.seconds, "the larger of the two", "", f"bound by {time.bound}", SECONDS)
        what = "what it adds to the larger of the two sums over its kernel"
        return ExplanationLine("time", time.seconds, what, "", f"bound by {time.bound}", SECONDS)

    def _by_fourier(self) -> list[ExplanationLine]:
        """What a convolution would take by Fourier transforms."""
        inputs = self.graph.input_types(self.node)
        found = by_fourier(self.node.op, inputs[0]) if inputs else None
        return [ExplanationLine("by FFT", found)] if found else []

    # -- letters -----------------------------------------------------------------------------

    def _letter(self, wanted: str, value: int, avoid: Iterable[str] = ()) -> TracedInt:
        """A letter for ``value``: ``wanted``, with strokes after it while it is in use for something else."""
        while wanted in avoid or self.letters.get(wanted, value) != value:
            wanted += "′"
        self.letters[wanted] = int(value)
        return TracedInt.leaf(int(value), wanted)

    def _lettered_op(self, op: Op) -> Op:
        values = dict(op.__dict__)
        for field in op.fields:
            if field.kind.removesuffix(" | None") in LETTERED:
                values[field.name] = self._lettered(values[field.name], op.letters.get(field.name, field.name))
        return type(op)(**values)

    def _lettered(self, value: Any, letter: str) -> Any:
        if isinstance(value, tuple):
            same = all(v == value[0] for v in value)
            return tuple(self._lettered(v, letter if same else letter + "₁₂₃₄"[i % 4]) for i, v in enumerate(value))
        return self._letter(letter, value) if isinstance(value, int) and not isinstance(value, bool) else value

    def _axes(self, t: TensorType) -> str:
        image = hasattr(self.op, "kernel") or len(t.shape) > 3
        return (IMAGE if image else SEQUENCE).get(len(t.shape), (ascii_lowercase * len(t.shape))[: len(t.shape)])

    def _input(self, t: TensorType) -> TensorType:
        """``t`` with a letter for each axis; an axis of a second input shares it where the sizes are equal."""
        sizes: tuple[int, ...] = t.shape  # type: ignore[assignment]
        return t.with_shape(*(self._letter(a, d, self.options) for a, d in zip(self._axes(t), sizes, strict=True)))

    def _output(self, t: TensorType) -> TensorType:
        """``t``, its sizes that are formulas called by letters of their own."""
        shape = []
        for axis, d in zip(self._axes(t), t.shape, strict=True):
            if isinstance(d, TracedInt) and d.text not in self.letters and not d.text.isdecimal():
                d = self._letter(MADE.get(axis, "y"), int(d), self.options)
            elif not isinstance(d, TracedInt) and self.letters.get(axis) == d:
                d = TracedInt.leaf(int(d), axis)  # type: ignore[arg-type]
            shape.append(d)
        return t.with_shape(*shape)


def _read(weight: Weight) -> TensorType:
    return weight.type if weight.read is None else weight.type.with_shape(weight.read)


def _times(t: TensorType) -> str:
    return "×".join(
        d.text
        if isinstance(d, TracedInt) and d.level > QUOTIENT
        else f"({d.text})"
        if isinstance(d, TracedInt)
        else str(d)
        for d in t.shape
    )
