"""The house: who may import whom, files small enough to read, names that say something."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import costcalc

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "costcalc"

# docs/design.md, "The path of the data": each folder and each file beside them, and what it may import besides itself.
BASE = {"ir", "errors", "classes"}
GRAPHS = BASE | {"ops", "reading", "frontends", "transforms"}
RECORDS = BASE | {"analysis", "amounts"}
MAY_IMPORT = {
    "classes": set(),
    "errors": {"classes"},
    "progress": set(),
    "writing": {"errors", "classes"},
    "reading": {"errors", "classes"},
    "ir": BASE,
    "ops": BASE,
    "analysis": BASE,
    "transforms": BASE | {"ops"},
    "packing": {"errors", "classes", "reading"},
    "planning": BASE | {"packing", "transforms", "analysis"},
    "frontends": BASE | {"ops", "progress", "reading"},
    "amounts": BASE | {"analysis"},
    "comparison": RECORDS,
    "pictures": RECORDS | {"planning", "difference", "tabulation", "transforms"},
    "tabulation": RECORDS | {"comparison", "reading"},
    "difference": BASE | {"analysis", "frontends", "progress", "reading", "models"},
    "zoo": {"errors"},
    "models": GRAPHS | {"analysis", "zoo"},
    "machines": {"errors", "analysis", "calibration", "reading", "zoo"},
    "energy": {"errors", "analysis", "reading", "zoo"},
    "calibration": GRAPHS | {"analysis", "models", "planning", "progress", "transforms"},
    "budget": RECORDS
    | GRAPHS
    | {
        "arguments",
        "energy",
        "planning",
        "progress",
        "difference",
        "machines",
        "models",
        "writing",
        "zoo",
        "__version__",
    },
    "backends": RECORDS
    | {
        *{"packing", "planning", "difference", "budget", "comparison", "tabulation", "pictures", "reading", "ops"},
        "__version__",
    },
    "arguments": BASE | {"energy", "frontends", "machines", "models", "transforms"},
    "api": RECORDS
    | GRAPHS
    | {"arguments", "backends", "budget", "comparison", "difference", "machines", "models", "planning", "verification"},
    "exports": BASE | {"analysis", "arguments", "backends"},
    "memory_api": RECORDS | GRAPHS | {"arguments", "models", "planning"},
    "verification": RECORDS | GRAPHS | {"backends", "difference", "models"},
    "literature": RECORDS | GRAPHS | {"backends", "models", "zoo"},
    "integrations": RECORDS | GRAPHS | {"arguments", "budget", "difference", "models", "writing", "backends"},
    "migrate": BASE | {"analysis", "frontends"},
    "pytest_plugin": {"integrations"},
    "main": {"integrations"},
    "cli": RECORDS
    | GRAPHS
    | {
        *{"api", "backends", "budget", "calibration", "comparison", "difference", "machines", "models", "planning"},
        *{
            "arguments",
            "energy",
            "verification",
            "exports",
            "memory_api",
            "pictures",
            "packing",
            "progress",
            "reading",
            "tabulation",
            "writing",
            "zoo",
            "__version__",
        },
    },
    "__init__": set(),
    "__main__": {"cli"},
}
PUBLIC = {f"costcalc.{name}": module.split(".")[1] for name, module in costcalc._WHERE.items()}
EXCEPTIONS = {
    "ir/op.py": {"ops"},  # `find_op` asks the table of names where an op lives; nothing else in ir/ knows of ops
    "zoo/build.py": {"analysis", "frontends", "models", "reading"},  # by it the index is made, and nothing looked up
    # Records print and write themselves at a prompt: back ends are asked when that is asked for.
    "analysis/presentation.py": {"backends", "writing"},
    "ir/graph.py": {"backends"},
    "calibration/onnx_runtime.py": {"backends"},  # a graph is run as PyTorch's module, which writes it as ONNX
    "budget/outcome.py": {"backends"},
    "difference/records.py": {"backends"},
    "comparison.py": {"backends"},
    "planning/records.py": {"backends"},
}
# Whose imports inside functions lead back to what imports them: ``EXCEPTIONS``, and names that hold expressions.
LEADS_BACK = {*EXCEPTIONS, "frontends/spec/evaluate.py"}
# What only runs once torch, or matplotlib, is there.
NEEDS_TORCH = PACKAGE / "frontends" / "torch"
NEEDS_MATPLOTLIB = PACKAGE / "backends" / "plots"
HEAVY = {"torch", "numpy", "sympy", "fvcore", "onnx", "torchvision", "timm", "matplotlib"}

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
    """``analysis`` of ``costcalc.analysis.report``, and the home of what the package itself offers."""
    return PUBLIC.get(module, module.split(".")[1])


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_dependencies_point_one_way(path: Path) -> None:
    place = path.relative_to(PACKAGE)
    folder = place.parts[0].removesuffix(".py")
    ours = {part(m) for m in imports(path) if m.startswith("costcalc.")}
    extra = ours - MAY_IMPORT[folder] - {folder} - EXCEPTIONS.get(place.as_posix(), set())
    assert not extra, f"{folder} imports {extra}"


def test_what_may_be_imported_has_no_circle_and_names_nothing_that_is_not_there() -> None:
    there = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in FILES}
    assert MAY_IMPORT.keys() == there
    left = {folder: ours - {folder, "__version__"} for folder, ours in MAY_IMPORT.items()}
    while left:
        free = {folder for folder, ours in left.items() if not ours}
        assert free, f"these wait for each other: {left}"
        left = {folder: ours - free for folder, ours in left.items() if folder not in free}


def test_modules_import_each_other_in_no_circle() -> None:
    """Not where a function runs either, but for those of which the reason stands above."""
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in FILES}
    left = {
        name: imports(path, top_level=path.relative_to(PACKAGE).as_posix() in LEADS_BACK) & modules.keys() - {name}
        for name, path in modules.items()
    }
    # ``from a.b import c`` names the module a.b beside a.b.c; importing the packages themselves runs nothing of theirs.
    packages = {name for name, path in modules.items() if path.stem == "__init__"}
    left = {name: ours if name in packages else _deepest(ours) for name, ours in left.items()}
    while left:
        free = {name for name, ours in left.items() if not ours}
        assert free, f"these wait for each other: {left}"
        left = {name: ours - free for name, ours in left.items() if name not in free}


def _deepest(modules: set[str]) -> set[str]:
    """``modules`` without the packages of others among them."""
    return {m for m in modules if not any(other.startswith(f"{m}.") for other in modules)}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_heavy_is_imported_before_it_is_used(path: Path) -> None:
    if NEEDS_TORCH in path.parents or (NEEDS_MATPLOTLIB in path.parents and path.stem not in ("__init__", "attached")):
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


def test_a_class_name_means_one_thing() -> None:
    where: dict[str, list[str]] = {}
    for path in FILES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                where.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    assert len(where) > 300
    assert not {name: places for name, places in where.items() if len(places) > 1}


def test_test_files_have_names_of_their_own() -> None:
    """pytest imports test files by their bare names."""
    names = [p.name for p in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(set(names)) == sorted(names)


def test_the_design_names_every_folder_and_every_file_beside_them() -> None:
    design = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `(\w+)/`", design, re.MULTILINE))
    assert rows == {path.parent.relative_to(PACKAGE).parts[0] for path in FILES if path.parent != PACKAGE} - {"zoo"}
    beside = {path.stem for path in FILES if path.parent == PACKAGE and not path.stem.startswith("__")}
    assert not {name for name in beside if f"`{name}`" not in design}
