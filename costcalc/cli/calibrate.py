"""``costcalc calibrate``."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from costcalc.cli.options import Bits, machine_names
from costcalc.cli.output import emit
from costcalc.cli.parameters import command, option
from costcalc.errors import OptionError

if TYPE_CHECKING:
    from costcalc.calibration.fit import FitRow

EXAMPLES = {
    "costcalc calibrate --output mine.yaml": "measure this machine, layer by layer in PyTorch",
    "costcalc calibrate --engine ort --output mine.yaml": "measure it kernel by kernel in ONNX Runtime",
    "costcalc calibrate --from times.csv --processor gpu --apply fuse:inductor --bits 16 --output mine.yaml":
        "fit times of your own, of models that were compiled",
    "costcalc calibrate --from times.csv --processor eager --bits 16 --output mine.yaml": "of models under autocast",
    "costcalc calibrate --from times.csv --machine a100 --output mine.yaml": "beside what a data sheet says",
}  # fmt: skip


RUN_BY = "fuse:ort"
"""By whose kernels ONNX Runtime runs what is measured in it."""


class ProcessorName(str, Enum):
    """By whose rules MACs and traffic are weighed."""

    cpu = "cpu"
    gpu = "gpu"
    eager = "eager"
    ort = "ort"


class Measuring(str, Enum):
    """In what this machine is measured."""

    torch = "torch"
    ort = "ort"


@command
def calibrate(
    output: Annotated[str, option("--output", "-o", metavar="FILE", help="The machine file to write.")],
    source: Annotated[
        str | None,
        option("--from", metavar="FILE", help="A CSV of measured times: model, milliseconds, batch, input."),
    ] = None,
    engine: Annotated[
        Measuring | None,
        option("--engine", "-e", help="Measure in PyTorch or in ONNX Runtime; torch by default."),
    ] = None,
    quick: Annotated[bool, option("--quick", help="Measure fewer layers: one minute instead of several.")] = False,
    processor: Annotated[
        ProcessorName,
        option(
            "--processor",
            help="What ran the models; its rules weigh MACs and traffic. eager is PyTorch on a GPU.",
            shows_default=True,
        ),
    ] = ProcessorName.cpu,
    kernels: Annotated[
        str,
        option(
            "--apply",
            metavar="NAME",
            help="The engine whose kernels ran the models: fuse:ort; layer by layer by default.",
        ),
    ] = "",
    bits: Bits = None,
    prefix: Annotated[
        str, option("--prefix", metavar="TEXT", help="A prefix for each model's name in the file: timm:")
    ] = "",
    machine: Annotated[
        str | None,
        option(
            "--machine", "-m", metavar="NAME|FILE", completes=machine_names, help="Keep what this machine file says."
        ),
    ] = None,
    allow_code: Annotated[
        bool, option("--allow-code", help="Also load models in the file that are Python code.")
    ] = False,
) -> None:
    """Fit the numbers of a machine to measured times, and write a machine file that estimates with them.

    Five numbers are fitted: seconds for a MAC, another operation, a byte of activations and of weights, and a kernel.
    How far off they are is told by models that were left out of the fit. Without --from this machine is measured.
    """
    from costcalc.calibration.fit import calibrated
    from costcalc.calibration.section import written
    from costcalc.transforms import named
    from costcalc.writing import write_whole

    names = named(kernels)
    if source is None:
        if kernels or bits is not None or prefix or processor is not ProcessorName.cpu:
            raise OptionError(
                "--apply, --bits, --prefix and --processor are for times of your own: add --from times.csv"
            )
        rows, data, how = _measured(engine or Measuring.torch, quick)
        if engine is Measuring.ort:
            processor, names = ProcessorName.ort, named(RUN_BY)
    else:
        from costcalc.calibration.times import read_times, rows_of
        from costcalc.reading.reach import unquoted

        if quick:
            raise OptionError("--quick is for measuring this machine; it cannot be combined with --from")
        if engine is not None:
            raise OptionError(
                "--engine is for measuring this machine; of times of your own --processor says what ran them"
            )
        if processor is ProcessorName.eager and names:
            raise OptionError("--processor eager is PyTorch layer by layer: leave --apply out, or say --processor gpu")
        with unquoted(source):
            times, data = read_times(source)
        rows = rows_of(times, processor.value, names, bits, allow_code=allow_code, prefix=prefix)
        how = "times that somebody measured"
    found, held, said = calibrated(rows, processor.value, ",".join(names), bits)
    base = ""
    if machine is not None:
        from costcalc.machines import text_of

        base = text_of(machine)
    write_whole(output, written(found, data, Path(output).stem, how, base))
    emit(
        f"{output}: {len(rows):,} times of {len({row.model for row in rows}):,} models or layers; of what was held out "
        f"half was within {100 * held.median:.1f} %, {100 * held.within(0.15):.0f} % within 15 %\n"
        + "".join(f"{sentence}\n" for sentence in said)
    )


def _measured(engine: Measuring, quick: bool) -> tuple[list[FitRow], str, str]:
    """The times of this machine, their hash, and what was run."""
    if engine is Measuring.ort:
        from costcalc.calibration.onnx_runtime import measured
    else:
        from costcalc.calibration.measure import measured
    return measured(quick)
