"""Pictures: what is drawn is what records say, names are only text, labels keep clear, bad input gets a sentence.

The files are judged by what is in them, not by their bytes.
"""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

import costcalc
from costcalc import zoo
from costcalc.cli.dispatch import outcome
from costcalc.cli.plot import EXAMPLES
from costcalc.errors import CostcalcError
from costcalc.ir.graph import GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType
from costcalc.pictures.growth import growth
from costcalc.pictures.pareto import pareto
from costcalc.pictures.squarify import Rectangle, squarify
from costcalc.pictures.treemap import Area, folded
from costcalc.tabulation import tabulate

matplotlib = pytest.importorskip("matplotlib")

ROOT = Path(__file__).parent.parent.parent
COMMANDS = {
    "roofline": ["roofline", "resnet18", "--machine", "a100"],
    "memory": ["memory", "mobilenet_v2", "--engine", "tflm", "--bits", "8"],
    "lives": ["memory", "resnet18"],
    "treemap": ["treemap", "resnet18", "--by", "params"],
    "receptive-field": ["receptive-field", "resnet18", "vgg16"],
    "pareto": ["pareto", "resnet18", "resnet50", "mobilenet"],
    "waterfall": ["waterfall", "resnet18", "resnet34"],
}


def texts(figure: Any) -> list[Any]:
    """The texts of a figure that have letters."""
    from matplotlib.text import Text

    figure.draw_without_rendering()
    hidden = set()  # ticks outside what is shown are there, and not drawn
    for axis in [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]:
        low, high = sorted(axis.get_view_interval())
        drawn = [tick for tick in axis.get_major_ticks() if axis.axes.axison and low <= tick.get_loc() <= high]
        hidden |= {id(tick.label1) for tick in axis.get_major_ticks() if tick not in drawn}
    return [t for t in figure.findobj(Text) if t.get_text().strip() and t.get_visible() and id(t) not in hidden]


