"""Files are written whole or not at all, also by several writers at once, and through no link that leads elsewhere."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from terminal import run

from costcalc.errors import CostcalcError
from costcalc.writing import update, version_of, write_whole

links = pytest.mark.skipif(os.name != "posix", reason="links as POSIX has them")


def test_threads_that_write_the_same_file_do_not_disturb_each_other(tmp_path: Path) -> None:
    file = tmp_path / "cost.txt"
    failed: list[Exception] = []

    def write(text: str) -> None:
        for _ in range(50):
            try:
                write_whole(str(file), text)
            except CostcalcError as error:
                failed.append(error)

    threads = [threading.Thread(target=write, args=(sign * 10_000,)) for sign in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    text = file.read_text()
    assert len(text) == 10_000 and len(set(text)) == 1
    assert list(tmp_path.iterdir()) == [file]


def test_only_what_was_made_is_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others = tmp_path / f".cost.txt.{os.getpid()}"
    others.write_text("another writer's")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CostcalcError, match="No space left"):
        write_whole(str(tmp_path / "cost.txt"), "new")
    assert [f.name for f in tmp_path.iterdir()] == [others.name]


def test_of_two_updates_the_later_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "costcalc.lock"
    for seen in (version_of(str(file)), version_of(str(file))):
        if not file.exists():
            update(str(file), "first", seen)
            continue
        with pytest.raises(CostcalcError, match=r"came to be meanwhile"):
            update(str(file), "second", seen)
    seen = version_of(str(file))
    update(str(file), "third", seen)
    with pytest.raises(CostcalcError, match=r"costcalc\.lock: the file changed meanwhile, and is left as it is"):
        update(str(file), "fourth", seen)
    assert file.read_text() == "third"


def test_of_many_updates_at_once_one_is_written(tmp_path: Path) -> None:
    file = tmp_path / "costcalc.lock"
    file.write_text("old")
    seen, done, ready = version_of(str(file)), [], threading.Barrier(8)

    def write(text: str) -> None:
        ready.wait()
        try:
            update(str(file), text, seen)
            done.append(text)
        except CostcalcError as error:
            assert "changed meanwhile" in str(error)

    threads = [threading.Thread(target=write, args=(str(i),)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [file.read_text()]


CONFIG = "version: 1\nmodels:\n  - model: lenet5\n    budgets: {macs: 9G}\n"
MEANWHILE = """
import costcalc.budget.session as session, costcalc.cli
measured = session.{function}
def slow(*args, **kwargs):
    with open({file!r}, "a") as stream:
        stream.write({text!r})
    return measured(*args, **kwargs)
session.{function} = slow
costcalc.cli.main()
"""


@pytest.mark.parametrize(
    "args, function, name, text",
    [
        (["check", "--ratchet"], "ratchet_config", "costcalc.yaml", "# another's\n"),
        (["lock"], "new_lock", "costcalc.lock", "{}"),
    ],
)
def test_a_file_that_changes_while_a_command_runs_is_left(
    tmp_path: Path, args: list[str], function: str, name: str, text: str
) -> None:
    import subprocess
    import sys

    from terminal import ROOT, clean

    (tmp_path / "costcalc.yaml").write_text(CONFIG)
    code = MEANWHILE.format(function=function, file=name, text=text)
    environment = clean({"PYTHONPATH": str(ROOT)})
    done = subprocess.run(
        [sys.executable, "-c", code, *args], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert f"{name}: the file c" in done.stderr and "meanwhile" in done.stderr
    assert (tmp_path / name).read_text() == (CONFIG if name == "costcalc.yaml" else "") + text


@pytest.mark.parametrize("text", ["", "version: 1\n", CONFIG.replace("9G", "8.1k"), "# x\n" + CONFIG])
def test_a_config_that_is_another_before_it_is_edited_is_told_so(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """Whatever stands there now, at the places where the budgets were."""
    import costcalc.budget.session as session

    (tmp_path / "costcalc.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    judged = session.judged

    def slow(*args: Any, **kwargs: Any) -> Any:
        (tmp_path / "costcalc.yaml").write_text(text)
        return judged(*args, **kwargs)

    monkeypatch.setattr(session, "judged", slow)
    done = run(capsys, "check", "--ratchet")
    assert done.code == 2 and "costcalc.yaml: the file changed meanwhile" in done.err
    assert (tmp_path / "costcalc.yaml").read_text() == text


@links
@pytest.mark.parametrize("target", ["missing.txt", "../outside.txt"])
def test_init_writes_through_no_link(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "costcalc.yaml").symlink_to(target)
    monkeypatch.chdir(folder)
    done = run(capsys, "init", "lenet5")
    assert done.code == 2 and "costcalc.yaml" in done.err and done.err.count("\n") == 1
    assert not (folder / target).exists()


@links
def test_ratchet_writes_through_no_link_out_of_the_folder(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "checkout"
    folder.mkdir()
    (tmp_path / "outside.yaml").write_text(CONFIG)
    (folder / "costcalc.yaml").symlink_to("../outside.yaml")
    monkeypatch.chdir(folder)
    done = run(capsys, "check", "--ratchet")
    assert done.code == 2 and "costcalc.yaml" in done.err and done.err.count("\n") == 1
    assert (tmp_path / "outside.yaml").read_text() == CONFIG


@links
def test_a_link_to_a_file_beside_it_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real.yaml").write_text("old")
    (tmp_path / "link.yaml").symlink_to("real.yaml")
    update(str(tmp_path / "link.yaml"), "new", version_of(str(tmp_path / "link.yaml")))
    assert (tmp_path / "link.yaml").is_symlink() and (tmp_path / "real.yaml").read_text() == "new"


def test_a_file_that_is_there_is_not_written_over_by_init(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "costcalc.yaml").write_text("mine")
    assert run(capsys, "init", "lenet5", "--config", str(tmp_path / "costcalc.yaml")).code == 2
    assert (tmp_path / "costcalc.yaml").read_text() == "mine"
