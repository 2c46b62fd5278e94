"""How near calibrated estimates come to measured times of what was not fitted, beside MACs and rooflines alone.

    python benchmarks/calibration.py ncnn TIMES.csv GRAPHS     # columns device, threads, gpu, network, min_ms; *.param
    python benchmarks/calibration.py nas TIMES.csv                  # NAS-Bench-201: cells and a column of ms a device
    python benchmarks/calibration.py timm TIMES.csv [--every N] [--eager]   # timm's tables of throughput
    python benchmarks/calibration.py timm TIMES.csv --cpu           # measured on a CPU
    python benchmarks/calibration.py timm TIMES.csv --machine rtx4090       # also the roofline of a machine file

Each error is of rows that the fit did not see: of ncnn one network is left out at a time, of timm a tenth, and of
NAS-Bench-201 all but ten networks, drawn thirty times.
"""

from __future__ import annotations

import argparse
import csv
import pickle
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, median

from costcalc import load
from costcalc.analysis.estimate import features_of, whole
from costcalc.analysis.features import Features
from costcalc.analysis.report import report
from costcalc.analysis.roofline import Machine
from costcalc.calibration.fit import FitRow, HeldOut, fitted, held_out
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType
from costcalc.machines import load_machine
from costcalc.transforms.fuse import fuse

NETWORKS = {
    "squeezenet": "", "mobilenet": "", "mobilenet_v2": "mobilenet_v2", "mobilenet_v3": "", "shufflenet": "",
    "shufflenet_v2": "", "mnasnet": "mnasnet_b1", "efficientnet_b0": "", "regnety_400m": "", "googlenet": "",
    "resnet18": "resnet18", "alexnet": "", "vgg16": "vgg16", "resnet50": "resnet50",
}  # fmt: skip
"""Network of ncnn's benchmark → the shipped model where there is no graph of it."""

BOARDS = {
    "Raspberry Pi 4": "raspberry_pi_4", "Raspberry Pi 5": "raspberry_pi_5",
    "Qualcomm SM8150-AC Snapdragon 855": "snapdragon_855_cpu",
}  # fmt: skip
"""Devices of ncnn's table whose data sheets are shipped, with all four fast cores."""


def macs_alone(rows: Sequence[FitRow]) -> Features:
    """A fit to the MACs alone."""
    return Features(macs=median(row.seconds / row.features.macs for row in rows))


def said(name: str, held: HeldOut) -> None:
    """One line."""
    print(f"  {name:28} median {100 * held.median:5.1f} %   within 15 % {100 * held.within(0.15):3.0f} %")


def ncnn(times: Path, graphs: Path) -> None:
    """Fourteen networks on every CPU that has at least ten of them."""
    found: dict[str, Features] = {}
    plain: dict[str, Features] = {}
    joined: dict[str, Graph] = {}
    for network, shipped in NETWORKS.items():
        file = graphs / f"{network}.param"
        graph = joined[network] = fuse(load(str(file) if file.exists() else shipped))
        found[network] = whole(graph, "cpu")
        plain[network] = whole(graph, "gpu")
    on: dict[tuple[str, str], dict[str, float]] = {}
    with times.open() as lines:
        for row in csv.DictReader(lines):
            if row["gpu"] == "0" and row["network"] in found and float(row["min_ms"]) > 0:
                on.setdefault((row["device"], row["threads"]), {})[row["network"]] = float(row["min_ms"]) / 1e3
    for title, features, fit in (
        ("MACs alone", plain, macs_alone),
        ("fitted, MACs as counted", plain, fitted),
        ("fitted", found, fitted),
    ):
        ratios: list[float] = []
        many = 0
        for some in on.values():
            if len(some) >= 10:
                many += 1
                ratios += held_out([FitRow(n, features[n], seconds) for n, seconds in some.items()], fit).ratios
        said(f"{title} ({many} settings)", HeldOut(tuple(ratios)))
    roofs = []
    for (device, threads), some in on.items():
        name = next((ours for begins, ours in BOARDS.items() if device.startswith(begins)), None)
        if name and threads == "4":
            board = load_machine(name)
            roofs += [roofline(joined[network], board, None, 1) / took for network, took in some.items()]
    said(f"roofline, {len(roofs)} rows of machine files", HeldOut(tuple(roofs)))


