"""Shapes of random nodes against what ONNX Runtime makes when it runs them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.onnx_files.onnx_writer import FLOAT, INT64, Graph, ints, model, node, tensor, value

ort = pytest.importorskip("onnxruntime", reason="the test extra brings it")
np = pytest.importorskip("numpy")

from costcalc import load  # noqa: E402
from costcalc.errors import CostcalcError  # noqa: E402

Case = tuple[list[bytes], list[int], list[bytes]]


def window(chance: random.Random, axes: int, op: str) -> dict[str, Any]:
    """Settings of a sliding window, of which not all are valid."""
    made: dict[str, Any] = {"kernel_shape": [chance.randint(1, 4) for _ in range(axes)]}
    if chance.random() < 0.8:
        made["strides"] = [chance.randint(1, 3) for _ in range(axes)]
    if op in ("Conv", "MaxPool") and chance.random() < 0.4:
        made["dilations"] = [chance.randint(1, 2) for _ in range(axes)]
    how = chance.random()
    if how < 0.5:
        made["pads"] = [chance.randint(0, 2) for _ in range(2 * axes)]
    elif how < 0.8:
        made["auto_pad"] = chance.choice(["SAME_UPPER", "SAME_LOWER", "VALID"])
    if op in ("MaxPool", "AveragePool", "LpPool") and chance.random() < 0.5:
        made["ceil_mode"] = 1
    return made


def conv(chance: random.Random) -> Case:
    axes, groups = chance.choice([1, 2, 2, 3]), chance.choice([1, 1, 2])
    options = window(chance, axes, "Conv")
    weight = [4, 4 // groups, *options["kernel_shape"]]
    return [node("Conv", ["x", "w"], ["y"], group=groups, **options)], _image(chance, 4, axes), [_random("w", weight)]


def transposed(chance: random.Random) -> Case:
    axes, groups = chance.choice([1, 2]), chance.choice([1, 2])
    options = window(chance, axes, "ConvTranspose")
    if chance.random() < 0.3:
        options["dilations"] = [chance.randint(1, 2) for _ in range(axes)]
    if chance.random() < 0.3 and "strides" in options:
        options["output_padding"] = [chance.randint(0, s - 1) for s in options["strides"]]
    if chance.random() < 0.3:
        options["output_shape"] = [chance.randint(3, 20) for _ in range(axes)]
    weight = [4, 6 // groups, *options["kernel_shape"]]
    nodes = [node("ConvTranspose", ["x", "w"], ["y"], group=groups, **options)]
    return nodes, _image(chance, 4, axes), [_random("w", weight)]


def pool(chance: random.Random) -> Case:
    axes, op = chance.choice([1, 2, 2, 3]), chance.choice(["MaxPool", "AveragePool", "LpPool"])
    return [node(op, ["x"], ["y"], **window(chance, axes, op))], _image(chance, 2, axes), []


def resize(chance: random.Random) -> Case:
    x = _image(chance, 2, 2)
    mode = chance.choice(["nearest", "linear", "cubic"])
    if chance.random() < 0.7:
        scales = [1.0, 1.0, *(chance.choice([0.5, 2.0, 1.4, 0.7, 3.0, chance.uniform(0.3, 3)]) for _ in range(2))]
        return [node("Resize", ["x", "", "s"], ["y"], mode=mode)], x, [tensor("s", [4], scales)]
    sizes = ints("s", *x[:2], chance.randint(1, 20), chance.randint(1, 20))
    return [node("Resize", ["x", "", "", "s"], ["y"], mode=mode)], x, [sizes]


def sliced(chance: random.Random) -> Case:
    x = [chance.randint(1, 7) for _ in range(3)]
    axes = chance.sample([0, 1, 2, -1], chance.randint(1, 2))
    if {2, -1} <= set(axes):
        axes = [2]
    bounds = [chance.choice([0, 1, 2, 5, 9, -1, -2, -9, 2**62, -(2**62)]) for _ in range(2 * len(axes))]
    steps = [chance.choice([1, 1, 2, -1, -2]) for _ in axes]
    n = len(axes)
    given = [ints("a", *bounds[:n]), ints("b", *bounds[n:]), ints("c", *axes), ints("d", *steps)]
    return [node("Slice", ["x", "a", "b", "c", "d"], ["y"])], x, given


def padded(chance: random.Random) -> Case:
    x = [chance.randint(2, 5) for _ in range(4)]
    amounts = [chance.randint(-1, 2) for _ in range(8)]
    mode = chance.choice(["constant", "reflect", "edge", "wrap"])
    return [node("Pad", ["x", "p"], ["y"], mode=mode)], x, [ints("p", *amounts)]


def split(chance: random.Random) -> Case:
    x, axis, parts = [chance.randint(1, 9) for _ in range(3)], chance.randint(-3, 2), chance.randint(1, 4)
    outs = ["y", *(f"o{i}" for i in range(parts - 1))]
    return [node("Split", ["x"], outs, axis=axis, num_outputs=parts)], x, []


def reshaped(chance: random.Random) -> Case:
    x = [chance.choice([1, 2, 3, 4, 6]) for _ in range(3)]
    shape = [chance.choice([0, -1, 1, 2, 3, 4, 12]) for _ in range(chance.randint(1, 4))]
    return [node("Reshape", ["x", "s"], ["y"])], x, [ints("s", *shape)]


def broadcast(chance: random.Random) -> Case:
    x = [chance.randint(1, 4) for _ in range(chance.randint(1, 4))]
    w = [chance.choice([1, d]) for d in x][chance.randint(0, len(x)) :]
    op = chance.choice(["Add", "Mul", "Div", "Pow", "Max", "MatMul"])
    return [node(op, chance.sample(["x", "w"], 2), ["y"])], x, [_random("w", w)]


def reduced(chance: random.Random) -> Case:
    x = [chance.randint(1, 4) for _ in range(3)]
    axes = chance.sample([0, 1, 2], chance.randint(0, 3))
    op = chance.choice(["ReduceMean", "ReduceMax", "ReduceL2", "ReduceLogSumExp", "ReduceSumSquare"])
    options = {"keepdims": chance.randint(0, 1), "noop_with_empty_axes": chance.randint(0, 1)}
    return [node(op, ["x", "a"], ["y"], **options)], x, [ints("a", *axes)]


def moved(chance: random.Random) -> Case:
    x = [chance.randint(1, 4) for _ in range(4)]
    kind = chance.randint(0, 8)
    if kind == 0:
        return [node("Flatten", ["x"], ["y"], axis=chance.randint(-4, 4))], x, []
    if kind == 1:
        return [node("Transpose", ["x"], ["y"], perm=chance.sample(range(4), 4))], x, []
    if kind == 2:
        return [node("DepthToSpace", ["x"], ["y"], blocksize=2)], [2, 8, *x[2:]], []
    if kind == 3:
        return [node("SpaceToDepth", ["x"], ["y"], blocksize=2)], [2, 3, 2 * x[2], 2 * x[3]], []
    if kind == 4:
        places = tensor("i", [2, 3], [0] * 6, INT64)
        return [node("Gather", ["x", "i"], ["y"], axis=chance.randint(-4, 3))], x, [places]
    if kind == 5:
        return [node("Tile", ["x", "r"], ["y"])], x, [ints("r", *(chance.randint(0, 3) for _ in x))]
    if kind == 6:
        return [node("Expand", ["x", "e"], ["y"])], x, [ints("e", *(chance.choice([1, d]) for d in [2, *x]))]
    if kind == 7:
        return [node("Unsqueeze", ["x", "u"], ["y"])], x, [ints("u", *chance.sample([0, 2, -1, 3], 2))]
    return [node("Softmax", ["x"], ["y"], axis=chance.randint(-4, 3))], x, []


def recurrent(chance: random.Random) -> Case:
    op, gates = chance.choice([("LSTM", 4), ("GRU", 3), ("RNN", 1)])
    both, hidden, width = chance.randint(1, 2), 3, 4
    direction = "bidirectional" if both == 2 else chance.choice(["forward", "reverse"])
    weights = [_random("w", [both, gates * hidden, width]), _random("r", [both, gates * hidden, hidden])]
    outs = chance.choice([["y"], ["", "y"], ["z", "y"]])
    return [node(op, ["x", "w", "r"], outs, hidden_size=hidden, direction=direction)], [5, 2, width], weights


def fused_product(chance: random.Random) -> Case:
    """A product that ORT's optimiser made, its matrices and batches perhaps transposed; batches are as the matrix's."""
    axes = chance.randint(3, 4)
    batch, m, k, n = [chance.randint(1, 3) for _ in range(axes - 2)], *(chance.randint(1, 5) for _ in range(3))
    options = {name: chance.randint(0, 1) for name in ("transA", "transB", "transBatchA", "transBatchB")}

    def laid(rows: int, columns: int, side: str) -> list[int]:
        first, last = (columns, rows) if options[f"trans{side}"] else (rows, columns)
        return [first, *batch, last] if options[f"transBatch{side}"] else [*batch, first, last]

    nodes = [node("FusedMatMul", ["x", "w"], ["y"], domain="com.microsoft", alpha=0.5, **options)]
    return nodes, laid(m, k, "A"), [_random("w", laid(k, n, "B"))]


CASES: list[Callable[[random.Random], Case]] = [
    conv, transposed, pool, resize, sliced, padded, split, reshaped, broadcast, reduced, moved, recurrent,
    fused_product,
]  # fmt: skip


def _image(chance: random.Random, channels: int, axes: int) -> list[int]:
    return [1, channels, *(chance.randint(1, 9) for _ in range(axes))]


def _random(name: str, shape: list[int]) -> bytes:
    return tensor(name, shape, [0.5] * int(np.prod(shape)), FLOAT)


def tried(make: Callable[[random.Random], Case], count: int, seed: int, path: Path) -> Iterator[str]:
    """What differs between ours and a run, for ``count`` random nodes that run."""
    chance = random.Random(seed)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    ran = refused = 0
    for number in range(20 * count):
        nodes, x, tensors = make(chance)
        opset = chance.choice([18, 19])
        data = model(Graph(nodes, [value("x", x)], [value("y", None)], tensors), opset=opset, com__microsoft=1)
        try:
            session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
            (theirs,) = session.run(None, {"x": np.full(x, 0.5, np.float32)})
        except Exception:
            refused += 1
            continue
        ran += 1
        file = path / f"{make.__name__}.onnx"
        file.write_bytes(data)
        try:
            graph = load(file)
            ours = graph.types[graph.outputs[0]].shape
        except CostcalcError as error:
            yield f"{make.__name__} {number}: {theirs.shape} when run, ours: {error.message}"
            continue
        if ours != theirs.shape:
            yield f"{make.__name__} {number} of {x}: {theirs.shape} when run, ours {ours}"
        if ran == count:
            return
    assert ran > count // 4, f"only {ran} of {refused} ran"


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_shapes_are_those_of_a_run(make: Callable[[random.Random], Case], tmp_path: Path) -> None:
    assert list(tried(make, 25, 1, tmp_path)) == []


@pytest.mark.long
@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_more_shapes_are_those_of_a_run(make: Callable[[random.Random], Case], tmp_path: Path) -> None:
    assert list(tried(make, 1000, 2, tmp_path)) == []
