"""A microcontroller's engine that writes in place wherever it can: TinyEngine, and code made for one network.

Activations and batch norms are joined to the convolution before them, a depthwise convolution overwrites its input
channel by channel with one channel aside, a layer that treats each element by itself overwrites the input that dies
there. Padding is done by the kernels.

Sources: Lin et al. 2020, "MCUNet", arXiv 2007.10319, section 3.2 (in-place depthwise convolution); Lin et al. 2021,
"MCUNetV2", arXiv 2110.15352 (patches).
"""

from __future__ import annotations

from collections.abc import Mapping

from costcalc.ir.graph import Node
from costcalc.planning.jobs import Job, Jobs
from costcalc.planning.joining import JoinedGroup
from costcalc.planning.sizes import ValueSizes
from costcalc.planning.windows import second
from costcalc.transforms.fuse.joiner import Chain, Joiner, JoiningRule, rule

ACTIVATIONS = frozenset(
    ("relu", "relu6", "hardtanh", "leaky_relu", "prelu", "elu", "selu", "celu", "sigmoid", "silu", "hardsigmoid",
     "hardswish", "tanh", "gelu", "mish", "softplus")
)  # fmt: skip
EACH = ACTIVATIONS | {"add", "subtract", "multiply", "divide", "batch_norm", "layer_scale", "scale", "elementwise"}
"""Layers that treat each element by itself, so that one can take the place of another."""


class InPlace(Joiner):
    """A batch norm goes into the weights before it, an activation is done on what the layer before it makes."""

    title = "an engine that writes in place"
    begins = {
        "depthwise": "conv",
        "pointwise": "conv",
        "linear": "conv",
        "conv_transpose": "conv",
        "deform_conv": "conv",
    }
    rules = (
        rule("batch_norm", "conv", "layer", "a norm of running statistics goes into the weights"),
        JoiningRule(
            ACTIVATIONS, frozenset(("conv", "layer")), "done", "each element is clipped or bent before it is written"
        ),
    )

    def prevents(self, rule: JoiningRule, node: Node, chain: Chain, value: str) -> str:
        if node.op.name == "batch_norm" and "running_mean" not in node.op.weights(*self.graph.input_types(node)):
            return "its statistics are those of the input, so that no weights can hold it"
        return ""


def is_depthwise(sizes: ValueSizes, node: Node) -> bool:
    """Whether ``node`` convolves each channel by itself into one."""
    x, y = sizes.graph.types[node.inputs[0]], sizes.graph.types[node.outputs[0]]
    if node.op.name not in ("conv", "depthwise") or "depthwise" not in node.op.kind(x):
        return False
    return second(node.op, x).channels == second(node.op, y).channels


def jobs(sizes: ValueSizes, groups: list[JoinedGroup], buffer: Mapping[str, str]) -> Jobs:
    """The steps, with what each may take the place of."""
    graph = sizes.graph
    steps = []
    for group in groups:
        lead = group.lead
        makes = tuple((v, sizes.of(v)) for v in group.outputs)
        scratch = 0
        over: tuple[str, ...] = ()
        if lead.inputs and is_depthwise(sizes, lead):
            y = second(lead.op, graph.types[lead.outputs[0]])
            scratch = sizes.of_type(y.with_shape(y.shape[0], 1, *y.spatial))
            over = group.inputs[:1]
        elif lead.op.name in EACH:
            over = tuple(v for v in group.inputs if sizes.of(v) == makes[0][1])
        steps.append(Job(lead.name, group.inputs, makes, scratch, over, tuple(n.name for n in group.nodes)))
    inputs = {v: sizes.of(v) for v in graph.inputs}
    return Jobs(inputs, tuple(steps), tuple(buffer[v] for v in graph.outputs if v not in sizes.settled))
