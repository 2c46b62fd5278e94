#!/usr/bin/env bash
# What ultralytics says that a detector costs at other sizes, and once it is fused
#
# Guess     model.info's GFLOPs are twice the MACs with attention, profiled at one size and scaled by area: 6.82 at 650 pixels for the
#           6.61 of YOLO11n at 640, as version 8.3.50 says; the same for the fused model.
# Versions  ultralytics 8.4.190, ultralytics-thop 2.2.3, torch 2.13.0
# Seen      6.673 at 640 and 1.657 at 320, but 0.0 at 650 and at every size that is no multiple of the largest stride: the forward
#           raises there, and that is taken for 0. Fused 6.543 and 1.624, which is what torch's counter says of either: the batch norms are
#           2 % of the unfused figure.
# So        docs/counting.md has it among the counters that differ.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps torch==2.13.0 torchvision==0.28.0 filelock==3.20.0 typing_extensions==4.15.0 \
  sympy==1.14.0 mpmath==1.3.0 networkx==3.5 jinja2==3.1.6 markupsafe==3.0.3 fsspec==2025.9.0 numpy==2.4.6 \
  ultralytics==8.4.190 ultralytics-thop==2.2.3 opencv-python-headless==4.12.0.88 pillow==12.0.0 pyyaml==6.0.3 tqdm==4.67.1 requests==2.32.5 \
  urllib3==2.5.0 certifi==2025.10.5 idna==3.11 charset-normalizer==3.4.4 matplotlib==3.10.7 packaging==25.0 python-dateutil==2.9.0.post0 six==1.17.0 \
  pyparsing==3.2.5 cycler==0.12.1 kiwisolver==1.4.9 contourpy==1.3.3 fonttools==4.60.1 psutil==7.1.3 py-cpuinfo==9.0.0
cd "$work"
YOLO_CONFIG_DIR="$work" YOLO_OFFLINE=true OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON'
import copy

import torch
from torch.utils.flop_counter import FlopCounterMode
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils.torch_utils import get_flops

model = DetectionModel("yolo11n.yaml", verbose=False).eval()
fused = copy.deepcopy(model).fuse(verbose=False)

def counted(size):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 3, size, size))
    return counter.get_total_flops() / 1e9

sizes = (640, 320, 650)
told = [[round(get_flops(m, size), 3) for size in sizes] for m in (model, fused)]
torchs = [round(counted(size), 3) for size in sizes[:2]]
print("GFLOPs of YOLO11n at", sizes, "as it is:", told[0], " fused:", told[1], " by torch's counter:", torchs)
assert told == [[6.673, 1.657, 0.0], [6.543, 1.624, 0.0]] and torchs == told[1][:2], told
PYTHON
