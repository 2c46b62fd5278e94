"""``costcalc formula``."""

from __future__ import annotations

from typing import Annotated

from costcalc.backends.terminal import coloured, width
from costcalc.cli.options import Flops, Model, Output, TextFormat, asked
from costcalc.cli.output import emit
from costcalc.cli.parameters import command, option
from costcalc.errors import CostcalcError, OptionError, listing

EXAMPLES = {
    "costcalc formula resnet50": "for any batch and image size",
    "costcalc formula resnet50 --symbols batch,size": "for square images",
    "costcalc formula densenet121 --symbols num_classes": "as a function of a parameter",
}


@command
def formula(
    model: Model,
    symbols: Annotated[
        str | None,
        option(
            "--symbols",
            metavar="A,B,…",
            help="What stays a symbol: batch, height, width, size (of a square image), depth or frames, length, "
            "tokens, or a parameter; of an exported program such of its open sizes. By default the batch and the "
            "axes of the input, or all open sizes.",
        ),
    ] = None,
    bits: Annotated[int | None, option("--bits", min=1, max=1024, help="Bits of a floating-point element.")] = None,
    format: Annotated[
        TextFormat, option("--format", "-f", help="What to write.", shows_default=True)
    ] = TextFormat.text,
    output: Output = None,
    flops: Flops = False,
) -> None:
    """The totals of a model in closed form.

    Each total is printed as a sum with the share of every term, and checked against the count at the model's own size.
    """
    from textwrap import wrap

    from costcalc.analysis.find_symbols import find_symbols
    from costcalc.analysis.formula import formulas, strongest
    from costcalc.analysis.report import report
    from costcalc.analysis.sizes import iterating, unset
    from costcalc.backends.explain import json
    from costcalc.backends.explain.closed_form import closed_form
    from costcalc.backends.paint import painted, plain
    from costcalc.backends.report.summary import after, without_rule
    from costcalc.ir.expr import symbols_of
    from costcalc.models import load

    wanted = None if symbols is None else [name.strip() for name in symbols.split(",") if name.strip()]
    if wanted == []:
        raise OptionError("--symbols names nothing; leave it out for the batch and the axes of the input")
    choices = model.choices()
    counted = load(model.model, **choices, any_sizes=True)
    opened = find_symbols(counted, wanted, choices.get("batch"))
    graph, values = load(model.model, **choices, symbols=opened, any_sizes=True), opened.values
    found = formulas(graph, bits, asked(flops))
    whole = report(counted, bits=bits)
    for one in found:
        at, by_layer = one.at(values), one.figure.value(whole)
        if at != by_layer:
            sentence = f"{one.figure.title} in closed form {at:,}, counted {by_layer:,}"
            raise CostcalcError(f"{graph.name} does other work at its own size than at others: {sentence}")
    noted = dict.fromkeys(counted.assumed)
    conditions = strongest(condition for condition in graph.assumed if condition not in noted)
    used = set().union(*(symbols_of(one.total) for one in found))
    if counted.sizes:
        noted[f"values decide {listing(size.name for size in counted.sizes)}; totals are with the defaults"] = None
    notes = [*opened.notes, *noted, *(f"no total depends on {name}" for name in values if name not in used)]
    if format is TextFormat.json:
        emit(json.totals(whole, found, values, conditions, notes), output)
        return
    head = f"{graph.name}, {after(graph.applied)}\n\n" if graph.applied else ""
    text = head + closed_form(found, values, width(), painted if coloured(output) else plain)
    if values:
        text += f"checked: {graph.name}, counted layer by layer at these sizes, comes to the same\n"
    if whole.uncounted:
        text += "\n".join([*wrap(f"{without_rule(whole)}; every total is a lower bound", max(width(), 40)), ""])
    if whole.unset:
        text += "\n".join([*wrap(unset(whole), max(width(), 40)), ""])
    text += "".join(f"{note}\n" for note in (*iterating(whole.layers), *notes))
    emit(text + (f"holds where {', '.join(conditions)}\n" if conditions else ""), output)
