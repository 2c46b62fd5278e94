"""Small networks to diff: residual ones with the knobs that people turn, and random ones."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from costcalc.errors import Location
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType


def op(name: str, *args: Any, **options: Any) -> Any:
    return find_op(name)(*args, **options)


def residual(
    depths: tuple[int, ...] = (2, 2),
    width: int = 8,
    kernel: int = 3,
    stride: int = 2,
    size: int = 32,
    batch: int = 1,
    groups: int = 1,
    stem: str = "stem",
    act: str = "relu",
    depthwise: bool = False,
) -> Graph:
    """Stem, stages of basic blocks, head; each place is ``net.yaml`` with a line of its own."""
    b = GraphBuilder("net", {"image": TensorType((batch, 3, size, size))})

    def add(name: str, what: Any, *inputs: str, line: int = 0) -> str:
        return b.add(name, what, inputs, location=Location("net.yaml", line))[0]

    x = add(f"{stem}.conv", op("conv", width, kernel, stride=stride, padding=kernel // 2, bias=False), "image", line=10)
    x = add(f"{stem}.bn", op("batch_norm"), x, line=11)
    x = add(f"{stem}.act", op(act), x, line=12)
    for stage, depth in enumerate(depths):
        out = width * 2**stage
        for i in range(depth):
            name, before = f"layer{stage + 1}.{i}", x
            step = 2 if stage and not i else 1
            x = add(f"{name}.conv1", op("conv", out, 3, stride=step, padding=1, groups=groups, bias=False), x, line=20)
            x = add(f"{name}.bn1", op("batch_norm"), x, line=21)
            x = add(f"{name}.act1", op(act), x, line=22)
            more = {"groups": out} if depthwise else {}
            x = add(f"{name}.conv2", op("conv", out, 3, padding=1, bias=False, **more), x, line=23)
            x = add(f"{name}.bn2", op("batch_norm"), x, line=24)
            if step != 1:
                before = add(f"{name}.down", op("conv", out, 1, stride=step, bias=False), before, line=25)
            x = add(f"{name}.add", op("add"), x, before, line=26)
            x = add(f"{name}.act2", op(act), x, line=27)
    x = add("flatten", op("flatten"), x, line=30)
    add("fc", op("linear", 10), x, line=31)
    return b.build(["fc"])


LAYERS = ["conv"] * 3 + ["relu", "batch_norm", "max_pool", "add", "concat", "flatten", "dropout"]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Any legal graph of convolutions, pools, activations, sums, joins and views, weights shared now and then."""
    size, batch = draw(st.sampled_from([8, 9, 12])), draw(st.sampled_from([1, 2]))
    b = GraphBuilder("random", {"image": TensorType((batch, draw(st.sampled_from([2, 4])), size, size))})
    values, convs = ["image"], []
    for _ in range(draw(st.integers(1, 12))):
        kind = draw(st.sampled_from(LAYERS))
        x = draw(st.sampled_from(values[-3:]))
        t = b.types[x]
        name = draw(st.sampled_from([f"{kind}{len(values)}", f"block{len(values) // 3}.{kind}{len(values) % 3}"]))
        inputs, called = [x], {}
        if kind == "conv":
            if len(t.shape) != 4:
                continue
            groups = draw(st.sampled_from([1, 2, t.shape[1]]))
            k = draw(st.sampled_from([1, 3]))
            out = groups * draw(st.sampled_from([1, 2, 4]))
            what = op("conv", out, k, stride=draw(st.sampled_from([1, 2])), padding=k // 2,
                      groups=groups if t.shape[1] % groups == 0 else 1, bias=draw(st.booleans()))  # fmt: skip
            for earlier, its, its_t in convs:
                if its == what and its_t.shape[1] == t.shape[1] and draw(st.booleans()):
                    called = {"weight": f"{earlier}.weight"}
        elif kind in ("add", "concat"):
            fits = [v for v in values if b.types[v].shape == t.shape]
            inputs.append(draw(st.sampled_from(fits)))
            what = op(kind)
        elif kind == "max_pool":
            if len(t.shape) != 4 or t.shape[-1] < 2:
                continue
            what = op("max_pool", 2)
        elif kind == "batch_norm" and len(t.shape) < 2:
            continue
        else:
            what = op(kind)
        name = b.free_name(name)
        values.append(b.add(name, what, inputs, called=called)[0])
        if kind == "conv":
            convs.append((name, what, t))
    return b.build([values[-1]])
