"""The report as HTML for a notebook or a page: a tree that folds, with bars. No script, no network, all names escaped.

It has the colours of the page around it, so that it reads in light and dark alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from costcalc.analysis.records import Report
from costcalc.analysis.sizes import sizes
from costcalc.backends.columns import Column, shown, wanted
from costcalc.backends.escape import html as escaped
from costcalc.backends.report.summary import facts, headline, marked, not_counted
from costcalc.backends.rows import Row, TableOptions, flat, layers_in, titled, tree

PLAIN = "name kind output macs params traffic field"
TIMED = "name kind output macs traffic estimate time bound"
MOST_ROWS = 3000
"""Of a page; a deeper network is folded until it has no more."""
BARRED = ("layer", "block", "heading")
"""Rows with a bar for their part of the MACs."""
FEW = 40
"""Layers up to which every block is open at first."""

TRACKS = {"kind": "minmax(8em,1fr)", "output": "8em", "input": "8em", "macs": "7em"}
"""How wide a column is, where that is not as others are."""

STYLE = """
.costcalc{font:13px/1.5 ui-sans-serif,system-ui,sans-serif;font-variant-numeric:tabular-nums;color:inherit;
max-width:72em;overflow-x:auto}
.costcalc .t{min-width:46em}
.costcalc .r{display:grid;grid-template-columns:minmax(14em,3fr) var(--c);gap:0 1em;padding:1px 4px;
align-items:baseline;border-bottom:1px solid rgba(128,128,128,.18)}
.costcalc .r>span{text-align:right;white-space:nowrap;overflow:hidden;text-overflow:ellipsis;position:relative}
.costcalc .r>.l{text-align:left}
.costcalc .r>.n{padding-left:calc(var(--l,0)*1.1em + 1.1em);text-align:left}
.costcalc summary{cursor:pointer;list-style:none;font-weight:600}
.costcalc summary::-webkit-details-marker{display:none}
.costcalc summary>.n::before{content:"\\25B8";display:inline-block;width:1em;margin-left:-1.1em;padding-right:.1em}
.costcalc details[open]>summary>.n::before{transform:rotate(90deg)}
.costcalc summary:focus-visible{outline:2px solid #3b82f6}
.costcalc .r:hover{background:rgba(128,128,128,.12)}
.costcalc .h,.costcalc .s{font-weight:600}
.costcalc .h{border-bottom:2px solid rgba(128,128,128,.5)}
.costcalc .s{border-top:2px solid rgba(128,128,128,.5);border-bottom:0}
.costcalc i{position:absolute;left:0;top:2px;bottom:2px;background:#3b82f6;border-radius:2px;opacity:.28}
.costcalc dl{display:grid;grid-template-columns:max-content max-content 1fr;gap:0 1em;margin:.8em 0}
.costcalc dt{font-weight:600}.costcalc dd{margin:0}.costcalc dd.v{text-align:right}.costcalc dd.w{opacity:.75}
.costcalc p{margin:.4em 0}
"""
"""Short names, since each stands in every row."""


def fragment(report: Report, options: TableOptions) -> str:
    """What a notebook shows of ``report``."""
    options, folded = _bounded(report, options)
    chosen = options.columns or wanted(report, PLAIN, TIMED, options.also)
    rows = tree(report, options)
    if options.columns is None:
        chosen = [c for c in chosen if c.name in ("name", "kind") or any(shown(c, row.figures) for row in rows[:-1])]
    tracks = " ".join(TRACKS.get(c.name, "minmax(6em,1fr)" if c.left else "5.5em") for c in chosen if c.name != "name")
    lines = [f'<div class="costcalc"><style>{STYLE}</style>']
    lines.append(f"<p><b>{escaped(report.name)}</b> {escaped(headline(report))}</p>")
    if folded:
        lines.append(f"<p>folded to {folded} levels of names, since it has {len(report.layers):,} layers</p>")
    lines.append(f'<div class="t" style="--c:{tracks}">')
    lines.append(_row([(c, escaped(c.title)) for c in chosen], "div", "r h", 0))
    lines += _tree(report, rows, chosen, options)
    lines.append("</div><dl>")
    for name, figure, description in facts(report, options.also):
        lines.append(
            f'<dt>{escaped(name)}</dt><dd class="v">{escaped(figure)}</dd><dd class="w">{escaped(description)}</dd>'
        )
    lines.append("</dl>")
    if report.uncounted:
        text = not_counted(report)
        lines.append(f"<p>{escaped(text[0].upper() + text[1:])}.</p>")
    lines += [f"<p>{escaped(line)}</p>" for line in (*sizes(report), *report.notes)]
    lines += [f"<p>assuming {escaped(condition)}</p>" for condition in report.assumptions]
    return "\n".join([*lines, "</div>"]) + "\n"


def html(report: Report, options: TableOptions) -> str:
    """A page of its own with what a notebook shows; it fetches nothing and runs nothing."""
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escaped(report.name)}: what it costs</title>
<style>body{{margin:1.5em;background:Canvas;color:CanvasText}}</style>
</head>
<body>
{fragment(report, options)}</body>
</html>
"""


def preformatted(text: str) -> str:
    """``text``, laid out in lines, for a notebook."""
    lines = "\n".join(map(escaped, text.splitlines()))
    return f'<pre style="line-height:1.3">{lines}</pre>'


def _bounded(report: Report, options: TableOptions) -> tuple[TableOptions, int]:
    """``options``, folded as far as it takes for ``MOST_ROWS`` rows, and how deep that is, 0 if it is as asked."""
    if options.depth is not None or options.by_kind or options.top is not None or len(report.layers) <= MOST_ROWS:
        return options, 0
    depth = max(layer.name.count(".") for layer in report.layers)
    while depth > 1 and len(flat(report, options._replace(depth=depth))) > MOST_ROWS:
        depth -= 1
    return options._replace(depth=max(depth, 1)), max(depth, 1)


def _tree(report: Report, rows: Sequence[Row], chosen: Sequence[Column], options: TableOptions) -> Iterator[str]:
    opened = " open" if len(report.layers) <= FEW else ""
    parts = [_part(row, report) for row in rows if row.role in BARRED]
    most = max(parts, default=0.0)
    level = 0
    for row in rows:
        while level > row.level:
            level -= 1
            yield "</details>"
        cells = [(column, _cell(report, row, column, options, most)) for column in chosen]
        if row.role == "heading":
            yield f"<details{opened}>" + _row(cells, "summary", "r", row.level)
            level += 1
        elif row.role != "shared" or any(text for column, text in cells if column.name != "name"):
            yield _row(cells, "div", "r s" if row.role == "total" else "r", row.level)
    yield "</details>" * level


def _row(cells: Sequence[tuple[Column, str]], tag: str, kind: str, level: int) -> str:
    made = []
    for column, text in cells:
        if column.name == "name":
            made.append(f'<span class="n" style="--l:{level}">{text}</span>')
        else:
            made.append(f'<span class="l">{text}</span>' if column.left else f"<span>{text}</span>")
    return f'<{tag} class="{kind}">{" ".join(made)}</{tag}>'


def _cell(report: Report, row: Row, column: Column, options: TableOptions, most: float) -> str:
    if column.name == "name":
        return escaped(titled(row, row.label))
    if column.name == "kind" and (layers := layers_in(row)):
        return layers
    if row.role == "shared" and (not column.adds or column.value(row.figures) == 0):
        return ""
    text = escaped(shown(column, row.figures, options.exact, report.total))
    if row.role == "total" and not column.share:
        return escaped(marked(report, column.marks, shown(column, row.figures, options.exact)))
    if column.name == "macs" and row.role in BARRED and most:
        width = 100 * _part(row, report) / most
        return f'{text}<i style="width:{width:.3g}%"></i>' if width else text
    return text


def _part(row: Row, report: Report) -> float:
    """Its part of the MACs."""
    part, whole = row.figures.macs, report.total.macs
    return part / whole if isinstance(part, int) and isinstance(whole, int) and whole else 0.0
