"""``costcalc.yaml``, or ``[tool.costcalc]`` of a ``pyproject.toml``, as a ``Config``.

Both are untrusted: they are data, read with bounds, and nothing in them runs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from costcalc.amounts.parsing import EXAMPLE, amount, step
from costcalc.analysis.figures import FIGURES, Named, find_figure, find_named
from costcalc.budget.config import ERROR, WARN, Budget, BudgetedModel, Config, Exemption, Limit, Setup, beside
from costcalc.errors import CostcalcError, Location, SpecError, article, listing, near
from costcalc.ir.layout import full_layout
from costcalc.ir.tensor import bits_meant
from costcalc.reading.keys import by_key
from costcalc.reading.reach import reach_of, refuse_outside, unquoted
from costcalc.reading.tree import Mapping, Scalar, Sequence, Tree
from costcalc.reading.yaml import read_file
from costcalc.transforms import named as transforms_named
from costcalc.writing import version_of

if TYPE_CHECKING:
    from costcalc.planning.training import StepAsked

FILES = ("costcalc.yaml", "costcalc.yml", "pyproject.toml")
NEEDED = {"machine": "jetson_orin_nano", "engine": "tflm", "energy": "horowitz_45nm"}
"""What a budget must say of some figures, with an example."""
STEP = ("train", "checkpoint", "autocast")
"""What a budget of memory can say in place of an engine, of a step of training."""
VERSION = "1"
MEASUREMENT = ("input", "batch", "bits", "parameters", "apply", "fold_norm", "layout")
"""What a model is measured with, in its ``at``."""
MOST_PATTERNS = 200
"""Of layers, that a model has budgets of: each is held to the name of every layer."""

T = TypeVar("T")


def find_config(folder: str = "") -> str | None:
    """The config file in ``folder``: the first of ``FILES`` that there is; None if there is none."""
    for name in FILES:
        path = Path(folder, name)
        if path.is_file() and (name != "pyproject.toml" or _has_section(path)):
            return str(path)
    return None


def read_config(path: str) -> Config:
    """The config in the file at ``path``. Raises ``SpecError`` with the place of what is wrong."""
    seen = version_of(path)
    with unquoted(path):
        if path.endswith(".toml"):
            from costcalc.reading.toml import read_toml

            tree = read_toml(path)
        else:
            tree = read_file(path, kind="a config")
        return config(tree, path)._replace(seen=seen)


def config(tree: Tree, file: str) -> Config:
    """The config that ``tree`` describes."""
    top = _keys(tree, "the config", ("version", "models", "exempt"))
    if "version" not in top:
        raise SpecError(f"the config has no version; it begins with 'version: {VERSION}'", tree.location)
    version = word(top["version"], "version")
    if version != VERSION:
        raise SpecError(
            f"the config has version {version[:20]}, and this costcalc reads {VERSION}", top["version"].location
        )
    if "models" not in top:
        raise SpecError("the config names no models; it needs 'models', a list", tree.location)
    models = tuple(_model(m) for m in _items(top["models"], "models"))
    names: dict[str, BudgetedModel] = {}
    for model in models:
        if model.name in names:
            raise SpecError(f"two models are called '{model.name}'", model.location)
        names[model.name] = model
    exempt = tuple(_exemption(e, names) for e in _items(top["exempt"], "exempt")) if "exempt" in top else ()
    return Config(file, str(Path(file).parent), models, exempt)


def _model(tree: Tree) -> BudgetedModel:
    elsewhere = {key: f"at: [{{{key}: …}}]" for key in MEASUREMENT} | {f: f"budgets: {{{f}: …}}" for f in FIGURES}
    keys = _keys(tree, "a model", ("name", "model", "at", "budgets", "layers", "message"), elsewhere)
    if "model" not in keys:
        raise SpecError("a model needs 'model': the path of a spec, or a name of the zoo", tree.location)
    model = word(keys["model"], "model")
    return BudgetedModel(
        name=word(keys["name"], "name") if "name" in keys else model,
        model=model,
        location=keys["model"].location,
        at=tuple(_setup(s) for s in _items(keys["at"], "at")) if "at" in keys else (Setup(),),
        budgets=budgets_of(keys.get("budgets"), keys.get("layers")),
        message=word(keys["message"], "message") if "message" in keys else "",
        locations=tuple(s.location for s in _items(keys["at"], "at")) if "at" in keys else (),
    )


def budgets_of(
    whole: Tree | None, layers: Tree | None = None, file: Callable[[Tree, str], str] | None = None
) -> tuple[Budget, ...]:
    """The budgets of a model and those of patterns of its layers; ``file`` reads what
    may be a file's path: of a machine, of a table of energies."""
    found = [*_budgets(whole, None, file or _file)] if whole is not None else []
    for number, (pattern, tree) in enumerate(_pairs(layers, "layers") if layers is not None else ()):
        if number == MOST_PATTERNS:
            raise SpecError(
                f"a model can have budgets of {MOST_PATTERNS} patterns of layers, no more", pattern.location
            )
        found += _budgets(tree, pattern.text, file or _file)
    return tuple(found)


