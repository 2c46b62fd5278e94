"""A step of training as costcalc tells it, without running anything, against real ones on the CPU.

    python benchmarks/memory_training.py [--batch 2] [--models resnet18,timm:pvt_v2_b0] [--optimizer adamw]
    python benchmarks/memory_training.py --autocast bfloat16 [--batch 2] [--models resnet18]

For each model of torchvision or timm, in training mode, the loss the sum of its results: the most bytes of activations
and gradients in storages that Python can reach, as a dispatch mode sees them, with the fused kernel for attention; the
bytes that autograd's hooks for saved tensors see; and ours. With an optimizer its step is part of the run, which is
the second one, so that its state is there. Needs torchvision and timm.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

import costcalc
from costcalc.planning.autocast import TYPES
from costcalc.planning.training import OPTIMIZERS, STEP

sys.path.insert(0, str(Path(__file__).parent))
memory_eager = import_module("memory_eager")
Live, build = memory_eager.Live, memory_eager.build

MODELS = """
resnet18 resnet50 vgg16_bn alexnet squeezenet1_1 googlenet inception_v3 densenet121 mobilenet_v2 mobilenet_v3_large
mnasnet1_0 efficientnet_b0 efficientnet_v2_s regnet_y_800mf shufflenet_v2_x1_0 convnext_tiny vit_b_16 swin_t
resnext50_32x4d maxvit_t
"""


MAKERS: dict[str, Any] = {
    "sgd": lambda p: torch.optim.SGD(p, lr=1e-4),
    "momentum": lambda p: torch.optim.SGD(p, lr=1e-4, momentum=0.9),
    "adam": lambda p: torch.optim.Adam(p, lr=1e-4),
    "adamw": lambda p: torch.optim.AdamW(p, lr=1e-4),
}


def loss_of(result: Any) -> Any:
    return sum(t.float().sum() for t in tree_leaves(result) if isinstance(t, torch.Tensor))


def real(model: nn.Module, *x: torch.Tensor, optimizer: str = "", autocast: str = "") -> tuple[int, int]:
    """The most bytes alive in a real step, and those that are saved for its backward pass."""
    gc.collect()
    weights = [t.untyped_storage() for t in (*model.parameters(), *model.buffers())]
    known = {storage._cdata for storage in weights}
    saved: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in known:
            saved[storage._cdata] = storage.nbytes()
        return tensor

    from torch.nn.attention import SDPBackend, sdpa_kernel

    def forward() -> tuple[Any, Any]:
        with torch.autocast("cpu", dtype=getattr(torch, autocast)) if autocast else nullcontext():
            result = model(*x)
            return result, loss_of(result)

    with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]):  # the fused one where it can
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
            result, loss = forward()
        kept = sum(saved.values())
        stepping = MAKERS[optimizer](model.parameters()) if optimizer else None
        state: list[torch.Tensor] = []
        if stepping is not None:
            loss.backward()
            stepping.step()
            stepping.zero_grad()
            state = [t for t in tree_leaves(list(stepping.state.values())) if isinstance(t, torch.Tensor)]
        del result, loss
        gc.collect()
        with Live((*model.parameters(), *model.buffers(), *x, *state)) as mode:
            made = forward()
            made[1].backward()
            if stepping is not None:
                stepping.step()
    return mode.most, kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--models", default=",".join(MODELS.split()))
    parser.add_argument("--optimizer", default="", choices=["", *OPTIMIZERS])
    parser.add_argument("--autocast", default="", choices=["", *TYPES])
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, batch {given.batch}; MiB")
    print(f"{'model':32}{'real peak':>10}{'ours':>10}{'ratio':>9}{'real saved':>12}{'ours':>10}{'ratio':>9}{'s':>6}")
    near = 0
    names = given.models.split(",")
    for name in names:
        made, shape = build(name)
        model, x = made.train(), torch.randn(given.batch, *shape)
        began = time.process_time()
        found = costcalc.training(model, x, optimizer=given.optimizer or "sgd", autocast=given.autocast)
        took = time.process_time() - began
        peak, saved = real(model, x, optimizer=given.optimizer, autocast=given.autocast)
        ratio, kept = found.peak_bytes / peak, found.saved_bytes / saved
        near += abs(ratio - 1) <= 0.01
        print(
            f"{name:32}{peak / 2**20:10.2f}{found.peak_bytes / 2**20:10.2f}{ratio:9.4f}{saved / 2**20:12.2f}"
            f"{found.saved_bytes / 2**20:10.2f}{kept:9.4f}{took:6.1f}" + "  in its step" * (found.at == STEP),
            flush=True,
        )
        del model
    print(f"within 1 %: {near} of {len(names)}")


if __name__ == "__main__":
    main()
