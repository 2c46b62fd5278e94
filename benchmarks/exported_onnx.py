"""MACs and layer names of exported ONNX files against those of the traced models.

    python benchmarks/exported_onnx.py FOLDER                  a list of timm and torchvision models
    python benchmarks/exported_onnx.py FOLDER resnet18 vit_tiny_patch16_224

Each model is exported by ``torch.onnx.export``, the new exporter and the old one (``--new``, ``--old`` for one of
them), into FOLDER, which takes their weights; each file is taken away after it was read, unless ``--keep``. Prints for
each whether MACs are equal to the digit, how many layers with MACs have the name that the trace has, or are in a module
of as many MACs, parameters of both, and what has no rule. Needs onnx, onnxscript and timm.
"""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import time
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "torch"))

MODELS: list[str] = """
resnet18 resnet26d mobilenetv2_100 mobilenetv3_small_100 efficientnet_b0 regnetx_002 regnety_002 densenet121 vgg11
convnext_atto convnextv2_atto vit_tiny_patch16_224 deit_tiny_patch16_224 swin_tiny_patch4_window7_224 mixer_s32_224
poolformer_s12 ghostnet_100 mnasnet_100 shufflenet squeezenet hrnet_w18_small dla34 res2net50_26w_4s resnest14d
seresnet18 ecaresnet26t cspresnet50 darknet17 xcit_nano_12_p16_224 cait_xxs24_224 levit_128s mobilevit_xxs
mobilevitv2_050 edgenext_xx_small efficientformer_l1 efficientvit_b0 fastvit_t8 coat_tiny crossvit_tiny_240 pit_ti_224
tnt_s_patch16_224 twins_svt_small visformer_tiny maxvit_tiny_tf_224 coatnet_0_rw_224 gcvit_xxtiny davit_tiny
focalnet_tiny_srf resmlp_12_224 gmixer_24_224 volo_d1_224 beit_base_patch16_224 eva02_tiny_patch14_224 inception_v3
inception_next_tiny repvgg_a0 mobileone_s0 lcnet_050 tinynet_e hardcorenas_a rexnet_100 semnasnet_100 fbnetc_100
selecsls42 vovnet39a nf_resnet50 dm_nfnet_f0 skresnet18 gernet_s sequencer2d_s nest_tiny pvt_v2_b0 rdnet_tiny
starnet_s1 mambaout_femto tiny_vit_5m_224 repvit_m0_9 hgnet_tiny hgnetv2_b0 vit_relpos_small_patch16_224
convmixer_768_32 wide_resnet50_2 resnext50_32x4d dpn68 xception41 nextvit_small hiera_tiny_224 mobilenetv4_conv_small
efficientformerv2_s0 vit_small_patch16_18x2_224 halonet26t lambda_resnet26t botnet26t_256 sebotnet33ts_256 resnetv2_50
resnetaa50
""".split()  # noqa: SIM905


def exported(model: Any, inputs: Any, path: Path, dynamo: bool) -> None:
    """Write ``model`` as an ONNX file."""
    import torch

    quiet = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    with warnings.catch_warnings(), torch.no_grad(), quiet[0], quiet[1]:
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (inputs,), str(path), dynamo=dynamo, **({} if dynamo else {"opset_version": 17}))


def module(layer: str) -> str:
    """The path before a layer's own name."""
    return layer.rpartition(".")[0]


def by_module(macs: dict[str, int]) -> dict[str, int]:
    """MACs by module."""
    found: dict[str, int] = {}
    for layer, done in macs.items():
        found[module(layer)] = found.get(module(layer), 0) + done
    return found


def main() -> None:
    import torch
    import torchvision_stub

    torchvision_stub.install()
    import timm

    from costcalc import analyze, load
    from costcalc.difference.export_effects import elements, held_by
    from costcalc.difference.export_matching import rewritten
    from costcalc.frontends.torch.tracer import trace

    logging.disable(logging.WARNING)
    given = [a for a in sys.argv[1:] if not a.startswith("--")]
    folder, names = Path(given[0]), given[1:] or MODELS
    equal = explained = tried = mapped = layers = 0
    for name in names:
        try:
            model = timm.create_model(name).eval()
        except Exception as error:
            print(f"{name:32} not built: {str(error)[:80]}")
            continue
        inputs = torch.zeros(1, *model.default_cfg["input_size"])
        ours = trace(model, inputs)
        whole = analyze(ours)
        of_trace = {layer.name: layer.macs for layer in whole.layers if layer.macs}
        for dynamo in (True, False):
            if ("--old" in sys.argv and dynamo) or ("--new" in sys.argv and not dynamo):
                continue
            path, started = folder / f"{name}.{'new' if dynamo else 'old'}.onnx", time.process_time()
            try:
                exported(model, inputs, path, dynamo)
            except Exception as error:
                print(f"{name:32} {path.suffixes[-2][1:]}: no export: {type(error).__name__}: {str(error)[:90]!r}")
                continue
            took, started = time.process_time() - started, time.process_time()
            tried += 1
            try:
                graph = load(str(path))
                report = analyze(graph)
            except Exception as error:
                print(f"{name:32} {path.suffixes[-2][1:]}: {type(error).__name__}: {str(error)[:300]}", flush=True)
                continue
            finally:
                if "--keep" not in sys.argv:
                    for file in folder.glob(f"{path.name}*"):
                        file.unlink()
            read = time.process_time() - started
            same = report.total.macs == whole.total.macs
            equal += same
            found = {layer.name: layer.macs for layer in report.layers if layer.macs}
            there, here = by_module(found), by_module(of_trace)
            alike = sum(key in found or there.get(module(key)) == here[module(key)] for key in of_trace)
            mapped, layers = mapped + alike, layers + len(of_trace)
            how = rewritten(ours, graph, whole, report)
            unexplained = [work.node.name for work, reason in (*how.lost, *how.new) if not reason]
            rest = held_by(graph) - held_by(ours) - sum(change.elements for change in elements(ours, graph, how))
            explained += not unexplained and not rest
            more = "" if same else f" MACs {report.total.macs:,} traced {whole.total.macs:,}"
            more += f" unexplained {unexplained[:4]}" if unexplained else ""
            missing = sorted({layer.kind for layer in report.layers if not layer.counted})
            more += f" uncounted {missing}" if missing else ""
            print(
                f"{name:32} {'new' if dynamo else 'old'}: {'equal' if same else 'DIFFERENT'}{more}; names "
                f"{alike}/{len(of_trace)}; elements {held_by(graph):,} of {held_by(ours):,}, {rest:+,} unexplained; "
                f"{took:.1f} s, {read:.2f} s",
                flush=True,
            )
    print(
        f"{equal} of {tried} files have the MACs of the trace, {explained} the same or explained MACs and elements; "
        f"{mapped:,} of {layers:,} layers have its names"
    )


if __name__ == "__main__":
    main()
