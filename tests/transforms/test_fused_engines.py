"""What each engine joins, held to what the engines were seen to do.

The numbers of ``ORT`` are those of the models that onnxruntime 1.32.0 makes at its highest level of the files that
torch 2.13.0 exports of torchvision's networks (``benchmarks/fusion_ort.py``), on a CPU with AVX-512; of ``INDUCTOR``
those of torch 2.13.0's scheduler on a CPU, without copies to another layout (``benchmarks/fusion_inductor.py``).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from costcalc import load
from costcalc.ir.graph import Graph
from costcalc.transforms.fuse import partition

PRODUCTS = ("conv", "linear", "depthwise", "pointwise")
ORT = {
    "alexnet": {"conv relu": 5, "max_pool": 3, "linear relu": 2, "linear": 1},
    "resnet18": {"conv relu": 9, "max_pool": 1, "conv add relu": 8, "conv": 3, "linear": 1},
    "resnet50": {"conv relu": 33, "max_pool": 1, "conv": 4, "conv add relu": 16, "linear": 1},
    "vgg16_bn": {"conv relu": 13, "max_pool": 5, "linear relu": 2, "linear": 1},
    "squeezenet1_1": {"conv relu": 26, "max_pool": 3},
    "googlenet": {"conv relu": 57, "max_pool": 13, "linear": 1},
    "inception_v3": {"conv relu": 94, "max_pool": 4, "linear": 1},
    "densenet121": {"conv relu": 59, "max_pool": 1, "norm relu": 62, "conv": 61, "linear": 1},
    "mobilenet_v2": {"conv relu6": 35, "conv": 7, "conv add": 10, "linear": 1},
    "mobilenet_v3_large": {
        "conv hardswish": 20, "conv relu": 19, "conv add": 10, "conv": 5, "conv hardsigmoid": 8, "multiply": 8,
        "linear": 2, "hardswish": 1,
    },
    "efficientnet_b0": {"conv": 56, "silu": 49, "conv sigmoid": 16, "multiply": 16, "conv add": 9, "linear": 1},
    "regnet_y_800mf": {
        "conv relu": 43, "conv sigmoid": 14, "multiply": 14, "conv": 4, "conv add relu": 14, "linear": 1,
    },
    "shufflenet_v2_x1_0": {"conv relu": 37, "max_pool": 1, "conv": 19, "linear": 1},
    "convnext_t": {"conv": 22, "layer_norm": 23, "linear": 37, "gelu": 18, "layer_scale": 18, "add": 18},
}  # fmt: skip
NAMED = {op for counts in ORT.values() for key in counts for op in key.split()}
INDUCTOR = {
    "resnet18": 39, "resnet50": 104, "vgg16_bn": 37, "mobilenet_v2": 105, "mobilenet_v3_large": 136,
    "efficientnet_b0": 196, "regnet_y_800mf": 175,
}  # fmt: skip


def kinds(graph: Graph, engine: str) -> Counter[str]:
    """The kernels of ``engine`` by what is in them; norms behind a product are in its weights."""
    ops = {node.name: node.op.name for node in graph.nodes}
    found: Counter[str] = Counter()
    for kernel in partition(graph, engine):
        first, *rest = (ops[name] for name in kernel)
        first = {"depthwise": "conv", "pointwise": "conv", "batch_norm": "norm"}.get(first, first)
        found[" ".join([first, *(op for op in rest if op != "batch_norm")])] += 1
    return found


@pytest.mark.parametrize("name", ORT)
def test_onnx_runtime_joins_the_same(name: str) -> None:
    found = kinds(load(name), "ort")
    assert {kind: count for kind, count in found.items() if set(kind.split()) <= NAMED} == ORT[name]


@pytest.mark.parametrize("name", INDUCTOR)
def test_inductor_runs_as_many_kernels(name: str) -> None:
    assert len(partition(load(name), "inductor")) == INDUCTOR[name]


def joined(tmp_path: Path, engine: str, *layers: str, shape: str = "16, 8, 8") -> list[str]:
    """The layers, by their ops, of each kernel that does several in a small model."""
    text = f"inputs: {{x: [{shape}]}}\nlayers:\n" + "".join(f"- {layer}\n" for layer in layers)
    (tmp_path / "net.yaml").write_text(text)
    graph = load(str(tmp_path / "net.yaml"))
    ops = {node.name: node.op.name for node in graph.nodes}
    return [" ".join(ops[name] for name in kernel) for kernel in partition(graph, engine) if len(kernel) > 1]


CONV = "conv(16, 3, padding=1)"
BEHIND_CONV = {
    "relu": "ort openvino cudnn tflite",
    "relu6": "ort openvino cudnn tflite",
    "leaky_relu": "ort openvino cudnn",
    "sigmoid": "ort openvino cudnn",
    "tanh": "ort openvino cudnn",
    "hardsigmoid": "ort cudnn",
    "hardswish": "ort openvino cudnn",
    "silu": "openvino cudnn",
    "gelu": "openvino cudnn",
    "prelu": "openvino cudnn",
    "mish": "openvino cudnn",
    "batch_norm": "ort openvino cudnn tflite",
    "layer_norm": "",
    "instance_norm": "",
    "max_pool(2)": "",
    "softmax": "",
    "hardtanh": "ort openvino cudnn tflite",
    "hardtanh(-2, 2)": "ort openvino cudnn",
}
"""Layer → the engines that do it with the convolution before it (and another convolution behind it)."""


@pytest.mark.parametrize("layer", BEHIND_CONV)
def test_what_follows_a_convolution(tmp_path: Path, layer: str) -> None:
    for engine in ("ort", "openvino", "cudnn", "tflite"):
        expected = [f"conv {layer.partition('(')[0]}"] if engine in BEHIND_CONV[layer].split() else []
        assert joined(tmp_path, engine, CONV, layer, CONV) == expected, engine
    assert joined(tmp_path, "inductor", CONV, layer, CONV) == [], "a library does convolutions"


@pytest.mark.parametrize(
    ("engine", "layers", "expected"),
    [
        ("ort", [CONV, "batch_norm", "relu", "batch_norm"], ["conv batch_norm relu"]),
        ("ort", [f"a: {CONV}", f"b: {{{CONV}: x}}", "{add: [a, b]}", "relu"], ["conv add relu"]),
        ("ort", [f"a: {CONV}", "b: relu", "{add: [b, x]}"], ["conv relu"]),  # activated already
        ("ort", [f"a: {CONV}", "{add: [a, x]}"], []),  # the image does not lie in blocks
        ("ort", ["a: conv(18, 1)", "b: conv(18, 1)", "{add: [b, a]}"], ["conv add"]),  # nor do 18 channels; a bias
        ("ort", ["a: conv(18, 1)", "b: conv(18, 1, bias=false)", "{add: [b, a]}"], []),
        ("ort", ["a: conv(18, 1)", "b: conv(18, 1, bias=false)", "batch_norm", "{add: [$last, a]}"], None),
        ("ort", ["pad(1)", "conv(16, 3)"], ["pad conv"]),
        ("ort", ["pad(1)", "avg_pool(2)"], ["pad avg_pool"]),
        ("ort", ["pad(1, mode='reflect')", "conv(16, 3)"], []),
        ("ort", ["pad(1, value=2)", "conv(16, 3)"], []),
        ("ort", ["relu6", "relu", "sigmoid"], ["relu6 relu"]),
        ("ort", ["pad(1)", "max_pool(2)"], []),
        ("ort", ["conv_transpose(8, 2, stride=2)", "batch_norm", "relu"], ["conv_transpose batch_norm"]),
        ("ort", ["batch_norm", "relu"], []),  # of the image, which does not lie in blocks
        ("ort", [CONV, "relu", "batch_norm", "relu"], ["conv relu", "batch_norm relu"]),
        ("ort", ["{multiply: [x, x]}", "relu"], []),
        ("ort", ["s: {sigmoid: x}", "{multiply: [x, s]}"], ["sigmoid multiply"]),
        ("openvino", [f"a: {CONV}", "{add: [a, x]}", "relu"], ["conv add relu"]),
        ("openvino", ["batch_norm", "relu", CONV], ["batch_norm relu"]),
        ("openvino", [f"a: {CONV}", "b: relu", "{add: [b, x]}", "sigmoid"], ["conv relu", "add sigmoid"]),
        ("tflite", ["a: {add: [x, x]}", "relu"], ["add relu"]),
        ("tflite", [f"a: {CONV}", "{add: [a, x]}", "relu"], ["add relu"]),
        ("inductor", [CONV, "batch_norm", "relu", CONV], ["batch_norm relu"]),
        ("inductor", [f"a: {CONV}", "b: batch_norm", "{add: [b, x]}", "relu", CONV], ["batch_norm add relu"]),
        ("inductor", ["relu", "max_pool(2)"], ["relu max_pool"]),  # one operation, repeated
        ("inductor", ["relu6", "max_pool(2)"], []),
        ("inductor", ["relu", "global_avg_pool"], ["relu global_avg_pool"]),
        ("inductor", ["relu6", "flatten", "sigmoid"], ["relu6 sigmoid"]),  # through a view
        ("inductor", [CONV, "batch_norm", "silu", "global_avg_pool"], ["batch_norm silu"]),  # silu reads it twice
        ("inductor", ["a: sigmoid", "{concat: [a, x]}"], ["sigmoid concat"]),
        ("inductor", [f"a: {CONV}", "{concat: [a, x]}", "relu"], []),
        ("cudnn", [CONV, "batch_norm", "{add: [$last, x]}", "silu"], None),
    ],
)  # fmt: skip
def test_small_models(tmp_path: Path, engine: str, layers: list[str], expected: list[str] | None) -> None:
    if expected is None:
        layers = [layer.replace("$last", "last") for layer in layers]
        at = next(i for i, layer in enumerate(layers) if "last" in layer)
        layers[at - 1] = f"last: {layers[at - 1]}"
        expected = ["conv batch_norm add"] if engine == "ort" else ["conv batch_norm add silu"]
    assert joined(tmp_path, engine, *layers) == expected


@pytest.mark.parametrize("engine", ["", "ort", "openvino", "cudnn", "tflite"])
def test_a_norm_of_the_input_s_own_statistics_joins_nothing(tmp_path: Path, engine: str) -> None:
    """No product, and no chain, knows them before all of its result is there."""
    assert joined(tmp_path, engine, CONV, "batch_norm") == ["conv batch_norm"]
    assert joined(tmp_path, engine, CONV, "batch_norm(track_running_stats=false)") == []


def test_products_of_matrices(tmp_path: Path) -> None:
    for engine, two, three in [("ort", ["linear relu"], []), ("openvino", ["linear relu"], ["linear relu"])]:
        assert joined(tmp_path, engine, "linear(8)", "relu", shape="4") == two
        assert joined(tmp_path, engine, "linear(8)", "relu", shape="3, 4") == three
    assert joined(tmp_path, "ort", "linear(8)", "gelu", shape="4") == []
    assert joined(tmp_path, "ort", "a: {add: [x, x]}", "layer_norm", shape="3, 4") == ["add layer_norm"]
    assert joined(tmp_path, "inductor", "a: {add: [x, x]}", "layer_norm", "gelu", shape="3, 4") == [
        "add layer_norm gelu"
    ]


ATTENTION = """
inputs: {q: [4, 16, 32], k: [4, 32, 16], v: [4, 16, 32], mask: [4, 16, 16]}
layers:
- scores: {matmul: [q, k]}
- masked: {add: [scores, mask]}
- soft: softmax
- out: {matmul: [soft, v]}
- again: {matmul: [out, k]}
"""


@pytest.mark.parametrize("engine", ["", "openvino", "cudnn", "ort", "tflite"])
def test_attention_is_one_kernel_where_an_engine_has_it(tmp_path: Path, engine: str) -> None:
    from costcalc import analyze

    (tmp_path / "net.yaml").write_text(ATTENTION)
    graph = load(str(tmp_path / "net.yaml"))
    attended = ("scores", "masked", "soft", "out")
    groups = [kernel for kernel in partition(graph, engine) if len(kernel) > 1]
    assert groups == ([attended] if engine in ("", "openvino", "cudnn") else [])
    if groups:
        layers = {layer.name: layer for layer in analyze(graph, apply=f"fuse:{engine}".strip(":")).layers}
        sizes = {"q": 4 * 16 * 32, "mask": 4 * 16 * 16, "out": 4 * 16 * 32}
        assert layers["soft"].traffic_bits == 0 and layers["masked"].read_bits == 32 * sizes["mask"]
        assert layers["scores"].traffic_bits == 2 * 32 * sizes["q"]
        assert (layers["out"].read_bits, layers["out"].write_bits) == (32 * sizes["q"], 32 * sizes["out"])
