"""What is in a ``.pt2`` before PyTorch loads it: an archive of a program as JSON, of weights as bytes, and of pickles.

PyTorch would run what a pickle says, import what a tree's type names, evaluate sizes and guards as Python, and call
whatever function a node has for its target. So the archive is read here first, without PyTorch's reader, and a copy is
written that holds only what was understood: the program, checked word by word, and the raw weights. The nested
archive of example inputs, a pickle that every file has, is not opened and not copied.

Layout and schema: ``torch/export/pt2_archive`` and ``torch/_export/serde/schema.py`` of PyTorch 2.13.
"""

from __future__ import annotations

import ast
import json
import re
import zipfile
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from costcalc.errors import CostcalcError

MOST_PROGRAM = 64 * 2**20
"""Bytes of the program, and of each of the two lists of weights."""
MOST_WEIGHTS = 8 * 2**30
"""Bytes of the whole archive."""
MOST_MEMBERS = 100_000
MOST_DEPTH = 200
"""Of brackets in the JSON, which PyTorch reads by recursion."""

PROGRAM, WEIGHTS, CONSTANTS = "models/model.json", "data/weights/", "data/constants/"
EXAMPLES = "data/sample_inputs/model.pt"
LISTS = (f"{WEIGHTS}model_weights_config.json", f"{CONSTANTS}model_constants_config.json")
SMALL = ("archive_format", "archive_version", "byteorder", ".data/version", ".data/serialization_id")
RAW = re.compile(r"data/(weights/weight|constants/tensor)_\d{1,9}")
UNREAD = re.compile(rf"{re.escape(EXAMPLES)}|extra/.*|\.format_version|\.storage_alignment", re.DOTALL)
OLD = ("serialized_exported_program.json", f"{WEIGHTS}model.pt", f"{CONSTANTS}model.pt")

WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)
MODULE = re.compile(r"[\w.@\-]{0,400}", re.ASCII)
CLASS = re.compile(r"[A-Za-z_]\w{0,100}", re.ASCII)
MOST_STACK = 20_000
"""Characters of the modules that one node was called in."""
LABEL = re.compile(r"[\w.\-/ :]*", re.ASCII)
DEVICES = ("cpu", "cuda", "meta", "mps", "xpu")
TREES = (None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict",
         "torch.fx.immutable_collections.immutable_list", "torch.fx.immutable_collections.immutable_dict")  # fmt: skip
LIBRARIES = ("aten", "prims", "quantized", "quantized_decomposed", "torchvision")
"""The libraries whose operators a program may call."""
WITH_FILES = ("from_file", "save", "load")
"""Operators of them that would open a file."""
HIGHER = ("cond", "flex_attention", "invoke_subgraph", "map_impl", "scan", "while_loop", "associative_scan",
          "wrap_with_autocast", "wrap_with_set_grad_enabled")  # fmt: skip
ON_NUMBERS = {
    "_operator": ("add", "sub", "mul", "floordiv", "truediv", "mod", "neg", "pos", "abs", "eq", "ne", "lt", "le",
                  "gt", "ge", "and_", "or_", "not_", "xor", "getitem", "index"),
    "math": ("ceil", "floor", "trunc", "sqrt", "fabs", "exp", "log", "log2"),
    "torch": ("sym_int", "sym_float", "sym_max", "sym_min", "sym_not", "sym_ite", "sym_sum", "sym_sqrt",
              "_sym_sqrt", "sym_fresh_size", "_check"),
}  # fmt: skip
"""Functions on sizes, by module."""
IN_SIZES = (
    "Add", "Mul", "Pow", "Mod", "Max", "Min", "Abs", "Integer", "Rational", "Float", "Symbol", "Eq", "Ne",
    "Equality", "Unequality", "Relational", "And", "Or", "Not", "GreaterThan", "LessThan", "StrictGreaterThan",
    "StrictLessThan", "floor", "ceiling", "FloorDiv", "ModularIndexing", "Where", "PythonMod", "CleanDiv",
    "CeilToInt", "FloorToInt", "CeilDiv", "PowByNatural", "FloatPow", "FloatTrueDiv", "IntTrueDiv",
    "TruncToFloat", "TruncToInt", "RoundToInt", "RoundDecimal", "ToFloat", "Identity", "Infinity",
    "NegativeInfinity", "IntInfinity", "NegativeIntInfinity",
)  # fmt: skip
"""What an expression of sizes may call."""


