"""The joint fit of reward and raters in training: what it finds, and that neither batches nor kills change it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from training_toys import FAST, Toy

from assent.core.group import Group
from assent.core.runlog import read_metrics
from assent.core.types import Comparison, Completion, Judgment, Prompt, Ranking
from assent.learner.scorer import score_groups
from assent.models.config import LoraConfig, ModelConfig
from assent.models.groups import pack
from assent.models.scalar import ScalarModel
from assent.pipeline.learners import row_scorer, state_scorer, train_reward_model
from assent.training import reward
from assent.training.batches import EpochBatches
from assent.training.config import JointRatersConfig, NoRatersConfig, RewardConfig
from assent.training.loop import Loop
from assent.training.rater_fit import Grouping, JointFit
from assent.training.reward import RewardFit, Trained, reward_objective, taste_scores
from assent.training.targets import Target, target_of

ANSWERS = ("You have a refund today.", "I am sorry.", "No.", "Open the settings, then follow the link, please.")
BEST_FIRST = ((3,), (0,), (1,), (2,))
WORST_FIRST = ((2,), (1,), (0,), (3,))
CONFIG = RewardConfig(epochs=6, batch_size=4, optimizer=FAST)


def ranked(prompt: Prompt, by_rater: dict[str, tuple[tuple[int, ...], ...]], strength: int | None = None) -> Comparison:
    """Answers numbered as in ANSWERS; what each rater said of them."""
    answers = tuple(Completion(prompt_id=prompt.id, text=t, id=f"c{i}") for i, t in enumerate(ANSWERS))
    judgments = []
    for rater, tiers in by_rater.items():
        strengths = None if strength is None else (strength,) * (len(tiers) - 1)
        ranking = Ranking(tiers=tuple(tuple(f"c{i}" for i in tier) for tier in tiers), strengths=strengths)
        judgments.append(Judgment(task_id="t", rater_id=rater, ranking=ranking, order_shown=("c1", "c0", "c2", "c3")))
    return Comparison(prompt=prompt, completions=answers, judgments=tuple(judgments))


def grouped(toy: Toy, comparisons: list[Comparison]) -> tuple[list[Group], list[Target]]:
    renderer = toy.renderer(toy.policy(trainable=False))
    groups = [renderer.group(c.prompt, [a.text for a in c.completions]) for c in comparisons]
    targets = [target_of(c) for c in comparisons]
    return groups, [t for t in targets if t is not None]


def crowd_of(prompts: Sequence[Prompt], straight: int = 3) -> list[Comparison]:
    """Some straight people and one who reads the scale the wrong way round, on every prompt."""
    said = {f"straight {i}": BEST_FIRST for i in range(straight)} | {"wrong way": WORST_FIRST}
    return [ranked(p, said, strength=1 + n % 4) for n, p in enumerate(prompts)]


def test_who_reads_the_scale_the_wrong_way_round_is_found_and_the_order_is_learned(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt]
) -> None:
    groups, targets = grouped(toy, crowd_of(prompts))
    model = toy.scalar()
    trained = train_reward_model(model, groups, targets, CONFIG, new_loop())
    assert trained.raters is not None
    found = dict(zip(trained.raters.raters, trained.raters.sharpness, strict=True))
    assert found["wrong way"] < -0.3 and min(v for name, v in found.items() if name != "wrong way") > 0.6
    means = np.array(score_groups(row_scorer(model), groups, budget=512)).reshape(-1, 4).mean(0)
    assert means[3] > means[0] > means[1] > means[2]
    assert trained.raters.judgments == (16, 16, 16, 16)
    assert taste_scores(state_scorer(model), groups, trained.raters.offsets, budget=512).shape == (
        64,
        0,
    )  # nobody told a group


def test_groups_of_other_taste_are_told_apart_and_the_saved_score_is_their_mean(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt]
) -> None:
    # Both put answer 2 last; of the others "north" likes 3 best and "south" 1. Three of four raters are from the north.
    said = {f"n{i}": ((3,), (0,), (1,), (2,)) for i in range(3)} | {"s": ((1,), (0,), (3,), (2,))}
    groups, targets = grouped(toy, [ranked(p, said) for p in prompts])
    attributes = {name: {"region": "north" if name[0] == "n" else "south"} for name in said}
    model = toy.scalar()
    config = CONFIG.model_copy(update={"optimizer": FAST.model_copy(update={"learning_rate": 1e-3})})
    trained = train_reward_model(model, groups, targets, config, new_loop(), attributes=attributes)
    fit = trained.raters
    assert fit is not None and fit.groups == ("north", "south") and fit.group_by == "region"
    assert fit.shares == pytest.approx([0.75, 0.25])
    assert (torch.tensor(fit.shares, dtype=torch.float32) @ fit.offsets).abs().max() < 1e-5
    scores = torch.tensor(score_groups(row_scorer(model), groups, budget=512))
    tastes = taste_scores(state_scorer(model), groups, fit.offsets, budget=512)
    north, south = ((scores + tastes[:, g]).view(-1, 4).mean(0) for g in range(2))
    assert (south[1] - south[3]) - (north[1] - north[3]) > 0.5
    assert north[3] > north[1] > north[2] and south[1] > south[2]
    level = (tastes @ torch.tensor(fit.shares, dtype=torch.float32)).abs().max()
    assert level < 1e-4 * tastes.abs().max()
    sharpness = dict(zip(fit.raters, fit.sharpness, strict=True))
    assert sharpness["s"] > 0.6


def test_the_first_attribute_with_two_values_makes_the_groups() -> None:
    told = {"a": {"group": "x", "region": "n"}, "b": {"group": "x", "region": "s"}, "c": {"group": "x"}}
    found = Grouping.of(("a", "b", "c", "d"), told, ("group", "region"))
    assert (found.attribute, found.names, found.of_rater) == ("region", ("n", "s"), (0, 1, -1, -1))
    assert Grouping.of(("a", "b"), told, ()).names == () and Grouping.of(("a", "c"), told, ("region",)).names == ()


def test_a_killed_training_goes_on_with_the_same_bits(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt], monkeypatch: pytest.MonkeyPatch
) -> None:
    groups, targets = grouped(toy, crowd_of(prompts))
    attributes = {"straight 0": {"group": "x"}, "straight 1": {"group": "y"}, "wrong way": {"group": "x"}}
    config = CONFIG.model_copy(update={"epochs": 2.0})

    def run(model: ScalarModel, name: str, seconds: float) -> Trained:
        return train_reward_model(
            model, groups, targets, config, new_loop(name, seconds=seconds), attributes=attributes
        )

    whole = toy.scalar()
    undisturbed = run(whole, "whole", 1e9)
    for kill_at in (2, 5):
        objective = reward.JointLikelihood.at

        def dying(self: reward.JointLikelihood, step: int, *rest: object) -> object:
            if step == kill_at:  # noqa: B023 - used within this turn
                raise KeyboardInterrupt
            return objective(self, step, *rest)  # type: ignore[arg-type]  # noqa: B023

        monkeypatch.setattr(reward.JointLikelihood, "at", dying)
        with pytest.raises(KeyboardInterrupt):
            run(toy.scalar(), f"killed {kill_at}", 0.0)
        monkeypatch.undo()
        resumed = toy.scalar()
        again = run(resumed, f"killed {kill_at}", 0.0)
        for name, weight in whole.parameters().items():
            assert torch.equal(weight, resumed.parameters()[name]), name
        assert undisturbed.raters is not None and again.raters is not None
        for field in ("sharpness", "position", "length", "cuts", "errors"):
            assert np.array_equal(getattr(undisturbed.raters, field), getattr(again.raters, field)), field
        assert torch.equal(undisturbed.raters.offsets, again.raters.offsets)
        logs = [new_loop(n).log.folder / "metrics.jsonl" for n in ("whole", f"killed {kill_at}")]
        assert logs[0].read_text() == logs[1].read_text()


@pytest.mark.parametrize("raters", [JointRatersConfig(), NoRatersConfig()])
def test_the_objective_may_be_recomputed_and_leaves_nothing_behind(
    toy: Toy, prompts: list[Prompt], raters: JointRatersConfig | NoRatersConfig
) -> None:
    groups, targets = grouped(toy, crowd_of(prompts)[:4])
    model = toy.scalar()
    attributes = {"straight 0": {"group": "x"}, "straight 1": {"group": "y"}}
    members, config = list(zip(groups, targets, strict=True)), CONFIG.model_copy(update={"raters": raters})
    fit = RewardFit.of(members, config, features=model.num_features, seed=0, attributes=attributes)
    total = fit.likelihood.at(0, [0, 1, 2, 3], members)
    before = kept_by(fit)
    for batch in pack(groups, budget=256):
        outputs = model.at_last_with_states(batch)
        once, again = (reward_objective(outputs, batch, members=members, total=total, config=config) for _ in range(2))
        assert torch.equal(once.total, again.total) and once.weight == again.weight
        assert once.metrics == again.metrics
    after = kept_by(fit)
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    assert before or raters.kind == "none"


def kept_by(fit: RewardFit) -> dict[str, torch.Tensor]:
    """Copies of all that a fit keeps from one step to the next."""
    parts = fit.likelihood.parts().items()
    return {f"{part}/{name}": tensor.clone() for part, one in parts for name, tensor in one.tensors().items()}


def test_micro_batches_do_not_change_the_fit(toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt]) -> None:
    groups, targets = grouped(toy, crowd_of(prompts))
    attributes = {"straight 0": {"group": "x"}, "straight 1": {"group": "y"}}
    ends = []
    for budget in (64, 100_000):
        optimizer = FAST.model_copy(update={"tokens_per_microbatch": budget, "learning_rate": 1e-3})
        config = CONFIG.model_copy(update={"epochs": 1.0, "optimizer": optimizer})
        loop = new_loop(str(budget))
        trained = train_reward_model(toy.scalar(), groups, targets, config, loop, attributes=attributes)
        assert trained.raters is not None
        ends.append((read_metrics(loop.log.folder)[-1], trained.raters))
    for name in ("loss", "accuracy", "score", "grad_norm"):
        assert ends[0][0][name] == pytest.approx(ends[1][0][name], rel=2e-3, abs=1e-5), name
    assert ends[0][1].sharpness == pytest.approx(ends[1][1].sharpness, abs=1e-3)


def test_the_first_loss_is_that_of_equal_scores(toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt]) -> None:
    # A zero head: every z is 0, nobody ties, no strengths. Bradley-Terry: log 2 per unit of weight.
    groups, targets = grouped(toy, [ranked(p, {"a": BEST_FIRST}) for p in prompts])
    unshown = [Target(t.tiers, t.pairs, without_order(t), t.raters) for t in targets]
    model = toy.scalar()
    model.hf.score.weight.data.zero_()
    loop = new_loop()
    train_reward_model(model, groups, unshown, CONFIG, loop)
    assert read_metrics(loop.log.folder)[0]["loss"] == pytest.approx(np.log(2), abs=1e-5)


def without_order(target: Target) -> object:
    return type(target.votes)(*(v * 0 if name == "first" else v for name, v in vars(target.votes).items()))


def test_refits_wait_for_the_warm_up_and_then_come_several_times_in_each_pass(toy: Toy, prompts: list[Prompt]) -> None:
    groups, targets = grouped(toy, crowd_of(prompts))
    fit = JointFit(
        list(zip(groups, targets, strict=True)),
        {},
        JointRatersConfig(warmup=0.5, refits_per_epoch=2),
        features=8,
    )
    order = EpochBatches(num_items=64, batch_size=8, epochs=2, seed=0)
    assert [step for step in range(order.total_steps) if fit.is_due(step, order)] == [4, 8, 12]
    # Before anything was seen, raters are alike and cut-points are read off how often people tie.
    assert fit.terms().sharpness.tolist() == [1.0] * 4 and not fit.has_groups


def test_orders_sorted_by_rank_are_not_taken_for_a_lean(toy: Toy, prompts: list[Prompt]) -> None:
    groups, targets = grouped(toy, [ranked(p, {"a": ((1,), (0,), (3,), (2,))}) for p in prompts])
    by_rank = JointFit(list(zip(groups, targets, strict=True)), {}, JointRatersConfig(), features=8)
    assert by_rank.ignores_order and all(not v.first.any() for v in by_rank.votes)
    said = [((1,), (0,), (3,), (2,)), ((0,), (3,), (2,), (1,))]
    groups, targets = grouped(toy, [ranked(p, {"a": said[n % 2]}) for n, p in enumerate(prompts)])
    shuffled = JointFit(list(zip(groups, targets, strict=True)), {}, JointRatersConfig(), features=8)
    assert not shuffled.ignores_order and any(v.first.any() for v in shuffled.votes)


def test_joint_fit_with_lora_saves_a_plain_model(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt]
) -> None:
    model = ScalarModel.from_policy(toy.folder, config=ModelConfig(lora=LoraConfig(rank=4)), seed=0)
    groups, targets = grouped(toy, crowd_of(prompts))
    attributes = {"straight 0": {"group": "x"}, "straight 1": {"group": "y"}}
    loop = new_loop()
    config = CONFIG.model_copy(update={"epochs": 1.0})
    trained = train_reward_model(model, groups, targets, config, loop, attributes=attributes)
    assert trained.raters is not None and trained.raters.offsets.shape[0] == 2
    model.save(loop.folder / "saved", merged=True)
    plain = ScalarModel.load(loop.folder / "saved", config=ModelConfig(), trainable=False)
    before, after = (score_groups(row_scorer(m), groups, budget=512) for m in (model, plain))
    assert after == pytest.approx(before, abs=1e-4)


def test_settings_that_would_do_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match=r"set raters\.kind to none"):
        RewardConfig(margins="small")
    assert RewardConfig(raters=NoRatersConfig(), margins="small").margins == "small"


def test_a_sample_tells_the_scale_of_the_scores_and_changes_nothing_that_was_found_out_about_raters(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt], monkeypatch: pytest.MonkeyPatch
) -> None:
    groups, targets = grouped(toy, crowd_of(prompts))
    config = CONFIG.model_copy(update={"epochs": 1.0})
    scored: list[int] = []
    whole = reward.outputs_of

    def counted(scorer: object, some: Sequence[Group], **settings: object) -> object:
        scored.append(len(some))
        return whole(scorer, some, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(reward, "outputs_of", counted)
    exact = train_reward_model(toy.scalar(), groups, targets, config, new_loop("exact"))
    monkeypatch.setattr(reward, "scale_sample", lambda learned: 8)
    model = toy.scalar()
    told = train_reward_model(model, groups, targets, config, new_loop("told"))
    again = train_reward_model(toy.scalar(), groups, targets, config, new_loop("again"))
    attributes = {"straight 0": {"group": "x"}, "straight 1": {"group": "y"}}
    train_reward_model(toy.scalar(), groups, targets, config, new_loop("tastes"), attributes=attributes)
    # Tastes are fitted to final states, so all 16 are scored where there are groups.
    assert scored == [16, 8, 8, 16]
    assert told.score_mean == again.score_mean != exact.score_mean
    fit = RewardFit.of(list(zip(groups, targets, strict=True)), config, features=model.num_features, seed=0)
    drawn = fit.settled(0).tolist()
    assert len(set(drawn)) == 8 and drawn != list(range(8)) and told.settled.numbers.tolist() == drawn
    scores = np.array(score_groups(row_scorer(model), [groups[i] for i in drawn], budget=512))
    assert (told.score_mean, told.score_std) == pytest.approx((scores.mean(), scores.std(ddof=1)), rel=1e-4)
    assert exact.raters is not None and told.raters is not None
    for field in ("sharpness", "position", "length", "cuts", "errors"):
        assert np.array_equal(getattr(exact.raters, field), getattr(told.raters, field)), field
