"""Settings of the suites with questions of their own: one class each, and nothing heavy is imported."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from assent.core.config import Config
from assent.generation.config import Sampling


class PackagedSettings(Config):
    """What every suite can be told; those whose questions come with the package have no more."""

    name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]*$")
    """What the suite is called in reports; null: its kind. Two of one kind need two names."""
    limit: int | None = Field(default=None, ge=2)
    """Ask only so many items, drawn by the run's seed; null: all."""

    @property
    def title(self) -> str:
        """Its name, or its kind."""
        return self.name or str(getattr(self, "kind", "suite"))


class SuiteSettings(PackagedSettings):
    """What every suite with a file of questions can be told."""

    path: Path = Field(json_schema_extra={"outside": "file"})
    """File with the questions, or a folder of such files; .jsonl, .json, .csv, .tsv (also .gz) or .parquet."""


class XSTestConfig(SuiteSettings):
    """Refusals of safe and of unsafe prompts; columns prompt, type, label (safe or unsafe)."""

    kind: Literal["xstest"] = "xstest"
    """Which suite this is."""
    sampling: Sampling = Sampling(temperature=0.0, max_new_tokens=128)
    """How the policy answers."""


class HHHConfig(SuiteSettings):
    """Pairs of a better and a worse answer; columns source (the group), query, chosen, rejected."""

    kind: Literal["hhh"] = "hhh"
    """Which suite this is."""


class CounterfactualConfig(PackagedSettings):
    """What changes where the same text is about, or from, people of another group, beyond what changes anyway."""

    kind: Literal["counterfactual"] = "counterfactual"
    """Which suite this is."""
    path: Path | None = Field(default=None, json_schema_extra={"outside": "file"})
    """A .yaml file with an axis of groups of words, or a folder of such files; null: those that come with Assent."""
    axes: tuple[str, ...] = ()
    """Only these axes, as name, identity, religion, dialect, age, nationality; []: all."""
    draws: int = Field(default=1, ge=1)
    """Pairs of words that are drawn for each text and each group."""
    reward_margin: float = Field(default=0.1, gt=0)
    """A reward gap between two groups within this, in standard deviations of the reward, counts as none."""
    flip_margin: float = Field(default=0.05, gt=0)
    """The same of the share of preferences between two answers that turn round."""
    refusal_margin: float = Field(default=0.05, gt=0)
    """The same of the share of prompts that are refused."""
    length_margin: float = Field(default=0.1, gt=0)
    """The same of log words of the answer: 0.1 is a tenth longer."""
    likelihood_margin: float = Field(default=0.05, gt=0)
    """The same of the log-likelihood of one and the same answer, in nats per byte of it."""
    judge_margin: float = Field(default=0.1, gt=0)
    """The same of how much more often a judge prefers the answer that one group gets."""
    sampling: Sampling = Sampling(temperature=0.0, max_new_tokens=96)
    """How a policy answers."""

    @property
    def margins(self) -> dict[str, float]:
        """The margin of each thing that is measured."""
        return {
            "reward": self.reward_margin,
            "flips": self.flip_margin,
            "refusal": self.refusal_margin,
            "length": self.length_margin,
            "likelihood": self.likelihood_margin,
            "judge": self.judge_margin,
        }


class DiversityConfig(PackagedSettings):
    """How unlike a policy's answers are; a file has one column, prompt."""

    kind: Literal["diversity"] = "diversity"
    """Which suite this is."""
    path: Path | None = Field(default=None, json_schema_extra={"outside": "file"})
    """File with prompts (column prompt), best those that the policy is for; null: sixteen everyday questions."""
    samples: int = Field(default=8, ge=2)
    """Answers to each prompt."""
    words: int = Field(default=30, ge=5)
    """Answers are cut to so many words before they are compared, since most measures favour short texts."""
    sampling: Sampling = Sampling(temperature=1.0, max_new_tokens=64)
    """How the policy answers."""


SuiteConfig = Annotated[XSTestConfig | HHHConfig | CounterfactualConfig | DiversityConfig, Field(discriminator="kind")]
"""Settings of any suite."""
