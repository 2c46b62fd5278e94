"""Which counters meet the published MACs: ours and five others on 20 of torchvision's models, each as its README shows.

    python benchmarks/tracing_accuracy.py              # print the table
    python benchmarks/tracing_accuracy.py --write      # put it into docs/tracing.md

The published numbers are those of torchvision's own metadata of its weights (MAC = 1; convolution, linear, matmul and
attention). A tool's figure is given as its ratio to the published one: 1 is equality to the last digit.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "torch"), str(Path(__file__).parent)]

from tracing import TOOLS, installed  # noqa: E402

PAGE = ROOT / "docs" / "tracing.md"
BEGIN, END = "<!-- table of benchmarks/tracing_accuracy.py -->", "<!-- end of the table -->"
MODELS = """
convnext_large densenet169 efficientnet_b4 efficientnet_v2_s mnasnet0_5 mobilenet_v2 regnet_x_800mf regnet_x_3_2gf
regnet_y_1_6gf regnet_y_3_2gf resnext50_32x4d shufflenet_v2_x2_0 squeezenet1_0 squeezenet1_1 swin_b vgg11_bn vgg16
vit_b_16 vit_b_32 wide_resnet50_2
"""


def published() -> dict[str, tuple[int, int]]:
    """MACs and crop of the 20 models."""
    file = ROOT / "tests" / "reference" / "torchvision.csv"
    found: dict[str, tuple[int, int]] = {}
    for row in csv.DictReader(file.read_text(encoding="utf-8").splitlines()):
        name = row["builder"]
        if name in MODELS.split() and name not in found and row["task"] == "classification" and row["recheck_macs"]:
            found[name] = (int(row["recheck_macs"]), int(row["crop_size"]))
    return dict(sorted(found.items()))


def counted(tool: str) -> dict[str, int | str]:
    """What ``tool`` counts for each model, in a process of its own."""
    command = [sys.executable, __file__, "--one", tool]
    run = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    found: dict[str, int | str] = json.loads(run.stdout.splitlines()[-1])
    return found


def one(tool: str) -> dict[str, Any]:
    """The counts of one tool, in this process."""
    import warnings

    import torchvision_stub

    warnings.filterwarnings("ignore")
    torchvision_stub.install()
    from torchvision import models

    found: dict[str, Any] = {}
    for name, (_, size) in published().items():
        try:
            found[name] = TOOLS[tool](lambda name=name: models.get_model(name, weights=None), size)
        except Exception as error:  # a tool that fails is a row of the table
            found[name] = type(error).__name__
    return found


def table(tools: list[str]) -> str:
    """The table, in Markdown."""
    rows = published()
    counts = {tool: counted(tool) for tool in tools}
    lines = [f"| model | published | {' | '.join(tools)} |", f"| --- | --: | {' | '.join(['--:'] * len(tools))} |"]
    for name, (macs, _) in rows.items():
        cells = [_ratio(counts[tool][name], macs) for tool in tools]
        lines.append(f"| {name} | {macs:,} | {' | '.join(cells)} |")
    equal = [str(sum(counts[tool][name] == macs for name, (macs, _) in rows.items())) for tool in tools]
    lines.append(f"| **equal** | of {len(rows)} | {' | '.join(f'**{n}**' for n in equal)} |")
    return "\n".join(lines)


def _ratio(found: int | str, macs: int) -> str:
    if not isinstance(found, int):
        return found
    return "1" if found == macs else f"{found / macs:.5f}" if abs(found / macs - 1) < 0.001 else f"{found / macs:.3f}"


def main() -> None:
    """Print the table or put it into the page."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--write", action="store_true", help="put the table into docs/tracing.md")
    options.add_argument("--one", metavar="TOOL", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.one:
        print(json.dumps(one(chosen.one)))
        return
    text = table([tool for tool in TOOLS if installed(tool) and "meta" not in tool])
    if not chosen.write:
        print(text)
        return
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
