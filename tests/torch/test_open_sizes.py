"""Closed forms of exported programs: totals in their open sizes are those of traces in numbers, wherever they hold."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402
from torch.export import Dim  # noqa: E402

import costcalc  # noqa: E402
from costcalc.analysis.find_symbols import find_symbols  # noqa: E402
from costcalc.analysis.formula import formulas  # noqa: E402
from costcalc.errors import CostcalcError, OptionError  # noqa: E402
from costcalc.frontends.torch.expressions import expression, expressions  # noqa: E402
from costcalc.ir.values import value_at  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch, of its own exporter


class ConvNet(nn.Module):
    """Strides, pads, pools of all kinds, a concatenation, resizing, and a linear layer at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        self.left, self.right = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 4, 3, padding=1, groups=2)
        self.pool, self.head = nn.AdaptiveAvgPool2d(3), nn.Linear(72, 5)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y = self.stem(x)
        y = torch.cat([self.left(y), self.right(y)], 1)
        up = nn.functional.interpolate(y, scale_factor=2.0)
        return self.head(self.pool(y).flatten(1)), nn.functional.avg_pool2d(nn.functional.pad(up, (1, 2, 0, 1)), 2)


class Tokens(nn.Module):
    """Embeddings, an encoder layer of attention, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(50, 16), nn.Embedding(128, 16)
        self.encoder = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
        self.head = nn.Linear(16, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        places = self.places(torch.arange(x.shape[1], device=x.device))
        return self.head(self.encoder(self.words(x) + places).mean(1))


class Attention(nn.Module):
    """Attention by hand, with a mask of what came before."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.qkv, self.out = nn.LayerNorm(12), nn.Linear(12, 36), nn.Linear(12, 12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, length, _ = x.shape
        q, k, v = self.qkv(self.norm(x)).view(n, length, 3, 3, 4).permute(2, 0, 3, 1, 4).unbind(0)
        scores = (q @ k.transpose(-2, -1)) / 2
        mask = torch.ones(length, length, dtype=torch.bool, device=x.device).tril()
        y = scores.masked_fill(~mask, float("-inf")).softmax(-1) @ v
        return x + self.out(y.transpose(1, 2).reshape(n, length, 12))


class Patches(nn.Module):
    """A small vision transformer for any image of whole patches; its sizes are multiples."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.first = nn.Conv2d(3, 8, 4, 4), nn.Parameter(torch.zeros(1, 1, 8))
        self.attention, self.norm = nn.MultiheadAttention(8, 2, batch_first=True), nn.LayerNorm(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.embed(x).flatten(2).transpose(1, 2)
        y = torch.cat([self.first.expand(x.shape[0], -1, -1), y], 1)
        return self.norm(y + self.attention(y, y, y)[0])[:, 0]


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(6, 5, batch_first=True, bidirectional=True), nn.Linear(10, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(x)[0][:, -1])


class Windows(nn.Module):
    """Crops, folds of channels into the batch, and windows in windows."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x[:, :, 3:-2].unflatten(1, (2, 2)).flatten(0, 1)
        y = nn.functional.conv1d(y, torch.ones(3, 2, 5), stride=3)
        return nn.functional.avg_pool1d(y, 3, 2, 1)


def _sizes(**sizes: tuple[int, int]) -> list[Dim]:
    return [Dim(name, min=least, max=most) for name, (least, most) in sizes.items()]


n, h, w, s, k = _sizes(n=(2, 64), h=(10, 300), w=(12, 280), s=(4, 100), k=(3, 40))
MODELS: dict[str, tuple[Callable[[], nn.Module], Any, dict[str, Any], str]] = {
    "conv net": (ConvNet, torch.zeros(2, 3, 32, 40), {"x": {0: n, 2: h, 3: w}}, "n h w"),
    "one open size": (ConvNet, torch.zeros(2, 3, 32, 40), {"x": {3: w}}, "w"),
    "square": (ConvNet, torch.zeros(2, 3, 33, 33), {"x": {2: h, 3: h}}, "h"),
    "tokens": (Tokens, torch.zeros(2, 9, dtype=torch.int64), {"x": {0: n, 1: s}}, "n l"),
    "attention": (Attention, torch.zeros(2, 9, 12), {"x": {0: n, 1: s}}, "n l"),
    "patches": (Patches, torch.zeros(2, 3, 16, 24), {"x": {0: n, 2: 4 * k, 3: 4 * s}}, ""),
    "recurrent": (Recurrent, torch.zeros(3, 7, 6), {"x": {0: n}}, "n"),
    "windows": (Windows, torch.zeros(2, 4, 50), {"x": {0: n, 2: Dim("l", min=20, max=400)}}, ""),
    "volumes": (
        lambda: nn.Sequential(nn.Conv3d(1, 2, 3, 2), nn.AvgPool3d(2, 2)), torch.zeros(2, 1, 20, 16, 17),
        {"input": {2: Dim("d", min=16, max=50)}}, "d",
    ),
}  # fmt: skip


