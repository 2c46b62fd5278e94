"""``costcalc pack``."""

from __future__ import annotations

from typing import Annotated

from costcalc.backends.terminal import coloured, width
from costcalc.cli.options import Format, Output, size
from costcalc.cli.output import emit
from costcalc.cli.parameters import argument, command, option
from costcalc.progress import doing

EXAMPLES = {
    "costcalc pack my/tensors.csv": "in as few bytes as can be found",
    "costcalc pack my/tensors.csv --capacity 1MiB --alignment 16": "within what there is",
    "costcalc pack my/tensors.csv --seconds 60 --format csv --output offsets.csv": "each tensor with its offset",
}


@command
def pack(
    file: Annotated[
        str, argument(metavar="FILE.csv", help="One line per tensor, with the columns name, first, last and bytes.")
    ],
    capacity: Annotated[
        str | None, option("--capacity", metavar="SIZE", help="The memory available: 320KiB, 1 MB, 1MiB.")
    ] = None,
    alignment: Annotated[
        int, option("--alignment", min=1, max=1 << 30, help="Round offsets and sizes to multiples of this many bytes.")
    ] = 1,
    seconds: Annotated[
        float,
        option("--seconds", min=0, max=1e6, metavar="S", shows_default=True, help="How long a search may take."),
    ] = 4.0,
    format: Annotated[Format, option("--format", "-f", help="What to write.", shows_default=True)] = Format.table,
    output: Output = None,
) -> int:
    """Where tensors with known lifetimes lie in one block of memory, and whether a smaller block is possible.

    A tensor is alive from its first to its last step, both included. With a capacity the exit code is 1 unless the
    packing fits. Files with the columns id, lower, upper and size are read too; upper is the step after the last.
    """
    from costcalc.backends.memory import packing as renderer
    from costcalc.packing.pack import pack
    from costcalc.packing.read import from_file
    from costcalc.reading.reach import unquoted

    room = size("--capacity", capacity) if capacity is not None else None
    doing(f"packing {file}")
    with unquoted(file):
        tensors = from_file(file)
    found = pack(tensors, capacity=room, time_limit=seconds, alignment=alignment)
    text = (
        renderer.table(found, width(), coloured(output))
        if format is Format.table
        else getattr(renderer, format.value)(found)
    )
    emit(text, output)
    return 1 if room is not None and not found.fits else 0
