"""The order in which ONNX Runtime runs its calls.

It is that in which the session's graph is searched from its results, of several inputs the node that was made last
first. Since fusions make nodes anew, in the order in which they meet them, each of them turns branches round. Copies
out of blocks are made last of all, in the order of a hash table over addresses: it differs from one session to the
next, and with it the memory of networks with many such copies. Here they are made in the order of the layers.

Sources: onnxruntime 1.32.0, ``core/graph/graph.cc`` (ReverseDFSFrom), ``core/optimizer/nchwc_transformer.cc``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from costcalc.classes import NamedTuple
from costcalc.ir.graph import Node
from costcalc.planning.joining import JoinedGroup
from costcalc.planning.ort.calls import Builder, KernelCall, worker
from costcalc.planning.sizes import ValueSizes
from costcalc.transforms.fuse.ort import ONNXRuntime


class _Node(NamedTuple):
    """A node in the search for an order: what it reads and makes, and when it was made."""

    reads: tuple[str, ...]
    makes: tuple[str, ...]
    made: int


def _searched(nodes: list[_Node], outputs: Iterable[str]) -> list[int]:
    """The numbers of ``nodes`` in the order of a search from the results, of inputs the one made last first."""
    maker = {value: i for i, node in enumerate(nodes) for value in node.makes}
    read = {value for node in nodes for value in node.reads}
    ends = [i for i, node in enumerate(nodes) if not any(value in read for value in node.makes)]
    order: list[int] = []
    seen: set[int] = set()
    stack = [(i, False) for i in sorted(ends, key=lambda i: nodes[i].made)]
    while stack:
        i, leave = stack.pop()
        if leave:
            order.append(i)
            continue
        if i in seen:
            continue
        seen.add(i)
        stack.append((i, True))
        before = {maker[value] for value in nodes[i].reads if value in maker}
        stack += [(k, False) for k in sorted(before, key=lambda k: nodes[k].made) if k not in seen]
    return order


def ordered(sizes: ValueSizes, made: ONNXRuntime, groups: list[JoinedGroup], builder: Builder) -> list[KernelCall]:
    """All calls in the order in which they run."""
    stand_in, blocked = builder.gone.stand_in, builder.blocked
    nodes: list[_Node] = []
    group_of: list[int] = []
    anew: list[bool] = []
    for k, group in enumerate(groups):
        for part, joins in _parts(group, group.outputs[0] in blocked):
            outside = {stand_in[v] for node in part for v in node.outputs}
            reads = tuple(dict.fromkeys(
                stand_in[v] for node in part for v in sizes.read(node) if stand_in[v] not in outside
            ))  # fmt: skip
            makes = tuple(stand_in[v] for v in part[-1].outputs)
            nodes.append(_Node(reads, makes, made.position(part[0])))
            group_of.append(k)
            anew.append(joins)
    outputs = [stand_in[v] for v in sizes.graph.outputs]

    def renewed(which: Callable[[int], bool]) -> None:
        """Nodes that a pass makes anew come after all others, in the order in which it meets them."""
        most = max((node.made for node in nodes), default=0) + 1
        for turn, i in enumerate(_searched(nodes, outputs)):
            if which(i):
                nodes[i] = nodes[i]._replace(made=most + turn)

    renewed(lambda i: anew[i])
    renewed(lambda i: nodes[i].makes[0] in blocked and _is_made_anew(groups[group_of[i]]))
    first: dict[int, int] = {}
    for i, node in enumerate(nodes):
        first.setdefault(group_of[i], node.made)
    made_at = {name: first[k] for k, group in enumerate(groups) for name in builder.of[id(group)]}
    most = max((node.made for node in nodes), default=0) + 1
    calls = list(builder.calls.values())
    final = [
        _Node(call.reads, tuple(v.name for v in call.makes), made_at.get(call.makes[0].name, most + i))
        for i, call in enumerate(calls)
    ]
    return [calls[i] for i in _searched(final, outputs)]


def _parts(group: JoinedGroup, inside: bool) -> list[tuple[tuple[Node, ...], bool]]:
    """The nodes that a group is before convolutions are put into blocks, and whether a fusion has made each anew."""
    nodes = group.nodes
    at = next((i for i, node in enumerate(nodes) if node.op.name == "add" and i), None)
    if inside and at is not None:
        rest = [((node,), False) for node in nodes[at:]]
        return [(nodes[:at], False), *rest]
    acts = any(node.op.name not in ("batch_norm", "multiply", "layer_scale", "pad") for node in nodes[1:])
    return [(nodes, len(nodes) > 1 and acts)]


def _is_made_anew(group: JoinedGroup) -> bool:
    """Whether a node that works in blocks is another than the one that did not: sums and joins of maps are the same."""
    return worker(group).op.name not in ("add", "concat", "multiply", "relu", "sigmoid", "tanh")
