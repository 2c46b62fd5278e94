"""ONNX files that are damaged, endless or made to hurt get a sentence."""

from __future__ import annotations

import os
import random
import re
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from costcalc import load
from costcalc.errors import CostcalcError
from tests.onnx_files.onnx_writer import (
    BOOL,
    INT64,
    Graph,
    Ref,
    function,
    held,
    ints,
    model,
    node,
    number,
    scalar,
    tensor,
    value,
    varint,
)


def turning(operator: str) -> Graph:
    """The body of a loop that carries one value through ``operator``."""
    nodes = [node(operator, ["h"], ["o"]), node("Identity", ["c"], ["e"])]
    given = [value("i", [], INT64), value("c", [], BOOL), value("h", None)]
    return Graph(nodes, given, [value("e", [], BOOL), value("o", None)])


SMALL = model(
    Graph(
        [
            node("Conv", ["x", "w"], ["a"], name="/c/Conv", pads=[1, 1, 1, 1]),
            node("Shape", ["a"], ["s"]), node("Reshape", ["a", "to"], ["b"]),
            node("Act", ["b"], ["d"], domain="own", slope=0.5),
            node("Loop", ["n", "", "d"], ["y"], body=turning("Identity")),
        ],
        [value("x", ["n", 3, 8, 8])], [value("y", None)],
        [tensor("w", [4, 3, 3, 3]), ints("to", 0, -1), scalar("n", 3)], [value("a", [1, 4, 8, 8])],
    ),
    [function("Act", ["p"], ["q"], [node("LeakyRelu", ["p"], ["q"], alpha=Ref("slope"))], attributes=["slope"])],
    own=1,
)  # fmt: skip


def read(path: Path, data: bytes) -> str:
    """What is said of a file; "" if nothing is wrong with it."""
    file = path / "net.onnx"
    file.write_bytes(data)
    try:
        load(file)
    except CostcalcError as error:
        assert "please report" not in error.message, error.message
        return error.message
    return ""


def test_a_file_that_is_cut_off_anywhere(tmp_path: Path) -> None:
    assert read(tmp_path, SMALL) == ""
    assert all(read(tmp_path, SMALL[:end]) for end in range(len(SMALL) - 30))


def test_bytes_that_are_others(tmp_path: Path) -> None:
    chance = random.Random(1)
    for _ in range(1500):
        data = bytearray(SMALL)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        read(tmp_path, bytes(data))


def test_what_is_no_such_file(tmp_path: Path) -> None:
    for data in (b"", b"\x00", b"PK\x03\x04", b"hello, world", bytes(1000), b"\xff" * 50):
        assert read(tmp_path, data)
    folder = tmp_path / "folder.onnx"
    folder.mkdir()
    with pytest.raises(CostcalcError, match=r"folder\.onnx"):
        load(folder)
    with pytest.raises(CostcalcError, match=r"none\.onnx: there is no such file"):
        load(tmp_path / "none.onnx")


def chain(*nodes: bytes, out: str = "y", x: Any = (2, 3), tensors: Any = (), functions: Any = ()) -> bytes:
    return model(Graph(nodes, [value("x", list(x))], [value(out, None)], tensors), functions, own=1)


