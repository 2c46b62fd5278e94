"""What a kernel meets of a convolution or of another product, by which estimates weigh MACs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costcalc.analysis.features import number
from costcalc.classes import NamedTuple
from costcalc.ir.dims import prod
from costcalc.ir.fields import ints, per_axis
from costcalc.ir.tensor import TensorType

if TYPE_CHECKING:
    from costcalc.ir.graph import Node


class Convolution(NamedTuple):
    """What a kernel meets of a convolution: its groups, of each the channels, and by axis its windows.

    inputs, outputs   channels of a group
    before, sizes     elements along each axis of the image, of the input and of the output
    """

    groups: int
    inputs: int
    outputs: int
    is_depthwise: bool
    before: tuple[int, ...]
    sizes: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def places(self) -> int:
        """Of the output."""
        return number(prod(self.sizes))

    @property
    def taps(self) -> int:
        """Of all places and inputs."""
        return number(prod(self.kernel)) * self.places * self.inputs * self.groups


def convolution(node: Node, types: tuple[Any, ...]) -> Convolution | None:
    """What ``node`` is as a convolution; None where it is none."""
    conv = node.op.as_conv(*types) if types else None
    if conv is None:
        return None
    x, y = types[0], node.op.infer(*types)
    y = y if isinstance(y, TensorType) else y[0]
    axes = len(x.spatial)
    groups, outputs = int(conv.groups), int(conv.out_channels)  # type: ignore[attr-defined]
    channels = number(x.channels)
    return Convolution(
        groups,
        channels // groups,
        outputs // groups,
        groups > 1 and channels == groups,
        ints(x.spatial),
        ints(y.spatial),
        ints(per_axis(conv.kernel, axes)),  # type: ignore[attr-defined]
        ints(per_axis(conv.stride, axes)),  # type: ignore[attr-defined]
    )


def macs_of_matrices(node: Node, types: tuple[Any, ...], counted: int) -> float:
    """MACs of what is no convolution: a matrix times a vector has none, as it takes as long as reading the matrix."""
    return 0.0 if node.op.name == "linear" and prod(types[0].shape[:-1]) == 1 else float(counted)
