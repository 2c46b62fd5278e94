#!/usr/bin/env bash
# Deconvolution with padding -233 (SAME) in ncnn
#
# Guess     7×9 at stride 2 becomes 14×18, whatever the kernel, as with padding -233 of a convolution, which makes
#           ⌈size / stride⌉.
# Versions  ncnn 1.0.20261020
# Seen      -233 crops nothing by itself: kernel 3 makes 15×19, as with no padding at all. Only where the output's
#           size is given beside it (20=18 21=14) it makes 14×18. Convolution with -233 makes 4×5 of 7×9 at stride 2.
# So        a reader of .param files takes the size of a deconvolution from output_w and output_h where they stand,
#           and crops nothing for -233 alone.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check ncnn==1.0.20261020 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import ncnn
import numpy as np

def shape(layer):
    with open("net.param", "w") as stream:
        stream.write(f"7767517\n2 2\nInput in 0 1 x\n{layer}\n")
    with open("net.bin", "wb") as stream:
        stream.write(bytes(100_000))
    net = ncnn.Net()
    net.opt.num_threads = 1
    assert net.load_param("net.param") == 0 and net.load_model("net.bin") == 0
    extractor = net.create_extractor()
    extractor.input("x", ncnn.Mat(np.ones((4, 7, 9), np.float32)))
    return np.array(extractor.extract("y")[1]).shape

same = shape("Deconvolution d 1 1 x y 0=8 1=3 3=2 4=-233 6=288")
none = shape("Deconvolution d 1 1 x y 0=8 1=3 3=2 6=288")
sized = shape("Deconvolution d 1 1 x y 0=8 1=3 3=2 4=-233 6=288 20=18 21=14")
conv = shape("Convolution c 1 1 x y 0=8 1=3 3=2 4=-233 6=288")
print("deconvolution of 4×7×9, kernel 3, stride 2: -233", same, " no padding", none, " -233 and a size", sized)
print("convolution with -233:", conv)
assert (same, none, sized, conv) == ((8, 15, 19), (8, 15, 19), (8, 14, 18), (8, 4, 5))
PYTHON
