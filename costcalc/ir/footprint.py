"""How much of an axis windows touch: what a layer that slides over it, or adds patches to it, must read.

The taps of a window are ``dilation`` apart, the windows ``stride``. Where the stride is wider than the kernel, where
dilation leaves holes, and at the end where no further window fits, there are places that no tap reaches: a 1×1
convolution with stride 2 reads a quarter of its map.
"""

from __future__ import annotations

from functools import lru_cache

from costcalc.errors import OptionError
from costcalc.ir.dims import Dim, at_least, ceil_div, equal, gcd, maximum, minimum, total, where
from costcalc.ir.expr import Expr


def touched(
    size: Dim, windows: Dim, kernel: Dim, stride: Dim, dilation: Dim = 1, before: Dim = 0, after: Dim = 0
) -> Dim:
    """How many of ``size`` places lie under a tap of some window.

    windows         how many there are: window o has its taps at stride·o + dilation·r - before
    before, after   how far taps may lie beyond each end

    A 1-wide window on every second place; three taps 2 apart; a 3-wide window on every second place, the last left out:

    >>> touched(28, 14, 1, 2), touched(9, 2, 3, 1, 2), touched(8, 3, 3, 2)
    (14, 6, 7)
    """
    sizes = size, windows, kernel, stride, dilation, before, after
    if all(type(n) is int for n in sizes):
        return _known_touched(*sizes)
    return _touched(*sizes)


