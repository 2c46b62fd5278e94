"""Models of collections that nobody tuned the tracer to: graphs, fields, speech, operators, tables, diffusion."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

Made = tuple[Any, ...]


def _from(module: str, of: str, inputs: Any, *args: Any, **options: Any) -> Callable[[], Made]:
    """Builds ``of`` in ``module`` with ``args`` and ``options``; ``inputs`` are shapes, or made by a function."""

    def make() -> Made:
        from costcalc.frontends.torch.build import built

        kind = getattr(importlib.import_module(module), of)
        given = inputs() if callable(inputs) else inputs

        def model() -> Any:
            return kind(*args, **options).eval()

        return built(model), given if isinstance(given, list) else [given], {}, model

    return make


def numbers(*shape: int, below: int = 1) -> Any:
    """Whole numbers from 0, in turns."""
    import torch

    return (torch.arange(int(torch.Size(shape).numel())) % below).reshape(shape)


def torch_geometric() -> dict[str, Callable[[], Made]]:
    m, n = "torch_geometric.nn.models", "torch_geometric.nn"

    def graph(*more: Any) -> Callable[[], Any]:
        return lambda: [(40, 16), numbers(2, 120, below=40), *more]

    width = {"in_channels": 16, "hidden_channels": 32, "num_layers": 3, "out_channels": 7}
    plain = {name: _from(m, name, graph(), **width) for name in ("GCN", "GraphSAGE", "GIN", "GAT", "EdgeCNN")}
    conv = {"in_channels": 16, "out_channels": 8}
    return {
        **plain,
        "GATv2": _from(m, "GAT", graph(), v2=True, heads=4, **width),
        "GCN with jumps": _from(m, "GCN", graph(), jk="cat", norm="batch_norm", **width),
        "TransformerConv": _from(n, "TransformerConv", graph(), heads=2, **conv),
        "ChebConv": _from(n, "ChebConv", graph(), K=3, **conv),
        "TAGConv": _from(n, "TAGConv", graph(), **conv),
        "SGConv": _from(n, "SGConv", graph(), K=2, **conv),
        "ARMAConv": _from(n, "ARMAConv", graph(), **conv),
        "GraphConv": _from(n, "GraphConv", graph(), **conv),
        "LEConv": _from(n, "LEConv", graph(), **conv),
        "FiLMConv": _from(n, "FiLMConv", graph(), **conv),
        "ClusterGCNConv": _from(n, "ClusterGCNConv", graph(), **conv),
        "SuperGATConv": _from(n, "SuperGATConv", graph(), **conv),
        "GENConv": _from(n, "GENConv", graph(), **conv),
        "GatedGraphConv": _from(n, "GatedGraphConv", graph(), 16, 2),
        "MixHopConv": _from(n, "MixHopConv", graph(), **conv),
        "NNConv": lambda: _edge_network(),
        "RGCNConv": _from(n, "RGCNConv", graph(numbers_of(120, 3)), num_relations=3, **conv),
        "LINKX": _from(m, "LINKX", graph(), 40, 16, 32, 7, 2),
        "GraphUNet": _from(m, "GraphUNet", graph(), 16, 32, 7, 2),
        "DenseGCNConv": _from(n, "DenseGCNConv", [(2, 40, 16), (2, 40, 40)], 16, 8),
        "DenseSAGEConv": _from(n, "DenseSAGEConv", [(2, 40, 16), (2, 40, 40)], 16, 8),
        "MLP": _from(m, "MLP", (40, 16), [16, 64, 7]),
        "AttentiveFP": _from(
            m, "AttentiveFP", lambda: [(40, 16), numbers(2, 120, below=40), (120, 4), numbers(40)], 16, 32, 1, 4, 2, 2
        ),
    }


def numbers_of(count: int, below: int) -> Any:
    return numbers(count, below=below)


def _edge_network() -> Made:
    from torch import nn
    from torch_geometric.nn import NNConv

    return NNConv(16, 8, nn.Linear(4, 128)).eval(), [(40, 16), numbers(2, 120, below=40), (120, 4)], {}


def e3nn() -> dict[str, Callable[[], Made]]:
    o3, nn = "e3nn.o3", "e3nn.nn"
    irreps = "8x0e + 4x1o + 2x2e"

    def gate() -> Made:
        import torch
        from e3nn.nn import Gate

        made = Gate("8x0e", [torch.tanh], "4x0e", [torch.sigmoid], "4x1o")
        return made.eval(), [(20, made.irreps_in.dim)], {}

    return {
        "Linear": _from(o3, "Linear", (20, 30), irreps, "4x0e + 4x1o"),
        "FullyConnectedTensorProduct": _from(
            o3, "FullyConnectedTensorProduct", [(20, 30), (20, 4)], irreps, "0e + 1o", "4x0e + 4x1o"
        ),
        "ElementwiseTensorProduct": _from(o3, "ElementwiseTensorProduct", [(20, 30), (20, 30)], irreps, irreps),
        "TensorSquare": _from(o3, "TensorSquare", (20, 30), irreps),
        "SphericalHarmonics": _from(o3, "SphericalHarmonics", (20, 3), "0e + 1o + 2e + 3o", True),
        "FullyConnectedNet": lambda: _radial(),
        "Gate": gate,
        "BatchNorm": _from(nn, "BatchNorm", (20, 30), irreps),
        "NormActivation": lambda: _norm_activation(),
        "Extract": _from(nn, "Extract", (20, 30), irreps, ["8x0e", "4x1o"], [(0,), (1,)]),
    }


def _radial() -> Made:
    import torch
    from e3nn.nn import FullyConnectedNet

    return FullyConnectedNet([10, 64, 32], torch.tanh).eval(), [(20, 10)], {}


def _norm_activation() -> Made:
    import torch
    from e3nn.nn import NormActivation

    return NormActivation("8x0e + 4x1o", torch.sigmoid).eval(), [(20, 20)], {}


def speechbrain() -> dict[str, Callable[[], Made]]:
    b = "speechbrain.lobes.models"

    def conformer(kind: str) -> Callable[[], Made]:
        def make() -> Made:
            from speechbrain.lobes.models.transformer.TransformerASR import TransformerASR

            made = TransformerASR(
                tgt_vocab=50,
                input_size=80,
                d_model=64,
                nhead=4,
                num_encoder_layers=2,
                num_decoder_layers=2,
                d_ffn=128,
                encoder_module=kind,
                attention_type="RelPosMHAXL" if kind != "transformer" else "regularMHA",
                normalize_before=True,
                causal=False,
                csgu_linear_units=128,
                kernel_size=7,
            )
            return made.eval(), [(1, 60, 80), numbers(1, 12)], {}

        return make

    return {
        "ECAPA-TDNN": _from(f"{b}.ECAPA_TDNN", "ECAPA_TDNN", (1, 100, 80), 80, lin_neurons=192),
        "x-vector": _from(f"{b}.Xvector", "Xvector", (1, 100, 80), in_channels=80),
        "ResNet of speakers": _from(f"{b}.ResNet", "ResNet", (1, 100, 80), input_size=80),
        "CRDNN": _from(f"{b}.CRDNN", "CRDNN", (1, 100, 80), input_shape=(1, 100, 80), rnn_layers=2, cnn_blocks=1),
        "VanillaNN": _from(f"{b}.VanillaNN", "VanillaNN", (1, 100, 80), input_shape=(None, None, 80)),
        "ContextNet": _from(f"{b}.ContextNet", "ContextNet", (1, 100, 80), input_shape=(1, 100, 80)),
        "HiFi-GAN": _from(
            f"{b}.HifiGAN",
            "HifiganGenerator",
            (1, 80, 20),
            in_channels=80,
            out_channels=1,
            resblock_type="1",
            resblock_dilation_sizes=[[1, 3, 5]] * 3,
            resblock_kernel_sizes=[3, 7, 11],
            upsample_kernel_sizes=[16, 16, 4, 4],
            upsample_initial_channel=128,
            upsample_factors=[8, 8, 2, 2],
        ),
        "EnhanceResnet": _from(f"{b}.EnhanceResnet", "EnhanceResnet", (1, 16000)),
        "Cnn14": _from(f"{b}.Cnn14", "Cnn14", (1, 100, 64), mel_bins=64, emb_dim=128),
        "transformer": conformer("transformer"),
        "conformer": conformer("conformer"),
        "branchformer": conformer("branchformer"),
        "MetricGAN": _from(f"{b}.MetricGAN", "EnhancementGenerator", lambda: [(1, 50, 257), _ones(1)]),
        "SEGAN": _from(f"{b}.segan_model", "Generator", (1, 2048, 1), 5, [16, 32, 64], 2),
    }


def _ones(*shape: int) -> Any:
    import torch

    return torch.ones(shape)


def neuralop() -> dict[str, Callable[[], Made]]:
    m = "neuralop.models"
    return {
        "FNO 1d": _from(m, "FNO", (1, 3, 64), n_modes=(16,), hidden_channels=16, in_channels=3, out_channels=1),
        "FNO 2d": _from(m, "FNO", (1, 3, 64, 64), n_modes=(16, 16), hidden_channels=16, in_channels=3, out_channels=1),
        "FNO 3d": _from(
            m, "FNO", (1, 3, 16, 16, 16), n_modes=(8, 8, 8), hidden_channels=8, in_channels=3, out_channels=1
        ),
        "TFNO": _from(
            m, "TFNO", (1, 3, 32, 32), n_modes=(8, 8), hidden_channels=16, in_channels=3, out_channels=1, rank=0.1
        ),
        "UNO": _from(
            m,
            "UNO",
            (1, 3, 32, 32),
            in_channels=3,
            out_channels=1,
            hidden_channels=16,
            uno_out_channels=[16, 16, 16],
            uno_n_modes=[[8, 8], [8, 8], [8, 8]],
            uno_scalings=[[1, 1], [0.5, 0.5], [2, 2]],
            n_layers=3,
            channel_mlp_skip="linear",
        ),
    }


def lucidrains() -> dict[str, Callable[[], Made]]:
    """Packages of one author, each with few models."""
    d = "denoising_diffusion_pytorch"
    return {
        "Unet": _from(d, "Unet", lambda: [(1, 3, 32, 32), _ones(1)], 32, dim_mults=(1, 2)),
        "Unet1D": _from(d, "Unet1D", lambda: [(1, 3, 64), _ones(1)], 32, dim_mults=(1, 2), channels=3),
        "KarrasUnet": _from(
            d, "KarrasUnet", lambda: [(1, 4, 32, 32), _ones(1)], image_size=32, dim=32, num_downsamples=2
        ),
    }


def egnn() -> dict[str, Callable[[], Made]]:
    m = "egnn_pytorch"
    return {
        "EGNN": _from(m, "EGNN", [(1, 16, 32), (1, 16, 3)], dim=32),
        "EGNN of neighbours": _from(m, "EGNN", [(1, 16, 32), (1, 16, 3)], dim=32, num_nearest_neighbors=4),
        "EGNN_Network": _from(
            m,
            "EGNN_Network",
            lambda: [numbers(1, 16), (1, 16, 3)],
            num_tokens=21,
            dim=32,
            depth=2,
            num_nearest_neighbors=4,
        ),
    }


def perceiver() -> dict[str, Callable[[], Made]]:
    m = "perceiver_pytorch"
    small = {"depth": 2, "latent_dim": 64, "num_latents": 16}
    return {
        "Perceiver": _from(
            m, "Perceiver", (1, 32, 32, 3), num_freq_bands=4, max_freq=10.0, input_channels=3, input_axis=2, **small
        ),
        "PerceiverIO": _from(m, "PerceiverIO", (1, 40, 32), dim=32, queries_dim=32, logits_dim=10, **small),
        "PerceiverLM": _from(m, "PerceiverLM", lambda: numbers(1, 40), num_tokens=50, dim=32, max_seq_len=64, **small),
    }


def tables() -> dict[str, Callable[[], Made]]:
    m = "tab_transformer_pytorch"

    def given() -> Any:
        return [numbers(1, 5, below=5), (1, 10)]

    five = {"categories": (10, 5, 6, 5, 8), "num_continuous": 10, "dim": 32, "depth": 2, "heads": 4}

    return {
        "TabTransformer": _from(m, "TabTransformer", given, **five),
        "FTTransformer": _from(m, "FTTransformer", given, **five),
    }


def quantisers() -> dict[str, Callable[[], Made]]:
    m, x = "vector_quantize_pytorch", (1, 64, 32)
    return {
        "VectorQuantize": _from(m, "VectorQuantize", x, dim=32, codebook_size=64),
        "ResidualVQ": _from(m, "ResidualVQ", x, dim=32, num_quantizers=4, codebook_size=64),
        "GroupedResidualVQ": _from(m, "GroupedResidualVQ", x, dim=32, num_quantizers=2, groups=2, codebook_size=64),
        "FSQ": _from(m, "FSQ", x, [8, 5, 5, 5], dim=32),
        "LFQ": _from(m, "LFQ", x, dim=32, codebook_size=64),
        "RandomProjectionQuantizer": _from(
            m, "RandomProjectionQuantizer", x, dim=32, num_codebooks=2, codebook_dim=8, codebook_size=32
        ),
        "SimVQ": _from(m, "SimVQ", x, dim=32, codebook_size=64),
    }


TABLES: dict[str, tuple[str, str, Callable[[], dict[str, Callable[[], Made]]]]] = {
    "torch_geometric": ("torch-geometric", "torch_geometric", torch_geometric),
    "e3nn": ("e3nn", "e3nn", e3nn),
    "speechbrain": ("speechbrain", "speechbrain", speechbrain),
    "neuraloperator": ("neuraloperator", "neuralop", neuralop),
    "denoising-diffusion-pytorch": ("denoising-diffusion-pytorch", "denoising_diffusion_pytorch", lucidrains),
    "egnn-pytorch": ("egnn-pytorch", "egnn_pytorch", egnn),
    "perceiver-pytorch": ("perceiver-pytorch", "perceiver_pytorch", perceiver),
    "tab-transformer-pytorch": ("tab-transformer-pytorch", "tab_transformer_pytorch", tables),
    "vector-quantize-pytorch": ("vector-quantize-pytorch", "vector_quantize_pytorch", quantisers),
}
"""Collection → what is installed, what is imported, and its models."""
