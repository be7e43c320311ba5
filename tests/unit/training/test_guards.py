"""Guards while training: they change nothing, end a run at its best weights, survive a kill, and say what they saw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from training_toys import FAST, Toy, share_of_e

from assent.core.errors import ConfigError, DataError
from assent.core.runlog import read_metrics
from assent.core.types import Prompt
from assent.generation.config import Sampling
from assent.models.policy import PolicyModel
from assent.pipeline.learners import policy_learner, policy_scorer
from assent.training.course import KLState
from assent.training.gauge import HeldOut, Point, read
from assent.training.grpo import train_grpo
from assent.training.guard_config import GuardsConfig
from assent.training.loop import Loop
from assent.training.on_policy import Roles
from assent.training.on_policy_config import GroupKLConfig, GRPOConfig, KLConfig
from assent.training.probes import probe
from assent.training.reward_terms import ModelRewardConfig, PythonRewardConfig
from assent.training.rewards import Term, WeightedRewards

SAMPLING = Sampling(temperature=1.0, max_new_tokens=8)
FALLS = [0.0, 1.0, 1.8, 2.4, 2.8, 2.4, 1.6, 0.6, -0.6, -2.0, -3.5, -5.0, -7.0]
"""What the held-out reward gives at each measurement: the means of three are highest at number 4."""
CONFIG = GRPOConfig(
    steps=12,
    prompts_per_step=3,
    samples_per_prompt=2,
    sampling=SAMPLING,
    optimizer=FAST.model_copy(update={"learning_rate": 2e-2}),
    kl_limit=None,
    missing_eos_penalty=0.0,
    kl=GroupKLConfig(kind="off"),
    guards=GuardsConfig(every=1, prompts=4, samples=1, probes=False),
)


class Scripted:
    """A held-out reward that rises and falls, whatever it is shown."""

    def __init__(self, *, dies_at: int | None = None, start: int = 0) -> None:
        self.calls, self.dies_at = start, dies_at

    def __call__(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        if self.calls == self.dies_at:
            raise KeyboardInterrupt
        self.calls += 1
        return [FALLS[self.calls - 1]] * len(completions)


def roles(toy: Toy, prompts: Sequence[Prompt], gold: Any, policy: PolicyModel | None = None) -> Roles:
    own = policy or toy.policy()
    return Roles(
        policy_learner(own, CONFIG.optimizer, temperature=1.0),
        policy_scorer(toy.policy(trainable=False), temperature=1.0),
        WeightedRewards((Term(1.0, "reward", share_of_e),), clip=None),
        toy.writer(own),
        held_out=HeldOut(tuple(prompts[12:]), gold),
    )


def then(what: str, **more: Any) -> GRPOConfig:
    assert CONFIG.guards is not None
    return CONFIG.model_copy(update={"guards": CONFIG.guards.model_copy(update={"then": what}), **more})


def trained(toy: Toy, prompts: list[Prompt], config: GRPOConfig, loop: Loop, gold: Any) -> dict[str, torch.Tensor]:
    policy = toy.policy()
    train_grpo(roles(toy, prompts, gold, policy), prompts[:12], config, loop)
    return {name: p.detach().clone() for name, p in policy.parameters().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(weight, other[name]) for name, weight in one.items())


def test_training_ends_past_the_peak_with_the_very_weights_of_the_best_step(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt]
) -> None:
    loop = new_loop("guarded")
    kept = trained(toy, prompts, then("stop"), loop, Scripted())
    assert loop.done < CONFIG.steps and loop.ended is not None
    assert "the held-out reward was best after step 4 (2.80)" in loop.ended
    assert loop.facts["guards"] | {"measurements": 0} == {
        "measurements": 0,
        "prompts": 4,
        "past_peak": True,
        "kept_step": 4,
        "best_step": 4,
    }
    [alarm] = [one for one in loop.facts["alarms"] if one["name"] == "over-optimization"]
    assert alarm["step"] == loop.done
    # Guards draw from streams of their own: four steps without any are the same four steps.
    plain = trained(toy, prompts, CONFIG.model_copy(update={"steps": 4, "guards": None}), new_loop("plain"), None)
    assert same(kept, plain)


@pytest.mark.slow
def test_a_warning_changes_no_weight_and_keep_best_does_all_steps_first(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt]
) -> None:
    loops = {name: new_loop(name) for name in ("warn", "keep_best")}
    found = {name: trained(toy, prompts, then(name), loop, Scripted()) for name, loop in loops.items()}
    plain = trained(toy, prompts, CONFIG.model_copy(update={"guards": None}), new_loop("plain"), None)
    assert same(found["warn"], plain)
    assert not same(found["keep_best"], plain)
    assert [loop.done for loop in loops.values()] == [12, 12]
    assert loops["keep_best"].facts["guards"]["kept_step"] == 4 and loops["warn"].facts["guards"]["kept_step"] is None


@pytest.mark.slow
def test_a_killed_run_has_the_same_measurements_alarms_and_weights(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt]
) -> None:
    whole_loop = new_loop("whole")
    whole = trained(toy, prompts, then("keep_best"), whole_loop, Scripted())
    with pytest.raises(KeyboardInterrupt):
        trained(toy, prompts, then("keep_best"), new_loop("killed", seconds=0.0), Scripted(dies_at=6))
    # Steps 1 to 5 are in the checkpoint, with the measurements 0 to 5; the one that died comes next.
    resumed_loop = new_loop("killed", seconds=0.0)
    resumed = trained(toy, prompts, then("keep_best"), resumed_loop, Scripted(start=6))
    assert same(whole, resumed)
    assert resumed_loop.facts == whole_loop.facts
    assert read_metrics(resumed_loop.log.folder) == read_metrics(whole_loop.log.folder)


def test_the_result_of_an_averaged_run_is_the_average_at_the_best_step(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt]
) -> None:
    kept = trained(toy, prompts, then("stop", ema=0.5), new_loop("guarded"), Scripted())
    shorter = CONFIG.model_copy(update={"steps": 4, "guards": None, "ema": 0.5})
    assert same(kept, trained(toy, prompts, shorter, new_loop("plain"), None))


def test_kl_becomes_dearer_past_the_peak(toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt]) -> None:
    loop = new_loop()
    trained(toy, prompts, then("raise_kl", kl=GroupKLConfig(kind="fixed", coefficient=1e-4)), loop, Scripted())
    price = [row["kl_coefficient"] for row in read_metrics(loop.log.folder) if row["kind"] == "train"]
    assert price[:5] == [1e-4] * 5
    assert price[-1] >= 2e-4 and loop.done == 12


def test_an_adaptive_price_is_raised_with_a_nearer_target_that_a_checkpoint_carries() -> None:
    state = KLState(KLConfig(kind="adaptive", coefficient=0.1, target=6.0, horizon=1000))
    state.raise_by(2.0, 2.5)
    assert state.state() == {"coefficient": 0.2, "target": 2.5}
    other = KLState(KLConfig(kind="adaptive", coefficient=0.1, target=6.0, horizon=1000))
    other.restore({}, dict(state.state()))
    other.observe(5.0, 100)  # twice the target: error clipped at 0.2, times 100 / 1000
    assert other.coefficient == pytest.approx(0.2 * 1.02)


def points(gold: Sequence[float], proxy: Sequence[float] | None = None) -> list[Point]:
    return [Point(i, 0.4 * i, (proxy or gold)[i], one) for i, one in enumerate(gold)]


def test_the_best_measurement_has_the_highest_mean_with_its_neighbours() -> None:
    # Means of three: 0.5 (two only), 2, 4/3, 4/3, …: the lone 5 at number 1 lifts 0 and 2 too.
    found = read(points([0.0, 1.0, 5.0, 0.0, 4.0, 4.5, 4.0, 1.0]))
    assert found is not None and found.best == 5  # (4 + 4.5 + 4) / 3 = 4.17; around the 5 it is 2
    assert read(points([1.0])) is None


def test_a_score_that_still_rises_is_never_past_its_peak_and_one_that_fell_is() -> None:
    d = 0.4 * np.arange(12)
    falls = list(d * (1.0 - 1.2 * np.log(np.maximum(d, 1e-9))))  # peak at exp(1 / 1.2 - 1) = 0.85
    rises = [float(x) for x in d]
    found, rising = read(points(falls, rises)), read(points(falls, rises), "proxy")
    assert found is not None and found.past_peak > 0.95 and found.best in (2, 3)
    assert rising is not None and rising.past_peak == 0.0


def test_probes_say_what_a_reward_pays_for_and_nothing_of_a_sound_one(prompts: list[Prompt]) -> None:
    answers = [f"Your parcel number {n} comes tomorrow." for n in range(len(prompts))]

    def flattered(prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float]:
        return [float("wonderful" in text) for text in texts]

    def shortest(prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float]:
        return [-len(text) / 100 for text in texts]

    def sound(prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float]:
        return [float("parcel number" in text) - len(text) / 1000 for text in texts]

    assert list(probe(prompts, answers, flattered).paid) == ["flattery"]
    assert list(probe(prompts, answers, shortest).paid) == ["empty", "echo"]
    assert probe(prompts, answers, sound).paid == {}
    assert probe(prompts, answers, flattered).facts["edit/flattery"] == 1.0


def test_a_probe_that_the_reward_cannot_score_is_said_and_ends_nothing(prompts: list[Prompt]) -> None:
    def picky(prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float]:
        if not all(texts):
            raise DataError("an empty answer; say something")
        return [1.0] * len(texts)

    found = probe(prompts, ["Yes."] * len(prompts), picky)
    assert found.unscored == {"empty": "an empty answer; say something"}
    assert "null/constant" in found.facts


def test_an_alarm_of_a_probe_is_told_once_and_logged_each_time(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt]
) -> None:
    loop = new_loop()
    used = roles(toy, prompts, None)

    def likes_nothing(prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float]:
        return [float(not text) for text in texts]

    used = replace(used, reward=WeightedRewards((Term(1.0, "reward", likes_nothing),), clip=None))
    guards = GuardsConfig(every=1, prompts=4, samples=1, gold=None)
    train_grpo(used, prompts[:12], CONFIG.model_copy(update={"steps": 3, "guards": guards}), loop)
    told = [one for one in loop.facts["alarms"] if one["name"] == "probe empty"]
    assert len(told) == 1 and told[0]["step"] == 0
    assert "an empty answer is rewarded with 1.00, more than the 0.00" in told[0]["said"]
    rows = [row for row in read_metrics(loop.log.folder) if row["kind"] == "guard"]
    assert [row["null/empty"] for row in rows] == [1.0] * 4


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (CONFIG.model_copy(update={"guards": GuardsConfig(gold=ModelRewardConfig())}), "which is the one"),
        (then("raise_kl"), "kl.kind is off"),
    ],
)
def test_guards_that_cannot_work_are_refused(config: GRPOConfig, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        config.refuse()


def test_a_held_out_reward_that_is_fitted_is_needed_and_another_is_not() -> None:
    assert "gold" in GRPOConfig(guards=GuardsConfig()).needs
    assert "gold" not in GRPOConfig(guards=GuardsConfig(gold=PythonRewardConfig(target="a:b"))).needs
    assert GRPOConfig(guards=GuardsConfig(gold=None)).gold_share is None
