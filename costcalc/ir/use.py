"""Uses of ops: what a layer does, wherever it stands and whatever it is called.

Deep networks repeat few of them, and models share them. Equal uses are one object, which is looked up at once where an
op and the shapes of its inputs would have to be compared: what follows from them is worked out once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from costcalc.ir.memo import Memo

if TYPE_CHECKING:
    from costcalc.ir.graph import Node
    from costcalc.ir.op import Op
    from costcalc.ir.tensor import TensorType

    Types = tuple[TensorType, ...]


class Use:
    """An op on inputs of given types, and the types of its outputs. Another with the same may be another object."""

    __slots__ = ("inputs", "op", "outputs")

    def __init__(self, op: Op, inputs: Types, outputs: Types) -> None:
        self.op, self.inputs, self.outputs = op, inputs, outputs


class Uses:
    """Finds the one ``Use`` of an op on given types."""

    def __init__(self) -> None:
        self._known = Memo("uses of ops")

    def of(self, op: Op, inputs: Types, outputs: Types) -> Use:
        """The use of ``op``."""
        key = op, inputs, outputs
        found: Use | None = self._known.get(key)
        if found is None:
            self._known.put(key, found := Use(*key))
        return found

    def of_nodes(self, nodes: Iterable[Node], types: Mapping[str, TensorType]) -> tuple[Use, ...]:
        """Those of ``nodes``, whose values are of these ``types``."""
        # Layers that are repeated mostly share these objects, and then nothing has to be compared.
        near: dict[tuple[int, ...], Use] = {}
        found = []
        for _, op, inputs, outputs, *_ in nodes:
            if len(inputs) == len(outputs) == 1:
                key: tuple[int, ...] = id(op), id(types[inputs[0]]), id(types[outputs[0]])
            else:
                key = id(op), len(inputs), *[id(types[v]) for v in inputs], *[id(types[v]) for v in outputs]
            use = near.get(key)
            if use is None:
                reads, makes = tuple([types[v] for v in inputs]), tuple([types[v] for v in outputs])
                use = near[key] = self.of(op, reads, makes)
            found.append(use)
        return tuple(found)
