"""The page of several models side by side, drawn on the same scales."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from costcalc import __version__
from costcalc.amounts.formatting import show
from costcalc.amounts.units import percent
from costcalc.analysis.figures import SPENT, figures_in
from costcalc.backends.compare.formats import comparison_rows, legend
from costcalc.backends.escape import html as escaped
from costcalc.backends.page.data import model_data, rows_of
from costcalc.backends.page.document import CHOICE, Section, about, page, paragraphs, placeholder, side, table
from costcalc.backends.page.report import CONVENTION, still_table
from costcalc.backends.report.summary import headline, not_counted
from costcalc.comparison import Comparison
from costcalc.ir.graph import Graph
from costcalc.planning.records import Memory


def html(found: Comparison, graphs: Sequence[Graph], memories: Sequence[Memory] = (), command: str = "") -> str:
    """``found`` of ``graphs``, with what an engine holds of each where that was asked."""
    models = []
    for i, (report, graph) in enumerate(zip(found.reports, graphs, strict=True)):
        models.append(model_data(report, rows_of(report), graph, memories[i] if memories else None))
    return page(" · ".join(found.names), "side by side", list(_sections(found, models, command)), models)


def _sections(found: Comparison, models: Sequence[dict[str, Any]], command: str) -> Iterator[Section]:
    figures = table(["", *found.names], comparison_rows(found))
    says = f"{'. '.join(legend(found))}. {CONVENTION}"
    missing = [f"{r.name}: {not_counted(r)}." for r in found.reports if r.uncounted]
    yield Section("overview", "Overview", figures + "".join(paragraphs([says], "soft")) + "".join(paragraphs(missing)))
    yield Section("spent", "Where it goes", _spent(found))
    told = "".join(paragraphs(["Areas are on one scale: a model of half the figure has half the area."], "soft"))
    yield Section("treemap", "Treemaps", f"{CHOICE}{told}{_beside(found, 'treemap')}", True)
    if all("roofline" in model for model in models):
        yield Section("roofline", "Rooflines", _beside(found, "roofline"), True)
    if all("memory" in model for model in models):
        yield Section("memory", "Memory", _beside(found, "memory"), True)
    layers = "".join(
        f"<h3>{escaped(name)}</h3>{placeholder('layers', i, still_table(report))}"
        for i, (name, report) in enumerate(zip(found.names, found.reports, strict=True))
    )
    yield Section("layers", "Layers", layers)
    pairs = [("made by", f"costcalc {__version__}"), ("command", command)]
    pairs += [(name, headline(report)) for name, report in zip(found.names, found.reports, strict=True)]
    yield Section("about", "About", about((name, text) for name, text in pairs if text))


def _beside(found: Comparison, name: str) -> str:
    """The drawing called ``name`` of each model, side by side."""
    return side(f"<h3>{escaped(title)}</h3>{placeholder(name, i)}" for i, title in enumerate(found.names))


def _spent(found: Comparison) -> str:
    """By kind and by stage, each with a bar that is as long in every model as its amount is large."""
    made = []
    for by, heading in (("kind", "kind of layer"), ("stage", "stage")):
        for figure in figures_in(SPENT):
            every = [found.parts(i, figure.name, by) for i in range(len(found.names))]
            most = max((part.amount for parts in every for part in parts if not part.is_rest), default=0)
            columns = []
            for name, parts in zip(found.names, every, strict=True):
                rows = "".join(
                    f"<tr><td>{escaped(part.name)}</td><td class=b>"
                    f'<i style="width:{0 if part.is_rest else 100 * part.amount / most:.3g}%"></i>'
                    f"<span>{escaped(show(figure, part.amount))}</span></td><td>{percent(part.share, 1)}</td></tr>"
                    for part in parts
                )
                columns.append(f"<h4>{escaped(name)}</h4><table><tbody>{rows}</tbody></table>")
            made.append(f"<h3>{escaped(figure.title)} by {heading}</h3>{side(columns)}")
    return "".join(made)
