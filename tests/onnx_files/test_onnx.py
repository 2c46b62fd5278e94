"""ONNX files: what small ones cost, worked out by hand."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from costcalc import analyze, load
from costcalc.analysis.sizes import sizes
from costcalc.errors import CostcalcError
from costcalc.frontends.onnx.rules import OPERATORS, rule_of
from tests.onnx_files.onnx_writer import (
    BOOL,
    FLOAT,
    INT8,
    INT32,
    INT64,
    UINT8,
    Graph,
    Ref,
    function,
    ints,
    node,
    saved,
    scalar,
    tensor,
    value,
)

GOLDEN = Path(__file__).parents[2] / ".." / ".." / "shared" / "golden" / "onnx"


def net(path: Path, nodes: list[bytes], x: list, tensors: list[bytes] = [], out: str = "y", **more: object) -> str:  # type: ignore[type-arg]  # noqa: B006
    kind = more.pop("kind", FLOAT)
    declared = more.pop("declared", [])
    graph = Graph(nodes, [value("x", x, kind)], [value(out, None)], tensors, declared)  # type: ignore[arg-type]
    return saved(path / "net.onnx", graph, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "macs"),
    [("alexnet", 654_560_384), ("mobilenetv2", 300_774_272), ("resnet18", 1_814_073_344)],
)
def test_published_networks(name: str, macs: int) -> None:
    """The numbers are those of ``golden/README.md`` beside the files."""
    file = GOLDEN / f"{name}.onnx"
    if not file.exists():
        pytest.skip("the files are not here")
    assert analyze(str(file)).total.macs == macs


def test_small_published_networks() -> None:
    """By hand: three products of 128×512 by 512×64, scores and mixing of 128×128 by 64; a gate of three matrices."""
    if not GOLDEN.exists():
        pytest.skip("the files are not here")
    assert analyze(str(GOLDEN / "attention_head.onnx")).total.macs == 3 * 128 * 512 * 64 + 2 * 128 * 128 * 64
    assert analyze(str(GOLDEN / "swiglu_64_128_256.onnx")).total.macs == 3 * 64 * 128 * 256
    # 56 filters of 5×5, 12 over them, four times 12 over 12 by 3×3, 56 over 12, 16 over 56 by 3×3.
    taps = 56 * 25 + 12 * 56 + 4 * 12 * 12 * 9 + 56 * 12 + 16 * 56 * 9
    assert analyze(str(GOLDEN / "fsrcnn.onnx")).total.macs == 960 * 540 * taps


def test_a_convolution_and_a_linear_layer(tmp_path: Path) -> None:
    nodes = [
        node("Conv", ["x", "c.weight", "c.bias"], ["a"], name="/c/Conv", pads=[1, 1, 1, 1], strides=[2, 2]),
        node("Relu", ["a"], ["b"], name="/act/Relu"),
        node("GlobalAveragePool", ["b"], ["d"], name="/pool/GlobalAveragePool"),
        node("Flatten", ["d"], ["e"], name="/Flatten"),
        node("Gemm", ["e", "fc.weight", "fc.bias"], ["y"], name="/fc/Gemm", transB=1),
    ]
    tensors = [tensor("c.weight", [8, 3, 3, 3]), tensor("c.bias", [8]), tensor("fc.weight", [10, 8])]
    file = net(tmp_path, nodes, ["batch", 3, 32, 32], [*tensors, tensor("fc.bias", [10])])
    report = analyze(file, parameters={"batch": 4})
    assert [layer.name for layer in report.layers] == ["c", "act", "pool", "flatten", "fc"]
    assert report.total.macs == 4 * (8 * 27 * 16 * 16 + 80)
    assert report.total.params == 8 * 27 + 8 + 80 + 10
    assert report.outputs == {"fc": (4, 10)}
    assert analyze(file).total.macs * 4 == report.total.macs  # a batch is 1 unless somebody says another
    assert analyze(file, batch=4).total.macs == report.total.macs


def test_padding_that_is_the_same_for_all_axes_but_not_for_both_ends(tmp_path: Path) -> None:
    nodes = [node("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1])]
    assert load(net(tmp_path, nodes, [1, 4, 12, 12])).types["max_pool"].shape == (1, 4, 6, 6)


@pytest.mark.parametrize("opset", [11, 22])
def test_a_last_window_of_ceil_mode_that_begins_outside_is_dropped(tmp_path: Path, opset: int) -> None:
    """As ONNX Runtime runs it, whatever the opset; the file's own shape is said to differ."""
    nodes = [node("MaxPool", ["x"], ["y"], kernel_shape=[2], strides=[2], pads=[1, 1], ceil_mode=1)]
    graph = load(net(tmp_path, nodes, [1, 1, 5], opset=opset, declared=[value("y", [1, 1, 4])]))
    assert graph.types["max_pool"].shape == (1, 1, 3)
    assert graph.assumed == ("the file's own shapes differ from those that are made: y is 1×1×3, not 1×1×4",)


