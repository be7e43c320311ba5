"""The local engine: the answers are those of the model, whatever rows were computed together."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import scipy.stats
import torch
from numpy.typing import NDArray
from tiny_policies import VOCABULARY, make_policy

from assent.core.errors import NonFiniteError, UserError
from assent.core.group import Group, TokenIds
from assent.generation.config import Sampling
from assent.generation.engine import Generation
from assent.generation.local import LocalEngine
from assent.models.groups import pack
from assent.models.policy import PolicyModel
from assent.models.tiny import CONTEXT

ENDS = tuple(range(5, 320, 20))  # several end tokens, so that random models end their answers at different lengths
GREEDY = Sampling(temperature=0.0, max_new_tokens=24)


def _prompts(count: int, seed: int = 0) -> list[TokenIds]:
    random = np.random.default_rng(seed)
    return [random.integers(5, VOCABULARY, size) for size in random.integers(1, 20, count)]


def _plain_logits(policy: PolicyModel, tokens: TokenIds) -> torch.Tensor:
    """Logits [T, V] of one unpadded row, by transformers' own eager attention."""
    with _eager(policy), torch.no_grad():
        return policy.hf(torch.from_numpy(tokens)[None]).logits[0]


@contextlib.contextmanager
def _eager(policy: PolicyModel) -> Iterator[None]:
    own = policy.core.config._attn_implementation
    policy.core.set_attn_implementation("eager")
    yield
    policy.core.set_attn_implementation(own)


def _transformers_greedy(policy: PolicyModel, prompts: Sequence[TokenIds], max_new_tokens: int) -> list[TokenIds]:
    longest = max(len(p) for p in prompts)
    tokens = np.stack([np.pad(p, (longest - len(p), 0), constant_values=2) for p in prompts])
    is_real = np.stack([np.pad(np.ones_like(p), (longest - len(p), 0)) for p in prompts])
    with _eager(policy):
        rows = policy.hf.generate(
            torch.from_numpy(tokens),
            attention_mask=torch.from_numpy(is_real),
            do_sample=False,
            max_new_tokens=max_new_tokens,
            eos_token_id=list(policy.eos_ids),
            pad_token_id=2,
        )[:, longest:].numpy()
    return [_until_end(row, policy.eos_ids) for row in rows]


def _is_near_tie(policy: PolicyModel, prompt: TokenIds, first: TokenIds, second: TokenIds) -> bool:
    """True where the two answers part at tokens whose logits differ by rounding."""
    size = min(len(first), len(second))
    place = int(np.flatnonzero(first[:size] != second[:size])[0])
    logits = _plain_logits(policy, np.concatenate([prompt, first[:place]]))[-1]
    return bool((logits[first[place]] - logits[second[place]]).abs() < 1e-4)


def _until_end(row: NDArray[np.int64], eos_ids: tuple[int, ...]) -> NDArray[np.int64]:
    ends = np.flatnonzero(np.isin(row, eos_ids))
    return row[: ends[0] + 1] if len(ends) else row


def _share_equal(first: Sequence[Sequence[Generation]], second: Sequence[Sequence[Generation]]) -> float:
    pairs = [(a, b) for x, y in zip(first, second, strict=True) for a, b in zip(x, y, strict=True)]
    return float(np.mean([np.array_equal(a.tokens, b.tokens) for a, b in pairs]))


def test_greedy_answers_are_those_of_transformers_generate(family: str, mode: str) -> None:
    policy, prompts = make_policy(family, mode=mode, eos_ids=ENDS), _prompts(40)
    expected = _transformers_greedy(policy, prompts, GREEDY.max_new_tokens)
    engine = LocalEngine(policy, max_live_rows=16)
    answers = [row[0] for row in engine.generate(prompts, num_samples=1, sampling=GREEDY, seed=0)]
    differ = [n for n in range(40) if not np.array_equal(answers[n].tokens, expected[n])]
    assert len(differ) <= 1
    for n in differ:
        assert _is_near_tie(policy, prompts[n], answers[n].tokens, expected[n])
    assert len({len(a.tokens) for a in answers}) > 1, "all answers equally long: the test would prove little"
    assert [a.finished for a in answers] == [a.tokens[-1] in ENDS for a in answers]


