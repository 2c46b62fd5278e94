"""What autograd keeps of a layer for its backward pass."""

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


NOTHING = Saves()
INPUT = Saves(inputs=(0,))
OUTPUT = Saves(outputs=(0,))
KEPT = {"nothing": NOTHING, "input": INPUT, "output": OUTPUT}
"""What most ops keep, by the word that they have for it in ``Op.keeps``."""
