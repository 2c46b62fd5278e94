"""Models of ultralytics by their YAML, with the parameters that their page publishes (in millions, one digit)."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torchvision_stub

from costcalc import load
from costcalc.analysis.report import report
from costcalc.errors import CostcalcError
from costcalc.frontends.sources import source_of
from costcalc.frontends.torch.models import load_model

torchvision_stub.install()
needs = pytest.mark.skipif(importlib.util.find_spec("ultralytics") is None, reason="ultralytics is not installed")

PUBLISHED: dict[str, tuple[float, float]] = {
    # millions of parameters and billions of FLOPs at 640×640, as the table of YOLO11 in ultralytics' documentation
    "yolo11n": (2.6, 6.5),
    "yolo11s": (9.4, 21.5),
    "yolo11m": (20.1, 68.0),
}


@needs
@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_and_flops_are_the_published_ones(name: str) -> None:
    total: Any = report(load_model(f"ultralytics:{name}")).total
    millions, billions = PUBLISHED[name]
    assert abs(total.params / 1e6 - millions) < 0.06
    assert abs(2 * total.macs / 1e9 - billions) < 0.02 * billions


@needs
def test_a_file_of_ones_own_and_other_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(
        "nc: 3\nbackbone:\n  - [-1, 1, Conv, [8, 3, 2]]\n"
        "head:\n  - [-1, 1, Conv, [8, 3, 2]]\n  - [[0, 1], 1, Detect, [nc]]\n"
    )
    graph = load_model("ultralytics:mine", input=(3, 64, 64))
    assert graph.types["x"].shape == (1, 3, 64, 64)
    first = next(layer for layer in report(graph).layers if layer.macs)
    assert (first.name, first.macs) == ("model.0.conv", 32 * 32 * 8 * 27)
    Path("other.yaml").write_text("name: other\n")
    for name, says in (("other", "is not a YAML file of ultralytics"), ("yolo11q", "did you mean|it has")):
        with pytest.raises(CostcalcError, match=says):
            load_model(f"ultralytics:{name}")


ROWS = "nc: 3\nbackbone:\n  - [-1, 1, Conv, [8, 3, 2]]\nhead:\n  - [[0], 1, Detect, [nc]]\n"


@needs
@pytest.mark.parametrize(
    ("found", "put", "says"),
    [
        ("-1, 1, Conv, [8, 3, 2]", "-1, 1, Path, [marker]", "'Path' is no layer"),
        ("-1, 1, Conv, [8, 3, 2]", "-1, 1, DetectionModel, [other.yaml]", "is no layer"),
        ("-1, 1, Conv, [8, 3, 2]", "-1, 1, nn.Parameter, [3]", "is no layer"),
        ("-1, 1, Conv, [8, 3, 2]", "-1, 1, Conv", "a row is"),
        ("-1, 1, Conv, [8, 3, 2]", "-1, 100000000, Conv, [8, 3, 2]", "at most 10,000"),
        ("nc: 3", "nc: 3\nactivation: print(__name__)", "activation is one of PyTorch"),
        ("nc: 3", "nc: 3\nactivation: nn.ReLU(print())", "activation is one of PyTorch"),
        ("nc: 3", "nc: 3\nscales: [1]", "scales are a mapping"),
        ("nc: 3", "nc: 3\nday: 2020-99-99", "cannot read this YAML"),
        ("nc: 3", "nc: 3\nchannels: many", "channels are"),
    ],
)
def test_nothing_but_layers_is_called(
    found: str, put: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(ROWS.replace(found, put))
    with pytest.raises(CostcalcError, match=says):
        load_model("ultralytics:mine", input=(3, 64, 64))
    assert not capsys.readouterr().out


@needs
def test_activations_of_pytorch_are_taken_and_no_weights_are_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ultralytics.nn import tasks

    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(f"activation: torch.nn.LeakyReLU(0.1, inplace=True)\n{ROWS}")
    assert "leaky_relu" in {node.op.name for node in load_model("ultralytics:mine", input=(3, 64, 64)).nodes}
    asked: list[Any] = []
    # Classes of torchvision are its own: here it only says what it was asked for.
    monkeypatch.setattr(
        tasks, "TorchVision", type("TorchVision", (tasks.Conv,), {"__init__": lambda self, *a: asked.append(a)})
    )
    row = "-1, 1, TorchVision, [8, resnet18, DEFAULT, True, 2]"
    Path("mine.yaml").write_text(ROWS.replace("-1, 1, Conv, [8, 3, 2]", row))
    with pytest.raises(CostcalcError):
        load_model("ultralytics:mine", input=(3, 64, 64))
    assert asked[0][1] is None


@needs
def test_nothing_of_a_file_elsewhere_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    Path("../other.yaml").write_text(ROWS.replace("Conv", "Hidden"))
    Path("mine.yaml").symlink_to("../other.yaml")
    with pytest.raises(CostcalcError, match="nothing of it is quoted") as refused:
        load_model("ultralytics:mine")
    assert "Hidden" not in str(refused.value)


def test_a_spec_that_is_none_says_how_models_of_ultralytics_are_named(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("nc: 3\nbackbone: []\nhead: []\n")
    with pytest.raises(CostcalcError, match=r"a spec has no key 'nc'.*named ultralytics:FILE, without the ending"):
        load(file)


def test_no_file_of_data_is_code() -> None:
    """A name that ends as a spec's does is a spec, whose reader runs nothing."""
    assert source_of("ultralytics:yolo11n").pattern == "ultralytics:NAME"
    assert source_of("ultralytics:yolo11n.yaml").pattern == "FILE.yaml"
