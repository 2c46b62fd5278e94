"""What ONNX Runtime holds: the heap of real sessions, and each rule on a small graph."""

from __future__ import annotations

import pytest

import costcalc
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType
from costcalc.planning.engines import plan
from costcalc.planning.ort import session
from costcalc.planning.records import ArenaTensor
from costcalc.planning.sizes import ValueSizes

# Bytes of the heap in the first run of a session of onnxruntime 1.32.0 and in its second, batch 1, float32, one thread,
# without its arena (benchmarks/memory_ort.py), networks of torchvision exported by torch 2.13.0.
HEAP = {
    "resnet18": (4_021_760, 4_028_592),
    "resnet50": (5_230_320, 7_247_296),
    "vgg16_bn": (25_697_440, 25_706_600),
    "alexnet": (967_808, 972_080),
    "squeezenet1_1": (3_936_272, 3_944_040),
    "inception_v3": (8_311_744, 11_175_528),
    "mobilenet_v2": (6_031_504, 6_847_800),
    "mobilenet_v3_large": (4_026_064, 4_044_016),
    "efficientnet_b0": (9_652_304, 12_905_832),
    "regnet_y_800mf": (5_633_792, 5_669_480),
    "shufflenet_v2_x1_0": (2_823_184, 2_894_120),
}
MAP = 4 * 16 * 16
"""Bytes of one channel of the small graphs' maps."""


def small(*layers: tuple[str, dict[str, object], list[str]], channels: int = 3, output: str = "") -> Graph:
    """A graph of ops by name, options and inputs, each called ``a``, ``b`` … in turn; the last is its output."""
    builder = GraphBuilder("small", {"image": TensorType((1, channels, 16, 16))})
    name = ""
    for name, (op, options, inputs) in zip("abcdefghij", layers, strict=False):
        builder.add(name, find_op(op)(**options), inputs)
    return builder.build([output or name])


