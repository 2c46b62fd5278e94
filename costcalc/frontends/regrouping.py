"""What a reshape that a file fixes becomes at other sizes than those of the file."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import prod
from typing import Any

Group = tuple[list[int], list[int]]


def followed(before: Sequence[Any], after: Sequence[Any], made: Sequence[Any], batch: Fraction) -> list[Any] | None:
    """The shape for ``after`` that stands to it as ``made`` to ``before``; None if that cannot be told.

    Axes are taken together that hold the same elements on both sides. One axis takes all that its counterparts have; of
    several the first takes the batch, which is the outermost, times ``batch``.

    >>> followed((1, 196, 768), (4, 196, 768), (1, 196, 12, 64), Fraction(4))
    [4, 196, 12, 64]
    >>> followed((197, 1, 768), (197, 4, 768), (197, 12, 64), Fraction(4))
    [197, 48, 64]
    >>> followed((64, 49, 96), (256, 49, 96), (1, 64, 7, 7, 96), Fraction(4))
    [4, 64, 7, 7, 96]
    >>> followed((1, 64, 56, 56), (1, 64, 64, 64), (1, 64, 3136), Fraction(1))
    [1, 64, 4096]
    >>> followed((1, 3136, 64), (1, 4096, 64), (1, 56, 56, 64), Fraction(1))
    """
    if not all(isinstance(d, int) and d > 0 for d in (*before, *after, *made)) or len(before) != len(after):
        return None
    if prod(before) != prod(made):
        return None
    found = list(made)
    for ours, theirs in _groups(before, made):
        was, now = [before[i] for i in ours], [after[i] for i in ours]
        if was == now:
            continue
        wide = [i for i in theirs if made[i] != 1] or theirs[:1]
        if was == [made[i] for i in theirs]:
            for i, size in zip(theirs, now, strict=True):
                found[i] = size
        elif len(theirs) > 1 and Fraction(prod(now), prod(was)) == batch != 1:
            scaled = made[theirs[0]] * batch
            if scaled.denominator > 1:
                return None
            found[theirs[0]] = int(scaled)
        elif len(wide) == 1:
            found[wide[0]] = prod(now)
        else:
            return None
    return found if prod(found) == prod(after) else None


def _groups(before: Sequence[int], made: Sequence[int]) -> list[Group]:
    """Axes of both sides, in their order, as few together as hold the same elements; 1s at an end go to the last."""
    groups: list[Group] = []
    i = j = 0
    while i < len(before) and j < len(made):
        ours, theirs = [i], [j]
        i, j = i + 1, j + 1
        while (mine := prod(before[k] for k in ours)) != (other := prod(made[k] for k in theirs)):
            if mine < other and i < len(before):
                ours.append(i)
                i += 1
            elif j < len(made):
                theirs.append(j)
                j += 1
            else:
                return [([*range(len(before))], [*range(len(made))])]
        groups.append((ours, theirs))
    if not groups:
        return [([*range(len(before))], [*range(len(made))])]
    groups[-1][0].extend(range(i, len(before)))
    groups[-1][1].extend(range(j, len(made)))
    return groups
