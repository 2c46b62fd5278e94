"""Trained tensors that meet a sequence: tokens, embeddings of position, scores by relative position."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from costcalc.ir.dims import Dim, prod
from costcalc.ir.fields import Size, Sizes, ints, per_axis
from costcalc.ir.index_map import AxisMap, IndexMap, Window
from costcalc.ir.op import Condition, Example, Op, op
from costcalc.ir.tensor import TensorType, Weight, buffer, parameter
from costcalc.ir.under_autocast import UnderAutocast

if TYPE_CHECKING:
    from torch import nn


@op("class_token")
class ClassToken(Op):
    """Put ``count`` trained tokens before a (batch, length, width) sequence.

    Not counted  any arithmetic, there is none; sequence and tokens are read and the longer sequence written.
    """

    under_autocast = UnderAutocast(takes="float32")

    keeps = "nothing"
    rearranges = True

    roles = {"count": "options"}

    count: Size = 1

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield len(x.shape) == 3, f"class_token takes (batch, length, width), not {len(x.shape)} axes"

    def infer(self, x: TensorType) -> TensorType:
        batch, length, width = x.shape
        return x.with_shape(batch, length + self.count, width)

    def weights(self, x: TensorType) -> dict[str, Weight]:
        return {"weight": parameter(1, self.count, x.shape[-1], dtype=x.dtype)}

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        (count,) = ints([self.count])
        return ((AxisMap(0), AxisMap(1, Window(1, -count, -count)), AxisMap(2)),)

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import cat, nn, zeros

        from costcalc.ops.functional import functional

        token = nn.Parameter(zeros(ints(self.weights(x)["weight"].type.shape)))
        return functional(lambda x, weight: cat([weight.expand(x.shape[0], -1, -1), x], 1), weight=token)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 3, 4))
        yield cls(2), TensorType((1, 4, 3))


@op("position_embedding")
class PositionEmbedding(Op):
    """Add a tensor of the input's own shape, the same for each of the batch.

    Trained, or with ``trained=False`` a table of sines that is stored as a buffer.

    Ops          1 per element.
    """

    under_autocast = UnderAutocast(widens=True)

    keeps = "nothing"
    rearranges = True

    trained: bool = True

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield len(x.shape) >= 2, f"position_embedding takes (batch, …), not {len(x.shape)} axes"

    def weights(self, x: TensorType) -> dict[str, Weight]:
        make = parameter if self.trained else buffer
        return {"weight": make(1, *x.shape[1:], dtype=x.dtype)}

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        return y.size

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import nn, zeros

        from costcalc.ops.functional import functional

        table = zeros(ints(self.weights(x)["weight"].type.shape))
        return functional(lambda x, weight: x + weight, weight=nn.Parameter(table) if self.trained else table)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 3, 4))
        yield cls(trained=False), TensorType((2, 3, 4, 5))


@op("relative_position_bias", inputs=(0, 0))
class RelativePositionBias(Op):
    """The (1, heads, places, places) scores that a window adds to its attention, by relative position.

    It takes no input: it looks up a trained table through a stored index.

    Not counted  any arithmetic, there is none; table and index are read and the scores written.
    Source       Liu et al. 2021, arXiv 2103.14030, section 3.2.
    """

    keeps = "nothing"

    roles = {"heads": "groups", "window": "kernel"}

    heads: Size
    window: Sizes

    def infer(self) -> TensorType:
        places = prod(per_axis(self.window, 2))
        return TensorType((1, self.heads, places, places))

    def weights(self) -> dict[str, Weight]:
        window = per_axis(self.window, 2)
        places = prod(window)
        return {
            "relative_position_bias_table": parameter(prod(2 * side - 1 for side in window), self.heads),
            "relative_position_index": buffer(places * places, dtype="int64"),
        }

    def index_maps(self, *, y: TensorType) -> tuple[IndexMap, ...]:
        return ()

    def to_torch(self) -> nn.Module:
        from torch import int64, nn, zeros

        from costcalc.ops.functional import functional

        table, index = (ints(w.type.shape) for w in self.weights().values())
        shape = ints(self.infer().shape)
        return functional(
            lambda relative_position_bias_table, relative_position_index: (
                relative_position_bias_table[relative_position_index].t().reshape(shape)
            ),
            relative_position_bias_table=nn.Parameter(zeros(table)),
            relative_position_index=zeros(index, dtype=int64),
        )

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield (cls(3, 2),)
        yield (cls(2, (2, 3)),)
