"""Who judges: simulated people, a reward model, a function, a language model, a constitution, or people."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from assent.artifacts.outside import identity_of
from assent.core.config import Config
from assent.core.findings import Finding, error
from assent.core.scoring import PythonTarget
from assent.raters.constitution import Constitution

Role = Literal["train", "evaluation"]
"""What raters are asked for; those who evaluate are other people than those whose labels train."""

LabAxis = Literal["helpful", "honest", "harmless", "polite", "direct", "concise", "fluent"]
"""What the lab knows of an answer."""


class SimulatedConfig(Config):
    """Simulated people: they judge by a known utility, with noise and human weaknesses."""

    kind: Literal["simulated"] = "simulated"
    """Which kind of raters these are."""
    number: int = Field(default=12, ge=1)
    """People whose judgments are learned from."""
    evaluation_number: int = Field(default=8, ge=1)
    """Other simulated people, who judge only in evaluations."""
    groups: dict[str, float] = Field(default={"neutral": 1.0}, min_length=1)
    """Groups of taste and their relative sizes."""
    sharpness: float = Field(default=2.0, gt=0)
    """Median over people of a in P(first over second) = sigmoid(a * utility gap)."""
    sharpness_spread: float = Field(default=0.3, ge=0)
    """Standard deviation over people of log sharpness."""
    careless_share: float = Field(default=0.08, ge=0, le=1)
    """Share of people who do not read and rank at random."""
    slip: float = Field(default=0.02, ge=0, le=1)
    """Probability that anybody else ranks one task at random."""
    inverted_share: float = Field(default=0.0, ge=0, le=1)
    """Share of people who rank in reverse, by mistake or on purpose."""
    position_lean: float = 0.1
    """Logits in favour of the answer shown first."""
    length_lean: float = 0.1
    """Logits per unit of log words in favour of the longer answer."""
    fatigue: float = Field(default=0.2, ge=0)
    """Over one sitting, sharpness falls by the factor exp(-fatigue)."""
    sitting: int = Field(default=40, ge=1)
    """Tasks in one sitting."""
    tie_threshold: float = Field(default=0.3, ge=0)
    """Answers that seem closer than this (in logits, median over people) are tied; 0: never."""
    strength_cuts: tuple[float, float, float] = (1.0, 2.0, 3.5)
    """Seeming gaps (in logits, median over people) from which on an answer is 2, 3 or 4 degrees better."""
    spread: float = Field(default=0.3, ge=0)
    """Standard deviation over people of their leans (absolute), log tie threshold and log strength cuts."""
    words_per_minute: float = Field(default=240.0, gt=0)
    """Reading speed, from which the active seconds of a judgment are computed."""
    criteria: tuple[LabAxis, ...] = Field(default=(), json_schema_extra={"added_later": True})
    """Criteria by which people also score each answer from 1 to 5, with noise and a level of their own; empty:
    they only rank."""

    @model_validator(mode="after")
    def _check(self) -> SimulatedConfig:
        if any(share < 0 for share in self.groups.values()) or not sum(self.groups.values()) > 0:
            raise ValueError(f"groups want sizes of at least 0, one of them above, got {self.groups}")
        if list(self.strength_cuts) != sorted(self.strength_cuts) or self.strength_cuts[0] < 0:
            raise ValueError(f"strength_cuts must rise from at least 0, got {self.strength_cuts}")
        if self.careless_share + self.inverted_share > 1:
            raise ValueError("careless_share and inverted_share together exceed 1; lower one of them")
        return self

    def ids(self, role: Role, seed: int) -> Iterator[str]:
        """Ids of the people of a role."""
        number = self.number if role == "train" else self.evaluation_number
        return (f"sim-{role}-{seed}-{i:03}" for i in range(number))


class RewardModelConfig(Config):
    """A reward model as the only rater."""

    kind: Literal["reward_model"] = "reward_model"
    """Which kind of raters these are."""
    path: str = Field(json_schema_extra={"outside": "model"})
    """Folder or hub id of a sequence-classification model with one label."""
    tie_threshold: float = Field(default=0.0, ge=0)
    """An answer whose score is at most this far below the best of a tier is tied with it."""

    def ids(self, role: Role, seed: int) -> Iterator[str]:
        """The id of the only rater."""
        yield f"reward model {self.path}"


class FunctionConfig(Config):
    """A Python function as the only rater."""

    kind: Literal["function"] = "function"
    """Which kind of raters these are."""
    target: PythonTarget = Field(json_schema_extra={"outside": "python"})
    """"package.module:function", called with (prompts, completions): `Prompt` and texts, one score each."""
    tie_threshold: float = Field(default=0.0, ge=0)
    """An answer whose score is at most this far below the best of a tier is tied with it."""

    def ids(self, role: Role, seed: int) -> Iterator[str]:
        """The id of the only rater."""
        yield f"function:{self.target}"


class LocalJudgeConfig(Config):
    """A causal language model of this machine, whose verdicts are read from its probabilities."""

    kind: Literal["local"] = "local"
    """Which kind of backend this is."""
    path: str = Field(json_schema_extra={"outside": "model"})
    """Folder or hub id of a model that follows instructions."""

    @property
    def name(self) -> str:
        """What the judge is called."""
        return self.path


class EndpointJudgeConfig(Config):
    """A model behind an OpenAI-compatible address, whose verdicts are read from what it writes."""

    kind: Literal["endpoint"] = "endpoint"
    """Which kind of backend this is."""
    base_url: str = Field(json_schema_extra={"outside": "none"})
    """Address of the interface, such as https://api.openai.com/v1 or http://127.0.0.1:8001/v1."""
    model: str = Field(min_length=1, max_length=200)
    """The model's name there."""
    key_env: str = Field(default="OPENAI_API_KEY", json_schema_extra={"affects_result": False})
    """Name of the environment variable that holds the key, so that the key itself is in no file. An address on
    this machine needs none."""
    temperature: float | None = Field(default=0.0, ge=0)
    """Of the model's sampling; null leaves it out, for models that take none."""
    max_tokens: int = Field(default=600, ge=16)
    """Longest reply, in tokens. A reply that is cut counts as no verdict."""
    max_tokens_name: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """How the interface calls it."""
    structured: Literal["auto", "json_schema", "json_object", "none"] = "auto"
    """How the reply is made to be JSON. auto asks for a schema; where the address refuses that, it asks for less
    and says so."""
    concurrency: int = Field(default=4, ge=1, le=64, json_schema_extra={"affects_result": False})
    """Tasks asked about at once."""
    timeout: float = Field(default=60.0, gt=0, json_schema_extra={"affects_result": False})
    """Seconds for one reply."""
    retries: int = Field(default=5, ge=0, le=20, json_schema_extra={"affects_result": False})
    """Further attempts where an address does not answer or asks to wait."""
    budget_tokens: int | None = Field(default=None, ge=1, json_schema_extra={"affects_result": False})
    """Largest number of tokens, sent and received, that one command may use; it stops before it would use more."""
    budget_money: float | None = Field(default=None, gt=0, json_schema_extra={"affects_result": False})
    """Largest amount of money that one command may cost, by the two prices below."""
    price_in: float = Field(default=0.0, ge=0, json_schema_extra={"affects_result": False})
    """Price of a million tokens that are sent."""
    price_out: float = Field(default=0.0, ge=0, json_schema_extra={"affects_result": False})
    """Price of a million tokens that come back."""

    @model_validator(mode="after")
    def _check(self) -> EndpointJudgeConfig:
        # Said of the whole, so that no error shows a value that may be a key.
        for name in ("base_url", "model", "key_env"):
            if _KEY.search(getattr(self, name)):
                raise ValueError(
                    f"{name} looks like a key; put the key into an environment variable and name it in key_env"
                )
        if not _VARIABLE.fullmatch(self.key_env):
            raise ValueError("key_env wants the name of an environment variable, such as OPENAI_API_KEY, and no key")
        if not _ADDRESS.fullmatch(self.base_url):
            raise ValueError(
                "base_url is no address such as https://api.example.org/v1, without user, password or query"
            )
        if self.budget_money is not None and not (self.price_in or self.price_out):
            raise ValueError("budget_money wants prices: set price_in and price_out, for a million tokens each")
        return self

    @property
    def name(self) -> str:
        """What the judge is called."""
        return f"{self.model} at {self.host}"

    @property
    def is_here(self) -> bool:
        """Whether the address is this machine's."""
        return urlsplit(self.base_url).hostname in {"127.0.0.1", "localhost", "::1"}

    @property
    def host(self) -> str:
        """The machine that is asked."""
        return urlsplit(self.base_url).netloc


