"""Measure the kernels of shipped models in ONNX Runtime on the machine that this runs on, by its own profile."""

from __future__ import annotations

import io
import json
import re
import time
import warnings
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from costcalc.analysis.estimate import features_of
from costcalc.analysis.features import Features, together
from costcalc.calibration.fit import FitRow
from costcalc.calibration.layouts import copies
from costcalc.classes import NamedTuple
from costcalc.errors import CostcalcError
from costcalc.ir.fields import ints
from costcalc.models import load
from costcalc.progress import each
from costcalc.transforms.fuse import fuse

if TYPE_CHECKING:
    from costcalc.ir.graph import Graph

MODELS = ("resnet18", "mobilenet_v2", "densenet121", "mnasnet_a1", "resnext50_32x4d")
QUICK = MODELS[:2]
RUNS, MOST_SECONDS = 60, 15.0
"""Of a model: runs that are profiled, of which the least time of each kernel counts, and when no more are begun."""
OURS = re.compile(r"(?:fused )?(n\d+)(?!\d)")
NEEDED = "measuring in ONNX Runtime needs it and PyTorch: pip install 'costcalc[onnx,torch]'"


class Kernel(NamedTuple):
    """One kernel that a session ran.

    name      the layer that it begins with
    ops       the ops of its layers, in their order
    features  of all of them
    seconds   the least that it took
    """

    name: str
    ops: tuple[str, ...]
    features: Features
    seconds: float


class Profile(NamedTuple):
    """What a session took.

    kernels   that are layers
    other     seconds of what is no layer: copies to other layouts
    wall      seconds of a whole run, at least
    copied    the features of the copies that it is taken to make
    """

    kernels: tuple[Kernel, ...]
    other: float
    wall: float
    copied: Features


def profile(model: Graph, processor: str = "ort", threads: int = 0, runs: int = RUNS) -> Profile:
    """What ONNX Runtime takes for each kernel of ``model``, as `fuse:ort` has them.

    threads   how many a session may use; 0 for as many as it takes by itself

    Raises ``CostcalcError`` where it, onnx or PyTorch is missing, or PyTorch cannot write the model as ONNX.
    """
    try:
        import onnxruntime
    except ImportError:
        raise CostcalcError(NEEDED) from None
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        inputs = _written(model, path)
        graph = fuse(load(str(path)), "ort")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # beside others it would take all
        options.log_severity_level = 3
        options.enable_profiling, options.profile_file_prefix = True, str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        feeds = {one.name: value for one, value in zip(session.get_inputs(), inputs, strict=True)}
        wall, began = float("inf"), time.perf_counter()
        for _ in range(runs):
            start = time.perf_counter()
            session.run(None, feeds)
            wall = min(wall, time.perf_counter() - start)
            if time.perf_counter() - began > MOST_SECONDS:
                break
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    return _told(graph, _least(events), processor, wall)


def measured(quick: bool) -> tuple[list[FitRow], str, str]:
    """Each kernel of some shipped models, twice in turn; the hash of the times, and what was run."""
    import platform

    rows = []
    for turn in range(2):
        for name in each(f"turn {turn + 1} of 2: measuring", QUICK if quick else MODELS, str):
            found = profile(load(name))
            rows += [FitRow(f"{name} {one.name}", one.features, one.seconds) for one in found.kernels]
    import onnxruntime

    text = "\n".join(f"{row.model} {row.seconds:.9f}" for row in rows)
    source = (
        f"measured with ONNX Runtime {onnxruntime.__version__}, kernel by kernel, "
        f"on {platform.machine() or 'an unknown processor'}"
    )
    return rows, "sha256:" + sha256(text.encode()).hexdigest(), source


def _written(model: Graph, path: Path) -> list[Any]:
    """Write ``model`` to ``path`` as ONNX, each node called as what it makes; inputs for it."""
    try:
        import onnx
        import torch
    except ImportError:
        raise CostcalcError(NEEDED) from None
    from costcalc.backends.module import to_module

    module = to_module(model).eval()
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):  # zeros would be left out, which no trained norm has
            torch.nn.init.normal_(part.bias)
    inputs = tuple(torch.randn(ints(model.types[value].shape)) for value in model.inputs)
    file = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(module, inputs, file, dynamo=False)  # type: ignore[arg-type]
    except Exception as error:
        what = str(error).strip().splitlines()[-1][:120]
        raise CostcalcError(f"PyTorch cannot write {model.name} as ONNX: {what}") from None
    made = onnx.load_from_string(file.getvalue())
    called: dict[str, str] = {}
    results = {value.name for value in made.graph.output}
    for number, node in enumerate(made.graph.node):
        node.name = f"n{number}"
        for i, value in enumerate(node.output):
            called[value] = value if value in results else f"n{number}" + f"_{i}" * (i > 0)
        _renamed(node, called)
        node.output[:] = [called[value] for value in node.output]
    del made.graph.value_info[:]
    onnx.save_model(made, str(path))
    return [value.numpy() for value in inputs]


def _renamed(node: Any, called: dict[str, str]) -> None:
    """Let ``node`` read values as they are ``called``, in its branches too."""
    node.input[:] = [called.get(value, value) for value in node.input]
    for attribute in node.attribute:
        for inner in attribute.g.node:
            _renamed(inner, called)


def _least(events: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The least seconds of each node that a session ran."""
    found: dict[str, float] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            name = event["name"].removesuffix("_kernel_time")
            ours = OURS.match(name)  # a session calls nodes that it has made after those that they stand for
            name = ours[1] if ours else name
            found[name] = min(found.get(name, float("inf")), event["dur"] / 1e6)
    return found


def _told(graph: Graph, seconds: dict[str, float], processor: str, wall: float) -> Profile:
    kernels, rest = [], dict(seconds)
    features = dict(features_of(graph, processor))
    for layers in graph.kernels:
        names = dict.fromkeys(name for node in layers for name in (node.name, *node.outputs))
        took = [rest.pop(name) for name in names if name in rest]
        counted = [features[node.name] for node in layers if node.name in features]
        if took and counted:
            whole = together(counted)
            ops = tuple(node.op.name for node in layers)
            kernels.append(Kernel(layers[0].name, ops, whole, sum(took)))
        else:
            for took_by_none in took:
                rest[layers[0].name] = took_by_none
    return Profile(tuple(kernels), sum(rest.values()), wall, together(copies(graph, processor).values()))
