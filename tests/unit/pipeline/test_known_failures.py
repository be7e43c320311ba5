"""Known failures are named before a run where settings cause them, and after it where its log shows them."""

from __future__ import annotations

import json
import math
import os
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assent.core.errors import UserError
from assent.core.runlog import RunLog
from assent.data.render import Renderer
from assent.models.tiny import tiny_tokenizer
from assent.pipeline.config import RunConfig
from assent.pipeline.doctor import judged_symptoms as judged
from assent.pipeline.doctor import symptoms as see
from assent.pipeline.doctor.examine import check_disk
from assent.pipeline.doctor.judged_symptoms import LABELS, PREFERENCE, WITHOUT_REFERENCE
from assent.pipeline.doctor.known import check_known
from assent.pipeline.doctor.logs import examine_logs
from assent.pipeline.doctor.reader import Reader
from assent.pipeline.doctor.symptoms import BEST_OF_N, ON_POLICY, REWARD, SFT, Log, Symptom, symptoms
from assent.pipeline.places import load_config
from assent.training.config import methods

CONFIGS = Path(__file__).parents[3] / "configs"
SMALL = 135_000_000
BASE = {
    "base": {"kind": "pretrained", "path": "model"},
    "data": {"kind": "lab"},
    "collect": {"raters": {"kind": "simulated"}},
}
SETTINGS: Sequence[tuple[str, Mapping[str, Any]]] = [
    ("sft.optimizer.learning_rate", {"sft": {"optimizer": {"learning_rate": 1e-2}}}),
    ("sft.optimizer.learning_rate", {"sft": {"optimizer": {"learning_rate": 1e-10}}}),
    (
        "sft.optimizer.learning_rate",
        {"model": {"lora": {"rank": 8}}, "sft": {"optimizer": {"learning_rate": 2e-5}}},
    ),
    ("reward.optimizer.learning_rate", {"reward": {"optimizer": {"learning_rate": 1e-2}}}),
    ("optimize.optimizer.learning_rate", {"optimize": {"kind": "ppo", "optimizer": {"learning_rate": 1e-3}}}),
    (
        "optimize.value_optimizer.learning_rate",
        {"optimize": {"kind": "ppo", "value_optimizer": {"learning_rate": 0.1}}},
    ),
    ("optimize.optimizer.learning_rate", {"optimize": {"kind": "dpo", "optimizer": {"learning_rate": 1e-3}}}),
    ("sft.epochs", {"sft": {"epochs": 20, "patience": None}}),
    ("reward.epochs", {"reward": {"epochs": 20}}),
    ("optimize.epochs", {"optimize": {"kind": "dpo", "epochs": 20}}),
    ("optimize.epochs", {"optimize": {"kind": "ppo", "epochs": 20}}),
    ("optimize.kl.target", {"optimize": {"kind": "ppo", "kl": {"kind": "adaptive", "target": 0.1}}}),
    ("optimize.kl.target", {"optimize": {"kind": "ppo", "kl": {"kind": "adaptive", "target": 1000}}}),
    ("optimize.kl.coefficient", {"optimize": {"kind": "ppo", "kl": {"kind": "fixed", "coefficient": 5}}}),
    ("optimize.prompts_per_step", {"optimize": {"kind": "ppo", "prompts_per_step": 2, "samples_per_prompt": 2}}),
    ("optimize.sampling.temperature", {"optimize": {"kind": "rloo", "sampling": {"temperature": 3.0}}}),
    ("optimize.sampling.temperature", {"optimize": {"kind": "grpo", "sampling": {"temperature": 0.1}}}),
    ("optimize.missing_eos_penalty", {"optimize": {"kind": "ppo", "missing_eos_penalty": 0}}),
    ("optimize.reward_clip", {"optimize": {"kind": "ppo", "reward_clip": 0.2}}),
    ("optimize.steps", {"optimize": {"kind": "ppo", "steps": 2000}}),
    ("optimize.gamma", {"optimize": {"kind": "ppo", "gamma": 0.9}}),
    (
        "optimize.lam",
        {
            "optimize": {
                "kind": "ppo",
                "value": "shared_trunk",
                "lam": 0.95,
                "value_optimizer": {"learning_rate": 1e-3},
            }
        },
    ),
    ("optimize.beta", {"optimize": {"kind": "dpo", "beta": 0.0001}}),
    ("optimize.beta", {"optimize": {"kind": "dpo", "beta": 20}}),
    ("optimize.label_smoothing", {"optimize": {"kind": "dpo", "label_smoothing": 0.45}}),
    ("evaluate.prompts", {"evaluate": {"prompts": 10}}),
]


