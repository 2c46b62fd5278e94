"""What a model is run on: tensors made from shapes, their names, and a default where the model has one."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from costcalc.frontends.torch.failures import ModelError
from costcalc.frontends.torch.nested import is_jagged
from costcalc.frontends.torch.pytrees import SPARSE, has_values
from costcalc.frontends.torch.running import LARGEST_CONSTANT
from costcalc.frontends.torch.value_dependent import Values

SEQUENCES = 2
"""Axes of a batch of sequences, such as words."""


class WithoutValues:
    """Turns what a user gives into inputs on the meta device; small whole numbers and truth values are kept.

    values          which tensors of the trace have values
    whole_numbers   make int64 of shapes with up to so many axes, as an embedding wants
    floating        the element type of other shapes
    ranks           how many axes each shape had that was among them; its element type is a guess
    zeros           whether whole numbers of which only a shape is known are zeros
    """

    values: Values = "few"
    zeros = False

    def __init__(self, floating: torch.dtype, *, whole_numbers: int = 0) -> None:
        self.floating, self.whole_numbers = floating, whole_numbers
        self.ranks: list[int] = []

    @property
    def looked_up(self) -> int:
        """Up to how many axes a shape has that is of whole numbers, if any is: sequences rather than images."""
        return max(SEQUENCES, min(self.ranks))

    def of(self, value: Any) -> Any:
        """``value`` with shapes made tensors, in lists and dicts too."""
        if isinstance(value, Tensor):
            return self.like(value)
        if isinstance(value, dict):
            return {key: self.of(v) for key, v in value.items()}
        if is_shape(value):
            if min(value) < 1:
                raise ModelError(f"a shape has whole numbers from 1, not {value}")
            self.ranks.append(len(value))
            dtype = torch.int64 if len(value) <= self.whole_numbers else self.floating
            try:
                return self.made(tuple(value), dtype)
            except (RuntimeError, TypeError, OverflowError):
                raise ModelError(f"PyTorch has no tensor as large as {'×'.join(map(str, value))}") from None
        if isinstance(value, (list, tuple)):
            items = [self.of(v) for v in value]
            return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
        if _holds_tensors(value):
            return self._apart(value)
        return value

    def _apart(self, value: Any) -> Any:
        """A copy of ``value``, an object that holds tensors, as a cache does, which a run changes."""
        if isinstance(value, Tensor):
            return self.like(value)
        if isinstance(value, dict):
            return {key: self._apart(v) for key, v in value.items()}
        if isinstance(value, (list, set)):
            return type(value)(map(self._apart, value))
        if isinstance(value, tuple):
            items = list(map(self._apart, value))
            return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
        if not _is_object(value):
            return value
        made = copy.copy(value)
        made.__dict__.update((key, self._apart(v)) for key, v in vars(value).items())
        return made

    def made(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """A tensor of ``shape``."""
        return torch.empty(shape, dtype=dtype, device="meta")

    def like(self, tensor: Tensor) -> Tensor:
        """A tensor in place of one that the user gave; a sparse one says how many elements it stores."""
        if tensor.is_nested and not is_jagged(tensor):
            raise ModelError(
                "a nested tensor is of the jagged layout: torch.nested.nested_tensor(…, layout=torch.jagged)"
            )
        if tensor.layout in SPARSE or tensor.is_nested:
            return tensor
        if _countable(tensor.dtype) and has_values(tensor) and tensor.numel() <= LARGEST_CONSTANT:
            return tensor.detach().cpu().clone()
        made = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
        return made.requires_grad_(tensor.requires_grad)


class BesideCPU(WithoutValues):
    """The same for a model that asks for values: what it makes beside its input is made on the CPU."""

    values = "constants"


class WithConstants(BesideCPU):
    """The same, and whole numbers of which only a shape is known are zeros."""

    zeros = True

    def made(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return super().made(shape, dtype) if dtype.is_floating_point else torch.zeros(shape, dtype=dtype)


class WithValues(WithoutValues):
    """Turns what a user gives into real inputs: noise where only a shape is known."""

    values = "all"

    def made(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        if _countable(dtype):
            return torch.zeros(shape, dtype=dtype)
        return torch.rand(shape, dtype=dtype, generator=torch.Generator().manual_seed(0))

    def like(self, tensor: Tensor) -> Tensor:
        known = has_values(tensor)
        made = tensor.detach().cpu().clone() if known else self.made(tuple(tensor.shape), tensor.dtype)
        return made.requires_grad_(tensor.requires_grad)


def _is_object(value: Any) -> bool:
    return hasattr(value, "__dict__") and not isinstance(value, (type, nn.Module)) and not callable(value)


def _holds_tensors(value: Any) -> bool:
    return _is_object(value) and next(tensors_in("", value), None) is not None


def _countable(dtype: torch.dtype) -> bool:
    return not (dtype.is_floating_point or dtype.is_complex)


def floating_type(model: nn.Module) -> torch.dtype:
    """The element type that a model's first layer computes in, which its input then has too."""
    wide = (p.dtype for p in model.parameters() if p.is_floating_point() and p.element_size() > 1)
    return next(wide, torch.float32)