class ArchiveError(CostcalcError):
    """A ``.pt2`` that is damaged, of another kind, or holds what is not loaded."""


def copy_of_the_known(path: str, to: Path) -> None:
    """Write to ``to`` what a program needs of the archive at ``path``. Raises ``ArchiveError`` with the reason if
    there is anything in it that is not known to be harmless.
    """
    try:
        with Path(path).open("rb") as stream, zipfile.ZipFile(stream) as archive:
            _copy(archive, stream, to)
    except (zipfile.BadZipFile, EOFError, UnicodeDecodeError, NotImplementedError, RecursionError):
        raise ArchiveError("it is damaged, or no archive of torch.export.save") from None
    except OSError as error:
        raise ArchiveError(f"it cannot be read: {error.strerror or error}") from None
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ArchiveError("a part of its program is damaged, or of a version that is not known") from None


def _copy(archive: zipfile.ZipFile, stream: BinaryIO, to: Path) -> None:
    members = _members(archive, stream)
    _version(archive, members)
    program = _json(archive, members, PROGRAM)
    # A range may be of an expression, of twice a size say; it follows from that of the size.
    ranges = program["range_constraints"].items()
    program["range_constraints"] = {name: bounds for name, bounds in ranges if WORD.fullmatch(name)}
    _check_program(program)
    listed = [_json(archive, members, name) for name in LISTS]
    for name, table in zip(LISTS, listed, strict=True):
        _check_weights(table, name.rpartition("/")[0] + "/", members)
    # Guards are Python code; of what else is said of a node only the modules that it was called in are of use.
    program.pop("guards_code", None)
    for node in _nodes(program):
        node["metadata"] = _of_modules(node.get("metadata"))
    written = {PROGRAM: program, **dict(zip(LISTS, listed, strict=True))}
    with zipfile.ZipFile(to, "w", zipfile.ZIP_STORED) as copy:
        for name, member in members.items():
            whole = f"model/{name}"
            if name in written:
                copy.writestr(whole, json.dumps(written[name]))
            elif name in SMALL:
                copy.writestr(whole, archive.read(member))
            elif RAW.fullmatch(name):
                with archive.open(member) as source, copy.open(whole, "w", force_zip64=True) as target:
                    while part := source.read(2**20):
                        target.write(part)
        copy.writestr(f"model/{EXAMPLES}", b"")


def _members(archive: zipfile.ZipFile, stream: BinaryIO) -> dict[str, zipfile.ZipInfo]:
    """The members by name below the archive's one folder, if each may be there and all have a bounded size."""
    stream.seek(0, 2)
    whole = stream.tell()
    if whole > MOST_WEIGHTS:
        raise ArchiveError(f"it has {whole:,} bytes; at most {MOST_WEIGHTS:,} are read")
    infos = archive.infolist()
    if len(infos) > MOST_MEMBERS:
        raise ArchiveError(f"it has {len(infos):,} members; at most {MOST_MEMBERS:,} are read")
    members: dict[str, zipfile.ZipInfo] = {}
    folders = set()
    for info in infos:
        folder, _, name = info.filename.partition("/")
        if info.filename in OLD or name in OLD:
            raise ArchiveError(
                "its weights are pickled, as older releases of PyTorch wrote them, and a pickle can run anything; "
                "export it again with a newer PyTorch"
            )
        folders.add(folder)
        # torch.export.save compresses nothing. So what a member takes is in the file, byte by byte.
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size or info.flag_bits & 1:
            raise ArchiveError(
                f"its member '{name[:80]}' is compressed or encrypted, which torch.export.save never does"
            )
        if name in members:
            raise ArchiveError(f"its member '{name[:80]}' is there twice")
        if not (name == PROGRAM or name in LISTS or name in SMALL or RAW.fullmatch(name) or UNREAD.fullmatch(name)):
            raise ArchiveError(f"its member '{name[:80]}' is not of an exported program, and perhaps code")
        most = MOST_PROGRAM if name.endswith(".json") else 2**10 if name in SMALL else MOST_WEIGHTS
        if info.file_size > most:
            raise ArchiveError(f"its member '{name[:80]}' has {info.file_size:,} bytes; at most {most:,} are read")
        members[name] = info
    if len(folders) != 1:
        raise ArchiveError("it is not an archive of torch.export.save, which has one folder")
    if sum(info.file_size for info in infos) > whole:
        raise ArchiveError("its members have more bytes than the file")
    return members


