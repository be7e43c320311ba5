"""Scores by criterion in a run's own evaluation: means before and after, and what a judgment without them says."""

from __future__ import annotations

from assent.core.types import Completion, Judgment, Prompt, Ranking
from assent.evaluation.suite import Asked
from assent.evaluation.suites.own import measure
from assent.evaluation.winrate import Pair, blind_tasks, read_scores
from assent.report.figures import BeforeAfter, dumbbells


def _pairs(number: int = 3) -> list[Pair]:
    prompts = [Prompt.of(f"question {n}") for n in range(number)]
    return [
        Pair(p, *(Completion(prompt_id=p.id, text=f"{text} {p.text}", source=text) for text in ("new", "old")))
        for p in prompts
    ]


def _measured(pairs: list[Pair], scores: dict[int, tuple[float, float]]) -> dict[str, object]:
    """Judged in both orders; on prompt n the new answer and the old one get these scores, elsewhere only a ranking."""
    tasks, judgments = blind_tasks(pairs), []
    for task in tasks:
        n = next(i for i, pair in enumerate(pairs) if pair.prompt.id == task.prompt.id)
        given = dict(zip((pairs[n].new.id, pairs[n].baseline.id), scores.get(n, ()), strict=False))
        said = {answer: {"helpful": value} for answer, value in given.items()}
        ranking = Ranking(tiers=((pairs[n].new.id,), (pairs[n].baseline.id,)))
        judgments.append(Judgment(task_id=task.id, rater_id="lm", id=task.id, ranking=ranking, scores=said))
    seen = Asked(
        [pair.prompt for pair in pairs],
        [pair.baseline for pair in pairs],
        [pair.new for pair in pairs],
        scores=read_scores(pairs, tasks, judgments),
    )
    return dict(measure(seen))


def test_means_before_and_after_by_hand() -> None:
    """New 4 and 5, old 3 and 2 on two prompts, the third unscored: 2.5 before, 4.5 after, 2 more."""
    report = _measured(_pairs(), {0: (4, 3), 1: (5, 2)})["criteria"]
    one = report.measures["helpful"]  # type: ignore[attr-defined]
    assert (one.before.estimate, one.after.estimate, one.difference.estimate, one.n) == (2.5, 4.5, 2.0, 2)
    assert one.difference.low < 2 < one.difference.high
    assert report.notes == {"scores on helpful": 8}, "both orders of both answers"  # type: ignore[attr-defined]


def test_without_scores_there_is_no_such_suite() -> None:
    assert "criteria" not in _measured(_pairs(), {})


def test_one_scored_prompt_gives_no_mean() -> None:
    report = _measured(_pairs(), {0: (4, 3)})["criteria"]
    one = report.measures["helpful"]  # type: ignore[attr-defined]
    assert (one.before, one.after, one.difference) == (None, None, None)


def test_scores_are_drawn_in_points_and_shares_in_percent() -> None:
    one = _measured(_pairs(), {0: (4, 3), 1: (5, 2)})["criteria"].measures["helpful"]  # type: ignore[attr-defined]
    assert "2.50 → 4.50" in dumbbells([BeforeAfter("helpful", one.before, one.after)], "criteria")