@pytest.mark.parametrize(
    ("says", "data"),
    [
        ("stand in a circle", chain(
            node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"]), node("Relu", ["b"], ["y"]))),
        ("nothing makes 'gone'", chain(node("Relu", ["gone"], ["y"]))),
        ("the function F is made of itself", chain(node("F", ["x"], ["y"], domain="own"), functions=[
            function("F", ["a"], ["b"], [node("F", ["a"], ["b"], domain="own")])])),
        ("a size below 0", chain(node("MatMul", ["x", "w"], ["y"]), tensors=[tensor("w", [3, -4])])),
        ("unknown element type", chain(node("MatMul", ["x", "w"], ["y"]), tensors=[tensor("w", [3, 4], None, 99)])),
        ("no axis 7", chain(node("Concat", ["x", "x"], ["y"], axis=7))),
        ("6 elements do not fit into 7×-1", chain(node("Reshape", ["x", "s"], ["y"]), tensors=[ints("s", 7, -1)])),
        ("attributes or inputs do not fit", chain(node("Transpose", ["x"], ["y"], perm=3))),
        ("needs an input 2", chain(node("MatMul", ["x"], ["y"]))),
        ("has no output", chain(node("Relu", ["x"], ["y", "z"]), node("Relu", ["z"], ["q"]), out="q")),
        ("runs 2,000,000,000 times|more than 100,000 nodes", chain(
            node("Loop", ["n", "", "x"], ["y"], body=turning("Relu")), tensors=[scalar("n", 2_000_000_000)])),
        ("nothing can be counted", model(
            Graph([node("Relu", ["x"], ["y"])], [value("x", None)], [value("y", None)]))),
    ],
)  # fmt: skip
def test_graphs_that_do_not_hold_together(tmp_path: Path, says: str, data: bytes) -> None:
    assert re.search(says, said := read(tmp_path, data)), said
    assert "net.onnx" in said


def test_functions_that_grow_at_each_step_are_stopped(tmp_path: Path) -> None:
    def twice(inner: str) -> list[bytes]:
        return [node(inner, ["a"], ["b"], domain="own"), node(inner, ["b"], ["c"], domain="own")]

    doubling = [function(f"F{i}", ["a"], ["c"], twice(f"F{i + 1}")) for i in range(40)]
    last = function("F40", ["a"], ["b"], [node("Relu", ["a"], ["b"])])
    said = read(tmp_path, chain(node("F0", ["x"], ["y"], domain="own"), functions=[*doubling, last]))
    assert "more than 100,000 nodes" in said


def test_branches_in_branches_are_not_weighed_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is weighed once for every branch around it, and once more when it is counted: 2²⁵ times."""
    monkeypatch.setattr("costcalc.frontends.onnx.build.MOST_WEIGHED", 20_000)
    inner = leaf = Graph([node("Relu", ["x"], ["o"])], [], [value("o", [2, 3])])
    for _ in range(24):
        inner = Graph([node("If", ["c"], ["o"], then_branch=inner, else_branch=leaf)], [], [value("o", [2, 3])])
    nodes = [node("If", ["c"], ["y"], then_branch=inner, else_branch=leaf)]
    data = model(Graph(nodes, [value("x", [2, 3]), value("c", [], BOOL)], [value("y", None)]))
    assert "to weigh its branches takes more than 20,000 nodes" in read(tmp_path, data)


def test_many_nodes_of_one_name_are_numbered_at_once(tmp_path: Path) -> None:
    """To try all numbers for each would take 200 million steps."""
    nodes = [node("Relu", [f"v{i}" if i else "x"], [f"v{i + 1}"]) for i in range(20_000)]
    assert read(tmp_path, chain(*nodes, out="v20000")) == ""
    assert load(tmp_path / "net.onnx").nodes[-1].name == "relu_19999"


def test_a_million_nodes_are_too_many(tmp_path: Path) -> None:
    nodes = [node("Relu", ["x"], ["y"])] * 100_001
    assert "more than 100,000 nodes" in read(tmp_path, chain(*nodes))


def test_sizes_may_be_huge(tmp_path: Path) -> None:
    """Nothing of that size is made, only counted."""
    data = chain(
        node("ConstantOfShape", ["s"], ["c"]), node("Tile", ["c", "t"], ["d"]), node("Expand", ["d", "e"], ["f"]),
        node("Add", ["f", "x"], ["y"]),
        x=(10**9, 10**9), tensors=[ints("s", 10**9, 1), ints("t", 1, 10**9), ints("e", 1)],
    )  # fmt: skip
    assert read(tmp_path, data) == ""


def test_names_that_cannot_be_seen(tmp_path: Path) -> None:
    data = chain(
        node("MatMul", ["x", "w\x1b[31m"], ["a"], name="mal\x1b[2Jicious"),
        node("Relu", ["a"], ["y"], name="\r\n::error::"),
        tensors=[tensor("w\x1b[31m", [3, 4])],
    )  # fmt: skip
    assert read(tmp_path, data) == ""
    graph = load(tmp_path / "net.onnx")
    assert [n.name for n in graph.nodes] == ["mal_[2Jicious", "_::error::"]
    assert dict(graph.nodes[0].called) == {"weight": "w_[31m"}


def test_tensors_that_lie_about_their_size(tmp_path: Path) -> None:
    huge = number(1, 2**62) * 3 + number(2, INT64) + held(8, "w") + held(9, b"1234")
    assert "Reshape" in read(tmp_path, chain(node("Reshape", ["x", "w"], ["y"]), tensors=[huge]))


def test_weights_of_2_gb_take_no_memory(tmp_path: Path) -> None:
    rows = 2**19
    weight = tensor("w", [3, rows // 3], None).split(number(14, 1))[0] + varint(9 << 3 | 2) + varint(4 * 2**29)
    graph = Graph([node("MatMul", ["x", "w"], ["y"])], [value("x", [2, 3])], [value("y", None)]).data
    graph += varint(5 << 3 | 2) + varint(len(weight) + 2**31) + weight
    data = held(8, held(1, "") + number(2, 18)) + varint(7 << 3 | 2) + varint(len(graph) + 2**31) + graph
    file = tmp_path / "net.onnx"
    file.write_bytes(data)
    os.truncate(file, len(data) + 2**31)
    tracemalloc.start()
    try:
        assert load(file).types["linear"].shape == (2, rows // 3)
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def test_external_data_is_not_looked_at(tmp_path: Path) -> None:
    outside = number(1, 2) + number(2, INT64) + held(8, "s") + number(14, 1)
    outside += held(13, held(1, "location") + held(2, "../../etc/passwd"))
    said = read(tmp_path, chain(node("Reshape", ["x", "s"], ["y"]), tensors=[outside]))
    assert "the shape is not in the file" in said


@pytest.mark.parametrize(
    ("says", "data"),
    [
        ("Split makes 1000000000 parts", chain(node("Split", ["x"], ["y"], num_outputs=10**9), x=(10**9, 3))),
        ("cuts 1,000,000,000 places into parts of 1", chain(
            node("SplitToSequence", ["x", "s"], ["q"]), node("SequenceAt", ["q", "i"], ["y"]),
            x=(10**9,), tensors=[scalar("s", 1), scalar("i", 0)])),
        ("", chain(node("Slice", ["x", "a", "b", "c", "d"], ["y"]), x=(10**9,), tensors=[
            ints("a", 10**9 - 2), ints("b", -(2**62)), ints("c", 0), ints("d", -1)])),
        ("a scan runs 90,000 times", chain(node("Scan", ["x"], ["y"], num_scan_inputs=1, body=Graph(
            [node("Relu", ["e"], ["o"])], [value("e", [3])], [value("o", [3])])), x=(90_000, 3))),
    ],
)  # fmt: skip
def test_parts_and_turns_are_bounded(tmp_path: Path, says: str, data: bytes) -> None:
    said = read(tmp_path, data)
    assert says in said if says else said == ""


def test_a_stored_tensor_that_is_a_result_is_made(tmp_path: Path) -> None:
    scaled = node("DequantizeLinear", ["w", "s"], ["y"])
    given = [value("x", [1])], [value("y", None)], [tensor("w", [4]), tensor("s", [], [0.5])]
    path = tmp_path / "net.onnx"
    path.write_bytes(model(Graph([scaled], *given)))
    assert [n.op.name for n in load(path).nodes if n.outputs == load(path).outputs] == ["elementwise"]


def test_an_open_batch_beside_a_scalar_has_a_closed_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from costcalc.cli import dispatch

    path = tmp_path / "net.onnx"
    added = node("Add", ["x", "one"], ["y"])
    path.write_bytes(model(Graph([added], [value("x", ["n", 3]), value("one", [])], [value("y", None)])))
    assert dispatch.outcome(["formula", str(path)]) == 0
    assert "192·n" in capsys.readouterr().out  # three of x and of y each, 32 bits
