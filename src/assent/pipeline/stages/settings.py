"""The settings of each stage: what enters its key. Nothing here loads a model, so that plans are quick."""

from __future__ import annotations

from typing import Any, Literal, assert_never

from pydantic import Field

from assent.artifacts.identity import FromOutside
from assent.core import seeds
from assent.core.config import Config
from assent.evaluation.config import EvaluateConfig
from assent.evaluation.gate.config import GateConfig
from assent.evaluation.subject import Ability
from assent.evaluation.suites.config import SuiteConfig
from assent.feedback.config import StoreConfig
from assent.feedback.records.places import FINAL
from assent.models.config import ModelConfig
from assent.pipeline.config import (
    BaseConfig,
    CollectConfig,
    ComputeConfig,
    DataConfig,
    FileData,
    LabData,
    RunConfig,
    SampleConfig,
)
from assent.pipeline.constitution_config import ReviseConfig
from assent.pipeline.decisions import Decisions
from assent.pipeline.judges import judges_its_own
from assent.pipeline.limits import RowLimit, row_limits
from assent.pipeline.queueing import place_of
from assent.pipeline.row_check import Template
from assent.raters.config import AutoraterConfig, RatersConfig
from assent.training.config import OptimizeConfig, RewardConfig, SFTConfig
from assent.training.reward_terms import RewardTerm

Part = Literal["corpus", "demonstrations", "prompts", "comparisons"]
"""What `gather` freezes apart."""


class GatherStage(Config):
    """One part of what a run learns from; parts are apart so that a change in one makes only that one again."""

    part: Part
    """Which part."""
    data: DataConfig
    """Where it comes from, without the settings of the other parts."""
    eval_prompts: int = 0
    """How many prompts of the lab are wanted for evaluation; of files, all that are set aside are."""
    template: Template | None = Field(default=None, json_schema_extra={"affects_result": False})
    """The chat template that every row has to pass; None for rows of the lab."""
    limits: tuple[RowLimit, ...] = Field(default=(), json_schema_extra={"affects_result": False})
    """How long rows may be for the stages that will read them."""
    terms: tuple[RewardTerm, ...] = Field(default=(), json_schema_extra={"affects_result": False})
    """Terms of a reward that read something of each prompt."""

    @property
    def strict(self) -> list[Any]:
        """The limits that make a row a bad one."""
        return [limit.model_dump(mode="json") for limit in self.limits if limit.is_strict]

    @property
    def reads(self) -> list[Any]:
        """What terms of a reward read of each prompt, which makes a row without it a bad one."""
        return sorted(([*item] for term in self.terms for item in term.reads.items()), key=str)

    @property
    def passed(self) -> FromOutside:
        """What a base from scratch lets pass; of any other base, keys know that anyway."""
        is_known = self.template is None or self.template.path is not None
        return FromOutside({}, {}) if is_known or self.template is None else self.template.identity()


def only(part: Part, data: DataConfig) -> DataConfig:
    """The data config with the settings of other parts reset, so that they do not enter this part's key."""
    match data:
        case LabData():
            blank = LabData(world_seed=data.world_seed)
            return blank.model_copy(update={part: getattr(data, part)}) if part != "comparisons" else blank
        case FileData():
            asked = "prompts" if data.prompts else "demonstrations" if data.demonstrations else "comparisons"
            kept = {"corpus": ("corpus", "demonstrations"), "prompts": (asked, "eval_prompts", "eval_share")}
            names = kept.get(part, (part,))
            return FileData.model_construct(**{name: getattr(data, name) for name in names})
        case _ as never:
            assert_never(never)


class BaseStage(Config):
    """What the base model is."""

    base: BaseConfig
    """From scratch or pretrained."""
    model: ModelConfig
    """How models are loaded."""
    compute: ComputeConfig
    """Where it runs."""

    @classmethod
    def of(cls, config: RunConfig) -> BaseStage:
        """As the run says."""
        return cls(base=config.base, model=config.model, compute=config.compute.without_engine)


class SFTStage(Config):
    """What decides the fine-tuned policy."""

    sft: SFTConfig
    """How it is trained."""
    model: ModelConfig
    """How the base is loaded."""
    compute: ComputeConfig
    """Where it runs."""

    @classmethod
    def of(cls, config: RunConfig, sft: SFTConfig) -> SFTStage:
        """As the run says."""
        return cls(sft=sft, model=config.model, compute=config.compute.without_engine)


