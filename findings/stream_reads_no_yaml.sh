#!/usr/bin/env bash
# Whether Stream reads a workload that ZigZag reads
#
# Guess     Stream is made of ZigZag by the same people and takes its workloads in YAML, as it takes its machines.
# Versions  zigzag-dse 3.9.1, stream-dse 2.1.1 (Python 3.12 and newer)
# Seen      ZigZag makes a layer of 30 MACs of the YAML; Stream's one parser of workload files hands the path to onnx, which
#           finds no protobuf in it (DecodeError). Its other front end takes an exported program of PyTorch.
# So        docs/viewers.md says to give Stream an ONNX file; `costcalc export zigzag` is for ZigZag alone.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for python in python3.13 python3.12 python3; do "$python" -c "" 2> /dev/null && break; done
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check stream-dse==2.1.1 zigzag-dse==3.9.1 six
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
from pathlib import Path

Path("net.yaml").write_text("""- id: 0
  name: fc
  operator_type: Gemm
  equation: O[b][k]+=W[k][c]*I[b][c]
  dimension_relations: []
  loop_dims: [B, K, C]
  loop_sizes: [2, 3, 5]
  operand_precision: {W: 8, I: 8, O: 16, O_final: 8}
  operand_source: {I: 0, W: 0}
""")

Path("mapping.yaml").write_text("""- name: default
  spatial_mapping: {D1: ["K, 2"], D2: ["C, 2"]}
  memory_operand_links: {O: O, W: I2, I: I1}
""")

from zigzag.stages.parser.workload_parser import WorkloadParserStage

stage = WorkloadParserStage([None], workload="net.yaml", mapping="mapping.yaml")
layers = list(stage.parse_workload().topological_sort())
print("zigzag", [layer.total_mac_count for layer in layers])

from stream.parser.onnx.model import ONNXModelParser

try:
    ONNXModelParser("net.yaml").run()
except Exception as error:
    said = type(error).__name__
print("stream", said)
assert [layer.total_mac_count for layer in layers] == [30] and said == "DecodeError"
PYTHON
