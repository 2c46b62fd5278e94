"""Loops as files for workload tools: their own count of MACs is ours. Where a package is there, it reads the file."""

from __future__ import annotations

import csv
import io
import re
from math import ceil, prod
from pathlib import Path
from typing import Any

import pytest
import yaml

import costcalc
from costcalc.analysis.workload import workload
from costcalc.errors import CostcalcError
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType

MODELS = (
    *("resnet18", "mobilenet_v2", "vgg16", "efficientnet_b0", "convnext_t", "vit_b_16", "swin_t", "unet"),
    *("resnext50_32x4d", "shufflenet_v2_x1_0", "c3d", "deconvnet", "deformable_resnet50", "lenet5"),
)
HOSTILE = (
    "a,b",
    "q\"'x",
    "line\nbreak: 1",
    "::error::x",
    "##[error]",
    "=1+1",
    "DPN.conv",
    "- id: 7",
    "é中",
    "{x}",
    "{{ 7 * 7 }}",
    "{% include 'x' %}{# y",
    "a,b",
)


@pytest.fixture(scope="module", params=MODELS)
def net(request: pytest.FixtureRequest) -> tuple[Graph, int]:
    graph = costcalc.load(request.param)
    macs = costcalc.analyze(graph).total.macs
    assert isinstance(macs, int)
    return graph, macs


def test_the_nests_of_a_model_are_all_its_macs(net: tuple[Graph, int]) -> None:
    found = workload(net[0])
    assert found.macs == net[1] and not found.left_out


def test_csv_adds_up(net: tuple[Graph, int]) -> None:
    rows = list(csv.DictReader(io.StringIO(costcalc.export("loops", net[0]).text)))
    assert sum(int(row["count"]) * int(row["macs"]) for row in rows) == net[1]
    for row in rows:
        assert int(row["macs"]) == prod(int(row[name]) for name in ("groups", *"NKCOPQTRS"))


def scale_sim_macs(text: str) -> int:
    """As SCALE-Sim 3.0.0 counts: outputs are (in − filter + stride) / stride, rounded up."""
    total = 0
    for line in text.splitlines()[1:]:
        name, *numbers, last = line.split(",")
        height, width, rows, columns, channels, filters, stride = map(int, numbers)
        assert last == "" and height >= rows and width >= columns and "DP" not in name
        high, wide = (ceil((a - b + stride) / stride) for a, b in ((height, rows), (width, columns)))
        total += high * wide * rows * columns * channels * filters
    return total


def zigzag_macs(text: str) -> int:
    """As ZigZag 3.9.1 counts: the product of a layer's loops."""
    layers = yaml.safe_load(text)
    for number, layer in enumerate(layers):
        assert layer["id"] == number and all(0 <= s <= number for s in layer["operand_source"].values())
        assert re.fullmatch(r"O(\[\w+\])+\+=W(\[\w+\])+\*I(\[\w+\])+", layer["equation"])
        named = {d.upper() for d in re.findall(r"\[(\w+)\]", layer["equation"])}
        assert set(layer["loop_dims"]) == named - set(layer.get("pr_loop_dims", ()))
    return sum(prod(layer["loop_sizes"]) for layer in layers)


def timeloop_macs(text: str) -> int:
    """The product of a problem's dimensions, by how many layers are like it."""
    total = 0
    counts = [int(n) for n in re.findall(r"^# .*; layers like it: (\d+)$", text, re.MULTILINE)]
    for problem, count in zip(yaml.safe_load_all(text), counts, strict=True):
        shape, instance = problem["problem"]["shape"], problem["problem"]["instance"]
        used = {term[0] for space in shape["data_spaces"] for axis in space["projection"] for term in axis}
        assert used == set(shape["dimensions"])
        factors = {
            term[1] for space in shape["data_spaces"] for axis in space["projection"] for term in axis[:] if term[1:]
        }
        assert factors == {c["name"] for c in shape["coefficients"]} and factors < instance.keys()
        total += count * prod(instance[d] for d in shape["dimensions"])
    return total


