"""pnnx's text networks: one that pnnx wrote, single operators by hand, and files that are wrong."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from costcalc import load
from costcalc.analysis.report import report
from costcalc.errors import CostcalcError
from costcalc.ir.graph import Graph

# As pnnx 20261020 writes a small network of ours, whose batch norm it folds. Traced from PyTorch 2.13 the same network
# has 3,751,152 MACs and 6,742 parameters, of which the norm has 32 and the convolution before it gains a bias of 16.
MACS, PARAMETERS = 3_751_152, 6_742 - 32 + 16
WRITTEN = """\
7767517
23 22
pnnx.Input pnnx_input_0 0 1 0 #0=(1,3,64,48)f32
nn.Conv2d stem 1 1 0 1 bias=True dilation=(1,1) groups=1 in_channels=3 kernel_size=(7,7) out_channels=16 padding=(3,3) padding_mode=zeros stride=(2,2) @bias=(16)f32 @weight=(16,3,7,7)f32 #0=(1,3,64,48)f32 #1=(1,16,32,24)f32
F.relu6 F.relu6_6 1 1 1 2 $input=1 #1=(1,16,32,24)f32 #2=(1,16,32,24)f32
nn.MaxPool2d pool 1 1 2 3 ceil_mode=False dilation=(1,1) kernel_size=(3,3) padding=(1,1) return_indices=False stride=(2,2) #2=(1,16,32,24)f32 #3=(1,16,16,12)f32
nn.Conv2d convbn2d_0 1 1 3 4 bias=True dilation=(1,1) groups=1 in_channels=16 kernel_size=(3,3) out_channels=16 padding=(1,1) padding_mode=zeros stride=(1,1) @bias=(16)f32 @weight=(16,16,3,3)f32 $input=3 #3=(1,16,16,12)f32 #4=(1,16,16,12)f32
nn.Conv2d b.dw 1 1 4 5 bias=True dilation=(1,1) groups=16 in_channels=16 kernel_size=(3,3) out_channels=16 padding=(1,1) padding_mode=zeros stride=(1,1) @bias=(16)f32 @weight=(16,1,3,3)f32 #4=(1,16,16,12)f32 #5=(1,16,16,12)f32
nn.SiLU b.act 1 1 5 6 #5=(1,16,16,12)f32 #6=(1,16,16,12)f32
pnnx.Expression pnnx_expr_7 2 1 3 6 7 expr=add(@0,mul(@1,0.5)) #3=(1,16,16,12)f32 #6=(1,16,16,12)f32 #7=(1,16,16,12)f32
F.relu F.relu_5 1 1 7 8 $input=7 #7=(1,16,16,12)f32 #8=(1,16,16,12)f32
nn.ConvTranspose2d up 1 1 8 9 bias=True dilation=(1,1) groups=1 in_channels=16 kernel_size=(2,2) out_channels=8 output_padding=(0,0) padding=(0,0) stride=(2,2) @bias=(8)f32 @weight=(16,8,2,2)f32 #8=(1,16,16,12)f32 #9=(1,8,32,24)f32
torch.flatten torch.flatten_2 1 1 8 10 end_dim=-1 start_dim=2 $input=8 #8=(1,16,16,12)f32 #10=(1,16,192)f32
torch.transpose torch.transpose_4 1 1 10 11 dim0=1 dim1=2 $input=10 #10=(1,16,192)f32 #11=(1,192,16)f32
nn.MultiheadAttention mha 1 1 11 12 add_bias_kv=False add_zero_attn=False batch_first=True bias=True embed_dim=16 kdim=16 num_heads=2 vdim=16 @in_proj_bias=(48)f32 @in_proj_weight=(48,16)f32 @out_proj.bias=(16)f32 @out_proj.weight=(16,16)f32 #11=(1,192,16)f32 #12=(1,192,16)f32
torch.mean torch.mean_0 1 1 12 13 dim=(1) keepdim=False $input=12 #12=(1,192,16)f32 #13=(1,16)f32
F.adaptive_avg_pool2d F.adaptive_avg_pool2d_9 1 1 9 14 output_size=(1,1) $input=9 #9=(1,8,32,24)f32 #14=(1,8,1,1)f32
torch.flatten torch.flatten_3 1 1 14 15 end_dim=-1 start_dim=1 $input=14 #14=(1,8,1,1)f32 #15=(1,8)f32
torch.cat torch.cat_1 2 1 13 15 16 dim=1 #13=(1,16)f32 #15=(1,8)f32 #16=(1,24)f32
nn.Linear fc 1 1 16 17 bias=True in_features=24 out_features=10 @bias=(10)f32 @weight=(10,24)f32 #16=(1,24)f32 #17=(1,10)f32
nn.LayerNorm ln 1 1 17 18 elementwise_affine=True eps=1.000000e-5 normalized_shape=(10) @bias=(10)f32 @weight=(10)f32 #17=(1,10)f32 #18=(1,10)f32
F.softmax F.softmax_7 1 1 18 19 dim=-1 $input=18 #18=(1,10)f32 #19=(1,10)f32
F.upsample F.upsample_8 1 1 9 20 align_corners=False mode=bilinear scale_factor=(2.0,2.0) $input=9 #9=(1,8,32,24)f32 #20=(1,8,64,48)f32
prim::TupleConstruct pnnx_36 2 1 19 20 21 #19=(1,10)f32 #20=(1,8,64,48)f32
pnnx.Output pnnx_output_0 1 0 21
"""  # noqa: E501

Written = Callable[..., Graph]
PARTS = [b"9", b"-", b"=", b",", b" ", b"\n", b"99999999999", b"(", b")", b"nan", b"None", b"@", b"#", b"\0", b"\xff"]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """The graph of a text."""

    def of(text: str) -> Graph:
        path = tmp_path / "net.pnnx.param"
        path.write_text(text, encoding="utf-8")
        return load(str(path))

    return of


def test_a_network_that_pnnx_wrote(written: Written) -> None:
    graph = written(WRITTEN)
    found = report(graph)
    assert (found.total.macs, found.total.params) == (MACS, PARAMETERS)
    assert not found.uncounted and graph.name == "net"
    assert [graph.types[v].shape for v in graph.outputs] == [(1, 10), (1, 8, 64, 48)]
    assert {"stem", "b.dw", "b.act", "mha", "fc", "ln"} <= {node.name for node in graph.nodes}
    assert {group.layers for group in graph.groups} == {("pnnx_expr_7.multiply", "pnnx_expr_7.add")}


HEAD = "7767517\n3 2\npnnx.Input in 0 1 0 #0=(1,8,6,4)f32\n"
LINES = {
    "torch.permute p 1 1 0 1 dims=(0,2,3,1) #1=(1,6,4,8)f32": (1, 6, 4, 8),
    "Tensor.view v 1 1 0 1 shape=(1,8,24) #1=(1,8,24)f32": (1, 8, 24),
    "Tensor.slice s 1 1 0 1 dim=2 end=5 start=1 step=2 #1=(1,8,2,4)f32": (1, 8, 2, 4),
    "F.pad p 1 1 0 1 mode=reflect pad=(1,2,0,1) #1=(1,8,7,7)f32": (1, 8, 7, 7),
    "nn.AvgPool2d p 1 1 0 1 count_include_pad=True kernel_size=(2,2) stride=(2,2) #1=(1,8,3,2)f32": (1, 8, 3, 2),
    "nn.PixelShuffle p 1 1 0 1 upscale_factor=2 #1=(1,2,12,8)f32": (1, 2, 12, 8),
    "torch.mean m 1 1 0 1 dim=(2,3) keepdim=True #1=(1,8,1,1)f32": (1, 8, 1, 1),
    "pnnx.Expression e 1 1 0 1 expr=sqrt(add(@0,1.000000e-5)) #1=(1,8,6,4)f32": (1, 8, 6, 4),
}  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_one_operator(written: Written, line: str) -> None:
    graph = written(f"{HEAD}{line}\npnnx.Output out 1 0 1\n")
    assert graph.types[graph.outputs[0]].shape == LINES[line]
    assert report(graph).is_complete


def test_what_has_no_rule_is_named(written: Written) -> None:
    graph = written(f"{HEAD}torch.cumprod c 1 1 0 1 dim=1 #1=(1,8,6,4)f32\npnnx.Output out 1 0 1\n")
    assert [layer.kind for layer in report(graph).layers if not layer.counted] == ["cumprod"]
    graph = written(f"{HEAD}torch.permute c 1 1 0 1 dims=(0,2,3,1) #1=(1,8,6,4)f32\npnnx.Output out 1 0 1\n")
    assert "it makes 1×8×6×4 float32, by our rule 1×6×4×8 float32" in " ".join(graph.assumed)


WRONG = {
    "no shape": ("7767517\n2 1\npnnx.Input in 0 1 0\npnnx.Output o 1 0 0\n", ":3: the shape of this input is not in"),
    "order": (f"{HEAD}F.relu r 1 1 7 1 #1=(1)f32\n", ":4: '7' is read before it is made"),
    "unknown": (f"{HEAD}torch.cumprod r 1 1 0 1\n", ":4: cumprod has no rule, and the file does not say what it makes"),
    "short": (f"{HEAD}F.relu r\n", ":4: a line has a type, a name"),
    "deep": (f"{HEAD}pnnx.Expression e 1 1 0 1 expr={'add(' * 500}@0\n", ":4: pnnx.Expression has no rule"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_one_sentence(written: Written, name: str) -> None:
    with pytest.raises(CostcalcError) as raised:
        written(WRONG[name][0])
    assert WRONG[name][1] in str(raised.value) and "\n" not in str(raised.value)


def test_sizes_are_those_that_pnnx_was_given(written: Written, tmp_path: Path) -> None:
    written(WRITTEN)
    with pytest.raises(CostcalcError, match="has the sizes that pnnx was given; convert it again with others"):
        load(str(tmp_path / "net.pnnx.param"), batch=2)


def test_random_damage(tmp_path: Path) -> None:
    path, chance = tmp_path / "net.pnnx.param", random.Random(11)
    for _ in range(300):
        data = bytearray(WRITTEN.encode())
        for _ in range(chance.choice([1, 2, 5])):
            at = chance.randrange(len(data))
            data[at : at + chance.choice([0, 1, 2])] = chance.choice(PARTS)
        path.write_bytes(data)
        try:
            report(load(str(path)))
        except CostcalcError as error:
            assert "\n" not in str(error)