def test_recorded_log_probabilities_are_those_of_a_plain_forward(family: str, mode: str) -> None:
    policy, prompts = make_policy(family, mode=mode, eos_ids=ENDS), _prompts(12, seed=1)
    sampling = Sampling(temperature=0.7, max_new_tokens=16)
    answers = LocalEngine(policy, max_live_rows=7).generate(prompts, num_samples=3, sampling=sampling, seed=3)
    for prompt, row in zip(prompts, answers, strict=True):
        for answer in row:
            logits = _plain_logits(policy, np.concatenate([prompt, answer.tokens]))[len(prompt) - 1 : -1]
            logps = (logits / 0.7).log_softmax(-1).gather(-1, torch.from_numpy(answer.tokens)[:, None])[:, 0]
            assert np.abs(logps.numpy() - answer.logps).max() <= 1e-4
            assert answer.logps.dtype == np.float32


def test_first_and_second_token_follow_the_exact_distribution(mode: str) -> None:
    policy = make_policy("llama", mode=mode)
    prompt = np.array([0, 17, 40, 8])
    engine = LocalEngine(policy, max_live_rows=512)
    sampling = Sampling(temperature=0.5, max_new_tokens=2)
    (answers,) = engine.generate([prompt], num_samples=6000, sampling=sampling, seed=11)
    drawn = np.stack([a.tokens for a in answers])
    first = (_plain_logits(policy, prompt)[-1] / 0.5).softmax(-1)
    assert _chi_square(drawn[:, 0], first) > 1e-4
    commonest = int(first.argmax())
    second = (_plain_logits(policy, np.append(prompt, commonest))[-1] / 0.5).softmax(-1)
    after_commonest = drawn[drawn[:, 0] == commonest, 1]
    assert len(after_commonest) > 300
    assert _chi_square(after_commonest, second) > 1e-4
    assert _chi_square(after_commonest, first) < 1e-4, "the second distribution should differ from the first"


def _chi_square(drawn: NDArray[np.int64], probabilities: torch.Tensor) -> float:
    """p-value; tokens expected fewer than five times are counted together."""
    expected = probabilities.double().numpy() * len(drawn)
    observed = np.bincount(drawn, minlength=VOCABULARY)
    is_common = expected >= 5
    expected = np.append(expected[is_common], expected[~is_common].sum())
    observed = np.append(observed[is_common], observed[~is_common].sum())
    return float(scipy.stats.chisquare(observed, expected * observed.sum() / expected.sum()).pvalue)


def test_samples_do_not_depend_on_how_many_rows_are_live(mode: str) -> None:
    policy, prompts = make_policy("qwen2", mode=mode, eos_ids=ENDS), _prompts(15)
    sampling = Sampling(max_new_tokens=12)
    answers = [
        LocalEngine(policy, max_live_rows=rows).generate(prompts, num_samples=2, sampling=sampling, seed=5)
        for rows in (1, 6, 100)
    ]
    assert _share_equal(answers[0], answers[1]) >= 0.99
    assert _share_equal(answers[0], answers[2]) >= 0.99


def test_the_order_of_prompts_changes_only_the_order_of_answers(mode: str) -> None:
    policy, prompts = make_policy("gemma2", mode=mode, eos_ids=ENDS), _prompts(30)
    order = np.random.default_rng(0).permutation(30)
    engine = LocalEngine(policy, max_live_rows=8)
    answers = engine.generate(prompts, num_samples=1, sampling=GREEDY, seed=0)
    shuffled = engine.generate([prompts[n] for n in order], num_samples=1, sampling=GREEDY, seed=0)
    assert _share_equal([answers[n] for n in order], shuffled) >= 0.99


def test_a_seed_gives_the_same_bits_and_another_seed_other_answers() -> None:
    policy, prompts = make_policy("llama", eos_ids=ENDS), _prompts(10)
    engine = LocalEngine(policy, max_live_rows=8)
    first, again, other = (
        engine.generate(prompts, num_samples=2, sampling=Sampling(max_new_tokens=12), seed=seed) for seed in (7, 7, 8)
    )
    for a, b in zip(first, again, strict=True):
        for x, y in zip(a, b, strict=True):
            assert np.array_equal(x.tokens, y.tokens) and np.array_equal(x.logps, y.logps)
    assert _share_equal(first, other) < 0.5


