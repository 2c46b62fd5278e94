#!/usr/bin/env bash
# What XLA's cost_analysis counts of a loop, of padding and of a branch
#
# Guess     A scan of 10 steps and a loop with a known number of turns count 10 times their body; taps on padding count,
#           so a 3×3 convolution of 8×8 with padding costs 64 places; a complex product is 4 real ones.
# Versions  jax 0.10.2, jaxlib 0.10.2, on the CPU, lowered and compiled alike
# Seen      Loops count their body once, whatever the number of turns. Only taps that land inside count (484 of 576), and
#           none of the zeros that a transposed convolution puts between its inputs. Complex and int8 products count as
#           float ones. Of two branches the dearer counts.
# So        its figure is no count of MACs: docs/counting.md has it among the counters that differ.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check jax==0.10.2 jaxlib==0.10.2
cd "$work"
JAX_PLATFORMS=cpu "$work/venv/bin/python" - <<'PYTHON'
import jax
import jax.numpy as jnp
from jax import lax

def counted(function, *shapes, dtype=jnp.float32):
    lowered = jax.jit(function).lower(*[jax.ShapeDtypeStruct(shape, dtype) for shape in shapes])
    found = [costs[0] if isinstance(costs, list) else costs for costs in (lowered.cost_analysis(), lowered.compile().cost_analysis())]
    assert found[0]["flops"] == found[1]["flops"]
    return int(found[0]["flops"])

def conv(padding, zeros=1):
    return lambda x, w: lax.conv_general_dilated(x, w, (1, 1), [(padding, padding)] * 2, lhs_dilation=(zeros, zeros))

matmul = lambda a, b: a @ b
step = lambda w: lambda c, _: (c @ w, None)
seen = {
    "3×3 convolution of 8×8, 3 to 4 channels": (counted(conv(0), (1, 3, 8, 8), (4, 3, 3, 3)), 2 * 12 * 9 * 36),
    "the same with padding 1": (counted(conv(1), (1, 3, 8, 8), (4, 3, 3, 3)), 2 * 12 * 484),
    "transposed, stride 2": (counted(conv(1, 2), (1, 3, 8, 8), (4, 3, 3, 3)), 2 * 12 * 484),
    "8×16 times 16×4": (counted(matmul, (8, 16), (16, 4)), 1024),
    "in complex numbers": (counted(matmul, (8, 16), (16, 4), dtype=jnp.complex64), 1024),
    "in int8": (counted(matmul, (8, 16), (16, 4), dtype=jnp.int8), 1024),
    "scan of 10 steps of 8×8 times 8×8": (counted(lambda c, w: lax.scan(step(w), c, None, length=10)[0], (8, 8), (8, 8)), 1026),
    "loop of 10 turns": (counted(lambda c, w: lax.fori_loop(0, 10, lambda i, c: c @ w, c), (8, 8), (8, 8)), 1026),
    "three products or one": (
        counted(lambda c, w: lax.cond(c[0, 0] > 0, lambda c: c @ w @ w @ w, lambda c: c @ w, c), (8, 8), (8, 8)), 3074,
    ),
}
for case, (flops, expected) in seen.items():
    print(f"{case}: {flops:,} flops")
assert all(flops == expected for flops, expected in seen.values()), seen
PYTHON
