"""A kernel or a frozen norm that each call of a shared module makes anew is the same one."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from costcalc.analysis.report import report  # noqa: E402
from costcalc.frontends.torch.tracer import trace  # noqa: E402
from costcalc.transforms.fold_norm import fold_norm  # noqa: E402


class Frozen(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.register_buffer(name, torch.rand(8) + 0.5)

    def forward(self, x: Any) -> Any:
        w, b, m, v = (t.reshape(1, -1, 1, 1) for t in self.buffers())
        scale = w * (v + 1e-5).rsqrt()
        return x * scale + (b - m * scale)


class Twice(nn.Module):
    def __init__(self, conv: nn.Module, *norms: nn.Module) -> None:
        super().__init__()
        self.conv, self.norms = conv, nn.ModuleList(norms)

    def forward(self, x: Any) -> Any:
        return self.norms[0](self.conv(x)) + self.norms[-1](self.conv(x * 2))


def totals(conv: nn.Module, *norms: nn.Module) -> tuple[Any, Any]:
    total = report(fold_norm(trace(Twice(conv, *norms).eval(), torch.rand(1, 3, 12, 12)))).total
    return total.params, total.buffers


def plain() -> nn.Module:
    return nn.Conv2d(3, 8, 3, bias=False)


def test_a_pair_applied_twice_folds_once() -> None:
    # 3·8·9 weights and 8 of bias
    assert totals(nn.utils.parametrizations.weight_norm(plain()), nn.BatchNorm2d(8)) == (224, 0)
    assert totals(plain(), Frozen()) == (224, 0)


def test_with_other_norms_the_one_kernel_stays() -> None:
    # 216 + 8 of the weight-normed kernel; two norms of 16 params and 17 buffers
    norms = nn.BatchNorm2d(8), nn.BatchNorm2d(8)
    assert totals(nn.utils.parametrizations.weight_norm(plain()), *norms) == (256, 34)
