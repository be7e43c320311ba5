"""What a dashboard needs to know of a task, without its texts: where it belongs and how much there is to read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from assent.core.shown import shown
from assent.core.types import Task
from assent.feedback.quality.words import count_words

MAX_SLICE_TEXT = 60
"""A value of `meta` longer than this is data, not the name of a slice."""
_NOT_SLICES = frozenset({"repeat_of", "seed", "id"})


@dataclass(frozen=True)
class TaskFacts:
    """One task in numbers and names."""

    task_id: str
    prompt_id: str
    kind: str
    prompt_words: int
    answer_words: dict[str, int]
    """Answer id -> words."""
    slices: dict[str, str] = field(default_factory=dict)
    """What the prompt's meta says in short texts: language, topic, source …"""
    models: dict[str, str] = field(default_factory=dict)
    """Answer id -> the model that wrote it, where that is known."""
    opening: str = ""
    """The first words of the last user turn, to recognize the task by."""

    @classmethod
    def of(cls, task: Task) -> TaskFacts:
        """The facts of a task."""
        return cls(
            task_id=task.id,
            prompt_id=task.prompt.id,
            kind=task.kind,
            prompt_words=sum(count_words(one.text) for one in shown(task.prompt)),
            answer_words={c.id: count_words(c.text) for c in task.completions},
            slices={k: str(v) for k, v in task.prompt.meta.items() if _is_slice(k, v)},
            models={c.id: c.source for c in task.completions if c.source},
            opening=_opening(task.prompt.text),
        )

    @property
    def words(self) -> int:
        """Everything there is to read."""
        return self.prompt_words + sum(self.answer_words.values())

    @property
    def language(self) -> str | None:
        """The prompt's language, where its meta names it."""
        return self.slices.get("language") or self.slices.get("lang")


def _is_slice(key: str, value: Any) -> bool:
    if key in _NOT_SLICES or isinstance(value, bool):
        return False
    return isinstance(value, str | int) and 0 < len(str(value)) <= MAX_SLICE_TEXT


def _opening(text: str, limit: int = 90) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"
