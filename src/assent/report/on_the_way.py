"""Answers from the way: what a policy said to the same few prompts while it was trained, over the steps."""

from __future__ import annotations

from dataclasses import dataclass

from assent.artifacts.store import Artifact
from assent.core.runlog import SAMPLES, read_shown
from assent.report.diff import visible
from assent.report.run_folder import Run

MOST = 6
"""So many answers to a prompt are shown at most: the first, the last, and some between."""


@dataclass(frozen=True)
class Followed:
    """A prompt with the answers that it got on the way."""

    prompt: str
    answers: tuple[tuple[int, str], ...]
    """Steps taken, and the answer then."""


@dataclass(frozen=True)
class Way:
    """The way of one training."""

    title: str
    measured: int
    """Evaluations at which answers were kept."""
    prompts: tuple[Followed, ...]


def ways(run: Run) -> tuple[Way, ...]:
    """Of fine-tuning and of the method of each round, where answers were kept; what could hide text is spelled out."""
    stages: list[tuple[str, Artifact | None]] = [("Fine-tuning", run.stage("sft"))]
    stages += [(f"Round {one.number}, optimization", one.artifacts.get("optimize")) for one in run.rounds]
    found = [_way(title, artifact) for title, artifact in stages if artifact is not None]
    return tuple(one for one in found if one is not None)


def _way(title: str, artifact: Artifact) -> Way | None:
    if SAMPLES not in artifact.manifest.files:
        return None
    by_prompt: dict[str, dict[int, str]] = {}
    for after, one in read_shown(artifact.folder):
        by_prompt.setdefault(one.prompt, {})[after] = one.answer
    steps = sorted({after for answers in by_prompt.values() for after in answers})
    shown = _spread(steps)
    prompts = tuple(
        Followed(visible(prompt), tuple((n, visible(answers[n])) for n in shown if n in answers))
        for prompt, answers in by_prompt.items()
    )
    return Way(title, len(steps), prompts)


def _spread(steps: list[int]) -> list[int]:
    """At most `MOST` of them, evenly, the first and the last included."""
    if len(steps) <= MOST:
        return steps
    return [steps[round(i * (len(steps) - 1) / (MOST - 1))] for i in range(MOST)]
