"""What ONNX Runtime joins on a CPU of x86, at its highest level of optimisation.

Source: onnxruntime 1.32.0, as its optimised models and profiles show (``benchmarks/fusion_ort.py``).

Its convolutions of maps work on blocks of 16 channels (8 without AVX-512) and keep their results so, and only such
ones take in a sum: both addends must lie in blocks. What can be blocked is followed through the graph.
"""

from __future__ import annotations

from typing import Any

from costcalc.ir.graph import Graph, Node
from costcalc.transforms.fuse.joiner import Chain, Joiner, JoiningRule, is_per_channel, rule

BLOCK = 16
"""Channels that lie together, where the CPU has AVX-512."""
ALIGNED = 4
"""Fewer than a block of input channels are taken as they are; more must be a multiple of this."""
BLOCKED = "blocked"
"""The state of a norm, or a factor per channel, of a blocked map by itself: it is done as a depthwise convolution."""
ACTIVATIONS = "relu relu6 hardtanh leaky_relu sigmoid tanh hardsigmoid"
OF_BLOCKS = f"{ACTIVATIONS} hardswish silu gelu"
"""The activations that leave a map in blocks."""


class ONNXRuntime(Joiner):
    """Convolution, then what scales and shifts its channels, then a sum of two blocked maps, then an activation."""

    title = "ONNX Runtime"
    rules = (
        rule("conv depthwise pointwise", "pad", "conv", "zeros around a map become the convolution's own padding"),
        rule("relu relu6 hardtanh", "relu relu6 hardtanh", "relu", "two clips are one"),
        rule("avg_pool", "pad", "done", "zeros around a map become the pool's own padding"),
        rule("batch_norm", "conv", "conv", "a norm of running statistics goes into the convolution's weights"),
        rule("batch_norm", "conv_transpose", "conv_transpose", "a norm of running statistics goes into the weights"),
        rule("multiply layer_scale", "conv", "conv", "a number per channel goes into the convolution's weights"),
        rule("add", f"conv {BLOCKED}", "sum", "a convolution adds another map to what it makes"),
        rule(ACTIVATIONS, f"conv sum {BLOCKED}", "done", "a convolution applies it before it writes"),
        rule("hardswish", f"conv sum {BLOCKED}", "done", "a blocked convolution applies it before it writes"),
        rule("relu leaky_relu sigmoid tanh elu selu hardsigmoid softplus", "linear", "done", "Gemm applies it"),
        rule("multiply", "sigmoid", "done", "QuickGelu is a map times its own sigmoid"),
        rule("layer_norm", "add", "done", "SkipLayerNormalization adds, then normalises"),
    )

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self.blocked: set[str] = set()

    def does_nothing(self, node: Node) -> bool:
        return super().does_nothing(node) or does_nothing(self.graph, node)

    def prevents(self, rule: JoiningRule, node: Node, chain: Chain, value: str) -> str:
        name, types = node.op.name, self.graph.types
        y = types[node.outputs[0]]
        if name == "add":
            others = [v for v in node.inputs if v != value]
            if len(node.inputs) != 2 or not others or types[others[0]].shape != y.shape:
                return "ONNX Runtime adds two maps of one shape in a convolution, and nothing else"
            outside = next((v for v in node.inputs if v not in self.blocked), None)
            if outside is not None and value in self.blocked:
                return f"{outside} does not lie in blocks of {BLOCK} channels, as what {chain.name} makes does"
            if outside is not None and not self._has_bias(chain):
                return f"{chain.name} has no bias, and only a convolution with one adds what is not in blocks"
        if rule.after == {"sigmoid"}:
            own = self.node(chain.layers[-1]).inputs[0] in node.inputs and len(node.inputs) == 2
            return "" if own else "QuickGelu multiplies a sigmoid by its own input, and by nothing else"
        if name in ("multiply", "layer_scale") and not self._is_factor(node):
            return "only a factor per channel that is a weight goes into a convolution"
        if name == "hardswish" and value not in self.blocked:
            return f"{chain.name} is not computed in blocks of {BLOCK} channels, and only those apply it"
        if name == "hardswish" and node.outputs[0] in self.graph.outputs:
            return "a result of the model is not applied in a convolution, but as HardSigmoid and Mul"
        if rule.after == {"linear"} and len(self.input_type(self.maker[value]).shape) != 2:
            return "ONNX Runtime joins activations to products of matrices, of two axes, alone"
        if name == "layer_norm" and len(y.shape) > 3:
            return "SkipLayerNormalization is for up to three axes"
        if rule.after == {"pad"} and not self._pads_zeros(self.node(chain.layers[0])):
            return f"{chain.name} adds something else than zeros around the map"
        return ""

    def _pads_zeros(self, node: Node) -> bool:
        op, x, y = node.op, self.input_type(node), self.graph.types[node.outputs[0]]
        zeros = getattr(op, "mode", "zeros") == "zeros" and not getattr(op, "value", 0)
        return zeros and x.shape[:2] == y.shape[:2]

    def _has_bias(self, chain: Chain) -> bool:
        """Whether the convolution has a bias, of its own or of the norm that it took in."""
        nodes = map(self.node, chain.layers)
        return any(node.op.name == "batch_norm" or getattr(node.op, "bias", False) for node in nodes)

    def seen(self, node: Node) -> None:
        """Follow which maps lie in blocks."""
        if self._is_blocked(node):
            self.blocked.update(node.outputs)
            chain = self.chain_of[node.name]
            if chain.layers == [node.name] and (node.op.name == "batch_norm" or self._is_factor(node)):
                chain.state = BLOCKED

    def _is_factor(self, node: Node) -> bool:
        """Whether ``node`` multiplies each channel of a map by a weight."""
        types, y = self.graph.types, self.graph.types[node.outputs[0]]
        if node.op.name == "layer_scale":
            return True
        factors = [v for v in node.inputs if v in self.settled]
        return node.op.name == "multiply" and len(node.inputs) == 2 and len(factors) == 1 and is_per_channel(
            types[factors[0]], len(y.shape)
        )  # fmt: skip

    def _is_blocked(self, node: Node) -> bool:
        op, types = node.op, self.graph.input_types(node)
        y = self.graph.types[node.outputs[0]]
        if len(y.shape) != 4 or y.dtype != "float32" or not types or getattr(op, "channels_last", False):
            return False
        channels = y.shape[1]
        inside = all(self.through(v) in self.blocked for v in node.inputs)
        if op.name in ("conv", "depthwise", "pointwise"):
            return blocked_conv(types[0].shape[1], channels, self._groups(node))
        if op.name in ("max_pool", "avg_pool"):
            return divides(BLOCK, channels)
        if op.name == "multiply" and self._is_factor(node):
            return any(self.through(v) in self.blocked for v in node.inputs)
        if op.name in ("batch_norm", "layer_scale", "add", "multiply") or op.name in OF_BLOCKS.split():
            return inside and all(t.shape == y.shape for t in types)
        if op.name == "concat":
            return inside and getattr(op, "axis", 0) == 1 and all(divides(BLOCK, t.shape[1]) for t in types)
        return op.name == "upsample" and inside

    def _groups(self, node: Node) -> object:
        if node.op.name == "depthwise":
            return self.input_type(node).shape[1]
        return getattr(node.op, "groups", 1)


def does_nothing(graph: Graph, node: Node) -> bool:
    """Whether ``node`` adds or takes away 0, multiplies by 1 or divides by it (``noop_elimination.cc``)."""
    op: Any = node.op
    if op.name != "elementwise" or len(node.inputs) != 1 or op.numbers_first:
        return False
    nothing = {"add": 0, "subtract": 0, "multiply": 1, "divide": 1}.get(op.function)
    return op.numbers == nothing and graph.types[node.inputs[0]] == graph.types[node.outputs[0]]


def divides(a: int, b: object) -> bool:
    """Whether ``b`` is a number, and a multiple of ``a``."""
    return isinstance(b, int) and b % a == 0


def blocked_conv(inputs: object, outputs: object, groups: object) -> bool:
    """Whether a convolution of so many channels is computed in blocks."""
    if not isinstance(inputs, int) or not isinstance(outputs, int) or not isinstance(groups, int):
        return False
    if groups == 1:
        return inputs < BLOCK or inputs % ALIGNED == 0
    if inputs == outputs == groups:
        return outputs % ALIGNED == 0
    return inputs // groups % BLOCK == 0 and outputs // groups % BLOCK == 0


ENGINE = ONNXRuntime
