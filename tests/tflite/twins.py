"""Networks as TFLite files without weights, for tests and benchmarks."""

from __future__ import annotations

from tests.tflite.writing_tflite import File

Shape = tuple[int, int, int, int]


class _Twin(File):
    def conv(
        self, x: int, shape: Shape, width: int, kernel: int, stride: int, name: str, activation: int
    ) -> tuple[int, Shape]:
        """A convolution with padding SAME, and what it makes."""
        n, h, w, c = shape
        made = n, -(-h // stride), -(-w // stride), width
        y = self.tensor(f"{name}/out", *made)
        weight = self.tensor(f"{name}/Conv2D", width, kernel, kernel, c, data=b"\1")
        bias = self.tensor(f"{name}/bias", width, data=b"\1")
        options = {0: ("byte", 0), 1: ("int", stride), 2: ("int", stride), 3: ("byte", activation)}
        self.operator("CONV_2D", [x, weight, bias], [y], options)
        return y, made


def resnet50() -> bytes:
    """ResNet-50 (He et al. 2015, table 1; the stride in the 3×3), norms folded, one byte in place of each tensor."""
    f = _Twin()
    image = f.tensor("image", 1, 224, 224, 3, open=(0,))
    x, _ = f.conv(image, (1, 224, 224, 3), 64, 7, 2, "conv1", 1)
    shape: Shape = (1, 56, 56, 64)
    pooled = f.tensor("pool", *shape)
    window = {0: ("byte", 0), 1: ("int", 2), 2: ("int", 2), 3: ("int", 3), 4: ("int", 3)}
    f.operator("MAX_POOL_2D", [x], [pooled], window)
    x = pooled
    for stage, (blocks, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512))):
        for block in range(blocks):
            name, stride = f"layer{stage + 1}/{block}", 2 if stage and not block else 1
            y, made = f.conv(x, shape, width, 1, 1, f"{name}/conv1", 1)
            y, made = f.conv(y, made, width, 3, stride, f"{name}/conv2", 1)
            y, made = f.conv(y, made, 4 * width, 1, 1, f"{name}/conv3", 0)
            skip = x if block else f.conv(x, shape, 4 * width, 1, stride, f"{name}/downsample", 0)[0]
            joined = f.tensor(f"{name}/add", *made)
            f.operator("ADD", [y, skip], [joined], {0: ("byte", 1)})
            x, shape = joined, made
    mean, logits = f.tensor("mean", 1, 2048), f.tensor("logits", 1, 1000)
    f.operator("MEAN", [x, f.numbers(1, 2)], [mean], {0: ("kind", 0)})
    weight, bias = f.tensor("fc/MatMul", 1000, 2048, data=b"\1"), f.tensor("fc/bias", 1000, data=b"\1")
    f.operator("FULLY_CONNECTED", [mean, weight, bias], [logits], {})
    return f.bytes([image], [logits])
