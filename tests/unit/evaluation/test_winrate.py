"""Win rates: blind, both orders, ties half; length control removes what length explains and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from assent.core import seeds
from assent.core.types import Completion, Judgment, Prompt, Ranking, Task
from assent.evaluation.length_control import length_controlled
from assent.evaluation.winrate import Pair, Verdict, blind_tasks, read_verdicts, win_rate


def pair(n: int, *, new: str = "new answer", baseline: str = "old answer") -> Pair:
    prompt = Prompt.of(f"question {n}")
    return Pair(
        prompt,
        Completion(prompt_id=prompt.id, text=new, source="policy-2", meta={"policy": "new"}),
        Completion(prompt_id=prompt.id, text=baseline, source="policy-1"),
    )


def judged(tasks: list[Task], choose: Callable[[Task], Ranking | None], rater: str = "ann") -> list[Judgment]:
    return [Judgment(task_id=t.id, rater_id=rater, ranking=choose(t)) for t in tasks]


def first_shown(task: Task) -> Ranking:
    return Ranking(tiers=tuple((c.id,) for c in task.completions))


def longer(task: Task) -> Ranking:
    return Ranking.by_score({c.id: float(len(c.text)) for c in task.completions})


def test_every_pair_is_shown_in_both_orders_and_the_tasks_tell_nothing_about_origin() -> None:
    tasks = blind_tasks([pair(1), pair(2)])
    assert len(tasks) == 4 == len({t.id for t in tasks})
    assert tasks[0].completions == tasks[1].completions[::-1]
    assert all(t.purpose == "evaluation" for t in tasks)
    assert "policy" not in "".join(t.model_dump_json() for t in tasks)


def test_a_rater_who_prefers_the_new_answer_gives_it_every_point_in_both_orders() -> None:
    pairs = [pair(n, new="a long new answer", baseline="short") for n in range(4)]
    tasks = blind_tasks(pairs)
    verdicts = read_verdicts(pairs, tasks, judged(tasks, longer))
    assert [v.score for v in verdicts] == [1.0] * 8
    assert sorted(v.is_new_first for v in verdicts) == [False] * 4 + [True] * 4
    found = win_rate(verdicts)
    assert found.win_rate.estimate == 1.0 and found.win_rate.low < 1.0
    assert found.swap_consistency == 1.0
    assert found.first_shown.estimate == 0.5


def test_a_rater_who_always_takes_the_first_answer_shows_as_position_bias_not_as_a_win() -> None:
    pairs = [pair(n) for n in range(10)]
    tasks = blind_tasks(pairs)
    found = win_rate(read_verdicts(pairs, tasks, judged(tasks, first_shown)))
    assert found.win_rate.estimate == 0.5
    assert found.first_shown.estimate == 1.0
    assert found.swap_consistency == 0.0
    assert found.ties == 0.0


def test_ties_count_half_and_a_skipped_task_counts_nothing() -> None:
    pairs = [pair(n) for n in range(2)]
    tasks = blind_tasks(pairs)
    new_ids = {p.new.id for p in pairs}

    def choose(task: Task) -> Ranking | None:
        place = tasks.index(task)
        if place == 0:
            return None
        if place == 1:
            return Ranking(tiers=(tuple(c.id for c in task.completions),))
        return Ranking.by_score({c.id: float(c.id in new_ids) for c in task.completions})

    verdicts = read_verdicts(pairs, tasks, judged(tasks, choose))
    assert sorted(v.score for v in verdicts) == [0.5, 1.0, 1.0]
    found = win_rate(verdicts)
    assert found.win_rate.estimate == pytest.approx(2.5 / 3)
    assert found.ties == pytest.approx(1 / 3)
    assert (found.prompts, found.verdicts, found.raters) == (2, 3, 1)


def test_the_order_a_rater_really_saw_wins_over_the_order_of_the_task() -> None:
    one = pair(1)
    task = blind_tasks([one])[0]
    seen = Judgment(
        task_id=task.id, rater_id="ann", ranking=first_shown(task), order_shown=(one.baseline.id, one.new.id)
    )
    (verdict,) = read_verdicts([one], [task], [seen])
    assert not verdict.is_new_first


def test_judgments_of_other_tasks_are_left_out() -> None:
    pairs = [pair(1)]
    stranger = Judgment(task_id="training-7", rater_id="ann", ranking=Ranking(tiers=(("x",), ("y",))))
    assert read_verdicts(pairs, blind_tasks(pairs), [stranger]) == []


def test_a_win_rate_of_one_prompt_is_refused() -> None:
    pairs = [pair(1)]
    tasks = blind_tasks(pairs)
    with pytest.raises(ValueError, match="at least two prompts"):
        win_rate(read_verdicts(pairs, tasks, judged(tasks, longer)))


def simulated(
    world: int, *, skill: float, length_effect: float, shift: float, prompts: int = 150, raters: int = 6
) -> list[Verdict]:
    """Raters prefer the new answer with logit skill + length_effect · tanh(Δ / 100), Δ ~ N(shift, 100) characters."""
    draw = seeds.stream(9, "verdicts", world)
    found = []
    for p in range(prompts):
        difference = round(draw.normal(shift, 100))
        chance = 1 / (1 + np.exp(-(skill + length_effect * np.tanh(difference / 100))))
        for is_first in (True, False):
            found.append(
                Verdict(
                    prompt_id=f"p{p}",
                    rater_id=f"r{p % raters}",
                    pair_id=f"p{p}",
                    score=float(draw.random() < chance),
                    is_new_first=is_first,
                    new_length=1000 + difference,
                    baseline_length=1000,
                )
            )
    return found


def test_identical_models_get_a_half_with_an_interval_around_it() -> None:
    found = win_rate(simulated(0, skill=0.0, length_effect=0.0, shift=0.0))
    for estimate in (found.win_rate, found.length_controlled, found.over_raters, found.first_shown):
        assert estimate is not None
        assert estimate.low < 0.5 < estimate.high
        assert abs(estimate.estimate - 0.5) < 0.06


def test_length_control_removes_an_advantage_that_is_only_length() -> None:
    found = win_rate(simulated(1, skill=0.0, length_effect=3.0, shift=60.0, prompts=400))
    assert found.win_rate.low > 0.55
    assert found.length_controlled.low < 0.5 < found.length_controlled.high
    assert found.new_is_longer > 0.6


def test_length_control_keeps_skill_that_longer_answers_of_the_other_side_hide() -> None:
    found = win_rate(simulated(2, skill=1.0, length_effect=3.0, shift=-60.0, prompts=400))
    assert found.win_rate.estimate < 0.55
    # At equal length the truth is σ(1) = 0.731.
    assert found.length_controlled.low < 0.731 < found.length_controlled.high
    assert found.length_controlled.low > 0.6


def test_without_length_differences_length_control_changes_nothing() -> None:
    scores = np.array([1.0, 1.0, 0.5, 0.0, 1.0, 1.0] * 20)
    names = [f"p{i}" for i in range(120)]
    found = length_controlled(scores, np.zeros(120), names)
    assert found.estimate == pytest.approx(90.5 / 121, abs=1e-6), "Jeffreys' prior adds half a win and half a loss"


def test_length_control_of_a_clean_sweep_stays_finite_and_high() -> None:
    difference = np.linspace(-100, 100, 60)
    found = length_controlled(np.ones(60), difference, [f"p{i}" for i in range(60)])
    assert 0.9 < found.low < found.estimate < found.high < 1.0


def test_length_control_matches_the_regression_solved_by_hand() -> None:
    # Δ = ±d only, so tanh(Δ / sd) = ±tanh(1): two groups of 200. With Jeffreys' half a win and half a loss in each,
    # their logits are ln(160.5 / 40.5) = 1.376992 and ln(80.5 / 120.5) = -0.403393; θ is their mean 0.486800.
    scores = np.array(([1.0] * 4 + [0.0]) * 40 + ([1.0] * 2 + [0.0] * 3) * 40)
    difference = np.array([50.0] * 200 + [-50.0] * 200)
    found = length_controlled(scores, difference, [f"p{i}" for i in range(400)])
    assert found.estimate == pytest.approx(0.619352, abs=2e-6)


def test_intervals_of_win_rates_cover_the_truth_about_95_times_in_100() -> None:
    # skill 0.4 at shift 0: tanh is symmetric, so the plain truth is the mean over lengths; at equal length σ(0.4).
    lengths = seeds.stream(9, "truth").normal(0, 100, size=200_000).round()
    plain_truth = float(np.mean(1 / (1 + np.exp(-(0.4 + 1.0 * np.tanh(lengths / 100))))))
    equal_truth = float(1 / (1 + np.exp(-0.4)))
    plain = equal = 0
    for world in range(80):
        verdicts = simulated(100 + world, skill=0.4, length_effect=1.0, shift=0.0, prompts=80, raters=2)
        found = win_rate(verdicts)
        plain += found.win_rate.low <= plain_truth <= found.win_rate.high
        equal += found.length_controlled.low <= equal_truth <= found.length_controlled.high
    assert 0.90 <= plain / 80 <= 0.99
    assert 0.90 <= equal / 80 <= 0.99


@pytest.mark.parametrize(("prompts", "skill"), [(10, 0.5), (10, 3.0), (30, 4.0), (60, 4.0)])
def test_length_control_covers_the_truth_at_extreme_shares_and_with_few_prompts(prompts: int, skill: float) -> None:
    truth, inside = 1 / (1 + np.exp(-skill)), 0
    for world in range(60):
        verdicts = simulated(500 + world, skill=skill, length_effect=0.5, shift=0.0, prompts=prompts)
        found = win_rate(verdicts).length_controlled
        inside += found.low <= truth <= found.high
    assert inside / 60 >= 0.9


def test_the_headline_holds_over_other_raters() -> None:
    verdicts = simulated(3, skill=0.5, length_effect=0.0, shift=0.0, raters=3)
    several, alone = win_rate(verdicts), win_rate([v for v in verdicts if v.rater_id == "r0"])
    assert several.headline == several.over_raters != several.win_rate
    assert alone.over_raters is None and alone.headline == alone.win_rate


def test_an_unusable_answer_loses_against_one_with_a_place() -> None:
    pairs = [pair(n) for n in range(2)]
    tasks = blind_tasks(pairs)
    new = {p.prompt.id: p.new.id for p in pairs}

    def only_the_new(task: Task) -> Ranking:
        return Ranking(tiers=((new[task.prompt.id],),))

    assert {v.score for v in read_verdicts(pairs, tasks, judged(tasks, only_the_new))} == {1.0}
