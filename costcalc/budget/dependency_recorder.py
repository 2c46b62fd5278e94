"""What the trace of a model that is code depends on, noted while it is built and run.

Python's audit hook tells which files are opened and which folders are listed; a finder, which packages are looked for;
questions whether a file is there and reads of the environment are noted where they are asked. After what cannot be told
(other processes, the network, other threads, files elsewhere) there is no record, and such a model is traced each time.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from threading import get_ident
from types import FrameType
from typing import Any

from costcalc import __version__
from costcalc.budget import dependencies
from costcalc.budget.dependencies import OURS, below
from costcalc.reading.installed import is_installed

Record = dict[str, Any]

_DOUBT = frozenset(
    (
        "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.startfile", "os.system", "pty.spawn",
        "socket.connect", "socket.getaddrinfo", "socket.gethostname", "socket.sendto", "sqlite3.connect",
        "subprocess.Popen", "urllib.Request", "winreg.OpenKey",
    )
)  # fmt: skip
"""Events after which nobody can say what a model depends on."""
_LISTS = frozenset(("os.listdir", "os.scandir"))
_FOLDERS = frozenset(
    (
        "CI", "COLUMNS", "HOME", "HOMEDRIVE", "HOMEPATH", "LANG", "LANGUAGE", "LINES", "LOGNAME", "PATH", "PWD",
        "PYTHONPATH", "SHELL", "TEMP", "TERM", "TMP", "TMPDIR", "USER", "USERNAME", "USERPROFILE", "VIRTUAL_ENV",
        "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME",
    )
)  # fmt: skip
"""Variables by which libraries find folders and the terminal; where a model itself reads one, it counts."""
_COMPILER = ("/torch/_inductor/", "/torch/_dynamo/", "/torch/_functorch/", "/torch/utils/_config_module.py", "/sympy/",
             "/mpmath/")  # fmt: skip
"""PyTorch's compiler, which is imported in a trace and does not run: its some hundred variables change no graph."""
_SECRET = ("TOKEN", "SECRET", "PASSW", "KEY", "CREDENTIAL")
"""In names of variables of which not even a digest goes into a file that others read."""
_NATIVE = frozenset(("cv2", "h5py", "lmdb", "netCDF4", "onnxruntime", "pyarrow", "rasterio", "safetensors", "tables"))
"""Libraries that open files unseen by Python …"""
_THEIRS = (".arrow", ".h5", ".hdf5", ".jpeg", ".jpg", ".lmdb", ".mdb", ".nc", ".onnx", ".parquet", ".png",
           ".safetensors", ".tif", ".tiff")  # fmt: skip
"""… and how the names of those files end."""
_DEVICES = (("torch.cuda", "is_available"), ("torch.cuda", "device_count"), ("torch.backends.mps", "is_available"))
MOST_FILES = 20_000
"""Of a repository, among which those of ``_THEIRS`` are looked for."""

_WATCHES: list[Watch] = []
_LOOKED_FOR: set[str] = set()
"""Packages that were looked for in this process, and distributions, as ``dist:name``."""
_STATE = {"hooked": False, "from the start": False}
"""Whether the audit hook is there, and was before PyTorch was imported: else what that looked for is not known."""


