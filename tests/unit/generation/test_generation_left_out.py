"""Top-k, min-p and the repetition penalty: shares by hand, ties, and the processors of transformers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tiny_policies import make_policy
from transformers import (
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from assent.generation.config import Sampling
from assent.generation.draw import draw, less_repeated
from assent.generation.local import LocalEngine

SHARES = [0.4, 0.1, 0.2, 0.2, 0.1]


def drawn_shares(logits: torch.Tensor, **how: float) -> np.ndarray:
    """How often each token is drawn, from an even grid of uniform numbers."""
    grid = (torch.arange(20_000) + 0.5) / 20_000
    tokens, _ = draw(logits.expand(len(grid), -1), grid.double(), **{"temperature": 1.0, **how})
    return np.bincount(tokens.numpy(), minlength=logits.shape[-1]) / len(grid)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"top_k": 1}, [1, 0, 0, 0, 0]),
        ({"top_k": 2}, [0.5, 0, 0.25, 0.25, 0]),  # the second and third are equally likely: both stay
        ({"top_k": 3}, [0.5, 0, 0.25, 0.25, 0]),
        ({"top_k": 5}, SHARES),
        ({"top_k": 99}, SHARES),
        ({"min_p": 0.4}, [0.5, 0, 0.25, 0.25, 0]),
        ({"min_p": 0.6}, [1, 0, 0, 0, 0]),
        ({"min_p": 1.0}, [1, 0, 0, 0, 0]),
        ({"top_k": 3, "top_p": 0.5}, [1, 0, 0, 0, 0]),  # of the three that stay the first holds half
        ({"min_p": 0.4, "top_p": 0.7}, [0.5, 0, 0.25, 0.25, 0]),  # 0.7 of all, not of what stays
    ],
)
def test_what_is_left_out_and_what_remains(how: dict[str, float], expected: list[float]) -> None:
    np.testing.assert_allclose(drawn_shares(torch.tensor([SHARES]).log(), **how), expected, atol=1e-4)


def test_log_probabilities_are_those_before_anything_was_left_out() -> None:
    logits = torch.tensor([SHARES]).log()
    tokens, logps = draw(logits, torch.tensor([0.9], dtype=torch.float64), temperature=1.0, top_k=3)
    assert tokens.tolist() == [3]
    assert logps.item() == pytest.approx(math.log(0.2), abs=1e-6)


@pytest.mark.parametrize(
    "how",
    [{"top_k": 7}, {"min_p": 0.15}, {"top_k": 20, "top_p": 0.8}, {"top_k": 30, "top_p": 0.9, "min_p": 0.05}],
)
def test_the_distribution_is_that_of_transformers(how: dict[str, float]) -> None:
    random = torch.Generator().manual_seed(5)
    logits = 2 * torch.randn(1, 50, generator=random)
    scores = TemperatureLogitsWarper(0.7)(None, logits)
    if "top_k" in how:
        scores = TopKLogitsWarper(int(how["top_k"]))(None, scores)
    if "top_p" in how:
        scores = TopPLogitsWarper(how["top_p"])(None, scores)
    if "min_p" in how:
        scores = MinPLogitsWarper(how["min_p"])(None, scores)
    np.testing.assert_allclose(drawn_shares(logits, temperature=0.7, **how), scores.softmax(-1)[0], atol=1e-4)


def test_the_penalty_divides_positive_and_multiplies_negative_logits_once() -> None:
    logits = torch.tensor([[2.0, -1.0, 0.5, 3.0]])
    seen = torch.tensor([[0, 1, 1, 0]])
    assert less_repeated(logits, seen, 2.0).tolist() == [[1.0, -2.0, 0.5, 3.0]]
    expected = RepetitionPenaltyLogitsProcessor(2.0)(seen, logits.clone())
    assert torch.equal(less_repeated(logits, seen, 2.0), expected)


def test_greedy_answers_under_a_penalty_are_those_of_transformers() -> None:
    policy, prompt = make_policy("llama"), np.array([7, 9, 11, 7])
    how = Sampling(temperature=0.0, max_new_tokens=30, repetition_penalty=1.7)
    [[answer]] = LocalEngine(policy).generate([prompt], num_samples=1, sampling=how, seed=0)
    plain = make_policy("llama").hf
    plain.set_attn_implementation("eager")
    expected = plain.generate(
        torch.from_numpy(prompt)[None],
        attention_mask=torch.ones(1, 4, dtype=torch.long),
        do_sample=False,
        repetition_penalty=1.7,
        max_new_tokens=30,
        eos_token_id=None,
        pad_token_id=2,
    )[0, 4:]
    assert answer.tokens.tolist() == expected.tolist()
    without = Sampling(temperature=0.0, max_new_tokens=30)
    [[repeats]] = LocalEngine(policy).generate([prompt], num_samples=1, sampling=without, seed=0)
    assert answer.tokens.tolist() != repeats.tokens.tolist()


def test_under_a_penalty_log_probabilities_are_the_policys_own() -> None:
    policy, prompt = make_policy("llama"), np.array([7, 9, 11, 7])
    how = Sampling(temperature=0.8, max_new_tokens=8, repetition_penalty=3.0, top_k=10)
    [[answer]] = LocalEngine(policy).generate([prompt], num_samples=1, sampling=how, seed=0)
    plain = make_policy("llama").hf
    plain.set_attn_implementation("eager")
    with torch.no_grad():
        logits = plain(torch.from_numpy(np.concatenate([prompt, answer.tokens]))[None]).logits[0, 3:-1]
    logps = (logits / 0.8).log_softmax(-1).gather(-1, torch.from_numpy(answer.tokens)[:, None])[:, 0]
    np.testing.assert_allclose(answer.logps, logps, atol=1e-4)
