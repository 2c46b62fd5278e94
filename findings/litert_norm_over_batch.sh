#!/usr/bin/env bash
# A norm in a TFLite file that is run at another batch than it was converted for
#
# Guess     a LayerNorm that litert-torch converted for one sample either refuses a batch of two, since its shapes are fixed, or
#           makes of each sample what it makes of it alone, as PyTorch does.
# Versions  litert-torch 0.10.0, litert-converter 0.5.0, ai-edge-litert 2.3.0 (CPU), torch 2.13.0
# Seen      the converter writes the mean as MEAN over the axes (0, 2), the batch with the features, because the batch is 1 there.
#           Resized to a batch of two the file runs with every kernel, without a word, and samples are normalised by each other's
#           values: here the first one is off by more than 1.
# So        costcalc counts such a mean for each sample by itself at another batch, and the report says that the file has it over the batch.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps torch==2.13.0 litert-torch==0.10.0 litert-converter==0.5.0 \
  ai-edge-litert==2.3.0 ai-edge-quantizer==0.10.0 backports.strenum==1.2.8 torchao==0.18.0 jax==0.10.2 jaxlib==0.10.2 ml_dtypes==0.6.0 opt_einsum==3.4.0 numpy==2.4.6 scipy==1.17.1 \
  flatbuffers==25.12.19 immutabledict==4.3.1 absl-py==2.5.1 rich==15.0.0 markdown-it-py==4.3.0 mdurl==0.1.2 pygments==2.21.0 tqdm==4.70.1 \
  filelock==4.2.11 typing_extensions==4.16.0 sympy==1.14.0 mpmath==1.3.0 networkx==3.6.1 jinja2==3.1.6 markupsafe==3.0.4 \
  fsspec==2026.9.0 packaging==26.3 setuptools==80.9.0 jaxtyping==0.3.11 wadler_lindig==0.1.8 multipledispatch==1.0.0 \
  safetensors==0.8.0 protobuf==7.36.2 tabulate==0.10.0 fire==0.7.1 termcolor==3.3.0
cd "$work"
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON' 2> /dev/null
import contextlib, io
import numpy as np
import torch
import litert_torch
from ai_edge_litert.interpreter import Interpreter, OpResolverType

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = torch.nn.LayerNorm(8)
    def forward(self, x):
        return self.norm(x)

net = Net().eval()
with contextlib.redirect_stdout(io.StringIO()):
    litert_torch.convert(net, (torch.zeros(1, 5, 8),)).export("norm.tflite")

def run(x, kernels):
    made = Interpreter("norm.tflite", num_threads=1, experimental_op_resolver_type=kernels)
    (given,) = made.get_input_details()
    made.resize_tensor_input(given["index"], x.shape)
    made.allocate_tensors()
    made.set_tensor(given["index"], x)
    made.invoke()
    return made.get_tensor(made.get_output_details()[0]["index"])

chance = np.random.default_rng(0)
first = chance.normal(size=(1, 5, 8)).astype("float32")
other = (5 * chance.normal(size=(1, 5, 8)) + 3).astype("float32")
both = np.concatenate([first, other])
same = True
for kernels in (OpResolverType.AUTO, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES, OpResolverType.BUILTIN_REF):
    alone, beside = run(first, kernels), run(both, kernels)[:1]
    wanted = net(torch.from_numpy(both))[:1].detach().numpy()
    print(f"{kernels.name}: alone off by {np.abs(alone - wanted).max():.1e}, beside another sample by {np.abs(beside - wanted).max():.2f}")
    same &= bool(np.abs(alone - wanted).max() < 1e-4 and np.abs(beside - wanted).max() > 1)
raise SystemExit(0 if same else 1)
PYTHON
