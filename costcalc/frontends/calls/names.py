"""A name for each step: that of the module that it was made in, of its weights, or of its op."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from costcalc.frontends.calls.recorded import BACKWARD, GradientScope, Scope
from costcalc.ir.call import Step


def names(steps: Sequence[tuple[Step, Scope]], inputs: Iterable[str] = ()) -> list[str]:
    """A name for each step, none of them that of one of ``inputs``.

    A module call that does one thing lends it its name (``layer1.0.conv1``); of several each has
    that and its op (``layer1.0.add``). A weight used as a value is called as in the state dict.
    """
    found = [""] * len(steps)
    known = _Names(inputs)
    depths = [scope.depth if isinstance(scope, GradientScope) else 0 for _, scope in steps]
    for depth in sorted(set(depths)):  # gradients are called by the layers whose they are
        at = [i for i, own in enumerate(depths) if own == depth] if depths.count(depth) < len(depths) else None
        of = steps if at is None else [steps[i] for i in at]
        made = known.add(of)
        if at is None:
            return made
        for i, name in zip(at, made, strict=True):
            found[i] = name
    return found


class _Names:
    """Names that are taken, and what is below which."""

    def __init__(self, inputs: Iterable[str]) -> None:
        self.taken = set(inputs)
        self.prefixes: set[str] = set()
        self._in_scope: dict[int, int] = {}
        self._tried: dict[tuple[str, bool], int] = {}
        self._called: dict[int, str] = {}

    def add(self, steps: Sequence[tuple[Step, Scope]]) -> list[str]:
        """A name for each of ``steps``."""
        places = [self._place(step, scope) for step, scope in steps]
        in_scope, prefixes = self._in_scope, self.prefixes
        for (step, scope), path in zip(steps, places, strict=True):
            key = id(scope) if _is_own(scope, path) else hash(path)
            in_scope[key] = in_scope.get(key, 0) + 1
            if step.op.name == "parameter" and not step.inputs:
                path = step.weights["weight"].weight.rpartition(".")[0]
                prefixes.add(path)
            while "." in path:
                path = path.rpartition(".")[0]
                prefixes.add(path)
        found = []
        for (step, scope), path in zip(steps, places, strict=True):
            key = id(scope) if _is_own(scope, path) else hash(path)
            if step.op.name == "parameter" and not step.inputs:
                name = step.weights["weight"].weight
            elif path and path not in prefixes and in_scope[key] == 1:
                name = path
            else:
                label = getattr(step.op, "function", step.op.name)
                name = f"{path}.{label}" if path else label
            found.append(_free(name, len(step.outputs), self.taken, prefixes, self._tried))
            self._called[id(step)] = found[-1]
        return found

    def _place(self, step: Step, scope: Scope) -> str:
        if isinstance(scope, GradientScope):
            of = self._called.get(id(scope.step))
            return f"{BACKWARD}.{of}" if of else scope.path
        return _place(step, scope)


def _is_own(scope: Scope, path: str) -> bool:
    """Whether a step at ``path`` is in the very call that ``scope`` is."""
    return scope.path == path or isinstance(scope, GradientScope)


def modules(called: Iterable[str], classes: Mapping[str, str]) -> dict[str, str]:
    """Those of the ``classes`` of modules that are layers, which are ``called`` so, or have layers in them.

    >>> modules(["a.relu", "a.relu_1"], {"a": "Block", "a.relu": "ReLU", "b": "Linear"})
    {'a': 'Block', 'a.relu': 'ReLU', 'a.relu_1': 'ReLU'}
    """
    found: dict[str, str] = {}
    for name in called:
        at = name.find(".")
        while at >= 0:
            above = name[:at]
            if above not in found and above in classes:
                found[above] = classes[above]
            at = name.find(".", at + 1)
        known = classes.get(name) or (classes.get(name.rpartition("_")[0]) if name[-1:].isdecimal() else None)
        if known:
            found[name] = known
    return found


def _place(step: Step, scope: Scope) -> str:
    """The module that a step belongs to: the one that was called, or one inside it that owns its weights."""
    for traced in step.weights.values():
        owner = traced.weight.rpartition(".")[0]
        if not scope.path or owner.startswith(f"{scope.path}."):
            return owner
    return scope.path


def _free(name: str, outputs: int, taken: set[str], prefixes: set[str], tried: dict[tuple[str, bool], int]) -> str:
    """``name``, numbered if a layer, a value or a module with parts is called so; then taken, with its outputs.

    tried   how far each name was numbered before: none below is free, so that many equal names take no longer
    """
    several = outputs > 1
    i = tried.get((name, several), 0)
    found = f"{name}_{i}" if i else name
    while found in taken or found in prefixes or (several and f"{found}.0" in taken):
        i += 1
        found = f"{name}_{i}"
    tried[name, several] = i
    taken.add(found)
    if several:
        taken.update(f"{found}.{k}" for k in range(outputs))
    return found
