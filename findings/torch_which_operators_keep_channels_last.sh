#!/usr/bin/env bash
# Which operators keep channels_last: pairs that one would take for alike
#
# Guess      what only moves or chooses elements of a channels_last map keeps its format, and of two operators that do nearly
#            the same either both do or neither.
# Versions   torch 2.13.0, CPU
# Seen       roll by 1 keeps it, roll by 0 or by a whole turn does not. where keeps it, masked_fill does not; sort keeps it, topk
#            does not; reflect and replicate padding keep it, circular does not; max pooling keeps it, grid_sample does not; flip keeps
#            it, repeat, tile, tril and indexing do not.
# So         a flatten behind such an operator is a view or a copy, and the next convolution may have to reorder its input: traffic of
#            the run that the maths does not show. A trace by costcalc has the strides that PyTorch makes (docs/tracing.md).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import torch
from torch.nn import functional

x = torch.randn(2, 8, 6, 6).to(memory_format=torch.channels_last)
grid = torch.zeros(2, 4, 4, 2)


def keeps(y):
    return y.is_contiguous(memory_format=torch.channels_last) and not y.is_contiguous()


pairs = {
    "roll by 1": (torch.roll(x, 1, 2), True),
    "roll by 0": (torch.roll(x, 0, 2), False),
    "roll by a whole turn": (torch.roll(x, 6, 2), False),
    "where": (torch.where(x > 0, x, 0.0), True),
    "masked_fill": (x.masked_fill(x <= 0, 0.0), False),
    "sort": (x.sort(1).values, True),
    "topk": (x.topk(8, 1).values, False),
    "reflect padding": (functional.pad(x, (1, 1, 1, 1), mode="reflect"), True),
    "circular padding": (functional.pad(x, (1, 1, 1, 1), mode="circular"), False),
    "max pooling": (functional.max_pool2d(x, 2), True),
    "grid_sample": (functional.grid_sample(x, grid, align_corners=False), False),
    "flip": (x.flip(2), True),
    "repeat": (x.repeat(1, 2, 1, 1), False),
    "tril": (x.tril(), False),
    "indexing of channels": (x[:, list(range(8))], False),
}
for name, (y, seen) in pairs.items():
    print(f"{name:22} {'channels_last' if keeps(y) else 'contiguous'}")
    assert keeps(y) == seen, name
PYTHON
