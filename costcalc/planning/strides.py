"""How views lie in memory, where that decides what PyTorch copies before a product."""

from __future__ import annotations

from itertools import accumulate, pairwise

from costcalc.ir.graph import Graph, Node
from costcalc.ir.tensor import TensorType


def strides(graph: Graph) -> dict[str, tuple[int, ...]]:
    """For each value that is a view and does not lie in a row the steps of its axes, in elements."""
    found: dict[str, tuple[int, ...]] = {}
    for node in graph.nodes:
        if not node.op.is_view or len(node.inputs) != 1:
            continue
        before = graph.types[node.inputs[0]]
        steps = found.get(node.inputs[0]) or in_a_row(before)
        for value in node.outputs:
            after = _viewed(node, before, steps, graph.types[value])
            if after is not None and not _is_in_a_row(graph.types[value], after):
                found[value] = after
    return found


def in_a_row(kind: TensorType) -> tuple[int, ...]:
    """The steps of a contiguous tensor.

    >>> in_a_row(TensorType((2, 3, 4)))
    (12, 4, 1)
    """
    sizes = [int(d) for d in kind.shape]  # type: ignore[arg-type]
    return tuple(accumulate(sizes[:0:-1], lambda a, b: a * b, initial=1))[::-1] if sizes else ()


def is_one_axis(kind: TensorType, steps: tuple[int, ...], apart: int) -> bool:
    """Whether all axes but the last ``apart`` can be seen as one.

    >>> is_one_axis(TensorType((2, 3, 4)), (4, 8, 1), 1)
    False
    """
    axes = [(d, s) for d, s in zip(kind.shape, steps, strict=True)][: len(steps) - apart]
    axes = [(d, s) for d, s in axes if d != 1]
    return all(outer[1] == inner[0] * inner[1] for outer, inner in pairwise(axes))


def _is_in_a_row(kind: TensorType, steps: tuple[int, ...]) -> bool:
    return all(d == 1 or a == b for d, a, b in zip(kind.shape, steps, in_a_row(kind), strict=True))


def _viewed(node: Node, x: TensorType, steps: tuple[int, ...], y: TensorType) -> tuple[int, ...] | None:
    """The steps of a view of ``x``; None where they are not known, or it is not a mere view."""
    op, options, rank = node.op.name, vars(node.op), len(x.shape)
    if op == "permute":
        return tuple(steps[axis] for axis in options["axes"])
    if op == "transpose":
        order = list(steps)
        first, second = options["first"], options["second"]
        order[first], order[second] = order[second], order[first]
        return tuple(order)
    if op in ("select", "unbind"):
        axis = options["axis"] % rank
        return steps[:axis] + steps[axis + 1 :]
    if op == "split":
        return steps
    if op == "slice":
        axis = options["axis"] % rank
        return (*steps[:axis], steps[axis] * int(options["step"]), *steps[axis + 1 :])
    if op in ("identity", "dropout", "stochastic_depth"):
        return steps
    return _regrouped(x, steps, y) if op in ("reshape", "flatten", "squeeze", "unsqueeze") else None


def _regrouped(x: TensorType, steps: tuple[int, ...], y: TensorType) -> tuple[int, ...] | None:
    """The steps of the same elements in another shape, as ``torch.Tensor.view`` has them; None where it refuses."""
    old = [(int(d), s) for d, s in zip(x.shape, steps, strict=True) if d != 1]  # type: ignore[arg-type]
    made: list[int] = []
    sizes = [int(d) for d in y.shape]  # type: ignore[arg-type]
    chunks: list[tuple[int, int]] = []  # sizes of runs of axes that are one, with their last step
    for d, s in old:
        if chunks and chunks[-1][1] == d * s:
            chunks[-1] = (chunks[-1][0] * d, s)
        else:
            chunks.append((d, s))
    i, left = len(chunks) - 1, chunks[-1][0] if chunks else 1
    step = chunks[-1][1] if chunks else 1
    for size in reversed(sizes):
        if left == 1 and size != 1 and i > 0:
            i -= 1
            left, step = chunks[i]
        if left % size:
            return None
        made.append(step)
        step, left = step * size, left // size
    return tuple(reversed(made))
