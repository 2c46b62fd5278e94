"""Which inputs an output depends on, along one axis; and how an op's axes follow its inputs'."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from math import ceil, floor
from typing import TYPE_CHECKING, TypeAlias

from costcalc.classes import NamedTuple
from costcalc.ir.dims import Dim

if TYPE_CHECKING:
    from fractions import Fraction

    from costcalc.ir.tensor import TensorType

Number: TypeAlias = "int | Fraction"


class Window(NamedTuple):
    """Output ``o`` depends on no inputs but those from ``stride·o + lo`` to ``stride·o + hi``.

    The bounds are the tightest for which that holds at every ``o``. Windows compose, ``IDENTITY``
    composes with nothing changed, and the order of grouping does not matter: they are a monoid,
    so the receptive field of a chain is one fold. Upsampling has a fractional stride; then the
    bounds are fractions too and the inputs are the whole numbers between them.
    """

    stride: Number = 1
    lo: Number = 0
    hi: Number = 0

    @property
    def size(self) -> int:
        """The most inputs that one output can depend on.

        >>> Window(2, -1, 1).size, Window(1, ratio(-1, 2), ratio(1, 2)).size
        (3, 1)
        """
        if self.stride.denominator == 1 and isinstance(self.lo, int) and isinstance(self.hi, int):
            return self.hi - self.lo + 1
        # Outputs start at multiples of 1 / parts; most is seen where an input has just come in at the end.
        parts = self.stride.denominator
        start = ratio(-floor(self.hi * parts), parts)
        return floor(start + self.hi) + floor(-start - self.lo) + 1

    def at(self, output: int) -> tuple[int, int]:
        """The first and the last input that ``output`` can depend on; the first after the last if there is none.

        >>> Window(2, -1, 1).at(3), Window(ratio(1, 2), ratio(-1, 2), 0).at(3)
        ((5, 7), (1, 1))
        """
        return ceil(self.stride * output + self.lo), floor(self.stride * output + self.hi)

    def after(self, earlier: Window) -> Window:
        """This window seen through ``earlier``: inputs of ``earlier`` per output of this one.

        Two 3-wide windows see 5:

        >>> Window(1, -1, 1).after(Window(1, -1, 1))
        Window(stride=1, lo=-2, hi=2)

        A flip runs the other way, and so does what is seen through it:

        >>> Window(1, 0, 1).after(Window(-1, 7, 7))
        Window(stride=-1, lo=6, hi=7)
        """
        lo, hi = earlier.stride * self.lo, earlier.stride * self.hi
        return Window(earlier.stride * self.stride, min(lo, hi) + earlier.lo, max(lo, hi) + earlier.hi)


IDENTITY = Window()


def ratio(a: Dim, b: Dim) -> Number:
    """a / b, an int where it is whole. A receptive field is only asked of sizes that are known.

    >>> ratio(6, 3), ratio(3, 6)
    (2, Fraction(1, 2))
    """
    if b == 1:
        return a  # type: ignore[return-value]
    from fractions import Fraction

    return whole(Fraction(a, b))  # type: ignore[arg-type]


MOST_SAMPLED = 64
"""How many outputs of a pattern are looked at one by one; of a longer one those next to whole numbers suffice."""


def sampled(
    stride: Number,
    sees: Callable[[int], tuple[int, int]],
    places: int,
    shifts: tuple[Number, ...] = (0,),
    every: bool = False,
) -> Window:
    """The tightest window of ``stride`` where each output ``o`` sees inputs ``first`` to ``last`` = ``sees(o)``.

    Resampling sees the same pattern again after as many outputs as the stride's denominator says. Of a long pattern
    only the outputs where ``stride·o + shift`` is next to a whole number are looked at: ``sees`` rounds these. Where
    the pattern does not repeat, ``every`` output is looked at.

    >>> sampled(ratio(3, 2), lambda o: (o * 3 // 2, -(-(o + 1) * 3 // 2) - 1), 8)
    Window(stride=Fraction(3, 2), lo=Fraction(-1, 2), hi=1)
    """
    period = stride.denominator
    outputs: Iterable[int] = range(places if every else min(places, period))
    if not every and min(places, period) > MOST_SAMPLED:
        back = pow(stride.numerator, -1, period)
        outputs = {(near - floor(shift * period)) * back % period for shift in shifts for near in range(-2, 3)}
    # Whole numbers of 1 / period: fractions would take most of the time.
    seen = [(stride.numerator * o, *sees(o)) for o in outputs]
    lo, hi = min(a * period - at for at, a, _ in seen), max(b * period - at for at, _, b in seen)
    return Window(stride, ratio(lo, period), ratio(hi, period))


def whole(n: Number) -> Number:
    """``n`` as an int where it is one."""
    return n.numerator if n.denominator == 1 else n


def size_of(n: Number) -> Number:
    """``n`` without its sign."""
    return n if n >= 0 else -n


def envelope(places: Sequence[int], outputs: Sequence[int] = ()) -> Window:
    """The tightest window around a table of places: output ``o`` sees ``places[o]`` and nothing else.

    outputs   which output each of ``places`` is seen from, where those are not in order

    A table that runs evenly, either way, is followed exactly; of any other only a bound is said.

    >>> envelope([6, 4, 2]), envelope([1, 0, 3, 2])
    (Window(stride=-2, lo=6, hi=6), Window(stride=1, lo=-1, hi=1))
    """
    table = sorted(zip(outputs or range(len(places)), places, strict=True))
    (first, at), (last, end) = table[0], table[-1]
    slopes: set[Number] = {0, 1, -1}
    if first < last:
        slopes.add(ratio(end - at, last - first))

    def around(slope: Number) -> Window:
        gaps = [place - slope * o for o, place in table]
        return Window(slope, min(gaps), max(gaps))

    # Of windows as wide as each other, the one that moves with the outputs in whole steps.
    return min(map(around, slopes), key=lambda w: (w.hi - w.lo, w.stride.denominator, -w.stride))


class AxisMap(NamedTuple):
    """An output axis that follows the input axis ``axis`` through ``window``.

    within    the first and the last output that do; the others along the output axis see nothing of this input.
              None for all
    along     the output axis, where the entry does not stand in its place
    border    what the outputs before and after those of the window see: ``reflect``, ``replicate`` or ``circular``
              elements of the input; "" for none
    bound     whether outputs see less than the window: it holds what they see, each of them another part of it
    sees      the first and the last input that an output sees, None if it sees none; where the window does not tell, or
              is wider
    gap       from one of the inputs that an output sees to the next
    """

    axis: int
    window: Window = IDENTITY
    within: tuple[int, int] | None = None
    along: int | None = None
    border: str = ""
    bound: bool = False
    sees: Callable[[int], tuple[int, int] | None] | None = None
    gap: int = 1


class Anywhere(NamedTuple):
    """Places along the input axis ``axis`` that nothing known tells: each output sees some of them, not all."""

    axis: int


class Regroup(NamedTuple):
    """The elements in the same order under another shape, as ``reshape`` does."""


class Steps(NamedTuple):
    """One index map after another, each with the shape of what it makes. The last one makes the output."""

    steps: tuple[tuple[AxisMaps | Regroup, tuple[Dim, ...]], ...]


class Several(NamedTuple):
    """What an output sees of one input in several ways, all of which add up: by each tap of patches put back."""

    ways: tuple[IndexMap, ...]


# How one output follows one input: for each output axis the input axis that it follows, or None. What stands
# after the output's axes moves with none of them. Several that follow one input axis add up: a patch cut out
# with a stride of 4 is seen at 4·o + k. An input axis that nothing follows is mixed whole into every output place.
AxisMaps: TypeAlias = "tuple[AxisMap | Anywhere | None, ...]"
IndexMap: TypeAlias = "AxisMaps | Regroup | Steps"
ElementMap: TypeAlias = "IndexMap | Several"

ALL_TO_ALL: IndexMap = ()  # every output place depends on the whole input


def unknown(x: TensorType) -> IndexMap:
    """Every output sees some of ``x``; nothing known tells where."""
    return tuple(map(Anywhere, range(len(x.shape))))


@lru_cache(maxsize=32)
def own_places(rank: int) -> AxisMaps:
    """Each output place sees its own place of an input of the same shape."""
    return tuple(map(AxisMap, range(rank)))


def elementwise(x: TensorType, y: TensorType) -> AxisMaps:
    """Each output place sees its own place in ``x``, broadcast from the right."""
    if x.shape == y.shape:
        return own_places(len(x.shape))
    gap = len(y.shape) - len(x.shape)
    return tuple(
        None if axis < gap else AxisMap(axis - gap, _same_or_broadcast(x.shape[axis - gap], y.shape[axis]))
        for axis in range(len(y.shape))
    )


def spatial(windows: Sequence[Window], gaps: Sequence[int] = ()) -> IndexMap:
    """Batch follows batch, the channels mix, and the axes from the third on slide by ``windows`` with ``gaps``."""
    return (AxisMap(0), None, *_slid(windows, gaps))


def each_channel(windows: Sequence[Window], gaps: Sequence[int] = ()) -> IndexMap:
    """Batch and channels follow, and the axes after them slide by ``windows`` with ``gaps``."""
    return (AxisMap(0), AxisMap(1), *_slid(windows, gaps))


def in_groups(index_map: IndexMap, groups: int, channels: int, made: int) -> IndexMap:
    """``index_map``, which mixes all of so many ``channels``, with each of those that are ``made`` seeing its group."""
    if groups == 1 or isinstance(index_map, (Regroup, Steps)):
        return index_map

    def group(channel: int) -> tuple[int, int]:
        first = channel // (made // groups) * (channels // groups)
        return first, first + channels // groups - 1

    return (index_map[0], AxisMap(1, sees=group), *index_map[2:])


def _slid(windows: Sequence[Window], gaps: Sequence[int]) -> Iterable[AxisMap]:
    pairs = zip(windows, gaps or (1,) * len(windows), strict=True)
    return (AxisMap(axis, window, gap=gap) for axis, (window, gap) in enumerate(pairs, 2))


def mixing(x: TensorType, *axes: int) -> IndexMap:
    """Same shape as ``x``; the given axes (negative from the right) are mixed, the rest follow."""
    mixed = {axis % len(x.shape) for axis in axes}
    return tuple(None if axis in mixed else AxisMap(axis) for axis in range(len(x.shape)))


def part(x: TensorType, axis: int, start: int, step: int = 1) -> IndexMap:
    """Every ``step``-th place of one axis from ``start`` on; the rest follow."""
    taken = axis % len(x.shape)
    return tuple(AxisMap(a, Window(step, start, start) if a == taken else IDENTITY) for a in range(len(x.shape)))


def _same_or_broadcast(x: Dim, y: Dim) -> Window:
    return Window(0, 0, 0) if isinstance(x, int) and x == 1 and x != y else IDENTITY