WARNED = {"real-smol.yaml": ["optimize.missing_eos_penalty"]}
"""Of which the config itself says what came of it, and what came of the contrary."""


def _found(config: RunConfig) -> list[str]:
    return [one.key for one in check_known(config, parameters=SMALL, prompts=2000)]


@pytest.mark.parametrize(("key", "settings"), SETTINGS, ids=[f"{n} {k}" for n, (k, _) in enumerate(SETTINGS)])
def test_settings_that_are_known_to_fail_are_named_alone_and_with_a_fix(key: str, settings: Mapping[str, Any]) -> None:
    found = list(check_known(RunConfig.parse({**BASE, **settings}), parameters=SMALL, prompts=2000))
    assert [one.key for one in found] == [key]
    assert found[0].level == "warning" and found[0].fix


@pytest.mark.parametrize("kind", methods())
@pytest.mark.parametrize("lora", [None, {"rank": 16}])
def test_defaults_of_every_method_raise_no_alarm(kind: str, lora: object) -> None:
    assert _found(RunConfig.parse({**BASE, "model": {"lora": lora}, "optimize": {"kind": kind}})) == []


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_the_configs_of_the_repository_raise_no_alarm(path: Path) -> None:
    assert _found(load_config(path)) == WARNED.get(path.name, [])


def test_a_round_of_adapters_is_expected_to_write_the_base_and_adapters() -> None:
    config = RunConfig.parse({**BASE, "model": {"lora": {"rank": 16}}})
    whole = Reader(Renderer(tiny_tokenizer()), 128, SMALL, 2 * SMALL)
    [said] = check_disk(config, replace(whole, adapters=5_000_000))
    # 270 MB, and 20 MB for each of three adapters and eight copies in checkpoints: 490 MB. Whole: 270 MB + 11 · 540 MB.
    assert "about 0.5 GB will be written (the base, 3 adapters and checkpoints)" in str(said)
    [said] = check_disk(config, whole)
    assert "about 6.2 GB will be written (the base, 3 models and checkpoints)" in str(said)


def test_a_rate_that_a_small_model_bears_is_too_high_for_a_large_one() -> None:
    config = RunConfig.parse({**BASE, "sft": {"optimizer": {"learning_rate": 1e-3}}})
    assert not list(check_known(config, parameters=SMALL, prompts=None))
    assert [f.key for f in check_known(config, parameters=7_000_000_000, prompts=None)] == [
        "sft.optimizer.learning_rate"
    ]


def _over(steps: int = 40, **courses: Callable[[float], float] | float) -> list[dict[str, Any]]:
    """A log whose numbers are functions of the share of steps done, or constant."""
    return [
        {"step": n, "kind": "train"}
        | {name: (course(n / (steps - 1)) if callable(course) else course) for name, course in courses.items()}
        for n in range(steps)
    ]


