r"""Tables for papers: LaTeX with ``booktabs``, numbers of a column in one unit and aligned by ``siunitx``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from costcalc.amounts.scaled import STEPS, scaled
from costcalc.analysis.records import Report
from costcalc.analysis.sizes import sizes
from costcalc.backends.columns import Column, shown, wanted
from costcalc.backends.escape import latex as escaped
from costcalc.backends.report.summary import headline, marked, not_counted
from costcalc.backends.rows import TableOptions, flat, layers_in, titled
from costcalc.classes import NamedTuple
from costcalc.ir.expr import Expr

PLAIN = "name kind output params macs traffic"
TIMED = "name kind output macs traffic estimate time bound"
PACKAGES = "booktabs, siunitx"


def number(text: str) -> str:
    """A number of a column as an ``S`` column has it; what is not a number stands in braces."""
    return f"{{$<${text[1:]}}}" if text.startswith("<") else text


class Head(NamedTuple):
    """The head of a column: its title, and how its cells are set: ``l``, ``r``, or ``S`` with digits of each side."""

    title: str
    align: str


def aligned(title: str, texts: Iterable[str]) -> Head:
    """The head of a column of numbers, aligned at the decimal point."""
    texts = [*texts]
    parts = [text.strip("+-").partition(".") for text in texts if text and not text.startswith("{")]
    whole, decimals = (max((len(part[side]) for part in parts), default=1 - side // 2) for side in (0, 2))
    sign = "-" if any(text.startswith("-") for text in texts) else ""
    return Head(title, f"S[table-format={sign}{whole}.{decimals}]")


def tabular(
    heads: Sequence[Head], rows: Sequence[Sequence[str]], rules: Sequence[int] = (), description: Sequence[str] = ()
) -> str:
    """A table of cells that are LaTeX already.

    rules   before which rows a rule is drawn
    description  sentences below it, as LaTeX
    """
    lines = [f"% needs \\usepackage{{{PACKAGES.replace(' ', '')}}}"]
    lines += [f"\\begin{{tabular}}{{@{{}}{''.join(head.align for head in heads)}@{{}}}}", "\\toprule"]
    titles = [f"{{{head.title}}}" if head.align[0] == "S" else head.title for head in heads]
    lines += [" & ".join(titles) + r" \\", "\\midrule"]
    for number, row in enumerate(rows):
        lines += ["\\midrule"] * (number in rules)
        lines.append(" & ".join(row) + r" \\")
    lines += ["\\bottomrule", "\\end{tabular}"]
    lines += [f"\\par\\smallskip\\noindent{{\\footnotesize {' '.join(description)}\\par}}"] * bool(description)
    return "\n".join(lines) + "\n"


def latex(report: Report, options: TableOptions) -> str:
    """The rows and the total of ``report``."""
    chosen = options.columns or wanted(report, PLAIN, TIMED, options.also)
    rows = [
        row
        for row in flat(report, options)
        if row.role != "shared" or any(c.adds and c.value(row.figures) for c in chosen)
    ]
    heads, cells = [], []
    for column in chosen:
        values = [None if row.role == "shared" and not column.adds else column.value(row.figures) for row in rows]
        if column.unit and column.unit in STEPS and not column.share and not any(isinstance(v, Expr) for v in values):
            numbers = scaled(values, column.unit)
            title = escaped(f"{column.title} ({numbers.unit})" if numbers.unit else column.title)
            texts = [number(text) for text in numbers.texts]
            heads.append(aligned(title, texts))
            mark = report.mark(column.marks)
            if mark and texts[-1]:
                texts[-1] = f"{{{MARKS[mark]}{texts[-1].strip('{}')}}}"
        else:
            heads.append(Head(escaped(column.title), "l" if column.left else "r"))
            texts = [_text(column, row, options, report) for row in rows]
        cells.append(texts)
    filled = [at for at, c in enumerate(chosen) if options.columns or c.name == "name" or any(cells[at])]
    heads, cells = [heads[at] for at in filled], [cells[at] for at in filled]
    description = [escaped(f"{report.name}, {headline(report)}; one MAC is one multiplication and one addition.")]
    description += [escaped(f"{line}.") for line in ([not_counted(report)] if report.uncounted else [])]
    description += [escaped(line) for line in sizes(report)]
    return tabular(heads, list(zip(*cells, strict=True)), [len(rows) - 1], description)


MARKS = {"≥": r"$\geq$\,", "≤": r"$\leq$\,", "≈": r"$\approx$\,"}


def _text(column: Column, row: Any, options: TableOptions, report: Report) -> str:
    if column.name == "name":
        return escaped(titled(row, row.name))
    if column.name == "kind" and (layers := layers_in(row)):
        return layers
    if row.role == "shared" and not column.adds:
        return ""
    text = shown(column, row.figures, options.exact, report.total)
    return escaped(marked(report, column.marks, text) if row.role == "total" and not column.share else text)
