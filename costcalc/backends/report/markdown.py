"""The report as a table for a page: GitHub's Markdown."""

from __future__ import annotations

from costcalc.analysis.records import Report
from costcalc.analysis.sizes import sizes
from costcalc.backends.columns import preferred, shown
from costcalc.backends.escape import markdown as escaped
from costcalc.backends.markdown import header, row, table
from costcalc.backends.report.summary import after, facts, marked, not_counted
from costcalc.backends.rows import View, flat, layers_in, titled

PLAIN = "name kind group output macs params traffic field"
TIMED = "name kind group output macs traffic time bound"


def markdown(report: Report, view: TableView) -> str:
    """A table of rows and one of totals."""
    chosen = view.columns or preferred(TIMED if report.total.time else PLAIN, view.also)
    inputs = ", ".join(f"{name} {'×'.join(map(str, shape))}" for name, shape in report.inputs.items())
    applied = f" · {escaped(after(report.settings.apply))}" * bool(report.settings.apply)
    lines = [f"**{escaped(report.name)}** · {escaped(inputs)}{applied}", ""]
    table: list[list[str]] = []
    for row in flat(report, view):
        if row.role == "shared" and not any(c.adds and c.value(row.figures) for c in chosen):
            continue
        cells = []
        for column in chosen:
            if column.name == "name":
                text = titled(row, row.name)
            elif column.name == "kind" and (text := layers_in(row)):
                pass
            elif row.role == "shared" and not (column.adds and column.value(row.figures) != 0):
                text = ""
            else:
                text = shown(column, one.figures, view.exact, report.total)
                if one.role == "total" and not column.share:
                    text = marked(report, column.marks, text)
            bold = "**" if one.role == "total" and text else ""
            cells.append(f"{bold}{escaped(text)}{bold}")
        table.append(cells)
    kept = [at for at, c in enumerate(chosen) if view.columns or c.name == "name" or any(row[at] for row in table)]
    lines += [_line([chosen[at].title for at in kept]), _line(["---" if chosen[at].left else "--:" for at in kept])]
    lines += [_line([row[at] for at in kept]) for row in table]
    lines += ["", _line(["total", "", "what it counts"]), _line(["---", "--:", "---"])]
    lines += [
        _line([name, escaped(figure), escaped(description)]) for name, figure, description in facts(report, view.also)
    ]
    if report.uncounted:
        text = not_counted(report)
        lines += ["", escaped(f"{text[0].upper()}{text[1:]}.")]
    if report.sizes:
        lines += ["", "Sizes that values decide:", "", *(f"- {escaped(line)}" for line in sizes(report))]
    return "\n".join(lines) + "\n"
