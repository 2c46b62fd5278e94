r"""Tables for papers: LaTeX with ``booktabs``, numbers of a column in one unit and aligned by ``siunitx``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

from costcalc.analysis.figures import BITS, COUNT, JOULES, SECONDS
from costcalc.analysis.records import Report
from costcalc.analysis.sizes import sizes
from costcalc.backends.columns import Column, preferred, shown
from costcalc.backends.escape import latex as escaped
from costcalc.backends.report.summary import headline, marked, not_counted
from costcalc.backends.rows import View, flat, layers_in, titled
from costcalc.classes import NamedTuple
from costcalc.ir.expr import Expr

PLAIN = "name kind output params macs traffic"
TIMED = "name kind output macs traffic time bound"
PACKAGES = "booktabs, siunitx"

STEPS: dict[str, list[tuple[Fraction, str]]] = {
    COUNT: [(Fraction(1000**n), unit) for n, unit in enumerate(("", "k", "M", "G", "T", "P", "E"))],
    BITS: [(Fraction(8 * 1024**n), unit) for n, unit in enumerate(("B", "KiB", "MiB", "GiB", "TiB", "PiB"))],
    SECONDS: [(Fraction(1, 1000**n), f"{unit}s") for n, unit in ((3, "n"), (2, r"\textmu "), (1, "m"), (0, ""))],
    JOULES: [
        (Fraction(1, 1000**n), f"{unit}J") for n, unit in ((4, "p"), (3, "n"), (2, r"\textmu "), (1, "m"), (0, ""))
    ],
}  # fmt: skip
"""Unit of a figure → how many of it each step of its scale is, and what that is called."""


class Numbers(NamedTuple):
    """A column of numbers in one unit.

    unit    ``M``, ``KiB``; "" where none is needed
    texts   each number in that unit, to as many decimals as give the largest three digits; "" for None
    """

    unit: str
    texts: list[str]


def scaled(values: Sequence[Any], unit: str) -> Numbers:
    """``values``, of a figure with this ``unit``, in the one that leaves the largest between 1 and 1000.

    >>> scaled([4_089_184_256, 1_814_073_344, None], COUNT)
    Numbers(unit='G', texts=['4.09', '1.81', ''])
    >>> scaled([12, 7], COUNT), scaled([8 * 3072, 8], BITS)
    (Numbers(unit='', texts=['12', '7']), Numbers(unit='KiB', texts=['3.00', '{$<$0.01}']))
    """
    known = [abs(Fraction(v)) for v in values if v is not None]
    largest = max(known, default=Fraction(0))
    steps = STEPS.get(unit, [(Fraction(1), "")])
    per, called = next((step for step in reversed(steps) if largest >= step[0]), steps[0])
    top = largest / per
    whole = all(v % per == 0 for v in known) and per in (1, 8)
    decimals = 0 if whole else 2 if top < 100 else 1
    return Numbers(called, [_number(v, per, decimals) for v in values])


def _number(value: Any, per: Fraction, decimals: int) -> str:
    if value is None:
        return ""
    exact = Fraction(value) / per
    digits = round(exact * 10**decimals)
    if exact and not digits:
        return f"{{$<${1 / 10**decimals:.{decimals}f}}}"
    text = str(abs(digits)).rjust(decimals + 1, "0")
    return ("-" if digits < 0 else "") + (f"{text[:-decimals]}.{text[-decimals:]}" if decimals else text)


class Head(NamedTuple):
    """The head of a column: its title, and how its cells are set: ``l``, ``r``, or ``S`` with digits of each side."""

    title: str
    align: str


def aligned(title: str, texts: Iterable[str]) -> Head:
    """The head of a column of numbers, aligned at the decimal point."""
    parts = [text.strip("-").partition(".") for text in texts if text and not text.startswith("{")]
    whole, decimals = (max((len(part[side]) for part in parts), default=1 - side // 2) for side in (0, 2))
    return Head(title, f"S[table-format={whole}.{decimals}]")


def tabular(
    heads: Sequence[Head], rows: Sequence[Sequence[str]], rules: Sequence[int] = (), says: Sequence[str] = ()
) -> str:
    """A table of cells that are LaTeX already.

    rules   before which rows a rule is drawn
    says    lines below it, as LaTeX
    """
    lines = [f"% needs \\usepackage{{{PACKAGES.replace(' ', '')}}}"]
    lines += [f"\\begin{{tabular}}{{@{{}}{''.join(head.align for head in heads)}@{{}}}}", "\\toprule"]
    titles = [f"{{{head.title}}}" if head.align[0] == "S" else head.title for head in heads]
    lines += [" & ".join(titles) + r" \\", "\\midrule"]
    for number, row in enumerate(rows):
        lines += ["\\midrule"] * (number in rules)
        lines.append(" & ".join(row) + r" \\")
    lines += ["\\bottomrule", "\\end{tabular}"]
    lines += [f"\\par\\smallskip{{\\footnotesize {line}}}" for line in says]
    return "\n".join(lines) + "\n"


def latex(report: Report, view: View) -> str:
    """The rows and the total of ``report``."""
    chosen = view.columns or preferred(TIMED if report.total.time else PLAIN, view.also)
    rows = [
        row
        for row in flat(report, view)
        if row.role != "shared" or any(c.adds and c.value(row.figures) for c in chosen)
    ]
    heads, cells = [], []
    for column in chosen:
        values = [None if row.role == "shared" and not column.adds else column.value(row.figures) for row in rows]
        if column.unit and column.unit in STEPS and not column.share and not any(isinstance(v, Expr) for v in values):
            numbers = scaled(values, column.unit)
            title = escaped(column.title) + (f" ({numbers.unit})" if numbers.unit else "")
            heads.append(aligned(title, numbers.texts))
            texts = numbers.texts
            mark = report.mark(column.marks)
            if mark and texts[-1]:
                texts[-1] = f"{{{MARKS[mark]}{texts[-1].strip('{}')}}}"
        else:
            heads.append(Head(escaped(column.title), "l" if column.left else "r"))
            texts = [_text(column, row, view, report) for row in rows]
        cells.append(texts)
    filled = [at for at, c in enumerate(chosen) if view.columns or c.name == "name" or any(cells[at])]
    heads, cells = [heads[at] for at in filled], [cells[at] for at in filled]
    says = [escaped(f"{report.name}, {headline(report)}; one MAC is one multiplication and one addition.")]
    says += [escaped(f"{line}.") for line in ([not_counted(report)] if report.uncounted else [])]
    says += [escaped(line) for line in sizes(report)]
    return tabular(heads, list(zip(*cells, strict=True)), [len(rows) - 1], says)


MARKS = {"≥": r"$\geq$\,", "≤": r"$\leq$\,", "≈": r"$\approx$\,"}


def _text(column: Column, row: Any, view: View, report: Report) -> str:
    if column.name == "name":
        return escaped(titled(row, row.name))
    if column.name == "kind" and (layers := layers_in(row)):
        return layers
    if row.role == "shared" and not column.adds:
        return ""
    text = shown(column, row.figures, view.exact, report.total)
    return escaped(marked(report, column.marks, text) if row.role == "total" and not column.share else text)
