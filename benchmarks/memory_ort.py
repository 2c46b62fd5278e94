"""Hold the engine `ort` to ONNX Runtime: what the heap holds in a session's first and second run, without its arena.

    python benchmarks/memory_ort.py [torchvision:resnet50 timm:ghostnet_100 unet32 …] [--sessions 3] [--operators]

A line a model: bytes of the heap and ours, in the first run and in the second, and their ratio. What a session holds
differs from one to the next where copies out of blocks may be made in several orders; each of ``--sessions`` is told,
and the nearest counts. ``--operators`` measures instead which kernels write over their input. Needs a C compiler, onnx,
onnxscript, onnxruntime, torch and what has the models. Without arguments the models of the table in docs/memory.md.
``--least 4096`` counts only blocks of as many bytes and more: what a session notes of its calls is in smaller ones.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE), str(HERE.parent / "tests" / "torch")]

TABLE = """
torchvision:resnet18 torchvision:resnet50 torchvision:vgg16_bn torchvision:alexnet torchvision:squeezenet1_1
torchvision:googlenet torchvision:inception_v3 torchvision:densenet121 torchvision:mobilenet_v2
torchvision:mobilenet_v3_large torchvision:mnasnet1_0 torchvision:efficientnet_b0 torchvision:regnet_y_800mf
torchvision:shufflenet_v2_x1_0 torchvision:convnext_tiny torchvision:swin_t unet32 fpn_r50 timm:ghostnet_100
timm:res2net50_26w_4s
"""
OTHERS = """
timm:mobilenetv3_small_100 torchvision:resnext50_32x4d torchvision:shufflenet_v2_x0_5 torchvision:regnet_x_400mf
torchvision:vit_b_16 timm:hrnet_w18 timm:cspdarknet53 timm:mobilevit_s timm:mixer_b16_224 timm:repvgg_a0 timm:dla34
timm:deit_tiny_patch16_224 timm:convmixer_768_32 torchvision:squeezenet1_0 timm:tf_efficientnet_lite0 timm:nfnet_l0
torchvision:resnet34 torchvision:efficientnet_b1 timm:resnetv2_50 torchvision:shufflenet_v2_x1_5 timm:regnety_004
timm:poolformer_s12 timm:pvt_v2_b0 timm:levit_128 timm:edgenext_small timm:mobilenetv4_conv_small timm:selecsls42b
torchvision:efficientnet_v2_s timm:resnest14d timm:mobileone_s0 timm:gmlp_s16_224 timm:fastvit_t8 timm:coat_lite_tiny
timm:efficientformer_l1 timm:resmlp_12_224 timm:hardcorenas_a timm:convnext_atto timm:mobilevitv2_050
timm:xcit_nano_12_p8_224
"""
UNARY = (
    "Relu LeakyRelu Clip Sigmoid Tanh Elu HardSigmoid Selu Celu Softplus Softsign Softmax LogSoftmax Gelu Erf Sqrt Exp "
    "Neg Abs Cast Identity Transpose"
)
BINARY = "Add Sub Mul Div Pow Max Min PRelu Sum"


def build(name: str) -> tuple[Any, tuple[int, ...]]:
    """The module, in evaluation mode, and the shape of its input."""
    import torchvision_stub

    torchvision_stub.install()
    import fusion_ort
    import torch
    from other_models import Pyramid, UNet

    own = {"unet32": (UNet, (1, 3, 256, 256)), "fpn_r50": (Pyramid, (1, 3, 320, 320))}
    if name in own:
        make, shape = own[name]
        module = make().eval()
    else:
        module = fusion_ort.build(name)
        size = getattr(module, "default_cfg", {}).get("input_size", fusion_ort.SIZES.get(name, (3, 224, 224)))
        shape = (1, *size)
    for part in module.modules():  # an exporter leaves zeros out, which no trained norm has
        if isinstance(part, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(part.bias)
    return module, shape


def heap() -> Any:
    """The counters of the library that was loaded before."""
    library = ctypes.CDLL(None)
    for name in ("heap_now", "heap_most"):
        getattr(library, name).restype = ctypes.c_long
    return library


def runs(path: str, feeds: dict[str, Any] | None = None, optimise: bool = True, least: int = 0) -> tuple[int, int]:
    """The most bytes of the heap in a session's first run, and in its second, beyond what it held before.

    least   bytes of a block from which on it is counted
    """
    import numpy
    import onnxruntime as ort

    counters, options = heap(), ort.SessionOptions()
    options.enable_cpu_mem_arena, options.intra_op_num_threads, options.log_severity_level = False, 1, 4
    if not optimise:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    given = feeds or {i.name: numpy.random.rand(*i.shape).astype(numpy.float32) for i in session.get_inputs()}
    found = []
    counters.heap_least(ctypes.c_long(least))
    for _ in range(2):
        gc.collect()
        counters.heap_reset()
        before = counters.heap_now()
        results = session.run(None, given)
        found.append(counters.heap_most() - before)
        del results
    return found[0], found[1]


def counted(*arguments: str) -> list[Any]:
    """What a run of this file under the counting heap prints, as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        library = f"{folder}/heap.so"
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, str(HERE / "heap.c")], check=True)
        environment = {**os.environ, "LD_PRELOAD": library, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, __file__, "--counted", *arguments],
            env=environment, check=True, capture_output=True, text=True,
        )  # fmt: skip
        return list(json.loads(done.stdout))


