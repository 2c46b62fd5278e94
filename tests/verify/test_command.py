"""``costcalc verify``: what it prints, and how it exits."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from costcalc.cli.dispatch import outcome
from costcalc.ops.linear import Linear

SPEC = """
name: small
inputs: {image: [3, 8, 8]}
parameters: {width: 4}
layers:
  - conv: conv(width, 3, padding=1)
  - bn: batch_norm
  - relu
  - pool: global_avg_pool
  - flatten
  - fc: linear(5)
"""


@pytest.fixture
def spec(tmp_path: Path) -> str:
    file = tmp_path / "small.yaml"
    file.write_text(SPEC)
    return str(file)


def test_the_table_says_what_was_compared_and_takes_the_sums_apart(
    spec: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert outcome(["verify", spec]) == 0
    said = capsys.readouterr().out
    assert said.startswith("small: run on the CPU at image 1×3×8×8, torch ")
    assert "output shapes                    6 layers            agree" in said
    assert "parameters and buffers           9 tensors           agree" in said
    # 8·8·4·27 + 4·5 MACs; 4·8·8 elements twice, and once
    assert "fvcore 7,700 = 6,932 MACs + 2·256 batch norm + 256 adaptive pooling" in said
    assert "agrees: nothing contradicts the figures but the witnesses' known faults" in said
    assert "\x1b" not in said


def test_narrow_lines_break_the_sum_term_by_term(
    spec: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert outcome(["verify", spec]) == 0
    lines = capsys.readouterr().out.splitlines()
    at = lines.index("fvcore 7,700 = 6,932 MACs")
    assert lines[at + 1 : at + 3] == ["             + 2·256 batch norm", "             + 256 adaptive pooling"]


def test_a_contradiction_is_listed_and_the_exit_code_is_5(
    spec: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Linear, "macs", lambda self, x, *, y: y.size)
    assert outcome(["verify", spec]) == 5
    said = capsys.readouterr().out
    assert "fc: MACs by fvcore\n  we say 5\n  fvcore says 20\n" in said
    assert "+ 15 unexplained" in said
    assert "2 figures of ours are contradicted" in said


def test_json_has_every_layer_of_every_difference(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(["verify", spec, "--format", "json", "--set", "width=2", "--batch", "3"]) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert result["agrees"] is True
    assert "image 3×3×8×8" in result["ran"]
    assert result["tallies"][0] == {
        "witness": "fvcore",
        "total": 10_398 + 2 * 384 + 384,  # 3·(8·8·2·27 + 2·5) MACs, 3·2·8·8 elements
        "macs": 10_398,
        "differences": [
            {"reason": "batch norm", "amount": 768, "factor": 2, "layers": ["bn"]},
            {"reason": "adaptive pooling", "amount": 384, "factor": 1, "layers": ["pool"]},
        ],
        "remainder": 0,
    }
    assert [check["name"] for check in result["checks"]] == [
        "output shapes", "parameters and buffers", "MACs by fvcore", "MACs by torch's FlopCounterMode",
        "receptive fields",
    ]  # fmt: skip


def test_the_result_can_go_to_a_file(spec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "result.json"
    assert outcome(["verify", spec, "--format", "json", "--output", str(file)]) == 0
    assert json.loads(file.read_text())["model"] == "small"
    assert capsys.readouterr().out == ""


def test_without_fvcore_a_sentence_names_what_to_install(
    spec: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "fvcore" else right(name, *rest)
    )
    assert outcome(["verify", spec]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "costcalc: error: verify needs fvcore: pip install 'costcalc[verify]'\n"
