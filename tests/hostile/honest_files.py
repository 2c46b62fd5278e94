"""What the random inputs of ``test_fuzz`` begin from: honest small files of every kind, and what is put into them."""

from __future__ import annotations

import random

from tests.onnx_files import onnx_writer as onnx
from tests.onnx_files.test_hostile_onnx import SMALL
from tests.tflite.writing_tflite import UNION, File
from tests.weights.test_weight_files import HEADER, LLAMA, safetensors

BLOCKS = "blocks:\n  double(c, n=2):\n  - for i in range(n): conv(c, 3, padding=1)\n"
SPECS = [
    "inputs: {image: [3, 16, 16]}\nlayers:\n- stem: conv(8, 3, stride=2)\n"
    "- batch_norm\n- relu\n- max_pool(2)\n- flatten\n- linear(10)\n",
    "use: [blocks.yaml]\ninputs: {x: [3, 16, 16]}\nparameters: {w: 8}\nvariants: {a: {w: 4}, b: {like: a}}\nlayers:\n"
    "- double(w)\n- add: [conv(w, 1), identity]\n- if w > 4: relu\n- head: [global_avg_pool, flatten, linear(w * 2)]\n",
    "inputs: {x: [8, 12, 12], y: [8, 12, 12]}\nlayers:\n"
    "- concat: [x, y]\n- upsample(2)\n- conv(4, 3, groups=2)\n- softmax\n",
    "inputs: {x: [16, 32]}\nlayers:\n- multi_head_attention(4)\n- layer_norm\n- linear(32)\n- adaptive_avg_pool(3)\n",
]
CONFIG = (
    "version: 1\nmodels:\n- name: net\n  model: net.yaml\n  at: [{input: 3x16x16, batch: 2, bits: 16}]\n  budgets:\n"
    "    macs: {max: 4.2 M, max_increase: 2%, level: warn}\n    time: {max: 1 ms, machine: mine.yaml}\n"
    "    receptive_field: {min: 3, at: stem}\n  layers: {'stem*': {params: 10 k}}\n  message: see docs\n"
    "exempt: [{model: net, metric: macs, until: 2030-01-31, reason: later}]\n"
)
TOML = (
    '[tool.costcalc]\nversion = 1\n[[tool.costcalc.models]]\nmodel = "net.yaml"\n'
    'budgets = {macs = "4 M", params = {max = "9 k"}}\n'
)
MACHINE = "title: mine\nmacs: {float32: 1e9, float16: 2e9}\nbandwidth: 1e9\nmemory: 4 GB\nsource: made up\n"
CALIBRATED = (
    "title: mine\nsource: made up\ncalibration:\n  processor: cpu\n  apply: 'fuse:ort'\n  bits: 32\n"
    "  each: {macs: 1e-10, ops: 1e-10, activations: 1e-10, weights: 1e-10, kernels: 1e-6}\n  low: 0.8\n  high: 1.2\n"
    "  median: 0.1\n  within: 0.7\n  rows: 40\n  least: {macs: 1, ops: 1, activations: 1, weights: 1, kernels: 1}\n"
    "  most: {macs: 1e9, ops: 1e9, activations: 1e9, weights: 1e9, kernels: 1e3}\n  data: 'sha256:00'\n"
)
ENERGY = (
    "title: mine\nmacs: {float32: 4.6, int8: 0.2}\nmemory:\n  dram: 162.5\n  sram: 2.5 # picojoules\nsource: made up\n"
)
TIMED = (
    "net.yaml",
    "lenet5",
    "alexnet",
    "blocks2.yaml:a",
    "vgg16",
    "kws",
    "net.yaml",
    "lenet5",
    "alexnet",
    "vgg16",
    "kws",
)
TIMES = "model,milliseconds,batch,input\n" + "".join(f"{name},{1.5 + i},{1 + i},\n" for i, name in enumerate(TIMED))
BESIDE = 'model,acc@top1,"ms, mean ↓"\nnet.yaml,71.5,3\nlenet5,98,0.2\n'
NCNN = (
    "7767517\n8 9\nInput data 0 1 data -23330=4,3,224,224,3 0=224 1=224 2=3\n"
    "Convolution conv1 1 1 data conv1 0=8 1=3 3=2 4=1 5=1 6=216 9=1\nSplit s 1 2 conv1 a b\n"
    "ConvolutionDepthWise dw 1 1 a dw 0=8 1=3 4=1 5=1 6=72 7=8\nPooling p 1 1 b p 0=0 1=3 2=1 3=1\n"
    "Concat c 2 1 dw p c 0=0\nReshape r 1 1 c r 0=-1\nInnerProduct fc 1 1 r out 0=10 1=1 2=2007040\n"
)
PACKING = "name,first,last,bytes\n" + "".join(f"t{i},{i},{i + i % 3 + 1},{8 + i * 7 % 40}\n" for i in range(12))
ONNX = SMALL
SAFETENSORS = safetensors(HEADER, 100)
GGUF = LLAMA
INDEX = '{"metadata": {"total_size": 100}, "weight_map": {"embed.weight": "m.safetensors", "fp4": "m.safetensors"}}'
TOKENS = [
    "0", "-1", "1e309", "9" * 60, "10**30", "nan", "~", "[]", "{}", "[", "}", ":", "- ", "&a", "*a",
    "!!python/x", "'", '"', "\\", "\n", "\t", "\0", "\x1b[2J", "\u202e", "\ud800", "é", "😀", "::error::",
    "##[x]", "%", "@", "#", "..", "/", "../x.yaml", "net.yaml", "x.py:Net", "for i in range(9**9): relu", "if",
    "from", "like", "use", "max", "conv(", ")", ",", "=", "true", "null", "<<", "|", ">", "---", "...",
    "lambda", "model('net.yaml')", "double(3)", "a" * 3000, "[" * 80, "{a: " * 80,
]  # fmt: skip
WORDS = [
    "analyze", "explain", "formula", "compare", "diff", "check", "lock", "list", "show", "schema", "trace",
    "init", "memory", "fits", "pack", "history", "weights", "--format", "json", "csv", "markdown", "github",
    "--depth", "--input", "3x8x8", "--set", "w=4", "--batch", "--bits", "--machine", "mine.yaml", "--base",
    "HEAD", "HEAD~1", "HEAD..HEAD", "net.yaml", "lenet5", "--max", "macs=1", "--config", "costcalc.yaml",
    "--columns", "macs", "--sort", "--top", "--symbols", "batch", "--by", "params", "--strict", "--exact",
    "--fold-norm", "--apply", "--", "-", "", "resnet18:x", "--help", "--compare-to", "report.json", "--locked",
    "--by-kind", "--nope", "stem", "--expand", "--engine", "tflm", "mcu", "eager", "--ram", "4 kB",
    "--timeline", "--since", "--figure", "net.onnx", "net.tflite", "net.param", "m.gguf", "m.safetensors",
    "tensors.csv", "--capacity", "-x", "report", "traffic", "field", "table", "export", "plot", "calibrate", "loops",
    "parquet", "metrics", "perfetto", "node-data", "netron", "roofline", "treemap", "pareto", "waterfall", "memory",
    "-o", "made.svg", "made.html", "--energy", "energy.yaml", "--with", "beside.csv", "--from", "times.csv", "html",
    "--flops", "--layer", "--fps", "1", "--checkpoint", "--training", "--layout", "hwc", "--allow-code",
]  # fmt: skip
REFS = [
    "HEAD", "HEAD~1", "main", "..", "...", "^", "@{1}", ":/x", "{", "}", "~", "--all", "-n1", "refs/", "\n",
    " ", "*", "main:net.yaml", "é",
]  # fmt: skip


