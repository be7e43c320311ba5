"""The vLLM engine against the local one, the reference: answers, log-probabilities, seeds, stops, weights, adapters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from scipy import stats
from vllm_toys import CONTEXT, TOKENIZER, make_policy, shake

from assent.core.errors import NonFiniteError, UserError
from assent.core.group import Group, TokenIds
from assent.generation.config import Sampling
from assent.generation.engine import Engine, Generation
from assent.generation.local import LocalEngine
from assent.generation.vllm import VllmEngine
from assent.generation.vllm_config import VllmConfig
from assent.generation.vllm_weights import adapter_rank
from assent.learner.config import OptimizerConfig
from assent.models.config import LoraConfig
from assent.models.groups import pack
from assent.models.policy import PolicyModel
from assent.pipeline.learners import policy_learner

GREEDY = Sampling(temperature=0.0, max_new_tokens=24)
HOT = Sampling(temperature=0.7, max_new_tokens=24)
ENDS = tuple(range(40, 60))
LORA = LoraConfig(rank=4, alpha=8.0)


def prompts_of(count: int, seed: int = 0) -> list[TokenIds]:
    generator = np.random.default_rng(seed)
    return [generator.integers(3, len(TOKENIZER), size=int(n)) for n in generator.integers(2, 20, size=count)]


def learned_logps(policy: PolicyModel, prompt: TokenIds, answer: Generation, temperature: float) -> np.ndarray:
    [batch] = pack([Group(prompt, (answer.tokens,))], budget=10**6)
    with torch.no_grad():
        return policy.logps(batch, temperature=temperature or 1.0).logps.numpy()


def assert_samples(policy: PolicyModel, engine: Engine, sampling: Sampling) -> None:
    """The answers' log-probs are the policy's own, and where sampling is greedy so are the tokens."""
    prompts = prompts_of(4)
    drawn = engine.generate(prompts, num_samples=1, sampling=sampling, seed=1)
    for prompt, (answer,) in zip(prompts, drawn, strict=True):
        expected = learned_logps(policy, prompt, answer, sampling.temperature)
        np.testing.assert_allclose(answer.logps, expected, atol=2e-4)
    if sampling.temperature == 0:
        assert_same(
            engine.generate(prompts, num_samples=1, sampling=sampling, seed=1),
            LocalEngine(policy).generate(prompts, num_samples=1, sampling=sampling, seed=1),
        )


def assert_same(got: Sequence[Sequence[Generation]], expected: Sequence[Sequence[Generation]]) -> None:
    for ours, theirs in zip(got, expected, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            assert one.tokens.tolist() == other.tokens.tolist()
            assert one.finished == other.finished
            np.testing.assert_allclose(one.logps, other.logps, atol=2e-4)


def test_greedy_answers_are_those_of_the_local_engine_and_end_where_they_end() -> None:
    policy = make_policy(eos_ids=ENDS)
    prompts = [*prompts_of(11), prompts_of(1)[0][:1].repeat(CONTEXT - 3)]  # the last leaves room for three tokens
    got = VllmEngine(policy).generate(prompts, num_samples=2, sampling=GREEDY, seed=0)
    assert_same(got, LocalEngine(policy).generate(prompts, num_samples=2, sampling=GREEDY, seed=0))
    ends = {(one.finished, len(one.tokens) == 24) for row in got[:-1] for one in row}
    assert {(True, False), (False, True)} <= ends
    assert len(got[-1][0].tokens) <= 3


def test_log_probabilities_are_those_of_the_temperature_that_drew() -> None:
    policy = make_policy()
    assert_samples(policy, VllmEngine(policy), HOT)


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    policy, prompt, draws = make_policy(), prompts_of(1)[0], 4000
    sampling = Sampling(temperature=1.5, max_new_tokens=1)
    [answers] = VllmEngine(policy).generate([prompt], num_samples=draws, sampling=sampling, seed=5)
    [batch] = pack([Group(prompt, (np.array([0]),))], budget=10**6)
    shares = (policy.logits(batch)[0] / 1.5).double().softmax(-1).numpy()
    counts = np.bincount([int(one.tokens[0]) for one in answers], minlength=len(shares))
    often = shares * draws >= 5
    seen, expected = np.append(counts[often], counts[~often].sum()), np.append(shares[often], shares[~often].sum())
    assert stats.chisquare(seen, expected * draws).pvalue > 1e-3
    assert len({one.logps[0] for one in answers}) > 20


def test_an_answer_depends_on_its_seed_and_number_and_not_on_its_batch() -> None:
    engine, prompts = VllmEngine(make_policy()), prompts_of(5)
    whole = engine.generate(prompts, num_samples=3, sampling=HOT, seed=7)
    part = engine.generate(prompts[2:4], num_samples=2, sampling=HOT, seed=7, numbers=[2, 3])
    for row, expected in zip(part, whole[2:4], strict=True):
        assert [one.tokens.tolist() for one in row] == [one.tokens.tolist() for one in expected[:2]]
    drawn = {tuple(one.tokens.tolist()) for one in whole[0]}
    assert len(drawn) == 3
    [other] = engine.generate(prompts[:1], num_samples=1, sampling=HOT, seed=8)
    assert tuple(other[0].tokens.tolist()) not in drawn


def test_stop_texts_end_answers_with_the_token_that_completes_them() -> None:
    policy, prompts = make_policy(), prompts_of(8)
    plain = LocalEngine(policy).generate(prompts, num_samples=1, sampling=GREEDY, seed=0)
    texts = [TOKENIZER.decode(row[0].tokens.tolist()) for row in plain]
    stop = tuple(text[8:11] for text in texts[:4] if text[8:11])
    sampling = GREEDY.model_copy(update={"stop": stop})
    got = VllmEngine(policy).generate(prompts, num_samples=1, sampling=sampling, seed=0)
    assert_same(got, LocalEngine(policy).generate(prompts, num_samples=1, sampling=sampling, seed=0))
    assert any(row[0].finished for row in got)


def test_someone_may_read_along_and_is_told_how_many_are_done() -> None:
    engine, prompts = VllmEngine(make_policy()), prompts_of(2)
    lengths, done = [], []
    answers = engine.generate(
        prompts,
        num_samples=2,
        sampling=HOT.model_copy(update={"max_new_tokens": 5}),
        seed=0,
        on_token=lambda now: lengths.append(len(now.tokens)),
        on_progress=done.append,
    )
    assert sorted(lengths) == sorted([*range(1, 6)] * 4)
    assert sum(done) == 4 == sum(len(row) for row in answers)


def test_new_weights_are_sampled_from_once_they_are_handed_over_and_not_before() -> None:
    policy = make_policy(0)
    learner = policy_learner(policy, OptimizerConfig())
    engine = VllmEngine(policy)
    engine.load_weights(learner, version=3)
    assert engine.version == 3
    before = make_policy(0)
    learner.load_weights(make_policy(1).parameters())
    assert_samples(before, engine, GREEDY)
    engine.load_weights(learner, version=4)
    assert engine.version == 4
    assert_samples(policy, engine, GREEDY)
    assert_samples(make_policy(1), engine, HOT)


def test_engines_of_one_shape_take_turns_and_follow_a_policy_until_they_are_told_weights() -> None:
    first, second = make_policy(0), make_policy(1)
    engines = VllmEngine(first), VllmEngine(second)
    for _ in range(2):
        assert_samples(first, engines[0], GREEDY)
        assert_samples(second, engines[1], GREEDY)
    with torch.no_grad():
        for name, weight in second.parameters().items():
            first.parameters()[name].copy_(weight)
    assert_samples(second, engines[0], GREEDY)


@pytest.mark.parametrize("adapters", ["auto", "merged"])
def test_an_adapter_is_sampled_with_alone_or_merged_and_again_after_it_moved(adapters: str) -> None:
    policy = make_policy(0, lora=LORA)
    assert adapter_rank(policy) == 8
    learner = policy_learner(policy, OptimizerConfig())
    engine = VllmEngine(policy, VllmConfig.model_validate({"adapters": adapters}))
    engine.load_weights(learner, version=1)
    assert_samples(policy, engine, GREEDY)
    shake(policy, seed=9)
    engine.load_weights(learner, version=2)
    assert_samples(policy, engine, GREEDY)
    assert_samples(policy, engine, HOT)


def test_what_vllm_cannot_do_is_refused_in_one_line() -> None:
    engine, prompts = VllmEngine(make_policy()), prompts_of(1)
    with pytest.raises(UserError, match=r"top_p is 0.5, .*; set it to 1.0, or compute.engine to local"):
        engine.generate(prompts, num_samples=1, sampling=Sampling(top_p=0.5), seed=0)
    with pytest.raises(UserError, match=f"context in vLLM holds {CONTEXT}"):
        engine.generate([np.full(CONTEXT, 5)], num_samples=1, sampling=HOT, seed=0)
    with pytest.raises(UserError, match="prompt 0 has no tokens"):
        engine.generate([np.array([], dtype=np.int64)], num_samples=1, sampling=HOT, seed=0)


def test_weights_that_are_no_numbers_are_refused_and_the_next_call_works() -> None:
    policy, prompts = make_policy(), prompts_of(2)
    engine = VllmEngine(policy)
    with torch.no_grad():
        policy.core.model.norm.weight.fill_(float("nan"))
    with pytest.raises(NonFiniteError, match="not finite"):
        engine.generate(prompts, num_samples=1, sampling=HOT, seed=0)
    with torch.no_grad():
        policy.core.model.norm.weight.fill_(1.0)
    assert_samples(policy, engine, GREEDY)