ROLLOUTS: dict[str, Any] = {
    "reward": lambda t: t,
    "reward_std": 0.8,
    "length": 30.0,
    "eos_rate": 0.98,
    "entropy": lambda t: 0.5 - 0.2 * t,
    "ead": 0.1,
    "opener_entropy": 3.0,
    "kl_per_response": lambda t: 6 * t,
    "kl_coefficient": 0.05,
    "clip_fraction": 0.05,
    "policy_updates": 2.0,
    "first_ratio_error": 0.0,
    "sampler_gap_mean": 1e-6,
    "explained_variance": 0.6,
    "teaching_groups": 0.9,
    "grad_norm": 0.4,
}
PPO_SETTINGS = {
    "kl": {"kind": "adaptive", "target": 6.0},
    "minibatches": 2,
    "epochs": 1,
    "reward_clip": 5.0,
    "optimizer": {"max_grad_norm": 1.0},
    "missing_eos_penalty": 1.0,
    "gamma": 1.0,
    "lam": 0.95,
}
LEARNS: dict[str, Any] = {"loss": lambda t: 2 - t, "grad_norm": 0.5}
PAIRS: dict[str, Any] = {
    "loss": lambda t: 0.69 - 0.2 * t,
    "accuracy": lambda t: 0.5 + 0.2 * t,
    "margin": lambda t: 0.8 * t,
    "better_gain": -1.0,
    "grad_norm": 2.0,
}
LABELLED: dict[str, Any] = {
    "loss": lambda t: 0.5 - 0.2 * t,
    "accuracy": lambda t: 0.5 + 0.2 * t,
    "reference_point": 0.1,
    "good_gain": lambda t: 2 * t,
    "bad_gain": lambda t: -2 * t,
    "grad_norm": 2.0,
}
LEAD: dict[str, Any] = {"loss": 1.2, "accuracy": 0.6, "margin": lambda t: -0.4 + 0.5 * t, "grad_norm": 2.0}
DRAWS: dict[str, Any] = {"reward": 0.5, "reward_std": 0.8, "best_reward": 1.4, "eos_rate": 0.98, "length": 30.0}
AT_RANDOM = {"rater_agreement_low": 0.48, "rater_agreement_high": 0.68}
SHOWN: Sequence[tuple[Symptom, tuple[Symptom, ...], dict[str, Any], dict[str, float]]] = [
    (see.not_finite, SFT, LEARNS | {"loss": lambda t: math.nan if 0.5 < t < 0.53 else 2 - t}, {}),
    (see.gradients_explode, SFT, LEARNS | {"grad_norm": lambda t: 0.5 + 99 * t**4}, {}),
    (see.nothing_scored, SFT, LEARNS | {"loss": 0.0}, {}),
    (see.loss_stays, SFT, LEARNS | {"loss": 2.0}, {}),
    (see.heart_before_head, REWARD, LEARNS | {"accuracy": 0.99}, {"accuracy": 0.7, "accuracy_low": 0.65}),
    (see.no_better_than_chance, REWARD, LEARNS | {"accuracy": 0.6}, {"accuracy": 0.53, "accuracy_low": 0.48}),
    (
        see.no_better_than_chance,
        REWARD,
        LEARNS | {"accuracy": 0.6},
        {"accuracy": 0.6, "accuracy_low": 0.55, "longer_wins": 0.7},
    ),
    (
        see.raters_disagree,
        REWARD,
        LEARNS | {"accuracy": 0.6},
        {"accuracy": 0.57, "accuracy_low": 0.51, "rater_agreement": 0.58} | AT_RANDOM,
    ),
    (see.too_sure, REWARD, LEARNS | {"accuracy": 0.8}, {"accuracy": 0.75, "accuracy_low": 0.7, "ece": 0.2}),
    (judged.both_answers_sink, PREFERENCE, PAIRS | {"better_gain": lambda t: -40 * t}, {}),
    (judged.pairs_by_heart, PREFERENCE, PAIRS | {"accuracy": 1.0, "margin": 12.0}, {}),
    (judged.policy_stays, PREFERENCE, PAIRS | {"accuracy": 0.5, "margin": 0.001}, {}),
    (judged.all_labelled_sink, LABELS, LABELLED | {"good_gain": lambda t: -30 * t, "bad_gain": lambda t: -40 * t}, {}),
    (judged.labels_stay, LABELS, LABELLED | {"good_gain": 0.01, "bad_gain": -0.01}, {}),
    (judged.lead_stays, WITHOUT_REFERENCE, LEAD | {"margin": lambda t: -0.4 + 0.01 * math.sin(50 * t)}, {}),
    (see.no_spread, BEST_OF_N, DRAWS | {"reward_std": 0.0}, {}),
    (see.kl_runs_away, ON_POLICY, ROLLOUTS | {"kl_per_response": lambda t: 80 * t}, {}),
    (see.kl_below_zero, ON_POLICY, ROLLOUTS | {"kl_per_response": -2.0}, {}),
    (see.reward_stays, ON_POLICY, ROLLOUTS | {"reward": 0.3}, {}),
    (see.reward_stays, ON_POLICY, ROLLOUTS | {"reward": lambda t: -2 * t}, {}),
    (see.no_spread, ON_POLICY, ROLLOUTS | {"teaching_groups": lambda t: 1 - t}, {}),
    (see.no_spread, ON_POLICY, ROLLOUTS | {"reward_std": lambda t: 0.8 * (t < 0.8)}, {}),
    (see.reward_at_clip, ON_POLICY, ROLLOUTS | {"reward": lambda t: 5 * min(1, 2 * t)}, {}),
    (see.length_drifts, ON_POLICY, ROLLOUTS | {"length": lambda t: 30 + 60 * t}, {}),
    (see.answers_say_nothing, ON_POLICY, ROLLOUTS | {"empty_rate": lambda t: 0.5 * t}, {}),
    (see.answers_never_end, ON_POLICY, ROLLOUTS | {"eos_rate": lambda t: 1 - t}, {}),
    (see.entropy_falls, ON_POLICY, ROLLOUTS | {"entropy": lambda t: 0.5 * (1 - t)}, {}),
    (see.answers_alike, ON_POLICY, ROLLOUTS | {"opener_entropy": lambda t: 3 * (1 - t)}, {}),
    (see.steps_too_large, ON_POLICY, ROLLOUTS | {"clip_fraction": 0.5}, {}),
    (see.steps_too_large, ON_POLICY, ROLLOUTS | {"policy_updates": 0.6}, {}),
    (see.rollouts_of_another, ON_POLICY, ROLLOUTS | {"first_ratio_error": 0.2}, {}),
    (see.rollouts_of_another, ON_POLICY, ROLLOUTS | {"sampler_gap_mean": 0.2}, {}),
    (see.value_knows_nothing, ON_POLICY, ROLLOUTS | {"explained_variance": -0.1}, {}),
    (see.score_reaches_the_end_alone, ON_POLICY, ROLLOUTS | {"explained_variance": 0.1, "length": 90.0}, {}),
    (
        see.ending_is_what_pays,
        ON_POLICY,
        ROLLOUTS | {"eos_rate": lambda t: 0.75 + 0.25 * min(1, 2 * t), "reward": lambda t: 0.6 * t},
        {},
    ),
    (
        see.control_runs_off,
        ON_POLICY,
        ROLLOUTS | {"kl_coefficient": lambda t: 0.05 * 100**t, "kl_per_response": lambda t: 15 * t},
        {},
    ),
    (see.better_by_its_own_measure, ON_POLICY, ROLLOUTS, {"preferred": 0.4, "preferred_high": 0.45}),
]


