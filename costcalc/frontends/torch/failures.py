"""What to say when a model cannot be built or run: the sentence, the layer, the user's own lines."""

from __future__ import annotations

import re
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING

from costcalc.errors import Choice, CostcalcError

if TYPE_CHECKING:
    from costcalc.frontends.calls.recorded import Recorded

INTERPRETER = "failed in the TorchScript interpreter"
"""Words of every error that TorchScript makes of another, whose own words come last."""
SHOWN = 8
"""Layers before the failing one, and lines of the user's code, that a message shows."""


class ModelError(CostcalcError):
    """A model whose constructor or forward raises, or that is none."""


def forward_failed(
    name: str, error: BaseException, path: str | None, failing: str, calls: Sequence[Recorded]
) -> ModelError:
    """The error for a forward that raised: where, why, and the layers that had run, with their shapes."""
    at = f" in '{path}'" if path else ""
    text = [f"the forward of {name} fails{at}: {_said(error)}", *_lines(error)]
    if failing:
        text.append(f"the shapes that met there: {failing}")
    if calls:
        text.append(f"the last of the {len(calls)} calls before it:")
        text += [f"  {_layer(call)}" for call in calls[-SHOWN:]]
    return ModelError("\n".join(text))


def values_asked(error: BaseException, path: str | None) -> str:
    """What a forward does that cannot go on without the values of its tensors."""
    at = f" in '{path}'" if path else ""
    said = f" ({_said(error)})" if str(error) else ""
    asks = f"asks for the value of a tensor{at}{said}, which depends on the input or on weights"
    return "\n".join([f"{asks}, and the weights have no values here", *_lines(error)])


def constructor_failed(name: str, error: BaseException) -> ModelError:
    """The error for a constructor that raised; it says how to give an argument that was missing."""
    said, choices = _said(error), []
    missing = _MISSING.search(str(error)) if isinstance(error, TypeError) and not _lines(error) else None
    if missing:
        value, wanted = _example(missing[1]), missing[1]
        options = f"--set {wanted}={value} or --kwargs '{{\"{wanted}\": {value}}}'"
        choices = [Choice(options, f"at: [{{parameters: {{{wanted}: {value}}}}}]")]
        said = f"{said}; give it: {options}"
    return ModelError("\n".join([f"{name} cannot be built: {said}", *_lines(error)]), choices=choices)


_MISSING = re.compile(r"missing \d+ required (?:positional|keyword-only) arguments?: '(\w+)'")


def _example(argument: str) -> str:
    """A number as an example of what ``argument`` may be."""
    return "1000" if "class" in argument else "64" if any(w in argument for w in ("width", "dim", "channel")) else "2"


def _said(error: BaseException) -> str:
    lines = str(error).strip().split("\n")
    text = lines[0][:400]
    if INTERPRETER in text:
        own = [line for line in str(error).rpartition("<--- HERE")[2].replace("RuntimeError: ", "").split("\n") if line]
        return f"in a scripted function: {own[0][:400]}" if own else "in a scripted function"
    if (isinstance(error, AssertionError) and "CUDA" in text) or "Found no NVIDIA driver" in text:
        return f"it asks for CUDA ('{text}'); costcalc needs no device, so build the model for the CPU"
    if "does not require grad" in text:
        wants = "let the forward call requires_grad_(), or hand over a tensor that requires gradients"
        return f"it differentiates by what no gradient is recorded for ('{text}'); {wants}"
    if "NestedTensor" in text:
        return "it hands nested tensors to an operator that takes them whole, without sizes to count by; pad them"
    if "HigherOrderOperator" in text:
        return f"it calls {text.partition('HigherOrderOperator ')[2].split()[0]}, which cannot be traced"
    if "autocast" in text and "meta" in text:
        return f"it asks for autocast by the device of its input, which has none here ('{text}')"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _lines(error: BaseException) -> list[str]:
    """The user's own lines of the traceback, innermost last."""
    import torch

    import costcalc

    ours = (torch.__path__[0], costcalc.__path__[0], "<frozen")
    theirs = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(ours)]
    return [f"  {frame.filename}:{frame.lineno} in {frame.name}: {frame.line}" for frame in theirs[-3:]]


def _layer(call: Recorded) -> str:
    given = [str(t) for t in _types(call.arguments.values())]
    made = ", ".join(str(t.type) for t in call.made)
    return f"{call.scope.path or '(no module)'}: {call.name}({', '.join(given)}) → {made}"


def _types(values: object) -> list[object]:
    from costcalc.ir.call import Traced

    found: list[object] = []
    for value in values if isinstance(values, (list, tuple)) else list(values):  # type: ignore[call-overload]
        if isinstance(value, Traced):
            found.append(value.type)
        elif isinstance(value, (list, tuple)):
            found += _types(value)
    return found
