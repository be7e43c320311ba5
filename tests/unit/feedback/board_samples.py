"""Short ways to say rankings, tasks and submissions for the tests of what a dashboard computes."""

from __future__ import annotations

from typing import Any

from assent.core.types import Completion, Judgment, Prompt, Ranking, Task
from assent.feedback.quality.ballots import Said
from assent.feedback.quality.facts import TaskFacts
from assent.feedback.records.queue import SaidRow


def order(text: str) -> Ranking:
    """A ranking such as "b > a = c"."""
    return Ranking(tiers=tuple(tuple(tier.split(" = ")) for tier in text.split(" > ")))


def said(prompt: str, rater: str, text: str) -> Said:
    """One rater's ranking of one prompt's answers; its task is named like the prompt."""
    return Said(rater, prompt, order(text), judged(prompt, rater, text))


def judged(task: str, rater: str, text: str | None, **fields: Any) -> Judgment:
    """A judgment whose id is task and rater."""
    ranking = None if text is None else order(text)
    return Judgment(task_id=task, rater_id=rater, id=f"{task}/{rater}", ranking=ranking, **fields)


def known(task: str, *, prompt: str | None = None, words: dict[str, int] | None = None, **slices: str) -> TaskFacts:
    """What is known of a task with answers a and b, of ten words each, after a prompt of ten."""
    return TaskFacts(
        task_id=task,
        prompt_id=prompt or task,
        kind="rank",
        prompt_words=10,
        answer_words=words or {"a": 10, "b": 10},
        slices=slices,
        opening=f"question {task}",
    )


def submitted(task: str, rater: str, at: float, *, seconds: float | None = 60.0, **fields: Any) -> SaidRow:
    """A submission."""
    values: dict[str, Any] = {
        "judgment_id": f"{task}/{rater}",
        "kind": "rank",
        "purpose": "reward",
        "outcome": "ranked",
        "is_gold": False,
        "repeat_of": None,
        "is_translated": None,
        "is_surplus": False,
        "propensity": None,
    }
    return SaidRow(task_id=task, rater_id=rater, seconds=seconds, submitted_at=at, **(values | fields))


def lettered_task(name: str, letters: str = "ab", **meta: Any) -> Task:
    """A task whose answers are called by letters."""
    prompt = Prompt.of(f"question {name}", **meta)
    answers = tuple(Completion(prompt_id=prompt.id, text=f"answer {x} to {name}", id=f"{name}-{x}") for x in letters)
    return Task(id=name, prompt=prompt, completions=answers)
