"""What PyTorch's own Python holds, told without running anything, against real runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import costcalc
from costcalc.frontends.torch.kernel_workspace import NUMBER, SCRATCH, beside
from costcalc.planning.records import Memory
from tests.planning.live import Live


def real(module: nn.Module, *shapes: tuple[int, ...]) -> int:
    """The most bytes in storages while ``module`` runs on the CPU."""
    inputs = [torch.randn(shape) for shape in shapes]
    held = sum(t.numel() * t.element_size() for t in inputs)
    with torch.no_grad(), Live([*module.parameters(), *module.buffers(), *inputs], held) as mode:
        module.eval()(*inputs)
    return mode.most


class Skips(nn.Module):
    """Keeps all that it makes in a list, and gives it up at once."""

    def __init__(self, frees: bool) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(4, 4, 3, padding=1) for _ in range(3))
        self.frees = frees

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for conv in self.convs:
            x = conv(x)
            kept.append(x)
        total = torch.cat(kept, 1)
        if self.frees:
            del kept, x
        return total.repeat(1, 2, 1, 1).mul(2.0)


class Holds(nn.Module):
    """A local name holds its input to the end, and the output of one step through the next."""

    def forward(self, x: Tensor) -> Tensor:
        first = x.exp()
        second = first.sin()
        return second.cos().tan()


class Overwrites(nn.Module):
    """Writes in place, and through views."""

    def forward(self, x: Tensor) -> Tensor:
        y = x.relu().mul_(2.0).add_(x)
        y[:, 0] = 0
        return y.flatten(1).view(-1)


def transformer() -> nn.Module:
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), 2)


def attention() -> nn.Module:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.of = nn.MultiheadAttention(16, 4, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.of(x, x, x, need_weights=False)[0] + torch.nn.functional.scaled_dot_product_attention(x, x, x)

    return Own()


MODELS = {
    "skips kept": (lambda: Skips(False), (2, 4, 8, 8)),
    "skips freed": (lambda: Skips(True), (2, 4, 8, 8)),
    "names": (Holds, (2, 4, 8, 8)),
    "in place": (Overwrites, (2, 4, 8, 8)),
    "encoder": (transformer, (2, 10, 16)),
    "attention": (attention, (2, 10, 16)),
    "norms": (
        lambda: nn.Sequential(nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8), nn.GroupNorm(2, 8), nn.SiLU()), (2, 4, 8, 8)
    ),
    "pools": (
        lambda: nn.Sequential(nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(2), nn.Upsample(scale_factor=3)), (2, 4, 9, 9)
    ),
    "recurrent": (lambda: nn.GRU(8, 16, batch_first=True), (2, 5, 8)),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_memory_is_that_of_a_real_run(name: str) -> None:
    make, shape = MODELS[name]
    torch.manual_seed(0)
    module = make()
    found = costcalc.memory(module, shape)
    assert found.upper_bound_bytes is not None, found.notes
    assert found.peak_bytes == real(module, shape)
    lives(found)


def lives(found: Memory) -> None:
    """Each step holds what lives there, and no bound is below the peak."""
    for i, step in enumerate(found.steps):
        assert step.bytes == sum(t.bytes for t in found.tensors if t.first <= i <= t.last)
    assert found.arena_bytes is None
    assert (found.upper_bound_bytes or 0) >= found.peak_bytes


def test_a_model_that_makes_nothing_holds_its_input() -> None:
    found = costcalc.memory(nn.Identity(), (2, 3))
    assert (found.peak_bytes, found.upper_bound_bytes, found.at) == (24, 24, "")


def test_a_name_that_is_freed_is_seen() -> None:
    kept, freed = (costcalc.memory(Skips(frees), (2, 4, 8, 8)).peak_bytes for frees in (False, True))
    m = 2 * 4 * 8 * 8 * 4
    assert (kept, freed) == (m + 3 * m + 3 * m + 6 * m + 6 * m, m + 3 * m + 6 * m + 6 * m)


def test_a_model_is_left_as_it_was_and_its_bits_are_scaled() -> None:
    module = Skips(False).train()
    before = {name: (id(p), p.clone()) for name, p in module.named_parameters()}
    wide, narrow = costcalc.memory(module, (1, 4, 8, 8)), costcalc.memory(module, (1, 4, 8, 8), bits=16)
    assert wide.peak_bytes == 2 * narrow.peak_bytes
    assert module.training
    assert all(id(p) == before[n][0] and torch.equal(p, before[n][1]) for n, p in module.named_parameters())


def test_a_model_that_asks_for_values_is_told_by_the_rule_of_blocks() -> None:
    class Asks(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * 2 if float(x.sum()) > 0 else x

    found = costcalc.memory(Asks(), torch.ones(1, 4))
    assert found.upper_bound_bytes is None
    assert "cannot be run without values" in found.notes[0]
    assert found.peak_bytes == 2 * 16


@pytest.fixture
def threads() -> Iterator[None]:
    """Puts the number of PyTorch's threads back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def besides(module: nn.Module, shape: tuple[int, ...], threads: int) -> int:
    """What kernels may take beside the peak with so many threads."""
    torch.set_num_threads(threads)
    found = costcalc.memory(module, shape)
    assert "one thread" in found.notes[0] if threads == 1 else f"for {threads} threads" in found.notes[0]
    return (found.upper_bound_bytes or 0) - found.peak_bytes


