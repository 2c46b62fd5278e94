"""``costcalc report``."""

from __future__ import annotations

from typing import Annotated

from costcalc.cli.memory import ByEngine, Engine
from costcalc.cli.options import Model, Setting, to_file
from costcalc.cli.output import emit
from costcalc.cli.parameters import command, option
from costcalc.progress import doing

EXAMPLES = {
    "costcalc report resnet50 --output resnet50.html": "a page for a browser, of one file",
    "costcalc report convnext_t --machine a100 --bits 16 --output x.html": "with what binds each layer there",
    "costcalc report kws --engine tflm --bits 8 --output kws.html": "with the arena of TFLite Micro, tensor by tensor",
}


@command
def report(
    model: Model,
    setting: Setting,
    engine: ByEngine = Engine.eager,
    fps: Annotated[
        float | None, option("--fps", min=0.001, help="Passes a second that are wanted: the bandwidth they need.")
    ] = None,
    output: Annotated[str | None, to_file()] = None,
    strict: Annotated[
        bool,
        option("--strict", help="Exit with code 4 if a layer has no rule, or values decide a size that is not set."),
    ] = False,
) -> int:
    """A page for a browser, in one file that fetches nothing: figures, treemap, layers, roofline, memory, graph.

    It is a document without scripts, and a tool with them: sorted, searched, zoomed; each layer tells its formulas.
    """
    from costcalc.api import analyze, memory
    from costcalc.backends.page.report import html
    from costcalc.frontends.sources import source_of
    from costcalc.models import load

    doing(f"analyzing {model.model}")
    graph = load(model.model, **model.choices())
    found = analyze(graph, **setting._asdict(), fps=fps)
    runs_code = source_of(model.model).runs_code
    # What PyTorch holds of a model that is code is seen when that is run; of others the graph says it.
    held = (
        memory(model.model, engine=engine.value, bits=setting.bits, **model.choices())
        if runs_code
        else memory(graph, engine=engine.value, bits=setting.bits)
    )
    emit(html(found, graph, held, _line(model, setting, engine, fps, output)), output)
    return 4 if strict and not found.is_complete else 0


def _line(model: Model, setting: Setting, engine: Engine, fps: float | None, output: str | None) -> str:
    """The command line that makes the page again."""
    from shlex import join

    words = ["costcalc", "report", model.model]
    for name, value in (*zip(model._fields[1:], model[1:], strict=True), *setting._asdict().items(), ("fps", fps)):
        if value is True:
            words.append(f"--{name.replace('_', '-')}")
        elif value:
            for one in value if isinstance(value, list) else [value]:
                words += [f"--{name.replace('_', '-')}", str(one)]
    words += ["--engine", engine.value] * (engine is not Engine.eager)
    words += ["--output", output] if output is not None else []
    return join(words)
