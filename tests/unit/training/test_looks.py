"""Evaluations on the way: what they measure, that they change nothing, the best of them, and models that are kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from training_toys import FAST, Toy

from assent.artifacts.identity import resolved
from assent.core.group import Group
from assent.core.runlog import Answered, read_metrics, read_shown
from assent.core.types import Comparison, Completion, Judgment, Prompt, Ranking
from assent.learner.scorer import score_groups, sum_logps
from assent.models.policy import PolicyModel
from assent.pipeline.learners import policy_learner, policy_scorer, row_scorer, train_reward_model
from assent.training.best_of_n import train_best_of_n
from assent.training.config import OptimizeConfig, RewardConfig, SFTConfig
from assent.training.dpo import train_dpo
from assent.training.evaluation_config import BestConfig, KeepConfig, cadence
from assent.training.gauge import HeldOut
from assent.training.grpo import train_grpo
from assent.training.kept import Kept
from assent.training.kto import train_kto
from assent.training.looks import Schedule
from assent.training.loop import Loop
from assent.training.on_policy import Roles
from assent.training.on_policy_config import GRPOConfig, OnPolicyConfig
from assent.training.online_config import BestOfNConfig
from assent.training.preference import Ranked
from assent.training.preference_config import DPOConfig, KTOConfig, SimPOConfig
from assent.training.rewards import Term, WeightedRewards
from assent.training.simpo import train_simpo
from assent.training.targets import Target, target_of

ANSWERS = ("You have a refund today.", "No.")
DPO = DPOConfig(epochs=2, batch_size=4, optimizer=FAST, eval_share=0.3, evaluate_every=3)
SAMPLING = {"temperature": 1.0, "max_new_tokens": 6}
GRPO = GRPOConfig.parse(
    {
        "steps": 3,
        "prompts_per_step": 4,
        "samples_per_prompt": 4,
        "sampling": SAMPLING,
        "rewards": [],
        "eval_prompts": 4,
        "evaluate_every": 2,
        "show": 2,
        "optimizer": FAST.model_dump(),
    }
)
Weights = dict[str, torch.Tensor]


def judged(toy: Toy, prompts: list[Prompt], is_turned: Callable[[int], bool]) -> Ranked:
    """Both answers to each prompt, the first one better unless it is turned."""
    renderer = toy.renderer(toy.policy(trainable=False))
    found: list[tuple[Group, Target]] = []
    for n, prompt in enumerate(prompts):
        answers = tuple(Completion(prompt_id=prompt.id, text=t, id=f"c{i}") for i, t in enumerate(ANSWERS))
        order = ("c1", "c0") if is_turned(n) else ("c0", "c1")
        judgment = Judgment(task_id="t", rater_id="r", ranking=Ranking(tiers=tuple((one,) for one in order)))
        target = target_of(Comparison(prompt=prompt, completions=answers, judgments=(judgment,)))
        assert target is not None
        found.append((renderer.group(prompt, list(ANSWERS)), target))
    return [group for group, _ in found], [target for _, target in found]


@pytest.fixture
def ranked(toy: Toy, prompts: list[Prompt]) -> Ranked:
    return judged(toy, prompts, lambda n: n % 4 == 0)


@pytest.fixture
def contrary(toy: Toy, prompts: list[Prompt]) -> Ranked:
    """What is held out says the opposite of what is learned, so that every step makes it worse."""
    return judged(toy, prompts, lambda n: n >= 12)


def parted(ranked: Ranked) -> tuple[Ranked, Ranked]:
    """Twelve to learn, four that are held out."""
    return (ranked[0][:12], ranked[1][:12]), (ranked[0][12:], ranked[1][12:])


def weights(policy: PolicyModel) -> Weights:
    return {name: one.detach().clone() for name, one in policy.parameters().items()}


def same(one: Weights, other: Weights) -> bool:
    return all(torch.equal(weight, other[name]) for name, weight in one.items())


def dpo(toy: Toy, ranked: Ranked, config: DPOConfig, loop: Loop, *, examined: bool = True) -> Weights:
    policy, (learned, held_out) = toy.policy(), parted(ranked)
    train_dpo(policy_learner(policy, FAST), *learned, config, loop, held_out if examined else None)
    return weights(policy)


def looks(loop: Loop) -> list[dict[str, Any]]:
    return [row for row in read_metrics(loop.log.folder) if row["kind"] == "eval"]


def test_held_out_judgments_change_no_weight_and_their_loss_is_that_of_the_trained_policy(
    toy: Toy, new_loop: Callable[..., Loop], ranked: Ranked
) -> None:
    loop = new_loop("examined")
    found = dpo(toy, ranked, DPO, loop)
    assert same(found, dpo(toy, ranked, DPO, new_loop("alone"), examined=False))
    assert same(found, dpo(toy, ranked, DPO.model_copy(update={"evaluate_every": None}), new_loop("off")))
    rows = looks(loop)
    assert [row["after"] for row in rows] == [0, 3, 6]
    assert rows[0]["loss"] == pytest.approx(math.log(2), abs=1e-6) and rows[0]["margin"] == 0
    # By hand: -log σ(β (gain of the better - gain of the worse)), of the four pairs.
    groups, targets = parted(ranked)[1]
    policy = toy.policy(trainable=False)
    start = sum_logps(policy_scorer(policy), groups, budget=512).view(-1, 2)
    policy.hf.load_state_dict(found, strict=False)
    gain = sum_logps(policy_scorer(policy), groups, budget=512).view(-1, 2) - start
    ends = [(int(t.pairs.better[0]), int(t.pairs.worse[0])) for t in targets]
    lead = torch.stack([one[better] - one[worse] for one, (better, worse) in zip(gain, ends, strict=True)])
    assert rows[-1]["loss"] == pytest.approx((-torch.nn.functional.logsigmoid(0.1 * lead)).mean().item(), abs=1e-5)
    assert rows[-1]["accuracy"] == (lead > 0).float().mean().item()


def test_the_best_evaluation_is_the_result_and_says_from_how_many_it_was_chosen(
    toy: Toy, new_loop: Callable[..., Loop], contrary: Ranked
) -> None:
    config = DPOConfig.model_validate({**DPO.model_dump(), "epochs": 3, "best": "heldout_loss"})
    loop = new_loop("best")
    found = dpo(toy, contrary, config, loop)
    rows = looks(loop)[1:]  # the start is no result
    lowest = min(rows, key=lambda row: row["loss"])
    assert lowest["after"] < rows[-1]["after"], "the case is to be one that gets worse"
    said = {"measure": "heldout_loss", "step": lowest["after"], "value": lowest["loss"], "looks": len(rows)}
    assert loop.facts["best"] == said
    # A run that ends there, at the same learning rates, has the very weights.
    stopped = new_loop("stopped")
    stopped.log.record = _ends(stopped, int(lowest["after"]))  # type: ignore[method-assign]
    assert same(found, dpo(toy, contrary, config.model_copy(update={"best": None}), stopped))


def _ends(loop: Loop, after: int) -> Callable[..., None]:
    def record(step: int, values: dict[str, float], *, kind: str = "train") -> None:
        if step + 1 == after:
            loop.end("the test wants no more")

    return record


def test_patience_ends_a_training_that_brings_nothing_better(
    toy: Toy, new_loop: Callable[..., Loop], contrary: Ranked
) -> None:
    best = BestConfig(measure="heldout_loss", every=1, patience=2)
    loop = new_loop()
    dpo(toy, contrary, DPO.model_copy(update={"epochs": 20, "best": best}), loop)
    assert loop.done == loop.facts["best"]["step"] + 2 < 60
    assert loop.ended == f"2 evaluations brought no better heldout_loss than step {loop.done - 2}"


def test_a_killed_training_has_the_same_curve_and_the_same_best(
    toy: Toy, new_loop: Callable[..., Loop], ranked: Ranked
) -> None:
    config = DPO.model_copy(update={"best": BestConfig(measure="heldout_accuracy", every=2)})
    whole, killed = new_loop("whole"), new_loop("killed", seconds=0.0)
    found = dpo(toy, ranked, config, whole)
    record = killed.log.record

    def dies(step: int, values: dict[str, float], *, kind: str = "train") -> None:
        if step == 4:
            raise KeyboardInterrupt
        record(step, values, kind=kind)

    killed.log.record = dies  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        dpo(toy, ranked, config, killed)
    again = new_loop("killed", seconds=0.0)
    assert same(found, dpo(toy, ranked, config, again))
    assert again.facts == whole.facts and read_metrics(again.log.folder) == read_metrics(whole.log.folder)


def test_a_setting_that_was_turned_on_after_a_kill_is_no_obstacle(
    toy: Toy, new_loop: Callable[..., Loop], ranked: Ranked
) -> None:
    killed = new_loop("killed", seconds=0.0)
    killed.log.record = _dies_at(2)  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        dpo(toy, ranked, DPO, killed, examined=False)
    again = new_loop("killed", seconds=0.0)
    dpo(toy, ranked, DPO, again)
    assert [row["after"] for row in looks(again)] == [3, 6], "what was before cannot be measured any more"


def _dies_at(last: int) -> Callable[..., None]:
    def record(step: int, values: dict[str, float], *, kind: str = "train") -> None:
        if step == last:
            raise KeyboardInterrupt

    return record


@pytest.mark.parametrize("name", ["simpo", "plackett-luce", "kto"])
def test_every_method_on_judgments_measures_what_is_held_out_and_learns_nothing_of_it(
    toy: Toy, new_loop: Callable[..., Loop], ranked: Ranked, name: str
) -> None:
    small = {"epochs": 1, "batch_size": 4, "optimizer": FAST, "eval_share": 0.3, "evaluate_every": 2}
    learned, held_out = parted(ranked)

    def run(loop: Loop, *, examined: bool) -> Weights:
        policy = toy.policy()
        learner = policy_learner(policy, FAST)
        beside = held_out if examined else None
        if name == "simpo":
            train_simpo(learner, *learned, SimPOConfig.model_validate(small), loop, beside)
        elif name == "kto":
            says, whole = [[1.0, -1.0]] * len(learned[0]), [[1.0, 1.0]] * len(learned[0])
            unseen = (held_out[0], [[1.0, -1.0]] * 4, [[1.0, 1.0]] * 4) if examined else None
            train_kto(learner, (learned[0], says, whole), KTOConfig.model_validate(small), loop, unseen)
        else:
            config = DPOConfig.model_validate({**small, "ranking": "plackett_luce"})
            train_dpo(learner, *learned, config, loop, beside)
        return weights(policy)

    loop = new_loop("examined")
    assert same(run(loop, examined=True), run(new_loop("alone"), examined=False))
    rows = looks(loop)
    assert [row["after"] for row in rows] == [0, 2, 3] and all({"loss", "accuracy"} <= row.keys() for row in rows)
    assert rows[-1]["loss"] != rows[0]["loss"]


def test_a_reward_model_is_measured_on_held_out_pairs_and_ends_with_the_same_bits(
    toy: Toy, new_loop: Callable[..., Loop], ranked: Ranked
) -> None:
    config = RewardConfig(epochs=2, batch_size=4, optimizer=FAST, evaluate_every=2)
    learned, held_out = parted(ranked)

    def run(loop: Loop, config: RewardConfig) -> tuple[Weights, list[float]]:
        model = toy.scalar()
        members = list(zip(*held_out, strict=True))
        trained = train_reward_model(model, *learned, config, loop, held_out=members)
        scores = score_groups(row_scorer(model), held_out[0], budget=512)
        if config.evaluate_every and config.best is None:
            assert trained.held_out == pytest.approx(scores, abs=1e-6)
        else:
            assert trained.held_out is None
        return {n: p.detach().clone() for n, p in model.parameters().items()}, list(scores)

    loop = new_loop("on")
    found, scores = run(loop, config)
    assert same(found, run(new_loop("off"), config.model_copy(update={"evaluate_every": 0}))[0])
    rows = looks(loop)
    assert [row["after"] for row in rows] == [0, 2, 4, 6]
    pairs = [(int(t.pairs.better[0]) + 2 * i, int(t.pairs.worse[0]) + 2 * i) for i, t in enumerate(held_out[1])]
    leads = [scores[better] - scores[worse] for better, worse in pairs]
    assert rows[-1]["loss"] == pytest.approx(sum(math.log(1 + math.exp(-lead)) for lead in leads) / 4, abs=1e-5)
    assert rows[-1]["accuracy"] == sum(lead > 0 for lead in leads) / 4
    # Of the best weights, which need not be the last, nobody has looked at the end.
    run(new_loop("best"), RewardConfig.model_validate({**config.model_dump(), "best": "heldout_loss"}))


def share_of_e(prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float]:
    return [text.count("e") / (1 + len(text)) for text in texts]


def on_policy(toy: Toy, prompts: list[Prompt], config: OnPolicyConfig, loop: Loop) -> Weights:
    policy = toy.policy()
    roles = Roles(
        policy_learner(policy, FAST),
        policy_scorer(toy.policy(trainable=False)),
        WeightedRewards((Term(1.0, "reward", share_of_e),), clip=None),
        toy.writer(policy),
        held_out=HeldOut(tuple(prompts[12:]), None) if config.eval_prompts else None,
    )
    train: Callable[..., Any] = train_best_of_n if isinstance(config, BestOfNConfig) else train_grpo
    train(roles, prompts[:12], config, loop)
    return weights(policy)


def test_rewards_on_held_out_prompts_change_no_bit_and_their_answers_are_kept(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt]
) -> None:
    loop = new_loop("on")
    found = on_policy(toy, prompts, GRPO, loop)
    assert same(found, on_policy(toy, prompts, GRPO.model_copy(update={"eval_prompts": 0}), new_loop("off")))
    rows, answers = looks(loop), read_shown(loop.log.folder)
    assert [row["after"] for row in rows] == [0, 2, 3]
    assert rows[0]["kl_per_response"] == pytest.approx(0, abs=1e-5) and rows[-1]["kl_per_response"] != 0
    assert [(after, one.prompt) for after, one in answers] == [(n, p.text) for n in (0, 2, 3) for p in prompts[12:14]]
    again = new_loop("again")
    on_policy(toy, prompts, GRPO, again)
    assert read_shown(again.log.folder) == answers


def test_best_of_n_looks_while_it_learns_and_ends_with_its_best_average(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt]
) -> None:
    config = BestOfNConfig.parse(
        {
            "steps": 2,
            "prompts_per_step": 4,
            "samples_per_prompt": 2,
            "sampling": SAMPLING,
            "rewards": [],
            "eval_prompts": 4,
            "evaluate_every": 1,
            "best": "heldout_reward",
            "epochs": 2,
            "optimizer": FAST.model_dump(),
        }
    )
    loop = new_loop()
    on_policy(toy, prompts, config, loop)
    rows = looks(loop)
    assert [row["after"] for row in rows] == [0, 3, 4, 5, 6]
    assert loop.facts["best"]["value"] == max(row["reward"] for row in rows[1:])


def test_models_are_kept_after_the_steps_that_are_named_and_only_the_newest_of_a_cadence(tmp_path: Path) -> None:
    saved: list[Path] = []

    def save(folder: Path) -> None:
        saved.append(folder)
        (folder / "config.json").write_text(str(len(saved)), encoding="utf-8")

    kept = Kept(KeepConfig(every=2, at=(3,), last=2), tmp_path / "kept", save)
    for taken in range(1, 9):
        kept.after(taken)
    assert kept.steps() == [3, 6, 8] and len(saved) == 5
    kept.after(8)  # done again after a kill: the same step once
    assert (tmp_path / "kept/step-8/config.json").read_text(encoding="utf-8") == "6"
    (tmp_path / "output").mkdir()
    assert kept.hand_over(tmp_path / "output") == [3, 6, 8]
    assert sorted(path.name for path in (tmp_path / "output").iterdir()) == ["step-3", "step-6", "step-8"]


def test_settings_that_change_no_result_enter_no_key_and_the_best_does_with_its_cadence() -> None:
    def key(config: Any, **more: Any) -> Any:
        return resolved(config.model_validate({**config().model_dump(exclude={"best"}), **more}))

    for config in (RewardConfig, DPOConfig, GRPOConfig):
        plain = key(config)
        assert key(config, evaluate_every=7, keep=[3, 5]) == key(config, evaluate_every=0) == plain
        assert not {"evaluate_every", "keep", "best", "eval_share" if config is DPOConfig else "show"} & plain.keys()
    assert key(SFTConfig, keep={"every": 3}, show=0, show_tokens=5) == key(SFTConfig)
    seven, eight = (key(RewardConfig, evaluate_every=n, best="heldout_loss") for n in (7, 8))
    assert seven["best"]["every"] == 7 and seven != eight
    assert key(RewardConfig, evaluate_every=9, best={"measure": "heldout_loss", "every": 7}) == seven


def test_a_best_that_cannot_be_chosen_is_refused() -> None:
    with pytest.raises(ValidationError, match="heldout_reward is not measured here; there is: heldout_accuracy"):
        RewardConfig.model_validate({"best": "heldout_reward"})
    auto = RewardConfig.model_validate({"best": "heldout_loss", "evaluate_every": "auto"})
    assert (
        auto.best
        == RewardConfig.model_validate({"best": "heldout_loss"}).best
        == BestConfig.model_validate({"measure": "heldout_loss", "every": 25})
    )
    with pytest.raises(ValidationError, match=r"evaluate_every is 0; give best\.every"):
        DPOConfig.model_validate({"best": "heldout_loss", "evaluate_every": 0})

    def found(config: OptimizeConfig) -> list[str]:
        return [f"{one.key} {one.message}" for one in config.checks() if one.is_error]

    assert found(DPOConfig.model_validate({"best": "heldout_loss"})) == [
        "optimize.best chooses by heldout_loss, and nothing is held out"
    ]
    assert found(GRPOConfig.model_validate({"best": "heldout_reward"})) == [
        "optimize.best chooses by heldout_reward, and no prompts are held out"
    ]
    guarded = {"guards": {"prompts": 8}, "steps": 60}
    [both] = found(GRPOConfig.model_validate({"best": "heldout_reward", **guarded}))
    assert both.startswith("optimize.best chooses the weights of the result, and optimize.guards.then stop")
    [twice] = found(GRPOConfig.model_validate({"eval_prompts": 8, **guarded}))
    assert twice == "optimize.eval_prompts is 8, and guards hold out 8 prompts of their own"


def test_answers_from_the_way_come_from_the_pipeline_where_it_gives_some(
    toy: Toy, new_loop: Callable[..., Loop], ranked: Ranked
) -> None:
    loop = new_loop()
    loop.answers = lambda taken: [Answered("What?", f"After {taken}.")]
    dpo(toy, ranked, DPO, loop)
    assert read_shown(loop.log.folder) == [(n, Answered("What?", f"After {n}.")) for n in (0, 3, 6)]


def test_evaluations_cost_about_a_tenth_of_the_training_at_most() -> None:
    assert cadence("auto", looked_at=240, learned=32) == 25  # 240 passes forward after 25 · 32 · 3 = 2400
    assert cadence("auto", looked_at=281, learned=8) == 118  # 281 / (3 · 8 · 0.1) = 117.08
    assert cadence("auto", looked_at=1000, learned=32) == 105
    assert cadence("auto", looked_at=0, learned=32) == 25
    assert [cadence(every, looked_at=1000, learned=1) for every in (7, 0, None)] == [7, None, None]
    assert Schedule.of(RewardConfig(), looked_at=1000, learned=32).every == 105
    assert Schedule.of(RewardConfig(evaluate_every=25), looked_at=1000, learned=32).every == 25
    with pytest.raises(ValidationError, match="evaluate_every"):
        RewardConfig.model_validate({"evaluate_every": "often"})
