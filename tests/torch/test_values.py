"""Models that ask for values: those of constants and of whole numbers are there, others take a run with values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from costcalc.analysis.report import report  # noqa: E402
from costcalc.errors import CostcalcError  # noqa: E402
from costcalc.frontends.torch import running  # noqa: E402
from costcalc.frontends.torch.tracer import trace  # noqa: E402

ZEROS = "whole numbers given as shapes are zeros: the model asks for values"


class Around(nn.Module):
    """A linear layer without values, and a function of the input and it."""

    def __init__(self, function: Callable[..., Any], *, embeds: int = 0) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4, device="meta")
        self.table = nn.Embedding(embeds, 4, device="meta") if embeds else None
        self.function = function

    def forward(self, *inputs: Any, **options: Any) -> Any:
        return self.function(self.table or self.layer, *inputs, **options)


def padded(layer: nn.Module, x: Tensor) -> Tensor:
    """As detectors do: a mask beside the image, asked whether it hides anything."""
    mask = torch.ones(x.shape[:2], device=x.device, dtype=torch.bool)
    sizes = torch.tensor([x.shape[1], x.shape[1]], device=x.device)
    assert mask.all() and torch.zeros_like(x).sum() == 0 and x.new_ones(2).sum() == 2
    result: Tensor = layer(x)
    return result[:, : int(sizes.prod()) // x.shape[1]]


def test_constants_made_beside_an_input_have_values_without_weights() -> None:
    graph = trace(Around(padded), (2, 3, 4))
    assert report(graph).total.macs == 2 * 3 * 4 * 4
    assert graph.assumed == ()


def test_a_constant_overwritten_with_what_has_no_values_has_none() -> None:
    def forward(layer: nn.Module, x: Tensor) -> Tensor:
        mask = torch.ones(2, 3)
        mask[0].copy_(x[0])
        return x if mask.sum() > 0 else layer(x)

    with pytest.raises(CostcalcError, match="asks for the value of a tensor"):
        trace(Around(forward), (4, 3))


def test_a_mask_that_the_user_gives_selects_what_it_says() -> None:
    mask = torch.tensor([[True, False, False], [True, True, False]])
    graph = trace(Around(lambda layer, x, mask: layer(x[mask])), (2, 3, 4), mask)
    assert report(graph).total.macs == 3 * 4 * 4
    assert graph.assumed == ()
    assert mask.sum() == 3


def test_a_mask_that_the_user_gives_is_not_written_to() -> None:
    mask = torch.zeros(2, 3, dtype=torch.bool)
    trace(Around(lambda layer, x, mask: layer(x[mask.fill_(True)])), (2, 3, 4), mask)
    assert not mask.any()


def test_words_given_as_a_shape_are_zeros_where_their_values_are_asked_for() -> None:
    def forward(table: nn.Module, words: Tensor) -> Tensor:
        assert words.max() < 10
        result: Tensor = table(words)
        return result

    graph = trace(Around(forward, embeds=10), (2, 5))
    assert graph.assumed == (ZEROS,)
    assert graph.outputs and report(graph).total.macs == 0


def test_words_and_an_image_may_both_be_given_as_shapes() -> None:
    def forward(table: nn.Embedding, image: Tensor, words: Tensor) -> Tensor:
        return nn.functional.linear(image, table.weight).mean() + table(words).sum()

    assert report(trace(Around(forward, embeds=10), (1, 2, 3, 4), (2, 5))).total.macs == 2 * 3 * 4 * 10


def test_the_error_names_the_layer_and_the_line_that_asks() -> None:
    class Inner(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.then = nn.Linear(4, 4, device="meta"), Inner()

        def forward(self, x: Tensor) -> Any:
            return self.then(self.first(x))

    with pytest.raises(CostcalcError) as caught:
        trace(Outer(), (2, 4))
    assert "asks for the value of a tensor in 'then'" in caught.value.message
    assert "return x if x.sum() > 0 else -x" in caught.value.message


def test_constants_have_values_as_long_as_there_is_room_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def forward(layer: nn.Module, x: Tensor) -> Any:
        table = torch.ones(1 << 13)
        for _ in range(7):
            table = table + 1
        return layer(x)[: int(table[:2].sum()) // 16]

    assert report(trace(Around(forward), (2, 4))).outputs == {"slice_1": (1, 4)}  # (8 + 8) // 16
    monkeypatch.setattr(running, "MOST_CONSTANTS", 4 << 13)  # a trace keeps each of the eight
    with pytest.raises(CostcalcError, match="asks for the value of a tensor"):
        trace(Around(forward), (2, 4))


def test_a_check_of_values_that_a_model_makes_is_taken_to_hold() -> None:
    def forward(layer: nn.Module, x: Tensor) -> Any:
        torch._check_tensor_all(x > 0)
        return layer(x)

    assert trace(Around(forward), (2, 4)).assumed == ()


def test_autocast_by_the_device_of_the_input_is_the_cpu_s() -> None:
    def forward(layer: nn.Module, x: Tensor) -> Any:
        with torch.autocast(x.device.type, enabled=False):
            return layer(x)

    assert report(trace(Around(forward), (2, 4))).total.macs == 2 * 4 * 4


N = 12
MASKS: dict[str, Callable[[Tensor], Any]] = {
    "a prefix": lambda x: torch.arange(len(x), device=x.device) < 5,
    "ones": lambda x: torch.ones(len(x), device=x.device).nonzero().squeeze(1),
    "ones like": lambda x: torch.ones_like(x[:, 0]).bool(),
    "a sum of new ones": lambda x: x.new_ones(N).cumsum(0) < 4,
    "a sum of full_like": lambda x: torch.full_like(x[:, 0], 3.0).cumsum(0) > 10,
    "a slice that is written": lambda x: torch.zeros(N, device=x.device).index_fill(0, torch.tensor([1, 3]), 1).bool(),
    "memory that is filled": lambda x: torch.empty_like(x[:, 0]).fill_(1).bool(),
    "numbers": lambda x: torch.tensor([1, 0] * 6, device=x.device).bool(),
    "truth values": lambda x: torch.as_tensor([True, False] * 6, device=x.device),
    "a length": lambda x: torch.arange(N, device=x.device) < torch.tensor(7, device=x.device),
    "a linspace": lambda x: torch.linspace(0, 1, N, device=x.device) > 0.5,
    "both": lambda x: ~(torch.arange(N, device=x.device) < 5) & (torch.arange(N, device=x.device) < 9),
    "what is distinct": lambda x: torch.unique(torch.arange(N, device=x.device) // 3),
    "a circle": lambda x: (
        lambda a, b: ((a - 2) ** 2 + (b - 1) ** 2 < 4).flatten()
    )(*torch.meshgrid(torch.arange(4, device=x.device), torch.arange(3, device=x.device), indexing="ij")),
    "moved there": lambda x: (torch.arange(N) < 5).to(x.device),
    "rolled": lambda x: torch.arange(N, device=x.device).roll(3) % 3 == 0,
    "where": lambda x: torch.where(torch.arange(N, device=x.device) > 7)[0],
    "stretched to fit": lambda x: (torch.arange(N, device=x.device) < 5).type_as(x).expand_as(x[:, 0]).bool(),
    "an axis put before": lambda x: (torch.arange(N, device=x.device) < 5).unsqueeze_(0)[0],
}  # fmt: skip


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_a_mask_made_beside_the_input_selects_what_it_says(mask: Callable[[Tensor], Any]) -> None:
    """As many rows as on the CPU, where it is run for real."""
    graph = trace(Around(lambda layer, x: layer(x[mask(x)])), (N, 4))
    rows = len(torch.rand(N, 4)[mask(torch.rand(N, 4))])
    assert graph.types[graph.outputs[0]].shape == (rows, 4)
    assert report(graph).total.macs == rows * 4 * 4
    assert graph.assumed == () and graph.sizes == ()


@pytest.mark.parametrize("seed", range(40))
def test_any_mask_of_numbers_selects_what_it_says(seed: int) -> None:
    """Random ones, of any axes, by every way of selecting, against the same on the CPU."""
    drawn = torch.Generator().manual_seed(seed)
    said = (torch.rand(3, 4, generator=drawn) < 0.4).tolist()
    ways: list[Callable[[Tensor, Tensor], Tensor]] = [
        lambda x, m: x[m],
        lambda x, m: x[m.nonzero(as_tuple=True)],
        lambda x, m: torch.masked_select(x, m.unsqueeze(-1)).view(-1, 4),
        lambda x, m: x[:, m[0]].flatten(0, 1),
        lambda x, m: x.flatten(0, 1).repeat_interleave(m.flatten().long(), dim=0),
        lambda x, m: x[~m & (m.cumsum(1) > 0)],
        lambda x, m: x.flatten(0, 1)[: int(m.sum())],
        lambda x, m: torch.cat(x.flatten(0, 1).split([*m.sum(1).tolist(), 12 - int(m.sum())])[:3]),
    ]
    way = ways[seed % len(ways)]

    def chosen(x: Tensor) -> Tensor:
        mask = torch.zeros(3, 4, dtype=torch.bool, device=x.device)
        for i, row in enumerate(said):
            for j, keeps in enumerate(row):
                mask[i, j] = keeps
        return way(x, mask)

    graph = trace(Around(lambda layer, x: layer(chosen(x))), (3, 4, 4))
    assert report(graph).total.macs == len(chosen(torch.rand(3, 4, 4))) * 4 * 4
    assert graph.assumed == () and graph.sizes == ()


@torch.jit.script
def first_of_a_list(t: Tensor) -> float:
    numbers: list[float] = t.float().tolist()
    return numbers[0]


@torch.jit.script
def first_by_another_script(t: Tensor) -> float:
    return first_of_a_list(t)


@torch.jit.script
def first_item(t: Tensor) -> float:
    return float(t[0].item())


READ_OUT: dict[str, Callable[[Tensor], Any]] = {
    "tolist": lambda t: t.tolist()[0],
    "tolist of one": lambda t: t[0].tolist(),
    "numpy": lambda t: float(t.numpy()[0]),
    "numpy by force": lambda t: float(t.numpy(force=True)[0]),
    "__array__": lambda t: float(__import__("numpy").asarray(t)[0]),
    "item": lambda t: t[0].item(),
    "scripted tolist": first_of_a_list,
    "scripted tolist below": first_by_another_script,
    "scripted item": first_item,
    "on the CPU": lambda t: t.cpu().tolist()[0],
}
"""Ways in which values leave torch; some are no operator, and one of them ended the interpreter on a view."""


@pytest.mark.parametrize("read", READ_OUT.values(), ids=READ_OUT)
def test_values_that_leave_torch_are_asked_for_whatever_the_way(read: Callable[[Tensor], Any]) -> None:
    for view in (lambda x: x, lambda x: x[1:, 1:]):
        with pytest.raises(CostcalcError, match="asks for the value of a tensor"):
            trace(Around(lambda layer, x, view=view: layer(x) * read(view(x)[0])), (2, 4))


@pytest.mark.parametrize("read", READ_OUT.values(), ids=READ_OUT)
def test_values_that_are_known_leave_torch_as_they_are(read: Callable[[Tensor], Any]) -> None:
    def forward(layer: nn.Module, x: Tensor) -> Tensor:
        beside, apart = torch.arange(6, device=x.device)[2:], torch.arange(6)[3:]
        result: Tensor = layer(x)[: int(read(beside)) + int(read(apart))]
        return result

    graph = trace(Around(forward), (9, 4))
    assert [graph.types[name].shape for name in graph.outputs] == [(2 + 3, 4)]
    assert graph.assumed == ()


@pytest.mark.parametrize("read", READ_OUT.values(), ids=READ_OUT)
def test_values_that_were_overwritten_with_unknown_ones_do_not_leave_torch(read: Callable[[Tensor], Any]) -> None:
    def forward(layer: nn.Module, x: Tensor) -> Tensor:
        mask = torch.zeros(4)
        mask[1:].copy_(x[0, 1:])
        return x if read(mask) else layer(x)

    with pytest.raises(CostcalcError, match="asks for the value of a tensor"):
        trace(Around(forward), (4, 4))


@pytest.mark.parametrize("read", READ_OUT.values(), ids=READ_OUT)
def test_what_is_assumed_leaves_torch_as_a_number_that_is_assumed(read: Callable[[Tensor], Any]) -> None:
    def forward(layer: nn.Module, x: Tensor) -> Tensor:
        kept = x[x[:, 0] > 0]
        return layer(x) * read(kept[1])

    graph = trace(Around(forward), (4, 4))
    assert "a number read from what was assumed is taken as 1, a truth value as false" in graph.assumed


def test_a_model_with_weights_that_reads_values_is_run_with_them() -> None:
    class Read(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            self.read = self.layer(x)[1:, 1:].tolist()  # as crops of detectors are
            result: Tensor = self.layer(x) * len(self.read)
            return result

    graph = trace(Read(), (2, 4))
    assert report(graph).total.macs == 2 * (2 * 4 * 4)
    assert any("real tensors" in sentence for sentence in graph.assumed)


def test_nothing_leaves_a_tensor_without_elements() -> None:
    graph = trace(Around(lambda layer, x: layer(x) * (1 + len(x[4:].tolist()))), (4, 4))
    assert graph.assumed == ()


def test_known_numbers_that_are_joined_and_turned_before_they_multiply() -> None:
    """As detectors multiply boxes by the stride of each place: places are looked for only where constants have them."""

    class Strides(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv1d(3, 4, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            strides = [torch.full((n, 1), 8.0 / n, device=x.device) for n in (8, 2)]
            made: Tensor = self.conv(x) * torch.cat(strides).transpose(0, 1)
            return made

    assert report(trace(Strides(), torch.zeros(1, 3, 10))).total.macs == 3 * 4 * 3 * 10
