"""Classes of named fields are what Python's own library makes of the same lines."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import subprocess
import sys
import typing
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

import costcalc.classes as ours

BODY = """
class Point(NamedTuple):
    'A place.'
    x: int
    y: int = 2
    tags: tuple[str, ...] = ()

    @property
    def sum(self):
        return self.x + self.y

    def doubled(self):
        return self._replace(x=2 * self.x, y=2 * self.y)

    @classmethod
    def of(cls, text):
        return cls(*map(int, text.split()))


class Alone(NamedTuple):
    x: int


class Nothing(NamedTuple):
    pass


class Further(Point):
    def sum3(self):
        return super().sum + 3


@dataclass(frozen=True)
class Base:
    'What all have.'
    amounts: dict
    kind: ClassVar[str] = "kind"


@dataclass(frozen=True)
class Row(Base):
    'A row.'
    name: str
    size: int = 4
    seen: dict = field(default_factory=dict)

    @cached_property
    def long(self):
        return self.name * self.size


@dataclass(frozen=True, repr=False)
class Quiet:
    name: str = "q"
"""


def made(module: Any) -> SimpleNamespace:
    """The classes of ``BODY`` by the makers of ``module``."""
    makers = {name: getattr(module, name) for name in ("NamedTuple", "dataclass", "field", "replace")}
    names: dict[str, Any] = {"__name__": __name__, "ClassVar": ClassVar, "cached_property": cached_property, **makers}
    exec(compile(BODY, "body", "exec", 0x1000000), names)  # with annotations as text
    return SimpleNamespace(**names)


STDLIB = SimpleNamespace(
    NamedTuple=typing.NamedTuple, dataclass=dataclasses.dataclass, field=dataclasses.field, replace=dataclasses.replace
)
USES = [
    "Point(1)",
    "Point(1, tags=('a',)), Point(x=3, y=4) < Point(3, 5), hash(Point(1)) == hash((1, 2, ()))",
    "Point.of('5 6').doubled().sum",
    "Point(1)._replace(y=7)._asdict()",
    "Point._make([1, 2, 3]), Point._fields, Point._field_defaults, Point.__match_args__",
    "Point.__doc__, Point.__name__, Point.__qualname__, Point.__module__, Point.__slots__",
    "Alone(1), Nothing(), Nothing._fields, repr(Alone((1, 2)))",
    "Further(1, 2).sum3(), type(Further(1)._replace(x=2)).__name__, Further(2)",
    "copy.copy(Point(1)), copy.deepcopy(Point(1, tags=([],)))",
    "list(inspect.signature(Point).parameters), inspect.signature(Point).parameters['y'].default",
    "Row({}, 'a'), Row({'m': 1}, 'b', seen={1: 2}).seen, Row({}, 'a').seen is Row({}, 'b').seen",
    "Row({}, 'a') == Row({}, 'a'), Row({}, 'a') == Row({}, 'b'), Row({}, 'a') == Base({}), Row({}, 'a').__eq__(3)",
    "hash(Quiet('x')) == hash(Quiet('x')), Quiet() != Quiet('a')",
    "replace(Row({}, 'a'), size=9), Row({}, 'ab', 2).long",
    "dataclasses.replace(Row({}, 'a'), size=9), dataclasses.asdict(Row({'m': 2}, 'a')), dataclasses.is_dataclass(Row)",
    "[(f.name, f.type, f.default) for f in dataclasses.fields(Row) if f.name != 'seen']",
    "str(inspect.signature(Quiet)).removesuffix(' -> None'), Row.__match_args__",
    "Row.kind, Row.size, hasattr(Row, 'seen'), Row.__doc__",
    "vars(Row({}, 'a')), list(vars(Row({}, 'a')))",
    "copy.copy(Row({}, 'a')), copy.deepcopy(Row({}, 'a'))",
    "Point()",
    "Point(1, 2, (), 4)",
    "Point(1, z=3)",
    "Point(1)._replace(z=3)",
    "Point._make([1])",
    "Row({})",
    "Row({}, 'a', nme=3)",
    "hash(Row({}, 'a'))",
    "setattr(Row({}, 'a'), 'name', 'b')",
    "setattr(Row({}, 'a'), 'other', 'b')",
    "delattr(Row({}, 'a'), 'name')",
    "setattr(Point(1), 'x', 3)",
]


def outcome(use: str, module: Any) -> str:
    """What ``use`` of the classes gives or raises, as text."""
    names = vars(made(module)) | {"copy": copy, "dataclasses": dataclasses, "inspect": inspect}
    try:
        return repr(eval(use, names))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("use", USES)
def test_they_are_used_as_those_of_the_library(use: str) -> None:
    assert outcome(use, ours) == outcome(use, STDLIB)


def test_a_class_of_the_library_goes_on_from_ours() -> None:
    base = made(ours).Row

    @dataclasses.dataclass(frozen=True)
    class More(base):  # type: ignore[misc, valid-type]
        extra: int = 1

    assert dataclasses.asdict(More({}, "a")) == {"amounts": {}, "name": "a", "size": 4, "seen": {}, "extra": 1}


def test_they_go_from_process_to_process() -> None:
    from costcalc.analysis.records import Pace, Settings

    for one in (Settings(bits=8), Pace(1.0, busy=0.5)):
        assert pickle.loads(pickle.dumps(one)) == one


def test_match_takes_them_apart() -> None:
    from costcalc.analysis.records import Pace, Settings

    match Settings(8), Pace(2.0):
        case Settings(bits, fps=fps), Pace(bandwidth):
            assert (bits, fps, bandwidth) == (8, None, 2.0)


def classes() -> Iterator[Any]:
    """Every class of fields in the modules that need no other package."""
    import importlib

    root = Path(ours.__file__).parent
    for path in sorted(root.rglob("*.py")):
        name = ".".join(path.relative_to(root.parent).with_suffix("").parts)
        if any(word in name for word in ("main", "torch", "pytest", "verification", "integrations")):
            continue
        for one in vars(importlib.import_module(name)).values():
            own = isinstance(one, type) and one.__module__ == name
            if own and (hasattr(one, "_field_defaults") or "_kinds" in vars(one)):
                yield one


def test_no_field_without_a_default_follows_one_with() -> None:
    """The library says so when it makes a class; here a constructor is written later."""
    found = list(classes())
    assert len(found) > 150
    for one in found:
        names = one.__match_args__
        defaults = one._field_defaults if hasattr(one, "_field_defaults") else one._defaults
        assert list(defaults) == list(names[len(names) - len(defaults) :]), one
        assert list(inspect.signature(one).parameters) == list(names), one


def test_a_start_imports_none_of_the_makers_of_the_library() -> None:
    code = "import sys; from costcalc.cli.dispatch import outcome; before = {*sys.modules}"
    code += "; outcome(['analyze', 'lenet5']); print(sorted({'dataclasses', 'inspect'} & (set(sys.modules) - before)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]", run.stderr
