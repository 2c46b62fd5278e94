"""``costcalc show``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from costcalc.cli.options import Model, Output
from costcalc.cli.output import emit
from costcalc.cli.parameters import command, option

EXAMPLES = {
    "costcalc show mobilenet": "the spec: a start for a model of your own",
    "costcalc show resnet50 --expand": "a layer a line, with nothing left to work out",
}


@command
def show(
    model: Model,
    expand: Annotated[bool, option("--expand", help="One line per layer: no blocks, loops or parameters.")] = False,
    output: Output = None,
) -> None:
    """The spec of a model, as it was written or with every layer spelled out."""
    from costcalc.errors import OptionError
    from costcalc.models import load

    if expand:
        from costcalc.backends.report.summary import after
        from costcalc.frontends.spec.write import write

        graph = load(model.model, **model.choices())
        head = f"# {after(graph.applied)}\n" if graph.applied else ""
        head += "".join(f"# one kernel: {', '.join(group.layers)}\n" for group in graph.groups)
        emit(head + write(graph), output, exact=True)
        return
    if model.choices():
        raise OptionError("a spec is shown as it was written; with --expand it can be given --batch, --input and --set")
    from costcalc import zoo
    from costcalc.frontends.sources import source_of
    from costcalc.frontends.spec.files import Files

    source = source_of(model.model)
    if source.written:
        raise OptionError(f"{model.model} is {source.title}; `costcalc trace` writes a spec of it")
    files = Files(zoo)
    location = files.locate(model.model)
    with source.unquoted(model.model):
        files.spec(location.path, location.shown)  # says what is wrong with a file that is not a spec
    emit(Path(location.path).read_text(encoding="utf-8-sig"), output, exact=True)
