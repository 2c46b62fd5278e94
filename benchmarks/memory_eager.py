"""PyTorch's memory as costcalc tells it, without running anything, against real runs on the CPU.

    python benchmarks/memory_eager.py [--batch 1,4] [--threads 2] [--models resnet18,timm:mixer_b16_224]

For each model: the most bytes in storages that Python can reach, as a dispatch mode sees them in a real run, and ours;
the allocator's own peak, as the profiler has it, and the upper bound "with kernel copies". Needs torchvision and timm.
"""

from __future__ import annotations

import argparse
import sys
from copy import deepcopy
from importlib import import_module
from pathlib import Path

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "torch"))
import torchvision_stub

import costcalc
from tests.planning import live as real_runs
from tests.planning.live import Live

torchvision_stub.install()
timm, tv = import_module("timm"), import_module("torchvision.models")

TORCHVISION = """
resnet18 resnet50 vgg16_bn alexnet squeezenet1_1 googlenet inception_v3 densenet121 mobilenet_v2
mobilenet_v3_large mnasnet1_0 efficientnet_b0 efficientnet_v2_s regnet_y_800mf regnet_x_400mf shufflenet_v2_x1_0
convnext_tiny vit_b_16 swin_t swin_v2_t maxvit_t resnext50_32x4d
"""
TIMM = """
mobilevit_s ghostnet_100 hrnet_w18 cspdarknet53 res2net50_26w_4s mixer_b16_224 deit_tiny_patch16_224
convmixer_768_32 poolformer_s12 resmlp_12_224 pvt_v2_b0 levit_128 efficientformer_l1 mobileone_s0 repvgg_a0 dla34
selecsls42b coat_lite_tiny xcit_nano_12_p8_224 edgenext_small fastvit_t8 gmlp_s16_224 nfnet_l0
"""


def live(model: nn.Module, x: torch.Tensor) -> int:
    """The most bytes alive in a real run."""
    with torch.no_grad(), Live((*model.parameters(), *model.buffers(), x), x.numel() * x.element_size()) as mode:
        model(x)
    return mode.most


def allocated(model: nn.Module, x: torch.Tensor) -> int:
    """The most bytes that the allocator has given out in a real run, and the input."""
    with torch.no_grad():
        return real_runs.allocated(lambda: model(x)) + x.numel() * x.element_size()


def build(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    """The model, and the shape of its input without the batch."""
    torch.manual_seed(0)
    if name.startswith("timm:"):
        made = timm.create_model(name[5:], pretrained=False)
        return made.eval(), tuple(made.default_cfg["input_size"])
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return getattr(tv, name)(weights=None, **options).eval(), (3, *(2 * ((299,) if name == "inception_v3" else (224,))))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", default="1,4")
    parser.add_argument(
        "--models", default=",".join([*TORCHVISION.split(), *(f"timm:{name}" for name in TIMM.split())])
    )
    parser.add_argument("--threads", type=int, default=2, help="with 1, 1×1 convolutions of one image are not oneDNN's")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    print(f"torch {torch.__version__}, threads: {asked.threads}; MiB")
    print(f"{'model':32} batch     live     ours  ratio  allocator    bound  ratio")
    exact = held = tight = runs = 0
    for name in asked.models.split(","):
        model, shape = build(name)
        for batch in map(int, asked.batch.split(",")):
            x = torch.randn(batch, *shape)
            found = costcalc.memory(model, (batch, *shape))
            # What a first run makes and a model keeps is in both.
            given, real = allocated(deepcopy(model), x), live(model, x)
            bound = found.upper_bound_bytes or 0
            runs += 1
            exact += abs(found.peak_bytes / real - 1) <= 0.005
            held += given <= bound
            tight += bound <= 1.4 * given
            sizes = [f"{n / 2**20:8.2f}" for n in (real, found.peak_bytes, given, bound)]
            marks = "" if abs(found.peak_bytes / real - 1) <= 0.005 else " (not exact)"
            marks += " (broken)" * (given > bound) + " (loose)" * (bound > 1.4 * given)
            line = f"{name:32} {batch:5} {sizes[0]} {sizes[1]} {found.peak_bytes / real:6.4f}  {sizes[2]} {sizes[3]}"
            print(f"{line} {bound / given:6.3f}{marks}", flush=True)
    print(f"{exact} of {runs} within 0.5 %; the bound holds on {held} and is at most 1.4 times on {tight}")


if __name__ == "__main__":
    main()
