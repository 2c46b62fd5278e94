"""What layers cost together: each layer is added to its innermost block, and blocks to those around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costcalc.analysis.amounts import Amounts
from costcalc.analysis.records import Layer, Prepared
from costcalc.analysis.storage import Storage, Tensors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from costcalc.analysis.energy import Energy
    from costcalc.analysis.roofline import Time
    from costcalc.ir.dims import Dim
    from costcalc.ir.tensor import Weight


class LayerSum:
    """Adds up layers: what adds up is summed, tensors are collected so that each counts once.

    layers     how many, without those that are done beforehand
    prepared   what those cost, if there are any
    last       the last layer that reads anything; the first of all where none does
    """

    def __init__(self, storage: Storage) -> None:
        self.tensors = Tensors(storage)
        self._names = tuple(storage.nothing)
        self._rows: list[tuple[Dim, ...]] = []  # without values; weights count as often as layers have them
        self.weights = 0
        self.layers = 0
        self.prepared: Prepared | None = None
        self.time: Time | None = None
        self.energy: Energy | None = None
        self.peak: int | None = 0  # None where a layer's is a symbol
        self.last: Layer | None = None
        self._rank = 0  # of the last one: its number, or less than 0 if it reads nothing

    def count(
        self,
        row: tuple[Dim, ...],
        touched: tuple[tuple[str, ...], tuple[str, ...]],
        weights: dict[str, Weight],
    ) -> None:
        """Take in the figures of a layer which has these ``weights`` by their names in the model.

        row       as ``AddedCost`` has it
        touched   the values that it reads and makes, as ``Storage.touched`` has them
        """
        self._rows.append(row)
        if weights:
            self.weights += len(weights)
            self.tensors.weights.update(weights)
        self.tensors.add(*touched)

    def add(
        self,
        layer: Layer,
        number: int,
        row: tuple[Dim, ...],
        touched: tuple[tuple[str, ...], tuple[str, ...]],
        weights: dict[str, Weight],
    ) -> None:
        """Take in ``layer``, the so manieth of all; the rest as ``count`` has it."""
        self.count(row, touched, weights)
        if layer.prepared is None:
            self.layers += 1
        else:
            self._before(layer.prepared)
        if touched[0] or self.last is None:  # a weight that nothing reads comes last in a trace
            self.last, self._rank = layer, number if touched[0] else ~number
        self._alive(layer.peak_bits if isinstance(layer.peak_bits, int) else None)
        if layer.time is not None:
            self._then(layer.time)
        if layer.energy is not None:
            self._spend(layer.energy)

    def take(self, inner: LayerSum) -> None:
        """Take in all the layers of ``inner``, a block within this one."""
        self._rows.append(inner.row())
        self.weights += inner.weights
        self.layers += inner.layers
        if inner.prepared is not None:
            self._before(inner.prepared)
        if inner.last is not None and (self.last is None or inner._rank > self._rank):
            self.last, self._rank = inner.last, inner._rank
        self.tensors.update(inner.tensors)
        self._alive(inner.peak)
        if inner.time is not None:
            self._then(inner.time)
        if inner.energy is not None:
            self._spend(inner.energy)

    def row(self) -> tuple[Dim, ...]:
        """The sum of its rows, which is the only one from now on."""
        if len(self._rows) != 1:
            self._rows = [tuple(map(sum, zip(*self._rows, strict=True))) or (0,) * len(self._names)]
        return self._rows[0]

    def _before(self, prepared: Prepared) -> None:
        self.prepared = prepared if self.prepared is None else self.prepared.plus(prepared)

    def _alive(self, bits: int | None) -> None:
        if bits is None or self.peak is None:
            self.peak = None
        elif bits > self.peak:
            self.peak = bits

    def _then(self, time: Time) -> None:
        self.time = time if self.time is None else self.time.then(time)

    def _spend(self, energy: Energy) -> None:
        self.energy = energy if self.energy is None else self.energy.plus(energy)

    def amounts(self) -> Amounts:
        """The figures of the layers taken as one."""
        found = Amounts(zip(self._names, self.row(), strict=True))
        if len(self.tensors.weights) < self.weights:  # some are shared, and stored once
            found.update(self.tensors.held())
        self.tensors.put_values(found)
        return found


class Sums(dict[str, LayerSum]):
    """The blocks of a graph by name, an outer one before those in it; and ``whole``, all of it."""

    def __init__(self, storage: Storage) -> None:
        super().__init__()
        self._storage = storage
        self.whole = LayerSum(storage)

    def around(self, name: str) -> LayerSum:
        """The innermost block that the layer ``name`` is in: ``a.b`` for ``a.b.c``."""
        block = name.rpartition(".")[0]
        if not block:
            return self.whole
        found = self.get(block)
        if found is None:
            self.around(block)
            found = self[block] = LayerSum(self._storage)
        return found

    def close(self) -> Iterator[tuple[str, LayerSum]]:
        """Add each block to the one around it, once all layers are in; and the blocks, in their order."""
        for name, block in reversed(self.items()):
            self.around(name).take(block)
        yield from self.items()
