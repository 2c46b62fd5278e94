"""Random uses of the operators that values decide, of windows, and of StableHLO's that LiteRT runs, for
``test_against_litert.py``."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.tflite.writing_tflite import File

Made = tuple[list[int], list[int]]
Shape = tuple[int, int, int, int]
NAMES = "ADD", "MAXIMUM", "MINIMUM", "MULTIPLY"


def body(f: File, name: str) -> int:
    """A graph of one function of two numbers."""
    inner = f.inner()
    x, y, z = (inner.tensor(one) for one in "xyz")
    inner.operator(f"STABLEHLO_{name}", [x, y], [z], {})
    return f.hold(inner, [x, y], [z])


def _windows(chance: random.Random, shape: Shape) -> tuple[list[int], list[int], list[int], list[int], list[int]]:
    """Size, step, how the input and the windows are stretched, and padding, of windows that fit."""
    base = [chance.choice([1, 1, 2]) for _ in shape]
    dilation = [chance.choice([1, 1, 2]) for _ in shape]
    pads = [chance.randint(0, 2) for _ in range(8)]
    room = [(d - 1) * s + 1 + pads[2 * i] + pads[2 * i + 1] for i, (d, s) in enumerate(zip(shape, base, strict=True))]
    size = [chance.randint(1, max(1, min(3, (r - 1) // d + 1))) for r, d in zip(room, dilation, strict=True)]
    return size, [chance.randint(1, 3) for _ in shape], base, dilation, pads


def reduce_window(f: File, chance: random.Random, shape: Shape) -> Made:
    dilation = [chance.choice([1, 1, 2]) for _ in shape]
    size = [chance.randint(1, min(3, (n - 1) // d + 1)) for n, d in zip(shape, dilation, strict=True)]
    x, y = f.tensor("x", *shape), f.tensor("y")
    given = [f.longs(*one) for one in (size, [chance.randint(1, 3) for _ in shape], dilation)]
    f.operator("REDUCE_WINDOW", [x, f.scalar(0.0), *given], [y], {0: ("int", chance.randint(1, 4))})
    return [x], [y]


def stablehlo_reduce_window(f: File, chance: random.Random, shape: Shape) -> Made:
    size, step, base, dilation, pads = _windows(chance, shape)
    x, y = f.tensor("x", *shape), f.tensor("y")
    options = {i: ("longs", one) for i, one in enumerate((size, step, base, dilation, pads))}
    options |= {5: ("int", body(f, chance.choice(NAMES)))}  # type: ignore[dict-item]
    f.operator("STABLEHLO_REDUCE_WINDOW", [x, f.scalar(0.0)], [y], options)
    return [x], [y]


def dilate(f: File, chance: random.Random, shape: Shape) -> Made:
    x, y = f.tensor("x", *shape), f.tensor("y")
    f.operator("DILATE", [x, f.numbers(*(chance.randint(1, 3) for _ in shape)), f.scalar(0.0)], [y], {})
    return [x], [y]


def stablehlo_pad(f: File, chance: random.Random, shape: Shape) -> Made:
    x, y = f.tensor("x", *shape), f.tensor("y")
    between = [chance.choice([0, 0, 1, 2]) for _ in shape]
    room = [(d - 1) * (n + 1) for d, n in zip(shape, between, strict=True)]
    before = [chance.randint(-min(1, r), 2) for r in room]
    after = [chance.randint(-min(1, r + min(b, 0)), 2) for r, b in zip(room, before, strict=True)]
    options = {i: ("longs", one) for i, one in enumerate((before, after, between))}
    f.operator("STABLEHLO_PAD", [x, f.scalar(0.0)], [y], options)
    return [x], [y]


def stablehlo_gather(f: File, chance: random.Random, shape: Shape) -> Made:
    """Parts of (b, h, w, c), told by two numbers each: where along h and w."""
    rows, tall, wide = chance.randint(1, 3), chance.randint(1, shape[1]), chance.randint(1, shape[2])
    gone = chance.choice([[], [1], [1, 2]])
    sizes = [shape[0], 1 if 1 in gone else tall, 1 if 2 in gone else wide, shape[3]]
    kept = [size for axis, size in enumerate(sizes) if axis not in gone]
    offset = [*range(1, 1 + len(kept))] if chance.random() < 0.5 else [*range(len(kept))]
    at = iter(kept)
    made = [next(at) if axis in offset else rows for axis in range(len(kept) + 1)]
    places = f.tensor("i", rows, 2, dtype="int64", data=bytes(16 * rows))
    x, y = f.tensor("x", *shape), f.tensor("y", *made)
    options = {0: ("longs", offset), 1: ("longs", gone), 2: ("longs", [1, 2]), 3: ("long", 1), 4: ("longs", sizes)}
    f.operator("STABLEHLO_GATHER", [x, places], [y], options)
    return [x], [y]


def stablehlo_scatter(f: File, chance: random.Random, shape: Shape) -> Made:
    rows = chance.randint(1, 3)
    x, y = f.tensor("x", *shape[1:]), f.tensor("y", *shape[1:])
    places = f.tensor("i", rows, 1, dtype="int64", data=bytes(8 * rows))
    options = {1: ("longs", [1, 2]), 2: ("longs", [0]), 3: ("longs", [0]), 4: ("long", 1)}
    options |= {6: ("int", body(f, chance.choice(NAMES)))}  # type: ignore[dict-item]
    f.operator("STABLEHLO_SCATTER", [x, places, f.weight("u", rows, *shape[2:])], [y], options)
    return [x], [y]


def where(f: File, chance: random.Random, shape: Shape) -> Made:
    rank = chance.randint(1, 4)
    x, y = f.tensor("x", *shape[-rank:]), f.tensor("y", dtype="int64")
    f.operator("WHERE", [x], [y], {})
    return [x], [y]


def unique(f: File, chance: random.Random, shape: Shape) -> Made:
    x, y, i = f.tensor("x", shape[1]), f.tensor("y"), f.tensor("i", shape[1], dtype="int32")
    f.operator("UNIQUE", [x], [y, i], {0: ("byte", 2)})
    return [x], [i]


def multinomial(f: File, chance: random.Random, shape: Shape) -> Made:
    x, y = f.tensor("x", *shape[:2]), f.tensor("y", dtype=chance.choice(["int32", "int64"]))
    f.operator("MULTINOMIAL", [x, f.numbers(chance.randint(1, 5), shape=())], [y], {})
    return [x], [y]


def hashtable_lookup(f: File, chance: random.Random, shape: Shape) -> Made:
    rows = chance.randint(1, 4)
    keys, x = f.numbers(*range(rows)), f.tensor("x", chance.randint(1, 5), dtype="int32")
    y, hits = f.tensor("y"), f.tensor("h", dtype="uint8")
    f.operator("HASHTABLE_LOOKUP", [x, keys, f.weight("v", rows, *shape[2:])], [y, hits])
    return [x], [y]


def embedding_sparse(f: File, chance: random.Random, shape: Shape) -> Made:
    count, rows = chance.randint(1, 4), chance.randint(1, 4)
    places = f.numbers(*(n for i in range(count) for n in (min(i, rows - 1), i)), shape=(count, 2))
    x, y = f.tensor("x", count), f.tensor("y")
    table = f.weight("t", 3, *shape[2:])
    given = [f.numbers(*[chance.randrange(3) for _ in range(count)]), places, f.numbers(rows, 5), x, table]
    f.operator("EMBEDDING_LOOKUP_SPARSE", given, [y], {0: ("byte", chance.randrange(3))})
    return [x], [y]


def bitcast(f: File, chance: random.Random, shape: Shape) -> Made:
    wide = chance.choice(["int32", "float32"])
    into = chance.choice(["int8", "int16", "uint8", "int32"])
    if chance.random() < 0.5:
        x, made, shape = f.tensor("x", *shape, dtype=wide), into, shape
    else:
        x, made = f.tensor("x", *shape[:3], 2, dtype="int16"), wide
    y = f.tensor("y", dtype=made)
    f.operator("BITCAST", [x], [y], {})
    return [x], [y]


def lstm_basic(f: File, chance: random.Random, shape: Shape) -> Made:
    batch, width, hidden = shape[0], shape[1], chance.randint(1, 5)
    x, before, kept = f.tensor("x", batch, width), f.tensor("p", batch, hidden), f.tensor("k", batch, hidden)
    y, state, joined, gates = (f.tensor(name) for name in ("y", "s", "j", "g"))
    given = [x, before, f.weight("w", 4 * hidden, width + hidden), f.weight("b", 4 * hidden), kept]
    f.operator("LSTM", given, [y, state, joined, gates], {0: ("byte", 4), 3: ("byte", 1)})
    return [x, before, kept], [chance.choice([y, state])]


def mirror_any(f: File, chance: random.Random, shape: Shape) -> Made:
    repeats = chance.randrange(2)
    x, y = f.tensor("x", *shape), f.tensor("y")
    amounts = [chance.randint(0, d - 1 + repeats) for d in shape for _ in range(2)]
    f.operator("MIRROR_PAD", [x, f.numbers(*amounts, shape=(4, 2))], [y], {0: ("byte", repeats)})
    return [x], [y]


def slice_any(f: File, chance: random.Random, shape: Shape) -> Made:
    """With an ellipsis, new axes and steps back."""
    count = chance.randint(1, 5)
    new = chance.randrange(1 << count)
    ellipsis = 1 << chance.randrange(count) if count > 4 or chance.random() < 0.5 else 0
    new &= ~ellipsis
    while count - bin(new).count("1") - bool(ellipsis) > 4:
        new |= 1 << next(i for i in range(count) if not (new | ellipsis) >> i & 1)
    begin = [chance.randint(-3, 2) for _ in range(count)]
    end = [chance.randint(-3, 4) for _ in range(count)]
    steps = [chance.choice([1, 1, 2, -1, -2]) for _ in range(count)]
    masks = {0: chance.randrange(1 << count), 1: chance.randrange(1 << count), 2: ellipsis, 3: new}
    masks |= {4: chance.choice([0, 0, chance.randrange(1 << count)]) & ~new & ~ellipsis}
    x, y = f.tensor("x", *shape), f.tensor("y")
    numbers = [f.numbers(*values) for values in (begin, end, steps)]
    f.operator("STRIDED_SLICE", [x, *numbers], [y], {field: ("int", mask) for field, mask in masks.items()})
    return [x], [y]


def gather_by_batch(f: File, chance: random.Random, shape: Shape) -> Made:
    batches = chance.randint(1, 2)
    axis = chance.randint(batches, 3)
    where = [*shape[:batches], *(chance.randint(1, 3) for _ in range(chance.randint(1, 2)))]
    x, y, i = f.tensor("x", *shape), f.tensor("y"), f.weight("i", *where, dtype="int32")
    f.operator("GATHER", [x, i], [y], {0: ("int", axis), 1: ("int", batches)})
    return [x], [y]


def computed_filter(f: File, chance: random.Random, shape: Shape) -> Made:
    options = {0: ("byte", chance.randrange(2)), 1: ("int", 1), 2: ("int", chance.randint(1, 2))}
    tall, wide = chance.randint(1, min(3, shape[1])), chance.randint(1, min(3, shape[2]))
    x, y = f.tensor("x", *shape), f.tensor("y")
    if chance.random() < 0.5:
        w, b = f.tensor("w", 4, tall, wide, shape[3]), f.weight("b", 4)
        f.operator("CONV_2D", [x, w, b], [y], options | {3: ("byte", chance.randrange(4))})
    else:
        w, b = f.tensor("w", 1, tall, wide, 2 * shape[3]), f.weight("b", 2 * shape[3])
        f.operator("DEPTHWISE_CONV_2D", [x, w, b], [y], options | {2: ("int", 1), 3: ("int", 2)})
    return [x, w], [y]


MAKERS: dict[str, Callable[[File, random.Random, Shape], Made]] = {
    "reduce window": reduce_window, "stablehlo reduce window": stablehlo_reduce_window, "dilate": dilate,
    "stablehlo pad": stablehlo_pad, "stablehlo gather": stablehlo_gather, "stablehlo scatter": stablehlo_scatter,
    "where": where, "unique": unique, "multinomial": multinomial, "hashtable lookup": hashtable_lookup,
    "embedding sparse": embedding_sparse, "bitcast": bitcast, "lstm basic": lstm_basic, "mirror any": mirror_any,
    "slice any": slice_any, "gather by batch": gather_by_batch, "computed filter": computed_filter,
}  # fmt: skip
