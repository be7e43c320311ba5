"""The preference family on a tiny policy: what each method learns, where its loss starts, and what must not matter."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from training_toys import FAST, Toy

from assent.algorithms.soft_labels import share_labels
from assent.core.errors import ConfigError, DataError
from assent.core.group import Group
from assent.core.runlog import read_metrics
from assent.core.types import Comparison, Completion, Judgment, Marked, Prompt, Ranking
from assent.learner.learner import Learner
from assent.learner.scorer import sum_logps
from assent.models.groups import pack
from assent.models.policy import TokenScores
from assent.pipeline.learners import policy_learner, policy_scorer
from assent.training.dpo import dpo_objective, train_dpo
from assent.training.kto import Liked, train_kto
from assent.training.labels import labels_of, word_on
from assent.training.loop import Loop
from assent.training.mismatched import mismatched
from assent.training.orpo import train_orpo
from assent.training.preference import PreferenceResult
from assent.training.preference_config import DPOConfig, KTOConfig, ORPOConfig, RankingConfig, SimPOConfig
from assent.training.simpo import train_simpo
from assent.training.targets import Target, local_best, softened, target_of

ANSWERS = ("You have a refund today.", "I am sorry.", "No.", "Open the settings, please.")
SMALL: dict[str, Any] = {"epochs": 6, "batch_size": 4, "optimizer": FAST.model_copy(update={"learning_rate": 2e-3})}
METHODS: dict[str, tuple[Callable[..., PreferenceResult], RankingConfig]] = {
    "ipo": (train_dpo, DPOConfig(loss="ipo", beta=0.02, **SMALL)),
    "robust": (train_dpo, DPOConfig(loss="robust", label_smoothing=0.1, **SMALL)),
    "plackett-luce": (train_dpo, DPOConfig(ranking="plackett_luce", **SMALL)),
    "length-normalized": (train_dpo, DPOConfig(length_normalized=True, beta=2.0, **SMALL)),
    "with sft": (train_dpo, DPOConfig(sft=0.2, **SMALL)),
    "orpo": (train_orpo, ORPOConfig(odds_weight=1.0, **SMALL)),
    "simpo": (train_simpo, SimPOConfig(**SMALL)),
}


def comparison(prompt: Prompt, *said: tuple[tuple[int, ...], ...], texts: Sequence[str] = ANSWERS) -> Comparison:
    """Answers numbered as in ANSWERS, or other `texts`; one judgment for each ranking."""
    answers = tuple(Completion(prompt_id=prompt.id, text=t, id=f"c{i}") for i, t in enumerate(texts))
    rankings = [Ranking(tiers=tuple(tuple(f"c{i}" for i in tier) for tier in tiers)) for tiers in said]
    judgments = tuple(Judgment(task_id="t", rater_id=f"r{n}", ranking=r) for n, r in enumerate(rankings))
    return Comparison(prompt=prompt, completions=answers, judgments=judgments)


def grouped(toy: Toy, comparisons: list[Comparison]) -> tuple[list[Group], list[Target]]:
    renderer = toy.renderer(toy.policy(trainable=False))
    groups = [renderer.group(c.prompt, [a.text for a in c.completions]) for c in comparisons]
    return groups, [t for c in comparisons if (t := target_of(c)) is not None]


@pytest.mark.parametrize("name", METHODS)
def test_every_method_on_rankings_puts_the_better_answers_ahead(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt], name: str
) -> None:
    train, config = METHODS[name]
    groups, targets = grouped(toy, [comparison(p, ((3,), (0,), (1, 2))) for p in prompts[:8]])
    loop, policy = new_loop(), toy.policy()
    result = train(policy_learner(policy, config.optimizer), groups, targets, config, loop)
    log = read_metrics(loop.log.folder)
    assert result.loss < log[0]["loss"] and result.accuracy > 0.85
    now, start = (
        sum_logps(policy_scorer(p), groups, budget=512).view(-1, 4) for p in (policy, toy.policy(trainable=False))
    )
    gained = (now - start).mean(0)
    assert gained[3] > gained[2] and gained[0] > gained[1]


@pytest.mark.parametrize(
    ("config", "first"),
    [
        (DPOConfig(loss="ipo", beta=0.5, **SMALL), 1.0),
        (DPOConfig(loss="robust", label_smoothing=0.2, **SMALL), math.log(2)),
        # The order of four equal answers has a chance of 1/24, and a ranking of four weighs 3.
        (DPOConfig(ranking="plackett_luce", **SMALL), math.log(24) / 3),
    ],
)
def test_the_first_loss_is_known_where_the_policy_is_its_reference(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt], config: DPOConfig, first: float
) -> None:
    groups, targets = grouped(toy, [comparison(p, ((3,), (0,), (1,), (2,))) for p in prompts[:4]])
    loop = new_loop()
    once = config.model_copy(update={"epochs": 1})
    train_dpo(policy_learner(toy.policy(), FAST), groups, targets, once, loop)
    assert read_metrics(loop.log.folder)[0]["loss"] == pytest.approx(first, abs=1e-5)


def loss_of(toy: Toy, groups: list[Group], targets: list[Target], config: DPOConfig) -> float:
    """Of a policy against a reference that differs from it, per unit of weight."""
    [batch] = pack(groups, budget=10_000)
    scores = toy.policy(trainable=False).logps(batch)
    reference = torch.linspace(-30, -25, batch.num_rows)
    found = dpo_objective(
        scores, batch, members=list(zip(groups, targets, strict=True)), reference=reference, config=config
    )
    return float(found.total) / found.weight


def test_soft_labels_by_bare_shares_are_the_same_loss_as_all_votes_one_by_one(toy: Toy, prompts: list[Prompt]) -> None:
    for_it, against = ((3,), (0,)), ((0,), (3,))
    three_of_five = [for_it, for_it, for_it, against, against]
    groups, targets = grouped(toy, [comparison(p, *three_of_five) for p in prompts[:2]])
    soft = [softened(t, partial(share_labels, prior=0.0)) for t in targets]
    assert [t.chance.tolist() for t in soft if t.chance is not None] == [[pytest.approx(0.6)]] * 2
    config = DPOConfig()
    assert loss_of(toy, groups, soft, config) == pytest.approx(loss_of(toy, groups, targets, config), abs=1e-5)


def test_three_of_five_pulls_less_than_five_of_five(toy: Toy, prompts: list[Prompt]) -> None:
    split, all_of = ((3,), (0,)), ((0,), (3,))
    groups, both = grouped(
        toy, [comparison(prompts[0], *[split] * 3, *[all_of] * 2), comparison(prompts[1], *[split] * 5)]
    )
    chances = [float(c) for t in both if (c := softened(t, partial(share_labels, prior=1.0)).chance) is not None]
    assert chances == pytest.approx([4 / 7, 6 / 7])
    assert len(groups) == 2


def test_the_next_token_loss_is_that_of_the_best_answers_alone(toy: Toy, prompts: list[Prompt]) -> None:
    groups, targets = grouped(toy, [comparison(prompts[0], ((3, 1), (0,), (2,)))])
    [batch] = pack(groups, budget=10_000)
    rows, weight = local_best(batch, [(groups[0], targets[0])])
    assert rows.tolist() == [1, 3] and weight.tolist() == pytest.approx([1.5, 1.5])  # K - 1 = 3, over two best
    decided = [targets[0].decided()]
    apart = [loss_of(toy, groups, decided, DPOConfig(sft=factor)) for factor in (0.0, 0.5, 1.0)]
    means = [
        toy.policy(trainable=False).logps(one).logps.mean().item()
        for i in rows.tolist()
        for one in pack([Group(groups[0].prompt, (groups[0].continuations[i],))], budget=10_000)
    ]
    expected = -sum(means) / 2  # whatever the pairs weigh that are no tie
    assert apart[2] - apart[0] == pytest.approx(expected, rel=1e-4)
    assert apart[1] - apart[0] == pytest.approx(expected / 2, rel=1e-4)


def test_raters_without_weight_teach_nothing(toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt]) -> None:
    groups, targets = grouped(toy, [comparison(p, ((3,), (0,))) for p in prompts[:4]])
    silent = [t.weighted({"r0": 0.0}) for t in targets]
    assert all(t.best()[0].numel() == 0 for t in silent)
    with pytest.raises(DataError, match="every pair given is a tie"):
        train_dpo(policy_learner(toy.policy(), FAST), groups, silent, DPOConfig(**SMALL), new_loop())


GOOD_AND_BAD = [(1.0, -1.0), (0.2, -0.2)]


@pytest.mark.parametrize("labels", ["hard", "soft"])
def test_kto_begins_at_one_half_and_raises_good_answers_above_bad_ones(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt], labels: str
) -> None:
    renderer = toy.renderer(toy.policy(trainable=False))
    groups = [renderer.group(p, [ANSWERS[3], ANSWERS[1]]) for p in prompts]
    says = [GOOD_AND_BAD[i % 2] for i in range(len(groups))]
    loop = new_loop()
    config = KTOConfig(labels=labels, **{**SMALL, "epochs": 6})
    said = (groups, says, [(1.0, 1.0)] * len(groups))
    result = train_kto(policy_learner(toy.policy(), config.optimizer), said, config, loop)
    log = read_metrics(loop.log.folder)
    assert log[0]["loss"] == pytest.approx(0.5, abs=1e-6) and log[0]["reference_point"] == 0
    assert result.loss < 0.45
    assert log[-1]["good_gain"] > log[-1]["bad_gain"] + 5


def test_the_best_answers_weigh_what_the_pairs_weigh_with_ties_left_out_and_with_soft_labels(
    prompts: list[Prompt],
) -> None:
    def target(*said: tuple[tuple[int, ...], ...]) -> Target:
        found = target_of(comparison(prompts[0], *said))
        assert found is not None
        return found

    agreed = target(*[((0,), (1,))] * 5)  # five votes weigh five, and as one soft pair one
    soft = softened(agreed, partial(share_labels, prior=1.0))
    assert [one.best()[1].sum().item() for one in (agreed, soft)] == pytest.approx([5.0, 1.0])
    tied = target(((0,), (1, 2))).decided()  # two of three pairs of a ranking of three, at 2/3 each
    assert tied.best()[1].tolist() == pytest.approx([4 / 3]) and tied.weight == pytest.approx(4 / 3)
    divided = target(((0,), (1,)), ((1,), (0,)), ((1,), (0,)))
    assert divided.best()[1].tolist() == pytest.approx([1.0, 2.0])


def test_answers_to_other_prompts_are_the_same_ones_again_and_never_too_long(prompts: list[Prompt]) -> None:
    groups = [Group(np.arange(1, 3 + n), tuple(np.full(k, 7) for k in (2 + n % 3, 1))) for n in range(6)]
    found = mismatched(groups, seed=3)
    longest = max(g.longest for g in groups)
    assert [f.prompt.tolist() for f in found] == [g.prompt.tolist() for g in groups]
    assert all(f.longest <= longest for f in found)
    again = mismatched(groups, seed=3)
    assert all((a.continuations[0] == b.continuations[0]).all() for a, b in zip(found, again, strict=True))
    with pytest.raises(DataError, match="same prompt"):
        mismatched([groups[0], groups[0]], seed=0)


def judged(**said: Any) -> Judgment:
    return Judgment(task_id="t", rater_id="r", **said)


def test_a_flag_is_bad_whatever_the_place_scores_go_before_the_place_and_the_middle_of_three_says_nothing() -> None:
    order = Ranking(tiers=(("a",), ("b",), ("c",)))
    flagged = judged(ranking=order, flags={"a": ("unsafe",)}, scores={"b": {"helpful": 5.0, "honest": 2.0}})
    assert [word_on(flagged, name, 3.0) for name in "abc"] == [("flags", -1.0), ("scores", 1.0), ("rankings", -1.0)]
    assert [word_on(judged(ranking=order), name, 3.0) for name in "abc"] == [
        ("rankings", 1.0),
        None,
        ("rankings", -1.0),
    ]
    assert word_on(judged(scores={"a": {"helpful": 3.0}}), "a", 3.0) is None
    four = judged(ranking=Ranking(tiers=(("a",), ("b", "c"), ("d",))))
    assert word_on(four, "b", 3.0) is None
    five = judged(ranking=Ranking(tiers=(("a",), ("b",), ("c",), ("d",))))
    assert word_on(five, "b", 3.0) == ("rankings", pytest.approx(1 / 3))


def test_labels_are_the_mean_over_judges_and_everything_that_says_nothing_is_counted(prompts: list[Prompt]) -> None:
    one = Completion(prompt_id=prompts[0].id, text="Alone.", id="a")
    rated = Marked(
        prompt=prompts[0],
        completions=(one,),
        judgments=(
            judged(scores={"a": {"helpful": 5.0}}),
            judged(scores={"a": {"helpful": 4.0}}),
            judged(flags={"a": ("factually_wrong",)}),
            judged(critique="Hm."),
        ),
    )
    torn = Marked(prompt=prompts[1], completions=(one,), judgments=(rated.judgments[0], rated.judgments[2]))
    pair = comparison(prompts[2], ((0,), (1,)), ((0,), (1,)), ((1,), (0,)), ((0, 1),))
    labels = labels_of([rated, torn, pair], middle=3.0)
    assert [one.says for one in labels.labelled] == [pytest.approx((1 / 3,)), pytest.approx((1 / 3, -1 / 3))]
    assert labels.used == {"scores": 3, "flags": 2, "rankings": 6}
    assert (labels.good, labels.bad, labels.silent, labels.even) == (2, 1, 2, 1)
    assert "2 good and 1 bad answers (words on answers by 6 rankings, 3 scores, 2 flags); 2 judgments" in labels.line()


def test_a_judge_of_less_weight_says_less_and_one_of_none_nothing(prompts: list[Prompt]) -> None:
    pair = comparison(prompts[0], ((0,), (1,)), ((1,), (0,)))  # by r0 and r1
    [half] = labels_of([pair], middle=3.0, weight={"r1": 0.5}).labelled
    assert half.says == pytest.approx((1 / 3, -1 / 3))
    alone = labels_of([pair], middle=3.0, weight={"r1": 0.0})
    assert alone.labelled[0].says == (1.0, -1.0) and alone.silent == 1


def test_an_answer_counts_as_much_as_those_who_judged_it_and_no_more_than_one(prompts: list[Prompt]) -> None:
    pair = comparison(prompts[0], ((0,), (1,)))  # by r0
    [only_little] = labels_of([pair], middle=3.0, weight={"r0": 0.3}).labelled
    assert (only_little.says, only_little.weights) == ((1.0, -1.0), pytest.approx((0.3, 0.3)))
    liked = Liked.of(only_little.says, only_little.weights, KTOConfig(good_weight=2.0))
    assert liked.weight.tolist() == pytest.approx([0.6, 0.3])
    [twice] = labels_of([comparison(prompts[0], ((0,), (1,)), ((0,), (1,)))], middle=3.0).labelled
    assert twice.weights == (1.0, 1.0)


def test_an_answer_that_is_called_good_and_bad_alike_says_nothing_however_its_places_are_divided(
    prompts: list[Prompt],
) -> None:
    # Of six, second once (+.6) and fourth three times (-.2): in floating point these add up to -1.4e-17.
    places = [[1, 0, 2, 3, 4, 5], *[[1, 2, 3, 0, 4, 5]] * 3]
    six = comparison(prompts[0], *(tuple((i,) for i in order) for order in places), texts="abcdef")
    labels = labels_of([six], middle=3.0)
    assert labels.even == 1 and six.completions[0] not in labels.labelled[0].completions


class Dying:
    """A learner whose third step is a kill."""

    def __init__(self, learner: Learner[TokenScores]) -> None:
        self._learner = learner

    def step(self, *, learning_rate: float) -> object:
        if self._learner.num_steps == 2:
            raise KeyboardInterrupt
        return self._learner.step(learning_rate=learning_rate)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._learner, name)


@pytest.mark.parametrize("kind", ["plackett_luce", "kto"])
def test_a_killed_run_ends_with_the_same_bits(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt], kind: str
) -> None:
    few = {**SMALL, "epochs": 1}
    groups, targets = grouped(toy, [comparison(p, ((3,), (0, 1), (2,))) for p in prompts])
    said = (groups, [(1.0, 1.0, -1.0, 1.0)] * len(groups), [(1.0,) * 4] * len(groups))
    train: Callable[..., PreferenceResult] = (
        partial(train_kto, said=said, config=KTOConfig(**few))
        if kind == "kto"
        else partial(train_dpo, groups=groups, targets=targets, config=DPOConfig(ranking="plackett_luce", **few))
    )
    whole, resumed = toy.policy(), toy.policy()
    train(policy_learner(whole, FAST), loop=new_loop("whole"))
    with pytest.raises(KeyboardInterrupt):
        train(Dying(policy_learner(toy.policy(), FAST)), loop=new_loop("killed", seconds=0.0))
    train(policy_learner(resumed, FAST), loop=new_loop("killed", seconds=0.0))
    for key, weight in whole.parameters().items():
        assert torch.equal(weight, resumed.parameters()[key])


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (DPOConfig(ranking="plackett_luce", loss="ipo"), "ranking is plackett_luce"),
        (DPOConfig(labels="soft", label_smoothing=0.1), "labels is soft"),
        (DPOConfig(labels="soft", weights="raters"), "weights is raters"),
        (DPOConfig(ranking="plackett_luce", weights="raters"), "weights is raters"),
        (DPOConfig(loss="ipo", label_smoothing=0.1), "which loss ipo does not use"),
    ],
)
def test_settings_that_contradict_one_another_are_refused(config: DPOConfig, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        config.refuse()


def test_soft_labels_and_weights_by_raters_ask_for_the_reward_model() -> None:
    assert DPOConfig().wants == {"judgments"}
    soft, weighed = DPOConfig(labels="soft"), DPOConfig(weights="raters")
    assert (soft.needs, soft.wants) == ({"judgments"}, {"judgments", "reward"})
    assert weighed.needs == {"judgments", "reward"}
