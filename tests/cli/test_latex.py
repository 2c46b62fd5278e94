"""What is written for LaTeX is compiled by a real TeX, where one is installed, in the encoding that it begins with."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import costcalc
from costcalc.cli.dispatch import outcome
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.tensor import TensorType
from costcalc.ops.conv import Conv


def needs_tex() -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("no pdflatex is installed (Debian: texlive-latex-recommended, texlive-science)")
    found = [subprocess.run(["kpsewhich", f"{name}.sty"], capture_output=True) for name in ("booktabs", "siunitx")]
    if any(run.returncode for run in found):
        pytest.skip("TeX has no booktabs or no siunitx here")


def compiled(folder: Path, *parts: str) -> str:
    """The log of a document with these ``parts``, a page each. Fails if TeX has any error or warning of a package."""
    body = "\n\\newpage\n".join(parts)
    setting = "\\documentclass{article}\\usepackage[margin=5mm,a3paper]{geometry}\\usepackage{booktabs,siunitx}"
    (folder / "t.tex").write_text(f"{setting}\n\\begin{{document}}\n{body}\n\\end{{document}}\n", encoding="utf-8")
    run = subprocess.run(
        ["pdflatex", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "t.tex"],
        cwd=folder, capture_output=True, text=True, errors="replace",
    )  # fmt: skip
    wrong = [line for line in run.stdout.splitlines() if line.startswith("!") or "Package siunitx Warning" in line]
    assert run.returncode == 0 and not wrong, "\n".join(wrong) + run.stdout[-1500:]
    return run.stdout


def named(name: str) -> Graph:
    builder = GraphBuilder(name, {"x": TensorType((1, 3, 8, 8))})
    builder.add(f"a.{name}", Conv(4, 3), ["x"])
    return builder.build([f"a.{name}"])


def test_reports_compile(tmp_path: Path) -> None:
    needs_tex()
    report = costcalc.analyze("resnet18")
    timed = costcalc.analyze("resnet50", machine="a100", bits=16)
    symbolic = costcalc.analyze(costcalc.load("resnet18", symbols=["batch"]))
    log = compiled(
        tmp_path,
        report.to_latex(depth=1),
        timed.to_latex(by_kind=True),
        symbolic.to_latex(depth=1),
        report.to_latex(columns="kind,options,output,macs,macs_share,gflops,field,stride,source", top=8),
    )
    assert "(4 pages" in log


ODD = [
    "".join(map(chr, range(32, 127))),
    "".join(map(chr, range(0xA1, 0x250))),
    "".join(map(chr, range(0x2010, 0x2040))) + "€™−×·≥≤≈→±⌊⌋⌈⌉µ…∞",
    "中文 Ω α й ש ग़ 🦊 \u0301\u202e\x1b[2J",
    "\\input{/etc/passwd}\\write18{x}\\def\\x{",
    "a''b``c,,d--e?`f!`g<<h>>i\"\"j",
    "^^41 ^^5cinput %",
]


def test_any_name_compiles(tmp_path: Path) -> None:
    needs_tex()
    pages = [costcalc.analyze(named(name)).to_latex() for name in ODD]
    assert f"({len(ODD)} pages" in compiled(tmp_path, *pages)


@pytest.mark.parametrize("name", ["[1em]", "*", "*[1em]", "中", "[", "+", "&", "\\", "-", "(x)", "=1"])
def test_a_row_may_begin_with_any_sign(tmp_path: Path, name: str) -> None:
    """The end of the row before it, and a rule, would take some signs for their own."""
    builder = GraphBuilder(name, {"x": TensorType((1, 3, 8, 8))})
    builder.add(name, Conv(4, 3), ["x"])
    builder.add(f"{name}2", Conv(4, 3), [name])
    page = costcalc.analyze(builder.build([f"{name}2"])).to_latex()
    assert not [line for line in page.splitlines() if line.lstrip().startswith(("[", "*"))]
    needs_tex()
    compiled(tmp_path, page)


def test_names_are_set_as_they_are_written(tmp_path: Path) -> None:
    needs_tex()
    if shutil.which("pdftotext") is None:
        pytest.skip("no pdftotext is installed (Debian: poppler-utils)")
    compiled(tmp_path, costcalc.analyze(named("a_b&c 50% {x} ~^ #1 $2 <3> |4 \\x 中")).to_latex())
    run = subprocess.run(["pdftotext", "-layout", "t.pdf", "-"], cwd=tmp_path, capture_output=True, check=True)
    text = run.stdout.decode()
    for word in ("50%", "{x}", "#1", "$2", "<3>", "|4", "\\x", "[U+4E2D]"):
        assert word in text, text


def test_tables_of_models_compile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    needs_tex()
    path = tmp_path / "accuracy.csv"
    path.write_text(
        "model,acc@top1,gain ↑,a note of 100% & more_or_less\nresnet50,76.13,-1.5,\\input{x}\nresnet18,69.76,+20,\n",
        encoding="utf-8",
    )
    columns = "params,macs,gflops,traffic,acc@top1,gain ↑,a note of 100% & more_or_less,input"
    args = ["table", "resnet50", "resnet18", "mobilenet_v2", "--columns", columns, "--with", str(path)]
    parts = []
    for more in ([], ["--machine", "a100", "--columns", "time,peak,intensity,macs"]):
        asked = [*args, *more] if not more else [*args[:4], *more]
        assert outcome([*asked, "--format", "latex"]) == 0
        parts.append(capsys.readouterr().out)
    compiled(tmp_path, *parts)
    assert r"\bfseries 76.13" in parts[0] and r"\bfseries 3.50" in parts[0]
