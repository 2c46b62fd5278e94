#!/usr/bin/env bash
# The storage behind a result of fold, and behind a mean of losses
#
# Guess     a new tensor has a storage of its own elements: fold of patches to 1×3×8×8 768 bytes, the mean of a loss 4.
# Versions  torch 2.13.0 (CPU)
# Seen      fold works on as many elements as its patches have and returns the first of them, so that its 768 bytes hold 3,888; the
#           mean of mse_loss, smooth_l1_loss, binary_cross_entropy and soft_margin_loss is the first of the losses of all elements,
#           that of huber_loss is not. Without values (meta device, FakeTensorMode) all of them have just what they need.
# So        costcalc counts such storages as long as the result lives.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps torch==2.13.0 filelock==3.20.0 typing_extensions==4.16.0 \
    sympy==1.14.0 mpmath==1.3.0 networkx==3.5 jinja2==3.1.6 markupsafe==3.0.3 fsspec==2025.9.0
cd "$work"
"$work/venv/bin/python" - <<'PYTHON' 2> /dev/null
import torch
from torch.nn import functional as F

made = {"fold": lambda device: F.fold(torch.rand(1, 27, 36, device=device), (8, 8), 3)}
for name in ("mse_loss", "smooth_l1_loss", "binary_cross_entropy", "soft_margin_loss", "huber_loss"):
    made[name] = lambda device, name=name: getattr(F, name)(*torch.rand(2, 40, 30, device=device))
seen = {}
for name, make in made.items():
    on_cpu, without = make("cpu"), make("meta")
    needs = on_cpu.numel() * on_cpu.element_size()
    seen[name] = needs, on_cpu.untyped_storage().nbytes(), without.untyped_storage().nbytes()
    print(name, "needs, has on the CPU, has without values:", *seen[name])
expected = {name: (4, 4800, 4) for name in list(made)[1:5]} | {"fold": (768, 3888, 768), "huber_loss": (4, 4, 4)}
raise SystemExit(0 if seen == expected else 1)
PYTHON
