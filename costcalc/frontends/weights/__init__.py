"""What is in a file of weights, from its header alone: Safetensors, GGUF, an index of several, or a TFLite model."""

from __future__ import annotations

from costcalc.errors import Location, SpecError
from costcalc.frontends.weights.records import FileTensor, WeightFile
from costcalc.ir.tensor import ELEMENT_BITS
from costcalc.reading.files import opened


def read_weights(path: str) -> WeightFile:
    """The tensors of the file at ``path``. Raises ``SpecError`` for one that is of no kind that is read, or damaged."""
    begin = _begin(path)
    if begin[:4] == b"GGUF":
        from costcalc.frontends.weights.gguf import read_gguf

        return read_gguf(path)
    if begin[4:8] == b"TFL3":
        return _of_tflite(path)
    if path.endswith(".index.json"):
        from costcalc.frontends.weights.safetensors import read_index

        return read_index(path)
    if path.endswith(".safetensors") or begin[8:9] == b"{":
        from costcalc.frontends.weights.safetensors import read_safetensors

        return read_safetensors(path)
    from costcalc.frontends.unsupported import refuse_unread

    refuse_unread(path)
    kinds = "Safetensors, GGUF, an index of Safetensors (.index.json) or TFLite"
    raise SpecError(f"this is not a file of weights that is read: {kinds}", Location(path))


def _begin(path: str) -> bytes:
    with opened(path, kind="what holds weights", form="a file") as stream:
        return stream.read(16)


def _of_tflite(path: str) -> WeightFile:
    """The constants of all graphs of a model; a buffer that several tensors name is stored once."""
    from costcalc.frontends.tflite.read import opened

    with opened(path) as model:
        found: list[FileTensor] = []
        first: dict[int, str] = {}
        for index in range(len(model.graphs)):
            for tensor in model.subgraph(index).tensors:
                if not tensor.constant:
                    continue
                bits = ELEMENT_BITS.get(tensor.dtype)
                # Graphs of one file may call a tensor that they share the same.
                tied = first.get(tensor.buffer, "")
                first.setdefault(tensor.buffer, tensor.name or "a tensor without a name")
                kind = tensor.dtype
                if tensor.scales:
                    kind += " per tensor" if tensor.scales == 1 else f" per axis {tensor.axis}"
                size = 0 if tied else tensor.size
                found.append(FileTensor(tensor.name, kind, tensor.shape, bits, size, tied))
    return WeightFile(path, "TFLite", tuple(found))
