"""Functions as torchinfo, thop, fvcore and ptflops have them, with what they return, counted by costcalc.

    from costcalc.migrate import profile  # was: from thop import profile

They take the arguments that people write and give the figures of ``costcalc.analyze``; why those differ from the other
tools' is in ``docs/migrating.md``. What only decides how the other tool prints or runs is taken and changes nothing.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO

from costcalc.analysis.records import Report
from costcalc.analysis.report import report
from costcalc.classes import dataclass
from costcalc.errors import OptionError

if TYPE_CHECKING:
    from torch import nn

STEPS = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "K"))
COUNTS_ALL = "has no counterpart: every operator is counted, and a layer's part is report['NAME'].macs"


# -- torchinfo -------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Summary:
    """What ``summary`` returns; printed it is the table of the report.

    report    everything: ``summary(…).report["layer1"].macs``
    depth     to how many levels of names the table is folded
    """

    report: Report
    depth: int | None = None

    def __repr__(self) -> str:
        return self.report.to_text(depth=self.depth)

    def _repr_html_(self) -> str:
        return self.report._repr_html_()

    @property
    def total_mult_adds(self) -> int:
        """Multiply-accumulates, of the whole batch: ``report.total.macs``."""
        return int(self.report.total.macs)  # type: ignore[arg-type]

    @property
    def total_params(self) -> int:
        """Parameters of the model, shared ones once: ``report.total.params``."""
        return int(self.report.total.params)  # type: ignore[arg-type]

    @property
    def trainable_params(self) -> int:
        """Those of them that training changes: ``report.total.trainable_params``."""
        return int(self.report.total.trainable_params)  # type: ignore[attr-defined]

    @property
    def total_param_bytes(self) -> int:
        """Bytes of parameters and buffers, as they are stored: ``report.total.weight_bits / 8``."""
        return -(-int(self.report.total.weight_bits) // 8)  # type: ignore[arg-type]


def summary(
    model: nn.Module,
    input_size: Sequence[int] | Sequence[Sequence[int]] | None = None,
    input_data: Any = None,
    batch_dim: int | None = None,
    cache_forward_pass: bool | None = None,
    col_names: Iterable[str] | None = None,
    col_width: int = 25,
    depth: int | None = None,
    device: Any = None,
    dtypes: Sequence[Any] | None = None,
    mode: str | None = None,
    row_settings: Iterable[str] | None = None,
    verbose: int | None = None,
    **kwargs: Any,
) -> Summary:
    """``torchinfo.summary``. As there it is printed unless ``verbose`` is 0 or somebody sits at a prompt.

    input_size   the shape with the batch, or one for each input
    input_data   tensors in its place: one, several, or a mapping of the forward's arguments
    batch_dim    the axis at which ``input_size`` lacks the batch, which is then 1
    dtypes       element types of the inputs of ``input_size``, of zeros that are made for them
    depth        levels of names that are shown, all by default
    """
    if (input_size is None) == (input_data is None):
        raise OptionError(
            "summary needs either input_size, with the batch, or input_data: summary(m, (1, 3, 224, 224))"
        )
    if isinstance(input_data, Mapping):
        inputs: tuple[Any, ...] = ()
        kwargs = {**input_data, **kwargs}
    else:
        inputs = _inputs(input_size if input_data is None else input_data)
    if input_size is not None and batch_dim is not None:
        inputs = tuple((*shape[:batch_dim], 1, *shape[batch_dim:]) for shape in inputs)
    if input_size is not None and dtypes is not None:
        import torch

        if len(dtypes) != len(inputs):
            raise OptionError(f"dtypes has {len(dtypes)} element types for {len(inputs)} inputs")
        inputs = tuple(torch.zeros(shape, dtype=dtype) for shape, dtype in zip(inputs, dtypes, strict=True))
    found = Summary(_analyzed(model, *inputs, **kwargs), depth)
    if not hasattr(sys, "ps1") if verbose is None else verbose:
        print(found)
    return found


# -- thop ------------------------------------------------------------------------------------------


def profile(
    model: nn.Module,
    inputs: Any,
    custom_ops: Mapping[Any, Any] | None = None,
    verbose: bool = True,
    ret_layer_info: bool = False,
    report_missing: bool = False,
) -> tuple[Any, ...]:
    """``thop.profile``: MACs and parameters; with ``ret_layer_info`` also name → the two and what is below it.

    inputs   a tuple of tensors, or of shapes with the batch
    """
    if custom_ops:
        raise OptionError(f"custom_ops {COUNTS_ALL}")
    found = _analyzed(model, *_inputs(inputs))
    total = (found.total.macs, found.total.params)
    return (*total, _below(found)) if ret_layer_info else total


def clever_format(nums: Any, format: str = "%.2f") -> Any:
    """``thop.clever_format``: ``"4.09G"``, or a tuple of such.

    >>> clever_format([4_089_184_256, 25_557_032, 7], "%.3f")
    ('4.089G', '25.557M', '7.000')
    """
    if isinstance(nums, (list, tuple)):
        return tuple(clever_format(one, format) for one in nums)
    step, unit = next((step for step in STEPS if nums >= step[0]), (1, ""))
    return format % (nums / step) + unit


def _below(report: Report) -> dict[str, Any]:
    """Name → MACs, parameters, and the same of what is below, as thop nests them."""
    tree: dict[str, Any] = {}
    for name, part in sorted(report.by_name.items(), key=lambda item: item[0].count(".")):
        below = tree
        *path, last = name.split(".")
        for step in path:
            below = below[step][2] if step in below else below
        below[last] = (part.macs, part.params, {})
    return tree


# -- fvcore ----------------------------------------------------------------------------------------


class FlopCountAnalysis:
    """``fvcore.nn.FlopCountAnalysis``: its "flops" are MACs, and so are these. The model is traced when first asked.

    inputs   a tensor, a tuple of tensors, or shapes with the batch
    """

    def __init__(self, model: nn.Module, inputs: Any) -> None:
        self._model, self._inputs = model, _inputs(inputs)

    @cached_property
    def report(self) -> Report:
        """Everything that costcalc knows of it."""
        return _analyzed(self._model, *self._inputs)

    def total(self, module_name: str = "") -> int:
        """MACs of the whole model, or of one module."""
        part = self.report[module_name] if module_name else self.report.total
        return int(part.macs)  # type: ignore[arg-type]

    def by_module(self) -> Counter[str]:
        """Name of each block and each layer → its MACs; "" for all."""
        parts = {name: int(part.macs) for name, part in self.report.by_name.items()}  # type: ignore[arg-type]
        return Counter({"": self.total(), **parts})

    def by_operator(self) -> Counter[str]:
        """Op → the MACs of its layers, where it has any."""
        found: Counter[str] = Counter()
        for layer in self.report:
            found[layer.op] += int(layer.macs)  # type: ignore[arg-type]
        return +found

    def by_module_and_operator(self) -> dict[str, Counter[str]]:
        """The same for each block and each layer."""
        found: dict[str, Counter[str]] = {name: Counter() for name in ("", *self.report.by_name)}
        for layer in self.report:
            steps = layer.name.split(".")
            for name in {"", *(".".join(steps[: n + 1]) for n in range(len(steps)))}:
                if layer.macs and name in found:
                    found[name][layer.op] += int(layer.macs)  # type: ignore[arg-type]
        return found

    def unsupported_ops(self, module_name: str = "") -> Counter[str]:
        """How many layers of each kind have no rule; while there are any, the total is a lower bound."""
        within = f"{module_name}." if module_name else ""
        return Counter(u.kind for u in self.report.uncounted if f"{u.name}.".startswith(within))

    def unsupported_ops_warnings(self, enabled: bool) -> FlopCountAnalysis:
        """Changes nothing: the report says what is not counted."""
        return self

    uncalled_modules_warnings = tracer_warnings = unsupported_ops_warnings


def flop_count_table(flops: FlopCountAnalysis, max_depth: int = 3) -> str:
    """``fvcore.nn.flop_count_table``: the table of the command line, folded to ``max_depth`` levels of names."""
    return flops.report.to_text(depth=max_depth)


# -- ptflops ---------------------------------------------------------------------------------------


def get_model_complexity_info(
    model: nn.Module,
    input_res: Sequence[int],
    print_per_layer_stat: bool = True,
    as_strings: bool = True,
    input_constructor: Callable[[Sequence[int]], Any] | None = None,
    ost: TextIO | None = None,
    verbose: bool = False,
    ignore_modules: Sequence[Any] = (),
    custom_modules_hooks: Mapping[Any, Any] = {},
    backend: Any = None,
    flops_units: str | None = None,
    param_units: str | None = None,
    output_precision: int = 2,
    backend_specific_config: Mapping[str, Any] = {},
) -> tuple[Any, Any]:
    """``ptflops.get_model_complexity_info``: MACs and parameters, ``("4.09 GMac", "25.56 M")`` or as numbers.

    input_res           the shape **without** the batch, which is 1
    input_constructor   a function from it to the arguments of the forward, a mapping, or to its one input
    """
    if ignore_modules or custom_modules_hooks:
        raise OptionError(f"{'ignore_modules' if ignore_modules else 'custom_modules_hooks'} {COUNTS_ALL}")
    given = input_constructor(input_res) if input_constructor else (1, *input_res)
    found = _analyzed(model, **given) if isinstance(given, Mapping) else _analyzed(model, given)
    if print_per_layer_stat:
        print(found, file=ost or sys.stdout)
    macs, params = found.total.macs, found.total.params
    if not as_strings:
        return macs, params
    return (
        _with_unit(macs, flops_units, output_precision, "GMac MMac KMac", "Mac"),
        _with_unit(params, param_units, output_precision, "B M k", ""),
    )


def _with_unit(value: Any, wanted: str | None, digits: int, units: str, bare: str) -> str:
    """``value`` in ``wanted``, one of ``units``, which are for 10⁹, 10⁶ and 10³; in what fits, if that is None."""
    scales = dict(zip(units.split(), (10**9, 10**6, 10**3), strict=True))
    fitting = next((unit for unit, step in scales.items() if value >= step and unit != "B"), bare)
    unit = fitting if wanted is None else wanted
    return f"{round(value / scales[unit], digits)} {unit}" if unit in scales else f"{value} {bare}".rstrip()


# -- all -------------------------------------------------------------------------------------------


def _analyzed(model: nn.Module, *inputs: Any, **kwargs: Any) -> Report:
    """``analyze``, where an argument of the forward may be called ``input`` or ``batch``."""
    from costcalc.frontends.torch.tracer import trace

    return report(trace(model, *inputs, **kwargs))


def _inputs(given: Any) -> tuple[Any, ...]:
    """The inputs of a forward: one shape, one tensor, or several of either."""
    if not isinstance(given, (list, tuple)):
        return (given,)
    if given and all(isinstance(one, int) for one in given):
        return (tuple(given),)
    return tuple(tuple(one) if isinstance(one, list) else one for one in given)
