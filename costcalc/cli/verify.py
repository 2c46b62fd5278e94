"""``costcalc verify``."""

from __future__ import annotations

import os
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

from costcalc.backends.terminal import coloured, width
from costcalc.cli.options import Model, Output, arguments, model_names
from costcalc.cli.output import emit
from costcalc.cli.parameters import command, option
from costcalc.progress import doing

if TYPE_CHECKING:
    from torch import nn

    from costcalc.ir.graph import Graph
    from costcalc.verification.result import VerifyResult

EXAMPLES = {
    "costcalc verify resnet50": "PyTorch, fvcore and autograd on every layer",
    "costcalc verify mobilenet --set width=0.5 --input 3x160x160": "a smaller one",
    "costcalc verify torchvision:vit_b_16": "a traced model against the module itself",
    "costcalc verify net.onnx --against net.py:Net": "a file also against the model that it was exported from",
    "costcalc verify configs/unet.yaml --format json": "the result for programs",
}


class ResultFormat(str, Enum):
    """What the result is written as."""

    table = "table"
    json = "json"


@command
def verify(
    model: Model,
    format: Annotated[
        ResultFormat, option("--format", "-f", help="What to write.", shows_default=True)
    ] = ResultFormat.table,
    against: Annotated[
        str | None,
        option(
            "--against",
            metavar="MODEL",
            completes=model_names,
            help="For a file: compare MACs and elements with the model that it was exported from (see --kwargs).",
        ),
    ] = None,
    output: Output = None,
) -> int:
    """Build the model in PyTorch, run it, and compare every figure with PyTorch, fvcore and autograd.

    Compared are output shapes, parameters and buffers, MACs with two other counters, and receptive fields with
    gradients. The counters have known faults: those are named with what they add or miss. The exit code is 5 if a
    figure of ours is contradicted otherwise. Of a file, ``--against`` names the model that it was exported from: what
    export changed is named, and what it does not explain is a contradiction. Needs pip install 'costcalc[verify]'.
    """
    result = verified(model, against)
    if format is ResultFormat.json:
        from costcalc.backends.escape import json

        text = json(result.to_dict(), indent=2) + "\n"
    else:
        from costcalc.backends.verify.text import render

        text = render(result, width=width(), colour=coloured(output))
    emit(text, output)
    return result.exit_code


def verified(model: Model, against: str | None = None) -> VerifyResult:
    """What PyTorch, fvcore and autograd say of ``model``, built and run; and the model that it was exported from."""
    from costcalc.frontends.torch.models import kept_apart
    from costcalc.verification import need, verify

    need()
    # Threads that spin while they wait make a busy machine ten times slower; torch reads this as it is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    doing("loading PyTorch")
    origin = None
    if against is not None:
        from costcalc.verification.exported_file import ExportOrigin, refuse_unless_exported

        origin = ExportOrigin(against, arguments(model.kwargs or "{}"))
        model = model._replace(kwargs=None)
    with kept_apart(against or model.model):
        graph, module = _load(model)
        if origin is not None:
            refuse_unless_exported(graph)
        return verify(graph, module, progress=doing, beside=_beside(model), origin=origin)


def _load(model: Model) -> tuple[Graph, nn.Module | None]:
    """The graph; and of a PyTorch model the module that it was traced from, to be compared with."""
    from costcalc.errors import CostcalcError
    from costcalc.frontends.sources import with_module
    from costcalc.models import wanted

    choices = model.choices()
    layout, transforms = choices.pop("layout", None), choices.pop("apply", ())
    graph, build = with_module(model.model, wanted(**choices))
    if transforms:
        if build is not None:
            raise CostcalcError(f"{model.model} is verified as it is, without --apply {','.join(transforms)}")
        from costcalc.transforms import apply

        graph = apply(graph, transforms)
    if layout is not None:
        from costcalc.ir.layout import laid_out

        graph = laid_out(graph, layout)
    return graph, build() if build is not None else None


def _beside(model: Model) -> list[Any]:
    """What a run of the file itself says, where there is one."""
    from importlib import import_module

    from costcalc.frontends.sources import Request, source_of

    source, choices = source_of(model.model), model.choices()
    if not source.witness or choices.get("apply"):
        return []
    known = Request(choices.get("batch"), choices.get("input"), choices.get("parameters") or {})
    found: list[Any] = import_module(source.witness).witnessed(model.model, known)
    return found
