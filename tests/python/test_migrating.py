"""docs/migrating.md: what it says happens, and its tables are what the other packages count.

To write the tables anew: ``COSTCALC_WRITE_DOCS=1 python -m pytest tests/python/test_migrating.py``.
"""

from __future__ import annotations

import doctest
import os
import re
from pathlib import Path
from typing import Any

import pytest

import costcalc
from costcalc.errors import CostcalcError

torch = pytest.importorskip("torch")
nn, F = pytest.importorskip("torch.nn"), pytest.importorskip("torch.nn.functional")

import peers  # noqa: E402

from costcalc import migrate  # noqa: E402

PAGE = Path(__file__).parents[2] / "docs" / "migrating.md"
WRITES = bool(os.environ.get("COSTCALC_WRITE_DOCS"))
HEAD = ("MACs", *peers.COUNTERS)
LAYERS = {
    "nn.Conv2d(3, 8, 3, padding=1, bias=False)": "1x3x6x6",
    "nn.Conv2d(3, 8, 3, padding=1)": "1x3x6x6",
    "nn.ConvTranspose2d(2, 3, 3, stride=2, bias=False)": "1x2x4x5",
    "nn.Linear(8, 4, bias=False)": "1x8",
    "nn.Linear(8, 4)": "1x5x8",
    "nn.Embedding(10, 8)": "1x5",
    "nn.MultiheadAttention(8, 2, batch_first=True)": "1x5x8",
    "nn.LSTM(4, 6, batch_first=True)": "1x5x4",
    "nn.BatchNorm2d(4)": "1x4x3x3",
    "nn.LayerNorm(8)": "1x5x8",
    "nn.GroupNorm(2, 4)": "1x4x3x3",
    "nn.ReLU()": "1x4x3x3",
    "nn.GELU()": "1x4x3x3",
    "nn.MaxPool2d(2)": "1x4x4x4",
    "nn.AdaptiveAvgPool2d(1)": "1x4x4x4",
    "nn.Upsample(scale_factor=2, mode='bilinear')": "1x4x3x3",
    "nn.Softmax(-1)": "1x5x8",
    "lambda x: x @ x.mT": "1x5x8",
    "lambda x: torch.matmul(x, x.mT)": "1x5x8",
    "lambda x: F.linear(x, torch.ones(4, 8))": "1x5x8",
    "lambda x: F.scaled_dot_product_attention(x, x, x)": "1x2x5x8",
    "lambda x: F.relu(x + x)": "1x4x3x3",
}
NETWORKS = ("resnet50", "mobilenet_v2", "vit_b_16")


def given(shape: str, call: str) -> Any:
    sizes = tuple(map(int, shape.split("x")))
    return torch.zeros(sizes, dtype=torch.long) if "Embedding" in call else torch.rand(sizes)


def layer_rows() -> list[str]:
    """The table of layers as it is counted here."""
    rows = [f"| layer | of | {' | '.join(HEAD)} |", f"| --- | --- |{' --: |' * len(HEAD)}"]
    for call, shape in LAYERS.items():
        module, x = peers.Around(eval(call)).eval(), given(shape, call)
        ours = costcalc.analyze(module, x).total.macs
        told = [macs for macs, _ in peers.counted(module, x).values()]
        cells = [f"{ours:,}"] + [f"{n:,}" if n == ours else f"**{n:,}**" for n in told]
        rows.append(f"| `{call.removeprefix('lambda x: ')}` | {shape.replace('x', '×')} | {' | '.join(cells)} |")
    return rows


def network(name: str) -> Any:
    import torchvision_stub

    torchvision_stub.install()
    models = pytest.importorskip("torchvision.models")
    return getattr(models, name)().eval()


def network_rows() -> list[str]:
    heads = ("", "costcalc", *peers.COUNTERS)
    rows = [f"| {' | '.join(heads)} |", f"| --- |{' --: |' * (len(heads) - 1)}"]
    for name in NETWORKS:
        module, x = network(name), torch.rand(1, 3, 224, 224)
        total = costcalc.analyze(module, x).total
        told = [(total.macs, total.params), *peers.counted(module, x).values()]
        rows.append(f"| {name}, MACs | {' | '.join(f'{macs:,}' for macs, _ in told)} |")
        rows.append(f"| {name}, parameters | {' | '.join(f'{params:,}' for _, params in told)} |")
    return rows


def needs_all() -> None:
    missing = peers.VERSIONS.keys() - {*peers.installed()}
    if missing:
        pytest.skip(f"needs {', '.join(sorted(missing))} as measured: {peers.VERSIONS}")


