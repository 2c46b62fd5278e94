"""What each op says that PyTorch keeps of it, against the hooks for saved tensors in real runs."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from costcalc.errors import CostcalcError
from costcalc.ir.op import Op, all_ops, find_op
from costcalc.ir.saved import KEPT, Saves
from costcalc.ir.tensor import TensorType
from costcalc.ir.values import value_at
from costcalc.ops.elementwise import _KEPT
from tests.planning.saved import alike, both, kept, told

OTHER_CODE = {
    "weight_norm": "one operator in PyTorch; the module here is written in several",
    "roi_align": "one of torchvision's; the module here is written without it",
    "roi_pool": "the same",
    "deform_conv": "the same",
}
NO_RULE = {
    "einsum", "scatter", "gather", "elementwise", "split_lstm", "svdf", "simple_rnn", "cholesky", "cholesky_inverse",
    "cholesky_solve", "determinant", "eig", "eigh", "householder_multiply", "householder_product", "householder_qr",
    "inverse", "ldl", "least_squares", "lu", "lu_solve", "lu_unpack", "matrix_exp", "pseudo_inverse", "qr", "solve",
    "solve_triangular", "svd", "frexp", "conv_weight_gradient",
}  # fmt: skip
"""Ops of which some uses have no rule, so that the figures are said to be lower bounds."""


def tensor(*shape: int, wanted: bool = True) -> torch.Tensor:
    return (torch.rand(shape) + 0.1).requires_grad_(wanted) + 0 if wanted else torch.rand(shape)


def test_every_op_keeps_what_the_hooks_see() -> None:
    """Of each example, with its weights trained and frozen, and every choice of inputs with a gradient."""
    torch.manual_seed(0)
    tried, wrong, without = 0, [], set()
    for name, op in all_ops().items():
        for one, *types in op.examples():
            if name in OTHER_CODE or any(t.size > 1 << 18 for t in types):
                continue
            try:
                one.to_torch(*types)
            except NotImplementedError:
                continue
            for trained, *wanted in itertools.product((True, False), repeat=1 + min(len(types), 4)):
                try:
                    found = both(one, types, wanted, trained)
                except NotImplementedError:  # PyTorch has no derivative of it
                    continue
                if found is None:
                    continue
                real, rule, raw = found
                tried += 1
                if rule is None:
                    without.add(name if trained else f"{name}, frozen")
                elif not alike(real, rule) and not (raw.least and rule <= real + rule):
                    wrong.append((str(one), *map(str, types), trained, wanted, real - rule, rule - real))
    assert wrong == []
    assert {name for name in without if ", " not in name} <= NO_RULE
    assert tried > 800


@pytest.mark.parametrize("name", sorted(_KEPT))
def test_functions_of_one_tensor_keep_what_the_hooks_see(name: str) -> None:
    calls = {
        "copy": lambda x: x.to(torch.float64), "rsub": lambda x: 3 - x, "clamp": lambda x: x.clamp(0, 1),
        "clip": lambda x: x.clip(0, 1), "clamp_min": lambda x: x.clamp_min(0), "clamp_max": lambda x: x.clamp_max(0),
        "threshold": lambda x: F.threshold(x, 0.5, 0), "hardshrink": F.hardshrink, "softshrink": F.softshrink,
    }  # fmt: skip
    function = calls.get(name) or getattr(torch, name)
    x = tensor(4, 3)
    made, found = _kept_by(function, x)
    assert found == told(KEPT[_KEPT[name]]), made


def _kept_by(function: Any, *inputs: torch.Tensor) -> Any:
    class Call(torch.nn.Module):
        def forward(self, *x: torch.Tensor) -> Any:
            made = function(*x)
            return tuple(made) if isinstance(made, tuple) else made

    return kept(Call(), inputs)


def rule_of(op: Op, *shapes: tuple[int, ...], dtypes: tuple[str, ...] = (), wanted: tuple[bool, ...] = ()) -> Any:
    types = [TensorType(s, d) for s, d in itertools.zip_longest(shapes, dtypes, fillvalue="float32")]
    y = op.infer(*types)
    first = y if isinstance(y, TensorType) else y[0]
    return told(op.saves(*types, y=first, trained=False, wanted=wanted or (True,) * len(types)))  # type: ignore[arg-type]


CALLS: list[tuple[str, Any, dict[str, Any], Any, tuple[tuple[int, ...], ...]]] = [
    ("elementwise", "pow", {}, torch.pow, ((4, 3), (4, 3))),
    ("elementwise", "maximum", {}, torch.maximum, ((4, 3), (4, 3))),
    ("elementwise", "minimum", {}, torch.minimum, ((4, 3), (1, 3))),
    ("elementwise", "atan2", {}, torch.atan2, ((4, 3), (4, 3))),
    ("elementwise", "pow", {}, lambda x: x**2, ((4, 3),)),
    ("elementwise", "multiply", {}, lambda x: x * 2, ((4, 3),)),
    ("elementwise", "divide", {}, lambda x: x / 3, ((4, 3),)),
    *(
        ("reduction", name, {"axes": 1}, lambda x, name=name: getattr(torch, name)(x, dim=1), ((4, 3),))
        for name in ("amax", "amin", "prod", "nansum", "var", "std", "logsumexp")
    ),
    ("reduction", "linalg_vector_norm", {"axes": 1}, lambda x: torch.linalg.vector_norm(x, dim=1), ((4, 3),)),
    ("reduction", "max", {"axes": (0, 1)}, torch.max, ((4, 3),)),
    *(
        ("reduction", name, {"axes": 1, "indices": True}, lambda x, name=name: getattr(torch, name)(x, 1), ((4, 3),))
        for name in ("max", "min", "median", "mode")
    ),
    ("loss", "mse_loss", {}, F.mse_loss, ((4, 3), (4, 3))),
    ("loss", "smooth_l1_loss", {}, F.smooth_l1_loss, ((4, 3), (4, 3))),
    ("loss", "huber_loss", {}, F.huber_loss, ((4, 3), (4, 3))),
]


@pytest.mark.parametrize(("op", "function", "options", "call", "shapes"), CALLS, ids=[f"{c[0]} {c[1]}" for c in CALLS])
def test_functions_keep_what_the_hooks_see(
    op: str, function: str, options: dict[str, Any], call: Any, shapes: tuple[tuple[int, ...], ...]
) -> None:
    _, found = _kept_by(call, *(tensor(*shape) for shape in shapes))
    assert alike(found, rule_of(find_op(op)(function, **options), *shapes))


def test_what_has_no_module_keeps_what_the_hooks_see() -> None:
    classes = torch.zeros(4, dtype=torch.int64)
    _, found = _kept_by(F.nll_loss, tensor(4, 3), classes)
    rule = rule_of(find_op("loss")("nll_loss"), (4, 3), (4,), dtypes=("float32", "int64"), wanted=(True, False))
    assert alike(found, rule)
    _, found = _kept_by(lambda x: x.sort(1), tensor(4, 3))
    assert alike(found, rule_of(find_op("sort")(1), (4, 3)))
    _, found = _kept_by(torch._weight_norm_interface, tensor(4, 3), tensor(4, 1))
    assert alike(found, rule_of(find_op("weight_norm")(), (4, 3), (4, 1)))


REGIONS = torch.tensor([[0, 0, 0, 4, 4], [0, 1, 1, 5, 5], [0, 2, 0, 3, 5.0]])


def torchvision_operators() -> Any:
    """``torchvision.ops``, where its compiled operators fit this PyTorch."""
    ops = pytest.importorskip("torchvision.ops", exc_type=(ImportError, RuntimeError))
    try:
        ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    except (NotImplementedError, RuntimeError, AttributeError) as error:
        pytest.skip(f"torchvision's operators do not run here: {str(error)[:60]}")
    return ops


@pytest.mark.parametrize("size", [2, (2, 4)])
@pytest.mark.parametrize("by_position", [False, True])
@pytest.mark.parametrize("name", ["roi_align", "roi_pool"])
def test_regions_keep_what_the_hooks_see(name: str, by_position: bool, size: Any) -> None:
    ops = torchvision_operators()
    height, width = (size, size) if isinstance(size, int) else size
    shape = (1, 8 * height * width if by_position else 8, 6, 6)
    operator = getattr(ops, f"ps_{name}" if by_position else name)
    _, found = _kept_by(lambda x, regions: operator(x, regions, size), tensor(*shape), REGIONS)
    rule = rule_of(find_op(name)(size, by_position=by_position), shape, (3, 5), wanted=(True, False))
    assert alike(found, rule)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_deformable_convolutions_keep_what_the_hooks_see(masked: bool, bias: bool) -> None:
    ops = torchvision_operators()
    shapes = ((2, 4, 6, 5), (2, 18, 6, 5), *(((2, 9, 6, 5),) if masked else ()))
    module = ops.DeformConv2d(4, 3, 3, padding=1, bias=bias)
    _, found = kept(module, [tensor(*shape) for shape in shapes])
    assert alike(found, rule_of(find_op("deform_conv")(3, 3, padding=1, bias=bias), *shapes))


def layers(rng: random.Random) -> tuple[Op, tuple[TensorType, ...]]:
    """A random layer and what it is given."""

    def some(low: int, high: int) -> int:
        return rng.randint(low, high)

    rank = some(1, 3)
    batch, groups = some(1, 3), some(1, 3)
    channels = groups * some(1, 4)
    places = tuple(some(6, 9) for _ in range(rank))
    image = TensorType((batch, channels, *places))
    last = rng.random() < 0.3
    laid = TensorType((batch, *places, channels)) if last else image
    uneven = tuple((some(0, 1), some(0, 1)) for _ in range(rank))
    padding = rng.choice([0, 1, "same", uneven])
    kernel = tuple(some(2, 3) for _ in range(rank)) if rng.random() < 0.5 else some(2, 3)
    length, width, heads = some(1, 6), 4 * some(1, 3), rng.choice([1, 2, 4])
    tokens = TensorType((batch, length, width))
    other = TensorType((batch, some(1, 6), rng.choice([width, 5])))
    q = TensorType((batch, heads, length, width))
    k = TensorType((batch, heads, some(1, 6), width))
    v = TensorType((*k.shape[:-1], rng.choice([width, width, 3])))
    mask = TensorType((length, k.shape[-2]), rng.choice(["bool", "float32"]))  # type: ignore[arg-type]
    any_shape = TensorType(tuple(some(1, 5) for _ in range(some(1, 4))))
    sequence = TensorType((some(1, 5), batch, some(1, 6)))
    stretched = TensorType(tuple(rng.choice([1, d]) for d in any_shape.shape))  # type: ignore[arg-type]
    uses: list[tuple[str, tuple[Any, ...], dict[str, Any], tuple[TensorType, ...]]] = [
        ("conv", (groups * some(1, 4), kernel), {"stride": some(1, 2), "padding": padding, "dilation": some(1, 2),
         "groups": groups, "bias": rng.random() < 0.5, "channels_last": last}, (laid,)),
        ("conv_transpose", (groups * some(1, 4), kernel), {"stride": some(1, 3), "groups": groups}, (image,)),
        ("max_pool", (kernel,), {"stride": some(1, 2), "padding": padding, "ceil_mode": rng.random() < 0.5}, (image,)),
        ("avg_pool", (kernel,), {"stride": some(1, 2), "padding": padding, "channels_last": last}, (laid,)),
        ("adaptive_avg_pool", (some(1, 3),), {}, (image,)),
        ("adaptive_max_pool", (some(1, 3),), {}, (image,)),
        ("global_avg_pool", (), {"keepdim": rng.random() < 0.5}, (image,)),
        ("batch_norm", (), {"affine": rng.random() < 0.5}, (image,)),
        ("instance_norm", (), {"affine": rng.random() < 0.5, "track_running_stats": rng.random() < 0.5}, (image,)),
        ("group_norm", (groups,), {"affine": rng.random() < 0.5}, (image,)),
        ("layer_norm", (), {"affine": rng.random() < 0.5}, (any_shape,)),
        ("layer_norm", (), {"channels_first": True}, (image,)),
        ("rms_norm", (), {"affine": rng.random() < 0.5}, (tokens,)),
        ("linear", (some(1, 6),), {"bias": rng.random() < 0.5}, (any_shape,)),
        ("layer_scale", (), {}, (image,)),
        ("local_response_norm", (some(1, 5),), {}, (image,)),
        ("dropout", (rng.choice([0.0, 0.3, 1.0]),), {}, (any_shape,)),
        ("stochastic_depth", (rng.choice([0.0, 0.3]),), {}, (any_shape,)),
        ("multiply", (), {}, (any_shape, stretched, any_shape)),
        ("divide", (), {}, (any_shape, stretched)),
        ("scaled_dot_product_attention", (), {}, (q, k, v)),
        ("scaled_dot_product_attention", (), {}, (q, k, k, mask)),
        ("scaled_dot_product_attention", (), {"causal": True}, (tokens, tokens, tokens)),
        ("multi_head_attention", (heads,), {"bias": rng.random() < 0.5}, rng.choice([(tokens,), (tokens, other)])),
        ("gru", (some(1, 4), some(1, 2)), {"bidirectional": last, "batch_first": rng.random() < 0.5}, (sequence,)),
        ("rnn", (some(1, 4), some(1, 2)), {"bidirectional": last, "batch_first": rng.random() < 0.5}, (sequence,)),
        ("pad", (some(1, 2),), {"mode": rng.choice(["zeros", "reflect", "replicate", "circular"])}, (image,)),
        ("upsample", (), {"scale": 2}, (image,)),
        ("einsum", ("bhqd,bhkd->bhqk",), {}, (q, k)),
        ("einsum", ("bhqk,bhkd->bqhd",), {}, (TensorType((*q.shape[:-1], k.shape[-2])), k)),
        ("matmul", (), {}, (TensorType((*q.shape[:-1], k.shape[-2])), k)),
        ("matmul", (), {}, (tokens, TensorType((width, some(1, 4))))),
    ]  # fmt: skip
    name, positions, options, types = rng.choice(uses)
    return find_op(name)(*positions, **options), types


def sweep(count: int, seed: int) -> tuple[int, list[Any]]:
    torch.manual_seed(seed)
    rng, tried, wrong = random.Random(seed), 0, []
    while tried < count:
        try:
            op, types = layers(rng)
            if not all(holds for holds, _ in op.requires(*types)):
                continue
            wanted = [rng.random() < 0.8 for _ in types]
            found = both(op, types, wanted)
        except (CostcalcError, ValueError):  # one value for each channel is not normalised
            continue
        if found is None:
            continue
        tried += 1
        real, rule, _ = found
        if rule is None or not alike(real, rule):
            wrong.append((str(op), *map(str, types), wanted, real, rule))
    return tried, wrong


def test_random_layers_keep_what_the_hooks_see() -> None:
    tried, wrong = sweep(120, 1)
    assert (tried, wrong) == (120, [])


@pytest.mark.long
def test_thousands_of_random_layers_keep_what_the_hooks_see() -> None:
    tried, wrong = sweep(5000, 2)
    assert (tried, wrong) == (5000, [])


def test_a_rule_of_symbols_and_arrays_is_that_of_numbers() -> None:
    """The formulas of what is kept run on all three."""
    numpy = pytest.importorskip("numpy")
    from costcalc.ir.expr import Expr

    op = find_op("max_pool")(3, stride=2, padding=((0, 1), (1, 0)))

    def bits(size: Any) -> Any:
        x = TensorType((2, 4, size, size))
        saves: Saves = op.saves(x, y=op.infer(x), trained=False, wanted=(True,))
        return sum(t.bits() for t in saves.maps)

    known = [bits(n) for n in (9, 12, 31)]
    assert list(bits(numpy.array([9, 12, 31]))) == known
    symbolic = bits(Expr.symbol("n"))
    assert [value_at(symbolic, {"n": size}) for size in (9, 12, 31)] == known


def test_random_products_of_stacks_keep_what_the_hooks_see() -> None:
    """Stacks of none to three axes, of which some or all stretch, on either side; each choice of gradients."""
    chance, tried, wrong = random.Random(5), 0, []
    for _ in range(400):
        stack = [chance.choice((1, 2, 3)) for _ in range(chance.randrange(1, 4))]
        own = [[d if chance.random() < 0.6 else 1 for d in stack][chance.choice((0, 0, 1, 2)) :] for _ in "ab"]
        rows, inner, columns = (chance.randrange(1, 6) for _ in range(3))
        types = TensorType((*own[0], rows, inner)), TensorType((*own[1], inner, columns))
        for wanted in ((True, True), (True, False), (False, True)):
            real, rule, _ = both(find_op("matmul")(), types, wanted)
            tried += 1
            if not alike(real, rule):
                wrong.append((str(types[0]), str(types[1]), wanted, real - rule, rule - real))
    assert wrong == []
    assert tried == 1200
