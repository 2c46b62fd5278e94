"""Which elements a known mask leaves nothing of: places that are multiplied by 0, filled, or not chosen.

The numbers of constants, and what the usual functions make of them, are worked out; of anything else nothing is known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import product
from math import prod
from typing import Any

from costcalc.analysis.pixel_map import PixelMap
from costcalc.analysis.pixel_map_composition import through
from costcalc.ir.fields import ints
from costcalc.ir.graph import Graph, Node
from costcalc.ir.index_map import AxisMap, Regroup
from costcalc.ir.op import Op
from costcalc.ir.storage_region import in_a_row
from costcalc.ir.tensor import TensorType

MOST_NUMBERS = 65_536
"""Of one tensor."""


class Masks:
    """The masks of ``graph``, whose sizes are numbers."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.settled = graph.settled
        self.known: dict[str, Sequence[Any] | None] = {}

    @cached_property
    def makers(self) -> Mapping[str, Node]:
        """Which node makes each settled value."""
        return {value: node for node in self.graph.nodes for value in node.outputs if value in self.settled}

    def among(self, node: Node) -> bool:
        """Whether ``node`` puts a mask on data of which something may be known."""
        return self._put_by(node) is not None

    def _put_by(self, node: Node) -> tuple[str, Callable[[Any], bool]] | None:
        """The mask that ``node`` puts on data, and whether an element of it leaves what it stands on."""
        if len(node.inputs) != 2 or node.op.has_default("leaves"):
            return None
        places = [place for place, value in enumerate(node.inputs) if value in self.settled]
        leaves = node.op.leaves(places[0]) if len(places) == 1 else None
        return leaves and (node.inputs[places[0]], leaves)

    def seen(self, node: Node, pixel_map: PixelMap, extent: tuple[int, ...]) -> PixelMap | None:
        """What the output of ``node`` sees, None if nothing; without its mask it would see ``pixel_map``."""
        shape = self.graph.types[node.outputs[0]].shape
        found = self.left(node)
        if found is None:
            return pixel_map
        told, of_mask = found
        left = [[False] * n for n in of_mask]
        many = 0
        for index, is_left in zip(product(*map(range, of_mask)), told, strict=True):
            if is_left:
                many += 1
                for axis, place in enumerate(index):
                    left[axis][place] = True
        if many == len(told):
            return pixel_map
        if not many:
            return None
        if prod(map(sum, left)) != many:
            return pixel_map._replace(bound=True)  # as of a triangle: no place need see it all
        maps = [AxisMap(axis) for axis in range(len(shape))]
        for axis, places in enumerate(left, len(shape) - len(of_mask)):
            if not all(places):
                maps[axis] = AxisMap(axis, sees=_own(places), bound=True)
        return through(pixel_map, tuple(maps), shape, shape, extent)

    def left(self, node: Node) -> tuple[list[bool], tuple[int, ...]] | None:
        """Of each element of the mask that ``node`` puts on data whether it leaves what it stands on, with the shape of
        the mask; None where nothing is known.
        """
        put = self._put_by(node)
        assert put is not None
        mask, leaves = put
        numbers = self.numbers(mask)
        return None if numbers is None else ([leaves(n) for n in numbers], ints(self.graph.types[mask].shape))

    def numbers(self, value: str) -> Sequence[Any] | None:
        """The elements of a settled ``value`` in their order, if they are known."""
        if value not in self.known:
            node = self.makers.get(value)
            few = node is not None and prod(ints(self.graph.types[value].shape)) <= MOST_NUMBERS
            self.known[value] = self._made(node, value) if node is not None and few else None
        return self.known[value]

    def _made(self, node: Node, value: str) -> Sequence[Any] | None:
        given = [self.numbers(v) for v in node.inputs]
        if any(numbers is None for numbers in given):
            return None
        types, y = self.graph.input_types(node), self.graph.types[value]
        if node.op.only_moves:
            return moved(node.op, node.outputs.index(value), given[0], types[0], y)  # type: ignore[arg-type]
        return node.op.evaluate(tuple(given), *types, y=y) if len(node.outputs) == 1 else None  # type: ignore[arg-type]


def moved(op: Op, output: int, numbers: Sequence[Any], x: TensorType, y: TensorType) -> Sequence[Any] | None:
    """What ``output`` of an op that only moves elements has of ``numbers``, by its index map; None if it cannot say."""
    (index_map,) = op.index_maps_of(output, x, y=y)
    if isinstance(index_map, Regroup):
        return numbers
    before, after = ints(x.shape), ints(y.shape)
    if not isinstance(index_map, tuple) or not all(entry is None or isinstance(entry, AxisMap) for entry in index_map):
        return None
    strides, made = in_a_row(before), []
    for index in product(*map(range, after)):
        at = 0
        for out, entry in enumerate(index_map):
            if isinstance(entry, AxisMap):
                along = out if entry.along is None else entry.along
                place = index[along] if along < len(index) else 0
                first = entry.sees(place) if entry.sees else None
                at += strides[entry.axis] * int(first[0] if first else entry.window.stride * place + entry.window.lo)
        made.append(numbers[at])
    return made


def _own(places: Sequence[bool]) -> Callable[[int], tuple[int, int] | None]:
    return lambda output: (output, output) if places[output] else None
