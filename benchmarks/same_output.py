"""Whether this working tree prints what another commit printed, byte for byte: for what should change nothing.

    python benchmarks/same_output.py main            every shipped model
    python benchmarks/same_output.py main 10         every tenth, for a first look

Each side runs the commands of ``commands`` on its own files. Prints the commands whose outputs differ, and how many
were compared; exits with 1 if any differs.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent


def commands(models: list[str]) -> Iterator[list[str]]:
    """What is asked of both sides."""
    yield ["list", "--format", "json"]
    yield ["schema"]
    for n, model in enumerate(models):
        yield ["analyze", model, "--format", "json", *(["--bits", "16"] if n % 3 == 0 else [])]
        yield ["analyze", model, "--format", "csv", *(["--depth", "2"] if n % 3 == 1 else [])]
        yield ["analyze", model, "--format", "markdown", *(["--by-kind"] if n % 3 == 2 else [])]
        yield ["analyze", model, *(["--machine", "a100"] if n % 2 else ["--sort", "traffic", "--top", "9"])]
        yield ["explain", model]
        if n % 4 == 0:
            form = ["table", "json", "csv", "markdown"][n // 4 % 4]
            yield ["compare", *models[n : n + 3], model, "--format", form, *(["--machine", "a100"] if n % 8 else [])]
            yield ["diff", model, models[n - 1], "--format", "csv"]
            yield ["diff", model, models[n - 1], "--format", ["table", "json", "markdown"][n // 4 % 3]]
        if n % 10 == 0:
            yield ["formula", model]
            yield ["formula", model, "--format", "json"]
    for model in ("mobilenet", "resnet50", "lenet5"):
        yield ["explain-layers", model]
    yield ["analyze", "mobilenet", "--format", "csv", "--machine", "a100"]
    yield ["analyze", "mobilenet", "--format", "json", "--machine", "a100", "--fps", "60"]
    yield ["diff", "resnet18", "resnet34", "--machine", "a100", "--by", "time", "--format", "json"]
    yield ["diff", "resnet18", "resnet34", "--by", "traffic", "--all"]
    for name in CONFIGS:
        yield ["check", "--config", name]
        for form in ("json", "markdown", "github", "junit", "sarif", "gitlab"):
            yield ["check", "--config", name, "--format", form]
    yield ["lock", "--config", "passed.yaml", "--update"]
    yield ["show", "costcalc.lock"]
    for name in ("passed.yaml", "changed.yaml"):
        for form in ("table", "json", "markdown"):
            yield ["check", "--config", name, "--format", form]


CONFIGS = {
    "failed.yaml": """\
version: 1
models:
  - name: backbone
    model: mobilenet
    budgets:
      {macs: 500M, ops: 1M, params: 4M, buffers: 1, weights: 1MiB, storage: 1MiB, traffic: {max: 1MiB},
       read: 1kB, write: 1kB, peak: {max: 1MiB, min: 1kB}, intensity: {min: 100}, receptive_field: {max: 10},
       time: {max: 1us, machine: a100}, layers: 3, uncounted: 0}
    layers:
      features.*: {macs: 1M, params: 3, traffic: 1MiB, storage: 1kB}
""",
    "passed.yaml": """\
version: 1
models:
  - name: small
    model: lenet5
    budgets: {macs: {max: 500M, max_increase: 2%}, params: {max_increase: 1%}, traffic: {max: 1GiB}}
  - name: deep
    model: resnet20
    budgets: {storage: {max: 1GiB}, uncounted: 0}
""",
}
CONFIGS["changed.yaml"] = CONFIGS["passed.yaml"].replace("resnet20", "resnet32").replace("lenet5", "alexnet")


def print_digests(every: int) -> None:
    """One line of JSON: each command with the digest of what it prints here, its exit code included."""
    from costcalc import load
    from costcalc.cli.dispatch import run
    from costcalc.zoo import models

    digests = {}
    names = sorted(models())[::every]
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name, text in CONFIGS.items():
            Path(name).write_text(text, encoding="utf-8")
        for command in commands(names):
            out = io.StringIO()
            lines = [command]
            if command[0] == "explain-layers":
                lines = [["explain", command[1], node.name] for node in load(command[1]).nodes]
                lines += [[*line, "--format", "json"] for line in lines] + [
                    [*line, "--machine", "a100"] for line in lines
                ]
            for line in lines:
                if line[0] == "show":
                    out.write(Path(line[1]).read_text(encoding="utf-8"))
                    continue
                with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
                    try:
                        run(line)
                    except SystemExit as stop:
                        out.write(f"exit {stop.code}")
            text = out.getvalue().replace(folder, "").replace(sys.path[0], "")
            digests[" ".join(command)] = hashlib.sha256(text.encode()).hexdigest(), len(text), text[:200]
    print(json.dumps(digests))


def digests_of(tree: str, every: int) -> dict[str, list[object]]:
    """What ``tree`` prints for each command."""
    code = "import runpy, sys; sys.path.insert(0, sys.argv[1]); m = runpy.run_path(sys.argv[2]); "
    code += "m['print_digests'](int(sys.argv[3]))"
    done = subprocess.run(
        [sys.executable, "-c", code, tree, __file__, str(every)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, list[object]] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> int:
    """Compare with the commit that is the first argument."""
    from against_commit import checked_out

    every = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    now = digests_of(str(ROOT), every)
    with checked_out(sys.argv[1]) as base:
        before = digests_of(base, every)
    differing = [command for command in now if now[command] != before.get(command)]
    for command in differing:
        print(f"differs: {command}")
    failed = sum(str(now[command][2]).startswith("error") for command in now)
    print(f"{len(now)} outputs compared, {len(differing)} differ; {failed} of them are errors")
    return bool(differing)


if __name__ == "__main__":
    sys.exit(main())
