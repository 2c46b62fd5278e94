"""How sources count: each rule a figure of our report.

Papers and tools agree on the layers of a network and not on what an operation is. A rule counts by theirs, so that a
published number can be met or missed exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from costcalc.classes import NamedTuple

if TYPE_CHECKING:
    from costcalc.analysis.records import Layer, Report

CONVS = ("conv", "depthwise", "pointwise", "conv_transpose", "deform_conv")
NORMS = {"batch_norm": 2, "layer_norm": 5, "group_norm": 5}


class CountingRule(NamedTuple):
    """How a source counts: a function of our report, and what it says."""

    figure: Callable[[Report, str], Any]
    description: str


def _sum(report: Report, ops: Iterable[str], figure: Callable[[Layer], Any]) -> Any:
    """The sum of a figure over the layers of these kinds of op."""
    return sum(figure(layer) for layer in report.layers if layer.op in ops)


def _elements(shapes: tuple[tuple[Any, ...], ...]) -> Any:
    size = 1
    for dim in shapes[0]:
        size *= dim
    return size


def _outputs(layer: Layer) -> Any:
    return _elements(layer.output_shapes)


def _with_bias(report: Report) -> Any:
    # The ops of these layers are one addition of the bias for each output.
    return report.total.macs + _sum(report, (*CONVS, "linear"), lambda layer: layer.ops)


def _with_norms(report: Report) -> Any:
    norms = sum(NORMS[layer.op] * _outputs(layer) for layer in report.layers if layer.op in NORMS)
    # Those of squeeze-and-excitation are means in timm, which nothing counts; so is the last one of some transformers.
    pools = [_elements(layer.input_shapes) for layer in report.layers if layer.op == "global_avg_pool"]
    # Interpolating is 4 an element, repeating, which takes no arithmetic, is 1.
    resampled = sum((4 if layer.ops else 1) * _outputs(layer) for layer in report.layers if layer.op == "upsample")
    return report.total.macs + norms + sum(pools[-1:]) + resampled


def _multiplications(report: Report) -> Any:
    """A conv multiplies once for each MAC, a linear layer is off by one an output, a batch norm multiplies once."""
    norms = _sum(report, ("batch_norm",), _outputs)
    return report.total.macs + norms - _sum(report, ("linear",), _outputs)


def _additions(report: Report) -> Any:
    """A sum has one addition fewer than terms; a bias is one more, a norm is two. Global poolings are not counted."""
    biases = _sum(report, CONVS, lambda layer: layer.ops)
    sums = report.total.macs - _sum(report, CONVS, _outputs) - 2 * _sum(report, ("linear",), _outputs)
    pools = _sum(report, ("avg_pool",), lambda layer: layer.ops - _outputs(layer))
    return sums + biases + 2 * _sum(report, ("batch_norm",), _outputs) + pools


def _thop(report: Report) -> Any:
    """Linear layers' additions count beside their multiplications."""
    biases = _sum(report, CONVS, lambda layer: layer.ops)
    norms = 4 * _sum(report, ("batch_norm",), _outputs)
    linear = _sum(report, ("linear",), lambda layer: layer.macs) - _sum(report, ("linear",), _outputs)
    return report.total.macs + biases + norms + linear


def _but_classifier(report: Report, figure: str) -> Any:
    """A figure of the whole without that of the last linear layer."""
    classifier = [layer for layer in report.layers if layer.op == "linear"][-1]
    return getattr(report.total, figure) - getattr(classifier, figure)


def _connections(report: Report) -> Any:
    """A subsampling unit has a connection to each of its inputs and a bias; its coefficient is none of its own."""
    pools = _sum(report, ("avg_pool",), lambda layer: layer.ops)
    return _with_bias(report) + pools - _sum(report, ("depthwise",), lambda layer: layer.macs)


def _statistics(report: Report) -> Any:
    """The running means and variances, not the number of batches that they come from."""
    norms = [layer for layer in report.layers if layer.op == "batch_norm"]
    return sum(layer.buffers - 1 for layer in norms)


