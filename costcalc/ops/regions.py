"""Cutting regions out of a map in plain PyTorch, where torchvision's own operators cannot be counted on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Bins = tuple[int, int]


def align(x: Tensor, regions: Tensor, bins: Bins, samples: int, by_position: bool) -> Tensor:
    """Each bin the mean of ``samples``² interpolated points. ``regions`` (n, 5): image, left, top, right, bottom."""
    import torch
    from torch.nn.functional import avg_pool2d

    from costcalc.ops.deform import bilinear

    n, (height, width) = regions.shape[0], bins
    _, left, top, right, bottom = regions.unbind(1)
    rows = _points(top, bottom, height * samples)[:, :, None].expand(-1, -1, width * samples)
    columns = _points(left, right, width * samples)[:, None, :].expand(-1, height * samples, -1)
    made = x.new_zeros(n, x.shape[1], height, width)
    for i, image in enumerate(x.split(1)):
        points = bilinear(image.unsqueeze(1), rows[None, None], columns[None, None])  # 1, 1, channels, n, rows, columns
        found = avg_pool2d(points[0, 0].transpose(0, 1), samples)
        made = torch.where((regions[:, 0].long() == i).view(-1, 1, 1, 1), found, made)
    return _diagonal(made) if by_position else made


def pool(x: Tensor, regions: Tensor, bins: Bins, by_position: bool) -> Tensor:
    """Each bin the maximum, or with ``by_position`` the mean, of the elements in it; bins hold at least one."""
    import torch

    height, width = x.shape[2:]
    made = []
    for region in regions:
        image, left, top, right, bottom = (int(v) for v in region)
        rows, columns = _bins(top, bottom, bins[0], height), _bins(left, right, bins[1], width)
        part = x[image % x.shape[0]]
        found = [part[:, r, c].flatten(1) for r in rows for c in columns]
        reduced = [f.mean(1) if by_position else f.amax(1) for f in found]
        made.append(torch.stack(reduced, 1).unflatten(1, bins))
    result = torch.stack(made)
    return _diagonal(result) if by_position else result


def _points(first: Tensor, last: Tensor, count: int) -> Tensor:
    """``count`` places spread evenly between each ``first`` and ``last``."""
    import torch

    fraction = (torch.arange(count, device=first.device) + 0.5) / count
    return first[:, None] + (last - first)[:, None] * fraction


def _bins(first: int, last: int, count: int, size: int) -> list[slice]:
    first = min(max(first, 0), size - 1)
    span = min(max(last, first), size - 1) + 1 - first
    starts = (first + i * span // count for i in range(count))
    return [slice(at, max(at + 1, first - (-(i + 1) * span // count))) for i, at in enumerate(starts)]


def _diagonal(y: Tensor) -> Tensor:
    """Of (n, channels·bins, height, width), for each bin the channels that are its own."""
    bins = y.shape[2] * y.shape[3]
    own: Tensor = y.unflatten(1, (-1, bins)).flatten(3).diagonal(dim1=2, dim2=3)
    return own.reshape(*own.shape[:2], *y.shape[2:])
