"""StableHLO's operators in TFLite files, what values decide, and that each builtin operator has a rule or a reason.

Work is told by hand from what each operator is defined to compute (the StableHLO specification); what LiteRT runs of
them is held to its runs in ``test_against_litert.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from costcalc.analysis.report import report
from costcalc.cli import dispatch
from costcalc.errors import CostcalcError
from costcalc.frontends.tflite.operators import BUILTIN, NO_RULE
from costcalc.frontends.tflite.rules import rule_of
from tests.tflite.random_newer import body
from tests.tflite.writing_tflite import File, Open


def test_every_builtin_operator_has_a_rule_or_a_reason() -> None:
    # 0 to 209, as in the schema that ai-edge-litert 2.3.0 brings, whose last one is STABLEHLO_CASE.
    assert len(BUILTIN) == 210 and BUILTIN[209] == "STABLEHLO_CASE" and BUILTIN[150] == "GELU"
    told_apart = {"CUSTOM", "STABLEHLO_COMPOSITE"}  # by its own name, and written out
    without = [name for name in BUILTIN if rule_of(name) is None and name not in {*NO_RULE} | told_apart]
    assert not without
    assert not [name for name in NO_RULE if rule_of(name) is not None or name not in BUILTIN]


def test_an_operator_without_a_rule_says_why(opened: Open) -> None:
    f = File()
    x, y = f.tensor("x", 2, 3), f.tensor("y", 2, 3)
    f.operator("STABLEHLO_CUSTOM_CALL", [x], [y])
    graph = opened(f, [x], [y])
    assert not report(graph).is_complete
    assert any("it calls code that is not in the file" in note for note in graph.assumed)


def _convolution(f: File, x: int, w: int, y: int, **options: Any) -> None:
    """By the numbers of the schema; places in the middle unless ``order`` says others (input, kernel, output)."""
    order = options.get("order", ((0, 3, (1, 2)), (2, 3, (0, 1)), (0, 3, (1, 2))))
    (batch, feature, places), (into, out, taps), (made_batch, made_feature, made_places) = order
    fields: dict[int, tuple[str, Any]] = {
        0: ("longs", options.get("step", (1, 1))), 1: ("longs", options.get("padding", (0,) * 4)),
        2: ("longs", options.get("stretched", (1, 1))), 3: ("longs", options.get("dilation", (1, 1))),
        5: ("long", batch), 6: ("long", feature), 7: ("longs", places), 8: ("long", into), 9: ("long", out),
        10: ("longs", taps), 11: ("long", made_batch), 12: ("long", made_feature), 13: ("longs", made_places),
        14: ("long", options.get("groups", 1)), 15: ("long", options.get("batches", 1)),
    }  # fmt: skip
    f.operator("STABLEHLO_CONVOLUTION", [x, w], [y], fields)


CONVOLUTIONS: dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], dict[str, Any], int]] = {
    # input, kernel, output, options, MACs: outputs times taps times channels that each sees
    "as it lies": ((2, 9, 7, 6), (3, 2, 6, 4), (2, 7, 6, 4), {}, 2 * 7 * 6 * 4 * (3 * 2 * 6)),
    "strides and padding": (
        (1, 9, 7, 6), (3, 3, 6, 4), (1, 5, 4, 4), {"step": (2, 2), "padding": (1, 1, 1, 1)}, 5 * 4 * 4 * (9 * 6),
    ),
    "dilated": ((1, 9, 7, 2), (3, 3, 2, 4), (1, 5, 3, 4), {"dilation": (2, 2)}, 5 * 3 * 4 * (9 * 2)),
    "cropped": ((1, 9, 7, 2), (3, 3, 2, 4), (1, 6, 3, 4), {"padding": (-1, 0, -1, -1)}, 6 * 3 * 4 * (9 * 2)),
    "groups": ((1, 9, 7, 6), (3, 3, 2, 9), (1, 7, 5, 9), {"groups": 3}, 7 * 5 * 9 * (9 * 2)),
    "channels first": (
        (2, 6, 9, 7), (4, 6, 3, 2), (2, 4, 7, 6), {"order": ((0, 1, (2, 3)), (1, 0, (2, 3)), (0, 1, (2, 3)))},
        2 * 4 * 7 * 6 * (6 * 3 * 2),
    ),
    # Each of 2 groups of the batch with 4 of the 8 filters.
    "groups of the batch": ((6, 9, 7, 5), (3, 3, 5, 8), (3, 7, 5, 8), {"batches": 2}, 3 * 7 * 5 * 8 * (9 * 5)),
    # Stretched: what lands from each input, places that were drawn in do nothing. Padding 2 is none of the transpose's.
    "transposed": (
        (1, 4, 5, 6), (3, 3, 6, 2), (1, 9, 11, 2), {"stretched": (2, 2), "padding": (2, 2, 2, 2)}, 4 * 5 * 6 * (9 * 2),
    ),
    "transposed, cropped": (
        (1, 4, 5, 6), (3, 3, 6, 2), (1, 8, 10, 2), {"stretched": (2, 2), "padding": (1, 2, 1, 2)}, 4 * 5 * 6 * (9 * 2),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize("is_constant", [True, False])
def test_convolutions(opened: Open, name: str, is_constant: bool) -> None:
    given, kernel, made, options, macs = CONVOLUTIONS[name]
    f = File()
    x, y = f.tensor("x", *given), f.tensor("y", *made)
    w = f.weight("w", *kernel) if is_constant else f.tensor("w", *kernel)
    _convolution(f, x, w, y, **options)
    graph = opened(f, [x] if is_constant else [x, w], [y])
    found = report(graph)
    if not is_constant and "stretched" in options:
        assert any("its weights are computed while it runs" in note for note in graph.assumed)
        return
    assert not found.uncounted, graph.assumed
    assert found.total.macs == macs
    assert graph.types[graph.outputs[0]].shape == made


def test_reductions_by_their_body(opened: Open) -> None:
    for kind, operations in {"ADD": 24 - 4, "MAXIMUM": 24 - 4, "MINIMUM": 24 - 4, "MULTIPLY": 24 - 4}.items():
        f = File()
        x, y = f.tensor("x", 2, 3, 2, 2), f.tensor("y", 2, 2)
        f.operator("STABLEHLO_REDUCE", [x, f.scalar(0.0)], [y], {0: ("longs", [1, 3]), 1: ("int", body(f, kind))})
        graph = opened(f, [x], [y])
        assert not report(graph).uncounted and report(graph).total.ops == operations
    f = File()
    x, y = f.tensor("x", 2, 3), f.tensor("y", 2)
    f.operator("STABLEHLO_REDUCE", [x, f.scalar(0.0)], [y], {0: ("longs", [1]), 1: ("int", body(f, "POWER"))})
    assert any("its body is not one sum" in note for note in opened(f, [x], [y]).assumed)


def test_the_place_of_the_largest_by_a_body_of_four(opened: Open) -> None:
    f = File()
    inner = f.inner()
    x, i, y, j = (
        inner.tensor(n, dtype=d) for n, d in (("x", "float32"), ("i", "int32"), ("y", "float32"), ("j", "int32"))
    )
    larger, v, k = inner.tensor("l", dtype="bool"), inner.tensor("v"), inner.tensor("k", dtype="int32")
    inner.operator("STABLEHLO_COMPARE", [x, y], [larger], {0: ("count", 3)})
    inner.operator("STABLEHLO_SELECT", [larger, x, y], [v], {})
    inner.operator("STABLEHLO_SELECT", [larger, i, j], [k], {})
    number = f.hold(inner, [x, i, y, j], [v, k])
    x, where = f.tensor("x", 4, 5), f.tensor("i", 4, 5, dtype="int32")
    values, places = f.tensor("v", 4), f.tensor("k", 4, dtype="int32")
    given = [x, where, f.scalar(0.0), f.numbers(0, shape=())]
    f.operator("STABLEHLO_REDUCE", given, [values, places], {0: ("longs", [1]), 1: ("int", number)})
    graph = opened(f, [x, where], [values, places])
    assert not report(graph).uncounted
    assert [graph.types[v].dtype for v in graph.outputs] == ["float32", "int32"]
    assert [report(graph).layers[0].kind, report(graph).layers[0].ops] == ["max", 4 * 5 - 4]


def test_sums_of_windows_are_a_sum_of_views(opened: Open) -> None:
    f = File()
    x, y = f.tensor("x", 1, 8, 8, 4), f.tensor("y", 1, 6, 6, 4)
    given = [f.longs(1, 3, 3, 1), f.longs(1, 1, 1, 1), f.longs(1, 1, 1, 1)]
    f.operator("REDUCE_WINDOW", [x, f.scalar(0.0), *given], [y], {0: ("int", 1)})
    found = report(opened(f, [x], [y]))
    assert found.total.ops == 6 * 6 * 4 * (9 - 1)
    assert found.total.traffic_bits == 32 * (8 * 8 * 4 + 6 * 6 * 4)  # each element once, though windows overlap


def test_sort_and_scatter(opened: Open) -> None:
    f = File()
    x, z = f.tensor("x", 4, 8), f.tensor("z", 4, 8, dtype="int32")
    a, b = f.tensor("a", 4, 8), f.tensor("b", 4, 8, dtype="int32")
    f.operator("STABLEHLO_SORT", [x, z], [a, b], {0: ("long", 1), 2: ("int", body(f, "MAXIMUM"))})
    graph = opened(f, [x, z], [a, b])
    assert not report(graph).uncounted
    assert [node.op.name for node in graph.nodes][:2] == ["sort", "gather"]
    f = File()
    inner = f.inner()
    p, q = inner.tensor("p"), inner.tensor("q")
    number = f.hold(inner, [p, q], [q])
    x, y = f.tensor("x", 6, 4), f.tensor("y", 6, 4)
    f.operator(
        "STABLEHLO_SCATTER", [x, f.numbers(0, 3, shape=(2, 1)), f.weight("u", 2, 4)], [y],
        {1: ("longs", [1]), 2: ("longs", [0]), 3: ("longs", [0]), 4: ("long", 1), 6: ("int", number)},
    )  # fmt: skip
    assert report(opened(f, [x], [y])).total.ops == 0  # it puts, and adds nothing


def test_moves(opened: Open) -> None:
    f = File()
    x, i, s = f.tensor("x", 4, 6), f.numbers(1, shape=()), f.numbers(9, shape=())
    stretched, cut, held, counted = (
        f.tensor("b", 2, 4, 6), f.tensor("c", 2, 3), f.tensor("u", 4, 6), f.tensor("n", 3, 2, dtype="int32"),
    )  # fmt: skip
    f.operator("STABLEHLO_BROADCAST_IN_DIM", [x], [stretched], {0: ("longs", [1, 2])})
    f.operator("STABLEHLO_DYNAMIC_SLICE", [x, i, s], [cut], {0: ("longs", [2, 3])})
    f.operator("STABLEHLO_DYNAMIC_UPDATE_SLICE", [x, cut, i, s], [held])
    f.operator("STABLEHLO_IOTA", [], [counted], {0: ("long", 0)})
    graph = opened(f, [x], [stretched, cut, held, counted])
    assert not report(graph).uncounted
    assert [graph.types[v].shape for v in graph.outputs] == [(2, 4, 6), (2, 3), (4, 6), (3, 2)]
    (known,) = (node.op for node in graph.nodes if node.op.name == "constant")
    assert known.value == (0, 0, 1, 1, 2, 2)


def test_case_takes_a_known_branch_or_the_dearest(opened: Open) -> None:
    def file(*, known: int | None) -> tuple[File, list[int], list[int]]:
        f, numbers = File(), []
        for width in (2, 5, 3):
            inner = f.inner()
            x, y = inner.tensor("x", 1, 4), inner.tensor("y", 1, 6)
            h = inner.tensor("h", 1, width)
            inner.operator("FULLY_CONNECTED", [x, inner.weight("w", width, 4)], [h], {})
            inner.operator("FULLY_CONNECTED", [h, inner.weight("v", 6, width)], [y], {})
            numbers.append(f.hold(inner, [x], [y]))
        x, y = f.tensor("x", 1, 4), f.tensor("y", 1, 6)
        which = f.tensor("i", dtype="int32") if known is None else f.numbers(known, shape=())
        f.operator("STABLEHLO_CASE", [which, x], [y], {0: ("ints", numbers)})
        return f, [x] if known is not None else [which, x], [y]

    for known, width in ((0, 2), (1, 5), (2, 3), (7, 3), (-1, 3)):  # a number of no branch is the last
        assert report(opened(*file(known=known))).total.macs == 10 * width
    graph = opened(*file(known=None))
    assert report(graph).total.macs == 50 and graph.sizes[0].name == "branch"
    assert report(opened(*file(known=None), parameters={"branch": 2})).total.macs == 30
    with pytest.raises(CostcalcError, match="branch is from 0 to 2, not 3"):
        opened(*file(known=None), parameters={"branch": 3})


def _chosen() -> tuple[File, list[int], list[int]]:
    """Rows of x at places that values decide, and a dense layer on them."""
    f = File()
    mask, x = f.tensor("mask", 20, dtype="bool"), f.tensor("x", 20, 8)
    places, rows = f.tensor("places", 1, 1, dtype="int64", open=[0]), f.tensor("rows", 1, 8, open=[0])
    y = f.tensor("y", 1, 4, open=[0])
    f.operator("WHERE", [mask], [places], {})
    f.operator("GATHER_ND", [x, places], [rows], {})
    f.operator("FULLY_CONNECTED", [rows, f.weight("w", 4, 8)], [y], {})
    return f, [mask, x], [y]


def test_how_many_values_choose_is_a_named_size(opened: Open) -> None:
    graph = opened(*_chosen())
    assert not report(graph).uncounted
    assert report(graph).total.macs == 20 * 8 * 4  # the most that there can be
    ((name, size, most, given),) = [(s.name, s.size, s.most, s.given) for s in graph.sizes]
    assert (name, size, most, given) == ("selected", 20, 20, False)
    assert [*graph.sizes[0].layers][-1] == "y"
    assert report(opened(*_chosen(), parameters={"selected": 5})).total.macs == 5 * 8 * 4
    assert report(opened(*_chosen(), parameters={"selected": 500})).total.macs == 20 * 8 * 4


def test_it_is_set_and_told_at_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    f, inputs, outputs = _chosen()
    path = tmp_path / "net.tflite"
    path.write_bytes(f.bytes(inputs, outputs))
    assert dispatch.outcome(["analyze", str(path), "--set", "selected=3"]) == 0
    assert "96" in capsys.readouterr().out
    assert dispatch.outcome(["analyze", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "≤" in shown and "selected" in shown
    assert dispatch.outcome(["analyze", str(path), "--set", "chosen=3"]) == 2
    assert "has no size 'chosen' that values decide" in capsys.readouterr().err


def test_the_basic_lstm_is_one_product(opened: Open) -> None:
    f = File()
    x, before, kept = f.tensor("x", 2, 5), f.tensor("p", 2, 3), f.tensor("k", 2, 3)
    y, state, joined, gates = (f.tensor(n, 2, s) for n, s in (("y", 3), ("s", 3), ("j", 8), ("g", 12)))
    given = [x, before, f.weight("w", 12, 8), f.weight("b", 12), kept]
    f.operator("LSTM", given, [y, state, joined, gates], {0: ("byte", 4), 3: ("byte", 1)})
    graph = opened(f, [x, before, kept], [y, state])
    assert report(graph).total.macs == 2 * 12 * 8 and not report(graph).uncounted
    assert report(graph).total.params == 12 * 8 + 12


def test_closed_forms_begin_at_the_batch_of_the_file(opened: Open, capsys: pytest.CaptureFixture[str]) -> None:
    f, inputs, outputs = _chosen()
    opened(f, inputs, outputs)
    path = str(opened(f, inputs, outputs).source)
    assert dispatch.outcome(["formula", path]) == 0
    shown = capsys.readouterr().out
    assert "MACs(n) =\n    32·n 100.0%\n  = 640 at n=20" in shown
    assert "there are the most elements that are not 0 that there can be" in shown
