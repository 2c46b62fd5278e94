"""``costcalc weights``."""

from __future__ import annotations

from typing import Annotated

from costcalc.backends.terminal import coloured, width_of_lists
from costcalc.cli.options import Format, Output
from costcalc.cli.output import emit
from costcalc.cli.parameters import argument, command, option

EXAMPLES = {
    "costcalc weights my/model.safetensors": "each tensor: its type, shape, bits a weight and bytes",
    "costcalc weights my/model-Q4_K_M.gguf --by-type": "how much of it is in each format of blocks",
    "costcalc weights my/model.safetensors.index.json --format csv": "of all files of a model, for a spreadsheet",
}


@command
def weights(
    file: Annotated[
        str, argument(metavar="FILE", help="Safetensors, GGUF, the .index.json of several files, or a TFLite model.")
    ],
    by_type: Annotated[bool, option("--by-type", help="A row for each type, the most bytes first.")] = False,
    format: Annotated[Format, option("--format", "-f", help="What to write.", shows_default=True)] = Format.table,
    output: Output = None,
) -> None:
    """What a file of weights holds: tensors, types, bits a weight with the scales of blocks, bytes, tied ones.

    Only its header is read, whatever its size. Bytes that several tensors share are counted once.
    """
    from costcalc.backends import catalogue
    from costcalc.backends.paint import painted, plain
    from costcalc.frontends.weights import read_weights
    from costcalc.reading.reach import unquoted

    with unquoted(file):
        stored = read_weights(file)
    total = stored.total()
    if by_type:
        kind, entries = "types", stored.types()
    else:
        kind, entries = "tensors", [tensor.to_dict() for tensor in stored.tensors]
    if format is not Format.table:
        emit(getattr(catalogue, format.value)(kind, entries), output)
        return
    about = f", {stored.about}" if stored.about else ""
    text = f"{stored.path}: {stored.format}{about}\n\n"
    text += catalogue.table(kind, entries, width_of_lists(output), painted if coloured(output) else plain)
    bits = "" if total["bits"] is None else f", {total['bits']:.4g} bits a weight"
    text += f"\n{total['tensors']:,} tensors, {total['elements']:,} elements, {total['bytes']:,} bytes{bits}\n"
    emit(text + "".join(f"{note}\n" for note in stored.notes), output)
