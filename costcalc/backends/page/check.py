"""The page of a check: the verdicts, and of each model that changed, or fails, what it costs and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from costcalc import __version__
from costcalc.amounts.formatting import show
from costcalc.analysis.figures import COMMENT, figures_in
from costcalc.backends.budget.verdicts import STYLES, because_lines, verdict_line
from costcalc.backends.escape import html as escaped
from costcalc.backends.page.data import model_data, rows_of
from costcalc.backends.page.diff import sections_of
from costcalc.backends.page.document import CHOICE, Section, about, page, paragraphs, placeholder, prose, table
from costcalc.backends.page.report import CONVENTION, overview, still_table, warning
from costcalc.budget.outcome import FAIL, WARNED, Outcome, Result

MOST_MODELS = 12
"""Of which the page tells all; of the others their figures and verdicts."""
MOST_ROWS = 20_000
"""Layers of those that are told in all: what a browser, and who reads, can take in. The first is told in any case."""
MOST = 500
"""Verdicts that are told, and models in the table."""
MOST_NOTES = 100


def html(outcome: Outcome, command: str = "") -> str:
    """``outcome`` for a browser: those that changed, then those that fail, each with its causes, layers and graph."""
    models: list[dict[str, Any]] = []
    sections = [Section("verdicts", "Verdicts", _verdicts(outcome))]
    told, left = _told(outcome)
    sections.append(Section("models", "Models", _models(outcome, left)))
    for i, result in enumerate(told):
        mark = f"{i}-"
        if is_changed(result) and result.diff is not None:
            sections += sections_of(result.diff, models, result.now.graph, mark=mark, named=result.title)
        else:
            sections += _as_it_is(result, models, mark)
    pairs = (("made by", f"costcalc {__version__}"), ("command", command))
    sections.append(Section("about", "About", about((name, text) for name, text in pairs if text)))
    return page("Budgets", verdict_line(outcome), sections, models)


def is_changed(result: Result) -> bool:
    """Whether it is known to differ from what it was."""
    return result.diff is not None and not result.diff.same


def _told(outcome: Outcome) -> tuple[list[Result], int]:
    """Those to tell all of, and of how many others there would be more to tell."""
    crossed = {(v.model, v.setup) for v in outcome.having(FAIL, WARNED)}
    chosen = [r for r in outcome.results if is_changed(r)]
    chosen += [r for r in outcome.results if (r.model.name, r.setup.label) in crossed and not is_changed(r)]
    chosen = chosen or list(outcome.results[:1])
    told, rows = 0, 0
    for result in chosen[:MOST_MODELS]:
        old = result.diff.old if is_changed(result) and result.diff else None
        rows += len(result.now.report.layers) + (len(old.layers) if old else 0)
        if told and rows > MOST_ROWS:
            break
        told += 1
    return chosen[:told], len(chosen) - told


def _verdicts(outcome: Outcome) -> str:
    """Each verdict, those that are crossed first and with what they are because of."""
    made = []
    for v in (v for status in STYLES for v in outcome.having(status)):
        told = [v.message] if v.message else []
        told += [f"{amount}  {words}{f' ({place})' if place else ''}" for amount, words, place in because_lines(v)]
        under = "".join(f"<li>{prose(text)}</li>" for text in told if v.status not in ("ok", "unchecked"))
        says = f"<b>{escaped(v.subject)}</b>: {prose(v.description)}{f'<ul>{under}</ul>' if under else ''}"
        made.append(f"<li class={v.status}><b>{v.status}</b><div>{says}</div></li>")
    notes = [*outcome.notes[:MOST_NOTES], *([f"{len(made) - MOST:,} verdicts more."] if len(made) > MOST else [])]
    said = "".join(paragraphs([f"{verdict_line(outcome)}.", *notes]))
    return f"{said}<ul class=verdicts>{''.join(made[:MOST])}</ul>\n" if made else said


def _models(outcome: Outcome, left: int) -> str:
    """Each model's figures, and whether they changed."""
    figures = figures_in(COMMENT)
    rows = []
    for r in outcome.results[:MOST]:
        since = "not compared" if r.diff is None else "changed" if is_changed(r) else "as it was"
        rows.append([r.title, since, *(show(figure, figure.of(r.now.report.total)) for figure in figures)])
    more = f"{left} more that changed or fail have no part of their own here." if left else ""
    legend = "".join(paragraphs([CONVENTION], "soft"))
    return (
        table(["model", "", *(figure.title for figure in figures)], rows, (0, 1)) + "".join(paragraphs([more])) + legend
    )


def _as_it_is(result: Result, models: list[dict[str, Any]], mark: str) -> Iterator[Section]:
    """A model that did not change, or of which nothing was known."""
    report, at = result.now.report, len(models)
    models.append(model_data(report, rows_of(report), result.now.graph) | {"scale": mark})
    body = "".join(paragraphs([warning(report)], "warn")) + overview(report)
    yield Section(f"{mark}overview", f"{result.title}: Overview", body, link=result.title)
    drawn = f"{'' if at else CHOICE}{placeholder('treemap', at)}"
    yield Section(f"{mark}treemap", f"{result.title}: Treemap", drawn, True, "")
    yield Section(f"{mark}layers", f"{result.title}: Layers", placeholder("layers", at, still_table(report)), link="")
    yield Section(f"{mark}graph", f"{result.title}: Graph", placeholder("graph", at), True, "")
