"""What is known of the values of tensors that have none: those made beside the input, and those that a choice makes.

A trace runs on the meta device. A mask that a forward makes there from numbers (``torch.arange(n, device=x.device) <
k``) depends on nothing unknown: its values are computed too, and kept beside it. What ``topk`` chooses is unknown, but
not that a row chooses distinct places: such indices get stand-ins, in which each row does, and all rows together choose
all places as evenly as can be. So a router sends tokens × k to its experts, in whatever style it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload

from costcalc.frontends.torch.aliases import storage_of
from costcalc.frontends.torch.exclusive import replaced_here
from costcalc.frontends.torch.pytrees import elements, tensors_among

CHOICES: Mapping[str, int] = {
    "topk": 1, "sort": 1, "max": 1, "min": 1, "kthvalue": 1, "mode": 1, "median": 1, "nanmedian": 1,
    "argsort": 0, "argmax": 0, "argmin": 0, "multinomial": 0,
}  # fmt: skip
"""Operators that choose places along an axis → which of their results says where."""
DECIDES = frozenset(
    ("nonzero", "masked_select", "_unique2", "unique_dim", "unique_consecutive", "repeat_interleave", "bincount")
) | {"equal", "_local_scalar_dense"}
"""Operators whose result is a number, or as large as values say."""
LARGEST_CHOICE = 1 << 24
"""Elements up to which what follows from a choice is worked out."""


class Beside:
    """The values of tensors on the meta device, kept beside them.

    presumed    storages whose values are stand-ins for those that a choice or a selection would make, or random
    supposed    those of them that depend on a size that is assumed
    """

    def __init__(self) -> None:
        self._values: dict[int, tuple[Tensor, Tensor]] = {}
        self.presumed: set[int] = set()
        self.supposed: set[int] = set()

    def __bool__(self) -> bool:
        return bool(self._values)

    def of(self, tensor: Tensor) -> Tensor | None:
        """The values of ``tensor``; None where they are unknown."""
        kept = self._values.get(id(tensor))
        if kept is None or kept[0] is not tensor or kept[1].shape != tensor.shape:
            return None
        return kept[1]

    def keep(self, tensor: Tensor, values: Tensor) -> None:
        """Take ``values`` for those of ``tensor``."""
        self._values[id(tensor)] = (tensor, values)

    def same(self, tensor: Tensor, other: Tensor) -> None:
        """What is known of ``other`` is known of ``tensor``, which is the same elements of the same memory."""
        value = self.of(other)
        if value is not None:
            self.keep(tensor, value)

    def presume(self, values: Iterable[Tensor], *, supposed: bool) -> None:
        """Note that ``values`` stand for others."""
        found = list(map(storage_of, values))
        self.presumed.update(found)
        if supposed:
            self.supposed.update(found)

    def is_presumed(self, values: Tensor) -> bool:
        """Whether ``values`` stand for others."""
        return bool(self.presumed) and storage_of(values) in self.presumed

    def is_supposed(self, values: Tensor) -> bool:
        """Whether ``values`` depend on a size that is assumed."""
        return bool(self.supposed) and storage_of(values) in self.supposed


def choice(name: str, arguments: Mapping[str, Any], result: Any) -> tuple[Tensor, Tensor] | None:
    """The result of a call of one of ``CHOICES`` that says where, and stand-ins for it; None if it says nothing."""
    made = tensors_among([result])
    at = CHOICES[name]
    if len(made) != at + 1 or made[at].dtype != torch.int64:
        return None  # such as max of two tensors
    x, places = arguments["self"], made[at]
    if x.numel() == 0 or not 0 < places.numel() <= LARGEST_CHOICE:
        return None
    axis = -1 if name == "multinomial" else arguments.get("dim")
    if axis is None and at:
        axis = -1
    if axis is None or x.dim() == 0:
        return places, torch.zeros(places.shape, dtype=torch.int64)
    keeps = places.dim() == x.dim()
    shape = places.shape if keeps else places.unsqueeze(axis).shape
    found = spread(tuple(shape), axis, x.shape[axis])
    return places, found if keeps else found.squeeze(axis)


def spread(shape: tuple[int, ...], axis: int, places: int) -> Tensor:
    """Indices of ``shape`` into an axis of so many ``places``: distinct along ``axis``, in all rows as even as can be.

    >>> spread((4, 2), 1, 4).tolist()
    [[0, 2], [1, 3], [2, 0], [3, 1]]
    """
    count = shape[axis]
    rows = elements(shape) // count
    apart = torch.arange(count) * places // count
    found = (torch.arange(rows).unsqueeze(1) + apart) % places
    return found.reshape(*shape[:axis], *shape[axis:][1:], count).movedim(-1, axis)


def evenly(count: int, shape: Sequence[int]) -> Tensor:
    """So many places of ``shape``, each once, as rows of indices.

    >>> evenly(2, (2, 3)).tolist()
    [[0, 0], [1, 0]]
    """
    flat = torch.arange(count) * elements(shape) // max(count, 1)
    return torch.stack(torch.unravel_index(flat, tuple(shape)), -1) if shape else flat.new_zeros(count, 0)


def seeded(func: OpOverload, generator: torch.Generator) -> Callable[..., Any] | None:
    """``func``, which draws random numbers, from ``generator``, not the process's; None where it cannot be told."""
    packet, name = func.overloadpacket, func._overloadname
    if not any(a.name == "generator" for a in func._schema.arguments):
        other = "generator" if name == "default" else f"{name}_generator"
        if other not in packet.overloads():
            return None
        func = getattr(packet, other)

    def drawn(*args: Any, **options: Any) -> Any:
        return func(*args, **{**options, "generator": generator})

    return drawn


