"""Inputs of strangers by the thousand: each ends with a sentence and a code, without a traceback, within bounds.

A few hundred in every run; more on request: ``pytest tests/hostile -m long``, where ``COSTCALC_FUZZ`` says how many.
"""

from __future__ import annotations

import io
import json
import os
import random
import re
import shutil
import signal
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from test_git_of_strangers import _git

from costcalc.cli import dispatch
from tests.hostile import honest_files, strange_configs
from tests.hostile.honest_files import BLOCKS, CONFIG, MACHINE, REFS, SPECS, TOKENS, TOML, WORDS, damaged
from tests.torch import torchvision_stub

SHORT, LONG = 480, 20_000
MOST_SECONDS, MOST_MEMORY = 5.0, 1 << 30
"""Of CPU, and bytes, that a small input may take."""
CODES = (0, 1, 2, 4, 5)
Input = tuple[list[str], dict[str, bytes]]
"""Arguments, and files to write before."""


def mutated(text: str, chance: random.Random) -> bytes:
    """``text`` with some pieces taken out, doubled, put elsewhere, or in their place something strange."""
    data = text
    for _ in range(chance.choice((1, 1, 2, 3, 6))):
        at, end = sorted(chance.randrange(len(data) + 1) for _ in "ab")
        end = min(end, at + chance.choice((0, 1, 4, 20)))
        piece = chance.choice(
            [chance.choice(TOKENS), data[at:end] * chance.choice((0, 2, 3)), chr(chance.randrange(0x250))]
        )
        lines = data.split("\n")
        if chance.random() < 0.2:
            chance.shuffle(lines)
            data = "\n".join(lines)
        else:
            data = (data[:at] + piece + data[end:])[:60_000]
    made = bytearray(data.encode("utf-8", "surrogatepass"))
    if made and chance.random() < 0.1:
        made[chance.randrange(len(made))] = chance.randrange(256)
    return bytes(made)


def _softly(text: str, chance: random.Random) -> bytes:
    """``text`` as ``mutated`` has it, or, mostly, with other numbers alone, so that much of it is still legal."""
    if chance.random() < 0.3:
        return mutated(text, chance)
    found = list(re.finditer(r"(?<![\w.])\d+(\.\d+)?(?![\w.])", text))
    for at in sorted(chance.sample(found, min(len(found), chance.choice((1, 1, 2, 4)))), key=lambda m: -m.start()):
        number = chance.choice(("0", "1", "2", "3", "5", "7", "-1", "1e9", "0.5", "100000", "4097", "10**12", "1e-9"))
        text = text[: at.start()] + number + text[at.end() :]
    return text.encode()


