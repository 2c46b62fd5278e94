"""A ``Spec`` → a ``Graph``: the steps are run, each layer added in the order of the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from costcalc.classes import replace
from costcalc.errors import CostcalcError, Location, SpecError, near
from costcalc.frontends.spec import settings
from costcalc.frontends.spec.bodies import Bodies, Bounds, Mark, WrittenBody
from costcalc.frontends.spec.evaluate import ExpressionScope, bind, iterate
from costcalc.frontends.spec.files import Files, moved, pick_variant
from costcalc.frontends.spec.frames import Frame
from costcalc.frontends.spec.layers import Layers, Reached
from costcalc.frontends.spec.model import BlockDefinition, Spec
from costcalc.frontends.spec.scopes import bind_arguments, size_of
from costcalc.frontends.spec.steps import (
    Apply,
    Branch,
    Branches,
    Conditional,
    Each,
    For,
    From,
    If,
    Let,
    NamedScope,
    Steps,
    ValueReference,
)  # fmt: skip
from costcalc.frontends.spec.values import Value, Word, WorkLimit, shown, truth
from costcalc.ir.graph import Graph
from costcalc.ir.tensor import TensorType

MAX_NESTING = 100
MAX_MODELS = 8


def expand(
    spec: Spec,
    variant: str,
    parameters: dict[str, Value],
    inputs: Mapping[str, TensorType],
    files: Files,
    budget: WorkLimit,
) -> Graph:
    """The graph of ``spec`` with these parameters and inputs; ``SpecError`` or another, placed, if there is none."""
    layers = Layers(variant or spec.name, inputs)
    expander = _Expander(layers, files, budget)
    frame = Frame(spec, parameters, {}, files, ExpressionScope(budget, {}, expander.size), expander.is_layer)
    try:
        expander.model(frame, next(iter(inputs)))
        if not layers.builder.nodes:
            raise SpecError("the spec has no layers", spec.location)
        named = [expander.refer(t.fill(frame.scope), t.location) for t in settings.outputs(spec, variant)]
        running = expander.running
    finally:
        vars(expander).clear()  # frames ask it, and it has one: as garbage they would keep all layers
    source = settings.about(spec, variant).get("source", "")
    graph = layers.builder.build(named or [running], parameters, source)
    layouts = settings.layouts(spec, variant)
    return replace(graph, layouts=layouts) if layouts else graph


class _Expander:
    """Runs steps. ``running`` is the value that the next layer takes, ``prefix`` what its name begins with."""

    def __init__(self, layers: Layers, files: Files, budget: WorkLimit) -> None:
        self.layers, self.files, self.budget = layers, files, budget
        self.frame: Frame
        self.running = ""
        self.prefix = ""
        self.within: Location | None = None  # the call that is being written out
        self.calls: list[str] = []  # the blocks and models being written out, the innermost last
        self.nesting = 0
        self.bodies = Bodies(layers, budget)
        self.models = 0  # how many were begun, and the number of the one that is being written out
        self.number = 0

    def size(self, name: str) -> Value:
        """A size of the running value, by the word for it."""
        return size_of(self.layers.type_of(self.running), name)

    def is_layer(self, name: str) -> bool:
        """Whether a layer or an input goes by ``name`` here."""
        return self.layers.names.find(name, self.prefix) is not None

    def model(self, frame: Frame, start: str) -> None:
        """The layers of a whole spec, applied to the value ``start``."""
        if frame.spec.layers is None:
            raise SpecError("the file has blocks but no layers, so it is not a model", frame.spec.location)
        self.frame, self.running = frame, start
        outer = self.number
        self.models += 1
        self.number = self.models
        try:
            self.run(frame.spec.layers)
        finally:
            self.number = outer

    def run(self, steps: Steps) -> None:
        """Each step in turn."""
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            calls = f": {' → '.join(self.calls[-4:])}" if self.calls else ""
            raise SpecError(f"blocks and lists are nested more than {MAX_NESTING} deep{calls}")
        for step in steps:
            self.budget.spend()
            try:
                _RULES[type(step)](self, step)
            except CostcalcError as error:
                raise error.at(step.location) from None
        self.nesting -= 1

    # -- steps -------------------------------------------------------------------------------

    def if_(self, step: If) -> None:
        for condition, steps in step.arms:
            if condition is None or truth(condition.value(self.frame.scope)):
                self.run(steps)
                return

    def for_(self, step: For) -> None:
        local = self.frame.local
        for value in iterate(step.values.value(self.frame.scope)):
            self.budget.spend()
            local.update(bind(step.target, value))
            self.run(step.steps)

    def let(self, step: Let) -> None:
        value = step.assignment.expression.value(self.frame.scope)
        self.frame.local.update(bind(step.assignment.target, value))

    def from_(self, step: From) -> None:
        self.running = self.refer(step.source.fill(self.frame.scope), step.source.location)

    def named(self, step: NamedScope) -> None:
        name = self.prefix + step.name.fill(self.frame.scope)
        self.layers.claim(name, step.location)
        outer, self.prefix = self.prefix, name + "."
        self.run(step.steps)
        self.prefix = outer
        self.layers.names.define(name, (self.running,))

    def apply(self, step: Apply) -> None:
        frame = self.frame
        name = step.name.fill(frame.scope) if step.name is not None else ""
        function = frame.function(step.call.function)
        inputs = None
        if step.inputs is not None:
            inputs = self.branches(step.inputs, [])
            self.budget.spend(len(inputs))
            self.running = [*inputs, self.running][0]
        args, kwargs = step.call.arguments(frame.scope)
        self.call(name, function, args, kwargs, inputs, step.location)

    # -- values ------------------------------------------------------------------------------

    def branches(self, branches: Branches, found: list[str]) -> list[str]:
        """``found``, with the value of each branch that there is appended."""
        for branch in branches:
            if isinstance(branch, Conditional):
                for condition, arm in branch.arms:
                    if condition is None or truth(condition.value(self.frame.scope)):
                        self.branches(arm, found)
                        break
            elif isinstance(branch, Each):
                local, spend = self.frame.local, self.budget.spend
                for value in iterate(branch.values.value(self.frame.scope)):
                    spend()
                    if isinstance(branch.target, str):
                        local[branch.target] = value
                    else:
                        local.update(bind(branch.target, value))
                    self.branches(branch.branches, found)
            else:
                found.append(self.branch(branch))
        return found

    def branch(self, branch: Branch) -> str:
        """The value of a branch that begins at the running value, which is as before afterwards."""
        before = self.running
        if isinstance(branch, ValueReference):
            if branch.name is not None:
                known = self.layers.names.find(branch.name.fill(self.frame.scope), self.prefix)
                if known is not None:
                    return known
            value = self._called(branch)
        else:
            self.run(branch)
            value = self.running
        self.running = before
        return value

    def _called(self, reference: ValueReference) -> str:
        """The value of a reference that is not a name of a layer: of what it calls."""
        name, call = reference
        if name is not None:
            text = name.fill(self.frame.scope)
            if call is None or self.frame.callee(self.frame.function(text)) is None:
                return self.refer(text, name.location)
        assert call is not None
        self.run((Apply(None, call, None, call.location or Location("")),))
        return self.running

    def refer(self, name: str, location: Location | None) -> str:
        """The value of the layer that ``name`` means here."""
        value = self.layers.names.find(name, self.prefix)
        if value is None:
            given = self.layers.names.given(self.prefix)
            if name.startswith("inputs.") and given:
                values = "1 value" if given == 1 else f"{given} values"
                raise SpecError(f"the block is applied to {values}; there is no '{name[:80]}'", location)
            hint = self.layers.names.hint(name, self.prefix)
            raise SpecError(f"no layer before this one is named '{name[:80]}'{hint}", location)
        return value

    # -- calls -------------------------------------------------------------------------------

    def call(
        self,
        name: str,
        function: str,
        args: tuple[Value, ...],
        kwargs: dict[str, Value],
        inputs: list[str] | None,
        location: Location,
    ) -> None:
        """``name: function(*args, **kwargs)`` of ``inputs``, else the running value; its value becomes that."""
        frame, layers = self.frame, self.layers
        callee = frame.callee(function)
        if isinstance(function, Word):
            args, kwargs = (*function.args, *args), {**function.kwargs, **kwargs}
            function = function.name
        weights, prepared = kwargs.pop("weights", None), kwargs.pop("prepared", None)
        stored_as, frozen = kwargs.pop("stored_as", None), kwargs.pop("frozen", None)
        if callee is None and function != "model":
            raise self._unknown(function, name)
        full = self.prefix + name if name else layers.names.free(self.prefix + function)
        layers.claim(full, location)
        if isinstance(callee, type):
            if inputs is None:
                inputs = [self.running] if callee.inputs[1] != 0 else []
            made = layers.make(callee, args, kwargs, location)
            within = location.inside(self.within)
            outputs = layers.add(full, made, inputs, weights, prepared, self.prefix, within, stored_as, frozen)
            self.running = outputs[0]
            if name:
                layers.names.define(full, outputs)
            return
        inputs = [self.running] if inputs is None else inputs
        if not inputs:
            raise SpecError(f"{function} has an empty list of inputs")
        if prepared is not None:
            raise SpecError(f"prepared says what a layer takes for its weights, and {function} is not a single layer")
        if stored_as is not None:
            raise SpecError(f"stored_as says how a layer's weights are stored, and {function} is not a single layer")
        if frozen is not None and not isinstance(frozen, bool):
            raise SpecError(f"frozen of a block or a model is True or False, not {shown(frozen)}")
        state = self.prefix, layers.shared, self.within, layers.frozen
        self.calls.append(function)
        self.within = location.inside(self.within)
        if weights is not None:
            layers.shared = full + ".", layers.source(weights, self.prefix) + "."
        self.prefix = full + "."
        layers.frozen = layers.frozen if frozen is None else frozen
        try:
            if callee is not None:
                self._block(*callee, args, kwargs, inputs)
            else:
                self._model(args, kwargs, inputs)
        except CostcalcError as error:
            raise moved(error, location) from None
        self.frame = frame
        self.prefix, layers.shared, self.within, layers.frozen = state
        self.calls.pop()
        if name:
            layers.names.define(full, (self.running,))

    def _unknown(self, function: str, name: str) -> SpecError:
        if self.is_layer(function):
            if self.files.callee(self.frame.spec, name) is not None:
                return SpecError(
                    f"'{function}' is a layer, not an op or a block; values for {name} stand in a list, as in "
                    f"`{name}: [{function}, …]`"
                )
            return SpecError(
                f"'{function}' is a layer, not an op or a block; `from: {function}` goes back to its value"
            )
        known = self.files.callable_names(self.frame.spec)
        return SpecError(f"no op or block called '{function[:80]}'{near(function, known)}")

    def _block(
        self, block: BlockDefinition, spec: Spec, args: tuple[Value, ...], kwargs: dict[str, Value], inputs: list[str]
    ) -> None:
        frame, wanted = self.frame, block.signature.parameters
        local = bind_arguments(f"block {block.signature.name}", wanted, args, kwargs)
        if spec is not frame.spec:
            local = {name: frame.hand_over(value) for name, value in local.items()}
        parameters = frame.parameters_of(spec)
        self.frame = frame.inner(spec, parameters, local)
        for parameter, default in wanted.items():
            if parameter not in local:
                if default is None:
                    raise SpecError(f"block {block.signature.name} needs {parameter}")
                local[parameter] = default.value(self.frame.scope)
        layers, names, prefix, within = self.layers, self.layers.names, self.prefix, self.within
        assert within is not None
        key = self.bodies.key(block, self.number, prefix, local, inputs)
        bounds = Bounds(self.nesting, self.calls.count("model"), self.budget.left)
        if key is not None:
            value = self.bodies.copy(key, prefix, inputs, within, bounds, parameters)
            if value is not None:
                self.running = value
                return
        start, reach, names.reach = Mark.of(layers), names.reach, len(prefix)
        names.define(prefix + "inputs", tuple(inputs))
        names.define(prefix + "inputs.0", (inputs[0],))  # also if there is no other
        self.run(block.steps)
        if key is not None and names.reach >= len(prefix):
            spent = bounds._replace(steps=bounds.steps - self.budget.left)
            made = WrittenBody(prefix, inputs, within, start, Mark.of(layers), self.running, spent, parameters)
            self.bodies.keep(key, made)
        names.reach = min(reach, names.reach)

    def _model(self, args: tuple[Value, ...], kwargs: dict[str, Value], inputs: list[str]) -> None:
        """``model('resnet50', until='layer4', parameter=...)``: another spec's layers, up to the one named."""
        until = kwargs.pop("until", "")
        if len(args) != 1 or not isinstance(args[0], str) or not isinstance(until, str) or len(inputs) != 1:
            raise SpecError("model takes the name of a model in quotes, then until='layer' and its parameters")
        if self.calls.count("model") > MAX_MODELS:
            raise SpecError(f"models use each other more than {MAX_MODELS} deep")
        location = self.files.locate(args[0], str(Path(self.frame.spec.file).parent))
        spec = self.files.spec(location.path, location.shown)
        variant = pick_variant(spec, location.variant)
        given = {key: self.frame.hand_over(value) for key, value in kwargs.items()}
        parameters = settings.parameters(spec, variant, given, self.budget)
        if len(spec.inputs) != 1:
            raise SpecError(f"{spec.name} has {len(spec.inputs)} inputs; a backbone has one")
        layers, prefix = self.layers, self.prefix
        state = self.nesting, len(self.calls), layers.shared, layers.frozen
        layers.names.define(prefix + next(iter(spec.inputs)), (inputs[0],))
        frame = self.frame.inner(spec, parameters, {})
        end = layers.stop_after(prefix + until) if until else None
        try:
            self.model(frame, inputs[0])
        except Reached as reached:
            if reached.end is not end:
                raise
            self.nesting, depth, layers.shared, layers.frozen = state
            del self.calls[depth:]
        if end is not None:
            layers.ends.remove(end)
            if not end.seen:
                raise SpecError(f"until={shown(until)} is not the name of a layer of {args[0]}")
            self.running = layers.last_of(end.name)
        elif named := settings.outputs(spec, variant):
            self.prefix = prefix
            self.running = self.refer(named[0].fill(frame.scope), None)


_RULES: dict[type, Callable[[_Expander, Any], None]] = {
    Apply: _Expander.apply,
    For: _Expander.for_,
    From: _Expander.from_,
    If: _Expander.if_,
    Let: _Expander.let,
    NamedScope: _Expander.named,
}
