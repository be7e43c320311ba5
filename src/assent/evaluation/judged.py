"""Answers judged for a suite: one task per answer, scores by criterion brought onto 0 to 1, what is missing counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from assent.core.errors import ConfigError, DataError
from assent.core.hashing import hash_json, short
from assent.core.types import Completion, Judgment, Prompt, Task
from assent.raters.rater import SingleRater

EMPTY = "empty answer"
UNJUDGED = "not judged"


def judged(
    judge: SingleRater | None, prompts: Sequence[Prompt], answers: Sequence[str], scale: tuple[float, float]
) -> list[tuple[dict[str, float], str]]:
    """The scores of each answer by criterion, from `scale` onto 0 to 1, and why there are none, if so.

    An empty answer gets the lowest score of every criterion that other answers are judged by. Raises ConfigError for a
    judge that gives no scores at all, DataError for a score outside of the scale.
    """
    if judge is None:
        raise ConfigError("a suite wants a judge and has none; name one as `judge` beside `suites`")
    asked = {n: _task(prompts[n], answer) for n, answer in enumerate(answers) if answer.strip()}
    unique = {task.id: task for task in asked.values()}
    said = {one.task_id: one for one in judge.judge(list(unique.values()))}
    found = {n: _scores(said.get(task.id), task, scale) for n, task in asked.items()}
    criteria = list(dict.fromkeys(name for scores, _ in found.values() for name in scores))
    if asked and not criteria:
        reasons = {one.skip_reason for one in said.values() if one.skip_reason}
        why = f": {sorted(reasons)[0]}" if reasons else " but an order; take an autorater with mode: scores"
        raise ConfigError(f"judge {judge.record.id} gave no scores of {len(asked)} answers{why}")
    return [found[n] if n in found else (dict.fromkeys(criteria, 0.0), EMPTY) for n in range(len(answers))]


def overall(scores: Mapping[str, float]) -> float | None:
    """The mean over criteria; None where there is none."""
    return sum(scores.values()) / len(scores) if scores else None


def _task(prompt: Prompt, answer: str) -> Task:
    completion = Completion(prompt_id=prompt.id, text=answer, source="suite")
    return Task(
        id="t-" + short(hash_json([prompt.id, completion.id])),
        prompt=prompt,
        completions=(completion,),
        kind="rate",
        purpose="evaluation",
    )


def _scores(said: Judgment | None, task: Task, scale: tuple[float, float]) -> tuple[dict[str, float], str]:
    values = {} if said is None else said.scores.get(task.completions[0].id, {})
    if not values:
        reason = said.skip_reason if said is not None and said.skip_reason else "no score"
        return {}, f"{UNJUDGED}: {reason}"
    low, high = scale
    for name, value in values.items():
        if not low <= value <= high:
            raise DataError(
                f"the judge gave {value:g} for {name}, outside of {low:g} to {high:g}; set the suite's scale to the"
                " judge's own"
            )
    return {name: (value - low) / (high - low) for name, value in values.items()}, ""