def _version(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]) -> None:
    marks = {name: archive.read(members[name])[:20] if name in members else b"" for name in SMALL[:3]}
    if marks["archive_format"] != b"pt2" or marks["archive_version"] != b"0":
        version = marks["archive_version"].decode(errors="replace")
        raise ArchiveError(f"it is not an archive of torch.export.save in its version 0: '{version}'")
    if marks["byteorder"] not in (b"little", b""):
        raise ArchiveError("its weights are not little-endian")


def _json(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], name: str) -> Any:
    if name not in members:
        raise ArchiveError(f"it has no {name}")
    data = archive.read(members[name])
    try:
        tree = json.loads(data)
    except ValueError:
        raise ArchiveError(f"its {name} is not JSON") from None
    if not isinstance(tree, dict):
        raise ArchiveError(f"its {name} is not a record")
    return tree


def _check_weights(table: dict[str, Any], folder: str, members: dict[str, zipfile.ZipInfo]) -> None:
    """Whether each weight is raw bytes, there, and no larger than they are."""
    for label, about in table["config"].items():
        _label(label)
        name = folder + about["path_name"]
        if about["use_pickle"] is not False or not RAW.fullmatch(name):
            raise ArchiveError(f"its weight '{label[:80]}' is pickled, and a pickle can run anything")
        meta = about["tensor_meta"]
        sizes = [_whole(size) for size in meta["sizes"]]
        if name not in members or (prod(sizes) > 0 and members[name].file_size == 0):
            raise ArchiveError(f"its weight '{label[:80]}' is not there")
        _check_tree(meta, 0)


def _whole(size: dict[str, Any]) -> int:
    value = size["as_int"]
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError
    return value


def _check_program(program: dict[str, Any]) -> None:
    from torch._export.serde.schema import SCHEMA_VERSION

    version = program["schema_version"]["major"]
    if version != SCHEMA_VERSION[0]:
        raise ArchiveError(
            f"its program has version {str(version)[:20]} and this PyTorch reads {SCHEMA_VERSION[0]}; "
            "use the PyTorch that wrote it"
        )
    for node in _nodes(program):
        _check_target(node["target"])
    _check_tree({key: value for key, value in program.items() if key != "guards_code"}, 0)


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """The calls of the program, those of graphs within calls too."""
    waiting = [tree]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if isinstance(one.get("nodes"), list):
                yield from one["nodes"]
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def _of_modules(metadata: Any) -> dict[str, str]:
    """Of what is said of a node the modules that it was called in, outermost first, with the bare names of classes."""
    stack = metadata.get("nn_module_stack") if isinstance(metadata, dict) else None
    if not isinstance(stack, str) or len(stack) > MOST_STACK:
        return {}
    entries = [entry.split(",", 2) for entry in stack.split(";")]
    if not all(len(entry) >= 2 and all(MODULE.fullmatch(part) for part in entry[:2]) for entry in entries):
        return {}
    return {"nn_module_stack": ";".join(f"{key},{path},{_class(*kind)}" for key, path, *kind in entries)}


def _class(kind: str = "") -> str:
    """The last name of a class, if it is one.

    >>> _class("torch.nn.modules.conv.Conv2d"), _class("a.b(c)"), _class()
    ('Conv2d', '', '')
    """
    name = kind.rpartition(".")[2]
    return name if CLASS.fullmatch(name) else ""


NAMES = ("name", "as_name", "as_operator")
LABELS = ("parameter_name", "buffer_name", "tensor_constant_name", "fqn")


def _check_tree(tree: Any, depth: int) -> None:
    """Whether each text at a place where PyTorch would evaluate it, or write it into code, is what it should be."""
    if depth > MOST_DEPTH:
        raise ArchiveError(f"its program is nested more than {MOST_DEPTH} deep")
    if isinstance(tree, list):
        for item in tree:
            _check_tree(item, depth + 1)
        return
    if not isinstance(tree, dict):
        return
    for key, value in tree.items():
        _label(key)
        if key == "metadata":
            continue  # left out
        if key == "expr_str":
            _check_size(value)
        elif key in ("in_spec", "out_spec"):
            _check_spec(value)
        elif key == "as_operator":
            _check_target(value)
        elif key in ("as_custom_obj", "custom_obj"):
            raise ArchiveError("its program holds an object that is not a tensor")
        elif key == "forward_arg_names":
            for word in value or ():
                _word(word)
        elif key in NAMES and value is not None and value != "":
            _word(value)
        elif key in LABELS:
            _label(value)
        elif key == "device" and value is not None and value.get("type") not in DEVICES:
            raise ArchiveError(f"its program is on the device '{str(value.get('type'))[:40]}', which is not known")
        _check_tree(value, depth + 1)