class Watch:
    """What this thread has been seen to depend on; ``root`` is the repository's folder."""

    def __init__(self, root: str) -> None:
        self.root, self.thread, self.busy = root, get_ident(), False
        self.doubts: list[str] = []
        self.files: set[str] = set()
        self.lists: set[str] = set()
        self.asked: set[str] = set()
        self.variables: set[str] = set()
        self.folders: set[str] = set()
        self.environment = dict(os.environ)  # which libraries change

    def note(self, what: Callable[..., None], *args: Any, **kwargs: Any) -> None:
        """Do ``what``, unless that itself leads here; the model sees no error of it, and there is no record then."""
        if self.busy or self.thread != get_ident():
            return
        self.busy = True
        try:
            what(*args, **kwargs)
        except Exception as error:
            self.doubts.append(type(error).__name__)
        finally:
            self.busy = False

    def event(self, name: str, args: tuple[Any, ...]) -> None:
        """One event of Python's audit hook."""
        if name == "open":
            self._opened(*args)
        elif name in _LISTS:
            self._listed(args[0] if args else None)
        elif name == "ctypes.dlopen":
            if args and args[0] and "/" in str(args[0]) and not is_installed(dependencies.whole(str(args[0]))):
                self.doubts.append(name)
        elif name in _DOUBT and _reader() != "ours":
            self.doubts.append(name)

    def _opened(self, file: Any, mode: Any, flags: Any) -> None:
        if isinstance(file, int):
            return
        made = isinstance(flags, int) and (flags & 3 == os.O_WRONLY or (flags & os.O_CREAT and flags & os.O_EXCL))
        if made or (isinstance(mode, str) and not {"r", "+"} & {*mode}):
            return
        path = dependencies.whole(os.fsdecode(file))
        if is_installed(path) or path.startswith(OURS):
            return
        if "__pycache__" in Path(path).parts:
            path = importlib.util.source_from_cache(path)
        real = os.path.realpath(path)
        if is_installed(real):
            return
        if below(self.root, path) and below(self.root, real):
            self.files |= {path, real}
        elif not path.startswith(("/proc/", "/sys/", "/dev/")) or _reader() == "model":
            self.doubts.append(path)

    def _listed(self, folder: Any) -> None:
        path = str(Path.cwd()) if folder is None else dependencies.whole(os.fsdecode(folder))
        if _is_import():
            self.folders |= {path} if below(self.root, path) else set()
        elif below(self.root, path):
            self.lists.add(path)
        elif _reader() == "model" and not is_installed(path):
            self.doubts.append(path)

    def ask(self, path: Any) -> None:
        """Somebody asks what there is at ``path``."""
        reader = _reader()
        if isinstance(path, int) or reader == "ours":
            return
        full = dependencies.whole(os.fsdecode(path))
        if is_installed(full):
            return
        if below(self.root, full):
            self.asked.add(full)
        elif reader == "model":
            self.doubts.append(full)

    def read(self, name: Any) -> None:
        """Somebody reads a variable of the environment; None for all of them."""
        reader = _reader()
        if reader == "ours" or (reader == "library" and (name is None or name in _FOLDERS or _by_compiler())):
            return
        if name is None:
            self.doubts.append("all variables")
        else:
            self.variables.add(os.fsdecode(name))

    def record(self) -> Record | None:
        """What to compare with later; None in doubt. To be asked before what was imported is gone."""
        self.busy = True
        for module in [*sys.modules.values()]:
            if module is not sys.modules.get("__main__") and _is_own(module, self.root):
                self.files |= {dependencies.whole(_file_of(module)), os.path.realpath(_file_of(module))}
        secret = any(word in name.upper() for name in self.variables if name in self.environment for word in _SECRET)
        native = not _NATIVE.isdisjoint(sys.modules) and _has_theirs(self.root)
        if self.doubts or secret or native or not _STATE["from the start"]:
            return None
        folders = self.folders | {str(Path(file).parent) for file in self.files if file.endswith(".py")}
        named = self._named
        return {
            "costcalc": __version__, "python": platform.python_version(), "machine": dependencies.machine(),
            "libraries": _libraries(),
            "absent": sorted(name for name in _LOOKED_FOR if not dependencies.is_there(name)),
            "environment": {
                name: dependencies.of_value(name, self.environment.get(name)) for name in sorted(self.variables)
            },
            "files": {named(file): dependencies.content(file) for file in sorted(self.files)},
            "modules": {named(folder): dependencies.stems(folder) for folder in sorted(folders)},
            "folders": {named(folder): dependencies.listing(folder) for folder in sorted(self.lists)},
            "asked": {named(path): dependencies.kind(path) for path in sorted(self.asked)},
        }  # fmt: skip

    def _named(self, path: str) -> str:
        return Path(os.path.relpath(path, self.root)).as_posix()


@contextmanager
def watching(root: str) -> Iterator[Watch]:
    """While open, see what this thread depends on. Modules of the repository are imported anew, and gone after it."""
    root = os.path.realpath(root)
    _import_torch()
    watch = Watch(root)
    with _fresh_modules(root), _finding(), _asked(watch):
        _WATCHES.append(watch)
        try:
            yield watch
        finally:
            _WATCHES.remove(watch)


def _import_torch() -> None:
    """Import PyTorch, and note which packages it looks for."""
    if not _STATE["hooked"]:
        _STATE.update({"hooked": True, "from the start": "torch" not in sys.modules})
        sys.addaudithook(_hook)
    if "torch" not in sys.modules and importlib.util.find_spec("torch"):
        with _finding():
            import torch  # noqa: F401


def _hook(name: str, args: tuple[Any, ...]) -> None:
    if _WATCHES and (name == "open" or name in _LISTS or name in _DOUBT or name == "ctypes.dlopen"):
        watch = _WATCHES[-1]
        if watch.thread != get_ident() and (name == "open" or name in _DOUBT):
            watch.doubts.append("another thread")
        watch.note(watch.event, name, args)


