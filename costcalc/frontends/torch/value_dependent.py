"""Work whose size depends on values, which a trace without values cannot know: named assumptions.

A box detector runs its head on as many regions as non-maximum suppression leaves. How many those are
is a named size with a default (``Graph.sizes``); what else is assumed stands in ``Graph.assumed``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from costcalc.errors import OptionError, UnknownName, near
from costcalc.frontends.torch.scopes import Where

SPREAD = (
    "what is chosen (by topk, argmax, sort … or at random) is spread evenly over what there is to choose from: "
    "how many choices there are is exact, which gets how many is assumed"
)
PROPOSALS = 1000
SIZES = {
    "proposals": "boxes that non-maximum suppression keeps",
    "selected": "elements that are selected by value",
    "distinct": "values that are told apart",
    "stored": "elements that a sparse tensor stores",
}
"""Parameters for sizes that values decide → what they are the number of."""
Values = Literal["few", "constants", "all"]
"""Which tensors of a trace have values: small ones that no input and no weight enters; or whatever no float input
and no weight enters; or all."""


class ValuesNeeded(Exception):
    """The model asks for the value of a tensor that has none in this trace; its text says where."""


class Decision:
    """One size that values decide: how many elements a mask selects, boxes are kept, values are distinct.

    path, parameter, order   the module that asked, what it is, and which of these in that module it is, from 1
    size, most               what is taken, and the most that there can be
    kind                     what it is the number of
    given                    whether the user said so
    met                      whether the values of a run said so
    calls                    positions of the recorded calls that it decides
    """

    __slots__ = ("calls", "given", "kind", "met", "most", "order", "parameter", "path", "size")

    def __init__(
        self, path: str, parameter: str, order: int, size: int, most: int, *, given: bool = False, met: bool = False
    ) -> None:
        self.path, self.parameter, self.order = path, parameter, order
        self.size, self.most, self.given, self.met = min(size, most), most, given, met
        self.kind = SIZES[parameter]
        self.calls: list[int] = []


class Assumptions:
    """What a trace takes for granted about values.

    settings    the user's, for all sizes, those of a module or one: ``{"proposals": 300, "roi_heads.proposals": 20}``
    less        take one less than was asked for of each size, to see what it decides
    used        the settings and defaults that were needed
    asked       the names of settings that the model has a use for
    made        what else was assumed, as sentences
    decisions   the sizes that values decide, in order
    bounds      whether with the most of each there is the most work: nothing else was taken from what is assumed

    Raises ``OptionError`` for a setting that is not a number of things.
    """

    def __init__(self, settings: Mapping[str, int] | None = None, *, less: bool = False) -> None:
        self.settings, self._less = dict(settings or {}), less
        self.where = Where()
        for name, number in self.settings.items():
            if not isinstance(number, int) or isinstance(number, bool) or number < 0:
                raise OptionError(f"{name} is a whole number from 0, not {str(number)[:80]}")
        self.used: dict[str, int] = {}
        self.asked: dict[str, None] = {}
        self.made: dict[str, None] = {}
        self.decisions: list[Decision] = []
        self.bounds = True
        self.fresh: list[Decision] = []
        """Those that the call that runs now depends on."""
        self.identity: Callable[[Tensor], object] = id
        """What two tensors have in common that hold the same value."""
        self._of: dict[object, Decision] = {}

    def guess(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """What a call would return that cannot run without values; None where it can run."""
        rule = GUESSES.get(name)
        return rule(self, args, kwargs) if rule else None

    def size(self, parameter: str, most: int, default: int | None = None, of: Tensor | None = None) -> int:
        """The number to take for ``parameter`` in the module that runs: the user's, or the default, or ``most``.

        of    the tensor whose values decide; for the same values it is the same number
        """
        key = None if of is None else (parameter, self.identity(of), most)
        known = self._of.get(key) if key else None
        if known is None:
            known = self._decided(parameter, most, default)
            if key:
                self._of[key] = known
        self.fresh.append(known)
        return known.size

    def selected(self, mask: Tensor, most: int) -> int:
        """How many elements ``mask`` selects: by default all."""
        return self.size("selected", most, of=mask)

    def met(self, parameter: str, size: int, most: int) -> None:
        """Note a size that values did decide, in a run with values."""
        path = self.where.now.path
        self.decisions.append(Decision(path, parameter, self._order(path, parameter), size, most, met=True))
        self.fresh.append(self.decisions[-1])

    def _order(self, path: str, parameter: str) -> int:
        return 1 + sum(d.path == path and d.parameter == parameter for d in self.decisions)

    def _decided(self, parameter: str, most: int, default: int | None) -> Decision:
        path = self.where.now.path
        order = self._order(path, parameter)
        own = f"{path}.{parameter}" if path else parameter
        names = (f"{own}_{order}", own, parameter)
        self.asked.update(dict.fromkeys(names))
        name = next((n for n in names if n in self.settings), None)
        size = self.settings[name] if name else most if default is None else default
        if name or parameter == "proposals":
            self.used[name or parameter] = size
        self.decisions.append(Decision(path, parameter, order, size, most, given=bool(name)))
        if self._less and self.decisions[-1].size:
            self.decisions[-1].size -= 1
        return self.decisions[-1]

    def names(self) -> list[str]:
        """A name for each decision: its module and parameter, numbered where there are several."""
        several = {(d.path, d.parameter) for d in self.decisions if d.order > 1}
        return [
            ".".join(filter(None, (d.path, d.parameter))) + f"_{d.order}" * ((d.path, d.parameter) in several)
            for d in self.decisions
        ]

    def check_settings(self, model: str) -> None:
        """Raise ``UnknownName`` for a setting that the run had no use for."""
        for name in self.settings:
            if name not in self.asked and any(d.met for d in self.decisions):
                reason = f"{model} asks for values, so that it is run on real tensors, whose values decide"
                raise UnknownName(f"'{name[:80]}' cannot be set: {reason}")
            if name not in self.asked:
                raise UnknownName(f"nothing in {model} asks for '{name[:80]}'{near(name, self.asked)}")

    def note(self, sentence: str) -> None:
        """Say ``sentence`` in the report, once."""
        self.made[sentence] = None


def _suppressed(known: Assumptions, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
    kept = known.size("proposals", args[0].shape[0], PROPOSALS)
    return torch.empty(kept, dtype=torch.int64, device="meta")


def _nonzero(known: Assumptions, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
    count = known.selected(args[0], args[0].numel())
    return torch.empty(count, args[0].dim(), dtype=torch.int64, device="meta")


def _distinct(known: Assumptions, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Tensor, ...]:
    """The values of a whole tensor; places and numbers are there whether they are asked for or not."""
    return _told_apart(known, args[0], args[0].numel(), (), args[0].shape)


def _runs(known: Assumptions, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Tensor, ...]:
    axis = args[3] if len(args) > 3 else kwargs.get("dim")
    if axis is None:
        return _distinct(known, args, kwargs)
    return _slices(known, (args[0], axis), kwargs)


def _slices(known: Assumptions, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Tensor, ...]:
    x, axis = args[:2]
    rest = list(x.shape)
    most = rest.pop(axis)
    made, *others = _told_apart(known, x, most, tuple(rest), (most,))
    return made.movedim(0, axis).contiguous(), *others


def _told_apart(
    known: Assumptions, x: Tensor, most: int, rest: tuple[int, ...], places: Sequence[int]
) -> tuple[Tensor, ...]:
    count = known.size("distinct", most, min(most, 1), of=x)  # models loop over them: no more than they must
    made = torch.empty(count, *rest, dtype=x.dtype, device="meta")
    where = torch.empty(tuple(places), dtype=torch.int64, device="meta")
    return made, where, torch.empty(count, dtype=torch.int64, device="meta")


def _number(known: Assumptions, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    if not known.decisions:
        raise ValuesNeeded
    # Sizes have been assumed, so no run could tell this value either.
    known.bounds = False
    known.note("a number read from what was assumed is taken as 1, a truth value as false")
    dtype = args[0].dtype
    return False if dtype == torch.bool else 1.0 if dtype.is_floating_point else 1


def _grouped_product(known: Assumptions, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
    """Its meta kernel takes bfloat16 alone, as one GPU kernel does; the shapes are the same for all."""
    a, b = args[0], args[1]
    ends = args[2] if len(args) > 2 else kwargs.get("offs")
    groups = () if a.dim() != b.dim() else a.shape[:1] if ends is None else ends.shape
    return torch.empty(*groups, a.shape[-2], b.shape[-1], dtype=kwargs.get("out_dtype") or a.dtype, device="meta")


def _least_squares(known: Assumptions, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Tensor, ...]:
    """What ``lstsq`` makes where all matrices have full rank; it has no meta kernel."""
    a, b, driver = args[0], args[1], kwargs.get("driver") or "gelsy"
    *stack, m, n = a.shape
    columns = b.shape[-1:] if b.dim() == a.dim() else ()
    both = torch.broadcast_shapes(stack, b.shape[: b.dim() - 1 - len(columns)])
    tall, ranked = m > n and driver != "gelsy", driver != "gels"
    values = torch.empty((*stack, min(m, n)) if driver in ("gelsd", "gelss") else (0,), device="meta")
    return (
        a.new_empty(*both, n, *columns, device="meta"),
        a.new_empty((*both, *columns) if tall else (0,), device="meta"),
        torch.empty(tuple(stack) if ranked else (0,), dtype=torch.int64, device="meta"),
        values.to(a.real.dtype),
    )


def _reflections(known: Assumptions, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Tensor, ...]:
    """What ``geqrf`` makes, which has no meta kernel."""
    *stack, m, n = args[0].shape
    return args[0].new_empty(args[0].shape, device="meta"), args[0].new_empty(*stack, min(m, n), device="meta")


def _counts(known: Assumptions, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor | None:
    """As many places as ``minlength`` asks ``bincount`` for; without it the largest value decides."""
    weights = args[1] if len(args) > 1 else kwargs.get("weights")
    places = args[2] if len(args) > 2 else kwargs.get("minlength", 0)
    if not places:
        return None
    known.note("no number that bincount counts is beyond its minlength, so that this is how many places it makes")
    dtype = torch.int64 if weights is None else weights.dtype if weights.dtype == torch.float32 else torch.float64
    return torch.empty(places, dtype=dtype, device="meta")


def _histogram(known: Assumptions, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Tensor, ...]:
    """Counts and the edges between them; no meta kernel makes them."""
    x, bins = args[0], args[1] if len(args) > 1 else kwargs.get("bins", 100)
    edges = bins.shape[0] if isinstance(bins, Tensor) else bins + 1
    return x.new_empty(edges - 1, device="meta"), x.new_empty(edges, device="meta")


def _held(known: Assumptions, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
    """A check that the model makes of its own values."""
    return torch.ones((), dtype=torch.bool)


GUESSES = {
    "_grouped_mm": _grouped_product,
    "_is_all_true": _held,
    "bincount": _counts,
    "histogram": _histogram,
    "geqrf": _reflections,
    "linalg_lstsq": _least_squares,
    "torchvision::nms": _suppressed,
    "nonzero": _nonzero,
    "_unique2": _distinct,
    "unique_dim": _slices,
    "unique_consecutive": _runs,
    "_local_scalar_dense": _number,
}
