"""Settings of the suites with questions of their own: one class each, and nothing heavy is imported."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from assent.evaluation.settings import PackagedSettings, SuiteSettings
from assent.generation.config import Sampling


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
    """What changes where the same text is about, or from, people of another group, compared with what changes
    under harmless rewording."""

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
    judged: bool = Field(default=False, json_schema_extra={"added_later": True})
    """Whether the judge says besides which group's answer it prefers; that wants a policy and a judge."""
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
    """How much a policy's answers differ from each other; the file has one column, prompt."""

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


class TruthfulQAConfig(SuiteSettings):
    """Whether true answers are likelier than false ones; columns question, mc1_targets, mc2_targets (answer -> 0 or 1),
    or Question, Best Answer, Correct Answers, Incorrect Answers (split at `;`)."""

    kind: Literal["truthfulqa"] = "truthfulqa"
    """Which suite this is."""
    asked: Literal["primer", "chat"] = "primer"
    """primer: plain text after six questions with answers. chat: the question as a prompt, the answer as the whole
    answer to it."""


class IFEvalConfig(SuiteSettings):
    """Instructions that a program can check; columns prompt, instruction_id_list, kwargs."""

    kind: Literal["ifeval"] = "ifeval"
    """Which suite this is."""
    sampling: Sampling = Sampling(temperature=0.0, max_new_tokens=1024)
    """How the policy answers."""


class GSM8KConfig(SuiteSettings):
    """Grade-school mathematics with a number as the answer; columns question, answer (it ends in `#### number`)."""

    kind: Literal["gsm8k"] = "gsm8k"
    """Which suite this is."""
    sampling: Sampling = Sampling(temperature=0.0, max_new_tokens=384)
    """How the policy answers."""
    samples: int = Field(default=1, ge=1, le=64)
    """Answers to each question; more than one needs a temperature above 0."""
    instruction: str = "Solve the problem step by step. End with a line that holds #### and the final number."
    """Text that follows the question; empty: nothing."""


class BBQConfig(SuiteSettings):
    """Stereotypes in answers to questions with three options; the columns of BBQ's own files."""

    kind: Literal["bbq"] = "bbq"
    """Which suite this is."""
    asked: Literal["letters", "options", "written"] = "letters"
    """letters: which of (A), (B), (C) is likeliest. options: which option is likeliest as the whole answer, per byte.
    written: the policy answers in its own words, and what names no single option is counted as unparsed."""
    sampling: Sampling = Sampling(temperature=0.0, max_new_tokens=48)
    """How the policy answers where it is asked for words."""


class CrowSPairsConfig(SuiteSettings):
    """Sentences of which one is more stereotyping; columns sent_more, sent_less, stereo_antistereo, bias_type."""

    kind: Literal["crows_pairs"] = "crows_pairs"
    """Which suite this is."""


class WinogenderConfig(SuiteSettings):
    """Sentences that differ in a pronoun; columns sentid (occupation.other.number.gender.txt), sentence."""

    kind: Literal["winogender"] = "winogender"
    """Which suite this is."""
    occupations: Path | None = Field(default=None, json_schema_extra={"outside": "file"})
    """File with columns occupation and bls_pct_female; null: no comparison with the share of women at work."""


class BOLDConfig(SuiteSettings):
    """Continuations of sentences about groups of people; columns domain, category, entity, prompt."""

    kind: Literal["bold"] = "bold"
    """Which suite this is."""
    sampling: Sampling = Sampling(temperature=0.7, top_p=0.95, max_new_tokens=64)
    """How the policy's continuations are drawn."""
    judged: bool = False
    """Whether the judge scores each continuation too, by its criteria (regard, toxicity); that wants a judge."""
    scale: tuple[float, float] = (1.0, 5.0)
    """The judge's lowest and highest score."""


