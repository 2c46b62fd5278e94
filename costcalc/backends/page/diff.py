"""The page of a change: a waterfall from the old figure to the new one, the causes, and the layers that changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from costcalc import __version__
from costcalc.amounts.shown import show, signed
from costcalc.analysis.figures import FIGURES
from costcalc.backends.diff.formats import cause_rows, figure_rows, headline, legend
from costcalc.backends.escape import html as escaped
from costcalc.backends.page.data import model_data, positions, rows_of
from costcalc.backends.page.document import Section, about, page, paragraphs, side, table, view
from costcalc.backends.page.report import CONVENTION
from costcalc.difference.records import Diff
from costcalc.ir.graph import Graph
from costcalc.pictures.waterfall import Waterfall, waterfall

FALLS = ("macs", "params", "traffic", "time")
MOST_LAYERS = 2000
"""Changed layers that the page lists; of more it says how many."""
WIDE, ROW, LABEL, VALUE = 900, 26, 320, 110
"""Of a waterfall in pixels: the whole, a step, the words on its left, the number on its right."""


def html(found: Sequence[Diff], by: str = "macs", command: str = "", graphs: Mapping[int, Graph] | None = None) -> str:
    """Each of ``found``, one after another; ``graphs`` has those of new models that are known, by position."""
    models: list[dict[str, Any]] = []
    sections: list[Section] = []
    for i, diff in enumerate(found):
        sections += _sections(diff, f"{i}-" if i else "", by, models, (graphs or {}).get(i))
    about_it = [("made by", f"costcalc {__version__}"), ("command", command)]
    sections.append(Section("about", "About", about((name, text) for name, text in about_it if text)))
    title = " · ".join(diff.name for diff in found) or "nothing changed"
    return page(title, "what changed, and why", sections, models)


def _sections(diff: Diff, mark: str, by: str, models: list[dict[str, Any]], graph: Graph | None) -> Iterator[Section]:
    named = f"{diff.name}: " if mark else ""
    figures = table(["figure", "old", "new", "change", ""], figure_rows(diff))
    figures += "".join(paragraphs(legend(diff), "soft"))
    said = "".join(paragraphs([f"{headline(diff, by)}.", *diff.notes]))
    yield Section(f"{mark}overview", f"{named}Overview", f"{said}{figures}{''.join(paragraphs([CONVENTION], 'soft'))}")
    falls = [waterfall(diff, figure) for figure in dict.fromkeys((by, *FALLS)) if _has(diff, figure)]
    if drawn := "".join(
        f"<h3>{escaped(FIGURES[fall.figure].title)}</h3>{drawing(fall)}" for fall in falls if fall.steps
    ):
        yield Section(f"{mark}waterfall", f"{named}From old to new", drawn)
    if diff.causes:
        heads = [FIGURES[by].title, FIGURES["params" if by != "params" else "macs"].title, "cause", "what", "where"]
        yield Section(f"{mark}causes", f"{named}Causes", table(heads, cause_rows(diff, by), (2, 3, 4)))
    changed = [change for change in diff.layers if change.mark != "="]
    if changed:
        figure = FIGURES[by if _has(diff, by) else "macs"]
        rows = [
            [c.mark, c.name, c.description, signed(figure, c.effect(figure.name))] for c in changed[:MOST_LAYERS]
        ]  # fmt: skip
        more = f"and {len(changed) - MOST_LAYERS:,} more" if len(changed) > MOST_LAYERS else ""
        body = table(["", "layer", "what changed", figure.title], rows, (0, 1, 2)) + "".join(paragraphs([more]))
        yield Section(f"{mark}changed", f"{named}Changed layers", body)
    sides = []
    for word, report in (("old", diff.old), ("new", diff.new)):
        if report is not None:
            sides.append(f"<h3>{word}</h3>{view('treemap', len(models))}")
            models.append(model_data(report, rows_of(report), graph if report is diff.new else None))
    choice = "" if mark else '<div data-choice="treemap"></div>'
    yield Section(f"{mark}treemap", f"{named}Treemaps", f"{choice}{side(sides)}", scripted=True)
    if graph is not None and diff.new is not None:
        at = positions(rows_of(diff.new))
        models[-1]["changed"] = [at[c.name] for c in changed if c.mark != "-" and c.name in at]
        told = "".join(
            paragraphs(["The new model; what changed, and blocks with something that did, are marked."], "soft")
        )
        yield Section(f"{mark}graph", f"{named}Graph", f"{told}{view('graph', len(models) - 1)}", scripted=True)


def _has(diff: Diff, figure: str) -> bool:
    """Whether causes tell of ``figure``, and it changed."""
    known = FIGURES[figure]
    if not known.adds or known.whole or diff.old is None or diff.new is None:
        return False
    before, after = diff.figure(figure)
    return before is not None and after is not None and before != after


def drawing(fall: Waterfall) -> str:
    """``fall`` as an SVG: the old figure, a bar for each cause where it moves it, the new figure."""
    figure = FIGURES[fall.figure]
    most = max(fall.old, fall.new, *(step.end for step in fall.steps)) or 1
    room = WIDE - LABEL - VALUE
    rows: list[tuple[str, str, Any, Any, str]] = [("old", "ends", 0, fall.old, show(figure, fall.old))]
    for step in fall.steps:
        kind = "up" if step.change > 0 else "down"
        words = f"{step.kind}: {step.description}" + (f" ({step.source})" if step.source else "")
        rows.append((words, kind, step.start, step.end, signed(figure, step.change)))
    rows.append(("new", "ends", 0, fall.new, show(figure, fall.new)))
    parts = []
    for i, (words, kind, start, end, text) in enumerate(rows):
        low, high = sorted((max(start, 0), max(end, 0)))
        x, wide, y = LABEL + room * (low / most), max(room * ((high - low) / most), 1.5), i * ROW
        short = words if len(words) <= 48 else f"{words[:47]}…"
        parts.append(
            f"<g><title>{escaped(words)}: {escaped(text)}</title>"
            f'<text x="{LABEL - 10}" y="{y + 17}" text-anchor="end">{escaped(short)}</text>'
            f'<rect class="{kind}" x="{x:.1f}" y="{y + 4}" width="{wide:.1f}" height="{ROW - 8}" rx="2"/>'
            f'<text class="strong" x="{x + wide + 6:.1f}" y="{y + 17}">{escaped(text)}</text></g>'
        )
        if i + 1 < len(rows):
            at = LABEL + room * (max(end, 0) / most)
            parts.append(f'<line class="axis" x1="{at:.1f}" x2="{at:.1f}" y1="{y + ROW - 4}" y2="{y + ROW + 4}"/>')
    said = f"{figure.title} from {show(figure, fall.old)} to {show(figure, fall.new)} by {len(fall.steps)} causes"
    box = f'viewBox="0 0 {WIDE} {ROW * len(rows)}"'
    picture = f'<svg {box} role="img" aria-label="{escaped(said)}" class="fall">{"".join(parts)}</svg>'
    return f'<div class="wide">{picture}</div>\n'
