"""Graphs inside others: branches, loops, and what runs once."""

from __future__ import annotations

from collections.abc import Sequence

from costcalc.errors import OptionError
from costcalc.frontends.compose import Unlike
from costcalc.frontends.tflite.build import TFLiteBuilder
from costcalc.frontends.tflite.flat import FlatTable
from costcalc.frontends.tflite.read import Subgraph, TFLiteOperator
from costcalc.frontends.tflite.rules.table import options_of, rule, second_options_of

MOST_TURNS, MOST_BRANCHES = 20_000, 1000
_BRANCH = "the branch that an IF takes, 0 for else and 1 for then"


@rule("CALL_ONCE")
def once(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """What fills tables and variables before the first inference is no work of an inference."""
    b.note("runs before the first inference alone, and is not counted")


@rule("IF")
def branch(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """The branch that a known condition takes; else the one that has more MACs, which the report says."""
    options = options_of(o)
    condition = b.known(o.inputs[0])
    known = None if condition is None else int(bool(condition[0]))
    _chosen_of(b, o, [options.whole(1), options.whole(0)], ("else", "then"), known, _BRANCH)


@rule("STABLEHLO_CASE")
def case(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """One of several graphs by a number; a number of none is the last."""
    numbers = second_options_of(o).ints(0, MOST_BRANCHES)
    if not numbers:
        raise Unlike("it has no branches")
    index, last = b.known(o.inputs[0]), len(numbers) - 1
    known = index[0] if index and isinstance(index[0], int) else None
    if known is not None and not 0 <= known <= last:
        known = last
    _chosen_of(b, o, numbers, [str(i) for i in range(len(numbers))], known, "the branch that a CASE takes, from 0")


def _chosen_of(
    b: TFLiteBuilder, o: TFLiteOperator, numbers: Sequence[int], words: Sequence[str], known: int | None, kind: str
) -> None:
    """Write out the branch ``known``; where it is not, the one that somebody says, or the one that has most MACs."""
    branches, given, last = [b.model.subgraph(number) for number in numbers], o.inputs[1:], len(numbers) - 1
    for graph in branches:
        _fits(graph, len(given), len(o.outputs))
    chosen, decided = known, None
    if chosen is None:
        name = b.setting_name("branch")
        chosen = said = b.setting(name)
        if chosen is None:
            macs = [b.weighed(graph, given) for graph in branches]
            chosen = max(range(len(macs)), key=lambda i: (macs[i], i))
            other = f"{name}={1 - chosen} counts the other" if last == 1 else f"{name}=0…{last} counts another"
            b.note(f"the {words[chosen]} branch is counted, which has more MACs; --set {other}")
        elif chosen > last:
            which = " or ".join(f"{i}, the {word} branch" for i, word in enumerate(words))
            raise OptionError(
                f"{name} is {which.replace(' or', ', or') if last == 1 else f'from 0 to {last}'}, not {chosen}"
            )
        # The one with more MACs need not have more of the rest: totals are no bounds.
        decided = b.decides(name, chosen, max(last, 1), kind, said is not None)
    made = b.body(branches[chosen], b.carried(given), words[chosen])
    b.end(decided)
    b.bind_all(o.outputs, made)


@rule("WHILE")
def loop(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Condition and body turn by turn, while it is known that it goes on; else as often as a named size says."""
    _turned(b, o, options_of(o))


@rule("STABLEHLO_WHILE")
def stablehlo_loop(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """The same."""
    _turned(b, o, second_options_of(o))


def _turned(b: TFLiteBuilder, o: TFLiteOperator, options: FlatTable) -> None:
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
