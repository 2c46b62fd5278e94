"""The table of operators, and that our rules and torch's are held against each other."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from costcalc.frontends.calls.lower import InternalError  # noqa: E402
from costcalc.frontends.torch.tracer import trace  # noqa: E402
from costcalc.ir.op import all_ops  # noqa: E402
from costcalc.ir.tensor import TensorType  # noqa: E402
from costcalc.ops.aten import RULES  # noqa: E402
from costcalc.ops.conv import Conv  # noqa: E402


def test_the_table_of_names_says_what_the_ops_say() -> None:
    own = {aten: name for name, op in all_ops().items() for aten in op.aten.split()}
    assert own == RULES


def test_no_two_ops_claim_one_operator() -> None:
    claimed = [aten for op in all_ops().values() for aten in op.aten.split()]
    assert len(claimed) == len(set(claimed))


def test_a_rule_that_disagrees_with_torch_about_a_shape_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Conv, "infer", lambda self, x: TensorType((1, 4, 7, 7)))
    with pytest.raises(InternalError, match=r"0: conv2d made 1×4×6×6 float32 in torch, 1×4×7×7 float32 by our rule"):
        trace(nn.Sequential(nn.Conv2d(3, 4, 3)), (1, 3, 8, 8))


def test_a_rule_that_disagrees_about_a_weight_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    from costcalc.ir.tensor import parameter

    monkeypatch.setattr(Conv, "weights", lambda self, x: {"weight": parameter(4, 3, 3)})
    with pytest.raises(InternalError, match=r"0.weight is a parameter of 4×3×3×3 float32, by our rule for conv"):
        trace(nn.Sequential(nn.Conv2d(3, 4, 3, bias=False)), (1, 3, 8, 8))