def _touched(size: Dim, windows: Dim, kernel: Dim, stride: Dim, dilation: Dim, before: Dim, after: Dim) -> Dim:
    # Windows that follow without gaps or holes touch all up to the end of the last.
    side_by_side = where(equal(dilation, 1), kernel - stride, -1)
    # That is all where the padding makes up for what the last stride lacks; and so is what a single tap goes over place
    # by place, if it begins in the padding and ends in it.
    padded = where(at_least(side_by_side, 0), after + 1 - stride, -1)
    tap = minimum(before // dilation, kernel - 1)
    gone_over = where(equal(stride, 1), after - dilation * (kernel - 1 - tap), -1)
    all_of_it = at_least(maximum(padded, gone_over), 0)
    if all_of_it is True:  # as nearly always; what is below is long where sizes are symbols
        return size
    reached = maximum(stride * (windows - 1) + kernel - before, 0)
    joined = where(equal(after, 0), reached, minimum(size, reached))
    if at_least(side_by_side, 0) is True:
        return where(all_of_it, size, joined)
    numbers = [n for n in (stride, kernel, dilation, windows) if isinstance(n, int)]
    if len(numbers) == 4 and min(numbers[:2]) < min(numbers[2:]):  # fewer grids the other way round
        some = _some(size, kernel, windows, dilation, stride, before)
    else:
        some = _some(size, windows, kernel, stride, dilation, before)
    # Of windows that lie inside and apart from each other every tap is a place of its own.
    apart = where(equal(before + after, 0), stride - dilation * (kernel - 1) - 1, -1)
    some = where(at_least(apart, 0), windows * kernel, some)
    return where(all_of_it, size, where(at_least(side_by_side, 0), joined, some))


_known_touched = lru_cache(maxsize=4096)(_touched)  # layers share their windows, and so do the axes of an image


def _some(size: Dim, windows: Dim, kernel: Dim, stride: Dim, dilation: Dim, before: Dim) -> Dim:
    """``touched``, whatever the sizes: windows are sorted by where they begin between two multiples of the dilation.

    With g = gcd(s, d), the taps of every (d/g)-th window lie on one grid, d wide. On it these windows begin s/g apart
    and are k long: runs that overlap or leave gaps, the same each time. Different grids have no place in common.
    Windows and taps may change roles, which matters where one of the steps is a symbol.
    """
    if not isinstance(dilation, int):
        windows, kernel, stride, dilation = kernel, windows, dilation, stride
    common = gcd(stride, dilation)
    grids, apart = dilation // common, stride // common
    width = minimum(kernel, apart)
    counts = []
    for first in _grids(dilation, grids, windows):
        last = (windows - 1 - first) // grids * apart + kernel  # the first place of the grid beyond all windows
        begin, end = (
            minimum(maximum(ceil_div(location - stride * first, dilation), 0), last)
            for location in (before, before + size)
        )
        inside = _in_runs(end, width, apart) - _in_runs(begin, width, apart)
        there = minimum(grids, windows) - 1 - first
        counts.append(where(at_least(there, 0), inside, 0))
    return total(counts)


def _in_runs(end: Dim, width: Dim, apart: Dim) -> Dim:
    """Places before ``end`` in runs of ``width``, the next of which begins ``apart`` after the one before."""
    return end // apart * width + minimum(end % apart, width)


def laying(size: Dim, made: Dim, kernel: Dim, stride: Dim, dilation: Dim = 1, before: Dim = 0, after: Dim = 0) -> Dim:
    """How many of ``size`` places lay a tap on one of ``made`` places: what a transposed convolution reads of an axis.

    Place i lays its taps at stride·i + dilation·r - before.

    before, after   how much is cropped at each end; less than 0 where the output is lengthened

    >>> laying(4, 9, 3, 2), laying(4, 3, 3, 2, 1, 3, 3)
    (4, 2)
    """
    # All places lie within reach of the output, unless it is so short that it falls between two taps.
    near = minimum(dilation * (kernel - 1) - maximum(before, after), made - dilation)
    if isinstance(near, int) and near >= 0:
        return size
    if isinstance(kernel, int) and isinstance(dilation, int) and kernel < dilation:
        return _met(size, made, kernel, stride, dilation, before)
    # Sorted as in ``_some``: a place lies as a run of k on its grid, and must meet what the output takes of that.
    common = gcd(stride, dilation)
    grids, apart = dilation // common, stride // common
    counts = []
    for first in _grids(dilation, grids, size):
        low, high = (ceil_div(location - stride * first, dilation) for location in (before, before + made))
        begin = maximum(ceil_div(low - kernel + 1, apart), 0)
        end = minimum(ceil_div(high, apart), (size - 1 - first) // grids + 1)
        there = minimum(minimum(grids, size) - 1 - first, high - low - 1)
        counts.append(where(at_least(there, 0), maximum(end - begin, 0), 0))
    return where(at_least(near, 0), size, total(counts))


def _met(size: Dim, made: Dim, kernel: int, stride: Dim, dilation: int, before: Dim) -> Dim:
    """``laying`` where taps are fewer than grids: the places with each tap on the output, those met before left out."""
    if kernel > MOST_GRIDS:
        raise OptionError(_TOO_MANY)
    count, beyond = 0, 0  # type: Dim, Dim
    for r in reversed(range(kernel)):
        first = maximum(ceil_div(before - dilation * r, stride), beyond)
        beyond = maximum(beyond, minimum(ceil_div(before + made - dilation * r, stride), size))
        count += maximum(beyond - first, 0)
    return count


def taps_laid(size: Dim, made: Dim, kernel: Dim, stride: Dim, dilation: Dim = 1, before: Dim = 0) -> Dim:
    """How many taps of ``size`` places lie on one of ``made`` places: what ``fold`` reads of its patches.

    >>> taps_laid(4, 4, 3, 1, before=1), taps_laid(2, 4, 3, 1)
    (10, 6)
    """
    if isinstance(before, int) and before == 0:
        return size * kernel  # without a border as many patches as fit
    return where(equal(before, 0), size * kernel, taps_inside(size, made, kernel, stride, dilation, before))


def taps_inside(size: Dim, made: Dim, kernel: Dim, stride: Dim, dilation: Dim = 1, before: Dim = 0) -> Dim:
    """How many taps of ``size`` windows lie on one of ``made`` places, whether or not there is room for all.

    >>> taps_inside(4, 4, 3, 1, before=1), taps_inside(2, 3, 3, 2)
    (10, 4)
    """
    if not isinstance(kernel, int):
        raise OptionError("what is read of patches is only known where the kernel is a number")
    if all(isinstance(n, int) for n in (size, made, stride, dilation, before)):
        return _below(before + made, size, kernel, stride, dilation) - _below(before, size, kernel, stride, dilation)
    if kernel > MOST_TAPS:
        raise OptionError(f"what is read of patches is only known of symbols where the kernel is at most {MOST_TAPS:,}")
    counts = []
    for r in range(kernel):
        first = maximum(ceil_div(before - dilation * r, stride), 0)
        beyond = minimum(ceil_div(before + made - dilation * r, stride), size)
        counts.append(maximum(beyond - first, 0))
    return total(counts)


def taps_of_place(kernel: Dim, stride: Dim, dilation: Dim) -> Dim:
    """Under how many taps a place lies at most, where windows begin ``stride`` apart: one window has at most one tap
    on it, and taps that different windows have on it are stride / gcd(stride, dilation) apart.

    >>> taps_of_place(3, 1, 1), taps_of_place(3, 2, 1), taps_of_place(3, 2, 2), taps_of_place(1, 2, 1)
    (3, 2, 3, 1)
    """
    return ceil_div(kernel, stride // gcd(stride, dilation))


def _below(end: Dim, size: Dim, kernel: Dim, stride: Dim, dilation: Dim) -> Dim:
    """How many of the taps stride·i + dilation·r, with i < size and r < kernel, lie below ``end``; all are numbers."""
    some = minimum(maximum(ceil_div(end, stride), 0), size)  # places whose first tap does
    full = minimum(maximum((end - 1 - dilation * (kernel - 1)) // stride + 1, 0), some)  # whose last one does, too
    # Of those between, backwards from the last, each has so many taps below the end.
    left = some - full
    return full * kernel + _floors(left, dilation, stride, end - 1 - stride * (some - 1)) + left


def _floors(n: Dim, divisor: Dim, step: Dim, start: Dim) -> Dim:
    """Σ ⌊(step·i + start) / divisor⌋ over i < n, by Euclid's algorithm; none is below 0."""
    result: Dim = 0
    sign = 1
    while n:
        result += sign * (n * (n - 1) // 2 * (step // divisor) + n * (start // divisor))
        step, start = step % divisor, start % divisor
        end = (step * (n - 1) + start) // divisor  # the largest that is left
        # The points below the line, counted from the other axis: n·end without those above it.
        result += sign * n * end
        n, divisor, step, start, sign = end, step, divisor, divisor - start + step - 1, -sign
    return result


MOST_GRIDS = 256
"""How many grids, or taps, are gone through one by one: more than any network has where one does not suffice."""

MOST_TAPS = 4096

_TOO_MANY = (
    f"what the windows touch is only worked out where stride, dilation, kernel or windows are at most {MOST_GRIDS}"
)


def _grids(dilation: Dim, grids: Dim, windows: Dim) -> range:
    """Which grids there are."""
    most = _most(dilation)
    if isinstance(grids, int):
        most = min(most, grids)
        if isinstance(windows, int):
            most = min(most, max(windows, 0))
    if most > MOST_GRIDS:
        raise OptionError(_TOO_MANY)
    return range(most)


def _most(dilation: Dim) -> int:
    """How many grids there can be."""
    if isinstance(dilation, Expr):
        raise OptionError("what windows touch is only known where their stride or their dilation is a number")
    return dilation if isinstance(dilation, int) else int(dilation.max())
