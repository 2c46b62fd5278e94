"""A file whose sizes are fixed, at others: what its constants said at its own sizes, node by node."""

from __future__ import annotations

from typing import Any

from costcalc.classes import NamedTuple
from costcalc.frontends.onnx.read import OnnxNode
from costcalc.frontends.regrouping import Batch


class Met(NamedTuple):
    """What a node met at the sizes of the file: the shapes of its inputs, and the numbers that it was told."""

    shapes: tuple[tuple[Any, ...], ...]
    numbers: tuple[Any, ...] | None


class Following:
    """What nodes met, as a file was walked at its own sizes; then asked for while it is walked at others.

    batch   the batch that is asked for, and that of the file

    Nodes are walked in the same order both times.
    """

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self._met: list[tuple[str, str, Met]] = []
        self._at: int | None = None

    @property
    def follows(self) -> bool:
        """Whether the sizes are those that were asked for."""
        return self._at is not None

    def begin(self) -> None:
        """From now on the sizes are others."""
        self._at = 0

    def before(self, node: OnnxNode, now: Met) -> Met | None:
        """What ``node`` met at the file's sizes, if it is walked at others, where its own numbers stayed the same.

        Numbers that were worked out of sizes follow by themselves.
        """
        if self._at is None:
            self._met.append((node.operator, node.name, now))
            return None
        if self._at >= len(self._met):
            return None
        operator, name, met = self._met[self._at]
        self._at += 1
        if (operator, name) != (node.operator, node.name):  # another branch was taken
            return None
        return met if met.numbers == now.numbers and met.shapes != now.shapes else None
