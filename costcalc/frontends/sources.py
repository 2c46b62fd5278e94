"""Where models come from: one table. A front end is one entry of it, and its module is imported when it is used.

Every command asks here what a name means: ``load``, ``check``, ``lock``, ``diff``, ``init``, ``trace``, ``verify``, the
help, completion and sentences of errors.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from costcalc.classes import NamedTuple
from costcalc.errors import Choice, CostcalcError, OptionError, SpecError, listing, near

if TYPE_CHECKING:
    from torch import nn

    from costcalc.analysis.symbols import Symbols
    from costcalc.frontends.spec.files import Shelf
    from costcalc.ir.allocations import ObservedRun, ObservedStep
    from costcalc.ir.dims import Dim
    from costcalc.ir.graph import Graph

Shapes = Sequence[int] | Mapping[str, Sequence[int]] | None


class Request(NamedTuple):
    """What is wanted of a model; a front end has been told only what its entry does not refuse.

    batch        how many samples at once; None for what the model itself says, or 1
    input        shape without the batch, or shapes by name; None for the model's own
    parameters   by name
    symbols      what stays symbolic
    within       the folder in which lie the files that the model names
    shelf        what ships with costcalc
    any_sizes    sizes that a file leaves open and nobody has said may be any that fit: closed forms only want some
    laid_out     whether it is said what the axes of an input are
    """

    batch: Dim | None = None
    input: Shapes = None
    parameters: Mapping[str, Any] = {}
    symbols: Symbols | None = None
    within: str | None = None
    shelf: Shelf | None = None
    any_sizes: bool = False
    laid_out: bool = False

    def shapes(self, inputs: Collection[str], path: str) -> dict[str, tuple[int, ...]]:
        """The shapes that are asked for of the ``inputs`` of a file, without their batch; one alone is of the first.

        Raises ``OptionError`` for an input that the file does not have, and for what is not a shape.
        """
        if self.input is None or not inputs:
            return {}
        named = self.input if isinstance(self.input, Mapping) else {next(iter(inputs)): self.input}
        for name, shape in named.items():
            if name not in inputs:
                raise OptionError(
                    f"{path} has no input '{str(name)[:80]}'{near(str(name), inputs)}; it has {listing(inputs)}"
                )
            check_shape(name, shape)
        return {name: tuple(shape) for name, shape in named.items()}

    def given(self) -> list[str]:
        """The names of what was asked for that an entry may refuse."""
        asked = {"batch": self.batch is not None, "input": self.input is not None, "parameters": bool(self.parameters)}
        return [name for name, is_given in asked.items() if is_given]


def check_order(model: str, name: str, given: Sequence[int], own: Sequence[Dim], *, is_fixed: bool = False) -> None:
    """Raise ``OptionError`` where ``given`` has the channels of an image at the other end than the input ``name``,
    whose shape is ``own``; both are without the batch. ``is_fixed`` says that the number of channels cannot change."""
    from costcalc.ir.layout import IMAGE_CHANNELS, other_order

    meant = other_order(given, own)
    if meant is None:
        return
    here, there = ("last", "first") if meant[0] <= IMAGE_CHANNELS else ("first", "last")
    says = f"the input {name[:80]} of {model[:80]} has its channels {there}, {'×'.join(map(str, own))}"
    wanted = "x".join(map(str, meant))
    places = {1: "l", 2: "hw", 3: "thw"}.get(len(own) - 1, "")
    letters = f"c{places}" if there == "first" else f"{places}c"
    says += f", and {'×'.join(map(str, given))} has them {here}: write {wanted}"
    choices = []
    if places and not is_fixed:
        says += f"; or say --layout {letters}, if it is meant so"
        choices = [Choice(f"--layout {letters}", f"layout: {letters}")]
    raise OptionError(says, choices=choices)


def check_shape(name: str, shape: object) -> None:
    """Raise ``OptionError`` for what is not a shape of the input ``name``."""
    good = isinstance(shape, Sequence) and not isinstance(shape, str) and len(shape) > 0
    if not good or not all(isinstance(s, int) and not isinstance(s, bool) and s > 0 for s in shape):  # type: ignore[attr-defined]
        raise OptionError(f"the shape of {name} must be whole numbers from 1, not {shape!r:.80}")


class FrontEnd(Protocol):
    """What the module of an entry has.

    ``load_with_module`` too, if there is a PyTorch module to verify against; ``load_to_verify`` if ``verify`` is to
    build PyTorch's layers of another graph than ``load`` makes; ``load_with_run`` and ``load_with_step`` if code of
    its own can be run.
    """

    def load(self, name: str, request: Request) -> Graph:
        """The graph of the model ``name``."""


class Source(NamedTuple):
    """One kind of source.

    title           what a sentence calls a model of this kind
    pattern         how such a model is named: ``FILE.yaml``, ``timm:NAME``
    module          what makes graphs of it, a ``FrontEnd``
    suffixes        of its file, if it is one
    prefix          what stands before a colon, if it is named so
    part            what may follow its file after a colon: ``variant``, ``attribute``, or nothing
    dotted          whether it is named as Python names a module and what is in it
    runs_code       whether code runs that the name says; a config names such a model only with ``--allow-code``
    has_revisions   whether earlier versions of its file in git can be read
    refers          whether its file names others, so that a revision of it is all such files
    has_lines       whether its file is text, whose lines messages and differences name
    begins          what one of its files begins with, as (offset, bytes), where ``init`` would take others for it
    needs           the packages that reading it takes, if any
    extra           the extra of costcalc that brings them
    refuses         what cannot be chosen of such a model: option of ``load`` → why, after the model's name
    written         whether ``trace`` writes it as a spec
    witness         what runs a file of this kind for ``verify``, beside PyTorch: a module with ``witnessed``
    unverified      why ``verify`` cannot take it, after the model's name; nothing if it can
    """

    title: str
    pattern: str
    module: str
    suffixes: tuple[str, ...] = ()
    prefix: str = ""
    part: str = ""
    dotted: bool = False
    runs_code: bool = False
    has_revisions: bool = False
    refers: bool = False
    has_lines: bool = False
    begins: tuple[int, bytes] | None = None
    needs: tuple[str, ...] = ()
    extra: str = ""
    refuses: Mapping[str, str] = {}
    written: bool = True
    witness: str = ""
    unverified: str = ""

    @property
    def is_file(self) -> bool:
        """Whether models of this kind are files, named by their path."""
        return bool(self.suffixes)

    def front_end(self) -> Any:
        """Its ``FrontEnd``, imported now. Raises ``CostcalcError`` if it needs a package that is missing."""
        missing = next((package for package in self.needs if not _is_installed(package)), None)
        if missing is not None:
            hint = f"pip install 'costcalc[{self.extra}]'" if self.extra else f"pip install {missing}"
            raise CostcalcError(f"reading {self.title} needs {missing}; {hint}")
        return import_module(self.module)

    def unquoted(self, name: str) -> AbstractContextManager[None]:
        """While open, an error quotes nothing of the file that ``name`` names, where that is a link that leads out."""
        from costcalc.reading.reach import unquoted

        return unquoted(self.split(name)[0]) if self.is_file and not self.runs_code else nullcontext()

    def split(self, name: str) -> tuple[str, str]:
        """The path of a file in ``name``, and what follows it after a colon, "" if nothing does."""
        path, _, part = name.rpartition(":")
        whole = not self.part or not path.endswith(self.suffixes)
        if self.part == "variant" and ("/" in part or os.sep in part):
            whole = True
        return (name, "") if whole else (path, part)

    def _is_of(self, name: str) -> bool:
        if self.prefix:
            return name.startswith(f"{self.prefix}:")
        location, colon, attribute = name.rpartition(":")
        if self.suffixes:
            plain = self.part != "attribute" and name.endswith(self.suffixes)
            return plain or (bool(self.part) and location.endswith(self.suffixes))
        words = [*location.split("."), *attribute.split(".")]
        return self.dotted and bool(colon) and all(word.isidentifier() for word in words)


SPEC = "spec"
_TORCH = "costcalc.frontends.torch.models"
_TRACED: dict[str, Any] = {
    "module": _TORCH,
    "runs_code": True,
    "needs": ("torch",),
    "extra": "torch",
    "refuses": {
        "symbols": "is traced with numbers; export it with dynamic_shapes (torch.export), whose sizes stay symbols, or "
        "write a spec of it with `costcalc trace`"
    },
}

SOURCES: dict[str, Source] = {
    SPEC: Source(
        "a spec", "FILE.yaml", "costcalc.frontends.spec.load", (".yaml", ".yml"), part="variant", has_revisions=True,
        refers=True, has_lines=True, written=False,
    ),
    "onnx": Source(
        "an ONNX model", "FILE.onnx", "costcalc.frontends.onnx.load", (".onnx",), has_revisions=True,
        witness="costcalc.verification.onnx_file",
    ),
    "tflite": Source(
        "a TFLite model", "FILE.tflite", "costcalc.frontends.tflite.load", (".tflite",), part="variant",
        has_revisions=True, begins=(4, b"TFL3"), witness="costcalc.verification.tflite_file",
    ),
    "ncnn": Source(
        "an ncnn network", "FILE.param", "costcalc.frontends.ncnn.load", (".param",), has_revisions=True,
        has_lines=True, begins=(0, b"7767517"), refuses={"parameters": "has no parameters: its sizes are in the file"},
    ),
    "exported": Source("a PyTorch model", "FILE.pt2", suffixes=(".pt2",), **{**_TRACED, "refuses": {}}),
    "torchvision": Source("a PyTorch model", "torchvision:NAME", prefix="torchvision", **_TRACED),
    "timm": Source("a PyTorch model", "timm:NAME", prefix="timm", **_TRACED),
    "ultralytics": Source("a PyTorch model", "ultralytics:NAME", prefix="ultralytics", **_TRACED),
    "hf": Source(
        "a model of transformers", "hf:CONFIG", prefix="hf",
        **{**_TRACED, "needs": ("torch", "transformers"), "extra": "hf", "refuses": {}},
    ),
    "python": Source("a PyTorch model", "FILE.py:NAME", suffixes=(".py",), part="attribute", has_lines=True, **_TRACED),
    "module": Source("a PyTorch model", "MODULE:NAME", dotted=True, **_TRACED),
}  # fmt: skip
"""Name → source. What any part of a name calls a file of data is that file, whatever the rest says, so that no name of
a file can make code run: those that run none are asked first."""


def source_of(name: str) -> Source:
    """Which source ``name`` is of; a spec if it is of no other: one that ships, or a file.

    >>> [source_of(n).pattern for n in ("timm:resnet50", "net.py:Net", "a.b:build", "x.pt2")]
    ['timm:NAME', 'FILE.py:NAME', 'MODULE:NAME', 'FILE.pt2']
    >>> {source_of(n).pattern for n in ("resnet50", "my/net.yaml", "my/net.yaml:small", "C:/net.yaml")}
    {'FILE.yaml'}

    >>> {source_of(n).pattern for n in ("net.py:x.yaml", "x.yaml:y.pt2", "net:x.yaml", "net.py:x.yaml:Net")}
    {'FILE.yaml'}
    """
    for runs_code in (False, True):
        for source in SOURCES.values():
            if source.runs_code is runs_code and source._is_of(name):
                return source
    return SOURCES[SPEC]


def is_path(name: str) -> bool:
    """Whether ``name`` is the path of a file, perhaps with a part of it, rather than a name.

    >>> [is_path(n) for n in ("a.yaml", "a.yaml:b", "./a", "weights.pt", "mobilenet_0.5", "timm:a")]
    [True, True, True, True, False, False]
    """
    source = source_of(name)
    if source is SOURCES[SPEC] and not source._is_of(name):
        return "/" in name or os.sep in name or Path(name).suffix[1:2].isalpha()  # and mobilenet_0.5 is none
    return source.is_file


def split(name: str) -> tuple[str, str]:
    """The path of the file that ``name`` names, and what follows it after a colon: a variant, an attribute or "".

    >>> split("my/net.yaml:small"), split("my:net.yaml"), split("net.py:Net"), split("resnet50")
    (('my/net.yaml', 'small'), ('my:net.yaml', ''), ('net.py', 'Net'), ('resnet50', ''))
    """
    return source_of(name).split(name)


def checked(name: str, request: Request, symbols: object = ()) -> Source:
    """The source of ``name``. Raises ``OptionError`` if it does not take what is wanted."""
    source = source_of(name)
    for option in [*request.given(), *(["symbols"] if symbols else [])]:
        if option in source.refuses:
            raise OptionError(f"{name[:80]} {source.refuses[option]}")
    return source


def with_module(name: str, request: Request) -> tuple[Graph, Callable[[], nn.Module] | None]:
    """The graph of ``name`` and, for what was made of a PyTorch module, what builds that; None if nothing does.

    Raises ``OptionError`` for a source that ``verify`` cannot take, ``CostcalcError`` for a model that it cannot.
    """
    source = checked(name, request)
    if source.unverified:
        raise OptionError(f"{name[:80]} {source.unverified}")
    front = source.front_end()
    if hasattr(front, "load_with_module"):
        graph, build = front.load_with_module(name, request)
        if build is None:
            raise CostcalcError(f"{name} cannot be verified: its inputs are not tensors, one after another")
        return graph, build
    load = getattr(front, "load_to_verify", front.load)
    with source.unquoted(name):
        return load(name, request), None


def with_run(name: str, request: Request) -> tuple[Graph, ObservedRun | str]:
    """The graph of ``name`` and what a run of its own code holds; or why there is none, "" of what has no code."""
    source = checked(name, request)
    front = source.front_end()
    if hasattr(front, "load_with_run"):
        found: tuple[Graph, ObservedRun | str] = front.load_with_run(name, request)
        return found
    with source.unquoted(name):
        return front.load(name, request), ""


def with_step(name: str, request: Request, autocast: str = "") -> tuple[Graph, ObservedStep | None]:
    """The graph of ``name`` and what a step of training of its own code holds, None of what has no code.

    autocast   the narrower type of an autocast; "" for none

    Raises ``CostcalcError`` where its code cannot be run without values.
    """
    source = checked(name, request)
    front = source.front_end()
    if hasattr(front, "load_with_step"):
        found: tuple[Graph, ObservedStep] = front.load_with_step(name, request, autocast)
        return found
    with source.unquoted(name):
        return front.load(name, request), None


def suffixes(*, refers: bool = False) -> tuple[str, ...]:
    """Those of files that have revisions; ``refers`` for those alone that name others."""
    return tuple(
        suffix for s in SOURCES.values() if s.has_revisions and (s.refers or not refers) for suffix in s.suffixes
    )


def patterns() -> Iterator[str]:
    """How models are named that do not ship, for help and sentences."""
    yield from dict.fromkeys(source.pattern for source in SOURCES.values())


def named_so(incomplete: str) -> list[str]:
    """Beginnings of names, and files and folders, that begin with ``incomplete``; a folder ends in a slash."""
    before, slash, name = incomplete.rpartition("/")
    folder = Path(before + slash)
    found = [f"{s.prefix}:" for s in SOURCES.values() if s.prefix and f"{s.prefix}:".startswith(incomplete)]
    endings = tuple(suffix for source in SOURCES.values() for suffix in source.suffixes)
    try:
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda e: e.name):
                if entry.name.startswith(name) and (name or not entry.name.startswith(".")):
                    path = before + slash + entry.name
                    if entry.is_dir():
                        found.append(f"{path}/")
                    elif entry.name.endswith(endings):
                        found.append(path)
    except OSError:
        pass
    return found


def is_kind(path: str) -> bool:
    """Whether the file at ``path``, by its name of a source, also begins as files of that source do."""
    begins = source_of(path).begins
    if begins is None:
        return True
    from costcalc.reading.files import opened

    offset, wanted = begins
    try:
        with opened(path) as stream:
            return stream.read(offset + len(wanted))[offset:] == wanted
    except (OSError, SpecError):
        return False


def _is_installed(package: str) -> bool:
    """Whether ``package`` is there; a folder of that name that is not a package is not."""
    from importlib.util import find_spec  # which a spec does not need

    found = find_spec(package)
    return found is not None and found.origin is not None
