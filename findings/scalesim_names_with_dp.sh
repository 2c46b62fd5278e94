#!/usr/bin/env bash
# Whether the name of a layer in a topology of SCALE-Sim means anything
#
# Guess     it is a label for the reports: a layer called DPN_conv is the layer that its numbers say.
# Versions  scalesim 3.0.0
# Seen      a name with DP in it, wherever that stands, makes a layer of 4 channels 4 layers of one channel with all its
#           filters: the sum of MACs is as before (7,776), and not that of a depthwise convolution (1,296); cycles and
#           traffic are of another network. Small letters mean nothing.
# So        `costcalc export scale-sim` writes Dp; docs/viewers.md.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check scalesim==3.0.0 numpy==2.3.5
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
from pathlib import Path

from scalesim.topology_utils import topologies

HEAD = "Layer name,IFMAP Height,IFMAP Width,Filter Height,Filter Width,Channels,Num Filter,Strides,\n"

def counted(name):
    Path("net.csv").write_text(f"{HEAD}{name},8,8,3,3,4,6,1,\n")
    read = topologies()
    read.load_arrays("net.csv")
    read.topo_calc_hyperparams()
    return read.num_layers, sum(entry[2] for entry in read.layers_calculated_hyperparams)

found = {name: counted(name) for name in ("conv", "DPN_conv", "dpn_conv")}
print(found)
assert found == {"conv": (1, 7776), "DPN_conv": (4, 7776), "dpn_conv": (1, 7776)}
PYTHON
