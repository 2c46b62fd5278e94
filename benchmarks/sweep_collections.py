"""Traces models of many collections and compares their MACs with torch's FlopCounterMode.

    python benchmarks/sweep_collections.py --out sweep.csv                     # every collection that is installed
    python benchmarks/sweep_collections.py --collections transformers --every 4 --out sweep.csv
    python benchmarks/sweep_collections.py --table sweep.csv                   # the table of docs/tracing.md

Models are built from their configurations or their constructors' defaults, never downloaded. Each collection is traced
in a process of its own, so that the end of one is a row of the table; a model that takes over a minute is given up.
"""

from __future__ import annotations

import argparse
import csv
import importlib.metadata
import os
import signal
import subprocess
import sys
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "torch"), str(Path(__file__).parent)]

FIELDS = [
    "collection",
    "version",
    "model",
    "layers",
    "macs",
    "prepared",
    "params",
    "uncounted",
    "flop_counter",
    "seconds",
    "result",
    "error",
]
MOST_SECONDS = 60
MOST_WITH_MEMORY = 2 * 10**9
"""Parameters of a model that is given memory, none of which is touched, so that it can be asked for values."""


def main() -> None:
    """Run the sweep, or print the table of an earlier one."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--collections", nargs="*", default=[], help="these only")
    options.add_argument("--every", type=int, default=1, help="take each n-th model only")
    options.add_argument("--start", type=int, default=0, help="skip so many models")
    options.add_argument("--most", type=int, help="look no further than so many models")
    options.add_argument("--models", nargs="*", default=[], help="these models only")
    options.add_argument("--out", default="sweep_collections.csv", help="where the rows go; those of earlier runs stay")
    options.add_argument("--table", help="print the table of these rows instead")
    options.add_argument("--child", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.table:
        print(table(chosen.table))
    elif chosen.child:
        _sweep(chosen.child, chosen)
    else:
        from collection_models import COLLECTIONS, installed

        for name in chosen.collections or [c for c in COLLECTIONS if installed(c)]:
            _in_a_process(name, chosen)


def _in_a_process(name: str, chosen: argparse.Namespace) -> None:
    """Sweep the collection ``name``; where its process is ended, note the model and go on after it."""
    begun = Path(f"{chosen.out}.{name}.begun")
    start = chosen.start
    while True:
        begun.unlink(missing_ok=True)
        options = ["--every", str(chosen.every), "--start", str(start), "--out", chosen.out, "--models", *chosen.models]
        options += [] if chosen.most is None else ["--most", str(chosen.start + chosen.most - start)]
        code = subprocess.run([sys.executable, __file__, "--child", name, *options], check=False).returncode
        if code == 0 or not begun.exists():
            begun.unlink(missing_ok=True)
            return
        at, model = begun.read_text(encoding="utf-8").split("\n")[:2]
        _write(chosen.out, {"collection": name, "model": model, "result": "crash", "error": f"exit code {code}"})
        start = int(at) + 1


def _sweep(name: str, chosen: argparse.Namespace) -> None:
    import torchvision_stub

    torchvision_stub.install()
    os.environ["HF_HUB_OFFLINE"] = "1"
    warnings.filterwarnings("ignore")
    from collection_models import COLLECTIONS

    collection = COLLECTIONS[name]
    version = importlib.metadata.version(collection.package)
    names = list(collection.names())
    stop = len(names) if chosen.most is None else min(len(names), chosen.start + chosen.most)
    for at in range(chosen.start, stop):
        if chosen.models and names[at] not in chosen.models:
            continue
        if (at - chosen.start) % chosen.every:
            continue
        Path(f"{chosen.out}.{name}.begun").write_text(f"{at}\n{names[at]}\n", encoding="utf-8")
        row = {"collection": name, "version": version, "model": names[at], **measured(collection, names[at])}
        _write(chosen.out, row)
        if row["result"] != "equal":
            print(name, names[at], row["result"], row["error"] or row["uncounted"], flush=True)


def _write(path: str, row: dict[str, Any]) -> None:
    new = not Path(path).exists()
    with Path(path).open("a", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, FIELDS)
        if new:
            rows.writeheader()
        rows.writerow(row)


def measured(collection: Any, name: str) -> dict[str, Any]:
    """What is found of one model; of one that refuses to be smaller than its configuration says, as it says."""
    found = _measured(collection.make, name)
    if found["result"] in ("refused", "error", "not built") and collection.whole is not None:
        again = _measured(collection.whole, name)
        found = again if again["result"] not in ("not built", "too long") else found
    return found


def _measured(make: Any, name: str) -> dict[str, Any]:
    from costcalc.analysis.report import report
    from costcalc.errors import CostcalcError
    from costcalc.frontends.torch.build import built
    from costcalc.frontends.torch.tracer import trace_module

    row: dict[str, Any] = dict.fromkeys(FIELDS[3:], "")
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(MOST_SECONDS)
    start = time.perf_counter()
    try:
        try:
            model, args, kwargs, *again = make(name, built)
        except TimeoutError:
            raise
        except Exception as error:
            return row | {"result": "not built", "error": _said(error)}
        try:
            graph = trace_module(model, args, kwargs, again=again[0] if again else None)
            found = report(graph)
        except CostcalcError as error:
            return row | {"result": "refused", "error": error.message[:300].replace("\n", " | ")}
        row["seconds"] = f"{time.perf_counter() - start:.2f}"
        row |= {"layers": found.total.layers, "macs": found.total.macs, "params": found.total.params}
        row["uncounted"] = " ".join(sorted({u.kind for u in found.uncounted}))
        own = sum(p.numel() for p in model.parameters())
        if own != found.total.params:
            row["error"] = f"the model has {own} parameters; "
        row["flop_counter"] = by_flop_counter(model, args, kwargs)
        row["prepared"] = found.total.prepared.macs if found.total.prepared else 0
        counted, whole = row["flop_counter"], row["macs"] + row["prepared"]  # the counter runs all each time
        if not isinstance(counted, int):
            row["result"] = "counter fails"
        elif counted == whole and not row["error"]:
            row["result"] = "equal"
        else:
            because = habits(graph, found, counted - whole) if not row["error"] else ""
            row["result"] = "explained" if because else "differs"
            row["error"] += because
        row["error"] += " · ".join(graph.assumed)[:200]
    except TimeoutError:
        return row | {"result": "too long", "error": f"over {MOST_SECONDS} s"}
    except Exception as error:  # a sweep reports and goes on
        return row | {"result": "error", "error": _said(error)}
    finally:
        signal.alarm(0)
    return row


def _too_long(*_: Any) -> None:
    raise TimeoutError


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".replace("\n", " ")[:300]


def by_flop_counter(model: Any, args: Any, kwargs: Any) -> int | str:
    """Half the operations that torch's counter finds, the fused fast paths off.

    It runs on the meta device; in bfloat16 where an operator takes nothing else there; with memory but without
    arithmetic where a model asks for values.
    """
    import torch

    attempts = [{}, {"dtype": torch.bfloat16}]
    if sum(p.numel() for p in model.parameters()) < MOST_WITH_MEMORY:
        attempts.append({"device": "cpu"})
    said = ""
    for attempt in attempts:
        try:
            return _flops(model, args, kwargs, **attempt)
        except TimeoutError:
            raise
        except Exception as error:  # its failures are no failures of ours
            said = said or f"fails: {_said(error)[:120]}"
            if "dtype" not in attempt and "BF16" not in str(error):
                attempts[1:2] = [{"device": "cpu"}] if len(attempts) > 2 else []
    return said


def _flops(model: Any, args: Any, kwargs: Any, device: str = "meta", dtype: Any = None) -> int:
    from contextlib import ExitStack

    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    from costcalc.frontends.torch.inputs import WithoutValues, floating_type

    def on_device(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            there = value.is_meta and device != "meta"
            value = torch.zeros_like(value, device=device) if there else value.to(device)
            return value.to(dtype) if dtype is not None and value.is_floating_point() else value
        if isinstance(value, dict):
            return {key: on_device(v) for key, v in value.items()}
        return type(value)(map(on_device, value)) if isinstance(value, (list, tuple)) else value

    made = WithoutValues(floating_type(model))
    given, options = on_device(made.of(tuple(args))), on_device(made.of(dict(kwargs)))
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        counter = FlopCounterMode(display=False)
        with ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            if device == "meta":
                model = model.to("meta") if dtype is None else model.to("meta", dtype)
                stack.enter_context(torch.device("meta"))
            else:
                from without_arithmetic import emptied, without_arithmetic

                model = emptied(model)
                stack.enter_context(without_arithmetic())
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            stack.enter_context(counter)
            model.requires_grad_(False)(*given, **options)
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return int(counter.get_total_flops() // 2)


def habits(graph: Any, found: Any, gap: int) -> str:
    """The known habits of the counter that make up ``gap`` to the last unit; nothing if none do."""
    from itertools import combinations

    from costcalc.verification.compare import _uses
    from costcalc.verification.faults import TORCH_OMISSIONS

    uses = list(_uses(found, graph, {}))
    each = {habit.reason: [amount for use in uses if (amount := habit.amount(use))] for habit in TORCH_OMISSIONS}
    known = {reason: sum(amounts) for reason, amounts in each.items() if amounts}
    for count in range(1, len(known) + 1):
        for some in combinations(known, count):
            if sum(known[reason] for reason in some) == gap:
                return "; ".join(f"{reason} ({known[reason]:+,})" for reason in some)
    for reason, amounts in each.items():  # of layers alike some only, as it depends on how tensors lie
        one = next(iter(amounts), 0)
        if amounts == [one] * len(amounts) and one and gap % one == 0 and 0 < gap // one <= len(amounts):
            return f"{reason}, in {gap // one} layers of {len(amounts)} ({gap:+,})"
    return ""


def table(path: str) -> str:
    """The rows at ``path``, summed up by collection, as Markdown."""
    with Path(path).open(newline="", encoding="utf-8") as file:
        rows = list({(row["collection"], row["model"]): row for row in csv.DictReader(file)}.values())
    rows = [row for row in rows if row["result"] != "not built"]
    lines = [
        "| collection | version | models | traced | nothing uncounted | MACs equal | explained | differ "
        "| counter fails | refused | crashes |"
    ]
    lines.append("| --- | --- " + "| --: " * 9 + "|")
    by = {name: [row for row in rows if row["collection"] == name] for name in sorted({r["collection"] for r in rows})}
    for name, own in (*by.items(), ("**all**", rows)):
        results = Counter(row["result"] for row in own)
        traced = [row for row in own if row["macs"]]
        version = next((row["version"] for row in own if row["version"]), "") if name in by else ""
        cells = [
            name,
            version,
            len(own),
            len(traced),
            sum(not row["uncounted"] for row in traced),
            results["equal"],
            results["explained"],
            results["differs"],
            results["counter fails"],
            results["refused"] + results["error"] + results["too long"],
            results["crash"],
        ]
        lines.append("| " + " | ".join(f"{c:,}" if isinstance(c, int) else c for c in cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
