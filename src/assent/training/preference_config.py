"""Settings of the methods that learn from judgments themselves, without a reward model: DPO, KTO, ORPO, SimPO."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from assent.core.findings import Finding, error, ok, warning
from assent.learner.config import OptimizerConfig
from assent.training.evaluation_config import CHANGES_NOTHING
from assent.training.method import Method, Need, RankedRows


class PreferenceConfig(Method):
    """What every method has that learns from judgments themselves."""

    measures: ClassVar[frozenset[str]] = frozenset({"heldout_loss", "heldout_accuracy", "heldout_margin"})
    scores_start: ClassVar[bool] = False
    """Whether all answers are scored once by the policy that it starts from, its reference."""

    epochs: float = Field(default=1.0, gt=0)
    """Passes over the comparisons."""
    batch_size: int = Field(default=32, ge=1)
    """Comparisons per optimizer step; every decided pair of a ranking counts 2/K."""
    max_length: int | None = None
    """Longest prompt and answer in tokens; null: the model's context."""
    too_long: Literal["error", "drop", "truncate_left"] = "drop"
    """What happens to rows that are longer."""
    eval_share: float = Field(default=0.0, ge=0, lt=1, json_schema_extra={"added_later": True})
    """Share of prompts whose judgments are held out and measured on the way, never trained on; 0: all are learned."""
    show_tokens: int = Field(default=128, ge=1, json_schema_extra=CHANGES_NOTHING)
    """Longest answer of those that `show` keeps from the way."""
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=1e-6)
    """Optimizer of the policy."""

    @property
    def needs(self) -> frozenset[Need]:
        """The judgments; no reward model stands between."""
        return frozenset({"judgments"})

    def ranked_rows(self) -> RankedRows:
        """As the settings say."""
        return RankedRows(self.max_length, self.too_long)

    def checks(self) -> Iterator[Finding]:
        """Settings that contradict one another."""
        found = list(self._problems())
        if not any(one.is_error for one in found):
            yield ok("optimize", self.title)
        yield from found

    def _problems(self) -> Iterator[Finding]:
        if self.best is not None and not self.eval_share:
            said = f"chooses by {self.best.measure}, and nothing is held out"
            yield error("optimize.best", said, "set optimize.eval_share, say to 0.1, or leave it out")


class RankingConfig(PreferenceConfig):
    """What every method has that learns from rankings."""

    learns_from: ClassVar[str] = "the rankings themselves"


class DPOConfig(RankingConfig):
    """Direct preference optimization on the judgments themselves (Rafailov et al. 2023)."""

    title: ClassVar[str] = "DPO"
    scores_start: ClassVar[bool] = True

    kind: Literal["dpo"] = "dpo"
    """Which method moves the policy."""
    beta: float = Field(default=0.1, gt=0)
    """Strength of the implicit KL."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    """Share of labels that are assumed to be flipped; with loss sigmoid this is conservative DPO."""
    loss: Literal["sigmoid", "ipo", "robust"] = Field(default="sigmoid", json_schema_extra={"added_later": True})
    """Cross-entropy of the pair (DPO); squared distance of the gap to 1/(2 beta) (IPO); or unbiased under flips of
    `label_smoothing` (robust DPO)."""
    ranking: Literal["pairs", "plackett_luce"] = Field(default="pairs", json_schema_extra={"added_later": True})
    """All decided pairs of a ranking, or the likelihood of its whole order (K-wise DPO), ties by Davidson-Luce."""
    length_normalized: bool = Field(default=False, json_schema_extra={"added_later": True})
    """Use means over an answer's tokens in place of sums. beta should then be larger by a factor of about an
    answer's length."""
    sft: float = Field(default=0.0, ge=0, json_schema_extra={"added_later": True})
    """Weight of the next-token loss of the best answers; 0: off."""
    labels: Literal["hard", "soft"] = Field(default="hard", json_schema_extra={"added_later": True})
    """hard: every vote as it was given. soft: for each pair the chance that the next person prefers its better
    answer, from the rater model where the round fits one (reward.raters.kind: joint), else from the shares of
    votes."""
    vote_prior: float = Field(default=1.0, ge=0, json_schema_extra={"added_later": True})
    """Votes that are added to each side before shares of votes are computed. At 1, three votes of five count as
    4/7, and one of one as 2/3."""
    weights: Literal["alike", "raters"] = Field(default="alike", json_schema_extra={"added_later": True})
    """alike: all judgments weigh the same. raters: each by its rater's sharpness in the rater model; below 0 it
    weighs nothing."""

    @property
    def needs(self) -> frozenset[Need]:
        """The judgments; and the reward model, with which raters are fitted, where judgments weigh by their raters."""
        return super().needs | ({"reward"} if self.weights == "raters" else set())

    @property
    def reads_whole_orders(self) -> bool:
        """As `ranking` says."""
        return self.ranking == "plackett_luce"

    @property
    def wants(self) -> frozenset[Need]:
        """Soft labels are better by the rater model."""
        return self.needs | ({"reward"} if self.labels == "soft" else set())

    def _problems(self) -> Iterator[Finding]:
        yield from super()._problems()
        if self.ranking == "plackett_luce" and (self.loss != "sigmoid" or self.label_smoothing):
            said = f"is plackett_luce, and loss {self.loss}, label_smoothing {self.label_smoothing} are for pairs"
            yield error("optimize.ranking", said, "use pairs, or loss sigmoid and label_smoothing 0")
        if self.ranking == "plackett_luce" and self.weights == "raters":
            yield error("optimize.weights", "is raters, which weighs pairs, and ranking is plackett_luce", "use pairs")
        if self.labels == "soft" and (self.loss != "sigmoid" or self.ranking != "pairs" or self.label_smoothing):
            said = f"is soft, which goes with loss sigmoid (not {self.loss}), ranking pairs (not {self.ranking})"
            yield error("optimize.labels", f"{said} and label_smoothing 0", "use hard, or leave the others out")
        if self.labels == "soft" and self.weights == "raters":
            said = "is raters, and soft labels already hold what each rater's word is worth"
            yield error("optimize.weights", said, "use alike")
        if self.loss == "robust" and not self.label_smoothing:
            said = "is robust with label_smoothing 0, which is plain DPO"
            yield warning("optimize.loss", said, "set label_smoothing to the share of flipped labels")
        if self.loss == "ipo" and self.label_smoothing:
            said = f"is {self.label_smoothing}, which loss ipo does not use"
            yield error("optimize.label_smoothing", said, "leave it out")