def _setup(tree: Tree) -> Setup:
    keys = _keys(tree, "a measurement", MEASUREMENT)
    shapes: Any = None
    if "input" in keys:
        given = keys["input"]
        if isinstance(given, Mapping):
            shapes = {name.text: _shape(shape) for name, shape in given.pairs}
        else:
            shapes = _shape(given)
    parameters = {}
    if "parameters" in keys:
        from costcalc.frontends.spec.settings import parse_value

        for name, value in _pairs(keys["parameters"], "parameters"):
            parameters[name.text] = _placed(value, parse_value, word(value, name.text))
    layout = word(keys["layout"], "layout").strip().lower() if "layout" in keys else ""
    if layout:
        _placed(keys["layout"], lambda text: full_layout(text, len(text)), layout)
    return Setup(shapes, _whole(keys, "batch"), _whole(keys, "bits", 1024), parameters, _applied(keys), layout)


def _applied(keys: dict[str, Tree]) -> tuple[str, ...]:
    """The transforms that a measurement names: a list, or a text with commas."""
    folds = _truth(keys, "fold_norm")
    if "apply" not in keys:
        return transforms_named((), folds)
    given = keys["apply"]
    words = [word(one, "a transform") for one in _items(given, "apply")] if isinstance(given, Sequence) else (
        word(given, "apply")
    )  # fmt: skip
    return _placed(given, lambda texts: transforms_named(texts, folds), words)


def _shape(tree: Tree) -> tuple[int, ...]:
    parts = [word(t, "a size") for t in tree.items] if isinstance(tree, Sequence) else (
        word(tree, "input").lower().replace("×", "x").split("x")
    )  # fmt: skip
    if not parts or not all(map(_is_whole, parts)):
        raise SpecError("a shape is sizes from 1 with x between them, as in 3x224x224", tree.location)
    return tuple(map(int, parts))


def _is_whole(text: str) -> bool:
    """Whether ``text`` is a whole number from 1, of a length that nobody has trouble with."""
    return text.strip().isdecimal() and len(text) < 20 and int(text) > 0


def _whole(keys: dict[str, Tree], name: str, most: int | None = None) -> int | None:
    if name not in keys:
        return None
    text = word(keys[name], name)
    if not _is_whole(text) or (most is not None and int(text) > most):
        meant = bits_meant(text) if name == "bits" else None
        hint = f"; {text[:40]} has {meant} bits" if meant else ""
        end = "" if most is None else f" to {most:,}"
        raise SpecError(f"{name} must be a whole number from 1{end}, not '{text[:40]}'{hint}", keys[name].location)
    return int(text)


def _truth(keys: dict[str, Tree], name: str) -> bool:
    text = word(keys[name], name).lower() if name in keys else "false"
    if text not in ("true", "false"):
        raise SpecError(f"{name} must be true or false, not '{text[:40]}'", keys[name].location)
    return text == "true"


def _budgets(tree: Tree, layers: str | None, file: Callable[[Tree, str], str]) -> Iterator[Budget]:
    for key, value in _pairs(tree, "budgets"):
        figure, prefix = _placed(key, find_named, key.text)
        if layers is not None and not figure.adds:
            summed = [other.name for other in FIGURES.values() if other.adds]
            raise SpecError(
                f"{figure.name} is not a sum over layers, so that layers cannot have a budget of it; "
                f"they can of {listing(summed)}",
                key.location,
            )
        yield _budget(key, Named(figure, prefix), value, layers, file)


