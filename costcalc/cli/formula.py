"""``costcalc formula``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from costcalc.cli.options import Model, Output, Told
from costcalc.cli.output import coloured, emit, width
from costcalc.cli.parameters import command, option
from costcalc.errors import OptionError
from costcalc.ir.expr import Expr

if TYPE_CHECKING:
    from costcalc.ir.graph import Graph

EXAMPLES = {
    "costcalc formula resnet50": "for any batch and image size",
    "costcalc formula resnet50 --symbols batch,size": "for square images",
    "costcalc formula densenet121 --symbols num_classes": "as a function of a parameter",
}


@command
def formula(
    model: Model,
    symbols: Annotated[
        str,
        option(
            "--symbols",
            metavar="A,B,…",
            says="What stays a symbol: batch, height, width, size (of a square image), or a parameter.",
            shows_default=True,
        ),
    ] = "batch,height,width",
    bits: Annotated[int | None, option("--bits", min=1, max=1024, says="Bits of a floating-point element.")] = None,
    format: Annotated[Told, option("--format", "-f", says="What to write.", shows_default=True)] = Told.text,
    output: Output = None,
) -> None:
    """The totals of a model in closed form.

    Each total is printed as a sum with the share of every term, and checked against the count at the model's own size.
    """
    from textwrap import wrap

    from costcalc.analysis.formula import formulas, strongest
    from costcalc.analysis.report import report
    from costcalc.backends import reasons
    from costcalc.backends.closed_form import closed_form
    from costcalc.backends.paint import painted, plain
    from costcalc.backends.summary import without_rule
    from costcalc.models import load

    wanted = [name.strip() for name in symbols.split(",") if name.strip()]
    counted = load(model.model, **model.choices())
    square = "size" in wanted and "size" not in counted.parameters
    if square:
        wanted = [name for name in wanted if name != "size"] + ["height", "width"]
    graph = load(model.model, **model.choices(), symbols=wanted)
    values = _values(graph, counted)
    if square and values.pop("w") != values["h"]:
        raise OptionError("--symbols size is for square images, and the model's are not; take height,width")
    found = formulas(graph, bits, {"w": Expr.symbol("h")} if square else {})
    whole = report(counted, bits=bits)
    total = whole.total
    for one, figure in zip(
        found, (total.macs, total.ops, total.params, total.storage_bits, total.traffic_bits), strict=True
    ):
        assert one.at(values) == figure, f"{one.name}: in closed form {one.at(values)}, counted {figure}"
    conditions = strongest(graph.assumed)
    if format is Told.json:
        emit(reasons.totals(whole, found, values, conditions), output)
        return
    text = closed_form(found, values, width(), painted if coloured(output) else plain)
    if values:
        text += f"checked: {graph.name}, counted layer by layer at these sizes, comes to the same\n"
    if whole.uncounted:
        text += "\n".join([*wrap(f"{without_rule(whole)}; every total is a lower bound", max(width(), 40)), ""])
    emit(text + (f"holds where {', '.join(conditions)}\n" if conditions else ""), output)


def _values(graph: Graph, counted: Graph) -> dict[str, int]:
    """What each symbol of ``graph`` is in the same graph in numbers."""
    pairs = [(name, counted.parameters[name]) for name, value in graph.parameters.items() if isinstance(value, Expr)]
    for name in graph.inputs:
        for symbol, size in zip(graph.types[name].shape, counted.types[name].shape, strict=True):
            if isinstance(symbol, Expr):
                pairs.append((str(symbol), size))
    values: dict[str, int] = {}
    for name, value in pairs:
        if values.setdefault(name, value) != value:
            raise OptionError(
                f"the inputs differ in {name}: {values[name]} and {value}; give them one size with --input"
            )
    return values
