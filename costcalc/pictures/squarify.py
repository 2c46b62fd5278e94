"""Rectangles in proportion to numbers, nearly squares: "Squarified Treemaps", Bruls, Huizing, van Wijk 2000."""

from __future__ import annotations

from collections.abc import Sequence

from costcalc.classes import NamedTuple


class Rectangle(NamedTuple):
    """Its left lower corner and its sides."""

    x: float
    y: float
    width: float
    height: float

    def inset(self, left: float, bottom: float, right: float, top: float) -> Rectangle:
        """What is left of it within margins; of one that is smaller, nothing."""
        width, height = self.width - left - right, self.height - bottom - top
        return Rectangle(self.x + left, self.y + bottom, max(width, 0.0), max(height, 0.0))


def squarify(values: Sequence[float], within: Rectangle) -> list[Rectangle]:
    """A part of ``within`` for each of ``values``, in their order; its area is in proportion to the value.

    The largest lie first, from the left and from the top. Values are positive.

    >>> squarify([3, 1], Rectangle(0, 0, 4, 2))
    [Rectangle(x=0.0, y=0.0, width=3.0, height=2.0), Rectangle(x=3.0, y=0.0, width=1.0, height=2.0)]
    """
    whole = sum(values)
    order = sorted(range(len(values)), key=lambda i: -values[i])
    found: dict[int, Rectangle] = {}
    x, y, width, height = map(float, within)
    if not whole or not width or not height:
        return [Rectangle(x, y, 0.0, 0.0) for _ in values]
    scale = width * height / whole
    at = 0
    while at < len(order):
        side = min(width, height)
        largest = values[order[at]] * scale
        area, end = 0.0, at
        worst = float("inf")
        while end < len(order):  # as long as the row comes to be more square
            smallest = values[order[end]] * scale
            more = area + smallest
            ratio = max(side * side * largest / (more * more), more * more / (side * side * smallest))
            if ratio > worst:
                break
            worst, area, end = ratio, more, end + 1
        row, at = order[at:end], end
        thick = area / side if at < len(order) else (width if width >= height else height)
        along = 0.0
        for i in row:
            length = values[i] * scale / area * side
            if width >= height:  # a column at the left, filled from its top
                found[i] = Rectangle(x, y + height - along - length, thick, length)
            else:  # a row at the top, filled from its left
                found[i] = Rectangle(x + along, y + height - thick, length, thick)
            along += length
        if width >= height:
            x, width = x + thick, width - thick
        else:
            height -= thick
    return [found[i] for i in range(len(values))]
