"""A module made transparent: which inputs an output depends on, read off the gradient.

For the run every value becomes ½, every weight positive and every function monotone and smooth, so
that no dependency can vanish: activations pass their input on, maxima and softmaxes become means,
norms pass on or average what they normalise over. On the way back every gradient is cut to 0 or 1 at
each submodule, so that nothing under- or overflows however deep the net. What is left of the gradient
at the input is exactly the dependency.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from costcalc.verification.run import ModuleCall, level_weights

if TYPE_CHECKING:
    from torch import Tensor, nn


class Complete(Exception):
    """All outputs that are wanted are there."""


@contextmanager
def transparent(module: nn.Module, keep: Mapping[ModuleCall, str]) -> Iterator[dict[str, Tensor]]:
    """While it lasts, a run of ``module`` is a probe; yields what the calls of submodules in ``keep`` return, by name.

    The run breaks off with ``Complete`` once it has them all. The module's weights are overwritten.
    """
    import torch

    from costcalc.frontends.torch.program import by_parts, results_seen

    level, substitute = _classes()
    kept: dict[str, Tensor] = {}
    called: Counter[str] = Counter()

    def seen(name: str, made: Any) -> Any:
        from torch.utils._pytree import tree_map

        made = tree_map(lambda t: level.apply(t) if _has_gradient(t) else t, made)
        call = ModuleCall(name, called[name])
        called[name] += 1
        if call in keep:
            kept[keep[call]] = made
            if len(kept) == len(keep):
                raise Complete
        return made

    def hook(name: str) -> Any:
        return lambda _, __, made: seen(name, made)

    level_weights(module)
    hooks = [child.register_forward_hook(hook(name)) for name, child in module.named_modules() if name]
    try:
        with (
            torch.enable_grad(),
            substitute(),
            by_parts(module),
            results_seen(module, seen),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield kept
    finally:
        for handle in hooks:
            handle.remove()


def _has_gradient(value: object) -> bool:
    import torch

    return isinstance(value, torch.Tensor) and value.requires_grad


@cache
def _classes() -> tuple[Any, Any]:
    # Defined on use: a class statement needs its base, and the bases need torch.
    import torch
    from torch.overrides import TorchFunctionMode

    class Level(torch.autograd.Function):
        """Forward ½ everywhere; backward 1 where there is any gradient."""

        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return torch.full_like(x, 0.5)

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Tensor:
            return (gradient != 0).to(gradient.dtype)

    substitutes = _substitutes()
    of_operators = _substitutes_of_operators(substitutes)

    class Substitute(TorchFunctionMode):
        """Calls a smooth stand-in for each function, or operator of a program, that would hide a dependency."""

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            instead = substitutes.get(func)
            if instead is None and isinstance(func, torch._ops.OpOverload) and func.namespace == "aten":
                instead = of_operators.get(func._opname)
            if instead is not None and any(map(_has_gradient, args)):
                func = instead
            return func(*args, **(kwargs or {}))

    return Level, Substitute


def _substitutes() -> dict[Any, Callable[..., Any]]:
    """Function of torch → its stand-in, which takes the same arguments."""
    import torch
    from torch import Tensor
    from torch.nn import functional as F

    passing = (
        F.relu, F.relu6, F.hardtanh, F.hardsigmoid, F.hardswish, F.leaky_relu, F.prelu, F.elu, F.selu, F.celu, F.gelu,
        F.silu, F.mish, F.sigmoid, F.tanh, F.softplus, F.dropout, F.local_response_norm,
        torch.relu, torch.relu_, torch.sigmoid, torch.tanh, torch.prelu, torch.clamp, Tensor.relu, Tensor.relu_,
        Tensor.sigmoid, Tensor.tanh, Tensor.clamp, F.hardshrink, F.softshrink, F.threshold, F.relu_, torch.threshold,
        torch.hardshrink, Tensor.hardshrink,
    )  # fmt: skip
    # Steps have no slope anywhere, though they depend on what they are steps of.
    steps = ("round", "floor", "ceil", "trunc", "fix", "sign", "sgn")
    passing += tuple(
        getattr(of, name + end)
        for name in steps
        for end in ("", "_")
        for of in (torch, Tensor)
        if hasattr(of, name + end)
    )
    table: dict[Any, Callable[..., Any]] = dict.fromkeys(passing, _pass_on)
    table |= dict.fromkeys((F.softmax, F.log_softmax, torch.softmax, torch.log_softmax, Tensor.softmax), _mean_along)
    table[F.normalize] = _mean_of_axis
    table |= dict.fromkeys((F.layer_norm, F.rms_norm, torch.layer_norm, torch.rms_norm), _mean_of_shape)
    table |= dict.fromkeys((F.group_norm, torch.group_norm), _mean_of_image)
    table |= {F.batch_norm: _batch_norm, F.instance_norm: _instance_norm}
    # A difference or a ratio of two values that come from one would cancel.
    table |= dict.fromkeys(
        (torch.sub, torch.div, Tensor.sub, Tensor.div, Tensor.__sub__, Tensor.__truediv__), torch.add
    )
    for n in (1, 2, 3):
        average = getattr(F, f"adaptive_avg_pool{n}d")
        for end in ("", "_with_indices"):
            max_pool, adaptive = getattr(F, f"max_pool{n}d{end}"), getattr(F, f"adaptive_max_pool{n}d{end}")
            table |= {max_pool: _mean_pool(max_pool, n), adaptive: _adaptive_mean_pool(adaptive, average)}
    table |= {torch.searchsorted: _among, torch.bucketize: lambda x, bounds, *_, **__: _among(bounds, x)}
    table |= dict.fromkeys((torch.histc, Tensor.histc), _in_all_bins)
    table[F.scaled_dot_product_attention] = _attend
    table[F.multi_head_attention_forward] = _attend_in_heads
    return table


def _substitutes_of_operators(functions: Mapping[Any, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """Name of an operator → its stand-in. Most take the same arguments as the function of that name."""
    import torch
    from torch.nn import functional as F

    named = {
        name: functions[found]
        for of in (F, torch, torch.Tensor)
        for name in dir(of)
        if not name.startswith("__") and isinstance(found := getattr(of, name), Hashable) and found in functions
    }
    in_place = {f"{name}_": stand_in for name, stand_in in named.items() if stand_in is _pass_on}
    own: dict[str, Callable[..., Any]] = {
        "_softmax": _mean_along,
        "_log_softmax": _mean_along,
        "native_layer_norm": lambda x, shape, *_: (_mean_of_shape(x, shape), None, None),
        "batch_norm": lambda x, weight, bias, mean, var, training, *_: _batch_norm(x, training=training),
        "_native_batch_norm_legit_no_training": lambda x, *_: (_pass_on(x), None, None),
        "instance_norm": lambda x, weight, bias, mean, var, use, *_: _instance_norm(x, use_input_stats=use),
    }
    return in_place | named | own


def _pass_on(x: Tensor, *_: Any, **__: Any) -> Tensor:
    return x * 1  # a value of its own: callers may write to it


def _mean_over(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    return x.mean(axes, keepdim=True).expand_as(x)


def _mean_along(x: Tensor, dim: int, *_: Any, **__: Any) -> Tensor:
    return _mean_over(x, (dim,))


def _mean_of_axis(x: Tensor, p: float = 2.0, dim: int = 1, *_: Any, **__: Any) -> Tensor:
    return _mean_over(x, (dim,))


def _mean_of_shape(x: Tensor, normalized_shape: tuple[int, ...], *_: Any, **__: Any) -> Tensor:
    return _mean_over(x, tuple(range(-len(normalized_shape), 0)))


def _mean_of_image(x: Tensor, *_: Any, **__: Any) -> Tensor:
    return _mean_over(x, tuple(range(1, x.ndim)))


def _batch_norm(
    x: Tensor,
    mean: Any = None,
    var: Any = None,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    *_: Any,
    **__: Any,
) -> Tensor:
    return _mean_over(x, (0, *range(2, x.ndim))) if training else _pass_on(x)


def _instance_norm(x: Tensor, *_: Any, use_input_stats: bool = True, **__: Any) -> Tensor:
    return _mean_over(x, tuple(range(2, x.ndim))) if use_input_stats else _pass_on(x)


def _mean_pool(max_pool: Callable[..., Any], axes: int) -> Callable[..., Any]:
    """Mean pooling in place of ``max_pool``: a convolution, since torch's own has no dilation."""

    def pool(
        x: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, *rest: Any, **named: Any
    ) -> Any:
        import torch
        from torch.nn import functional as F

        made = max_pool(x.detach(), kernel_size, stride, padding, dilation, *rest, **named)
        shape = (made[0] if isinstance(made, tuple) else made).shape[-axes:]
        settings = (kernel_size, stride or kernel_size, padding, dilation)
        k, s, p, d = (tuple(v) if isinstance(v, (tuple, list)) else (v,) * axes for v in settings)
        fill: list[int] = []
        for i in reversed(range(axes)):
            fill += p[i], (shape[i] - 1) * s[i] + d[i] * (k[i] - 1) + 1 - x.shape[i - axes] - p[i]
        planes = F.pad(x.reshape(-1, 1, *x.shape[-axes:]), fill)
        kernel = x.new_full((1, 1, *k), 1 / max(1, sum(k)))
        conv = (torch.conv1d, torch.conv2d, torch.conv3d)[axes - 1]
        mean = conv(planes, kernel, None, s, 0, d).reshape(*x.shape[:-axes], *shape)
        return (mean, made[1]) if isinstance(made, tuple) else mean

    return pool


