"""Sizes that values decide."""

from __future__ import annotations

from costcalc.classes import NamedTuple


class ValueSize(NamedTuple):
    """A size that values decide, which a graph without values must assume.

    name      what sets it: ``proposals``, ``roi_heads.selected_2``
    size      what is taken
    most      the most that it can be
    kind      what it is the number of: ``elements that are selected by value``
    given     whether somebody said so, rather than a default
    bounds    whether with it there is the most work that there can be
    met       whether it is what the values were in a run with some, so that nothing sets it
    layers    the layers whose figures it decides
    """

    name: str
    size: int
    most: int
    kind: str
    given: bool
    bounds: bool
    met: bool
    layers: tuple[str, ...]

    @property
    def is_unset(self) -> bool:
        """Whether there is a default for it alone, on which all figures then rest."""
        return not self.given and self.most > 0

    @property
    def parameter(self) -> str:
        """What sets all of its kind: ``selected`` of ``roi_heads.selected_2``."""
        return self.name.rpartition(".")[2].partition("_")[0]
