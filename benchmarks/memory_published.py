"""Activation RAM that ST and the authors of TinyEngine publish, beside ours, and what is left to explain.

    python benchmarks/memory_published.py

A line a network, in KiB: what is published, `mcu` and `tflm` at 8 bits, and what the published figure has beyond `mcu`,
taken apart into the image and maps of the network as far as that goes. Nothing is measured here: the engines are not
open in this, so that sums which fit are observations, no proof.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import costcalc

ST = "STM32Cube.AI 10.0.0, model zoo 6f10965e"
TINY = "TinyEngine, mit-han-lab/mcunet 0dedab5"
PUBLISHED = [
    ("mobilenet_0.25", 96, 66.96, ST),
    ("mobilenet_0.25", 224, 272.96, ST),
    ("mobilenet", 224, 1331.13, ST),
    ("mobilenet_v2_0.35", 128, 237.32, ST),
    ("mobilenet_v2", 224, 1727.02, ST),
    ("mobilenet_v2_0.35", 144, 308 * 1000 / 1024, TINY),
    ("mcunet_320kb", 176, 293 * 1000 / 1024, TINY),
]
KIB = 1024


def apart(left: float, pieces: dict[str, float]) -> str:
    """``left`` as the largest of ``pieces`` that fit into it, each once, and what then remains."""
    told = []
    for name, size in sorted(pieces.items(), key=lambda item: -item[1]):
        if 0 < size <= left:
            left -= size
            told.append(f"{name} {size:.2f}")
    return " + ".join([*told, f"{left:.2f}"])


def main() -> None:
    print(f"{'network':18} {'side':>4} {'published':>9} {'mcu':>9} {'tflm':>9}  beyond mcu")
    for name, side, published, source in PUBLISHED:
        shape = (3, side, side)
        mcu, tflm = (costcalc.memory(name, engine=e, bits=8, input=shape) for e in ("mcu", "tflm"))
        ours = mcu.needed_bytes / KIB
        alive = {t.name: t.bytes / KIB for t in mcu.alive(mcu.peak_step)}
        pieces = {"image": 3 * side * side / KIB, **{f"another {k}": v for k, v in alive.items() if "scratch" not in k}}
        beyond = apart(published - ours, pieces) if published > ours else f"{published - ours:.2f}"
        line = f"{name:18} {side:4} {published:9.2f} {ours:9.2f} {tflm.needed_bytes / KIB:9.2f}  {beyond}"
        print(f"{line}  ({source})")
    small, large = (published * KIB for name, _, published, _ in PUBLISHED[:2])
    # Image and the first convolution's map are 3 + 2 bytes a pixel of the image.
    rows = [small - 5 * 96**2, large - 5 * 224**2]
    slope = (rows[1] - rows[0]) / (224 - 96)
    print(f"MobileNet 0.25: 5 bytes a pixel, {slope:.2f} a pixel of a row, and {rows[0] - 96 * slope:,.0f}")


if __name__ == "__main__":
    main()