def _budget(key: Scalar, named: Named, tree: Tree, layers: str | None, file: Callable[[Tree, str], str]) -> Budget:
    figure = named.figure
    if isinstance(tree, Scalar):
        return _consistent(Budget(figure, key.location, max=_limit(named, tree), layers=layers))
    allowed = ["max", "min", "max_increase", "max_decrease", "level"]
    allowed += [figure.asks] if figure.asks else []
    allowed += STEP if figure.asks == "engine" else []
    keys = _keys(tree, f"a budget of {figure.name}", allowed)
    level = word(keys["level"], "level") if "level" in keys else ERROR
    if level not in (ERROR, WARN):
        raise SpecError(f"level must be error or warn, not '{level[:40]}'", keys["level"].location)
    budget = Budget(
        figure,
        key.location,
        max=_limit(named, keys["max"]) if "max" in keys else None,
        min=_limit(named, keys["min"]) if "min" in keys else None,
        max_increase=_step(named, keys["max_increase"], True) if "max_increase" in keys else None,
        max_decrease=_step(named, keys["max_decrease"], False) if "max_decrease" in keys else None,
        level=level,
        layers=layers,
        at=word(keys["at"], "at") if "at" in keys else None,
        machine=file(keys["machine"], "machine") if "machine" in keys else None,
        engine=_engine(keys["engine"]) if "engine" in keys else None,
        energy=file(keys["energy"], "energy") if "energy" in keys else None,
        step=_step_of_training(keys),
    )
    return _consistent(budget)


def _step_of_training(keys: dict[str, Tree]) -> StepAsked | None:
    """How a model is trained of which memory is meant: ``{train: adamw, checkpoint: 12 GiB}``."""
    first = next((key for key in STEP if key in keys), None)
    if first is None:
        return None
    if "train" not in keys:
        raise SpecError(f"{first} is for a step of training: add train, an optimizer", keys[first].location)
    if "engine" in keys:
        raise SpecError("memory is an engine's or that of a step of training: engine or train", keys["train"].location)
    from costcalc.planning.training import StepAsked

    asked = StepAsked(optimizer=word(keys["train"], "train"))
    _placed(keys["train"], asked.check)
    if "checkpoint" in keys:
        asked = asked._replace(checkpoint=_placed(keys["checkpoint"], _checkpoint, keys["checkpoint"]))
        _placed(keys["checkpoint"], asked.check)
    if "autocast" in keys:
        asked = asked._replace(autocast=word(keys["autocast"], "autocast"))
        _placed(keys["autocast"], asked.check)
    return asked


