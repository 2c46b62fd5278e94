"""Graphs inside others: branches, loops, and what runs once."""

from __future__ import annotations

from costcalc.errors import OptionError
from costcalc.frontends.compose import Unlike
from costcalc.frontends.tflite.build import TFLiteBuilder
from costcalc.frontends.tflite.read import Subgraph, TFLiteOperator
from costcalc.frontends.tflite.rules.table import options_of, rule

MOST_TURNS = 20_000
_BRANCH = "the branch that an IF takes, 0 for else and 1 for then"


@rule("CALL_ONCE")
def once(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """What fills tables and variables before the first inference is no work of an inference."""
    b.note("runs before the first inference alone, and is not counted")


@rule("IF")
def branch(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """The branch that a known condition takes; else the one that has more MACs, which the report says."""
    options = options_of(o)
    branches = [b.model.subgraph(options.whole(field)) for field in (1, 0)]
    for graph in branches:
        _fits(graph, len(o.inputs) - 1, len(o.outputs))
    condition, given = b.known(o.inputs[0]), o.inputs[1:]
    if condition is not None:
        chosen, decided = int(bool(condition[0])), None
    else:
        name = b.setting_name("branch")
        chosen_by = b.setting(name)
        if chosen_by is None:
            least, most = (b.weighed(graph, given) for graph in branches)
            chosen = int(most >= least)
            word = ("else", "then")[chosen]
            b.note(f"the {word} branch is counted, which has more MACs; --set {name}={1 - chosen} counts the other")
        elif chosen_by not in (0, 1):
            raise OptionError(f"{name} is 0, the else branch, or 1, the then branch, not {chosen_by}")
        else:
            chosen = chosen_by
        # The one with more MACs need not have more of the rest: totals are no bounds.
        decided = b.decides(name, chosen, 1, _BRANCH, chosen_by is not None)
    made = b.body(branches[chosen], b.carried(given), ("else", "then")[chosen])
    b.end(decided)
    b.bind_all(o.outputs, made)


@rule("WHILE")
def loop(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Condition and body turn by turn, while it is known that it goes on; else as often as a named size says."""
    options = options_of(o)
    condition, body = (b.model.subgraph(options.whole(field)) for field in (0, 1))
    _fits(condition, len(o.inputs), 1)
    _fits(body, len(o.inputs), len(o.inputs))
    if len(o.outputs) != len(o.inputs):
        raise Unlike("it does not make what it takes")
    carried, turn, trips, decided = b.carried(o.inputs), 0, None, None
    while True:
        ((_, goes_on),) = b.body(condition, carried, f"{turn}.condition")
        if trips is None and goes_on is None:
            name = b.setting_name("trips")
            given = b.setting(name)
            trips = max(turn, 1 if given is None else given)
            decided = b.decides(name, trips, MOST_TURNS, "turns of a loop", given is not None)
        if (turn >= trips) if trips is not None else not (goes_on and goes_on[0]):
            break
        if turn >= MOST_TURNS:
            raise OptionError(f"a loop turns more than {MOST_TURNS:,} times, which are not written out")
        carried = b.body(body, carried, str(turn))
        turn += 1
    b.end(decided)
    b.bind_all(o.outputs, carried)


def _fits(graph: Subgraph, inputs: int, outputs: int) -> None:
    if len(graph.inputs) != inputs or len(graph.outputs) != outputs:
        raise Unlike("the graphs inside it take or make another number of tensors than it does")
