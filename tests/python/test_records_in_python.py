"""Reports, graphs, comparisons and differences at a prompt, in a notebook and as data frames."""

from __future__ import annotations

import csv
import importlib
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import costcalc
from costcalc.analysis.records import Block, Layer
from costcalc.backends import data_frames
from costcalc.errors import CostcalcError

REPORT = costcalc.analyze("resnet18")
TINY = """
name: tiny
input: [3, 8, 8]
layers:
  - "{name}": conv2d(4, 3)
"""


def test_every_public_name_is_there_and_listed() -> None:
    assert set(costcalc.__all__) <= set(dir(costcalc))
    assert {"analyze", "compare", "diff", "load", "memory", "pack", "trace", "verify"} <= set(costcalc.__all__)
    for name in costcalc.__all__:
        assert callable(getattr(costcalc, name)), name


def test_functions_stay_functions_when_packages_are_imported() -> None:
    import costcalc.comparison
    import costcalc.difference.records
    import costcalc.planning
    import costcalc.verification.result

    assert all(callable(getattr(costcalc, name)) for name in ("compare", "diff", "memory", "verify"))


# -- a report --------------------------------------------------------------------------------------


def test_a_report_is_layers_that_are_found_by_name() -> None:
    assert len(REPORT) == len(list(REPORT)) == 69
    layer, block = REPORT["layer1.0.conv1.conv"], REPORT["layer1"]
    assert isinstance(layer, Layer) and layer.macs == 64 * 64 * 9 * 56 * 56  # by hand
    assert isinstance(block, Block) and block.macs == 4 * layer.macs
    assert "layer1" in REPORT and "layer9" not in REPORT and 3 not in REPORT
    assert bool(REPORT)


@pytest.mark.parametrize("name, says", [("layer9", "did you mean 'layer"), ("x" * 500, "no layer and no block")])
def test_a_name_that_is_not_there_is_a_key_error_with_a_sentence(name: str, says: str) -> None:
    with pytest.raises(KeyError) as caught:
        REPORT[name]
    assert isinstance(caught.value, CostcalcError)
    assert says in str(caught.value) and len(str(caught.value)) < 300


def test_a_number_is_no_name() -> None:
    with pytest.raises(TypeError, match="by the name of a layer"):
        REPORT[0]  # type: ignore[index]


def test_repr_is_one_line_and_print_is_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert repr(REPORT) == "<Report resnet18: 1.81 G MACs, 11.7 M params, 69 layers>"
    from costcalc.cli.dispatch import outcome

    assert outcome(["analyze", "resnet18"]) == 0
    assert capsys.readouterr().out == str(REPORT)


def test_a_symbolic_report_has_a_line_too() -> None:
    report = costcalc.analyze(costcalc.load("resnet18", symbols=["batch"]))
    assert "1814073344·n MACs" in repr(report) and "\n" not in repr(report)


