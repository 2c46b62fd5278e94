"""``costcalc trace``."""

from __future__ import annotations

from costcalc.cli.options import Model, Output
from costcalc.cli.output import emit
from costcalc.cli.parameters import command

EXAMPLES = {
    "costcalc trace torchvision:resnet50 --output resnet50.yaml": "the model as a spec, for runs without PyTorch",
    "costcalc trace timm:swin_tiny_patch4_window7_224": "every call that it makes, with its shapes",
    "costcalc trace my/net.py:Net --kwargs '{\"depth\": 50}' --input 3x256x256": "your own",
    "costcalc trace torchvision:fasterrcnn_resnet50_fpn --set proposals=300": "work that depends on data, assumed",
}


@command
def trace(
    model: Model,
    output: Output = None,
) -> None:
    """Run a PyTorch model without weights or data, or read a model's file, and write what it does as a spec.

    The spec is flat: a layer a line, its inputs named. It analyses to the same figures, without PyTorch. What the
    model was assumed to do where that depends on data stands in comments at its top.
    """
    from costcalc.analysis.report import report
    from costcalc.analysis.sizes import sizes
    from costcalc.backends.escape import harmless
    from costcalc.backends.report.summary import after
    from costcalc.errors import OptionError
    from costcalc.frontends.sources import source_of
    from costcalc.frontends.spec.write import write
    from costcalc.models import load

    source = source_of(model.model)
    if not source.written:
        raise OptionError(f"{model.model} is {source.title}; `costcalc show --expand` spells a spec out")
    graph = load(model.model, **model.choices())
    assumed = [*sizes(report(graph)), *(f"assuming {a}" for a in graph.assumed)]
    if graph.groups and not graph.applied:
        joined = f"one kernel does several of these layers, {len(graph.groups)} times"
        assumed.append(f"in {model.model} {joined}; here each has its own")
    assumed += [after(graph.applied)] if graph.applied else []
    # Names of strangers are in them, and whatever would end a line of YAML is space.
    said = (harmless(" ".join(line.split()), colours=False) for line in assumed)
    emit("".join(f"# {line}\n" for line in said) + write(graph), output, exact=True)
