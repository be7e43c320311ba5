"""One YAML = one run. Every key of it, with its default and its help."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from assent.artifacts.layout import RESERVED
from assent.core.config import Config
from assent.data.config import DataConfig as Sources
from assent.data.config import Source
from assent.evaluation.config import EvaluateConfig
from assent.evaluation.gate.config import GateConfig
from assent.evaluation.suites.config import SuiteConfig
from assent.feedback.config import StoreConfig
from assent.models.config import ModelConfig, ScratchConfig
from assent.pipeline.adapter_rates import with_adapter_rates
from assent.pipeline.budget import BudgetConfig, with_budget
from assent.pipeline.constitution_config import ReviseConfig
from assent.pipeline.engine_check import refuse_samplings
from assent.pipeline.round_config import CollectConfig, ComputeConfig, LogConfig, SampleConfig
from assent.raters.config import RatersConfig
from assent.training.config import OptimizeConfig, RewardConfig, SFTConfig
from assent.training.method import Method, NoMethod
from assent.training.on_policy_config import OnPolicyConfig, PPOConfig


class PretrainedBase(Config):
    """A causal language model from a folder or the hub."""

    kind: Literal["pretrained"] = "pretrained"
    """Which kind of base this is."""
    path: str = Field(json_schema_extra={"outside": "model", "named": "model"})
    """Folder, hub id such as Qwen/Qwen3-0.6B, or a GGUF file (also the only one of a folder), which is unpacked once
    into plain weights (pip install 'assent[gguf]'). An adapter is merged with the base that it names."""
    revision: str | None = None
    """Commit or tag on the hub; null: the newest, whose commit is recorded."""


class ScratchBase(Config):
    """A tokenizer and a small model trained from the corpus of the run's data."""

    kind: Literal["scratch"] = "scratch"
    """Which kind of base this is."""
    vocab_size: int = Field(default=2048, ge=300)
    """Tokens of the byte-level BPE tokenizer."""
    shape: ScratchConfig = ScratchConfig()
    """Shape of the model."""
    pretrain: SFTConfig = SFTConfig()
    """How it is trained on the corpus. The loss is over every token."""


BaseConfig = Annotated[PretrainedBase | ScratchBase, Field(discriminator="kind")]


class LabData(Config):
    """The built-in world with known truth: prompts, demonstrations and a corpus are generated."""

    kind: Literal["lab"] = "lab"
    """Which kind of data this is."""
    world_seed: int = 0
    """Seed of the world; the same seed is the same world on every machine."""
    corpus: int = Field(default=20_000, ge=1)
    """Texts for pre-training a scratch model."""
    demonstrations: int = Field(default=8_000, ge=1)
    """Conversations for supervised fine-tuning."""
    prompts: int = Field(default=20_000, ge=1)
    """Prompts to sample from and to optimize on."""


class FileData(Sources):
    """Data of a team: files, folders or hub datasets."""

    kind: Literal["files"] = "files"
    """Which kind of data this is."""
    corpus: tuple[Source, ...] = ()
    """Plain texts (.txt too) for pre-training a scratch model, besides the demonstrations."""
    eval_prompts: tuple[Source, ...] = ()
    """Prompts for evaluation; none: a share of the prompts is set aside (`eval_share`)."""
    eval_share: float = Field(default=0.1, ge=0, lt=1)
    """Share of the prompts that is set aside for evaluation; 0 sets none aside, for runs that evaluate nothing."""


DataConfig = Annotated[LabData | FileData, Field(discriminator="kind")]


def _has_demonstrations(data: Any) -> bool:
    """Whether the data, a config or a mapping, has something to fine-tune on; the lab always has."""
    if isinstance(data, Mapping):
        return data.get("kind") != "files" or bool(data.get("demonstrations"))
    return not isinstance(data, FileData) or bool(data.demonstrations)


