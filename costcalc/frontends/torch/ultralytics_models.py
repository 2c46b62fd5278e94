"""Models of ultralytics by their YAML: one of the package, or a file of one's own, named without its ending.

The YAML is built by ultralytics itself, without weights; nothing is fetched. It may be a stranger's: ultralytics calls
what a row names, and evaluates what ``activation`` says; so a row names a layer, and an activation is of PyTorch.
"""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path
from typing import Any

from costcalc.errors import Location, SpecError, UnknownName, listing, near
from costcalc.frontends.torch.libraries import library_of
from costcalc.frontends.torch.named_model import NamedModel, builder
from costcalc.reading.files import contents
from costcalc.reading.reach import unquoted
from costcalc.reading.settings_of_libraries import MATPLOTLIB, passed_by

SIDE = {"ClassificationModel": 224}
"""Of an image that a kind of model is trained on, where that is not ``DETECTED``."""
DETECTED = 640
MOST_BYTES = 1 << 20
MOST_LAYERS = 10_000
"""Rows with their repetitions."""
_SCALE = re.compile(r"(\d+)([nslmx])(?=-|$)")
_KINDS = {
    "classify": "ClassificationModel", "segment": "SegmentationModel", "pose": "PoseModel", "obb": "OBBModel",
}  # fmt: skip
"""What the last layer of a model is called → the class that it is built by; a detector else."""


def ultralytics(name: str, kwargs: dict[str, Any]) -> NamedModel:
    """The model whose YAML is ``name`` with its ending; a letter after the number is its scale: ``yolo11n``.

    Raises ``UnknownName`` where there is no such YAML, ``SpecError`` for one that describes no model.
    """
    os.environ.setdefault("YOLO_OFFLINE", "true")
    os.environ.setdefault("YOLO_VERBOSE", "false")
    with passed_by(MATPLOTLIB):  # which it imports
        tasks = library_of("ultralytics", "ultralytics.nn.tasks")
    path, scale = _file(name, Path(tasks.__file__).parent.parent / "cfg" / "models")
    with unquoted(path):
        read = _read(tasks, path)
        kind = _kind(tasks, read, path)
        _check_rows(tasks, read, path)
    config = {**read, "yaml_file": path}
    if scale or config.get("scales"):
        config["scale"] = scale or next(iter(config["scales"]))
    channels = config.get("channels", 3)

    def make() -> Any:
        return kind({**config}, ch=channels, verbose=False, **kwargs)

    model, again = builder(make, f"ultralytics:{name}")
    side = SIDE.get(kind.__name__, DETECTED)
    return NamedModel(model, again, lambda batch, shape: [(batch, *(shape or (channels, side, side)))])


def _file(name: str, package: Path) -> tuple[str, str]:
    """The path of the YAML that ``name`` means, and the scale that it names."""
    shipped = {file.stem: file for file in sorted(package.rglob("*.yaml"))}
    scaled = _SCALE.search(name)
    for stem, scale in ((name, ""), (_SCALE.sub(r"\1", name), scaled[2] if scaled else "")):
        if Path(f"{stem}.yaml").is_file():
            return f"{stem}.yaml", scale
        if stem in shipped:
            return str(shipped[stem]), scale
    hint = near(name, shipped) or f"; it has {listing(list(shipped), 8)}"
    raise UnknownName(f"there is no file {name[:80]}.yaml, and ultralytics has no model of that name{hint}")


