"""Hold `fuse:ort` to ONNX Runtime: each model is exported, optimised by a session, and its nodes are compared.

    python benchmarks/fusion_ort.py torchvision:resnet50 timm:ghostnet_100 …

A line a model: kernels as costcalc has them and nodes as ONNX Runtime runs them, without those that only reorder or
reshape, and what differs. Needs onnx, onnxscript, onnxruntime, torch and what has the models. Without arguments the
models of the table in docs/fusion.md.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

MODELS = [
    "torchvision:resnet18", "torchvision:resnet50", "torchvision:vgg16_bn", "torchvision:alexnet",
    "torchvision:squeezenet1_1", "torchvision:googlenet", "torchvision:inception_v3", "torchvision:densenet121",
    "torchvision:mobilenet_v2", "torchvision:mobilenet_v3_large", "torchvision:mnasnet1_0",
    "torchvision:efficientnet_b0", "torchvision:regnet_y_800mf", "torchvision:shufflenet_v2_x1_0",
    "torchvision:convnext_tiny", "torchvision:swin_t", "timm:ghostnet_100", "timm:hrnet_w18", "timm:cspdarknet53",
    "timm:res2net50_26w_4s", "timm:mobilevit_s", "timm:mixer_b16_224", "timm:deit_tiny_patch16_224",
]  # fmt: skip
SIZES = {
    "torchvision:inception_v3": (3, 299, 299),
    "timm:mobilevit_s": (3, 256, 256),
    "timm:cspdarknet53": (3, 256, 256),
}
NODES = {
    "relu": "Relu", "relu6": "Clip", "hardtanh": "Clip", "leaky_relu": "LeakyRelu", "sigmoid": "Sigmoid",
    "hardsigmoid": "HardSigmoid", "add": "Add", "multiply": "Mul", "batch_norm": "BatchNormalization",
    "max_pool": "MaxPool", "layer_norm": "LayerNormalization", "gelu": "Gelu", "silu": "QuickGelu",
    "layer_scale": "Mul", "elu": "Elu", "tanh": "Tanh", "prelu": "PRelu", "pad": "Pad", "mish": "Mish",
}  # fmt: skip
"""Ops whose layer is a node of this type where it is alone."""
CONVS = ("conv", "conv_transpose", "linear", "depthwise", "pointwise")
ACTIVATIONS = {"Relu", "Clip", "LeakyRelu", "Sigmoid", "HardSigmoid", "Tanh", "HardSwish"}


def build(name: str) -> Any:
    """The module called ``torchvision:…`` or ``timm:…``, in evaluation mode."""
    library, _, model = name.partition(":")
    if library == "timm":
        import timm

        return timm.create_model(model, pretrained=False).eval()
    import torchvision

    more = {"init_weights": False, "aux_logits": False} if model in ("googlenet", "inception_v3") else {}
    return getattr(torchvision.models, model)(weights=None, **more).eval()


def kernels_of(graph: Any) -> Counter[Any]:
    """What costcalc's groups come to: each convolution by its weight with what joined it, and other nodes by type."""
    from costcalc.transforms.fuse import partition

    nodes = {node.name: node for node in graph.nodes}
    found: Counter[Any] = Counter()
    for kernel in partition(graph, "ort"):
        ops = [nodes[name].op.name for name in kernel]
        main = next((nodes[name] for name in kernel if nodes[name].op.name in CONVS), None)
        acts = [NODES.get(op, "HardSwish") for op in ops if NODES.get(op, "") in ACTIVATIONS or op == "hardswish"]
        if main is not None and main.op.name == "linear" and not main.op.bias:
            continue  # MatMul, as the products of attention are
        if main is not None:
            found[(name_of(main), "add" in ops, *acts)] += 1
        elif ops == ["mish"]:
            found.update(["Tanh", "Mul"])
        elif ops == ["hardswish"]:
            found.update(["HardSigmoid", "Mul"])
        elif ops == ["sigmoid", "multiply"]:
            found["QuickGelu"] += 1
        elif ops == ["add", "layer_norm"]:
            found["SkipLayerNormalization"] += 1
        elif ops[0] == "batch_norm" or (ops[0] == "multiply" and len(ops) > 1):
            found[(NODES[ops[0]], "add" in ops, *acts)] += 1
        elif {*ops} <= {"relu", "relu6", "hardtanh"}:
            found["Relu" if {*ops} == {"relu"} else "Clip"] += 1
        elif ops[0] in NODES and ops != ["pad", "avg_pool"]:
            found[NODES[ops[0]]] += 1
    return found


