"""Norms on random shapes: PyTorch has the same weights by name, and the same shapes."""

from __future__ import annotations

from against import agrees, both_accept_or_refuse, shapes, sizes, some, tensor
from hypothesis import given
from hypothesis import strategies as st

from costcalc.ops.layer_norm import LayerNorm, RMSNorm
from costcalc.ops.norm import BatchNorm, GroupNorm, InstanceNorm
from costcalc.ops.scale import LocalResponseNorm

batches = st.integers(2, 9)


@some
@given(batches, sizes, shapes(0, 3), st.booleans(), st.booleans())
def test_batch_norm(n: int, c: int, places: list[int], affine: bool, tracks: bool) -> None:
    agrees(BatchNorm(affine, tracks), tensor(n, c, *places))


@some
@given(batches, sizes, shapes(1, 3, st.integers(2, 9)), st.booleans(), st.booleans())
def test_instance_norm(n: int, c: int, places: list[int], affine: bool, tracks: bool) -> None:
    agrees(InstanceNorm(affine, tracks), tensor(n, c, *places))


@some
@given(batches, sizes, sizes, shapes(1, 3), st.booleans())
def test_group_norm_takes_groups_that_divide(n: int, c: int, groups: int, places: list[int], affine: bool) -> None:
    both_accept_or_refuse(GroupNorm(groups, affine), tensor(n, c, *places))


@some
@given(shapes(1, 5), st.integers(1, 5), st.booleans(), st.booleans())
def test_layer_norm_of_the_last_axes(shape: list[int], axes: int, affine: bool, bias: bool) -> None:
    both_accept_or_refuse(LayerNorm(min(axes, len(shape)), affine, bias), tensor(*shape))


@some
@given(shapes(2, 5), st.booleans())
def test_layer_and_rms_norm_of_the_channels_of_a_map(shape: list[int], affine: bool) -> None:
    agrees(LayerNorm(affine=affine, channels_first=True), tensor(*shape))
    agrees(RMSNorm(affine=affine, channels_first=True), tensor(*shape))


@some
@given(shapes(1, 5), st.integers(1, 5), st.booleans())
def test_rms_norm_of_the_last_axes(shape: list[int], axes: int, affine: bool) -> None:
    agrees(RMSNorm(min(axes, len(shape)), affine), tensor(*shape))


@some
@given(shapes(3, 5), sizes)
def test_local_response_norm(shape: list[int], size: int) -> None:
    agrees(LocalResponseNorm(size), tensor(*shape))