@pytest.mark.parametrize("form", ["csv", "markdown"])
def test_forms_are_those_of_the_command_line(form: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from costcalc.cli.dispatch import outcome

    assert outcome(["analyze", "resnet18", "--depth", "1", "--columns", "macs,params", "--format", form]) == 0
    shown = capsys.readouterr().out.replace("\r\n", "\n")
    made = getattr(REPORT, f"to_{form}")(tmp_path / "x", depth=1, columns="macs,params")
    assert made.replace("\r\n", "\n") == shown
    assert (tmp_path / "x").read_text() == shown


def test_what_no_table_has_is_refused() -> None:
    with pytest.raises(TypeError, match="tables have no option 'deep'"):
        REPORT.to_csv(deep=2)
    with pytest.raises(CostcalcError, match="no column called 'mac'"):
        REPORT.to_csv(columns=["mac"])


# -- data frames -----------------------------------------------------------------------------------


@pytest.mark.parametrize("package", ["pandas", "polars"])
def test_a_data_frame_has_the_rows_of_the_csv(package: str) -> None:
    pytest.importorskip(package)
    frame = getattr(REPORT, f"to_{package}")()
    rows = list(csv.DictReader(io.StringIO(REPORT.to_csv())))[:-1]
    assert list(frame.columns) == list(rows[0])[1:]
    assert [str(v) for v in frame["macs"]] == [row["macs"] for row in rows]
    assert int(frame["macs"].sum()) == REPORT.total.macs


@pytest.mark.parametrize("package", ["pandas", "polars"])
@pytest.mark.parametrize("value", [2**62, 2**63 - 1, 2**63, 2**64, 2**100, 2**140])
def test_whole_numbers_stay_exact(package: str, value: int) -> None:
    pytest.importorskip(package)
    frame = getattr(data_frames, package)({"macs": [value, value, 1]})
    assert [int(v) for v in frame["macs"]] == [value, value, 1]
    if package == "pandas" or value < 2**126:
        assert int(frame["macs"].sum()) == 2 * value + 1


def test_which_data_frames_overflow_in_silence() -> None:
    """What both would make of a sum beyond 64 bits by themselves, for which the columns are chosen as they are."""
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    assert pandas.Series([2**63 - 1, 1]).sum() == -(2**63)
    assert polars.Series([2**63 - 1, 1]).sum() == -(2**63)


def test_a_missing_package_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(CostcalcError, match="pip install pandas"):
        REPORT.to_pandas()


# -- notebooks and pages ---------------------------------------------------------------------------


class Outline(HTMLParser):
    """Tags as they open and close, which must match; and all text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def outline(html: str) -> Outline:
    found = Outline()
    found.feed(html)
    found.close()
    assert found.open == []
    return found


def test_a_notebook_shows_a_tree_that_folds_without_script_or_network() -> None:
    found = outline(REPORT._repr_html_())
    tags = [tag for tag, _ in found.seen]
    assert tags.count("details") == tags.count("summary") > 20
    assert not {"script", "img", "link", "iframe", "object"} & set(tags)
    assert not re.search(r"https?:|url\(|@import|\bon\w+=", REPORT._repr_html_())
    assert "layer4" in found.text and "1.81 G" in found.text and "1,814,073,344" in found.text


def test_a_page_says_that_it_fetches_nothing() -> None:
    page = REPORT.to_html()
    policy = next(a["content"] for tag, a in outline(page).seen if a.get("http-equiv"))
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


def test_a_graph_is_a_tree_that_folds_too() -> None:
    graph = costcalc.load("resnet18")
    found = outline(graph._repr_html_())
    tags = [tag for tag, _ in found.seen]
    assert not {"script", "img", "link", "iframe", "object"} & set(tags)
    assert not re.search(r"https?:|url\(|@import|\bon\w+=", graph._repr_html_())
    # conv1, layer1 … layer4, two blocks in each, two conv_bn in a block, three downsamples.
    assert tags.count("details") == tags.count("summary") == 1 + 4 + 8 + 16 + 3
    rows = [a["class"] for tag, a in found.seen if a.get("class") in ("r", "r h")]
    assert len(rows) == 1 + tags.count("summary") + len(graph)
    assert "64, 7, stride=2, padding=3" in found.text and "1×3×224×224" in found.text and "14 layers" in found.text
    assert {a["title"] for _, a in found.seen if a.get("title", "").startswith("resnet.yaml:")}  # where it stands


@pytest.mark.parametrize(
    "name, count, says",
    [
        ("a.b.c{}", 4000, "folded to 2 levels of names, since it has 4,000 layers"),
        ("x{}", 7000, "the rest is left out; print(graph) has every layer"),
        (".".join("a" * 3000) + "{}", 2, "a.a.a"),  # deeper than a program can nest
    ],
)
def test_a_graph_of_many_layers_or_long_names_stays_small(name: str, count: int, says: str) -> None:
    from costcalc.ir.graph import GraphBuilder
    from costcalc.ir.op import find_op
    from costcalc.ir.tensor import TensorType

    builder, value = GraphBuilder("deep", {"x": TensorType((1, 4))}), "x"
    for i in range(count):
        (value,) = builder.add(name.format(i), find_op("relu")(), [value])
    html = builder.build([value])._repr_html_()
    found = outline(html)
    assert says in found.text and len(html) < 3_000_000


def test_a_deep_network_is_folded_and_says_so() -> None:
    page = costcalc.analyze("resnet1202").to_html()
    assert "folded to" in page and len(page) < 1_000_000


HOSTILE = "</span><script>alert(1)</script>"


def test_names_are_escaped() -> None:
    from costcalc.ir.graph import GraphBuilder
    from costcalc.ir.tensor import TensorType
    from costcalc.ops.conv import Conv

    builder = GraphBuilder(HOSTILE, {"x": TensorType((1, 3, 8, 8))})
    builder.add(f"a.{HOSTILE}", Conv(4, 3), ["x"])
    graph = builder.build([f"a.{HOSTILE}"])
    report = costcalc.analyze(graph)
    for html in (
        graph._repr_html_(),
        report.to_html(),
        report._repr_html_(),
        costcalc.compare(report, report)._repr_html_(),
    ):
        assert not {"script"} & {tag for tag, _ in outline(html).seen}
    assert "\\textless{}script\\textgreater{}" in report.to_latex()


def test_every_form_says_how_the_figures_were_asked_for() -> None:
    report = costcalc.analyze("resnet18", apply="fold_norm", bits=16, machine="a100")
    for text in (report.to_html(), report._repr_html_(), report.to_text(), report.to_latex().replace("\\", "")):
        assert "16 bits, on a100, after fold_norm" in text


# -- LaTeX -----------------------------------------------------------------------------------------


def test_latex_has_each_column_in_one_unit() -> None:
    text = REPORT.to_latex(depth=1, columns="kind,macs,params")
    assert "{MACs (G)}" in text and "{params (M)}" in text
    assert "total & 69 layers & 1.81 & 11.69 \\\\" in text  # 1,814,073,344 and 11,689,512
    assert text.count("\\midrule") == 2 and "\\usepackage{booktabs,siunitx}" in text


@pytest.mark.parametrize(
    "text, shown",
    [
        ("a_b&c", r"a\_b\&c"),
        ("50%", r"50\%"),
        ("\\input{x}", r"\textbackslash{}input\{x\}"),
        ("--", "{-}{-}"),
        ("^^41", r"\textasciicircum{}" * 2 + "41"),
    ],
)
def test_no_command_of_latex_comes_of_a_name(text: str, shown: str) -> None:
    from costcalc.backends.escape import latex

    assert latex(text) == shown


# -- others ----------------------------------------------------------------------------------------


def test_graphs_comparisons_and_differences_print() -> None:
    graph = costcalc.load("resnet18")
    assert repr(graph) == "<Graph resnet18: 69 layers, image 1×3×224×224 → fc 1×1000>"
    assert str(graph).splitlines()[2].split() == ["conv1.conv", "conv", "1×3×224×224", "→", "1×64×112×112"]
    assert graph["fc"].op.name == "linear" and len(graph) == len(list(graph)) == 69
    with pytest.raises(KeyError):
        graph["nothing"]
    found = costcalc.compare(REPORT, "resnet34", names=["a", "b"])
    assert repr(found) == "<Comparison of a, b>"
    assert str(found).startswith(str(found.to_text())[:20]) and "MACs" in str(found)
    change = costcalc.diff("resnet18", graph)
    assert repr(change) == "<Diff resnet18: 0 causes>" and change.same
    assert costcalc.diff("resnet18", "resnet34").change("macs") == 3_663_761_408 - 1_814_073_344


def test_a_comparison_is_a_data_frame() -> None:
    pytest.importorskip("pandas")
    frame = costcalc.compare("resnet18", "resnet34").to_pandas()
    assert list(frame["model"]) == ["resnet18", "resnet34"]
    assert list(frame["macs"]) == [1_814_073_344, 3_663_761_408]


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: costcalc.compare("resnet18"), "two or more"),
        (lambda: costcalc.compare(["resnet18", "resnet34"]), "one after another"),
        (lambda: costcalc.compare("resnet18", "resnet34", names=["a"]), "1 names for 2 models"),
        (lambda: costcalc.compare("resnet18", 3), "not int"),
        (lambda: costcalc.diff(costcalc.load("resnet18"), "resnet34", batch=2), "batch is given to load"),
        (lambda: costcalc.diff("resnet18", None), "not NoneType"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_a_sentence(call: Any, says: str) -> None:
    with pytest.raises(CostcalcError, match=says):
        call()


# -- the page, and one rule for shapes -------------------------------------------------------------


def test_the_page_says_what_happens() -> None:
    import doctest

    page = Path(__file__).parents[2] / "docs" / "python.md"
    failed, tried = doctest.testfile(str(page), module_relative=False)
    assert tried > 8 and failed == 0


@pytest.mark.parametrize(
    "arguments, options, says",
    [
        (((3, 32, 32),), {}, r"is with the batch: \(1, 3, 32, 32\)"),
        (([1, 3, 32, 32],), {}, r"a shape is a tuple: \(1, 3, 32, 32\)"),
        ((), {"input_size": (1, 3, 32, 32)}, r"by position, with the batch: \(1, 3, 32, 32\) in place of input_size="),
        ((), {"input": (3, 32, 32)}, r"analyze\(module, \(1, 3, 32, 32\)\)"),
        ((), {"parameters": {"depth": 3}}, "parameters build a model that is named"),
        ((), {"input": "3x8x8"}, "input builds a model that is named"),
    ],
)
def test_a_shape_by_another_rule_gets_a_sentence(arguments: Any, options: dict[str, Any], says: str) -> None:
    nn = pytest.importorskip("torch").nn
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 30 * 30, 2))
    assert costcalc.analyze(module, (1, 3, 32, 32)).total.macs == 9 * 3 * 4 * 900 + 7200
    with pytest.raises(CostcalcError, match=says):
        costcalc.analyze(module, *arguments, **options)


@pytest.mark.parametrize("function", [costcalc.compare, costcalc.diff])
def test_a_module_without_inputs_is_told_what_to_write(function: Any) -> None:
    nn = pytest.importorskip("torch").nn
    with pytest.raises(CostcalcError, match=r"needs the inputs of a module: .*\(module, \(1, 3, 224, 224\)\)"):
        function(nn.Linear(2, 3), nn.Linear(2, 4))


@pytest.mark.parametrize(
    "name, begins",
    [("x.csv", "row,"), ("x.json", "{"), ("x.MD", "**resnet18"), ("x.tex", "% needs"), ("x.html", "<!doc")],
)
def test_the_name_of_a_file_chooses_the_format(name: str, begins: str, tmp_path: Path) -> None:
    from costcalc.cli.dispatch import outcome

    assert outcome(["analyze", "resnet18", "-o", str(tmp_path / name)]) == 0
    assert (tmp_path / name).read_text().startswith(begins)
    assert outcome(["analyze", "resnet18", "--format", "csv", "-o", str(tmp_path / name)]) == 0
    assert (tmp_path / name).read_text().startswith("row,")


@pytest.mark.parametrize("function, more", [("memory", {}), ("training", {}), ("fits", {"ram": 1 << 20})])
def test_what_builds_a_named_model_is_refused_for_a_module(function: str, more: dict[str, int]) -> None:
    nn = pytest.importorskip("torch").nn
    with pytest.raises(CostcalcError, match="a module is built already"):
        getattr(costcalc, function)(nn.Conv2d(3, 4, 3), (1, 3, 8, 8), batch=2, **more)


NET = """\
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x):
        return self.norm(self.conv(x)).flatten(1)
