"""Branches, loops, and sequences of tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from costcalc.frontends.onnx.node_use import FileError, KnownTensor, NodeUse, NoRule, axis_of
from costcalc.frontends.onnx.read import SubGraph
from costcalc.frontends.onnx.rules.known_elements import MOST_PARTS
from costcalc.ir.call import Traced
from costcalc.ir.tensor import TensorType
from costcalc.ir.value_size import ValueSize

MOST_TURNS = 20_000


def _walks(rule: Callable[..., Any]) -> Callable[..., Any]:
    rule.walks = True  # type: ignore[attr-defined]
    return rule


KIND = "the branch that an If takes, 0 for else and 1 for then"


@_walks
def branch(n: NodeUse, env: Any) -> Any:
    """``If``: the branch that a known condition takes; else the dearer one, which the report says."""
    branches = [n.attribute("else_branch"), n.attribute("then_branch")]
    if not all(isinstance(b, SubGraph) for b in branches):
        raise FileError("If has no branches")
    condition = n.numbers(0)
    if condition:
        return tuple(n.build.body(n, branches[bool(condition[0])], (), env, ""))
    name = n.build.setting_name("branch")
    chosen = n.build.settings.get(name)
    if chosen is None:
        weighed = [n.build.weighed(n, one, env) for one in branches]
        chosen = 1 if weighed[1] >= weighed[0] else 0
        word = ("else", "then")[chosen]
        sentence = f"of an If the {word} branch is counted, the dearer one; --set {name}={1 - chosen} counts the other"
        n.build.notes[f"{name}={chosen}: {sentence}"] = None
    if chosen not in (0, 1):
        raise FileError(f"{name} is 0, the else branch, or 1, the then branch, not {chosen}")
    n.build.used[name] = chosen
    # The dearer branch by its MACs need not be it by other figures: totals are then no bounds.
    given = n.build.settings.get(name) is not None
    n.build.decides(ValueSize(name, chosen, 1, KIND, given, given, False, ()))
    return tuple(n.build.body(n, branches[chosen], (), env, ""))


@_walks
def loop(n: NodeUse, env: Any) -> Any:
    """``Loop``: its body as often as it turns; how often, where the file does not say it, is a named size."""
    body = n.attribute("body")
    if not isinstance(body, SubGraph):
        raise FileError("Loop has no body")
    turns = _turns(n, body)
    carried = [n.given[i] for i in range(2, len(n.given))]
    collected: list[list[Any]] = [[] for _ in range(len(body.outputs) - 1 - len(carried))]
    condition: Any = KnownTensor(TensorType((), "bool"), (True,))
    for turn in range(turns):
        number = KnownTensor(TensorType((), "int64"), (turn,))
        goes_on, *made = n.build.body(n, body, (number, condition, *carried), env, str(turn))
        carried, rest = made[: len(carried)], made[len(carried) :]
        for row, value in zip(collected, rest, strict=True):
            row.append(value)
        known = goes_on.numbers if isinstance(goes_on, Traced) else None
        if known and not known[0]:
            break
    return (*carried, *(_collected(n, row, len(carried) + i) for i, row in enumerate(collected)))


def _turns(n: NodeUse, body: SubGraph) -> int:
    known = n.numbers(0) if n.has(0) else None
    stops = _always(body)
    if known and isinstance(known[0], int) and known[0] < 2**31 and stops:
        turns = known[0]
    else:
        most = known[0] if known and isinstance(known[0], int) and 0 <= known[0] < MOST_TURNS else MOST_TURNS
        # What ends by a condition turns at most as often as is said; nothing says how often others do.
        usual = most if most < MOST_TURNS else 1
        turns = n.build.setting(n.build.setting_name("trips"), usual, "turns of a loop", most)
    if turns > MOST_TURNS:
        raise FileError(f"a loop runs {turns:,} times; at most {MOST_TURNS:,} are written out")
    return max(turns, 0)


def _always(body: SubGraph) -> bool:
    """Whether the body goes on whatever it has made: its condition is the one that it was given, or a constant."""
    name = body.outputs[0].name if body.outputs else ""
    for _ in range(8):
        if len(body.inputs) > 1 and name == body.inputs[1].name:
            return True
        maker = next((node for node in body.nodes if name in node.outputs), None)
        if maker is None or maker.operator == "Constant":
            return True
        if maker.operator not in ("Identity", "Cast"):
            return False
        name = maker.inputs[0] if maker.inputs else ""
    return False


def _collected(n: NodeUse, row: list[Any], output: int) -> Any:
    if not row:
        made = n.declared(output)
        return n.constant(made) if made else n.constant(TensorType((0,)))
    if any(not isinstance(v, Traced) for v in row):
        raise FileError("a loop collects what is not a tensor")
    return _stacked(n, row, 0)


def _stacked(n: NodeUse, values: list[Traced], axis: int) -> Any:
    """``values`` one after the other along a new axis."""
    return _joined(n, [n.add("unsqueeze", n.real(v), options=(axis,)) for v in values], axis)


def _joined(n: NodeUse, values: list[Traced], axis: int) -> Any:
    return values[0] if len(values) == 1 else n.add("concat", *values, options=(axis,))


@_walks
def scan(n: NodeUse, env: Any) -> Any:
    """``Scan``: its body for each place along the axes that are scanned."""
    body, scanned = n.attribute("body"), n.attribute("num_scan_inputs", 0)
    if not isinstance(body, SubGraph) or not 0 < scanned <= len(n.given) or (0 < n.opset < 9):
        raise NoRule("a scan of this kind")
    states = len(n.given) - scanned
    axes = n.attribute("scan_input_axes") or (0,) * scanned
    out_axes = n.attribute("scan_output_axes")
    carried: list[Any] = [n.given[i] for i in range(states)]
    along = [axis_of(a, len(n.shape(states + i))) for i, a in enumerate(axes)]
    turns = n.shape(states)[along[0]]
    if not isinstance(turns, int):
        raise NoRule("an axis that stays open")
    if turns > MOST_TURNS:
        raise FileError(f"a scan runs {turns:,} times; at most {MOST_TURNS:,} are written out")
    cut = n.build.lowering.call("Scan", {})
    before = NodeUse(n.build, n.node, n.given, cut, n.opset)
    parts = [before.add("unbind", before.x(states + i), options=(axis,)) for i, axis in enumerate(along)]
    n.build.lowering.keep(cut, n.build._scope(n.node))
    rows = [p if isinstance(p, tuple) else (p,) for p in parts]
    backwards = n.attribute("scan_input_directions") or (0,) * scanned
    collected: list[list[Any]] = [[] for _ in range(len(body.outputs) - states)]
    for turn in range(turns):
        taken = [row[turns - 1 - turn if back else turn] for row, back in zip(rows, backwards, strict=True)]
        made = n.build.body(n, body, (*carried, *taken), env, str(turn))
        carried = made[:states]
        for out, value in zip(collected, made[states:], strict=True):
            out.append(value)
    ends = []
    for i, row in enumerate(collected):
        if not row:
            raise NoRule("a scan of nothing")
        axis = axis_of((out_axes or (0,) * len(collected))[i], len(row[0].type.shape) + 1)
        ends.append(_stacked(n, row, axis))
    return (*carried, *ends)


@_walks
def mapped(n: NodeUse, env: Any) -> Any:
    """``SequenceMap``: its body for each element of a sequence, beside those of others, or the same tensor."""
    body, values = n.attribute("body"), _sequence(n)
    if not isinstance(body, SubGraph):
        raise FileError("SequenceMap has no body")
    collected: list[list[Any]] = [[] for _ in body.outputs]
    for turn in range(len(values)):
        taken = [given[turn] if isinstance(given, list) else given for given in n.given]
        for out, value in zip(collected, n.build.body(n, body, taken, env, str(turn)), strict=True):
            out.append(value)
    return tuple(collected)


def constructed(n: NodeUse) -> tuple[Any, ...]:
    return ([v for v in n.given if v is not None],)


def empty(n: NodeUse) -> tuple[Any, ...]:
    return ([],)


def _sequence(n: NodeUse) -> list[Any]:
    value = n.given[0] if n.given else None
    if not isinstance(value, list):
        raise FileError(f"{n.node.operator} needs a sequence")
    return value


def _position(n: NodeUse, index: int, size: int) -> int:
    if not n.has(index):
        return size - 1
    numbers = n.numbers(index)
    if not numbers or type(numbers[0]) is not int or not -size <= numbers[0] <= size:
        raise FileError(f"{n.node.operator} has a place that is not known, or is not one of the {size}")
    return numbers[0] % size if numbers[0] < 0 else numbers[0]


def at(n: NodeUse) -> Any:
    values = _sequence(n)
    position = _position(n, 1, len(values))
    if position >= len(values):
        raise FileError(f"a sequence of {len(values)} has no element {position}")
    return values[position]


def insert(n: NodeUse) -> tuple[Any, ...]:
    values = list(_sequence(n))
    position = _position(n, 2, len(values)) if n.has(2) else len(values)
    values.insert(position, n.given[1])
    return (values,)


def erase(n: NodeUse) -> tuple[Any, ...]:
    values = list(_sequence(n))
    del values[_position(n, 1, len(values))]
    return (values,)


def length(n: NodeUse) -> Any:
    return KnownTensor(TensorType((), "int64"), (len(_sequence(n)),))


def to_sequence(n: NodeUse) -> tuple[Any, ...]:
    """Parts of one place each, which lose the axis unless ``keepdims``; or of a size, or sizes, that is given."""
    x = n.x(0)
    axis = axis_of(n.attribute("axis", 0), len(x.type.shape))
    size = x.type.shape[axis]
    if not n.has(1):
        if not isinstance(size, int):
            raise NoRule("an axis that stays open")
        if not n.attribute("keepdims", 1):
            made = n.add("unbind", x, options=(axis,))
        else:
            made = n.add("split", x, options=(size, axis)) if size > 1 else x
        return (list(made) if isinstance(made, tuple) else [made],)
    parts = n.known(1, "the split")
    if not n.shape(1) and isinstance(size, int):
        each = parts[0]
        if not isinstance(each, int) or each < 1 or size > each * MOST_PARTS:
            raise FileError(f"SplitToSequence cuts {size:,} places into parts of {each}")
        parts = tuple(min(each, size - i) for i in range(0, size, each))
    made = n.add("split", x, options=(tuple(parts), axis)) if len(parts) > 1 else (x,)
    return (list(made),)


def from_sequence(n: NodeUse) -> Any:
    values = [n.real(v) for v in _sequence(n)]
    if not values:
        raise FileError("a sequence of nothing cannot be joined")
    new = bool(n.attribute("new_axis", 0))
    axis = axis_of(n.attribute("axis", 0), len(values[0].type.shape) + new)
    return _stacked(n, values, axis) if new else _joined(n, values, axis)


def optional(n: NodeUse) -> Any:
    return n.given[0] if n.given and n.given[0] is not None else []


def has_element(n: NodeUse) -> Any:
    there = bool(n.given) and n.given[0] is not None
    return KnownTensor(TensorType((), "bool"), (there,))


RULES: dict[str, Callable[..., Any]] = {
    "If": branch, "Loop": loop, "Scan": scan, "SequenceMap": mapped, "SequenceConstruct": constructed,
    "SequenceEmpty": empty, "SequenceAt": at, "SequenceInsert": insert, "SequenceErase": erase,
    "SequenceLength": length, "SplitToSequence": to_sequence, "ConcatFromSequence": from_sequence, "Optional": optional,
    "OptionalGetElement": optional, "OptionalHasElement": has_element,
}  # fmt: skip
