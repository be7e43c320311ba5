"""The arena: strengths from comparisons, style apart, intervals over prompts, what must not pass unseen."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import minimize

from assent.core.types import Comparison, Completion, Judgment, Message, Prompt, Ranking
from assent.feedback.arena import Met, constant_models, met_in, style_of, table, tables
from assent.stats.bradley_terry import Meetings, fit_strengths


def fought(
    strengths: dict[str, float], prompts: int, *, seed: int = 0, style: float = 0.0, noise: float = 0.0
) -> list[Met]:
    """Two battles on each prompt; `noise` is how far a prompt favours a side in both."""
    random, names, found = np.random.default_rng(seed), list(strengths), []
    for prompt in range(prompts):
        a, b = random.choice(len(names), 2, replace=False)
        lean = random.normal() * noise
        for _ in range(2):
            length = float(random.uniform(-1, 1))
            d = strengths[names[a]] - strengths[names[b]] + style * length + lean
            score = float(random.random() < 1 / (1 + math.exp(-d)))
            found.append(Met(names[a], names[b], score, f"p{prompt}", "person", (length, 0.0, 0.0, 0.0)))
    return found


def test_two_models_by_hand() -> None:
    """Three wins of four, and half a win and half a loss against an average one for each: 3.5 / (3.5 + ...)"""
    met = [Met("a", "b", float(n < 3), f"p{n}", "person") for n in range(4)]
    found = table(met, draws=50)

    # By symmetry s_a = -s_b = s: 3 (1 - σ(2s)) - σ(2s) + (½ - σ(s)) = 0.
    def slope(s: float) -> float:
        return 3.5 - 4 / (1 + math.exp(-2 * s)) - 1 / (1 + math.exp(-s))

    s = next(x / 1e4 for x in range(20_000) if slope(x / 1e4) <= 0)
    assert found.places[0].model == "a" and found.places[0].strength.estimate == pytest.approx(s, abs=2e-4)
    assert found.places[1].strength.estimate == pytest.approx(-s, abs=2e-4)


def test_ties_as_davidson_has_them_agree_with_a_slow_maximiser() -> None:
    random = np.random.default_rng(3)
    first, second = random.integers(0, 4, 300), random.integers(0, 3, 300)
    second = np.where(second >= first, second + 1, second)
    score = random.choice([0.0, 0.5, 1.0], 300)
    covariates = random.normal(size=(300, 1))
    met = Meetings(first, second, score, 4, covariates)
    found = fit_strengths(met, np.ones(300), has_ties=True)

    def loss(theta: np.ndarray) -> float:
        d = theta[first] - theta[second] + covariates[:, 0] * theta[4]
        logits = np.stack([d / 2, np.full(300, theta[5]), -d / 2], axis=1)
        log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        chosen = log_p[np.arange(300), np.where(score == 1, 0, np.where(score == 0.5, 1, 2))].sum()
        prior = sum(0.5 * np.log(1 / (1 + np.exp(-s)) / (1 + np.exp(s))) for s in theta[:4])
        return -(chosen + prior) + 0.5e-3 * (theta[4] ** 2 + theta[5] ** 2)

    slow = minimize(loss, np.zeros(6), method="BFGS", options={"gtol": 1e-8}).x
    assert found.values == pytest.approx(slow[:4] - slow[:4].mean(), abs=1e-4)
    assert found.effects[0] == pytest.approx(slow[4], abs=1e-4)
    assert math.log(found.tie) == pytest.approx(slow[5], abs=1e-4)


def test_style_is_taken_out_and_its_effect_said() -> None:
    """Equal models, one of which writes longer, before judges who like length."""
    random, met = np.random.default_rng(1), []
    for n in range(1500):
        length = float(random.uniform(0, 1))
        score = float(random.random() < 1 / (1 + math.exp(-2 * length)))
        met.append(Met("long", "short", score, f"p{n}", "person", (length, 0.0, 0.0, 0.0)))
    plain, fair = (table(met, controls_style=c, draws=100) for c in (False, True))
    assert list(fair.style) == ["length"], "of headings that nobody wrote nothing is known"
    assert plain.places[0].model == "long" and plain.places[0].strength.low > 0.3
    assert abs(fair.places[0].strength.estimate) < plain.places[0].strength.estimate / 3
    assert fair.style["length"].estimate == pytest.approx(2, abs=3 * fair.style["length"].half_width / 2)


def test_intervals_cover_the_truth_where_prompts_lean() -> None:
    """Both battles of a prompt hang together: an interval over prompts covers, of single battles it would not."""
    truth = {"a": 0.6, "b": 0.0, "c": -0.6}
    covered = []
    for seed in range(60):
        found = table(fought(truth, 150, seed=seed, noise=1.5), draws=60, seed=seed)
        by_name = {place.model: place.strength for place in found.places}
        shrunk = 1 / math.sqrt(1 + 1.5**2 / 2.9)  # what a lean of prompts leaves of a difference on average
        covered += [one.low <= truth[name] * shrunk <= one.high for name, one in by_name.items()]
    assert np.mean(covered) > 0.88


def test_ranks_are_what_the_intervals_allow() -> None:
    found = table(fought({"a": 2.0, "b": 0.0, "c": 0.0}, 500), draws=100)
    ranks = {place.model: place.rank for place in found.places}
    assert ranks["a"] == (1, 1) and ranks["b"][1] == 3 and ranks["c"][1] == 3


def test_kinds_of_raters_are_apart_and_together_only_with_weights() -> None:
    people = [Met("a", "b", 1.0, f"p{n}", "person") for n in range(20)]
    judges = [Met("a", "b", 0.0, f"p{n}", "autorater") for n in range(20)]
    assert [one.kind for one in tables([*people, *judges], draws=50)] == ["person", "autorater"]
    *_, both = tables([*people, *judges], weights={"person": 1, "autorater": 0.2}, draws=50)
    assert both.kind == "together" and both.places[0].model == "a"
    *_, alone = tables([*people, *judges], weights={"person": 1}, draws=50)
    assert alone.battles == 20


def compared(answer: Callable[[str, int], str], prompts: int = 8) -> list[Comparison]:
    found = []
    for n in range(prompts):
        prompt = Prompt(messages=(Message(role="user", content=f"q{n}"),))
        models = ("canary", "real", "other")
        answers = tuple(Completion(prompt_id=prompt.id, text=answer(m, n), source=m) for m in models)
        ranking = Ranking(tiers=tuple((one.id,) for one in answers))
        said = Judgment(task_id=f"t{n}", rater_id="r", ranking=ranking, id=f"j{n}")
        found.append(Comparison(prompt=prompt, completions=answers, judgments=(said,)))
    return found


def test_a_model_that_says_one_thing_to_everybody_is_named() -> None:
    given = compared(lambda model, n: "I am here to help!" if model == "canary" else f"{model} says {n}")
    assert constant_models(given) == {"canary": 1.0}
    assert constant_models(given[:4]) == {}


def test_a_ranking_of_three_counts_like_two_comparisons() -> None:
    met = met_in(compared(lambda model, n: f"{model} {n}", prompts=1), {"r": "person"})
    assert len(met) == 3 and sum(one.weight for one in met) == pytest.approx(2)
    assert all({one.first, one.second} <= {"canary", "real", "other"} for one in met)


def test_models_that_met_nobody_of_the_others_are_named() -> None:
    met = [Met("a", "b", 1.0, "p", "person"), Met("a", "b", 0.0, "q", "person"), Met("x", "y", 1.0, "p", "person")]
    found = table(met, draws=50)
    strongest = found.places[0].model
    assert set(found.apart) == ({"x", "y"} if strongest in ("a", "b") else {"a", "b"})


def test_style_of_texts_by_hand() -> None:
    length, headings, lists, bold = style_of("# A\n- one\n- two\n**b**", "plain")
    assert length == pytest.approx((21 - 5) / (21 + 5)) and (headings, lists, bold) == (1.0, 1.0, 1.0)
    assert style_of("", "") == (0.0, 0.0, 0.0, 0.0)