_KEY = re.compile(
    r"(?:^|[^A-Za-z0-9])(?:sk|pk|rk|gsk|hf|xai|ghp|key)[-_][A-Za-z0-9_-]{16,}|AIza[A-Za-z0-9_-]{20,}|Bearer "
)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,80}")
_ADDRESS = re.compile(r"https?://[^\s/?#@]+(?:/[^\s?#@]*)?")

JudgeBackend = Annotated[LocalJudgeConfig | EndpointJudgeConfig, Field(discriminator="kind")]
"""What answers the questions of a judge."""


class AutoraterConfig(Config):
    """A language model as the only rater. It judges by a rubric, either pairs in both orders or single answers by
    scores."""

    kind: Literal["autorater"] = "autorater"
    """Which kind of raters these are."""
    backend: JudgeBackend
    """The model that judges."""
    rubric: str = Field(default="hhh", json_schema_extra={"outside": "rubric"})
    """A rubric of the package (hhh, concision, instruction_following, caution_legal_medical), or a YAML file."""
    criteria: tuple[str, ...] = ()
    """Criteria of the rubric that count; empty: all."""
    mode: Literal["pairwise", "scores", "both"] = "pairwise"
    """pairwise: which of two answers is better, in both orders. scores: one score for each answer and criterion, and
    answers are ordered by their mean. both: ordered by pairs, scored besides."""
    tie_threshold: float = Field(default=0.0, ge=0)
    """Answers whose margin is at most this are tied. The margin of a pair, in logits, is taken before `temperature`;
    in mode `scores` it is the gap between mean scores, in points of the scale from 1 to 5."""
    temperature: float = Field(default=1.0, gt=0)
    """P(first better) = sigmoid(margin / temperature); fitted on human judgments where there are some."""
    rationale: bool = False
    """Whether the model also writes a reason, which is kept as the critique. It is asked for after the verdict
    and never changes it."""
    prompts: str = Field(default="plain", json_schema_extra={"outside": "prompts"})
    """The wording of the questions: `plain`, which comes with the package, or a folder of templates."""

    def ids(self, role: Role, seed: int) -> Iterator[str]:
        """The id of the only rater."""
        yield f"judge {self.backend.name} by {self.rubric}"


