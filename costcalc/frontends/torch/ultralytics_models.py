"""Models of ultralytics by their YAML: one of the package, or a file of one's own, named without its ending.

The YAML is built by ultralytics itself, without weights; nothing is fetched.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from costcalc.errors import SpecError, UnknownName, listing, near
from costcalc.frontends.torch.libraries import library_of
from costcalc.frontends.torch.named_model import NamedModel, builder
from costcalc.reading.files import contents

SIDE = {"ClassificationModel": 224}
"""Of an image that a kind of model is trained on, where that is not ``DETECTED``."""
DETECTED = 640
MOST_BYTES = 1 << 20
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
    tasks = library_of("ultralytics", "ultralytics.nn.tasks")
    path, scale = _file(name, Path(tasks.__file__).parent.parent / "cfg" / "models")
    kind = _kind(tasks, path)
    config = {**tasks.YAML.load(path), "yaml_file": path}
    if scale or "scales" in config:
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


def _kind(tasks: Any, path: str) -> Any:
    """The class of ultralytics that builds the YAML at ``path``."""
    contents(path, kind="a model of ultralytics", form="a YAML file", most=MOST_BYTES)
    config = tasks.YAML.load(path)
    head = config.get("head") if isinstance(config, dict) and isinstance(config.get("backbone"), list) else None
    if not isinstance(head, list) or not head or not isinstance(head[-1], list) or len(head[-1]) < 3:
        raise SpecError(f"{path} is no YAML of ultralytics, which has layers in 'backbone' and 'head'")
    last = str(head[-1][-2])
    if last == "RTDETRDecoder":
        return tasks.RTDETRDetectionModel
    if last == "WorldDetect":
        return tasks.WorldModel
    found = next((kind for word, kind in _KINDS.items() if word in last.lower()), "DetectionModel")
    return getattr(tasks, found)
