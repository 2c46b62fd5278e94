"""``costcalc history``."""

from __future__ import annotations

from typing import Annotated

from costcalc.backends.terminal import coloured, width
from costcalc.cli.choices import Choices
from costcalc.cli.options import DISPLAY, Bits, Format, to_file
from costcalc.cli.output import emit
from costcalc.cli.parameters import argument, command, option
from costcalc.progress import doing

EXAMPLES = {
    "costcalc history my/backbone.yaml": "a spec over the commits that touched it",
    "costcalc history my/net.py:Net --since v1.0 --figure macs,params,peak": "a model that is code, from its lock",
    "costcalc history net --format csv --output net.csv": "for a spreadsheet",
}


@command
def history(
    model: Annotated[
        str, argument(metavar="MODEL", help="The path of a spec, or a model of costcalc.yaml by its name or path.")
    ],
    choices: Choices,
    bits: Bits = None,
    since: Annotated[str | None, option("--since", metavar="REV", help="Only commits after a revision of git.")] = None,
    figure: Annotated[
        str, option("--figure", metavar="A,B,…", panel=DISPLAY, help="Which figures.", shows_default=True)
    ] = "macs,params",
    config: Annotated[
        str | None, option("--config", metavar="FILE", help="The config, instead of costcalc.yaml.")
    ] = None,
    format: Annotated[
        Format, option("--format", "-f", panel=DISPLAY, help="What to write.", shows_default=True)
    ] = Format.table,
    output: Annotated[str | None, to_file(panel=DISPLAY)] = None,
) -> None:
    """What a model cost over the commits that touched it, with a chart.

    Specs are read as git has them. Of models that are code, which do not run, the figures are those of costcalc.lock at
    each commit that changed them.
    """
    from costcalc.analysis.figures import find_figure
    from costcalc.backends import histories as backend
    from costcalc.budget.config import Setup
    from costcalc.budget.history import histories
    from costcalc.budget.read import find_config, read_config
    from costcalc.budget.session import config_file

    figures = [find_figure(name.strip()) for name in dict.fromkeys(figure.split(",")) if name.strip()]
    setup = Setup(**choices.choices(), bits=bits)
    known = read_config(config_file(config)) if config is not None or find_config() else None
    doing("reading commits")
    found = histories(model, known, setup, figures, since)
    if format is Format.json:
        text = backend.json(found)
    elif format is Format.csv:
        text = backend.csv(found)
    elif format is Format.markdown:
        text = backend.markdown(found)
    else:
        text = backend.text(found, width=width(), colour=coloured(output))
    emit(text, output)
