"""What each stage of a run computes: operations and drawn answers, by its settings and how long its texts are.

Nothing is loaded here, no torch either. Products of layers and head are counted (models/flops.py); the optimizer, what
is element-wise, suites, judges other than the round's own reward model, and people are not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

from assent.models import flops
from assent.models.shape import DecoderShape
from assent.pipeline.config import RunConfig, ScratchBase
from assent.training.config import RewardConfig, SFTConfig
from assent.training.evaluation_config import cadence
from assent.training.on_policy_config import OnPolicyConfig
from assent.training.preference_config import PreferenceConfig
from assent.training.reward_terms import ModelRewardConfig

_LOOKED_AT = 256
"""Comparisons that scale and leans of a reward model are told of (leaning.py:LOOKED_AT, which torch would come with;
more where raters are of groups)."""


@dataclass(frozen=True)
class Texts:
    """Prompts with their answers: how many, and how long they are on the mean."""

    number: float
    """Prompts, or conversations."""
    prompt: float
    """Tokens of a prompt; 0 where every token is learned."""
    answer: float
    """Tokens of an answer."""
    answers: float = 1
    """Answers to each prompt."""

    def times(self, factor: float) -> Texts:
        """The same texts so many times."""
        return Texts(self.number * factor, self.prompt, self.answer, self.answers)

    def tokens(self, *, is_scalar: bool = False) -> flops.Tokens:
        """What a pass goes over; a model that scores rows has no head to pay for."""
        scored = self.number * self.answers * self.answer
        return flops.Tokens(self.number * self.prompt + scored, 0 if is_scalar else scored, self.prompt + self.answer)


@dataclass(frozen=True)
class Known:
    """How much text there is, as counted in the data; None where it is not known here."""

    corpus: Texts | None = None
    demonstrations: Texts | None = None
    comparisons: Texts | None = None
    prompt: float = 0
    """Tokens of a prompt to be answered, on the mean."""
    answer: float | None = None
    """Tokens of the answers in the data, on the mean; None: drawn answers are taken to reach their limit."""

    def drawn(self, prompts: float, answers: float, limit: int) -> Texts:
        """Answers of the policy, as long as those of the data unless the limit is shorter."""
        return Texts(prompts, self.prompt, limit if self.answer is None else min(self.answer, limit), answers)


@dataclass(frozen=True)
class Sampling:
    """Answers that a policy draws."""

    texts: Texts
    rows: int
    """Answers drawn at once."""
    times: float = 1
    """How often these texts are drawn."""


@dataclass(frozen=True)
class Work:
    """One stage, over all rounds."""

    stage: str
    products: float
    """Floating-point operations of passes with and without gradient."""
    sampling: tuple[Sampling, ...] = ()
    unknown: str = ""
    """What of the data is not known here, so that nothing can be said."""


def works(config: RunConfig, shape: DecoderShape, known: Known) -> Iterator[Work]:
    """Every stage that computes, in the order of a run; those of a round once, for all rounds."""
    counted = _Counted(config, shape, known)
    if isinstance(config.base, ScratchBase):
        yield counted.tuning("base", config.base.pretrain, known.corpus, "data.corpus", is_lora=False)
    if config.sft is not None:
        yield counted.tuning("sft", config.sft, known.demonstrations, "data.demonstrations", is_lora=counted.is_lora)
    if config.collect is not None:
        sample = config.sample
        texts = known.drawn(sample.prompts, sample.answers, sample.sampling.max_new_tokens)
        yield Work("sample", 0, (counted.sampling(texts, times=config.rounds),))
    if config.fits_reward and config.reward is not None:
        yield counted.reward(config.reward)
    match config.optimize:
        case PreferenceConfig() as method:
            yield counted.preference(method)
        case OnPolicyConfig() as method:
            yield counted.on_policy(method)
        case None:
            pass
        case _ as never:
            assert_never(never)
    if config.evaluate is not None:
        yield counted.evaluate(config.evaluate.prompts, config.evaluate.best_of)


@dataclass(frozen=True)
class _Counted:
    config: RunConfig
    shape: DecoderShape
    known: Known

    @property
    def is_lora(self) -> bool:
        return self.config.model.lora is not None

    def sampling(self, texts: Texts, *, times: float = 1) -> Sampling:
        rows = min(self.config.compute.max_live_rows, math.ceil(texts.number * texts.answers))
        return Sampling(texts, max(rows, 1), times)

    def forward(self, texts: Texts, *, is_scalar: bool = False) -> float:
        return flops.forward(self.shape, texts.tokens(is_scalar=is_scalar))

    def training(self, texts: Texts, *, is_lora: bool, is_scalar: bool = False) -> float:
        return flops.training(self.shape, texts.tokens(is_scalar=is_scalar), is_lora=is_lora)

    def tuning(self, stage: str, settings: SFTConfig, texts: Texts | None, key: str, *, is_lora: bool) -> Work:
        """All passes over what is learned from, and over what is held out at each measurement."""
        if texts is None:
            return Work(stage, 0, unknown=key)
        learned, held_out = texts.times(1 - settings.eval_share), texts.times(settings.eval_share)
        steps = settings.epochs * learned.number / settings.batch_size
        every = settings.evaluate_every
        looks = 1 + (steps / every if every else settings.epochs * settings.evals_per_epoch)
        work = settings.epochs * self.training(learned, is_lora=is_lora)
        return Work(stage, work + looks * self.forward(held_out))

    def ranked(self) -> list[Texts] | None:
        """The comparisons of each round: those of the data and, of raters, of all rounds so far."""
        given = self.known.comparisons
        if self.config.collect is None:
            return None if given is None else [given] * self.config.rounds
        sample = self.config.sample
        texts = self.known.drawn(sample.prompts, sample.answers, sample.sampling.max_new_tokens)
        return [_together(given, texts.times(n)) for n in range(1, self.config.rounds + 1)]

    def reward(self, settings: RewardConfig) -> Work:
        """Training and looks on the way; at the end some of what was learned, and held-out answers to other prompts."""
        rounds = self.ranked()
        if rounds is None:
            return Work("reward", 0, unknown="data.comparisons")
        total = 0.0
        for texts in rounds:
            learned, held_out = texts.times(1 - settings.eval_share), texts.times(settings.eval_share)
            steps = settings.epochs * learned.number / settings.batch_size
            every = cadence(settings.evaluate_every, looked_at=round(held_out.number), learned=settings.batch_size)
            looks = 3 + steps // every if every else 2
            total += settings.epochs * self.training(learned, is_lora=self.is_lora, is_scalar=True)
            count = max(round(learned.number), 1)
            again = learned.times(min(count, _LOOKED_AT) / count)
            total += self.forward(again, is_scalar=True) + looks * self.forward(held_out, is_scalar=True)
        return Work("reward", total)

    def preference(self, method: PreferenceConfig) -> Work:
        """Passes of training; DPO and KTO also score all answers by the start, once."""
        rounds = self.ranked()
        if rounds is None:
            return Work("optimize", 0, unknown="data.comparisons")
        total = 0.0
        for texts in rounds:
            total += method.epochs * (1 - method.eval_share) * self.training(texts, is_lora=self.is_lora)
            if method.scores_start:
                total += self.forward(texts)
            looked_at = round(method.eval_share * texts.number)
            every = cadence(method.evaluate_every, looked_at=looked_at, learned=method.batch_size)
            if every and method.eval_share:
                steps = method.epochs * (1 - method.eval_share) * texts.number / method.batch_size
                total += (2 + steps // every) * method.eval_share * self.forward(texts)
        return Work("optimize", total)

    def on_policy(self, method: OnPolicyConfig) -> Work:
        """Of each step: answers are drawn, scored by policy, start, reward and value models, and learned from."""
        limit = method.sampling.max_new_tokens
        texts = self.known.drawn(method.prompts_per_step, method.samples_per_prompt, limit)
        models = sum(isinstance(term, ModelRewardConfig) for term in method.terms.values())
        work = models * self.forward(texts, is_scalar=True)
        learned = texts
        if method.learned_answers is not None:
            learned = Texts(texts.number, texts.prompt, texts.answer, method.learned_answers)
        if method.scores_rollouts:
            work += 2 * self.forward(texts)
        work += method.epochs * self.training(learned, is_lora=self.is_lora)
        if method.of_value_model is not None:
            work += self.forward(texts, is_scalar=True)
            work += method.epochs * self.training(texts, is_lora=self.is_lora, is_scalar=True)
        times = method.steps * self.config.rounds
        return Work("optimize", times * work, (self.sampling(texts, times=times),))

    def evaluate(self, prompts: int, best_of: int) -> Work:
        """Both policies answer, and the round's reward model judges where nobody else does."""
        assert self.config.evaluate is not None
        limit, rounds = self.config.evaluate.sampling.max_new_tokens, self.config.rounds
        old, new = self.known.drawn(prompts, 1, limit), self.known.drawn(prompts, best_of, limit)
        is_judge = self.config.judges is None and self.config.fits_reward
        judged = rounds * sum(self.forward(one, is_scalar=True) for one in (old, new)) if is_judge else 0
        return Work("evaluate", judged, (self.sampling(old, times=rounds), self.sampling(new, times=rounds)))


def _together(one: Texts | None, other: Texts) -> Texts:
    """Two heaps of texts as one, with means that keep the number of prompts, of their tokens and of answers' tokens."""
    if one is None:
        return other
    number = one.number + other.number
    answers = (one.number * one.answers + other.number * other.answers) / number
    prompt = (one.number * one.prompt + other.number * other.prompt) / number
    tokens = one.number * one.answers * one.answer + other.number * other.answers * other.answer
    return Texts(number, prompt, tokens / (number * answers), answers)
