"""The shortest script that counts MobileNet-v1 with fvcore; ``core.py`` runs it for comparison."""

import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn


def conv_bn(i, o, k, s=1, g=1):
    return nn.Sequential(nn.Conv2d(i, o, k, s, k // 2, groups=g, bias=False), nn.BatchNorm2d(o), nn.ReLU())


layers = [conv_bn(3, 32, 3, 2)]
for i, o, s in (
    [(32, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2)]
    + [(512, 512, 1)] * 5
    + [(512, 1024, 2), (1024, 1024, 1)]
):
    layers += [conv_bn(i, i, 3, s, i), conv_bn(i, o, 1)]
net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1024, 1000)).eval()
print(FlopCountAnalysis(net, torch.zeros(1, 3, 224, 224)).total())
