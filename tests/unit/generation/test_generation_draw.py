"""Drawing a token: the distribution function is inverted exactly, at its ends too."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from assent.generation.draw import draw


def _draw(
    logits: Tensor, uniforms: list[float], temperature: float = 1.0, top_p: float = 1.0
) -> tuple[list[int], Tensor]:
    tokens, logps = draw(logits, torch.tensor(uniforms, dtype=torch.float64), temperature=temperature, top_p=top_p)
    return tokens.tolist(), logps


def test_a_uniform_number_picks_the_token_whose_share_of_the_unit_interval_holds_it() -> None:
    # Shares 0.1, 0.2, 0.3, 0.4: the borders are 0.1, 0.3 and 0.6.
    logits = torch.tensor([0.1, 0.2, 0.3, 0.4]).log()
    uniforms = [0.0, 0.05, 0.15, 0.29, 0.31, 0.59, 0.61, 0.99]
    tokens, logps = _draw(logits.expand(len(uniforms), 4), uniforms)
    assert tokens == [0, 0, 1, 1, 2, 2, 3, 3]
    assert torch.allclose(logps, logits[tokens], atol=1e-6)


@pytest.mark.parametrize("size", [1, 63, 64, 65, 1500])
def test_block_sums_give_the_same_token_as_a_running_sum(size: int) -> None:
    generator = torch.Generator().manual_seed(size)
    logits = 3 * torch.randn(200, size, generator=generator)
    uniforms = torch.rand(200, generator=generator, dtype=torch.float64)
    cumulative = logits.double().softmax(-1).cumsum(-1)
    expected = (cumulative <= uniforms[:, None]).sum(-1).clamp_max(size - 1)
    tokens, logps = draw(logits, uniforms, temperature=1.0, top_p=1.0)
    # fp32 weights move a border by 1e-7: a row in a million may differ, none of these 200 does.
    assert torch.equal(tokens, expected)
    assert torch.allclose(logps, logits.log_softmax(-1).gather(-1, tokens[:, None])[:, 0], atol=1e-5)


def test_a_token_of_probability_zero_is_never_drawn() -> None:
    # Impossible at both ends and at the borders of blocks of 64; exp(-200) is 0 in single precision.
    logits = torch.full((130,), -200.0)
    possible = {3, 64, 65, 128}
    logits[list(possible)] = 0.0
    logits[[0, 129]] = -math.inf
    uniforms = [0.0, 0.25, 0.5, 0.75, 1.0 - 2**-53, *(i / 1000 for i in range(1000))]
    tokens, _ = _draw(logits.expand(len(uniforms), 130), uniforms)
    assert set(tokens) == possible


def test_temperature_divides_the_logits_and_is_in_the_log_probability() -> None:
    # softmax([0, ln 3] / 0.5) = softmax([0, ln 9]) = [0.1, 0.9]
    tokens, logps = _draw(torch.tensor([[0.0, math.log(3)]] * 2), [0.09, 0.11], temperature=0.5)
    assert tokens == [0, 1]
    assert torch.allclose(logps, torch.tensor([math.log(0.1), math.log(0.9)]), atol=1e-6)


def test_temperature_zero_takes_the_first_of_the_most_likely() -> None:
    tokens, logps = _draw(torch.tensor([[0.0, 5.0, 5.0, -1.0]]), [0.999], temperature=0.0)
    assert tokens == [1]
    assert logps.item() == pytest.approx(5 - math.log(1 + 2 * math.exp(5) + math.exp(-1)), abs=1e-6)


def test_top_p_draws_only_from_the_nucleus_and_keeps_the_full_log_probability() -> None:
    # 0.4 + 0.3 < 0.75 ≤ 0.4 + 0.3 + 0.2: the nucleus is tokens 3, 2, 1 with shares 4/9, 3/9, 2/9.
    logits = torch.tensor([0.1, 0.2, 0.3, 0.4]).log()
    uniforms = [0.0, 0.22, 0.23, 0.55, 0.56, 0.999]
    tokens, logps = _draw(logits.expand(len(uniforms), 4), uniforms, top_p=0.75)
    assert tokens == [1, 1, 2, 2, 3, 3]
    assert torch.allclose(logps, logits[tokens], atol=1e-6)


def test_the_nucleus_is_never_empty_and_never_more_than_needed() -> None:
    generator = torch.Generator().manual_seed(1)
    # Flat enough that 0.9999 of the mass takes more than the few tokens first looked at.
    logits = torch.randn(50, 300, generator=generator)
    probabilities = logits.double().softmax(-1)
    for top_p in (1e-9, 0.3, 0.9, 0.9999):
        heaviest, order = probabilities.sort(dim=-1, descending=True)
        size = ((heaviest.cumsum(-1) - heaviest) < top_p - 1e-9).sum(-1).clamp_min(1)
        rank = torch.empty_like(order).scatter_(-1, order, torch.arange(300).expand_as(order).contiguous())
        for uniform in (0.0, 0.3, 0.7, 1.0 - 2**-53):
            tokens, _ = draw(logits, torch.full((50,), uniform, dtype=torch.float64), temperature=1.0, top_p=top_p)
            assert (rank.gather(-1, tokens[:, None])[:, 0] < size).all()


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_logits_without_a_distribution_give_nan(bad: float, temperature: float) -> None:
    _, logps = _draw(torch.tensor([[0.0, bad, 1.0], [0.0, 0.0, 0.0]]), [0.5, 0.5], temperature=temperature)
    assert logps.isnan().tolist() == [True, False]


def test_drawing_leaves_the_logits_as_they_were() -> None:
    logits = torch.randn(3, 70, generator=torch.Generator().manual_seed(0))
    before = logits.clone()
    for temperature, top_p in ((1.0, 1.0), (0.7, 0.9), (0.0, 1.0)):
        _draw(logits, [0.1, 0.5, 0.9], temperature=temperature, top_p=top_p)
    assert torch.equal(logits, before)
