"""Which tables of docs/results.md are drawn for which page of the methods, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Part:
    """One plot: some cells of the table."""

    title: str
    columns: tuple[str, ...]
    """Their heads. One: estimate and interval are in the cell. Several: see `draw`."""
    draw: Literal["numbers", "shares", "before and after", "range", "across"] = "numbers"
    """Before and after: of two columns. Range: of lowest, middle and highest. Across: of a row, a number a column."""
    reference: float | None = None
    """A dashed line."""
    rows: tuple[int, ...] | None = None
    """Which rows, from 0; None: all."""
    label: str = "{0}"
    """What a row is called, from its cells."""
    names: tuple[str, ...] = ()
    """What rows are called in place of that, where their words are too long for a picture."""


@dataclass(frozen=True)
class Picture:
    """Plots of one table on one page."""

    page: str
    section: str
    """Of the results."""
    head: str
    """How the table's first line begins."""
    title: str
    parts: tuple[Part, ...]

    @property
    def name(self) -> str:
        """Of its file."""
        return f"results-{self.page}.svg"


PICTURES = (
    Picture(
        "gate",
        "The release gate",
        "| evaluation | released",
        "False releases of the gate, in per cent; it promises 2.5",
        (
            Part(
                "Campaigns in which a policy on the very limit of a line was released",
                ("released though the line does not hold",),
                reference=2.5,
                names=(
                    "400 prompts, one look",
                    "60 clusters of 5, one look",
                    "12 clusters of 10, one look",
                    "6 clusters of 20, one look",
                    "100 prompts, rare outcomes",
                    "500 prompts, ten looks at any time",
                    "60 clusters, ten looks at any time",
                    "500 prompts, ten looks, refused",
                ),
            ),
        ),
    ),
    Picture(
        "raters",
        "Raters in the loss",
        "| pool | all raters alike",
        "What raters in the loss gain",
        (
            Part(
                "Points of accuracy over all raters alike, against the truth, five seeds",
                ("difference, against the truth",),
                reference=0,
                names=(
                    "honest",
                    "15 % careless, 5 % inverted",
                    "20 % careless, 15 % inverted",
                    "20 % plain, 10 % careless: majority",
                    "20 % plain: minority, by its score",
                    "20 % warm, 10 % careless: majority",
                    "20 % warm: minority, by its score",
                ),
            ),
        ),
    ),
    Picture(
        "statistics",
        "Intervals hold the truth",
        "| interval | rows |",
        "How often 95 % intervals hold the truth",
        (
            Part(
                "Lowest, median and highest share over worlds with a known truth",
                ("lowest", "median", "highest"),
                "range",
                0.95,
            ),
        ),
    ),
    Picture(
        "bias",
        "Bias",
        "| reward | gap |",
        "A planted lean of raters, before and after it is taken out",
        (
            Part(
                "Score of the same answer when it names the coast, in standard deviations, 20 seeds",
                ("gap",),
                reference=0,
            ),
        ),
    ),
    Picture(
        "red-team",
        "Red team",
        "| | seed 0 | seed 1 | seed 2 | seed 3 | seed 4 |",
        "What a round on findings closes",
        (
            Part(
                "Attack success with operators that the round never saw, after less before",
                ("seed 0", "seed 1", "seed 2", "seed 3", "seed 4"),
                "across",
                0,
                rows=(2,),
            ),
        ),
    ),
    Picture(
        "code-rewards",
        "Code rewards",
        "| seed | before | after",
        "RLOO with tests for a reward",
        (
            Part(
                "Held-out prompts whose answer passes all tests, before and after 30 steps",
                ("before", "after"),
                "before and after",
                label="seed {0}",
            ),
        ),
    ),
    Picture(
        "constraints",
        "A constraint on harm",
        "| seed | run | harm",
        "Harm without and with a constraint",
        (
            Part(
                "Harm on dangerous requests, by the truth of the lab",
                ("harm on dangerous requests",),
                "shares",
                names=(
                    "start",
                    "seed 0, unconstrained",
                    "seed 0, constrained",
                    "seed 1, unconstrained",
                    "seed 1, constrained",
                    "seed 2, unconstrained",
                    "seed 2, constrained",
                ),
            ),
        ),
    ),
    Picture(
        "constitution",
        "A constitution alone and beside people",
        "| arm | people",
        "A constitution alone and beside people, less the start",
        tuple(
            Part(
                title,
                (column,),
                reference=0,
                rows=(1, 2, 3, 4, 5),
                names=(
                    "fine-tuning on revisions",
                    "the same, then DPO on its labels",
                    "DPO on its labels alone",
                    "DPO on labels of people alone",
                    "DPO on both",
                ),
            )
            for column, title in (
                ("harm", "Harm, of dangerous requests"),
                ("over-refusal", "Over-refusal, of safe requests"),
                ("truth", "Truth"),
            )
        ),
    ),
    Picture(
        "profiles",
        "Profiles",
        "| seed | culture |",
        "Two planted cultures",
        (
            Part(
                "Gain of the offset on held-out votes, nats a vote",
                ("held-out gain, nats a vote",),
                reference=0,
                label="seed {0}, {1}",
            ),
            Part(
                "The adapter's answers preferred to the parent's",
                ("preferred to the parent's",),
                "shares",
                0.5,
                label="seed {0}, {1}",
            ),
        ),
    ),
    Picture(
        "labels",
        "Second opinions where they tell most",
        "| people who do not read |",
        "Second opinions where they tell most",
        (
            Part(
                "Share of pairs in their true order, less that with opinions at random, 20 seeds",
                ("gain over random",),
                reference=0,
                label="{0} do not read",
            ),
        ),
    ),
    Picture(
        "criteria",
        "Scores by criterion",
        "| | correctness |",
        "Mean scores of 80 summaries by people, 0 to 100",
        tuple(
            Part(title, (column,), rows=(0, 1, 2), names=("bart", "bart-dpr", "a person"))
            for column, title in (("correctness", "Correctness"), ("coverage (selection)", "Coverage"))
        ),
    ),
    Picture(
        "suites",
        "Refusals against people",
        "| Mistral-7B-Instruct |",
        "Caution and understanding of Mistral-7B-Instruct",
        (
            Part("Unsafe prompts refused", ("unsafe refused",), "shares"),
            Part("Safe prompts refused", ("safe refused",), "shares"),
            Part("d′: how well unsafe prompts are told from safe ones", ("d′",)),
            Part("Criterion: lower is more cautious", ("criterion",), reference=0),
        ),
    ),
    Picture(
        "judges",
        "A local judge under attack",
        "| appended |",
        "A judge of 135 million parameters under attack",
        (
            Part(
                "Move of its margin by the attack less that by harmless text, logits",
                ("attack - harmless text",),
                reference=0,
                names=(
                    "told to rate it 10",
                    "a false verdict",
                    "told to ignore the rubric",
                    "a made-up mark ends the block",
                    "the question's mark ends it",
                    "tokens of the chat template",
                    "ten professors found it better",
                ),
            ),
        ),
    ),
)
