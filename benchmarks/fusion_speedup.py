"""Hold what `fuse:inductor` saves to how much faster networks run compiled: Spearman's rank correlation.

    python benchmarks/fusion_speedup.py eager.csv compiled.csv [--other eager-of-another-card.csv] [--every 3]

The tables are those of timm's benchmark script under automatic mixed precision: images a second by model. Each model is
traced at its size; its time is predicted layer by layer and kernel by kernel, each the larger of its MACs at the card's
peak and its traffic at its bandwidth. Four predictions are told, from the plainest:

  traffic     bits moved by layers / by kernels, all elements of 16 bits
  roofline    the same in time
  casts       with the copies that autocast makes of maps between 16 and 32 bits, which kernels of several layers spare
  library     with what the library's convolutions do: dense ones copy maps between formats while they are in NCHW,
              which the compiler spares where it changes the format (``decide_layout_opt``), and grouped ones are slower
              than their traffic, by two factors fitted on the eager times of the other card

Needs timm, torch and SciPy.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import warnings
from collections.abc import Iterable
from math import log
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "torch")]

CARD = 82.6e12, 1008e9
"""MACs a second in 16 bits with sums in 32, and bytes a second, of the tables' card: an RTX 4090 (165.2 TFLOPS)."""
OTHER = 35.6e12, 936e9
"""The same of the other card: an RTX 3090 (71.2 TFLOPS)."""
HALF = {
    "conv", "conv_transpose", "linear", "matmul", "scaled_dot_product_attention", "multi_head_attention", "einsum",
    "prelu", "depthwise", "pointwise",
}  # fmt: skip
FULL = {"layer_norm", "softmax", "log_softmax", "softplus", "rms_norm"}
FULL_FUNCTIONS = {
    "pow", "exp", "log", "expm1", "log1p", "rsqrt", "reciprocal", "sinh", "cosh", "tan", "acos", "asin", "log10",
    "log2",
}  # fmt: skip
"""What autocast runs in 16 and in 32 bits (torch, "Automatic Mixed Precision", op reference); all else in the widest
that it reads. Group norms of timm's switch autocast off."""
WEIGHTS = {"grouped": 1.358, "narrowing": 0.725, "small": 0.783, "dense": 0.823}
"""What the compiler takes a convolution's work in channels_last for, by kind (torch/_inductor/graph.py)."""


class Kernel(NamedTuple):
    """MACs; bytes that it moves; those of copies for autocast and for formats; which kind of convolution, or ""."""

    macs: int
    bytes: int
    casts: int = 0
    formats: int = 0
    kind: str = ""


class Model(NamedTuple):
    """Layers by themselves and kernels of several; traffic of both at 16 bits."""

    layers: list[Kernel]
    kernels: list[Kernel]
    traffic: tuple[int, int]
    times: tuple[float, float]


def kind_of(node: Any, graph: Any) -> str:
    """The kind of a convolution, as the compiler tells them apart; "" of what is none."""
    if node.op.name != "conv":
        return ""
    x, y = graph.types[node.inputs[0]].shape[1], graph.types[node.outputs[0]].shape[1]
    kernel = node.op.weights(*graph.input_types(node))["weight"].type.shape
    if node.op.groups > 1:
        return "depthwise" if x == node.op.groups else "grouped"
    narrowing = 2 * y <= x and kernel[-1] > 1
    return "narrowing" if narrowing else "small" if x <= 64 and y <= 64 else "dense"


def widths_of(graph: Any) -> tuple[dict[str, int], dict[str, int]]:
    """Bytes of an element of each value under autocast, and in which each layer works."""
    values, works = dict.fromkeys(graph.inputs, 4), {}
    for node in graph.nodes:
        name = node.op.name
        full = name in FULL or (name == "elementwise" and node.op.function in FULL_FUNCTIONS)
        read = [values.get(v, 2) for v in node.inputs if graph.types[v].dtype == "float32"]
        width = 4 if node.outputs[0] in graph.settled or full else 2 if name in HALF else max(read or [2])
        works[node.name] = values[node.inputs[0]] if node.op.is_view and node.inputs else width
        values.update(dict.fromkeys(node.outputs, works[node.name]))
    return values, works


