"""Layers that an engine runs as one, so that what lies between them is never stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from costcalc.classes import NamedTuple
from costcalc.ir.dims import Dim
from costcalc.ir.graph import Node
from costcalc.planning.sizes import ValueSizes
from costcalc.transforms.fuse.joiner import Joiner


class JoinedGroup(NamedTuple):
    """Layers that are one step: the first does the work, the others are done on its results.

    inputs   what they read and do not make themselves, by its buffer
    addend   what a sum among them adds to the work of the first, by its buffer; "" if there is none
    made     what all make together, where that is not what the last one makes
    """

    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    addend: str = ""
    made: tuple[str, ...] = ()

    @property
    def lead(self) -> Node:
        """The first layer."""
        return self.nodes[0]

    @property
    def outputs(self) -> tuple[str, ...]:
        """What it makes."""
        return self.made or self.nodes[-1].outputs


def joined(sizes: ValueSizes, joiner: Joiner, buffer: Mapping[str, str]) -> list[JoinedGroup]:
    """The layers of an inference in the groups that ``joiner`` makes, each where its last layer stands.

    joiner   one for this graph, which has not joined yet
    buffer   value → the value in whose place it is; a node whose output is in that of its input is not a step
    """
    joiner.join()
    chain_of = joiner.chain_of
    inside: dict[int, list[Node]] = {}
    ends: dict[int, int] = {}
    for i, node in enumerate(sizes.nodes()):
        y = node.outputs[0]
        if buffer[y] != y:
            continue
        chain = chain_of.get(node.name)
        key = -i - 1 if chain is None else id(chain)
        inside.setdefault(key, []).append(node)
        ends[key] = i
    return [_group(sizes, tuple(inside[key]), buffer) for key in sorted(inside, key=ends.__getitem__)]


def _group(sizes: ValueSizes, nodes: tuple[Node, ...], buffer: Mapping[str, str]) -> JoinedGroup:
    made: set[str] = set()
    inputs: list[str] = []
    addend = ""
    for node in nodes:
        outside = [v for v in map(buffer.__getitem__, sizes.read(node)) if v not in made]
        inputs += outside
        if made and outside and not addend:
            addend = outside[0]
        made.update(map(buffer.__getitem__, node.outputs))
    return JoinedGroup(nodes, tuple(dict.fromkeys(inputs)), addend)


def weights(sizes: ValueSizes, groups: list[JoinedGroup]) -> int:
    """Bytes of the weights, each once, with batch norms in the biases of the layers that take them in.

    A batch norm that stays is a factor and a shift a channel. Biases have 32 bits beside weights of 16 and less.
    """
    graph = sizes.graph
    bias_bits = 32 if sizes.bits is not None and sizes.bits <= 16 else None
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


def guesses(groups: list[JoinedGroup], known: Collection[str]) -> tuple[str, ...]:
    """What was taken for one operator, as a sentence; ``known`` are the layers of which that is no guess."""
    kinds = Counter(group.lead.op.name for group in groups if group.lead.op.name not in known)
    if not kinds:
        return ()
    named = ", ".join(f"{name} ×{count}" if count > 1 else name for name, count in kinds.items())
    return (f"taken for one operator each, though the engine may make several of it: {named}",)
