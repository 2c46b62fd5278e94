"""Small files that ask for much: each command is done within bounds, or has refused in a sentence.

``CASES`` grows each kind of input as far as a file of 100 kB goes, one way each. Those in ``QUICK`` run every time,
all of them with ``pytest -m long``.
"""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.onnx_files import onnx_writer as onnx
from tests.tflite.writing_tflite import File
from tests.weights.test_weight_files import safetensors

SECONDS, GIGABYTES = 10, 1
"""Of CPU and of memory. What is promised is 5 seconds; a slow machine is given twice that."""
DENSE = """\
- c0: conv(8, 1)
- for i in range(1, {n}):
  - j$i: {{{join}: [{{for j in range(i): c$j}}]}}
  - c$i: conv(8, 1)
"""
BESIDE = (
    "- c0: conv(8, 1)\n- for i in range(1, 600):\n  - j$i: {'concat(axis=2)': [{for j in range(i): c$j}]}\n"
    "  - c$i: {conv(8, 1): [c0]}\n"
)
Case = tuple[dict[str, str | bytes], list[str]]


def spec(layers: str, image: str = "[8, 64, 64]") -> str:
    """A model of these layers."""
    return f"inputs: {{image: {image}}}\nlayers:\n{layers}"


def config(models: str) -> str:
    """A config of these models."""
    return f"version: 1\nmodels:\n{models}"


def one(layers: str, *command: str, image: str = "[8, 64, 64]") -> Case:
    """A command on one model."""
    return {"net.yaml": spec(layers, image)}, [*(command or ("analyze",)), "net.yaml"]


def budgeted(at: str, layers: str = "- for i in range(500):\n  - conv(8, 3, padding=1)\n") -> Case:
    """A check of one model, measured ``at`` many points."""
    entry = f"- model: net.yaml\n  budgets: {{macs: 1}}\n  at: [{at}]\n"
    return {"net.yaml": spec(layers), "costcalc.yaml": config(entry)}, ["check"]


def toml(text: str) -> Case:
    """A check by a ``pyproject.toml``."""
    return {"net.yaml": spec("- relu\n"), "pyproject.toml": f"[tool.costcalc]\nversion = 1\n{text}\n"}, ["check"]


def chain(count: int) -> bytes:
    """An ONNX file of so many layers one after another."""
    nodes = [onnx.node("Relu", [f"v{i}"], [f"v{i + 1}"]) for i in range(count)]
    return onnx.model(onnx.Graph(nodes, [onnx.value("v0", [1, 8, 64, 64])], [onnx.value(f"v{count}", None)]))


def joined(count: int) -> bytes:
    """An ONNX file in which each layer reads all before."""
    nodes = []
    for i in range(1, count):
        nodes.append(onnx.node("Concat", [f"v{j}" for j in range(i)], [f"j{i}"], axis=1))
        nodes.append(onnx.node("GlobalAveragePool", [f"j{i}"], [f"v{i}"]))
    return onnx.model(onnx.Graph(nodes, [onnx.value("v0", [1, 4, 1, 1])], [onnx.value(f"v{count - 1}", None)]))


def called(depth: int, times: int) -> bytes:
    """An ONNX file of functions that each call the one before several times."""
    functions = [onnx.function("F0", ["p"], ["q"], [onnx.node("Relu", ["p"], ["q"])])]
    for d in range(1, depth):
        ends = ["p", *(f"t{i}" for i in range(1, times)), "q"]
        nodes = [onnx.node(f"F{d - 1}", [a], [b], domain="own") for a, b in pairwise(ends)]
        functions.append(onnx.function(f"F{d}", ["p"], ["q"], nodes))
    graph = onnx.Graph(
        [onnx.node(f"F{depth - 1}", ["x"], ["y"], domain="own")], [onnx.value("x", [1, 8])], [onnx.value("y", None)]
    )
    return onnx.model(graph, functions, own=1)


def doubled(times: int) -> bytes:
    """An ONNX file whose numbers double, step by step, before a shape is made of them."""
    nodes = [onnx.node("Concat", [f"c{i}", f"c{i}"], [f"c{i + 1}"], axis=0) for i in range(times)]
    nodes.append(onnx.node("Reshape", ["x", f"c{times}"], ["y"]))
    graph = onnx.Graph(nodes, [onnx.value("x", [1, 8])], [onnx.value("y", None)], [onnx.ints("c0", 1, 8)])
    return onnx.model(graph)


