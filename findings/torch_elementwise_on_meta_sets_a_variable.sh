#!/usr/bin/env bash
# An elementwise operator on the meta device: a shape is worked out, and the process has another environment
#
# Guess      an operator on a meta tensor works out a shape; modules and the environment of the process are as they were before it.
# Versions   torch 2.13.0, CPU
# Seen       add, relu and hardtanh are done by their Python references, behind which PyTorch's compiler is imported at the first call:
#            hundreds of modules. One of them sets TORCHINDUCTOR_CACHE_DIR in os.environ, which child processes inherit. conv2d and
#            max_pool2d on meta tensors import no compiler and set nothing.
# So         who records which variables a model depends on, as `costcalc lock` does, must compare with the environment from before the
#            model ran; and the first elementwise operator without values takes time that later ones do not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
cd "$work"
cat > probe.py <<'PYTHON'
import os
import sys

import torch
from torch.nn import functional

x = torch.empty(1, 4, 8, 8, device="meta")
calls = {
    "add": lambda: x + x,
    "conv2d": lambda: functional.conv2d(x, torch.empty(4, 4, 3, 3, device="meta")),
    "hardtanh": lambda: functional.hardtanh(x),
    "max_pool2d": lambda: functional.max_pool2d(x, 2),
    "relu": lambda: torch.relu(x),
}
name, seen = sys.argv[1], sys.argv[2] == "yes"
before, modules = dict(os.environ), {*sys.modules}
calls[name]()
changed = sorted(key for key in os.environ if os.environ[key] != before.get(key))
print(f"{name:10} {len({*sys.modules} - modules):4} modules  sets {', '.join(changed) or 'nothing'}")
compiler = "torch._dynamo" in {*sys.modules} - modules
assert (changed == ["TORCHINDUCTOR_CACHE_DIR"]) == seen and compiler == seen
PYTHON
unset TORCHINDUCTOR_CACHE_DIR
for name in conv2d max_pool2d; do "$work/venv/bin/python" probe.py "$name" no; done
for name in add relu hardtanh; do "$work/venv/bin/python" probe.py "$name" yes; done