def test_sizes_by_scales_are_products_of_float32(tmp_path: Path) -> None:
    nodes = [node("Resize", ["x", "", "scales"], ["y"], mode="nearest")]
    scales = tensor("scales", [3], [1.0, 1.0, 1.4])
    assert load(net(tmp_path, nodes, [1, 1, 5], [scales])).types["upsample"].shape == (1, 1, 7)


def test_uneven_split_is_cut_as_when_it_is_run(tmp_path: Path) -> None:
    nodes = [node("Split", ["x"], ["a", "b", "y"], num_outputs=3, axis=0)]
    assert [
        load(net(tmp_path, nodes, [4], out=out)).types[t].shape for out, t in (("y", "constant"), ("a", "split.0"))
    ] == [(0,), (2,)]


def test_a_product_and_its_bias_are_one_layer(tmp_path: Path) -> None:
    nodes = [node("MatMul", ["x", "w"], ["a"], name="/fc/MatMul"), node("Add", ["b", "a"], ["y"], name="/fc/Add")]
    graph = load(net(tmp_path, nodes, [2, 7, 3], [tensor("w", [3, 5]), tensor("b", [5])]))
    assert [(n.name, repr(n.op)) for n in graph.nodes] == [("fc", "linear(5)")]
    assert dict(graph.nodes[0].called) == {"weight": "w", "bias": "b"}


def test_shapes_are_worked_out_and_are_no_layers(tmp_path: Path) -> None:
    nodes = [
        node("Shape", ["x"], ["s"]), node("Gather", ["s", "zero"], ["n"]), node("Unsqueeze", ["n", "axes"], ["n1"]),
        node("Concat", ["n1", "rest"], ["to"], axis=0), node("Reshape", ["x", "to"], ["y"]),
    ]  # fmt: skip
    tensors = [scalar("zero", 0), ints("axes", 0), ints("rest", -1)]
    graph = load(net(tmp_path, nodes, ["n", 3, 4, 5], tensors), batch=6)
    assert [(n.name, graph.types[n.name].shape) for n in graph.nodes] == [("reshape", (6, 60))]


def test_element_types_are_as_they_are_stored(tmp_path: Path) -> None:
    """Eight-bit weights, a bias of 32 bits, and what quantises them beside."""
    inputs = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"]
    nodes = [node("QLinearConv", inputs, ["y"], name="/c/QLinearConv")]
    tensors = [
        scalar("xs", 0.1, FLOAT), scalar("xz", 0, UINT8), tensor("w", [8, 3, 3, 3], None, INT8),
        tensor("ws", [8]), tensor("wz", [8], [0] * 8, INT8), scalar("ys", 0.1, FLOAT), scalar("yz", 0, UINT8),
        tensor("b", [8], None, INT32),
    ]  # fmt: skip
    graph = load(net(tmp_path, nodes, [1, 3, 8, 8], tensors, kind=UINT8))
    conv = graph.node("c")
    held = conv.stored(conv.op.weights(*graph.input_types(conv)))
    assert {k: (v.type.dtype, v.type.bits()) for k, v in held.items()} == {
        "weight": ("int8", 1728),
        "bias": ("int32", 256),
    }
    report = analyze(graph)
    assert report.total.macs == 8 * 27 * 36 and report.total.params == 216 + 8
    assert report.layers[0].amounts["weights"] == 1728 + 256


def test_weights_in_few_bits(tmp_path: Path) -> None:
    nodes = [node("MatMulNBits", ["x", "q", "s"], ["y"], domain="com.microsoft", K=64, N=48, bits=4, block_size=32)]
    tensors = [tensor("q", [48, 2, 16], None, UINT8), tensor("s", [96])]
    report = analyze(net(tmp_path, nodes, [2, 64], tensors, com__microsoft=1))
    assert report.total.macs == 2 * 64 * 48
    assert report.layers[0].amounts["weights"] == 64 * 48 * 4


