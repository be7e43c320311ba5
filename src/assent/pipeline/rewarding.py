"""What an on-policy method maximises, made from its settings: every term of the reward, opened and weighted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from assent.artifacts.identity import resolved
from assent.artifacts.outside import hashes
from assent.checks.code.scoring import CodeScore
from assent.core.errors import ConfigError, DataError
from assent.core.hashing import hash_json
from assent.core.scoring import Score, ScoreFunction
from assent.core.types import Prompt
from assent.pipeline.autoraters import open_autorater
from assent.pipeline.backends import Backends
from assent.raters.endpoint_cache import ReplyCache
from assent.training.check_terms import CheckTerm, LengthRewardConfig
from assent.training.code_reward import CodeRewardConfig
from assent.training.constraints import Constraints
from assent.training.on_policy_config import OnPolicyConfig
from assent.training.reward_ensemble import EnsembleReward
from assent.training.reward_judge import JudgeReward
from assent.training.reward_terms import (
    EnsembleRewardConfig,
    JudgeRewardConfig,
    ModelRewardConfig,
    NormalizeScores,
    PythonRewardConfig,
    RewardTerm,
)
from assent.training.rewards import ModelReward, Term, WeightedRewards, cut_lines
from assent.training.term_config import Normalize


@dataclass(frozen=True)
class Opener:
    """What the terms of a reward are opened with."""

    config: OnPolicyConfig
    backends: Backends
    trained: Path | None
    """The reward model of this round; None where it trained none."""
    tokens: Callable[[str], int]
    """How many tokens of the policy a text has."""
    scratch: Path
    """Where the verdicts of judges are kept until the stage is done."""

    def rewards(self) -> WeightedRewards:
        """The weighted sum of the configured rewards."""
        return WeightedRewards(tuple(map(self.term, self.config.rewards)), self.config.reward_clip)

    def constraints(self) -> Constraints | None:
        """The costs that are kept below limits; None where there are none."""
        settings = self.config.constraints
        return Constraints([self.term(one.cost) for one in settings], settings) if settings else None

    def term(self, term: RewardTerm) -> Term:
        """One term. Raises ConfigError where it wants this round's reward model and there is none."""
        match term:
            case ModelRewardConfig():
                score: Score = self._model(term.path, term.normalize, term.asked)
                normalize: Normalize = "batch" if term.normalize == "batch" else "none"
                name = term.title if term.name or term.asked else self._name(term.path)
                return Term(term.weight, name, score, normalize)
            case EnsembleRewardConfig():
                members = tuple(self._model(path, term.normalize) for path in term.models)
                normalize = "batch" if term.normalize == "batch" else "none"
                return Term(term.weight, term.title, EnsembleReward(members, term.take, term.k, normalize))
            case PythonRewardConfig():
                return Term(term.weight, term.title, ScoreFunction.load(term.target), term.normalize)
            case JudgeRewardConfig():
                return Term(term.weight, term.title, self._judge(term), term.normalize)
            case CheckTerm():
                return Term(term.weight, term.title, self._check(term), term.normalize)
            case CodeRewardConfig():
                return Term(term.weight, term.title, term.open(), term.normalize)
            case _ as never:
                assert_never(never)

    def _model(
        self, path: str | None, normalize: NormalizeScores | None, criteria: Mapping[str, float] | None = None
    ) -> ModelReward:
        folder = path or self.trained
        if folder is None:
            raise ConfigError("optimize.rewards names the round's reward model, but this run trains none")
        is_scaled = self.config.normalize_reward if normalize is None else normalize == "trained"
        budget = self.config.optimizer.tokens_per_microbatch
        if criteria:
            return self.backends.criterion_scorer(folder, criteria, points=not is_scaled, tokens_per_microbatch=budget)
        return self.backends.scorer(folder, normalize=is_scaled, tokens_per_microbatch=budget)

    def _name(self, path: str | None) -> str:
        return str(path) if path is not None or self.trained is None else self.trained.parent.name

    def _judge(self, term: JudgeRewardConfig) -> JudgeReward:
        asked = term.asked
        judge = open_autorater(asked, next(asked.ids("train", 0)), self.backends)
        identity = hash_json([resolved(asked), hashes(asked)])
        return JudgeReward(judge, identity, ReplyCache(self.scratch / "verdicts"), term.failed)

    def _check(self, term: CheckTerm) -> Score:
        if isinstance(term, LengthRewardConfig) and term.unit == "tokens":
            return lambda prompts, answers: [term.score_of(self.tokens(answer)) for answer in answers]
        return lambda prompts, answers: [term.score(*one) for one in zip(prompts, answers, strict=True)]


def refuse_prompts(config: OnPolicyConfig, prompts: Sequence[Prompt]) -> None:
    """Raise DataError for the first prompt that lacks what a term reads of it: before anything is trained."""
    for key, term in config.terms.items():
        for prompt in prompts:
            try:
                term.refuse_prompt(prompt)
            except DataError as wrong:
                raise DataError(f"{key} cannot score prompt {prompt.id}: {wrong}") from None


def scorers(terms: Sequence[Term]) -> list[Score]:
    """The functions behind terms, those of an ensemble one by one."""
    found: list[Score] = []
    for term in terms:
        found += term.score.members if isinstance(term.score, EnsembleReward) else (term.score,)
    return found


def worth_telling(terms: Sequence[Term]) -> list[str]:
    """What the terms have to say about their work: what was cut for a model, what a judge could not say."""
    said = cut_lines(*scorers(terms))
    for term in terms:
        if isinstance(term.score, JudgeReward):
            said += [*term.score.tally.lines(term.name), *(f"{term.name}: {line}" for line in term.score.lines())]
        if isinstance(term.score, CodeScore):
            said.append(f"{term.name}: {term.score.spent.line()}")
    return said
