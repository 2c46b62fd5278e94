"""Exact figures as people read them: three digits and a unit. Only here are figures rounded.

Counts are rounded by integer arithmetic, so a number of any size comes out right.
"""

from __future__ import annotations

SI = ("", "k", "M", "G", "T", "P", "E", "Z", "Y", "R", "Q")
IEC = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB", "RiB", "QiB")
PARTS = ("", "m", "µ", "n", "p", "f")


def count(n: int) -> str:
    """``n`` with an SI unit.

    >>> count(0), count(999), count(4_089_184_256), count(999_999), count(10**40)
    ('0', '999', '4.09 G', '1.00 M', '1.00e40')
    """
    return str(n) if -1000 < n < 1000 else _scaled(n, 1, 1000, SI)


def size(bits: int) -> str:
    """``bits`` as bytes with an IEC unit.

    >>> size(0), size(8 * 1536), size(8 * 1023), size(4)
    ('0 B', '1.50 KiB', '1023 B', '0.5 B')
    """
    if -8 * 1024 < bits < 8 * 1024:
        return f"{bits / 8:g} B"
    return _scaled(bits, 8, 1024, IEC)


def seconds(t: float) -> str:
    """``t`` seconds in the unit that suits.

    >>> seconds(0.0), seconds(0.00123), seconds(2.5e-7), seconds(90), seconds(11_455_870)
    ('0 s', '1.23 ms', '250 ns', '90.0 s', '11,455,870 s')
    """
    return _small(t, "s")


def joules(energy: float) -> str:
    """``energy`` in joules in the unit that suits.

    >>> joules(0.0), joules(0.00123), joules(4.6e-12)
    ('0 J', '1.23 mJ', '4.60 pJ')
    """
    return _small(energy, "J")


def grams(mass: float) -> str:
    """``mass`` in grams in the unit that suits.

    >>> grams(0.0), grams(9.71e-6), grams(1.5)
    ('0 g', '9.71 µg', '1.50 g')
    """
    return _small(mass, "g")


def _small(value: float, unit: str) -> str:
    step = 0
    while value and value * 1000**step < 0.9995 and step < len(PARTS) - 1:
        step += 1
    return f"{_three(value * 1000**step)} {PARTS[step]}{unit}"


def amount(value: float) -> str:
    """A number that is not a count, to four digits and to whole ones.

    >>> amount(60.0), amount(0.001), amount(1.6716), amount(23.976), amount(9252.4), amount(1e9)
    ('60', '0.001', '1.672', '23.98', '9,252', '1,000,000,000')
    """
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def rate(per_second: float) -> str:
    """Bytes a second, in powers of 1000 as data sheets have them.

    >>> rate(2.039e12), rate(12)
    ('2.04 TB/s', '12.0 B/s')
    """
    step = 0
    while per_second / 1000**step >= 999.5 and step < len(SI) - 1:
        step += 1
    return f"{_three(per_second / 1000**step)} {SI[step]}B/s"


def percent(part: float, whole: float) -> str:
    """``part`` of ``whole`` in percent; of nothing, a dash.

    >>> percent(1, 8), percent(1, 3000), percent(0, 5), percent(0, 0)
    ('12.5%', '<0.1%', '0%', '–')
    """
    if not whole:
        return "–"
    share = 100 * (part / whole)
    return f"{share:.1f}%" if share >= 0.05 else "<0.1%" if part else "0%"


def grouped(n: int) -> str:
    """All digits of ``n``, in threes; past a thousand digits only the first three and the power of ten.

    >>> grouped(4089184256)
    '4,089,184,256'
    """
    return f"{n:,}" if n.bit_length() < 3000 else powers(n)


def grouped_size(bits: int) -> str:
    """``bits`` as bytes with all their digits.

    >>> grouped_size(8 * 4089184256), grouped_size(-12)
    ('4,089,184,256 B', '-1.5 B')
    """
    whole, part = divmod(abs(bits), 8)
    return f"{'-' if bits < 0 else ''}{grouped(whole)}{f'{part / 8:g}'[1:] if part else ''} B"


def _scaled(n: int, per: int, base: int, units: tuple[str, ...]) -> str:
    """``n / per`` in the unit that leaves fewest digits before the point, to three digits."""
    sign, n, whole = "-" if n < 0 else "", abs(n), abs(n) // per
    for unit in units:
        # 0.5 is what rounding adds to a number without decimals.
        if 2 * n < (2 * base - 1) * per:
            decimals = 2 if 200 * n < 1999 * per else 1 if 20 * n < 1999 * per else 0
            digits = str(_rounded(n * 10**decimals, per)).rjust(decimals + 1, "0")
            return f"{sign}{digits[:-decimals]}.{digits[-decimals:]} {unit}" if decimals else f"{sign}{digits} {unit}"
        per *= base
    return f"{sign}{powers(whole)} {units[0]}".rstrip()


def powers(n: int) -> str:
    """``n`` as 1.23e45, for what has no unit."""
    power = (n.bit_length() - 1) * 1233 // 4096  # ⌊log₁₀ 2ᵇ⌋, at most one too small where it is not exact
    while _rounded(n, 10 ** (power - 2)) > 999:
        power += 1
    digits = str(_rounded(n, 10 ** (power - 2)))
    return f"{digits[0]}.{digits[1:]}e{power}"


def _rounded(n: int, per: int) -> int:
    return (2 * n + per) // (2 * per)


def _three(value: float) -> str:
    decimals = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:,.{decimals}f}" if value else "0"
