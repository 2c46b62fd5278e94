"""Recorded calls → graph: each op makes its nodes from the calls that it stands for; then all get names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from costcalc.errors import CostcalcError, UnknownName
from costcalc.frontends.torch.failures import ModelError
from costcalc.frontends.torch.rules import rule_for
from costcalc.frontends.torch.scopes import Scope
from costcalc.ir.call import Call, Step, Traced, traced_in
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType

if TYPE_CHECKING:
    from costcalc.frontends.torch.recorder import Recorded


PRODUCTS = frozenset(("linear", "mm", "bmm", "matmul", "mv", "dot", "inner", "addmm", "addmv", "addbmm", "baddbmm"))
PRODUCTS |= {"bilinear", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"}
"""Operators that take one element type, though without values some of them take several."""


class InternalError(CostcalcError):
    """Ours, not the user's: what an op says of a traced call is not what torch did."""

    def __init__(self, message: str) -> None:
        super().__init__(f"{message}; this is an error in costcalc, please report it")


class Lowering:
    """Turns recorded calls into a graph.

    weights    every parameter and buffer of the model, by name
    frozen     the names of the parameters that training leaves as they are
    """

    def __init__(
        self,
        name: str,
        inputs: Mapping[str, Traced],
        weights: Mapping[str, Traced],
        frozen: frozenset[str] = frozenset(),
    ) -> None:
        self._frozen = frozen
        self.builder = GraphBuilder(name, {key: t.type for key, t in inputs.items()})
        self.weights = weights
        self.steps: list[tuple[Step, Scope]] = []
        self._stands_for: dict[Traced, Traced] = {}
        self._leaves: dict[str, Step] = {}
        self._read: set[str] = set()
        for key, traced in inputs.items():
            traced.value = key

    # -- calls to steps --------------------------------------------------------------------------

    def take(self, recorded: Recorded) -> list[Step]:
        """Add the steps that stand for one call, and return them.

        Raises ``InternalError`` where they do not fit what torch did; ``ModelError`` where torch did what it does
        without values alone, and would raise with them.
        """
        before = len(self.steps)
        try:
            self._take(recorded)
        except InternalError:
            met = dict.fromkeys(t.type.dtype for t in traced_in(recorded.arguments.values()))
            if len(met) < 2 or recorded.name not in PRODUCTS:
                raise
            what = f"{_at(recorded)}{recorded.name} meets {' and '.join(met)}"
            raise ModelError(f"{what}; PyTorch wants one element type there, and autocast is left out") from None
        return [step for step, _ in self.steps[before:]]

    def _take(self, recorded: Recorded) -> None:
        arguments = {key: self._current(value) for key, value in recorded.arguments.items()}
        types = tuple(t.type for t in recorded.made)
        call = Call(recorded.name, arguments, types, self.builder.types_made, recorded.copies, self.weights)
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
            raise InternalError(f"{_at(recorded)}{recorded.name}: {error.message}") from error
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise InternalError(f"{_at(recorded)}{recorded.name}: {type(error).__name__}: {error}") from error
        made = result if isinstance(result, tuple) else (result,)
        if len(made) < len(types):
            raise InternalError(f"{_at(recorded)}{recorded.name} made {len(types)} tensors, our rule {len(made)}")
        for ours, theirs in zip(made, recorded.made, strict=False):
            if ours.type != theirs.type:
                by_both = f"{_say(theirs.type)} in torch, {_say(ours.type)} by our rule"
                raise InternalError(f"{_at(recorded)}{recorded.name} made {by_both}")
            self._stands_for[theirs] = ours
        for step in call.steps:
            self._check_weights(step)
            self.steps.append((step, recorded.scope))

    def _current(self, value: Any) -> Any:
        """What stands in the graph for the tensors in ``value``."""
        if isinstance(value, Traced):
            found = self._stands_for.get(value, value)
            if value.numbers is not None:
                found.numbers = value.numbers
            return found
        if type(value) in (list, tuple):
            return type(value)(self._current(v) for v in value)
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
                step.prepared[local] = step.weights.pop(local)  # a value, and as such it may be either
                if given.type == weight.type:
                    continue
            if given.type != weight.type or given.trained != weight.trained:
                kind = "parameter" if given.trained else "buffer"
                theirs = f"{given.weight or local} is a {kind} of {_say(given.type)}"
                raise InternalError(f"{theirs}, by our rule for {step.op!r} {_say(weight.type)}")
            step.weights[local] = given
            self._read.add(given.weight)

    # -- steps to nodes --------------------------------------------------------------------------

    def graph(
        self, outputs: Iterable[Traced], parameters: Mapping[str, Any], assumed: Iterable[str], source: str
    ) -> Graph:
        """The graph, with every weight that nothing reads as a layer of its own."""
        results = [self._current(t) for t in outputs]
        steps = self._needed(results)
        steps = [*self._with_leaves(steps, results)]
        for (step, _), name in zip(steps, names(steps, self.builder.inputs), strict=True):
            called = {local: w.weight for local, w in step.weights.items() if w.weight != f"{name}.{local}"}
            prepared = {local: t.value for local, t in step.prepared.items()}
            frozen = [local for local, w in step.weights.items() if w.weight in self._frozen]
            inputs = (t.value for t in step.inputs)
            made = self.builder.add(name, step.op, inputs, called, prepared=prepared, frozen=frozen)
            for traced, value in zip(step.outputs, made, strict=True):
                traced.value = value
        self.builder.assumed.update(dict.fromkeys(assumed))
        values = [t.value or self._leaves[t.weight].outputs[0].value for t in results]
        return self.builder.build(values, parameters, source)

    def _needed(self, results: Sequence[Traced]) -> list[tuple[Step, Scope]]:
        """The steps without those that do nothing and that nobody reads: constants and views."""
        read = {id(t) for t in results}
        kept = []
        for step, scope in reversed(self.steps):
            free = step.op.is_view or not step.inputs
            if not free or any(id(t) in read for t in step.outputs):
                read.update(id(t) for t in (*step.inputs, *step.prepared.values()))
                kept.append((step, scope))
        return kept[::-1]

    def _with_leaves(self, steps: list[tuple[Step, Scope]], results: Sequence[Traced]) -> Iterable[tuple[Step, Scope]]:
        """Before the first step that reads a weight as a value, the step that makes it one; unread weights last."""
        for step, scope in steps:
            for traced in (*step.inputs, *step.prepared.values()):
                if traced.weight and traced.weight not in self._leaves:
                    yield self._leaf(traced), Scope("")
            step.inputs = tuple(map(self._as_value, step.inputs))
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
        self._leaves[traced.weight] = step
        self._read.add(traced.weight)
        return step


