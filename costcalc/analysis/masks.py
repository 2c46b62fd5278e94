"""Which elements a known mask leaves nothing of: places that are multiplied by 0, filled, or not chosen.

The numbers of constants, and what the usual functions make of them, are worked out; of anything else nothing is known.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import product
from math import prod
from typing import Any, TypeAlias

from costcalc.analysis.following import through
from costcalc.analysis.view import View
from costcalc.ir.fields import UNKNOWN, ints
from costcalc.ir.graph import Graph, Node
from costcalc.ir.index_map import AxisMap, Regroup

MOST_NUMBERS = 65_536
"""Of one tensor."""
Shape: TypeAlias = "tuple[int, ...]"

OF_ONE: Mapping[str, Callable[[Any], Any]] = {
    "copy": lambda a: a, "neg": operator.neg, "abs": abs, "logical_not": operator.not_, "bitwise_not": operator.not_,
}  # fmt: skip
OF_TWO: Mapping[str, Callable[[Any, Any], Any]] = {
    "add": operator.add, "subtract": operator.sub, "rsub": lambda a, b: b - a, "multiply": operator.mul,
    "eq": operator.eq, "ne": operator.ne, "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge,
    "logical_and": lambda a, b: bool(a and b), "logical_or": lambda a, b: bool(a or b), "maximum": max, "minimum": min,
    "bitwise_and": lambda a, b: a & b, "bitwise_or": lambda a, b: a | b, "remainder": lambda a, b: a % b,
    "floor_divide": lambda a, b: a // b,
}  # fmt: skip


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
        if node.op.name != "multiply" and getattr(node.op, "function", "") not in ("masked_fill", "where"):
            return False
        return len(node.inputs) == 2 and sum(v in self.settled for v in node.inputs) == 1

    def seen(self, node: Node, view: View, extent: tuple[int, ...]) -> View | None:
        """What the output of ``node`` sees, which would see ``view`` if its mask left all; None if nothing is left."""
        shape = self.graph.types[node.outputs[0]].shape
        (mask,) = (v for v in node.inputs if v in self.settled)
        numbers, of_mask = self.numbers(mask), ints(self.graph.types[mask].shape)
        if numbers is None or mask != node.inputs[self._at(node)]:
            return view
        keeps = self._keeps(node)
        left = [[False] * n for n in of_mask]
        many = 0
        for index, number in zip(product(*map(range, of_mask)), numbers, strict=True):
            if keeps(number):
                many += 1
                for axis, place in enumerate(index):
                    left[axis][place] = True
        if many == len(numbers):
            return view
        if not many:
            return None
        if prod(map(sum, left)) != many:
            return view._replace(bound=True)  # as of a triangle: no place need see it all
        maps = [AxisMap(axis) for axis in range(len(shape))]
        for axis, places in enumerate(left, len(shape) - len(of_mask)):
            if not all(places):
                maps[axis] = AxisMap(axis, sees=_own(places), bound=True)
        return through(view, tuple(maps), shape, shape, extent)

    def _at(self, node: Node) -> int:
        """Which input of ``node`` is the mask."""
        function = getattr(node.op, "function", "")
        if function in ("masked_fill", "where"):
            return int(function == "masked_fill")
        return int(node.inputs[1] in self.settled)

    def _keeps(self, node: Node) -> Callable[[Any], bool]:
        """Whether an element of the mask of ``node`` leaves what it stands on."""
        op: Any = node.op
        hides = op.name == "elementwise" and (op.function == "masked_fill" or op.numbers_first)
        return operator.not_ if hides else bool

    def numbers(self, value: str) -> Sequence[Any] | None:
        """The elements of a settled ``value`` in their order, if they are known."""
        if value not in self.known:
            node = self.makers.get(value)
            few = node is not None and prod(ints(self.graph.types[value].shape)) <= MOST_NUMBERS
            self.known[value] = self._made(node) if node is not None and few and len(node.outputs) == 1 else None
        return self.known[value]

    def _made(self, node: Node) -> Sequence[Any] | None:
        op: Any = node.op
        shape = ints(self.graph.types[node.outputs[0]].shape)
        if op.name == "constant":
            if op.random or op.value == UNKNOWN:
                return None
            return op.value if isinstance(op.value, tuple) else [op.value] * prod(shape)
        given = [self.numbers(v) for v in node.inputs]
        if not given or any(numbers is None for numbers in given):
            return None
        shapes = [ints(self.graph.types[v].shape) for v in node.inputs]
        if op.name == "triangle":
            rows, columns = shape[-2:]
            kept = operator.ge if op.upper else operator.le
            places = [kept(column - row, op.diagonal) for row in range(rows) for column in range(columns)]
            return [n if places[i % len(places)] else 0 for i, n in enumerate(given[0])]  # type: ignore[arg-type]
        if op.name in ("elementwise", "add", "subtract", "multiply") and getattr(op, "times", 1) == 1:
            told = [list(_stretched(of, before, shape)) for of, before in zip(given, shapes, strict=True)]  # type: ignore[arg-type]
            if getattr(op, "numbers", UNKNOWN) != UNKNOWN:
                beside = [[n] * prod(shape) for n in (op.numbers if isinstance(op.numbers, tuple) else (op.numbers,))]
                told = [*beside, *told] if op.numbers_first else [*told, *beside]
            rule: Any = {1: OF_ONE, 2: OF_TWO}.get(len(told), {}).get(getattr(op, "function", op.name))
            return None if rule is None else [rule(*each) for each in zip(*told, strict=True)]
        return self._moved(node, given[0], shapes[0], shape) if len(given) == 1 else None  # type: ignore[arg-type]

    def _moved(self, node: Node, numbers: Sequence[Any], before: Shape, after: Shape) -> Sequence[Any] | None:
        """What is left of ``numbers`` by an op that only moves elements."""
        if node.op.name not in MOVES:
            return None
        types = self.graph.input_types(node)
        (index_map,) = node.op.index_maps_of(0, *types, y=self.graph.types[node.outputs[0]])
        if isinstance(index_map, Regroup):
            return numbers
        if not all(isinstance(entry, AxisMap) for entry in index_map):
            return None
        strides = [prod(before[axis + 1 :]) for axis in range(len(before))]
        made = []
        for index in product(*map(range, after)):
            at = 0
            for out, entry in enumerate(index_map):
                assert isinstance(entry, AxisMap)
                out = out if entry.along is None else entry.along
                place = index[out] if out < len(index) else 0
                first = entry.sees(place) if entry.sees else None
                at += strides[entry.axis] * int(first[0] if first else entry.window.stride * place + entry.window.lo)
            made.append(numbers[at])
        return made


MOVES = frozenset(
    ("reshape", "flatten", "unsqueeze", "squeeze", "permute", "transpose", "expand", "slice", "select", "flip", "take",
     "roll")
)  # fmt: skip
"""Ops of one input that only move its elements."""


def _own(places: Sequence[bool]) -> Callable[[int], tuple[int, int] | None]:
    return lambda output: (output, output) if places[output] else None


def _stretched(numbers: Sequence[Any], shape: Shape, to: Shape) -> Sequence[Any]:
    """``numbers`` of a tensor of ``shape``, broadcast."""
    if shape == to:
        return numbers
    whole = (1,) * (len(to) - len(shape)) + shape
    strides = [0 if n == 1 else prod(whole[axis + 1 :]) for axis, n in enumerate(whole)]
    return [numbers[sum(i * s for i, s in zip(index, strides, strict=True))] for index in product(*map(range, to))]
