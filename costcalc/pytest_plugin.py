"""A pytest plugin: the fixture ``cost``, and snapshots of what models cost in ``costcalc.lock``.

    def test_backbone_fits(cost):
        assert cost("configs/backbone.yaml").macs <= "4.2 G"
        cost.snapshot("configs/backbone.yaml", input=(3, 384, 384))

``pytest --cost-update`` agrees to what the snapshots are now. Everything heavier than pytest is imported
when a test asks for it.
"""

from __future__ import annotations

import os
from functools import total_ordering
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from costcalc.analysis.figures import Figure
    from costcalc.budget.config import Setup
    from costcalc.budget.lock import Entry, Lock
    from costcalc.budget.measure import Measured


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--cost-update``."""
    group = parser.getgroup("costcalc")
    group.addoption("--cost-update", action="store_true", help="write what models cost now into costcalc.lock")


@pytest.fixture(scope="session")
def _cost_session(request: pytest.FixtureRequest) -> Iterator[Costs]:
    update = request.config.getoption("--cost-update")
    if update and hasattr(request.config, "workerinput"):
        raise pytest.UsageError("--cost-update writes one file; run it without pytest-xdist's -n")
    costs = Costs(request.config.rootpath, update)
    yield costs
    costs.finish()


@pytest.fixture
def cost(_cost_session: Costs) -> Costs:
    """What models cost: ``cost("configs/net.yaml").macs``, ``cost.snapshot("resnet50", batch=8)``."""
    return _cost_session


class Costs:
    """Measures models, and compares them with the lock at the root of the tests."""

    def __init__(self, root: Path, update: bool) -> None:
        self._root, self._update = root, update
        self._new: dict[tuple[str, str], Entry] = {}

    def __call__(self, model: Any, *, bits: int | None = None, machine: str | None = None, **choices: Any) -> Cost:
        """What ``model`` costs: a name, the path of a spec from the root of the tests, or a graph.

        ``machine`` gives it a time. ``choices`` are those of ``costcalc.load``: batch, input, parameters, apply.
        """
        return Cost(self._measure(model, bits, choices, machine))

    def snapshot(self, model: str, *, bits: int | None = None, **choices: Any) -> None:
        """Assert that ``model`` costs what the lock says; ``--cost-update`` writes it there."""
        __tracebackhide__ = True
        from costcalc.budget.lock import NAME, entry

        setup = _setup(bits, choices)
        found = self._measure(model, bits, choices)
        now = entry(found.graph, found.report, model, setup.label, "pytest")
        if self._update:
            self._new[model, setup.label] = now
            return
        lock = self._lock()
        was = lock.entries.get((model, setup.label)) if lock else None
        if was is None:
            pytest.fail(f"{NAME} does not have {model}; pytest --cost-update adds it", pytrace=False)
        if was.graph != now.graph or was.figures != now.figures:
            pytest.fail(_told(was, found), pytrace=False)

    def __repr__(self) -> str:
        return "cost"

    def finish(self) -> None:
        """Write what ``--cost-update`` collected."""
        if self._new:
            from costcalc.budget.lock import Lock
            from costcalc.budget.session import write_lock
            from costcalc.writing import version_of

            seen = version_of(self._path())
            lock = self._lock()
            write_lock(self._path(), Lock({**(lock.entries if lock else {}), **self._new}), seen)

    def _measure(self, model: Any, bits: int | None, choices: dict[str, Any], machine: str | None = None) -> Measured:
        from costcalc import load
        from costcalc.budget.measure import measured
        from costcalc.frontends.sources import is_path
        from costcalc.ir.graph import Graph
        from costcalc.machines import load_machine

        on = {}
        if machine is not None:
            on[machine] = load_machine(str(self._root / machine) if is_path(machine) else machine)
        if isinstance(model, Graph):
            return measured(model, bits, on)
        path = os.path.relpath(self._root / model) if is_path(str(model)) else str(model)
        return measured(load(path, **choices), bits, on)

    def _path(self) -> str:
        from costcalc.budget.lock import NAME

        return str(self._root / NAME)

    def _lock(self) -> Lock | None:
        from costcalc.budget.lock import read_lock

        return read_lock(self._path())


def _setup(bits: int | None, choices: dict[str, Any]) -> Setup:
    from costcalc.budget.config import Setup
    from costcalc.transforms import named

    shape = choices.get("input")
    shape = tuple(shape) if isinstance(shape, (list, tuple)) else shape
    applied = named(choices.get("apply", ()), bool(choices.get("fold_norm")))
    return Setup(shape, choices.get("batch"), bits, choices.get("parameters") or {}, applied)


def _told(was: Entry, found: Measured) -> str:
    """The diff from the lock to what is found, as ``costcalc diff`` prints it."""
    from costcalc.backends.differences import text
    from costcalc.budget.lock import NAME, graph_of
    from costcalc.difference import diff

    graph = graph_of(was)
    told = text([diff(graph, found.graph, name=was.model)], "macs", width=100) if graph else ""
    return f"{was.model} is not what {NAME} says; pytest --cost-update agrees to it\n{told}"


class Cost:
    """The figures of one model as attributes: ``macs``, ``params``, ``storage``, ``traffic``, ``peak`` …"""

    def __init__(self, found: Measured) -> None:
        self.graph, self.report = found.graph, found.report

    def __repr__(self) -> str:
        return f"the cost of {self.report.name}"

    def __getattr__(self, name: str) -> Amount:
        from costcalc.analysis.figures import find_figure
        from costcalc.errors import CostcalcError

        if name.startswith("_"):
            raise AttributeError(name)
        try:
            figure = find_figure(name)
        except CostcalcError as error:
            raise AttributeError(error.message) from None
        value = figure.value(self.report)
        if value is None:
            hint = "; give a machine, as in cost(model, machine='a100')" if name == "time" else ""
            raise AttributeError(f"{self.report.name} has no {name}{hint}")
        return Amount(figure, value, self)


@total_ordering
class Amount:
    """A figure that compares with numbers, and with amounts that have a unit: ``<= "4.2 G"``, ``<= "100 MiB"``."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, figure: Figure, value: Any, cost: Cost) -> None:
        self.figure, self.value, self._cost = figure, value, cost

    def _other(self, other: Any) -> Any:
        from costcalc.analysis.figures import BITS
        from costcalc.budget.amounts import amount

        if isinstance(other, Amount):
            return other.value
        if isinstance(other, str):
            return amount(other, self.figure)
        if self.figure.unit == BITS:
            raise TypeError(f'{self.figure.name} is compared with its unit: {self.figure.name} <= "100 MiB"')
        return other

    def __eq__(self, other: object) -> bool:
        return bool(self.value == self._other(other))

    def __lt__(self, other: Any) -> bool:
        return bool(self.value < self._other(other))

    def __int__(self) -> int:
        return int(self.value)

    def __float__(self) -> float:
        return float(self.value)

    def __repr__(self) -> str:
        """With all digits, and the layers that it is largest in: what a failing assertion shows."""
        from costcalc.backends.figures import exact, show

        figure = self.figure
        text = f"{show(figure, self.value)} {figure.name} of {self._cost.report.name} ({exact(figure, self.value)})"
        if figure.whole:
            return text
        ranked = sorted(self._cost.report.layers, key=lambda layer: -(figure.part(layer) or 0))[:3]
        return f"{text}; most in " + ", ".join(f"{layer.name} {show(figure, figure.part(layer))}" for layer in ranked)
