"""``costcalc export``."""

from __future__ import annotations

from typing import Annotated

from costcalc.cli.options import Model, Output, Setting
from costcalc.cli.output import emit, say_note
from costcalc.cli.parameters import argument, command, option
from costcalc.errors import OptionError
from costcalc.progress import doing
from costcalc.writing import write_whole

EXAMPLES = {
    "costcalc export loops resnet50 --bits 8 --output loops.csv": "each nest of loops, and how many layers are like it",
    "costcalc export scale-sim mobilenet_v2 --output topology.csv": "for a simulator of systolic arrays",
    "costcalc export node-data net.onnx --by params --output params.json": "an overlay for Model Explorer",
    "costcalc export timeloop vgg16 --layer conv1_1": "one layer as a problem to map",
}
MOST_NOTES = 10


def formats_help() -> str:
    """Which formats there are, for the help."""
    from costcalc.backends.export import FORMATS

    return f"What to write: {', '.join(FORMATS)}."


def format_names(incomplete: str) -> list[str]:
    """Formats that begin with ``incomplete``."""
    from costcalc.backends.export import FORMATS

    return [name for name in FORMATS if name.startswith(incomplete)]


@command
def export(
    kind: Annotated[str, argument(metavar="FORMAT", help=formats_help, completes=format_names)],
    model: Model,
    setting: Setting,
    layer: Annotated[str | None, option("--layer", metavar="NAME", help="Of loops: those of one layer.")] = None,
    by: Annotated[
        str | None, option("--by", metavar="FIGURE", help="The figure that colours a graph; macs by default.")
    ] = None,
    output: Output = None,
) -> None:
    """A model's figures as other programs read them: simulators, trackers of experiments, viewers.

    What a format cannot hold is said on standard error; docs/viewers.md tells what each program makes of its file.
    """
    from costcalc.backends.export import find_format
    from costcalc.exports import export

    format = find_format(kind)
    if format.binary and output is None:
        raise OptionError(f"{kind} is not text: add --output {format.file}")
    doing(f"exporting {model.model}")
    written = export(kind, model.model, layer=layer, by=by, **setting._asdict(), **model.choices())
    if written.data is not None and output is not None:
        write_whole(output, written.data)
    else:
        emit(written.text, output)
    for note in written.notes[:MOST_NOTES]:
        say_note(note)
    if len(written.notes) > MOST_NOTES:
        say_note(f"and {len(written.notes) - MOST_NOTES:,} more")
