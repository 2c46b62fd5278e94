"""``costcalc plot``."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Annotated, Any

from costcalc.cli.choices import Choices
from costcalc.cli.memory import Engine
from costcalc.cli.options import Setting
from costcalc.cli.parameters import argument, command, option
from costcalc.errors import OptionError
from costcalc.progress import doing, each

EXAMPLES = {
    "costcalc plot roofline convnext_t --machine a100 --bits 16 -o roofline.svg": "each layer under the roof",
    "costcalc plot memory mobilenet_v2 --engine tflm --bits 8 -o memory.pdf": "the arena, step by step",
    "costcalc plot treemap resnet50 --by params -o treemap.svg": "where the parameters are",
    "costcalc plot receptive-field resnet18 vgg16 -o fields.png": "how it grows, beside the image",
    "costcalc plot pareto resnet18 resnet50 mobilenet -x macs -y params -o front.svg": "which models none beats",
    "costcalc plot waterfall resnet18 resnet34 --by params -o causes.svg": "from one model to another, by cause",
}


class PictureKind(str, Enum):
    """What a picture shows."""

    roofline = "roofline"
    memory = "memory"
    treemap = "treemap"
    receptive_field = "receptive-field"
    pareto = "pareto"
    waterfall = "waterfall"


TAKES = {
    PictureKind.roofline: ("machine", "bits"),
    PictureKind.memory: ("engine", "bits"),
    PictureKind.treemap: ("by", "machine", "energy", "bits"),
    PictureKind.receptive_field: (),
    PictureKind.pareto: ("x", "y", "with", "best", "machine", "energy", "bits"),
    PictureKind.waterfall: ("by", "machine", "energy", "bits"),
}
"""Which of the options that are not for all pictures each takes."""
SEVERAL = {PictureKind.receptive_field: (1, 6), PictureKind.pareto: (1, 200), PictureKind.waterfall: (2, 2)}


@command
def plot(
    kind: Annotated[PictureKind, argument(metavar="PICTURE", help="What it shows.")],
    models: Annotated[
        list[str],
        argument(metavar="MODEL...", help="The model; several for receptive-field and pareto, two for waterfall."),
    ],
    choices: Choices,
    setting: Setting,
    by: Annotated[
        str | None, option("--by", metavar="FIGURE", help="For a treemap or waterfall: the figure; macs by default.")
    ] = None,
    engine: Annotated[
        Engine | None, option("--engine", "-e", help="For memory: the engine whose rules apply; eager by default.")
    ] = None,
    x: Annotated[
        str | None, option("--x", "-x", metavar="COLUMN", help="For pareto: a figure, or a column of --with; macs.")
    ] = None,
    y: Annotated[str | None, option("--y", "-y", metavar="COLUMN", help="The other axis; params by default.")] = None,
    beside: Annotated[
        str | None,
        option(
            "--with", metavar="FILE.csv", help="More columns: a CSV with a head row and the models in the first column."
        ),
    ] = None,
    best: Annotated[
        list[str] | None,
        option(
            "--best",
            metavar="COLUMN=max|min",
            help="Whether less or more is better in a column of --with. May be repeated.",
        ),
    ] = None,
    width: Annotated[
        float | None, option("--width", metavar="INCHES", min=2, max=30, help="Its width; 7 by default.")
    ] = None,
    output: Annotated[
        str | None,
        option("--output", "-o", metavar="FILE", help="Write to FILE.svg, .png or .pdf, whole or not at all."),
    ] = None,
) -> None:
    """A picture for a paper or a page: of layers, memory, receptive fields, several models, or a change.

    It needs matplotlib: pip install 'costcalc[plot]'. docs/plots.md shows each.
    """
    from costcalc.backends.plots import need_matplotlib

    if output is None:
        raise OptionError(f"a picture is a file: add --output {kind.value}.svg, .png or .pdf")
    given = {
        "by": by, "engine": engine, "x": x, "y": y, "with": beside, "best": best or None,
        "machine": setting.machine, "energy": setting.energy, "bits": setting.bits,
    }  # fmt: skip
    for name, value in given.items():
        if value is not None and name not in TAKES[kind]:
            raise OptionError(f"{kind.value} takes no --{name}")
    least, most = SEVERAL.get(kind, (1, 1))
    if not least <= len(models) <= most:
        wanted = "one model" if most == 1 else "two models, OLD NEW" if least == 2 else f"{least} to {most} models"
        raise OptionError(f"{kind.value} is a picture of {wanted}, not of {len(models)}")
    need_matplotlib()
    from costcalc.backends.plots.canvas import format_of, rendered
    from costcalc.cli import progress
    from costcalc.writing import write_whole

    format = format_of(output)
    figure = _drawn(kind, models, choices.choices(), setting, given, width)
    doing("drawing")
    data = rendered(figure, format)
    progress.end()
    write_whole(output, data)


def _drawn(
    kind: PictureKind, models: Sequence[str], built: dict[str, Any], setting: Setting, given: dict[str, Any],
    width: float | None,
) -> Any:  # fmt: skip
    """The figure of ``kind``."""
    from costcalc import analyze, api, memory_api
    from costcalc.backends.plots import attached

    if kind is PictureKind.memory:
        engine = given["engine"].value if given["engine"] else "eager"
        doing(f"planning {models[0]}")
        held = memory_api.memory(models[0], engine=engine, bits=setting.bits, **built)
        return attached.MemoryPlots(held).memory(width)
    if kind is PictureKind.waterfall:
        found = api.diff(models[0], models[1], **setting._asdict(), **built)
        return attached.DiffPlots(found).waterfall(given["by"] or "macs", width)
    reports = [analyze(model, **built, **setting._asdict()) for model in each("analyzing", models)]
    plots = attached.ReportPlots(reports[0])
    if kind is PictureKind.roofline:
        return plots.roofline(width)
    if kind is PictureKind.treemap:
        return plots.treemap(given["by"] or "macs", width)
    if kind is PictureKind.receptive_field:
        from costcalc.backends.plots.receptive_field import draw

        return draw(reports, models, width)
    return _front(models, reports, given, width)


def _front(models: Sequence[str], reports: Sequence[Any], given: dict[str, Any], width: float | None) -> Any:
    """The Pareto front of ``reports``, with columns of a file where one is given."""
    from costcalc.backends.plots.attached import both
    from costcalc.backends.plots.pareto import draw
    from costcalc.cli.table import ways
    from costcalc.reading.csv import read_csv
    from costcalc.reading.reach import unquoted
    from costcalc.tabulation import tabulate

    columns = both(given["x"] or "macs", given["y"] or "params")
    best = ways(given["best"] or [])
    with unquoted(given["with"] or ""):
        sheet = read_csv(given["with"], "a table") if given["with"] else None
        return draw(tabulate(models, reports, columns, sheet, (), best), best, width)
