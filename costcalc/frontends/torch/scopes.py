"""Which module a call was made in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from costcalc.frontends.calls.recorded import Scope

if TYPE_CHECKING:
    from torch import nn


class Where:
    """The module call that is running; and, once one has failed, the innermost that did.

    classes   dotted name of a module → its class
    """

    __slots__ = ("classes", "failed", "now")

    def __init__(self) -> None:
        self.now = Scope("")
        self.failed: str | None = None
        self.classes: dict[str, str] = {}


class TellsScope:
    """A module that says itself where it is, as an exported program does, whose modules are not called."""

    where = Where()


class _Watched(Where):
    """It calls ``moved`` with the path of each module call before what that does."""

    __slots__ = ("_moved", "_now")

    def __init__(self, moved: Callable[[str], None]) -> None:
        self._moved, self._now, self.failed = moved, Scope(""), None
        self.classes = {}

    @property
    def now(self) -> Scope:
        """The module call that is running."""
        return self._now

    @now.setter
    def now(self, scope: Scope) -> None:
        if scope is not self._now:
            self._now = scope
            self._moved(scope.path)


@contextmanager
def watching(model: nn.Module, moved: Callable[[str], None]) -> Iterator[None]:
    """While open, a ``model`` that tells where it is calls ``moved`` with each path that it comes to."""
    if not isinstance(model, TellsScope):
        yield
        return
    before, model.where = model.where, _Watched(moved)
    try:
        yield
    finally:
        model.where = before


@contextmanager
def following(model: nn.Module) -> Iterator[Where]:
    """While open, keeps track of the module calls inside ``model``.

    It wraps ``Module.__call__`` as torch.fx does, and puts it back: no hooks on the model.
    """
    import torch
    from torch import nn

    from costcalc.frontends.torch.exclusive import replaced_here

    paths = {id(module): path for path, module in model.named_modules()}
    where = Where()
    if isinstance(model, TellsScope):
        model.where = where
    else:
        where.classes = {path: type(module).__name__ for path, module in model.named_modules() if path}

    def scoped(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
            path = paths.get(id(self))
            if path is None:
                return original(self, *args, **kwargs)
            before = where.now
            where.now = Scope(path, torch._C._current_autograd_node())
            try:
                return original(self, *args, **kwargs)
            except BaseException:
                if where.failed is None:
                    where.failed = path
                raise
            finally:
                where.now = before

        return call

    with replaced_here(nn.Module, "__call__", scoped):
        yield where