def accelforge_macs(text: str) -> int:
    """As AccelForge 1.0.467 counts: the bounds of an Einsum's loops, by its instances."""
    einsums = yaml.safe_load(text)["workload"]["einsums"]
    names = [einsum["name"] for einsum in einsums]
    assert len(set(names)) == len(names) and all(re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) for name in names)
    taken: set[str] = set()
    total = 0
    for number, einsum in enumerate(einsums):
        bounds = dict(re.fullmatch(r"0 <= (\w+) < (\d+)", one).groups() for one in einsum["iteration_space_shape"])  # type: ignore[union-attr]
        used = {
            name
            for access in einsum["tensor_accesses"]
            for where in access["projection"].values()
            for name in re.findall(r"[a-z]\d+", where)
        }
        assert used == set(bounds) and not used & taken  # its mapper takes a name for one loop in all Einsums
        taken |= used
        tensors = {access["name"]: access for access in einsum["tensor_accesses"]}
        assert set(tensors) == {f"{one}{number}" for one in "IWO"} and tensors[f"O{number}"]["output"]
        total += einsum["n_instances"] * prod(map(int, bounds.values()))
    return total


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        ("scale-sim", scale_sim_macs),
        ("zigzag", zigzag_macs),
        ("timeloop", timeloop_macs),
        ("accelforge", accelforge_macs),
    ],
)
def test_the_count_of_each_format_is_ours(net: tuple[Graph, int], kind: str, count: Any) -> None:
    assert count(costcalc.export(kind, net[0]).text) == net[1]


def _kinds() -> dict[str, Graph]:
    """A layer of each kind that workloads differ in, and its MACs by hand."""
    conv, image = find_op("conv"), TensorType((2, 6, 9, 10))
    made: dict[str, tuple[Any, tuple[TensorType, ...], int]] = {
        "groups": (conv(4, 3, groups=2), (image,), 2 * 7 * 8 * 4 * 9 * 3),
        "depthwise": (conv(6, 3, groups=6, padding=1), (image,), 2 * 9 * 10 * 6 * 9),
        "dilation": (conv(4, 3, dilation=(2, 3)), (image,), 2 * 5 * 4 * 4 * 9 * 6),
        "strides": (conv(4, (3, 2), stride=(2, 3)), (image,), 2 * 4 * 3 * 4 * 6 * 6),
        "one axis": (conv(4, 3, stride=2), (TensorType((2, 6, 9)),), 2 * 4 * 4 * 3 * 6),
        "three axes": (conv(4, (1, 2, 3)), (TensorType((2, 6, 4, 5, 6)),), 2 * 4 * 4 * 4 * 4 * 6 * 6),
        "transposed": (find_op("conv_transpose")(4, 3, stride=2, groups=2), (image,), 2 * 90 * 6 * 9 * 2),
        "tokens": (find_op("linear")(5), (TensorType((2, 7, 6)),), 2 * 7 * 6 * 5),
        "product": (find_op("matmul")(), (TensorType((2, 3, 7, 6)), TensorType((2, 3, 6, 5))), 6 * 7 * 6 * 5),
    }
    graphs = {}
    for name, (op, types, macs) in made.items():
        b = GraphBuilder(name, {f"x{at}": type for at, type in enumerate(types)})
        b.add("layer", op, [f"x{at}" for at in range(len(types))])
        graphs[name] = b.build(["layer"])
        assert costcalc.analyze(graphs[name]).total.macs == macs, name
    return graphs


@pytest.mark.parametrize("count", [scale_sim_macs, zigzag_macs, timeloop_macs, accelforge_macs])
@pytest.mark.parametrize("bits", [None, 8])
def test_each_kind_of_layer_counts_alike_in_each_format(count: Any, bits: int | None) -> None:
    kind = count.__name__.removesuffix("_macs").replace("_", "-")
    for name, graph in _kinds().items():
        written = costcalc.export(kind, graph, bits=bits)
        assert (count(written.text), written.notes) == (costcalc.analyze(graph).total.macs, ()), name


def test_scale_sim_itself_counts_what_we_count(net: tuple[Graph, int], tmp_path: Path) -> None:
    tool = pytest.importorskip("scalesim.topology_utils", reason="SCALE-Sim is not installed")
    (tmp_path / "net.csv").write_text(costcalc.export("scale-sim", net[0]).text)
    read = tool.topologies()
    read.load_arrays(str(tmp_path / "net.csv"))
    read.topo_calc_hyperparams()
    assert sum(entry[2] for entry in read.layers_calculated_hyperparams) == net[1]


def test_parquet_has_the_rows_of_the_csv_with_types(net: tuple[Graph, int]) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    written = costcalc.export("parquet", net[0])
    assert written.text == "" and written.data is not None
    table = parquet.read_table(io.BytesIO(written.data))
    rows = csv.DictReader(io.StringIO(costcalc.export("loops", net[0]).text))
    for typed, row in zip(table.to_pylist(), rows, strict=True):
        assert {name: value if isinstance(value, str) else str(int(value)) for name, value in typed.items()} == row
    assert sum(row["count"] * row["macs"] for row in table.to_pylist()) == net[1]
    kinds = {name: str(table.schema.field(name).type) for name in ("layer", "macs", "weight")}
    assert kinds == {"layer": "string", "macs": "int64", "weight": "bool"}
    assert table.schema.metadata[b"model"].decode() == net[0].name


