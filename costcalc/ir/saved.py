"""What autograd keeps of a layer for its backward pass, and what it makes on the way to the gradients."""

from __future__ import annotations

from costcalc.classes import NamedTuple
from costcalc.ir.tensor import TensorType


class Saves(NamedTuple):
    """What PyTorch keeps of one layer, weights and buffers left out, which are there anyway.

    inputs    positions of the inputs that are kept as they are
    outputs   positions of the outputs that are
    maps      tensors that are there for the backward pass alone: statistics, masks, where a maximum was, copies
    stacks    inputs, each with the number of its last axes that stay apart, of which a copy is kept instead where the
              axes before these cannot be seen as one
    least     more is kept, of which PyTorch does not say how much
    """

    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()
    maps: tuple[TensorType, ...] = ()
    stacks: tuple[tuple[int, int], ...] = ()
    least: bool = False


class Moment(NamedTuple):
    """What there is at once while the gradients of a layer are worked out, of what that makes.

    maps       tensors that are dropped on the way
    gradients  the inputs whose gradients are there by then, by position; None: all, and those of the weights
    spent      whether the gradient of the results is given up before
    done       inputs, by position, that are kept no longer
    """

    maps: tuple[TensorType, ...]
    gradients: tuple[int, ...] | None = None
    spent: bool = False
    done: tuple[int, ...] = ()


NOTHING = Saves()
INPUT = Saves(inputs=(0,))
OUTPUT = Saves(outputs=(0,))
KEPT = {"nothing": NOTHING, "input": INPUT, "output": OUTPUT}
"""What most ops keep, by the word that they have for it in ``Op.keeps``."""
