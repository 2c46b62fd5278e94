"""The page of a change: a waterfall from the old figure to the new one, the causes, and the layers that changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from costcalc import __version__
from costcalc.amounts.formatting import show, signed
from costcalc.analysis.figures import FIGURES
from costcalc.backends.diff.formats import cause_rows, figure_rows, headline, legend
from costcalc.backends.escape import html as escaped
from costcalc.backends.page.data import model_data, positions, rows_of
from costcalc.backends.page.document import CHOICE, Section, about, page, paragraphs, placeholder, side, table
from costcalc.backends.page.report import CONVENTION
from costcalc.difference.records import Diff
from costcalc.ir.graph import Graph
from costcalc.pictures.waterfall import Waterfall, waterfall

FALLS = ("macs", "params", "traffic", "time", "energy")
MOST_LAYERS = 2000
"""Changed layers that the page lists; of more it says how many."""


def html(found: Sequence[Diff], by: str = "macs", command: str = "", graphs: Mapping[int, Graph] | None = None) -> str:
    """Each of ``found``, one after another; ``graphs`` has those of new models that are known, by position."""
    models: list[dict[str, Any]] = []
    sections: list[Section] = []
    for i, diff in enumerate(found):
        named = diff.name if len(found) > 1 else ""
        sections += sections_of(diff, models, (graphs or {}).get(i), by=by, mark=f"{i}-" if i else "", named=named)
    about_it = [("made by", f"costcalc {__version__}"), ("command", command)]
    sections.append(Section("about", "About", about((name, text) for name, text in about_it if text)))
    title = " · ".join(diff.name for diff in found) or "nothing changed"
    return page(title, "what changed, and why", sections, models)


def sections_of(
    diff: Diff, models: list[dict[str, Any]], graph: Graph | None, *, by: str = "macs", mark: str = "", named: str = ""
) -> Iterator[Section]:
    """The parts of the page that tell of ``diff``; what scripts draw of its two models is put onto ``models``.

    graph   of the new model, where it is known
    mark    before the anchor of each part
    named   before its title, where a page tells of several; of these the first part alone is linked at the top
    """
    first, before, link = not models, f"{named}: " if named else "", "" if named else None
    figures = table(["figure", "old", "new", "change", ""], figure_rows(diff))
    figures += "".join(paragraphs(legend(diff), "soft"))
    said = "".join(paragraphs([f"{headline(diff, by)}.", *diff.notes]))
    convention = "".join(paragraphs([CONVENTION], "soft"))
    yield Section(f"{mark}overview", f"{before}Overview", f"{said}{figures}{convention}", link=named or None)
    falls = [waterfall(diff, figure) for figure in dict.fromkeys((by, *FALLS)) if _has(diff, figure)]
    if drawn := "".join(
        f"<h3>{escaped(FIGURES[fall.figure].title)}</h3>{drawing(fall)}" for fall in falls if fall.steps
    ):
        yield Section(f"{mark}waterfall", f"{before}From old to new", drawn, link=link)
    if diff.causes:
        heads = [FIGURES[by].title, FIGURES["params" if by != "params" else "macs"].title, "cause", "what", "where"]
        yield Section(f"{mark}causes", f"{before}Causes", table(heads, cause_rows(diff, by), (2, 3, 4)), link=link)
    changed = [change for change in diff.layers if change.mark != "="]
    if changed:
        figure = FIGURES[by if _has(diff, by) else "macs"]
        rows = [
            [c.mark, c.name, c.description, signed(figure, c.effect(figure.name))] for c in changed[:MOST_LAYERS]
        ]  # fmt: skip
        more = f"and {len(changed) - MOST_LAYERS:,} more" if len(changed) > MOST_LAYERS else ""
        body = table(["", "layer", "what changed", figure.title], rows, (0, 1, 2)) + "".join(paragraphs([more]))
        yield Section(f"{mark}changed", f"{before}Changed layers", body, link=link)
    sides = []
    for word, report in (("old", diff.old), ("new", diff.new)):
        if report is not None:
            sides.append(f"<h3>{word}</h3>{placeholder('treemap', len(models))}")
            models.append(model_data(report, rows_of(report), graph if report is diff.new else None))
            models[-1]["scale"] = mark
    choice = CHOICE if first else ""
    yield Section(f"{mark}treemap", f"{before}Treemaps", f"{choice}{side(sides)}", True, link)
    if graph is not None and diff.new is not None:
        at = positions(rows_of(diff.new))
        models[-1]["changed"] = [at[c.name] for c in changed if c.mark != "-" and c.name in at]
        told = "".join(
            paragraphs(["The new model; what changed, and blocks with something that did, are marked."], "soft")
        )
        yield Section(f"{mark}graph", f"{before}Graph", f"{told}{placeholder('graph', len(models) - 1)}", True, link)


def _has(diff: Diff, figure: str) -> bool:
    """Whether causes tell of ``figure``, and it changed."""
    known = FIGURES[figure]
    if not known.is_summed or diff.old is None or diff.new is None:
        return False
    before, after = diff.figure(figure)
    return before is not None and after is not None and before != after


def drawing(fall: Waterfall) -> str:
    """``fall`` as a list: the old figure, a bar for each cause from where it begins to where it ends, the new figure.

    Positions are percents of the room for bars, which is as wide as the page lets it.
    """
    figure = FIGURES[fall.figure]
    most = max(fall.old, fall.new, *(step.end for step in fall.steps)) or 1
    rows: list[tuple[str, str, Any, Any, str]] = [("old", "ends", 0, fall.old, show(figure, fall.old))]
    for step in fall.steps:
        kind = "up" if step.change > 0 else "down"
        words = f"{step.kind}: {step.description}" + (f" ({step.source})" if step.source else "")
        rows.append((words, kind, step.start, step.end, signed(figure, step.change)))
    rows.append(("new", "ends", 0, fall.new, show(figure, fall.new)))
    parts = []
    for words, kind, start, end, text in rows:
        low, high = sorted((100 * max(start, 0) / most, 100 * max(end, 0) / most))
        bar = f'<i class={kind} style="left:{low:.4g}%;width:{high - low:.4g}%"></i>'
        parts.append(
            f'<li><span title="{escaped(words)}">{escaped(words)}</span><span class=room>{bar}</span>'
            f"<b>{escaped(text)}</b></li>"
        )
    said = f"{figure.title} from {show(figure, fall.old)} to {show(figure, fall.new)} by {len(fall.steps)} causes"
    return f'<ol class=fall aria-label="{escaped(said)}">{"".join(parts)}</ol>\n'
