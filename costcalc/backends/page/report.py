"""The page of one model."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from costcalc import __version__
from costcalc.amounts.units import count, percent, seconds, size
from costcalc.analysis.records import Report
from costcalc.analysis.sizes import sizes
from costcalc.backends.columns import preferred, shown
from costcalc.backends.escape import html as escaped
from costcalc.backends.growth import called, words
from costcalc.backends.memory.text import TITLES
from costcalc.backends.memory.text import facts as memory_facts
from costcalc.backends.page.data import model_data, positions, rows_of
from costcalc.backends.page.document import Section, about, cards, page, paragraphs, placeholder, prose, sentence, table
from costcalc.backends.report.summary import facts, headline, not_counted
from costcalc.backends.rows import Row, TableOptions, flat, layers_in, titled, tree
from costcalc.backends.verify.text import extent, outcome
from costcalc.errors import article
from costcalc.ir.graph import Graph
from costcalc.pictures.costliest import Costliest, costliest
from costcalc.pictures.growth import growth
from costcalc.pictures.roofline import roofline
from costcalc.pictures.savings import CHANNELS, ELEMENTS, JOINED, WEIGHTS, Saving, savings
from costcalc.planning.records import Memory

if TYPE_CHECKING:
    from costcalc.verification.result import VerifyResult

CONVENTION = (
    "A MAC is one multiplication with its addition, of convolutions, linear layers, matrix products and attention; "
    "FLOPs as papers count them are often twice that. All other arithmetic is in ops. Figures are exact, and rounded "
    "only where they are shown."
)
TRACERS = ("torch", "torchvision", "timm", "transformers")
"""What is told of with its version where it took part."""
STILL_ROWS = 300
"""Of the table that stands in the document for who has no scripts."""


def html(
    report: Report, graph: Graph, memory: Memory | None = None, command: str = "", verified: VerifyResult | None = None
) -> str:
    """``report`` of ``graph``, with what an engine holds and what a verification found; ``command`` is the line that
    makes this page again.
    """
    rows = rows_of(report)
    data = model_data(report, rows, graph, memory)
    sections = list(_sections(report, graph, rows, data, memory, command, verified))
    return page(report.name, headline(report), sections, [data], warning(report))


def _sections(
    report: Report,
    graph: Graph,
    rows: Sequence[Row],
    data: dict[str, Any],
    memory: Memory | None,
    command: str,
    verified: VerifyResult | None,
) -> Iterator[Section]:
    yield Section("overview", "Overview", overview(report))
    if found := costliest(report):
        yield Section("first", "Where to look first", first(report, graph, found, positions(rows)))
    yield Section("treemap", "Treemap", placeholder("treemap"), scripted=True)
    yield Section("layers", "Layers", placeholder("layers", still=still_table(report)))
    if "roofline" in data:
        yield Section("roofline", "Roofline", f"{roofline_words(report)}{placeholder('roofline')}")
    if memory is not None:
        yield Section("memory", "Memory", f"{memory_words(memory)}{placeholder('memory', still=alive(memory))}")
    if "growth" in data:
        yield Section("field", "Receptive field", f"{growth_words(report)}{placeholder('growth')}")
    yield Section("graph", "Graph", placeholder("graph"), scripted=True)
    if verified is not None:
        yield Section("verified", "Verified", verification(verified))
    yield Section("about", "About", _about(report, command, verified))


def overview(report: Report) -> str:
    """The totals, how they are counted, and what was taken for them."""
    parts = [cards(facts(report)), *paragraphs([CONVENTION], "soft")]
    parts += paragraphs(map(sentence, [*sizes(report), *report.notes]))
    parts += paragraphs(f"Assuming {condition}." for condition in report.assumptions)
    return "\n".join(parts)


def warning(report: Report) -> str:
    """What keeps the totals from being the whole, to be read before them; "" if nothing does."""
    return sentence(not_counted(report)) if report.uncounted else ""


def first(report: Report, graph: Graph, found: list[Costliest], at: dict[str, int]) -> str:
    """The costliest layers, what the roofline says of why, and what would save time."""
    items = []
    whole = whole_of(report, found[0])
    for one in found:
        name, many = one.layers[0].name, len(one.layers)
        more = f" and {many - 1} like it" if many > 1 else ""
        row = at.get(name)
        link = f'<a href="#layers" data-layer="{row}">{escaped(name)}</a>' if row is not None else escaped(name)
        figure = seconds(one.value) if one.figure.name == "time" else f"{count(int(one.value))} MACs"
        share = f"{figure}, {percent(one.value, one.figure.of(report.total))} of {whole}"
        known = [saved(report, saving, whole) for saving in savings(report, graph, one)]
        would = f"<ul>{''.join(f'<li>{line}</li>' for line in known)}</ul>" if known else ""
        said = f"<div>{prose(why(report, one))}</div>{would}"
        items.append(f"<li><div><b>{link}</b>{more}: {escaped(share)}</div>{said}</li>")
    told = "Layers that do the same to the same shapes are taken together. "
    if report.machine is not None:
        told += (
            "What a change would save is worked out by the same roofline, each change by itself; whether the model "
            "stays as good is not asked here."
        )
    return f'<p class="soft">{told.strip()}</p><ol class="first">{"".join(items)}</ol>\n'


def whole_of(report: Report, one: Costliest) -> str:
    """What shares are of, in words: a total that is no exact figure is not the model's."""
    title = one.figure.title
    known = {
        "≥": f"the {title} that is counted" if title == "time" else f"the {title} that are counted",
        "≤": f"the most {title} that there can be",
        "≈": f"the model's {title}, about",
    }
    return known.get(report.mark(one.figure.name), f"the model's {title}")


