"""``costcalc table``: models as rows, figures beside columns of a stranger's CSV, for papers and pages."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from costcalc.cli.dispatch import outcome

RESNET50 = {"params": 25_557_032, "macs": 4_089_184_256}
RESNET18 = {"params": 11_689_512, "macs": 1_814_073_344}
ACCURACY = "model,acc@top1,error,score,note\nresnet50,76.13,23.87,1,He\nresnet18,69.76,30.24,2,\n"


@pytest.fixture
def accuracy(tmp_path: Path) -> Path:
    path = tmp_path / "accuracy.csv"
    path.write_text(ACCURACY)
    return path


def printed(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    capsys.readouterr()
    assert outcome(["table", *args]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    capsys.readouterr()
    assert outcome(["table", *args]) == 2
    out, err = capsys.readouterr()
    assert out == "" and "Traceback" not in err
    return " ".join(err.split())


def test_figures_of_ours_beside_those_of_a_file(accuracy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    columns = "params,macs,flops,gflops,acc@top1,error,score,note,input"
    args = ["resnet50", "resnet18", "mobilenet_v2", "--columns", columns, "--with", str(accuracy)]
    record = json.loads(printed(capsys, *args, "--format", "json"))
    first, second, third = record["models"]
    assert first == {
        "name": "resnet50", **RESNET50, "flops": 2 * RESNET50["macs"], "gflops": 8.178368512, "acc@top1": 76.13,
        "error": 23.87, "score": 1, "note": "He", "input": "3×224×224",
    }  # fmt: skip
    assert second["macs"] == RESNET18["macs"] and second["note"] is None
    assert third["acc@top1"] is third["score"] is None and third["params"] == 3_504_872
    # The least cost, the most accuracy, the least error; of a score nobody says which is better.
    assert record["best"] == {
        "params": [2], "macs": [2], "flops": [2], "gflops": [2], "acc@top1": [0], "error": [0],
    }  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(printed(capsys, *args, "--format", "csv"))))
    assert rows[0]["macs"] == "4089184256" and rows[0]["acc@top1"] == "76.13" and rows[2]["acc@top1"] == ""
    told = [*args, "--best", "score=max", "--best", "acc@top1=none"]
    best = json.loads(printed(capsys, *told, "--format", "json"))["best"]
    assert best["score"] == [1] and "acc@top1" not in best


def test_markdown_has_the_best_in_bold(accuracy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cmarkgfm = pytest.importorskip("cmarkgfm")
    accuracy.write_text("model,acc↑,<b>@team|\nresnet50,76.13,*x*\nresnet18,69.76,| | **y**\n")
    args = ["resnet50", "resnet18", "--columns", "params,acc↑,<b>@team|", "--with", str(accuracy)]
    text = printed(capsys, *args, "--format", "markdown")
    html = cmarkgfm.github_flavored_markdown_to_html(text)
    assert "<strong>11.69</strong>" in html and "<strong>76.13</strong>" in html
    assert html.count("<strong>") == 2 and "<b>" not in html and "<em>" not in html and html.count("<tr>") == 3
    assert "One MAC" not in text and "params: trained elements" in text


def test_a_bound_is_marked_and_never_best(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    nn = pytest.importorskip("torch.nn")
    assert nn
    net = tmp_path / "net.py"
    net.write_text(
        "import torch\nfrom torch import nn\nclass Net(nn.Module):\n    def forward(self, x):\n"
        "        return torch.special.bessel_j0(x @ x)\n"
    )
    args = [f"{net}:Net", "resnet18", "--input", "3x224x224", "--columns", "macs"]
    text = printed(capsys, *args)
    assert "≥ " in text and "layers without a rule are left out" in text and "*" not in text
    assert outcome(["table", *args, "--strict"]) == 4


def test_the_foot_says_how_it_was_counted(capsys: pytest.CaptureFixture[str]) -> None:
    args = [
        "resnet18",
        "mobilenet_v2",
        "--columns",
        "time,weights",
        "--machine",
        "a100",
        "--bits",
        "16",
        "--batch",
        "2",
    ]
    text = " ".join(printed(capsys, *args, "--fold-norm").split())
    assert "Input 3×224×224, batch 2, 16 bits, on a100 at its peak rates, after fold_norm; " in text
    assert "time (µs)" in text and "weights (MiB)" in text
    text = printed(capsys, "resnet18", "inception_v3", "--columns", "flops,input")
    assert "Inputs 3×224×224 of resnet18, 3×299×299 of inception_v3" in " ".join(text.split())
    assert "FLOPs are 2 times MACs" in " ".join(text.split())


HEAD = "model,acc\n"


@pytest.mark.parametrize(
    "data, says",
    [
        ("", "accuracy.csv: the file has no rows"),
        ("\n\n", "accuracy.csv: the file has no rows"),
        (HEAD, "accuracy.csv: no row begins with 'resnet50'"),
        (HEAD + "other,1\n", "accuracy.csv:2: no row begins with 'resnet50' or 'resnet18'"),
        (HEAD + "resnet50,1\nresnet18,x\n", "accuracy.csv:3: 'x' is not a number, as others in the column 'acc' are"),
        (HEAD + "resnet50,1\nresnet18,1e400\n", "accuracy.csv:3: '1e400' is not a number"),
        (HEAD + "resnet50,1\nresnet18,nan\n", "accuracy.csv:3: 'nan' is not a number"),
        (HEAD + "resnet50,1\nresnet18,76,13\n", "accuracy.csv:3: this row has 3 cells, and there are 2 columns"),
        (HEAD + "resnet50,1\n\nresnet50,2\n", "accuracy.csv:4: 'resnet50' has a row already, in line 2"),
        (HEAD + 'resnet50,"1\n', "accuracy.csv:2: this is not a CSV"),
        (HEAD + 'resnet50,"1"x\n', "accuracy.csv:2: this is not a CSV"),
        ("model;acc\nresnet50;1\n", "accuracy.csv:1: columns are separated by commas"),
        ("model,acc,acc\nresnet50,1,2\n", "accuracy.csv:1: two columns are called 'acc'"),
        ("model,acc,\nresnet50,1,2\n", "accuracy.csv:1: a column has no head"),
        (HEAD + "resnet50," + "9" * 300 + "\n", "accuracy.csv:2: a cell has more than 200 characters"),
        (HEAD + "resnet50," + "9" * 200_000 + "\n", "accuracy.csv:2: "),
        ("model," + ",".join(f"c{i}" for i in range(200)) + "\n", "accuracy.csv:1: there are 201 columns"),
        (HEAD + "x,1\n" * 10_001, "accuracy.csv:10002: there are more rows than 10,000"),
        ("x" * 2_000_000, "the file has 2,000,000 bytes; a table has at most 1,048,576"),
        (b"model,acc\nresnet50,\xff\n", "accuracy.csv:2: this is not UTF-8 text"),
        (b"\xff\xfem\x00o\x00", "accuracy.csv:1: this is not UTF-8 text"),
        ("model,top\nresnet50,1\n", "no column called 'acc' (did you mean"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_file_is_told_with_its_line(
    data: str | bytes, says: str, accuracy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    accuracy.write_bytes(data.encode() if isinstance(data, str) else data)
    told = refused(capsys, "resnet50", "resnet18", "--columns", "acc", "--with", str(accuracy))
    assert says.split(" (")[0] in told.replace(str(accuracy.parent) + "/", ""), told
    assert len(told) < 1500


@pytest.mark.parametrize(
    "args, says",
    [
        (["--columns", "acc"], "no column called 'acc'"),
        (["--columns", "acc"], "others come from a file: --with accuracy.csv"),
        (["--columns", "time"], "no model has a time here; it needs a machine: --machine a100"),
        (["--names", "a,b"], "there are 2 names for 1 models"),
        (["--best", "macs"], "write COLUMN=max, COLUMN=min or COLUMN=none"),
        (["--best", "acc=max"], "there is no such column; there are macs, params"),
        (["--with", "nothing.csv"], "nothing.csv: there is no such file"),
        (["--with", "."], "this is a directory; a table is a CSV file"),
        (["--output", "x.html"], "table writes table, latex, markdown, csv, json, no html"),
    ],
)
def test_what_is_wrong_is_a_sentence(args: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert says in refused(capsys, "resnet18", *args)


def test_a_byte_order_mark_and_other_ends_of_lines_are_read(accuracy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    accuracy.write_bytes(b"\xef\xbb\xbf" + ACCURACY.replace("\n", "\r\n").encode())
    args = ["resnet50", "resnet18", "--columns", "acc@top1", "--with", str(accuracy)]
    assert "76.13 *" in printed(capsys, *args)


HOSTILE = ["=HYPERLINK(1)", "::error::x", "##[error]", "\x1b[2J\u202e", "<script>alert(1)</script>", "\\input{x}"]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("form", ["table", "markdown", "csv", "latex", "json"])
def test_nothing_in_a_file_comes_alive(
    text: str, form: str, accuracy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quoted = '"' + text.replace('"', '""') + '"'
    accuracy.write_text(f"model,note,{quoted}\nresnet18,{quoted},1\nresnet50,,2\n")
    shown = printed(
        capsys, "resnet18", "resnet50", "--columns", f"note,{text}", "--with", str(accuracy), "--format", form
    )
    assert "\x1b" not in shown and "\u202e" not in shown and "##[" not in shown
    assert not any(line.lstrip().startswith("::") for line in shown.splitlines())
    if form == "markdown":
        assert "<script" not in shown
    if form == "csv":
        assert not any(cell.startswith("=") for row in csv.reader(io.StringIO(shown)) for cell in row)
    if form == "latex":
        assert "\\input" not in shown


def test_a_link_out_of_the_repository_is_not_quoted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "secret").write_text("root,x,0\nbin,y,1\n")
    repository = tmp_path / "repository"
    (repository / ".git").mkdir(parents=True)
    link = repository / "accuracy.csv"
    link.symlink_to(tmp_path / "secret")
    told = refused(capsys, "resnet18", "--columns", "x", "--with", str(link))
    assert "nothing of it is quoted" in told and "bin" not in told
