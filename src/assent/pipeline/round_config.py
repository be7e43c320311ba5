"""Settings of a round's answers and raters, of the machine, and of where numbers go."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from assent.core.config import Config
from assent.core.types import MAX_ANSWERS
from assent.feedback.records.settings import Goal
from assent.generation.config import Sampling
from assent.pipeline.constitution_config import AILabelsConfig
from assent.raters.config import RatersConfig


class SampleConfig(Config):
    """The answers that raters compare."""

    prompts: int = Field(default=500, ge=1)
    """Prompts per round."""
    answers: int = Field(default=4, ge=2, le=MAX_ANSWERS)
    """Answers per prompt."""
    sampling: Sampling = Sampling(temperature=1.0, max_new_tokens=128)
    """How they are drawn."""
    temperatures: tuple[float, ...] = ()
    """Spread: the answers of a prompt take these temperatures in turn, so that raters see real differences."""
    previous_share: float = Field(default=0.0, ge=0, lt=1)
    """Share of the answers drawn from the policy before the newest one (from round 2 on)."""
    choose: Literal["next", "disagreement"] = Field(default="next", json_schema_extra={"added_later": True})
    """The next prompts of the pool; or, from round 2 on, of `candidates` times as many those about whose answers the
    reward models of earlier rounds disagree most (a single one: is least sure). One in five is random all the same."""
    candidates: int = Field(default=3, ge=2, le=20, json_schema_extra={"added_later": True})
    """Prompts that are answered for each one that raters get, with `choose: disagreement`."""
    tones: dict[str, str] = Field(default_factory=dict, json_schema_extra={"added_later": True})
    """Axes of tone -> the word of an answer that is wholly so, as {polite: polite, direct: plain}. Each answer of a
    prompt is asked for at another place of every axis, by a system turn that raters do not see, and records where."""

    @model_validator(mode="after")
    def _one_spread(self) -> SampleConfig:
        if self.tones and self.temperatures:
            raise ValueError("temperatures and tones both spread the answers; leave one of them out")
        if blank := [axis for axis, word in self.tones.items() if not word.strip()]:
            raise ValueError(f"tones.{blank[0]} has no word; say what an answer there is like")
        return self


class CollectConfig(Config):
    """Who ranks the answers of a round."""

    raters: RatersConfig
    """People, simulated people, a reward model, a language model as judge, or a function."""
    overlap_share: float = Field(default=0.2, ge=0, le=1)
    """Share of the tasks that several raters judge, to measure agreement."""
    overlap: int = Field(default=3, ge=1)
    """How many judge those."""
    second_opinions: float = Field(default=0.0, ge=0, le=1, json_schema_extra={"added_later": True})
    """Further judgments, as a share of the tasks, that go where one more vote tells most once all have been judged:
    where raters contradict one another, or where the only one is often wrong."""
    goal: Goal = Field(default="near_ties", json_schema_extra={"affects_result": False})
    """What people are asked first, once an earlier round has a reward model: near_ties (worth most to a reward model),
    large_gaps (DPO), random. One task in five is drawn at random whatever the goal."""
    ai: AILabelsConfig | None = Field(default=None, json_schema_extra={"added_later": True})
    """A judge by a constitution whose judgments are learned from beside those of `raters`; null: none."""


class ComputeConfig(Config):
    """Threads, device, checkpoints."""

    threads: int | None = Field(default=None, ge=1, json_schema_extra={"affects_result": False})
    """CPU threads; null: all cores."""
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", json_schema_extra={"affects_result": False})
    """Where the models live; auto takes a GPU if there is one."""
    checkpoint_seconds: float = Field(default=60.0, gt=0, json_schema_extra={"affects_result": False})
    """A killed run loses at most about this much work."""
    max_live_rows: int = Field(default=128, ge=1, json_schema_extra={"affects_result": False})
    """Answers sampled at once."""


class LogConfig(Config):
    """Where the numbers go."""

    tensorboard: bool = True
    """Write TensorBoard files into the run folder."""
    trackers: tuple[Literal["wandb", "mlflow"], ...] = ()
    """Also send them here (pip install assent[wandb] or assent[mlflow])."""