def measure(name: str, sessions: int, least: int = 0) -> tuple[list[tuple[int, int]], int, int]:
    """First and second run of each session, and ours of both."""
    import fusion_ort

    import costcalc

    module, shape = build(name)
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/model.onnx"
        fusion_ort.export(module, shape, path)
        found = [tuple(counted(path, "--least", str(least))) for _ in range(sessions)]
    ours = costcalc.memory(costcalc.trace(module, shape), engine="ort")
    return found, ours.peak_bytes, ours.arena_bytes or 0  # type: ignore[return-value]


def operators(folder: str) -> dict[str, float]:
    """For operators on one map the most maps that are alive: 1 if it writes over its input, 2 if it does not."""
    import numpy
    import onnx
    from onnx import TensorProto, helper

    size = (1, 64, 64, 64)
    other = helper.make_tensor("c", TensorProto.FLOAT, size, numpy.ones(64**3, numpy.float32))
    before = helper.make_node("Transpose", ["x"], ["a"], perm=[0, 1, 3, 2])
    after = helper.make_node("ReduceMax", ["b"], ["y"], keepdims=1)
    nodes = {op: helper.make_node(op, ["a"], ["b"], **({"to": 1} if op == "Cast" else {})) for op in UNARY.split()}
    for op in BINARY.split():
        nodes[f"{op}, first"] = helper.make_node(op, ["a", "c"], ["b"])
        nodes[f"{op}, second"] = helper.make_node(op, ["c", "a"], ["b"])
    found = {}
    for name, node in nodes.items():
        tensors = [other] if "," in name else []
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, size)
        y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
        graph = helper.make_graph([before, node, after], name, [x], [y], tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
        model.ir_version = 10
        path = f"{folder}/one.onnx"
        onnx.save(model, path)
        found[name] = runs(path, optimise=False)[0] / (4 * 64**3)
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="*")
    parser.add_argument("--sessions", type=int, default=3)
    parser.add_argument("--least", type=int, default=0, help="bytes of a block from which on it is counted")
    parser.add_argument("--operators", action="store_true")
    parser.add_argument("--counted", action="store_true", help="used by this file itself")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    if asked.counted:
        if asked.operators:
            with tempfile.TemporaryDirectory() as folder:
                print(json.dumps(list(operators(folder).items())))
        else:
            print(json.dumps(runs(asked.models[0], least=asked.least)))
        return
    import onnxruntime

    print(f"onnxruntime {onnxruntime.__version__}, one thread, no arena; bytes of the heap")
    if asked.operators:
        for name, maps in counted("--operators"):
            print(f"{name:16} {maps:.2f} maps")
        return
    near = both = 0
    names = asked.models or (TABLE + OTHERS).split()
    for name in names:
        seen, *ours = measure(name, asked.sessions, asked.least)
        line, inside = f"{name:32}", []
        for real, own in zip(zip(*seen, strict=True), ours, strict=True):
            ratio = min((own / one for one in real), key=lambda r: abs(r - 1))
            inside.append(abs(ratio - 1) <= 0.02)
            measured = " ".join(f"{one:,}" for one in sorted({*real}))
            line += f"  {measured} ours {own:,} {ratio:.3f}{'' if inside[-1] else ' (outside)'};"
        near += sum(inside)
        both += all(inside)
        print(line, flush=True)
    print(f"{both} of {len(names)} within 2 % in both runs, {near} of {2 * len(names)} runs")


if __name__ == "__main__":
    main()
