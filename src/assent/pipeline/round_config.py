"""Settings of a round's answers and raters, of the machine, and of where numbers go."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from assent.core.config import Config
from assent.core.errors import ConfigError
from assent.core.types import MAX_ANSWERS
from assent.feedback.records.settings import Goal
from assent.generation.config import Sampling
from assent.generation.vllm_config import VllmConfig
from assent.pipeline.constitution_config import AILabelsConfig
from assent.profiles.tree import read_tree
from assent.raters.config import RatersConfig


class SampleConfig(Config):
    """The answers that raters are given to compare."""

    prompts: int = Field(default=500, ge=1)
    """Prompts per round."""
    answers: int = Field(default=4, ge=2, le=MAX_ANSWERS)
    """Answers per prompt."""
    sampling: Sampling = Sampling(temperature=1.0, max_new_tokens=128)
    """How they are drawn."""
    temperatures: tuple[float, ...] = ()
    """Draw the answers to a prompt at these temperatures in turn; none: all at `sampling.temperature`."""
    previous_share: float = Field(default=0.0, ge=0, lt=1)
    """Share of the answers drawn from the policy before the newest one (from round 2 on)."""
    choose: Literal["next", "disagreement"] = Field(default="next", json_schema_extra={"added_later": True})
    """next: the next prompts of the pool. disagreement: from round 2 on, of `candidates` times as many, those on
    which earlier reward models disagree most (a single one: is least sure). One prompt in five is random always."""
    candidates: int = Field(default=3, ge=2, le=20, json_schema_extra={"added_later": True})
    """With `choose: disagreement`, how many prompts are answered for each one that raters get."""
    tones: dict[str, str] = Field(default_factory=dict, json_schema_extra={"added_later": True})
    """Axes of tone, each with a word for its far end, as in {polite: polite, direct: plain}. A system turn that raters
    do not see asks for each answer to a prompt at another place on every axis."""
    profile: Path | None = Field(default=None, json_schema_extra={"outside": "place", "added_later": True})
    """A profile's file, as profiles/ja.yaml: the axes of its `tone` and of its parents' are added to `tones`, each with
    its name for a word unless `tones` gives another. Answers are spread over the whole of each axis."""

    @model_validator(mode="after")
    def _one_spread(self) -> SampleConfig:
        if (self.tones or self.profile) and self.temperatures:
            raise ValueError(
                f"temperatures and {'tones' if self.tones else 'profile'} both spread the answers; leave one out"
            )
        if blank := [axis for axis, word in self.tones.items() if not word.strip()]:
            raise ValueError(f"tones.{blank[0]} has no word; say what an answer there is like")
        return self

    def with_axes(self) -> SampleConfig:
        """The axes of the profile among the tones, and no file named any more, so that a key hangs on the axes alone.

        Raises ConfigError where the profile cannot be read, or has no axis of tone.
        """
        if self.profile is None:
            return self
        axes = read_tree(self.profile.parent).tone(self.profile.stem)
        if not axes:
            raise ConfigError(
                f"sample.profile: {self.profile} and its parents name no axis of tone to spread answers along; add one,"
                " such as `tone: {polite: 0.8}`, or name axes in sample.tones"
            )
        return self.model_copy(update={"profile": None, "tones": {axis: axis for axis in axes} | self.tones})


class CollectConfig(Config):
    """Who ranks the answers of a round."""

    raters: RatersConfig
    """People, simulated people, a reward model, a language model as judge, or a function."""
    overlap_share: float = Field(default=0.2, ge=0, le=1)
    """Share of the tasks that several raters judge, to measure agreement."""
    overlap: int = Field(default=3, ge=1)
    """How many raters judge those."""
    second_opinions: float = Field(default=0.0, ge=0, le=1, json_schema_extra={"added_later": True})
    """Further judgments, as a share of the tasks, after all have been judged once: for tasks on which raters
    contradict each other, or whose only rater is often wrong."""
    goal: Goal = Field(default="near_ties", json_schema_extra={"affects_result": False})
    """Which tasks people get first, from round 2 on: near_ties (best for a reward model), large_gaps (best for
    DPO), or random. One task in five is drawn at random in any case."""
    ai: AILabelsConfig | None = Field(default=None, json_schema_extra={"added_later": True})
    """A judge by a constitution whose judgments are learned from in addition to those of `raters`; null: none."""


class ComputeConfig(Config):
    """Threads, device, checkpoints."""

    threads: int | None = Field(default=None, ge=1, json_schema_extra={"affects_result": False})
    """CPU threads; null: all cores."""
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", json_schema_extra={"affects_result": False})
    """Where the models live; auto takes a GPU if there is one."""
    checkpoint_seconds: float = Field(default=60.0, gt=0, json_schema_extra={"affects_result": False})
    """Seconds between checkpoints: a killed run loses at most about this much work."""
    max_live_rows: int = Field(default=128, ge=1, json_schema_extra={"affects_result": False})
    """How many answers are sampled at once."""
    rollout_dtype: Literal["as_trained", "bfloat16"] = Field(
        default="as_trained", json_schema_extra={"added_later": True}
    )
    """What answers are drawn in. bfloat16: from a rounded copy of float32 weights, faster and not quite the policy that
    is trained; `sampler_gap_mean` says by how much."""
    memory_gib: float | None = Field(default=None, gt=0, json_schema_extra={"affects_result": False})
    """Memory that the run may use, in GiB, for the plan that is made first; null: what the machine or its GPU has."""
    engine: Literal["local", "vllm"] = Field(default="local", json_schema_extra={"added_later": True})
    """What draws answers. local: this program, from the very weights that are trained. vllm: vLLM, which is installed
    beside it (docs/how-to/vllm.md)."""
    vllm: VllmConfig = Field(default=VllmConfig(), json_schema_extra={"affects_result": False})
    """How vLLM is set up, where it is the engine."""

    @property
    def without_engine(self) -> ComputeConfig:
        """What stages see that draw no answers, so that another engine makes none of them again."""
        return self.model_copy(update={"engine": "local", "rollout_dtype": "as_trained", "staleness": 0})

    @property
    def without_training(self) -> ComputeConfig:
        """What stages see that draw answers and do not learn from them."""
        return self.model_copy(update={"staleness": 0})

    @property
    def gpus_per_engine(self) -> int:
        """GPUs that share the policy that one engine draws from."""
        return self.vllm.tensor_parallel if self.engine == "vllm" else 1

    kind: Literal["local", "ray"] = Field(default="local", json_schema_extra={"affects_result": False})
    """Who computes: this process, or learners and engines of a Ray cluster (pip install 'assent[cluster]')."""
    learners: int = Field(default=1, ge=1, json_schema_extra={"affects_result": False})
    """With `kind: ray`: processes that train together, each with its part of the weights; a GPU each, if there are."""
    engines: int = Field(default=1, ge=1, json_schema_extra={"affects_result": False})
    """With `kind: ray`: processes that draw answers, each with the whole policy; a GPU each, if there are, or
    `vllm.tensor_parallel` of them."""
    address: str | None = Field(default=None, json_schema_extra={"affects_result": False})
    """With `kind: ray`: address of the Ray cluster; null: that in RAY_ADDRESS, or processes on this machine alone."""

    frozen: Literal["replicated", "sharded"] = Field(default="replicated", json_schema_extra={"affects_result": False})
    """With `kind: ray`: whether models and bases that are not trained lie whole on every learner, or parted over all.
    Parted, they want less memory and more traffic, and no two models share a base."""

    staleness: Literal[0, 1] = Field(default=0, json_schema_extra={"added_later": True})
    """With `kind: ray`: by how many steps of a method that samples the weights that draw its answers may be older than
    those that learn. 1: engines draw the next step's answers while the learners train, and rollouts are weighed for it
    (`optimize.correction`). 0: each waits for the other."""

    @model_validator(mode="after")
    def _fits_together(self) -> ComputeConfig:
        if self.kind == "local" and self.staleness:
            raise ValueError("staleness is 1, but one process draws and learns in turn; set kind: ray, or staleness: 0")
        if self.kind == "local" and (self.learners, self.engines, self.address) != (1, 1, None):
            raise ValueError("learners, engines and address are of a cluster, but kind is local; set kind: ray")
        if self.engine == "vllm" and self.rollout_dtype != "as_trained":
            raise ValueError("rollout_dtype is for the local engine, but engine is vllm; leave one of them out")
        return self


class LogConfig(Config):
    """Where curves are written."""

    tensorboard: bool = True
    """Whether TensorBoard files are written into the run folder."""
    trackers: tuple[Literal["wandb", "mlflow"], ...] = ()
    """Trackers that curves are sent to as well (pip install 'assent[wandb]' or 'assent[mlflow]'). One that fails on the
    way misses entries, which is said and counted; the run goes on."""
