"""The house: who may import whom, files small enough to read, names that say something."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "costcalc"

# docs/design.md, "The path of the data". Anything else inside costcalc may import everything.
MAY_IMPORT = {
    "ir": {"ir", "errors"},
    "ops": {"ops", "ir", "errors"},
    "analysis": {"analysis", "ir", "errors"},
    "transforms": {"transforms", "ir", "ops", "errors"},
    "packing": {"packing", "errors"},
    "planning": {"planning", "packing", "transforms", "analysis", "ir", "errors"},
    "reading": {"reading", "errors"},
    "frontends": {"frontends", "reading", "ir", "ops", "errors"},
    "difference": {"difference", "analysis", "frontends", "reading", "ir", "errors", "load"},
    "budget": {
        "budget",
        "difference",
        "backends",
        "analysis",
        "frontends",
        "reading",
        "machines",
        "models",
        "planning",
        "transforms",
        "writing",
        "zoo",
        "ir",
        "errors",
        "__version__",
        "load",
    },
    "backends": {
        "backends",
        "analysis",
        "planning",
        "difference",
        "budget",
        "comparison",
        "reading",
        "ir",
        "packing",
        "ops",
        "errors",
        "__version__",
    },
}
# `find_op` asks the table of names where an op lives; nothing else in ir/ knows of ops.
EXCEPTIONS = {
    "ir/op.py": {"ops"},
    # Records print and write themselves at a prompt: back ends are asked when that is asked for.
    "analysis/presented.py": {"backends", "cli", "writing"},
    "difference/records.py": {"backends"},
}
# What only runs once torch is there.
NEEDS_TORCH = PACKAGE / "frontends" / "torch"
HEAVY = {"torch", "numpy", "sympy", "fvcore", "onnx", "torchvision", "timm"}

FILES = sorted(PACKAGE.rglob("*.py"))


def imports(path: Path, *, top_level: bool = False) -> set[str]:
    """The modules that a file imports; those under ``if TYPE_CHECKING`` are left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: set[str] = set()

    def walk(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.orelse:
                walk(child)
            return
        if top_level and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            walk(child)

    walk(tree)
    return found


def part(module: str) -> str:
    """``analysis`` of ``costcalc.analysis.report``."""
    return module.split(".")[1] if "." in module else ""


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_dependencies_point_one_way(path: Path) -> None:
    folder = path.relative_to(PACKAGE).parts[0]
    if folder not in MAY_IMPORT:
        return
    ours = {part(m) for m in imports(path) if m.startswith("costcalc.")}
    extra = ours - MAY_IMPORT[folder] - EXCEPTIONS.get(str(path.relative_to(PACKAGE)), set())
    assert not extra, f"{folder} imports {extra}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_heavy_is_imported_before_it_is_used(path: Path) -> None:
    if NEEDS_TORCH in path.parents:
        return
    heavy = {m.split(".")[0] for m in imports(path, top_level=True)} & HEAVY
    assert heavy == set()


@pytest.mark.parametrize("path", sorted((PACKAGE / "frontends" / "calls").rglob("*.py")), ids=lambda p: p.name)
def test_recorded_calls_need_no_torch(path: Path) -> None:
    """Not even where a function runs: files of other formats become graphs by them."""
    assert not {m for m in imports(path) if m.split(".")[0] in HEAVY or m.startswith("costcalc.frontends.torch")}


def test_the_walk_would_notice(tmp_path: Path) -> None:
    file = tmp_path / "bad.py"
    file.write_text("import numpy as np\nif TYPE_CHECKING:\n    import torch\ndef f():\n    import sympy\n")
    assert imports(file, top_level=True) & HEAVY == {"numpy"}
    assert imports(file) & HEAVY == {"numpy", "sympy"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_are_small_enough_to_read_whole(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 450
    assert "util" not in path.stem


def test_no_registry_host_and_no_path_of_a_machine_is_committed() -> None:
    import subprocess

    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    banned = ["/" + "work/", "/" + "root/", "/" + "tmp/venv", "pypi" + ".org", "registry.npm" + "js"]
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.is_file() and path.suffix in {".py", ".md", ".yaml", ".yml", ".toml", ".txt", ".json", ".csv", ""}:
            text = path.read_text(encoding="utf-8", errors="replace")
            assert not [b for b in banned if b in text], name


def test_test_files_have_names_of_their_own() -> None:
    """pytest imports test files by their bare names."""
    names = [p.name for p in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(set(names)) == sorted(names)
