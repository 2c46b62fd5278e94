"""Layers that an engine runs as one, so that what lies between them is never stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

from costcalc.ir.dims import Dim
from costcalc.ir.graph import Node
from costcalc.planning.sizes import Sizes


class Group(NamedTuple):
    """Layers that are one step: the first does the work, the others are done on its results.

    inputs   what they read and do not make themselves, by its buffer
    addend   what a sum among them adds to the work of the first, by its buffer; "" if there is none
    """

    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    addend: str = ""

    @property
    def lead(self) -> Node:
        """The first layer."""
        return self.nodes[0]

    @property
    def outputs(self) -> tuple[str, ...]:
        """What it makes."""
        return self.nodes[-1].outputs


Joins = Callable[[list[Node], Node], bool]
"""Whether to layers that are one step already another can be joined that reads what the last of them makes."""


def joined(sizes: Sizes, joins: Joins, buffer: Mapping[str, str]) -> list[Group]:
    """The layers of an inference as steps, each where its last layer stands.

    buffer   value → the value in whose place it is; a node whose output is in that of its input is no step

    A layer joins the one before it only where nothing else reads what is between them, the model's outputs included.
    """
    nodes = sizes.nodes()
    readers = Counter(buffer[v] for node in nodes for v in sizes.read(node) if buffer[node.outputs[0]] != buffer[v])
    readers.update(buffer[v] for v in sizes.graph.outputs)
    steps: list[tuple[list[Node], list[str], str] | None] = []
    ending: dict[str, int] = {}  # what a step makes → the step
    for node in nodes:
        read = [buffer[v] for v in sizes.read(node)]
        made = buffer[node.outputs[0]]
        if made in read and made != node.outputs[0]:
            continue
        # Of several inputs the one that is made last takes the others in.
        for value in sorted(set(read) & ending.keys(), key=lambda v: -ending[v]):
            at = ending[value]
            before = steps[at]
            if before is None or readers[value] != 1 or read.count(value) != 1 or not joins(before[0], node):
                continue
            others = [v for v in read if v != value]
            steps[at] = None
            del ending[value]
            steps.append(([*before[0], node], [*before[1], *others], before[2] or "".join(others[:1])))
            break
        else:
            steps.append(([node], read, ""))
        if len(node.outputs) == 1:
            ending[made] = len(steps) - 1
    return [Group(tuple(n), tuple(dict.fromkeys(i)), a) for n, i, a in filter(None, steps)]


def takes_norm(before: list[Node], node: Node) -> bool:
    """Whether ``node`` is a batch norm that goes into the weights of the layer before it."""
    return node.op.name == "batch_norm" and len(before) == 1 and before[0].op.channel_axis is not None


def weights(sizes: Sizes, groups: list[Group], bias_bits: int | None) -> int:
    """Bytes of the weights, each once, with batch norms in the biases of the layers that take them in.

    bias_bits   the width of biases, where it is not that of the weights

    A batch norm that stays is a factor and a shift a channel.
    """
    graph = sizes.graph
    found: dict[str, int] = {}
    for group in groups:
        for node in group.nodes:
            if node.op.name == "batch_norm":
                lead = group.lead
                channels = graph.types[node.outputs[0]].shape[node.op.channel_axis or 1]
                shift = _bytes(channels, bias_bits or sizes.bits or 32)
                if node is lead:
                    found[node.name] = shift + _bytes(channels, sizes.bits or 32)
                elif not getattr(lead.op, "bias", False):
                    found[lead.weight("bias")] = shift
                continue
            for local, weight in node.stored(node.op.weights(*graph.input_types(node))).items():
                wide = bias_bits is not None and local == "bias"
                size = _bytes(weight.type.size, bias_bits or 0) if wide else sizes.of_type(weight.type)
                found.setdefault(node.weight(local), size)
    return sum(found.values())


def _bytes(count: Dim, bits: int) -> int:
    return -(-count * bits // 8) if isinstance(count, int) else 0