"""


@pytest.mark.parametrize(
    "inputs, options, says",
    [
        ((1, 3, 8, 8), {}, r"a shape is one tuple: \(1, 3, 8, 8\)"),
        (("1x3x8x8",), {}, r"a shape is a tuple: \(1, 3, 8, 8\)"),
        ((("1", "3", "8", "8"),), {}, "a shape is a tuple of whole numbers from 1"),
        (((None, 3, 8, 8),), {}, "a shape is a tuple of whole numbers from 1"),
        ((((1, 3, 8, 8),),), {}, r"one after another, not in a list or tuple: analyze\(module, x\)"),
        (([(1, 3, 8, 8)],), {}, r"one after another, not in a list or tuple: analyze\(module, x\)"),
        (((8, 8),), {}, r"the shape lacks its batch and its channels: \(1, 3, 8, 8\)"),
        (((2, 8, 8),), {}, r"the shape lacks its channels: \(2, 3, 8, 8\)|is with the batch: \(1, 2, 8, 8\)"),
        (((1, 1, 3, 8, 8),), {}, r"the shape has an axis too many: \(1, 3, 8, 8\)"),
        (((2, 8, 8, 3),), {}, r"channels come before places: \(2, 3, 8, 8\)"),
        (((8, 8, 3),), {}, r"channels come before places, and the batch before both: \(1, 3, 8, 8\)"),
        ((), {"input": (3, 8, 8)}, r"with the batch: analyze\(module, \(1, 3, 8, 8\)\)|in place of input="),
        (((0, 3, 8, 8),), {}, r"a shape has whole numbers from 1, not \(0, 3, 8, 8\)"),
        (((-1, 3, 8, 8),), {}, r"a shape has whole numbers from 1, not \(-1, 3, 8, 8\)"),
        ((), {"inputs": ((1, 3, 8, 8),)}, r"in place of inputs="),
        ((), {"x": (3, 8, 8)}, r"a shape that is given here is with the batch: \(1, 3, 8, 8\)"),
    ],
)
def test_each_habit_of_writing_a_shape_gets_its_sentence(
    inputs: Any, options: dict[str, Any], says: str, tmp_path: Path
) -> None:
    pytest.importorskip("torch.nn")
    space: dict[str, Any] = {}
    exec(NET, space)
    for function in (costcalc.analyze, costcalc.trace):
        with pytest.raises(CostcalcError) as caught:
            function(space["Net"](), *inputs, **options)
        assert re.search(says, str(caught.value).splitlines()[-1]), str(caught.value)


def test_a_hint_is_only_given_where_it_helps() -> None:
    nn = pytest.importorskip("torch").nn
    net = nn.Sequential(nn.Conv2d(64, 4, 3), nn.BatchNorm2d(4))
    with pytest.raises(CostcalcError, match=r"is given here is with the batch: \(1, 64, 8, 8\)"):
        costcalc.analyze(net, (64, 8, 8))
    with pytest.raises(CostcalcError) as caught:
        costcalc.analyze(net, (1, 63, 8, 8))
    assert str(caught.value).splitlines()[-1].startswith("the shapes that met there")


@pytest.mark.parametrize(
    "shape, says",
    [
        ((1, 3, 8, 8), "it takes 3x8x8, which is without the batch"),
        ((8, 8), "it takes 3x8x8, which is without the batch"),
        ((8, 8, 3), "it takes 3x8x8, which is without the batch"),
        ("3x8x8", "the shape of the input must be whole numbers from 1, not '3x8x8'"),
        (8, "must be whole numbers from 1, not 8"),
        ((3, 0, 8), r"must be whole numbers from 1, not \(3, 0, 8\)"),
        ({"x": 8}, "the shape of x must be whole numbers from 1, not 8"),
    ],
)
def test_the_shape_of_a_named_model_gets_its_sentence(shape: Any, says: str, tmp_path: Path) -> None:
    pytest.importorskip("torch.nn")
    (tmp_path / "net.py").write_text(NET)
    name = f"{tmp_path}/net.py:Net"
    assert costcalc.analyze(name, input=[3, 8, 8]).total.macs == 27 * 4 * 36
    for call in (costcalc.analyze, costcalc.load):
        with pytest.raises(CostcalcError, match=says):
            call(name, input=shape)


@pytest.mark.parametrize("name", ["resnet18", "net.py:Net", "net.onnx"])
def test_inputs_by_position_of_a_name_are_told_by_which_rule(name: str) -> None:
    for call in (costcalc.analyze, costcalc.load, costcalc.memory):
        with pytest.raises(CostcalcError, match=r"shape as input=, without the batch: input=\(3, 224, 224\)"):
            call(name, (1, 3, 224, 224))  # type: ignore[operator]


def test_load_says_what_to_call_instead() -> None:
    nn = pytest.importorskip("torch").nn
    given: list[tuple[Any, str]] = [
        (nn.Linear(2, 3), r"a module is traced with its inputs: costcalc.trace\(module, \(1, 3, 224, 224\)\)"),
        (costcalc.load("lenet5"), r"this is a graph already: costcalc.analyze\(graph\)"),
        (3, "not int"),
    ]
    for thing, says in given:
        with pytest.raises(CostcalcError, match=says):
            costcalc.load(thing)
    for thing, says in [("resnet18", "costcalc.load takes those"), (nn.Linear, "the class Linear: make one first"),
                        (nn.Linear(2, 3).state_dict(), "weights alone do not say what is run")]:  # fmt: skip
        with pytest.raises(CostcalcError, match=says):
            costcalc.trace(thing, (1, 2))


def test_layers_blocks_and_memory_have_one_line_at_a_prompt() -> None:
    layer, block = REPORT["layer1.0.conv1.conv"], REPORT["layer1"]
    assert repr(layer) == "<Layer layer1.0.conv1.conv: conv, 64×56×56, 116 M MACs, 36.9 k params>"
    assert repr(block) == "<Block layer1: 14 layers, 64×56×56, 462 M MACs, 148 k params>" == str(block)
    open_size = costcalc.analyze(costcalc.load("lenet5", symbols=["batch"]))
    assert "·n MACs" in repr(open_size["c1"])
    held = costcalc.memory("lenet5", engine="tflm", bits=8)
    assert repr(held) == f"<Memory of lenet5 in tflm: {held.needed_bytes / 1024:.2f} KiB, {len(held.tensors)} tensors>"
    assert "TensorFlow Lite for Microcontrollers" in str(held) and held._repr_html_().startswith("<pre")


def test_names_of_other_tools_say_where_they_are() -> None:
    for name in ("summary", "profile", "FlopCountAnalysis", "get_model_complexity_info"):
        with pytest.raises(AttributeError, match=r"costcalc\.migrate has it, and ours is costcalc\.analyze"):
            getattr(costcalc, name)
        assert name in dir(importlib.import_module("costcalc.migrate"))
    with pytest.raises(AttributeError, match=r"has no attribute 'analyse'$"):
        costcalc.analyse  # noqa: B018
