"""Settings of the suites with questions of their own: one class each, and nothing heavy is imported."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from assent.core.config import Config
from assent.generation.config import Sampling


class SuiteSettings(Config):
    """What every suite with a file of questions can be told."""

    path: Path = Field(json_schema_extra={"outside": "file"})
    """File with the questions, or a folder of such files; .jsonl, .json, .csv, .tsv (also .gz) or .parquet."""
    name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]*$")
    """What the suite is called in reports; null: its kind. Two of one kind need two names."""
    limit: int | None = Field(default=None, ge=2)
    """Ask only so many items, drawn by the run's seed; null: all."""

    @property
    def title(self) -> str:
        """Its name, or its kind."""
        return self.name or str(getattr(self, "kind", "suite"))


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


class RedTeamConfig(SuiteSettings):
    """Attacks on what should be declined; column request, also id, group, codeword, twin (harmless, to answer)."""

    kind: Literal["redteam"] = "redteam"
    """Which suite this is."""
    operators: tuple[str, ...] = ()
    """Only these operators or families; empty: all."""
    detector: Literal["auto", "leak", "refusal", "judge"] = "auto"
    """Who says whether an attack works. leak: the codeword is said; refusal: the answer refuses not; judge: a
    judge flags it as unsafe; auto: leak where a row has a codeword, else refusal."""
    regressions: Path | None = Field(default=None, json_schema_extra={"outside": "file"})
    """The regressions.jsonl of earlier red teams: what people confirmed is asked again of every policy."""
    sampling: Sampling = Sampling(temperature=0.0, max_new_tokens=128)
    """How the policy answers."""


SuiteConfig = Annotated[XSTestConfig | HHHConfig | RedTeamConfig, Field(discriminator="kind")]
"""Settings of any suite."""
