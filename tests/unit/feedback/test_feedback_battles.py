"""Battles read back from the store, and the table of models they make."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from assent.core import seeds
from assent.core.types import Completion, Judgment, Prompt, Ranking, Rater, Task
from assent.feedback.battles import Battle, battles, fit, standings
from assent.feedback.store import Store


def _fight(store: Store, n: int, says: str, *, rater: str = "anna", leak: bool = False, flags: bool = False) -> None:
    """One battle of old against new; `says` is the name preferred, or tie."""
    prompt = Prompt.of(f"question {n}")
    answers = [
        Completion(prompt_id=prompt.id, text=f"{name} {n}", source=name, meta={"leak": True} if leak else {})
        for name in ("old", "new")
    ]
    task = Task(id=f"battle-{n:03}", prompt=prompt, completions=tuple(answers), kind="battle", purpose="evaluation")
    served = store.add_task_for(rater, task, now=float(n))
    by_name = {answer.source: answer.id for answer in answers}
    rest = {"old": "new", "new": "old"}
    tiers = ((by_name[says],), (by_name[rest[says]],)) if says in by_name else (tuple(by_name.values()),)
    judgment = Judgment(
        id=f"j{n}",
        task_id=task.id,
        rater_id=rater,
        ranking=Ranking(tiers=tiers),
        flags=dict.fromkeys(by_name.values(), ("unusable",)) if flags else {},
    )
    store.submit(judgment, token=served.token, now=float(n))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store.open(f"sqlite:///{tmp_path}/store.db", seed=1)
    store.register_rater(Rater(id="anna", kind="person"), now=0)
    return store


def test_battles_come_back_as_they_were_decided_with_the_model_shown_first_in_front(store: Store) -> None:
    for n in range(12):
        _fight(store, n, "new")
    found = battles(store, "default")
    assert len(found) == 12
    for battle in found:
        winner = battle.model_a if battle.outcome == "a" else battle.model_b
        assert winner == "new"
    assert {battle.model_a for battle in found} == {"old", "new"}, "sides are shuffled"


def test_ties_are_told_from_answers_that_are_both_bad(store: Store) -> None:
    _fight(store, 1, "tie")
    _fight(store, 2, "tie", flags=True)
    assert [battle.outcome for battle in battles(store, "default")] == ["tie", "both_bad"]


def test_votes_on_answers_that_name_their_model_are_void(store: Store) -> None:
    _fight(store, 1, "new", leak=True)
    _fight(store, 2, "old")
    [battle] = battles(store, "default")
    assert battle.outcome in ("a", "b")
    [only] = [standing for standing in standings([battle]) if standing.wins]
    assert only.model == "old"


def test_chat_turns_and_other_projects_are_no_battles(store: Store) -> None:
    _fight(store, 1, "new")
    assert battles(store, "elsewhere") == []
    assert standings([]) == []


def test_strengths_solve_the_likelihood_equation() -> None:
    """Three wins and one loss between two: with x = s_a − s_b and s_a = x/2, 3 − 4σ(x) + ½ − σ(x/2) = 0."""
    a, b = np.zeros(4, int), np.ones(4, int)
    strengths = fit(a, b, np.array([1.0, 1.0, 1.0, 0.0]), np.ones(4), 2)
    x = strengths[0] - strengths[1]

    def sigma(z: float) -> float:
        return 1 / (1 + math.exp(-z))

    assert 3 - 4 * sigma(x) + 0.5 - sigma(x / 2) == pytest.approx(0, abs=1e-9)
    assert strengths.sum() == pytest.approx(0)


def test_a_model_that_won_everything_has_a_finite_strength() -> None:
    table = standings([Battle("new", "old", "a")] * 20)
    assert [standing.model for standing in table] == ["new", "old"]
    assert 1 < table[0].strength.estimate < 6
    assert table[0].strength.low > 0


def test_swapping_the_sides_changes_nothing() -> None:
    fought = [Battle("x", "y", "a"), Battle("y", "z", "tie"), Battle("z", "x", "b"), Battle("x", "y", "b")]
    turned = {"a": "b", "b": "a", "tie": "tie"}
    swapped = [Battle(b.model_b, b.model_a, turned[b.outcome]) for b in fought]  # type: ignore[arg-type]
    for one, other in zip(standings(fought), standings(swapped), strict=True):
        assert (one.model, one.wins, one.losses, one.ties) == (other.model, other.wins, other.losses, other.ties)
        assert one.strength.estimate == pytest.approx(other.strength.estimate)


def _played(truth: dict[str, float], count: int, rng: np.random.Generator) -> list[Battle]:
    names = sorted(truth)
    found = []
    for n in range(count):
        one, other = (names[i] for i in rng.permutation(len(names))[:2])
        p = 1 / (1 + math.exp(truth[other] - truth[one]))
        found.append(Battle(one, other, "a" if rng.random() < p else "b", f"rater {n % 40}"))
    return found


def test_the_table_finds_known_strengths_and_its_intervals_hold_them() -> None:
    truth = {"a": 1.0, "b": 0.25, "c": -0.25, "d": -1.0}
    inside = total = 0
    for seed in range(25):
        table = standings(_played(truth, 400, seeds.stream(seed, "test battles")))
        inside += sum(s.strength.low <= truth[s.model] <= s.strength.high for s in table)
        total += len(table)
    assert [s.model for s in table] == ["a", "b", "c", "d"]
    assert inside / total > 0.85


def test_votes_of_the_same_person_hang_together() -> None:
    """Twelve raters who each say the same ten times know less than 120 who say it once."""
    said = ["a"] * 8 + ["b"] * 4
    together = [Battle("x", "y", said[i // 10], f"r{i // 10}") for i in range(120)]  # type: ignore[arg-type]
    apart = [Battle("x", "y", said[i // 10], f"r{i}") for i in range(120)]  # type: ignore[arg-type]
    widths = [table[0].strength.high - table[0].strength.low for table in (standings(together), standings(apart))]
    assert widths[0] > 2 * widths[1]


def test_both_bad_counts_as_a_tie_and_is_told_apart() -> None:
    fought = [Battle("x", "y", "both_bad"), Battle("x", "y", "tie"), Battle("x", "y", "a")]
    [x, y] = standings(fought)
    assert (x.model, x.battles, x.wins, x.losses, x.ties, x.both_bad) == ("x", 3, 1, 0, 2, 1)
    assert (y.wins, y.losses, y.ties, y.both_bad) == (0, 1, 2, 1)
