"""Models of the user's own, in a module or in a file of Python."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)
from pathlib import Path
from types import CodeType
from typing import Any

from costcalc.errors import CostcalcError, Location, UnknownName, near
from costcalc.frontends.python_classes import to_choose_from
from costcalc.frontends.torch.named_model import NamedModel, builder, by_default
from costcalc.frontends.unsupported import of_hub, of_python, of_windows


def user_model(location: str, attribute: str, kwargs: dict[str, Any]) -> NamedModel:
    """The module that ``attribute`` of a module or file is, or that it makes when it is called."""
    from torch import nn

    from costcalc.frontends.torch.failures import ModelError

    if not attribute:
        raise UnknownName(of_python(location, location))
    holder = _file(location) if location.endswith(".py") else _module(location, attribute)
    made: Any = holder
    for part in attribute.split("."):
        names = [n for n in dir(made) if not n.startswith("_")]
        if not hasattr(made, part):
            hub = of_hub(f"{location}:{attribute}") if made is holder else ""
            if hub:
                raise UnknownName(f"'{location}:{attribute[:80]}': {hub}")
            known = to_choose_from(_modules_of(made)) if made is holder else ""
            raise UnknownName(f"{location} has no '{part[:80]}'{near(part, names)}{known}")
        made = getattr(made, part)
    name = f"{location}:{attribute}"
    if isinstance(made, nn.Module):
        if kwargs:
            raise ModelError(f"{name} is a module already, and takes no options")
        return NamedModel(made, lambda: made, by_default(made))
    if not callable(made):
        raise ModelError(f"{name} is of type {type(made).__name__}, neither a module nor what makes one")
    model, again = builder(lambda: made(**kwargs), name)
    return NamedModel(model, again, by_default(model))


def _modules_of(holder: Any) -> list[str]:
    """The modules of PyTorch, and classes of them, that a file or package itself has."""
    from torch import nn

    def is_own(module: str) -> bool:
        return module == holder.__name__ or module.startswith(f"{holder.__name__}.")

    return [
        name
        for name, one in vars(holder).items()
        if isinstance(one, nn.Module)
        or (isinstance(one, type) and issubclass(one, nn.Module) and is_own(one.__module__))
    ]


def _module(name: str, attribute: str) -> Any:
    with _on_path(Path.cwd()):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name and (name == error.name or name.startswith(f"{error.name}.")):
                if of_hub(f"{name}:{attribute}"):
                    raise UnknownName(f"'{name}:{attribute[:60]}': {of_hub(f'{name}:{attribute}')}") from None
                missing = f": '{error.name}' is missing" if error.name != name else ""
                raise UnknownName(f"there is no module '{name[:80]}'{missing}{_near(error.name)}") from None
            raise CostcalcError(f"{name} cannot be imported: it needs '{error.name}', which is missing") from error
        except Exception as error:
            raise _import_failed(name, error) from error


def _near(missing: str) -> str:
    """A hint at modules beside the one that is missing."""
    package, _, module = missing.rpartition(".")
    path = getattr(sys.modules.get(package), "__path__", None)
    return near(module, [found.name for found in pkgutil.iter_modules(path)])


def _file(path: str) -> Any:
    file = Path(path)
    if not file.is_file():
        beside = [p.name for p in file.parent.glob("*.py")] if file.parent.is_dir() else []
        hint = near(file.name, beside) or (f"; {of_windows(path)}" if of_windows(path) else "")
        raise UnknownName(f"there is no file {path}{hint}")
    spec = importlib.util.spec_from_file_location(file.stem, file, loader=_FromSource(file.stem, str(file)))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with _on_path(file.parent.resolve()):
        sys.modules.setdefault(file.stem, module)
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            raise _import_failed(path, error) from error
    return module


def _import_failed(name: str, error: Exception) -> CostcalcError:
    from costcalc.frontends.torch.failures import ModelError, constructor_failed
    from costcalc.frontends.torch.lines import shown_file

    if isinstance(error, SyntaxError) and error.filename:
        shown = shown_file(error.filename, str(Path.cwd())) or error.filename
        text = f"\n  {error.text.strip()[:200]}" if error.text else ""
        sentence = f"{name} cannot be imported: {type(error).__name__}: {error.msg}{text}"
        return ModelError(sentence, Location(shown, error.lineno or 0))
    failure = constructor_failed(name, error)
    failure.message = failure.message.replace("cannot be built", "cannot be imported", 1)
    return failure


class _FromSource(SourceFileLoader):
    """Reads a module's source, whatever bytecode lies beside it, and leaves none there.

    Bytecode counts as that of a source of the same size and second, or of any at all if it says so itself: what runs
    would not be what is read, compared and recorded.
    """

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


@contextmanager
def _from_source(folder: Path) -> Iterator[None]:
    """While open, modules below ``folder`` are read by ``_FromSource``; installed ones as ever."""
    kinds: list[tuple[Any, list[str]]] = [
        (ExtensionFileLoader, EXTENSION_SUFFIXES), (_FromSource, SOURCE_SUFFIXES),
        (SourcelessFileLoader, BYTECODE_SUFFIXES),
    ]  # fmt: skip

    def is_below(path: str) -> bool:
        return Path(path).is_relative_to(folder) and not {"site-packages", "dist-packages"} & {*Path(path).parts}

    def hook(path: str) -> FileFinder:
        if not is_below(path) or not Path(path).is_dir():
            raise ImportError(path)
        return FileFinder(path, *kinds)

    def forget() -> None:
        for path in [path for path in sys.path_importer_cache if is_below(path)]:
            del sys.path_importer_cache[path]

    forget()
    sys.path_hooks.insert(0, hook)
    try:
        yield
    finally:
        sys.path_hooks.remove(hook)
        forget()


_FROM: dict[str, str] = {}
"""Modules that a model's file or module has imported from beside it, each with that folder."""


@contextmanager
def _on_path(folder: Path) -> Iterator[None]:
    """While open, modules in ``folder`` can be imported, as with ``python -m``.

    Where a model of another folder has imported modules of the same names, they make room.
    """
    for name, other in [*_FROM.items()]:
        top = name.partition(".")[0]
        if other != str(folder) and ((folder / f"{top}.py").exists() or (folder / top).is_dir()):
            sys.modules.pop(name, None)
            del _FROM[name]
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        with _from_source(folder):
            yield
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))
        for name in sys.modules.keys() - before:
            module = sys.modules[name]
            # A folder without __init__.py is a package that has no file.
            file = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), None)
            if file and Path(file).is_relative_to(folder) and "site-packages" not in Path(file).parts:
                _FROM[name] = str(folder)
