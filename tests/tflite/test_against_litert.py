"""Random operators: the shapes that we say against those that LiteRT makes when it runs them.

Needs the package ai-edge-litert, which the test extra brings on Linux; ``COSTCALC_FUZZ`` says how many. Its reference
kernels are asked: the delegate that is on by default takes a slice that ends at 0 for one that goes to the end
(``findings/litert_strided_slice_to_zero.sh``).
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from costcalc import load
from costcalc.errors import CostcalcError
from tests.tflite import random_newer
from tests.tflite.writing_tflite import File

interpreter = pytest.importorskip("ai_edge_litert.interpreter")
numpy = pytest.importorskip("numpy")
TRIES = int(os.environ.get("COSTCALC_FUZZ", "300"))

Made = tuple[list[int], list[int]]
Maker = Callable[[File, random.Random, tuple[int, int, int, int]], Made]


def _flag(value: int) -> tuple[str, int]:
    return "byte", value


def _sliding(chance: random.Random) -> tuple[dict[int, tuple[str, int]], int, int]:
    """Padding and strides in their fields, and a dilation that goes with them."""
    across, down = chance.choice([1, 1, 2, 3]), chance.choice([1, 1, 2, 3])
    return {0: _flag(chance.randrange(2)), 1: ("int", across), 2: ("int", down)}, across * down, chance.randint(1, 3)


def _conv(f: File, chance: random.Random, shape: tuple[int, ...]) -> Made:
    options, stride, dilation = _sliding(chance)
    groups = chance.choice([g for g in (1, 2, 3) if shape[3] % g == 0])
    width = groups * chance.randint(1, 3)
    weight = f.weight("w", width, chance.randint(1, 5), chance.randint(1, 5), shape[3] // groups)
    step = ("int", dilation if stride == 1 else 1)
    x, y = f.tensor("x", *shape), f.tensor("y")
    f.operator(
        "CONV_2D", [x, weight, f.weight("b", width)], [y], options | {3: _flag(chance.randrange(5)), 4: step, 5: step}
    )
    return [x], [y]


def _depthwise(f: File, chance: random.Random, shape: tuple[int, ...]) -> Made:
    options, stride, dilation = _sliding(chance)
    width = shape[3] * chance.randint(1, 2)
    step = ("int", dilation if stride == 1 else 1)
    weight = f.weight("w", 1, chance.randint(1, 4), chance.randint(1, 4), width)
    x, y = f.tensor("x", *shape), f.tensor("y")
    more = {3: ("int", width // shape[3]), 5: step, 6: step}
    f.operator("DEPTHWISE_CONV_2D", [x, weight, f.weight("b", width)], [y], options | more)
    return [x], [y]


def _transposed(f: File, chance: random.Random, shape: tuple[int, ...]) -> Made:
    n, h, w, c = shape
    same, s, k = chance.randrange(2), chance.randint(1, 3), chance.randint(1, 4)
    size = [d * s if not same else (d - 1) * s + max(k, s if chance.random() < 0.5 else k) for d in (h, w)]
    x, y = f.tensor("x", *shape), f.tensor("y", n, *size, 3)
    options = {0: _flag(same), 1: ("int", s), 2: ("int", s)}
    f.operator("TRANSPOSE_CONV", [f.numbers(n, *size, 3), f.weight("w", 3, k, k, c), x], [y], options)
    return [x], [y]


def _pool(f: File, chance: random.Random, shape: tuple[int, ...]) -> Made:
    options, _, _ = _sliding(chance)
    x, y = f.tensor("x", *shape), f.tensor("y")
    window = {3: ("int", chance.randint(1, 4)), 4: ("int", chance.randint(1, 4))}
    f.operator(chance.choice(["MAX_POOL_2D", "AVERAGE_POOL_2D", "L2_POOL_2D"]), [x], [y], options | window)
    return [x], [y]


def _slice(f: File, chance: random.Random, shape: tuple[int, ...]) -> Made:
    x, y = f.tensor("x", *shape), f.tensor("y")
    begin, end = [chance.randint(-d, d - 1) for d in shape], [chance.randint(-d, d + 3) for d in shape]
    steps, masks = (
        [chance.choice([1, 1, 2, 3]) for _ in shape],
        {i: ("int", chance.choice([15, 15, chance.randrange(16)])) for i in (0, 1)},
    )
    numbers = [f.numbers(*values) for values in (begin, end, steps)]
    f.operator("STRIDED_SLICE", [x, *numbers], [y], masks | {4: ("int", chance.choice([0, 0, chance.randrange(16)]))})
    return [x], [y]


def _batches(f: File, chance: random.Random, shape: tuple[int, ...]) -> Made:
    _, h, w, _ = shape
    block = [chance.randint(1, 3), chance.randint(1, 3)]
    before = [chance.randint(0, 2), chance.randint(0, 2)]
    pads = [before[0], -(h + before[0]) % block[0], before[1], -(w + before[1]) % block[1]]
    x, a, y = f.tensor("x", *shape), f.tensor("a"), f.tensor("y")
    a = f.tensor(
        "a",
        shape[0] * block[0] * block[1],
        (h + pads[0] + pads[1]) // block[0],
        (w + pads[2] + pads[3]) // block[1],
        shape[3],
    )
    f.operator("SPACE_TO_BATCH_ND", [x, f.numbers(*block), f.numbers(*pads, shape=(2, 2))], [a], {})
    f.operator("BATCH_TO_SPACE_ND", [a, f.numbers(*block), f.numbers(*pads, shape=(2, 2))], [y], {})
    return [x], [y]


def _plain(
    name: str, options: Callable[[random.Random, tuple[int, ...]], tuple[Sequence[Any], dict[int, Any]]]
) -> Maker:
    """An operator of the map and a list of numbers."""

    def make(f: File, chance: random.Random, shape: tuple[int, ...]) -> Made:
        numbers, given = options(chance, shape)
        x, y = f.tensor("x", *shape), f.tensor("y")
        f.operator(name, [x, *(f.numbers(*values, shape=size) for values, size in numbers)], [y], given)
        return [x], [y]

    return make


def _update(f: File, chance: random.Random, shape: tuple[int, ...]) -> Made:
    part = [chance.randint(1, d) for d in shape]
    x, y = f.tensor("x", *shape), f.tensor("y", *shape)
    f.operator("DYNAMIC_UPDATE_SLICE", [x, f.weight("u", *part), f.numbers(*[0] * 4)], [y], {})
    return [x], [y]


def _one_hot(f: File, chance: random.Random, shape: tuple[int, ...]) -> Made:
    x, y = f.tensor("x", *shape, dtype="int32"), f.tensor("y", dtype="int32")
    values = [f.numbers(n, shape=()) for n in (chance.randint(1, 5), 1, 0)]
    f.operator("ONE_HOT", [x, *values], [y], {0: ("int", chance.randint(-1, 4))})
    return [x], [y]


def _scattered(f: File, chance: random.Random, shape: tuple[int, ...]) -> Made:
    named = chance.randint(1, 3)
    x = f.tensor("x", 2, *shape[named:])
    y = f.tensor("y")
    places = f.numbers(*[chance.randrange(shape[i % named]) for i in range(2 * named)], shape=(2, named))
    f.operator("SCATTER_ND", [places, x, f.numbers(*shape)], [y], {})
    return [x], [y]


def _segments(f: File, chance: random.Random, shape: tuple[int, ...]) -> Made:
    rows, combines = chance.randint(1, 5), chance.choice(["", "SUM", "PROD", "MAX", "MIN"])
    x, y = f.tensor("x", rows, *shape[2:]), f.tensor("y")
    ids = f.numbers(*sorted(chance.randrange(4) for _ in range(rows)))
    if combines:
        f.operator(f"UNSORTED_SEGMENT_{combines}", [x, ids, f.numbers(chance.randint(4, 6), shape=())], [y], {})
    else:
        f.operator("SEGMENT_SUM", [x, ids], [y], {})
    return [x], [y]


def _suppressed(f: File, chance: random.Random, shape: tuple[int, ...]) -> Made:
    boxes, most = shape[1] * shape[2], chance.randint(1, 20)
    x, scores = f.tensor("x", boxes, 4), f.tensor("s", boxes)
    reals = [f.scalar(0.5), f.scalar(0.1)]
    chosen, count = f.tensor("y", dtype="int32"), f.tensor("n", dtype="int32")
    if chance.random() < 0.5:
        f.operator("NON_MAX_SUPPRESSION_V4", [x, scores, f.numbers(most, shape=()), *reals], [chosen, count], {})
    else:
        given = [x, scores, f.numbers(most, shape=()), *reals, f.scalar(0.5)]
        f.operator("NON_MAX_SUPPRESSION_V5", given, [chosen, f.tensor("k"), count], {})
    return [x, scores], [chosen]


def _of_two(f: File, chance: random.Random, shape: tuple[int, ...]) -> Made:
    x, z, y = f.tensor("x", *shape), f.tensor("z", *shape), f.tensor("y", *shape)
    f.operator("STABLEHLO_" + chance.choice(["ADD", "MULTIPLY", "MAXIMUM", "MINIMUM"]), [x, z], [y], {})
    return [x, z], [y]


def _fourier(f: File, chance: random.Random, shape: tuple[int, ...]) -> Made:
    x, y = f.tensor("x", *shape[:3]), f.tensor("y", dtype="complex64")
    f.operator("RFFT2D", [x, f.numbers(*(chance.choice([1, 2, 4, 8, 16]) for _ in range(2)))], [y], {})
    return [x], [y]


def _diagonal(f: File, chance: random.Random, shape: tuple[int, ...]) -> Made:
    x, d, y = f.tensor("x", *shape[:3]), f.tensor("d", shape[0], min(shape[1:3])), f.tensor("y")
    f.operator("MATRIX_SET_DIAG", [x, d], [y], {})
    return [x, d], [y]


def _dense(f: File, chance: random.Random, shape: tuple[int, ...]) -> Made:
    x, y = f.tensor("x", 2), f.tensor("y")
    places = f.numbers(0, 0, shape[1] - 1, shape[2], shape=(2, 2))
    f.operator("SPARSE_TO_DENSE", [places, f.numbers(shape[1], shape[2] + 1), x, f.scalar(0.0)], [y], {})
    return [x], [y]


MAKERS: dict[str, Maker] = {
    "segments": _segments, "suppressed": _suppressed, "of two": _of_two, "fourier": _fourier,
    "other diagonal": _diagonal, "sparse to dense": _dense,
    "random": lambda f, c, s: (lambda y: (
        f.operator(c.choice(["RANDOM_UNIFORM", "RANDOM_STANDARD_NORMAL"]), [f.numbers(*s)], [y], {}) or ([], [y])
    ))(f.tensor("y")),
    "update": _update, "one hot": _one_hot, "scattered": _scattered,
    "gather by several": _plain(
        "GATHER_ND",
        lambda c, s: (lambda k: ([([c.randrange(s[i % k]) for i in range(3 * k)], (3, k))], {}))(c.randint(1, 4)),
    ),
    "diagonal": _plain("MATRIX_DIAG", lambda c, s: ([], {})),
    "backwards": _plain(
        "REVERSE_SEQUENCE",
        lambda c, s: ([([c.randint(1, s[1]) for _ in range(s[0])], None)], {0: ("int", 1), 1: ("int", 0)}),
    ),
    "conv": _conv, "depthwise": _depthwise, "transposed": _transposed, "pool": _pool, "slice": _slice,
    "batches": _batches,
    "mean": _plain("MEAN", lambda c, s: ([(c.sample(range(4), c.randint(1, 3)), None)], {0: ("kind", c.randrange(2))})),
    "sum": _plain("SUM", lambda c, s: ([([c.randint(-4, 3)], None)], {0: ("kind", c.randrange(2))})),
    "transpose": _plain("TRANSPOSE", lambda c, s: ([(c.sample(range(4), 4), None)], {})),
    "pad": _plain("PAD", lambda c, s: ([([c.randint(0, 2) for _ in range(8)], (4, 2))], {})),
    "mirror": _plain(
        "MIRROR_PAD", lambda c, s: ([([0, 0, s[1] - 1, 0, 0, s[2] - 1, 0, 0], (4, 2))], {0: ("byte", 0)})
    ),
    "nearest": _plain("RESIZE_NEAREST_NEIGHBOR", lambda c, s: ([([c.randint(1, 20), c.randint(1, 20)], None)], {})),
    "bilinear": _plain(
        "RESIZE_BILINEAR", lambda c, s: ([([c.randint(1, 20), c.randint(1, 20)], None)], {3: ("kind", 1)})
    ),
    "tile": _plain("TILE", lambda c, s: ([([c.randint(1, 2) for _ in s], None)], {})),
    "expand": _plain("EXPAND_DIMS", lambda c, s: ([([c.randint(-5, 4)], ())], {})),
    "gather": _plain(
        "GATHER",
        lambda c, s: ([([c.randrange(s[2]) for _ in range(3)], c.choice([(3,), (3, 1)]))], {0: ("int", 2)}),
    ),
    "reverse": _plain("REVERSE_V2", lambda c, s: ([([c.randrange(4)], None)], {})),
    **random_newer.MAKERS,
}  # fmt: skip


RULED = (
    "segments",
    "suppressed",
    "of two",
    "fourier",
    "other diagonal",
    "sparse to dense",
    "random",
    *random_newer.MAKERS,
)
"""Of which no use that LiteRT runs is left uncounted."""


@pytest.mark.parametrize("kind", MAKERS)
def test_shapes_are_those_of_a_run(tmp_path: Path, kind: str) -> None:
    chance, path = random.Random(kind), tmp_path / "net.tflite"
    compared = 0
    for _ in range(-(-TRIES // len(MAKERS))):
        f = File()
        shape = chance.choice([1, 2]), chance.randint(1, 12), chance.randint(1, 12), chance.choice([1, 2, 3, 6])
        inputs, outputs = MAKERS[kind](f, chance, shape)
        path.write_bytes(f.bytes(inputs, outputs))
        resolver = interpreter.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        try:
            run = interpreter.Interpreter(str(path), experimental_op_resolver_type=resolver)
            run.allocate_tensors()
            if kind == "where":  # as many are chosen as there can be
                (given,) = run.get_input_details()
                run.set_tensor(given["index"], numpy.ones(given["shape"], given["dtype"]))
            run.invoke()
        except (RuntimeError, ValueError):
            continue  # it refuses
        theirs = tuple(map(int, run.get_tensor(run.get_output_details()[0]["index"]).shape))
        try:
            graph = load(str(path))
        except CostcalcError as error:
            pytest.fail(f"{kind} of {shape}: {error}")
        if 0 in theirs:
            assert any(not node.op.is_counted for node in graph.nodes), "a tensor of nothing has no layer"
            continue
        assert graph.types[graph.outputs[0]].shape == theirs, (kind, shape, graph.assumed)
        assert kind not in RULED or all(node.op.is_counted for node in graph.nodes), (kind, shape, graph.assumed)
        compared += 1
    assert compared
