"""The pytest plugin, in a pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from throwaway import NET, SPEC

ROOT = Path(__file__).parents[2]
TESTS = """\
def test_number(cost):
    assert cost("configs/backbone.yaml").macs <= 4.2e9
    assert int(cost("configs/backbone.yaml").macs) == 28_623_488

def test_unit(cost):
    found = cost("configs/backbone.yaml", batch=2)
    assert found.macs <= "57.3 M" and found.storage < "10 MiB" and found.storage > "1 MiB"
    assert cost("lenet5").macs < found.macs

def test_too_much(cost):
    assert cost("configs/backbone.yaml").macs <= "20 M"

def test_no_unit(cost):
    assert cost("configs/backbone.yaml").storage <= 100

def test_time(cost):  # what it moves by itself takes longer: 4.62 MiB by 68 GB/s are 71 µs
    found = cost("configs/backbone.yaml", machine="jetson_orin_nano").time
    assert found <= "1 ms" and found > "71 us"

def test_no_time(cost):
    cost("configs/backbone.yaml").time

def test_no_figure(cost):
    cost("configs/backbone.yaml").mac

def test_snapshot(cost):
    cost.snapshot("configs/backbone.yaml", input=(3, 96, 96))

def test_snapshot_without_norms(cost):
    cost.snapshot("configs/backbone.yaml", input=(3, 96, 96), fold_norm=True)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/backbone.yaml").write_text(SPEC)
    (tmp_path / "test_cost.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


def run(project: Path, *args: str) -> str:
    ours = {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": "", "COLUMNS": "200"}
    environment = {**os.environ, **ours}
    command = [sys.executable, "-m", "pytest", "-p", "costcalc.pytest_plugin", "-q", "-p", "no:cacheprovider", *args]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True).stdout


def test_figures_compare_with_numbers_and_with_units(project: Path) -> None:
    printed = run(project)
    assert "6 failed, 3 passed" in printed
    told = "28.6 M macs of backbone (28,623,488); most in stem.conv 2.41 M"
    assert told in printed and "<= '20 M'" in printed
    assert 'storage is compared with its unit: storage <= "100 MiB"' in printed
    assert "backbone has no time; give a machine, as in cost(model, machine='a100')" in printed
    assert "no figure called 'mac' (did you mean 'macs'?)" in printed
    assert "costcalc.lock does not have configs/backbone.yaml; pytest --cost-update adds it" in printed


def test_a_snapshot_is_written_held_and_updated(project: Path) -> None:
    assert "2 passed" in run(project, "--cost-update", "-k", "snapshot")
    assert "2 passed" in run(project, "-k", "snapshot")
    whole, folded = (project / "costcalc.lock").read_text().split('"3x96x96, norms folded": {')
    assert whole.count("batch_norm") > 0 == folded.count("batch_norm")
    path = project / "configs/backbone.yaml"
    path.write_text(SPEC.replace("(width, 7, stride=2)", "(width, 9, stride=2)"))
    printed = run(project, "-k", "snapshot")
    assert "2 failed" in printed and "pytest --cost-update agrees to it" in printed
    assert "kernel 7→9, padding 3→4 (stem.conv)" in printed and "configs/backbone.yaml:21" in printed
    assert "2 passed" in run(project, "--cost-update", "-k", "snapshot")
    assert "2 passed" in run(project, "-k", "snapshot")


def test_costcalc_lock_keeps_what_pytest_put_into_it(project: Path) -> None:
    run(project, "--cost-update", "-k", "snapshot")
    (project / "costcalc.yaml").write_text("version: 1\nmodels: [{model: lenet5, budgets: {macs: 1 G}}]\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-m", "costcalc", "lock", "--update"], cwd=project, env=environment, check=True)
    text = (project / "costcalc.lock").read_text()
    assert '"lenet5"' in text and '"made_by": "pytest"' in text
    assert "2 passed" in run(project, "-k", "snapshot")


def test_the_plugin_imports_nothing_before_a_test_asks(project: Path) -> None:
    (project / "test_cost.py").write_text(
        "import sys\ndef test_light():\n    assert not {'costcalc.ir.graph', 'yaml', 'typer'} & {*sys.modules}\n"
    )
    assert "1 passed" in run(project)


def test_the_plugin_is_an_entry_point_of_the_package() -> None:
    assert (
        '[project.entry-points.pytest11]\ncostcalc = "costcalc.pytest_plugin"\n'
        in (ROOT / "pyproject.toml").read_text()
    )


MODULES = """\
import pytest
from costcalc.errors import CostcalcError
from net import Net

def test_module(cost):
    assert cost(Net(), (1, 3, 32, 32)).macs == 8 * 27 * 30 * 30
    assert cost(Net(), (2, 3, 32, 32)).macs == cost(Net(), input=(3, 32, 32), batch=2).macs
    assert cost("net.py:Net", input=(3, 32, 32), parameters={"width": 16}).params == 16 * 28

def test_mistakes(cost):
    for given in ({"input": (3, 8, 8)}, {"batch": 2}):
        with pytest.raises(CostcalcError, match="either by place"):
            cost(Net(), (1, 3, 8, 8), **given)
    with pytest.raises(CostcalcError, match="takes its shape as input="):
        cost("net.py:Net", (1, 3, 8, 8))
    with pytest.raises(CostcalcError, match="parameters cannot be given"):
        cost(Net(), (1, 3, 8, 8), parameters={"width": 4})
    with pytest.raises(CostcalcError, match="not list"):
        cost([1])
    for model in (Net(), "net.py:Net", "resnet18"):
        with pytest.raises(CostcalcError, match="cost takes no input_size=; a shape is input=, without the batch"):
            cost(model, input_size=(3, 8, 8))
    for shape in ((1, 3, 8, 8), (8, 8), (8, 8, 3)):
        with pytest.raises(CostcalcError, match=r"input= is without the batch: input=\\(3, 8, 8\\)$"):
            cost(Net(), input=shape)
    with pytest.raises(CostcalcError, match="must be whole numbers from 1, not '3x8x8'"):
        cost(Net(), input="3x8x8")

def test_snapshot(cost):
    cost.snapshot(Net(), (1, 3, 32, 32))
    cost.snapshot("net.py:Net", input=(3, 32, 32))

def test_too_much(cost):
    assert cost(Net(), (1, 3, 32, 32)).macs <= "10 k"
"""


def test_modules_and_python_files(project: Path) -> None:
    pytest.importorskip("torch.nn")
    (project / "test_cost.py").write_text(MODULES)
    (project / "net.py").write_text(NET)
    printed = run(project, "--cost-update")
    assert "1 failed, 3 passed" in printed
    assert "194 k macs of Net (194,400); most in conv 194 k" in printed and "<= '10 k'" in printed
    assert "2 passed" in run(project, "-k", "snapshot or mistakes")
    (project / "net.py").write_text(NET.replace("width=8", "width=9"))
    printed = run(project, "-k", "snapshot")
    assert "1 failed" in printed and "width" in printed and "net.py:" in printed