class MTBenchConfig(SuiteSettings):
    """Questions of two turns, answers scored by the judge; columns question_id, category, turns."""

    kind: Literal["mt_bench"] = "mt_bench"
    """Which suite this is."""
    references: Path | None = Field(default=None, json_schema_extra={"outside": "file"})
    """File with answers that the judge is shown beside the question; columns question_id, choices; null: none."""
    max_new_tokens: int = Field(default=1024, ge=1)
    """Longest answer."""
    temperatures: dict[str, float] = Field(default={"writing": 0.7, "roleplay": 0.7, "stem": 0.1, "humanities": 0.1})
    """How answers of a category are drawn; 0 for those that are not named."""
    scale: tuple[float, float] = (1.0, 5.0)
    """The judge's lowest and highest score."""


class ModelWrittenConfig(SuiteSettings):
    """Whether the chosen answers match a behaviour; columns question, answer_matching_behavior,
    answer_not_matching_behavior."""

    kind: Literal["model_written"] = "model_written"
    """Which suite this is."""


class BestOfConfig(SuiteSettings):
    """One right answer among several, as RewardBench 2 scores it; columns prompt, chosen, rejected, subset."""

    kind: Literal["best_of"] = "best_of"
    """Which suite this is."""


class TiesConfig(SuiteSettings):
    """Several right answers, as in RewardBench 2's Ties; columns id (ref:1 or tied:1), prompt, chosen, rejected."""

    kind: Literal["ties"] = "ties"
    """Which suite this is."""


ReferenceMetric = Literal["exact", "f1", "numeric", "bleu", "chrf", "rouge", "bits_per_byte"]


class ReferencesConfig(SuiteSettings):
    """Answers are compared with references; columns prompt and reference (text) or references (a list)."""

    kind: Literal["references"] = "references"
    """Which suite this is."""
    metrics: tuple[ReferenceMetric, ...] = Field(default=("exact", "f1", "chrf"), min_length=1)
    """What is computed. bleu and chrf need sacrebleu, rouge needs rouge-score (`pip install "assent[metrics]"`)."""
    tolerance: float = Field(default=1e-6, ge=0)
    """How far a number may lie from the reference, as a share of the reference."""
    sampling: Sampling = Sampling(temperature=0.0, max_new_tokens=256)
    """How the policy answers."""


class OwnConfig(SuiteSettings):
    """A team's own suite: a YAML file with rows and how answers to them are measured (docs/methods/suites.md)."""

    kind: Literal["own"] = "own"
    """Which suite this is."""
    sampling: Sampling = Sampling(temperature=0.0, max_new_tokens=256)
    """How the policy answers."""
    scale: tuple[float, float] = (1.0, 5.0)
    """The judge's lowest and highest score, where criteria are judged."""


class RedTeamConfig(SuiteSettings):
    """Attacks on what should be declined; column request, also id, group, codeword, twin (harmless, to answer)."""

    kind: Literal["redteam"] = "redteam"
    """Which suite this is."""
    operators: tuple[str, ...] = ()
    """Only these operators or families; empty: all."""
    detector: Literal["auto", "leak", "refusal", "judge"] = "auto"
    """What counts as a successful attack. leak: the answer says the codeword. refusal: the answer does not
    refuse. judge: a judge flags the answer as unsafe. auto: leak where a row has a codeword, else refusal."""
    regressions: Path | None = Field(default=None, json_schema_extra={"outside": "file"})
    """The regressions.jsonl of earlier red teams. What people confirmed there is asked of every policy again."""
    sampling: Sampling = Sampling(temperature=0.0, max_new_tokens=128)
    """How the policy answers."""


SuiteConfig = Annotated[
    XSTestConfig
    | HHHConfig
    | TruthfulQAConfig
    | IFEvalConfig
    | GSM8KConfig
    | BBQConfig
    | CrowSPairsConfig
    | WinogenderConfig
    | BOLDConfig
    | MTBenchConfig
    | ModelWrittenConfig
    | BestOfConfig
    | TiesConfig
    | ReferencesConfig
    | OwnConfig
    | RedTeamConfig
    | CounterfactualConfig
    | DiversityConfig,
    Field(discriminator="kind"),
]
"""Settings of any suite."""
