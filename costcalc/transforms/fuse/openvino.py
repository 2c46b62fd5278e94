"""What OpenVINO joins on a CPU.

Source: openvino 2026.4.1, as the graphs that it runs show (``benchmarks/fusion_openvino.py``).
"""

from __future__ import annotations

from costcalc.ir.graph import Graph, Node
from costcalc.transforms.fuse.joiner import (
    POINTWISE,
    Chain,
    Joiner,
    JoiningRule,
    attention,
    is_per_channel,
    rule,
)

ACTIVATIONS = "relu relu6 hardtanh leaky_relu prelu elu sigmoid tanh silu gelu hardswish mish softplus"
CHAINS = "batch_norm layer_norm rms_norm group_norm instance_norm chain"


class OpenVINO(Joiner):
    """Convolution, norm, a sum of two maps, activations, factors; products with activations; chains of arithmetic."""

    title = "OpenVINO"
    rules = (
        *attention(),
        rule("batch_norm", "conv conv_transpose linear", "conv", "a norm of running statistics goes into the weights"),
        rule("add", "conv", "sum", "a convolution adds another map to what it makes"),
        rule(
            ACTIVATIONS,
            "conv sum conv_transpose linear matmul applied",
            "applied",
            "the product applies it before it writes",
        ),
        rule(
            "multiply layer_scale",
            "conv applied",
            "applied",
            "the convolution multiplies each channel before it writes",
        ),
        rule(POINTWISE, CHAINS, "chain", "a chain of arithmetic is one kernel"),
        rule("batch_norm", "chain", "chain", "a chain of arithmetic is one kernel"),
    )

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self.read_by: dict[str, list[Node]] = {}
        for node in graph.nodes:
            for value in dict.fromkeys(node.reads):
                self.read_by.setdefault(value, []).append(node)

    def prevents(self, rule: JoiningRule, node: Node, chain: Chain, value: str) -> str:
        name, types = node.op.name, self.graph.types
        y = types[node.outputs[0]]
        others = [v for v in node.inputs if v != value]
        if rule.state == "sum" and (len(others) != 1 or types[others[0]].shape != y.shape):
            return "a convolution adds a map of its own shape, and nothing else"
        if rule.state == "sum":
            late = self._late(node, others[0], self.node(chain.layers[0]))
            if late is not None:
                return f"{late.name} reads {others[0]} too, perhaps after the sum, which is written in its place"
        if name == "multiply" and rule.state == "applied":
            plain = len(others) == 1 and others[0] in self.settled and is_per_channel(types[others[0]], len(y.shape))
            return "" if plain else "a convolution multiplies by a weight per channel, and by nothing else"
        return ""

    def _late(self, node: Node, value: str, first: Node) -> Node | None:
        """A reader of ``value`` other than ``node`` that may run after ``first``, since this does not wait for it."""
        readers = self.read_by[value]
        last = next((n for n in reversed(readers) if n is not node), None)
        if last is None or self.position(last) > self.position(first):
            return last
        waited = self._waited_for(first, self.position(readers[0]))
        return next((n for n in readers if n is not node and n.name not in waited), None)

    def _waited_for(self, node: Node, start: int) -> set[str]:
        """``node`` and the layers that it waits for, of those from the place ``start`` on."""
        seen, waiting = {node.name}, [node]
        while waiting:
            for value in waiting.pop().reads:
                maker = self.maker.get(value)
                if maker is not None and maker.name not in seen and self.position(maker) >= start:
                    seen.add(maker.name)
                    waiting.append(maker)
        return seen

    def seen(self, node: Node) -> None:
        """What does arithmetic and joined nothing may begin a chain of it."""
        chain = self.chain_of[node.name]
        if chain.layers == [node.name] and chain.state in ARITHMETIC:
            chain.state = "chain"


ARITHMETIC = frozenset(
    {"add", "multiply", "subtract", "divide", "elementwise", "scale", "layer_scale", *ACTIVATIONS.split()}
)
ENGINE = OpenVINO
