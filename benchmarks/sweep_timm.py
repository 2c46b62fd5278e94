"""Traces every model of timm and compares the MACs with independent counts.

    python benchmarks/sweep_timm.py --out sweep.csv                 # all models, against torch's FlopCounterMode
    python benchmarks/sweep_timm.py --every 7 --fvcore --out sweep.csv

One process, on the meta device, one model after the other. Each row has our figures and the others';
the last line of the output sums up: models, failures, models with uncounted ops, disagreements,
time, and the most memory that the process ever held.
"""

from __future__ import annotations

import argparse
import csv
import os
import resource
import sys
import time
import warnings
from collections import Counter
from math import prod
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "torch")]

FIELDS = ["model", "input", "layers", "macs", "params", "uncounted", "flop_counter", "fvcore", "seconds", "error"]
# What fvcore adds to MACs, by its own names: left out of the comparison.
NOT_MACS = {
    "batch_norm", "layer_norm", "group_norm", "instance_norm", "adaptive_avg_pool1d", "adaptive_avg_pool2d",
    "adaptive_avg_pool3d", "upsample_nearest2d", "upsample_bilinear2d", "grid_sampler",
}  # fmt: skip


def main() -> None:
    """Run the sweep."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--every", type=int, default=1, help="take each n-th model only")
    options.add_argument("--start", type=int, default=0, help="skip so many models")
    options.add_argument("--models", nargs="*", default=[], help="these models only")
    options.add_argument("--fvcore", action="store_true", help="count with fvcore too")
    options.add_argument("--no-flop-counter", action="store_true", help="only trace")
    options.add_argument("--out", default="sweep_timm.csv", help="where the table goes")
    chosen = options.parse_args()

    import torchvision_stub  # timm imports torchvision

    torchvision_stub.install()
    os.environ["HF_HUB_OFFLINE"] = "1"
    warnings.filterwarnings("ignore")
    import timm

    names = chosen.models or timm.list_models()[chosen.start :: chosen.every]
    rows = []
    start = time.perf_counter()
    with Path(chosen.out).open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, FIELDS)
        table.writeheader()
        for name in names:
            row = measured(name, flop_counter=not chosen.no_flop_counter, fvcore=chosen.fvcore)
            rows.append(row)
            table.writerow(row)
            file.flush()
            if trouble(row):
                print(name, trouble(row), flush=True)
    failed = sum(bool(row["error"]) for row in rows)
    uncounted = sum(bool(row["uncounted"]) for row in rows)
    print(
        f"{len(rows)} models, {failed} failures, {uncounted} with uncounted ops, "
        f"{sum(agrees(row, 'flop_counter') for row in rows)} equal to FlopCounterMode, "
        f"{sum(agrees(row, 'fvcore') for row in rows)} equal to fvcore, "
        f"{time.perf_counter() - start:.0f} s, {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB at most"
    )


def measured(name: str, *, flop_counter: bool, fvcore: bool) -> dict[str, Any]:
    """One row of the table."""
    import timm

    from costcalc.analysis.report import report
    from costcalc.frontends.torch.build import built
    from costcalc.frontends.torch.tracer import trace_module

    row: dict[str, Any] = dict.fromkeys(FIELDS, "")
    row["model"] = name
    try:
        model = built(lambda: timm.create_model(name)).eval()
        size = model.pretrained_cfg.get("input_size") or (3, 224, 224)
        row["input"] = "x".join(map(str, size))
        start = time.perf_counter()
        found = report(trace_module(model, [(1, *size)], {}))
        row["seconds"] = f"{time.perf_counter() - start:.2f}"
        row |= {"layers": found.total.layers, "macs": found.total.macs, "params": found.total.params}
        row["uncounted"] = " ".join(sorted({u.kind for u in found.uncounted}))
        own = sum(p.numel() for p in model.parameters())
        if own != found.total.params:
            row["error"] = f"the model has {own} parameters"
        if flop_counter:
            row["flop_counter"] = by_flop_counter(model, (1, *size))
        if fvcore:
            row["fvcore"] = by_fvcore(name, (1, *size))
    except Exception as error:  # a sweep reports and goes on
        row["error"] = f"{type(error).__name__}: {error}".splitlines()[0][:300]
    return row


def by_flop_counter(model: Any, shape: tuple[int, ...]) -> int | str:
    """Half the operations that torch's counter finds, the fused fast paths off."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model.to("meta").requires_grad_(False)(torch.empty(shape, device="meta"))
    except Exception as error:  # its failures are no failures of ours
        return f"fails: {type(error).__name__}"
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return int(counter.get_total_flops() // 2)


def by_fvcore(name: str, shape: tuple[int, ...]) -> int | str:
    """What fvcore counts for conv, linear and matmul, fused attention off; it runs the model, here without arithmetic.

    Two of its rules are mended: it has none for convolutions with ``padding="same"``, and counts an einsum
    to four digits.
    """
    import timm
    import torch
    from fvcore.nn import FlopCountAnalysis
    from without_arithmetic import emptied, without_arithmetic

    from costcalc.frontends.torch.build import built

    timm.layers.set_fused_attn(False)
    model = emptied(built(lambda: timm.create_model(name)).eval())
    with without_arithmetic():
        counter = FlopCountAnalysis(model, torch.zeros(shape))
        counter.set_op_handle("aten::_convolution_mode", _convolution, "aten::einsum", _einsum)
        counter.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
        found = counter.by_operator()
    return int(sum(count for op, count in found.items() if op not in NOT_MACS))


def _convolution(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
    """One filter, applied at each place of the output."""
    from fvcore.nn.jit_handles import get_shape

    return Counter(conv=prod(get_shape(inputs[1])[1:]) * prod(get_shape(outputs[0])))


def _einsum(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
    """One product for each combination of what the indices of two operands can be."""
    from fvcore.nn.jit_handles import get_shape

    terms = inputs[0].toIValue().replace(" ", "").split("->")[0].split(",")
    shapes = [get_shape(operand) for operand in inputs[1].node().inputs()]
    assert len(terms) == 2, f"an einsum of {len(terms)} operands"
    sizes = {label: n for term, shape in zip(terms, shapes, strict=True) for label, n in zip(term, shape, strict=True)}
    return Counter(einsum=prod(sizes.values()))


def agrees(row: dict[str, Any], other: str) -> bool:
    """Whether another counter found the same MACs."""
    return isinstance(row[other], int) and row[other] == row["macs"]


def trouble(row: dict[str, Any]) -> str:
    """What is wrong with a row, or nothing."""
    found = [row["error"], row["uncounted"] and f"uncounted: {row['uncounted']}"]
    found += [f"{other} counts {row[other]}, we {row['macs']}" for other in ("flop_counter", "fvcore")
              if row[other] != "" and not agrees(row, other)]  # fmt: skip
    return "; ".join(filter(None, found))


if __name__ == "__main__":
    main()
