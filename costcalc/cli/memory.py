"""``costcalc memory``."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any

from costcalc.backends.terminal import coloured, width
from costcalc.cli.options import Bits, Format, Model, Output, size
from costcalc.cli.output import emit
from costcalc.cli.parameters import command, option
from costcalc.errors import OptionError
from costcalc.progress import doing

EXAMPLES = {
    "costcalc memory mobilenet_v2 --engine tflm --bits 8": "the arena of TFLite Micro, and what fills it",
    "costcalc memory resnet50 --batch 8 --timeline": "PyTorch, step by step",
    "costcalc memory inception_v3 --engine ideal": "the least in any order of the layers",
    "costcalc memory swin_t --engine tflm --bits 8 --hints": "and what one change would save",
    "costcalc memory resnet50 --batch 32 --train --optimizer adamw": "a step of training",
    "costcalc memory resnet50 --batch 32 --train --checkpoint auto": "the least, by doing layers again",
    "costcalc memory my/net.yaml --engine mcu --bits 8 --format json": "each tensor with its life and place",
}


class Engine(str, Enum):
    """By whose rules memory is held."""

    eager = "eager"
    ort = "ort"
    tflite = "tflite"
    tflm = "tflm"
    mcu = "mcu"
    ideal = "ideal"


ByEngine = Annotated[
    Engine,
    option(
        "--engine", "-e", shows_default=True,
        help="The engine whose rules apply: PyTorch (eager), ONNX Runtime (ort), TensorFlow Lite (tflite), its "
        "interpreter for microcontrollers (tflm), one that writes in place (mcu), or none (ideal).",
    ),
]  # fmt: skip


def checkpoints(incomplete: str) -> list[str]:
    """Words that ``--checkpoint`` takes, for completion."""
    return [word for word in ("auto", "none") if word.startswith(incomplete)]


class OptimizerName(str, Enum):
    """What keeps state of each parameter."""

    sgd = "sgd"
    momentum = "momentum"
    adam = "adam"
    adamw = "adamw"


Optimizing = Annotated[OptimizerName | None, option("--optimizer", help="With --train: the optimizer; sgd by default.")]

Checkpointing = Annotated[
    str | None,
    option(
        "--checkpoint",
        metavar="auto|none|SIZE",
        completes=checkpoints,
        help="With --train: do layers again instead of keeping what they keep, for the least memory (auto), or "
        "so that all takes at most a SIZE such as 8GiB; then as little as possible is done again.",
    ),
]


class Narrower(str, Enum):
    """What autocast takes products in."""

    bfloat16 = "bfloat16"
    float16 = "float16"


Autocasting = Annotated[
    Narrower | None,
    option("--autocast", help="With --train: products in a narrower type, as torch.autocast does on the CPU."),
]


def checkpoint_asked(text: str | None) -> int | str:
    """What ``--checkpoint`` says: a word, or bytes."""
    if text in (None, "auto", "none"):
        return text or "none"
    return size("--checkpoint", text or "")


def check_no_training(checkpoint: str | None, optimizer: OptimizerName | None, autocast: Narrower | None) -> None:
    """Raise ``OptionError`` where something is asked of a step of training and that is not."""
    for name, value in (("--checkpoint", checkpoint), ("--optimizer", optimizer), ("--autocast", autocast)):
        if value is not None:
            raise OptionError(f"{name} is for a step of training: add --train")


def choices_for_training(model: Model) -> dict[str, Any]:
    """How the model is built. Raises ``OptionError`` where something is to be done to its graph then."""
    choices = model.choices()
    for name in ("apply", "fold_norm", "layout"):
        if choices.pop(name, None):
            raise OptionError(f"--train takes no --{name.replace('_', '-')}: models are trained as they are")
    return choices


@command
def memory(
    model: Model,
    engine: ByEngine = Engine.eager,
    bits: Bits = None,
    timeline: Annotated[bool, option("--timeline", help="A line for each step, with the tensors alive then.")] = False,
    hints: Annotated[bool, option("--hints", help="Also show which single changes would save memory.")] = False,
    train: Annotated[
        bool, option("--train", help="A step of training: forward and backward pass, gradients, the optimizer's state.")
    ] = False,
    optimizer: Optimizing = None,
    checkpoint: Checkpointing = None,
    autocast: Autocasting = None,
    format: Annotated[Format, option("--format", "-f", help="What to write.", shows_default=True)] = Format.table,
    output: Output = None,
) -> None:
    """What an engine holds while it runs a model once: the peak, what makes it, and one block that has room for all.

    Each engine is a small set of rules, which docs/memory.md tells with their sources: what it joins, what it writes
    in place, what it sets aside.
    """
    if train:
        if hints:
            raise OptionError("--train takes no --hints")
        asked = {
            "optimizer": (optimizer or OptimizerName.sgd).value,
            "checkpoint": checkpoint_asked(checkpoint),
            "autocast": autocast.value if autocast else "",
        }
        _train(model, engine, bits, timeline, asked, format, output)
        return
    check_no_training(checkpoint, optimizer, autocast)
    from costcalc.backends.memory import text as renderer
    from costcalc.memory_api import memory

    doing(f"planning {model.model}")
    found = memory(model.model, engine=engine.value, bits=bits, hints=hints, **model.choices())
    if format is Format.table:
        text = renderer.table(found, width(), coloured(output), timeline=timeline)
    else:
        text = getattr(renderer, format.value)(found, timeline=timeline)
    emit(text, output)


def _train(
    model: Model, engine: Engine, bits: int | None, timeline: bool, asked: dict[str, Any],
    format: Format, output: str | None,
) -> None:  # fmt: skip
    """A step of training, which PyTorch does; so nothing that is for another engine can be asked for."""
    from costcalc.backends.memory import training as renderer
    from costcalc.memory_api import training

    if engine is not Engine.eager:
        raise OptionError(f"--train is PyTorch's, so not of --engine {engine.value}")
    if bits is not None or timeline:
        raise OptionError(f"--train takes no {'--bits' if bits is not None else '--timeline'}")
    choices = choices_for_training(model)
    doing(f"planning {model.model}")
    found = training(model.model, **asked, **choices)
    text = (
        renderer.table(found, width(), coloured(output))
        if format is Format.table
        else getattr(renderer, format.value)(found)
    )
    emit(text, output)
