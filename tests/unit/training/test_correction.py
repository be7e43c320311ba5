"""Facts about rollouts that are weighed: which settings weigh them how, and what that makes of gradients and logs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import torch
from test_group_methods import GROUP, OLD, SAMPLING, SMALL, gradient, roles, share_of_e
from training_toys import Toy

from assent.core.runlog import read_metrics
from assent.core.types import Prompt
from assent.generation.local import LocalEngine
from assent.models.groups import pack
from assent.training.correction import Correction
from assent.training.correction_config import CorrectionConfig
from assent.training.grpo import grpo_objective, train_grpo
from assent.training.loop import Loop
from assent.training.on_policy import Minibatch
from assent.training.on_policy_config import GRPOConfig, RLOOConfig
from assent.training.rloo import rloo_objective

LEARNER = [torch.tensor([-1.0, -2.0]), torch.tensor([-3.0])]
# The learner over the engine: ratios 3 and 1/2 in the first answer, 0.8 in the second.
ENGINE = [LEARNER[0] - torch.tensor([3.0, 0.5]).log(), LEARNER[1] - math.log(0.8)]


def test_weights_of_tokens_of_answers_and_of_masked_answers_by_hand() -> None:
    def weights(**settings: object) -> list[list[float]]:
        return [row.tolist() for row in Correction(**settings).weights(LEARNER, ENGINE)]  # type: ignore[arg-type]

    assert weights(cap=2.0) == [pytest.approx([2.0, 0.5]), pytest.approx([0.8])]
    assert weights(cap=4.0, of_answers=True) == [pytest.approx([1.5, 1.5]), pytest.approx([0.8])]
    # Geometric means: sqrt(3 / 2) = 1.22 is within 1.24, and 0.8 = 1 / 1.25 is not.
    assert weights(cap=2.0, bound=1.24) == [pytest.approx([2.0, 0.5]), [0.0]]
    assert weights(cap=2.0, bound=1.2) == [[0.0, 0.0], [0.0]]


def test_what_is_logged_of_weights_by_hand() -> None:
    correction = Correction(cap=2.0, bound=1.24)
    facts = correction.facts(correction.weights(LEARNER, ENGINE))  # 2, 0.5 | 0
    assert facts == pytest.approx(
        {
            "correction_weight": 2.5 / 3,
            "correction_truncated": 1 / 3,
            "correction_ess": 2.5**2 / (3 * 4.25),
            "correction_masked": 0.5,
        }
    )


def test_auto_weighs_where_the_engine_is_not_the_learner() -> None:
    auto, none = CorrectionConfig(), CorrectionConfig(kind="none")
    assert Correction.of(auto, is_exact=True, of_answers=False) is None
    assert Correction.of(auto, is_exact=False, of_answers=False) == Correction(2.0)
    assert Correction.of(none, is_exact=False, of_answers=False) is None
    masked = CorrectionConfig(kind="masked", bound=1.1)
    assert Correction.of(masked, is_exact=True, of_answers=True) == Correction(2.0, 1.1, of_answers=True)


def minibatch(correction: Correction) -> Minibatch:
    weights = correction.weights(LEARNER, ENGINE)
    return Minibatch(pack([GROUP], budget=100), [0, 1], OLD, OLD, num_rows=2, num_tokens=3, weights=weights)


def test_the_gradient_of_each_token_is_multiplied_by_its_weight() -> None:
    grpo = GRPOConfig(average="token", sampling=SAMPLING)
    objective = partial(grpo_objective, advantages=torch.tensor([1.0, -2.0]), kl=0.0, config=grpo)
    assert gradient(objective, minibatch(Correction(cap=2.0)), [-1.0, -2.0, -3.0]) == pytest.approx([-2.0, -0.5, 1.6])


def test_the_pull_to_the_reference_is_weighed_too() -> None:
    reference = [torch.tensor([-1.0 + math.log(2), -2.0]), torch.tensor([-3.0 - math.log(2)])]
    mini = replace(minibatch(Correction(cap=2.0)), reference_logps=reference)
    config = GRPOConfig(average="token", sampling=SAMPLING)
    objective = partial(grpo_objective, advantages=torch.zeros(2), kl=0.5, config=config)
    # Unweighed it is 0.5 (1 - r) with r = 2, 1, 1/2, as in the test of the k3 term.
    assert gradient(objective, mini, [-1.0, -2.0, -3.0]) == pytest.approx([-1.0, 0.0, 0.2])


def test_rloo_weighs_an_answer_as_one_action() -> None:
    mini = minibatch(Correction(cap=4.0, of_answers=True))
    objective = partial(rloo_objective, advantages=torch.tensor([1.0, -1.0]), config=RLOOConfig(sampling=SAMPLING))
    assert gradient(objective, mini, [-1.0, -2.0, -3.0]) == pytest.approx([-1.5, -1.5, 0.8])


class Elsewhere(LocalEngine):
    """Says that it computes otherwise than the learner, though it does not."""

    is_exact = False


def test_weights_of_an_engine_that_computes_alike_change_nothing_and_are_logged(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt]
) -> None:
    config = GRPOConfig(**SMALL).model_copy(update={"steps": 2})
    own = roles(toy, share_of_e)
    train_grpo(own, prompts, config, new_loop("own"))
    policy = toy.policy()
    other = replace(roles(toy, share_of_e, policy=policy), writer=toy.writer(policy, Elsewhere(policy)))
    train_grpo(other, prompts, config, new_loop("other"))
    for name, weight in other.policy.weights().items():
        torch.testing.assert_close(weight, own.policy.weights()[name], atol=1e-4, rtol=1e-3)
    logged = read_metrics(new_loop("other").log.folder)[-1]
    assert logged["correction_weight"] == pytest.approx(1.0, abs=1e-3)
    assert logged["correction_ess"] == pytest.approx(1.0, abs=1e-3)
    assert logged["correction_truncated"] == 0.0
    assert "correction_weight" not in read_metrics(new_loop("own").log.folder)[-1]
