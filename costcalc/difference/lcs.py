"""The longest common subsequence of two sequences, by arithmetic on long integers.

The table of lengths has one row for each element of ``b``; neighbouring lengths in a row differ by 0 or
1, so a row is one bit string, and the next follows from it by an addition (Crochemore et al., "A fast
and practical bit-vector algorithm for the longest common subsequence problem", 2001). Python adds
integers of thousands of bits in a fraction of a microsecond, so networks of thousands of layers are
aligned exactly in milliseconds, however much they differ.
"""

from __future__ import annotations

from collections.abc import Sequence

MAX_BITS = 2 * 10**9
"""Rows are kept for the way back; past this much the middle is left unmatched."""


def common(a: Sequence[int], b: Sequence[int]) -> list[tuple[int, int]]:
    """Pairs (i, j), rising in both, with ``a[i] == b[j]``, as many as there can be.

    >>> common([1, 2, 3, 4], [2, 9, 3, 4, 5])
    [(1, 0), (2, 2), (3, 3)]
    """
    start, end_a, end_b = 0, len(a), len(b)
    while start < end_a and start < end_b and a[start] == b[start]:
        start += 1
    while end_a > start and end_b > start and a[end_a - 1] == b[end_b - 1]:
        end_a, end_b = end_a - 1, end_b - 1
    head = [(i, i) for i in range(start)]
    tail = [(i, i - end_a + end_b) for i in range(end_a, len(a))]
    # What occurs on one side only cannot be common.
    both = {*a[start:end_a]} & {*b[start:end_b]}
    kept_a = [i for i in range(start, end_a) if a[i] in both]
    kept_b = [j for j in range(start, end_b) if b[j] in both]
    if len(kept_a) * len(kept_b) > MAX_BITS:
        return head + tail
    middle = _by_bits([a[i] for i in kept_a], [b[j] for j in kept_b])
    return head + [(kept_a[i], kept_b[j]) for i, j in middle] + tail


def _by_bits(a: list[int], b: list[int]) -> list[tuple[int, int]]:
    places: dict[int, int] = {}
    for i, token in enumerate(a):
        places[token] = places.get(token, 0) | 1 << i
    full = (1 << len(a)) - 1
    row, rows = full, []
    for token in b:
        hits = row & places[token]
        row = ((row + hits) | (row - hits)) & full
        rows.append(row)
    # Bit i of row j is 0 where the length grows from i to i+1.
    pairs = []
    i, j = len(a) - 1, len(b) - 1
    while i >= 0 and j >= 0:
        if a[i] == b[j]:
            pairs.append((i, j))
            i, j = i - 1, j - 1
        elif rows[j] >> i & 1:
            i -= 1
        else:
            j -= 1
    return pairs[::-1]
