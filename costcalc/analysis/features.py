"""What takes time in an engine: the features of a layer that an estimate is fitted to, and what they are made of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from costcalc.classes import NamedTuple
from costcalc.errors import CostcalcError

if TYPE_CHECKING:
    from costcalc.ir.dims import Dim
    from costcalc.ir.graph import Node


class Features(NamedTuple):
    """What takes time, of a layer or of several.

    macs          multiply-accumulates, weighed by how well a kind of processor does them
    ops           other scalar arithmetic of layers without MACs: pooling, norms, activations
    activations   bytes of activations that kernels read and write
    weights       bytes of weights that they read
    kernels       how many are started
    """

    macs: float = 0.0
    ops: float = 0.0
    activations: float = 0.0
    weights: float = 0.0
    kernels: float = 0.0

    def plus(self, other: Features) -> Features:
        """Both together."""
        a, b, c, d, e = self
        f, g, h, i, j = other
        return Features(a + f, b + g, c + h, d + i, e + j)

    def seconds(self, each: Features) -> float:
        """What they take where ``each`` says what one of each takes."""
        a, b, c, d, e = self
        f, g, h, i, j = each
        return a * f + b * g + c * h + d * i + e * j


def together(parts: Iterable[Features]) -> Features:
    """The features of all ``parts``."""
    found = Features()
    for part in parts:
        found = found.plus(part)
    return found


class KernelPart(NamedTuple):
    """One layer as an engine meets it; a processor's rules make its features of this.

    node        the layer, and ``types`` those of its inputs
    is_product  whether it has MACs, as they are counted
    macs        multiply-accumulates, weighed already
    ops         other scalar arithmetic that is not hidden behind loading and storing; 0 of a layer with MACs
    read        bytes of activations that it reads, from outside of its kernel
    written     bytes of activations that it writes, to outside of its kernel
    results     bytes of what it makes, wherever that goes
    weights     bytes of weights that it reads
    starts      1 where its kernel begins with it, else 0
    is_alone    whether its kernel has no other layers
    after       the layer with MACs that its kernel does before it, where there is one
    network     bytes of the weights of all layers
    """

    node: Node
    types: tuple[Any, ...]
    is_product: bool
    macs: float
    ops: float
    read: float
    written: float
    results: float
    weights: float
    starts: float
    is_alone: bool
    after: KernelPart | None
    network: float


def number(value: Dim) -> int:
    """``value``, which must be a number. Raises ``CostcalcError`` for a symbol."""
    if not isinstance(value, int):
        raise CostcalcError("an estimate of time needs sizes that are numbers, not symbols")
    return value