@pytest.fixture
def export(tmp_path: Path) -> Callable[..., str]:
    """Exports a module, writes it, and returns the path."""

    def written(module: nn.Module, *inputs: Any, **options: Any) -> str:
        path = tmp_path / f"net{len(list(tmp_path.iterdir()))}.pt2"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.export.save(torch.export.export(module.eval(), inputs, **options), path)
        return str(path)

    return written


def _totals(total: Any) -> list[int]:
    return [total.macs, total.ops, total.params, total.storage_bits, total.traffic_bits]


def _hold(conditions: tuple[str, ...], values: dict[str, int]) -> bool:
    """Whether plain bounds among ``conditions`` hold."""
    bounds = [re.fullmatch(r"(\w+) (≥|≤) (\d+)", condition) for condition in conditions]
    return all(
        values[b[1]] >= int(b[3]) if b[2] == "≥" else values[b[1]] <= int(b[3]) for b in bounds if b and b[1] in values
    )


def _agree(path: str, letters: str | None, tries: int = 8) -> None:
    counted = costcalc.load(path)
    opened = find_symbols(counted)
    graph = costcalc.load(path, symbols=opened)
    closed = formulas(graph)
    if letters:
        assert " ".join(opened.values) == letters
    ranges = _ranges(path)
    random, tried = Random(1), 0
    for i in range(tries):
        values = {
            name: limits[0] if i == 0 else limits[1] if i == 1 else random.randint(*limits)
            for size, name in opened.called.items()
            for limits in [ranges[size]]
        }
        if _hold(graph.assumed, values):
            numbers = {size: values[name] for size, name in opened.called.items()}
            counts = costcalc.analyze(costcalc.load(path, parameters=numbers)).total
            assert [one.at(values) for one in closed] == _totals(counts), values
            tried += 1
    assert tried > tries * 2 // 3, graph.assumed


def _ranges(path: str) -> dict[str, tuple[int, int]]:
    program = torch.export.load(path)
    return {str(size): (int(b.lower), int(min(b.upper, 500))) for size, b in program.range_constraints.items()}


@pytest.mark.parametrize("name", MODELS)
def test_totals_in_open_sizes_are_those_of_traces(export: Callable[..., str], name: str) -> None:
    build, x, open_, letters = MODELS[name]
    _agree(export(build(), x, dynamic_shapes=open_), letters)


def test_the_totals_of_attention_are_those_by_hand(export: Callable[..., str]) -> None:
    path = export(Attention(), torch.zeros(2, 9, 12), dynamic_shapes={"x": {0: n, 1: s}})
    graph = costcalc.load(path, symbols=["batch", "length"])
    # The projections 12·36 + 12·12 a token, scores and their use 2·12 a pair of tokens.
    assert str(formulas(graph)[0].total) == "24·l^2·n + 576·l·n"
    assert {"l ≥ 4", "l ≤ 100", "n ≤ 64"} <= set(graph.assumed)
    at_five = formulas(costcalc.load(path, batch=5, symbols=["length"]))[0].total
    assert str(at_five) == "120·l^2 + 2880·l"


