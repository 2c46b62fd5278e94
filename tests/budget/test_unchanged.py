"""Models that are code and did not change are taken from a lock that is believed; whatever changed is traced again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from throwaway import Repository

pytest.importorskip("torch.nn")

from costcalc.budget import dependencies, dependency_recorder, reuse
from costcalc.budget.lock import LockEntry, lock_text, parse_lock

ROOT = Path(__file__).parents[2]
NET = """\
import json, os, sys
from pathlib import Path
from torch import nn
HERE = Path(__file__).parent

def width():
    {body}

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, {width})

    def forward(self, x):
        return self.layer(x)
"""
CONFIG = "version: 1\nmodels:\n  - {name: net, model: 'net.py:Net', at: [{input: 4}], budgets: {macs: 1 G}}\n"


@pytest.fixture(autouse=True)
def from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch was imported before these tests began; what it looked for is taken as known."""
    dependency_recorder._import_torch()
    monkeypatch.setitem(dependency_recorder._STATE, "from the start", True)


@pytest.fixture
def traces(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the models that are measured anew."""
    found: list[str] = []
    original = reuse.measure

    def measure(model: str, *args: Any, **more: Any) -> Any:
        found.append(model)
        return original(model, *args, **more)

    monkeypatch.setattr(reuse, "measure", measure)
    return found


def set_up(r: Repository, body: str = "return 8", width: str = "width()", config: str = CONFIG) -> None:
    r.write("net.py", NET.format(body=body, width=width))
    r.write("costcalc.yaml", config)
    r.write(".gitignore", "__pycache__\n")


def locked(r: Repository) -> LockEntry:
    """The entry of the lock that is made now."""
    code, printed = r.run("lock", "--update", "--allow-code")
    assert code == 0, printed
    lock = parse_lock((r.folder / "costcalc.lock").read_bytes(), "costcalc.lock")
    return lock.entries["net", "4"]


def macs(r: Repository, *args: str) -> int:
    code, printed = r.run("check", "--allow-code", "--format", "json", *args)
    assert code in (0, 1), printed
    return int(json.loads(printed)["models"][0]["figures"]["macs"])


def test_an_unchanged_model_is_not_traced_and_its_report_is_the_same(empty: Repository, traces: list[str]) -> None:
    set_up(empty)
    assert locked(empty).trace is not None
    empty.commit()
    traces.clear()
    for args in ((), ("--base", "HEAD")):
        again = empty.run("check", "--allow-code", "--format", "json", *args)
        assert traces == []
        empty.write("README.md", "what no trace opens")
        with_trace = empty.run("check", "--allow-code", "--format", "json", "--base", "HEAD", "--trace-base")
        assert json.loads(again[1])["models"][0]["figures"] == json.loads(with_trace[1])["models"][0]["figures"]
    empty.edit("costcalc.yaml", "macs: 1 G", "macs: 1")
    code, printed = empty.run("check", "--allow-code")
    assert code == 1 and traces == [] and "layer  net.py:12" in printed  # places are kept too


READS = "from pathlib import Path\nWIDTH = int(Path('data').read_text())\n"
Change = Callable[[Repository], object]


def writes(name: str, text: str) -> Change:
    """A change that writes a file."""
    return lambda r: r.write(name, text)


DEPENDS: dict[str, tuple[str, Change, Change]] = {
    "the file itself": ("return 8", lambda r: None, lambda r: r.edit("net.py", "return 8", "return 16")),
    "a helper": ("import helper; return helper.WIDTH", writes("helper.py", "WIDTH = 8"),
                 writes("helper.py", "WIDTH = 16")),
    "a file that is read": ("return json.loads((HERE / 'data.json').read_text())", writes("data.json", "8"),
                            writes("data.json", "16")),
    "a file that a helper reads": (
        "import helper; return helper.WIDTH",
        lambda r: (r.write("helper.py", READS), r.write("data", "8")),
        writes("data", "16"),
    ),
    "whether a file is there": ("return 16 if (HERE / 'wide').exists() else 8", lambda r: None,
                                writes("wide", "")),
    "whether a folder is there": ("return 16 if os.path.isdir('wide') else 8", lambda r: None,
                                  lambda r: (r.folder / "wide").mkdir()),
    "the size of a file": ("return os.path.getsize('data')", writes("data", "x" * 8),
                           writes("data", "x" * 16)),
    "what a folder has": ("return 8 * len(os.listdir('parts'))", writes("parts/a", ""),
                          writes("parts/b", "")),
    "what a pattern finds": ("return 8 * len([*HERE.glob('parts/*.txt')])", writes("parts/a.txt", ""),
                             writes("parts/b.txt", "")),
    "a module that was not there": (
        "try:\n        import wide; return wide.WIDTH\n    except ImportError:\n        return 8",
        lambda r: None, writes("wide.py", "WIDTH = 16"),
    ),
    "a package that was not there": (
        "try:\n        from wide import WIDTH; return WIDTH\n    except ImportError:\n        return 8",
        lambda r: None, writes("wide/__init__.py", "WIDTH = 16"),
    ),
    "a part of a package that was not there": (
        "import package; return package.WIDTH",
        writes(
            "package/__init__.py", "try:\n    from .wide import WIDTH\nexcept ImportError:\n    WIDTH = 8"
        ),
        writes("package/wide.py", "WIDTH = 16"),
    ),
    "a link to another file": (
        "return int(Path('link').read_text())",
        lambda r: (r.write("small", "8"), r.write("large", "16"), (r.folder / "link").symlink_to("small")),
        lambda r: ((r.folder / "link").unlink(), (r.folder / "link").symlink_to("large")),
    ),
    "a module that is loaded by its path": (
        "import runpy; return runpy.run_path('other.txt')['WIDTH']",
        writes("other.txt", "WIDTH = 8"), writes("other.txt", "WIDTH = 16"),
    ),
    "a file opened by its number": (
        "f = os.open('data', os.O_RDONLY); n = int(os.read(f, 9)); os.close(f); return n",
        writes("data", "8"), writes("data", "16"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DEPENDS)
def test_what_a_model_depends_on_is_seen(empty: Repository, name: str) -> None:
    body, before, after = DEPENDS[name]
    before(empty)
    set_up(empty, body)
    assert locked(empty).trace is not None, "nothing is doubtful here"
    empty.commit()
    assert macs(empty) == macs(empty, "--base", "HEAD") == 4 * 8
    after(empty)
    assert macs(empty) == macs(empty, "--base", "HEAD") == 4 * 16


@pytest.mark.parametrize(
    "body",
    [
        "import subprocess; return int(subprocess.run(['echo', '8'], capture_output=True).stdout)",
        "os.system('true'); return 8",
        "import torch; return 16 if torch.cuda.is_available() else 8",
        "return 8 if sorted(os.environ) else 16",
        "import tempfile; return 8 + 0 * len(os.listdir(tempfile.gettempdir()))",
        "return 8 if os.path.exists('/etc/hostname') else 8",
        "return len(Path('/proc/version').read_text()) // 10**9 + 8",
        "import socket; return 8 + len(socket.gethostname()) // 1000",
        "import threading; t = threading.Thread(target=lambda: open('net.py').close()); t.start(); t.join(); return 8",
        "os.environ['SOME_TOKEN'] = 'x'; return 8 if os.environ.get('GIVEN_TOKEN') else 8",
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_traced_each_time(
    empty: Repository, traces: list[str], body: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIVEN_TOKEN", "secret")
    set_up(empty, body)
    assert locked(empty).trace is None
    empty.commit()
    traces.clear()
    assert macs(empty, "--base", "HEAD") == 32 and traces == ["net.py:Net"]
    assert "secret" not in empty.read("costcalc.lock")


def test_a_variable_of_the_environment(empty: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(empty, "return int(os.environ.get('WIDTH', '8'))")
    assert locked(empty).trace is not None
    empty.commit()
    assert macs(empty) == 32
    monkeypatch.setenv("WIDTH", "16")
    assert macs(empty) == macs(empty, "--base", "HEAD") == 64


def test_another_library_python_or_costcalc(
    empty: Repository, traces: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(empty)
    record = locked(empty).trace
    assert record is not None and record["libraries"]["torch"] == __import__("torch").__version__
    traces.clear()
    for owner, name, new in (
        (dependencies, "version_of", lambda name: "9.9"),
        (dependencies, "__version__", "9.9"),
        (dependencies, "machine", lambda: "another"),
        (dependencies.platform, "python_version", lambda: "9.9"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, new)
            assert macs(empty) == 32 and traces == ["net.py:Net"], name
        traces.clear()
    record["absent"] = [*record["absent"], "json"]
    assert not dependencies.unchanged(record, str(empty.folder))


def test_another_way_of_building_it_or_another_model_of_the_name(empty: Repository, traces: list[str]) -> None:
    set_up(empty, width="width")
    text = (
        empty.read("net.py").replace("def __init__(self)", "def __init__(self, width=8)").replace("width(),", "width,")
    )
    empty.write("net.py", text + "\n\nclass Other(Net):\n    def __init__(self):\n        super().__init__(16)\n")
    locked(empty)
    empty.edit("costcalc.yaml", "net.py:Net", "net.py:Other")
    assert macs(empty) == 64
    empty.edit(
        "costcalc.yaml", "net.py:Other', at: [{input: 4}", "net.py:Net', at: [{input: 4, parameters: {width: 16}}"
    )
    assert macs(empty) == 64


def forged(r: Repository) -> None:
    """The lock of a stranger: it says that the larger model, whose files it knows, costs what the smaller one did."""
    small = locked(r)
    r.edit("net.py", "return 8", "return 16")
    large = locked(r)
    lie = small._replace(trace=large.trace)
    lock = parse_lock((r.folder / "costcalc.lock").read_bytes(), "costcalc.lock")
    r.write("costcalc.lock", lock_text(lock._replace(entries={("net", "4"): lie})))


def test_the_lock_of_a_pull_request_claims_no_figure(empty: Repository, traces: list[str]) -> None:
    set_up(empty)
    locked(empty)
    empty.commit()
    forged(empty)
    assert macs(empty) == 64, "traced, since no trace here made that entry"
    assert macs(empty, "--base", "HEAD") == 64, "the base's lock is of other files"
    empty.commit("a stranger's")
    assert macs(empty, "--base", "HEAD~1") == 64


def test_a_mark_is_made_by_a_check_that_traced_the_same(empty: Repository, traces: list[str]) -> None:
    set_up(empty)
    locked(empty)
    marks = Path(os.environ["XDG_CACHE_HOME"], "costcalc/traced")
    (mark,) = marks.iterdir()
    assert mark.read_bytes() == b""
    mark.unlink()
    traces.clear()
    assert macs(empty) == 32 and traces == ["net.py:Net"] and [*marks.iterdir()] == [mark]
    assert macs(empty) == 32 and traces == ["net.py:Net"]


def test_a_lock_at_the_base_that_is_older_than_its_code_compares_nothing(empty: Repository) -> None:
    set_up(empty, config=CONFIG.replace("macs: 1 G", "macs: {max_increase: 2%}"))
    locked(empty)
    empty.edit("net.py", "return 8", "return 4")
    empty.commit("without the lock")
    empty.edit("net.py", "return 4", "return 8")
    code, printed = empty.run("check", "--allow-code", "--base", "HEAD", "--strict")
    assert code == 4 and "costcalc.lock at HEAD is older than net.py there" in printed


def test_a_lock_that_was_made_where_lines_end_otherwise_is_as_new_as_its_code(empty: Repository) -> None:
    set_up(empty, config=CONFIG.replace("macs: 1 G", "macs: {max_increase: 2%}"))
    empty.git("config", "core.autocrlf", "true")
    (empty.folder / "net.py").write_bytes(empty.read("net.py").replace("\n", "\r\n").encode())
    assert locked(empty).trace is not None
    empty.commit("made on another system")
    assert "\r" not in empty.git("show", "HEAD:net.py")
    code, printed = empty.run("check", "--allow-code", "--base", "HEAD", "--strict")
    assert code == 0 and "as before" in printed, printed


def test_models_of_one_process_have_records_of_their_own(empty: Repository) -> None:
    set_up(empty, "import helper; return helper.WIDTH")
    empty.write("helper.py", "from pathlib import Path\nWIDTH = int(Path('data').read_text())")
    empty.write("data", "8")
    empty.write("other.py", empty.read("net.py").replace("import helper; return helper.WIDTH", "return 8"))
    more = "  - {name: other, model: 'other.py:Net', at: [{input: 4}]}\n"
    more += "  - {name: third, model: 'net.py:Net', at: [{input: 4}]}\n"
    empty.write("costcalc.yaml", CONFIG + more)
    locked(empty)
    entries = parse_lock((empty.folder / "costcalc.lock").read_bytes(), "x").entries
    files = {name: sorted((entry.trace or {})["files"]) for (name, _), entry in entries.items()}
    assert files["net"] == files["third"] == ["data", "helper.py", "net.py"] and files["other"] == ["other.py"]


@pytest.mark.parametrize("trace", [[], {"files": 3}, {"files": {"../x": ""}}, {"choices": None}, {}, 7])
def test_a_record_that_is_none_is_no_reason_to_believe(empty: Repository, traces: list[str], trace: Any) -> None:
    set_up(empty)
    entry = locked(empty)
    whole = {**(entry.trace or {}), **trace} if isinstance(trace, dict) and trace else trace
    bad = entry._replace(trace=whole)
    text = lock_text(
        parse_lock((empty.folder / "costcalc.lock").read_bytes(), "x")._replace(entries={("net", "4"): bad})
    )
    empty.write("costcalc.lock", text)
    empty.commit()
    traces.clear()
    code, printed = empty.run("check", "--allow-code", "--base", "HEAD")
    assert "Traceback" not in printed and (code in (0, 4) or "costcalc.lock" in printed)
    assert traces == ["net.py:Net"]


def test_nothing_heavy_is_imported_for_models_that_did_not_change(empty: Repository) -> None:
    set_up(empty)
    probe = (
        "import sys; from costcalc.cli.dispatch import outcome; print(outcome(sys.argv[1:]), 'torch' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def run(*args: str) -> str:
        command = [sys.executable, "-c", probe, *args]
        done = subprocess.run(command, cwd=empty.folder, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()[-1]

    assert run("lock", "--allow-code") == "0 True"
    assert run("check", "--allow-code") == "0 False"
    empty.commit()
    assert run("check", "--allow-code", "--base", "HEAD", "--strict") == "0 False"
    empty.edit("net.py", "return 8", "return 4")
    assert run("check", "--allow-code", "--base", "HEAD") == "0 True"


def test_the_model_s_process_is_left_as_it_was(empty: Repository) -> None:
    set_up(empty, "import helper; return helper.WIDTH")
    empty.write("helper.py", "WIDTH = 8")
    before = os.stat, os.lstat, type(os.environ).__getitem__, [*sys.meta_path], {*sys.modules}
    locked(empty)
    assert before[:4] == (os.stat, os.lstat, type(os.environ).__getitem__, [*sys.meta_path])
    assert "helper" not in {*sys.modules} - before[4]
