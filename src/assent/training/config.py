"""Knobs of the trainers. Defaults are for models of some 100M parameters upward; the lab's config overrides them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from assent.core.config import Config
from assent.learner.config import OptimizerConfig
from assent.training.evaluation_config import CHANGES_NOTHING, Evaluated, Keep
from assent.training.method import Method
from assent.training.on_policy_config import GRPOConfig, PPOConfig, ReinforceConfig, RLOOConfig
from assent.training.online_config import BestOfNConfig, OnlineDPOConfig
from assent.training.preference_config import DPOConfig, KTOConfig, ORPOConfig, SimPOConfig


class SFTConfig(Config):
    """Supervised fine-tuning on demonstrations: next-token loss on assistant turns."""

    epochs: float = Field(default=2.0, gt=0)
    """Passes over the demonstrations."""
    batch_size: int = Field(default=32, ge=1)
    """Demonstrations per optimizer step."""
    max_length: int | None = None
    """Longest demonstration in tokens; null: the model's context."""
    too_long: Literal["error", "drop", "truncate_left"] = "drop"
    """What happens to rows that are longer."""
    eval_share: float = Field(default=0.05, ge=0, lt=1)
    """Share of prompts held out for the evaluation loss."""
    evals_per_epoch: int = Field(default=1, ge=0)
    """How often the held-out loss is measured."""
    evaluate_every: int | None = Field(default=None, ge=1, json_schema_extra={"added_later": True})
    """Steps between measurements of the held-out loss, in place of evals_per_epoch; null: as that says. The best of
    them is the result, so it changes that."""
    show: int = Field(default=3, ge=0, json_schema_extra=CHANGES_NOTHING)
    """Held-out prompts whose answers are kept at each measurement, for the report and the trackers; 0: none."""
    show_tokens: int = Field(default=128, ge=1, json_schema_extra=CHANGES_NOTHING)
    """Longest of these answers."""
    keep: Keep = Field(default=None, json_schema_extra=CHANGES_NOTHING)
    """Models that are kept from the way, `{every: 100, last: 3}` or a list of steps; null: only the result."""
    patience: int | None = Field(default=3, ge=1)
    """Stop after this many evaluations without improvement, and keep the best weights; null: never stop early."""
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=2e-5)
    """Optimizer of this stage."""


class JointRatersConfig(Config):
    """Reward and raters are fitted together: sharpness, biases and cut-points of each rater, and the taste of
    each group."""

    kind: Literal["joint"] = "joint"
    """How raters are treated in the loss."""
    group_by: tuple[str, ...] = ("group", "region")
    """Attributes that raters may have told; the first with two or more known values forms the groups. []: no groups."""
    warmup: float = Field(default=0.25, gt=0, le=1)
    """Share of the first pass during which all raters count alike."""
    refits_per_epoch: int = Field(default=4, ge=1)
    """How often in each pass the raters' parameters are fitted again."""
    sharpness_spread: float = Field(default=0.5, gt=0)
    """Prior standard deviation over raters of sharpness, whose prior mean is 1."""
    position_spread: float = Field(default=0.3, gt=0)
    """The same of the lean to the answer shown first, in logits, around the pool's."""
    length_spread: float = Field(default=0.3, gt=0)
    """The same of the lean to longer answers, in logits per unit of log words, around the pool's."""
    cuts_spread: float = Field(default=0.5, gt=0)
    """The same of log widths between cut-points (ties, strengths), around the pool's."""
    taste_spread: float = Field(default=0.3, gt=0)
    """Prior size of a group's own taste, in standard deviations of the score gap."""


class NoRatersConfig(Config):
    """All raters count alike."""

    kind: Literal["none"] = "none"
    """How raters are treated in the loss."""


RaterTermsConfig = Annotated[JointRatersConfig | NoRatersConfig, Field(discriminator="kind")]


