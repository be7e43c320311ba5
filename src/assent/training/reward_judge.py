"""A judge as a reward: each answer is asked about once, and what was said of it is kept for a resume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from assent.core.errors import FunctionError
from assent.core.hashing import hash_json
from assent.core.types import Completion, Judgment, Prompt, Task, said_in
from assent.raters.endpoint_cache import ReplyCache
from assent.raters.rater import SingleRater, given

_MIDDLE, _HALF = 3.0, 2.0  # of the scale from 1 to 5


@runtime_checkable
class Telling(Protocol):
    """A judge that says what is worth knowing of its work."""

    def lines(self) -> list[str]:
        """In words."""
        ...


@dataclass
class JudgeTally:
    """What became of the answers so far."""

    answers: int = 0
    asked: int = 0
    """Answers that the judge was asked about; the others were known."""
    failed: int = 0
    """Answers for which there is no verdict."""
    reason: str = ""
    """Why, of the last one."""

    def lines(self, name: str) -> list[str]:
        """The same in words."""
        said = [f"{name}: {self.asked} of {self.answers} answers were asked about, the others were known"]
        if self.failed:
            said.append(
                f"{name}: {self.failed} of {self.answers} answers got no verdict and the mean of the others to their"
                f" prompt instead (the last time because {self.reason})"
            )
        return said


@dataclass
class JudgeReward:
    """Mean over the criteria of a judge's scores, from 1 to 5, less 3 and halved."""

    judge: SingleRater
    identity: str
    """Hash of everything that decides what the judge says beside prompt and answer."""
    kept: ReplyCache
    failed: Literal["neutral", "error"] = "neutral"
    tally: JudgeTally = field(default_factory=JudgeTally)
    _known: dict[str, float | None] = field(default_factory=dict)
    """What was said of an answer, by its content; None: no verdict."""
    _share: float = field(default=0.0, init=False)

    def __call__(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        """One score per answer. Raises FunctionError where none, or with `failed: error` not each, gets a verdict."""
        keys = [self._key(*one) for one in zip(prompts, completions, strict=True)]
        asked = zip(keys, prompts, completions, strict=True)
        new = {key: (prompt, text) for key, prompt, text in asked if not self._is_known(key)}
        tasks = [_task(key, prompt, text) for key, (prompt, text) in new.items()]
        for said in given(self.judge, tasks) if tasks else ():
            for judgment in said:
                self._keep(judgment)
        found = [self._known[key] for key in keys]
        lost = [n for n, value in enumerate(found) if value is None]
        self.tally.answers += len(keys)
        self.tally.asked += len(tasks)
        self.tally.failed += len(lost)
        self._share = len(lost) / len(keys)
        if lost and (self.failed == "error" or len(lost) == len(keys)):
            raise FunctionError(
                f"{self.judge.record.id} gave no verdict on {len(lost)} of {len(keys)} answers, the last time because"
                f" {self.tally.reason}; take another judge or a shorter optimize.sampling.max_new_tokens"
            )
        return filled(found, [prompt.id for prompt in prompts])

    def watched(self) -> dict[str, float]:
        """Of the last call: the share of answers without a verdict."""
        return {"failed": self._share}

    def lines(self) -> list[str]:
        """What the judge itself has to say of its work."""
        return self.judge.lines() if isinstance(self.judge, Telling) else []

    def _key(self, prompt: Prompt, text: str) -> str:
        return hash_json([self.identity, said_in(prompt), text])

    def _is_known(self, key: str) -> bool:
        if key not in self._known and (reply := self.kept.get(key)) is not None:
            self._known[key] = reply["score"]
            self.tally.reason = reply["reason"] or self.tally.reason
        return key in self._known

    def _keep(self, judgment: Judgment) -> None:
        scores = [one for said in judgment.scores.values() for one in said.values()]
        value = (sum(scores) / len(scores) - _MIDDLE) / _HALF if scores else None
        reason = "" if scores else judgment.skip_reason or "it said nothing"
        self._known[judgment.task_id] = value
        self.tally.reason = reason or self.tally.reason
        self.kept.put(judgment.task_id, {"score": value, "reason": reason})


def filled(values: Sequence[float | None], groups: Sequence[str]) -> list[float]:
    """Each value, or where there is none the mean of its group, or of all where its group has none either."""
    known = [value for value in values if value is not None]
    of_group: dict[str, list[float]] = {}
    for value, group in zip(values, groups, strict=True):
        if value is not None:
            of_group.setdefault(group, []).append(value)
    means = {group: sum(some) / len(some) for group, some in of_group.items()}
    middle = sum(known) / len(known) if known else 0.0
    return [means.get(group, middle) if value is None else value for value, group in zip(values, groups, strict=True)]


def _task(key: str, prompt: Prompt, text: str) -> Task:
    return Task(
        id=key, prompt=prompt, completions=(Completion(prompt_id=prompt.id, text=text, id="answer"),), kind="rate"
    )