@pytest.mark.parametrize("mark, rows", [("LAYERS", layer_rows), ("NETWORKS", network_rows)])
def test_the_tables_are_what_the_others_count(mark: str, rows: Any) -> None:
    needs_all()
    table = "\n".join(rows())
    page = PAGE.read_text(encoding="utf-8")
    if WRITES:
        first = table.split("\n")[0]
        pattern = re.escape(first) + r"\n(\|.*\n)*"
        page = re.sub(pattern, table + "\n", page) if first in page else page.replace(f"{mark}\n", f"{table}\n")
        PAGE.write_text(page, encoding="utf-8")
    assert f"\n\n{table}\n\n" in page


def test_the_page_says_what_happens() -> None:
    failed, tried = doctest.testfile(str(PAGE), module_relative=False)
    assert tried > 8 and failed == 0


# -- the differences, taken apart by the layers' own sizes -----------------------------------------


class Seen:
    """The leaf modules of a model as they are called: each with the elements that it reads and makes."""

    def __init__(self, model: Any, x: Any) -> None:
        self.calls: list[tuple[Any, int, int]] = []
        leaves = [m for m in model.modules() if not [*m.children()]]
        hooks = [m.register_forward_hook(self._called) for m in leaves]
        with torch.no_grad():
            model(x)
        for hook in hooks:
            hook.remove()

    def _called(self, module: Any, inputs: Any, output: Any) -> None:
        self.calls.append((module, inputs[0].numel(), output.numel()))

    def read(self, *classes: Any) -> int:
        """Elements that modules of exactly these classes read."""
        return sum(read for module, read, _ in self.calls if type(module) in classes)

    def made(self, *classes: Any, bias: bool = False) -> int:
        return sum(n for m, _, n in self.calls if type(m) in classes and (m.bias is not None if bias else True))


@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v2"])
def test_what_is_added_to_a_convolutional_network_is_explained_to_the_last_unit(name: str) -> None:
    needs_all()
    module, x = network(name), torch.rand(1, 3, 224, 224)
    seen, told = Seen(module, x), {who: macs for who, (macs, _) in peers.counted(module, x).items()}
    ours = costcalc.analyze(module, x).total.macs
    biases = seen.made(nn.Conv2d, nn.Linear, bias=True)
    norms, pooled, means = seen.read(nn.BatchNorm2d), seen.read(nn.AdaptiveAvgPool2d), seen.made(nn.AdaptiveAvgPool2d)
    # MobileNet pools by a function, at the end: 1280 channels of 7×7.
    by_function = 0 if pooled else 1280 * 7 * 7
    # Functions that modules of ReLU and of pools call are counted beside these modules; not those of ReLU6.
    twice = seen.read(nn.ReLU, nn.MaxPool2d, nn.AdaptiveAvgPool2d)
    once = seen.read(nn.ReLU6) + by_function
    norms_parameters = sum(p.numel() for n, p in module.named_parameters() if p.dim() == 1 and "fc" not in n)
    norms_parameters -= 1000 if name == "mobilenet_v2" else 0  # of its classifier
    assert told == {
        "torchinfo": ours + biases + norms_parameters,
        "thop": ours + 4 * norms + pooled + means,  # a sum of places and a division for each mean
        "fvcore": ours + 2 * norms + pooled + by_function,
        "ptflops": ours + biases + 2 * norms + 2 * twice + once,
        "ptflops aten": ours + biases,
    }


def test_what_is_left_out_of_a_transformer_is_explained_to_the_last_unit() -> None:
    needs_all()
    module, x = network("vit_b_16"), torch.rand(1, 3, 224, 224)
    seen, counts = Seen(module, x), peers.counted(module, x)
    report = costcalc.analyze(module, x)
    ours = report.total.macs
    attentions = sum(layer.macs for layer in report if "self_attention" in layer.name)
    # Two products of 12 heads, 12 layers, 197 tokens, 64 channels a head.
    products = 12 * 12 * 2 * 197 * 197 * 64
    biases = seen.made(nn.Conv2d, nn.Linear, bias=True) + 12 * 4 * 197 * 768
    norms = seen.read(nn.LayerNorm)
    once = sum(p.numel() for m, _, _ in seen.calls if type(m) in (nn.Linear, nn.LayerNorm) for p in m.parameters())
    told = {who: macs for who, (macs, _) in counts.items() if who != "ptflops"}
    assert told == {
        "torchinfo": once + 196 * (768 * 3 * 16 * 16 + 768),  # linear layers as if there were one token
        "thop": ours - attentions + 4 * norms,
        "fvcore": ours - products + 5 * norms,
        "ptflops aten": ours - products + biases,
    }
    # Those of attention, of the class token and of the places.
    missing = 12 * 4 * (768 * 768 + 768) + 768 + 197 * 768
    assert counts["thop"][1] == report.total.params - missing


# -- the functions ---------------------------------------------------------------------------------


def net() -> Any:
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 6 * 6, 10)).eval()


MACS, PARAMS = 36 * 8 * 27 + 288 * 10, 8 * 27 + 8 + 2890