def test_a_weight_that_is_dequantised_belongs_to_its_layer_as_it_is_stored(tmp_path: Path) -> None:
    nodes = [node("DequantizeLinear", ["w", "s"], ["f"], axis=1), node("MatMul", ["x", "f"], ["y"])]
    report = analyze(net(tmp_path, nodes, [2, 64], [tensor("w", [64, 48], None, INT8), tensor("s", [48])]))
    assert [layer.op for layer in report.layers] == ["linear", "parameter"]
    assert report.layers[0].amounts["weights"] == 64 * 48 * 8
    assert report.total.params == 64 * 48


def test_functions_with_overloads_and_attributes(tmp_path: Path) -> None:
    small = function("Act", ["a"], ["b"], [node("LeakyRelu", ["a"], ["b"], alpha=Ref("slope"))], attributes=["slope"])
    large = function("Act", ["a"], ["b"], [node("Sigmoid", ["a"], ["s"]), node("Mul", ["a", "s"], ["b"])], overload="2")
    nodes = [
        node("Act", ["x"], ["m"], name="first", domain="own", slope=0.25),
        node("Act", ["m"], ["y"], name="second", domain="own", overload="2"),
    ]
    graph = load(net(tmp_path, nodes, [2, 3], functions=[small, large], own=1))
    assert [(n.name, repr(n.op)) for n in graph.nodes] == [
        ("first", "leaky_relu(slope=0.25)"), ("second.sigmoid", "sigmoid()"), ("second.multiply", "multiply()"),
    ]  # fmt: skip


def test_a_loop_turns_as_often_as_is_said(tmp_path: Path) -> None:
    body = Graph(
        [node("MatMul", ["h", "w"], ["out"]), node("Identity", ["go"], ["on"]), node("Identity", ["out"], ["row"])],
        [value("i", [], INT64), value("go", [], BOOL), value("h", [2, 4])],
        [value("on", [], BOOL), value("out", [2, 4]), value("row", [2, 4])],
    )
    nodes = [node("Loop", ["n", "", "x"], ["h", "y"], body=body)]
    file = net(tmp_path, nodes, [2, 4], [tensor("w", [4, 4]), scalar("n", 5)])
    report = analyze(file)
    assert report.total.macs == 5 * 2 * 16 and report.total.params == 16
    assert report.outputs["concat"] == (5, 2, 4)
    graph = Graph(nodes, [value("x", [2, 4]), value("n", [], INT64)], [value("y", None)], [tensor("w", [4, 4])])
    asked = saved(tmp_path / "asked.onnx", graph)
    assert analyze(asked, parameters={"trips": 7}).total.macs == 7 * 2 * 16
    (size,) = analyze(asked).sizes
    assert (size.name, size.size, size.given, size.bounds) == ("trips", 1, False, False)
    assert size.layers == ("loop.0", "unsqueeze") and analyze(asked).unset == (size,)


def test_a_scan_goes_along_an_axis(tmp_path: Path) -> None:
    body = Graph(
        [node("Add", ["s", "e"], ["t"]), node("MatMul", ["t", "w"], ["o"])],
        [value("s", [4]), value("e", [4])], [value("t", [4]), value("o", [3])],
    )  # fmt: skip
    nodes = [node("Scan", ["s0", "x"], ["last", "y"], body=body, num_scan_inputs=1)]
    report = analyze(net(tmp_path, nodes, [6, 4], [tensor("s0", [4]), tensor("w", [4, 3])]))
    assert report.total.macs == 6 * 12 and report.outputs["concat"] == (6, 3)


def test_of_two_branches_the_dearer_is_counted_and_said(tmp_path: Path) -> None:
    dear = Graph([node("MatMul", ["x", "w"], ["a"])], [], [value("a", [2, 4])])
    cheap = Graph([node("Relu", ["x"], ["b"])], [], [value("b", [2, 4])])
    nodes = [node("If", ["c"], ["y"], then_branch=cheap, else_branch=dear)]
    graph = Graph(nodes, [value("x", [2, 4]), value("c", [], BOOL)], [value("y", None)], [tensor("w", [4, 4])])
    file = saved(tmp_path / "net.onnx", graph)
    report = analyze(file)
    assert report.total.macs == 32 and report.assumptions[0].startswith("branch=0: of an If the else branch is counted")
    assert report.mark("macs") == report.mark("ops") == "≈" and not report.is_complete
    assert sizes(report) == [
        "branch = 0, of at most 1: the branch that an If takes, 0 for else and 1 for then; decides 1 layer, linear",
        "totals with ≈ are no bounds while 1 size that values decide is not set: --set branch=NUMBER",
    ]
    told = analyze(file, parameters={"branch": 1})
    assert told.total.macs == 0 and told.mark("ops") == "" and told.is_complete


