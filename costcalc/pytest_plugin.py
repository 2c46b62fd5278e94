"""The pytest plugin by its public name, as in ``-p costcalc.pytest_plugin``."""

from costcalc.integrations.pytest_plugin import Cost, Costs, _cost_session, cost, pytest_addoption

__all__ = ["Cost", "Costs", "_cost_session", "cost", "pytest_addoption"]
