"""What a value sees of the image: along which axes it moves, and which pixels are seen from each of its places."""

from __future__ import annotations

from math import ceil, floor, lcm
from typing import TypeAlias

from costcalc.analysis.axis_factors import Factor, count
from costcalc.classes import NamedTuple
from costcalc.ir.dims import Dim
from costcalc.ir.index_map import Number, ratio

GLOBAL = "global"
UNKNOWN = "unknown"


class Span(NamedTuple):
    """The pixels along an image axis that are seen from a place: from ``lo`` to ``hi`` from where it is."""

    lo: Number = 0
    hi: Number = 0

    def widened(self, step: Number, lo: Number, hi: Number) -> Span:
        """What is seen from all places from ``lo`` to ``hi``, which are ``step`` pixels apart."""
        first, last = step * lo, step * hi
        if first > last:
            first, last = last, first
        return Span(self.lo + first, self.hi + last)


Seen: TypeAlias = "Span | str"  # a span, GLOBAL or UNKNOWN


class ReceptiveField(NamedTuple):
    """What a value sees of the image, per image axis.

    size      the most pixels that one place of the value depends on, in one piece
    stride    pixels between the windows of neighbouring places; a fraction after upsampling, 0 along
              an axis that is seen whole
    offset    the first pixel that place 0 sees; negative where the window starts in the padding
    aligned   False where branches with different centres or strides met
    seen      the most pixels of the image itself that the window of one place holds: it may hang over the edge
    image     the pixels that the image has
    bound     whether some place was not proved to see so much: ``size`` and ``seen`` are upper bounds
    border    how places whose window hangs over see the image there: ``reflect``, ``replicate``, ``circular`` or
              several of them joined by +; "" where they see nothing more
    """

    size: tuple[int, ...]
    stride: tuple[Number, ...]
    offset: tuple[int, ...]
    aligned: bool = True
    seen: tuple[int, ...] = ()
    image: tuple[int, ...] = ()
    border: tuple[str, ...] = ()
    bound: bool = False

    def __eq__(self, other: object) -> bool:
        """Whether the windows are the same, whatever the image."""
        return isinstance(other, ReceptiveField) and tuple(self)[:4] == tuple(other)[:4]

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(tuple(self)[:4])

    @property
    def sees_all(self) -> bool:
        """Whether the window of some place holds the whole image."""
        return bool(self.image) and self.seen == self.image

    @property
    def hangs_over(self) -> bool:
        """Whether a window is larger than what it can hold of the image."""
        return any(size > seen for size, seen in zip(self.size, self.seen, strict=False))


class PixelMap(NamedTuple):
    """What a value sees: per tensor axis its factors (outermost first), per image axis what is seen around a place.

    within   per tensor axis the first and last place that see anything through this input, for what is put among
             others' places; None where all do
    starts   per tensor axis which place of its factors is the first, where not all of them are there or others are
             too: tokens behind a class token start at -1. None where all start at 0
    borders  each image axis along which padding took elements of the image, with how
    bound    whether spans hold what each place sees, and no place need see all of it
    unlike   whether elements beside each other, channels say, see unlike each other: a part of them may see less
    """

    factors: tuple[tuple[Factor, ...], ...]
    spans: tuple[Seen, ...]
    aligned: bool = True
    within: tuple[tuple[int, int] | None, ...] | None = None
    starts: tuple[int, ...] | None = None
    borders: frozenset[tuple[int, str]] = frozenset()
    bound: bool = False
    unlike: bool = False

    def start(self, axis: int) -> int:
        """Which place of its factors is the first along an axis."""
        return self.starts[axis] if self.starts else 0

    def whole(self, axis: int, size: Dim) -> bool:
        """Whether an axis of ``size`` has just the places of its factors."""
        return not self.start(axis) and count(self.factors[axis]) == size

    def tightened(self) -> PixelMap:
        """The same with spans no wider than the pixels that places see, which lie at multiples of a part of one."""
        spans = list(self.spans)
        for axis, seen in enumerate(spans):
            if isinstance(seen, str) or seen.lo.denominator == seen.hi.denominator == 1:
                continue
            steps = [line for factors in self.factors for p in factors for line in p.lines() if line.axis == axis]
            if not any(line.table for line in steps):
                parts = lcm(*(line.step.denominator for line in steps))
                spans[axis] = Span(ratio(ceil(seen.lo * parts), parts), ratio(floor(seen.hi * parts), parts))
        return self if spans == [*self.spans] else self._replace(spans=tuple(spans))