class ORPOConfig(RankingConfig):
    """Odds-ratio preference optimization: fine-tuning on the best answers and a term against the others, in one stage
    and without a reference (Hong et al. 2024)."""

    title: ClassVar[str] = "ORPO"

    kind: Literal["orpo"] = "orpo"
    """Which method moves the policy."""
    odds_weight: float = Field(default=0.1, gt=0)
    """Lambda: weight of the odds-ratio term beside the next-token loss of the best answers."""
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=8e-6)
    """Optimizer of the policy."""


class SimPOConfig(RankingConfig):
    """Simple preference optimization: mean log-probabilities per token as rewards, with a margin and without a
    reference (Meng et al. 2024)."""

    title: ClassVar[str] = "SimPO"

    kind: Literal["simpo"] = "simpo"
    """Which method moves the policy."""
    beta: float = Field(default=2.0, gt=0)
    """Factor on the mean log-probabilities."""
    margin: float = Field(default=1.0, ge=0)
    """Gamma: by how much the better answer should lead, in the units of beta times nats per token."""
    sft: float = Field(default=0.0, ge=0)
    """Weight of the next-token loss on the best answers, which keeps the policy close to people's words; 0: off."""


class KTOConfig(PreferenceConfig):
    """Kahneman-Tversky optimization: single answers that are good or bad, from rankings, scores and flags (Ethayarajh
    et al. 2024)."""

    title: ClassVar[str] = "KTO"
    learns_from: ClassVar[str] = "answers that were called good or bad: by rankings, scores and flags"
    measures: ClassVar[frozenset[str]] = frozenset({"heldout_loss", "heldout_accuracy"})
    reads_marks: ClassVar[bool] = True
    scores_start: ClassVar[bool] = True

    kind: Literal["kto"] = "kto"
    """Which method moves the policy."""
    beta: float = Field(default=0.1, gt=0)
    """Strength of the implicit KL."""
    good_weight: float = Field(default=1.0, gt=0)
    """Weight of good answers; times their number it should be 1 to 4/3 of the same of the bad ones, or the reverse."""
    bad_weight: float = Field(default=1.0, gt=0)
    """Weight of bad answers."""
    labels: Literal["hard", "soft"] = "hard"
    """hard: every labelled answer counts the same. soft: it counts as much as its judges agree; three votes for
    good of five count a fifth of five of five."""
    score_middle: float = 3.0
    """Answers with a mean score above this are good, below it bad; those at it are not used. 3 is the middle of a
    scale from 1 to 5."""
    batch_size: int = Field(default=32, ge=2)
    """Prompts with labelled answers per optimizer step; the reference point is estimated from as many."""
