"""Rollouts one step ahead: exactly one step old, weighed, none drawn twice or lost, the same bits after a kill."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from test_group_methods import METHODS, roles
from torch import Tensor
from training_toys import Toy, dying, share_of_e

from assent.core.group import TokenIds
from assent.core.runlog import read_metrics
from assent.core.types import Prompt
from assent.generation.engine import Generation, Weights
from assent.generation.local import LocalEngine
from assent.models.policy import PolicyModel
from assent.pipeline.config import RunConfig
from assent.pipeline.stages.settings import OptimizeStage, SampleStage
from assent.training.ahead import Ahead, Answers
from assent.training.loop import Loop
from assent.training.on_policy import Roles

TRAIN, CONFIG = METHODS["grpo"]


class Drawing:
    """Answers that say of which step they are and how many steps the weights had taken that drew them."""

    def __init__(self) -> None:
        self.taken, self.begun = 0, list[int]()

    def __call__(self, step: int) -> Callable[[], Answers]:
        self.begun.append(step)
        drawn = [[self._answer(step, 2)], [self._answer(step, 1), self._answer(step, 3)]]
        return lambda: drawn

    def _answer(self, step: int, length: int) -> Generation:
        logps = -np.arange(1, length + 1, dtype=np.float32)
        return Generation(np.array([step, self.taken, *range(length)]), np.append(logps, [-1, -2]), length > 1)


def steps(ahead: Ahead, drawing: Drawing, some: range, total: int) -> list[tuple[list[list[Any]], int]]:
    """What is taken at each step: of every answer tokens, log-probs and whether it ended, prompt by prompt; the age."""
    found = []
    for step in some:
        drawing.taken = step
        answers, age = ahead.take(step, total, drawing)
        found.append(([[(a.tokens.tolist(), a.logps.tolist(), a.finished) for a in row] for row in answers], age))
    return found


def test_each_step_takes_its_own_answers_drawn_by_the_weights_of_the_step_before() -> None:
    drawing = Drawing()
    for step, (answers, age) in enumerate(steps(Ahead(), drawing, range(4), total=4)):
        assert [[one[0][:2] for one in row] for row in answers] == [[[step, max(step - 1, 0)]] * n for n in (1, 2)]
        assert age == min(step, 1)
    assert drawing.begun == [0, 1, 2, 3]  # each once, and none beyond the last


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_checkpoint_carries_the_answers_that_wait(cut: int) -> None:
    whole = steps(Ahead(), Drawing(), range(4), total=4)
    ahead, drawing, resumed = Ahead(), Drawing(), Ahead()
    steps(ahead, drawing, range(cut), total=4)
    resumed.restore({name: one.clone() for name, one in ahead.tensors().items()}, dict(ahead.state()))
    assert steps(resumed, drawing, range(cut, 4), total=4) == whole[cut:]
    assert drawing.begun == [0, 1, 2, 3]


class Lagging:
    """The slow reference: an engine that is asked in turn, and takes the weights it was given the time before."""

    is_exact = False

    def __init__(self, copy: PolicyModel) -> None:
        self._copy, self._engine, self.version = copy, LocalEngine(copy), -1
        self._given: Mapping[str, Tensor] | None = None

    def load_weights(self, source: Weights, *, version: int) -> None:
        now = {name: one.clone() for name, one in source.weights().items()}
        own = self._copy.parameters()
        with torch.no_grad():
            for name, weight in (self._given or now).items():
                own[name].copy_(weight)
        self._given, self.version = now, version

    def generate(self, prompts: Sequence[TokenIds], **settings: Any) -> list[list[Generation]]:
        return self._engine.generate(prompts, **settings)

    def facts(self) -> Mapping[str, float]:
        return self._engine.facts()


def ahead_roles(toy: Toy, reward: Any = share_of_e) -> Roles:
    return replace(roles(toy, reward), ahead=Ahead())


def test_training_ahead_is_training_on_answers_of_weights_that_are_a_step_old(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt]
) -> None:
    ahead = ahead_roles(toy)
    TRAIN(ahead, prompts, CONFIG, new_loop("ahead"))
    policy = toy.policy()
    lagging = replace(roles(toy, share_of_e, policy=policy), writer=toy.writer(policy, Lagging(toy.policy())))
    TRAIN(lagging, prompts, CONFIG, new_loop("lagging"))
    for name, weight in ahead.policy.weights().items():
        assert torch.equal(weight, lagging.policy.weights()[name]), name
    logged = read_metrics(new_loop("ahead").log.folder)
    assert [one["staleness"] for one in logged] == [0.0, 1.0, 1.0, 1.0]
    assert logged[0]["correction_weight"] == pytest.approx(1.0, abs=1e-4)
    assert logged[-1]["sampler_gap_mean"] > 1e-3 and logged[-1]["correction_ess"] < 1.0


def test_a_run_ahead_that_was_killed_ends_with_the_same_bits(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt]
) -> None:
    whole = ahead_roles(toy)
    TRAIN(whole, prompts, CONFIG, new_loop("whole"))

    with pytest.raises(KeyboardInterrupt):
        TRAIN(ahead_roles(toy, dying(share_of_e)), prompts, CONFIG, new_loop("killed", seconds=0.0))
    resumed = ahead_roles(toy)
    TRAIN(resumed, prompts, CONFIG, new_loop("killed", seconds=0.0))
    for name, weight in whole.policy.weights().items():
        assert torch.equal(weight, resumed.policy.weights()[name]), name
    logged = read_metrics(new_loop("killed").log.folder)
    assert [(one["step"], one["staleness"]) for one in logged] == [(0, 0.0), (1, 1.0), (2, 1.0), (3, 1.0)]


def config(**given: Any) -> RunConfig:
    base = {"base": {"kind": "pretrained", "path": "m"}, "data": {"kind": "lab"}}
    judged = {"collect": {"raters": {"kind": "simulated"}}}
    return RunConfig.model_validate(base | judged | {"compute": {"kind": "ray", "staleness": 1}} | given)


def test_staleness_enters_the_stage_that_learns_from_its_answers_alone() -> None:
    run = config()
    assert OptimizeStage.of(run).compute.staleness == 1
    assert SampleStage.of(run, 1).compute.staleness == 0
    assert OptimizeStage.of(config(optimize={"kind": "dpo"})).compute.staleness == 0
    assert OptimizeStage.of(config(optimize={"kind": "best_of_n"})).compute.staleness == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"compute": {"staleness": 1}}, "one process draws and learns in turn"),
        ({"optimize": {"kind": "grpo", "correction": {"kind": "none"}}}, "lets old answers count as if they were new"),
    ],
)
def test_staleness_that_cannot_work_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        config(**given)