def name_of(node: Any) -> str:
    """A convolution by the weight's name; linear layers, whose weights the exporter transposes, are all alike."""
    return "linear" if node.op.name == "linear" else str(node.weight("weight"))


def nodes_of(model: str, optimised: str) -> Counter[Any]:
    """The same of the nodes that ONNX Runtime made of the file ``model``."""
    import onnx

    graph, after = (onnx.load(path).graph for path in (model, optimised))
    heads: dict[str, Any] = {}
    kept = {v.removesuffix("_nchwc") for node in after.node for v in (*node.output, node.name)}
    weights = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
            heads[node.output[0]] = node
        elif node.op_type in {*ACTIVATIONS, "BatchNormalization"} or any(v in weights for v in node.input):
            heads.update((node.output[0], heads[v]) for v in node.input if v in heads)
        elif node.op_type == "Add":
            # Either addend may have taken the other in: whose output is gone.
            gone = [v for v in node.input if v in heads and v not in kept]
            heads.update((node.output[0], heads[v]) for v in gone[:1])
    found: Counter[Any] = Counter()
    for node in after.node:
        acts = [a.s.decode() for a in node.attribute if a.name == "activation"]
        if node.op_type in ("Conv", "FusedConv", "ConvTranspose"):
            name = node.name.removesuffix("_nchwc") if node.domain.endswith("nchwc") else node.output[0]
            summed = len(node.input) > 3 and bool(node.input[3])
            if node.name.endswith("_bn_nchwc"):
                found[("BatchNormalization", summed, *acts)] += 1
            elif node.name.endswith("_mul_nchwc") and not acts and not summed:
                found["Mul"] += 1
            elif node.name.endswith("_mul_nchwc"):
                found[("Mul", summed, *acts)] += 1
            else:
                found[(heads[name].input[1], summed, *acts)] += 1
        elif node.op_type in ("Gemm", "FusedGemm"):
            found[("linear", False, *acts)] += 1
        elif node.op_type == "BatchNormalization":
            found[(node.op_type, False)] += 1
        elif node.op_type in {*NODES.values(), "SkipLayerNormalization"}:
            found[node.op_type] += 1
    return found


def export(module: Any, shape: tuple[int, ...], path: str) -> None:
    """Write ``module`` as ONNX to ``path``."""
    import torch

    torch.onnx.export(module, (torch.randn(shape),), path, dynamo=True, verbose=False, external_data=False)


def optimise(module: Any, shape: tuple[int, ...], path: str, optimised: str) -> None:
    """Write ``module`` as ONNX to ``path``, and what a session makes of it to ``optimised``."""
    import onnxruntime

    export(module, shape, path)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.optimized_model_filepath, options.log_severity_level = optimised, 3
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def compare(name: str, folder: Path) -> tuple[Counter[Any], Counter[Any]]:
    """The kernels that are compared of a model, ours and theirs."""
    import torch

    import costcalc

    module = build(name)
    for part in module.modules():  # an exporter leaves zeros out, which no trained norm has
        if isinstance(part, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(part.bias)
    shape = (1, *SIZES.get(name, (3, 224, 224)))
    path, optimised = str(folder / "model.onnx"), str(folder / "optimised.onnx")
    optimise(module, shape, path, optimised)
    return kernels_of(costcalc.trace(module, shape)), nodes_of(path, optimised)


def hold(engine: str, compare: Callable[[str, Path], tuple[Counter[Any], Counter[Any]]]) -> None:
    """Compare each model that is asked for, a line each."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    exact = 0
    names = sys.argv[1:] or MODELS
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            ours, theirs = compare(name, Path(folder))
        exact += ours == theirs
        told = "exact" if ours == theirs else f"we {dict(ours - theirs)}, {engine} {dict(theirs - ours)}"
        print(f"{name:36} {sum(ours.values()):4} kernels  {told}", flush=True)
    print(f"{exact} of {len(names)} exact")


if __name__ == "__main__":
    import onnxruntime
    import torch

    print(f"onnxruntime {onnxruntime.__version__}, torch {torch.__version__}")
    hold("ONNX Runtime", compare)
