"""The report as a table for a page: GitHub's Markdown."""

from __future__ import annotations

from costcalc.analysis.records import Report
from costcalc.analysis.sizes import sizes
from costcalc.backends.columns import shown, wanted
from costcalc.backends.escape import markdown as escaped
from costcalc.backends.markdown import header, row, table
from costcalc.backends.report.summary import after, facts, marked, not_counted
from costcalc.backends.rows import TableOptions, flat, layers_in, titled

PLAIN = "name kind group output macs params traffic field"
TIMED = "name kind group output macs traffic estimate time bound"


def markdown(report: Report, options: TableOptions) -> str:
    """A table of rows and one of totals."""
    chosen = options.columns or wanted(report, PLAIN, TIMED, options.also)
    inputs = ", ".join(f"{name} {'×'.join(map(str, shape))}" for name, shape in report.inputs.items())
    applied = f" · {escaped(after(report.settings.apply))}" * bool(report.settings.apply)
    lines = [f"**{escaped(report.name)}** · {escaped(inputs)}{applied}", ""]
    body: list[list[str]] = []
    for one in flat(report, options):
        if one.role == "shared" and not any(c.adds and c.value(one.figures) for c in chosen):
            continue
        cells = []
        for column in chosen:
            if column.name == "name":
                text = titled(one, one.name)
            elif column.name == "kind" and (text := layers_in(one)):
                pass
            elif one.role == "shared" and not (column.adds and column.value(one.figures) != 0):
                text = ""
            else:
                text = shown(column, one.figures, options.exact, report.total)
                if one.role == "total" and not column.share:
                    text = marked(report, column.marks, text)
            bold = "**" if one.role == "total" and text else ""
            cells.append(f"{bold}{escaped(text)}{bold}")
        body.append(cells)
    kept = [
        at for at, c in enumerate(chosen) if options.columns or c.name == "name" or any(cells[at] for cells in body)
    ]
    lines += header([chosen[at].title for at in kept], "".join("<" if chosen[at].left else ">" for at in kept))
    lines += [row([cells[at] for at in kept]) for cells in body]
    lines += ["", *table(["total", "", "what it counts"], "<><", facts(report, options.also))]
    if report.uncounted:
        text = not_counted(report)
        lines += ["", escaped(f"{text[0].upper()}{text[1:]}.")]
    if report.sizes:
        lines += ["", "Sizes that values decide:", "", *(f"- {escaped(line)}" for line in sizes(report))]
    return "\n".join(lines) + "\n"
