"""One call as it was seen or read: the operator's name, its arguments by name, what it made, and in which module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from costcalc.classes import NamedTuple
from costcalc.errors import Location
from costcalc.ir.call import Step, Traced


class Scope:
    """One call of a module: its dotted name in the model.

    within   what of autograd's it was called by, if by any
    """

    __slots__ = ("path", "within")

    def __init__(self, path: str, within: object = None) -> None:
        self.path, self.within = path, within


class Recorded(NamedTuple):
    """One call of an operator.

    copies   it could have made a view, but what it made is in memory of its own
    line     the user's line that asked for it
    """

    name: str
    arguments: Mapping[str, Any]
    made: tuple[Traced, ...]
    scope: Scope
    copies: bool = False
    line: Location | None = None

    @property
    def location(self) -> str:
        """Where it was made, before what is said of it."""
        return f"{self.scope.path}: " if self.scope.path else ""


class GradientScope(Scope):
    """The gradients of one call, as autograd works them out.

    of      the call; None where it is not known
    node    what autograd calls it
    depth   how many passes back it is: 1, or 2 of a gradient's gradient
    step    the layer that ``of`` has become
    """

    __slots__ = ("depth", "node", "of", "step")

    def __init__(self, of: Recorded | None, node: object) -> None:
        before = of.scope if of else Scope("")
        super().__init__(f"{BACKWARD}.{before.path}" if before.path else BACKWARD)
        self.of, self.node = of, node
        self.depth: int = 1 + (before.depth if isinstance(before, GradientScope) else 0)
        self.step: Step | None = None


BACKWARD = "backward"
"""What layers are below that work gradients out."""
