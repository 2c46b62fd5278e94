"""The report as a table for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from textwrap import wrap

from costcalc.amounts.units import percent
from costcalc.analysis.figures import WIDE, figures_in
from costcalc.analysis.records import Report
from costcalc.backends.columns import Column, amount, columns, preferred, shown
from costcalc.backends.escape import visible
from costcalc.backends.folding import folds_that_fit
from costcalc.backends.grid import GAP, grid
from costcalc.backends.paint import Paint, bar, painted, plain
from costcalc.backends.report.summary import headline, marked, summary
from costcalc.backends.rows import Row, TableOptions, layers_in, shown_layers, titled, tree
from costcalc.classes import NamedTuple

PLAIN = "name group macs params output traffic kind field storage ops intensity input read write buffers source inputs"
TIMED = (
    "name group estimate time bound macs traffic time_share kind params output field macs_share intensity storage "
    "input source"
)
KINDS = "name group estimate time bound macs_share time_share kind traffic macs params intensity ops storage"
"""Which columns to show, the most wanted first; other figures come after these. Of kinds of layers on a machine the
shares come first: which are cheap in MACs and slow is what they are asked for."""
MAIN = "name group kind output macs params traffic field estimate time time_share bound energy"
"""Those of which a line says that there is no room for them."""
LEAST = {"name": 16, "group": 12, "kind": 9}
"""What columns that may be cut short need at least."""
BAR = 6
BARS = "bars"
"""The column of bars that is asked for."""
LONG, SHORT = 20, 6
"""Characters of the longest of them, and where a terminal is narrow."""
LEAVES = ("layer", "block")
FEWEST = 4
"""Rows that a screen shows, however small it is."""


class Fitted(NamedTuple):
    """Rows, and what was left out of them.

    cells   column → its title and its cells
    hidden  titles of main columns for which there was no room
    folded  whether there are fewer rows than there would be
    """

    rows: list[Row]
    cells: dict[str, list[str]]
    hidden: list[str]
    folded: bool


def table(report: Report, options: TableOptions) -> str:
    """The whole table, a line a row, then the totals in full."""
    paint = painted if options.colour else plain
    head = [f"{paint(report.name, 'bold')}  {headline(report)}"]
    if report.source:
        head += [paint(line, "dim") for line in wrap(visible(report.source), max(options.width, 40))]
    totals = summary(report, options.width, paint, options.also)
    rows, folded = _rows(report, options, len(head) + len(totals))
    if len(rows) < 2:
        return "\n".join([*head, "", *totals, ""])
    found = _fitted(report, rows, options, folded)
    said = [paint(line, "dim") for line in _left_out(report, found, options)]
    return "\n".join([*head, "", *_lines(report, found, options, paint), *said, "", *totals, ""])


def _rows(report: Report, options: TableOptions, other: int) -> tuple[list[Row], bool]:
    """The rows, folded to what a screen has room for beside ``other`` lines; and whether they are."""
    rows = tree(report, options)
    if options.lines is None:
        return rows, False
    # Beside them the titles, two rules, the total, what may be shared, a blank line before and after them, what was
    # left out in two lines, and the prompt.
    room = max(options.lines - other - 10, FEWEST)
    if len(rows) - 1 <= room:
        return rows, False
    if options.sort is not None or options.by_kind:
        return tree(report, options._replace(top=room - 1)), True
    return tree(report, options, folds_that_fit(report, shown_layers(report), room)), True


def _left_out(report: Report, found: Fitted, options: TableOptions) -> list[str]:
    """A line that tells how to see all rows, and one how to see all columns, where some are left out."""
    lines = []
    if found.folded:
        nested = options.sort is None and not options.by_kind and any("." in layer.name for layer in report.layers)
        what = "every row" if options.by_kind else f"all {len(report.layers):,} layers"
        lines.append(f"folded to fit the screen: --all shows {what}" + ", --depth 2 two levels" * nested)
    if found.hidden:
        lines.append(f"no room for {', '.join(found.hidden)}: --columns chooses, a wider terminal has more")
    return [part for line in lines for part in wrap(line, max(options.width, 40))]


def _lines(report: Report, found: Fitted, options: TableOptions, paint: Paint) -> list[str]:
    rows, cells = found.rows, found.cells
    if rows[-2].role == "shared" and not any(column[-2] for name, column in cells.items() if name != "name"):
        rows, cells = [*rows[:-2], rows[-1]], {name: [*c[:-2], c[-1]] for name, c in cells.items()}
    every = _with_bars({**columns(), **{column.name: column for column in options.columns or ()}}, options)
    left = {name for name in cells if every[name].left}
    ends = () if any(row.level for row in rows) else ("name",)
    least = LEAST | {"name": 6} if options.bounded else {}
    lines = []
    for row, texts in zip([None, *rows], grid(cells, options.width, left, least, ends), strict=True):
        line = [paint(text, _style(every[name], row)) for name, text in zip(cells, texts, strict=True)]
        lines.append(GAP.join(line).rstrip())
        rule = paint("─" * len(GAP.join(texts)), "dim")
    return [lines[0], rule, *lines[1:-1], rule, lines[-1]]


def _fitted(report: Report, rows: list[Row], options: TableOptions, folded: bool) -> Fitted:
    """The columns asked for, or those that fit into the width."""
    every = _with_bars(columns(), options)
    longest = max((n for row in rows if row.role in LEAVES and (n := _drawn(options, row)) is not None), default=0)
    parts = [_share(c, row, report) for c in every.values() if c.share for row in rows if row.role in LEAVES]
    most = max(parts, default=0.0)

    def cells(column: Column) -> list[str]:
        if column.name == BARS:
            return ["", *(_bar(options, row, longest, long) for row in rows)]
        return [column.title, *(_cell(column, row, report, options.exact, most) for row in rows)]

    long = LONG
    if options.bars is not None and options.bounded and options.columns is None:  # beside a name and its number
        beside = (min(max(map(len, cells(every["name"]))), LEAST["name"]), max(map(len, cells(options.bars))))
        long = max(min(LONG, options.width - sum(beside) - 2 * len(GAP)), SHORT)
    if options.columns is not None:
        asked = _with_bars({column.name: column for column in options.columns}, options)
        return Fitted(rows, {name: cells(column) for name, column in asked.items()}, [], folded)
    order = PLAIN if report.machine is None else KINDS if options.by_kind else TIMED
    order = f"energy {order}" if report.energies else order
    wanted = [column.name for column in preferred(order, options.also)]
    wanted += [figure.name for figure in figures_in(WIDE) if figure.name not in f"{PLAIN} {TIMED}".split()]
    if options.bars is not None:
        wanted = list(dict.fromkeys(["name", options.bars.name, BARS, *wanted]))
    chosen = _that_fit(wanted, lambda name: cells(every[name]), options)

    def has_any(name: str) -> bool:
        return name in wanted and any(_cell(every[name], row, report, options.exact, most) for row in rows)

    hidden = [every[name].title for name in MAIN.split() if name not in chosen and has_any(name)]
    return Fitted(rows, {name: chosen[name] for name in every if name in chosen}, hidden, folded)


def _with_bars(some: Mapping[str, Column], options: TableOptions) -> Mapping[str, Column]:
    """``some`` columns, and behind that of which bars are asked for, which is then among them, its bars."""
    if options.bars is None:
        return some
    found: dict[str, Column] = {}
    for name, column in {**some, options.bars.name: options.bars}.items():
        found[name] = column
        if name == options.bars.name:
            found[BARS] = Column(BARS, "", lambda figures: None, left=True)
    return found


def _drawn(options: TableOptions, row: Row) -> float | None:
    return amount(options.bars, row.figures) if options.bars is not None else None


def _bar(options: TableOptions, row: Row, longest: float, long: int) -> str:
    """The bar of a row, as long as its number is large, at most ``long``; "" of what is no layer, no folded block."""
    number = _drawn(options, row) if row.role in LEAVES else None
    return bar(number / longest, long).rstrip() if number and longest else ""


def _that_fit(wanted: Sequence[str], cells: Callable[[str], list[str]], options: TableOptions) -> dict[str, list[str]]:
    """Which of the columns, the most wanted first, fit side by side; the main ones all where lines have no bound."""
    chosen: dict[str, list[str]] = {}
    if not options.bounded:
        asked = (options.bars.name, BARS) if options.bars is not None else ()
        main = {name: cells(name) for name in wanted if name in (*MAIN.split(), *asked)}
        chosen = {name: column for name, column in main.items() if any(column[1:])}
    widths = {name: max(map(len, column)) for name, column in chosen.items()}
    least = LEAST if options.bounded else {}
    for name in wanted:
        if name in chosen:
            continue
        column = cells(name)
        if not any(column[1:]):
            continue
        wide = widths | {name: max(map(len, column))}
        needed = sum(min(w, least.get(n, w)) for n, w in wide.items()) + len(GAP) * (len(wide) - 1)
        if needed > options.width and len(chosen) > 1:
            break
        chosen[name], widths = column, wide
        if name == "kind":
            least = {}  # what is wanted less than the kind may not shorten anything
    return chosen


def _cell(column: Column, row: Row, report: Report, exact: bool, most: float) -> str:
    if column.name == "name":
        return "  " * row.level + titled(row, row.label)
    if column.name == "kind" and (layers := layers_in(row)):
        return layers
    if column.share:
        if row.role == "shared" or column.value(report.total) is None:
            return ""
        part = percent(_share(column, row, report), 1.0).rjust(6)
        return (bar(_share(column, row, report) / most, BAR) if row.role in LEAVES and most else " " * BAR) + part
    if row.role == "shared" and (not column.adds or column.value(row.figures) == 0):
        return ""
    text = shown(column, row.figures, exact)
    return marked(report, column.marks, text) if row.role == "total" else text


def _share(column: Column, row: Row, report: Report) -> float:
    part, whole = column.value(row.figures), column.value(report.total)
    return part / whole if isinstance(part, (int, float)) and isinstance(whole, (int, float)) and whole else 0.0


def _style(column: Column, row: Row | None) -> str:
    """How a cell is painted; ``row`` is None for the titles."""
    if row is None or row.role == "total":
        return "bold"
    if row.role == "heading":
        return "cyan" if column.name == "name" else "dim"
    if row.role in ("rest", "shared"):
        return "dim"
    if column.name in ("bound", "time_share"):
        return getattr(getattr(row.figures, "time", None), "bound", "")
    return (
        "cyan" if column.share or column.name == BARS else "dim" if column.name in ("kind", "source", "inputs") else ""
    )