def why(report: Report, one: Costliest) -> str:
    """What the layer's time consists of, by the roofline alone."""
    layer, machine = one.layers[0], report.machine
    kind = f"{article(layer.kind).capitalize()} {layer.kind} layer"
    if not layer.counted:
        took = f": moving its {size(round(8 * one.bytes))} alone takes so long" if one.bound else ""
        return f"No rule is known for {layer.kind}, so what it computes is not counted{took}."
    if machine is None or not one.bound:
        return f"{kind}. With --machine the page tells whether arithmetic or memory binds it."
    moved, each = size(round(8 * one.bytes)), " each" if len(one.layers) > 1 else ""
    held = layer.weight_bits
    share = held / (8 * one.bytes) if isinstance(held, int) and one.bytes else 0.0
    of_it = f", of which {percent(min(share, 1.0), 1)} are weights" if share else ""
    if one.bound == "memory":
        ridge = machine.rate(report.settings.bits) / machine.bandwidth
        if not one.macs:
            return f"{kind}, bound by memory: it moves {moved}{each}{of_it}{',' * bool(of_it)} and multiplies nothing."
        many = f"{one.macs / one.bytes:.3g} a byte where the machine could do {ridge:.3g}"
        return f"{kind}, bound by memory: it moves {moved}{each}{of_it}; that is for {count(one.macs)} MACs, {many}."
    return (
        f"{kind}, bound by arithmetic: {count(one.macs)} MACs{each} at the machine's peak rate take "
        f"{seconds(one.compute)}, and moving its {moved}{of_it}{',' * bool(of_it)} would take {seconds(one.memory)}."
    )


def saved(report: Report, saving: Saving, of: str) -> str:
    """One change and what it would save, also as a part of the time that ``of`` names, as HTML."""
    changes = {
        JOINED: f"in one kernel with {saving.other}, so that what lies between is neither written nor read",
        ELEMENTS: f"with elements of {saving.bits} bits",
        WEIGHTS: f"with weights of {saving.bits} bits alone",
        CHANNELS: "with half as many output channels, at least",
    }
    total = report.total.time
    whole = total.seconds if total is not None else 0.0
    less = f"{seconds(saving.seconds)} less, {percent(saving.seconds, whole)} of {of}"
    return f"<b>{escaped(less)}</b> {escaped(changes[saving.kind])}"


def still_table(report: Report) -> str:
    """The tree as a plain table, folded so far that it can be read."""
    options = TableOptions()
    depth = max((layer.name.count(".") for layer in report.layers), default=0)
    while depth > 0 and len(flat(report, options)) > STILL_ROWS:
        options, depth = TableOptions(depth=depth), depth - 1
    if len(flat(report, options)) > STILL_ROWS:
        options = TableOptions(top=STILL_ROWS)  # there are no blocks to fold
    chosen = preferred("name kind output macs traffic time bound" if report.total.time else
                       "name kind output macs params traffic field", ())  # fmt: skip
    rows = []
    for row in tree(report, options):
        cells = []
        for column in chosen:
            if column.name == "name":
                cells.append("\u2003" * row.level + titled(row, row.label))
            elif column.name == "kind" and layers_in(row):
                cells.append(layers_in(row))
            else:
                cells.append(shown(column, row.figures, False, report.total))
        rows.append(cells)
    return table([column.title for column in chosen], rows, [i for i, c in enumerate(chosen) if c.left or not i])


