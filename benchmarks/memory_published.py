"""Activation RAM that ST and the authors of TinyEngine publish, beside ours, and what of the difference is proved.

    python benchmarks/memory_published.py

A line a network and version of ST's tool: what is published, `mcu` and `tflm` at 8 bits, in KiB, and the bytes that the
published figure has beyond `mcu`, as far as its two decimals tell them. Nothing is measured here, since ST's tool is
not public. Proved is what code that it generated for other networks says, or another version for the same file:

- the kernel of a 1×1 convolution has 4 bytes an input channel and 10 an output channel of its own (every
  `conv2d_…_scratch0_array` of a pointwise convolution in generated `network.c`, versions 7 to 10);
- what does not grow with the image is no map and no row of one;
- what a later version does without was its planner's.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import costcalc

TINY = "TinyEngine"
PUBLISHED = [
    ("mobilenet_0.25", 96, "10.0.0", 66.96),
    ("mobilenet_0.25", 224, "10.0.0", 272.96),
    ("mobilenet", 224, "10.0.0", 1331.13),
    ("mobilenet_v2_0.35", 128, "7.3.0", 224.5),
    ("mobilenet_v2_0.35", 128, "10.0.0", 237.32),
    ("mobilenet_v2_0.35", 128, "4.0.0", 237.32),
    ("mobilenet_v2_0.35", 224, "7.3.0", 686.5),
    ("mobilenet_v2_0.35", 224, "10.0.0", 832.64),
    ("mobilenet_v2_0.35", 224, "4.0.0", 699.32),
    ("mobilenet_v2", 224, "10.0.0", 1727.02),
    ("mobilenet_v2", 224, "4.0.0", 1433.13),
    ("mobilenet_v2_0.35", 144, TINY, 308 * 1000 / 1024),
    ("mcunet_320kb", 176, TINY, 293 * 1000 / 1024),
]
"""Of the README files of ST's model zoo: STM32Cube.AI 7.3.0 and 10.0.0, and ST Edge AI Core 4.0.0, which came after it;
of mit-han-lab/mcunet 0dedab5."""
KIB = 1024
ROUNDED = 0.005 * KIB


def own_of_a_pointwise(name: str, side: int) -> int:
    """Bytes that ST's kernel has of its own for the 1×1 convolution at the peak of ``mcu``; 0 if none is there."""
    graph = costcalc.load(name, input=(3, side, side))
    at = costcalc.memory(graph, engine="mcu", bits=8).at
    node = graph.node(at)
    if node.op.name != "pointwise" and getattr(node.op, "kernel", 0) != 1:
        return 0
    x, y = graph.types[node.inputs[0]], graph.types[node.outputs[0]]
    return 4 * int(x.channels) + 10 * int(y.channels)  # type: ignore[arg-type]


def main() -> None:
    beyond: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    taken: dict[tuple[str, int], dict[str, float]] = defaultdict(dict)
    print(f"{'network':18} {'side':>4} {'version':>10} {'published':>9} {'mcu':>9} {'tflm':>9}  beyond mcu, bytes")
    for name, side, version, published in PUBLISHED:
        shape = (3, side, side)
        mcu, tflm = (costcalc.memory(name, engine=e, bits=8, input=shape).needed_bytes for e in ("mcu", "tflm"))
        more = published * KIB - mcu
        beyond[name, version][side] = more
        taken[name, side][version] = published
        own = own_of_a_pointwise(name, side)
        exact = " = the kernel's own, proved" if abs(more - own) <= ROUNDED else ""
        figures = f"{published:9.2f} {mcu / KIB:9.2f} {tflm / KIB:9.2f}"
        print(f"{name:18} {side:4} {version:>10} {figures}  {more:,.0f} (kernel's own {own:,}){exact}")
    for (name, version), sides in beyond.items():
        if len(sides) > 1 and max(sides.values()) - min(sides.values()) <= 2 * ROUNDED:
            sizes = " and ".join(map(str, sides))
            print(f"{name} by {version}: the same {max(sides.values()):,.0f} bytes at {sizes}: no map, no row")
    for (name, side), versions in taken.items():
        if {"10.0.0", "4.0.0"} <= versions.keys() and versions["10.0.0"] > versions["4.0.0"]:
            less = versions["10.0.0"] - versions["4.0.0"]
            print(f"{name} at {side}: {less:.2f} KiB of 10.0.0 the planner of 4.0.0 does without")


if __name__ == "__main__":
    main()
