"""What one run of a model's own code was seen to hold."""

from __future__ import annotations

from costcalc.classes import NamedTuple


class Allocation(NamedTuple):
    """Memory that the run asked for: for what layer, its bytes, and the first and last step at which it was there.

    dtype   the element type of the tensor that came with it
    """

    layer: str
    bytes: int
    dtype: str
    first: int
    last: int


class ObservedRun(NamedTuple):
    """The steps of a run, each an operator that asked for memory, by its layer; and all memory that it asked for.

    inputs    what it was given, which its caller holds
    kernels   for each step the bytes that the operator's kernel may take besides, while it runs
    threads   for how many threads these are
    """

    steps: tuple[str, ...]
    stored: tuple[Allocation, ...]
    inputs: tuple[Allocation, ...]
    kernels: tuple[int, ...]
    threads: int = 1


class SavedForBackward(NamedTuple):
    """Memory that is kept for the backward pass: for what layer, its bytes, and whether it is an input of the model."""

    layer: str
    bytes: int
    is_input: bool


class ObservedStep(NamedTuple):
    """What one step of training was seen to hold.

    run             all memory that was asked for, in the forward and in the backward pass
    backward_from   the first step of the backward pass
    saved           what is kept for it, each storage once, without parameters and buffers
    gradients       bytes of the gradients
    after           bytes that are still there after it: gradients, results and the loss, and what the model keeps
    parameters      bytes of each parameter that has a gradient, in the order of the model
    weights         bytes of all parameters and buffers
    unknown         layers that keep a workspace of an unknown size besides
    """

    run: ObservedRun
    backward_from: int
    saved: tuple[SavedForBackward, ...]
    gradients: int
    after: int
    parameters: tuple[int, ...]
    weights: int
    unknown: tuple[str, ...] = ()
