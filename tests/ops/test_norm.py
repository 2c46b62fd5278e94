"""What is special about each norm."""

from __future__ import annotations

import pytest

from costcalc.errors import CostcalcError
from costcalc.ir.graph import GraphBuilder
from costcalc.ir.index_map import AxisMap
from costcalc.ir.op import Op
from costcalc.ir.tensor import TensorType
from costcalc.ops.layer_norm import LayerNorm, RMSNorm
from costcalc.ops.norm import BatchNorm, GroupNorm, InstanceNorm
from costcalc.ops.scale import LayerScale, LocalResponseNorm

MAP = TensorType((2, 6, 5, 4))


def test_batch_norm_stores_four_vectors_and_a_counter_that_inference_does_not_read() -> None:
    weights = BatchNorm().weights(MAP)

    assert {name: w.type.shape for name, w in weights.items() if w.read is None} == dict.fromkeys(
        ("weight", "bias", "running_mean", "running_var"), (6,)
    )
    assert weights["num_batches_tracked"].read == 0
    assert weights["num_batches_tracked"].type == TensorType((), "int64")


def test_a_norm_with_statistics_of_training_sees_each_place_and_one_without_sees_all() -> None:
    (each,) = BatchNorm().index_maps(MAP, y=MAP)
    (over_all,) = BatchNorm(track_running_stats=False).index_maps(MAP, y=MAP)
    (over_places,) = InstanceNorm().index_maps(MAP, y=MAP)

    assert each == (AxisMap(0), AxisMap(1), AxisMap(2), AxisMap(3))
    assert over_all == (None, AxisMap(1), None, None)
    assert over_places == (AxisMap(0), AxisMap(1), None, None)


def test_layer_norm_of_channels_keeps_the_places_apart() -> None:
    (index_map,) = LayerNorm(channels_first=True).index_maps(MAP, y=MAP)

    assert index_map == (AxisMap(0), None, AxisMap(2), AxisMap(3))
    assert LayerNorm(channels_first=True).weights(MAP)["weight"].type.shape == (6,)


def test_layer_norm_over_several_axes_has_as_many_weights() -> None:
    assert LayerNorm(axes=3).weights(MAP)["bias"].type.shape == (6, 5, 4)


def test_alexnets_response_norm_sums_five_squares() -> None:
    # A square, 4 additions, times alpha, plus k, a power, a division (Krizhevsky et al. 2012, section 3.3).
    assert LocalResponseNorm(5).ops(MAP, y=MAP) == (1 + 4 + 1 + 1 + 1 + 1) * 2 * 6 * 5 * 4


def test_the_factors_of_layer_scale_are_shaped_to_meet_their_axis() -> None:
    # torchvision's ConvNeXt keeps (96, 1, 1), timm's and CaiT's channels-last ones (96,).
    assert LayerScale().weights(TensorType((1, 96, 56, 56)))["gamma"].type.shape == (96, 1, 1)
    assert LayerScale(-1).weights(TensorType((1, 196, 96)))["gamma"].type.shape == (96,)


@pytest.mark.parametrize(
    ("op", "shape", "sentence"),
    [
        (BatchNorm(), (6,), r"batch_norm takes \(batch, channels, up to 3 spatial axes\), not 1 axes"),
        (InstanceNorm(), (2, 6), "instance_norm takes .*, not 2 axes"),
        (GroupNorm(4), (2, 6, 5), "groups=4 must divide the 6 channels"),
        (GroupNorm(4), (8,), r"group_norm takes \(batch, channels, …\), not 1 axes"),
        (LayerNorm(axes=3), (4, 6), "layer_norm normalises the last 3 axes, but the input has 2"),
        (RMSNorm(channels_first=True), (6,), "rms_norm with channels_first takes"),
        (LocalResponseNorm(), (2, 6), "local_response_norm takes"),
        (LayerScale(4), (2, 6), "axis 4 does not exist; the input has axes 0 to 1"),
    ],
)
def test_what_does_not_fit_is_said(op: Op, shape: tuple[int, ...], sentence: str) -> None:
    with pytest.raises(CostcalcError, match=sentence):
        GraphBuilder("g", {"x": TensorType(shape)}).add("norm", op, ["x"])


def test_options_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(CostcalcError, match="axes=0 must be at least 1"):
        LayerNorm(axes=0)
    with pytest.raises(CostcalcError, match="channels_first normalises the channels alone"):
        LayerNorm(axes=2, channels_first=True)
