"""Recorded calls → graph: each op makes its nodes from the calls that it stands for; then all get names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from costcalc.classes import replace
from costcalc.errors import CostcalcError, Location, UnknownName
from costcalc.frontends.calls.names import modules, names
from costcalc.frontends.calls.recorded import GradientScope, Recorded, Scope
from costcalc.frontends.calls.rules import rule_for
from costcalc.ir.call import Call, Step, Traced
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType


class InternalError(CostcalcError):
    """Ours, not the user's: what an op says of a recorded call is not what was seen."""

    def __init__(self, message: str) -> None:
        super().__init__(f"{message}; this is an error in costcalc, please report it")


class Lowering:
    """Turns recorded calls into a graph.

    weights    every parameter and buffer of the model, by name
    frozen     the names of the parameters that training leaves as they are
    maker      the user's line that made a weight, by its name
    quantised  weights are those of a file, perhaps stored in another element type than the op computes in
    training   the calls are those of a model that is trained
    """

    def __init__(
        self,
        name: str,
        inputs: Mapping[str, Traced],
        weights: Mapping[str, Traced],
        frozen: frozenset[str] = frozenset(),
        maker: Callable[[str], Location | None] = lambda weight: None,
        quantised: bool = False,
        training: bool = False,
    ) -> None:
        self._training = training
        self._frozen, self._maker, self._quantised = frozen, maker, quantised
        self.builder = GraphBuilder(name, {key: t.type for key, t in inputs.items()})
        self.weights = weights
        self.steps: list[tuple[Step, Scope]] = []
        self._stands_for: dict[Traced, Traced] = {}
        self._leaves: dict[str, Step] = {}
        self._read: set[str] = set()
        self._made_by: dict[Traced, Step] = {}
        self._looked_at = 0
        for key, traced in inputs.items():
            traced.value = key

    # -- calls to steps --------------------------------------------------------------------------

    def take(self, recorded: Recorded) -> list[Step]:
        """Add the steps that stand for one call, and return them.

        Raises ``InternalError`` where they do not fit what was seen.
        """
        arguments = {key: self._current(value) for key, value in recorded.arguments.items()}
        types = tuple(t.type for t in recorded.made)
        call = self.call(recorded.name, arguments, types, recorded.copies)
        rule = rule_for(recorded.name)
        if types and all(t.size == 0 for t in types):
            rule = find_op("constant")  # nothing is made, so nothing is done
        try:
            result = rule.from_aten(call) if rule else NotImplemented
            if result is NotImplemented:
                result = find_op("uncounted").from_aten(call)
        except UnknownName:
            raise
        except CostcalcError as error:
            raise InternalError(f"{recorded.location}{recorded.name}: {error.message}") from error
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise InternalError(f"{recorded.location}{recorded.name}: {type(error).__name__}: {error}") from error
        made = result if isinstance(result, tuple) else (result,)
        if len(made) < len(types):
            raise InternalError(f"{recorded.location}{recorded.name} made {len(types)} tensors, our rule {len(made)}")
        for ours, theirs in zip(made, recorded.made, strict=False):
            if ours.type != theirs.type:
                by_both = f"{_say(theirs.type)} in torch, {_say(ours.type)} by our rule"
                raise InternalError(f"{recorded.location}{recorded.name} made {by_both}")
            self._stands_for[theirs] = ours
        if isinstance(recorded.scope, GradientScope) and recorded.scope.of and recorded.scope.step is None:
            recorded.scope.step = self._step_of(recorded.scope.of)
        return self.keep(call, recorded.scope, recorded.line)

    def call(
        self, name: str, arguments: Mapping[str, Any], made: tuple[TensorType, ...] = (), copies: bool = False
    ) -> Call:
        """A call of an operator, for a rule to add steps to; ``made`` is what it is known to make."""
        return Call(name, arguments, made, self.builder.types_made, copies, self.weights, self._training)

    def keep(self, call: Call, scope: Scope, line: Location | None = None, operator: str = "") -> list[Step]:
        """Keep the steps that a rule added to ``call``, made in ``scope`` by a user's ``line``, and return them.

        operator   what a file calls what they stand for

        Raises ``InternalError`` where what they say of their weights is not what the model has.
        """
        for step in call.steps:
            self._check_weights(step)
            step.location, step.operator = line, operator
            self.steps.append((step, scope))
        return call.steps

    def _step_of(self, recorded: Recorded) -> Step | None:
        """The step that made the first result of a call that was taken before."""
        for step, _ in self.steps[self._looked_at :]:
            self._made_by.update(dict.fromkeys(step.outputs, step))
        self._looked_at = len(self.steps)
        return self._made_by.get(self._current(recorded.made[0]))

    def _current(self, value: Any) -> Any:
        """What stands in the graph for the tensors in ``value``."""
        if isinstance(value, Traced):
            found = self._stands_for.get(value, value)
            if value.numbers is not None:
                found.numbers = value.numbers
            return found
        if type(value) in (list, tuple):
            return type(value)(map(self._current, value))
        return value

    def _check_weights(self, step: Step) -> None:
        """What an op says of its weights is what the model has; weights that the call did not name are found."""
        wanted = step.op.weights(*(t.type for t in step.inputs))
        if not wanted:
            return
        prefix = next((t.weight.rpartition(".")[0] for t in step.weights.values() if t.weight), "")
        for local, weight in wanted.items():
            given = step.weights.get(local) or self.weights.get(f"{prefix}.{local}" if prefix else local)
            if given is None:
                raise InternalError(f"{prefix}: {step.op!r} has a weight '{local}' that the model does not have")
            if not given.weight or (local in step.weights and given.trained != weight.trained):
                step.prepared = {
                    **step.prepared,
                    local: step.weights.pop(local),
                }  # a value, and as such it may be either
                if given.type == weight.type:
                    continue
            if self._quantised and given.weight and given.type.dtype != weight.type.dtype:
                step.stored_as = {**step.stored_as, local: given.type.dtype}
                weight = weight._replace(type=TensorType(weight.type.shape, given.type.dtype))
            if given.type != weight.type or given.trained != weight.trained:
                kind = "parameter" if given.trained else "buffer"
                theirs = f"{given.weight or local} is a {kind} of {_say(given.type)}"
                if self._quantised:  # which is a file's, whose tensors may be any
                    raise CostcalcError(f"{theirs}, where its input takes {_say(weight.type)}")
                raise InternalError(f"{theirs}, by our rule for {step.op!r} {_say(weight.type)}")
            step.weights[local] = given
            self._read.add(given.weight)

    # -- steps to nodes --------------------------------------------------------------------------

    def graph(
        self,
        outputs: Iterable[Traced],
        parameters: Mapping[str, Any],
        assumed: Iterable[str],
        source: str,
        classes: Mapping[str, str] = {},
    ) -> Graph:
        """The graph, with every weight that nothing reads as a layer of its own.

        classes   dotted name of a module → its class
        """
        results = [self._current(t) for t in outputs]
        needed = self._needed(results)
        self.steps, self._stands_for = [], {}  # of tens of thousands each is let go as its node is there
        steps = [*self._with_leaves(needed, results)]
        called_so = names(steps, self.builder.inputs)
        del needed
        steps.reverse()
        for name in called_so:
            step, _ = steps.pop()
            called = {local: w.weight for local, w in step.weights.items() if w.weight != f"{name}.{local}"}
            prepared = {local: t.value for local, t in step.prepared.items()}
            frozen = [local for local, w in step.weights.items() if w.weight in self._frozen]
            inputs = (t.value for t in step.inputs)
            made = self.builder.add(name, step.op, inputs, called, step.location, prepared, frozen, step.stored_as)
            if step.operator:
                self.builder.operators[name] = step.operator
            for traced, value in zip(step.outputs, made, strict=True):
                traced.value = value
        self.builder.assumed.update(dict.fromkeys(assumed))
        values = [t.value or self._leaves[t.weight].outputs[0].value for t in results]
        found = self.builder.build(values, parameters, source)
        return replace(found, modules=modules(called_so, classes)) if classes else found

    def _needed(self, results: Sequence[Traced]) -> list[tuple[Step, Scope]]:
        """The steps without those that do nothing and that nobody reads: constants and views."""
        read = {id(t) for t in results}
        kept = []
        for step, scope in reversed(self.steps):
            free = step.op.is_view or not step.inputs
            if not free or any(id(t) in read for t in step.outputs):
                read.update(map(id, step.inputs), map(id, step.prepared.values()))
                kept.append((step, scope))
        return kept[::-1]

    def _with_leaves(self, steps: list[tuple[Step, Scope]], results: Sequence[Traced]) -> Iterable[tuple[Step, Scope]]:
        """Before the first step that reads a weight as a value, the step that makes it one; unread weights last."""
        for step, scope in steps:
            for traced in (*step.inputs, *step.prepared.values()):
                if traced.weight and traced.weight not in self._leaves:
                    yield self._leaf(traced), Scope("")
            step.inputs = tuple([self._as_value(t) if t.weight else t for t in step.inputs])
            if step.prepared:
                step.prepared = {local: self._as_value(t) for local, t in step.prepared.items()}
            yield step, scope
        for traced in (*results, *self.weights.values()):
            if (
                traced.weight
                and traced.weight not in self._leaves
                and (traced.weight not in self._read or traced in results)
            ):
                yield self._leaf(traced), Scope("")

    def _as_value(self, traced: Traced) -> Traced:
        """``traced``; for a weight the value that it is, whose step is there."""
        return self._leaves[traced.weight].outputs[0] if traced.weight else traced

    def _leaf(self, traced: Traced) -> Step:
        step = Step(
            find_op("parameter")(traced.shape, traced.type.dtype, traced.trained),
            (), {"weight": traced}, (Traced(traced.type),),
        )  # fmt: skip
        step.location = self._maker(traced.weight)
        self._leaves[traced.weight] = step
        self._read.add(traced.weight)
        return step


def _say(t: TensorType) -> str:
    return f"{t} {t.dtype}"
