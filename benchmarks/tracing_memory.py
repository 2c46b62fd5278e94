"""The most memory that a trace takes beside torch's FlopCounterMode on the meta device, each in a process of its own.

    python benchmarks/tracing_memory.py                    # many models of tracing_floor.py, and those made there
    python benchmarks/tracing_memory.py resnet50 transformers:bert stacks decoding

All processes are forked of one that has imported the libraries; each builds the model, and counts or traces it once.
The figures are of the whole process, its largest resident set.
"""

from __future__ import annotations

import os
import resource
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "torch"), str(Path(__file__).parent)]
MIB = 1 << 20


def peak_of(run: Callable[[], Any]) -> int | None:
    """The largest resident set, in bytes, of a forked process that does ``run``; None where it fails."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            run()
            os.write(writes, str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10).encode())
        except Exception as error:
            print(f"  {type(error).__name__}: {str(error).splitlines()[0][:90]}", flush=True)
        finally:
            os._exit(0)
    os.close(writes)
    with os.fdopen(reads) as told:
        said = told.read()
    os.waitpid(child, 0)
    return int(said) if said else None


def counted(name: str) -> None:
    """Count the model ``name`` by torch's counter."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode
    from tracing_floor import made, of_a_library

    model, x = made(name) or of_a_library(name)
    with torch.no_grad(), FlopCounterMode(display=False):
        model(x.to("meta"))


def traced(name: str) -> None:
    """Trace the model ``name``, and keep its graph."""
    from tracing_floor import made, of_a_library

    import costcalc

    model, x = made(name) or of_a_library(name)
    costcalc.trace(model, x)


def main() -> None:
    """Print a line a model and a summary."""
    import torchvision_stub

    warnings.filterwarnings("ignore")
    torchvision_stub.install()
    import timm
    import torch
    import torchvision
    import transformers
    from torch.utils import flop_counter
    from tracing_floor import MADE, MODELS, TORCHVISION, TRANSFORMERS

    import costcalc.frontends.torch.tracer

    assert all((timm, torchvision, transformers, flop_counter, costcalc))
    torch.set_num_threads(1)
    several = [
        *MODELS[::2],
        *(f"torchvision:{n}" for n in TORCHVISION[::2]),
        *(f"transformers:{n}" for n in TRANSFORMERS),
        *MADE,
    ]
    more = {}
    for name in sys.argv[1:] or several:
        theirs, ours = peak_of(lambda name=name: counted(name)), peak_of(lambda name=name: traced(name))  # type: ignore[misc]
        if theirs is None or ours is None:
            continue
        more[name] = ours - theirs
        print(f"{name:<32}{theirs // MIB:8}{ours // MIB:8}{more[name] / MIB:+8.1f}", flush=True)
    if more:
        worst = max(more, key=more.__getitem__)
        above = sum(size > 64 * MIB for size in more.values())
        print(f"of {len(more)}: most {more[worst] / MIB:+.1f} MiB ({worst}), {above} more than 64 MiB above")


if __name__ == "__main__":
    main()