def _has_rankings(values: Mapping[str, Any]) -> bool:
    """Whether the settings of a run name raters or files of comparisons."""
    data = values.get("data")
    given = data.get("comparisons") if isinstance(data, Mapping) else getattr(data, "comparisons", ())
    return values.get("collect") is not None or bool(given)


TRAINED: dict[str, Config] = {"sft": SFTConfig(), "reward": RewardConfig(), "optimize": PPOConfig()}
"""Stages that train adapters where `model.lora` is set, with their defaults."""


class RunConfig(Config):
    """A whole run: base model, data, and the settings of every stage."""

    name: str = Field(
        default="run",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        json_schema_extra={"form": "letters, digits, dots, hyphens and underscores, a letter or digit first"},
    )
    """Folder of the run below runs/."""
    seed: int = 0
    """Every random choice of the run follows from it."""
    rounds: int = Field(default=1, ge=1)
    """Rounds of sample, collect, reward, optimize, evaluate; judgments accumulate."""
    budget: BudgetConfig | None = None
    """A number of labels to split; decides `sample.prompts` and `evaluate.prompts`. null: those two say how many."""
    base: BaseConfig
    """The model everything starts from."""
    model: ModelConfig = ModelConfig()
    """How policies and reward models are loaded and trained (LoRA, attention, dtype, template)."""
    data: DataConfig
    """The data to learn from."""
    sft: SFTConfig | None = SFTConfig()
    """Supervised fine-tuning; null: none. It is null by itself if it is left out and there are no demonstrations."""
    constitution: ReviseConfig | None = None
    """Critique and revision by a constitution, and training on the revised answers, before round 1; null: none."""
    sample: SampleConfig = SampleConfig()
    """Answers for the raters."""
    collect: CollectConfig | None = None
    """Who ranks them; null: only the comparisons of `data` are used."""
    decisions: Literal["ignore", "stand"] = "ignore"
    """Decisions of adjudicators. stand: they replace the raters' judgments of a task; ignore: only raters count."""
    reward: RewardConfig | None = RewardConfig()
    """The reward model; null: none. DPO needs none, nor do methods that sample if `rewards` names other rewards."""
    optimize: OptimizeConfig | None = PPOConfig()
    """The method that moves the policy, by its kind; null: none. The run then ends with the fine-tuned policy and,
    where there are comparisons or raters, a reward model (`reward: null`: the judgments)."""
    evaluate: EvaluateConfig | None = EvaluateConfig()
    """Blind comparison with the round's start; null: none. It is null by itself where `optimize` is null."""
    suites: tuple[SuiteConfig, ...] = ()
    """Sets of test questions for every policy of the run, and for its reward models if a suite can ask them."""
    suites_judge: RatersConfig | None = None
    """Who judges the answers of suites that need a judge (MT-Bench, a team's own criteria); null: nobody."""
    gate: GateConfig | None = None
    """What a policy must gain and must not lose to be promoted; the next round starts from the newest promoted
    one. Or the path of a gate file, or the name of one that comes with Assent (default, lab). null: all are
    promoted."""
    store: StoreConfig = StoreConfig()
    """The database in which judgments are kept."""
    compute: ComputeConfig = ComputeConfig()
    """Threads, device, checkpoints."""
    log: LogConfig = LogConfig()
    """Where curves are written."""

    @field_validator("name")
    @classmethod
    def _is_free(cls, name: str) -> str:
        """The folders below runs/ that all runs share are no run's."""
        if name in RESERVED:
            raise ValueError(f"{name!r} is a folder that all runs share; choose another name for the run")
        return name

    @model_validator(mode="before")
    @classmethod
    def _defaults_that_depend(cls, values: Any) -> Any:
        """Stages of which nothing is said and that have nothing to work on are null; adapters learn faster."""
        if not isinstance(values, Mapping):
            return values
        values = with_budget(values, CollectConfig, EvaluateConfig)
        if "optimize" in values and values["optimize"] is None:
            values = {**({} if _has_rankings(values) else {"reward": None}), "evaluate": None, **values}
        if "sft" not in values and not _has_demonstrations(values.get("data")):
            values = {**values, "sft": None}
        model = values.get("model")
        lora = model.get("lora") if isinstance(model, Mapping) else getattr(model, "lora", None)
        if lora is None:
            return values
        given = {name: values.get(name, cls.model_fields[name].default) for name in TRAINED}
        raised = {name: with_adapter_rates(one, TRAINED[name]) for name, one in given.items()}
        if isinstance(revising := values.get("constitution"), Mapping) and revising.get("sft", {}) is not None:
            raised["constitution"] = {**revising, "sft": with_adapter_rates(revising.get("sft", {}), TRAINED["sft"])}
        return {**values, **raised}

    @property
    def method(self) -> Method:
        """What `optimize` says, also where it says that there is none."""
        return self.optimize or NoMethod()

    @property
    def has_rounds(self) -> bool:
        """Whether anything is done after fine-tuning."""
        return self.optimize is not None or self.collect is not None or self.fits_reward

    @property
    def lab(self) -> LabData | None:
        """The lab, where raters and suites may read the truth of its texts."""
        return self.data if isinstance(self.data, LabData) else None

    @property
    def judges(self) -> RatersConfig | None:
        """Who compares policies: the evaluation's own raters, else those of the rounds; None: nobody is named."""
        own = None if self.evaluate is None else self.evaluate.raters
        return own or (None if self.collect is None else self.collect.raters)

    @property
    def fits_reward(self) -> bool:
        """Whether rounds fit a reward model: the method takes one, the evaluation has no other judge, or it is what the
        run is for."""
        is_judge = self.judges is None and self.evaluate is not None
        is_the_end = self.optimize is None
        return self.reward is not None and (is_judge or is_the_end or self.gives_best or "reward" in self.method.wants)

    @property
    def gives_best(self) -> bool:
        """Whether the policy under evaluation gives the best of several answers."""
        return self.evaluate is not None and self.evaluate.best_of > 1

    @property
    def reads_rankings(self) -> bool:
        """Whether anything learns from rankings: a reward model, or the method itself."""
        return self.fits_reward or bool({"judgments", "gold"} & self.method.wants)

    @model_validator(mode="after")
    def _check(self) -> RunConfig:
        if self.reward is None and "reward" in self.method.needs:
            raise ValueError(
                f"reward is null, but {self.method.title} learns from the scores of the round's reward model; name"
                " others in optimize.rewards (kind: python, or kind: model with a path), take optimize.kind: dpo, or"
                " leave reward out"
            )
        if lost := sorted(self.method.criteria() - set(() if self.reward is None else self.reward.criteria)):
            raise ValueError(
                f"optimize.rewards asks the round's reward model for {', '.join(lost)}, of which it has no head; name"
                " them in reward.criteria"
            )
        if self.model.lora is None and self.method.wants_shared_base:
            raise ValueError("optimize.shared_base is always, but all weights are trained: set model.lora, or auto")
        if self.reward is None and "gold" in self.method.needs:
            raise ValueError(
                "reward is null, but optimize.guards.gold kind fitted is a reward model; leave reward out, name a model"
                " or a function in optimize.guards.gold, or set it to null"
            )
        if self.collect is None and isinstance(self.data, LabData) and self.reads_rankings:
            raise ValueError("collect is missing: with data.kind=lab somebody has to rank the answers (collect.raters)")
        if isinstance(self.data, FileData):
            if not (self.data.demonstrations or self.data.prompts or self.data.comparisons):
                raise ValueError("no prompts: give data.prompts, data.demonstrations or data.comparisons")
            if not (self.data.eval_share or self.data.eval_prompts) and self.evaluate is not None:
                raise ValueError("data.eval_share is 0: give data.eval_prompts to evaluate on, or set evaluate: null")
            if "demonstrations" in self.method.needs and not self.data.demonstrations:
                raise ValueError(
                    "optimize.ptx wants data.demonstrations; give them, or set optimize.ptx.coefficient: 0"
                )
        if self.gives_best and self.reward is None:
            raise ValueError("evaluate.best_of wants the round's reward model, but reward is null; leave reward out")
        self._check_ai()
        self._check_compute()
        self._check_trunk()
        self._check_end()
        titles = [one.title for one in self.suites]
        if twice := sorted(
            {one for one in titles if titles.count(one) > 1} | ({"lab", "winrate", "answers", "reward"} & set(titles))
        ):
            raise ValueError(f"suites: {twice[0]!r} names two suites; give one of them another name")
        if self.sft is not None and isinstance(self.data, FileData) and not self.data.demonstrations:
            raise ValueError("sft has nothing to learn from: give data.demonstrations, or set sft: null")
        return self

    def _check_compute(self) -> None:
        """What the engine, or several processes, cannot do with the run."""
        if self.compute.engine == "vllm":
            refuse_samplings(self)
        if self.compute.kind == "ray" and self.model.products == "auto":
            raise ValueError(
                "model.products is auto, which every process of a cluster would measure for itself; set model.products:"
                " bfloat16 or float32 with compute.kind: ray"
            )
        correction = self.optimize.correction.kind if isinstance(self.optimize, OnPolicyConfig) else "auto"
        if self.compute.staleness and correction == "none":
            raise ValueError(
                "compute.staleness is 1, but optimize.correction.kind none lets old answers count as if they were new;"
                " set it to auto, truncated or masked"
            )

    def _check_trunk(self) -> None:
        """What a value head on the policy's states cannot go with."""
        if not self.method.shares_trunk:
            return
        if self.compute.kind == "ray":
            raise ValueError(
                "optimize.value is shared_trunk, which one process computes, but compute.kind is ray; set"
                " optimize.value: own_model, or compute.kind: local"
            )
        if self.model.attention == "padded":
            raise ValueError(
                "optimize.value is shared_trunk, but model.attention is padded, whose states no value head can read;"
                " set optimize.value: own_model, or model.attention: auto"
            )

    def _check_end(self) -> None:
        """What a run without a method cannot do."""
        if self.optimize is not None:
            return
        if (self.evaluate is not None and not self.gives_best) or self.gate is not None:
            key = "gate" if self.evaluate is None or self.gives_best else "evaluate"
            raise ValueError(
                f"{key} is about what a method makes of the policy, but optimize is null; set {key} to null too,"
                " name a method in optimize.kind, or let the policy give the best of several answers"
                " (evaluate.best_of: 8)"
            )
        if not (self.sft or self.constitution or self.suites or self.has_rounds):
            raise ValueError(
                "optimize is null, and there is nothing else to do; give data.demonstrations to fine-tune on, or"
                " data.comparisons or collect for a reward model"
            )

    def _check_ai(self) -> None:
        ai = None if self.collect is None else self.collect.ai
        if ai is None or self.collect is None:
            return
        if self.collect.raters.kind not in ("people", "simulated"):
            raise ValueError(
                f"collect.ai stands beside people, but collect.raters.kind is {self.collect.raters.kind}; set it to"
                " people or simulated, or put the constitution under collect.raters and leave collect.ai out"
            )
        if ai.weight != 1 and self.fits_reward and self.reward is not None and self.reward.loss == "plackett_luce":
            raise ValueError(
                f"collect.ai.weight {ai.weight} weighs pairs, and reward.loss plackett_luce reads whole orders; set the"
                " loss to bradley_terry, or the weight to 1"
            )
        if ai.weight != 1 and self.method.reads_whole_orders:
            raise ValueError(
                f"collect.ai.weight {ai.weight} weighs pairs, and {self.method.title} reads whole orders here; set"
                " the weight to 1, or optimize.ranking to pairs"
            )