def _word(text: Any) -> None:
    if not isinstance(text, str) or not WORD.fullmatch(text) or len(text) > 500:
        raise ArchiveError(f"its program has the name '{str(text)[:80]}', which is not a word")


def _label(text: Any) -> None:
    if not isinstance(text, str) or not LABEL.fullmatch(text) or len(text) > 2000:
        raise ArchiveError(f"its program has the name '{str(text)[:80]}', which is not a name of a weight or module")


def _check_target(target: Any) -> None:
    """Whether a call is of an operator, or of a function on sizes; PyTorch would call whatever has the name."""
    module, _, name = target.partition(".")
    words = name.split(".")
    known = name in ON_NUMBERS.get(module, ())
    if module == "torch" and words[0] == "ops" and len(words) in (3, 4) and all(map(WORD.fullmatch, words)):
        library, operator = words[1], words[2]
        known = operator in HIGHER if library == "higher_order" else library in LIBRARIES and _is_operator(words)
    if not known:
        raise ArchiveError(f"its program calls '{target[:80]}', which is not among the operators that are known")


def _is_operator(words: list[str]) -> bool:
    import torch
    from torch._ops import OpOverload, OpOverloadPacket

    if words[2] in WITH_FILES:
        return False
    found: Any = torch
    for word in words:
        found = getattr(found, word, None)
    return isinstance(found, (OpOverload, OpOverloadPacket))


def _check_spec(text: Any) -> None:
    """Whether the tree that a call's arguments make is of tuples, lists and dicts, and not of types by name."""
    waiting = [json.loads(text)[1]]
    while waiting:
        one = waiting.pop()
        context = json.loads(one["context"]) if one["context"] is not None else None
        keys = context if isinstance(context, list) else [context]
        if one["type"] not in TREES or not all(key is None or type(key) in (str, int) for key in keys):
            raise ArchiveError(f"its inputs or outputs have the type '{str(one['type'])[:80]}', which is not known")
        for key in keys:
            if isinstance(key, str):
                _label(key)
        waiting += one["children_spec"]


def _check_size(text: Any) -> None:
    """Whether an expression of sizes, which PyTorch evaluates as Python, calls nothing but arithmetic."""
    refused = ArchiveError(f"its program has a size that is not arithmetic: '{str(text)[:80]}'")
    if not isinstance(text, str) or len(text) > 10_000 or text.count("Pow") > 4 or "**" in text:
        raise refused
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError):
        raise refused from None
    heads = {id(call.func) for call in ast.walk(tree) if isinstance(call, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            good = isinstance(node.func, ast.Name) and node.func.id in IN_SIZES
            if good and isinstance(node.func, ast.Name) and "Pow" in node.func.id:
                good = all(_number(n) <= 16 for n in ast.walk(node.args[-1]))
        elif isinstance(node, ast.Name):
            good = id(node) in heads or bool(re.fullmatch(r"z?[a-z]+_?\d+|true|false|oo|int_oo", node.id))
        elif isinstance(node, ast.Constant):
            if isinstance(node.value, str):
                good = bool(re.fullmatch(r"[A-Za-z_]\w{0,60}|-?[\d.]{1,40}(e[+-]?\d{1,3})?", node.value, re.ASCII))
            else:
                good = isinstance(node.value, (bool, int, float)) and _number(node) < 2**64
        else:
            good = isinstance(node, (ast.Expression, ast.BinOp, ast.UnaryOp, ast.Compare, ast.keyword, ast.operator,
                                     ast.unaryop, ast.cmpop, ast.expr_context))  # fmt: skip
        if not good:
            raise refused


def _number(node: ast.AST) -> float:
    """How large the number is that ``node`` is; 0 if it is none."""
    return abs(node.value) if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) else 0
