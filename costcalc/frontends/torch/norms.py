"""What PyTorch's norms are given and change, which their schemas do not say."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from costcalc.frontends.torch.operators import Operator
from costcalc.frontends.torch.pytrees import tensors_among


def statistics(operator: Operator, args: tuple[Any, ...]) -> list[Tensor]:
    """The running mean and variance of a norm, which its schema does not say that it changes."""
    return tensors_among(args[3:5]) if operator.name in ("batch_norm", "instance_norm") else []


def fits(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor | None, variance: Tensor | None, trains: bool
) -> bool:
    """Whether a batch norm has what it needs, one number a channel each; its result is then a tensor like ``x``.

    PyTorch finds that out by taking the norm apart, which takes longer than all else in a convolutional network.
    """
    channels = x.shape[1:2]
    if not x.is_floating_point() or not channels or not (trains or (mean is not None and variance is not None)):
        return False
    return all(v is None or v.shape == channels for v in (weight, bias, mean, variance))
