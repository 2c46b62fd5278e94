"""``costcalc report``."""

from __future__ import annotations

from typing import Annotated

from costcalc.cli.memory import ByEngine, Engine
from costcalc.cli.options import Model, Setting, to_file
from costcalc.cli.output import emit
from costcalc.cli.parameters import command, option
from costcalc.cli.reproduction import line
from costcalc.progress import doing

EXAMPLES = {
    "costcalc report resnet50 --output resnet50.html": "a page for a browser, of one file",
    "costcalc report convnext_t --machine a100 --bits 16 --output x.html": "with what binds each layer there",
    "costcalc report resnet18 --verify --output x.html": "with what PyTorch, fvcore and autograd say of the figures",
    "costcalc report kws --engine tflm --bits 8 --output kws.html": "with the arena of TFLite Micro, tensor by tensor",
}


@command
def report(
    model: Model,
    setting: Setting,
    engine: ByEngine = Engine.eager,
    fps: Annotated[
        float | None, option("--fps", min=0.001, help="Show the bandwidth needed for this many inferences per second.")
    ] = None,
    output: Annotated[str | None, to_file()] = None,
    verify: Annotated[
        bool,
        option(
            "--verify",
            help="Also what `costcalc verify` finds, which runs the model in PyTorch; then with its exit code.",
        ),
    ] = False,
    strict: Annotated[
        bool,
        option("--strict", help="Exit with code 4 if a layer has no rule, or a size that values decide is not set."),
    ] = False,
) -> int:
    """A page for a browser, in one file that fetches nothing: figures, treemap, layers, roofline, memory, graph.

    It is a document without scripts, and a tool with them: sorted, searched, zoomed; each layer tells its formulas.
    """
    from costcalc.api import analyze
    from costcalc.backends.page.report import html
    from costcalc.frontends.sources import source_of
    from costcalc.memory_api import memory
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
    checked = None
    if verify:
        from costcalc.cli.verify import verified

        checked = verified(model)
    built = {name: value for name, value in model._asdict().items() if name != "model"}
    others = {"fps": fps, "engine": engine if engine is not Engine.eager else None, "verify": verify, "output": output}
    again = line("report", [model.model], built, setting._asdict(), others)
    emit(html(found, graph, held, again, checked), output)
    if checked is not None and not checked.agrees:
        return checked.exit_code
    return 4 if strict and not found.is_complete else 0