def ncnn(count: int) -> str:
    """An ncnn network in which each layer reads all before."""
    lines = [f"Concat c{i} {i} 1 {' '.join(f'v{j}' for j in range(i))} v{i}\n" for i in range(1, count)]
    return f"7767517\n{count} {count}\nInput d 0 1 v0 0=1 1=1 2=8\n{''.join(lines)}"


def repeated(count: int) -> bytes:
    """A TFLite file of so many layers one after another."""
    f = File()
    x = last = f.tensor("x", 1, 8, 8, 4)
    for i in range(count):
        y = f.tensor(f"y{i}", 1, 8, 8, 4)
        f.operator("RELU", [last], [y])
        last = y
    return f.bytes([x], [last])


WIDE = "- s: relu\n- for i in range(3000):\n  - c$i: {conv(1+i%7, 1): s}\n- concat: [{for i in range(3000): c$i}]\n"
BRANCHES = "- for i in range(2000):\n  - add: [[conv(1+i%7, 1), conv(8, 1)], conv(8, 3, padding=1)]\n"
DEEP = "- for i in range(3000):\n  - conv(8, 3, padding=1)\n"
ENGINES = ("eager", "tflite", "tflm", "mcu", "ideal")

CASES: dict[str, Case] = {
    "measurements": budgeted(", ".join(f"{{batch: {i + 1}}}" for i in range(2000))),
    "measurements of sizes": budgeted(", ".join(f"{{input: 8x{i + 8}x64}}" for i in range(2000))),
    "measurements of types": budgeted(", ".join(f"{{bits: {i % 64 + 1}}}" for i in range(2000))),
    "measurements for a lock": (
        budgeted(", ".join(f"{{batch: {i + 1}}}" for i in range(2000)))[0], ["lock"]
    ),
    "names of a deep model": (
        {
            "net.yaml": spec("- for i in range(2000):\n  - conv(8, 3, padding=1)\n"),
            "costcalc.yaml": config(
                "".join(f"- {{name: n{i}, model: net.yaml, budgets: {{macs: 1}}}}\n" for i in range(1700))
            ),
        },
        ["check"],
    ),
    "budgets of engines": (
        {
            "net.yaml": spec("- for i in range(3000):\n  - conv(8, 3, padding=1)\n"),
            "costcalc.yaml": config(
                "".join(
                    f"- {{name: n{i}, model: net.yaml, budgets: {{memory: {{max: 1 MB, engine: {e}}}}}}}\n"
                    for i in range(300) for e in ("tflm", "mcu", "ideal")
                )
            ),
        },
        ["check"],
    ),
    "exemptions": (
        {
            "net.yaml": spec("- relu\n"),
            "costcalc.yaml": config("- {model: net.yaml, budgets: {macs: 1}}\nexempt:\n")
            + "".join(f"- {{model: net.yaml, metric: macs, until: 2030-01-31, reason: r{i}}}\n" for i in range(1300)),
        },
        ["check"],
    ),
    "aliases of aliases": (
        {
            "net.yaml": "a: &a [1,1,1,1,1,1,1,1,1]\nb0: &b0 [*a]\n"
            + "".join(f"b{i}: &b{i} [{', '.join([f'*b{i - 1}'] * 9)}]\n" for i in range(1, 9)) + spec("- relu\n")
        },
        ["analyze", "net.yaml"],
    ),
    "aliases of a long list": (
        {"net.yaml": f"a: &a [{'1,' * 20000}]\nb: [{'*a,' * 15000}]\n" + spec("- relu\n")}, ["analyze", "net.yaml"]
    ),
    "documents": ({"net.yaml": "---\n" * 24000}, ["analyze", "net.yaml"]),
    "a wide spec": one("- relu\n" * 12000),
    "a wide mapping": (
        {"net.yaml": "parameters:\n" + "".join(f"  p{i}: 1\n" for i in range(8000)) + spec("- relu\n")},
        ["analyze", "net.yaml"],
    ),
    "a long sum": one(f"- conv(8, {'1+' * 40000}1)\n"),
    "tables of TOML": toml(
        "".join(
            f'[[tool.costcalc.models]]\nname="n{i}"\nmodel="net.yaml"\nbudgets={{macs="4 M"}}\n' for i in range(900)
        )
    ),
    "brackets of TOML": toml(f"x = {'[' * 40000}{']' * 40000}"),
    "a key of TOML with many parts": toml(f"{'.'.join(['a'] * 20000)} = 1"),
    "a quoted key of TOML with many parts": toml(" . ".join(['"a"'] * 9000) + " = 1"),
    "variants": (
        {
            "net.yaml": "parameters: {w: 8}\nvariants: {" + ", ".join(f"v{i}: {{w: {i + 1}}}" for i in range(4500))
            + "}\n" + spec("- conv(w, 1)\n")
        },
        ["analyze", "net.yaml:v4000"],
    ),
    "variants, found": (
        {
            "net.yaml": "parameters: {w: 8}\nvariants: {" + ", ".join(f"v{i}: {{w: {i + 1}}}" for i in range(4500))
            + "}\n" + spec("- for i in range(1000):\n  - conv(w, 1)\n")
        },
        ["init", "--config", "new.yaml"],
    ),
    "an axis in single places": one("- for i in range(30):\n  - u$i: {unbind(1): [image]}\n", image="[1000000, 4]"),
    "many axes in single places": one(
        "- for i in range(3000):\n  - u$i: {unbind(1): [image]}\n", image="[50000, 4]"
    ),
    **{f"memory, {e}": one(DEEP, "memory", "--engine", e) for e in ENGINES},
    **{f"memory, wide, {e}": one(WIDE, "memory", "--engine", e) for e in ENGINES},
    **{f"memory, branches, {e}": one(BRANCHES, "memory", "--engine", e) for e in ENGINES[1:]},
    **{f"memory, dense, {e}": one(DENSE.format(n=300, join="concat"), "memory", "--engine", e) for e in ENGINES[1:]},
    "memory, patches": one(
        "- for i in range(40):\n  - conv(8, 3, padding=1)\n  - max_pool(3, stride=1, padding=1)\n",
        "memory", "--engine", "mcu", image="[8, 9999, 9999]",
    ),
    "what fits": one(DEEP, "fits", "--ram", "64KiB"),
    "comparisons": (
        {"net.yaml": spec("- for i in range(300):\n  - conv(8, 1)\n")}, ["compare", *["net.yaml"] * 30]
    ),
    "differences, renamed": (
        {
            "net.yaml": spec("- for i in range(9000):\n  - a$i: conv(8, 1)\n"),
            "other.yaml": spec("- for i in range(9000):\n  - b$i: conv(9, 1)\n"),
        },
        ["diff", "net.yaml", "other.yaml"],
    ),
    "closed form, shrinking": one(
        "- for i in range(3000):\n  - conv(8, 1+i%4)\n", "formula", "--symbols", "height,width",
        image="[8, 50001, 50001]",
    ),
    "closed form, strided": one(
        "- for i in range(300):\n  - conv(8, 3, stride=2)\n  - conv_transpose(8, 3, stride=2)\n",
        "formula", "--symbols", "height,width", image="[8, 5000, 5000]",
    ),
    "ONNX, deep": ({"net.onnx": chain(3300)}, ["analyze", "net.onnx"]),
    "ONNX, joins of all before": ({"net.onnx": joined(150)}, ["analyze", "net.onnx"]),
    "ONNX, functions of functions": ({"net.onnx": called(60, 2)}, ["analyze", "net.onnx"]),
    "ONNX, functions many times": ({"net.onnx": called(9, 4)}, ["analyze", "net.onnx"]),
    "ONNX, numbers that double": ({"net.onnx": doubled(40)}, ["analyze", "net.onnx"]),
    "ncnn, joins of all before": ({"net.param": ncnn(180)}, ["analyze", "net.param"]),
    "TFLite, deep": ({"net.tflite": repeated(380)}, ["analyze", "net.tflite"]),
    "a header of brackets": ({"m.safetensors": safetensors(b"[" * 90_000, 4)}, ["weights", "m.safetensors"]),
    "a shape of many axes": (
        {"m.safetensors": safetensors({"t": {"dtype": "F32", "shape": [1] * 30000, "data_offsets": [0, 4]}}, 4)},
        ["weights", "m.safetensors"],
    ),
    "an index of many files": (
        {
            "m.safetensors.index.json": '{"weight_map": {'
            + ", ".join(f'"t{i}": "f{i}.safetensors"' for i in range(2500)) + "}}"
        },
        ["weights", "m.safetensors.index.json"],
    ),
    "joins of all before": one(DENSE.format(n=800, join="concat"), image="[4, 32, 32]"),
    "joins along a moving axis": one(BESIDE, image="[4, 32, 32]"),
    "joins, as JSON": one(DENSE.format(n=700, join="concat"), "analyze", "--format", "json"),
    "joins, written out": one(DENSE.format(n=500, join="concat"), "show", "--expand"),
    "joins, explained": one(DENSE.format(n=700, join="concat"), "explain"),
    "joins, fused": one(DENSE.format(n=500, join="concat"), "analyze", "--apply", "fuse"),
    "one kernel, timed": one(
        "- conv(8, 1)\n- for i in range(20000):\n  - relu\n", "analyze", "--apply", "fuse", "--machine", "a100"
    ),
    "sums with one map": one(
        "- s: relu\n- for i in range(5000):\n  - c$i: conv(8, 1)\n  - add: [c$i, s]\n",
        "analyze", "--apply", "fuse:openvino",
    ),
    "many kernels that one takes in": one(
        "- s: conv(8, 1)\n- for i in range(12000):\n  - r$i: {relu: s}\n- add: [{for i in range(12000): r$i}]\n",
        "analyze", "--apply", "fuse:inductor",
    ),
    "one kernel of much that is read later": one(
        "- s: relu\n- for i in range(12000):\n  - r$i: {relu: s}\n- concat: [{for i in range(12000): r$i}]\n",
        "analyze", "--apply", "fuse:inductor",
    ),
    "joins, in closed form": one(DENSE.format(n=150, join="concat"), "formula", "--symbols", "height,width"),
    **{
        f"resizings, {mode}": one(f"- for i in range(2000):\n  - upsample(size=[9999-i, 9998-i], mode='{mode}')\n")
        for mode in ("bilinear", "bicubic", "nearest", "nearest-exact")
    },
    "resizings, antialiased": one(
        "- for i in range(2000):\n  - upsample(size=[2000-i%1500, 1999], mode='bilinear', antialias=true)\n"
    ),
    "resizings up to the bound": one("- for i in range(49):\n  - upsample(size=[9999-i, 9000-i], mode='bicubic')\n"),
    "adaptive pools": one("- for i in range(3000):\n  - adaptive_avg_pool(9999-i)\n", image="[1, 9999, 9999]"),
    "splits": one(
        "- for i in range(200):\n  - s$i: split(64, axis=1)\n  - concat: [{for j in range(64): s$i.$j}]\n",
        image="[64, 8, 8]",
    ),
    "dilations": one("- for i in range(9000):\n  - conv(8, 3, dilation=i+1, padding=i+1)\n"),
    "kernels": one("- for i in range(3000):\n  - conv(8, [2*i+1, 3], padding=[i, 1])\n", image="[8, 9999, 9]"),
    "shuffles": one("- for i in range(9000):\n  - pixel_shuffle(2)\n  - pixel_unshuffle(2)\n", image="[64, 8, 8]"),
    "differences": (
        {
            "net.yaml": spec("- for i in range(5000):\n  - a$i: conv(8+i%7, 1)\n"),
            "other.yaml": spec("- for i in range(5000):\n  - b$i: conv(8+i%5, 3, padding=1)\n"),
        },
        ["diff", "net.yaml", "other.yaml"],
    ),
    "patterns of layers": (
        {
            "net.yaml": spec("- for i in range(20000):\n  - conv(8, 1)\n"),
            "costcalc.yaml": config(
                "- model: net.yaml\n  layers:\n" + "".join(f"    'conv*{i}*': {{macs: 1}}\n" for i in range(3000))
            ),
        },
        ["check"],
    ),
    "models of a config": (
        {
            "net.yaml": spec("- relu\n"),
            "costcalc.yaml": config(
                "".join(f"- {{name: n{i}, model: net.yaml, budgets: {{macs: 1}}}}\n" for i in range(1800))
            ),
        },
        ["check"],
    ),
    "rates of a machine": (
        {
            "net.yaml": spec("- relu\n"),
            "mine.yaml": "title: x\nbandwidth: 1e9\nsource: x\n"
            + f"macs: {{{', '.join(f'a{i}: 1e9' for i in range(7000))}}}\n",
        },
        ["analyze", "net.yaml", "--machine", "mine.yaml"],
    ),
    "brackets": ({"net.yaml": "a: " + "[" * 40_000}, ["analyze", "net.yaml"]),
    "parameters": (
        {
            "net.yaml": "parameters: {p0: 1, " + ", ".join(f"p{i}: p{i - 1} + 1" for i in range(1, 5000)) + "}\n"
            + spec("- relu\n")
        },
        ["analyze", "net.yaml"],
    ),
    "a baseline of brackets": (
        {
            "net.yaml": spec("- relu\n"),
            "costcalc.yaml": config("- {model: net.yaml, budgets: {macs: {max_increase: 1%}}}\n"),
            "report.json": "[" * 90_000,
        },
        ["check", "--compare-to", "report.json"],
    ),
}  # fmt: skip
CASES["tables of times"] = (
    {"times.csv": "model,ms,input\n" + "".join(f"resnet152,1,3x{224 + i}x224\n" for i in range(3500))},
    ["calibrate", "--from", "times.csv", "--output", "made.yaml"],
)
CASES["tables of times up to the bound"] = (
    {
        "times.csv": "model,ms,input\n" + "".join(f"net{i % 5}.yaml,{i + 1},8x{64 + i}x64\n" for i in range(13)),
        **{f"net{i}.yaml": spec("- for i in range(3000):\n  - conv(8+i, 3, padding=1)\n") for i in range(5)},
    },
    ["calibrate", "--from", "times.csv", "--output", "made.yaml"],
)
CASES["tables of times of deep models"] = (
    {
        "times.csv": "model,ms,input\n" + "".join(f"net.yaml,1,8x{64 + i}x64\n" for i in range(95)),
        "net.yaml": spec("- for i in range(3000):\n  - conv(8+i, 3, padding=1)\n"),
    },
    ["calibrate", "--from", "times.csv", "--output", "made.yaml"],
)
STRAIGHT = spec("- for i in range(20000):\n  - conv(8, 3, padding=1)\n")
UNLIKE = spec("- for i in range(9000):\n  - conv(8+i, 3, padding=1)\n")
CASES |= {
    f"a picture: {' '.join(words)}": ({"net.yaml": text}, ["plot", *words, "net.yaml", "--output", "made.svg"])
    for text, *words in (
        (STRAIGHT, "treemap"), (STRAIGHT, "receptive-field"), (STRAIGHT, "memory"),
        (UNLIKE, "treemap", "--by", "params"),
        (UNLIKE, "roofline", "--machine", "a100"), (STRAIGHT, "memory", "--engine", "tflm"),
    )
}  # fmt: skip
CASES |= {
    f"export {format}": ({"net.yaml": STRAIGHT}, ["export", format, "net.yaml", "--output", "made.x"])
    for format in ("model-explorer", "node-data", "netron", "metrics", "loops")
}
CASES |= {
    "a page": ({"net.yaml": STRAIGHT}, ["report", "net.yaml", "--output", "made.html"]),
    "a page of a check": (
        {
            "net.yaml": STRAIGHT,
            "costcalc.yaml": config(
                "".join(f"- {{name: n{i}, model: net.yaml, budgets: {{macs: 1}}}}\n" for i in range(7))
            ),
        },
        ["check", "--report", "made.html"],
    ),
    "patterns of many layers": (
        {
            "net.yaml": spec("- for i in range(9000):\n  - conv(8, 1)\n"),
            "costcalc.yaml": config(
                "- model: net.yaml\n  layers:\n" + "".join(f"    'conv*{i}*': {{macs: 1}}\n" for i in range(190))
            ),
        },
        ["check"],
    ),
    "a packing of thousands that overlap": (
        {
            "t.csv": "name,first,last,bytes\n"
            + "".join(f"t{i},{i * 7 % 4000},{4001 + i * 31 % 4000},{1 + i * i % 9973}\n" for i in range(4000))
        },
        ["pack", "t.csv"],
    ),
}  # fmt: skip
QUICK = (
    "tables of times of deep models",
    "a page of a check", "patterns of many layers", "a packing of thousands that overlap",
    "joins of all before", "resizings, bilinear", "resizings, antialiased", "one kernel, timed", "patterns of layers",
    "brackets", "measurements", "a key of TOML with many parts", "many axes in single places",
    "ONNX, functions of functions", "memory, dense, mcu",
)  # fmt: skip


def held(case: str, folder: Path) -> None:
    """Run a case within the bounds."""
    resource = pytest.importorskip("resource")
    files, command = CASES[case]
    for name, text in files.items():
        data = text if isinstance(text, bytes) else text.encode()
        assert len(data) <= 100_000, (name, len(data))
        (folder / name).write_bytes(data)

    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (GIGABYTES << 30, GIGABYTES << 30))

    line = [sys.executable, "-m", "costcalc", *command]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False, preexec_fn=bounded)
    assert done.returncode in (0, 1, 2), (done.returncode, done.stderr[-300:])
    assert "Traceback" not in done.stderr
    if done.returncode == 2:
        assert len(done.stderr.splitlines()) == 1, done.stderr


@pytest.mark.parametrize("case", QUICK)
def test_what_grows_is_done_or_refused(case: str, tmp_path: Path) -> None:
    held(case, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("case", CASES)
def test_every_kind_that_grows_is_done_or_refused(case: str, tmp_path: Path) -> None:
    held(case, tmp_path)
