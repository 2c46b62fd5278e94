"""Routed experts, in many styles: whatever a router says, its experts do tokens × k times the work of one.

Expected MACs are written out; torch's FlopCounterMode counts the same on real runs, with any weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from costcalc.analysis.report import report  # noqa: E402
from costcalc.frontends.torch.tracer import trace  # noqa: E402

N, K, D, H = 8, 2, 16, 32
"""Experts, how many of them each token goes to, and the widths of tokens and inside experts."""
ROUTER, EXPERT = D * N, 2 * D * H


class Routed(nn.Module):
    """A router, experts, and how the one sends tokens to the others."""

    def __init__(self, style: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.router = nn.Linear(D, N, bias=False)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(D, H, bias=False), nn.GELU(), nn.Linear(H, D, bias=False)) for _ in range(N)
        )
        self.style = style

    def forward(self, x: Tensor) -> Tensor:
        return self.style(self, x)


def where_loop(m: Any, x: Tensor) -> Tensor:
    weight, chosen = m.router(x).softmax(-1).topk(K, -1)
    out = torch.zeros_like(x)
    for i, expert in enumerate(m.experts):
        token, slot = torch.where(chosen == i)
        out.index_add_(0, token, expert(x[token]) * weight[token, slot].unsqueeze(-1))
    return out


def one_hot_masks(m: Any, x: Tensor) -> Tensor:
    weight, chosen = F.softmax(m.router(x), dim=1).topk(K, dim=-1)
    out = torch.zeros(x.shape, dtype=x.dtype, device=x.device)
    mask = F.one_hot(chosen, num_classes=N).permute(2, 1, 0)
    for i in range(N):
        slot, token = torch.where(mask[i])
        out.index_add_(0, token, m.experts[i](x[None, token].reshape(-1, D)) * weight[token, slot, None])
    return out


def experts_that_are_hit(m: Any, x: Tensor) -> Tensor:
    weight, chosen = F.softmax(m.router(x), dim=1).topk(K, dim=-1)
    out = torch.zeros_like(x)
    mask = F.one_hot(chosen, num_classes=N).permute(2, 1, 0)
    for i in torch.greater(mask.sum(dim=(-1, -2)), 0).nonzero():
        slot, token = torch.where(mask[i].squeeze(0))
        out.index_add_(0, token, m.experts[i](x[token]) * weight[token, slot, None])
    return out


def groups_then_sorted(m: Any, x: Tensor) -> Tensor:
    scores = m.router(x).sigmoid()
    group = scores.view(len(x), 4, -1).topk(2, dim=-1)[0].sum(-1).topk(2, dim=-1, sorted=False)[1]
    allowed = torch.zeros(len(x), 4, device=x.device).scatter_(1, group, 1)
    allowed = allowed.unsqueeze(-1).expand(len(x), 4, N // 4).reshape(len(x), -1)
    chosen = scores.masked_fill(~allowed.bool(), 0.0).topk(K, dim=-1, sorted=False)[1]
    counts = chosen.new_zeros((len(x), N)).scatter_(1, chosen, 1).sum(dim=0).cpu().numpy()
    order = chosen.view(-1).argsort()
    tokens, made, start = x[order // K], [], 0
    for i, count in enumerate(counts):
        if count:
            made.append(m.experts[i](tokens[start : start + count]))
        start += count
    found = torch.cat(made)
    back = torch.empty_like(found)
    back[order] = found
    return back.view(*chosen.shape, -1).sum(1)


def split_by_counts(m: Any, x: Tensor) -> Tensor:
    chosen = m.router(x).topk(K)[1].flatten()
    order = chosen.argsort(stable=True)
    parts = x[order // K].split(torch.bincount(chosen, minlength=N).tolist())
    return torch.zeros_like(x).index_add(
        0, order // K, torch.cat([e(p) for e, p in zip(m.experts, parts, strict=True)])
    )


def ends_of_groups(m: Any, x: Tensor) -> Tensor:
    chosen = m.router(x).topk(K)[1].view(-1)
    counts = torch.histc(chosen.float(), bins=N, min=0, max=N - 1).long()
    tokens = x.repeat_interleave(K, dim=0)[chosen.argsort()]
    out, start = torch.empty_like(tokens), 0
    for expert, end in zip(m.experts, counts.cumsum(0).tolist(), strict=True):
        out[start:end] = expert(tokens[start:end])
        start = end
    return out


def told_apart(m: Any, x: Tensor) -> Tensor:
    chosen = m.router(x).topk(K)[1]
    used, _, count = torch.unique(chosen, return_inverse=True, return_counts=True)
    order, out, start = chosen.flatten().argsort(), torch.zeros_like(x), 0
    for i, n in zip(used.tolist(), count.tolist(), strict=True):
        rows = order[start : start + n] // K
        out.index_add_(0, rows, m.experts[i](x[rows]))
        start += n
    return out


def sorted_scores(m: Any, x: Tensor) -> Tensor:
    chosen = torch.sort(m.router(x), dim=-1, descending=True)[1][:, :K]
    out = torch.zeros_like(x)
    for i, expert in enumerate(m.experts):
        rows = torch.nonzero((chosen == i).any(-1)).squeeze(-1)
        out[rows] += expert(x[rows])
    return out


def drawn(m: Any, x: Tensor) -> Tensor:
    chosen = torch.multinomial(m.router(x).softmax(-1), K)
    out = torch.zeros_like(x)
    for i, expert in enumerate(m.experts):
        keep = (chosen == i).any(-1)
        out[keep] = expert(x[keep])
    return out


def scattered_masks(m: Any, x: Tensor) -> Tensor:
    chosen = m.router(x).topk(K, dim=1)[1]
    keep = torch.zeros(len(x), N, device=x.device, dtype=torch.bool).scatter(1, chosen, True)
    return torch.cat([expert(x[keep[:, i]]) for i, expert in enumerate(m.experts)])


def selected_by_mask(m: Any, x: Tensor) -> Tensor:
    keep = F.one_hot(m.router(x).topk(K)[1], N).sum(1)
    return torch.cat([e(torch.masked_select(x, keep[:, i, None] > 0).view(-1, D)) for i, e in enumerate(m.experts)])


def noisy(m: Any, x: Tensor) -> Tensor:
    scores = m.router(x)
    chosen = (scores + torch.randn_like(scores)).topk(K)[1]
    return torch.cat([expert(x[torch.where(chosen == i)[0]]) for i, expert in enumerate(m.experts)])


def batch_of_sequences(m: Any, x: Tensor) -> Tensor:
    x = x.view(2, -1, D)
    chosen = m.router(x).topk(K)[1]
    out = torch.zeros_like(x)
    for i, expert in enumerate(m.experts):
        batch, token, _ = torch.where(chosen == i)
        out[batch, token] += expert(x[batch, token])
    return out


def first_by_max(m: Any, x: Tensor) -> Tensor:
    gate, chosen = m.router(x).softmax(-1).max(dim=-1)
    out = torch.zeros_like(x)
    for i, expert in enumerate(m.experts):
        mask = chosen == i
        if mask.any():
            out[mask] = expert(x[mask]) * gate[mask].unsqueeze(1)
    return out


def first_by_argmax(m: Any, x: Tensor) -> Tensor:
    chosen = m.router(x).argmax(-1)
    out = x.new_zeros(x.shape)
    for i, expert in enumerate(m.experts):
        rows = (chosen == i).nonzero(as_tuple=True)[0]
        if rows.numel():
            out[rows] = expert(x.index_select(0, rows))
    return out


def with_capacity(m: Any, x: Tensor) -> Tensor:
    scores = m.router(x).softmax(-1)
    mask, room = F.one_hot(scores.argmax(-1), N), 4
    place = (torch.cumsum(mask, 0) - 1) * mask
    mask = mask * (place < room)
    combine = torch.einsum("se,sc->sec", scores * mask, F.one_hot((place * mask).sum(1), room).float())
    given = torch.einsum("sec,sm->ecm", combine.bool().to(x.dtype), x)
    made = torch.stack([expert(t) for expert, t in zip(m.experts, given, strict=True)])
    return torch.einsum("sec,ecm->sm", combine, made)


def experts_choose(m: Any, x: Tensor) -> Tensor:
    chosen = m.router(x).softmax(-1).t().topk(3, dim=-1)[1]
    return torch.cat([expert(x[chosen[i]]) for i, expert in enumerate(m.experts)])


TOP_TWO = [
    where_loop, one_hot_masks, experts_that_are_hit, groups_then_sorted, split_by_counts, ends_of_groups, told_apart,
    sorted_scores, drawn, scattered_masks, selected_by_mask, noisy, batch_of_sequences,
]  # fmt: skip


def by_run(model: nn.Module, tokens: int) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.randn(tokens, D))
    return int(counter.get_total_flops()) // 2


def macs(style: Callable[[Any, Tensor], Tensor], tokens: int, seed: int = 0) -> int:
    """Ours, which a real run confirms."""
    torch.manual_seed(seed)
    model = Routed(style).eval()
    ours = report(trace(model, (tokens, D))).total.macs
    assert ours == by_run(model, tokens)
    return int(ours)  # type: ignore[call-overload]


@pytest.mark.parametrize("tokens", [1, 10, 64], ids=lambda n: f"{n} tokens")
@pytest.mark.parametrize("style", TOP_TWO, ids=lambda s: s.__name__)
def test_each_token_goes_to_two_experts_in_whatever_style(style: Callable[[Any, Tensor], Tensor], tokens: int) -> None:
    if style is batch_of_sequences and tokens == 1:
        tokens = 2
    assert macs(style, tokens) == tokens * (ROUTER + K * EXPERT)


@pytest.mark.parametrize("style", [first_by_max, first_by_argmax], ids=lambda s: s.__name__)
def test_each_token_goes_to_the_one_expert_that_is_best(style: Callable[[Any, Tensor], Tensor]) -> None:
    assert macs(style, 10) == 10 * (ROUTER + EXPERT)


def test_experts_with_a_capacity_do_as_much_as_they_have_room_for() -> None:
    # Two einsums put 10 tokens into 8 experts of room 4 and take them out.
    assert macs(with_capacity, 10) == 10 * ROUTER + N * 4 * EXPERT + 2 * 10 * N * 4 * D


def test_experts_that_choose_three_tokens_each_do_three_each() -> None:
    assert macs(experts_choose, 10) == 10 * ROUTER + N * 3 * EXPERT


def test_grouped_products_take_the_rows_that_there_are() -> None:
    stack = torch.randn(N, D, H, dtype=torch.bfloat16)

    def style(m: Any, x: Tensor) -> Tensor:
        chosen = m.router(x).topk(K)[1].flatten()
        ends = torch.bincount(chosen, minlength=N).cumsum(0).to(torch.int32)
        made: Tensor = torch._grouped_mm(x[chosen.argsort() // K].bfloat16(), stack, offs=ends)
        return made

    # torch's own counter has no rule for the operator, and counts the router alone.
    assert report(trace(Routed(style), (10, D))).total.macs == 10 * ROUTER + 10 * K * D * H


def test_the_split_is_said_to_be_assumed_and_is_even_and_the_same_each_time() -> None:
    graphs = [trace(Routed(where_loop), (16, D)) for _ in range(2)]
    (said,) = graphs[0].assumed
    assert "spread evenly" in said and "which gets how many is assumed" in said
    rows = [[graph.types[f"experts.{i}.0"].shape[0] for i in range(N)] for graph in graphs]
    assert rows[0] == rows[1] == [16 * K // N] * N


@pytest.mark.parametrize("seed", range(5))
def test_random_numbers_of_the_process_are_left_alone(seed: int) -> None:
    def style(m: Any, x: Tensor) -> Tensor:
        keep = torch.rand(len(x)) < 0.5
        return torch.cat([m.experts[0](x[keep]), torch.empty(2, D).uniform_()])

    torch.manual_seed(seed)
    model = Routed(style)
    state = torch.get_rng_state()
    first = report(trace(model, (100, D))).total.macs
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(seed + 100)
    assert report(trace(model, (100, D))).total.macs == first  # and what they decide is always the same