def test_samples_of_one_prompt_and_of_equal_prompts_differ() -> None:
    policy, prompt = make_policy("llama"), np.array([0, 3, 4])
    sampling = Sampling(max_new_tokens=10)
    answers = LocalEngine(policy).generate([prompt, prompt], num_samples=8, sampling=sampling, seed=0)
    assert len({tuple(a.tokens.tolist()) for row in answers for a in row}) == 16


def test_an_unfinished_answer_is_flagged_and_has_the_length_asked_for() -> None:
    policy = make_policy("llama")
    ((answer,),) = LocalEngine(policy).generate(
        [np.array([0, 3])], num_samples=1, sampling=Sampling(max_new_tokens=5), seed=0
    )
    assert not answer.finished and len(answer.tokens) == len(answer.logps) == 5


def test_an_answer_ends_with_the_context_window_of_the_policy(mode: str) -> None:
    policy = make_policy("gpt2", mode=mode)
    prompts = [np.full(CONTEXT - 3, 7), np.full(4, 7)]
    answers = LocalEngine(policy).generate(prompts, num_samples=1, sampling=Sampling(max_new_tokens=10), seed=0)
    assert [len(row[0].tokens) for row in answers] == [3, 10]
    assert not answers[0][0].finished


@pytest.mark.parametrize("size", [CONTEXT, CONTEXT + 5])
def test_a_prompt_that_leaves_no_room_is_refused_with_both_lengths(size: int) -> None:
    prompts = [np.array([3]), np.full(size, 3)]
    with pytest.raises(UserError, match=rf"prompt 1 is {size} tokens .* holds {CONTEXT}"):
        LocalEngine(make_policy("llama")).generate(prompts, num_samples=1, sampling=Sampling(), seed=0)


def test_a_prompt_without_tokens_is_refused_and_no_prompts_give_no_answers() -> None:
    engine = LocalEngine(make_policy("llama"))
    with pytest.raises(UserError, match="prompt 0 has no tokens"):
        engine.generate([np.array([], dtype=np.int64)], num_samples=1, sampling=Sampling(), seed=0)
    assert engine.generate([], num_samples=1, sampling=Sampling(), seed=0) == []


def test_each_prompt_is_computed_once_and_nothing_is_padded() -> None:
    policy, prompts = make_policy("llama", eos_ids=ENDS), _prompts(20)
    engine = LocalEngine(policy, max_live_rows=12)
    answers = engine.generate(prompts, num_samples=5, sampling=Sampling(max_new_tokens=15), seed=0)
    written = sum(len(a.tokens) for row in answers for a in row)
    asked = sum(len(p) for p in prompts) + written
    assert engine.occupancy.tokens == asked
    # The last token of each of the 100 answers never goes through the model.
    assert engine.occupancy.positions == asked - 100
    assert engine.occupancy.capacity == 12
    assert engine.occupancy.facts()["live_row_share"] > 0.8


def test_progress_counts_every_answer_once() -> None:
    told: list[int] = []
    LocalEngine(make_policy("llama", eos_ids=ENDS), max_live_rows=4).generate(
        _prompts(9), num_samples=3, sampling=Sampling(max_new_tokens=8), seed=0, on_progress=told.append
    )
    assert sum(told) == 27 and min(told) > 0


def test_new_weights_are_seen_by_the_next_call() -> None:
    policy, prompts = make_policy("llama"), _prompts(4)
    engine = LocalEngine(policy)
    before = engine.generate(prompts, num_samples=1, sampling=GREEDY, seed=0)
    other = make_policy("llama", seed=1)
    with torch.no_grad():
        for mine, new in zip(policy.hf.parameters(), other.hf.parameters(), strict=True):
            mine.copy_(new)
    after = engine.generate(prompts, num_samples=1, sampling=GREEDY, seed=0)
    assert _share_equal(before, after) == 0
    assert _share_equal(after, LocalEngine(other).generate(prompts, num_samples=1, sampling=GREEDY, seed=0)) == 1