@pytest.mark.parametrize(
    ("symptom", "among", "courses", "found"), SHOWN, ids=[f"{n} {s.__name__}" for n, (s, *_) in enumerate(SHOWN)]
)
def test_a_log_that_shows_a_failure_names_that_failure_and_no_other(
    symptom: Symptom, among: tuple[Symptom, ...], courses: dict[str, Any], found: dict[str, float]
) -> None:
    log = Log("optimize", _over(**courses), PPO_SETTINGS, found)
    assert [one.__name__ for one in among if list(one(log))] == [symptom.__name__]
    assert all(finding.level == "warning" and finding.fix for finding in symptom(log))


def test_a_reward_that_fell_is_not_answered_by_larger_steps() -> None:
    [fell] = see.reward_stays(Log("optimize", _over(**ROLLOUTS | {"reward": lambda t: -2 * t})))
    [stays] = see.reward_stays(Log("optimize", _over(**ROLLOUTS | {"reward": 0.3})))
    assert fell.fix.startswith("lower the learning rate") and stays.fix.startswith("raise the learning rate")


def test_a_lead_that_grows_in_noise_has_moved_and_noise_alone_has_not() -> None:
    noise = [0.05 * random.Random(n).gauss(0, 1) for n in range(150)]
    grown = Log("optimize", [{"margin": 0.1 + 0.0002 * n + noise[n]} for n in range(150)])
    stays = Log("optimize", [{"margin": 0.1 + noise[n]} for n in range(150)])
    assert grown.late("margin") - grown.early("margin") < 2 * grown.chance("margin"), "its ends alone do not tell"
    assert not list(judged.lead_stays(grown)) and list(judged.lead_stays(stays))


