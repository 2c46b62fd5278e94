"""Which model a name on the command line means: ``torchvision:resnet50``, ``timm:vit_base_patch16_224``,
``package.module:attribute``, ``path/to/file.py:attribute``, ``exported.pt2``.

Code runs only from what the name says: the module or file is imported, and what it calls.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from costcalc.errors import CostcalcError, UnknownName, listing, near

if TYPE_CHECKING:
    from torch import nn

    from costcalc.ir.graph import Graph

LIBRARIES = ("torchvision", "timm")
Shapes = Sequence[int] | Mapping[str, Sequence[int]] | None


class Found(NamedTuple):
    """A model, how to build it again with values in its weights, and what it is run on.

    inputs   for a batch of so many images of this shape (None for the model's own)
    """

    model: nn.Module
    again: Callable[[], nn.Module] | None
    inputs: Callable[[int, tuple[int, ...] | None], Sequence[Any]]


def is_torch_model(name: str) -> bool:
    """Whether ``name`` is of a PyTorch model, to be traced, rather than of a spec.

    >>> [is_torch_model(n) for n in ("timm:resnet50", "net.py:Net", "a.b:build", "x.pt2")]
    [True, True, True, True]
    >>> [is_torch_model(n) for n in ("resnet50", "my/net.yaml", "my/net.yaml:small", "C:/net.yaml")]
    [False, False, False, False]

    What any part calls YAML is a spec, whatever the other says, so that a file name cannot make code run:

    >>> [is_torch_model(n) for n in ("net.py:x.yaml", "x.yaml:y.pt2", "net:x.yaml", "net.py:x.yaml:Net")]
    [False, False, False, False]
    """
    place, colon, attribute = name.rpartition(":")
    if name.endswith((".yaml", ".yml")) or place.endswith((".yaml", ".yml")):
        return False
    if name.endswith(".pt2"):
        return True
    if not colon or not place:
        return False
    if place in LIBRARIES or place.endswith(".py"):
        return True
    words = all(part.isidentifier() for part in place.split("."))
    return words and all(part.isidentifier() for part in attribute.split("."))


def load_model(
    name: str,
    *,
    batch: int = 1,
    input: Shapes = None,
    parameters: Mapping[str, Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
) -> Graph:
    """The graph of the PyTorch model that ``name`` means.

    input        shapes without the batch
    parameters   keyword arguments of the builder; ``proposals`` and the like are for the trace
    kwargs       more keyword arguments of the builder
    """
    return load_with_module(name, batch=batch, input=input, parameters={**(parameters or {}), **(kwargs or {})})[0]


def load_with_module(
    name: str, *, batch: int = 1, input: Shapes = None, parameters: Mapping[str, Any] | None = None
) -> tuple[Graph, Callable[[], nn.Module] | None]:
    """The graph of the PyTorch model that ``name`` means, and what builds the model with values in its weights.

    The latter is None where the model takes other than the graph's inputs, one after another.
    """
    _need_torch()
    with kept_apart(name):
        return _load_with_module(name, batch, input, parameters)


def _load_with_module(
    name: str, batch: int, input: Shapes, parameters: Mapping[str, Any] | None
) -> tuple[Graph, Callable[[], nn.Module] | None]:
    from costcalc.frontends.torch.tracer import trace_module

    given = dict(parameters or {})
    settings = {key: given.pop(key) for key in list(given) if key.rpartition(".")[2] == "proposals"}
    found = _find(name, given)
    if isinstance(input, Mapping):
        args: Sequence[Any] = ()
        forward = {key: (batch, *shape) for key, shape in input.items()}
    else:
        args, forward = found.inputs(batch, None if input is None else tuple(input)), {}
    graph = trace_module(
        found.model, args, forward, name=name.rpartition(":")[2] if ":" in name else Path(name).stem,
        settings=settings, parameters=given, source=name, again=found.again,
    )  # fmt: skip
    plain = not forward and len(graph.inputs) == len(args) and not any(isinstance(arg, (list, dict)) for arg in args)
    return graph, found.again if plain else None


@contextmanager
def kept_apart(name: str) -> Iterator[None]:
    """While open, what the model's code prints goes to standard error, and it cannot end the process."""
    from costcalc.frontends.torch.failures import constructor_failed

    try:
        with redirect_stdout(sys.stderr):
            yield
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as error:  # SystemExit above all
        failure = constructor_failed(name, error)
        failure.message = failure.message.replace("cannot be built", "ends the process", 1)
        raise failure from error


def _find(name: str, kwargs: dict[str, Any]) -> Found:
    if name.endswith(".pt2"):
        return _exported(name)
    place, _, attribute = name.rpartition(":")
    if place == "torchvision":
        return _torchvision(attribute, kwargs)
    if place == "timm":
        return _timm(attribute, kwargs)
    return _own(place, attribute, kwargs)


# -- the libraries -----------------------------------------------------------------------------


def _torchvision(name: str, kwargs: dict[str, Any]) -> Found:
    models = _library("torchvision").models
    _known(name, models.list_models(), "torchvision")
    options = {"weights": None, **kwargs}
    if _takes(models.get_model_builder(name), "weights_backbone"):
        options.setdefault("weights_backbone", None)
    build = _builder(lambda: _quietly(models.get_model, name, **options), f"torchvision:{name}")
    detects = name in models.list_models(models.detection)
    flows = name in models.list_models(models.optical_flow)
    films = name in models.list_models(models.video)

    def inputs(batch: int, shape: tuple[int, ...] | None) -> Sequence[Any]:
        size = shape or _torchvision_size(models, name, model)
        if detects:
            return [[size] * batch]  # a list of images
        if films and len(size) == 3:
            size = (size[0], 16, *size[1:])
        return [(batch, *size)] * (2 if flows else 1)

    model, again = build
    return Found(model, again, inputs)


def _torchvision_size(models: Any, name: str, model: nn.Module) -> tuple[int, ...]:
    """Channels and sizes that the weights published with a model were made for."""
    side = getattr(model, "image_size", None)
    if isinstance(side, int):
        return (3, side, side)
    if name in models.list_models(models.segmentation):
        return (3, 520, 520)
    if name in models.list_models(models.optical_flow):
        return (3, 512, 512)
    if name in models.list_models(models.detection):
        side = {"ssd300_vgg16": 300, "ssdlite320_mobilenet_v3_large": 320}.get(name, 800)
        return (3, side, side)
    first = next(iter(models.get_model_weights(name)), None)
    crop = first.transforms.keywords["crop_size"] if first is not None else 224
    sides = (crop, crop) if isinstance(crop, int) else tuple(crop)
    return (3, *sides)


def _timm(name: str, kwargs: dict[str, Any]) -> Found:
    timm = _library("timm")
    _known(name.partition(".")[0], timm.list_models(), "timm")
    model, again = _builder(lambda: _quietly(timm.create_model, name, **kwargs), f"timm:{name}")
    return Found(model, again, _by_default(model))


def _library(name: str) -> Any:
    if importlib.util.find_spec(name) is None:
        raise CostcalcError(f"{name} is not installed; pip install {name}")
    try:
        return importlib.import_module(name)
    except Exception as error:
        text = str(error).split("\n")[0][:200]
        misfit = "torchvision" if "torchvision::" in text else name  # timm imports torchvision
        raise CostcalcError(
            f"{name} cannot be imported ({type(error).__name__}: {text}); install the {misfit} that fits your torch"
        ) from error


def _quietly(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call ``function`` without its warnings, of weights that are not initialised as they will be one day."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **kwargs)


def _known(name: str, names: Iterable[str], library: str) -> None:
    known = list(names)
    if name not in known:
        hint = near(name, known) or f"; it has {listing(known, 8)}"
        raise UnknownName(f"{library} has no model '{name[:80]}'{hint}")


def _takes(function: Callable[..., Any], parameter: str) -> bool:
    import inspect

    return parameter in inspect.signature(function).parameters


# -- the user's own ----------------------------------------------------------------------------


def _own(place: str, attribute: str, kwargs: dict[str, Any]) -> Found:
    from torch import nn

    from costcalc.frontends.torch.failures import ModelError

    holder = _file(place) if place.endswith(".py") else _module(place)
    made: Any = holder
    for part in attribute.split("."):
        names = [n for n in dir(made) if not n.startswith("_")]
        if not hasattr(made, part):
            raise UnknownName(f"{place} has no '{part[:80]}'{near(part, names)}")
        made = getattr(made, part)
    name = f"{place}:{attribute}"
    if isinstance(made, nn.Module):
        if kwargs:
            raise ModelError(f"{name} is a module already, and takes no options")
        return Found(made, lambda: made, _by_default(made))
    if not callable(made):
        raise ModelError(f"{name} is of type {type(made).__name__}, neither a module nor what makes one")
    model, again = _builder(lambda: made(**kwargs), name)
    return Found(model, again, _by_default(model))


def _module(name: str) -> Any:
    with _on_path(Path.cwd()):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name and (name == error.name or name.startswith(f"{error.name}.")):
                missing = f" ('{error.name}' is missing)" if error.name != name else ""
                raise UnknownName(f"there is no module '{name[:80]}'{missing}") from None
            raise CostcalcError(f"{name} cannot be imported: it needs '{error.name}', which is missing") from error
        except Exception as error:
            raise _import_failed(name, error) from error


def _file(path: str) -> Any:
    file = Path(path)
    if not file.is_file():
        beside = [p.name for p in file.parent.glob("*.py")] if file.parent.is_dir() else []
        raise UnknownName(f"there is no file {path}{near(file.name, beside)}")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(file.stem, module)
    with _on_path(file.parent.resolve()):
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            raise _import_failed(path, error) from error
    return module


def _import_failed(name: str, error: Exception) -> CostcalcError:
    from costcalc.frontends.torch.failures import constructor_failed

    failure = constructor_failed(name, error)
    failure.message = failure.message.replace("cannot be built", "cannot be imported", 1)
    return failure


@contextmanager
def _on_path(folder: Path) -> Iterator[None]:
    """While open, modules in ``folder`` can be imported, as with ``python -m``."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))


def _by_default(model: nn.Module) -> Callable[[int, tuple[int, ...] | None], Sequence[Any]]:
    """Inputs of the shape that is asked for, or that the model's configuration names."""

    def inputs(batch: int, shape: tuple[int, ...] | None) -> Sequence[Any]:
        from costcalc.frontends.torch.failures import ModelError
        from costcalc.frontends.torch.inputs import default_size

        size = shape or default_size(model)
        if size is None:
            raise ModelError(f"{type(model).__name__} does not say which input it takes; give --input 3x224x224, say")
        return [(batch, *size)]

    return inputs


def _builder(make: Callable[[], Any], name: str) -> tuple[nn.Module, Callable[[], nn.Module]]:
    """What ``make`` makes, without weights; and a function that makes it with them."""
    from torch import nn

    from costcalc.frontends.torch.build import built
    from costcalc.frontends.torch.failures import ModelError, constructor_failed

    def checked(made: Any) -> nn.Module:
        if not isinstance(made, nn.Module):
            raise ModelError(f"{name} returns {type(made).__name__}, not a torch.nn.Module")
        return made.eval()

    def again() -> nn.Module:
        try:
            return checked(make())
        except CostcalcError:
            raise
        except Exception as error:
            raise constructor_failed(name, error) from error

    try:
        return checked(built(make)), again
    except CostcalcError:
        raise
    except Exception:
        # Perhaps it asks for values that were left out; if not, its own error comes again.
        return again(), again


# -- exported programs -------------------------------------------------------------------------


def _exported(path: str) -> Found:
    import torch

    if not Path(path).is_file():
        raise UnknownName(f"there is no file {path}")
    try:
        program = torch.export.load(path)
    except Exception as error:
        text = str(error).split("\n")[0][:200]
        raise CostcalcError(f"{path} is no exported program that this torch can read: {text}") from error
    model = program.module()
    args, kwargs = program.example_inputs or ((), {})

    def inputs(batch: int, shape: tuple[int, ...] | None) -> Sequence[Any]:
        return [(batch, *shape)] if shape else [*args, *kwargs.values()]

    return Found(model, lambda: model, inputs)


def _need_torch() -> None:
    if importlib.util.find_spec("torch") is None:
        raise CostcalcError("tracing a PyTorch model needs torch; pip install 'costcalc[torch]'")
