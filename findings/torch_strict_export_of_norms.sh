#!/usr/bin/env bash
# What a strict export keeps of a batch norm
#
# Guess     torch.export gives the same buffers with strict=True as with strict=False.
# Versions  torch 2.13.0
# Seen      A strict export leaves num_batches_tracked out of its signature and of the buffers of its module, though its
#           state dict has it, and so has the file that torch.export.save writes.
# So        the weights of a .pt2 are those of its state dict, not those of program.module(): costcalc adds what no call
#           reads, so that buffers and stored bits are those of the live module.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps torch==2.13.0 filelock==3.20.0 typing_extensions==4.15.0 \
  sympy==1.14.0 mpmath==1.3.0 networkx==3.5 jinja2==3.1.6 markupsafe==3.0.3 fsspec==2025.9.0
cd "$work"
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON'
import io
import torch
from torch import nn

NAME = "1.num_batches_tracked"
seen = {}
for strict in (False, True):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()
    program = torch.export.export(net, (torch.zeros(1, 3, 8, 8),), strict=strict)
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    loaded = torch.export.load(file)
    signed = NAME in program.graph_signature.buffers
    seen[strict] = (signed, NAME in dict(loaded.module().named_buffers()), NAME in loaded.state_dict)
    print(f"strict={strict}: in the signature {seen[strict][0]}, a buffer of the loaded module {seen[strict][1]}, stored {seen[strict][2]}")
assert seen == {False: (True, True, True), True: (False, False, True)}
PYTHON
