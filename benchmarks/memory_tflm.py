"""TFLite Micro's own arena against ours, for files of TensorFlow Lite.

    pip install tflite-micro pyyaml absl-py bitarray numpy
    python benchmarks/memory_tflm.py net.tflite …

Its interpreter is run in a process of its own, since it prints from C++.
"""

from __future__ import annotations

import re
import subprocess
import sys

import costcalc

PRINT = """
import sys
from tflite_micro.python.tflite_micro import runtime
runtime.Interpreter.from_file(sys.argv[1], arena_size=1 << 26).print_allocations()
"""


def main() -> None:
    """A line a file: the head of the arena as the interpreter has it, and as we do."""
    print(f"{'file':40} {'interpreter':>12} {'ours':>12}")
    unlike = 0
    for file in sys.argv[1:]:
        said = subprocess.run([sys.executable, "-c", PRINT, file], capture_output=True, text=True)
        found = re.search(r"Arena allocation head (\d+) bytes", said.stdout + said.stderr)
        if found is None:
            print(f"{file[-40:]:40} cannot be run: {said.stderr.strip()[-80:]}")
            continue
        ours = costcalc.memory(file, engine="tflm").arena_bytes
        unlike += ours != int(found[1])
        print(f"{file[-40:]:40} {int(found[1]):12,} {ours:12,}")
    print(f"{unlike} unlike")


if __name__ == "__main__":
    main()
