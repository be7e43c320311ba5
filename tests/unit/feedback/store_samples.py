"""Small tasks and judgments for the store's tests."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from assent.core.types import Comparison, Completion, Judgment, Prompt, Ranking, Rater, Task


def task(name: str, *, answers: int = 2, **fields: Any) -> Task:
    """A task `name` with answers `name/0`, `name/1`, …"""
    prompt = Prompt.of(f"question {name}", topic="test")
    completions = tuple(
        Completion(prompt_id=prompt.id, text=f"answer {i} to {name}", id=f"{name}/{i}", source=f"policy-{i % 2}")
        for i in range(answers)
    )
    return Task(id=name, prompt=prompt, completions=completions, **fields)


def judgment(task: Task, rater: str, name: str, **fields: Any) -> Judgment:
    """Rater `rater` ranks the answers of a task in the order the task lists them."""
    ranking = fields.pop("ranking", Ranking(tiers=tuple((c.id,) for c in task.completions)))
    return Judgment(task_id=task.id, rater_id=rater, id=name, ranking=ranking, **fields)


def comparison(name: str, raters: tuple[str, ...] = ("anna", "ben"), **fields: Any) -> Comparison:
    """A comparison of two answers on which all raters agree."""
    base = task(name)
    ranking = Ranking(tiers=tuple((c.id,) for c in base.completions), strengths=(2,))
    judgments = tuple(Judgment(task_id="", rater_id=rater, ranking=ranking) for rater in raters)
    return Comparison(prompt=base.prompt, completions=base.completions, judgments=judgments, **fields)


def people(*names: str) -> list[Rater]:
    """Raters without attributes."""
    return [Rater(id=name, kind="person") for name in names]


def at_once(number: int, work: Callable[[int], Any]) -> list[Any]:
    """What `work(0)` … `work(number - 1)` return when all start together; an error counts as what is returned."""
    together = threading.Barrier(number)
    results: list[Any] = [None] * number

    def run(i: int) -> None:
        together.wait()
        try:
            results[i] = work(i)
        except Exception as error:
            results[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
