"""Modules of ``torch.ao``: their weights are packed in objects of PyTorch's own, for which their operators are kernels.

What is packed is unpacked once, for its shapes and types: its elements are weights as they are stored, in 8 bits or 4.
A call of a kernel becomes calls of what it does: the product, then what follows it. Norms and functions that PyTorch
computes in floating point stand between the two conversions that it makes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from costcalc.classes import NamedTuple
from costcalc.frontends.torch.types import type_of
from costcalc.ir.call import Traced
from costcalc.ir.tensor import TensorType

_LINEAR, _CONV, _TABLE, _CELL = (
    "LinearPackedParamsBase", "Conv2dPackedParamsBase", "EmbeddingPackedParamsBase", "CellParamsBase"
)  # fmt: skip
_KINDS = {_LINEAR: _LINEAR, _CONV: _CONV, "Conv3dPackedParamsBase": _CONV, _TABLE: _TABLE, _CELL: _CELL}


BEFORE: Any = object()
"""Stands for what the part before makes."""
WHOLE = "uint8"
"""Stands for the type of what a kernel makes, of whole numbers."""


class PackedModule(NamedTuple):
    """What one object holds: its tensors by name, without the name of the module, and how a convolution slides."""

    kind: str
    tensors: Mapping[str, Traced]
    options: Mapping[str, Any]


class PartOfKernel(NamedTuple):
    """One of the calls that a kernel stands for.

    made   the type of what it makes; None for the kernel's own, an element type for that with these elements
    """

    name: str
    arguments: Mapping[str, Any]
    made: TensorType | str | None = None

    def type(self, kernel: TensorType) -> TensorType:
        """The type of what it makes, where the kernel makes one of type ``kernel``."""
        return TensorType(kernel.shape, self.made) if isinstance(self.made, str) else self.made or kernel


class PackedWeights:
    """The packed weights of a model, found by the module that they belong to.

    weights   all of their tensors, named as the module names what it unpacks: ``layer.weight``
    """

    def __init__(self, model: nn.Module) -> None:
        self.weights: list[Traced] = []
        self._of: dict[str, list[PackedModule]] = {}
        for path, module in model.named_modules():
            for name, value in vars(module).items():
                if isinstance(value, torch.ScriptObject) and _kind(value):
                    self._take(_owner(path), value, _SUFFIX.get(name, ""))

    def of(self, path: str, value: torch.ScriptObject, order: int = 0) -> PackedModule | None:
        """What ``value`` holds, the ``order``-th argument of a call in the module ``path``; None if unknown."""
        if not _kind(value):
            return None
        known = self._of.get(path, [])
        return known[order] if order < len(known) else self._take(path, value)

    def _take(self, path: str, value: torch.ScriptObject, suffix: str = "") -> PackedModule:
        before = self._of.setdefault(path, [])
        found = _unpacked(value, f"{path}." if path else "", len(before), suffix)
        before.append(found)
        self.weights += found.tensors.values()
        return found


def _kind(value: torch.ScriptObject) -> str:
    return _KINDS.get(value._type().qualified_name().rpartition(".")[2], "")


def _owner(path: str) -> str:
    """The module that a user knows, of one that only holds what is packed."""
    return re.sub(r"\.?(_packed_params|_all_weight_values)(\.\d+)?$", "", path)


_SUFFIX = {"_packed_weight_ih": "_ih", "_packed_weight_hh": "_hh"}
"""Attribute of a cell → what a float one adds to the names of that weight and its bias."""


def _unpacked(value: Any, prefix: str, order: int, suffix: str) -> PackedModule:
    kind = _kind(value)
    if kind == _CELL:
        return PackedModule(kind, _of_cell(value, prefix, order), {})
    if kind == _TABLE:
        rate, table = value.bit_rate(), torch.ops.quantized.embedding_bag_unpack(value)
        of_row = "float32" if rate == 8 else "float16"
        types = {"weight": TensorType(tuple(table.shape), f"uint{rate}")}
        types |= {name: TensorType((table.shape[0],), of_row) for name in ("weight_scales", "weight_zero_points")}
        return PackedModule(kind, _named(types, prefix), {})
    weight, bias = torch.ops.quantized.linear_unpack(value) if kind == _LINEAR else value.unpack()
    options: dict[str, Any] = {}
    if kind == _CONV:
        names = ("stride", "padding", "output_padding", "dilation", "groups")
        options = {name: getattr(value, name)() for name in names} | {"transposed": bool(value.transpose())}
    return PackedModule(kind, _named(_types(weight, bias, suffix), prefix), options)


def _types(weight: Tensor, bias: Tensor | None, suffix: str = "") -> dict[str, TensorType]:
    """What a packed weight stores, as fbgemm has it: numbers, and a scale and a zero point of each channel."""
    if not weight.is_quantized:  # it is handed out as floats, and stored in half of the bits
        found = {f"weight{suffix}": TensorType(tuple(weight.shape), "float16")}
    else:
        each = weight.qscheme() in (torch.per_channel_affine, torch.per_channel_affine_float_qparams)
        channels = (weight.q_per_channel_scales().shape[0],) if each else ()
        found = {
            f"weight{suffix}": type_of(weight),
            f"weight{suffix}_scales": TensorType(channels, "float32"),
            f"weight{suffix}_zero_points": TensorType(channels, "int32"),
        }
    return found if bias is None else found | {f"bias{suffix}": type_of(bias)}


def _of_cell(value: Any, prefix: str, order: int) -> dict[str, Traced]:
    """The weights of one layer and direction of a recurrent module, named as a float one names them."""
    _, biases, *_, parts = value.__getstate__()[0]
    types: dict[str, TensorType] = {}
    for i, (what, part) in enumerate(zip(("_ih", "_hh"), parts, strict=True)):
        weight, own = torch.ops.quantized.linear_unpack(part)
        types |= _types(weight, biases[i] if biases else own, f"{what}_{order}")
    return _named(types, prefix)


def _named(types: Mapping[str, TensorType], prefix: str) -> dict[str, Traced]:
    """A weight of each type; scales and zero points are no parameters."""
    return {
        name: Traced(t, f"{prefix}{name}", not name.endswith(("_scales", "_zero_points"))) for name, t in types.items()
    }


_AFTER = ("_relu6", "_leaky_relu", "_relu", "_tanh")
_PLAIN = {
    "add": "add", "add_scalar": "add", "mul": "mul", "mul_scalar": "mul", "matmul": "matmul", "cat": "cat",
    "relu6": "relu6", "max_pool1d": "max_pool1d", "max_pool2d": "max_pool2d", "threshold": "threshold",
    "dropout": "dropout",
}  # fmt: skip
"""Kernels that compute on whole numbers → what they do."""
_IN_FLOATS = {
    **dict.fromkeys(("batch_norm", "batch_norm1d", "batch_norm2d", "batch_norm3d"), "batch_norm"),
    **{
        name: name
        for name in (
            "layer_norm", "group_norm", "instance_norm", "leaky_relu", "hardswish", "sigmoid", "softmax", "elu", "celu",
            "prelu",
        )
    },
}  # fmt: skip
"""Kernels that convert, compute in floating point, and convert back → what they compute."""
_RENAMED = {
    "qa": "self", "qb": "other", "qx": "self", "b": "other", "X": "input", "mean": "running_mean", "var": "running_var",
}  # fmt: skip
_NORMS = ("batch_norm", "layer_norm", "group_norm", "instance_norm")
_PRODUCTS = ("linear", "conv", "embedding")
_DEFAULTS: dict[str, Mapping[str, Any]] = {
    "add": {"alpha": 1},
    "batch_norm": {"training": False},
    "instance_norm": {"use_input_stats": True, "running_mean": None, "running_var": None},
}


def parts(name: str, arguments: Mapping[str, Any], packed: PackedWeights, path: str) -> Sequence[PartOfKernel]:
    """The calls that one of the operator ``name`` in the module ``path`` stands for; none if that is not known."""
    if name in ("quantized_lstm", "quantized_gru"):
        return _recurrent(name.removeprefix("quantized_"), arguments, packed, path)
    if not name.startswith("quantized::"):
        return ()
    kernel = name.removeprefix("quantized::")
    if kernel in _PLAIN or kernel in _IN_FLOATS:
        return list(_of_function(kernel, arguments))
    if not kernel.startswith((*_PRODUCTS, *_PLAIN, *_IN_FLOATS)):
        return ()  # such as cells
    dynamic = kernel.endswith("_dynamic")
    base, after = kernel.removesuffix("_fp16").removesuffix("_dynamic"), ""
    for suffix in _AFTER:
        if base.endswith(suffix):
            base, after = base.removesuffix(suffix), suffix[1:]
            break
    if base in _PLAIN or base in _IN_FLOATS:
        return [*_of_function(base, arguments), PartOfKernel(after, {"self": BEFORE})]
    product = list(_of_product(base, after, arguments, packed, path))
    return _with_conversions(product) if dynamic and product else product


def _of_function(kernel: str, arguments: Mapping[str, Any]) -> Iterator[PartOfKernel]:
    function = _PLAIN.get(kernel) or _IN_FLOATS[kernel]
    given = {_RENAMED.get(key, key): value for key, value in arguments.items()}
    first = "input" if function in _NORMS else "self"
    x = given.pop("input", None) or given.get("self")
    given = {**_DEFAULTS.get(function, {}), **given, first: x}
    if function == "cat":
        given["tensors"] = arguments["qx"]
    if function in _PLAIN.values() or x is None:
        yield PartOfKernel(function, given)
        return
    floats = TensorType(x.shape, "float32")
    yield PartOfKernel("dequantize", {"self": x}, floats)
    yield PartOfKernel(function, {**given, first: BEFORE}, floats)
    yield PartOfKernel("quantize_per_tensor", {"self": BEFORE})


def _of_product(
    base: str, after: str, arguments: Mapping[str, Any], packed: PackedWeights, path: str
) -> Iterator[PartOfKernel]:
    """A linear layer, a convolution or a table, and what its kernel does after it."""
    value = next((v for v in arguments.values() if isinstance(v, torch.ScriptObject)), None)
    found = packed.of(path, value) if value is not None else None
    if found is None:
        return
    x = next((v for key, v in arguments.items() if isinstance(v, Traced) and key != "qaccum"), None)
    weight, bias = found.tensors["weight"], found.tensors.get("bias")
    if found.kind == _TABLE:
        yield from _of_table(base, arguments, weight)
        return
    if found.kind == _LINEAR:
        yield PartOfKernel("linear", {"input": x, "weight": weight, "bias": bias})
    else:
        base = base.removesuffix("_add")
        options = dict(found.options)
        transposed = options.pop("transposed")
        if base.endswith("1d"):  # packed as one on maps of height 1
            options = {key: v[-1:] if isinstance(v, (list, tuple)) else v for key, v in options.items()}
            weight = _flat(weight)
        if not transposed:
            del options["output_padding"]
        yield PartOfKernel(base, {"input": x, "weight": weight, "bias": bias, **options})
    if "qaccum" in arguments:
        yield PartOfKernel("add", {"self": BEFORE, "other": arguments["qaccum"], "alpha": 1})
    if after:
        yield PartOfKernel(after, {"self": BEFORE})


def _with_conversions(product: Sequence[PartOfKernel]) -> list[PartOfKernel]:
    """A product of whole numbers whose input and result are floats: it finds the range of its input each time."""
    x: Traced = product[0].arguments["input"]
    first = product[0]._replace(arguments={**product[0].arguments, "input": BEFORE}, made=WHOLE)
    return [
        PartOfKernel("quantize_per_tensor_dynamic", {"self": x}, TensorType(x.shape, "uint8")),
        first,
        PartOfKernel("dequantize", {"self": BEFORE}),
        *product[1:],
    ]


def _flat(weight: Traced) -> Traced:
    """The kernel of a convolution along one axis, which has the other with size 1."""
    if len(weight.shape) == 4:
        weight.type = TensorType((*weight.shape[:2], weight.shape[3]), weight.type.dtype)
    return weight


def _of_table(base: str, arguments: Mapping[str, Any], weight: Traced) -> Iterator[PartOfKernel]:
    indices = arguments["indices"]
    if base.startswith("embedding_bag"):
        bag = {"offsets": arguments["offsets"], "mode": arguments["mode"]}
        weights = arguments.get("per_sample_weights")
        yield PartOfKernel(
            "embedding_bag", {"weight": weight, "indices": indices, "per_sample_weights": weights, **bag}
        )
        return
    yield PartOfKernel("embedding", {"weight": weight, "indices": indices}, weight.type.dtype)
    yield PartOfKernel("dequantize", {"self": BEFORE})


def _recurrent(name: str, arguments: Mapping[str, Any], packed: PackedWeights, path: str) -> Sequence[PartOfKernel]:
    cells = [packed.of(path, value, i) for i, value in enumerate(arguments["params"])]
    if any(cell is None for cell in cells):
        return ()
    flat: list[Traced] = []
    for i, cell in enumerate(cells):
        assert cell is not None
        names = (f"weight_ih_{i}", f"weight_hh_{i}", f"bias_ih_{i}", f"bias_hh_{i}")
        flat += [cell.tensors[key] for key in names if key in cell.tensors]
    return [PartOfKernel(name, {**arguments, "params": flat})]
