"""Models by name: of libraries, of a user's files and modules, exported; and what is said when they cannot be had."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import torchvision_stub  # noqa: E402
from torch import nn  # noqa: E402

import costcalc  # noqa: E402
from costcalc.errors import CostcalcError, UnknownName  # noqa: E402
from costcalc.frontends.sources import Request, source_of  # noqa: E402
from costcalc.frontends.torch import models  # noqa: E402

NET = """
import copy
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, depth=2, channels=4):
        super().__init__()
        rest = (nn.Conv2d(channels, channels, 3) for _ in range(depth - 1))
        self.layers = nn.Sequential(nn.Conv2d(3, channels, 3), *rest)
    def forward(self, x):
        return self.layers(x)

class Fails(Net):
    def forward(self, x):
        x = super().forward(x)
        return x @ torch.zeros(7, 7)

class Cuda(nn.Module):
    def forward(self, x):
        return x + torch.zeros(3, device="cuda")

class Vast(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1 << 22, 1 << 22)
    def forward(self, x):
        return self.layer(x) if x.sum() > 0 else x

class Copies(Net):
    def __init__(self):
        super().__init__()
        norm = nn.BatchNorm2d(4)
        self.layers.extend([norm, copy.deepcopy(norm)])
        assert self.layers[-1].running_mean.tolist() == [0] * 4

def raises():
    raise ValueError("no such depth")

def number():
    return 7

class Factory:
    build = staticmethod(lambda: Net())

net = Net()
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A user's file in the current folder, also to be imported as a module."""
    (tmp_path / "net_for_test.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    yield "net_for_test.py"  # type: ignore[misc]
    sys.modules.pop("net_for_test", None)


def macs(name: str, **more: object) -> int:
    return costcalc.analyze(name, **more).total.macs  # type: ignore[arg-type]


# conv1 at 6×6 places, conv2 at 4×4: 4·3·9·36 + 4·4·9·16
NET_MACS = 4 * 3 * 9 * 36 + 4 * 4 * 9 * 16


@pytest.mark.parametrize("attribute", ["Net", "net", "Factory.build"])
@pytest.mark.parametrize("as_file", [True, False])
def test_a_class_a_module_or_a_function_of_a_file_or_module(file: str, attribute: str, as_file: bool) -> None:
    place = file if as_file else "net_for_test"
    assert macs(f"{place}:{attribute}", input=(3, 8, 8)) == NET_MACS


def test_parameters_go_to_the_builder(file: str) -> None:
    assert macs(f"{file}:Net", input=(3, 8, 8), parameters={"depth": 1, "channels": 2}) == 2 * 3 * 9 * 36


def test_an_exported_program(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5)).eval()
    path = tmp_path / "exported.pt2"
    torch.export.save(torch.export.export(module, (torch.zeros(1, 3, 8, 8),)), path)
    found = costcalc.analyze(str(path))
    assert found.total.macs == 4 * 3 * 9 * 36 + 5 * 4 * 36
    assert found.total.params == 4 * 27 + 4 + 5 * 144 + 5


