"""``costcalc table``."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

from costcalc.backends.terminal import coloured, width
from costcalc.cli.choices import Choices
from costcalc.cli.options import Output, Setting
from costcalc.cli.output import emit
from costcalc.cli.parameters import argument, command, option
from costcalc.errors import OptionError

EXAMPLES = {
    "costcalc table resnet50 convnext_t mobilenet_v2 --format latex": "for a paper, with booktabs and siunitx",
    "costcalc table resnet18 resnet50 --columns params,gflops,acc@top1 --with my/accuracy.csv": "beside your own",
    "costcalc table resnet50 vgg16 --columns macs,traffic,time --machine a100 --output table.md": "as a file",
    "costcalc table resnet18 resnet50 --names ResNet-18,ResNet-50": "called as the text calls them",
}
COLUMNS = "params,macs"


class TableFormat(str, Enum):
    """What a table of models is written as."""

    table = "table"
    latex = "latex"
    markdown = "markdown"
    csv = "csv"
    json = "json"


@command
def table(
    models: Annotated[list[str], argument(metavar="MODEL...", help="The models, a row each.")],
    choices: Choices,
    setting: Setting,
    columns: Annotated[
        str,
        option(
            "--columns",
            "-c",
            metavar="NAME,...",
            shows_default=True,
            help="Figures (macs, gflops, params, weights, traffic, peak, time …), input, or columns of --with.",
        ),
    ] = COLUMNS,
    beside: Annotated[
        str | None,
        option(
            "--with", metavar="FILE.csv", help="More columns: a CSV with a head row and the models in the first column."
        ),
    ] = None,
    names: Annotated[
        str | None, option("--names", metavar="NAME,...", help="Names for the models, in their order.")
    ] = None,
    best: Annotated[
        list[str] | None,
        option(
            "--best",
            metavar="COLUMN=max|min|none",
            help="Whether less or more is better in a column of --with. May be repeated.",
        ),
    ] = None,
    format: Annotated[
        TableFormat, option("--format", "-f", help="What to write.", shows_default=True)
    ] = TableFormat.table,
    output: Output = None,
    strict: Annotated[
        bool,
        option("--strict", help="Exit with code 4 if a layer has no rule, or a size that values decide is not set."),
    ] = False,
) -> int:
    """Models as the rows of a table for a paper: one unit a column, the best in bold, how it was counted below."""
    from costcalc import analyze
    from costcalc.backends.tabulation import formats
    from costcalc.reading.csv import read_csv
    from costcalc.reading.reach import unquoted
    from costcalc.tabulation import tabulate

    wanted = [name.strip() for name in columns.split(",") if name.strip()]
    called = [name.strip() for name in names.split(",")] if names else []
    given = ways(best or [])
    with unquoted(beside or ""):
        sheet = read_csv(beside, "a table") if beside else None
    reports = [analyze(model, **choices.choices(), **setting._asdict()) for model in models]
    with unquoted(beside or ""):
        found = tabulate(models, reports, wanted, sheet, called, given)
    if format is TableFormat.table:
        text = formats.table(found, width=width(), colour=coloured(output))
    else:
        text = getattr(formats, format.value)(found)
    emit(text, output)
    return 4 if strict and not all(report.is_complete for report in reports) else 0


def ways(given: list[str]) -> dict[str, str]:
    """Column → ``max``, ``min`` or ``none``."""
    found = {}
    for text in given:
        name, _, way = text.rpartition("=")
        if not name or way not in ("max", "min", "none"):
            raise OptionError(f"--best {text[:60]}: write COLUMN=max, COLUMN=min or COLUMN=none")
        found[name.strip()] = way
    return found