class ReviseStage(Config):
    """What decides the revisions."""

    revise: ReviseConfig
    """By which constitution, of how many answers, by whom."""
    model: ModelConfig
    """How the policy is loaded."""
    compute: ComputeConfig
    """Where it runs."""

    @classmethod
    def of(cls, config: RunConfig, revise: ReviseConfig) -> ReviseStage:
        """As the run says; how revisions are learned from is no part of it."""
        compute = config.compute.without_training
        return cls(revise=revise.model_copy(update={"sft": None}), model=config.model, compute=compute)


class SampleStage(Config):
    """What decides the answers of a round."""

    sample: SampleConfig
    """How many answers, how drawn."""
    round: int
    """Number of the round, from 1: each round takes the next prompts."""
    model: ModelConfig
    """How the policy is loaded."""
    compute: ComputeConfig
    """Where it runs."""

    @classmethod
    def of(cls, config: RunConfig, number: int) -> SampleStage:
        """As the run says, for the round of this number."""
        compute = config.compute.without_training
        return cls(sample=config.sample.with_axes(), round=number, model=config.model, compute=compute)


class CollectStage(Config):
    """What decides the judgments of a round."""

    collect: CollectConfig | None
    """Who ranks; None: nobody new."""
    lab: LabData | None
    """The lab, whose truth simulated people see through noise."""
    people_seed: int
    """Draws the simulated people: the same ones in every round of a run."""
    model: ModelConfig
    """How a reward model that judges is loaded."""
    store: StoreConfig = Field(json_schema_extra={"affects_result": False})
    """The database in which judgments are kept."""
    compute: ComputeConfig
    """Where a reward model that judges runs."""
    decisions: Decisions = Field(default="ignore", json_schema_extra={"affects_result": False})
    """Whether those of adjudicators stand for judgments; where they do, they enter the key as what comes from outside.
    """
    title: str = Field(default="", json_schema_extra={"affects_result": False})
    """What people read above the tasks."""
    place: str = Field(default="", json_schema_extra={"affects_result": False})
    """Where in the run they are asked."""
    like: tuple[str, ...] = Field(default=(), json_schema_extra={"affects_result": False})
    """Projects whose settings, guideline and raters this round's takes over: of the first that is there."""
    limits: tuple[RowLimit, ...] = Field(default=(), json_schema_extra={"affects_result": False})
    """How long imported rows may be."""
    marks: bool = Field(default=False, json_schema_extra={"added_later": True})
    """Whether flags and scores without a ranking are written down too."""

    @classmethod
    def of(cls, config: RunConfig, number: int, *, like: tuple[str, ...]) -> CollectStage:
        """As the run says, for the round of this number."""
        return cls(
            collect=config.collect,
            lab=config.lab,
            people_seed=config.seed,
            model=config.model,
            store=config.store,
            compute=config.compute.without_training,
            decisions=config.decisions,
            title=f"{config.name}, round {number}, rankings",
            place=place_of(config.name, 2 * number),
            like=like,
            limits=tuple(row_limits(config, "comparisons")),
            marks=config.method.reads_marks,
        )


class RewardStage(Config):
    """What decides the reward model."""

    reward: RewardConfig
    """How it is trained."""
    model: ModelConfig
    """How models are loaded."""
    compute: ComputeConfig
    """Where it runs."""
    part: Literal["all", "train", "gold"] = Field(default="all", json_schema_extra={"added_later": True})
    """Which judgments: all, or with a held-out reward for guards, those of one side."""
    gold_share: float = Field(default=0.0, json_schema_extra={"added_later": True})
    """Share of the held-out side."""

    @classmethod
    def of(cls, config: RunConfig, reward: RewardConfig, *, is_gold: bool = False) -> RewardStage:
        """As the run says; `is_gold`: the held-out one for guards."""
        share = config.method.gold_share
        part = "all" if share is None else "gold" if is_gold else "train"
        compute = config.compute.without_engine
        return cls(reward=reward, model=config.model, compute=compute, part=part, gold_share=share or 0.0)

    def revised(self) -> dict[str, str]:
        """What enters the key beside the stage's version, which would make reward models anew that did not change."""
        learns_ties = self.reward.raters.kind == "none" and self.reward.ties in ("davidson", "rao_kupper")
        return {"tie strength": "fitted apart"} if learns_ties else {}


