"""``costcalc fits``."""

from __future__ import annotations

from typing import Annotated

from costcalc.backends.terminal import coloured, width
from costcalc.cli.memory import (
    Autocasting,
    Checkpointing,
    Engine,
    Optimizing,
    check_no_training,
    checkpoint_asked,
    choices_for_training,
)
from costcalc.cli.options import Bits, Model, Output, TextFormat, machine_names, size
from costcalc.cli.output import emit
from costcalc.cli.parameters import command, option
from costcalc.errors import OptionError
from costcalc.progress import doing

EXAMPLES = {
    "costcalc fits mobilenet_0.25 --ram 512KiB --flash 1MiB --bits 8": "on a microcontroller, and what else would",
    "costcalc fits mobilenet_0.25 --machine stm32h743 --bits 8": "on a machine that is known",
    "costcalc fits resnet50 --ram 8GiB --engine eager": "the largest batch of a GPU's memory",
    "costcalc fits resnet50 --ram 8GiB --batch 64 --train --optimizer adamw": "a step of training, and what else would",
}


@command
def fits(
    model: Model,
    ram: Annotated[
        str | None, option("--ram", metavar="SIZE", help="Memory for activations: 320KiB, 1 MB, 8GiB.")
    ] = None,
    flash: Annotated[
        str | None, option("--flash", metavar="SIZE", help="Memory for the weights; without it, they are in RAM too.")
    ] = None,
    machine: Annotated[
        str | None,
        option(
            "--machine", "-m", metavar="NAME|FILE", completes=machine_names, help="A machine's memory instead of both."
        ),
    ] = None,
    engine: Annotated[
        Engine | None,
        option("--engine", "-e", help="The engine whose rules apply, as in `costcalc memory`; tflm by default."),
    ] = None,
    bits: Bits = None,
    train: Annotated[
        bool, option("--train", help="A step of training in PyTorch, all of it in RAM: weights, state, gradients.")
    ] = False,
    optimizer: Optimizing = None,
    checkpoint: Checkpointing = None,
    autocast: Autocasting = None,
    format: Annotated[
        TextFormat, option("--format", "-f", help="What to write.", shows_default=True)
    ] = TextFormat.text,
    output: Output = None,
) -> int:
    """Whether a model fits into a memory: the verdict, what makes the peak, and the largest that would fit.

    The exit code is 1 if it does not. Activations go to RAM, weights to flash if there is any. Looked for are the
    largest batch and image, of a spec with a width the largest width, and of a step of training an optimizer that
    keeps less and layers that are done again.
    """
    from costcalc.backends.memory import fits as renderer
    from costcalc.memory_api import fits

    if not train:
        check_no_training(checkpoint, optimizer, autocast)
    elif flash is not None:
        raise OptionError("--train takes no --flash: a step of training is in RAM, weights too")
    if (ram is None) == (machine is None) or (machine is not None and flash is not None):
        raise OptionError("fits takes --ram, optionally with --flash, or a --machine: --ram 320KiB --flash 1MiB")
    if machine is not None:
        from costcalc.machines import load_machine

        known = load_machine(machine)
        if known.ram is None:
            raise OptionError(f"{known.name[:80]} does not say how much memory it has; give --ram")
        room = renderer.RoomAsAsked(known.ram, None if train else known.flash)
    else:
        room = renderer.RoomAsAsked(size("--ram", ram or ""), size("--flash", flash) if flash is not None else None)
        room = room._replace(ram_unit=renderer.unit_of(ram or ""), flash_unit=renderer.unit_of(flash or ""))
    doing(f"planning {model.model}")
    asked = {
        "train": True,
        "optimizer": optimizer.value if optimizer else None,
        "checkpoint": checkpoint_asked(checkpoint),
        "autocast": autocast.value if autocast else None,
    }
    found = fits(
        model.model, ram=room.ram, flash=room.flash, engine=engine.value if engine else None, bits=bits,
        **(asked | choices_for_training(model) if train else model.choices()),
    )  # fmt: skip
    text = renderer.json(found) if format is TextFormat.json else renderer.text(found, room, width(), coloured(output))
    emit(text, output)
    return 0 if found.fits else 1