class Keyworded(nn.Module):
    """Wants an input by name, and gives what it makes by name."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor, *, scale: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"y": self.layer(x) * scale}


def test_an_exported_program_is_run_on_the_inputs_that_it_was_exported_with(tmp_path: Path) -> None:
    path = tmp_path / "exported.pt2"
    program = torch.export.export(Keyworded().eval(), (torch.zeros(2, 8),), {"scale": torch.zeros(4)})
    torch.export.save(program, path)
    assert macs(str(path)) == 2 * 8 * 4
    assert costcalc.load(str(path)).inputs == ("x", "scale")
    with pytest.raises(CostcalcError, match="was exported for x 2×8; axis 0 is fixed, 2, and cannot be 5"):
        costcalc.load(str(path), batch=5)


@pytest.mark.filterwarnings("ignore:The tensor attributes self._flat_weights:UserWarning")  # from torch, of its LSTM
def test_an_exported_program_can_be_verified(tmp_path: Path) -> None:
    pytest.importorskip("fvcore")
    from costcalc.verification import verify

    path = tmp_path / "exported.pt2"
    torch.export.save(torch.export.export(nn.LSTM(8, 6).eval(), (torch.zeros(5, 8),)), path)
    graph, again = models.load_with_module(str(path), Request())
    assert again is not None
    assert verify(graph, again()).agrees


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # from within torch
def test_an_exported_program_in_core_operators_gives_the_same(tmp_path: Path) -> None:
    conv = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.AdaptiveAvgPool2d(2))
    module = nn.Sequential(*conv, nn.Flatten(), nn.LayerNorm(16), nn.Linear(16, 2)).eval()
    path = tmp_path / "exported.pt2"
    program = torch.export.export(module, (torch.zeros(1, 3, 8, 8),)).run_decompositions()
    torch.export.save(program, path)
    ours, theirs = costcalc.analyze(str(path)), costcalc.analyze(module, (1, 3, 8, 8))
    assert ours.uncounted == ()
    assert (ours.total.macs, ours.total.ops, ours.total.params) == (
        theirs.total.macs, theirs.total.ops, theirs.total.params,
    )  # fmt: skip


def test_torchvision_by_name_with_its_own_input_size() -> None:
    if not torchvision_stub.install():
        pytest.skip("torchvision is not installed")
    # 4,089,184,256: published for 1×3×224×224
    assert macs("torchvision:resnet50") == 4_089_184_256
    assert costcalc.load("torchvision:inception_v3").types["x"].shape == (1, 3, 299, 299)
    assert costcalc.load("torchvision:resnet18", batch=4, input=(3, 64, 64)).types["x"].shape == (4, 3, 64, 64)


def test_timm_by_name_with_its_own_input_size() -> None:
    pytest.importorskip("timm") if torchvision_stub.install() else pytest.skip("timm needs torchvision")
    assert costcalc.load("timm:efficientnet_b1").types["x"].shape == (1, 3, 240, 240)
    assert costcalc.load("timm:resnet18").name == "resnet18"


# -- what goes wrong -----------------------------------------------------------------------------

ERRORS = {
    "net_for_test.py:Fail": "net_for_test.py has no 'Fail' (did you mean 'Fails'?)",
    "net_for_tast.py:Net": "there is no file net_for_tast.py (did you mean 'net_for_test.py'?)",
    "nosuchmodule.sub:Net": "there is no module 'nosuchmodule.sub'",
    "net_for_test:number": "net_for_test:number returns int, not a torch.nn.Module",
    "net_for_test:NET": "net_for_test has no 'NET'",
    "net_for_test:nn.functional.relu": "cannot be built: TypeError",
    "net_for_test.py:raises": "net_for_test.py:raises cannot be built: ValueError: no such depth",
    "exported.pt2": "there is no file exported.pt2",
    "net_for_tst:Net": "there is no module 'net_for_tst' (did you mean 'net_for_test'?)",
    "net_for_tst.sub:Net": "'net_for_tst.sub': 'net_for_tst' is missing (did you mean 'net_for_test'?)",
    "net_for_test.py:": "say what in net_for_test.py is the model, as in net_for_test.py:Copies; its modules ",
    # 2⁴⁴ weights of four bytes
    "net_for_test.py:Vast": "Vast needs real values, and 67108880 MiB for them",
}


def test_copies_that_a_constructor_makes_of_its_modules_are_whole(file: str) -> None:
    found = costcalc.analyze(f"{file}:Copies", input=(3, 8, 8))
    assert (found.total.macs, found.total.params) == (NET_MACS, 4 * 28 + 4 * 37 + 2 * 8)
    assert next(iter(costcalc.load(f"{file}:Copies", input=(3, 8, 8)).types.values())).shape == (1, 3, 8, 8)


@pytest.mark.parametrize("name", ERRORS)
def test_what_is_wrong_with_a_name_is_said(file: str, name: str) -> None:
    with pytest.raises(CostcalcError) as error:
        costcalc.load(name, input=(3, 8, 8))
    assert ERRORS[name] in error.value.message


def test_a_constructor_that_raises_shows_the_user_s_own_lines(file: str) -> None:
    with pytest.raises(CostcalcError, match=r"net_for_test\.py:\d+ in raises: raise ValueError"):
        costcalc.load(f"{file}:raises")


def test_a_forward_that_raises_shows_the_layers_reached_and_their_shapes(file: str) -> None:
    with pytest.raises(CostcalcError) as error:
        costcalc.load(f"{file}:Fails", input=(3, 8, 8))
    text = error.value.message
    assert text.startswith("the forward of Fails fails: RuntimeError")
    assert "in forward: return x @ torch.zeros(7, 7)" in text
    assert "the shapes that met there: matmul(1×4×4×4, 7×7)" in text
    assert "layers.1: conv2d(1×4×6×6, 4×4×3×3, 4) → 1×4×4×4" in text
    assert len(text.splitlines()) < 15


def test_a_wrong_input_shape_names_the_layer(file: str) -> None:
    with pytest.raises(CostcalcError, match=r"(?s)fails in 'layers\.0'.*conv2d\(1×4×8×8, 4×3×3×3, 4\)"):
        costcalc.load(f"{file}:Net", input=(4, 8, 8))


def test_code_for_cuda_alone_is_told_so(file: str) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is CUDA here")
    with pytest.raises(CostcalcError, match="it asks for CUDA"):
        costcalc.load(f"{file}:Cuda", input=(3,))


def test_a_model_that_names_no_input_wants_one(file: str) -> None:
    with pytest.raises(CostcalcError, match="Net does not say which input it takes; give --input 3x224x224, say"):
        costcalc.load(f"{file}:Net")


def test_options_for_a_module_that_is_there_already(file: str) -> None:
    with pytest.raises(CostcalcError, match="is a module already, and takes no options"):
        costcalc.load(f"{file}:net", input=(3, 8, 8), parameters={"depth": 3})


def test_a_library_that_is_missing_is_named_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CostcalcError, match="pip install 'costcalc\\[torch\\]'"):
        costcalc.load("timm:resnet50")


def test_a_torchvision_for_another_torch_is_named_though_timm_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "timm.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    with pytest.raises(CostcalcError, match=r"timm cannot be imported.*install the torchvision that fits"):
        models.load_model("timm:resnet18")


def test_a_model_that_a_library_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    if not torchvision_stub.install():
        pytest.skip("torchvision is not installed")
    with pytest.raises(UnknownName, match=r"torchvision has no model 'resnet51' \(did you mean 'resnet50'"):
        costcalc.load("torchvision:resnet51")


def test_names_of_specs_are_not_taken_for_python() -> None:
    for name in ("resnet50", "a/b.yaml", "a/b.yaml:small", "net.yml:x", "C:/a.yaml"):
        assert not source_of(name).runs_code
    for name in ("timm:x", "torchvision:x", "a.b:c", "a/b.py:C", "a.pt2", "pkg:build.deep"):
        assert source_of(name).runs_code