@pytest.mark.parametrize(
    ("name", "format"), [*((name, "svg") for name in COMMANDS), ("roofline", "pdf"), ("memory", "png")]
)
def test_every_picture_is_a_file_of_its_format(name: str, format: str, tmp_path: Path) -> None:
    file = tmp_path / f"x.{format}"
    assert outcome(["plot", *COMMANDS[name], "-o", str(file)]) == 0
    data = file.read_bytes()
    assert data.startswith({"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}[format])
    if format == "pdf":  # fonts are inside, as TrueType, which journals take
        assert b"/FontFile2" in data and b"/Type3" not in data
    if format == "svg":  # letters are paths; nothing is fetched, nothing runs, no time of day
        tree = ET.fromstring(data)
        tags = {element.tag.rpartition("}")[2] for element in tree.iter()}
        assert not tags & {"script", "text", "image", "foreignObject", "a"}
        links = [v for e in tree.iter() for k, v in e.attrib.items() if k.endswith("href")]
        assert all(link.startswith("#") for link in links)


def test_the_same_figures_make_the_same_file(tmp_path: Path) -> None:
    report = costcalc.analyze("alexnet", machine="a100")
    for file in ("a.svg", "b.svg", "a.pdf", "b.pdf"):
        report.plot.roofline().savefig(tmp_path / file)
    for format in ("svg", "pdf"):
        assert (tmp_path / f"a.{format}").read_bytes() == (tmp_path / f"b.{format}").read_bytes()


def figures() -> dict[str, Any]:
    analyze = costcalc.analyze
    return {
        "roofline": lambda: analyze("resnet50", machine="a100", bits=16).plot.roofline(),
        "roofline of many": lambda: analyze("densenet201", machine="jetson_orin_nano").plot.roofline(),
        "roofline, narrow": lambda: analyze("convnext_t", machine="a100").plot.roofline(width=3.5),
        "pareto": lambda: costcalc.compare(*zoo_models()).plot.pareto(),
        "growth": lambda: costcalc.compare("resnet18", "vgg16", "mobilenet").plot.receptive_field(),
        "growth of six": lambda: costcalc.compare(
            "resnet18", "resnet34", "resnet50", "convnext_t", "densenet121", "inception_v3"
        ).plot.receptive_field(),
        "growth, narrow": lambda: costcalc.compare("resnet18", "mobilenet").plot.receptive_field(width=3.5),
        "growth of one, narrow": lambda: analyze("resnet18").plot.receptive_field(width=3),
        "growth beyond the image": lambda: analyze("resnet1202").plot.receptive_field(),
        "growth of video": lambda: analyze("slowfast_r50_8x8").plot.receptive_field(),
        "growth along unlike axes": lambda: analyze("kws").plot.receptive_field(),
        "memory of many steps": lambda: costcalc.memory("densenet201").plot.memory(),
        "treemap of many": lambda: analyze("vit_b_16", machine="a100", bits=16).plot.treemap("time"),
        "waterfall": lambda: costcalc.diff("resnet50", "resnet101").plot.waterfall(),
        "memory": lambda: costcalc.memory("mobilenet_v2", engine="tflm", bits=8).plot.memory(),
        "treemap": lambda: analyze("resnet50").plot.treemap(),
    }


def zoo_models() -> list[str]:
    return [
        name for name in ("resnet18", "resnet34", "resnet50", "mobilenet", "vgg16", "swin_t") if name in zoo.models()
    ]


@pytest.mark.parametrize("name", figures())
def test_no_text_lies_over_another_or_outside(name: str) -> None:
    keeps_clear(figures()[name]())


LOOKED_AT = ("mcunet_5fps", "shufflenet_1.5x_g8", "yolov3_608", "ghostnet_0.5", "deeplab_v3_resnet101", "kws", "lenet5")
SOME = [name for name in zoo.models() if name in LOOKED_AT]
"""Each once had a text over another or outside, or has little to show."""


@pytest.mark.parametrize(
    "model", [*SOME, *(pytest.param(name, marks=pytest.mark.long) for name in zoo.models() if name not in SOME)]
)
def test_of_every_model_no_text_lies_over_another_or_outside(model: str) -> None:
    for machine, width in (("a100", None), ("raspberry_pi_5", 3.5)):
        report = costcalc.analyze(model, machine=machine)
        keeps_clear(report.plot.roofline(width=width))
        keeps_clear(report.plot.treemap("time", width=width))
        if growth(report).layers:
            keeps_clear(report.plot.receptive_field(width=width))
    keeps_clear(costcalc.memory(model).plot.memory())
    if model != "resnet18":
        keeps_clear(costcalc.diff("resnet18", model).plot.waterfall())


def keeps_clear(figure: Any) -> None:
    there = texts(figure)
    assert len(there) > 5
    renderer = figure.canvas.get_renderer()
    from matplotlib.text import Text

    boxes = [(t.get_text(), Text.get_window_extent(t, renderer)) for t in there]
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        lap = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert lap[0] < 2 or lap[1] < 2, f"{one!r} lies over {other!r}"
    width, height = figure.bbox.width, figure.bbox.height
    for one, box in boxes:
        assert box.x0 > -2 and box.y0 > -2 and box.x1 < width + 2 and box.y1 < height + 2, one


def test_ticks_of_steps_and_layers_are_whole(tmp_path: Path) -> None:
    spec = tmp_path / "net.yaml"
    spec.write_text("inputs: {x: [3, 8, 8]}\nlayers: [{a: 'conv(4, 3)'}, {b: relu}]\n")
    for figure in (costcalc.memory(str(spec)).plot.memory(), costcalc.analyze(str(spec)).plot.receptive_field()):
        assert all(tick == int(tick) for tick in figure.axes[0].get_xticks())


def rings(model: str) -> dict[tuple[float, float], str]:
    """Where the rings are, and what the picture says beside them or in its legend."""
    figure = costcalc.analyze(model).plot.receptive_field()
    axes = figure.axes[0]
    at = {
        (float(line.get_xdata()[0]), float(line.get_ydata()[0]))
        for line in axes.lines
        if line.get_marker() == "o" and line.get_markerfacecolor() == "none"
    }
    said = " ".join(t.get_text().replace("\n", " ") for t in texts(figure))
    return dict.fromkeys(at, said)


@pytest.mark.parametrize(("model", "over"), [("resnet18", 1), ("vgg16", 0), ("kws", 2), ("resnet1202", 1)])
def test_rings_are_where_the_window_exceeds_the_image_and_all_is_seen(model: str, over: int) -> None:
    """Each of them is told, beside it or in the legend; along each axis of the image that grows otherwise."""
    report = costcalc.analyze(model)
    fields = [(i + 1, layer) for i, layer in enumerate(report.layers)]
    wanted: dict[tuple[float, float], str] = {}
    image = next(f.receptive_field.image for _, f in fields if hasattr(f.receptive_field, "image"))
    for axis, edge in enumerate(image):
        sizes = [
            (x, f) for x, f in fields if hasattr(f.receptive_field, "size") and f.receptive_field.size[axis] > edge
        ]
        if sizes:
            x, layer = sizes[0]
            wanted[x, layer.receptive_field.size[axis]] = f"{layer.name} exceeds the image"
    assert len(wanted) == over
    x, layer = next(((x, f) for x, f in fields if f.receptive_field == "global"), (0, None))
    if layer is not None:
        wanted[x, max(image)] = f"{layer.name} sees all of the image"
    found = rings(model)
    assert found.keys() == wanted.keys()
    assert all(text in found[point] for point, text in wanted.items())


def test_a_plot_says_of_how_many_layers_the_field_is_unknown_and_rings_no_bound() -> None:
    builder = GraphBuilder("sound", {"x": TensorType((1, 2, 64))})
    builder.add("a", find_op("conv")(2, 3, padding=1), ["x"])
    builder.add("b", find_op("uncounted")("airy", ((1, 2, 64),), ("float32",)), ["a"])
    said = [t.get_text() for t in texts(costcalc.analyze(builder.build(["b"])).plot.receptive_field())]
    assert "input 64" in said and any("unknown of 1 layer, which have no point" in text for text in said)
    from costcalc.backends.plots.receptive_field import Curve, _rings

    curve = Curve("", 64, ((1, 3, False), (2, 99, True), (3, 70, False)), (), "c", "")
    assert [(x, y) for x, y, _, _ in _rings(curve)] == [(3, 70)]


def test_areas_of_a_treemap_are_in_proportion_and_fill_it() -> None:
    from hypothesis import given
    from hypothesis import strategies as st

    @given(st.lists(st.integers(1, 10**12), min_size=1, max_size=40), st.floats(1, 500), st.floats(1, 500))
    def law(values: list[int], width: float, height: float) -> None:
        found = squarify(values, Rectangle(2.0, 3.0, width, height))
        for value, box in zip(values, found, strict=True):
            assert box.width * box.height == pytest.approx(width * height * value / sum(values), rel=1e-6, abs=1e-6)
            assert box.x > 2 - 1e-6 and box.x + box.width < 2 + width + 1e-6 * width
            assert box.y > 3 - 1e-6 and box.y + box.height < 3 + height + 1e-6 * height
        for a, b in itertools.combinations(found, 2):
            over = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
            up = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
            assert over < 1e-6 * width or up < 1e-6 * height

    law()


def test_the_paper_of_squarified_treemaps_has_this_example() -> None:
    """Bruls et al. 2000, section 3: 6, 6, 4, 3, 2, 2, 1 in 6 × 4; two of 3 × 2 at the left, then 4 and 3 in a row."""
    found = squarify([6, 6, 4, 3, 2, 2, 1], Rectangle(0, 0, 6, 4))
    assert [(r.width, r.height) for r in found[:2]] == [(3, 2), (3, 2)]
    assert [(round(r.width, 4), round(r.height, 4)) for r in found[2:4]] == [(1.7143, 2.3333), (1.2857, 2.3333)]


def test_patches_of_a_treemap_are_the_layers() -> None:
    report = costcalc.analyze("resnet18")
    axes = report.plot.treemap("macs").axes[0]
    (leaves,) = (c for c in axes.collections if c.get_alpha() is not None)
    assert len(leaves.get_paths()) == sum(1 for layer in report.layers if layer.macs)


def test_a_treemap_draws_together_what_cannot_be_seen() -> None:
    """Of a large block each layer has its own area; of blocks with thousands that are tiny each kind has one."""
    layers = [Area(f"b.c{i}", f"c{i}", 1 + i % 3, ("conv", "relu")[i % 2]) for i in range(20_000)]
    small = Area("b", "b", sum(layer.value for layer in layers), "", tuple(layers))
    large = Area("big", "big", 60_000, "linear")
    single = Area("norm", "norm", 1, "batch_norm")
    whole = Area("", "net", small.value + large.value + single.value, "", (small, large, single))
    shown, together = folded(whole)
    assert together == 20_000
    assert [(area.label, area.value) for area in shown.areas] == [
        ("b", small.value), ("big", large.value), ("norm", 1)
    ]  # fmt: skip
    assert [area.label for area in shown.areas[0].areas] == ["10,000 × relu", "10,000 × conv"]
    assert sum(area.value for area in shown.areas[0].areas) == small.value
    assert folded(Area("", "net", 3, "", (layers[0], layers[1]))) == (
        Area("", "net", 3, "", (layers[0], layers[1])), 0
    )  # fmt: skip


def test_pictures_of_thousands_of_layers_say_what_they_leave_out(tmp_path: Path) -> None:
    """What is drawn grows with the picture, not with the model; the note says what has no mark of its own."""
    spec = tmp_path / "net.yaml"
    spec.write_text("inputs: {x: [8, 9, 9]}\nlayers:\n- for i in range(5000):\n  - conv(8 + i % 1500, 3, padding=1)\n")
    report = costcalc.analyze(str(spec), machine="a100")
    notes = [" ".join(t.get_text() for t in figure.texts) for figure in (
        report.plot.treemap(), report.plot.roofline(), report.plot.receptive_field(),
        costcalc.memory(str(spec)).plot.memory(),
    )]  # fmt: skip
    assert "layers with less than 1/4,000 each are drawn together" in notes[0]
    assert re.search(r"the [\d,]+ layers with the least time, [<\d %]+ of it, are not drawn", notes[1])
    figure = report.plot.receptive_field()
    (curve, *_) = figure.axes[0].lines[1:]
    assert 500 < len(curve.get_xdata()) <= 1600
    assert max(curve.get_ydata()) == report.layers[-1].receptive_field.size[0]


def test_a_thinned_curve_keeps_its_highest_and_lowest() -> None:
    from costcalc.backends.plots.receptive_field import MOST_POINTS, _told_apart

    points = [(i, 1000 if i == 7777 else 3 if i == 12_345 else 100 + i % 7, i % 5 == 0) for i in range(20_000)]
    kept = _told_apart(points)
    assert len(kept) <= 2 * MOST_POINTS and set(kept) <= set(points) and kept == sorted(kept)
    assert {(7777, 1000, False), (12_345, 3, True)} <= set(kept)
    assert _told_apart(points[:900]) == points[:900]


def test_marks_of_a_roofline_are_where_the_layers_are() -> None:
    report = costcalc.analyze("resnet18", machine="a100", bits=16)
    axes = report.plot.roofline().axes[0]
    marks = {tuple(map(float, at)) for c in axes.collections for at in c.get_offsets()}
    rates = {layer.name: layer.macs / max(layer.time.compute, layer.time.traffic) for layer in report if layer.macs}
    wanted = {(layer.intensity, rates[layer.name]) for layer in report if layer.macs}
    assert [x for x, _ in sorted(marks)] == pytest.approx([x for x, _ in sorted(wanted)])
    assert [y for _, y in sorted(marks)] == pytest.approx([y for _, y in sorted(wanted)])


def test_the_front_is_what_no_other_beats() -> None:
    names = zoo_models()
    reports = [costcalc.analyze(name) for name in names]
    found = pareto(tabulate(names, reports, ["macs", "params"]))
    for model in found.models:
        others = [m for m in found.models if (m.x, m.y) != (model.x, model.y)]
        assert model.best == (not any(m.x <= model.x and m.y <= model.y for m in others))
    assert [m.x for m in found.front] == sorted(m.x for m in found.front)


@pytest.mark.parametrize(
    "name", ["$\\\\alpha_{1}$", "a$b", "<script>", "--> <x/>", "%^_{}#&", "\\u4e2d\\u6587", "x" * 300]
)
@pytest.mark.parametrize("usetex", [False, True])
def test_names_are_only_text(name: str, usetex: bool, tmp_path: Path) -> None:
    from costcalc.backends.plots.canvas import plain, rendered

    report = costcalc.analyze("alexnet", machine="a100")
    said = name.encode().decode("unicode_escape")
    from dataclasses import replace

    layers = tuple(replace(layer, name=f"{said}{i}") for i, layer in enumerate(report.layers))
    renamed = replace(report, name=said, layers=layers, blocks=())
    with matplotlib.rc_context({"text.usetex": usetex}):
        for figure in (renamed.plot.roofline(), renamed.plot.treemap(), renamed.plot.receptive_field()):
            assert not any(t.get_parse_math() or t.get_usetex() for t in texts(figure))
            ET.fromstring(rendered(figure, "svg"))
            shown = " ".join(t.get_text() for t in texts(figure))
            assert plain(said)[:6] in shown


def test_letters_that_the_font_lacks_are_told_by_their_number() -> None:
    from costcalc.backends.plots.canvas import plain

    assert plain("a\u4e2d") == "a\\u{4e2d}"
    assert plain("Größe × 2") == "Größe × 2"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["roofline", "resnet18"], "--output roofline.svg"),
        (["roofline", "resnet18", "-o", "x.jpg"], ".svg, .png or .pdf"),
        (["roofline", "resnet18", "-o", "x.svg"], "--machine a100"),
        (["roofline", "resnet18", "vgg16", "-o", "x.svg"], "one model"),
        (["waterfall", "resnet18", "-o", "x.svg"], "two models"),
        (["waterfall", "resnet18", "vgg16", "--by", "peak", "-o", "x.svg"], "no causes"),
        (["treemap", "resnet18", "--by", "intensity", "-o", "x.svg"], "no treemap of intensity"),
        (["treemap", "resnet18", "--engine", "tflm", "-o", "x.svg"], "treemap takes no --engine"),
        (["memory", "resnet18", "--machine", "a100", "-o", "x.svg"], "memory takes no --machine"),
        (["pareto", "resnet18", "-x", "macs", "-y", "macs", "-o", "x.svg"], "two figures"),
        (["pareto", "resnet18", "-x", "layers", "-o", "x.svg"], "--best"),
        (["pareto", "resnet18", "-x", "nonsense", "-o", "x.svg"], "no column"),
        (["pareto", "resnet18", "-x", "time", "-o", "x.svg"], "--machine"),
        (["pyramid", "resnet18", "-o", "x.svg"], "roofline"),
        (["treemap", "resnet18", "--width", "900", "-o", "x.svg"], "30"),
    ],
)
def test_bad_input_gets_a_sentence_and_no_file(
    args: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert outcome(["plot", *args]) == 2
    error = capsys.readouterr().err
    assert says in error and "Traceback" not in error
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    file = tmp_path / "x.svg"
    assert outcome(["plot", "treemap", "resnet18", "-o", str(file)]) == 2
    assert "pip install 'costcalc[plot]'" in capsys.readouterr().err
    assert not file.exists()
    with pytest.raises(CostcalcError, match="costcalc\\[plot\\]"):
        costcalc.analyze("resnet18").plot.treemap()


def test_nothing_of_matplotlib_is_imported_before_a_picture_is_asked_for() -> None:
    code = "import sys, costcalc; costcalc.analyze('resnet18').plot; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command and every Python block of docs/plots.md."""
    page = (ROOT / "docs" / "plots.md").read_text(encoding="utf-8")
    (tmp_path / "accuracy.csv").write_bytes((ROOT / "docs" / "accuracy.csv").read_bytes())
    monkeypatch.chdir(tmp_path)
    commands = re.findall(r"^costcalc (plot .+?)(?:  +.*)?$", page, re.MULTILINE)
    assert {line.removeprefix("costcalc ") for line in EXAMPLES} <= {*commands}
    for command in commands:
        assert outcome(command.split()) == 0, command
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert blocks
    for block in blocks:
        exec(compile(block, "plots.md", "exec"), {})
