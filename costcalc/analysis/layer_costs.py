"""What one layer costs by itself: work, weights and compulsory traffic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from costcalc.analysis.amounts import Amounts
from costcalc.analysis.figures import FIGURES
from costcalc.classes import NamedTuple
from costcalc.ir.dims import Dim, total
from costcalc.ir.graph import Graph, Node
from costcalc.ir.memo import Memo
from costcalc.ir.op import Op
from costcalc.ir.tensor import ELEMENT_BITS, FLOATING_BITS, TensorType, Weight
from costcalc.ir.use import Use, Uses


class OpUse(NamedTuple):
    """An op on inputs of given types, wherever it stands: what figures of work are worked out from.

    output    the type of its first output
    weights   its tensors by PyTorch's name
    width     bits of a floating-point element in place of its own
    """

    op: Op
    inputs: tuple[TensorType, ...]
    output: TensorType
    weights: Mapping[str, Weight]
    width: int | None = None

    def element_bits(self, t: TensorType) -> int:
        """Bits of an element of ``t``."""
        own = self.width is None or t.dtype not in FLOATING_BITS
        return ELEMENT_BITS[t.dtype] if own or self.width is None else self.width


class Work(NamedTuple):
    """What an op does to inputs of given types, wherever it stands, and how a report tells of it.

    is_view         whether it makes nothing of its own
    done            the figures of its work
    held            those of its weights, but for the ones that are made beforehand of others
    own             both
    weights         these, by PyTorch's name
    read_bits       bits that inference reads of them
    input_bits      bits that are read of each input, and of each weight that is made beforehand
    skippable       MACs that need not be done, and which those are, as ``Op.skippable`` has them
    kind            what reports call this use of the op
    input_shapes    and output_shapes, of the values that it reads and makes
    use             of which op, on which types
    """

    is_view: bool
    done: Amounts
    held: Amounts
    own: Amounts
    weights: dict[str, Weight]
    read_bits: Dim
    input_bits: tuple[Dim, ...]
    skippable: tuple[Dim, str]
    kind: str
    input_shapes: tuple[tuple[Dim, ...], ...]
    output_shapes: tuple[tuple[Dim, ...], ...]
    use: OpUse


def held_in(weights: Iterable[Weight], width: int | None = None) -> Amounts:
    """The figures of distinct ``weights``: each that a weight brings."""
    rules = [(figure.name, figure.held) for figure in FIGURES.values() if figure.held]
    result = Amounts((name, 0) for name, _ in rules)
    for weight in weights:
        for name, rule in rules:
            result[name] = result[name] + rule(weight, width)
    return result


def input_bits(op: Op, types: tuple[TensorType, ...], y: TensorType, width: int | None) -> tuple[Dim, ...]:
    """Bits that ``op`` reads of each of its inputs."""
    if op.is_view or type(op).reads is not Op.reads:
        return tuple([row.bits(width) for row in input_rows(op, types, y)])
    bits = {t: t.bits(width) for t in dict.fromkeys(types)}  # all of them, and a concatenation may have thousands
    return tuple([bits[t] for t in types])


def input_rows(op: Op, types: tuple[TensorType, ...], y: TensorType) -> tuple[TensorType, ...]:
    """What ``op`` reads of each of its inputs, as a row of elements; nothing where it only views them."""
    reads = (0,) * len(types) if op.is_view else op.reads(*types, y=y)
    return tuple(t.with_shape(elements) for t, elements in zip(types, reads, strict=True))


def at_width(node: Node, work: Work, width: int | None) -> Work:
    """``work`` of ``node`` with what it reads in elements of ``width``; its figures stay."""
    read = total(weight.read_bits(width) for weight in work.weights.values())
    return work._replace(read_bits=read, input_bits=_read_bits(node, work.use, width))


def _read_bits(node: Node, use: OpUse, width: int | None) -> tuple[Dim, ...]:
    """Bits that are read of each input, and of each weight that is made beforehand."""
    every = use.weights
    beforehand = [every[local].read_bits(width) if local in every else 0 for local in node.prepared]
    return (*input_bits(use.op, use.inputs, use.output, width), *beforehand)


class Works:
    """Works out what nodes do, once for equal ops on equal types.

    width   bits of a floating-point element in place of its own
    """

    def __init__(self, width: int | None = None) -> None:
        self.width = width
        self._rules = [(figure.name, figure.done) for figure in FIGURES.values() if figure.done]
        held = [(figure.name, figure.held) for figure in FIGURES.values() if figure.held]
        self._known = Memo("work", (width, self._rules, held))
        self._uses, self._unheld = Uses(), held_in(())
        self._near: dict[object, Work] = {}  # those that were asked for already

    def __call__(self, graph: Graph, node: Node) -> Work:
        """The work of a node of ``graph``."""
        return self.of(node, node.op, graph.input_types(node), graph.output_types(node))

    def of(self, node: Node, op: Op, types: tuple[TensorType, ...], makes: tuple[TensorType, ...]) -> Work:
        """The work of ``node``, were its op ``op`` and its inputs and outputs of these types."""
        return self.of_use(node, self._uses.of(op, types, makes))

    def of_use(self, node: Node, use: Use) -> Work:
        """The work of ``node``, were it what it does."""
        key: object = use
        if node.prepared or node.frozen or node.stored_as:
            key = use, tuple(node.prepared), node.frozen, tuple(node.stored_as.items())
        found: Work | None = self._near.get(key)
        if found is None:
            found = self._known.get(key)
            if found is None:
                self._known.put(key, found := self._worked_out(node, use))
            self._near[key] = found
        return found

    def _worked_out(self, node: Node, use: Use) -> Work:
        width, op, types, y = self.width, use.op, use.inputs, use.outputs[0]
        every = op.weights(*types)
        weights = node.stored(every)
        of_op = OpUse(op, types, y, every, width)
        done = Amounts([(name, rule(of_op)) for name, rule in self._rules])
        held = held_in(weights.values(), width) if weights else self._unheld
        return Work(
            is_view=op.is_view,
            done=done,
            held=held,
            own=Amounts(done | held),
            weights=weights,
            read_bits=total(w.read_bits(width) for w in weights.values()),
            input_bits=_read_bits(node, of_op, width),
            skippable=op.skippable(*types, y=y),
            kind=op.kind(*types),
            input_shapes=tuple(t.shape for t in types),
            output_shapes=tuple(t.shape for t in use.outputs),
            use=of_op,
        )
