"""A pytest plugin: the fixture ``cost``, and snapshots of what models cost in ``costcalc.lock``.

    def test_backbone_fits(cost):
        assert cost("configs/backbone.yaml").macs <= "4.2 G"
        assert cost("net.py:Net", input=(3, 32, 32)).params <= "26 M"
        assert cost(module, (1, 3, 32, 32)).peak <= "2 MiB"
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
    from costcalc.budget.lock import Lock, LockEntry
    from costcalc.budget.measure import Measured
    from costcalc.ir.graph import Graph


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


CHOICES = ("apply", "batch", "fold_norm", "input", "layout", "parameters")
"""What ``costcalc.load`` takes beside the name of a model."""


class Costs:
    """Measures models, and compares them with the lock at the root of the tests."""

    def __init__(self, root: Path, update: bool) -> None:
        self._root, self._update = root, update
        self._new: dict[tuple[str, str], LockEntry] = {}

    def __call__(
        self, model: Any, *inputs: Any, bits: int | None = None, machine: str | None = None,
        energy: str | None = None, **choices: Any,
    ) -> Cost:  # fmt: skip
        """What ``model`` costs: a name or path as for ``analyze``, from the root of the tests, a graph, or a module.

        ``cost("net.py:Net", input=(3, 32, 32))``, ``cost(module, (1, 3, 32, 32))``: ``inputs`` of a ``torch.nn.Module``
        are tensors, or shapes with the batch, while ``input`` is without it. ``machine`` gives a time, ``energy``, a
        table of energies, an energy. ``choices`` are those of ``costcalc.load``: batch, input, parameters, layout …
        """
        return Cost(self._measure(model, inputs, bits, choices, machine, energy))

    def snapshot(self, model: Any, *inputs: Any, bits: int | None = None, name: str = "", **choices: Any) -> None:
        """Assert that ``model`` costs what the lock says; ``--cost-update`` writes it there.

        ``name`` is what the lock calls it: by default its own name, of a module its class.
        """
        __tracebackhide__ = True
        from costcalc.backends.escape import console
        from costcalc.budget.lock import NAME, entry

        setup = _setup(bits, choices)
        found = self._measure(model, inputs, bits, choices)
        name = name or (os.fspath(model) if isinstance(model, (str, os.PathLike)) else found.graph.name)
        label = ", ".join(filter(None, [_shapes(found) if inputs else "", setup.label]))
        now = entry(found.graph, found.report, name, label, "pytest")
        if self._update:
            self._new[name, label] = now
            return
        lock = self._lock()
        was = lock.entries.get((name, label)) if lock else None
        if was is None:
            pytest.fail(console(f"{NAME} does not have {name}; pytest --cost-update adds it"), pytrace=False)
        if was.graph != now.graph or was.figures != now.figures:
            pytest.fail(console(_change_message(was, found)), pytrace=False)

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

    def _measure(
        self, model: Any, inputs: tuple[Any, ...], bits: int | None, choices: dict[str, Any],
        machine: str | None = None, energy: str | None = None,
    ) -> Measured:  # fmt: skip
        from costcalc import load
        from costcalc.analysis.report import report
        from costcalc.arguments import energy_of, machine_of
        from costcalc.budget.measure import Measured
        from costcalc.errors import OptionError, listing
        from costcalc.frontends.sources import is_path
        from costcalc.ir.graph import Graph

        unknown = next((name for name in choices if name not in CHOICES), None)
        if unknown is not None:
            raise OptionError(
                f"cost takes no {unknown}=; a shape is input=, without the batch; there are {listing(CHOICES)}"
            )
        on, by = (str(self._root / name) if name and is_path(name) else name for name in (machine, energy))
        if not isinstance(model, (str, os.PathLike)):
            graph = model if isinstance(model, Graph) else _traced(model, inputs, choices)
        elif inputs:
            raise OptionError("only a torch.nn.Module takes inputs; a model that is named takes its shape as input=")
        else:
            graph = load(os.path.relpath(self._root / model) if is_path(str(model)) else str(model), **choices)
        return Measured(graph, report(graph, bits=bits, machine=machine_of(on), energy=energy_of(by)))

    def _path(self) -> str:
        from costcalc.budget.lock import NAME

        return str(self._root / NAME)

    def _lock(self) -> Lock | None:
        from costcalc.budget.lock import read_lock

        return read_lock(self._path())


def _traced(module: Any, inputs: tuple[Any, ...], choices: dict[str, Any]) -> Graph:
    """The graph of a ``torch.nn.Module``. Raises ``CostcalcError`` for what is none, and for what it cannot be told."""
    from costcalc import trace, transforms
    from costcalc.errors import OptionError
    from costcalc.frontends.sources import check_shape
    from costcalc.ir.layout import laid_out

    given = dict(choices)
    shape, batch = given.pop("input", None), given.pop("batch", None)
    if inputs and (shape is not None or batch is not None):
        raise OptionError("give a module's inputs either by place, with the batch, or as input= without it")
    named = shape if isinstance(shape, dict) else {}
    for name, sizes in named.items() if named else [("the input", shape)] if shape is not None else []:
        check_shape(name, sizes)
    forward: dict[str, Any] = {name: (batch or 1, *sizes) for name, sizes in named.items()}
    if shape is not None and not named:
        inputs = ((batch or 1, *shape),)
    wanted = transforms.named(given.pop("apply", ()), bool(given.pop("fold_norm", False)))
    layout = given.pop("layout", None)
    if given:
        raise OptionError(f"a module is built already: {', '.join(given)} cannot be given to it")
    whole = trace(module, *inputs, **forward) if shape is None else _traced_on(module, inputs, forward)
    graph = transforms.apply(whole, wanted)
    return graph if layout is None else laid_out(graph, layout)


def _traced_on(module: Any, inputs: tuple[Any, ...], forward: dict[str, Any]) -> Graph:
    """The same of shapes that were given without the batch: so does the error say which would do."""
    import re

    from costcalc.frontends.torch.failures import ModelError
    from costcalc.frontends.torch.tracer import meant, trace_module

    def without_batch(hint: str) -> str:
        shapes = [f"({shape.partition(', ')[2]})" for shape in re.findall(r"\(([\d, ]+)\)", hint)]
        return f"\ninput= is without the batch: input={', '.join(shapes)}"

    try:
        return trace_module(module, inputs, forward)
    except ModelError as error:
        error.message += meant(module, inputs, forward, without_batch)
        raise


def _shapes(found: Measured) -> str:
    """The shapes of the inputs that a module was traced on, with their batch."""
    graph = found.graph
    return ", ".join("x".join(map(str, graph.types[name].shape)) for name in graph.inputs)


def _setup(bits: int | None, choices: dict[str, Any]) -> Setup:
    from costcalc.budget.config import Setup
    from costcalc.transforms import named

    shape = choices.get("input")
    shape = tuple(shape) if isinstance(shape, (list, tuple)) else shape
    applied = named(choices.get("apply", ()), bool(choices.get("fold_norm")))
    return Setup(
        shape, choices.get("batch"), bits, choices.get("parameters") or {}, applied, choices.get("layout") or ""
    )


def _change_message(was: LockEntry, found: Measured) -> str:
    """The diff from the lock to what is found, as ``costcalc diff`` prints it."""
    from costcalc.backends.diff.formats import text
    from costcalc.budget.lock import NAME, graph_of
    from costcalc.difference import diff

    graph = graph_of(was)
    changes = text([diff(graph, found.graph, name=was.model)], "macs", width=100) if graph else ""
    return f"{was.model} is not what {NAME} says; pytest --cost-update agrees to it\n{changes}"


class Cost:
    """The figures of one model as attributes: ``macs``, ``params``, ``storage``, ``traffic``, ``peak`` …"""

    def __init__(self, found: Measured) -> None:
        self.graph, self.report = found.graph, found.report

    def __repr__(self) -> str:
        from costcalc.backends.escape import visible

        return f"the cost of {visible(self.report.name)}"

    def __getattr__(self, name: str) -> Amount:
        from costcalc.analysis.figures import ASKED, find_figure
        from costcalc.errors import CostcalcError

        if name.startswith("_"):
            raise AttributeError(name)
        try:
            figure = find_figure(name)
        except CostcalcError as error:
            raise AttributeError(error.message) from None
        value = figure.value(self.report)
        if value is None:
            what, example = ASKED.get(figure.asks, ("", ""))
            is_given = bool(self.report.machine if figure.asks == "machine" else self.report.energies)
            hint = f"; give {what}, as in cost(model, {figure.asks}='{example}')" if what and not is_given else ""
            raise AttributeError(f"{self.report.name} has no {name}{hint}")
        return Amount(figure, value, self)


@total_ordering
class Amount:
    """A figure that compares with numbers, and with amounts that have a unit: ``<= "4.2 G"``, ``<= "100 MiB"``."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, figure: Figure, value: Any, cost: Cost) -> None:
        self.figure, self.value, self._cost = figure, value, cost

    def _other(self, other: Any) -> Any:
        from costcalc.amounts.parsing import amount
        from costcalc.analysis.figures import BITS

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
        from costcalc.amounts.formatting import exact, show
        from costcalc.backends.escape import visible

        figure, of = self.figure, visible(self._cost.report.name)
        text = f"{show(figure, self.value)} {figure.name} of {of} ({exact(figure, self.value)})"
        if figure.whole:
            return text
        ranked = sorted(self._cost.report.layers, key=lambda layer: -(figure.part(layer) or 0))[:3]
        return f"{text}; most in " + ", ".join(
            f"{visible(layer.name)} {show(figure, figure.part(layer))}" for layer in ranked
        )