def conv(channels: int, kernel: int = 3, **options: object) -> dict[str, object]:
    return {"out_channels": channels, "kernel": kernel, "padding": kernel // 2, **options}


def made(graph: Graph) -> dict[str, int]:
    """The tensors of a plan by name, with their bytes in maps of one channel."""
    return {t.name: t.bytes // MAP for t in plan(graph, "ort").tensors}


@pytest.mark.parametrize("model", HEAP)
def test_both_runs_of_a_session_hold_what_its_heap_was_seen_to_hold(model: str) -> None:
    found, (first, later) = costcalc.memory(model, engine="ort"), HEAP[model]
    assert found.peak_bytes == pytest.approx(first, rel=0.02)
    assert found.arena_bytes == pytest.approx(later, rel=0.02)
    # What is left are records of a session, of which every run needs a few kilobytes.
    assert 0 < first - found.peak_bytes < 32 * 1024


def test_the_image_is_the_callers() -> None:
    assert made(small(("conv", conv(16), ["image"]))) == {"a (out of blocks)": 16, "a": 16}


def test_channels_are_filled_up_to_whole_blocks_and_copied_out_for_what_needs_them_plain() -> None:
    found = made(small(("conv", conv(20), ["image"]), ("prelu", {}, ["a"])))
    assert found == {"a": 32, "a (out of blocks)": 20, "b": 20}
    # Of several readers there is one copy.
    two = small(("conv", conv(20), ["image"]), ("prelu", {}, ["a"]), ("prelu", {}, ["a"]), ("concat", {}, ["b", "c"]))
    assert [name for name in made(two) if "out of blocks" in name] == ["a (out of blocks)"]


def test_an_input_of_a_block_and_more_is_copied_into_blocks_and_fewer_channels_are_not() -> None:
    wide = made(small(("conv", conv(16), ["image"]), channels=20))
    assert wide["image (into blocks)"] == 32
    assert "image (into blocks)" not in made(small(("conv", conv(16), ["image"]), channels=3))


def test_a_convolution_that_is_not_in_blocks_has_a_working_buffer() -> None:
    grouped = small(("conv", conv(12, groups=3), ["image"]), channels=6)
    assert [t.bytes for t in plan(grouped, "ort").tensors if "scratch" in t.name] == [128 * 128 * 4]
    # Of more filters than places the whole input is unrolled.
    narrow = small(("conv", conv(600, kernel=3, groups=3, stride=2), ["image"]), channels=18)
    assert [t.bytes for t in plan(narrow, "ort").tensors if "scratch" in t.name] == [4 * (18 // 3) * 9 * 8 * 8]
    one = small(("conv", conv(18, kernel=1, groups=3), ["image"]), channels=6)
    assert not [t for t in plan(one, "ort").tensors if "scratch" in t.name]


def test_relu_writes_over_what_nothing_else_reads_and_a_sum_does_not() -> None:
    # A pool of 3 channels is not in blocks, so that nothing takes the activation in.
    pool = ("max_pool", {"kernel": 3, "stride": 1, "padding": 1}, ["image"])
    over = small(pool, ("relu", {}, ["a"]), ("gelu", {}, ["b"]))
    assert made(over) == {"a": 3, "c": 3}
    kept = small(pool, ("relu", {}, ["a"]), ("add", {}, ["a", "b"]))
    assert made(kept) == {"a": 3, "b": 3, "c": 3}


def test_a_convolution_adds_into_the_addend_where_nothing_else_needs_it() -> None:
    block = small(
        ("conv", conv(16), ["image"]), ("conv", conv(16), ["a"]), ("add", {}, ["b", "a"]), ("prelu", {}, ["c"])
    )
    # The second convolution reads what it adds, so that the sum is a map of its own; its copy takes the buffer of a.
    assert made(block) == {"a": 16, "c": 16, "d": 16}
    chain = small(
        ("conv", conv(16), ["image"]), ("conv", conv(16), ["a"]), ("conv", conv(16), ["b"]), ("add", {}, ["c", "a"]),
        ("prelu", {}, ["d"]),
    )  # fmt: skip
    # The sum is in the buffer of a, its copy in that of b.
    assert made(chain) == {"a": 16, "b": 16, "e": 16}


def test_a_buffer_is_taken_again_for_the_same_shape_and_so_not_given_up_in_between() -> None:
    # a and c have one shape, b another: c takes a's buffer, which therefore is there while b alone is needed.
    gelu: tuple[dict[str, object], ...] = ({}, {}, {})
    graph = small(
        ("gelu", gelu[0], ["image"]), ("max_pool", {"kernel": 2}, ["a"]), ("gelu", gelu[1], ["b"]),
        ("upsample", {"scale": 2}, ["c"]), ("gelu", gelu[2], ["d"]),
    )  # fmt: skip
    tensors = {t.name: t for t in plan(graph, "ort").tensors}
    assert "d" not in tensors
    assert tensors["a"] == ArenaTensor("a", 3 * MAP, 0, 4, tensors["a"].offset)


def test_gelu_leaves_a_map_in_its_blocks() -> None:
    graph = small(("conv", conv(20), ["image"]), ("gelu", {}, ["a"]), ("conv", conv(32), ["b"]))
    assert [call.layer for call in session(ValueSizes(graph, None)).calls] == ["a", "b", "c", "c (out of blocks)"]
    assert made(graph) == {"a": 32, "b": 32, "c (out of blocks)": 32}


def test_a_norm_of_groups_is_that_of_instances_in_another_shape() -> None:
    graph = small(("upsample", {"scale": 1}, ["image"]), ("group_norm", {"groups": 2}, ["a"]), channels=4)
    calls = session(ValueSizes(graph, None)).calls[1:]
    shapes = [(value.shape, call.shares) for call in calls for value in call.makes]
    # As onnxruntime's own profile of PoolFormer has them: Reshape, InstanceNormalization, Reshape, Mul, Add.
    plain, groups = (1, 4, 16, 16), (1, 2, 512)
    assert shapes == [(groups, True), (groups, False), (plain, True), (plain, False), (plain, False)]


@pytest.mark.parametrize(("function", "number"), [("add", 0), ("subtract", 0), ("multiply", 1), ("divide", 1)])
def test_arithmetic_that_changes_nothing_is_gone(function: str, number: int) -> None:
    def relu_after(number: int) -> list[str]:
        graph = small(
            ("conv", conv(16), ["image"]), ("elementwise", {"function": function, "numbers": number}, ["a"]),
            ("relu", {}, ["b"]), ("conv", conv(16), ["c"]),
        )  # fmt: skip
        return [call.layer for call in session(ValueSizes(graph, None)).calls]

    assert relu_after(number) == ["a", "d", "d (out of blocks)"]
    assert "b" in relu_after(2)


def test_a_map_whose_channels_go_last_and_come_back_is_not_turned() -> None:
    forward, back = {"axes": (0, 3, 1, 2)}, {"axes": (0, 2, 3, 1)}
    graph = small(
        ("conv", conv(20), ["image"]), ("permute", back, ["a"]), ("layer_norm", {"axes": 1}, ["b"]),
        ("permute", forward, ["c"]), ("conv", conv(20, groups=20), ["d"]), ("permute", back, ["e"]),
        ("linear", {"out_features": 20, "bias": False}, ["f"]), ("permute", forward, ["g"]), ("add", {}, ["d", "h"]),
        ("conv", conv(32), ["i"]),
    )  # fmt: skip
    calls = session(ValueSizes(graph, None)).calls
    # Copies out of blocks turn maps, sums are of maps with the channels last, copies into blocks take them so.
    assert [call.layer for call in calls] == [
        "a", "b", "c", "c (into blocks)", "e", "f", "g", "i", "i (into blocks)", "j", "j (out of blocks)",
    ]  # fmt: skip
    assert next(call for call in calls if call.layer == "i").makes[0].shape == (1, 16, 16, 20)
    assert [call.makes[0].shape for call in calls if "into" in call.layer] == [(1, 32, 16, 16)] * 2
    # Whoever needs the map as the model has it needs it turned.
    read = small(
        ("conv", conv(32), ["image"]), ("permute", back, ["a"]), ("layer_norm", {"axes": 1}, ["b"]),
        ("permute", forward, ["c"]), ("pixel_shuffle", {"factor": 2}, ["d"]),
    )  # fmt: skip
    assert "d" in [call.layer for call in session(ValueSizes(read, None)).calls]


def test_tokens_become_a_map_as_they_lie() -> None:
    builder = GraphBuilder("tokens", {"x": TensorType((1, 256, 32))})
    builder.add("turned", find_op("permute")((0, 2, 1)), ["x"])
    builder.add("map", find_op("reshape")((32, 16, 16)), ["turned"])
    builder.add("conv", find_op("conv")(32, 3, padding=1, groups=32), ["map"])
    calls = session(ValueSizes(builder.build(["conv"]), None)).calls
    assert [call.layer for call in calls] == ["map", "map (into blocks)", "conv", "conv (out of blocks)"]
    assert calls[0].shares and calls[0].makes[0].shape == (1, 16, 16, 32)


def test_products_of_constants_are_made_when_the_session_is_opened() -> None:
    builder = GraphBuilder("constant", {"image": TensorType((1, 16, 16, 16))})
    builder.add("places", find_op("constant")((1, 16, 16, 16)), [])
    builder.add("projected", find_op("conv")(16, 1), ["places"])
    builder.add("sum", find_op("add")(), ["image", "projected"])
    assert [call.layer for call in session(ValueSizes(builder.build(["sum"]), None)).calls] == ["sum"]


def test_of_two_branches_the_one_that_was_made_last_runs_first() -> None:
    graph = small(
        ("gelu", {}, ["image"]), ("gelu", {}, ["a"]), ("gelu", {}, ["a"]), ("concat", {}, ["b", "c"])
    )  # fmt: skip
    assert [call.layer for call in session(ValueSizes(graph, None)).calls] == ["a", "c", "b", "d"]


def test_later_runs_take_one_block_with_results_beside_it() -> None:
    graph = small(("gelu", {}, ["image"]), ("max_pool", {"kernel": 2}, ["a"]), ("gelu", {}, ["b"]))
    tensors = {t.name: t for t in plan(graph, "ort").tensors}
    end = max(t.offset + t.bytes for name, t in tensors.items() if name != "c" and t.offset is not None)
    assert tensors["c"].offset == end == 3 * MAP + 3 * MAP // 4


def test_no_two_tensors_that_live_at_once_overlap() -> None:
    for model in ("shufflenet_v2_x1_0", "googlenet", "swin_t", "unet", "densenet121"):
        found = costcalc.memory(model, engine="ort")
        tensors = [t for t in found.tensors if t.bytes and t.offset is not None]
        for i, a in enumerate(tensors):
            for b in tensors[i + 1 :]:
                if a.first <= b.last and b.first <= a.last:
                    assert a.offset + a.bytes <= b.offset or b.offset + b.bytes <= a.offset, (a, b)  # type: ignore[operator]


def test_attention_makes_its_scores_and_their_softmax_in_place() -> None:
    builder = GraphBuilder("attention", {name: TensorType((1, 4, 8, 16)) for name in "qkv"})
    builder.add("a", find_op("scaled_dot_product_attention")(), ["q", "k", "v"])
    tensors = {t.name: t.bytes for t in plan(builder.build(["a"]), "ort").tensors}
    assert tensors == {"a (scores)": 4 * 4 * 8 * 8, "a": 4 * 4 * 8 * 16}


@pytest.mark.parametrize(("bits", "dtype", "said"), [
    (None, "float32", ""), (32, "float32", ""), (8, "float32", "with 8 bits"), (16, "float32", "with 16 bits"),
    (None, "float16", "with float16"), (None, "bfloat16", "with bfloat16"), (None, "uint8", "with uint8"),
    (8, "int64", ""),
])  # fmt: skip
def test_other_element_types_than_float32_are_said_not_to_be_measured(bits: int | None, dtype: str, said: str) -> None:
    builder = GraphBuilder("small", {"image": TensorType((1, 4, 8, 8), dtype)})
    builder.add("a", find_op("max_pool")(2), ["image"])
    notes = [note for note in plan(builder.build(["a"]), "ort", bits).notes if "measured for float32" in note]
    assert len(notes) == bool(said)
    assert all(said in note for note in notes)
