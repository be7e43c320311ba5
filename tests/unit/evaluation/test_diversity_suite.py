"""Diversity of answers as a suite, and alarms where it falls beside the first policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from assent.core.types import Prompt
from assent.evaluation.catalog import suite_of
from assent.evaluation.collapse import collapse_alarms, sampler_alarm
from assent.evaluation.exam import Exam, sit
from assent.evaluation.outcomes import Found, report
from assent.evaluation.suites.config import DiversityConfig
from assent.generation.config import Sampling

WORDS = [f"{a}{b}" for a in ("red", "green", "blue") for b in ("sea", "hill", "moon", "tree", "bird")]


@dataclass
class Talker:
    """Says another text each time, or the same one to everybody, or a little of both."""

    same_share: float
    length: int = 12
    name: str = "talker"
    abilities: frozenset[str] = frozenset({"answers"})
    asked: list[int] = field(default_factory=list)

    def answers(self, prompts: Sequence[Prompt], *, sampling: Sampling, seed: int) -> list[str]:
        self.asked.append(seed)
        call = len(self.asked)
        return [self._one(i, call) for i in range(len(prompts))]

    def _one(self, prompt: int, call: int) -> str:
        if (prompt * 5 + call) % 8 < 8 * self.same_share:
            return " ".join(WORDS[: self.length])
        return " ".join(f"{WORDS[(prompt + call * k) % 15]}{call}{k}" for k in range(self.length))


def sat(subject: Talker) -> Found:
    config = DiversityConfig()
    return sit(suite_of(config), config, Exam(subject, 0))  # type: ignore[arg-type]


def alarms(after: Talker, before: Talker) -> tuple[str, ...]:
    kinds = suite_of(DiversityConfig()).kinds
    return collapse_alarms(report(sat(after), kinds, before=sat(before)).measures)


def test_every_prompt_is_answered_as_often_as_asked_with_seeds_of_its_own() -> None:
    subject = Talker(0)
    found = sat(subject)
    assert len(found.outcomes) == 16 and len(set(subject.asked)) == len(subject.asked) == 8
    assert all(one.values["top_opener"] == 1 / 8 for one in found.outcomes)


def test_one_answer_for_all_is_alarming_beside_a_policy_that_varies() -> None:
    said = alarms(Talker(1), Talker(0))
    assert any(": self bleu" in one for one in said) and any(": pooled top opener" in one for one in said)
    assert any(": EAD" in one for one in said) and any("opener entropy" in one for one in said)


def test_a_policy_that_has_not_changed_raises_no_alarm() -> None:
    assert alarms(Talker(0.5), Talker(0.5)) == ()


def test_answers_half_as_long_are_told() -> None:
    [said] = [one for one in alarms(Talker(0, length=6), Talker(0)) if "times as long" in one]
    assert said.startswith("Answers are 0.50 times as long")


def test_prompts_of_a_file_are_asked_once_each(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"prompt": "a"}\n{"prompt": "b"}\n{"prompt": "a"}\n', encoding="utf-8")
    config = DiversityConfig(path=path)
    assert [one.prompt.text for one in suite_of(config).load(config)] == ["a", "b"]


def test_a_sampler_that_is_another_policy_is_told() -> None:
    assert sampler_alarm(None) is None and sampler_alarm(0.01) is None
    said = sampler_alarm(0.2)
    assert said is not None and "0.200 nats" in said