def _adaptive_mean_pool(max_pool: Callable[..., Any], average: Callable[..., Tensor]) -> Callable[..., Any]:
    def pool(x: Tensor, output_size: Any, *rest: Any, **named: Any) -> Any:
        made = max_pool(x.detach(), output_size, *rest, **named)
        return (average(x, output_size), made[1]) if isinstance(made, tuple) else average(x, output_size)

    return pool


def _among(bounds: Tensor, x: Tensor, *_: Any, **__: Any) -> Tensor:
    """Where an element lies depends on it and on all bounds of its row."""
    return x + bounds.mean(-1, keepdim=True)


def _in_all_bins(x: Tensor, bins: int = 100, *_: Any, **__: Any) -> Tensor:
    return x.mean().repeat(bins)


def _attend(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> Tensor:
    """Each place sees its own query and every key and value."""
    # Grouped queries have fewer heads of keys and values. Other axes, windows say, stay apart.
    heads = tuple(a for a in range(query.ndim - 2) if key.shape[a] not in (1, query.shape[a]))
    seen = key.mean((*heads, -2, -1), keepdim=True) + value.mean((*heads, -2), keepdim=True)
    return query.mean(-1, keepdim=True) + seen


def _attend_in_heads(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> tuple[Tensor, None]:
    """The same with the sequence first, as ``nn.MultiheadAttention`` calls it."""
    seen = key.mean((0, -1), keepdim=True) + value.mean((0, -1), keepdim=True)
    return query.mean(-1, keepdim=True).expand_as(query) + seen, None
