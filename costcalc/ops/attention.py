"""Attention: softmax of query·key products, used as weights of the values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from costcalc.ir.call import Call, Traced
from costcalc.ir.dims import Dim, divides, equal, minimum, prod, total
from costcalc.ir.fields import Size, ints
from costcalc.ir.index_map import AxisMap, IndexMap
from costcalc.ir.nest import Nest
from costcalc.ir.op import Condition, Example, Op, find_op, op
from costcalc.ir.saved import Moment, Saves
from costcalc.ir.tensor import TensorType, Weight, parameter
from costcalc.ir.under_autocast import UnderAutocast
from costcalc.ops.broadcasting import broadcast, is_one, leading, stretches
from costcalc.ops.traced_steps import converted

if TYPE_CHECKING:
    from torch import nn

T = TypeVar("T")

SCORE = 6  # scale, and the five of softmax: maximum, subtract, exp, add, divide


@op("scaled_dot_product_attention", inputs=(3, 4))
class ScaledDotProductAttention(Op):
    """softmax(q · kᵀ / √d) · v over the last two axes of query, key and value; then perhaps a mask.

    Query (…, l, d), key (…, s, d), value (…, s, e) make (…, l, e). The fourth input is added to the
    (…, l, s) scores or, if of type bool, says which of them count. With ``grouped`` several query
    heads share one head of key and value; the heads are the third axis from the end.

    MACs         scores × (d + e): the products q · kᵀ and weights · v. A causal mask saves nothing:
                 the count is dense, and reports note how much of it the mask hides.
    Ops          6 per score: scale, and 5 of softmax; 1 more to add a mask of numbers.
    Not counted  choosing by a causal or bool mask; dropping scores, which is training's.
    Source       Vaswani et al. 2017, arXiv 1706.03762; grouped: Ainslie et al. 2023, arXiv 2305.13245.
    """

    aten = """
    scaled_dot_product_attention _scaled_dot_product_attention_math _scaled_dot_product_flash_attention
    _scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_efficient_attention
    _scaled_dot_product_cudnn_attention _scaled_dot_product_fused_attention_overrideable
    """

    causal: bool = False
    grouped: bool = False

    def requires(self, q: TensorType, k: TensorType, v: TensorType, *mask: TensorType) -> Iterator[Condition]:
        least = 3 if self.grouped else 2
        if min(len(t.shape) for t in (q, k, v)) < least:
            yield (
                False,
                f"query, key and value need at least {least} axes: (…, {'heads, ' * self.grouped}length, width)",
            )
            return
        (length, d), (s, d_key), s_value = q.shape[-2:], k.shape[-2:], v.shape[-2]
        yield equal(d, d_key), f"the query's width is {d}, the key's {d_key}"
        yield equal(s, s_value), f"there are {s} keys and {s_value} values"
        if self.grouped:
            heads, shared = q.shape[-3], k.shape[-3]
            yield divides(shared, heads), f"the {shared} key heads must divide the {heads} query heads"
            yield equal(shared, v.shape[-3]), f"there are {shared} key heads and {v.shape[-3]} value heads"
        yield from stretches(*self._stacks(q, k, v), what="the stacks")
        if mask:
            scores = (*broadcast(*self._stacks(q, k, v)), length, s)
            yield len(mask[0].shape) <= len(scores), f"the mask has {len(mask[0].shape)} axes, the scores {len(scores)}"
            yield from stretches(scores, mask[0].shape, what="scores and mask")
            yield not self.causal, "an attention is causal or takes a mask, not both"

    def infer(self, q: TensorType, k: TensorType, v: TensorType, *mask: TensorType) -> TensorType:
        return q.with_shape(*broadcast(*self._stacks(q, k, v)), q.shape[-2], v.shape[-1])

    def macs(self, q: TensorType, k: TensorType, v: TensorType, *mask: TensorType, y: TensorType) -> Dim:
        return prod(y.shape[:-1]) * k.shape[-2] * (q.shape[-1] + v.shape[-1])

    def nests(self, q: TensorType, k: TensorType, v: TensorType, *mask: TensorType, y: TensorType) -> tuple[Nest, ...]:
        stack, length, keys = prod(y.shape[:-2]), q.shape[-2], k.shape[-2]
        return (
            Nest(length, keys, q.shape[-1], stack, part="scores", reads=(0, 1)),
            Nest(length, v.shape[-1], keys, stack, part="values", reads=("scores", 2)),
        )

    def backward_macs(self, *x: TensorType, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Dim | None:
        """By q and k through the scores, which the fused kernel works out anew instead of keeping them, and by v."""
        q, k, v = x[:3]
        fused = bool(self.saves(*x, y=y, trained=trained, wanted=wanted).outputs)
        pairs = prod(y.shape[:-1]) * k.shape[-2]
        scores, values = pairs * q.shape[-1], pairs * v.shape[-1]
        through = wanted[0] or wanted[1] or any(wanted[3:])
        by = scores * wanted[0] + scores * wanted[1] + values * wanted[2] + values * through
        return by + scores * fused if any(wanted) else 0

    def saves(self, *x: TensorType, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves:
        """By kernel. The fused one keeps query, key, value, its output and a number for each row of scores; a bool mask
        as numbers. It is for (batch, heads, length, width), where key and value are as wide and no gradient goes by the
        mask. Otherwise query and key, scaled each, the scores after softmax, and the value.
        """
        q, k, v, *mask = x
        wide = "float64" if y.dtype == "float64" else "float32"  # narrower ones are worked out in that on the CPU
        rows = TensorType(y.shape[:-1], wide)
        alike = len(q.shape) == 4 and k.shape == v.shape and q.shape[:-3] == k.shape[:-3]
        alike = alike and (self.grouped or q.shape[:-2] == k.shape[:-2])
        if alike and not any(wanted[3:]) and all(len(m.shape) in (2, 4) for m in mask):
            as_numbers = tuple(TensorType(m.shape, q.dtype) for m in mask if m.dtype == "bool")
            own = tuple(3 for m in mask if m.dtype != "bool")
            return Saves((0, 1, 2, *own), (0,), (*as_numbers, rows))
        stack = y.shape[:-2]
        scores = TensorType((*y.shape[:-1], k.shape[-2]), wide)
        maps = [TensorType((*stack, *t.shape[-2:]), wide) for t, other in ((q, 1), (k, 0)) if wanted[other]]
        through = wanted[0] or wanted[1] or any(wanted[3:])
        whole = through and v.shape[:-2] == stack and v.dtype == wide
        if through and not whole:
            maps.append(TensorType((*stack, *v.shape[-2:]), wide))
        return Saves((2,) if whole else (), maps=(*maps, scores), stacks=((2, 2),) if whole else ())

    def beside_gradients(
        self, *x: TensorType, y: TensorType, trained: bool, wanted: tuple[bool, ...]
    ) -> tuple[Moment, ...]:
        """Where it is not fused: the gradient of the scores, before and after softmax; then those of query and key."""
        if self.saves(*x, y=y, trained=trained, wanted=wanted).outputs:
            return ()
        wide = "float64" if y.dtype == "float64" else "float32"
        scores = TensorType((*y.shape[:-1], x[1].shape[-2]), wide)
        if not (wanted[0] or wanted[1] or any(wanted[3:])):
            return ()
        return Moment((scores,), (2,)), Moment((scores, scores), (2,), spent=True, done=(2,))

    def skippable(
        self, q: TensorType, k: TensorType, v: TensorType, *mask: TensorType, y: TensorType
    ) -> tuple[Dim, str]:
        if not self.causal:
            return 0, ""
        # Query i sees keys 0 to i: of l·s scores the mask leaves Σ min(i + 1, s).
        length, s = q.shape[-2], k.shape[-2]
        seen = minimum(length, s)
        kept = seen * (seen + 1) // 2 + (length - seen) * s
        hidden = prod(y.shape[:-2]) * (length * s - kept) * (q.shape[-1] + v.shape[-1])
        return hidden, "of scores that a causal mask hides"

    def ops(self, q: TensorType, k: TensorType, v: TensorType, *mask: TensorType, y: TensorType) -> Dim:
        added = 1 if mask and mask[0].dtype != "bool" else 0
        return prod(y.shape[:-1]) * k.shape[-2] * (SCORE + added)

    def index_maps(
        self, q: TensorType, k: TensorType, v: TensorType, *mask: TensorType, y: TensorType
    ) -> tuple[IndexMap, ...]:
        stack = y.shape[:-2]
        rank = len(q.shape)
        found: list[IndexMap] = [(*leading(q.shape[:-2], stack), AxisMap(rank - 2), None)]
        for t in (k, v):
            axis_maps = leading(t.shape[:-2], stack)
            if self.grouped:
                axis_maps = (*axis_maps[:-1], None)
            found.append((*axis_maps, None, None))
        for m in mask:
            *along, query = leading(m.shape[:-1], y.shape[:-1])
            found.append((*along, query, None))
        return tuple(found)

    def _stacks(self, q: TensorType, k: TensorType, v: TensorType) -> list[tuple[Dim, ...]]:
        """The axes before length and width, the heads of key and value as if repeated."""
        if not self.grouped:
            return [t.shape[:-2] for t in (q, k, v)]
        return [(*t.shape[:-3], q.shape[-3]) for t in (q, k, v)]

    def to_torch(self, q: TensorType, k: TensorType, v: TensorType, *mask: TensorType) -> nn.Module:
        from torch.nn.functional import scaled_dot_product_attention

        from costcalc.ops.functional import functional

        options: dict[str, Any] = {"is_causal": self.causal} | ({"enable_gqa": True} if self.grouped else {})
        return functional(lambda *inputs: scaled_dot_product_attention(*inputs, **options))

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        mask = call.get("attn_mask") or call.get("attn_bias")
        inputs = [call[name] for name in ("query", "key", "value")] + ([mask] if mask else [])
        if call.training and call.get("dropout_p", 0.0):
            return _dropping(call, *inputs)
        heads = [t.shape[-3] if len(t.shape) > 2 else 1 for t in inputs[:2]]
        grouped = call.get("enable_gqa", False) and heads[0] != heads[1]
        y = call.add(cls(causal=call["is_causal"], grouped=grouped), *inputs)
        # The fused kernels return scratch tensors besides, which nothing reads.
        return (y, *(call.add(find_op("constant")(t.shape, t.dtype)) for t in call.made[1:]))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 3, 4, 5)), TensorType((2, 3, 6, 5)), TensorType((2, 3, 6, 7))
        yield cls(causal=True), *(TensorType((2, 4, 6)),) * 3
        yield cls(), *(TensorType((2, 2, 3, 4)),) * 3, TensorType((1, 2, 3, 3))
        yield cls(), *(TensorType((2, 2, 3, 4)),) * 3, TensorType((3, 3), "bool")
        yield cls(grouped=True), TensorType((1, 4, 3, 2)), *(TensorType((1, 2, 5, 2)),) * 2


def _dropping(call: Call, q: Traced, k: Traced, v: Traced, *mask: Traced) -> Any:
    """Attention of which scores are dropped in training, as PyTorch then takes it on the CPU: step by step."""
    scale = find_op("elementwise")("multiply")
    multiply = find_op("matmul")()
    rank, heads = len(q.shape), q.shape[-3] if len(q.shape) > 2 else 1
    if rank > 2 and k.shape[-3] != heads and call.get("enable_gqa", False):
        repeat = find_op("repeat_interleave")(heads // k.shape[-3], -3)
        k, v = call.add(repeat, k), call.add(repeat, v)
    turned = call.add(find_op("transpose")(-2, -1), k)
    scores = call.add(multiply, call.add(scale, q), call.add(scale, turned))
    if call["is_causal"]:
        mask = (call.add(find_op("constant")(scores.shape[-2:], scores.type.dtype)),)
    for added in mask:
        bias = converted(call, added, scores.type.dtype)
        scores = call.add(find_op("add")(), scores, bias)
    weights = call.add(find_op("dropout")(float(call["dropout_p"])), call.add(find_op("softmax")(-1), scores))
    y = call.add(multiply, weights, v)
    return (y, *(call.add(find_op("constant")(t.shape, t.dtype)) for t in call.made[1:]))


@op("multi_head_attention", inputs=(1, 3))
class MultiHeadAttention(Op):
    """Project query, key and value, attend in each head apart, and project the heads together.

    One input attends to itself; of two the first asks the second; three are query, key and value.
    Each is (batch, length, width), or without the batch. The output has the query's shape.

    MACs         the three projections, the products q · kᵀ and weights · v of all heads, the output
                 projection.
    Ops          6 per score: scale, and 5 of softmax; with bias 1 for each projected element.
    Not counted  joining and splitting the heads, which only moves elements.
    Source       Vaswani et al. 2017, arXiv 1706.03762; PyTorch, torch.nn.MultiheadAttention.
    """

    under_autocast = UnderAutocast(takes="narrower")

    letters = {"heads": "h"}
    roles = {"heads": "groups"}

    heads: Size
    bias: bool = True

    def requires(self, *x: TensorType) -> Iterator[Condition]:
        q, k, v = _three(x)
        ranks = {len(t.shape) for t in x}
        if len(ranks) > 1 or not ranks <= {2, 3}:
            yield False, "multi_head_attention takes (batch, length, width), each input with as many axes"
            return
        width = q.shape[-1]
        yield divides(self.heads, width), f"heads={self.heads} must divide the query's width {width}"
        yield equal(k.shape[-2], v.shape[-2]), f"there are {k.shape[-2]} keys and {v.shape[-2]} values"
        for t in x[1:]:
            for batch, other in zip(q.shape[:-2], t.shape[:-2], strict=True):
                yield equal(batch, other), f"the batch of the query is {batch}, that of the keys or values {other}"

    def infer(self, *x: TensorType) -> TensorType:
        return x[0]

    def weights(self, *x: TensorType) -> dict[str, Weight]:
        q, k, v = _three(x)
        width, dtype = q.shape[-1], q.dtype
        if _alike(q, k, v):
            found = {"in_proj_weight": parameter(3 * width, width, dtype=dtype)}
        else:
            found = {
                f"{name}_proj_weight": parameter(width, t.shape[-1], dtype=dtype)
                for name, t in zip("qkv", (q, k, v), strict=True)
            }
        if self.bias:
            found["in_proj_bias"] = parameter(3 * width, dtype=dtype)
        found["out_proj.weight"] = parameter(width, width, dtype=dtype)
        if self.bias:
            found["out_proj.bias"] = parameter(width, dtype=dtype)
        return found

    def backward_macs(self, *x: TensorType, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Dim | None:
        """By the projections' weights and inputs, and of the attention between them as that of fused kernels."""
        if not trained:
            return None
        q, k, v = _three(x)
        width = q.shape[-1]
        by_input = wanted if len(wanted) == 3 else wanted * 3 if len(wanted) == 1 else (wanted[0], wanted[1], wanted[1])
        inputs = total(t.size * width for t, needed in zip((q, k, v), by_input, strict=True) if needed)
        weights = total(t.size * width for t in (q, k, v, y))
        return weights + inputs + y.size * width + 5 * y.size * k.shape[-2]

    def macs(self, *x: TensorType, y: TensorType) -> Dim:
        q, k, v = _three(x)
        width = q.shape[-1]
        projections = total(t.size * width for t in (q, k, v, y))
        return projections + 2 * y.size * k.shape[-2]

    def nests(self, *x: TensorType, y: TensorType) -> tuple[Nest, ...]:
        q, k, v = three = _three(x)
        width, rows = q.shape[-1], [prod(t.shape[:-1]) for t in three]
        names = [f"{name}_proj_weight" for name in "qkv"] if not _alike(q, k, v) else ["in_proj_weight"] * 3
        places = (0, len(x) - 1 and 1, len(x) - 1)
        into = [
            Nest(n, width, t.shape[-1], part=part, weight=weight, reads=(place,))
            for n, t, part, weight, place in zip(rows, three, ("query", "key", "value"), names, places, strict=True)
        ]
        each, stack = width // self.heads, prod(q.shape[:-2]) * self.heads
        return (
            *into,
            Nest(q.shape[-2], k.shape[-2], each, stack, part="scores", reads=("query", "key")),
            Nest(q.shape[-2], each, k.shape[-2], stack, part="values", reads=("scores", "value")),
            Nest(rows[0], width, width, part="output", weight="out_proj.weight", reads=("values",)),
        )

    def saves(self, *x: TensorType, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        """The projections' inputs, lengths before batches; query, key and value; the attention's output, and a number
        for each row of scores. With one matrix for key and value their input is kept once.
        """
        q, k, v = _three(x)
        width = q.shape[-1]
        once = _alike(q, k, v)
        given = x if once or len(x) == 1 else (x[0], x[1], x[-1])
        inputs: list[int] = []
        maps: list[TensorType] = []
        for i, t in enumerate(given if trained else ()):
            at = min(i, len(x) - 1)
            if len(t.shape) == 2 or any(is_one(d) for d in t.shape[:2]):
                inputs.append(at)
            else:
                maps.append(t)
        wide = "float64" if q.dtype == "float64" else "float32"
        rows = TensorType((*q.shape[:-2], self.heads, q.shape[-2]), wide)
        keys, values = (t.with_shape(*t.shape[:-1], width) for t in (k, v))
        if once and len(x) == 1:
            projected = [q.with_shape(3, *q.shape)]
        elif once and len(x) == 2:
            projected = [q, keys.with_shape(2, *keys.shape)]
        else:
            projected = [q, keys, values]
        return Saves(tuple(dict.fromkeys(inputs)), maps=(*maps, *projected, rows, q))

    def ops(self, *x: TensorType, y: TensorType) -> Dim:
        q, k, _ = _three(x)
        width = q.shape[-1]
        scores = prod(q.shape[:-1]) * self.heads * k.shape[-2]
        projected = 2 * y.size + 2 * prod(k.shape[:-1]) * width
        return SCORE * scores + (projected if self.bias else 0)

    def index_maps(self, *x: TensorType, y: TensorType) -> tuple[IndexMap, ...]:
        batch = tuple(AxisMap(axis) for axis in range(len(y.shape) - 2))
        everything: IndexMap = (*batch, None, None)
        if len(x) == 1:
            return (everything,)
        return ((*batch, AxisMap(len(batch)), None), *(everything,) * (len(x) - 1))

    def to_torch(self, *x: TensorType) -> nn.Module:
        from torch import nn

        q, k, v = _three(x)
        width, heads, k_width, v_width = ints((q.shape[-1], self.heads, k.shape[-1], v.shape[-1]))

        class Attention(nn.MultiheadAttention):
            """PyTorch's, giving the output alone."""

            def forward(self, *inputs: Any) -> Any:
                output, _ = super().forward(*_three(inputs), need_weights=False)
                return output

        return Attention(width, heads, bias=self.bias, kdim=k_width, vdim=v_width, batch_first=True)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(2), TensorType((2, 3, 4))
        yield cls(3, bias=False), TensorType((2, 4, 6)), TensorType((2, 5, 6))
        yield cls(2), TensorType((2, 3, 4)), TensorType((2, 5, 6))
        yield cls(2), TensorType((1, 3, 4)), TensorType((1, 5, 6)), TensorType((1, 5, 3))
        yield cls(1), TensorType((3, 4))


def _three(x: tuple[T, ...]) -> tuple[T, T, T]:
    """Query, key and value of one, two or three inputs."""
    return x[0], x[-1] if len(x) < 3 else x[1], x[-1]


def _alike(q: TensorType, k: TensorType, v: TensorType) -> bool:
    # PyTorch stores one matrix for all three where the widths are the same. Widths that vary by
    # design are as many elements either way.
    width = q.shape[-1]
    return all(t.shape[-1] is width or (isinstance(width, int) and t.shape[-1] == width) for t in (k, v))