def _read(tasks: Any, path: str) -> dict[str, Any]:
    """What the YAML at ``path`` says. Raises ``SpecError`` for one that describes no model."""
    contents(path, kind="a model of ultralytics", form="a YAML file", most=MOST_BYTES)
    try:
        config = tasks.YAML.load(path)
    except Exception as error:  # of whatever reads it: bytes, syntax, values, depth
        line = getattr(getattr(error, "problem_mark", None), "line", -1) + 1
        raise SpecError(f"ultralytics cannot read this YAML: {type(error).__name__}", Location(path, line)) from None
    parts = [config.get("backbone"), config.get("head")] if isinstance(config, dict) else []
    if not parts or not all(isinstance(part, list) for part in parts) or not parts[1]:
        raise SpecError(f"{path} is not a YAML file of ultralytics, which has layers in 'backbone' and 'head'")
    if not isinstance(config.get("scales") or {}, dict):
        raise SpecError("scales are a mapping, such as {n: [0.5, 0.25, 1024]}", Location(path))
    if type(config.get("channels", 3)) is not int or not 1 <= config.get("channels", 3) <= 1 << 20:
        raise SpecError("channels are a whole number from 1", Location(path))
    return dict(config)


def _check_rows(tasks: Any, config: dict[str, Any], path: str) -> None:
    """Raise ``SpecError`` if a row names what is no layer, and leave out where a layer's weights would be fetched."""
    total = 0
    for row in [*config["backbone"], *config["head"]]:
        if not (isinstance(row, list) and len(row) == 4 and type(row[1]) is int and isinstance(row[3], list)):
            raise SpecError(f"a row is [from, repeats, layer, arguments], not {str(row)[:60]}", Location(path))
        _, repeats, layer, given = row
        total += max(repeats, 1)
        if not _is_layer(tasks, layer):
            raise SpecError(
                f"'{str(layer)[:60]}' is not a layer of ultralytics or PyTorch, and is not called", Location(path)
            )
        if layer == "TorchVision" and len(given) > 2:
            given[2] = None
        elif layer == "TorchVision":
            given += [None] * (3 - len(given))
    if total > MOST_LAYERS:
        raise SpecError(f"there are {total:,} layers; at most {MOST_LAYERS:,} are built", Location(path))
    activation = config.get("activation")
    if activation and not _is_activation(str(activation)):
        raise SpecError(
            f"activation is one of PyTorch with numbers, such as torch.nn.LeakyReLU(0.1), not '{str(activation)[:60]}'",
            Location(path),
        )


def _is_layer(tasks: Any, name: Any) -> bool:
    """Whether ``name`` is that of a layer: a class of modules that is no whole model, which might load one."""
    from torch import nn

    if not isinstance(name, str):
        return False
    if name.startswith("torchvision.ops."):
        found = getattr(library_of("torchvision", "torchvision.ops"), name[16:], None)
    else:
        found = getattr(nn, name[3:], None) if name.startswith("nn.") else vars(tasks).get(name)
    return isinstance(found, type) and issubclass(found, nn.Module) and not issubclass(found, tasks.BaseModel)


def _is_activation(text: str) -> bool:
    """Whether ``text`` calls a class of PyTorch's modules with constants.

    >>> [_is_activation(t) for t in ("nn.ReLU()", "torch.nn.ELU(alpha=0.5)", "nn.ReLU", "print()", "nn.ReLU(nn.ELU())")]
    [True, True, False, False, False]
    """
    from torch import nn

    try:
        call = ast.parse(text.strip(), mode="eval").body
        if not isinstance(call, ast.Call):
            return False
        module, _, name = ast.unparse(call.func).rpartition(".")
        for value in [*call.args, *(keyword.value for keyword in call.keywords)]:
            ast.literal_eval(value)
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return False
    found = getattr(nn, name, None) if module in ("nn", "torch.nn") else None
    return isinstance(found, type) and issubclass(found, nn.Module)


def _kind(tasks: Any, config: dict[str, Any], path: str) -> Any:
    """The class of ultralytics that builds what ``config`` says."""
    head = config["head"]
    if not isinstance(head[-1], list) or len(head[-1]) < 3:
        raise SpecError(f"{path} is not a YAML file of ultralytics, which has layers in 'backbone' and 'head'")
    last = str(head[-1][-2])
    if last == "RTDETRDecoder":
        return tasks.RTDETRDetectionModel
    if last == "WorldDetect":
        return tasks.WorldModel
    found = next((kind for word, kind in _KINDS.items() if word in last.lower()), "DetectionModel")
    return getattr(tasks, found)