class Folder:
    """A repository with two commits, whose files each input begins from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in (
            ("net.yaml", SPECS[0]),
            ("blocks.yaml", BLOCKS),
            ("mine.yaml", MACHINE),
            ("costcalc.yaml", CONFIG),
        ):
            Path(name).write_text(text, encoding="utf-8")
        _git("init", "--quiet", "--initial-branch", "main")
        _git("add", "--all")
        _git("commit", "--quiet", "--message", "one")
        dispatch.outcome(["lock"])
        dispatch.outcome(["analyze", "net.yaml", "--format", "json", "--output", "report.json"])
        _git("add", "--all")
        _git("commit", "--quiet", "--message", "two")
        self.files = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
        self.lock = self.files["costcalc.lock"].decode()
        self.report = self.files["report.json"].decode()

    def restore(self) -> None:
        """As it was, whatever an input has left."""
        for path in self.folder.iterdir():
            if path.name == ".git":
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name not in self.files:
                path.unlink()
        for name, data in self.files.items():
            path = self.folder / name
            if not path.is_file() or path.is_symlink() or path.read_bytes() != data:
                path.unlink(missing_ok=True)
                path.write_bytes(data)


def _spec(f: Folder, c: random.Random) -> Input:
    command = c.choice(
        [
            ["analyze", "net.yaml"],
            ["analyze", "net.yaml", "--format", "json"],
            ["show", "net.yaml", "--expand"],
            ["formula", "net.yaml"],
            ["analyze", "net.yaml", "--format", "markdown"],
            ["analyze", "net.yaml", "--format", "html"],
            ["analyze", "net.yaml", "--apply", "fuse", "--machine", "a100"],
            ["memory", "net.yaml", "--engine", c.choice(["eager", "tflite", "tflm", "mcu", "ideal"])],
            ["fits", "net.yaml", "--ram", "64 kB"],
            ["compare", "net.yaml", "lenet5"],
            ["diff", "net.yaml", "lenet5"],
        ]
    )
    return command, {
        "net.yaml": mutated(c.choice(SPECS), c),
        "blocks.yaml": mutated(BLOCKS, c) if c.random() < 0.3 else BLOCKS.encode(),
    }


def _config(f: Folder, c: random.Random) -> Input:
    format = c.choice(["table", "json", "github", "markdown", "junit", "sarif", "gitlab"])
    if c.random() < 0.3:
        return ["check", "--config", "own.toml", "--format", format], {"own.toml": mutated(TOML, c)}
    return ["check", "--format", format], {"costcalc.yaml": mutated(CONFIG, c)}


def _lock(f: Folder, c: random.Random) -> Input:
    data = mutated(f.lock, c)
    if c.random() < 0.5:  # with a checksum that holds
        try:
            lock = json.loads(data)
            from costcalc.budget.lock import _checksum

            lock["sha256"] = _checksum(lock["models"])
            data = json.dumps(lock).encode()
        except (ValueError, KeyError, TypeError, RecursionError):
            pass
    return c.choice([["check"], ["check", "--locked"], ["lock"]]), {"costcalc.lock": data}


def _machine(f: Folder, c: random.Random) -> Input:
    return ["analyze", "net.yaml", "--machine", "mine.yaml"], {"mine.yaml": mutated(MACHINE, c)}


def _baseline(f: Folder, c: random.Random) -> Input:
    return ["check", "--compare-to", "report.json"], {"report.json": mutated(f.report, c)}


def _ref(f: Folder, c: random.Random) -> Input:
    ref = "".join(c.choices(REFS, k=c.randint(1, 3))) + c.choice(["", chr(c.randrange(0x250))])
    return c.choice([["check", f"--base={ref}"], ["diff", f"--base={ref}"], ["diff", "--", ref, "net.yaml"],
                     ["history", "net.yaml", f"--since={ref}"]]), {}  # fmt: skip


def _name(f: Folder, c: random.Random) -> Input:
    name = (
        "".join(c.choices([*TOKENS[20:], *"abc:./-_"], k=c.randint(1, 4)))
        .replace("/", c.choice("/_"))
        .replace("\0", "")[:80]
    )
    files = {}
    if "/" not in name and name.strip(".") and c.random() < 0.7:
        name += ".yaml"
        files = {name: SPECS[0].encode()}
    if name.endswith((".py", "Net")):
        name = "x.yaml"
    quoted = json.dumps(name)
    if c.random() < 0.4:
        files["costcalc.yaml"] = f"version: 1\nmodels: [{{model: {quoted}, budgets: {{macs: 1}}}}]\n".encode(
            "utf-8", "surrogatepass"
        )
        return ["check", "--format", c.choice(["json", "github", "markdown"])], files
    if c.random() < 0.4:
        files["net.yaml"] = f"use: [{quoted}]\n{SPECS[0]}- model({quoted})\n".encode("utf-8", "surrogatepass")
        return ["analyze", "net.yaml"], files
    return ["analyze", "--", name], files


def _arguments(f: Folder, c: random.Random) -> Input:
    words = c.choices(WORDS, k=c.randint(0, 6))
    if c.random() < 0.3 and words:
        words[c.randrange(len(words))] = mutated(c.choice(WORDS), c).decode("utf-8", "surrogateescape")
    words = [w for w in words if ".py" not in w and "timm" not in w and "torchvision" not in w]
    return (words if not words or words[0] != "init" else [*words, "--config", "made.yaml"]), {}


def _onnx(f: Folder, c: random.Random) -> Input:
    data = honest_files.random_onnx(c) if c.random() < 0.5 else damaged(honest_files.ONNX, c)
    return [*c.choice(OF_FILES), "net.onnx"], {"net.onnx": data}


def _tflite(f: Folder, c: random.Random) -> Input:
    data = honest_files.random_tflite(c) if c.random() < 0.5 else damaged(honest_files.TFLITE, c)
    return [*c.choice([*OF_FILES, ["weights"]]), "net.tflite"], {"net.tflite": data}


def _ncnn(f: Folder, c: random.Random) -> Input:
    return [*c.choice(OF_FILES), "net.param"], {"net.param": mutated(honest_files.NCNN, c)}


def _weights(f: Folder, c: random.Random) -> Input:
    file = c.choice(("m.safetensors", "m.gguf", "m.safetensors.index.json"))
    files = {"m.safetensors": honest_files.SAFETENSORS}
    if file.endswith("json"):
        files[file] = mutated(honest_files.INDEX, c)
    else:
        files[file] = damaged(honest_files.GGUF if file.endswith("gguf") else honest_files.SAFETENSORS, c)
    return ["weights", file, *c.choice(([], ["--by-type"], ["--format", "json"]))], files


def _packing(f: Folder, c: random.Random) -> Input:
    more = c.choice(([], ["--capacity", "64 B"], ["--format", "json"], ["--seconds", "0.1"]))
    return ["pack", "tensors.csv", *more], {"tensors.csv": mutated(honest_files.PACKING, c)}


def _pages(f: Folder, c: random.Random) -> Input:
    command = c.choice(
        [
            ["report", "net.yaml", "--output", "made.html"],
            ["report", "net.yaml", "--machine", "mine.yaml", "--engine", "tflm", "--output", "made.html"],
            ["compare", "net.yaml", "lenet5", "--format", "html"],
            ["diff", "lenet5", "net.yaml", "--format", "html"],
            ["check", "--report", "made.html"],
        ]
    )
    return command, {"net.yaml": _softly(c.choice(SPECS), c), "blocks.yaml": _softly(BLOCKS, c)}


def _exports(f: Folder, c: random.Random) -> Input:
    from costcalc.backends.export import FORMATS

    kind = c.choice([*FORMATS])
    more = ["--machine", "mine.yaml"] if FORMATS[kind].needs else []
    if c.random() < 0.4:
        file, data = c.choice(
            (("net.onnx", honest_files.ONNX), ("net.tflite", honest_files.TFLITE), ("net.param", honest_files.NCNN))
        )
        data = _softly(data, c) if isinstance(data, str) else damaged(data, c)
    else:
        file, data = "net.yaml", _softly(c.choice(SPECS), c)
    return ["export", kind, file, *more, "--output", "made.x"], {file: data}


def _other_figures(f: Folder, c: random.Random) -> Input:
    command = c.choice(
        [
            ["traffic", "net.yaml"],
            ["traffic", "net.yaml", "--format", "json"],
            ["field", "net.yaml"],
            ["analyze", "net.yaml", "--energy", "horowitz_45nm", "--format", "csv"],
            ["table", "net.yaml", "lenet5", "--format", c.choice(["latex", "markdown", "csv", "json"])],
            ["memory", "net.yaml", "--train"],
            ["explain", "net.yaml", "stem"],
        ]
    )
    return command, {"net.yaml": _softly(c.choice(SPECS), c)}


def _plots(f: Folder, c: random.Random) -> Input:
    command = c.choice(
        [
            ["roofline", "net.yaml", "--machine", "mine.yaml"],
            ["memory", "net.yaml", "--engine", "tflm"],
            ["treemap", "net.yaml"],
            ["receptive-field", "net.yaml", "lenet5"],
            ["waterfall", "net.yaml", "lenet5"],
            ["pareto", "net.yaml", "lenet5", "--with", "beside.csv", "-x", "acc@top1"],
        ]
    )
    data = _softly(c.choice(SPECS), c) if c.random() < 0.7 else SPECS[0].encode()
    return ["plot", *command, "--output", "made.svg"], {
        "net.yaml": data,
        "beside.csv": _softly(honest_files.BESIDE, c) if c.random() < 0.5 else honest_files.BESIDE.encode(),
    }


def _calibrated(f: Folder, c: random.Random) -> Input:
    command = c.choice(
        (["analyze", "net.yaml"], ["report", "net.yaml", "--output", "made.html"], ["export", "perfetto", "net.yaml"])
    )
    return [*command, "--machine", "cal.yaml"], {"cal.yaml": _softly(honest_files.CALIBRATED, c)}


def _energy(f: Folder, c: random.Random) -> Input:
    files = {"energy.yaml": _softly(honest_files.ENERGY, c)}
    name = c.choice(("energy.yaml", "energy.yaml:sram", "energy.yaml:dram"))
    if c.random() < 0.4:
        text = CONFIG.replace("time: {max: 1 ms, machine: mine.yaml}", f"energy: {{max: 1 mJ, energy: {name}}}")
        return ["check"], files | {"costcalc.yaml": _softly(text, c) if c.random() < 0.3 else text.encode()}
    return ["analyze", "net.yaml", "--energy", name, "--format", c.choice(("table", "json", "csv", "markdown"))], files


def _times(f: Folder, c: random.Random) -> Input:
    files = {"times.csv": _softly(honest_files.TIMES, c), "blocks2.yaml": SPECS[1].encode()}
    more = c.choice(([], ["--machine", "mine.yaml"], ["--processor", "gpu", "--bits", "16"], ["--apply", "fuse:ort"]))
    return ["calibrate", "--from", "times.csv", *more, "--output", "made.yaml"], files


def _beside(f: Folder, c: random.Random) -> Input:
    more = c.choice(([], ["--columns", "macs,acc@top1"], ["--columns", "acc@top1", "--best", "acc@top1=max"]))
    format = c.choice(("table", "latex", "markdown", "csv", "json"))
    return ["table", "net.yaml", "lenet5", "--with", "beside.csv", "--format", format, *more], {
        "beside.csv": _softly(honest_files.BESIDE, c)
    }


def _history(f: Folder, c: random.Random) -> Input:
    """A history with one more mutated spec, and mostly an honest one after it: inputs before have left theirs too."""
    for text in (_softly(SPECS[0], c), SPECS[0].encode())[: c.choice((1, 2, 2, 2))]:
        (f.folder / "net.yaml").write_bytes(text)
        _git("commit", "--quiet", "--allow-empty", "--message", "next", "net.yaml")
    return ["history", "net.yaml", "--format", c.choice(("table", "json", "csv", "markdown"))], {}


def _node_names(f: Folder, c: random.Random) -> Input:
    names = ["".join(c.choices([*TOKENS, *"abc./:$"], k=c.randint(1, 3)))[:80] for _ in range(3)]
    data = honest_files.named_onnx([name.encode("utf-8", "replace").decode() for name in names])
    more = c.choice((["node-data", "net.onnx"], ["model-explorer", "net.onnx"]))
    return ["export", *more, "--by", c.choice(("macs", "params", "ops")), "--output", "made.json"], {"net.onnx": data}


def _hugging_face(f: Folder, c: random.Random) -> Input:
    more = c.choice(([], ["--tokens", "8"], ["--set", "prompt=4"], ["--format", "json"], ["--input", "3x16x16"]))
    return [c.choice(("analyze", "analyze", "trace", "formula")), "hf:config.json", *more], {
        "config.json": strange_configs.config(c)
    }


def _ultralytics(f: Folder, c: random.Random) -> Input:
    command = c.choice((["analyze"], ["analyze", "--input", "3x64x64"], ["trace"], ["analyze", "--format", "json"]))
    return [*command, "ultralytics:yolo"], {"yolo.yaml": strange_configs.yolo(c)}


OF_FILES = [
    ["analyze"], ["analyze", "--format", "json"], ["explain"], ["trace"], ["memory"], ["memory", "--engine", "tflm"],
    ["analyze", "--apply", "fuse"], ["formula"], ["fits", "--ram", "8 kB"], ["analyze", "--format", "html"],
]  # fmt: skip
"""What is asked of a model that is a file."""

KINDS: dict[str, Callable[[Folder, random.Random], Input]] = {
    "specs": _spec,
    "configs": _config,
    "locks": _lock,
    "machine files": _machine,
    "baselines": _baseline,
    "refs": _ref,
    "names": _name,
    "arguments": _arguments,
    "ONNX files": _onnx,
    "TFLite files": _tflite,
    "ncnn networks": _ncnn,
    "files of weights": _weights,
    "packings": _packing,
    "pages": _pages,
    "exports": _exports,
    "other figures": _other_figures,
    "plots": _plots,
    "calibrated machines": _calibrated,
    "tables of energies": _energy,
    "tables of times": _times,
    "tables beside": _beside,
    "histories": _history,
    "names of nodes": _node_names,
    "configurations of Hugging Face": _hugging_face,
    "networks of ultralytics": _ultralytics,
}
NEEDS = {"configurations of Hugging Face": "transformers", "networks of ultralytics": "ultralytics"}
"""Kinds that a package of others reads."""


def run(kind: str, count: int, seed: int, folder: Folder) -> tuple[Counter[str], list[str]]:
    """How many inputs ended how, and those that ended as none may, with their seeds."""
    told: Counter[str] = Counter()
    bad: list[str] = []
    for n in range(count):
        name = f"{kind} {seed} {n}"
        args, files = KINDS[kind](folder, random.Random(name))
        try:
            for path, data in files.items():
                (folder.folder / path).write_bytes(data)
        except (OSError, ValueError):
            told["no file system has it"] += 1
            folder.restore()
            continue
        # As the command's own streams are: what is not text is written as something.
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", errors="backslashreplace") for _ in "oe")
        held, start = _begin(), time.process_time()
        try:
            with redirect_stdout(out), redirect_stderr(err), _ended_after(4 * MOST_SECONDS):
                code: int | str = dispatch.outcome(args)
        except BaseException:  # SystemExit as well: none gets so far
            code = traceback.format_exc()[-600:]
        took = time.process_time() - start
        err.seek(0)
        said = err.read()
        told["inputs"] += 1
        if code not in CODES or "Traceback" in said:
            told["tracebacks"] += 1
            bad.append(f"{name}: {args} gives {code}: {said[-300:]}")
        if took > MOST_SECONDS:
            told["over bounds"] += 1
            bad.append(f"{name}: {args} takes {took:.1f} s")
        if (took_bytes := _memory("VmHWM") - held) > MOST_MEMORY:
            told["over bounds"] += 1
            bad.append(f"{name}: {args} takes {took_bytes:,} bytes")
        folder.restore()
    return told, bad


@contextmanager
def _ended_after(seconds: float) -> Iterator[None]:
    """An exception for what has taken so many seconds of CPU, that one input may not hold up all others."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def end(number: int, frame: Any) -> None:
        raise TimeoutError(f"not done after {seconds:.0f} s")

    before = signal.signal(signal.SIGPROF, end)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _memory(what: str) -> int:
    """Bytes that this process holds (``VmRSS``), or the most that it has held (``VmHWM``); 0 where nobody tells."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in status.splitlines() if line.startswith(what)), 0)


def _begin() -> int:
    """Begin to look for the most memory anew; the bytes that are held now."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _memory("VmRSS")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Folder:
    """The repository, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    for variable in ("GITHUB_STEP_SUMMARY", "FORCE_COLOR", "COSTCALC_TRACEBACK"):
        monkeypatch.delenv(variable, raising=False)
    made = Folder(tmp_path)
    capsys.readouterr()
    return made


def test_honest_files_are_honest(folder: Folder, capsys: Any) -> None:
    """What random inputs begin from is taken whole: damage to what is refused anyway finds nothing."""
    for name, text in (
        ("blocks.yaml", BLOCKS), ("cal.yaml", honest_files.CALIBRATED), ("energy.yaml", honest_files.ENERGY),
        ("times.csv", honest_files.TIMES), ("beside.csv", honest_files.BESIDE), ("blocks2.yaml", SPECS[1]),
        ("net.param", honest_files.NCNN), ("tensors.csv", honest_files.PACKING), ("own.toml", TOML),
        ("m.safetensors.index.json", honest_files.INDEX),
    ):  # fmt: skip
        Path(name).write_text(text, encoding="utf-8")
    for file, data in (("net.onnx", honest_files.ONNX), ("net.tflite", honest_files.TFLITE),
                       ("m.gguf", honest_files.GGUF), ("m.safetensors", honest_files.SAFETENSORS)):  # fmt: skip
        Path(file).write_bytes(data)
    lines = [
        ["analyze", "net.yaml", "--machine", "cal.yaml", "--energy", "energy.yaml:sram"], ["pack", "tensors.csv"],
        ["table", "net.yaml", "lenet5", "--with", "beside.csv", "--columns", "acc@top1"],
        *(["analyze", file] for file in ("net.onnx", "net.tflite", "net.param")),
        *(["weights", file] for file in ("m.gguf", "m.safetensors", "m.safetensors.index.json")),
        ["history", "net.yaml"], ["export", "node-data", "net.yaml", "--by", "params", "--output", "made.json"],
        ["export", "model-explorer", "net.yaml", "--by", "params", "--output", "made.x"],
    ]  # fmt: skip
    if find_spec("scipy"):
        lines.append(["calibrate", "--from", "times.csv", "--output", "made.yaml"])
    for line in lines:
        assert dispatch.outcome(line) == 0, (line, capsys.readouterr().err)
    assert dispatch.outcome(["check", "--config", "own.toml"]) in (0, 1)
    for spec in SPECS:
        Path("net.yaml").write_text(spec, encoding="utf-8")
        assert dispatch.outcome(["analyze", "net.yaml"]) == 0, (spec, capsys.readouterr().err)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in NEEDS])
def test_a_few_hundred(kind: str, folder: Folder) -> None:
    told, bad = run(kind, SHORT // len(KINDS), 0, folder)
    assert not bad, bad[:5]
    assert told["inputs"] > SHORT // len(KINDS) // 2


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_as_many_as_asked_for(kind: str, folder: Folder, capsys: Any) -> None:
    if kind in NEEDS:
        pytest.importorskip(NEEDS[kind])
        torchvision_stub.install()
        run(kind, 1, 0, folder)  # which imports that package
    count = int(os.environ.get("COSTCALC_FUZZ", LONG)) // len(KINDS)
    told, bad = run(kind, count, random.SystemRandom().randrange(10**9), folder)
    with capsys.disabled():
        print(
            f"\n{kind}: {told['inputs']:,} inputs, {told['tracebacks']} tracebacks, {told['over bounds']} over bounds"
        )
    assert not bad, "\n".join(bad[:20])


# -- exported programs: without PyTorch's reader where the archive is refused, which is nearly always ---------------


def _exported(count: int, seed: int, folder: Path) -> tuple[int, list[str]]:
    """Damage an honest archive ``count`` times; what is neither refused in a sentence nor copied is told."""
    import torch

    from costcalc.frontends.torch.archive import ArchiveError, copy_of_the_known

    honest = folder / "honest.pt2"
    torch.export.save(torch.export.export(torch.nn.Conv2d(3, 4, 3).eval(), (torch.zeros(1, 3, 8, 8),)), honest)
    whole = honest.read_bytes()
    with zipfile.ZipFile(honest) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    texts = [name for name in parts if name.endswith(".json")]
    bad, refused = [], 0
    for n in range(count):
        chance = random.Random(f"{seed} {n}")
        path = folder / "strange.pt2"
        if chance.random() < 0.5:
            data = bytearray(whole)
            for _ in range(chance.randint(1, 8)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            path.write_bytes(data[: chance.choice((len(data), chance.randrange(len(data))))])
        else:
            name = chance.choice(texts)
            with zipfile.ZipFile(path, "w") as archive:
                for part, content in parts.items():
                    archive.writestr(part, mutated(content.decode(), chance) if part == name else content)
        start = time.process_time()
        try:
            copy_of_the_known(str(path), folder / "copy.pt2")
        except ArchiveError:
            refused += 1
        except BaseException:
            bad.append(f"{seed} {n}: {traceback.format_exc()[-400:]}")
        if time.process_time() - start > MOST_SECONDS:
            bad.append(f"{seed} {n}: over bounds")
    return refused, bad


@pytest.mark.skipif(not find_spec("torch"), reason="needs torch")
def test_a_few_exported_programs(tmp_path: Path) -> None:
    refused, bad = _exported(150, 0, tmp_path)
    assert not bad, bad[:3]
    assert refused > 75


@pytest.mark.long
@pytest.mark.skipif(not find_spec("torch"), reason="needs torch")
def test_exported_programs_as_many_as_asked_for(tmp_path: Path, capsys: Any) -> None:
    count = int(os.environ.get("COSTCALC_FUZZ", LONG)) // len(KINDS)
    refused, bad = _exported(count, random.SystemRandom().randrange(10**9), tmp_path)
    with capsys.disabled():
        print(f"\n.pt2: {count:,} inputs, {refused:,} refused, {len(bad)} otherwise than in a sentence")
    assert not bad, "\n".join(bad[:20])
