"""What ``costcalc.check`` is given, as a config has it: models, and budgets, read by the same reader."""

from __future__ import annotations

import os
from collections.abc import Mapping as Given
from collections.abc import Sequence as Several
from decimal import Decimal
from numbers import Real
from typing import Any

from costcalc.arguments import graph_of, no_module
from costcalc.budget.config import Budget, BudgetedModel, Config, Setup
from costcalc.budget.read import budgets_of, read_config, word
from costcalc.budget.session import nearest_config, of_names
from costcalc.errors import CostcalcError, Location, OptionError, listing
from costcalc.ir.graph import Graph
from costcalc.reading.tree import Mapping, Scalar, Sequence, Tree

MOST = 60
"""Characters of a key in the place of an error."""


def budgets(whole: Given[str, Any] | None, layers: Given[str, Any] | None = None) -> tuple[Budget, ...]:
    """The budgets of a model, and those of patterns of its layers.

    >>> [budget.description for budget in budgets({"macs": "4.2 G"}, {"head.*": {"params": 2_000_000}})]
    ['macs', 'params of head.*']

    Raises ``CostcalcError``, placed at the key: ``budgets['macs']: …``.
    """
    if not whole and not layers:
        raise OptionError("budgets are empty: give a figure and its amount, {'macs': '4.2 G'}")
    trees = [None if given is None else _tree(given, name) for name, given in (("budgets", whole), ("layers", layers))]
    return budgets_of(trees[0], trees[1], word)


def _tree(value: object, at: str) -> Tree:
    """``value``, which stands ``at`` a place in words, as the reader of a config has it."""
    location = Location(at)
    if isinstance(value, Given):
        pairs = []
        for key, below in value.items():
            name = str(key)
            deeper = f"{at}[{name[:MOST]!r}]"
            pairs.append((Scalar(name, Location(deeper)), _tree(below, deeper)))
        return Mapping(pairs, location)
    if isinstance(value, (list, tuple)):
        return Sequence([_tree(one, at) for one in value], location)
    if isinstance(value, (str, Real, Decimal)) and not isinstance(value, bool):
        return Scalar(str(value), location)
    raise OptionError(
        f"a bound is an amount such as '4.2 G' or 4_200_000_000, not {type(value).__name__}; "
        "a mapping has max, min, max_increase or max_decrease",
        location,
    )


def under(
    budgets: tuple[Budget, ...],
    models: Several[Graph | str | os.PathLike[str]],
    names: Several[str],
    how: Given[str, Any],
    bits: int | None,
) -> tuple[Config, dict[str, Graph]]:
    """A config of ``models``, built by ``how``, that holds each to ``budgets``; and those of them that are graphs."""
    from costcalc.transforms import named

    if not models:
        raise OptionError("budgets need a model: check('resnet50', budgets={'macs': '4.2 G'})")
    if isinstance(models[0], (list, tuple)):
        raise OptionError("check takes the models one after another: check(a, b, budgets=…)")
    if names and len(names) != len(models):
        raise OptionError(f"names has {len(names)} names for {len(models)} models")
    found: list[BudgetedModel] = []
    graphs: dict[str, Graph] = {}
    for number, model in enumerate(models):
        model = no_module(model, "check")
        if isinstance(model, Graph):
            own, source = model.name, ""
            graph, setup = graph_of(model, (), {}, how), Setup(bits=bits)
        else:
            own = source = os.fspath(model)
            shape = how["input"]
            shape = tuple(shape) if isinstance(shape, list) else shape
            applied = named(how["apply"], how["fold_norm"])
            setup = Setup(shape, how["batch"], bits, how["parameters"] or {}, applied, how["layout"] or "")
        name = names[number] if names else own
        if any(name == other.name for other in found):
            raise OptionError(f"two models are called '{name[:80]}'; tell them apart by names=")
        if isinstance(model, Graph):
            graphs[name] = graph
        found.append(BudgetedModel(name, source, Location(""), (setup,), budgets))
    return Config("", "", tuple(found)), graphs


def configured(path: str | os.PathLike[str] | None, models: Several[Any], given: Given[str, Any]) -> Config:
    """The config at ``path``, or the nearest one, with those of its models that are named."""
    wrong = next((model for model in models if not isinstance(model, str)), None)
    if wrong is not None:
        like = "budgets={'macs': '4.2 G'}"
        raise OptionError(f"a config's models are named; {_kind(wrong)} needs budgets: check(…, {like})")
    if extra := [name for name, value in given.items() if value]:
        one = len(extra) == 1
        raise OptionError(
            f"{listing(extra)} {'goes' if one else 'go'} with budgets=; a config says per model how it is measured: "
            "at: [{input: 3x224x224, bits: 16}]"
        )
    file = nearest_config() if path is None else os.fspath(path)
    if file is None:
        like = f"check('{models[0][:80] if models else 'resnet50'}', budgets={{'macs': '4.2 G'}})"
        raise OptionError(f"there is no costcalc.yaml here; `costcalc init` writes one, or give budgets: {like}")
    return of_names(read_config(file), tuple(models))


def _kind(model: Any) -> str:
    return {"Graph": "a graph", "PosixPath": "a path"}.get(type(model).__name__, "a module")


def check_no_config(config: object) -> None:
    """Raise ``OptionError`` where a config is given beside budgets."""
    if config is not None:
        raise OptionError("config and budgets both set budgets; choose one")


def check_baselines(base: object, trace_base: bool, compare_to: object, locked: bool, allow_code: bool) -> None:
    """Raise ``OptionError`` where what to compare with is said twice, or half."""
    told = [name for name, said in (("base", base is not None), ("compare_to", compare_to is not None),
                                    ("locked", locked)) if said]  # fmt: skip
    if len(told) > 1:
        raise OptionError(f"{' and '.join(told)} each say what to compare with; choose one")
    if trace_base and base is None:
        raise OptionError("trace_base traces the code of a revision: add base='origin/main'")
    if trace_base and not allow_code:
        raise OptionError("trace_base runs code of the base revision: if you trust it, add allow_code=True")


def earlier(given: object) -> str | Graph | None:
    """What to compare with: a graph, or the path of a file."""
    if isinstance(given, os.PathLike):
        return str(os.fspath(given))
    if given is None or isinstance(given, (str, Graph)):
        return given
    raise CostcalcError(f"compare_to takes a graph, or the path of a report's JSON, not {type(given).__name__}")
