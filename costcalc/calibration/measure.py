"""Measure layers in PyTorch on the machine that this runs on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import Any

from costcalc.analysis.estimate import features_of
from costcalc.analysis.features import Features
from costcalc.calibration.fit import FitRow
from costcalc.classes import NamedTuple
from costcalc.errors import CostcalcError
from costcalc.ir.fields import ints
from costcalc.models import load
from costcalc.progress import each

MODELS = (
    "resnet18",
    "mobilenet_v2",
    "vgg11",
    "densenet121",
    "vit_b_16",
    "googlenet",
    "efficientnet_b0",
    "shufflenet_v2_x1_0",
)
QUICK = MODELS[:4]
REPEATS, LEAST_SECONDS = 5, 0.02
LONGEST_LAYER = 1.0
"""Layers that take longer by themselves are left out."""


class MeasuredLayer(NamedTuple):
    """One layer to be measured: a model with it alone would have these features."""

    name: str
    features: Features
    run: Callable[[], Any]


def layers(quick: bool) -> Iterator[MeasuredLayer]:
    """The distinct layers of some shipped models, as modules of PyTorch with inputs."""
    try:
        import torch
    except ImportError:
        raise CostcalcError("measuring needs PyTorch: pip install 'costcalc[torch]'") from None
    seen = set()
    for model in QUICK if quick else MODELS:
        graph = load(model)
        features = dict(features_of(graph, "cpu"))
        for node in graph.nodes:
            types = graph.input_types(node)
            key = node.op, types
            if node.name not in features or key in seen or not types:
                continue
            seen.add(key)
            try:
                module = node.op.to_torch(*types).eval()
            except NotImplementedError:
                continue
            inputs = [torch.randn(ints(t.shape)) for t in types]

            def run(module: Any = module, inputs: Sequence[Any] = inputs) -> None:
                with torch.inference_mode():
                    module(*inputs)

            yield MeasuredLayer(f"{model} {node.name}", features[node.name], run)


def measured(quick: bool) -> tuple[list[FitRow], str, str]:
    """Each layer, twice in turn, so that what else the machine did shows; the hash of the times, and what was run."""
    import platform

    import torch

    every = list(layers(quick))
    rows = []
    for turn in range(2):
        for layer in each(f"turn {turn + 1} of 2: measuring", every, lambda layer: layer.name):
            seconds = _least(layer.run)
            if seconds <= LONGEST_LAYER:
                rows.append(FitRow(layer.name, layer.features, seconds))
    text = "\n".join(f"{row.model} {row.seconds:.9f}" for row in rows)
    source = (
        f"measured with PyTorch {torch.__version__}, {torch.get_num_threads()} threads, layer by layer, "
        f"on {platform.machine() or 'an unknown processor'}"
    )
    return rows, "sha256:" + sha256(text.encode()).hexdigest(), source


def _least(run: Callable[[], Any]) -> float:
    """The least of several times, each of enough runs to be measured."""
    run()
    often, least = 1, float("inf")
    for _ in range(REPEATS):
        began = time.perf_counter()
        for _ in range(often):
            run()
        took = (time.perf_counter() - began) / often
        least = min(least, took)
        often = max(1, min(1000, int(LEAST_SECONDS / max(took, 1e-9))))
    return least
