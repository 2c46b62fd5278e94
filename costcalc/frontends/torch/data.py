"""Work whose size depends on values, which a trace without values cannot know: named assumptions.

A box detector runs its head on as many regions as non-maximum suppression leaves. How many those are
is a parameter with a default; what is assumed stands in the graph (``Graph.assumed``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from costcalc.errors import OptionError, UnknownName, near
from costcalc.frontends.torch.scopes import Where

PROPOSALS = 1000
Values = Literal["few", "constants", "all"]
"""Which tensors of a trace have values: small ones that no input and no weight enters; or whatever no float input
and no weight enters; or all."""


class ValuesNeeded(Exception):
    """The model asks for the value of a tensor that has none in this trace; its text says where."""


class Assumptions:
    """What a trace takes for granted about values.

    settings    the user's, for the whole model or one module: ``{"proposals": 300, "roi_heads.proposals": 20}``
    used        the settings and defaults that were needed
    asked       the names of settings that the model has a use for
    made        what was assumed, as sentences

    Raises ``OptionError`` for a setting that is no number of things.
    """

    def __init__(self, settings: Mapping[str, int] | None = None) -> None:
        self.settings = dict(settings or {})
        self.where = Where()
        for name, number in self.settings.items():
            if not isinstance(number, int) or isinstance(number, bool) or number < 0:
                raise OptionError(f"{name} is a whole number from 0, not {str(number)[:80]}")
        self.used: dict[str, int] = {}
        self.asked: dict[str, None] = {}
        self.made: dict[str, None] = {}

    def guess(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """What a call would return that cannot run without values; None where it can run."""
        rule = GUESSES.get(name)
        return rule(self, args, kwargs) if rule else None

    def count(self, parameter: str, default: int) -> int:
        """The number to take for ``parameter`` in the module that runs, noted as used."""
        own = f"{self.where.now.path}.{parameter}"
        self.asked.update({own: None, parameter: None})
        name = own if own in self.settings else parameter
        number = self.used[name] = int(self.settings.get(name, default))
        return number

    def check_settings(self, model: str) -> None:
        """Raise ``UnknownName`` for a setting that the run had no use for."""
        for name in self.settings:
            if name not in self.asked:
                raise UnknownName(f"nothing in {model} asks for '{name[:80]}'{near(name, self.asked)}")

    def note(self, sentence: str) -> None:
        """Say ``sentence`` in the report, once."""
        self.made[sentence] = None


def _suppressed(known: Assumptions, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
    boxes = args[0]
    kept = known.count("proposals", PROPOSALS)
    known.note(f"proposals = {kept}: non-maximum suppression keeps so many boxes, or as many as there are")
    return torch.empty(min(boxes.shape[0], kept), dtype=torch.int64, device="meta")


def _nonzero(known: Assumptions, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
    known.note("selections by value keep every element")
    return torch.empty(args[0].numel(), args[0].dim(), dtype=torch.int64, device="meta")


def _masked(known: Assumptions, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
    known.note("selections by value keep every element")
    shape = torch.broadcast_shapes(args[0].shape, args[1].shape)
    return torch.empty(shape.numel(), dtype=args[0].dtype, device="meta")


def _distinct(known: Assumptions, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Tensor, ...]:
    known.note("the values of a tensor that are told apart are taken as one")
    x = args[0]
    places = torch.empty(x.shape, dtype=torch.int64, device="meta")
    return torch.empty(1, dtype=x.dtype, device="meta"), places, places[:1]


def _index(known: Assumptions, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor | None:
    """``x[mask]``: a mask takes the place of the axes that it covers, and keeps every element."""
    x, indices = args[0], args[1]
    if not any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in indices):
        return None
    known.note("selections by value keep every element")
    places = []
    for i in indices:
        if i is not None and i.dtype in (torch.bool, torch.uint8):
            places += [torch.empty(i.numel(), dtype=torch.int64, device="meta") for _ in range(i.dim())]
        else:
            places.append(i)
    result: Tensor = torch.ops.aten.index.Tensor(x, places)
    return result


def _number(known: Assumptions, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    if not known.made:
        raise ValuesNeeded
    # Boxes have been assumed, so no run could tell this value either.
    known.note("a number read from assumed boxes is taken as 1, a truth value as false")
    dtype = args[0].dtype
    return False if dtype == torch.bool else 1.0 if dtype.is_floating_point else 1


def _grouped_product(known: Assumptions, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
    """Its meta kernel takes bfloat16 alone, as one GPU kernel does; the shapes are the same for all."""
    a, b = args[0], args[1]
    ends = args[2] if len(args) > 2 else kwargs.get("offs")
    groups = () if a.dim() != b.dim() else a.shape[:1] if ends is None else ends.shape
    return torch.empty(*groups, a.shape[-2], b.shape[-1], dtype=kwargs.get("out_dtype") or a.dtype, device="meta")


def _held(known: Assumptions, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
    """A check that the model makes of its own values."""
    return torch.ones((), dtype=torch.bool)


GUESSES = {
    "_grouped_mm": _grouped_product,
    "_is_all_true": _held,
    "torchvision::nms": _suppressed,
    "nonzero": _nonzero,
    "masked_select": _masked,
    "index": _index,
    "_unique2": _distinct,
    "_local_scalar_dense": _number,
}
