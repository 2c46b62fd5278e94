"""Time and memory to count a model, ours against five other counters, each used as its own README shows.

    python benchmarks/tracing.py                       # the tools that are installed
    python benchmarks/tracing.py --tools costcalc fvcore --models resnet50

For every tool and model a process of its own builds the model and counts it, several times over, building included
each time, importing the libraries not. The first time costs whatever a library loads when it is first used. Peak is
the most memory that the process had resident. The tools are taken in turns, so that a noisy machine harms all alike;
our own modules are compiled beforehand, as those of the others were when they were installed.
"""

from __future__ import annotations

import argparse
import compileall
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "torch")]

MODELS = {"resnet50": 224, "swin_t": 224, "efficientnet_b3": 300}


def by_costcalc(build: Callable[[], Any], size: int) -> int:
    """costcalc, on the meta device."""
    import costcalc
    from costcalc.frontends.torch.build import built

    return int(costcalc.analyze(built(build), (1, 3, size, size)).total.macs)


def by_fvcore(build: Callable[[], Any], size: int) -> int:
    """fvcore's README: FlopCountAnalysis(model, input).total(); it counts norms and pooling too."""
    import logging

    import torch
    from fvcore.nn import FlopCountAnalysis

    logging.disable(logging.WARNING)
    return int(FlopCountAnalysis(build().eval(), torch.randn(1, 3, size, size)).total())


def by_torchinfo(build: Callable[[], Any], size: int) -> int:
    """torchinfo's README: summary(model, input_size=...)."""
    from torchinfo import summary

    return int(summary(build().eval(), input_size=(1, 3, size, size), verbose=0).total_mult_adds)


def by_ptflops(build: Callable[[], Any], size: int) -> int:
    """ptflops' README: get_model_complexity_info(net, (3, 224, 224), ...)."""
    from ptflops import get_model_complexity_info

    options = {"as_strings": False, "print_per_layer_stat": False, "verbose": False}
    return int(get_model_complexity_info(build().eval(), (3, size, size), **options)[0] or 0)


def by_thop(build: Callable[[], Any], size: int) -> int:
    """thop's README: profile(model, inputs=(input,))."""
    import torch
    from thop import profile

    return int(profile(build().eval(), inputs=(torch.randn(1, 3, size, size),), verbose=False)[0])


def by_flop_counter(build: Callable[[], Any], size: int, device: str = "cpu") -> int:
    """torch's own: with FlopCounterMode(): model(input); half of the operations."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device(device):
        model, image = build().eval(), torch.randn(1, 3, size, size)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(image)
    return int(counter.get_total_flops() // 2)


def by_flop_counter_on_meta(build: Callable[[], Any], size: int) -> int:
    """The same with model and input on the meta device."""
    return by_flop_counter(build, size, "meta")


TOOLS: dict[str, Callable[[Callable[[], Any], int], int]] = {
    "costcalc": by_costcalc,
    "fvcore": by_fvcore,
    "torchinfo": by_torchinfo,
    "ptflops": by_ptflops,
    "thop": by_thop,
    "FlopCounterMode": by_flop_counter,
    "FlopCounterMode, meta": by_flop_counter_on_meta,
}


def one(tool: str, name: str, size: int, rounds: int) -> dict[str, Any]:
    """Count one model with one tool, in this process."""
    import resource
    import time
    import warnings

    import torchvision_stub

    warnings.filterwarnings("ignore")
    torchvision_stub.install()
    import torch
    from torchvision import models

    torch.set_num_threads(1)
    times, macs = [], 0
    for _ in range(rounds):
        start = time.perf_counter()
        macs = TOOLS[tool](lambda: models.get_model(name, weights=None), size)
        times.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {"macs": macs, "first": times[0], "times": times[1:], "peak": peak}


def installed(tool: str) -> bool:
    """Whether the library behind ``tool`` can be imported."""
    from importlib.util import find_spec

    return tool.startswith(("costcalc", "Flop")) or find_spec(tool) is not None


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--tools", nargs="*", default=[tool for tool in TOOLS if installed(tool)])
    options.add_argument("--models", nargs="*", default=list(MODELS))
    options.add_argument("--rounds", type=int, default=4, help="times that each process counts")
    options.add_argument("--turns", type=int, default=3, help="processes for each tool and model")
    options.add_argument("--one", nargs=2, metavar=("TOOL", "MODEL"), help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.one:
        tool, name = chosen.one
        print(json.dumps(one(tool, name, MODELS[name], chosen.rounds)))
        return
    compileall.compile_dir(ROOT / "costcalc", quiet=1)
    for name in chosen.models:
        found: dict[str, list[dict[str, Any]]] = {tool: [] for tool in chosen.tools}
        for _ in range(chosen.turns):
            for tool in chosen.tools:
                command = [sys.executable, __file__, "--one", tool, name, "--rounds", str(chosen.rounds)]
                run = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
                found[tool].append(json.loads(run.stdout.splitlines()[-1]))
        print(f"\n| {name} | MACs | again, s | × ours | first, s | × ours | peak, MiB |")
        print("| --- | --: | --: | --: | --: | --: | --: |")
        ours = _best(found[chosen.tools[0]])
        for tool in chosen.tools:
            again, first, peak = _best(found[tool])
            print(
                f"| {tool} | {found[tool][0]['macs']:,} | {again:.3f} | {again / ours[0]:.1f} "
                f"| {first:.2f} | {first / ours[1]:.1f} | {peak} |"
            )


def _best(runs: list[dict[str, Any]]) -> tuple[float, float, int]:
    """The shortest repeated and first times, and the smallest peak."""
    return min(min(r["times"]) for r in runs), min(r["first"] for r in runs), min(r["peak"] for r in runs)


if __name__ == "__main__":
    main()
