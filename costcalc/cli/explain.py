"""``costcalc explain``."""

from __future__ import annotations

from typing import Annotated

from costcalc.backends.terminal import coloured, width
from costcalc.cli.options import Flops, Model, Output, Setting, TextFormat, asked
from costcalc.cli.output import emit
from costcalc.cli.parameters import argument, command, option

EXAMPLES = {
    "costcalc explain mobilenet features.1.depthwise.conv": "a layer: each figure, formula and numbers",
    "costcalc explain mobilenet features.1": "a block: which tensors its storage consists of",
    "costcalc explain resnet50 fc --machine a100": "with its time, and what bounds it",
    "costcalc explain resnet50 conv1 --format json": "for a program",
}


@command
def explain(
    model: Model,
    setting: Setting,
    name: Annotated[
        str,
        argument(metavar="[LAYER]", help="A layer or a block; the whole model if left out."),
    ] = "",
    format: Annotated[
        TextFormat, option("--format", "-f", help="What to write.", shows_default=True)
    ] = TextFormat.text,
    output: Output = None,
    flops: Flops = False,
) -> None:
    """How each figure of a layer comes about: the formula, the numbers put in, and the result.

    Of a block, or of the whole model, it shows the tensors that the storage consists of.
    """
    from costcalc.analysis.explain import explain
    from costcalc.analysis.stored_tensors import stored_tensors
    from costcalc.api import analyze
    from costcalc.backends.explain import json
    from costcalc.backends.explain.block import block_text
    from costcalc.backends.explain.layer import explanation
    from costcalc.backends.paint import painted, plain
    from costcalc.models import load

    graph = load(model.model, **model.choices())
    report = analyze(graph, **setting._asdict())
    paint = painted if coloured(output) else plain
    stored = stored_tensors(graph, report, name)
    if stored:
        text = json.block(stored) if format is TextFormat.json else block_text(stored, width(), paint)
    else:
        explained = explain(graph, report, name, asked(flops))
        text = json.layer(explained) if format is TextFormat.json else explanation(explained, width(), paint)
    emit(text, output)