def test_numbers_of_parquet_are_exact_however_large() -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    for bits, type in ((10, "int64"), (35, "decimal128(32, 0)"), (50, "decimal256(46, 0)")):
        b = GraphBuilder("big", {"x": TensorType((1, 1 << bits, 1 << bits))})
        b.add("half \udc80", find_op("linear")((1 << bits) - 1), ["x"])
        data = costcalc.export("parquet", b.build(["half \udc80"])).data
        assert data is not None
        table = parquet.read_table(io.BytesIO(data))
        assert int(table["macs"][0].as_py()) == (1 << 2 * bits) * ((1 << bits) - 1)
        assert str(table.schema.field("macs").type) == type and table["layer"][0].as_py() == "half ?"
    b = GraphBuilder("huge", {"x": TensorType((1, 1 << 90, 1 << 90))})
    b.add("fc", find_op("linear")(1 << 90), ["x"])
    with pytest.raises(CostcalcError, match="macs has 82 digits, and Parquet has numbers of at most 76"):
        costcalc.export("parquet", b.build(["fc"]))


def _strange() -> Graph:
    b = GraphBuilder("strange", {"image": TensorType((2, 4, 9, 8))})
    value = "image"
    for number, name in enumerate(HOSTILE):
        (value,) = b.add(
            b.free_name(name), find_op("conv")(4, (3, 1), stride=(2, 1), padding=(1, 0), groups=1 + number % 2), [value]
        )
    return b.build([value])


def test_names_stay_names() -> None:
    graph = _strange()
    names = [node.name for node in graph.nodes]
    rows = list(csv.reader(io.StringIO(costcalc.export("loops", graph).text, newline="")))
    assert len({len(row) for row in rows}) == 1
    assert [layer["name"] for layer in yaml.safe_load(costcalc.export("zigzag", graph).text)] == names
    problems = list(yaml.safe_load_all(costcalc.export("timeloop", graph).text))
    assert {p["problem"]["shape"]["name"] for p in problems} <= set(names)
    assert accelforge_macs(costcalc.export("accelforge", graph).text) == costcalc.analyze(graph).total.macs
    text = costcalc.export("scale-sim", graph).text
    assert scale_sim_macs(text) == costcalc.analyze(graph).total.macs
    words = [line.split(",")[0] for line in text.splitlines()[1:]]
    assert len(set(words)) == len(names) and all(re.fullmatch(r"[\w.-]+", word, re.ASCII) for word in words)


def test_bits_are_those_of_the_file_or_as_asked() -> None:
    (row,) = csv.DictReader(io.StringIO(costcalc.export("loops", "lenet5", layer="c1").text))
    assert (row["input_bits"], row["weight_bits"], row["output_bits"]) == ("32", "32", "32")
    (row,) = csv.DictReader(io.StringIO(costcalc.export("loops", "lenet5", layer="c1", bits=8).text))
    assert (row["input_bits"], row["weight_bits"], row["output_bits"]) == ("8", "8", "8")


def test_zigzag_follows_layers_without_loops() -> None:
    b = GraphBuilder("skip", {"x": TensorType((1, 4, 8, 8))})
    conv, relu, add = find_op("conv"), find_op("relu"), find_op("add")
    b.add("a", conv(4, 1), ["x"])
    b.add("r", relu(), ["a"])
    b.add("b", conv(4, 1), ["r"])
    b.add("s", add(), ["b", "x"])
    b.add("c", conv(4, 1), ["s"])
    b.add("q", find_op("matmul")(), ["c", "a"])
    layers = yaml.safe_load(costcalc.export("zigzag", b.build(["q"])).text)
    assert [layer["operand_source"] for layer in layers] == [
        {"I": 0, "W": 0}, {"I": 0, "W": 1}, {"I": 1, "W": 2}, {"I": 2, "W": 0},
    ]  # fmt: skip


def test_what_is_no_nest_is_said() -> None:
    b = GraphBuilder("two", {"a": TensorType((3, 4)), "b": TensorType((3, 5))})
    b.add("mix", find_op("bilinear")(2), ["a", "b"])
    written = costcalc.export("loops", b.build(["mix"]))
    assert written.notes == ("left out: mix, 150 MACs: bilinear is not a nest of loops",)
    assert len(written.text.splitlines()) == 1


def test_the_page_tells_what_the_formats_count() -> None:
    page = (Path(__file__).parents[2] / "docs" / "viewers.md").read_text(encoding="utf-8")
    table = page.split("| --- | --: | --: | --: | --: | --: |\n")[1].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    assert [row[0] for row in rows] == list(MODELS)
    for name, *counts in rows:
        macs = costcalc.analyze(name).total.macs
        assert [int(count.replace(",", "")) for count in counts] == [macs] * 5


def test_what_the_page_says_in_python_runs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "viewers.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        exec(block, {})
