"""The old graph, changed step by step towards the new one, with what each step does to every layer.

A step gives some layers new options, or an input of the model a new shape; shapes are then worked out
anew along the graph. Half-way between two legal graphs a layer can be illegal (one branch of an addition
is already wider, the other not yet); such a layer stays as it was until the step that makes it legal. A
layer whose inputs are all as in the new graph takes its new options at once if its old ones would be
illegal: a reshape follows the resolution.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from costcalc.analysis.amounts import Amounts
from costcalc.analysis.energy import EnergyTable
from costcalc.analysis.layer_costs import Works
from costcalc.analysis.roofline import Machine
from costcalc.analysis.storage import Storage
from costcalc.analysis.traffic import Inference
from costcalc.classes import NamedTuple
from costcalc.difference.entries import Contributions, Entry
from costcalc.errors import CostcalcError
from costcalc.ir.op import Op
from costcalc.ir.tensor import TensorType

Types = tuple[TensorType, ...]

_IMPOSSIBLE = (CostcalcError, ArithmeticError, LookupError, TypeError, ValueError)
"""What a rule may raise on a mixture that no front end would build."""


class LayerState(NamedTuple):
    """What a layer is at a step."""

    op: Op | None
    takes: Types
    makes: Types


class Replay:
    """The old layers on their way; ``goals`` has the state of each layer that the new graph has too.

    storage   where the old values are kept; it follows what they become
    follows   layers whose width is that of their input (a depthwise convolution): as soon as the input
              has its new channels, these options are taken too
    """

    def __init__(
        self,
        old: list[Entry],
        goals: Mapping[int, LayerState],
        follows: Mapping[int, Mapping[str, Any]],
        storage: Storage,
        machine: Machine | None,
        energies: EnergyTable | None,
    ) -> None:
        self.old, self.goals, self.follows = old, goals, follows
        self.states = [LayerState(e.node.op if e.node else None, e.takes, e.makes) for e in old]
        self._storage, self._work = storage, Works(storage.width)
        self._inference = Inference(storage)
        self._figured = Contributions(storage, machine, energies, Fraction(0))
        for entry in old if storage.group_of else ():
            if entry.node:
                self._figured.prime(entry.name, entry.contribution)
        self._types = {v: t for e in old for v, t in zip(e.outputs, e.makes, strict=True)}
        self._contributions = [e.contribution for e in old]
        self._wanted: dict[int, dict[str, Any]] = {}
        self._made: dict[tuple[Op, Types], Types | None] = {}

    def step(self, inputs: Mapping[int, TensorType], options: Mapping[int, Mapping[str, Any]]) -> dict[int, Amounts]:
        """Apply new shapes of inputs and new options of layers; what each layer's contribution changes by."""
        effects: dict[int, Amounts] = {}
        changed: set[str] = set()
        for i, entry in enumerate(self.old):
            if i in inputs:
                self._set(i, LayerState(None, (), (inputs[i],)), changed, effects)
                continue
            if i not in options and changed.isdisjoint(entry.inputs):
                continue
            wanted = self._wanted.setdefault(i, {})
            wanted.update(options.get(i, {}))
            after = self._after(i, tuple(self._types[v] for v in entry.inputs), wanted)
            if after is not None and after != self.states[i]:
                self._set(i, after, changed, effects)
        return effects

    def _after(self, i: int, takes: Types, wanted: dict[str, Any]) -> LayerState | None:
        """The state of layer ``i`` on inputs ``takes``; None if it must wait."""
        goal, node = self.goals.get(i), self.old[i].node
        if node is None:
            return None
        if i in self.follows and goal and takes[0].shape[1] == goal.takes[0].shape[1]:
            wanted.update(self.follows[i])
        try:
            op = type(node.op)(**{**node.op.__dict__, **wanted}) if wanted else node.op
            makes = self._infer(op, takes)
        except _IMPOSSIBLE:
            makes = None
        if makes is not None and len(makes) == len(self.old[i].outputs):
            return LayerState(op, takes, makes)
        if goal is None or goal.op is None or goal.takes != takes or len(goal.makes) != len(self.old[i].outputs):
            return None
        wanted.update(goal.op.__dict__)
        return goal

    def _infer(self, op: Op, takes: Types) -> Types | None:
        key = (op, takes)
        if key not in self._made:
            made = None
            if all(holds is True for holds, _ in op.requires(*takes)):
                inferred = op.infer(*takes)
                made = (inferred,) if isinstance(inferred, TensorType) else inferred
            self._made[key] = made
        return self._made[key]

    def _set(self, i: int, after: LayerState, changed: set[str], effects: dict[int, Amounts]) -> None:
        entry = self.old[i]
        for value, t in zip(entry.outputs, after.makes, strict=True):
            if self._types[value] != t:
                self._types[value], self._storage.bits[value] = t, t.bits(self._storage.width)
                changed.add(value)
        contribution = self._contribution(entry, after)
        effects[i] = contribution - self._contributions[i]
        self.states[i], self._contributions[i] = after, contribution

    def _contribution(self, entry: Entry, state: LayerState) -> Amounts:
        """What the layer adds to the figures in ``state``, with the weights that it owns, its inputs as they are."""
        op, takes, makes = state
        if op is None or entry.node is None:
            return self._figured.of_input(makes[0].bits(self._storage.width) if any(entry.contribution.values()) else 0)
        node, work = entry.node, self._work.of(entry.node, op, takes, makes)
        # What new options bring, such as a bias, is the layer's own too.
        before = node.op.weights(*entry.takes) if op != node.op else work.weights
        owned = [weight for local, weight in work.weights.items() if local in entry.owns or local not in before]
        return self._figured.of(node, self._inference(node, work), owned, work)
