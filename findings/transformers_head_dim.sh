#!/usr/bin/env bash
# What the configurations of Transformers say of the width of a head and of the image
#
# Guess     head_dim, where there is one, is hidden_size / num_attention_heads; image_size is one number; the element type
#           is under torch_dtype.
# Versions  transformers 5.24.0
# Seen      Of the 820 configurations that can be made with their defaults, 59 have a head_dim that is something else (zaya:
#           128 for 2048 / 8), 5 raise when one of the three is read, 11 have an image_size that is not one number. The type is under dtype.
# So        whoever reads such files takes head_dim where it stands, and divides only where it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.24.0
cd "$work"
HF_HUB_OFFLINE=1 HF_HOME="$work/home" "$work/venv/bin/python" - <<'PYTHON'
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

made, other, raises, sides, typed = 0, [], [], [], 0
for name in CONFIG_MAPPING.keys():
    try:
        config = CONFIG_MAPPING[name]()
    except Exception:
        continue  # it needs to be told something
    made += 1
    try:
        head, width, heads = (getattr(config, key, None) for key in ("head_dim", "hidden_size", "num_attention_heads"))
    except Exception:
        raises.append(name)
        continue
    if all(type(n) is int for n in (head, width, heads)) and heads and head * heads != width:
        other.append(name)
    side = getattr(config, "image_size", None)
    if side is not None and type(side) is not int:
        sides.append(name)
    typed += "dtype" in config.to_dict() and "torch_dtype" not in config.to_dict()
print(f"{made} configurations; another head_dim: {len(other)}; raises: {len(raises)} {raises}; image_size: {len(sides)} {sides}")
print(f"{typed} have dtype and no torch_dtype; zaya: {CONFIG_MAPPING['zaya']().head_dim}")
assert (made, len(other), len(raises), len(sides)) == (820, 59, 5, 11)
assert typed > 800
PYTHON
