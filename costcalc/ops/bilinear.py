"""Products of two vectors through a tensor, and distances between points."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from costcalc.ir.call import Call, Traced
from costcalc.ir.dims import Dim, equal
from costcalc.ir.fields import Size, ints
from costcalc.ir.index_map import ALL_TO_ALL, AxisMap, IndexMap, mixing
from costcalc.ir.op import Condition, Example, Op, find_op, op
from costcalc.ir.saved import Moment, Saves
from costcalc.ir.tensor import TensorType, Weight, parameter
from costcalc.ir.under_autocast import UnderAutocast
from costcalc.ops.broadcasting import broadcast, leading, stretches
from costcalc.ops.traced_steps import add_bias, own

if TYPE_CHECKING:
    from torch import nn


@op("bilinear", inputs=(2, 2))
class Bilinear(Op):
    """y = aᵀ · W · b + bias, over the last axis of each input.

    MACs         for each output aᵀ · W, then that times b: (a's width + 1) × b's width, the order of PyTorch 2.13.
    Ops          adding the bias: 1 per output.
    Source       PyTorch, torch.nn.Bilinear.
    """

    under_autocast = UnderAutocast(is_known=False)

    aten = "bilinear"
    letters = {"out_features": "m"}
    roles = {"out_features": "width"}

    out_features: Size
    bias: bool = True

    def requires(self, a: TensorType, b: TensorType) -> Iterator[Condition]:
        yield len(a.shape) == len(b.shape), f"bilinear takes inputs with as many axes, not {a} and {b}"
        for m, n in zip(a.shape[:-1], b.shape[:-1], strict=True):
            yield equal(m, n), f"bilinear: the inputs are {a} and {b}; all but the last axis must agree"

    def infer(self, a: TensorType, b: TensorType) -> TensorType:
        return a.with_shape(*a.shape[:-1], self.out_features)

    def weights(self, a: TensorType, b: TensorType) -> dict[str, Weight]:
        weight = parameter(self.out_features, a.shape[-1], b.shape[-1], dtype=a.dtype)
        return {"weight": weight} | ({"bias": parameter(self.out_features, dtype=a.dtype)} if self.bias else {})

    def backward_macs(self, *x: TensorType, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Dim | None:
        """For each gradient as many as aᵀ · W takes: by ``a`` W · b, by ``b`` aᵀ · W, by W the outer products of both;
        and by ``b`` the sum over outputs. Products that add to nothing are no MACs.
        """
        a, b = x
        once = y.size * a.shape[-1] * b.shape[-1]
        return once * (trained + sum(wanted)) + y.size * b.shape[-1] * wanted[1]

    def macs(self, a: TensorType, b: TensorType, *, y: TensorType) -> Dim:
        return y.size * (a.shape[-1] + 1) * b.shape[-1]

    def saves(self, *x: TensorType, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        return Saves((0, 1) if trained else tuple(i for i in (0, 1) if wanted[1 - i]))

    def ops(self, a: TensorType, b: TensorType, *, y: TensorType) -> Dim:
        return y.size if self.bias else 0

    def index_maps(self, a: TensorType, b: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        return mixing(a, -1), mixing(b, -1)

    def to_torch(self, a: TensorType, b: TensorType) -> nn.Module:
        from torch import nn

        first, second, made = ints((a.shape[-1], b.shape[-1], self.out_features))
        return nn.Bilinear(first, second, made, bias=self.bias)

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        weight, bias = call["weight"], call["bias"]
        if not own(weight, bias):  # a weight that is computed is one of three tensors to multiply, in the same order
            y = call.add(find_op("einsum")("...i,oij,...j->...o", (0, 1, 0, 1)), call["input1"], weight, call["input2"])
            return y if bias is None else add_bias(call, y, bias)
        op = cls(weight.shape[0], bias is not None)
        return call.add(op, call["input1"], call["input2"], weight=weight, bias=bias)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(5), TensorType((2, 3)), TensorType((2, 4))
        yield cls(2, bias=False), TensorType((2, 6, 3)), TensorType((2, 6, 3))


@op("distances", inputs=(1, 2))
class Distances(Op):
    """The distance of every point of the first set to every one of the second: (…, p, w), (…, r, w) to (…, p, r).

    Of one set alone, (p, w), it is that of each pair of its points, p(p − 1) / 2 of them.

    With ``by_product`` it is |a|² - 2·a·b + |b|², one matrix product of points lengthened by two coordinates, as
    PyTorch works out many Euclidean distances; else pair by pair.

    MACs         by product: for each pair the coordinates and 2.
    Ops          by product: 3 for each coordinate of the first set, 2 of the second: scale, square, add. Pair by
                 pair: 3 for each coordinate of each pair: subtract, power, add.
    Not counted  the root, once for each pair.
    Source       PyTorch 2.13, torch.cdist: of Euclidean distances it takes the product where either set has more than
                 25 points, unless compute_mode says otherwise. So MACs jump there, from 0 at 25 points to all at 26.
    """

    under_autocast = UnderAutocast(is_known=False)

    aten = "_cdist_forward _euclidean_dist _pdist_forward"

    by_product: bool = False

    def kind(self, *x: TensorType) -> str:
        """PyTorch's choice told: up to 25 points it goes pair by pair."""
        return "distances by product" if self.by_product else self.name

    def requires(self, a: TensorType, b: TensorType | None = None) -> Iterator[Condition]:
        if b is None:
            yield len(a.shape) == 2 and not self.by_product, f"distances of one set take its points as rows, not {a}"
            return
        yield equal(a.shape[-1], b.shape[-1]), f"the points have {a.shape[-1]} and {b.shape[-1]} coordinates"
        yield from stretches(a.shape[:-2], b.shape[:-2], what="the stacks")

    def infer(self, a: TensorType, b: TensorType | None = None) -> TensorType:
        if b is None:
            return a.with_shape(a.shape[0] * (a.shape[0] - 1) // 2)
        return a.with_shape(*broadcast(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-2])

    def macs(self, a: TensorType, b: TensorType | None = None, *, y: TensorType) -> Dim:
        return y.size * (a.shape[-1] + 2) if self.by_product else 0

    def saves(self, *x: TensorType, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        return Saves(tuple(range(len(x))), (0,))

    def beside_gradients(
        self, *x: TensorType, y: TensorType, trained: bool, wanted: tuple[bool, ...]
    ) -> tuple[Moment, ...]:
        """By product what the squares and the cross terms give apart; else what the second set takes turned round."""
        if self.by_product:
            parts = ((t, t, t.with_shape(t.size // t.shape[-1])) for t, w in zip(x, wanted, strict=True) if w)
            return (Moment((y, *(t for part in parts for t in part))),)
        return (Moment((y, y)),) if wanted[1:] == (True,) else ()

    def backward_macs(self, *x: TensorType, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Dim | None:
        """By product: the gradient by the squared distances times the other set; what squares give is no product."""
        return y.size * x[0].shape[-1] * sum(wanted) if self.by_product else 0

    def ops(self, a: TensorType, b: TensorType | None = None, *, y: TensorType) -> Dim:
        return 3 * a.size + 2 * b.size if self.by_product and b else 3 * y.size * a.shape[-1]

    def index_maps(self, a: TensorType, b: TensorType | None = None, *, y: TensorType) -> tuple[IndexMap, ...]:
        if b is None:
            return (ALL_TO_ALL,)
        stack = y.shape[:-2]
        of_a, of_b = leading(a.shape[:-2], stack), leading(b.shape[:-2], stack)
        return (*of_a, AxisMap(len(a.shape) - 2), None), (*of_b, None, AxisMap(len(b.shape) - 2))

    def to_torch(self, a: TensorType, b: TensorType | None = None) -> nn.Module:
        from torch import cdist, pdist

        from costcalc.ops.functional import functional

        if b is None:
            return functional(pdist)

        mode = "use_mm_for_euclid_dist" if self.by_product else "donot_use_mm_for_euclid_dist"
        return functional(lambda a, b: cdist(a, b, compute_mode=mode))

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        return call.add(cls(call.name == "_euclidean_dist"), *call.tensors())  # type: ignore[no-any-return]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 4, 3)), TensorType((2, 5, 3))
        yield cls(by_product=True), TensorType((4, 3)), TensorType((5, 3))
        yield cls(), TensorType((4, 3))