class ProgramConfig(Config):
    """A Python function in place of a language model, for worlds in which none follows instructions."""

    kind: Literal["python"] = "python"
    """Which kind of backend this is."""
    target: PythonTarget = Field(json_schema_extra={"outside": "python"})
    """"package.module:function", called with (principle, prompts, answers): the id of a principle, `Prompt` and texts.
    It gives a score each where it judges, a text each where it revises."""

    @property
    def name(self) -> str:
        """What it is called."""
        return self.target


class ConstitutionConfig(Config):
    """A judge by the principles of a constitution. Each principle is a rater of its own, `constitution/<principle>@…`;
    asked for all at once there is one rater, `constitution@…`. The mark behind @ changes with every word and setting.
    """

    kind: Literal["constitution"] = "constitution"
    """Which kind of raters these are."""
    constitution: str = Field(default="hhh", json_schema_extra={"outside": "constitution"})
    """A constitution of the package (hhh, lab), or a YAML file."""
    principles: tuple[str, ...] = ()
    """Principles that count, by id or topic; empty: all."""
    backend: Annotated[LocalJudgeConfig | EndpointJudgeConfig | ProgramConfig, Field(discriminator="kind")]
    """What judges by a principle: the verdict of a local model is read from its probabilities in both orders."""
    ask: Literal["drawn", "all"] = "drawn"
    """drawn: one principle per task, drawn by weight. all: every principle, and the weighted mean of their margins."""
    tie_threshold: float = Field(default=0.0, ge=0)
    """Answers whose margin is at most this are tied."""
    temperature: float = Field(default=1.0, gt=0)
    """P(first better) = sigmoid(margin / temperature), by which strengths are read."""
    prompts: str = Field(default="plain", json_schema_extra={"outside": "prompts"})
    """The wording of the questions: `plain`, which comes with the package, or a folder of templates."""

    @property
    def loaded(self) -> Constitution:
        """The principles that count. Raises ConfigError."""
        return Constitution.load(self.constitution, self.principles)

    @property
    def mark(self) -> str:
        """Eight hex digits of all that decides its judgments."""
        return identity_of(self)[:8]

    def ids(self, role: Role, seed: int) -> Iterator[str]:
        """The ids of the raters. Raises ConfigError."""
        names = [f"/{one.id}" for one in self.loaded.principles] if self.ask == "drawn" else [""]
        return (f"constitution{name}@{self.mark}" for name in names)


class PeopleConfig(Config):
    """People, who rate in their own time; the run waits for them."""

    kind: Literal["people"] = "people"
    """Which kind of raters these are."""
    enough: float = Field(default=1.0, gt=0, le=1, json_schema_extra={"affects_result": False})
    """The run continues once this share of the wanted judgments is in. Below 1, some tasks may stay unjudged."""
    wait_for: tuple[str, ...] = Field(default=(), json_schema_extra={"affects_result": False})
    """Logins of people for whom the run waits, whether they have begun or not, until they have judged or skipped what
    is left for them. Others are waited for once they have begun, for seven days after their last judgment."""
    number: int = Field(default=1, ge=1, json_schema_extra={"affects_result": False})
    """Number of different people for whom the run waits. It matters for tasks that several people judge: until as many
    have begun, these tasks stay open."""


RatersConfig = Annotated[
    SimulatedConfig | RewardModelConfig | FunctionConfig | AutoraterConfig | ConstitutionConfig | PeopleConfig,
    Field(discriminator="kind"),
]
_KINDS = [one.model_fields["kind"].default for one in typing.get_args(typing.get_args(RatersConfig)[0])]


def no_truth(key: str) -> Finding:
    """What is wrong with simulated people, named under `key`, where the texts are not the lab's."""
    said = "simulated people know the truth of the lab's own texts (data.kind=lab) and of no others"
    return error(f"{key}.kind", said, f"use one of {', '.join(kind for kind in _KINDS if kind != 'simulated')}")
