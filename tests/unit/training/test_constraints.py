"""Constraints in training: what is priced and logged, a policy that keeps to a limit, and resuming to the bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from pydantic import ValidationError
from training_toys import FAST, Toy

from assent.core.errors import ConfigError, FunctionError
from assent.core.runlog import read_metrics
from assent.core.types import Prompt
from assent.generation.config import Sampling
from assent.models.policy import PolicyModel
from assent.pipeline.learners import policy_learner, policy_scorer
from assent.training.constraint_config import ConstraintConfig
from assent.training.constraints import Constraints
from assent.training.loop import Loop
from assent.training.on_policy import Roles
from assent.training.on_policy_config import KLConfig, RLOOConfig
from assent.training.reward_terms import ModelRewardConfig, PythonRewardConfig
from assent.training.rewards import Term, WeightedRewards
from assent.training.rloo import train_rloo

SAMPLING = Sampling(temperature=0.7, max_new_tokens=12)
LIMIT = ConstraintConfig.parse({"cost": {"kind": "python", "target": "x:y", "name": "o"}, "limit": 0.05})
CONFIG = RLOOConfig(
    steps=8,
    prompts_per_step=6,
    samples_per_prompt=4,
    sampling=SAMPLING,
    optimizer=FAST,
    kl=KLConfig(kind="fixed", coefficient=0.02),
    kl_limit=None,
)


def share(letter: str) -> Callable[[Sequence[Prompt], Sequence[str]], list[float]]:
    return lambda prompts, texts: [text.count(letter) / max(len(text), 1) for text in texts]


def roles(toy: Toy, policy: PolicyModel, settings: ConstraintConfig | None) -> Roles:
    """The reward pays for each o; the cost is the share of o."""
    return Roles(
        policy_learner(policy, FAST, temperature=SAMPLING.temperature),
        policy_scorer(toy.policy(trainable=False), temperature=SAMPLING.temperature),
        WeightedRewards((Term(10.0, "reward", share("o")),), clip=None),
        toy.writer(policy),
        constraints=None if settings is None else Constraints([Term(1.0, "o", share("o"))], [settings]),
    )


def test_a_step_is_priced_at_what_its_own_costs_make_of_the_price_and_logged() -> None:
    """Weighted costs 0, 2 of two answers: mean 1, excess 0.95; price 0.95 + 0.5 · 0.95 = 1.425."""
    constraints = Constraints([Term(2.0, "o", share("o"))], [LIMIT])
    rewards, facts = constraints.price(torch.tensor([1.0, 3.0]), [Prompt.of("?")] * 2, ["ee", "oo"])
    assert facts == pytest.approx({"cost/o": 1.0, "limit/o": 0.05, "multiplier/o": 1.425})
    assert rewards.tolist() == pytest.approx([1 / 2.425, (3 - 1.425 * 2) / 2.425])
    broken = Constraints([Term(1.0, "o", lambda p, c: [float("nan")])], [LIMIT])
    with pytest.raises(FunctionError, match="o returned nan"):
        broken.price(torch.ones(1), [Prompt.of("?")], ["text"])


def test_a_policy_keeps_to_the_limit_that_it_passes_without_a_price(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt]
) -> None:
    """What is paid for is what costs: without a price the policy writes more and more of it, with one it stops."""
    costly = LIMIT.model_copy(update={"proportional": 100.0, "integral": 100.0, "most": 200.0})
    config = CONFIG.model_copy(update={"steps": 14})
    ends = {}
    for name, settings in (("free", LIMIT.model_copy(update={"limit": 9.0})), ("held", costly)):
        loop = new_loop(name)
        train_rloo(roles(toy, toy.policy(), settings), prompts, config, loop)
        log = read_metrics(loop.log.folder)[-4:]
        ends[name] = {key: sum(m[key] for m in log) / len(log) for key in ("cost/o", "multiplier/o")}
    assert ends["free"]["multiplier/o"] == 0.0
    assert ends["free"]["cost/o"] > 2 * LIMIT.limit > ends["held"]["cost/o"], ends


def test_a_killed_run_goes_on_to_the_same_bits_prices_included(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt]
) -> None:
    low, config = LIMIT.model_copy(update={"limit": 0.01}), CONFIG.model_copy(update={"steps": 5})
    whole, resumed = toy.policy(), toy.policy()
    loop = new_loop("whole")
    train_rloo(roles(toy, whole, low), prompts, config, loop)

    class Killed(Exception):
        pass

    def killed(prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float]:
        calls.append(1)
        if len(calls) == 3:
            raise Killed
        return share("o")(prompts, texts)

    calls: list[int] = []
    first = roles(toy, toy.policy(), low)
    assert first.constraints is not None
    first.constraints.costs = (Term(1.0, "o", killed),)
    with pytest.raises(FunctionError, match="Killed"):
        train_rloo(first, prompts, config, new_loop("killed", seconds=0.0))
    again = new_loop("killed", seconds=0.0)
    train_rloo(roles(toy, resumed, low), prompts, config, again)
    for key, weight in whole.parameters().items():
        assert torch.equal(weight, resumed.parameters()[key])
    prices = [[m["multiplier/o"] for m in read_metrics(one.log.folder)] for one in (loop, again)]
    assert prices[0] == prices[1] and len(set(prices[0])) == 5


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"proportional": 0, "integral": 0}, "would do nothing"),
        ({"start": 30}, "above most"),
        ({"start": 1, "integral": 0}, "kept by the integral part"),
        ({"cost": {"kind": "model", "normalize": "batch"}}, "the mean is always 0"),
    ],
)
def test_a_constraint_that_cannot_work_is_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ConstraintConfig.model_validate({"cost": {"kind": "model"}, "limit": 0.1, **settings})


def test_a_price_may_start_above_nothing() -> None:
    """2 is what the integral part gives of a sum of 4; the first step adds its excess to that."""
    settings = LIMIT.model_copy(update={"start": 2.0})
    assert settings.start_sum == 4.0
    constraints = Constraints([Term(1.0, "o", share("o"))], [settings])
    assert constraints.multipliers == [2.0]
    constraints.price(torch.ones(1), [Prompt.of("?")], ["e"])
    assert constraints.multipliers == [pytest.approx(-0.05 + 0.5 * 3.95)]


def test_a_method_needs_what_its_costs_ask_for_and_two_costs_need_two_names() -> None:
    own = PythonRewardConfig(target="a:b")
    head = ModelRewardConfig(criterion="harmless", weight=-1.0)
    config = RLOOConfig(rewards=(own,), constraints=(ConstraintConfig(cost=head, limit=-4.0),))
    assert config.needs == {"prompts", "reward"} and config.criteria() == {"harmless"}
    with pytest.raises(ConfigError, match=r"optimize.constraints has 2 terms called 'harmless'"):
        RLOOConfig(constraints=(ConstraintConfig(cost=head, limit=-4.0),) * 2).refuse()
