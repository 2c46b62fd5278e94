"""How near the floor and the roofline come to measured times, and whether any time is below them.

    python benchmarks/floor.py gemm_bf16_a100.csv ...   # tables with columns m, n, k, ms: products in bfloat16 on the
                                                        # machine that the last word of the file's name says
    python benchmarks/floor.py --here                   # layers of some models in PyTorch, on this processor
    python benchmarks/floor.py --ncnn times.csv graphs  # ncnn's published times on Raspberry Pi 4 and 5, and its graphs
                                                        # in a folder: .param files

A part above 1 is a time below the figure: of the floor there must be none, but where ncnn multiplies less
often: it does convolutions of 3×3 places by Winograd's algorithm.
"""

from __future__ import annotations

import argparse
import csv
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import costcalc
from costcalc.analysis.roofline import WIDTHS, Machine
from costcalc.errors import CostcalcError
from costcalc.ir.graph import GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType
from costcalc.machines import load_machine

MODELS = ("resnet18", "mobilenet_v2", "vgg11", "densenet121", "vit_b_16", "googlenet")


def product(m: int, n: int, k: int, machine: Machine) -> costcalc.analysis.records.Total:  # type: ignore[name-defined]
    """The figures of a product of matrices."""
    builder = GraphBuilder("product", {"x": TensorType((m, k))})
    builder.add("y", find_op("linear")(n, bias=False), ["x"])
    return costcalc.analyze(builder.build(["y"]), machine=machine, bits=16).total


def table(path: Path) -> None:
    """A line for one card."""
    machine = load_machine(path.stem.rpartition("_")[2])
    rows = []
    with path.open() as lines:
        for row in csv.DictReader(lines):
            total = product(int(row["m"]), int(row["n"]), int(row["k"]), machine)
            took = float(row["ms"]) / 1e3
            rows.append((total.floor.seconds / took, total.time.seconds / took, total.macs, total.traffic_bits))
    below = [sum(row[i] > 1 for row in rows) for i in (1, 0)]
    most = [median(row[0] for row in sorted(rows, key=lambda row: -row[by])[:50]) for by in (2, 3)]
    print(
        f"{machine.name:8}{len(rows):8,}{below[0]:8}{below[1]:8}{max(row[0] for row in rows):8.2f}"
        f"{most[0]:10.2f}{most[1]:10.2f}"
    )


PIS = {"Raspberry Pi 4": ("raspberry_pi_4", 32), "Raspberry Pi 5": ("raspberry_pi_5", 16)}
"""Boards, their machines, and the width in which ncnn computes there: a Cortex-A76 multiplies halves."""

ZOO = ("vgg16", "resnet18", "resnet50", "mobilenet_v2")
"""Of the others, those that are ours too."""


def ncnn(times: Path, graphs: Path) -> None:
    """A line for each board and number of threads: networks, those below the floor, and below it without such
    convolutions as Winograd's algorithm does.
    """
    with times.open() as lines:
        rows = [(board, row) for row in csv.DictReader(lines) for board in PIS if row["device"].startswith(board)]
    parts: dict[tuple[str, str], list[tuple[float, float, str]]] = {}
    for board, row in rows:
        name, threads = row["network"], int(row["threads"])
        base = name.removesuffix("_int8")
        file = graphs / f"{base}.param"
        source = str(file) if file.exists() else base
        if int(row["gpu"]) > 0 or not (file.exists() or base in ZOO):
            continue
        machine, bits = load_machine(PIS[board][0]), 8 if name.endswith("_int8") else PIS[board][1]
        if bits not in {WIDTHS[dtype] for dtype in machine.macs}:
            continue
        one = replace(machine, macs={dtype: rate * threads / 4 for dtype, rate in machine.macs.items()})
        size = {"vision_transformer": 384}.get(name, 224)  # where a graph leaves it open
        try:
            graph = costcalc.load(source)
        except CostcalcError:
            graph = costcalc.load(source, input=(3, size, size))
        report = costcalc.analyze(graph, machine=one, bits=bits)
        took, floor = float(row["min_ms"]) / 1e3, report.total.floor
        few = sum(layer.floor.compute for layer in report.layers if _is_winograd(layer))
        parts.setdefault((machine.name, f"{threads}"), []).append(
            (floor.seconds / took, max(floor.compute - few, floor.traffic) / took, name)
        )
    for (machine_name, threads_), found in parts.items():
        found.sort(reverse=True)
        below = ", ".join(f"{name} {part:.2f}" for part, _, name in found if part > 1)
        without = sum(rest > 1 for _, rest, _ in found)
        print(f"{machine_name} {threads_} threads: {len(found)} networks, below the floor: {below or 'none'}")
        print(f"    without 3x3 convolutions of stride 1: {without}, highest {max(rest for _, rest, _ in found):.2f}")


