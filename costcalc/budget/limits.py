"""How much a config may ask for, in layers: those of a model count each time that it is held to its budgets."""

from __future__ import annotations

from collections import Counter

from costcalc.budget.config import BudgetedModel, Config
from costcalc.errors import SpecError
from costcalc.frontends.sources import source_of
from costcalc.ir.graph import Graph

MOST_LAYERS = 150_000
"""With engines some 5 seconds of work, without at most twice that. All 310 models that ship have 60,000 together."""
PATTERNS, ENGINE = 10, 2
"""So many patterns of layers take as long as a measurement, and a plan of an engine or of training as so many."""


class WorkSoFar:
    """The layers that the models of ``config`` have: of those measured so far, and of those that are yet to be.

    A model that is named again is taken to have as many as when it was measured last. Models that are code, and those
    that the command line names, count nothing: who runs them knows what they take.
    """

    def __init__(self, config: Config) -> None:
        self._bounded = bool(config.file)
        self._left: Counter[str] = Counter()
        for model in config.models:
            self._left[model.model] += len(model.at) * _times(model)
        self._layers: dict[str, int] = {}
        self._done = self._coming = 0

    def measured(self, model: BudgetedModel, graph: Graph) -> None:
        """Count one measurement. Raises ``SpecError`` where that is, or with what is to come will be, too much."""
        name, layers = model.model, len(graph.nodes)
        if not self._bounded or source_of(name).runs_code:
            return
        self._coming -= self._left[name] * self._layers.get(name, 0)
        self._left[name] -= _times(model)
        self._layers[name] = layers
        self._coming += self._left[name] * layers
        self._done += layers * _times(model)
        if self._done + self._coming > MOST_LAYERS:
            raise SpecError(
                f"the models of this config have more than {MOST_LAYERS:,} layers, those of one counted each time that "
                f"it is measured, once more for {PATTERNS} patterns of layers and {ENGINE} times for each memory; "
                "name some of them on the command line, or divide the config",
                model.location,
            )


def _times(model: BudgetedModel) -> int:
    """How often the layers of ``model`` count."""
    patterns = {budget.layers for budget in model.budgets if budget.layers is not None}
    engines = {budget.engine or budget.step for budget in model.budgets if budget.engine or budget.step}
    return 1 + len(patterns) // PATTERNS + ENGINE * len(engines)
