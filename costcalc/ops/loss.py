"""Losses that PyTorch has as one operator: how far predictions are from their targets, for the cost of training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from costcalc.ir.call import Call
from costcalc.ir.dims import Dim, equal, minimum
from costcalc.ir.index_map import AxisMap, IndexMap
from costcalc.ir.op import Condition, Example, Op, op
from costcalc.ir.saved import Saves
from costcalc.ir.tensor import TensorType
from costcalc.ops.broadcasting import broadcast, joint_dtype, leading, stretches
from costcalc.ops.traced_steps import converted

PER_ELEMENT = {
    "nll_loss": 1,  # -log p of the target's class, from the log p of all classes
    "mse_loss": 2,  # d²; d = p - t here and below
    "smooth_l1_loss": 6,  # |d| < β, d²/2β, |d| - β/2
    "huber_loss": 7,  # |d| < δ, d²/2, δ·(|d| - δ/2)
    "binary_cross_entropy": 8,  # -(t·log p + (1 - t)·log(1 - p))
    "binary_cross_entropy_with_logits": 9,  # max(x, 0) - x·t + log(1 + exp(-|x|))
}
"""Scalar operations for one target, each as its formula is written; of two branches, both."""
REDUCED_IN_PLACE = frozenset(("mse_loss", "smooth_l1_loss", "binary_cross_entropy"))
"""Of which PyTorch's kernel for the CPU leaves the mean or sum at the head of the losses that it is of."""
REDUCTIONS = ("none", "mean", "sum")


@op("loss", inputs=(2, 4))
class Loss(Op):
    """The mean or sum, or each, of the losses of predictions against targets.

    Of ``nll_loss`` the predictions have an axis of classes that the targets have not, the second one. Further inputs
    weigh the elements or classes. Cross-entropy is ``log_softmax`` and this.

    Ops          for each target, by function: nll_loss 1, mse_loss 2, smooth_l1_loss 6, huber_loss 7,
                 binary_cross_entropy 8, binary_cross_entropy_with_logits 9; 1 for each further input; in the end
                 a sum takes one addition fewer than there are targets, a mean a division too.
    Not counted  finding the target's class; summing the weights of a weighted mean.
    """

    aten = "nll_loss_forward nll_loss2d_forward nll_loss_nd " + " ".join(name for name in PER_ELEMENT)

    choices = {"function": PER_ELEMENT, "reduction": REDUCTIONS}

    function: str
    reduction: str = "mean"

    @property
    def _chooses(self) -> bool:
        return self.function == "nll_loss"

    def requires(self, x: TensorType, target: TensorType, *weights: TensorType) -> Iterator[Condition]:
        if not self._chooses:
            yield from stretches(x.shape, target.shape, *(w.shape for w in weights))
            return
        places = _without_classes(x)
        said = f"nll_loss takes a class for each place of {x}, not {target}"
        yield len(x.shape) > 0 and len(places) == len(target.shape), said
        for predicted, wanted in zip(places, target.shape, strict=True):
            yield equal(predicted, wanted), said
        classes = x.shape[1] if len(x.shape) > 1 else x.shape[0]
        for weight in weights:
            yield len(weight.shape) == 1, f"nll_loss takes a weight for each class, not {weight}"
            said = f"nll_loss takes a weight for each of {classes} classes, not {weight}"
            yield equal(weight.shape[0], classes), said

    def _each(self, x: TensorType, target: TensorType) -> tuple[Dim, ...]:
        """The shape of the losses before they are reduced."""
        return target.shape if self._chooses else broadcast(x.shape, target.shape)

    def infer(self, x: TensorType, target: TensorType, *weights: TensorType) -> TensorType:
        dtype = x.dtype if self._chooses else joint_dtype(x, target)
        return TensorType(self._each(x, target) if self.reduction == "none" else (), dtype)

    def occupies(self, x: TensorType, target: TensorType, *weights: TensorType, y: TensorType) -> TensorType:
        """That of the losses of all elements, where their kernel reduces them in place."""
        return y.with_shape(*self._each(x, target)) if self.function in REDUCED_IN_PLACE else y

    def saves(self, *x: TensorType, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        """The inputs; of nll_loss also the sum of the weights."""
        return Saves(tuple(range(len(x))), maps=(x[0].with_shape(),) if self._chooses else ())

    def ops(self, x: TensorType, target: TensorType, *weights: TensorType, y: TensorType) -> Dim:
        losses = TensorType(self._each(x, target)).size
        reducing = {"none": 0, "sum": losses - 1, "mean": losses}[self.reduction]
        return (PER_ELEMENT[self.function] + len(weights)) * losses + reducing

    def reads(self, x: TensorType, target: TensorType, *weights: TensorType, y: TensorType) -> tuple[Dim, ...]:
        if not self._chooses:
            return super().reads(x, target, *weights)
        return target.size, target.size, *(minimum(w.size, target.size) for w in weights)  # one of the classes each

    def index_maps(
        self, x: TensorType, target: TensorType, *weights: TensorType, y: TensorType
    ) -> tuple[IndexMap, ...]:
        if self.reduction != "none":
            return ((),) * (2 + len(weights))
        if not self._chooses:
            return tuple(leading(t.shape, y.shape) for t in (x, target, *weights))
        places = tuple(AxisMap(axis if axis == 0 else axis + 1) for axis in range(len(y.shape)))
        none = (None,) * len(y.shape)
        return places, tuple(map(AxisMap, range(len(y.shape)))), *(none,) * len(weights)

    def kind(self, x: TensorType, *others: TensorType) -> str:
        return self.function

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        function = "nll_loss" if call.name.startswith("nll_loss") else call.name
        tensors, dtype = call.tensors(), call.made[0].dtype
        if function != "nll_loss" and joint_dtype(*(t.type for t in tensors[:2])) != dtype:
            tensors = tuple(converted(call, t, dtype) for t in tensors)
        loss = call.add(cls(function, REDUCTIONS[call["reduction"]]), *tensors)
        if len(call.made) == 1:
            return loss
        from costcalc.ops.constant import Constant

        total = call.made[1]  # the sum of the weights, which only the gradient needs
        return loss, call.add(Constant(total.shape, total.dtype))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls("nll_loss"), TensorType((2, 5, 4, 4)), TensorType((2, 4, 4), "int64")
        yield cls("nll_loss", "none"), TensorType((2, 5)), TensorType((2,), "int64"), TensorType((5,))
        yield cls("mse_loss", "sum"), TensorType((2, 3)), TensorType((2, 3))
        yield cls("smooth_l1_loss", "none"), TensorType((4, 4)), TensorType((4, 4))
        yield cls("binary_cross_entropy_with_logits"), TensorType((2, 3)), TensorType((2, 3)), TensorType((3,))


def _without_classes(x: TensorType) -> tuple[Dim, ...]:
    """The places of predictions: all axes but the second, or but the only one."""
    return x.shape[:1] + x.shape[2:] if len(x.shape) > 1 else ()
