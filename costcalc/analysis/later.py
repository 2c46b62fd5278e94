"""Records one field of which is worked out when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

Record = TypeVar("Record", bound="ToldLater")
ASKS = "_asks"
"""Where a record has, until somebody asks, a function and the name that it is to tell of."""


class ToldLater:
    """A record whose field ``LATER`` is what a function tells of a name, once somebody asks for it.

    Until then the record has both in its place, as ``ASKS``; after that it is like any other. Copies and pickles have
    the field.
    """

    LATER: ClassVar[str]

    @classmethod
    def later(cls: type[Record], asks: tuple[Callable[[str], Any], str], **fields: Any) -> Record:
        """The record of these ``fields``, and of what the function in ``asks`` tells of the name there."""
        made = cls(**fields, **{cls.LATER: None})
        del vars(made)[cls.LATER]
        vars(made)[ASKS] = asks
        return made

    if not TYPE_CHECKING:

        def __getattr__(self, key: str) -> Any:
            own = vars(self)
            if key == self.LATER and ASKS in own:
                tell, name = own[ASKS]
                own[key] = found = tell(name)
                own.pop(ASKS, None)
                return found
            if hasattr(super(), "__getattr__"):
                return super().__getattr__(key)
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{key}'", name=key, obj=self)

    def __getstate__(self) -> dict[str, Any]:
        getattr(self, self.LATER)
        return {**vars(self)}
