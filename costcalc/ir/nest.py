"""MACs as loops: what workload tools (Timeloop, ZigZag, SCALE-Sim) ask of a layer."""

from __future__ import annotations

from costcalc.classes import NamedTuple
from costcalc.ir.dims import Dim, prod


class Nest(NamedTuple):
    """One perfect nest of loops around one multiply-accumulate, in letters of Timeloop and ZigZag:

        for g, n, k, c, p…, r…:  o[n, (g k), p…] += i[n, (g c), (stride·p + dilation·r − padding)…] · w[(g k), c, r…]

    Where ``transposed`` the places p are those of the input, and the output's follow from them.

    batch     N: images, or rows of a product
    out       K: output channels of a group, or columns of a product
    into      C: input channels of a group, or what a product sums over
    groups    G: groups, or products that are stacked
    places    P …: along each spatial axis, of the output
    taps      R …: of the kernel
    size      along each spatial axis, of the input
    stride    along each axis
    dilation  along each axis
    padding   along each axis, before and after
    part      which of the layer's nests it is, where it has several: ``scores``
    weight    the op's name of the weight that it multiplies with; "" where both factors are data
    reads     its factors that are data: inputs of the op by their number, others of its nests by their part
    """

    batch: Dim
    out: Dim
    into: Dim
    groups: Dim = 1
    places: tuple[Dim, ...] = ()
    taps: tuple[Dim, ...] = ()
    size: tuple[Dim, ...] = ()
    stride: tuple[Dim, ...] = ()
    dilation: tuple[Dim, ...] = ()
    padding: tuple[tuple[Dim, Dim], ...] = ()
    transposed: bool = False
    part: str = ""
    weight: str = ""
    reads: tuple[int | str, ...] = (0,)

    @property
    def macs(self) -> Dim:
        """How often the innermost statement runs.

        >>> Nest(2, 3, 5, places=(7,), taps=(3,)).macs
        630
        """
        return self.groups * self.batch * self.out * self.into * prod(self.places) * prod(self.taps)
