"""Training in a narrower type, as ``torch.autocast`` has it on the CPU: which layers take what cast to which type.

PyTorch decides by operator, as ``autocast_operators`` lists them: products take their inputs and weights in the
narrower type, some others what is narrower in float32, and what joins tensors all of them in the widest type that they
have. All others take what comes. A cast is a copy, which is memory of its own, and is kept in place of what was cast. A
trained weight is cast once, and that copy is held until the forward pass is over; the backward pass reads the copies of
weights, not of biases.
"""

from __future__ import annotations

from collections.abc import Sequence

from costcalc.classes import NamedTuple
from costcalc.errors import OptionError, listing, near
from costcalc.ir.graph import Graph, GraphBuilder, Node
from costcalc.ir.op import Op, find_op
from costcalc.ir.saved import Saves
from costcalc.ir.tensor import FLOATING_BITS, TensorType, Weight
from costcalc.planning.autocast_operators import FLOAT32, NARROWER, WIDEST

TYPES = ("bfloat16", "float16")
CAST = " (cast)"
"""After the name of a layer: the copy of what it takes."""


class WeightCast(NamedTuple):
    """The copy of a weight in the narrower type.

    name    of the weight in the whole model
    bytes   of the copy
    once    whether it is made once for all layers: a trained one is
    kept    whether the backward pass reads it
    """

    name: str
    bytes: int
    once: bool
    kept: bool


def check(name: str) -> str:
    """``name``. Raises ``OptionError`` where autocast knows no such type."""
    if name and name not in TYPES:
        raise OptionError(f"no autocast to '{name[:40]}'{near(name, TYPES)}; there are {listing(TYPES)}")
    return name


def wanted_type(op: Op, types: Sequence[TensorType], narrower: str) -> str:
    """The type to which floating-point inputs of ``op`` are cast; "" where they are taken as they come."""
    names, whole = _operators(op, types), op.under_autocast.takes
    if whole == "narrower" or names & NARROWER:
        return narrower
    if whole or names & FLOAT32:
        return "float32"
    if names & WIDEST:
        return max((t.dtype for t in types if t.dtype in FLOATING_BITS), key=FLOATING_BITS.__getitem__, default="")
    return ""


def _operators(op: Op, types: Sequence[TensorType]) -> set[str]:
    """The operators of PyTorch that ``op`` stands for on such inputs: of those that have a rank the one of theirs."""
    rank = max(len(types[0].shape) - 2, 0) if types else 0
    found = {name for name in op.aten.split() if not name.endswith(("1d", "2d", "3d")) or name.endswith(f"{rank}d")}
    options = dict(op.options())
    if "function" in options:
        return {str(options["function"])}
    words = dict(op.under_autocast.by_option)
    if not words:
        return found - {"trace"}  # which is a sum of a diagonal, and of such sums the one that few write
    return {f"{words[word]}{rank}d" for word in map(str, options.values()) if word in words}


def cast(graph: Graph, narrower: str) -> Graph:
    """``graph`` as autocast runs it: with a copy for each cast of a value; weights stay as they are stored."""
    builder = GraphBuilder(graph.name, {v: graph.types[v] for v in graph.inputs})
    copy = find_op("elementwise")
    for node in graph.nodes:
        types = [builder.types[v] for v in node.inputs]
        target = wanted_type(node.op, types, narrower)

        def taken(value: str, node: Node = node, target: str = target) -> str:
            """``value``, or the copy of it in the type that ``node`` takes."""
            dtype = builder.types[value].dtype
            wider = dtype == "float64" or FLOATING_BITS.get(dtype, 64) >= FLOATING_BITS.get(target, 64) == 32
            if not target or dtype == target or dtype not in FLOATING_BITS or (wider and target == "float32"):
                return value
            name = builder.free_name(f"{node.name}{CAST}")
            return builder.add(name, copy("copy", target), [value])[0]

        stored = node.stored(node.op.weights(*graph.input_types(node)))
        made = builder.add(
            node.name, node.op, [taken(v) for v in node.inputs], node.called, node.location,
            {local: taken(value) for local, value in node.prepared.items()}, node.frozen,
            {local: weight.type.dtype for local, weight in stored.items()},
        )  # fmt: skip
        if node.op.under_autocast.widens:
            builder.types.update({v: graph.types[v] for v in made})
    return builder.build(graph.outputs)


def weight_casts(
    node: Node, stored: dict[str, Weight], types: Sequence[TensorType], narrower: str, wanted: Sequence[bool]
) -> tuple[WeightCast, ...]:
    """The weights of ``node`` that are cast, in their order.

    stored   its weights as the model has them
    wanted   for each input whether its gradient is, for which products read their weight
    """
    if wanted_type(node.op, types, narrower) != narrower:
        return ()
    found = []
    for local, weight in stored.items():
        if weight.type.dtype in FLOATING_BITS and weight.type.dtype not in ("float64", narrower):
            size = int(TensorType(weight.type.shape, narrower).bits()) // 8  # type: ignore[arg-type]
            once = weight.trained and not weight.frozen and weight.type.dtype == "float32"
            by_input = (
                wanted[min({"k": 1, "v": 2}.get(local[0], 0), len(wanted) - 1)]
                if local[1:] == "_proj_weight"
                else any(wanted)
            )
            read = "weight" in local and (
                by_input or node.op.under_autocast.rereads_weight or local == "out_proj.weight"
            )
            if local.startswith("in_proj") and len(types) > 1:  # is cut for query, key and value, and each part cast
                of = (wanted[0], wanted[1], wanted[-1])
                parts = [(size // 3 * n, kept) for n, kept in ((sum(of), True), (3 - sum(of), False)) if n]
                found += [WeightCast(node.weight(local), part, False, read and kept) for part, kept in parts]
            else:
                found.append(WeightCast(node.weight(local), size, once, read))
    return tuple(found)


def kept(node: Node, saves: Saves, types: Sequence[TensorType], stored: dict[str, Weight]) -> Saves | None:
    """``saves``, which a layer's rule has for inputs of these types, as it is with wider weights; None: no rule."""
    how, name = node.op.under_autocast, node.op.name
    narrow = any(FLOATING_BITS.get(t.dtype, 32) < 32 for t in types)
    if not how.is_known or (name == "multi_head_attention" and len(types[0].shape) == 2):
        return None  # without a batch query, key and value are made three, and each is cast
    if not narrow or "float32" not in {w.type.dtype for w in stored.values()}:
        return saves
    if how.keeps_wide and (name != "instance_norm" or "weight" in stored):
        return saves._replace(maps=tuple(_float32(t) for t in saves.maps))
    return saves


def _float32(kind: TensorType) -> TensorType:
    return TensorType(kind.shape, "float32") if kind.dtype in FLOATING_BITS else kind
