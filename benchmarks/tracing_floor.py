"""How long a trace takes beside torch's own FlopCounterMode on the meta device: ratios of CPU time, the two in turns.

    python benchmarks/tracing_floor.py                     # 40 of timm's architectures
    python benchmarks/tracing_floor.py resnet50 transformers:bert
    python benchmarks/tracing_floor.py all                 # 68, also of torchvision and transformers
    python benchmarks/tracing_floor.py multiplications stacks joined decoding   # made here: many calls of few kinds

Each model is built once, on the meta device, and run at batch 1 without gradients; each side takes the best of several
runs. Models that torch's counter needs less than 50 ms for are told apart: there a process's start is all that counts.
"""

from __future__ import annotations

import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "torch")]

MODELS = [
    "beit_base_patch16_224", "cait_xxs24_224", "coat_tiny", "coatnet_0_rw_224", "convit_small", "convmixer_768_32",
    "convnext_tiny", "crossvit_9_240", "cspdarknet53", "darknet53", "davit_tiny", "deit3_small_patch16_224",
    "densenet201", "dla60", "dpn92", "edgenext_small", "efficientformer_l1", "efficientnet_b3",
    "eva02_tiny_patch14_336", "focalnet_tiny_srf", "gcvit_tiny", "ghostnet_100", "hrnet_w18", "inception_next_tiny",
    "inception_v4", "levit_256", "maxvit_tiny_tf_224", "mixer_b16_224", "mobilevitv2_100", "nfnet_f0", "nest_tiny",
    "pvt_v2_b2", "regnety_032", "res2net50_26w_4s", "resnest50d", "sequencer2d_s", "swinv2_tiny_window8_256",
    "tnt_s_patch16_224", "vit_base_patch16_224", "xcit_tiny_24_p16_224",
]  # fmt: skip
TORCHVISION = [
    "convnext_base", "densenet169", "efficientnet_b4", "efficientnet_v2_m", "googlenet", "maxvit_t", "mnasnet1_3",
    "mobilenet_v3_large", "resnet152", "shufflenet_v2_x2_0", "swin_v2_s", "vgg19_bn", "vit_l_16",
]  # fmt: skip
TRANSFORMERS = [
    "bert", "gpt2", "gpt_neox", "llama", "mpnet", "opt", "qwen3", "roformer", "t5gemma", "vit", "xlnet",
]  # fmt: skip
"""Kinds of models of transformers, on 128 tokens or their image, by the defaults of their configurations."""
LAYERS = 12
MADE = ["multiplications", "stacks", "joined", "decoding"]
CALLS, STACKS, JOINED, STEPS = 10_000, 200, 500, 501
"""Of the models that are made here."""
ROUNDS = 4
SHORT = 0.05


def best(run: Callable[[], Any], found: float) -> float:
    """CPU seconds of ``run``, or ``found`` if that is less."""
    start = time.process_time()
    run()
    return min(found, time.process_time() - start)


def made(name: str) -> tuple[Any, Any] | None:
    """A model of many calls, and its input; None if it is none of these."""
    import torch
    from torch import nn

    class Made(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.head = nn.Embedding(100, 32), nn.Linear(32, 100)
            self.parts = nn.ModuleList(nn.Linear(32, 32) for _ in range(3))
            self.joined = nn.ModuleList(nn.Linear(4 * (i + 1), 4) for i in range(JOINED if name == "joined" else 0))

        def forward(self, x: Any) -> Any:
            if name == "multiplications":
                for _ in range(CALLS):
                    x = x * 1.5
                return x
            seen = [x]
            if name == "stacks":
                for _ in range(STACKS):
                    seen.append(torch.stack(seen).sum(0))
            elif name == "joined":
                for layer in self.joined:
                    seen.append(layer(torch.cat(seen, -1)))
            return seen[-1] if name != "decoding" else self.decoded(x)

        def decoded(self, tokens: Any) -> Any:
            keys: list[Any] = []
            values: list[Any] = []
            query, key, value = self.parts
            for _ in range(STEPS):
                h = self.table(tokens[:, -1:])
                keys.append(key(h))
                values.append(value(h))
                y = nn.functional.scaled_dot_product_attention(query(h), torch.cat(keys, 1), torch.cat(values, 1))
                tokens = torch.cat([tokens, self.head(y).argmax(-1)], 1)
            return tokens

    if name not in MADE:
        return None
    with torch.device("meta"):
        model = Made().eval().requires_grad_(False)
    return model, torch.zeros(1, 4, dtype=torch.int64 if name == "decoding" else torch.float32)


def of_a_library(name: str) -> tuple[Any, Any]:
    """A model of timm, ``torchvision:NAME`` or ``transformers:KIND``, and its input."""
    import torch

    library, _, kind = name.rpartition(":")
    if library == "transformers":
        import transformers
        from transformers.initialization import no_init_weights

        config = transformers.CONFIG_MAPPING[kind]()
        for option in ("num_hidden_layers", "n_layer", "num_layers"):
            if getattr(config, option, None):
                setattr(config, option, min(LAYERS, getattr(config, option)))
        with torch.device("meta"), no_init_weights():
            model = transformers.MODEL_MAPPING[type(config)]._from_config(config).eval().requires_grad_(False)
        image = getattr(model, "main_input_name", "") == "pixel_values"
        return model, torch.empty(1, 3, 224, 224) if image else torch.ones(1, 128, dtype=torch.int64)
    with torch.device("meta"):
        if library == "torchvision":
            import torchvision

            model = torchvision.models.get_model(kind, weights=None).eval().requires_grad_(False)
            return model, torch.empty(1, 3, 224, 224)
        import timm

        model = timm.create_model(kind, pretrained=False).eval().requires_grad_(False)
        return model, torch.empty(1, *model.default_cfg["input_size"])


def measured(name: str) -> tuple[float, float]:
    """Seconds that torch's counter and a trace take."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    import costcalc

    model, x = made(name) or of_a_library(name)

    def counted() -> None:
        with torch.no_grad(), FlopCounterMode(display=False):
            model(x.to("meta"))

    theirs = ours = float("inf")
    for _ in range(ROUNDS):
        theirs = best(counted, theirs)
        ours = best(lambda: costcalc.trace(model, x), ours)
    return theirs, ours


def main() -> None:
    """Print a line a model, the slowest ratios last, and a summary."""
    import torchvision_stub

    warnings.filterwarnings("ignore")
    torchvision_stub.install()
    import torch

    torch.set_num_threads(1)
    found = {}
    everything = [
        *MODELS,
        *(f"torchvision:{n}" for n in TORCHVISION),
        *(f"transformers:{n}" for n in TRANSFORMERS),
        *MADE,
    ]
    for name in everything if sys.argv[1:] == ["all"] else sys.argv[1:] or MODELS:
        try:
            found[name] = measured(name)
        except Exception as error:  # torch's counter has no values for what some models ask
            print(f"{name:<32}  the counter fails: {str(error).splitlines()[0][:60]}", flush=True)
            continue
        print(f"{name:<32}{found[name][0]:8.3f}{found[name][1]:8.3f}{found[name][1] / found[name][0]:7.2f}", flush=True)
    ratios = [ours / theirs for theirs, ours in found.values() if theirs > SHORT]
    if ratios:
        above = sum(ratio > 1 for ratio in ratios)
        middle, worst = statistics.median(ratios), max(ratios)
        print(f"of {len(ratios)} over 50 ms: median {middle:.2f}, worst {worst:.2f}, {above} above 1")


if __name__ == "__main__":
    main()