def _without_norms(report: Report) -> Any:
    return report.total.params - _sum(report, ("batch_norm",), lambda layer: layer.params)


def _block(report: Report, rule: str, figure: str) -> Any:
    name = rule.split()[1]
    parts: list[Any] = [*report.blocks, *report.layers]
    return next(getattr(part, figure) for part in parts if part.name == name)


def _outside_backbone(report: Report) -> Any:
    prefix = next(b.name for b in report.blocks if b.name.split(".")[-1] == "backbone")
    frozen = [la.params for la in report.layers if la.op == "batch_norm" and la.name.startswith(prefix + ".")]
    return report.total.params - sum(frozen)


def _field(report: Report, rule: str, part: str) -> Any:
    _, layer, *_ = rule.split()
    seen = next(la.receptive_field for la in report.layers if la.name == layer)
    size = getattr(seen, part)[-1]
    return -size if part == "offset" else size


RULES: dict[str, CountingRule] = {
    "macs": CountingRule(lambda r, _: r.total.macs, "multiply-accumulates, as we count them"),
    "operations": CountingRule(lambda r, _: 2 * r.total.macs, "2 for each multiply-accumulate (Darknet)"),
    "macs-classifier": CountingRule(
        lambda r, _: _but_classifier(r, "macs"), "multiply-accumulates without the classifier's"
    ),
    "macs+bias": CountingRule(lambda r, _: _with_bias(r), "and 1 for each bias that is added (pycls)"),
    "macs+norm": CountingRule(
        lambda r, _: _with_norms(r),
        "and 2 for each element of a batch norm, 5 of a layer or group norm, 1 of the last pooling and of repeating "
        "upsamplings, 4 of others (fvcore, timm)",
    ),
    "thop": CountingRule(
        lambda r, _: _thop(r), "and 1 for each bias of a conv, 4 for each element of a batch norm; linear layers twice"
    ),
    "multiplications": CountingRule(
        lambda r, _: _multiplications(r),
        "and 1 for each element of a batch norm; 1 less for each output of a linear layer",
    ),
    "additions": CountingRule(
        lambda r, _: _additions(r),
        "additions: 1 fewer than MACs for each output of a conv, 2 of a linear layer; and 1 for each bias of a conv, 2 "
        "for each element of a batch norm, and those of average poolings, not of global ones",
    ),
    "block-macs": CountingRule(lambda r, rule: _block(r, rule, "macs"), "multiply-accumulates of one block"),
    "block-params": CountingRule(lambda r, rule: _block(r, rule, "params"), "parameters of one block"),
    "connections": CountingRule(
        lambda r, _: _connections(r), "connections: multiply-accumulates, biases, inputs of poolings"
    ),
    "params": CountingRule(lambda r, _: r.total.params, "parameters"),
    "params-norms": CountingRule(lambda r, _: _without_norms(r), "parameters without those of batch norms"),
    "params-classifier": CountingRule(lambda r, _: _but_classifier(r, "params"), "parameters without the classifier's"),
    "params+statistics": CountingRule(
        lambda r, _: r.total.params + _statistics(r), "and batch norms' running statistics"
    ),
    "params-frozen": CountingRule(
        lambda r, _: _outside_backbone(r), "without the backbone's batch norms, which are frozen"
    ),
    "bytes": CountingRule(lambda r, _: Decimal(str(r.total.weight_bits)) / 8, "bytes of parameters and buffers"),
    "outputs": CountingRule(
        lambda r, _: _sum(r, (*CONVS, "linear", "max_pool"), _outputs), "elements out of conv, linear, max pool (pycls)"
    ),
    "field": CountingRule(lambda r, rule: _field(r, rule, "size"), "receptive field of a layer"),
    "stride": CountingRule(lambda r, rule: _field(r, rule, "stride"), "stride of a layer in the image"),
    "padding": CountingRule(
        lambda r, rule: _field(r, rule, "offset"), "how far its first field lies outside the image"
    ),
}