@pytest.mark.parametrize(
    ("batch", "count", "images"), [(1, 2, 2), (2, 2, 2), (4, 2, 4), (1, 4, 4), (1, 8, 8), (1, 1, 1)]
)
@pytest.mark.usefixtures("threads")
def test_a_pointwise_convolution_with_a_stride_has_room_for_each_thread(batch: int, count: int, images: int) -> None:
    """``layer2.0.downsample`` of ResNet-50 with two threads, torch 2.13.0, as the profiler has it.

    Its input in blocks, 3,211,264 bytes, its kernel, 524,288, and 1,605,760 for two threads, 128 of them no pixels.
    With four and eight threads the whole of ResNet-50 holds 13.32 and 16.39 MiB where 10.53 live.
    """
    conv = nn.Conv2d(256, 512, 1, stride=2, bias=False)
    found = besides(conv, (batch, 256, 56, 56), count)
    assert found == batch * 3_211_264 + 524_288 + images * 256 * 28 * 28 * 4 + SCRATCH


@pytest.mark.usefixtures("threads")
def test_one_thread_convolves_single_pixels_without_copies() -> None:
    """aten/src/ATen/native/Convolution.cpp, ``use_mkldnn``: of up to 15 images, without stride, dilation and groups."""
    plain = nn.Conv2d(64, 64, 1)
    assert besides(plain, (1, 64, 32, 32), 1) == SCRATCH
    assert besides(plain, (1, 64, 32, 32), 2) > SCRATCH
    assert besides(plain, (16, 64, 32, 32), 1) > SCRATCH
    assert besides(nn.Conv2d(64, 64, 1, groups=2), (1, 64, 32, 32), 1) > SCRATCH


def test_attention_of_five_axes_looks_for_rows_that_are_hidden() -> None:
    """NesT holds a truth value a score there, 1.76 MiB beside 23.83, as PyTorch's allocator has it."""
    scores = torch.zeros(2, 3, 4, 5, 6)
    found = beside(torch.ops.aten._safe_softmax.default, (scores, -1), {}, scores)
    assert found == scores.numel() + scores.numel() // 6 + NUMBER


def test_a_number_is_made_a_tensor() -> None:
    """TNT holds 12 bytes beside what lives for one: eight of its own type, and four of the map's."""
    x = torch.zeros(4, 4)
    assert beside(torch.ops.aten.mul.Tensor, (x, 0.5), {}, x) >= 12
    assert beside(torch.ops.aten.mul.Tensor, (x, x), {}, x) == 0


class Of(nn.Module):
    """What a function makes of its inputs, and then its square."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *x: Tensor) -> Tensor:
        return torch.square(self.function(*x))


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (lambda x: functional.fold(x, (8, 8), 3), [(2, 27, 36)]),
        (lambda x: functional.fold(x, (9, 12), (3, 2), dilation=(1, 2), padding=1), [(1, 12, 108)]),
        (lambda x: functional.fold(x, 8, 2, stride=2), [(1, 12, 16)]),
        (lambda x: functional.fold(x, (8, 8), 2, stride=3), [(1, 12, 9)]),
        (functional.mse_loss, [(40, 30), (40, 30)]),
        (functional.smooth_l1_loss, [(40, 30), (40, 30)]),
        (lambda a, b: functional.binary_cross_entropy(a.sigmoid(), b.sigmoid(), reduction="sum"), [(40, 30), (40, 30)]),
        (functional.soft_margin_loss, [(40, 30), (40, 30)]),
        (lambda a, b: functional.mse_loss(a, b, reduction="none"), [(40, 30), (40, 30)]),
        (functional.huber_loss, [(40, 30), (40, 30)]),
    ],
)
def test_a_kernel_that_returns_a_part_of_its_memory_holds_all_of_it(
    function: Callable[..., Tensor], shapes: list[tuple[int, ...]]
) -> None:
    model = Of(function)
    theirs = real(model, *shapes)

    assert costcalc.memory(model, *shapes).peak_bytes == theirs
    if function is not functional.soft_margin_loss:  # which is no op of its own
        assert costcalc.memory(costcalc.trace(model, *shapes)).peak_bytes == theirs
