"""Layers of which ONNX Runtime leaves nothing, and those that it does at another place."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from costcalc.ir.graph import Graph, Node
from costcalc.planning.ort.channels_last import ChannelsLast
from costcalc.planning.sizes import ValueSizes
from costcalc.transforms.fuse.ort import does_nothing

CUTS = frozenset(("unbind", "select", "split"))
PRODUCTS = frozenset(("matmul", "scaled_dot_product_attention"))


class Gone:
    """What is gone of a graph.

    stand_in  value → the value that stands for it: what nothing is left of is its input
    turned    value that a permutation makes which is done behind the cut that reads it → the order of its axes
    last      maps that are kept with their channels last, though the graph has them second
    map_of    value that has its channels last and is not turned → what the graph calls it with the channels second
    """

    def __init__(self, sizes: ValueSizes) -> None:
        graph = sizes.graph
        self._types = graph.types
        self.stand_in = {value: value for value in graph.types}
        self.turned: dict[str, tuple[int, ...]] = {}
        self.users: dict[str, list[Node]] = defaultdict(list)
        self._ends = {*graph.outputs}
        for node in graph.nodes:
            for value in node.inputs:
                self.users[value].append(node)
        orders = {
            node.outputs[0]: order for node in graph.nodes
            if node.inputs and (order := permutation(node, len(graph.types[node.inputs[0]].shape)))
        }  # fmt: skip
        maps = ChannelsLast(graph, self.users, orders, sizes.settled)
        self.last = maps.kept
        self.map_of: dict[str, str] = {}
        for node in graph.nodes:
            if not node.inputs or node.outputs[0] in sizes.settled:
                continue
            x, y = node.inputs[0], node.outputs[0]
            order = orders.get(y)
            if y in maps.stand_in:
                self.stand_in[y] = self.stand_in[x]
                self.map_of.update({self.stand_in[y]: y} if y in maps.kept else {})
                continue
            cut = order is not None and self._is_read_by(y, CUTS)
            if cut and order is not None:
                self.turned[y] = order
            if cut or is_nothing(node) or does_nothing(graph, node) or self._is_part_of_a_product(node, order):
                self.stand_in[y] = self.stand_in[x]

    def selected(self, node: Node) -> list[Node]:
        """The layers that together select each place of an axis, of which ``node`` is one: one cut; none otherwise."""
        if node.op.name != "select":
            return []
        axis = vars(node.op)["axis"]
        size, users = self._types[node.inputs[0]].shape[axis], self.users[node.inputs[0]]
        if any(one.op.name != "select" or vars(one.op)["axis"] != axis for one in users) or size == 1:
            return []
        places = sorted(vars(one.op)["index"] for one in users)
        return users if isinstance(size, int) and places == [*range(size)] else []

    def _is_read_by(self, value: str, ops: frozenset[str]) -> bool:
        """Whether those that read ``value`` are all ``ops``, and there are any."""
        users = self.users[value]
        return bool(users) and value not in self._ends and all(user.op.name in ops for user in users)

    def _is_part_of_a_product(self, node: Node, order: tuple[int, ...] | None) -> bool:
        """Whether a product of matrices does it on its way: a factor, or a permutation that it can read through."""
        y = node.outputs[0]
        if node.op.name == "elementwise" and len(node.inputs) == 1:
            scales = getattr(node.op, "function", "") in ("multiply", "divide")
            return scales and len(self.users[y]) == 1 and self._is_read_by(y, PRODUCTS)
        if order is None or not _is_read_through(order):
            return False
        if self.stand_in[node.inputs[0]] != node.inputs[0] or self._is_cut(node.inputs[0]):
            return False
        while len(self.users[y]) == 1 and self.users[y][0].op.is_reshape and y not in self._ends:
            y = self.users[y][0].outputs[0]
        return len(self.users[y]) == 1 and self._is_read_by(y, PRODUCTS)

    def _is_cut(self, value: str) -> bool:
        """Whether ``value`` is a part of what is permuted only when it is cut."""
        return any(value in node.outputs for name in self.turned for node in self.users[name])


def is_nothing(node: Node) -> bool:
    """Whether nothing is left of ``node``: also not of a copy, nor of a concatenation of one."""
    if node.op.name == "concat":
        return len(node.inputs) == 1
    return node.op.is_identity or (node.op.name == "elementwise" and getattr(node.op, "function", "") == "copy")


def permutation(node: Node, rank: int) -> tuple[int, ...] | None:
    """The order in which ``node`` puts the axes of its input; None if it is no permutation."""
    op: Any = node.op
    if op.name == "permute":
        return tuple(axis % rank for axis in axes_of(op.axes))
    if op.name != "transpose":
        return None
    order = list(range(rank))
    first, second = op.first % rank, op.second % rank
    order[first], order[second] = second, first
    return tuple(order)


def _is_read_through(order: tuple[int, ...]) -> bool:
    """Whether a product reads a matrix in this order: transposed, or with its rows before the batch."""
    rank = len(order)
    if rank < 2:
        return False
    batch = tuple(range(rank - 2))
    rows_first = tuple(range(1, rank - 1))
    return order in ((*batch, rank - 1, rank - 2), (*rows_first, 0, rank - 1), (*rows_first, rank - 1, 0))


def axes_of(value: int | tuple[int, ...]) -> tuple[int, ...]:
    """One axis or several, as several."""
    return value if isinstance(value, tuple) else (value,)


def made_beforehand(graph: Graph) -> frozenset[str]:
    """The values that a session makes when it is opened, since nothing they are made of is data.

    Unlike ``Graph.settled`` these are also products of the model's weights with a constant.
    """
    found = set(graph.settled)
    for node in graph.nodes if found else ():
        if node.inputs and not node.op.is_random and all(value in found for value in node.inputs):
            found.update(node.outputs)
    return frozenset(found)
