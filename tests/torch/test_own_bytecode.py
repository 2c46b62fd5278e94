"""A model's own source is what runs, whatever bytecode lies beside it; none is left there."""

from __future__ import annotations

import os
import py_compile
from pathlib import Path

import pytest

pytest.importorskip("torch.nn")

import costcalc

NET = """\
from torch import nn
from {of} import WIDTH
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, WIDTH)
    def forward(self, x):
        return self.fc(x)
"""


@pytest.fixture(params=["beside", "parts.widths"])
def helper(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that ``net.py`` imports."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / f"{request.param.replace('.', '/')}.py"
    file.parent.mkdir(exist_ok=True)
    file.write_text("WIDTH = 3\n", encoding="utf-8")
    Path("net.py").write_text(NET.format(of=request.param), encoding="utf-8")
    return file


def macs(name: str) -> int:
    found = costcalc.analyze(name, input=(2,)).total.macs
    assert isinstance(found, int)
    return found


@pytest.mark.parametrize("name", ["net.py:Net", "net:Net"])
@pytest.mark.parametrize("file", ["helper", "net.py"])
def test_bytecode_of_another_source_does_not_run(helper: Path, name: str, file: str) -> None:
    source = helper if file == "helper" else Path("net.py")
    text = source.read_text(encoding="utf-8")
    other = text.replace("WIDTH = 3", "WIDTH = 9").replace("Linear(2, WIDTH)", "Linear(2, 9)    ")
    source.write_text(other, encoding="utf-8")
    py_compile.compile(str(source), doraise=True)
    seen = source.stat()
    source.write_text(text, encoding="utf-8")
    os.utime(source, ns=(seen.st_atime_ns, seen.st_mtime_ns))  # as an edit within the same second
    assert macs(name) == 2 * 3


def test_none_is_left_there(helper: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    hooks = list(sys.path_hooks)
    assert macs("net.py:Net") == 2 * 3
    assert not [*Path().rglob("__pycache__")]
    assert sys.path_hooks == hooks
