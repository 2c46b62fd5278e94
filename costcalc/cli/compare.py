"""``costcalc compare``."""

from __future__ import annotations

from typing import Annotated

from costcalc.backends.terminal import coloured, lines_of_screen, width
from costcalc.cli.choices import Choices
from costcalc.cli.memory import Engine
from costcalc.cli.options import DISPLAY, Flops, Output, Paged, Setting, asked
from costcalc.cli.output import emit
from costcalc.cli.parameters import argument, command, option
from costcalc.cli.reproduction import line
from costcalc.progress import each

EXAMPLES = {
    "costcalc compare mobilenet mobilenet_v2 kws --engine tflm --bits 8": "with the arena of each",
    "costcalc compare resnet50 convnext_t mobilenet": "side by side, with ratios to the first",
    "costcalc compare resnet50 configs/mine.yaml --machine a100": "with the time of each on a machine",
    "costcalc compare resnet18 mobilenet --machine jetson_orin_nano --fold-norm": "as they are deployed",
    "costcalc compare resnet50 convnext_t --machine a100 --output x.html": "a page, pictures on the same scales",
    "costcalc compare vgg16 resnet18 --input 3x64x64 --format csv": "at another size, for a spreadsheet",
}


@command
def compare(
    models: Annotated[list[str], argument(metavar="MODEL MODEL...", help="Two or more models.")],
    choices: Choices,
    setting: Setting,
    engine: Annotated[
        Engine | None,
        option("--engine", "-e", help="Also the memory of activations in an engine, as in `costcalc memory`."),
    ] = None,
    format: Annotated[Paged, option("--format", "-f", help="What to write.", shows_default=True)] = Paged.table,
    output: Output = None,
    flops: Flops = False,
    all: Annotated[
        bool, option("--all", panel=DISPLAY, help="Show every part, even if it does not fit the screen.")
    ] = False,
    strict: Annotated[
        bool,
        option("--strict", help="Exit with code 4 if a layer has no rule, or a size that values decide is not set."),
    ] = False,
) -> int:
    """Models side by side: every figure with its ratio to the first, the best marked, and where each spends it."""
    from costcalc import analyze
    from costcalc.backends.compare import formats
    from costcalc.comparison import compare
    from costcalc.models import load

    graphs = [load(model, **choices.choices()) for model in each("analyzing", models)]
    reports = [analyze(graph, **setting._asdict()) for graph in graphs]
    held = []
    if engine is not None:
        from dataclasses import replace

        from costcalc import memory

        held = [
            memory(model, engine=engine.value, bits=setting.bits, **choices.choices())
            for model in each("planning", models)
        ]
        reports = [replace(r, memory_bits=8 * m.needed_bytes) for r, m in zip(reports, held, strict=True)]
    found = compare(reports, models, asked(flops))
    if format is Paged.html:
        from costcalc.backends.page.compare import html

        others = {"engine": engine, "flops": flops, "output": output}
        text = html(found, graphs, held, line("compare", models, choices._asdict(), setting._asdict(), others))
    elif format is Paged.table:
        screen = None if all else lines_of_screen(output)
        text = formats.table(found, width=width(), colour=coloured(output), lines=screen and screen - 1)
    else:
        text = getattr(formats, format.value)(found)
    emit(text, output)
    return 4 if strict and any(not report.is_complete for report in reports) else 0
