"""Classes of named fields as Python's own library has them, made in a tenth of the time, which was a fifth of a start.

``NamedTuple`` is that of ``typing``, which compiles every annotation; ``dataclass`` is the frozen one of
``dataclasses``, whose import alone takes longer than that of ``costcalc.ir``. Both write code for each class. Here a
constructor is written when the first instance is made, and all else is shared. What is made is used as ever:
``_replace``, ``match``, ``pickle``, ``dataclasses.fields``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
    from dataclasses import field as field
    from dataclasses import replace as replace
    from typing import NamedTuple as NamedTuple

else:
    from collections import _tuplegetter

    def _write(cls, name, kinds, defaults, code, known):
        """Give ``cls`` the constructor called ``name`` that ``code`` defines."""
        exec(code, known)
        made = known[name]
        made.__qualname__ = f"{cls.__qualname__}.{name}"
        made.__annotations__, made.__defaults__ = dict(kinds), tuple(defaults)
        setattr(cls, name, made)

    class _Signature:
        """What ``inspect`` asks for: it finds the constructor once that is written."""

        def __get__(self, instance, owner):
            owner._written()
            raise AttributeError("__signature__")

    def _shown(self, names):
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    class _Tuple(tuple):
        """What all named tuples share."""

        __slots__ = ()

        __signature__ = _Signature()

        def __new__(cls, *args, **given):
            cls._written()
            return cls.__new__(cls, *args, **given)

        @classmethod
        def _written(cls):
            cls = next(base for base in cls.__mro__ if "_fields" in vars(base))
            names = "".join(f"{name}, " for name in cls._fields)
            code = f"def __new__(_cls, {names}):\n return _new(_cls, ({names}))"
            _write(cls, "__new__", cls.__annotations__, cls._field_defaults.values(), code, {"_new": tuple.__new__})

        @classmethod
        def _make(cls, values):
            made = tuple.__new__(cls, values)
            if len(made) != len(cls._fields):
                raise TypeError(f"Expected {len(cls._fields)} arguments, got {len(made)}")
            return made

        def _replace(self, /, **changes):
            made = self._make(map(changes.pop, self._fields, self))
            if changes:
                raise ValueError(f"Got unexpected field names: {list(changes)!r}")
            return made

        __replace__ = _replace

        def _asdict(self):
            return dict(zip(self._fields, self, strict=True))

        def __repr__(self):
            return _shown(self, self._fields)

        def __getnewargs__(self):
            return tuple(self)

    class _MakesTuple(type):
        """Makes a tuple of a class's annotated attributes, with all else that stands in its body."""

        def __new__(cls, name, bases, body):
            names = tuple(body.get("__annotations__", ()))
            defaults = {name: body.pop(name) for name in names if name in body}
            own = {"__slots__": (), "_fields": names, "_field_defaults": defaults, "__match_args__": names}
            own |= {name: _tuplegetter(n, None) for n, name in enumerate(names)}
            return type(name, (_Tuple,), body | own)

    NamedTuple = type.__new__(_MakesTuple, "NamedTuple", (), {})

    class field:
        """A field whose default is made anew for each instance."""

        def __init__(self, *, default_factory):
            self.default_factory = default_factory

        def __repr__(self):
            return "<factory>"

    class _Asked:
        """An attribute of a class that ``dataclasses`` looks for, made when it does."""

        def __init__(self, name):
            self.name = name

        def __get__(self, instance, owner):
            import dataclasses

            fields = []
            for name, kind in owner._kinds.items():
                default = owner._defaults.get(name, dataclasses.MISSING)
                made = isinstance(default, field)
                how = {"default_factory": default.default_factory} if made else {"default": default}
                fields.append((name, kind, dataclasses.field(**how)))
            twin = dataclasses.make_dataclass(owner.__name__, fields, frozen=True)
            setattr(owner, self.name, getattr(twin, self.name))
            return getattr(owner, self.name)

    class _Frozen:
        """What all frozen classes share."""

        __signature__ = _Signature()

        def __init__(self, *args, **given):
            self._written()
            self.__init__(*args, **given)

        @classmethod
        def _written(cls):
            cls = next(base for base in cls.__mro__ if "_kinds" in vars(base))
            lines = ["_own = self.__dict__"]
            for name in cls._kinds:
                made = isinstance(cls._defaults.get(name), field)
                value = f"_made[{name!r}].default_factory() if {name} is _made[{name!r}] else {name}" if made else name
                lines.append(f"_own[{name!r}] = {value}")
            code = f"def __init__(self, {', '.join(cls._kinds)}):\n " + "\n ".join(lines)
            _write(cls, "__init__", cls._kinds, cls._defaults.values(), code, {"_made": cls._defaults})

        def __repr__(self):
            return _shown(self, self.__match_args__)

        def __eq__(self, other):
            if other.__class__ is not self.__class__:
                return NotImplemented
            return _values(self) == _values(other)

        def __hash__(self):
            return hash(_values(self))

        def __setattr__(self, name, value):
            _refuse(f"cannot assign to field {name!r}")

        def __delattr__(self, name):
            _refuse(f"cannot delete field {name!r}")

        def __replace__(self, /, **changes):
            return type(self)(**dict(zip(self.__match_args__, _values(self), strict=True)) | changes)

    _SHARED = (
        "__init__", "__eq__", "__hash__", "__setattr__", "__delattr__", "__replace__", "__signature__", "_written"
    )  # fmt: skip

    def _values(self):
        return tuple([getattr(self, name) for name in self.__match_args__])

    def _refuse(why):
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(why)

    def dataclass(*, frozen, repr=True):
        """Make fields of a class's annotated attributes, after those of its bases."""
        if not frozen:
            raise TypeError("only frozen classes are made here")

        def made(cls):
            kinds, defaults = {}, {}
            for base in cls.__mro__[:0:-1]:
                kinds |= vars(base).get("_kinds", {})
                defaults |= vars(base).get("_defaults", {})
            for name, kind in vars(cls).get("__annotations__", {}).items():
                if not kind.startswith("ClassVar"):
                    kinds[name] = kind
                    if name in vars(cls):
                        defaults[name] = vars(cls)[name]
                        if isinstance(defaults[name], field):
                            delattr(cls, name)
            cls._kinds, cls._defaults, cls.__match_args__ = kinds, defaults, tuple(kinds)
            for name in (*_SHARED, "__repr__") if repr else _SHARED:
                setattr(cls, name, vars(_Frozen)[name])
            for name in ("__dataclass_fields__", "__dataclass_params__"):
                setattr(cls, name, _Asked(name))
            return cls

        return made

    def replace(instance, /, **changes):
        """``instance`` with ``changes`` of its fields."""
        return instance.__replace__(**changes)
