"""Receptive fields over any graph: worked by hand, from the facts, and against sets of indices."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from costcalc.analysis.pixel_map import ReceptiveField
from costcalc.analysis.receptive_fields import receptive_fields
from costcalc.ir.graph import GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType


def op(name: str, *args: Any, **kwargs: Any) -> Any:
    return find_op(name)(*args, **kwargs)


def chain(*ops: Any, size: tuple[int, ...] = (64, 64)) -> ReceptiveField | str | None:
    builder = GraphBuilder("chain", {"image": TensorType((1, 4, *size))})
    value = "image"
    for i, layer in enumerate(ops):
        (value, *_) = builder.add(f"l{i}", layer, [value])
    return receptive_fields(builder.build([value])).of[value]


def test_three_3x3_convs_see_7x7() -> None:
    assert chain(*[op("conv", 4, 3, padding=1)] * 3) == ReceptiveField((7, 7), (1, 1), (-3, -3))  # facts, section 1


def test_a_3x3_conv_with_dilation_2_sees_5x5() -> None:
    assert chain(op("conv", 4, 3, dilation=2)) == ReceptiveField((5, 5), (1, 1), (0, 0))  # facts, section 1


def test_axes_differ() -> None:
    assert chain(op("conv", 4, (1, 7), stride=(1, 2), padding=(0, 3))) == ReceptiveField((1, 7), (1, 2), (0, -3))


def test_vgg_16_at_pool5_sees_212_by_32() -> None:
    # reference/receptive_field.csv, vgg_16/pool5: 212, stride 32, padding 90
    conv, pool = op("conv", 4, 3, padding=1), op("max_pool", 2, stride=2)
    stages = [layer for n in (2, 2, 3, 3, 3) for layer in (*[conv] * n, pool)]
    assert chain(*stages, size=(224, 224)) == ReceptiveField((212, 212), (32, 32), (-90, -90))


def test_elementwise_layers_and_norms_change_nothing() -> None:
    conv = op("conv", 4, 3, padding=1)
    assert chain(conv, op("batch_norm"), op("relu"), op("dropout")) == chain(conv)


def test_flattening_a_map_makes_a_linear_layer_see_everything() -> None:
    assert chain(op("conv", 4, 3), op("flatten"), op("linear", 10)) == "global"


def test_flattening_a_single_place_keeps_its_window() -> None:
    # LeNet-5's C5: a 5×5 conv on a 5×5 map leaves one place, and the linear layer sees just that
    seen = chain(op("conv", 4, 5), op("flatten"), op("linear", 10), size=(5, 5))
    assert isinstance(seen, ReceptiveField)
    assert seen.size == (5, 5)


def join(by: str, *branches: list[Any], size: int = 64) -> ReceptiveField | str | None:
    builder = GraphBuilder("branches", {"image": TensorType((1, 4, size, size))})
    ends = []
    for b, layers in enumerate(branches):
        value = "image"
        for i, layer in enumerate(layers):
            (value,) = builder.add(f"b{b}.l{i}", layer, [value])
        ends.append(value)
    (value,) = builder.add("join", op(by), ends)
    return receptive_fields(builder.build([value])).of[value]


def test_a_stride_that_is_whole_again_is_no_fraction() -> None:
    # 4 pixels from place to place, 2 after doubling; nearest doubling of 1 is 1/2, and a stride of 2 makes that whole
    doubled = chain(op("conv", 4, 1, stride=4), op("upsample", 2))
    again = chain(op("upsample", 2), op("conv", 4, 1, stride=2))
    assert isinstance(doubled, ReceptiveField) and isinstance(again, ReceptiveField)
    assert [(s, type(s)) for s in (*doubled.stride, *again.stride)] == [(2, int)] * 2 + [(1, int)] * 2


def test_each_piece_of_a_split_sees_its_own_part() -> None:
    builder = GraphBuilder("split", {"image": TensorType((1, 4, 64, 64))})
    first, second = builder.add("halves", op("split", (16, 48), axis=2), ["image"])
    (low,) = builder.add("low", op("conv", 4, 3), [second])
    (whole,) = builder.add("joined", op("concat", axis=2), [first, second])
    seen = receptive_fields(builder.build([low, whole])).of
    assert seen[first] == ReceptiveField((1, 1), (1, 1), (0, 0))
    assert seen[low] == ReceptiveField((3, 3), (1, 1), (16, 0))  # row 0 of the piece is row 16 of the image
    assert seen[whole] == ReceptiveField((1, 1), (1, 1), (0, 0))  # put together again, all are where they were


def test_branches_take_the_union() -> None:
    three, five = op("conv", 4, 3, padding=1), op("conv", 4, 5, padding=2)
    assert join("add", [three], [five], []) == ReceptiveField((5, 5), (1, 1), (-2, -2), aligned=True)
    assert join("concat", [three], [five]) == ReceptiveField((5, 5), (1, 1), (-2, -2), aligned=True)


def test_branches_with_other_centres_are_reported_as_misaligned() -> None:
    # One branch pads before, the other after: windows 0…2 and -2…0 of the same 64 places.
    before = op("conv", 4, 3, padding=((2, 0), (2, 0)))
    after = op("conv", 4, 3, padding=((0, 2), (0, 2)))
    assert join("add", [before], [after]) == ReceptiveField((5, 5), (1, 1), (-2, -2), aligned=False)


def test_a_branch_that_covers_both_does_not_align_them() -> None:
    # The third sees -2…2, as the other two do together.
    before = op("conv", 4, 3, padding=((2, 0), (2, 0)))
    after = op("conv", 4, 3, padding=((0, 2), (0, 2)))
    both = op("conv", 4, 5, padding=2)
    assert join("add", [before], [after], [both]) == ReceptiveField((5, 5), (1, 1), (-2, -2), aligned=False)


def test_branches_with_other_strides_are_covered_at_every_place() -> None:
    # A 1×1 conv with stride 2 and a crop-like 5×5 of stride 1 both leave 2 places of a 4-wide input… of 3 channels.
    strided = [op("conv", 4, 1, stride=2)]
    valid = [op("conv", 4, 3)]
    seen = join("add", strided, valid, size=4)
    # place o sees 2·o and o…o+2: 0…2 and 1…3
    assert seen == ReceptiveField((3, 3), (1, 1), (0, 0), aligned=False) and not seen.bound


def test_a_global_branch_makes_the_join_global() -> None:
    assert join("multiply", [op("conv", 4, 3, padding=1)], [op("adaptive_avg_pool", 1)]) == "global"


def test_a_place_that_all_others_are_multiplied_by_is_seen_from_everywhere() -> None:
    # Place o of 8 sees itself and 0…7 through the other branch: all that there is, whichever it is. What is the same
    # for all places has no centre that could differ.
    seen = join("multiply", [], [op("conv", 4, 8)], size=8)
    assert seen == ReceptiveField((8, 8), (0, 0), (0, 0), aligned=True) and not seen.bound


def test_a_value_that_does_not_come_from_the_image_sees_nothing_of_it() -> None:
    builder = GraphBuilder("two", {"image": TensorType((1, 4, 8, 8)), "text": TensorType((1, 7))})
    builder.add("fc", op("linear", 3), ["text"])
    assert receptive_fields(builder.build(["fc"])).of["fc"] is None


def test_behind_an_operator_without_a_rule_it_is_unknown() -> None:
    """It may treat each element by itself, or mix all; a mean over all of it sees no more than it does."""
    conv, mean = op("conv", 4, 3, padding=1), op("global_avg_pool")
    unknown = op("uncounted", "airy", ((1, 4, 64, 64),), ("float32",))
    assert (
        chain(conv, unknown) == chain(unknown) == chain(conv, unknown, conv) == chain(conv, unknown, mean) == "unknown"
    )
    builder = GraphBuilder("beside", {"image": TensorType((1, 4, 64, 64)), "other": TensorType((1, 4, 64, 64))})
    (made,) = builder.add("u", unknown, ["other"])
    (seen,) = builder.add("c", conv, ["image"])
    assert receptive_fields(builder.build([made, seen])).of[seen] == ReceptiveField((3, 3), (1, 1), (-1, -1))


def test_attention_windows_see_their_windows() -> None:
    # 8×8 places cut into 4×4 windows; the mean over each window sees 4×4 with stride 4.
    seen = chain(
        op("reshape", [4, 2, 4, 2, 4]),
        op("permute", [0, 2, 4, 3, 5, 1]),
        op("mean", [3, 4]),
        size=(8, 8),
    )
    assert seen == ReceptiveField((4, 4), (4, 4), (0, 0))


def test_a_window_over_attention_windows_steps_by_their_size() -> None:
    # Every second row, cut into 6 windows of 4: from a window to the next are 4·2 rows, and 3 of them span 2·8 + 1.
    seen = chain(
        op("conv", 4, 1, stride=(2, 1)),
        op("reshape", [4, 6, 4, 5]),
        op("conv", 4, (3, 1, 1)),
        size=(48, 5),
    )
    assert seen == ReceptiveField((17, 1), (2, 1), (0, 0))


def test_a_mean_over_attention_windows_spans_from_the_first_to_the_last() -> None:
    # Every second row, 2 windows of 4: the same row of both is 4·2 rows apart.
    seen = chain(op("conv", 4, 1, stride=(2, 1)), op("reshape", [4, 2, 4, 5]), op("mean", 2), size=(16, 5))
    assert seen == ReceptiveField((9, 1), (2, 1), (0, 0))


def test_after_upsampling_the_first_pixel_seen_is_a_whole_one() -> None:
    # Rows 0 and 1 show pixel 0, row 2 shows pixel 1.
    half = Fraction(1, 2)
    assert chain(op("upsample", 2), op("slice", 2, 2)) == ReceptiveField((1, 1), (half, half), (1, 0))


# Random graphs in one dimension against sets of indices. A value is a function from a place to the
# set of image places that it sees; borders do not clip, so that windows are lines.

Sees = Callable[[int], frozenset[int]]


def seen_by(layer: Any, before: Sees) -> Sees:
    if layer.name == "upsample":
        return lambda o: before(o // layer.scale)
    k, s, d = layer.kernel, layer.stride, getattr(layer, "dilation", 1)
    p = layer.padding
    return lambda o: frozenset().union(*(before(s * o + d * r - p) for r in range(k)))


layers = st.one_of(
    st.builds(
        lambda k, s, p, d: op("conv", 4, k, stride=s, padding=p, dilation=d),
        st.integers(1, 4), st.integers(1, 3), st.integers(0, 4), st.integers(1, 3),
    ),
    st.builds(lambda k, s: op("max_pool", k, stride=s), st.integers(1, 3), st.integers(1, 3)),
    st.just(op("upsample", scale=2)),
)  # fmt: skip


def tight(sees: Sees, stride: Any, places: int) -> tuple[Any, Any]:
    """The tightest bounds around all places, relative to stride · o."""
    return (
        min(min(sees(o)) - stride * o for o in range(places)),
        max(max(sees(o)) - stride * o for o in range(places)),
    )


@settings(max_examples=200)
@given(st.lists(layers, min_size=1, max_size=5))
def test_chains_see_what_their_indices_say(chosen: list[Any]) -> None:
    # Long enough for five layers of stride 3 whose kernels span 10.
    builder = GraphBuilder("chain", {"signal": TensorType((1, 4, 4000))})
    value, sees = "signal", lambda o: frozenset([o])
    for i, layer in enumerate(chosen):
        (value,) = builder.add(f"l{i}", layer, [value])
        sees = seen_by(layer, sees)
    field = receptive_fields(builder.build([value])).of[value]
    assert isinstance(field, ReceptiveField)
    stride = field.stride[0]
    lo, hi = tight(sees, stride, 64)
    # The bounds hold everywhere; without upsampling they are exact. Where elements are told one by one, padding is not
    # seen, and the first pixel is that of the first element that sees one.
    pixels = next(found for o in range(64) if (found := [i for i in sees(o) if i >= 0]))
    assert field.offset[0] <= min(sees(0)) or field.offset[0] == min(pixels)
    assert field.size[0] >= max(len(range(min(sees(o)), max(sees(o)) + 1)) for o in range(64))
    if all(layer.name != "upsample" for layer in chosen):
        assert (field.offset[0], field.size[0]) == (lo, hi - lo + 1)


def widened(sees: Sees, before: int, after: int) -> Sees:
    """What a conv sees that reaches ``before`` places back and ``after`` ahead."""
    return lambda o: frozenset().union(*map(sees, range(o - before, o + after + 1)))


@settings(max_examples=100)
@given(st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=3), min_size=2, max_size=4))
def test_joined_branches_see_what_their_indices_say(branches: list[list[tuple[int, int]]]) -> None:
    # Same-size branches: a conv of kernel 1+a+b that pads a before and b after.
    builder = GraphBuilder("join", {"signal": TensorType((1, 4, 50))})
    ends, functions = [], []
    for b, pads in enumerate(branches):
        value, sees = "signal", lambda o: frozenset([o])
        for i, (before, after) in enumerate(pads):
            (value,) = builder.add(f"b{b}.l{i}", op("conv", 4, 1 + before + after, padding=((before, after),)), [value])
            sees = widened(sees, before, after)
        ends.append(value)
        functions.append(sees)
    (value,) = builder.add("join", op("add"), ends)
    field = receptive_fields(builder.build([value])).of[value]
    everything = frozenset().union(*(f(0) for f in functions))
    assert isinstance(field, ReceptiveField)
    assert (field.offset[0], field.size[0]) == (min(everything), max(everything) - min(everything) + 1)
    centres = {min(f(0)) + max(f(0)) for f in functions}
    if len(centres) == 1:
        assert field.aligned
