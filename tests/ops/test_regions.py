"""Cutting regions out of a map, on maps whose answer is known."""

from __future__ import annotations

import torch
from torch.nn.functional import adaptive_avg_pool2d, adaptive_max_pool2d

from costcalc.ops.regions import align, pool

X = torch.rand(2, 8, 6, 6)
WHOLE = torch.tensor([[0.0, 0, 0, 5, 5], [1, 0, 0, 5, 5]])


def test_pooling_the_whole_map_is_adaptive_pooling() -> None:
    assert torch.equal(pool(X, WHOLE, (2, 3), False), adaptive_max_pool2d(X, (2, 3)))


def test_pooling_by_position_takes_each_bin_from_channels_of_its_own() -> None:
    everywhere = adaptive_avg_pool2d(X, (2, 2))  # 8 channels: 2 for each of 4 bins
    wanted = torch.stack(
        [everywhere[:, 0::4, 0, 0], everywhere[:, 1::4, 0, 1], everywhere[:, 2::4, 1, 0], everywhere[:, 3::4, 1, 1]], 2
    )
    assert torch.allclose(pool(X, WHOLE, (2, 2), True), wanted.view(2, 2, 2, 2))


def test_a_region_outside_of_the_map_is_pooled_from_its_border() -> None:
    far = torch.tensor([[0.0, 9, 9, 20, 20]])
    assert torch.equal(pool(X, far, (1, 1), False)[0, :, 0, 0], X[0, :, 5, 5])


def test_aligning_a_slope_gives_its_height_at_the_middle_of_each_bin() -> None:
    slope = torch.arange(6.0).view(1, 1, 1, 6).expand(1, 1, 6, 6)
    region = torch.tensor([[0.0, 1, 0, 5, 4]])  # from 1 to 5 along the slope: two bins, centres 2 and 4
    assert torch.allclose(align(slope, region, (1, 2), 2, False), torch.tensor([[[[2.0, 4.0]]]]))


def test_regions_are_cut_from_the_image_that_they_name() -> None:
    x = torch.stack([torch.zeros(1, 4, 4), torch.ones(1, 4, 4)])
    regions = torch.tensor([[1.0, 0, 0, 3, 3], [0, 0, 0, 3, 3]])
    assert align(x, regions, (1, 1), 2, False).flatten().tolist() == [1.0, 0.0]
