"""A task as the pages of admins and adjudicators show it: rendered, lettered, without where the answers come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assent.core.shown import shown
from assent.core.types import Judgment, Ranking, Task
from assent.feedback.quality.words import count_words
from assent.feedback.records.settings import Texts
from assent.web.admin.order_form import LETTERS, field_of
from assent.web.render.markup import render
from assent.web.render.turns import ShownTurn, turns_html


@dataclass(frozen=True)
class AnswerView:
    """An answer under its letter."""

    letter: str
    id: str
    html: str
    words: int
    field: str
    """The form field of its place."""


@dataclass(frozen=True)
class TaskView:
    """A task ready to be shown."""

    task: Task
    turns: tuple[ShownTurn, ...]
    answers: tuple[AnswerView, ...]

    @property
    def letters(self) -> dict[str, str]:
        """Answer id -> letter."""
        return {answer.id: answer.letter for answer in self.answers}

    @property
    def order(self) -> tuple[str, ...]:
        """Answer ids by letter."""
        return tuple(answer.id for answer in self.answers)

    def sentence(self, ranking: Ranking | None) -> str:
        """An order in letters: B > A = C; empty where there is none."""
        if ranking is None:
            return ""
        known = [[self.letters[i] for i in tier if i in self.letters] for tier in ranking.tiers]
        return " > ".join(" = ".join(sorted(tier)) for tier in known if tier)

    def flags(self, judgment: Judgment) -> list[tuple[str, str]]:
        """Letter and flag of everything a judgment flags."""
        found = [(self.letters[i], flag) for i, flags in judgment.flags.items() if i in self.letters for flag in flags]
        return sorted(found)


def task_view(task: Task, texts: Texts, order: Sequence[str] | None = None) -> TaskView:
    """The view of a task as raters see it, its answers in `order`, else as the task lists them."""
    said = {completion.id: completion.text for completion in task.completions}
    return TaskView(
        task=task,
        turns=tuple(turns_html(shown(task.prompt), texts)),
        answers=tuple(
            AnswerView(LETTERS[n], answer, render(said[answer], how=texts), count_words(said[answer]), field_of(n))
            for n, answer in enumerate(order or said)
        ),
    )
