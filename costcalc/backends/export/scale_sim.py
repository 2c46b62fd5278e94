"""A topology of SCALE-Sim 3: a row for each nest, of as many MACs as it has.

The format has one stride for both axes, no padding, no groups, no batch, no dilation and no depth; its program takes a
partial window at the end for a whole one. So a row is the convolution without padding that makes the same output. Its
input is as high as the windows need; images of a batch stand below each other; groups and stacks of products are more
filters; depth is more channels and rows. Of a transposed convolution each input place makes all taps of all filters.
MACs are those of the layer; what is read of an input may be less.
"""

from __future__ import annotations

from collections.abc import Iterator

from costcalc.analysis.workload import Loops
from costcalc.backends.escape import word
from costcalc.backends.export import Exported
from costcalc.backends.export.loops import three
from costcalc.ir.dims import Dim
from costcalc.ir.nest import Nest

HEAD = "Layer name,IFMAP Height,IFMAP Width,Filter Height,Filter Width,Channels,Num Filter,Strides,\n"


def write(exported: Exported) -> str:
    """The lines of the topology; every one ends in a comma, as the program wants it."""
    names = _names(exported.loops)
    rows = (row(loops.nest) for loops in exported.loops)
    return HEAD + "".join(f"{name},{','.join(map(str, numbers))},\n" for name, numbers in zip(names, rows, strict=True))


def row(nest: Nest) -> tuple[Dim, ...]:
    """Height and width of the input, of the filter, channels, filters, stride.

    >>> row(Nest(1, 64, 3, places=(112, 112), taps=(7, 7), stride=(2, 2)))
    (229, 229, 7, 7, 3, 64, 2)
    """
    (o, p, q), (t, r, s) = three(nest.places, 1), three(nest.taps, 1)
    filters, channels = nest.out * nest.groups, nest.into
    if nest.transposed:
        return (nest.batch * o * p, q, 1, 1, channels, filters * t * r * s, 1)
    _, *strides = three(nest.stride, 1)
    stride: int = max(strides)
    places = nest.batch * o * p
    return ((places - 1) * stride + r, (q - 1) * stride + s, r, s, channels * t, filters, stride)


def _names(loops: tuple[Loops, ...]) -> Iterator[str]:
    """A name a row, no two alike. DP in a name would make the program split the layer by its channels."""
    taken: set[str] = set()
    for one in loops:
        name = base = word(one.name).replace("DP", "Dp")
        number = 1
        while name in taken:
            number += 1
            name = f"{base}_{number}"
        taken.add(name)
        yield name
