"""docs/files.md: each command in it is run on small files, and prints what the page shows.

``python -m tests.sources.test_files_page`` writes what they print into the page.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import tempfile
from pathlib import Path

import pytest

from costcalc.cli import dispatch
from tests.onnx_files.onnx_page_example import write as write_onnx
from tests.tflite.writing_tflite import File
from tests.weights.test_weight_files import HEADER, LLAMA, safetensors

PAGE = Path(__file__).parents[2] / "docs/files.md"
BLOCK = re.compile(r"```console\n\$ (costcalc .+)\n((?:.*\n)*?)```")
NCNN = """7767517
4 4
Input        image   0 1 image 0=32 1=32 2=3
Convolution  conv1   1 1 image c 0=8 1=3 3=2 4=1 5=1 6=216 9=1
Pooling      pool1   1 1 c p 0=0 1=2 2=2
InnerProduct fc      1 1 p out 0=10 1=1 2=5120
"""


def files(folder: Path) -> None:
    """The files that the page speaks of."""
    f = File()
    x = f.tensor("image", 1, 32, 32, 3, dtype="int8", scales=1, open=(0,))
    maps = [f.tensor(f"map{i}", 1, size, size, 8, dtype="int8", scales=1) for i, size in enumerate((16, 16, 1))]
    flat, out = (
        f.tensor("net/flatten/Reshape", 1, 8, dtype="int8", scales=1),
        f.tensor("net/head/Softmax", 1, 10, dtype="int8", scales=1),
    )
    y = f.tensor("net/fc/MatMul;net/fc/BiasAdd", 1, 10, dtype="int8", scales=1)

    def weights(name: str, *shape: int, outputs: int) -> list[int]:
        return [
            f.weight(name, *shape, dtype="int8", scales=outputs),
            f.weight(f"{name}/bias", outputs, dtype="int32", scales=outputs),
        ]

    one = ("int", 1)
    f.operator(
        "CONV_2D",
        [x, *weights("net/conv1/Conv2D", 8, 3, 3, 3, outputs=8)],
        [maps[0]],
        {0: ("byte", 0), 1: ("int", 2), 2: ("int", 2), 3: ("byte", 3)},
    )
    f.operator(
        "DEPTHWISE_CONV_2D",
        [maps[0], *weights("net/dw2/depthwise", 1, 3, 3, 8, outputs=8)],
        [maps[1]],
        {0: ("byte", 0), 1: one, 2: one, 3: one, 4: ("byte", 3)},
    )
    f.operator("MEAN", [maps[1], f.numbers(1, 2)], [maps[2]], {0: ("kind", 1)})
    f.operator("RESHAPE", [maps[2], f.numbers(-1, 8)], [flat], {})
    f.operator("FULLY_CONNECTED", [flat, *weights("net/fc/MatMul", 10, 8, outputs=10)], [y], {})
    f.operator("SOFTMAX", [y], [out], {0: ("float", 1.0)})
    (folder / "net.tflite").write_bytes(f.bytes([x], [out]))
    (folder / "net.param").write_text(NCNN)
    write_onnx(folder)
    (folder / "model.gguf").write_bytes(LLAMA)
    (folder / "model.safetensors").write_bytes(safetensors(HEADER, 100))


def printed(line: str) -> str:
    """What a command prints, in lines of at most 100 characters."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert dispatch.outcome(shlex.split(line)[1:]) == 0
    return out.getvalue()


@pytest.mark.parametrize(("line", "shown"), BLOCK.findall(PAGE.read_text(encoding="utf-8")))
def test_the_page_shows_what_a_command_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, shown: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    files(tmp_path)
    assert printed(line) == shown, "write it anew: python -m tests.sources.test_files_page"


def write() -> None:
    """Put what the commands print into the page."""
    os.environ["COLUMNS"] = "100"
    text = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        files(Path(folder))
        found = BLOCK.sub(lambda m: f"```console\n$ {m.group(1)}\n{printed(m.group(1))}```", text)
        os.chdir(PAGE.parent)
    PAGE.write_text(found, encoding="utf-8")


if __name__ == "__main__":
    write()
