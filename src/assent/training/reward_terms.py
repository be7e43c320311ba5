"""Settings of what an answer is rewarded for: models, functions, judges and checks, each with its weight."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from assent.core.scoring import PythonTarget
from assent.raters.config import AutoraterConfig
from assent.training.check_terms import (
    ExactRewardConfig,
    FormatRewardConfig,
    InstructionsRewardConfig,
    LengthRewardConfig,
    NumericRewardConfig,
)
from assent.training.code_reward import CodeRewardConfig
from assent.training.term_config import Normalize, TermConfig

NormalizeScores = Literal["trained", "batch", "none"]
"""trained: by mean and deviation on the answers that the model was trained on; batch and none as elsewhere."""


class ModelRewardConfig(TermConfig):
    """The round's reward model, or another one from a folder."""

    kind: Literal["model"] = "model"
    """Which kind of reward this is."""
    path: str | None = Field(default=None, json_schema_extra={"outside": "model"})
    """Folder of a reward model; null: the one this round trained."""
    normalize: NormalizeScores | None = Field(default=None, json_schema_extra={"added_later": True})
    """trained: shifted and scaled by mean and standard deviation on the training answers. batch: by those of the
    step's answers. none: raw scores. null: as `normalize_reward` says. Raw scores of criteria are points on the
    raters' scale."""
    criterion: str | None = Field(default=None, json_schema_extra={"added_later": True})
    """A criterion of the model (`reward.criteria`) instead of its overall score."""
    criteria: dict[str, float] = Field(default_factory=dict, json_schema_extra={"added_later": True})
    """Several of them with their weights: the reward is the weighted sum."""

    @model_validator(mode="after")
    def _one_way(self) -> ModelRewardConfig:
        if self.criterion is not None and self.criteria:
            raise ValueError("criterion and criteria are both given; name the one among the others, with its weight")
        return self

    @property
    def title(self) -> str:
        """Its criteria, its folder, or that it is the round's."""
        return self.name or " ".join(self.asked) or self.path or "reward model"

    @property
    def asked(self) -> dict[str, float]:
        """The criteria it asks for, with their weights; {}: the overall score."""
        return dict(self.criteria) if self.criterion is None else {self.criterion: 1.0}

    @property
    def uses_trained(self) -> bool:
        """Where no folder is named."""
        return self.path is None


class EnsembleRewardConfig(TermConfig):
    """Several reward models as one cautious reward. How far they differ is logged at each step."""

    kind: Literal["ensemble"] = "ensemble"
    """Which kind of reward this is."""
    models: tuple[str | None, ...] = Field(min_length=2, json_schema_extra={"outside": "model"})
    """Folders of reward models; null: the one this round trained."""
    take: Literal["mean", "lower", "worst"] = "lower"
    """How an answer's scores are combined: their mean, their mean minus `k` standard deviations, or the lowest."""
    k: float = Field(default=1.0, ge=0)
    """Standard deviations that `lower` subtracts."""
    normalize: NormalizeScores | None = None
    """How each model's scores are scaled before they are put together; as for a single model."""

    @model_validator(mode="after")
    def _differ(self) -> EnsembleRewardConfig:
        if len(set(self.models)) < len(self.models):
            raise ValueError(f"models names one twice: {', '.join(map(str, self.models))}; each should be another")
        return self

    @property
    def uses_trained(self) -> bool:
        """Where one of the models is the round's."""
        return None in self.models


class PythonRewardConfig(TermConfig):
    """A Python function `(prompts, completions) -> scores`."""

    kind: Literal["python"] = "python"
    """Which kind of reward this is."""
    target: PythonTarget = Field(json_schema_extra={"outside": "python"})
    """"package.module:function"; prompts are `Prompt`, completions are texts, scores are floats, one each."""
    normalize: Normalize = Field(default="none", json_schema_extra={"added_later": True})
    """none: the score as it is. batch: minus the mean of the step's answers, divided by their standard deviation."""

    @property
    def title(self) -> str:
        """The function."""
        return self.name or self.target


class JudgeRewardConfig(TermConfig):
    """A language model as the judge of each answer, by a rubric: from -1 (all criteria at 1) to 1 (all at 5)."""

    kind: Literal["judge"] = "judge"
    """Which kind of reward this is."""
    judge: AutoraterConfig
    """The judge, as under `collect.raters`; it is asked for scores."""
    failed: Literal["neutral", "error"] = "neutral"
    """neutral: an answer without a verdict gets the mean of the other answers to its prompt (or of the step,
    where those have none either), so that nothing is learned from it; it is counted. error: it ends the run."""
    normalize: Normalize = "none"
    """none: the score as it is. batch: minus the mean of the step's answers, divided by their standard deviation."""

    @model_validator(mode="after")
    def _scores(self) -> JudgeRewardConfig:
        if "mode" in self.judge.model_fields_set and self.judge.mode != "scores":
            raise ValueError(f"judge.mode is {self.judge.mode}; a reward asks a judge for scores: leave mode out")
        return self

    @property
    def asked(self) -> AutoraterConfig:
        """The judge as it is asked: for scores, without reasons."""
        return self.judge.model_copy(update={"mode": "scores", "rationale": False})

    @property
    def title(self) -> str:
        """Its rubric."""
        return self.name or f"judge {self.judge.rubric}"


RewardTerm = Annotated[
    ModelRewardConfig
    | EnsembleRewardConfig
    | PythonRewardConfig
    | JudgeRewardConfig
    | ExactRewardConfig
    | NumericRewardConfig
    | FormatRewardConfig
    | LengthRewardConfig
    | InstructionsRewardConfig
    | CodeRewardConfig,
    Field(discriminator="kind"),
]