def cell(text: str) -> Graph:
    """A network of NAS-Bench-201, as it is run: each edge is done, and the sums of what comes into a node."""
    builder = GraphBuilder("net", {"image": TensorType((1, 3, 32, 32))})
    conv, add, norm, relu = (find_op(name) for name in ("conv", "add", "batch_norm", "relu"))
    builder.add("stem", conv(16, 3, padding=1, bias=False), ["image"])
    builder.add("stem_norm", norm(), ["stem"])
    value = "stem_norm"
    channels = 16
    nodes = [[edge.split("~") for edge in node.strip("|").split("|")] for node in text.split("+")]
    for stage in range(3):
        if stage:
            channels *= 2
            at = f"reduce{stage}"
            builder.add(f"{at}.relu", relu(), [value])
            builder.add(f"{at}.a", conv(channels, 3, stride=2, padding=1, bias=False), [f"{at}.relu"])
            builder.add(f"{at}.an", norm(), [f"{at}.a"])
            builder.add(f"{at}.r", relu(), [f"{at}.an"])
            builder.add(f"{at}.b", conv(channels, 3, padding=1, bias=False), [f"{at}.r"])
            builder.add(f"{at}.bn", norm(), [f"{at}.b"])
            builder.add(f"{at}.pool", find_op("avg_pool")(2, stride=2), [value])
            builder.add(f"{at}.short", conv(channels, 1, bias=False), [f"{at}.pool"])
            builder.add(f"{at}.sum", add(), [f"{at}.bn", f"{at}.short"])
            value = f"{at}.sum"
        for number in range(5):
            made = [value]
            for node, edges in enumerate(nodes, 1):
                parts = []
                for operation, source in edges:
                    at = f"cell{stage}{number}.{source}to{node}"
                    before = made[int(source)]
                    if operation.startswith("nor_conv"):
                        kernel = int(operation[-1])
                        builder.add(f"{at}.relu", relu(), [before])
                        builder.add(
                            f"{at}.conv", conv(channels, kernel, padding=kernel // 2, bias=False), [f"{at}.relu"]
                        )
                        builder.add(f"{at}.norm", norm(), [f"{at}.conv"])
                        parts.append(f"{at}.norm")
                    elif operation.startswith("avg_pool"):
                        builder.add(f"{at}.pool", find_op("avg_pool")(3, stride=1, padding=1), [before])
                        parts.append(f"{at}.pool")
                    elif operation.startswith("skip"):
                        parts.append(before)
                    else:  # multiplied by 0
                        builder.add(f"{at}.zero", relu(), [before])
                        parts.append(f"{at}.zero")
                # Python's sum begins with 0.
                name = f"cell{stage}{number}.sum{node}_0"
                builder.add(name, relu(), [parts[0]])
                for i, part in enumerate(parts[1:], 1):
                    builder.add(f"cell{stage}{number}.sum{node}_{i}", add(), [name, part])
                    name = f"cell{stage}{number}.sum{node}_{i}"
                made.append(name)
            value = made[-1]
    builder.add("head_norm", norm(), [value])
    builder.add("head_relu", relu(), ["head_norm"])
    builder.add("pool", find_op("global_avg_pool")(), ["head_relu"])
    builder.add("flat", find_op("flatten")(), ["pool"])
    builder.add("fc", find_op("linear")(10), ["flat"])
    return builder.build(["fc"])


def nas(times: Path, many: int = 15_625) -> None:
    """Rank correlation over all networks of fits to ten of them."""
    with times.open() as lines:
        table = list(csv.DictReader(lines))
    devices = [name for name in table[0] if name != "architecture"]
    random.Random(0).shuffle(table)
    names = [row["architecture"] for row in table[:many]]
    kinds = {kind: {name: whole(cell(name), kind) for name in names} for kind in ("cpu", "gpu")}
    means = []
    for device in devices:
        features = kinds["gpu" if "ti_" in device else "cpu"]
        middle = median(float(row[device]) for row in table)
        seconds = {r["architecture"]: float(r[device]) / 1e3 for r in table[:many] if float(r[device]) > 0.3 * middle}
        found = []
        for draw in range(30):
            ten = random.Random(draw).sample(sorted(seconds), 10)
            each = fitted([FitRow(name, features[name], seconds[name]) for name in ten])
            found.append(spearman([features[n].seconds(each) for n in seconds], list(seconds.values())))
        means.append(fmean(found))
        macs = spearman([features[n].macs for n in seconds], list(seconds.values()))
        print(f"  {device:20} {means[-1]:.4f}   MACs alone {macs:.4f}")
    print(f"  {'mean':20} {fmean(means):.4f}")


def spearman(one: Sequence[float], other: Sequence[float]) -> float:
    """Correlation of ranks, equal values in the middle of theirs."""
    import numpy as np
    from scipy.stats import spearmanr

    return float(spearmanr(np.array(one), np.array(other))[0])


def timm(times: Path, every: int, eager: bool, cpu: bool, machine: str, kept: Path | None) -> None:
    """timm's models, traced at their image sizes; ten folds."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "torch"))
    import torchvision_stub

    torchvision_stub.install()
    with times.open() as lines:
        table = list(csv.DictReader(lines))
    random.Random(1).shuffle(table)
    processor, bits = ("cpu", None) if cpu else ("eager" if eager else "gpu", 16)
    card = load_machine(machine) if machine else None
    rows, roofs = [], []
    for row in table[::every]:
        size, batch = int(row["infer_img_size"]), int(row["infer_batch_size"])
        seconds = batch / float(row["infer_samples_per_sec"])
        try:
            graph = as_measured(row["model"], size, float(row["param_count"]), kept)
        except Exception as error:
            print(f"  {row['model']} is left out: {error}")
            continue
        joined = graph if eager else fuse(graph, "inductor")
        one = whole(joined, processor, bits)
        batched = Features(one.macs * batch, one.ops * batch, one.activations * batch, one.weights, one.kernels)
        rows.append(FitRow(row["model"], batched, seconds))
        if card:
            roofs.append(roofline(joined, card, bits, batch) / seconds)
    print(f"  {len(rows)} of {len(table)} rows")
    said("MACs alone", held_out(rows, macs_alone))
    if roofs:
        said(f"roofline of {machine}", HeldOut(tuple(roofs)))
        said("  but for one factor", HeldOut(tuple(ratio / median(roofs) for ratio in roofs)))
    said("fitted", held_out(rows, fitted))


def as_measured(model: str, size: int, millions: float, kept: Path | None) -> Graph:
    """A model of timm as its table has it, whose parameters tell whether its branches were made one convolution."""
    graph = known(kept, f"{model}@{size}", lambda: load(f"timm:{model}", input=(3, size, size)))
    if abs(parameters(graph) / 1e6 - millions) <= max(0.006, 0.002 * millions):
        return graph

    def joined() -> Graph:
        import timm as library
        from timm.utils.model import reparameterize_model

        import costcalc

        module = reparameterize_model(library.create_model(model, pretrained=False).eval())
        return costcalc.trace(module, (1, 3, size, size))

    graph = known(kept, f"{model}@{size}.reparameterized", joined)
    if abs(parameters(graph) / 1e6 - millions) > max(0.006, 0.002 * millions):
        raise ValueError(f"the table has {millions:g} million parameters, the model {parameters(graph) / 1e6:.2f}")
    return graph


def known(kept: Path | None, name: str, trace: Callable[[], Graph]) -> Graph:
    """The graph that the folder of an earlier run has by that name, or a new one, which is kept there."""
    if kept is None:
        return trace()
    file = kept / f"{name}.pkl"
    if not file.exists():
        file.write_bytes(pickle.dumps(trace()))
    graph: Graph = pickle.loads(file.read_bytes())
    return graph


def parameters(graph: Graph) -> int:
    """Those of all layers, each once."""
    return int(report(graph).total.params)


def roofline(joined: Graph, machine: Machine, bits: int | None, batch: int) -> float:
    """Seconds by a data sheet: each kernel takes the longer of its MACs and its traffic."""
    kernels: dict[str, Features] = {}
    for name, features in features_of(joined, "gpu", bits):
        group = joined.group_of.get(name)
        kernel = group.name if group else name
        kernels[kernel] = kernels.get(kernel, Features()).plus(features)
    rate = machine.rate(bits)
    return sum(
        max(one.macs * batch / rate, (one.activations * batch + one.weights) / machine.bandwidth)
        for one in kernels.values()
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", choices=["ncnn", "nas", "timm"])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--eager", action="store_true")
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--machine", default="")
    parser.add_argument(
        "--keep", type=Path, help="a folder of your own for timm's graphs, so that the next run is quick"
    )
    given = parser.parse_args()
    if given.which == "ncnn":
        ncnn(*given.files)
    elif given.which == "nas":
        nas(given.files[0], 15_625 // given.every)
    else:
        timm(given.files[0], given.every, given.eager, given.cpu, given.machine, given.keep)
