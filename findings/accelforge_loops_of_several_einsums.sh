#!/usr/bin/env bash
# Whether two Einsums of an AccelForge workload may each have a loop called c, of other bounds
#
# Guess     bounds that stand in an Einsum's own iteration_space_shape are of that Einsum: its c runs to 3, another's to 6.
# Versions  accelforge 1.0.467 (Python 3.12 and newer)
# Seen      the file is read, and each Einsum's operations are counted by its own bounds; the mapper then refuses it:
#           "Rank variable c has different bounds for einsum A and B: 3 and 6". A name is one loop in the whole workload,
#           whether or not the Einsums share a tensor.
# So        `costcalc export accelforge` gives each loop the number of its Einsum; docs/viewers.md.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for python in python3.13 python3.12 python3; do "$python" -c "" 2> /dev/null && break; done
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check accelforge==1.0.467
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
from math import prod
from pathlib import Path

import accelforge
from accelforge.frontend._workload_isl._isl import get_rank_variable_bounds

ARCH = """arch:
  nodes:
  - !Memory
    name: Main
    size: inf
    leak_power: 0
    area: 0
    tensors: {keep: All}
    actions:
    - {name: read, energy: 1, throughput: inf}
    - {name: write, energy: 1, throughput: inf}
  - !Compute
    name: MAC
    leak_power: 0
    area: 0
    actions:
    - {name: compute, energy: 1, throughput: 1}
"""
EINSUM = """  - name: {name}
    tensor_accesses:
    - {{name: I{name}, projection: {{N: n{name}, C: {loop}}}}}
    - {{name: W{name}, projection: {{C: {loop}, K: k{name}}}}}
    - {{name: O{name}, projection: {{N: n{name}, K: k{name}}}, output: true}}
    iteration_space_shape: [0 <= n{name} < 4, 0 <= k{name} < 5, 0 <= {loop} < {bound}]
    renames: {{input: I{name}, weight: W{name}, output: O{name}}}
"""

def said(loop_a, loop_b):
    text = EINSUM.format(name="A", loop=loop_a, bound=3) + EINSUM.format(name="B", loop=loop_b, bound=6)
    Path("net.yaml").write_text(f"workload:\n  bits_per_value: {{All: 8}}\n  einsums:\n{text}")
    Path("arch.yaml").write_text(ARCH)
    spec = accelforge.Spec.from_yaml("arch.yaml", "net.yaml")
    work = spec.workload
    counted = sum(prod(get_rank_variable_bounds(work, one.name).values()) for one in work.einsums)
    try:
        from accelforge.mapper.FFM._make_pmappings.make_pmappings import get_rank_variable_bounds_for_all_einsums as bounds
        bounds(spec)
    except ValueError as error:
        return counted, str(error)
    return counted, "mapped"

one, two = said("c", "c"), said("ca", "cb")
print(one, two, sep="\n")
assert one[0] == two[0] == 4 * 5 * (3 + 6)
assert "has different bounds for einsum A and B" in one[1] and two[1] == "mapped"
PYTHON
