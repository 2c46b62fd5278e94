"""Networks that no collection has: a U-Net with skips by concatenation, and the pyramid of a detector."""

from __future__ import annotations

from importlib import import_module

import torch
from torch import nn


def twice(inputs: int, outputs: int) -> nn.Sequential:
    """Two 3×3 convolutions with norms and ReLU."""
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [
            nn.Conv2d(channels, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Ronneberger et al. 2015 (arXiv 1505.04597) with padding and norms, four levels, 32 channels at the top."""

    def __init__(self, width: int = 32, levels: int = 4) -> None:
        super().__init__()
        widths = [width << level for level in range(levels + 1)]
        self.down = nn.ModuleList(map(twice, [3, *widths[: levels - 1]], widths[:levels]))
        self.pool, self.bottom = nn.MaxPool2d(2), twice(widths[-2], widths[-1])
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, stride=2) for w in reversed(widths[:levels]))
        self.joined = nn.ModuleList(twice(2 * w, w) for w in reversed(widths[:levels]))
        self.head = nn.Conv2d(width, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skips = []
        for part in self.down:
            x = part(x)
            skips.append(x)
            x = self.pool(x)
        x = self.bottom(x)
        for up, part in zip(self.up, self.joined, strict=True):
            x = part(torch.cat([skips.pop(), up(x)], 1))
        return torch.as_tensor(self.head(x))


class Pyramid(nn.Module):
    """The five maps of torchvision's feature pyramid on ResNet-50."""

    def __init__(self) -> None:
        super().__init__()
        detection = import_module("torchvision.models.detection")
        self.body = detection.fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None).backbone

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(self.body(x).values())