def model_of(graph: Any, fused: Any) -> Model:
    """What the layers of ``graph``, and the kernels of ``fused``, do and move."""
    from costcalc.analysis.report import report
    from costcalc.analysis.storage import Storage

    values, works = widths_of(graph)
    storage = Storage(fused)
    size = {v: t.size if t.dtype == "float32" else 0 for v, t in graph.types.items()}
    done, layers = {}, []
    for node in graph.nodes:
        if node.op.is_view or node.outputs[0] in graph.settled:
            continue
        types, y = graph.input_types(node), graph.types[node.outputs[0]]
        reads: dict[str, int] = {}
        for value, count in zip(node.inputs, node.op.reads(*types, y=y), strict=True):
            reads[value] = min(max(reads.get(value, 0), count), size[value])
        width, made = works[node.name], sum(size[v] for v in node.outputs)
        weights = 2 * sum(w.type.size for w in node.op.weights(*types).values())
        fixed = node.op.name in HALF | FULL
        other = [v for v in reads if fixed and values[v] != width and v not in graph.settled]
        casts = sum(size[v] * (values[v] + width) for v in other)
        kind = kind_of(node, graph)
        formats = 4 * (size[node.inputs[0]] + made) if kind in ("dense", "small", "narrowing") else 0
        moved = width * (sum(reads.values()) * (1 + (node.op.name == "group_norm")) + made) + weights
        done[node.name] = reads, node.op.macs(*types, y=y), weights
        layers.append(Kernel(done[node.name][1], moved, casts, formats, kind))
    takes_half = {storage.root[v] for n in graph.nodes if n.op.name in HALF for v in n.inputs}
    takes_own = {storage.root[v] for n in graph.nodes if n.op.name not in HALF and n.name in done for v in n.inputs}
    takes_own |= {storage.root[v] for v in graph.outputs}
    kernels = []
    for kernel in fused.kernels:
        macs = moved = 0
        for node in (n for n in kernel if n.name in done):
            reads, work, weights = done[node.name]
            macs, moved = macs + work, moved + weights
            unread = storage.unread.get(node.name, ())
            for value, count in reads.items():
                moved += 0 if value in unread else count * (2 if node.op.name in HALF else values[value])
            for value in (v for v in node.outputs if v not in storage.inside):
                root = storage.root[value]
                own = values[value] if root in takes_own or root not in takes_half else 0
                moved += size[value] * (own + (2 if root in takes_half and own != 2 else 0))
        if moved:
            kernels.append(Kernel(macs, moved, kind=kind_of(kernel[0], graph)))
    reports = [report(one, bits=16) for one in (graph, fused)]
    before, after = (one.total.traffic_bits // 8 for one in reports)
    plain = sum(max(r.macs / CARD[0], r.traffic_bits / 8 / CARD[1]) for r in reports[0].layers)
    sums: dict[str, list[float]] = {}
    for row in reports[1].layers:
        both = sums.setdefault(row.group or row.name, [0.0, 0.0])
        both[0] += row.macs / CARD[0]
        both[1] += row.traffic_bits / 8 / CARD[1]
    return Model(layers, kernels, (before, after), (plain, sum(map(max, sums.values()))))


def seconds(kernels: Iterable[Kernel], card: tuple[float, float], slow: dict[str, float], formats: float) -> float:
    """The time of ``kernels``: convolutions of a kind that is ``slow`` take so many times their traffic's."""
    macs, bandwidth = card
    return sum(
        max(k.macs / macs, k.bytes / bandwidth * slow.get(k.kind, 1)) + (k.casts + formats * k.formats) / bandwidth
        for k in kernels
    )


def changes_format(layers: Iterable[Kernel]) -> bool:
    """Whether the compiler has convolutions run in channels_last, by its own rule."""
    work: dict[str, int] = {}
    for layer in layers:
        kind = "dense" if layer.kind == "depthwise" else layer.kind
        work[kind] = work.get(kind, 0) + layer.macs * (kind in WEIGHTS)
    return 0 < sum(work.values()) >= sum(WEIGHTS.get(kind, 0) * macs for kind, macs in work.items())


def speedup(model: Model, slow: dict[str, float], formats: float) -> float:
    """Time of the layers by time of the kernels."""
    kept = 0 if changes_format(model.layers) else sum(layer.formats for layer in model.layers) * formats / CARD[1]
    return seconds(model.layers, CARD, slow, formats) / (seconds(model.kernels, CARD, slow, 0) + kept)


def convolutions(model: Model) -> float:
    """Which part of all bytes that layers move convolutions do."""
    return sum(k.bytes for k in model.layers if k.kind) / sum(k.bytes for k in model.layers)


def fitted(models: dict[str, Model], other: dict[str, float]) -> tuple[float, dict[str, float], float]:
    """The factors of the two kinds, and the share of formats' copies, by which eager times of the other card come out
    best: median error with them, factors, share."""
    found = []
    for depthwise in (1.0, 1.5, 2.0, 2.5, 3.0, 4.0):
        for grouped in (1.0, 1.5, 2.0, 2.5, 3.0, 4.0):
            for formats in (0.0, 0.5, 1.0):
                slow = {"depthwise": depthwise, "grouped": grouped}
                errors = [
                    log(seconds(m.layers, OTHER, slow, formats) * other[name])
                    for name, m in models.items()
                    if name in other
                ]
                middle = median(errors)
                found.append((median(abs(e - middle) for e in errors), depthwise, grouped, formats))
    error, depthwise, grouped, formats = min(found)
    return error, {"depthwise": depthwise, "grouped": grouped}, formats


def read(path: str) -> dict[str, dict[str, str]]:
    """A table by model."""
    with Path(path).open(encoding="utf-8") as file:
        return {row["model"]: row for row in csv.DictReader(file)}


def main() -> None:
    """Trace, predict, compare."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("eager")
    options.add_argument("compiled")
    options.add_argument("--other", default="")
    options.add_argument("--every", type=int, default=1)
    chosen = options.parse_args()
    import torchvision_stub

    torchvision_stub.install()
    os.environ["HF_HUB_OFFLINE"] = "1"
    warnings.simplefilter("ignore")
    import timm
    from scipy.stats import spearmanr

    import costcalc
    from costcalc.transforms.fuse import fuse

    eager, compiled = read(chosen.eager), read(chosen.compiled)
    same = [n for n in eager if n in compiled and eager[n]["infer_img_size"] == compiled[n]["infer_img_size"]]
    models: dict[str, Model] = {}
    for name in same[:: chosen.every]:
        side = int(eager[name]["infer_img_size"])
        try:
            graph = costcalc.trace(timm.create_model(name, pretrained=False), (8, 3, side, side))
            models[name] = model_of(graph, fuse(graph, "inductor"))
        except Exception as error:
            print(f"{name}: {type(error).__name__}: {str(error)[:80]}")
    measured = [float(compiled[n]["infer_samples_per_sec"]) / float(eager[n]["infer_samples_per_sec"]) for n in models]
    told = {
        "traffic": [m.traffic[0] / m.traffic[1] for m in models.values()],
        "roofline": [m.times[0] / m.times[1] for m in models.values()],
        "casts": [speedup(m, {}, 0) for m in models.values()],
    }
    if chosen.other:
        table = read(chosen.other)
        times = {n: float(table[n]["infer_samples_per_sec"]) / 8 for n in models if n in table}
        error, slow, formats = fitted(models, times)
        print(f"other card: {slow}, {formats:g} of the formats' copies, median error {error:.1%} but for one factor")
        told["library"] = [speedup(m, slow, formats) for m in models.values()]
    print(f"{len(models)} models, median speed-up {median(measured):.2f}")
    plain = [i for i, m in enumerate(models.values()) if convolutions(m) < 0.15]
    for name, predicted in told.items():
        some = spearmanr([predicted[i] for i in plain], [measured[i] for i in plain])[0]
        print(
            f"{name:10} Spearman {spearmanr(predicted, measured)[0]:.3f}, median {median(predicted):.2f}; of the "
            f"{len(plain)} models whose convolutions move less than 15 % of the bytes {some:.3f}"
        )


if __name__ == "__main__":
    main()
