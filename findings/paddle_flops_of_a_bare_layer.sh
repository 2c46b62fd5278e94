#!/usr/bin/env bash
# paddle.flops: of a bare layer, and of what is no layer
#
# Guess      flops(Conv2D(3, 8, 3, padding=1), [1, 3, 6, 6]) is 8·36·27 = 7,776 multiply-accumulates, or twice that, or 288 more for the
#            bias; a transposed convolution 5×5, 4 → 6 channels, stride 2 has 25·4·6·9 = 5,400 useful ones.
# Versions   paddlepaddle 3.3.1, numpy 2.2.6
# Seen       0 for every bare layer, though it prints that its flops have been counted: only what stands inside another layer adds up. In a Sequential it is
#            8,064, MACs and biases added up. The transposed convolution has 26,136, a product at each place of the output. A matrix product
#            in a forward, an LSTM (a line on the screen says so) and the products of attention count 0. With numpy 2.4 flops of anything with
#            a Linear raises a TypeError.
# So         a row in docs/counting.md. A figure of it is MACs with biases, of layers alone.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check paddlepaddle==3.3.1 numpy==2.2.6
cd "$work"
"$work/venv/bin/python" - <<'PYTHON' 2>/dev/null
import paddle
from paddle import nn


class Product(nn.Layer):
    def __init__(self):
        super().__init__()
        self.weight = self.create_parameter([8, 4])
        self.act = nn.ReLU()

    def forward(self, x):
        return self.act(paddle.matmul(x, self.weight))


conv = nn.Conv2D(3, 8, 3, padding=1)
counted = {
    "a bare Conv2D": (paddle.flops(conv, [1, 3, 6, 6]), 0),
    "the same in a Sequential": (paddle.flops(nn.Sequential(conv), [1, 3, 6, 6]), 8 * 36 * 28),
    "Conv2DTranspose": (
        paddle.flops(nn.Sequential(nn.Conv2DTranspose(4, 6, 3, stride=2, bias_attr=False)), [1, 4, 5, 5]),
        121 * 6 * 4 * 9,
    ),
    "a matrix product in a forward": (paddle.flops(nn.Sequential(Product()), [2, 8]), 0),
    "LSTM": (paddle.flops(nn.Sequential(nn.LSTM(10, 20)), [2, 7, 10]), 0),
    # 4 projections of 10 tokens from 8 to 8; the two products of 2·2·5·5 scores of width 4 are missing
    "MultiHeadAttention": (paddle.flops(nn.Sequential(nn.MultiHeadAttention(8, 2)), [2, 5, 8]), 4 * 10 * 8 * 8),
}
for name, (flops, seen) in counted.items():
    print(f"{name:30} {flops}")
    assert flops == seen, name
PYTHON