def is_shape(value: Any) -> bool:
    """Whether ``value`` is a shape: a tuple of whole numbers.

    >>> is_shape((1, 3, 8, 8)), is_shape([1, 3]), is_shape((2.0,)), is_shape(())
    (True, False, False, False)
    """
    return isinstance(value, tuple) and bool(value) and all(type(v) is int for v in value)


OTHER_NAMES = {
    "input", "input_size", "input_shape", "input_shapes", "input_data", "input_res", "inputs", "example_inputs",
    "dummy_input", "shape", "size", "args",
}  # fmt: skip
"""What other tools call the input of a model."""
_WRITTEN = re.compile(r"\d{1,9}([x×,]\d{1,9})+")


def shape_hint(inputs: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """What to write instead, where a forward failed and what it was given looks like a shape by another rule; or "".

    >>> shape_hint(((3, 224, 224),), {})
    '\\na shape that is given by position is with the batch: (1, 3, 224, 224)'
    >>> shape_hint(([1, 3, 8, 8],), {}), shape_hint(((1, 3, 8, 8),), {})
    ('\\na shape is a tuple: (1, 3, 8, 8)', '')
    >>> shape_hint((1, 3, 8, 8), {}), shape_hint(("1x3x8x8",), {})
    ('\\na shape is one tuple: (1, 3, 8, 8)', '\\na shape is a tuple: (1, 3, 8, 8)')
    """
    for name in OTHER_NAMES & kwargs.keys():
        shape = kwargs[name]
        if isinstance(shape, (list, tuple)) and shape and all(type(v) is int for v in shape):
            whole = tuple(shape) if len(shape) > 3 else (1, *shape)
            return f"\nshapes of inputs are given by position, with the batch: {whole} in place of {name}="
        return f"\ninputs are given by position, one after another: analyze(module, x) in place of {name}="
    if len(inputs) > 1 and all(type(value) is int and value > 0 for value in inputs):
        return f"\na shape is one tuple: {inputs}"
    for value in inputs:
        if isinstance(value, str) and _WRITTEN.fullmatch(value):
            return f"\na shape is a tuple: {tuple(map(int, re.split('[x×,]', value)))}"
        if isinstance(value, (list, tuple)) and not is_shape(value):
            if len(value) > 1 and all(type(v) is int and v > 0 for v in value):
                return f"\na shape is a tuple: {tuple(value)}"
            if len(value) > 1 and all(isinstance(v, (int, str, type(None), float)) for v in value):
                return f"\na shape is a tuple of whole numbers from 1, as (1, 3, 224, 224), not {value!r}"[:200]
            if len(inputs) == 1 and value and all(isinstance(v, Tensor) or is_shape(v) for v in value):
                return "\ninputs are given one after another, not in a list or tuple: analyze(module, x)"
        if is_shape(value) and len(value) == 3 and value[0] <= 4:
            return f"\na shape that is given by position is with the batch: {(1, *value)}"
    return ""


def other_shapes(
    model: nn.Module, inputs: Sequence[Any], kwargs: Mapping[str, Any]
) -> Iterator[tuple[str, tuple[Any, ...], dict[str, Any]]]:
    """What may have been meant by shapes that a forward fails on: why, and the inputs with other shapes."""
    conv = next((m for m in model.modules() if isinstance(m, (nn.Conv1d, nn.Conv2d, nn.Conv3d))), None)
    places, channels = (len(conv.kernel_size), conv.in_channels) if conv is not None else (0, 0)
    ways: dict[str, Callable[[tuple[int, ...]], tuple[int, ...] | None]] = {
        "a shape that is given here is with the batch": lambda s: (1, *s),
        "the shape has an axis too many": lambda s: s[1:] if s[0] == 1 and len(s) > 1 else None,
        "channels come before places": lambda s: (s[0], s[-1], *s[1:-1]) if len(s) > 2 and s[-1] == channels else None,
        "channels come before places, and the batch before both": lambda s: (
            (1, s[-1], *s[:-1]) if len(s) == places + 1 and s[-1] == channels else None
        ),
        "the shape lacks its batch and its channels": lambda s: (1, channels, *s) if len(s) == places else None,
        "the shape lacks its channels": lambda s: (s[0], channels, *s[1:]) if len(s) == places + 1 else None,
    }
    for why, way in ways.items():
        changed: list[tuple[int, ...]] = []

        def other(value: Any, way: Any = way, changed: Any = changed) -> Any:
            new = way(value) if is_shape(value) else None
            if new is not None:
                changed.append(new)
            return value if new is None else new

        args, options = tuple(map(other, inputs)), {key: other(value) for key, value in kwargs.items()}
        if changed and all(size > 0 for shape in changed for size in shape):
            yield f"{why}: {', '.join(map(str, changed))}", args, options


def named(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[tuple[str, Tensor]]:
    """Each input tensor by the name of the forward's parameter that takes it."""
    try:
        signature = inspect.signature(model.forward)
    except (TypeError, ValueError):  # a forward that is not written in Python
        yield from tensors_in("input", args if len(args) > 1 else args[0] if args else ())
        yield from tensors_in("", kwargs)
        return
    try:
        bound = signature.bind(*args, **kwargs).arguments
    except TypeError as error:
        raise ModelError(
            f"forward{signature} of {type(model).__name__} does not take the inputs given: {error}"
        ) from None
    for name, value in bound.items():
        spread = signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD
        yield from tensors_in("" if spread else name, value)


def tensors_in(name: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    """The tensors in a structure, each named by where it is: ``images.0``."""
    if isinstance(value, Tensor):
        yield name or "input", value
        return
    parts: Any = ()
    if isinstance(value, Mapping):
        parts = value.items()
    elif isinstance(value, (list, tuple, set)):
        parts = enumerate(value)
    elif hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        parts = ((key, getattr(value, key, None)) for key in value.__dataclass_fields__)
    elif _is_object(value):
        parts = vars(value).items()  # results of Hugging Face's models, NestedTensors of DETR, ImageLists
    for key, part in parts:
        yield from tensors_in(f"{name}.{key}" if name else str(key), part)


def default_inputs(model: nn.Module) -> tuple[Any, ...]:
    """The input that the model's own configuration names.

    Raises ``ModelError`` where it names none.
    """
    size = default_size(model)
    if size is None:
        raise ModelError(f"{type(model).__name__} does not say which input it takes; give one, (1, 3, 224, 224) say")
    return ((1, *size),)


def default_size(model: nn.Module) -> tuple[int, ...] | None:
    """Channels and sizes of the image that a model was made for, as timm, torchvision and Transformers keep them."""
    for config in (getattr(model, "pretrained_cfg", None), getattr(model, "default_cfg", None)):
        size = config.get("input_size") if isinstance(config, dict) else None
        if size:
            return tuple(size)
    config = getattr(model, "config", None)
    for holder in (model, config):
        side = getattr(holder, "image_size", None)
        if side:
            channels = getattr(holder, "num_channels", 3)
            return (channels, side, side) if isinstance(side, int) else (channels, *side)
    return None
