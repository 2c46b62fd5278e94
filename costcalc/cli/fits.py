"""``costcalc fits``."""

from __future__ import annotations

from typing import Annotated

from costcalc.cli.memory import Engine
from costcalc.cli.options import Bits, Model, Output, TextFormat, machine_names, size
from costcalc.cli.output import coloured, emit, width
from costcalc.cli.parameters import command, option
from costcalc.errors import OptionError
from costcalc.progress import doing

EXAMPLES = {
    "costcalc fits mobilenet_0.25 --ram 512KiB --flash 1MiB --bits 8": "on a microcontroller, and what else would",
    "costcalc fits mobilenet_0.25 --machine stm32h743 --bits 8": "on a machine that is known",
    "costcalc fits resnet50 --ram 8GiB --engine eager": "the largest batch of a GPU's memory",
}


@command
def fits(
    model: Model,
    ram: Annotated[
        str | None, option("--ram", metavar="SIZE", help="Memory for activations: 320KiB, 1 MB, 8GiB.")
    ] = None,
    flash: Annotated[
        str | None, option("--flash", metavar="SIZE", help="Memory for the weights; left out, they are in RAM too.")
    ] = None,
    machine: Annotated[
        str | None,
        option("--machine", "-m", metavar="NAME|FILE", completes=machine_names, help="In place of both: a machine's."),
    ] = None,
    engine: Annotated[
        Engine, option("--engine", "-e", shows_default=True, help="By whose rules, as `costcalc memory` has them.")
    ] = Engine.tflm,
    bits: Bits = None,
    format: Annotated[
        TextFormat, option("--format", "-f", help="What to write.", shows_default=True)
    ] = TextFormat.text,
    output: Output = None,
) -> int:
    """Whether a model fits into a memory: the verdict, what makes the peak, and the largest that would fit.

    The exit code is 1 if it does not. Activations go to RAM, weights to flash if there is any. Looked for are the
    largest batch and image, and of a spec with a width the largest width.
    """
    from costcalc.api import fits
    from costcalc.backends.memory import fits as renderer

    if (ram is None) == (machine is None) or (machine is not None and flash is not None):
        raise OptionError("fits takes --ram, perhaps with --flash, or a --machine: --ram 320KiB --flash 1MiB")
    if machine is not None:
        from costcalc.machines import load_machine

        known = load_machine(machine)
        if known.ram is None:
            raise OptionError(f"{known.name[:80]} does not say how much memory it has; give --ram")
        room = renderer.RoomAsAsked(known.ram, known.flash)
    else:
        room = renderer.RoomAsAsked(size("--ram", ram or ""), size("--flash", flash) if flash is not None else None)
        room = room._replace(ram_unit=renderer.unit_of(ram or ""), flash_unit=renderer.unit_of(flash or ""))
    doing(f"planning {model.model}")
    found = fits(model.model, ram=room.ram, flash=room.flash, engine=engine.value, bits=bits, **model.choices())
    text = renderer.json(found) if format is TextFormat.json else renderer.text(found, room, width(), coloured(output))
    emit(text, output)
    return 0 if found.fits else 1