def _tflite() -> bytes:
    f = File()
    x, w, b = f.tensor("x", 1, 8, 8, 4, open=(0,)), f.weight("a/Conv2D", 4, 3, 3, 2), f.weight("b", 4)
    y, z = f.tensor("y", 1, 4, 4, 4), f.tensor("z", 1, 64)
    f.operator("CONV_2D", [x, w, b], [y], {0: ("byte", 0), 1: ("int", 2), 2: ("int", 2), 3: ("byte", 1)})
    f.operator("RESHAPE", [y, f.numbers(1, 64)], [z], {})
    return f.bytes([x], [z])


TFLITE = _tflite()


def damaged(data: bytes, chance: random.Random) -> bytes:
    """``data`` with some bytes that are others, perhaps cut off, or with a stretch twice."""
    made = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        made[chance.randrange(len(made))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
    if chance.random() < 0.15:
        del made[chance.randrange(len(made)) :]
    if chance.random() < 0.1:
        at, end = sorted(chance.randrange(len(made) + 1) for _ in "ab")
        made[at:at] = made[at:end]
    return bytes(made)


# -- operators put together at random: files that hold together, and mean nothing ------------------------------------


def _shape(chance: random.Random) -> list[int]:
    return [
        chance.choice((0, 1, 1, 2, 3, 4, 4, 8, 7, 12, 10**6)) for _ in range(chance.choice((0, 1, 2, 3, 4, 4, 4, 5)))
    ]


def _number(chance: random.Random) -> int:
    return chance.choice((0, 1, 1, 2, 3, -1, -2, 4, 7, 2**31 - 1, -(2**31), 2**62, chance.randrange(20)))


ATTRIBUTES = (
    "axis", "axes", "keepdims", "kernel_shape", "pads", "strides", "dilations", "group", "output_shape",
    "output_padding", "auto_pad", "ceil_mode", "perm", "equation", "mode", "blocksize", "to", "hidden_size",
    "direction", "split", "num_outputs", "transA", "transB", "noop_with_empty_axes", "largest", "exclusive",
    "reverse", "alpha", "epsilon", "scales", "sizes", "starts", "ends", "value", "value_ints", "allowzero", "k",
    "dtype", "shape", "count_include_pad", "num_heads", "q_num_heads", "kv_num_heads", "onesided", "batch_dims",
    "size", "p", "body", "then_branch", "num_scan_inputs", "training_mode", "layout",
    "coordinate_transformation_mode", "nearest_mode",
)  # fmt: skip
TEXTS = (
    "SAME_UPPER", "VALID", "NOTSET", "bij,bjk->bik", "ij", "linear", "nearest", "cubic", "bidirectional", "reverse",
    "constant", "reflect", "DCR", "asymmetric", "", "...",
)  # fmt: skip


def random_onnx(chance: random.Random) -> bytes:
    """A model of a few nodes of any operators with any attributes."""
    from costcalc.frontends.onnx.rules import OPERATORS

    names = [f"x{i}" for i in range(4)]
    values = [
        onnx.value(name, [size if size else "n" for size in _shape(chance)], chance.choice((1, 1, 1, 7, 9, 3)))
        for name in names
    ]
    tensors = []
    for i in range(3):
        kept = [_number(chance) for _ in range(chance.randrange(5))]
        tensors.append(onnx.ints(f"c{i}", *kept))
        names.append(f"c{i}")
    tensors.append(onnx.tensor("w", _shape(chance)))
    names.append("w")
    nodes = []
    for i in range(chance.choice((1, 1, 2, 4))):
        domain, operator = chance.choice([*OPERATORS])
        given = {name: _attribute(chance) for name in chance.sample(ATTRIBUTES, chance.randrange(6))}
        read = [chance.choice([*names, ""]) if chance.random() < 0.2 else chance.choice(names)
                for _ in range(chance.choice((0, 1, 1, 2, 2, 3, 4, 6)))]  # fmt: skip
        made = [f"y{i}.{n}" for n in range(chance.choice((1, 1, 1, 2, 3)))]
        nodes.append(onnx.node(operator, read, made, domain=domain, **given))
        names += made
    return onnx.model(
        onnx.Graph(nodes, values, [onnx.value(names[-1], None)], tensors), opset=chance.choice((7, 11, 13, 18, 21, 24)),
        com__microsoft=1,
    )  # fmt: skip


def _attribute(chance: random.Random) -> object:
    inner = onnx.Graph([onnx.node("Identity", ["x0"], ["o"])], [], [onnx.value("o", None)])
    return chance.choice(
        (
            _number(chance), [_number(chance) for _ in range(chance.randrange(6))], chance.choice(TEXTS), 0.5,
            [chance.choice((0.5, 2.0, -1.0, float("nan"), 1e30)) for _ in range(4)], inner,
            onnx.ints("", *[_number(chance) for _ in range(3)]),
        )
    )  # fmt: skip


def random_tflite(chance: random.Random) -> bytes:
    """A model of a few operators with any options."""
    f = File()
    tensors = [f.tensor(f"x{i}", *_shape(chance), dtype=chance.choice(("float32", "int8", "int32"))) for i in range(3)]
    inputs = [*tensors]
    tensors.append(f.weight("w", *[min(size, 8) for size in _shape(chance)], scales=chance.choice((0, 0, 3))))
    tensors.append(f.numbers(*[max(-(2**31), min(_number(chance), 2**31 - 1)) for _ in range(chance.randrange(5))]))
    for i in range(chance.choice((1, 1, 2, 4))):
        made = [f.tensor(f"y{i}.{n}", *_shape(chance)) for n in range(chance.choice((1, 1, 2)))]
        read = [chance.choice([*tensors, -1]) if chance.random() < 0.1 else chance.choice(tensors)
                for _ in range(chance.choice((0, 1, 2, 2, 3, 4)))]  # fmt: skip
        options = {
            field: (("byte", chance.randrange(-2, 5)) if chance.random() < 0.4 else
                    ("int", max(-(2**31), min(_number(chance), 2**31 - 1))))
            for field in chance.sample(range(9), chance.randrange(7))
        }  # fmt: skip
        f.operator(chance.choice([*UNION, "RELU", "LSTM", "CUSTOM", "IF", "WHILE", "QUANTIZE"]), read, made, options)
        tensors += made
    return f.bytes(inputs, tensors[-1:])


def named_onnx(names: list[str]) -> bytes:
    """An ONNX file of layers one after another whose nodes have these names."""
    nodes = [onnx.node("Relu", [f"v{i}"], [f"v{i + 1}"], name=name) for i, name in enumerate(names)]
    values = [onnx.value("v0", [1, 8, 4, 4])], [onnx.value(f"v{len(names)}", None)]
    return onnx.model(onnx.Graph(nodes, *values))