class OptimizeStage(Config):
    """What decides the new policy."""

    optimize: OptimizeConfig
    """The method and its settings."""
    model: ModelConfig
    """How models are loaded."""
    compute: ComputeConfig
    """Where it runs."""

    @classmethod
    def of(cls, config: RunConfig) -> OptimizeStage:
        """As the run says, which has a method."""
        assert config.optimize is not None
        compute = config.compute if config.optimize.draws_in_turn else config.compute.without_training
        return cls(optimize=config.optimize, model=config.model, compute=compute)

    def revised(self) -> dict[str, str]:
        """What enters the key beside the stage's version, which would make the policies of other methods anew."""
        has_value_model = getattr(self.optimize, "of_value_model", None) is not None
        return {"values": "start on the scale of returns"} if has_value_model else {}


class EvaluateStage(Config):
    """What decides an evaluation."""

    evaluate: EvaluateConfig
    """Prompts, sampling, how many raters."""
    raters: RatersConfig | None
    """Who judges; None: the reward model of the round, which is no independent judge, or nobody where there is none."""
    lab: LabData | None
    """The lab, whose truth can be read."""
    judges_own: bool = False
    """Whether the raters are a reward that the policy was optimized for, and so no independent judge."""
    people_seed: int
    """Draws the simulated people; those who evaluate are others than those who train."""
    model: ModelConfig
    """How policies are loaded."""
    store: StoreConfig = Field(json_schema_extra={"affects_result": False})
    """The database in which judgments are kept."""
    compute: ComputeConfig
    """Where it runs."""
    decisions: Decisions = Field(default="ignore", json_schema_extra={"affects_result": False})
    """Whether those of adjudicators stand for judgments; where they do, they enter the key as what comes from outside.
    """
    title: str = Field(default="", json_schema_extra={"affects_result": False})
    """What people read above the tasks."""
    place: str = Field(default="", json_schema_extra={"affects_result": False})
    """Where in the run they are asked."""
    like: tuple[str, ...] = Field(default=(), json_schema_extra={"affects_result": False})
    """Projects whose settings, guideline and raters this comparison takes over: of the first that is there."""

    @classmethod
    def of(cls, config: RunConfig, number: int | None, *, like: tuple[str, ...]) -> EvaluateStage | None:
        """That of the round of this number, None for that of the whole run; None where the run evaluates nothing."""
        if config.evaluate is None:
            return None
        raters = config.judges
        return cls(
            evaluate=config.evaluate,
            raters=raters,
            lab=config.lab,
            judges_own=judges_its_own(raters, config.method),
            people_seed=config.seed,
            model=config.model,
            store=config.store,
            compute=config.compute.without_training,
            decisions=config.decisions,
            title=f"{config.name}, final evaluation"
            if number is None
            else f"{config.name}, round {number}, evaluation",
            place=place_of(config.name, FINAL if number is None else 2 * number + 1),
            like=like,
        )


class MeasureStage(Config):
    """What decides what a suite finds."""

    suite: SuiteConfig
    """The suite and its settings."""
    items_seed: int
    """Draws the items and the answers: the same of every policy of a run, so that they can be compared by item."""
    judge: RatersConfig | None
    """Who judges, where the suite wants somebody; null otherwise."""
    model: ModelConfig
    """How the subject is loaded."""
    compute: ComputeConfig
    """Where it runs."""

    @classmethod
    def all_of(cls, config: RunConfig) -> dict[str, MeasureStage]:
        """The suites of a run by their titles."""
        seed = seeds.derive(config.seed, "suites")
        return {
            one.title: cls.of(one, seed, config.suites_judge, config.model, config.compute.without_training)
            for one in config.suites
        }

    @classmethod
    def of(
        cls, suite: SuiteConfig, seed: int, judge: RatersConfig | None, model: ModelConfig, compute: ComputeConfig
    ) -> MeasureStage:
        """The stage of one suite, with the judge only where the suite wants one, asked for scores of its criteria."""
        from assent.evaluation.catalog import suite_of

        sat = suite_of(suite)
        wanted = judge if sat.wants_judge(suite) else None
        if isinstance(wanted, AutoraterConfig):
            wanted = wanted.model_copy(update={"mode": "scores", "criteria": sat.criteria(suite) or wanted.criteria})
        return cls(suite=suite, items_seed=seed, judge=wanted, model=model, compute=compute)

    @property
    def abilities(self) -> frozenset[Ability]:
        """What of a subject the suite asks."""
        from assent.evaluation.catalog import suite_of  # all suites come along

        return suite_of(self.suite).abilities

    @property
    def beside(self) -> FromOutside:
        """Hashes of what the suite reads that its settings do not name."""
        from assent.evaluation.catalog import suite_of

        return FromOutside.numbered("read", suite_of(self.suite).beside(self.suite))


class GateStage(Config):
    """What decides whether a policy is promoted."""

    gate: GateConfig
    """Its lines, and who may judge."""
