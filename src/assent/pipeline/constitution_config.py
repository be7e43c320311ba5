"""Settings of a run by a constitution: answers revised before the first round, and labels of an AI beside people's."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from assent.core.config import Config
from assent.core.errors import ConfigError
from assent.generation.config import Sampling
from assent.raters.config import ConstitutionConfig, EndpointJudgeConfig, LocalJudgeConfig, ProgramConfig
from assent.raters.constitution import Constitution
from assent.training.config import SFTConfig


class PolicyReviser(Config):
    """The policy itself criticises and revises its answers."""

    kind: Literal["policy"] = "policy"
    """Who revises."""


ReviserConfig = Annotated[
    PolicyReviser | LocalJudgeConfig | EndpointJudgeConfig | ProgramConfig, Field(discriminator="kind")
]


class ReviseConfig(Config):
    """Critique and revision: the policy answers, and its answers are revised by principles drawn from a
    constitution. The revised answers are learned from before the first round (Bai et al. 2022, section 3)."""

    file: str = Field(default="hhh", json_schema_extra={"outside": "constitution"})
    """A constitution of the package (hhh, lab), or a YAML file."""
    principles: tuple[str, ...] = ()
    """Principles that are drawn from, by id or topic; empty: all."""
    by: ReviserConfig = PolicyReviser()
    """Who criticises and revises: the policy, another local model, a model behind an address, or a Python function."""
    prompts: int = Field(default=500, ge=1)
    """Prompts that are answered, drawn from the prompts of the run."""
    revisions: int = Field(default=2, ge=1)
    """How many times each answer is criticised and revised, each time by another principle that is drawn by
    weight."""
    sampling: Sampling = Sampling(temperature=1.0, max_new_tokens=128)
    """How the policy's answers are drawn."""
    writing: Sampling = Sampling(temperature=0.7, max_new_tokens=300)
    """How critiques and revisions are drawn; of a model behind an address its own settings count."""
    wording: str = Field(default="revising", json_schema_extra={"outside": "prompts"})
    """The wording of the questions: `revising`, which comes with the package, or a folder of templates."""
    keep_unchanged: bool = True
    """Whether answers that no principle changed are learned from as well. Without them only revised answers are
    learned, which can teach a policy to refuse too often."""
    sft: SFTConfig | None = SFTConfig()
    """How the policy is fine-tuned on the revised answers; null: they are only written to a file."""

    @property
    def loaded(self) -> Constitution:
        """The principles that are drawn from. Raises ConfigError, also where there are fewer of them than steps."""
        found = Constitution.load(self.file, self.principles)
        if self.revisions > len(found.principles):
            raise ConfigError(
                f"constitution.revisions is {self.revisions}, but there are {len(found.principles)} principles of"
                f" {found.name} to draw from, and each step takes another one; lower it"
            )
        return found


class AILabelsConfig(Config):
    """A second panel whose judgments are learned from in addition to people's, once it has been measured that
    they agree."""

    raters: ConstitutionConfig
    """The judge by principles. It judges every task of a round."""
    people_share: float = Field(default=1.0, gt=0, le=1)
    """Share of a round's tasks that people judge as well. The agreement is measured on these."""
    weight: float = Field(default=1.0, gt=0)
    """Weight of one of its judgments, where a person's weighs 1. With reward.raters.kind: joint its sharpness is
    fitted as well, and a weight of 1 leaves the rest to that fit."""
    bar: float = Field(default=0.55, ge=0.5, lt=1)
    """The lower end of the interval of its agreement with people's votes must lie above this. If it does not, the
    run ends before anything is learned from its judgments."""
    without_overlap: Literal["refuse", "use_unmeasured"] = "refuse"
    """What happens where too few tasks have judgments of both to measure the agreement."""
