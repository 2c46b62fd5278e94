"""The files that docs/files.md tells of."""

from __future__ import annotations

from pathlib import Path

from tests.onnx_files.onnx_writer import Graph, node, saved, tensor, value


def write(folder: Path) -> None:
    """``net.onnx``, as PyTorch's exporter names things, and ``wider.onnx``, with twice the channels."""
    folder.mkdir(exist_ok=True)
    for name, channels in (("net", 16), ("wider", 32)):
        nodes = [
            node("Conv", ["image", "stem.conv.weight", "stem.conv.bias"], ["a"], name="node_conv2d",
                 scopes="['', 'stem', 'stem.conv', 'conv2d']", strides=[2, 2], pads=[1, 1, 1, 1]),
            node("Relu", ["a"], ["b"], name="node_relu", scopes="['', 'stem', 'stem.act', 'relu']"),
            node("GlobalAveragePool", ["b"], ["c"], name="node_mean", scopes="['', 'pool', 'mean']"),
            node("Flatten", ["c"], ["d"], name="node_view", scopes="['', 'flatten']"),
            node("Gemm", ["d", "head.weight", "head.bias"], ["y"], name="node_linear", transB=1,
                 scopes="['', 'head', 'linear']"),
        ]  # fmt: skip
        tensors = [
            tensor("stem.conv.weight", [channels, 3, 3, 3]), tensor("stem.conv.bias", [channels]),
            tensor("head.weight", [10, channels]), tensor("head.bias", [10]),
        ]  # fmt: skip
        graph = Graph(nodes, [value("image", ["batch", 3, "height", "width"])], [value("y", ["batch", 10])], tensors)
        saved(folder / f"{name}.onnx", graph)
