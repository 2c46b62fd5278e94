"""Verifies every shipped model, and says how long each takes.

    python benchmarks/sweep_verify.py                      # all; a line for each as it is done
    python benchmarks/sweep_verify.py resnet50 swin_t      # these only
    python benchmarks/sweep_verify.py --write              # and put the table into docs/verifying.md
    python benchmarks/sweep_verify.py swin_t --write       # these anew, the others as the page has them

A line says how the model agrees and how long it took, on the CPU.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
PAGE = ROOT / "docs" / "verifying.md"
BEGIN, END = "<!-- table of benchmarks/sweep_verify.py -->", "<!-- end of the table -->"


def verified(name: str) -> tuple[float, bool]:
    """Seconds that one model takes, torch being loaded, and whether every witness agrees."""
    import costcalc
    from costcalc.verification import verify

    start = time.perf_counter()
    result = verify(costcalc.load(name))
    for disagreement in result.disagreements:
        print(f"{name}: {disagreement}")
    return time.perf_counter() - start, result.agrees


def table(found: dict[str, tuple[float, bool]]) -> str:
    """A row for each spec: how many of its models agree, and the seconds that each took."""
    from costcalc import zoo

    specs: dict[str, list[str]] = {}
    for name in found:
        specs.setdefault(zoo.models()[name]["file"], []).append(name)
    lines = ["| spec | agree | seconds | each |", "| --- | --: | --: | --- |"]
    for spec, names in sorted(specs.items()):
        agree = sum(found[name][1] for name in names)
        each = ", ".join(f"{name} {found[name][0]:.0f}" for name in names)
        lines.append(f"| {spec} | {agree} of {len(names)} | {sum(found[n][0] for n in names):.0f} | {each} |")
    agree, seconds = sum(ok for _, ok in found.values()), sum(s for s, _ in found.values())
    return "\n".join([*lines, f"| **all** | **{agree} of {len(found)}** | **{seconds:,.0f}** | |"])


def written() -> dict[str, tuple[float, bool]]:
    """What the page says of the models that there still are, where all of a spec agreed."""
    from costcalc import zoo

    page = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    rows = re.findall(r"^\| \S+ \| (\d+) of \1 \| [\d,]+ \| (.+) \|$", page, re.MULTILINE)
    found = {name: (float(seconds), True) for _, each in rows for name, seconds in re.findall(r"(\S+) (\d+)", each)}
    return {name: found[name] for name in zoo.models() if name in found}


def main() -> int:
    """Verify, print, and perhaps write. Returns 1 if a figure of ours is contradicted."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("models", nargs="*", help="these only")
    options.add_argument("--write", action="store_true", help="put the table into docs/verifying.md")
    chosen = options.parse_args()

    import torch

    from costcalc import zoo

    torch.set_num_threads(1)
    found = {}
    for name in chosen.models or zoo.models():
        found[name] = verified(name)
        print(f"{name} {found[name][0]:.1f} s", flush=True)
    if chosen.write and chosen.models:
        known = written() | found
        found = {name: known[name] for name in zoo.models() if name in known}
    text = table(found)
    print(f"\n{text}")
    if chosen.write:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    return 0 if all(ok for _, ok in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
