"""Each knob of a network, turned alone, is one cause with its place; layers are found again by structure."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from diffable import op, residual

from costcalc.cli.dispatch import outcome
from costcalc.difference import Diff, diff
from costcalc.difference.lcs import common
from costcalc.errors import Location
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.tensor import TensorType


def told(found: Diff) -> list[tuple[str, str, str]]:
    return [(c.kind, c.description, c.location.short if c.location else "") for c in found.by("macs")]


def marks(found: Diff) -> dict[str, int]:
    return {mark: n for mark in "+-~=" if (n := sum(c.mark == mark for c in found.layers))}


# The expected changes of MACs are worked out by hand from the sizes in `residual`: stem 8×16×16 from 3 channels.


def test_an_added_layer_had_no_name_and_a_removed_one_has_its_old_one() -> None:
    few, many = residual(), residual(depths=(2, 3))
    for found, mark, had in ((diff(few, many), "+", False), (diff(many, few), "-", True)):
        layers = [layer for layer in found.to_dict()["layers"] if layer["mark"] == mark]
        assert layers
        for layer in layers:
            assert (layer["old_name"], layer["old_op"]) == ((layer["name"], layer["op"]) if had else ("", ""))


def test_a_kernel_is_one_cause_with_its_padding() -> None:
    found = diff(residual(), residual(kernel=7))
    assert told(found) == [("kernel", "kernel 3→7, padding 1→3 (stem.conv)", "net.yaml:10")]
    assert found.change("macs") == 8 * 3 * (49 - 9) * 16 * 16
    assert marks(found) == {"~": 1, "=": 34}


def test_a_stride_answers_for_all_that_it_changes_below() -> None:
    found = diff(residual(), residual(stride=1))
    assert told(found) == [("stride", "stride 2→1 (stem.conv)", "net.yaml:10")]
    # Every map has four times the places, and so has the input of the head: 4 more times all that there was.
    assert found.old is not None and found.change("macs") == 3 * found.old.total.macs


def test_the_resolution_of_the_input() -> None:
    found = diff(residual(), residual(size=64))
    assert told(found) == [("resolution", "size 32×32→64×64 (image)", "")]


MAP, TOKENS, IDS = TensorType((1, 8, 16, 16)), TensorType((1, 16, 8)), TensorType((1, 16), "int64")
OPTIONS = [
    (TOKENS, ("lstm", 8), ("lstm", 16), "width"),
    (TOKENS, ("lstm", 8), {"projection": 4}, "width"),
    (TOKENS, ("lstm", 8), {"bidirectional": True}, "width"),
    (TOKENS, ("gru", 8), ("gru", 8, 2), "depth"),
    (TOKENS, ("rnn", 8), ("rnn", 9), "width"),
    (TOKENS, ("linear", 8), ("linear", 16), "width"),
    (TOKENS, ("multi_head_attention", 2), ("multi_head_attention", 4), "groups"),
    (IDS, ("embedding", 100, 8), ("embedding", 100, 16), "width"),
    (IDS, ("embedding", 100, 8), ("embedding", 200, 8), "options"),
    (MAP, ("conv", 8, 3), ("conv", 16, 3), "width"),
    (MAP, ("conv", 8, 3), ("conv", 8, 5), "kernel"),
    (MAP, ("conv", 8, 3), {"stride": 2}, "stride"),
    (MAP, ("conv", 8, 3), {"padding": 1}, "padding"),
    (MAP, ("conv", 8, 3), {"dilation": 2}, "dilation"),
    (MAP, ("conv", 8, 3), {"groups": 2}, "groups"),
    (MAP, ("conv", 8, 3), {"bias": False}, "options"),
    (MAP, ("conv", 8, 3, 1, 0, 1, 1, False), ("conv", 8, 3), "options"),  # the bias is new, and not otherwise wired
    (MAP, ("conv_transpose", 8, 3), ("conv_transpose", 16, 3), "width"),
    (MAP, ("depthwise", 3), {"multiplier": 2}, "width"),
    (MAP, ("pointwise", 8), ("pointwise", 16), "width"),
    (MAP, ("max_pool", 2), ("max_pool", 4), "kernel"),
    (MAP, ("avg_pool", 3), {"ceil_mode": True, "stride": 2}, "stride padding"),
    (MAP, ("avg_pool", 2), {"padding": 1}, "padding"),
    (MAP, ("adaptive_avg_pool", 2), ("adaptive_avg_pool", 4), "resolution"),
    (MAP, ("local_response_norm", 3), ("local_response_norm", 5), "kernel"),
    (MAP, ("pixel_shuffle", 1), ("pixel_shuffle", 2), "resolution"),
    (MAP, ("pad", 1), ("pad", 2), "padding"),
]
"""An input, a layer on it, the same layer with other options, and what those are called."""


@pytest.mark.parametrize(("takes", "old", "new", "kinds"), OPTIONS, ids=lambda value: str(value)[:24])
def test_an_option_is_called_what_it_means(takes: TensorType, old: tuple, new: tuple | dict, kinds: str) -> None:  # type: ignore[type-arg]
    def one(name: str, *options: int, **more: object) -> Graph:
        b = GraphBuilder("one", {"x": takes})
        return b.build([b.add("layer", op(name, *options, **more), ["x"])[0]])

    found = diff(one(*old), one(*old, **new) if isinstance(new, dict) else one(*new))
    assert [c.kind for c in found.causes] == kinds.split()
    assert sum(c.of("params") for c in found.causes) == found.change("params")


def test_the_batch() -> None:
    found = diff(residual(), residual(batch=4))
    assert told(found) == [("batch", "batch 1→4 (image)", "")]
    assert found.change("params") == 0


def test_more_blocks_of_a_stage_are_depth() -> None:
    found = diff(residual(), residual(depths=(2, 4)))
    assert told(found) == [("depth", "+14 layers: layer2.2 … layer2.3", "net.yaml:20")]
    assert found.change("macs") == 4 * 16 * 16 * 9 * 8 * 8
    assert marks(found) == {"+": 14, "=": 35}


def test_fewer_blocks_of_a_stage_are_depth_too() -> None:
    found = diff(residual(), residual(depths=(1, 2)))
    assert told(found) == [("depth", "-7 layers: layer1.1", "net.yaml:20")]


def test_width_is_told_line_by_line() -> None:
    found = diff(residual(), residual(width=16))
    assert {kind for kind, _, _ in told(found)} == {"width"}
    assert {location for _, _, location in told(found)} == {f"net.yaml:{line}" for line in (10, 20, 23, 25)}
    assert marks(found) == {"~": 34, "=": 1}


def test_a_depthwise_layer_follows_the_width_of_its_input() -> None:
    found = diff(residual(depthwise=True), residual(depthwise=True, width=16))
    assert {(kind, location) for kind, _, location in told(found)} == {
        ("width", "net.yaml:10"), ("width", "net.yaml:20"), ("width", "net.yaml:25")
    }  # fmt: skip


def test_groups() -> None:
    found = diff(residual(), residual(groups=2))
    assert told(found) == [("groups", "groups 1→2 (layer1.0.conv1 and 3 more)", "net.yaml:20")]


def test_another_op_in_the_same_place_is_no_new_layer() -> None:
    found = diff(residual(), residual(act="gelu"))
    assert [kind for kind, _, _ in told(found)] == ["op"] * 3
    assert marks(found) == {"~": 9, "=": 26}


def test_a_new_name_changes_nothing() -> None:
    found = diff(residual(), residual(stem="entry"))
    assert found.causes == () and found.same
    assert [c.description for c in found.layers if c.mark == "~"] == [f"was stem.{n}" for n in ("conv", "bn", "act")]


def test_all_knobs_at_once_are_kept_apart() -> None:
    found = diff(residual(), residual(kernel=5, width=16, depths=(3, 2), size=48))
    assert set(found.kinds("macs")) == {"kernel", "width", "depth", "resolution"}
    assert sum(found.kinds("macs").values()) == found.change("macs")
    # Resolution comes first, on the old model: 48² has 9/4 the places of 32²; the head sees 12² in place of 8².
    assert found.old is not None and found.kinds("macs")["resolution"] * 4 == 5 * found.old.total.macs


def chain(*layers: object, size: int = 16) -> Graph:
    """Layers named by their number, as ``nn.Sequential`` does it: an insertion renames all that follow."""
    b = GraphBuilder("chain", {"image": TensorType((1, 3, size, size))})
    x = "image"
    for i, layer in enumerate(layers):
        x = b.add(f"features.{i}", layer, [x], location=Location("chain.yaml", i + 1))[0]  # type: ignore[arg-type]
    return b.build([x])


def bottlenecks(n: int) -> list[object]:
    one = [op("conv", 4, 1), op("batch_norm"), op("relu"), op("conv", 4, 3, padding=1), op("batch_norm"), op("relu")]
    return [op("conv", 16, 1), *(layer for _ in range(n) for layer in (*one, op("conv", 16, 1), op("batch_norm")))]


def test_an_insertion_that_renumbers_every_layer_after_it_adds_one() -> None:
    layers = bottlenecks(5)
    extra = op("conv", 16, 5, padding=2)
    found = diff(chain(*layers), chain(*layers[:9], extra, *layers[9:]))
    assert told(found) == [("added", "+1 layer: features.9", "chain.yaml:10")]
    assert [c.name for c in found.layers if c.mark == "+"] == ["features.9"]
    assert not any(c.options for c in found.layers)


def test_an_added_pool_answers_for_the_smaller_maps_below_it() -> None:
    found = diff(chain(*bottlenecks(2)), chain(op("max_pool", 2), *bottlenecks(2)))
    assert told(found) == [("added", "+1 layer: features.0", "chain.yaml:1")]
    assert found.old is not None and found.new is not None
    assert found.causes[0].of("macs") == found.new.total.macs - found.old.total.macs < 0


def test_a_removed_pool_answers_for_the_larger_maps_below_it() -> None:
    found = diff(chain(op("max_pool", 2), *bottlenecks(2)), chain(*bottlenecks(2)))
    assert told(found) == [("removed", "-1 layer: features.0", "chain.yaml:1")]


def test_sharing_a_weight_is_told_apart_from_width() -> None:
    def twice(called: dict[str, str]) -> Graph:
        b = GraphBuilder("twice", {"x": TensorType((1, 8))})
        b.add("a", op("linear", 8), ["x"])
        b.add("b", op("linear", 8), ["a"], called=called)
        return b.build(["b"])

    found = diff(twice({}), twice({"weight": "a.weight"}))
    assert [(c.kind, c.of("params"), c.of("macs")) for c in found.causes] == [("wiring", -64, 0)]


def table_of_lengths(a: list[int], b: list[int]) -> int:
    """The length of a longest common subsequence, as textbooks have it."""
    rows = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            rows[i + 1][j + 1] = rows[i][j] + 1 if x == y else max(rows[i][j + 1], rows[i + 1][j])
    return rows[-1][-1]


@pytest.mark.parametrize("letters", [1, 2, 3, 9])
def test_no_common_subsequence_is_longer(letters: int) -> None:
    random.seed(letters)
    for _ in range(150):
        a, b = ([random.randrange(letters) for _ in range(random.randint(0, 25))] for _ in "ab")
        pairs = common(a, b)
        assert all(a[i] == b[j] for i, j in pairs)
        assert all(x[0] < y[0] and x[1] < y[1] for x, y in pairwise(pairs))
        assert len(pairs) == table_of_lengths(a, b)


def test_what_would_take_too_much_memory_is_matched_at_both_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("costcalc.difference.lcs.MAX_BITS", 0)
    assert common([1, 2, 3, 4, 9], [1, 3, 2, 9]) == [(0, 0), (4, 3)]


def test_padding_that_came_with_another_resolution_is_not_the_cause_of_what_lies_behind_it() -> None:
    layers = [op("conv", 4, 3, padding=1), op("conv", 8, 4, stride=4)]
    padded = [layers[0], op("pad", ((0, 2), (0, 2))), layers[1]]
    found = diff(chain(*layers, size=16), chain(*padded, size=18))
    told_of = {c.kind: c.of("macs") for c in found.causes}
    assert set(told_of) == {"resolution", "added"} and told_of["added"] == 0
    # 4·3·9 on 18² instead of 16² places, and 8·4·16 on 5² instead of 4².
    assert told_of["resolution"] == 108 * (18**2 - 16**2) + 512 * (5**2 - 4**2)


def test_a_table_of_positions_follows_the_size_of_the_input() -> None:
    def with_positions(size: int) -> Graph:
        b = GraphBuilder("tokens", {"x": TensorType((1, size, 8))})
        b.add("positions", op("constant", (1, size, 8)), [])
        b.add("add", op("add"), ["x", "positions"])
        b.add("mix", op("linear", 16), ["add"])
        return b.build(["mix"])

    found = diff(with_positions(10), with_positions(12))
    assert [(c.kind, c.of("macs")) for c in found.by("macs")] == [("resolution", 2 * 8 * 16)]


def test_an_added_layer_that_computes_is_not_charged_to_the_resolution_that_came_with_it() -> None:
    layers = [op("conv", 4, 3, padding=1), op("conv", 8, 4, stride=4)]
    pooled = [layers[0], op("max_pool", 2), layers[1]]
    for added, macs in (
        (op("max_pool", 2), 512 * (4**2 - 8**2)),
        (op("conv", 4, 2, stride=2), 64 * 16**2 + 512 * (4**2 - 8**2)),
    ):
        pooled[1] = added
        found = diff(chain(*layers, size=16), chain(*pooled, size=32))
        told_of = {c.kind: c.of("macs") for c in found.causes}
        # At 32 the two convolutions have four times the places; then the second sees half of each axis: 4², not 8².
        assert told_of == {"resolution": 3 * (108 * 16**2 + 512 * 4**2), "added": macs}


@pytest.mark.parametrize(("before", "after"), [(4, 3), (3, 4)])
def test_a_split_into_another_number_of_pieces(before: int, after: int) -> None:
    def split(pieces: int) -> Graph:
        b = GraphBuilder("split", {"image": TensorType((1, 3, 8, 8))})
        b.add("wide", op("conv", 4 * pieces, 1), ["image"], location=Location("net.yaml", 1))
        b.add("split", op("split", pieces), ["wide"], location=Location("net.yaml", 2))
        b.add("first", op("conv", 4, 3), ["split.0"], location=Location("net.yaml", 3))
        b.add("last", op("concat"), [f"split.{i}" for i in range(pieces)], location=Location("net.yaml", 4))
        return b.build(["first", "last"])

    found = diff(split(before), split(after))
    assert found.change("macs") == sum(c.of("macs") for c in found.causes) == 3 * 4 * 64 * (after - before)


def test_an_input_that_nothing_reads_is_no_storage_and_changes_none() -> None:
    def with_unused(size: int) -> Graph:
        b = GraphBuilder("two", {"image": TensorType((1, 3, 8, 8)), "unused": TensorType((1, 7, size, size))})
        b.add("conv", op("conv", 4, 3), ["image"])
        return b.build(["conv"])

    found = diff(with_unused(8), with_unused(64))
    assert found.change("storage") == sum(c.of("storage") for c in found.causes) == 0
    assert found.old is not None and found.old.total.storage_bits == 32 * (3 * 64 + 4 * 27 + 4 + 4 * 36)


def test_a_cause_names_only_layers_whose_figures_it_changes() -> None:
    found = diff(residual(), residual(kernel=7))
    assert [name for name, *_ in found.causes[0].where] == ["stem.conv"]


def test_a_parameter_that_one_spec_lacks_is_a_dash_not_a_word_of_python(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(["diff", "lenet5", "mobilenet"]) == 0
    printed = capsys.readouterr().out
    assert "  parameter width: – → 1.0\n" in printed and "None" not in printed


def test_markdown_tells_the_parameters_that_differ_as_the_table_does(capsys: pytest.CaptureFixture[str]) -> None:
    # Zagoruyko & Komodakis 2016, arXiv 1605.07146: twice the width, which resnet.yaml calls base.
    assert outcome(["diff", "resnet50", "wide_resnet50_2", "--format", "markdown"]) == 0
    assert "\n- parameter base: 64 → 128\n" in capsys.readouterr().out