def _checkpoint(tree: Tree) -> int | str:
    text = word(tree, "checkpoint")
    return text if text in ("auto", "none") else max(int(amount(text, FIGURES["memory"]) // 8), 1)


def _engine(tree: Tree) -> str:
    from costcalc.planning.engines import known

    name = word(tree, "engine")
    _placed(tree, known, name)
    return name


def _file(tree: Tree, what: str) -> str:
    """The name of a machine or a table of energies, or the path of its file, which like that of a model is relative to
    the config; after that of a table perhaps a colon and a level of memory."""
    name = word(tree, what)
    file, level = name, ""
    if what == "energy":
        from costcalc.energy import with_level

        file, level = with_level(name)
    if not file.endswith((".yaml", ".yml")):
        return name
    path = beside(str(Path(tree.location.file).parent), file)
    refuse_outside(path, reach_of(tree.location.file), file, tree.location, "a config")
    return f"{path}:{level}" if level else path


def _consistent(budget: Budget) -> Budget:
    """``budget``, if it can be met."""
    figure = budget.figure.name
    if not (budget.max or budget.min or budget.max_increase or budget.max_decrease):
        raise SpecError(f"{figure} has no bound: give max, min, max_increase or max_decrease", budget.location)
    if budget.max and budget.min and budget.max.amount < budget.min.amount:
        raise SpecError(
            f"{figure} cannot be at least {budget.min.text} and at most {budget.max.text}", budget.min.location
        )
    asks = budget.figure.asks
    if asks in NEEDED and getattr(budget, asks) is None and budget.step is None:
        like = f"{{max: {EXAMPLE[budget.figure.unit]}, {asks}: {NEEDED[asks]}}}"
        more = ", or train, an optimizer" if asks == "engine" else ""
        raise SpecError(f"a budget of {figure} needs {article(asks)} {asks}{more}: {like}", budget.location)
    return budget


def _limit(named: Named, tree: Tree) -> Limit:
    text = word(tree, named.figure.name)
    return Limit(_placed(tree, amount, text, named.figure, named.prefix), text, tree.location, named.prefix)


def _step(named: Named, tree: Tree, up: bool) -> Any:
    def read(text: str) -> Any:
        return step(text, named.figure, up=up, prefix=named.prefix)

    return _placed(tree, read, word(tree, named.figure.name))


def _exemption(tree: Tree, models: dict[str, BudgetedModel]) -> Exemption:
    keys = _keys(tree, "an exemption", ("model", "metric", "until", "reason"))
    for name in ("model", "metric", "until", "reason"):
        if name not in keys:
            raise SpecError(
                f"an exemption needs {name}; it has a model, a metric, until when and a reason", tree.location
            )
    model, metric = word(keys["model"], "model"), word(keys["metric"], "metric")
    if model not in models:
        raise SpecError(f"no model called '{model[:80]}'{near(model, models)}", keys["model"].location)
    metric = _placed(keys["metric"], find_figure, metric).name
    if not any(b.figure.name == metric for b in models[model].budgets):
        raise SpecError(f"{model} has no budget of {metric} to be exempt from", keys["metric"].location)
    text = word(keys["until"], "until")
    try:
        until = date.fromisoformat(text)
    except ValueError:
        raise SpecError(f"'{text[:40]}' is not a date; write it as 2027-01-31", keys["until"].location) from None
    return Exemption(model, metric, until, word(keys["reason"], "reason"), tree.location)


# -- pieces of a tree ----------------------------------------------------------------------------


def _keys(tree: Tree, what: str, known: Collection[str], elsewhere: dict[str, str] | None = None) -> dict[str, Tree]:
    _pairs(tree, what)
    return by_key(tree, what, known, elsewhere)


def _pairs(tree: Tree, what: str) -> list[tuple[Scalar, Tree]]:
    if not isinstance(tree, Mapping):
        raise SpecError(f"{what} must be a mapping: keys, each with its value", tree.location)
    return tree.pairs


def _items(tree: Tree, what: str) -> list[Tree]:
    if not isinstance(tree, Sequence) or not tree.items:
        raise SpecError(f"{what} must be a list with at least one entry", tree.location)
    return tree.items


def word(tree: Tree, what: str) -> str:
    if not isinstance(tree, Scalar) or not tree.text.strip():
        raise SpecError(f"{what} must be one value", tree.location)
    return tree.text.strip()


def _placed(tree: Tree, read: Callable[..., T], *args: Any) -> T:
    """``read(*args)``, its error placed at ``tree``."""
    try:
        return read(*args)
    except CostcalcError as error:
        raise SpecError(error.message, tree.location) from None


def parse_max(given: Iterable[str]) -> tuple[Budget, ...]:
    """Budgets of the command line: ``macs=4.2G,params=26M``, as often as wanted."""
    budgets: list[Budget] = []
    for text in (part for one in given for part in one.split(",")):
        name, equals, value = text.partition("=")
        if not equals or name.rstrip().endswith(("<", ">")):
            raise CostcalcError(f"--max {text[:60]}: a budget is FIGURE=AMOUNT, the most that is allowed: macs=4.2G")
        figure, prefix = find_named(name.strip())
        if figure.asks in NEEDED:
            what = f"a budget of {figure.name} needs {article(figure.asks)} {figure.asks}"
            raise CostcalcError(f"--max {figure.name}: {what}; write it into costcalc.yaml")
        location = Location(f"--max {text[:60]}")
        limit = Limit(amount(value, figure, prefix), value.strip(), location, prefix)
        if any(b.figure is figure for b in budgets):
            raise CostcalcError(f"--max gives {figure.name} twice")
        budgets.append(Budget(figure, location, max=limit))
    return tuple(budgets)


def _has_section(path: Path) -> bool:
    with path.open("rb") as stream:
        return b"[tool.costcalc" in stream.read(2**20)
