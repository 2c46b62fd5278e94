"""What people mean who type a command or an option of another tool, or a model alone: the line to write instead.

Nothing of this is imported before a line has gone wrong.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from costcalc.cli.commands import COMMANDS, find_command
from costcalc.errors import listing, near
from costcalc.ir.tensor import bits_meant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costcalc.cli.parameters import Command

_ANALYZE = "summary profile profiler stats statistics info inspect cost costs count macs params estimate print run"
MEANT = {
    **dict.fromkeys(_ANALYZE.split(), "analyze"),
    **dict.fromkeys(("flops", "gflops", "flop"), "analyze --flops"),
    **dict.fromkeys(("latency", "time", "speed", "benchmark", "bench", "roofline"), "analyze --machine a100"),
    **dict.fromkeys(("ram", "peak", "arena", "vram", "footprint"), "memory"),
    **dict.fromkeys(("rf", "receptive-field", "receptive_field", "sees", "fov"), "field"),
    **dict.fromkeys(("train", "training"), "memory --train"),
    **dict.fromkeys(("why", "describe", "layer"), "explain"),
    **dict.fromkeys(("html", "page", "view", "visualize", "visualise", "dashboard", "treemap"), "report"),
    **dict.fromkeys(("changes", "delta"), "diff"),
    **dict.fromkeys(("budget", "budgets", "ci", "test", "gate"), "check"),
    **dict.fromkeys(("models", "ls", "zoo", "search"), "list"),
    "machines": "list --machines", "transforms": "list --transforms", "hardware": "list --machines",
    **dict.fromkeys(("spec", "cat", "source"), "show"),
    **dict.fromkeys(("export", "convert"), "trace"),
    **dict.fromkeys(("log", "trend"), "history"),
    "help": "--help", "version": "--version",
}  # fmt: skip
"""What others call a command → ours, with the option that it needs."""
ALONE = ("list", "--help", "--version", "check")
"""Of these, the ones that need no model."""

OPTIONS = {
    "--json": "--format json", "--csv": "--format csv", "--html": "--format html",
    **dict.fromkeys(("--md", "--markdown"), "--format markdown"),
    **dict.fromkeys(("--latex", "--tex"), "--format latex"),
    **dict.fromkeys(("--dtype", "--precision", "--datatype", "--data-type", "--element", "--type"), "--bits"),
    **dict.fromkeys(("--fp16", "--half", "--float16", "--bf16", "--bfloat16"), "--bits 16"),
    **dict.fromkeys(("--fp32", "--float32"), "--bits 32"),
    **dict.fromkeys(("--int8", "--quantized", "--quantize"), "--bits 8"),
    **dict.fromkeys(("--device", "--gpu", "--hardware", "--target", "--accelerator", "--latency"), "--machine"),
    **dict.fromkeys(("--input-size", "--input-shape", "--input_size", "--input_shape", "--shape", "--size",
                     "--resolution", "--image-size", "--img-size", "--inputs"), "--input"),
    **dict.fromkeys(("--batch-size", "--batch_size", "--bs"), "--batch"),
    **dict.fromkeys(("--out", "--file", "--save", "--save-to", "--to"), "--output"),
    **dict.fromkeys(("--max-depth", "--level", "--levels"), "--depth"),
    **dict.fromkeys(("--limit", "--head", "--most", "-n"), "--top"),
    **dict.fromkeys(("--sort-by", "--order", "--order-by"), "--sort"),
    **dict.fromkeys(("--cols", "--column", "--fields", "--metrics", "--show"), "--columns"),
    **dict.fromkeys(("--fuse-bn", "--fold-bn", "--fold-batchnorm", "--fuse"), "--fold-norm"),
    **dict.fromkeys(("--param", "--parameter", "--arg", "--args", "--option"), "--set"),
    **{f"--{name}": f"--columns {name}" for name in ("macs", "gmacs", "gflops", "mflops", "params", "mparams")},
    "--sram": "--ram", "--memory": "--ram", "--mem": "--ram", "--rom": "--flash",
    "--flop": "--flops", "--in-flops": "--flops",
    **dict.fromkeys(("--full", "--verbose", "-v"), "--all"),
}  # fmt: skip
"""What others call an option → ours, perhaps with its value."""

MOST = 100
"""Characters of a line to write instead."""


def no_command(args: Sequence[str], known: Sequence[str]) -> str:
    """The sentence for a line whose first word is not a command."""
    name, rest = args[0], list(args[1:])
    said = f"no command called '{name[:40]}'"
    if _is_model(name):
        return f"{said}, which is a model: write {_line(['analyze', *args])}"
    other = MEANT.get(name.lower())
    if other is not None:
        command, *more = other.split()
        line = [command, *rest, *(word for word in more if word not in rest)]
        line += ["MODEL"] * (not any(not word.startswith("-") for word in rest) and command not in ALONE)
        return f"{said}: write {_line(line)}"
    there = f"; there are {listing(known)}"
    return f"{said}{near(name, known) or _near_model(name)}{there}"


IN_CONFIG = {
    **dict.fromkeys(("--max-increase", "--max_increase", "--tolerance", "--threshold"), "macs: {max_increase: 2%}"),
    **dict.fromkeys(("--max-decrease", "--max_decrease"), "macs: {max_decrease: 2%}"),
    "--min": "macs: {min: 1 G}",
    "--layers": "layers: {'head.*': {macs: 1 G}}",
}
"""Options of ``check`` that people expect → how a config says it."""


def no_option(name: str, args: Sequence[str], command: Command | None) -> str:
    """What to write in place of an option ``name`` that ``command`` does not have; "" where nobody knows."""
    if command is None:
        return "; options follow a command and what it takes: costcalc analyze MODEL --depth 2"
    name = name.partition("=")[0]
    if args[:1] == ["check"] and name in IN_CONFIG:
        return f"; a config says it, costcalc.yaml: {IN_CONFIG[name]}"
    option, _, value = OPTIONS.get(name.lower(), "").partition(" ")
    parameter = next((p for p in command.parameters.values() if option in p.declared.names), None)
    if parameter is None and (those := _having(name)):
        return f", which {listing(those)} {'have' if len(those) > 1 else 'has'}; see costcalc {args[0]} --help"
    if parameter is None or (value and option == "--format" and value not in formats(parameter.kind)):
        return ""
    given = _given(name, args)
    if option == "--bits" and not value:
        meant = bits_meant(given)
        value = str(meant) if meant else "16"
        return f": element types are given by their width, {option} {value}"
    if not value and parameter.kind is not bool:
        value = given or parameter.declared.metavar or "…"
    return f": write {f'{option} {value}'.rstrip()[:MOST]}"


def _having(name: str) -> list[str]:
    """The commands that have the option ``name``."""
    return [
        command
        for command in COMMANDS
        if any(name in p.declared.names for p in find_command(command)[0].parameters.values())
    ]


def formats(kind: Any) -> list[str]:
    """The formats of a command, of which ``kind`` is the type."""
    return [str(one.value) for one in kind]


def _given(name: str, args: Sequence[str]) -> str:
    """What follows the option ``name``."""
    for word, after in zip(args, [*args[1:], ""], strict=True):
        if word == name:
            return "" if after.startswith("-") else after
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
    return ""


def _line(words: Sequence[str]) -> str:
    line = f"costcalc {shlex.join(words)}"
    return line if len(line) <= MOST else f"{line[: MOST - 1]}…"


def _is_model(name: str) -> bool:
    from costcalc.frontends.sources import SOURCES, SPEC, is_path, source_of
    from costcalc.zoo import models

    return name in models() or is_path(name) or source_of(name) is not SOURCES[SPEC]


def _near_model(name: str) -> str:
    from costcalc.zoo import models

    found = near(name, models())
    return found.replace("did you mean '", "did you mean costcalc analyze ").replace("'?", "?")