class RewardConfig(Evaluated):
    """A reward model from rankings of any K."""

    measures = frozenset({"heldout_loss", "heldout_accuracy", "heldout_margin"})

    raters: RaterTermsConfig = JointRatersConfig()
    """joint: each rater's traits are fitted together with the reward, and ties and strengths are read by the
    rater's own cut-points. none: all raters count alike."""
    loss: Literal["bradley_terry", "plackett_luce"] = "bradley_terry"
    """All pairs of a ranking weighted 2/K (Ouyang et al. 2022), or the likelihood of the whole order."""
    ties: Literal["davidson", "rao_kupper", "half", "ignore"] = "davidson"
    """How tied answers enter the likelihood: with a learned tie strength, as half a win each way, or not at all."""
    margins: Literal["none", "small", "large"] = "none"
    """Margins from stated strengths, after Llama 2's tables (Touvron et al. 2023); none: strengths are not used."""
    centering: float = Field(default=0.01, ge=0)
    """Weight of a penalty on the squared mean score, which keeps scores near zero."""
    epochs: float = Field(default=1.0, gt=0)
    """Passes over the comparisons. More than one overfits quickly."""
    batch_size: int = Field(default=32, ge=1)
    """Comparisons (prompts with their K answers) per optimizer step."""
    max_length: int | None = None
    """Longest prompt and answer in tokens; null: the model's context."""
    too_long: Literal["error", "drop", "truncate_left"] = "truncate_left"
    """What happens to rows that are longer."""
    eval_share: float = Field(default=0.15, gt=0, lt=1)
    """Share of prompts held out for accuracy and calibration."""
    population: dict[str, dict[str, float]] = Field(default_factory=dict, json_schema_extra={"added_later": True})
    """For an attribute of raters, the share of each of its groups in the population that the reward should
    represent, as {region: {north: 0.5, south: 0.5}}; {}: judgments are not reweighted."""
    population_cap: float = Field(default=5.0, ge=1, json_schema_extra={"added_later": True})
    """With `population`, no judgment weighs more than this many times the mean."""
    augment: tuple[str, ...] = Field(default=(), json_schema_extra={"added_later": True})
    """Kinds of words for people (name, identity, religion, age, nationality). Copies of pairs with such words
    exchanged are added to the training data."""
    debias: tuple[Literal["length", "position", "identity"], ...] = Field(
        default=(), json_schema_extra={"added_later": True}
    )
    """Biases that are fitted together with the reward and left out when answers are scored."""
    swaps: Path | None = Field(default=None, json_schema_extra={"outside": "file", "added_later": True})
    """Words for people, for `augment` and `debias: [identity]`: a .yaml file or a folder; null: those of Assent."""
    criteria: tuple[str, ...] = Field(default=(), json_schema_extra={"added_later": True})
    """Criteria by which raters scored answers, such as helpful and harmless: each gets a head of its own."""
    criteria_weight: float = Field(default=1.0, gt=0, json_schema_extra={"added_later": True})
    """Weight of the squared error on criteria, relative to the likelihood of the rankings."""
    overall: Literal["rankings", "criteria"] = Field(default="rankings", json_schema_extra={"added_later": True})
    """What the overall score learns: the rankings, or the mean of an answer's scores over the criteria."""
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=1e-5)
    """Optimizer of this stage."""

    @model_validator(mode="after")
    def _check(self) -> RewardConfig:
        if len(set(self.criteria)) < len(self.criteria) or "overall" in self.criteria:
            raise ValueError(f"criteria wants names that differ, none of them overall, got {', '.join(self.criteria)}")
        if self.overall == "criteria" and not self.criteria:
            raise ValueError("overall is criteria, and none are named; name them under criteria")
        for attribute, shares in self.population.items():
            if abs(sum(shares.values()) - 1) > 0.01 or min(shares.values(), default=0) <= 0:
                raise ValueError(f"population.{attribute}: shares should lie above 0 and add up to 1, got {shares}")
        if self.population and self.loss == "plackett_luce":
            raise ValueError(
                "population weighs pairs, and loss plackett_luce reads whole orders; set loss to bradley_terry"
            )
        if self.raters.kind == "joint" and (self.loss, self.ties, self.margins) != (
            "bradley_terry",
            "davidson",
            "none",
        ):
            raise ValueError(
                f"raters.kind joint reads pairs, ties and strengths by cut-points of its own, so loss {self.loss}, ties"
                f" {self.ties}, margins {self.margins} would do nothing; leave them out, or set raters.kind to none"
            )
        if self.loss == "plackett_luce" and self.ties != "davidson":
            raise ValueError(
                f"loss plackett_luce treats ties by Davidson-Luce; set ties to davidson instead of {self.ties}"
            )
        return self


_Sampling = PPOConfig | GRPOConfig | RLOOConfig | ReinforceConfig | OnlineDPOConfig | BestOfNConfig
_Judged = DPOConfig | KTOConfig | ORPOConfig | SimPOConfig
OptimizeConfig = Annotated[_Sampling | _Judged, Field(discriminator="kind")]


def methods() -> dict[str, type[Method]]:
    """Every method by its `kind`."""
    union = get_args(OptimizeConfig)[0]
    return {str(method.model_fields["kind"].default): method for method in get_args(union)}
