"""``costcalc init`` for PyTorch models: what it writes works as written. And what messages say to who has a config."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from throwaway import NET, Repository

pytest.importorskip("torch.nn")

NEEDS = """\

class Needs(nn.Linear):
    def __init__(self, num_classes):
        super().__init__(8, num_classes)
"""


@pytest.fixture
def net(empty: Repository) -> Repository:
    empty.write("net.py", NET + NEEDS)
    return empty


def test_what_it_writes_works_as_written(net: Repository) -> None:
    code, printed = net.run("init", "net.py:Net", "--input", "3x16x16", "--batch", "2", "--set", "width=16")
    assert code == 0 and printed.splitlines() == [
        "wrote costcalc.yaml with budgets for Net",
        "wrote costcalc.schema.json",
        "wrote .github/workflows/costcalc.yml",
        "next: costcalc check --allow-code, then costcalc lock --allow-code, and commit the files",
    ]
    first, *_ = net.read("costcalc.yaml").splitlines()
    assert first == "# yaml-language-server: $schema=costcalc.schema.json"
    (model,) = yaml.safe_load(net.read("costcalc.yaml"))["models"]
    assert model["model"] == "net.py:Net"
    assert model["at"] == [{"input": "3x16x16", "batch": 2, "parameters": {"width": 16}}]
    code, printed = net.run("check", "--allow-code")
    assert code == 0 and printed.endswith("all 4 budgets met\n")
    assert net.run("lock", "--allow-code")[0] == 0
    net.commit()
    assert net.run("check", "--allow-code", "--base", "HEAD")[0] == 0
    assert "already exists" in net.fails("init", "net.py:Net", "--input", "3x16x16")


def test_the_workflow_installs_what_the_models_import_and_holds_no_secret(net: Repository) -> None:
    import torch

    net.edit("net.py", "from torch import nn\n", "import numpy as np\nfrom torch import nn\n")
    net.run("init", "net.py:Net", "--input", "3x16x16")
    text = net.read(".github/workflows/costcalc.yml")
    whole = yaml.safe_load(text)
    assert whole["permissions"] == {"contents": "read"} and "pull_request_target" not in text
    steps = whole["jobs"]["budgets"]["steps"]
    assert steps[0]["with"] == {"fetch-depth": 0, "persist-credentials": False}
    install, check = (step["run"] for step in steps[-2:])
    version = torch.__version__.partition("+")[0]
    assert install.startswith(f"uv pip install --system --torch-backend cpu costcalc torch=={version} numpy==")
    assert check == 'costcalc check --allow-code --base "origin/$GITHUB_BASE_REF" --format github'
    assert any(step.get("with", {}).get("enable-cache") for step in steps)


def test_a_config_elsewhere_names_the_model_from_there(net: Repository) -> None:
    (net.folder / "ci").mkdir()
    code, printed = net.run("init", "net.py:Net", "--input", "3x16x16", "--config", "ci/costcalc.yaml")
    assert code == 0 and "--config ci/costcalc.yaml" in printed
    assert 'model: "../net.py:Net"\n' in net.read("ci/costcalc.yaml")
    assert "--config ci/costcalc.yaml" in net.read(".github/workflows/costcalc.yml")
    assert net.run("check", "--allow-code", "--config", "ci/costcalc.yaml")[0] == 0


def test_what_is_there_stays_and_no_link_leads_out(net: Repository, tmp_path_factory: pytest.TempPathFactory) -> None:
    net.write(".github/workflows/costcalc.yml", "mine\n")
    code, printed = net.run("init", "net.py:Net", "--input", "3x16x16", "--no-workflow")
    assert code == 0 and "workflows" not in printed
    (net.folder / "costcalc.yaml").unlink()
    code, printed = net.run("init", "net.py:Net", "--input", "3x16x16")
    assert "workflows" not in printed and net.read(".github/workflows/costcalc.yml") == "mine\n"
    (net.folder / "costcalc.yaml").unlink()
    outside = tmp_path_factory.mktemp("outside")
    (net.folder / ".github").rename(net.folder / "old")
    (net.folder / ".github").symlink_to(outside)
    net.run("init", "net.py:Net", "--input", "3x16x16")
    assert [*outside.iterdir()] == []


def test_packages_and_modules(net: Repository) -> None:
    net.write("package/__init__.py", "from net import Net as build\n")
    code, _ = net.run("init", "package:build", "--input", "3x16x16")
    assert code == 0 and "model: package:build\n" in net.read("costcalc.yaml")
    assert net.run("check", "--allow-code")[0] == 0


def config(at: str, model: str = "net.py:Net") -> str:
    return f"version: 1\nmodels:\n  - model: {model}\n    at:\n      - {at}\n    budgets: {{macs: 1 G}}\n"


@pytest.mark.parametrize(
    ("at", "model", "says"),
    [
        ("{batch: 2}", "net.py:Net", "does not say which input it takes; give at: [{input: 3x224x224}], say"),
        ("{input: 4x8x8}", "net.py:Net", "(it is given 4x8x8 by 'at')"),
        ("{input: 8}", "net.py:Needs", "give it: at: [{parameters: {num_classes: 1000}}]"),
    ],
)
@pytest.mark.parametrize("command", ["check", "lock"])
def test_messages_name_the_key_of_the_config(net: Repository, at: str, model: str, says: str, command: str) -> None:
    net.write("costcalc.yaml", config(at, model))
    code, printed = net.run(command, "--allow-code")
    assert code == 2 and printed.startswith("costcalc: error: costcalc.yaml:5:9: ")
    assert says in printed.splitlines()[0] and "--input" not in printed and "--kwargs" not in printed


def test_on_the_command_line_they_name_options(net: Repository) -> None:
    assert "give --input 3x224x224, say" in net.fails("check", "net.py:Net", "--max", "macs=1G")
    told = net.fails("check", "net.py:Needs", "--input", "8", "--max", "macs=1G")
    assert "give it: --set num_classes=1000 or --kwargs '{\"num_classes\": 1000}'" in told


def test_a_model_on_the_command_line_takes_bits_and_transforms(net: Repository) -> None:
    asked = ("check", "net.py:Net", "--input", "3x16x16", "--max", "weights=1MB")
    assert "net.py:Net at 3x16x16, 8 bit: weights  " in net.run(*asked, "--bits", "8")[1]
    code, printed = net.run("check", "resnet18", "--fold-norm", "--max", "buffers=0")
    assert code == 0 and "norms folded: buffers  0" in printed
    net.write("costcalc.yaml", config("{input: 3x16x16}"))
    assert "so does --bits" in net.fails("check", "--allow-code", "--bits", "8")


@pytest.mark.parametrize(
    ("budget", "says"),
    [
        ("weights: 320 KB", "at most 320 KB allowed"),
        ("weights: 0.5 KB", "0.896 KB is 0.396 KB over the budget of 0.5 KB"),
        ("weights: 1000000 bit", "at most 1000000 bit allowed"),
        ("macs: 0.1 G", "at most 0.1 G allowed"),
        ("macs: 20 M", "at most 20.0 M allowed"),
        ("macs: {max: 20 M, min: 0.001 M}", "at least 0.001 M allowed"),
    ],
)
def test_budgets_echo_the_unit_that_the_user_wrote(net: Repository, budget: str, says: str) -> None:
    """8 kernels of 27 and 8 biases of 32 bits: 896 bytes."""
    net.write("costcalc.yaml", config("{input: 3x16x16}").replace("macs: 1 G", budget))
    assert says in net.run("check", "--allow-code")[1]
    left = "0.396 KB over" if "0.5 KB" in budget else ""
    assert left in net.run("check", "--allow-code", "--format", "json")[1].replace("\\u00a0", " ")


def test_no_file_is_left_when_a_model_cannot_be_measured(net: Repository) -> None:
    assert "does not say which input" in net.fails("init", "net.py:Net")
    assert sorted(p.name for p in Path().iterdir() if p.name != "__pycache__") == [".git", "net.py"]


def test_models_of_timm_and_torchvision(empty: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "torch"))
    import torchvision_stub

    if not torchvision_stub.install():
        pytest.skip("torchvision does not fit this torch")
    pytest.importorskip("timm")
    code, printed = empty.run("init", "timm:resnet18", "torchvision:resnet18")
    assert code == 0 and "budgets for resnet18, torchvision:resnet18" in printed, printed
    models = yaml.safe_load(empty.read("costcalc.yaml"))["models"]
    assert [m["model"] for m in models] == ["timm:resnet18", "torchvision:resnet18"]
    assert all(m["budgets"]["macs"] == "2 G" for m in models)  # 1.81 G and a twentieth, in two digits
    install = next(line for line in empty.read(".github/workflows/costcalc.yml").splitlines() if "uv pip" in line)
    assert " timm==" in install and " torchvision==" in install
    assert empty.run("check", "--allow-code")[0] == 0
