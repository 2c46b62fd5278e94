"""Maps that ONNX Runtime keeps with their channels last, though the model puts these second.

A permutation that brings channels forward is not done where all that follows can do without: what treats each element
by itself works on the map as it lies, a convolution in blocks takes it so, and the permutation back ends it. Tokens
that become a map are reshaped as they lie.

Source: onnxruntime 1.32.0, ``core/optimizer/transpose_optimization`` and ``nchwc_transformer.cc`` (ReorderInput with
``channels_last``), as optimised models show.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from costcalc.ir.graph import Graph, Node
from costcalc.transforms.fuse.ort import blocked_conv

FORWARD, BACK = (0, 3, 1, 2), (0, 2, 3, 1)
EACH = frozenset(
    ("add", "subtract", "multiply", "divide", "layer_scale", "relu", "relu6", "hardtanh", "leaky_relu", "sigmoid",
     "tanh", "gelu", "silu", "elementwise")
)  # fmt: skip
"""Layers that treat each element by itself, or by its channel."""


class ChannelsLast:
    """The maps of ``graph`` that lie so.

    kept      their values
    stand_in  value that is not made → the one that stands for it: of permutations, forward and back
    """

    def __init__(
        self, graph: Graph, users: Mapping[str, Sequence[Node]], orders: Mapping[str, tuple[int, ...]],
        settled: Collection[str],
    ) -> None:  # fmt: skip
        self._graph, self._users, self._orders, self._settled = graph, users, orders, settled
        self.kept: set[str] = set()
        self._made = {value: node for node in graph.nodes for value in node.outputs}
        for node in graph.nodes:
            if self._could_be(node):
                self.kept.add(node.outputs[0])
        ends = {*graph.outputs}
        while wrong := {v for v in self.kept if v in ends or not self._can_stay(v)}:
            self.kept -= wrong
        self.stand_in = dict(self._gone())

    def _could_be(self, node: Node) -> bool:
        y = node.outputs[0]
        shape = self._graph.types[y].shape
        if len(shape) != 4 or not node.inputs:
            return False
        if self._orders.get(y) == FORWARD or self._is_of_tokens(node):
            return True
        data = [v for v in node.inputs if v not in self._settled]
        each = node.op.name in EACH and all(self._graph.types[v].shape == shape for v in data)
        return each and all(v in self.kept for v in data)

    def _is_of_tokens(self, node: Node) -> bool:
        """Whether ``node`` gives places to tokens whose channels were brought forward for it alone."""
        x, y = node.inputs[0], node.outputs[0]
        shape = self._graph.types[y].shape
        turned = self._orders.get(x) == (0, 2, 1) and len(self._users[x]) == 1
        return node.op.is_reshape and turned and self._graph.types[x].shape[:2] == shape[:2]

    def _can_stay(self, value: str) -> bool:
        node = self._made[value]
        whole = node.op.is_reshape or self._orders.get(value) == FORWARD
        if not whole and not all(v in self.kept or v in self._settled for v in node.inputs):
            return False
        users = self._users[value]
        return bool(users) and all(self._takes_it(user, value) for user in users)

    def _takes_it(self, user: Node, value: str) -> bool:
        y = user.outputs[0]
        if y in self.kept or self._orders.get(y) == BACK:
            return True
        if user.op.name not in ("conv", "depthwise", "pointwise") or getattr(user.op, "channels_last", False):
            return False
        x = self._graph.types[value]
        channels = x.shape[1]
        groups = channels if user.op.name == "depthwise" else getattr(user.op, "groups", 1)
        return blocked_conv(channels, self._graph.types[y].shape[1], groups)

    def _gone(self) -> list[tuple[str, str]]:
        found = []
        for node in self._graph.nodes:
            x, y = (node.inputs or ("",))[0], node.outputs[0]
            forward = y in self.kept and self._orders.get(y) == FORWARD
            into_tokens = any(user.op.is_reshape and user.outputs[0] in self.kept for user in self._users[y])
            if forward or (x in self.kept and self._orders.get(y) == BACK) or into_tokens:
                found.append((y, x))
        return found