class Places(nn.Module):
    """Patches with positions that are resized to the image's, as vision transformers of any image size have them."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.places = nn.Conv2d(3, 6, 4, 4), nn.Parameter(torch.zeros(1, 6, 5, 5))

    def forward(self, x: Tensor) -> Tensor:
        y = self.patches(x)
        return y + nn.functional.interpolate(self.places, size=y.shape[2:], mode="bilinear")


def test_a_size_that_is_a_multiple_of_an_open_one_is_chosen(export: Callable[..., str]) -> None:
    high, wide = Dim("high", min=2, max=20), Dim("wide", min=2, max=20)
    path = export(Places(), torch.zeros(1, 3, 16, 20), dynamic_shapes={"x": {2: 4 * high, 3: 4 * wide}})
    for rows, columns in ((16, 20), (24, 40), (36, 36)):
        graph = costcalc.load(path, input=(3, rows, columns))
        assert graph.types[graph.outputs[0]].shape == (1, 6, rows // 4, columns // 4)
        # Each of so many places takes 3·4·4 products for each of 6 channels.
        assert costcalc.analyze(graph).total.macs == rows // 4 * (columns // 4) * 288
    with pytest.raises(CostcalcError, match=r"axis 2 is 4\*s\d+, as 20 and 24 are, and cannot be 22"):
        costcalc.load(path, input=(3, 22, 40))
    with pytest.raises(CostcalcError, match=r"was exported for s\d+ from 2 to 20; axis 3 of x cannot be 120"):
        costcalc.load(path, input=(3, 20, 120))
    # Also in symbols, though in some of the traces both sizes are equal, and are written once.
    symbols = list(costcalc.load(path).parameters)
    (macs, *_) = formulas(costcalc.load(path, symbols=symbols))
    (rows, columns), total = sorted(macs.total.symbols), macs.total
    sizes = ({rows: 3, columns: 5}, {rows: 7, columns: 7})
    assert [value_at(total, size) for size in sizes] == [288 * 15, 288 * 49]


def test_words_that_mean_no_open_size_are_refused(export: Callable[..., str]) -> None:
    path = export(Patches(), torch.zeros(2, 3, 16, 20), dynamic_shapes={"x": {0: n, 2: 4 * k, 3: 4 * k + 4}})
    graph = costcalc.load(path)
    (size,) = {name for name in graph.parameters if graph.parameters[name] == 4}
    wrong = {
        rf"axis 2 of x is 4·{size} in net0; take {size}": ["height"],
        r"'hight' cannot be a symbol .did you mean 'height'": ["hight"],
        r"'batch' and 'x.batch' are one size of net0": ["batch", "x.batch"],
    }
    for sentence, symbols in wrong.items():
        with pytest.raises(OptionError, match=sentence):
            costcalc.load(path, symbols=symbols)
    fixed = export(ConvNet(), torch.zeros(2, 3, 32, 40), dynamic_shapes={"x": {3: w}})
    with pytest.raises(OptionError, match="axis 2 of x is fixed in net1, 32, and is not a symbol"):
        costcalc.load(fixed, symbols=["height"])
    with pytest.raises(OptionError, match="fixed"):
        costcalc.load(fixed, symbols=["batch"])
    closed = export(ConvNet(), torch.zeros(2, 3, 32, 40))
    with pytest.raises(OptionError, match=r"all sizes of .* are fixed; torch.export and torch.onnx.export leave"):
        costcalc.load(closed, symbols=["batch"])


def test_live_modules_are_to_be_exported_first() -> None:
    with pytest.raises(OptionError, match="is traced with numbers; export it with dynamic_shapes"):
        costcalc.load("torch.nn:Identity", input=(3,), symbols=["batch"])


def test_a_size_without_a_bound_has_none(export: Callable[..., str]) -> None:
    graph = costcalc.load(
        export(nn.Linear(3, 4), torch.zeros(2, 3), dynamic_shapes={"input": {0: Dim("n")}}), symbols=["batch"]
    )
    assert not any("≤" in condition for condition in graph.assumed)
    assert str(formulas(graph)[0].total) == "12·n"


def test_work_that_a_size_switches_is_refused_or_bounded(export: Callable[..., str]) -> None:
    class Positions(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, torch.arange(x.shape[1], device=x.device).flip(0)]  # the places are known one by one

    path = export(Positions(), torch.zeros(2, 9, 4), dynamic_shapes={"x": {1: s}})
    with pytest.raises(CostcalcError, match=r"leave .* out of the symbols"):
        costcalc.load(path, symbols=list(costcalc.load(path).parameters))


def test_expressions_are_those_of_torch(export: Callable[..., str]) -> None:
    program = torch.export.load(export(ConvNet(), torch.zeros(2, 3, 32, 40), dynamic_shapes={"x": {0: n, 2: h, 3: w}}))
    assert len(list(expressions(program))) > 5
    random, tried = Random(2), 0
    for node in program.graph.nodes:
        for size in getattr(node.meta.get("val"), "shape", ()):
            if isinstance(size, torch.SymInt):
                theirs, ours = size.node.expr, expression(size)
                for _ in range(20):
                    at = {symbol: random.randint(10, 250) for symbol in theirs.free_symbols}
                    assert int(theirs.subs(at)) == value_at(ours, {str(symbol): v for symbol, v in at.items()})
                    tried += 1
    assert tried > 500
