"""A bound on the numbers that say where places lie: each resizing by another ratio makes them longer."""

from __future__ import annotations

from costcalc.analysis.axis_factors import Factor
from costcalc.analysis.pixel_map import GLOBAL, UNKNOWN, PixelMap
from costcalc.ir.index_map import Number

MOST_DENOMINATOR_BITS = 512
"""Of the fraction by which places lie apart: some fifty resizings by ratios that share nothing."""

MOST_BITS = 4096
SHORT = 2**62
"""A whole number that is smaller is not worth a closer look."""


def shortened(pixel_map: PixelMap) -> PixelMap:
    """``pixel_map``, but unknown along axes of the image where its numbers have become too long to go on with."""
    numbers = [p.step for factors in pixel_map.factors for p in factors if p.axis is not None]
    numbers += [n for seen in pixel_map.spans if not isinstance(seen, str) for n in seen]
    for n in numbers:
        if type(n) is not int or not -SHORT < n < SHORT:
            break
    else:
        return pixel_map
    long = set()
    for factors in pixel_map.factors:
        for p in factors:
            if p.axis is not None and _is_long(p.step):
                long.add(p.axis)
    for axis, seen in enumerate(pixel_map.spans):
        if not isinstance(seen, str) and (_is_long(seen.lo) or _is_long(seen.hi)):
            long.add(axis)
    if not long:
        return pixel_map
    left = tuple(
        tuple(Factor(None, 0, p.size) if p.axis in long else p for p in factors) for factors in pixel_map.factors
    )
    spans = tuple(UNKNOWN if a in long and seen != GLOBAL else seen for a, seen in enumerate(pixel_map.spans))
    return pixel_map._replace(factors=left, spans=spans)


def _is_long(n: Number) -> bool:
    if type(n) is int:
        return n.bit_length() > MOST_BITS
    return n.denominator.bit_length() > MOST_DENOMINATOR_BITS or n.numerator.bit_length() > MOST_BITS
