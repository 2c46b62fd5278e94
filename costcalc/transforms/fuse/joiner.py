"""What all engines share that join layers along chains: a layer, and what follows it and can be done with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import ClassVar

from costcalc.classes import NamedTuple
from costcalc.ir.graph import Graph, Group, Joining, Node
from costcalc.ir.tensor import TensorType

LINEAR = frozenset(
    {"conv", "linear", "conv_transpose", "matmul", "deform_conv", "dynamic_conv", "depthwise", "pointwise"}
)


class JoiningRule(NamedTuple):
    """What may join what.

    ops      the ops that join, by name; ``POINTWISE`` stands for every one that treats each element by itself
    after    the states of a group in which they do
    state    the state of the group from then on
    description  why, in words
    """

    ops: frozenset[str]
    after: frozenset[str]
    state: str
    description: str


POINTWISE = "(pointwise)"
"""Stands in rules for every op that treats each element by itself; there is an op called ``pointwise``."""
SCALED, SCORES, ATTENDED = "scaled", "scores", "attended"
"""The states of attention in the making: its scores with arithmetic, after softmax, and the whole of it."""
DONE = "done"
"""The state of a group that takes nothing more in."""
STATES = {
    "conv": "a convolution", "conv_transpose": "a transposed convolution", "linear": "a linear layer",
    "sum": "a convolution with a sum", "batch_norm": "a norm", "pad": "a padding", "add": "a sum",
    "arithmetic": "arithmetic on two maps", "chain": "a chain of arithmetic", SCALED: "a product with arithmetic",
    SCORES: "a softmax of products", ATTENDED: "attention", "matmul": "a product of matrices",
}  # fmt: skip
"""How sentences call the states of groups; one that is not here is the name of an op."""


def attention() -> tuple[JoiningRule, ...]:
    """A product of queries and keys, what scales and masks it, softmax, and its product with values, as one kernel."""
    why = "attention is one kernel: its scores are never in memory"
    return (
        JoiningRule(
            frozenset({POINTWISE}), frozenset({"matmul", SCALED}), SCALED, "arithmetic on what a product makes"
        ),
        JoiningRule(frozenset({"softmax"}), frozenset({"matmul", SCALED}), SCORES, why),
        JoiningRule(frozenset({"matmul"}), frozenset({SCORES}), ATTENDED, why),
    )


def rule(ops: str, after: str, state: str, description: str) -> JoiningRule:
    """A ``JoiningRule`` whose names are given in a text."""
    return JoiningRule(frozenset(ops.split()), frozenset(after.split()), state, description)


class Chain:
    """A group in the making: its layers, its state, the value that the next one would read."""

    __slots__ = ("layers", "name", "state", "tail")

    def __init__(self, node: Node, state: str) -> None:
        self.name, self.layers, self.state, self.tail = node.name, [node.name], state, node.outputs[0]


class Joiner:
    """Joins a layer to the one that makes an input of it, if a rule of the engine has it and nothing else reads that.

    A group's state is what may still join: it begins as the op's name, unless ``begins`` knows another, and the rule
    by which a layer joins says what it becomes.
    """

    title: ClassVar[str]
    """The engine and its version."""
    rules: ClassVar[tuple[JoiningRule, ...]]
    begins: ClassVar[dict[str, str]] = {"depthwise": "conv", "pointwise": "conv"}
    last_first: ClassVar[bool] = False
    """Of several inputs that could take a layer in, the one that was made last is asked first, not the first."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.settled = graph.settled
        self.joinings: dict[str, Joining] = {}
        self.maker: dict[str, Node] = {}
        self.chain_of: dict[str, Chain] = {}
        self.readers = readers_of(graph)
        self._nodes = {node.name: node for node in graph.nodes}
        self._by_op: dict[str, list[JoiningRule]] = {}
        self._place = {node.name: i for i, node in enumerate(graph.nodes)}
        for each in self.rules:
            for op in each.ops:
                self._by_op.setdefault(op, []).append(each)

    def groups(self) -> Iterator[Group]:
        """The groups of two layers and more."""
        for chain in dict.fromkeys(self.chain_of.values()):
            if len(chain.layers) > 1:
                yield Group(chain.name, tuple(chain.layers))

    def join(self) -> None:
        """Work all layers off, in the graph's order."""
        for node in self.graph.nodes:
            if not self.graph.runs(node):
                self.maker.update(dict.fromkeys(node.outputs, node))
                continue
            self.joinings[node.name] = joining = self._join(node)
            if not joining.to:
                self.chain_of[node.name] = Chain(node, self.begins.get(node.op.name, node.op.name))
            self.maker.update(dict.fromkeys(node.outputs, node))
            self.seen(node)

    def seen(self, node: Node) -> None:
        """Told of each layer once it is decided."""

    def prevents(self, rule: JoiningRule, node: Node, chain: Chain, value: str) -> str:
        """What prevents ``node`` from joining ``chain`` by its input ``value`` though ``rule`` fits; "" if nothing."""
        return ""

    def _join(self, node: Node) -> Joining:
        op = node.op
        rules = [*self._by_op.get(op.name, ()), *(self._by_op.get(POINTWISE, ()) if op.is_pointwise() else ())]
        if not rules and op.name in LINEAR:
            return Joining("", "a kernel begins with it")
        if not rules:
            return Joining("", f"{self.title} joins {op.kind(*self.graph.input_types(node))} to nothing before it")
        reason = ""
        for value in self._candidates(node):
            made = self.through(value)
            maker = self.maker.get(made)
            chain = self.chain_of.get(maker.name) if maker is not None else None
            if maker is None or chain is None:
                reason = reason or f"{value} is made by no layer that does anything"
                continue
            if chain.tail != made:
                reason = reason or f"{maker.name} is no longer the last of its kernel"
                continue
            if self.readers[made] != 1 or self.readers[value] != 1:
                also = "a result of the model" if made in self.graph.outputs else f"read {self.readers[made]} times"
                reason = reason or f"{made} is {also}, so it is written"
                continue
            fitting = next((each for each in rules if chain.state in each.after), None)
            if fitting is None:
                reason = reason or f"{self.title} joins {op.name} to {_names_of(rules)}, and {maker.name} {_is(chain)}"
                continue
            hindrance = self._norms_itself(node) or self.prevents(fitting, node, chain, value)
            if hindrance:
                reason = hindrance
                continue
            self._add(chain, node, fitting)
            return Joining(chain.name, fitting.description)
        if op.name in LINEAR:
            return Joining("", "a kernel begins with it")
        return Joining("", reason or "it reads nothing that a layer makes")

    def _norms_itself(self, node: Node) -> str:
        """What prevents a norm from joining anything that has no running statistics; "" of all else."""
        if node.op.name != "batch_norm" or "running_mean" in node.op.weights(*self.graph.input_types(node)):
            return ""
        return "its statistics are those of the input, so that no weights can hold it"

    def _add(self, chain: Chain, node: Node, by: JoiningRule) -> None:
        if node.op.name in LINEAR:
            chain.name = node.name  # what the others are joined to
        chain.layers.append(node.name)
        chain.state, chain.tail = by.state, node.outputs[0]
        self.chain_of[node.name] = chain

    def _candidates(self, node: Node) -> Iterable[str]:
        """The inputs of ``node`` of its output's shape, those that it may follow, in the order of asking."""
        if len(node.inputs) == 1 or node.op.name == "matmul":
            return node.inputs[:1]
        shape = self.graph.types[node.outputs[0]].shape
        wide = [v for v in dict.fromkeys(node.inputs) if self.graph.types[v].shape == shape and v not in self.settled]
        if self.last_first:
            wide.sort(key=lambda v: -self._place[self.maker[v].name] if v in self.maker else 1)
        return wide or node.inputs[:1]

    def through(self, value: str) -> str:
        """The value that ``value`` is behind layers which do nothing at inference, such as dropout."""
        while True:
            node = self.maker.get(value)
            if node is None or not node.inputs or self.readers[value] != 1 or not self.does_nothing(node):
                return value
            value = node.inputs[0]

    def does_nothing(self, node: Node) -> bool:
        """Whether nothing is left of ``node`` at inference."""
        same = self.graph.types[node.outputs[0]] == self.graph.types[node.inputs[0]]
        return node.op.is_view and same and node.op.is_identity

    def node(self, name: str) -> Node:
        """The layer called ``name``."""
        return self._nodes[name]

    def position(self, node: Node) -> int:
        """Where ``node`` stands in the graph's order."""
        return self._place[node.name]

    def input_type(self, node: Node, index: int = 0) -> TensorType:
        """The type of an input of ``node``."""
        return self.graph.types[node.inputs[index]]


def readers_of(graph: Graph) -> Counter[str]:
    """How often each value is read, also as a result of the model; what is read of a view is read of what it views."""
    found = Counter(graph.outputs)
    for node in reversed(graph.nodes):
        if node.op.is_view and node.inputs:
            found[node.inputs[0]] += sum(found[value] for value in node.outputs)
        else:
            found.update(node.reads)
    return found


def _names_of(rules: Iterable[JoiningRule]) -> str:
    """What layers may follow by ``rules``."""
    return " or ".join(dict.fromkeys(STATES.get(state, state) for each in rules for state in sorted(each.after)))


def _is(chain: Chain) -> str:
    """What the last layer of ``chain`` is."""
    if chain.state == DONE:
        return "ends a kernel that takes nothing more in"
    return f"is {'the end of ' * (len(chain.layers) > 1)}{STATES.get(chain.state, chain.state)}"


def is_per_channel(t: TensorType, rank: int) -> bool:
    """Whether ``t`` has an element for each channel, the axis after the batch of a map of so many axes, or fewer."""
    shape = (1,) * (rank - len(t.shape)) + tuple(t.shape)
    return len(t.shape) <= rank and all(size == 1 for i, size in enumerate(shape) if i != 1)