def names(steps: Sequence[tuple[Step, Scope]], inputs: Iterable[str] = ()) -> list[str]:
    """A name for each step, none of them that of one of ``inputs``.

    A module call that does one thing lends it its name (``layer1.0.conv1``); of several each has
    that and its op (``layer1.0.add``). A weight used as a value is called as in the state dict.
    """
    places = [_place(step, scope) for step, scope in steps]
    in_scope: dict[int, int] = {}
    prefixes: set[str] = set()
    for (step, scope), path in zip(steps, places, strict=True):
        key = id(scope) if scope.path == path else hash(path)
        in_scope[key] = in_scope.get(key, 0) + 1
        if step.op.name == "parameter" and not step.inputs:
            path = step.weights["weight"].weight.rpartition(".")[0]
            prefixes.add(path)
        while "." in path:
            path = path.rpartition(".")[0]
            prefixes.add(path)
    taken = set(inputs)
    found = []
    for (step, scope), path in zip(steps, places, strict=True):
        if step.op.name == "parameter" and not step.inputs:
            name = step.weights["weight"].weight
        elif path and path not in prefixes and in_scope[id(scope) if scope.path == path else hash(path)] == 1:
            name = path
        else:
            label = getattr(step.op, "function", step.op.name)
            name = f"{path}.{label}" if path else label
        found.append(_free(name, len(step.outputs), taken, prefixes))
    return found


def _place(step: Step, scope: Scope) -> str:
    """The module that a step belongs to: the one that was called, or one inside it that owns its weights."""
    for traced in step.weights.values():
        owner = traced.weight.rpartition(".")[0]
        if not scope.path or owner.startswith(f"{scope.path}."):
            return owner
    return scope.path


def _free(name: str, outputs: int, taken: set[str], prefixes: set[str]) -> str:
    """``name``, numbered if a layer, a value or a module with parts is called so; then taken, with its outputs."""
    found, i = name, 0
    while found in taken or found in prefixes or (outputs > 1 and f"{found}.0" in taken):
        i += 1
        found = f"{name}_{i}"
    taken.add(found)
    if outputs > 1:
        taken.update(f"{found}.{k}" for k in range(outputs))
    return found


def _at(recorded: Recorded) -> str:
    """Where a call was made, before what is said of it."""
    return f"{recorded.scope.path}: " if recorded.scope.path else ""


def _say(t: TensorType) -> str:
    return f"{t} {t.dtype}"
