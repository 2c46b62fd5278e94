"""``costcalc traffic``."""

from __future__ import annotations

from typing import Annotated

from costcalc.backends.terminal import coloured, width
from costcalc.cli.options import Bits, Format, Model, Output, energy_names, machine_names, size
from costcalc.cli.output import emit
from costcalc.cli.parameters import command, option
from costcalc.errors import OptionError
from costcalc.progress import doing

EXAMPLES = {
    "costcalc traffic mobilenet_v2 --cache 512KiB --bits 8": "what passes to main memory with 512 KiB on the chip",
    "costcalc traffic vit_b_16 --machine a100 --bits 16": "with the caches of a machine",
    "costcalc traffic mobilenet_v2 --cache 1MiB --bits 8 --energy horowitz_45nm": "with what each takes of energy",
    "costcalc traffic resnet50 --apply fuse:ort --format csv": "the curve over caches, as ONNX Runtime joins layers",
}


@command
def traffic(
    model: Model,
    cache: Annotated[
        str | None, option("--cache", metavar="SIZE", help="What the chip can hold: 512KiB, 40 MiB.")
    ] = None,
    machine: Annotated[
        str | None,
        option("--machine", "-m", metavar="NAME|FILE", completes=machine_names, help="A machine's caches instead."),
    ] = None,
    energy: Annotated[
        str | None,
        option(
            "--energy",
            metavar="TABLE",
            completes=energy_names,
            help="Also the energy with each of the three, by a table as in analyze.",
        ),
    ] = None,
    bits: Bits = None,
    format: Annotated[Format, option("--format", "-f", help="What to write.", shows_default=True)] = Format.table,
    output: Output = None,
) -> None:
    """Traffic with main memory by how much the chip can hold: layer by layer, with kernels joined, and at least.

    The curve is over caches of powers of two. Kernels are joined as `--apply fuse:ENGINE` says, else as `--apply fuse`
    does; docs/time.md has the rules and their proofs.
    """
    from costcalc.api import traffic
    from costcalc.backends import levels as told

    room = None
    if cache is not None and machine is not None:
        raise OptionError("traffic takes --cache or --machine, not both")
    if cache is not None:
        room = size("--cache", cache)
    elif machine is not None:
        from costcalc.machines import load_machine

        known = load_machine(machine)
        room = known.cached
        if room is None:
            raise OptionError(f"{known.name[:80]} does not say what caches it has; give --cache")
    doing(f"counting {model.model}")
    found = traffic(model.model, cache=room, energy=energy, bits=bits, **model.choices())
    text = (
        told.table(found, width(), coloured(output)) if format is Format.table else getattr(told, format.value)(found)
    )
    emit(text, output)
