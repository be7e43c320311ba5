"""Who the raters of a run are to the store, so that what others judged is never taken for theirs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import assert_never

from assent.artifacts.identity import resolved
from assent.artifacts.outside import hashes, outside
from assent.artifacts.store import Artifact
from assent.core.config import Config
from assent.core.hashing import hash_json
from assent.core.types import Task
from assent.feedback.config import StoreConfig
from assent.feedback.opening import open_store
from assent.feedback.records.judges import PEOPLE, Judges, in_project
from assent.feedback.records.queue import Queue
from assent.raters.config import (
    AutoraterConfig,
    ConstitutionConfig,
    FunctionConfig,
    PeopleConfig,
    RatersConfig,
    RewardModelConfig,
    Role,
    SimulatedConfig,
)
from assent.training.method import Method
from assent.training.on_policy_config import OnPolicyConfig
from assent.training.reward_terms import JudgeRewardConfig


def judges_of(raters: RatersConfig, *, role: Role, seed: int) -> Judges:
    """The raters that a config names, by their settings and by the content of the files that these name."""
    if isinstance(raters, PeopleConfig):
        return PEOPLE
    return Judges(hash_json([resolved(raters), hashes(raters), seed]), frozenset(raters.ids(role, seed)))


def evaluation_judges(raters: RatersConfig | None, reward: Artifact | None, *, seed: int) -> Judges | None:
    """Those who compare two policies: the raters of the run, or the round's reward model; None where nobody can."""
    if raters is not None:
        return judges_of(raters, role="evaluation", seed=seed)
    return None if reward is None else Judges(hash_json(["reward model", reward.key]), frozenset({judge_id(reward)}))


def judges_its_own(raters: RatersConfig | None, optimize: Method) -> bool:
    """Whether those who compare the policies are what the policy was optimized for: a reward of the run."""
    terms = list(optimize.terms.values()) if isinstance(optimize, OnPolicyConfig) else []
    match raters:
        case None:
            return True
        case RewardModelConfig() | FunctionConfig():
            named = {one.value for term in terms for one in outside(term)}
            said = raters.path if isinstance(raters, RewardModelConfig) else raters.target
            models = {content for term in terms for content in _contents(term)}
            return str(said) in named or (isinstance(raters, RewardModelConfig) and bool(models & _contents(raters)))
        case AutoraterConfig():
            asked = [term.judge for term in terms if isinstance(term, JudgeRewardConfig)]
            return any((one.backend, one.rubric) == (raters.backend, raters.rubric) for one in asked)
        case PeopleConfig() | SimulatedConfig() | ConstitutionConfig():
            return False
        case _ as never:
            assert_never(never)


def _contents(config: Config) -> set[str]:
    """Hashes of what lies outside."""
    return set(hashes(config).values())


def judge_id(reward: Artifact) -> str:
    """Id of a round's reward model as a rater."""
    return f"reward model {reward.name}"


def queue_now(store: StoreConfig, asked: Queue, judges: Judges | None) -> Queue:
    """The queue in which these judges are asked the tasks of `asked`; looking changes nothing."""
    if judges is None or not store.has_content:
        return asked
    with open_store(store) as opened:
        return opened.queue_of(asked, judges)


def take_queue(store: StoreConfig, asked: Queue, judges: Judges, tasks: Sequence[Task]) -> tuple[Queue, list[Task]]:
    """The same queue, noted as theirs, and the tasks as they stand in it."""
    with open_store(store) as opened:
        queue = opened.take_queue(asked, judges, now=time.time())
    return queue, in_project(tasks, queue, asked=asked)