class _Finder:
    """Finds no module, but notes which are looked for."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> None:
        if path is None and name.isidentifier():
            _LOOKED_FOR.add(name)


@contextmanager
def _finding() -> Iterator[None]:
    """While open, note the packages and distributions that somebody looks for."""
    original = importlib.metadata.Distribution.__dict__["from_name"]

    def from_name(cls: Any, name: str) -> Any:
        _LOOKED_FOR.add(f"dist:{name}")
        return original.__func__(cls, name)

    finder: Any = _Finder()
    sys.meta_path.insert(0, finder)
    importlib.metadata.Distribution.from_name = classmethod(from_name)  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        importlib.metadata.Distribution.from_name = original  # type: ignore[method-assign]
        if finder in sys.meta_path:
            sys.meta_path.remove(finder)


@contextmanager
def _asked(watch: Watch) -> Iterator[None]:
    """While open, tell ``watch`` which files, variables and devices somebody asks about."""

    def telling(original: Any, tell: Callable[..., None]) -> Any:
        def asked(*args: Any, **kwargs: Any) -> Any:
            watch.note(tell, *args, **kwargs)
            return original(*args, **kwargs)

        return asked

    def of_path(path: Any, *more: Any, **options: Any) -> None:
        watch.ask(path)

    def of_variable(environment: Any, name: Any = None) -> None:
        watch.read(name)

    def of_device(*args: Any, **kwargs: Any) -> None:
        if _reader() == "model":
            watch.doubts.append("a device")

    watched: list[tuple[Any, str, Callable[..., None]]] = [
        *((os, name, of_path) for name in ("stat", "lstat", "access", "readlink")),
        *((type(os.environ), name, of_variable) for name in ("__getitem__", "__iter__")),
        *((sys.modules.get(module), name, of_device) for module, name in _DEVICES),
    ]
    with ExitStack() as stack:
        for owner, name, tell in watched:
            original = getattr(owner, name, None)
            if original is not None:
                stack.callback(setattr, owner, name, original)
                setattr(owner, name, telling(original, tell))
        yield


@contextmanager
def _fresh_modules(root: str) -> Iterator[None]:
    """While open, modules of the repository at ``root`` are imported anew; after it, all are as before."""

    def own() -> dict[str, Any]:
        return {n: m for n, m in [*sys.modules.items()] if n != "__main__" and _is_own(m, root)}

    before = own()
    for name in before:
        del sys.modules[name]
    try:
        yield
    finally:
        for name in own():
            del sys.modules[name]
        sys.modules.update(before)


def _is_own(module: Any, root: str) -> bool:
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and below(root, file) and not is_installed(file) and not file.startswith(OURS)


def _frames() -> Iterator[str]:
    """The files of the code that led here, from what is not of this file outwards."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename != __file__:
            yield frame.f_code.co_filename
        frame = frame.f_back


def _reader() -> str:
    """Who is asking: a ``library``, the ``model``, or costcalc itself, ``ours``."""
    for file in _frames():
        if not _is_standard(file):
            return "ours" if file.startswith(OURS) else "library" if is_installed(file) else "model"
    return "ours"


def _by_compiler() -> bool:
    file = next((file for file in _frames() if not _is_standard(file)), "").replace(os.sep, "/")
    return any(part in file for part in _COMPILER)


def _is_import() -> bool:
    return next(_frames(), "").startswith("<frozen importlib")


@lru_cache(4096)
def _is_standard(file: str) -> bool:
    """Whether code is of Python's own library."""
    own = str(Path(os.__file__).parent) + os.sep
    return file.startswith(("<frozen", own)) and "site-packages" not in Path(file).parts


@lru_cache(1)
def _owners() -> Any:
    return importlib.metadata.packages_distributions()


def _libraries() -> dict[str, str]:
    """The installed libraries that are imported here, with their versions."""
    tops = {name.partition(".")[0] for name, module in sys.modules.items() if is_installed(str(_file_of(module)))}
    names = {owner for top in tops for owner in _owners().get(top, ()) if top not in sys.stdlib_module_names}
    return {name: importlib.metadata.version(name) for name in sorted(names - {"costcalc"})}


def _file_of(module: Any) -> Any:
    return getattr(module, "__file__", None) or ""


def _has_theirs(root: str) -> bool:
    """Whether the repository has, or may have, a file that a library reads unseen."""
    count = 0
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".") and not is_installed(f"{folder}/{name}/x")]
        count += len(files)
        if count > MOST_FILES or any(file.endswith(_THEIRS) for file in files):
            return True
    return False