def _is_winograd(layer: costcalc.analysis.records.Layer) -> bool:  # type: ignore[name-defined]
    options = layer.options
    sizes = {str(options.get(key, 1)).strip("()").split(",")[0] for key in ("stride", "dilation", "groups")}
    return layer.op == "conv" and sizes == {"1"} and options.get("kernel") in (3, (3, 3))


def this_processor() -> Machine:
    """What /proc/cpuinfo says: the highest clock that is known of all cores, with two fused units a core."""
    text = Path("/proc/cpuinfo").read_text()
    fields = [line.partition(":")[::2] for line in text.splitlines() if ":" in line]
    known = {key.strip(): value.strip() for key, value in fields}
    cores = sum(key.strip() == "processor" for key, _ in fields)
    clock = 4.5e9  # no processor of a server has a higher one; what is told is the clock of the moment
    width = 16 if "avx512f" in known["flags"] else 8
    kib = int(known["cache size"].split()[0]) * 1024
    caches = {"the cache that the kernel names": kib}
    return Machine(
        "here", known["model name"], {"float32": cores * clock * 2 * width}, 400e9, "/proc/cpuinfo", caches=caches
    )


def here() -> None:
    """Each convolution and product of ``MODELS``, run by itself in PyTorch: the least of several runs."""
    import torch

    machine = this_processor()
    parts = []
    for name in MODELS:
        graph = costcalc.load(name)
        report = costcalc.analyze(graph, machine=machine)
        seen = set()
        for node, layer in zip(graph.nodes, report.layers, strict=True):
            types = graph.input_types(node)
            if not layer.macs or (node.op, types) in seen:
                continue
            seen.add((node.op, types))
            module = node.op.to_torch(*types).eval()
            inputs = [torch.randn(t.shape) for t in types]
            with torch.inference_mode():
                module(*inputs)
                least = min(_timed(module, inputs) for _ in range(5))
            parts.append((layer.floor.seconds / least, name, layer.name, least))
    parts.sort(reverse=True)
    below = sum(part > 1 for part, *_ in parts)
    print(f"{len(parts)} layers, {below} below the floor; median {median(part for part, *_ in parts):.2f}")
    for part, name, layer, took in parts[:5]:
        print(f"{part:6.2f}  {1e3 * took:8.3f} ms  {name} {layer}")


def _timed(module: object, inputs: list[object]) -> float:
    began = time.perf_counter()
    module(*inputs)  # type: ignore[operator]
    return time.perf_counter() - began


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--here", action="store_true")
    parser.add_argument("--ncnn", nargs=2, type=Path, metavar=("TIMES", "GRAPHS"))
    given = parser.parse_args()
    if given.files:
        print(f"{'card':8}{'rows':>8}{'roofline':>8}{'floor':>8}{'highest':>8}{'most MACs':>10}{'most bytes':>10}")
    for file in given.files:
        table(file)
    if given.here:
        here()
    if given.ncnn:
        ncnn(*given.ncnn)
