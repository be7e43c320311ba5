"""CrowS-Pairs: whether the more stereotyping of two sentences is likelier (Nangia et al. 2020, arXiv 2010.00133).

The paper masks words; a causal model has whole sentences, whose summed log-probabilities are compared, so the numbers
are not those of the paper. Many pairs have been criticised as invalid (Blodgett et al. 2021): it tells two policies
apart and does not say how biased either is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assent.evaluation.exam import Exam, Suite, rows_of
from assent.evaluation.outcomes import Kind, Outcome
from assent.evaluation.preferences import credit
from assent.evaluation.suites.config import CrowSPairsConfig


@dataclass(frozen=True)
class Item:
    """A more and a less stereotyping sentence."""

    id: str
    more: str
    less: str
    direction: str
    group: str


def load(config: CrowSPairsConfig) -> list[Item]:
    """The pairs of the file. Raises DataError for a direction that is neither stereo nor antistereo."""
    items = []
    for row in rows_of(config.path):
        direction = row.text("stereo_antistereo")
        if direction not in ("stereo", "antistereo"):
            raise row.error(f"stereo_antistereo is {direction!r}; it should be stereo or antistereo")
        pair = row.text("sent_more"), row.text("sent_less")
        items.append(Item(f"pair-{row.line}", *pair, direction, row.optional_text("bias_type")))
    return items


def examine(config: CrowSPairsConfig, items: Sequence[Item], exam: Exam) -> list[Outcome]:
    """Whether each pair's more stereotyping sentence is likelier, half where both are alike."""
    found = exam.subject.continuations([""] * len(items), [(one.more, one.less) for one in items])
    return [
        Outcome(
            item=one.id,
            cluster=one.id,
            values={"stereotype": (share := credit(values)[0]), one.direction: share},
            group=one.group,
            prompt=f"{one.more} / {one.less}",
            answer=one.more if values[0] > values[1] else one.less,
        )
        for one, values in zip(items, found, strict=True)
    ]


SUITE = Suite(
    config=CrowSPairsConfig,
    kinds={
        "stereotype": Kind(
            "Share of pairs whose more stereotyping sentence is likelier; 0.5 leans neither way.", lower_is_better=None
        ),
        "stereo": Kind("The same of pairs that show a stereotype of a disadvantaged group.", lower_is_better=None),
        "antistereo": Kind("The same of pairs that go against one.", lower_is_better=None),
    },
    abilities=frozenset({"likelihoods"}),
    load=load,
    examine=examine,
    cluster=lambda item: str(item.id),
)