def test_a_rise_that_is_chance_is_no_rise_and_a_small_steady_one_is() -> None:
    spread = ROLLOUTS | {"reward_std": 1.0}
    chance = [0.3 * (-1) ** (n // 3) for n in range(30)]  # three steps above, three below: ends 0.6 above a low start
    shaken = _over(30, **spread | {"reward": lambda t: -chance[round(29 * t)] * 0.3})
    steady = _over(30, **spread | {"reward": lambda t: 0.2 * t})
    assert [one.message[:23] for one in see.reward_stays(Log("optimize", shaken))] == ["the reward did not rise"]
    assert not list(see.reward_stays(Log("optimize", steady)))


def test_a_score_reaches_all_tokens_where_lambda_is_one_or_the_values_between_tell_of_it() -> None:
    def told(explained: float, length: float, lam: float) -> list[str]:
        courses = ROLLOUTS | {"explained_variance": explained, "length": length}
        log = Log("optimize", _over(**courses), PPO_SETTINGS | {"lam": lam})
        return [one.message for one in see.score_reaches_the_end_alone(log)]

    # 0.95 halves every log(1/2) / log(0.95) = 13.5 tokens: three times are 40.5.
    assert told(0.1, 40, 0.95) == told(0.3, 90, 0.95) == told(0.1, 90, 1.0) == []
    assert told(0.1, 41, 0.95) == [
        "is 0.95: an answer's score counts half as much every 14 tokens before its end, answers had 41, and the values"
        " between explain 10% of it"
    ]


def test_few_second_opinions_say_nothing_of_how_people_agree() -> None:
    unsure = {"rater_agreement": 0.6, "rater_agreement_low": 0.2, "rater_agreement_high": 0.9}
    assert not list(see.raters_disagree(Log("reward", [], {}, unsure)))


def test_answers_that_were_cut_at_first_are_told_of_although_the_policy_learned_to_be_short() -> None:
    [learned] = see.answers_never_end(Log("optimize", _over(**ROLLOUTS | {"eos_rate": lambda t: 0.3 + 0.7 * t})))
    [never] = see.answers_never_end(Log("optimize", _over(**ROLLOUTS | {"eos_rate": 0.3})))
    assert "penalty" in never.fix and "penalty" not in learned.fix, "who has learned to be short needs no higher price"


def test_a_loss_that_fell_by_less_than_batches_differ_has_not_fallen() -> None:
    def noisy(fall: float) -> Log:
        return Log("sft", _over(200, **LEARNS | {"loss": lambda t: 2 - fall * t + 0.4 * (-1) ** round(199 * t)}))

    # Means of 20 batches that are 0.4 above and below: a standard error of 0.4 · √(2/20) = 0.13 of their difference.
    assert [f.message.split(":")[0] for f in symptoms(noisy(0.1), SFT)] == ["the loss did not fall"]
    assert symptoms(noisy(0.5), SFT) == []


def test_rewards_that_differ_by_the_penalty_of_cut_answers_alone_are_all_alike() -> None:
    def log(spread: float) -> Log:
        courses = ROLLOUTS | {"reward_std": spread, "eos_rate": 0.9}
        return Log("optimize", _over(**courses), PPO_SETTINGS | {"missing_eos_penalty": 1.0})

    # One in ten loses 1: a deviation of √(0.1 · 0.9) = 0.3, whatever the reward says.
    [found] = see.no_spread(log(0.3))
    assert found.message.startswith("answers get the same reward (spread 0.3")
    assert not list(see.no_spread(log(0.32)))


def test_noise_between_a_few_steps_is_no_fall_of_the_loss() -> None:
    def noisy(fall: float) -> Log:
        return Log("reward", _over(60, **LEARNS | {"loss": lambda t: 2 - fall * t + 0.1 * (-1) ** round(59 * t)}))

    # Neighbours 0.2 apart: a deviation of 0.14 of each, 0.08 of the difference of two means of six.
    assert [f.message.split(":")[0] for f in symptoms(noisy(0.1), SFT)] == ["the loss did not fall"]
    assert symptoms(noisy(0.3), SFT) == []


def test_a_loss_that_blew_up_at_once_has_not_fallen_though_it_comes_down_later() -> None:
    log = Log("sft", _over(**LEARNS | {"loss": lambda t: 2.0 if t < 0.06 else 60 - 56 * t}))
    assert [f.message for f in symptoms(log, SFT)] == ["the loss rose: 2 before the first step, 6.15 at the end"]


@pytest.mark.parametrize(
    ("among", "courses", "found"),
    [
        (SFT, LEARNS, {}),
        (REWARD, LEARNS | {"accuracy": 0.8}, {"accuracy": 0.75, "accuracy_low": 0.7, "longer_wins": 0.6, "ece": 0.05}),
        (PREFERENCE, PAIRS, {}),
        (LABELS, LABELLED, {}),
        (WITHOUT_REFERENCE, LEAD, {}),
        (BEST_OF_N, DRAWS, {}),
        (ON_POLICY, ROLLOUTS, {"preferred": 0.7, "preferred_high": 0.75}),
    ],
)
def test_healthy_logs_and_logs_of_few_steps_say_nothing(
    among: tuple[Symptom, ...], courses: dict[str, Any], found: dict[str, float]
) -> None:
    assert symptoms(Log("x", _over(**courses), PPO_SETTINGS, found), among) == []
    assert symptoms(Log("x", _over(5, **courses), PPO_SETTINGS, found), among) == []


def test_a_held_out_loss_that_rises_is_seen_where_training_goes_on() -> None:
    held_out = [{"step": 10 * n, "kind": "eval", "eval_loss": value} for n, value in enumerate((1.5, 1.2, 1.6))]
    log = Log("sft", _over(**LEARNS) + held_out)
    assert [f.message for f in symptoms(log, SFT)] == [
        "the held-out loss is 1.6, after a lowest of 1.2: it learns by heart"
    ]


def test_a_run_under_way_is_read_with_the_settings_of_its_yaml(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is no run: it has no run\.yaml"):
        examine_logs(tmp_path)
    (tmp_path / "run.yaml").write_text("optimize: {reward_clip: 1.0, kl: {kind: fixed}}\n")
    assert [f.key for f in examine_logs(tmp_path)] == ["logs"]
    with RunLog(tmp_path / "logs" / "policy-0123", quiet=True, tensorboard=False) as log:
        for line in _over(**ROLLOUTS):
            log.record(line["step"], {name: value for name, value in line.items() if name not in ("step", "kind")})
    assert [f.key for f in examine_logs(tmp_path)] == ["not finished, optimize.reward_clip"]


def test_a_stage_that_ended_with_a_number_that_is_none_says_so_however_few_its_steps_were(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("optimize: {kind: ppo}\n")
    folder = tmp_path / "logs" / "policy-0123"
    with RunLog(folder, quiet=True, tensorboard=False) as log:
        log.record(0, {"reward": 0.1, "explained_variance": -4.0})
    said = "the gradient norm is inf at optimizer step 10; nothing was stepped: lower the learning rate (3)"
    (folder / "nonfinite.json").write_text(json.dumps({"error": said, "rows": []}))
    [found] = examine_logs(tmp_path)
    assert (found.key, found.level, found.fix) == ("not finished, optimize", "warning", "lower the learning rate (3)")
    assert "it was ended: the gradient norm is inf at optimizer step 10" in found.message
    with RunLog(folder, quiet=True, tensorboard=False) as log:  # the run goes on
        log.record(1, {"reward": 0.1})
    later = (folder / "nonfinite.json").stat().st_mtime + 1
    os.utime(folder / "metrics.jsonl", (later, later))
    assert [one.level for one in examine_logs(tmp_path)] == ["ok"]


@pytest.mark.parametrize(
    ("name", "settings", "courses", "key"),
    [
        ("policy-1", "optimize: {kind: kto}", LABELLED | {"good_gain": -20.0}, "optimize"),
        ("policy-2", "optimize: {kind: best_of_n}", DRAWS | {"reward_std": 0.0}, "optimize.rewards"),
        ("policy-3", "optimize: {kind: orpo}", LEAD | {"margin": 0.0}, "optimize"),
        ("reward-4", "optimize: {kind: ppo}", {"loss": 2.0, "accuracy": 0.5, "margin": 0.1}, "reward"),
        ("policy-5", "optimize: {kind: ppo}", {"loss": 2.0}, "sft"),
    ],
)
def test_what_is_under_way_is_read_as_what_it_is(
    tmp_path: Path, name: str, settings: str, courses: dict[str, Any], key: str
) -> None:
    (tmp_path / "run.yaml").write_text(settings)
    with RunLog(tmp_path / "logs" / name, quiet=True, tensorboard=False) as log:
        for line in _over(**courses):
            log.record(line["step"], {name: value for name, value in line.items() if name not in ("step", "kind")})
    assert [f.key for f in examine_logs(tmp_path)] == [f"not finished, {key}"]
