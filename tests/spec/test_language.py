"""What each form of the spec language means, as docs/spec.md states it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from specs import names, wiring

import costcalc
from costcalc.errors import SpecError
from costcalc.frontends.spec.settings import parse_value
from costcalc.ir.expr import Expr
from costcalc.ir.graph import Graph

Build = Callable[..., Graph]


def shape(graph: Graph, value: str = "") -> tuple[object, ...]:
    return graph.types[value or graph.outputs[0]].shape


def test_layers_form_a_chain_and_are_named_after_their_ops(build: Build) -> None:
    graph = build("""
        - conv(4, 3)
        - relu
        - relu()
        - relu
        - last: conv(2, 1)
        - relu
    """)
    assert names(graph) == ["conv", "relu", "relu_1", "relu_2", "last", "relu_3"]
    assert wiring(graph)["last"] == ("relu_2",)
    assert graph.outputs == ("relu_3",)
    assert shape(graph) == (1, 2, 6, 6)


def test_batch_goes_in_front_of_an_input_and_the_shape_can_be_replaced(build: Build) -> None:
    text = "- conv(4, 3)"
    assert shape(build(text, batch=5), "image") == (5, 3, 8, 8)
    assert shape(build(text, batch=2, input=(3, 16, 10))) == (2, 4, 14, 8)
    assert shape(build(text, input={"image": (1, 8, 9)})) == (1, 4, 6, 7)


def test_an_input_has_its_type_and_may_do_without_the_batch(build: Build) -> None:
    graph = build("""
        inputs:
          x: [3, size // 2]
          tokens: {shape: [77], dtype: int64}
          table: {shape: [9, 4], batch: False}
        parameters: {size: 10}
        layers: [relu]
    """)
    assert [graph.types[i].shape for i in graph.inputs] == [(1, 3, 5), (1, 77), (9, 4)]
    assert [graph.types[i].dtype for i in graph.inputs] == ["float32", "int64", "float32"]


def test_scopes_prefix_names_and_stand_for_their_last_value(build: Build) -> None:
    graph = build("""
        - encoder:
            - first: conv(4, 3)
            - inner:
                - relu
            - relu
        - side: conv(8, 1)
        - from: encoder
        - conv: conv(5, 1)
    """)
    assert names(graph) == ["encoder.first", "encoder.inner.relu", "encoder.relu", "side", "conv"]
    assert wiring(graph)["conv"] == ("encoder.relu",)


def test_a_list_without_layers_names_a_value(build: Build) -> None:
    graph = build("""
        - conv: conv(3, 1)
        - here: []
        - act: relu
        - skip: [from: image]
        - last: {add: [here, act, skip]}
    """)
    assert names(graph) == ["conv", "act", "last"]
    assert wiring(graph)["last"] == ("conv", "act", "image")


def test_branches_start_at_the_running_value_and_meet_in_the_op(build: Build) -> None:
    graph = build(
        """
        - stem: conv(4, 1)
        - add:
            - - left: conv(4, 3, padding=1)
              - relu
            - []
            - right: conv(4, 1)
            - image2
            - sigmoid
        - merged: {concat(axis=1): [[], stem]}
        - last: relu
        """.replace("image2", "stem")
    )
    assert wiring(graph) == {
        "stem": ("image",),
        "left": ("stem",),
        "relu": ("left",),
        "right": ("stem",),
        "sigmoid": ("stem",),
        "add": ("relu", "stem", "right", "stem", "sigmoid"),
        "merged": ("add", "stem"),
        "last": ("merged",),
    }


def test_if_and_for_among_branches_say_which_there_are(build: Build) -> None:
    graph = build("""
        parameters: {kernels: [1, 3], pools: False}
        layers:
          - stem: conv(4, 1)
          - concat:
              - for kernel in kernels:
                  - - squeeze$kernel: conv(2, 1)
                    - conv$kernel: conv(3, kernel, padding=half_padding(kernel))
                  - if kernel > 1:
                      - conv$kernel
              - if pools:
                  - max_pool(3, 1, 1)
              - elif channels == 4:
                  - stem
                  - []
              - else: [image]
    """)
    # What a branch is, it is in a loop too: a list of layers, a layer, or the name of one.
    assert wiring(graph)["concat"] == ("conv1", "conv3", "conv3", "stem", "stem")
    assert [wiring(graph)[f"squeeze{k}"] for k in (1, 3)] == [("stem",), ("stem",)]
    assert shape(graph) == (1, 3 + 3 + 3 + 4 + 4, 8, 8)


def test_a_condition_inside_a_branch_leaves_the_running_value(build: Build) -> None:
    graph = build("""
        - stem: conv(4, 1)
        - add:
            - []
            - - if channels > 4:
                  - conv(4, 1)
    """)
    assert wiring(graph)["add"] == ("stem", "stem")


def test_a_block_of_one_value_finds_it_by_number_too(build: Build) -> None:
    graph = build("""
        blocks:
          total(count):
            - add: [for i in range(count): [inputs.$i], image]
        layers:
          - stem: conv(3, 1)
          - one: total(1)
          - two: {total(2): [stem, one]}
    """)
    assert wiring(graph)["one.add"] == ("stem", "image")
    assert wiring(graph)["two.add"] == ("stem", "one.add", "image")


def test_a_name_after_from_may_be_worked_out(build: Build) -> None:
    graph = build("""
        - a: conv(4, 1)
        - b: relu
        - from: $('a' if channels == 4 else 'b')
        - c: relu
    """)
    assert wiring(graph)["c"] == ("a",)


def test_half_padding_wants_as_many_kernel_sizes_as_dilations(build: Build) -> None:
    with pytest.raises(SpecError, match="2 kernel sizes do not fit 3 dilations"):
        build("- conv(4, [1, 5], padding=half_padding([1, 5], [1, 2, 1]))")


def test_half_padding_keeps_the_size_for_each_axis(build: Build) -> None:
    # Kernels of 1 and 5, the second 2 apart: 0 and 2 * (5 // 2) on each side.
    graph = build("- conv(4, [1, 5], padding=half_padding([1, 5], [1, 2]), dilation=[1, 2])")
    assert graph.nodes[0].op.padding == (0, 4)
    assert shape(graph) == (1, 4, 8, 8)


def test_a_reference_wins_over_an_op_of_the_same_name(build: Build) -> None:
    graph = build("""
        - relu: conv(3, 1)
        - other: conv(3, 1)
        - add: [relu, other]
    """)
    assert wiring(graph)["add"] == ("relu", "other")


def test_references_resolve_from_the_innermost_scope_outward(build: Build) -> None:
    graph = build("""
        - a: conv(3, 1)
        - outer:
            - a: conv(3, 1)
            - inner:
                - sum1: {add: [[], a]}
                - a: relu
                - sum2: {add: [[], a]}
        - sum3: {add: [[], a]}
        - sum4: {add: [outer.a, outer.inner]}
        - sum5: {add: [outer.inner.a, image]}
    """)
    wires = wiring(graph)
    assert wires["outer.inner.sum1"] == ("outer.a", "outer.a")
    assert wires["outer.inner.sum2"] == ("outer.inner.a", "outer.inner.a")
    assert wires["sum3"] == ("outer.inner.sum2", "a")
    assert wires["sum4"] == ("outer.a", "outer.inner.sum2")
    assert wires["sum5"] == ("outer.inner.a", "image")


def test_the_beginning_of_a_dotted_name_is_the_last_value_under_it(build: Build) -> None:
    graph = build("""
        - for i in range(3):
            - layer1.$i: relu
        - tail: relu
        - from: layer1
        - end: relu
    """)
    assert wiring(graph)["end"] == ("layer1.2",)


def test_an_op_with_several_outputs_is_followed_by_its_first(build: Build) -> None:
    graph = build("""
        inputs: {image: [4, 8, 8]}
        layers:
          - halves: split(2, axis=1)
          - a: relu
          - b: {add: [halves.0, halves.1, halves]}
    """)
    assert wiring(graph)["a"] == ("halves.0",)
    assert wiring(graph)["b"] == ("halves.0", "halves.1", "halves.0")


def test_outputs_are_those_named_or_the_last(build: Build) -> None:
    graph = build("""
        layers:
          - a: conv(3, 1)
          - s:
              - relu
          - b: conv(3, 1)
        outputs: [s, image]
    """)
    assert graph.outputs == ("s.relu", "image")
    assert names(graph) == ["a", "s.relu", "b"]  # what no output needs is there too


def test_loops_conditions_and_local_names(build: Build) -> None:
    graph = build("""
        parameters: {rows: [[4, 1, [0, 1]], [8, 2, [2]]]}
        layers:
          - total = 0
          - for stage, (out, stride, blocks) in enumerate(rows, 1):
              - for b in blocks:
                  - total = total + out
                  - stage$stage.b$(b + 1): conv(out, 3, stride=stride, padding=1)
                  - if b == 0:
                      - relu
                  - elif b == 1:
                      - sigmoid
                  - else:
                      - tanh
          - conv(total, 1)
    """)
    assert names(graph) == ["stage1.b1", "relu", "stage1.b2", "sigmoid", "stage2.b3", "tanh", "conv"]
    assert shape(graph) == (1, 16, 4, 4)


def test_if_and_else_may_stand_in_one_mapping(build: Build) -> None:
    graph = build("""
        - if channels > 3:
            - relu
          elif channels == 3:
            - tanh
          else:
            - sigmoid
    """)
    assert names(graph) == ["tanh"]


@pytest.mark.parametrize(
    ("word", "value"), [("batch", 2), ("channels", 3), ("height", 8), ("width", 6), ("features", 6), ("shape[0]", 2)]
)
def test_sizes_of_the_running_value(build: Build, word: str, value: int) -> None:
    graph = build(f"- conv({word}, 1)", batch=2, input=(3, 8, 6))
    assert shape(graph)[1] == value


def test_a_parameter_takes_precedence_over_a_size_of_the_running_value(build: Build) -> None:
    graph = build("""
        parameters: {width: 5}
        layers:
          - conv(width, 1)
    """)
    assert shape(graph) == (1, 5, 8, 8)


def test_parameters_are_computed_from_those_above_and_from_variants(build: Build) -> None:
    text = """
        parameters: {base: 4, out: 2 * base, act: relu, deep: true, name: 'a b', none: null}
        variants:
          small: {}
          large: {base: 10}
          larger: {like: large, out: base + 1, act: tanh}
        layers:
          - conv(out, 1)
          - act
    """
    first = build(text)
    assert first.name == "small"
    assert first.parameters == {"base": 4, "out": 8, "act": "relu", "deep": True, "name": "a b", "none": None}
    assert build(text, "large").parameters["out"] == 20
    larger = build(text, "larger")
    assert larger.parameters["out"] == 11
    assert names(larger) == ["conv", "tanh"]
    assert build(text, "large", parameters={"base": 3}).parameters["out"] == 6
    assert build(text, "larger", parameters={"out": 3}).parameters["out"] == 3


def test_a_variant_may_have_its_own_input_and_source(build: Build) -> None:
    text = """
        name: family
        source: a paper
        inputs: {image: [3, 8, 8]}
        variants:
          big: {inputs: {image: [3, 32, 32]}, source: another paper}
          small: {}
        layers: [relu]
    """
    assert shape(build(text)) == (1, 3, 32, 32)
    assert build(text).source == "another paper"
    assert shape(build(text, "small")) == (1, 3, 8, 8)
    assert build(text, "small").source == "a paper"


def test_a_block_prefixes_its_layers_and_binds_its_parameters(build: Build) -> None:
    graph = build("""
        blocks:
          unit(out, kernel=3, pad=kernel // 2, groups=channels):
            - conv: conv(out, kernel, padding=pad, groups=groups)
            - relu
        layers:
          - a: unit(6)
          - b: unit(12, 5)
          - c: unit(kernel=1, out=4, groups=1)
          - unit(4)
          - unit(8)
    """)
    assert names(graph) == [
        "a.conv", "a.relu", "b.conv", "b.relu", "c.conv", "c.relu",
        "unit.conv", "unit.relu", "unit_1.conv", "unit_1.relu",
    ]  # fmt: skip
    groups = [node.op.groups for node in graph.nodes if node.op.name == "conv"]
    assert groups == [3, 6, 1, 4, 4]
    assert shape(graph) == (1, 8, 8, 8)


def test_a_block_sees_the_files_parameters_but_not_its_callers_names(build: Build) -> None:
    text = """
        parameters: {act: tanh}
        blocks:
          unit(): [act, relu]
          broken(): [conv(local, 1)]
        layers:
          - local = 3
          - CALL
    """
    assert names(build(text.replace("CALL", "unit"))) == ["unit.tanh", "unit.relu"]
    with pytest.raises(costcalc.errors.SpecError, match="nothing is called 'local' here"):
        build(text.replace("CALL", "broken"))


def test_a_block_can_go_back_to_what_it_was_applied_to(build: Build) -> None:
    graph = build("""
        blocks:
          gated(): [conv(channels, 1), sigmoid, {multiply: [[], inputs]}]
          merge(out): [{concat: [inputs.0, inputs.1]}, conv(out, 1)]
        layers:
          - stem: relu
          - g: gated
          - m: {merge(5): [g, stem]}
    """)
    wires = wiring(graph)
    assert wires["g.multiply"] == ("g.sigmoid", "stem")
    assert wires["m.concat"] == ("g.multiply", "stem")


def test_a_block_may_call_itself(build: Build) -> None:
    graph = build("""
        blocks:
          hourglass(depth):
            - if depth > 0:
                - add:
                    - []
                    - - max_pool(2)
                      - inner: hourglass(depth - 1)
                      - up: conv_transpose(channels, 2, stride=2)
            - else:
                - relu
        layers:
          - net: hourglass(2)
    """)
    assert names(graph) == [
        "net.max_pool", "net.inner.max_pool", "net.inner.inner.relu", "net.inner.up", "net.inner.add",
        "net.up", "net.add",
    ]  # fmt: skip


def test_words_name_ops_and_blocks_in_parameters_and_arguments(build: Build) -> None:
    graph = build("""
        parameters: {block: basic}
        blocks:
          basic(act=relu): [act]
          other(act=relu): [act, act]
          stack(unit, act): [one: unit(act)]
        layers:
          - block
          - a: stack(other, tanh)
          - b: stack(block, sigmoid)
    """)
    assert names(graph) == ["basic.relu", "a.one.tanh", "a.one.tanh_1", "b.one.sigmoid"]


def test_own_blocks_come_before_ops(build: Build) -> None:
    graph = build("""
        blocks:
          relu(): [tanh]
        layers: [relu]
    """)
    assert names(graph) == ["relu.tanh"]


def test_arguments_may_contain_names_with_numbers(build: Build) -> None:
    graph = build("""
        blocks:
          up(skip): [{concat: [[], $skip]}]
        layers:
          - for i in range(2):
              - enc$i: relu
          - for i in range(2):
              - dec$i: up('enc$(1 - i)')
    """)
    assert wiring(graph)["dec0.concat"] == ("enc1", "enc1")
    assert wiring(graph)["dec1.concat"] == ("dec0.concat", "enc0")


def test_files_of_blocks_can_be_used(build: Build, tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "blocks.yaml").write_text(
        "parameters: {act: tanh}\n"
        "blocks:\n"
        "  unit(inner=tail): [inner, act]\n"
        "  tail(): [sigmoid]\n"
        "  helped(inner): [conv_bn(2), inner]\n"
    )
    graph = build("""
        use: lib/blocks.yaml
        parameters: {act: relu}
        blocks:
          tail(): [act]
          conv_bn(): [elu]
        layers:
          - a: unit
          - b: unit(tail)
          - c: helped(conv_bn)
    """)
    # A block of another file calls what its own file means, except for what its caller hands to it.
    assert names(graph) == [
        "a.tail.sigmoid", "a.tanh", "b.tail.relu", "b.tanh", "c.conv_bn.conv", "c.conv_bn.bn", "c.conv_bn_1.elu",
    ]  # fmt: skip


def test_an_op_or_a_block_can_be_a_value_with_options(build: Build) -> None:
    text = """
        parameters: {act: leaky_relu(0.1), first: max_pool(3)}
        blocks:
          unit(act): [conv: "conv(4, 1)", act]
          twice(act): [act, act]
        layers:
          - pool: first(stride=1)
          - mine = twice(elu(alpha=0.5))
          - a: unit(act)
          - b: unit(mine)
          - c: conv_bn(2, act=leaky_relu(slope=0.2))
          - d: conv_bn(2, act='leaky_relu(0.3)')
    """

    def ops(graph: Graph) -> list[str]:
        return [str(node.op) for node in graph.nodes if node.op.name not in ("conv", "batch_norm")]

    elus = ["elu(alpha=0.5)", "elu(alpha=0.5)"]
    leaky = ["leaky_relu(slope=0.2)", "leaky_relu(slope=0.3)"]
    graph = build(text)
    assert names(graph)[:5] == ["pool", "a.conv", "a.leaky_relu", "b.conv", "b.twice.elu"]
    assert ops(graph) == ["max_pool(3, stride=1)", "leaky_relu(slope=0.1)", *elus, *leaky]
    for given in ("prelu(per_channel=True)", parse_value("prelu(per_channel=True)")):  # from Python, from --set
        assert ops(build(text, parameters={"act": given}))[1] == "prelu(per_channel=True)"
    assert graph.parameters["act"] == "leaky_relu(0.1)"


def test_shared_weights_count_once(build: Build) -> None:
    graph = build("""
        blocks:
          head(): [conv: conv(3, 3, padding=1), bn: batch_norm, relu]
        layers:
          - a: conv(3, 1)
          - b: conv(3, 1, weights='a')
          - c: conv(3, 1, weights='b')
          - h0: head
          - scope:
              - h1: head(weights='h0')
              - d: "conv(3, 1, bias=False, weights={'weight': 'a.weight'})"
    """)
    called = {node.name: dict(node.called) for node in graph.nodes}
    assert called["a"] == {}
    assert called["b"] == called["c"] == {"weight": "a.weight", "bias": "a.bias"}
    assert called["scope.h1.conv"] == {"weight": "h0.conv.weight", "bias": "h0.conv.bias"}
    assert set(called["scope.h1.bn"]) == {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
    assert called["scope.h1.relu"] == {}
    assert called["scope.d"] == {"weight": "a.weight"}
    # 3·3·1·1 + 3 for a, 3·3·3·3 + 3 and 2·3 for h0
    assert costcalc.analyze(graph).total.params == 12 + 84 + 6


def test_symbols_stand_for_sizes_and_parameters(build: Build) -> None:
    text = """
        parameters: {out: 4}
        layers:
          - conv(2 * out, 3, padding=1)
          - if channels > out: [relu]
    """
    graph = build(text, symbols={"batch", "height", "width", "out"})
    n, h, w, out = (Expr.symbol(s) for s in ("n", "h", "w", "out"))
    assert shape(graph) == (n, 2 * out, h, w)
    assert names(graph) == ["conv", "relu"]


def test_numbers_stay_exact_beyond_64_bits(build: Build) -> None:
    graph = build(f"- conv({2**100 + 1}, 1, bias=False)")
    assert costcalc.analyze(graph).total.macs == (2**100 + 1) * 3 * 64


def test_places_are_those_of_the_file(build: Build) -> None:
    graph = build("""
        layers:
          - a: relu
          - relu
          - b:
              - add: [[], a]
    """)
    assert [(n.location.line, n.location.column) for n in graph.nodes if n.location] == [(2, 8), (3, 5), (5, 9)]


def test_an_alias_repeats_what_it_stands_for(build: Build) -> None:
    graph = build("""
        layers:
          - a: &tail [relu, conv(2, 1)]
          - b: *tail
    """)
    assert names(graph) == ["a.relu", "a.conv", "b.relu", "b.conv"]


def test_a_variant_goes_before_the_one_that_it_is_like_and_both_before_the_defaults(build: Build) -> None:
    text = """
        inputs: {image: [3, 8, 8]}
        parameters: {a: 1, b: 1, c: 1, d: 1}
        variants:
          youngest: {like: middle, a: 4}
          middle: {like: oldest, a: 3, b: 3}
          oldest: {a: 2, b: 2, c: 2}
        layers: [relu]
    """
    given = {variant: build(text, variant).parameters for variant in ("youngest", "middle", "oldest")}
    assert [tuple(p[name] for name in "abcd") for p in given.values()] == [(4, 3, 2, 1), (3, 3, 2, 1), (2, 2, 2, 1)]


def test_a_width_may_be_rounded_down_by_a_tenth_and_no_more(build: Build) -> None:
    # The mobile nets' rule adds a step where what is rounded falls below 0.9 of the width: 9 of 10 is not below.
    graph = build("- conv(round_to(10, 9), 1)\n- conv(round_to(11, 8), 1)\n- conv(round_to(11.5, 10), 1)")
    # 8 of 11 is below 9.9; 10 of 11.5 is below 10.35.
    assert [graph.types[name].shape[1] for name in names(graph)] == [9, 16, 20]
