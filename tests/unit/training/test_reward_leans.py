"""Leans of a reward: heads refitted by hand, weights to a population, copies with words for people exchanged."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from assent.core.errors import DataError
from assent.core.types import Comparison, Completion, Judgment, Prompt, Ranking
from assent.data.augment import MARK, counterfactual_copies
from assent.data.swaps import Axis, SwapLists
from assent.training.answer_features import LENGTH, answers_of, exchange_directions, features_of, votes_of
from assent.training.config import RewardConfig
from assent.training.head_fit import Answers, HeadVotes, debiased, fit_head, leans, logistic
from assent.training.population import weighting
from assent.training.targets import target_of

TEAMS = Axis(axis="team", groups={"north": ("Ada", "Abe"), "south": ("Zoe", "Zac")}, answer="{word} {deed}")
LISTS = SwapLists((TEAMS,), (), "Say something.", ())


def compared(first: str, second: str, *, prompt: str = "Who?", rater: str = "r") -> Comparison:
    """The first answer was preferred."""
    asked = Prompt.of(prompt)
    pair = tuple(Completion(prompt_id=asked.id, text=t, id=str(i)) for i, t in enumerate((first, second)))
    ranked = Judgment(task_id="t", rater_id=rater, ranking=Ranking(tiers=(("0",), ("1",))), order_shown=("1", "0"))
    return Comparison(prompt=asked, completions=pair, judgments=(ranked,))


def random_votes(count: int = 300) -> tuple[HeadVotes, Answers]:
    """Votes by states of four numbers, the first of which is also the only feature."""
    random = np.random.default_rng(0)
    states = random.normal(size=(2 * count, 4))
    prompt = np.repeat(np.arange(count), 2)
    answers = Answers(states, states[:, :1].copy(), prompt)
    up, down = np.arange(0, 2 * count, 2), np.arange(1, 2 * count, 2)
    lead = (states[up] - states[down]) @ np.array([1.0, 1.0, 0.0, 0.0])
    flip = random.random(count) > 1 / (1 + np.exp(-lead))
    up, down = np.where(flip, down, up), np.where(flip, up, down)
    gap = states[up] - states[down]
    ones = np.ones(count)
    return HeadVotes(gap, gap[:, :1], 0 * ones, ones, np.zeros(count, int), np.arange(count)), answers


def test_the_logistic_fit_is_that_of_a_general_minimizer() -> None:
    votes, _ = random_votes(80)
    penalty = np.full(4, 0.7)

    def loss(c: np.ndarray) -> float:
        return float(np.logaddexp(0, -votes.states @ c).sum() + 0.5 * (penalty * c * c).sum())

    slow = minimize(loss, np.zeros(4), tol=1e-12).x
    assert logistic(votes.states, votes.weight, penalty) == pytest.approx(slow, abs=1e-4)


def test_votes_of_weight_two_count_like_votes_given_twice() -> None:
    votes, _ = random_votes(50)
    twice = np.concatenate([votes.states, votes.states])
    penalty = np.full(4, 0.7)
    assert logistic(twice, np.ones(100), penalty) == pytest.approx(logistic(votes.states, np.full(50, 2.0), penalty))


def test_a_lean_is_the_score_gained_per_unit_of_a_feature() -> None:
    # Scores 0 and 2 within a prompt have a deviation of 1; the feature differs by 4: half a deviation per unit.
    answers = Answers(np.array([[0.0], [2.0]]), np.array([[0.0], [4.0]]), np.zeros(2, int))
    assert leans(np.array([1.0]), answers) == pytest.approx([0.5])


def test_a_debiased_head_says_nothing_of_the_feature_and_keeps_the_rest() -> None:
    votes, answers = random_votes()
    head = fit_head(votes)
    assert leans(head, answers)[0] > 0.5
    mended = debiased(head, votes, answers, drop=[0])
    assert leans(mended, answers)[0] == pytest.approx(0, abs=1e-9)
    # What the feature does not say is still there, at its size in the joint fit.
    assert mended[1] == pytest.approx(head[1], abs=0.2) and mended[1] > 0.7


def test_a_head_does_not_move_along_a_forbidden_direction() -> None:
    votes, answers = random_votes()
    mended = debiased(fit_head(votes), votes, answers, directions=np.array([[0.0, 3.0, 0.0, 0.0], np.zeros(4)]))
    assert mended[1] == pytest.approx(0, abs=1e-9) and mended[0] > 0.5


def test_features_are_log_words_and_who_is_named_as_a_word_of_its_own() -> None:
    found = features_of(["ada left early", "Zoeology"], [LENGTH, "team: north", "team: south"], LISTS)
    assert found.tolist() == [[pytest.approx(np.log(3)), 1, 0], [0, 0, 0]]


def test_votes_know_who_said_so_what_was_shown_first_and_what_each_pair_weighs() -> None:
    comparisons = [compared("Ada left", "he came in", rater="b"), compared("x", "y", prompt="What?", rater="a")]
    answers = answers_of(comparisons, np.arange(4.0)[:, None], [LENGTH], LISTS)
    votes = votes_of(comparisons, answers, ["a", "b"])
    assert votes.states.tolist() == [[-1], [-1]] and votes.first.tolist() == [-1, -1]
    assert votes.rater.tolist() == [1, 0] and votes.prompt.tolist() == [0, 1] and votes.weight.tolist() == [1, 1]


def test_weights_give_each_group_its_share_of_the_population() -> None:
    raters = ["n"] * 6 + ["s"] * 2
    found = weighting(raters, {"n": {"g": "north"}, "s": {"g": "south"}}, {"g": {"north": 0.5, "south": 0.5}}, cap=5)
    assert found.weight == {"n": pytest.approx(4 / 6), "s": pytest.approx(2)}
    # Kish: 8² / (6 · (2/3)² + 2 · 2²) = 64 / 10.667
    assert found.effective == pytest.approx(6) and found.capped == () and found.unknown == 0


def test_a_cap_holds_and_is_told() -> None:
    raters = ["n"] * 9 + ["s"]
    found = weighting(raters, {"n": {"g": "north"}, "s": {"g": "south"}}, {"g": {"north": 0.5, "south": 0.5}}, cap=2)
    assert found.weight["s"] == pytest.approx(2) and found.weight["n"] == pytest.approx(8 / 9)
    assert found.capped == ("g=south",) and "below their share" in found.lines()[1]


def test_two_attributes_are_raked_until_both_fit_and_strangers_keep_weight_one() -> None:
    attributes = {
        "a": {"g": "north", "age": "old"},
        "b": {"g": "north", "age": "young"},
        "c": {"g": "south", "age": "old"},
        "d": {"g": "south", "age": "young"},
    }
    raters = [*"aaabbcddd", "x"]
    wanted = {"g": {"north": 0.3, "south": 0.7}, "age": {"old": 0.6, "young": 0.4}}
    found = weighting(raters, attributes, wanted, cap=10)
    total = sum(found.weight[r] for r in "aaabbcddd")
    assert sum(found.weight[r] for r in "aaabb") / total == pytest.approx(0.3)
    assert sum(found.weight[r] for r in "aaac") / total == pytest.approx(0.6)
    assert found.weight["x"] == 1 and found.unknown == 1


def test_a_group_that_nobody_judged_for_is_refused_by_name() -> None:
    with pytest.raises(DataError, match="nobody of 'south' judged; raters told north"):
        weighting(["n"], {"n": {"g": "north"}}, {"g": {"north": 0.5, "south": 0.5}}, cap=5)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"population": {"g": {"a": 0.5, "b": 0.2}}}, "add up to 1"),
        (
            {"population": {"g": {"a": 1.0}}, "loss": "plackett_luce", "raters": {"kind": "none"}},
            "reads whole orders",
        ),
        ({"debias": ["colour"]}, "length"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        RewardConfig.model_validate(settings)


def test_a_weighted_target_weighs_pairs_and_votes_of_that_rater_only() -> None:
    target = target_of(compared("a", "b", rater="n"))
    assert target is not None
    weighted = target.weighted({"n": 3.0})
    assert weighted.pairs.weight.tolist() == [3] and weighted.votes.weight.tolist() == [3]
    assert target.weighted({"other": 3.0}).pairs.weight.tolist() == [1]


def test_a_copy_exchanges_both_groups_everywhere_and_keeps_who_won() -> None:
    one = compared("Ada helped Zoe.", "Nobody helped.", prompt="Did Abe help?")
    copies = counterfactual_copies([one], LISTS)
    [copy] = copies.comparisons
    assert copy.prompt.text == "Did Zac help?" and copy.prompt.id != one.prompt.id
    assert [c.text for c in copy.completions] == ["Zoe helped Ada.", "Nobody helped."]
    assert copy.judgments == one.judgments and "north" in copy.meta[MARK] and copies.of == (0,)


def test_copies_of_held_out_prompts_and_what_names_nobody_are_not_made() -> None:
    copies = counterfactual_copies(
        [compared("a", "b"), compared("a", "b", prompt="Is Ada in?")],
        LISTS,
        held_out=[compared("x", "y", prompt="Is Zoe in?")],
    )
    assert copies.comparisons == () and (copies.mentioning, copies.held_out) == (1, 1)


def test_answers_that_differ_in_a_name_only_are_exchanged_and_not_made_alike() -> None:
    [copy] = counterfactual_copies([compared("Ada won", "Zoe won")], LISTS).comparisons
    assert [c.text for c in copy.completions] == ["Zoe won", "Ada won"]


def test_an_exchange_direction_is_the_mean_change_of_state_of_a_group() -> None:
    comparisons = [compared(f"Ada did {i}", f"he did {i}", prompt=f"q {i}") for i in range(25)]
    copies = counterfactual_copies(comparisons, LISTS)
    states = np.tile([[5.0, 1.0], [7.0, 7.0]], (25, 1))
    changed = np.tile([[3.0, 1.0], [7.0, 7.0]], (25, 1))
    assert exchange_directions(comparisons, states, copies, changed, LISTS).tolist() == [[2, 0]]
