"""The score of code in answers: whether it parses, what share of its tests pass, whether it is clean and safe."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from assent.checks.code.answers import code_in
from assent.checks.code.cases import Case
from assent.checks.code.findings import RULES, Severity, lint_findings, vulnerable_patterns
from assent.checks.code.sandbox import Sandbox, Trial
from assent.core.types import Prompt


@dataclass(frozen=True)
class Parts:
    """What was found of one code, each from 0 to 1. Code that does not parse has nothing."""

    parses: float
    passes: float
    """Share of the tests that hold; where there are none, whether it came to its end."""
    lint: float = 0.0
    """1 / (1 + findings)."""
    safe: float = 0.0
    """1 without a known vulnerable pattern."""

    def score(self, weights: Parts) -> float:
        """Their weighted sum. Clean and safe count by the share that passes: code that does nothing is both."""
        quality = weights.lint * self.lint + weights.safe * self.safe
        return weights.parses * self.parses + weights.passes * self.passes + quality * self.passes


@dataclass
class Spent:
    """What scoring took and found so far."""

    answers: int = 0
    runs: int = 0
    """Answers that are the same, to the same prompt, are run once a batch."""
    seconds: float = 0.0
    in_sandbox: float = 0.0
    stopped: int = 0
    """Runs that did not come to their end in time, memory or one process."""
    parses: float = 0.0
    passes: float = 0.0
    all_pass: int = 0
    last: dict[str, float] = field(default_factory=dict)
    """Of the last batch, by name."""

    def line(self) -> str:
        """In words."""
        n = max(self.answers, 1)
        return (
            f"{self.answers} answers, {self.parses / n:.1%} parse, {self.all_pass / n:.1%} pass all their tests"
            f" (mean share {self.passes / n:.1%}); {self.runs} runs of {self.in_sandbox / max(self.runs, 1):.2f} s,"
            f" {self.stopped} of them stopped, {self.seconds:.1f} s in all"
        )


@dataclass(frozen=True)
class CodeScore:
    """Scores of answers that are code; what they have to pass is known by prompt."""

    sandbox: Sandbox
    weights: Parts
    cases: Callable[[Prompt], tuple[Case, ...]]
    rules: str = RULES
    """Of ruff."""
    severity: Severity = "medium"
    """Of bandit's findings that count, the least."""
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    spent: Spent = field(default_factory=Spent, compare=False)

    def __call__(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        """One score per answer, at most the sum of the weights."""
        return [one.score(self.weights) for one in self.examine(prompts, completions)]

    def watched(self) -> dict[str, float]:
        """Of the last batch: shares that parse and that pass all tests, runs that were stopped, seconds."""
        return self.spent.last

    def examine(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[Parts]:
        """What was found of each answer. The same code for the same prompt is run once."""
        began = time.monotonic()
        asked = [(prompt.id, code_in(text)) for prompt, text in zip(prompts, completions, strict=True)]
        cases = {prompt.id: self.cases(prompt) for prompt in prompts}
        different = list(dict.fromkeys(asked))
        with ThreadPoolExecutor(max(1, self.workers)) as pool:
            trials = list(pool.map(lambda one: self._trial(one[1], cases[one[0]]), different))
        read = self._read([code for (_, code), trial in zip(different, trials, strict=True) if trial.parses])
        found = {
            (prompt, code): _parts(trial, cases[prompt], *read.get(code, (None, None)))
            for (prompt, code), trial in zip(different, trials, strict=True)
        }
        parts = [found[one] for one in asked]
        self._count(parts, trials, time.monotonic() - began)
        return parts

    def _trial(self, code: str, cases: Sequence[Case]) -> Trial:
        return self.sandbox.run(code, [one.call for one in cases])

    def _read(self, codes: Sequence[str]) -> dict[str, tuple[int | None, int | None]]:
        """Findings of ruff and bandit by code, where they are paid for."""
        different = list(dict.fromkeys(codes))
        nothing: list[int | None] = [None] * len(different)
        lint = lint_findings(different, self.rules) if self.weights.lint else nothing
        safe = vulnerable_patterns(different, self.severity) if self.weights.safe else nothing
        return dict(zip(different, zip(lint, safe, strict=True), strict=True))

    def _count(self, parts: Sequence[Parts], trials: Sequence[Trial], seconds: float) -> None:
        spent, stopped = self.spent, sum(one.stopped for one in trials)
        parses, passing = sum(one.parses for one in parts), sum(one.passes == 1 for one in parts)
        spent.answers += len(parts)
        spent.runs += len(trials)
        spent.seconds += seconds
        spent.in_sandbox += sum(one.seconds for one in trials)
        spent.stopped += stopped
        spent.parses += parses
        spent.passes += sum(one.passes for one in parts)
        spent.all_pass += passing
        n = max(len(parts), 1)
        spent.last = {"parses": parses / n, "passes": passing / n, "stopped": stopped, "seconds": seconds}


def _parts(trial: Trial, cases: Sequence[Case], lint: int | None, safe: int | None) -> Parts:
    if not trial.parses:
        return Parts(0.0, 0.0)
    held = sum(case.holds(value) for case, value in zip(cases, trial.values, strict=True))
    return Parts(
        parses=1.0,
        passes=held / len(cases) if cases else float(trial.ran),
        lint=0.0 if lint is None else 1 / (1 + lint),
        safe=float(safe == 0),
    )