def test_they_are_called_as_the_others_are(capsys: pytest.CaptureFixture[str]) -> None:
    x = torch.rand(1, 3, 8, 8)
    for size in ((1, 3, 8, 8), [1, 3, 8, 8], [(1, 3, 8, 8)], torch.Size((1, 3, 8, 8))):
        assert migrate.summary(net(), size, verbose=0).total_mult_adds == MACS
    assert migrate.summary(net(), (3, 8, 8), batch_dim=0, verbose=0).total_mult_adds == MACS
    assert migrate.summary(net(), input_data=[x], verbose=0).total_mult_adds == MACS
    assert migrate.summary(net(), input_data={"input": x}, verbose=0).total_params == PARAMS
    found = migrate.summary(nn.Embedding(10, 4), (1, 5), dtypes=[torch.long], verbose=0)
    assert (found.total_params, found.trainable_params, found.total_param_bytes) == (40, 40, 160)
    assert capsys.readouterr().out == ""
    printed = migrate.summary(net(), (1, 3, 8, 8), depth=1, col_names=("output_size",))
    assert capsys.readouterr().out == f"{printed!r}\n" and "MACs" in repr(printed) and "<div" in printed._repr_html_()

    assert (
        migrate.profile(net(), (x,)) == migrate.profile(net(), inputs=((1, 3, 8, 8),), verbose=False) == (MACS, PARAMS)
    )
    macs, params, below = migrate.profile(nn.Sequential(net()), (x,), ret_layer_info=True)
    assert (macs, params) == (MACS, PARAMS) and below["0"][:2] == (MACS, PARAMS) and below["0"][2]["3"][0] == 2880

    flops = migrate.FlopCountAnalysis(nn.Sequential(net()), x).unsupported_ops_warnings(False)
    assert flops.total() == flops.by_module()[""] == flops.by_module()["0"] == MACS
    assert flops.total("0.3") == flops.by_module_and_operator()["0"]["linear"] == 2880
    assert flops.by_operator() == {"conv": MACS - 2880, "linear": 2880} and "0" in migrate.flop_count_table(flops)

    info = migrate.get_model_complexity_info
    assert info(net(), (3, 8, 8), as_strings=False) == (MACS, PARAMS)
    assert "Sequential" in capsys.readouterr().out
    silent: dict[str, Any] = {"print_per_layer_stat": False}
    assert info(net(), (3, 8, 8), flops_units="MMac", param_units="M", output_precision=4, **silent) == (
        "0.0107 MMac", "0.0031 M",
    )  # fmt: skip
    assert (
        info(net(), (3, 8, 8), input_constructor=lambda size: {"input": torch.rand(2, *size)}, **silent)[0]
        == "21.31 KMac"
    )
    assert info(nn.Linear(2, 3), (2,), **silent) == ("6 Mac", "9")
    assert capsys.readouterr().out == ""


def test_fvcore_and_ours_agree_where_there_are_products_alone() -> None:
    analysis = pytest.importorskip("fvcore.nn").FlopCountAnalysis
    with peers.quiet():
        theirs = analysis(net(), torch.rand(1, 3, 8, 8))
        total, by_operator, modules = theirs.total(), theirs.by_operator(), theirs.by_module()
    ours = migrate.FlopCountAnalysis(net(), torch.rand(1, 3, 8, 8))
    assert (ours.total(), ours.by_operator()) == (total, +by_operator)
    assert all(ours.by_module()[name] == count for name, count in modules.items())


def test_what_is_not_counted_is_told() -> None:
    class Odd(nn.Module):
        def forward(self, x: Any) -> Any:
            return torch.special.bessel_j0(x @ x)

    flops = migrate.FlopCountAnalysis(Odd(), torch.rand(1, 4, 4))
    assert flops.total() == 64 and sum(flops.unsupported_ops().values()) == len(flops.report.uncounted) == 1


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: migrate.summary(net()), "either input_size, with the batch, or input_data"),
        (lambda: migrate.summary(net(), (3, 8, 8)), r"is with the batch: \(1, 3, 8, 8\)"),
        (lambda: migrate.summary(net(), (1, 3, 8, 8), dtypes=[]), "0 element types for 1 inputs"),
        (lambda: migrate.profile(net(), (torch.rand(1, 3, 8, 8),), custom_ops={nn.ReLU: None}), "custom_ops has no"),
        (lambda: migrate.get_model_complexity_info(net(), (3, 8, 8), ignore_modules=[1]), "ignore_modules has no"),
        (lambda: migrate.FlopCountAnalysis(net(), (3, 8, 8)).total(), "is with the batch"),
        (lambda: migrate.FlopCountAnalysis(net(), (1, 3, 8, 8)).total("4"), "no layer and no block '4'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_a_sentence(call: Any, says: str) -> None:
    with pytest.raises(CostcalcError, match=says):
        call()