def test_adapters_are_active_where_they_are_on(mode: str) -> None:
    policy, prompts = make_policy("llama", mode=mode, lora=True), _prompts(6)
    engine = LocalEngine(policy)
    with torch.no_grad():
        for number, (name, weight) in enumerate(policy.parameters().items()):
            if ".lora_B." in name:
                weight.normal_(generator=torch.Generator().manual_seed(number))
    adapted = engine.generate(prompts, num_samples=1, sampling=GREEDY, seed=0)
    with policy.reference():
        base = engine.generate(prompts, num_samples=1, sampling=GREEDY, seed=0)
    policy.hf = policy.hf.merge_and_unload()
    merged = engine.generate(prompts, num_samples=1, sampling=GREEDY, seed=0)
    plain = LocalEngine(make_policy("llama", mode=mode)).generate(prompts, num_samples=1, sampling=GREEDY, seed=0)
    assert _share_equal(adapted, merged) == 1
    assert _share_equal(base, plain) == 1
    assert _share_equal(adapted, base) < 0.5


def test_training_goes_on_after_sampling(mode: str) -> None:
    policy = make_policy("llama", mode=mode, lora=True)
    batch = pack([Group(prompt=np.array([3, 4]), continuations=(np.array([5, 6]),))], budget=100)[0]
    policy.hf.train()
    LocalEngine(policy).generate(_prompts(3), num_samples=1, sampling=Sampling(max_new_tokens=3), seed=0)
    assert policy.hf.training
    policy.logps(batch).logps.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in policy.parameters().values())


def test_weights_that_are_not_finite_stop_the_run() -> None:
    policy = make_policy("llama")
    with torch.no_grad():
        policy.hf.get_output_embeddings().weight[5] = float("nan")
    with pytest.raises(NonFiniteError, match="prompt 0, sample 0, token 0"):
        LocalEngine(policy).generate([np.array([3])], num_samples=1, sampling=Sampling(), seed=0)


def test_top_p_never_leaves_the_nucleus() -> None:
    policy, prompt = make_policy("llama"), np.array([0, 9, 12])
    sampling = Sampling(top_p=0.5, max_new_tokens=1)
    (answers,) = LocalEngine(policy, max_live_rows=500).generate([prompt], num_samples=500, sampling=sampling, seed=0)
    logps = _plain_logits(policy, prompt)[-1].log_softmax(-1)
    order = logps.argsort(descending=True)
    size = int((logps[order].exp().cumsum(0) < 0.5).sum()) + 1
    nucleus = set(order[:size].tolist())
    assert {int(a.tokens[0]) for a in answers} == nucleus
    assert all(abs(a.logps[0] - logps[a.tokens[0]]) < 1e-5 for a in answers)


def test_a_stop_text_ends_the_answer_with_the_token_that_completes_it(mode: str) -> None:
    policy, prompts = make_policy("gpt_neox", mode=mode), _prompts(12)
    engine = LocalEngine(policy, max_live_rows=5)
    free = engine.generate(prompts, num_samples=2, sampling=Sampling(max_new_tokens=20), seed=0)
    texts = [policy.tokenizer.decode(a.tokens.tolist()) for row in free for a in row]
    stop = texts[0][7:10]  # spans at least two tokens, which are of one or two letters
    sampling = Sampling(max_new_tokens=20, stop=(stop, "never written"))
    stopped = [a for row in engine.generate(prompts, num_samples=2, sampling=sampling, seed=0) for a in row]
    assert stopped[0].finished
    for text, answer in zip(texts, stopped, strict=True):
        written = policy.tokenizer.decode(answer.tokens.tolist())
        assert text.startswith(written)
        assert answer.finished == (stop in text)
        if answer.finished:
            assert stop in written
            assert stop not in policy.tokenizer.decode(answer.tokens[:-1].tolist())
            assert sampling.cut(written) == text[: text.index(stop)]
        else:
            assert len(answer.tokens) == 20