def drawn_apart(func: OpOverload, generator: torch.Generator, arguments: Mapping[str, Any]) -> Callable[..., Any]:
    """``func``, which draws random numbers, such that the process's generator has drawn none.

    generator   what is drawn from; few operators take none, such as dropout that is on in evaluation: after those the
                state before is put back
    arguments   the call's, by name, which may say that nothing is drawn
    """
    device = arguments.get("device") or next((t.device for t in tensors_among(arguments.values())), generator.device)
    if torch.device(device).type not in (generator.device.type, "meta"):
        generator = torch.Generator(device).manual_seed(0)
    own = seeded(func, generator)
    if own is not None:
        return own
    rate = next((arguments[name] for name in ("dropout_p", "p", "dropout") if name in arguments), 1)
    if not rate or arguments.get("train") is False:
        return func

    def kept(*args: Any, **options: Any) -> Any:
        state = torch.default_generator.get_state()
        try:
            return func(*args, **options)
        finally:
            torch.default_generator.set_state(state)

    return kept


@contextmanager
def instead_of_the_process(generator: torch.Generator) -> Iterator[None]:
    """While open, this thread's ``torch.manual_seed`` and its like are those of ``generator``."""

    def seed(number: int) -> torch.Generator:
        return generator.manual_seed(int(number))

    own: Mapping[str, Callable[..., Any]] = {
        "manual_seed": seed,
        "seed": generator.seed,
        "initial_seed": generator.initial_seed,
        "get_rng_state": generator.get_state,
        "set_rng_state": generator.set_state,
    }
    with ExitStack() as stack:
        for name, function in own.items():
            for owner in (torch, torch.random):
                stack.enter_context(replaced_here(owner, name, lambda _, function=function: function))  # type: ignore[misc]
        yield


def is_random(func: OpOverload) -> bool:
    """Whether ``func`` draws random numbers."""
    return torch.Tag.nondeterministic_seeded in func.tags


def has_mask(indices: Iterable[Tensor | None]) -> bool:
    """Whether places are named by a mask, in ``x[mask]``."""
    return any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in indices)
