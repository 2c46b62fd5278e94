"""Hold `fuse:openvino` to OpenVINO: each model is exported and compiled, and the graph that it runs is compared.

    python benchmarks/fusion_openvino.py torchvision:resnet50 timm:ghostnet_100 …

A line a model: kernels that are compared, and what differs. Needs openvino, onnx, onnxscript, torch and what has the
models. Without arguments the models of the table in docs/fusion.md.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from fusion_ort import NODES, SIZES, build, export, hold

JOINED = {**NODES, "silu": "Mul", "hardswish": "HardSwish", "mish": "Mish", "softplus": "Softplus"}
"""What an activation is called by OpenVINO where it is joined to something: by the last of its nodes."""
PRODUCTS = ("conv", "linear", "conv_transpose")


def kernels_of(graph: Any) -> Counter[Any]:
    """What costcalc's groups come to: each convolution by its weight, and others by kind, with what they took in."""
    from costcalc.transforms.fuse import partition

    nodes = {node.name: node for node in graph.nodes}
    found: Counter[Any] = Counter()
    for kernel in partition(graph, "openvino"):
        layers = [nodes[name] for name in kernel]
        joined = tuple(sorted(JOINED[n.op.name] for n in layers if n.op.name in JOINED and n.op.name != "batch_norm"))
        if layers[0].op.name in PRODUCTS:
            name = "product" if layers[0].op.name == "linear" else str(layers[0].weight("weight"))
            found[(name, joined)] += 1
        elif joined and layers[0].op.name in ("add", "multiply", "batch_norm"):
            found[("arithmetic", joined)] += 1
    return found


def nodes_of(path: str) -> Counter[Any]:
    """The same of the graph that OpenVINO runs for the file ``path``."""
    import onnx
    import openvino

    graph = onnx.load(path).graph
    by_name = {name: node for node in graph.node for name in (*node.output, node.name)}
    config = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(path), "CPU", config)
    found: Counter[Any] = Counter()
    for node in compiled.get_runtime_model().get_ordered_ops():
        about = node.get_rt_info()
        kind, names = (str(about[key].astype(str)) for key in ("layerType", "originalLayersNames"))
        made = [by_name[name] for name in names.split(",") if name in by_name]
        types = [one.op_type for one in made]
        if any("scaled_dot_product" in str(one.metadata_props) for one in made):
            continue  # parts of attention, which is one layer here
        joined = tuple(sorted(t for t in types if t in JOINED.values() and t not in ("BatchNormalization",)))
        if kind in ("Convolution", "Deconvolution"):
            weight = next(one.input[1] for one in made if one.op_type in ("Conv", "ConvTranspose"))
            found[(weight, joined)] += 1
        elif kind == "FullyConnected":
            found[("product", tuple(t for t in joined if t != "Add"))] += 1  # a bias
        elif kind in ("Subgraph", "Eltwise") and joined and "MatMul" not in types:
            found[("arithmetic", joined)] += 1
    return found


def compare(name: str, folder: Path) -> tuple[Counter[Any], Counter[Any]]:
    """The kernels that are compared of a model, ours and theirs."""
    import costcalc

    module, shape, path = build(name), (1, *SIZES.get(name, (3, 224, 224))), str(folder / "model.onnx")
    export(module, shape, path)
    return kernels_of(costcalc.trace(module, shape)), nodes_of(path)


if __name__ == "__main__":
    import openvino
    import torch

    print(f"openvino {openvino.__version__}, torch {torch.__version__}")
    hold("OpenVINO", compare)
