"""What an on-policy method maximises, made from its settings: every term of the reward, opened and weighted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import assert_never

from assent.checks.code.scoring import CodeScore
from assent.core.errors import ConfigError
from assent.core.scoring import Score, ScoreFunction
from assent.core.types import Prompt
from assent.pipeline.backends import Backends
from assent.training.code_reward import CodeRewardConfig
from assent.training.on_policy_config import OnPolicyConfig
from assent.training.reward_terms import ModelRewardConfig, PythonRewardConfig, RewardTerm
from assent.training.rewards import WeightedRewards


def rewards_of(config: OnPolicyConfig, backends: Backends, trained: Path | None) -> WeightedRewards:
    """The weighted sum of the configured rewards; `trained` is this round's reward model."""
    terms = tuple((term.weight, *opened(term, config, backends, trained)) for term in config.rewards)
    return WeightedRewards(terms, config.reward_clip)


def opened(term: RewardTerm, config: OnPolicyConfig, backends: Backends, trained: Path | None) -> tuple[str, Score]:
    """A term's name and function. Raises ConfigError where it wants this round's reward model and there is none."""
    match term:
        case ModelRewardConfig():
            folder = term.path or trained
            if folder is None:
                raise ConfigError("optimize.rewards names the round's reward model, but this run trains none")
            budget = config.optimizer.tokens_per_microbatch
            reward = backends.scorer(folder, normalize=config.normalize_reward, tokens_per_microbatch=budget)
            return (Path(folder).parent.name if term.path is None else term.path), reward
        case PythonRewardConfig():
            return term.target, ScoreFunction.load(term.target)
        case CodeRewardConfig():
            return term.title, term.open()
        case _ as never:
            assert_never(never)


def refuse_prompts(config: OnPolicyConfig, prompts: Sequence[Prompt]) -> None:
    """Raise DataError for the first prompt that lacks what a term reads of it: before anything is trained."""
    for term in config.rewards:
        if isinstance(term, CodeRewardConfig):
            for prompt in prompts:
                term.refuse_prompt(prompt)


def spent_lines(scores: Sequence[Score]) -> list[str]:
    """What scoring code took and found, in words."""
    return [one.spent.line() for one in scores if isinstance(one, CodeScore)]