def roofline_words(report: Report) -> str:
    """What the roofline says in a sentence."""
    found, total = roofline(report), report.total
    assert report.machine is not None and total.time is not None
    whole = f" The model as a whole has {found.whole:.3g}." if found.whole else ""
    text = (
        f"{report.machine.title}: {count(round(found.peak))} MACs and {count(round(found.bandwidth))}B a second at the "
        f"peak, so a layer needs {found.ridge:.3g} MACs per byte before arithmetic binds it.{whole} "
        f"{percent(total.time.in_memory, total.time.seconds)} of the time is in layers bound by memory; layers that "
        f"multiply nothing take {percent(found.without, total.time.seconds)} and have no point here. Traffic is "
        "charged at main memory's bandwidth, also of tensors that never leave a cache."
    )
    if report.uncounted:
        text += " Layers without a rule are charged with their traffic alone."
    return "".join(paragraphs([text]))


def memory_words(memory: Memory) -> str:
    """What the engine holds, in figures."""
    bits = f", {memory.bits} bits" if memory.bits is not None else ""
    intro = f"{TITLES[memory.engine]}{bits}, the model run once."
    return (
        "".join(paragraphs([intro], "soft"))
        + cards(memory_facts(memory))
        + "".join(paragraphs(map(sentence, memory.notes)))
    )


def alive(memory: Memory) -> str:
    """Who lives at the peak."""
    rows = [
        [t.name, size(8 * t.bytes), percent(t.bytes, memory.peak_bytes), f"{t.first + 1}–{t.last + 1}"]
        for t in memory.alive(memory.peak_step)[:STILL_ROWS]
    ]
    return f"<h3>Alive at the peak</h3>{table(['tensor', 'size', 'share', 'steps'], rows)}"


def growth_words(report: Report) -> str:
    """Where the window outgrows the image, and where each place sees all."""
    found = growth(report)
    size = "×".join(map(str, found.image))
    intro = f"What one place of a layer's output can see of the {called(found)} of {size}."
    return "".join(paragraphs([" ".join([intro, *map(sentence, words(found, str))])]))


def verification(found: VerifyResult) -> str:
    """What was compared with what, how much of it agrees, and each disagreement."""
    if found.agrees:
        said = "Nothing contradicts the figures but the witnesses' known faults"
    else:
        many = len(found.disagreements)
        said = f"{many} figure{'s are' if many > 1 else ' is'} contradicted"
    rows = [[check.name, outcome(found, check)[0], extent(check), check.note] for check in found.checks]
    parts = [*paragraphs([f"{said}: {found.ran}."]), table(["compared", "", "how many", "note"], rows, (0, 1, 3))]
    parts += paragraphs(f"{tally}." for tally in found.tallies)
    if found.disagreements:
        wrong_rows = [[d.check, d.layer or "the whole model", d.ours, d.theirs, d.witness] for d in found.disagreements]
        parts.append(table(["", "layer", "this page", "other", "who"], wrong_rows[:STILL_ROWS], (0, 1, 2, 3, 4)))
    return "".join(parts)


def versions() -> str:
    """Of costcalc, and of what the model was traced with."""
    found = [f"costcalc {__version__}", f"Python {sys.version.split()[0]}"]
    found += [f"{name} {module.__version__}" for name in TRACERS if (module := sys.modules.get(name)) is not None]
    return ", ".join(found)


def _about(report: Report, command: str, verified: VerifyResult | None) -> str:
    total = report.total
    known = "not for this page: --verify holds the model's figures to PyTorch, fvcore and autograd"
    if verified is not None:
        known = "agrees" if verified.agrees else "contradicted, see above"
    pairs = [
        ("made by", versions()),
        ("command", command),
        ("model", f"{report.name}{f', from {report.source}' if report.source else ''}"),
        ("inputs", ", ".join(f"{name} {'×'.join(map(str, shape))}" for name, shape in report.inputs.items())),
        ("parameters", ", ".join(f"{name}={value}" for name, value in report.parameters.items())),
        ("elements", f"{report.settings.bits} bits" if report.settings.bits else "as the model has them, else 32 bits"),
        ("transforms", ", ".join(report.settings.apply) or "none"),
        ("machine", f"{report.machine.title}; {report.machine.source}" if report.machine else "none was asked for"),
        ("layers", f"{total.layers:,}"),
        ("not counted", not_counted(report) if report.uncounted else "nothing: every operator has a rule"),
        ("verified", known),
        ("assumptions", "; ".join(report.assumptions) or "none"),
    ]
    return about((name, text) for name, text in pairs if text)
