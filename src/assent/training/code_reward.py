"""Settings of the reward of code: what it consists of, the tests it has to pass, and the sandbox that runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from pydantic import Field, model_validator

from assent.checks.code.cases import Case, cases_of
from assent.checks.code.findings import RULES, Severity, refuse_without
from assent.checks.code.protections import Isolation, open_sandbox
from assent.checks.code.sandbox import Limits
from assent.checks.code.scoring import CodeScore, Parts
from assent.core.config import Config
from assent.core.types import Prompt
from assent.training.term_config import Normalize, TermConfig, meta_at


class CodePartsConfig(Config):
    """What each part pays. `lint` and `safe` are paid by the share of tests that pass."""

    parses: float = Field(default=0.1, ge=0)
    """Paid for code that parses as Python and is not empty."""
    passes: float = Field(default=1.0, ge=0)
    """What the share of tests that hold is multiplied by."""
    lint: float = Field(default=0.0, ge=0)
    """Paid for clean code: divided by 1 + the number of ruff's findings. Needs `pip install "assent[code]"`."""
    safe: float = Field(default=0.0, ge=0)
    """Paid for code in which bandit finds no known vulnerable pattern. Needs `pip install "assent[code]"`."""

    @model_validator(mode="after")
    def _pays(self) -> CodePartsConfig:
        if not any((self.parses, self.passes, self.lint, self.safe)):
            raise ValueError("all parts are 0; give one of parses, passes, lint and safe a weight")
        return self


class CodeRewardConfig(TermConfig):
    """Code in the answer: does it parse, pass its tests, is it clean and safe. It is run in a sandbox."""

    kind: Literal["code"] = "code"
    """Which kind of reward this is."""
    tests: str | None = Field(default="tests", min_length=1)
    """Column of the prompt's row with its tests, a list of `{call, value}` or of `assert call == value`; null: there
    are none, the code only has to run."""
    parts: CodePartsConfig = CodePartsConfig()
    """What each part pays."""
    isolation: Isolation = "auto"
    """How code is kept away from files and the network: by bubblewrap or landlock; auto takes the first that
    works on this machine. limits_only limits time and memory and hides no files."""
    seconds: float = Field(default=2.0, gt=0, le=600)
    """Processor time for all tests of an answer, rounded up to whole seconds."""
    wall_seconds: float = Field(default=10.0, gt=0, le=3600)
    """Seconds after which it is killed, whatever it waits for."""
    memory_mb: int = Field(default=512, ge=128)
    """Memory that it may use (address space)."""
    workers: int | None = Field(default=None, ge=1, json_schema_extra={"affects_result": False})
    """Answers that run at a time; null: one a core."""
    rules: str = Field(default=RULES, min_length=1)
    """Rules of ruff, as in its `--select`."""
    severity: Severity = "medium"
    """Least severity of bandit's findings that counts."""
    normalize: Normalize = "none"
    """none: the score as it is. batch: minus the mean of the step's answers, divided by their standard deviation."""

    @property
    def reads(self) -> Mapping[str, str]:
        """The tests."""
        return {} if self.tests is None else {"code": self.tests}

    def refuse_prompt(self, prompt: Prompt) -> None:
        """Raise DataError where a prompt has no tests, or none that can be read."""
        self.cases(prompt)

    def cases(self, prompt: Prompt) -> tuple[Case, ...]:
        """The tests of a prompt. Raises DataError where there are none."""
        if self.tests is None:
            return ()
        return cases_of(meta_at(prompt, self.tests))

    def open(self) -> CodeScore:
        """The score, in a sandbox that was seen to hold. Raises ConfigError where none does, or a tool is missing."""
        if self.parts.lint:
            refuse_without("ruff")
        if self.parts.safe:
            refuse_without("bandit")
        limits = Limits(seconds=self.seconds, wall_seconds=self.wall_seconds, memory_mb=self.memory_mb)
        paid = self.parts
        score = CodeScore(
            sandbox=open_sandbox(self.isolation, limits),
            weights=Parts(paid.parses, paid.passes, paid.lint, paid.safe),
            cases=self.cases,
            rules=self.rules,
            severity=self.severity,
        )
        return score if self.workers is None else replace(score, workers=self.workers)
