"""Receptive fields through tokens: flattened, joined by a class token, cut into heads and windows."""

from __future__ import annotations

from typing import Any

from costcalc.analysis.pixel_map import ReceptiveField
from costcalc.analysis.receptive_fields import receptive_fields
from costcalc.ir.graph import GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType

PATCHES = ("conv", (8, 4), {"stride": 4})  # 32×32 pixels become 8×8 patches of 4×4
OF_A_PATCH = ReceptiveField((4, 4), (4, 4), (0, 0))


def seen_after(*layers: tuple[Any, ...]) -> ReceptiveField | str | None:
    """What a place sees after a chain of (op, options, named options)."""
    builder = GraphBuilder("tokens", {"image": TensorType((1, 3, 32, 32))})
    value = "image"
    for i, (name, options, *named) in enumerate(layers):
        repeat = 3 if name == "scaled_dot_product_attention" else 1
        (value,) = builder.add(f"layer{i}", find_op(name)(*options, **(named[0] if named else {})), [value] * repeat)
    return receptive_fields(builder.build([value])).of[value]


TOKENS = (PATCHES, ("flatten", (2,)), ("transpose", ()), ("class_token", ()), ("position_embedding", ()))


def test_a_token_sees_its_patch_also_beside_a_class_token_and_in_heads() -> None:
    heads = ("linear", (8,)), ("reshape", ((65, 2, 4),)), ("permute", ((0, 2, 1, 3),))

    assert seen_after(*TOKENS, *heads) == OF_A_PATCH
    assert seen_after(*TOKENS, ("slice", (1, 1)), ("reshape", ((8, 8, 8),))) == OF_A_PATCH


def test_a_token_sees_the_image_after_attention() -> None:
    assert seen_after(*TOKENS, ("scaled_dot_product_attention", ())) == "global"
    assert seen_after(*TOKENS, ("multi_head_attention", (2,))) == "global"


def test_attention_in_a_window_sees_the_window_and_no_more() -> None:
    windows = (
        ("permute", ((0, 2, 3, 1),)), ("reshape", ((2, 4, 2, 4, 8),)), ("permute", ((0, 1, 3, 2, 4, 5),)),
        ("reshape", ((4, 16, 8),)),
        ("scaled_dot_product_attention", ()),
        ("reshape", ((2, 2, 4, 4, 8),)), ("permute", ((0, 1, 3, 2, 4, 5),)), ("reshape", ((8, 8, 8),)),
    )  # fmt: skip
    # A window is 4 patches of 4 pixels wide, which all of its patches see.
    assert seen_after(PATCHES, *windows) == ReceptiveField((16, 16), (4, 4), (0, 0))


def test_channels_that_are_joined_and_regrouped_do_not_touch_the_places() -> None:
    builder = GraphBuilder("joined", {"image": TensorType((1, 3, 32, 32))})
    builder.add("conv", find_op("conv")(8, 4, stride=4), ["image"])
    builder.add("join", find_op("concat")(), ["conv", "conv"])
    builder.add("flat", find_op("flatten")(2), ["join"])
    builder.add("map", find_op("reshape")((16, 8, 8)), ["flat"])
    builder.add("out", find_op("conv")(4, 3, padding=1), ["map"])

    assert receptive_fields(builder.build(["out"])).of["out"] == ReceptiveField((12, 12), (4, 4), (-4, -4))
