"""Hold the engines `tflm` and `tflite` to the arenas of TFLite Micro and of LiteRT without delegates.

    pip install tflite-micro ai-edge-litert litert-torch pyyaml absl-py bitarray numpy
    python benchmarks/memory_tflite.py [net.tflite torchvision:resnet18 timm:ghostnet_100 unet32 …] [--keep FOLDER]

A model of PyTorch is converted by litert-torch, with the channels of its image last, and without zeros. A line a file:
bytes of the interpreter's arena, ours of the file, and of a model also ours of what PyTorch runs, which has not seen
the file; the same for LiteRT, whose arena is one of the blocks that it asks for while it allocates, with 64 bytes by
which it may move the beginning: ours if it is among them, else the largest. Each interpreter runs in a process of its
own. LiteRT needs a C compiler. Without arguments the models of the table in docs/memory.md.
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import os
import re
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE), str(HERE.parent / "tests" / "torch")]

OTHERS = "torchvision:vit_b_16 timm:hrnet_w18 timm:cspdarknet53 timm:mobilevit_s timm:mixer_b16_224"
"""Beside those of the first table of ONNX Runtime."""
MICRO = """
import sys
from tflite_micro.python.tflite_micro import runtime
runtime.Interpreter.from_file(sys.argv[1], arena_size=1 << 29).print_allocations()
"""
ALIGNMENT = 64


def micro(file: str) -> int | str:
    """The head of TFLite Micro's arena, or why there is none; it prints from C++."""
    said = subprocess.run([sys.executable, "-c", MICRO, file], capture_output=True, text=True)
    text = said.stdout + said.stderr
    found = re.search(r"Arena allocation head (\d+) bytes", text)
    if found:
        return int(found[1])
    why = re.search(r"Didn't find op for builtin opcode '(\w+)'|\w+ <= \w+ was not true", text)
    return why[0] if why else f"ended with {said.returncode}"


def litert(file: str, ours: int) -> int | str:
    """LiteRT's arena, or why there is none; another block, of its weights, may be larger."""
    with tempfile.TemporaryDirectory() as folder:
        library = f"{folder}/heap.so"
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, str(HERE / "heap.c")], check=True)
        said = subprocess.run(
            [sys.executable, __file__, "--blocks", file],
            env={**os.environ, "LD_PRELOAD": library}, capture_output=True, text=True,
        )  # fmt: skip
    if said.returncode:
        return said.stderr.strip().split("\n")[-1]
    found = [int(size) - ALIGNMENT for size in said.stdout.split()]
    return ours if ours in found else max(found)


def blocks(file: str) -> list[int]:
    """The sizes of the blocks that the interpreter asks for while it allocates; under the counting heap."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    counters = ctypes.CDLL(None)
    counters.heap_asked.restype, counters.heap_asked.argtypes = ctypes.c_long, [ctypes.c_long]
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_path=file, num_threads=1, experimental_op_resolver_type=plain)
    counters.heap_reset()
    interpreter.allocate_tensors()
    return list(iter(map(counters.heap_asked, itertools.count()).__next__, -1))


def converted(name: str, folder: str) -> tuple[str, Any]:
    """The file of a model, and what costcalc makes of the model itself; the file is kept from an earlier run."""
    import litert_torch
    import torch
    from memory_ort import build

    import costcalc

    module, shape = build(name)
    for parameter in module.parameters():  # branches whose last norm is 0, as untrained ones are, are folded away
        if not parameter.any():
            torch.nn.init.normal_(parameter)
    file = Path(folder) / f"{name.replace(':', '_')}.tflite"
    if not file.exists():
        last = litert_torch.to_channel_last_io(module, args=[0])
        litert_torch.convert(last, (torch.randn(shape[0], *shape[2:], shape[1]),)).export(str(file))
    return str(file), costcalc.trace(module, shape)


def told(real: int | str, **ours: int | None) -> str:
    """A cell: what is real, and where ours are not that."""
    if isinstance(real, str):
        return f"{real[:70]:>13}"
    unlike = [f"{of} {own:,} ({own / real:.4f})" for of, own in ours.items() if own not in (real, None)]
    return f"{real:13,} {', '.join(unlike) if unlike else 'equal':24}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*")
    parser.add_argument("--keep", default="", help="a folder for what was converted")
    parser.add_argument("--blocks", action="store_true", help="used by this file itself")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    if asked.blocks:
        print(*blocks(asked.files[0]))
        return
    from memory_ort import TABLE

    import costcalc

    names = asked.files or (*TABLE.split(), *OTHERS.split())
    totals = {"TFLite Micro": [0, 0, 0], "LiteRT": [0, 0, 0]}
    print(f"{'file':32}" + "".join(f"{name:>13}{'':25}" for name in totals))
    with tempfile.TemporaryDirectory() as scratch:
        for name in names:
            graph = None
            file = name
            if not name.endswith(".tflite"):
                try:
                    file, graph = converted(name, asked.keep or scratch)
                except Exception as error:  # of whatever the converter says
                    print(f"{name[-32:]:32} is not converted: {type(error).__name__}: {str(error)[:80]!r}", flush=True)
                    continue
            cells = []
            for engine, total in zip(("tflm", "tflite"), totals.values(), strict=True):
                align = ALIGNMENT if engine == "tflite" else 1  # LiteRT rounds the whole of it up
                ours, model = (
                    None if one is None else -(-(costcalc.memory(one, engine=engine).arena_bytes or 0) // align) * align
                    for one in (file, graph)
                )
                found = micro(file) if engine == "tflm" else litert(file, ours or 0)
                cells.append(told(found, file=ours, model=model))
                if isinstance(found, int):
                    total[0] += 1
                    total[1] += ours == found
                    total[2] += model == found
            print(f"{name[-32:]:32}{''.join(cells)}", flush=True)
    for name, (ran, equal, models) in totals.items():
        print(f"{name}: equal of {equal} of {ran} files, and of {models} models without their files")


if __name__ == "__main__":
    main()