def test_what_nobody_reads_of_distinct_elements_is_no_layer(tmp_path: Path) -> None:
    nodes = [node("Unique", ["x"], ["y", "", "which"])]
    sizes = [graph.types[n.name].shape for graph in [load(net(tmp_path, nodes, [12]))] for n in graph.nodes[-2:]]
    assert sizes == [(12,), (12,)]
    nodes = [node("Unique", ["x"], ["y"])]
    assert [n.op.name for n in load(net(tmp_path, nodes, [12])).nodes] == ["sort", "gather"]


def test_open_sizes_stay_in_formulas_by_the_names_of_the_file(tmp_path: Path) -> None:
    from costcalc.analysis.find_symbols import find_symbols
    from costcalc.analysis.formula import formulas

    nodes = [node("Conv", ["x", "w"], ["y"], strides=[2, 2], pads=[1, 1, 1, 1])]
    file = net(tmp_path, nodes, ["batch", 3, "rows", "2*cols"], [tensor("w", [8, 3, 3, 3])])
    sizes = {"rows": 32, "cols": 20}
    opened = find_symbols(load(file, parameters=sizes))
    graph = load(file, parameters=sizes, symbols=opened)
    macs = next(one.total for one in formulas(graph) if one.figure.name == "macs")
    assert str(macs) == "216·batch·cols·⌊(rows + 1)/2⌋"


def test_a_size_that_nobody_has_said_is_asked_for(tmp_path: Path) -> None:
    file = net(tmp_path, [node("Relu", ["x"], ["y"])], ["batch", 3, "height", "width"])
    with pytest.raises(CostcalcError, match=r"leaves open height, width; say what they are: --set height=… "):
        load(file)
    with pytest.raises(CostcalcError, match="no size 'heigt' open"):
        load(file, parameters={"heigt": 3, "height": 4, "width": 4})
    assert load(file, input=(3, 8, 9)).types["relu"].shape == (1, 3, 8, 9)


def test_operators_of_other_domains_are_named_as_uncounted(tmp_path: Path) -> None:
    nodes = [node("Foo", ["x"], ["m"], domain="com.example"), node("Relu", ["m"], ["y"])]
    report = analyze(net(tmp_path, nodes, [2, 3], declared=[value("m", [2, 5])], com__example=1))
    assert [layer.kind for layer in report.layers if not layer.counted] == ["com.example::Foo"]
    with pytest.raises(
        CostcalcError, match=r"com\.example\.Foo that makes 'm': it has no rule, and the file does not say"
    ):
        load(net(tmp_path, nodes, [2, 3], com__example=1))


def test_the_table_of_operators_says_what_the_modules_have() -> None:
    for (domain, operator), module in OPERATORS.items():
        assert rule_of(domain, operator) is not None, (domain, operator)
        rules = import_module(f"costcalc.frontends.onnx.rules.{module}").RULES
        assert (domain, operator) in rules or operator in rules
    listed: dict[str, set[str]] = {}
    for (_, operator), module in OPERATORS.items():
        listed.setdefault(module, set()).add(operator)
    for module, operators in listed.items():
        rules = import_module(f"costcalc.frontends.onnx.rules.{module}").RULES
        assert {key[1] if isinstance(key, tuple) else key for key in rules} == operators, module


def test_a_constant_of_a_node_is_known_like_one_of_the_file(tmp_path: Path) -> None:
    """The older exporter writes shapes and scales as nodes; no operator stands for its own class of ours."""
    nodes = [
        node("Constant", [], ["shape"], value=ints("", 2, 6)),
        node("Constant", [], ["w"], value=tensor("", [6, 5], [0.5] * 30)),
        node("Reshape", ["x", "shape"], ["r"]),
        node("MatMul", ["r", "w"], ["y"]),
    ]
    found = analyze(net(tmp_path, nodes, [2, 2, 3]))
    assert (found.total.macs, found.total.params) == (2 * 6 * 5, 30)
    assert found.is_complete and found.layers[-1].output_shapes == ((2, 5),)
