"""A name for each step: that of the module that it was made in, of its weights, or of its op."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from costcalc.frontends.calls.recorded import Scope
from costcalc.ir.call import Step


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
    tried: dict[tuple[str, bool], int] = {}
    found = []
    for (step, scope), path in zip(steps, places, strict=True):
        if step.op.name == "parameter" and not step.inputs:
            name = step.weights["weight"].weight
        elif path and path not in prefixes and in_scope[id(scope) if scope.path == path else hash(path)] == 1:
            name = path
        else:
            label = getattr(step.op, "function", step.op.name)
            name = f"{path}.{label}" if path else label
        found.append(_free(name, len(step.outputs), taken, prefixes, tried))
    return found


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
