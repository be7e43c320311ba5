"""What the log of a method that learns from judgments says went wrong: on pairs, without a reference, on labels."""

from __future__ import annotations

from collections.abc import Iterator

from assent.core.findings import Finding, warning
from assent.pipeline.doctor.symptoms import FEWEST, Log, Symptom, gradients_explode, not_finite, overfits


def both_answers_sink(log: Log) -> Iterator[Finding]:
    """A preference method that makes better answers unlikely too, only less so (likelihood displacement)."""
    late = log.late("better_gain")
    if late < -10:
        said = f"better answers lost {-late:.0f} nats since the start: both answers of a pair become unlikely"
        yield warning(log.key, said, "lower the learning rate or epochs, raise beta, or add an SFT term")


def all_labelled_sink(log: Log) -> Iterator[Finding]:
    """The same of KTO: good answers become unlikely too."""
    late = log.late("good_gain")
    if late < -10:
        said = f"good answers lost {-late:.0f} nats since the start: good and bad ones become unlikely"
        yield warning(log.key, said, "lower the learning rate or epochs, raise beta, or raise good_weight")


def pairs_by_heart(log: Log) -> Iterator[Finding]:
    """A preference method that orders all its pairs rightly, by a wide margin."""
    accuracy, margin = log.late("accuracy"), log.late("margin")
    if accuracy > 0.98 and margin > 5:
        said = f"{accuracy:.0%} of the pairs are ordered rightly, by a margin of {margin:.1f} logits: known by heart"
        yield warning(log.key, said, "take fewer epochs or a lower learning rate, or set label_smoothing: 0.1")


def policy_stays(log: Log) -> Iterator[Finding]:
    """A preference method with a reference that left the policy where that is."""
    margins = log.series("margin")
    if len(margins) >= FEWEST and abs(log.late("margin")) < 0.01 and log.late("accuracy") < 0.6:
        said = f"the policy hardly moved: a margin of {log.late('margin'):.2g} logits at the end"
        yield warning(log.key, said, "raise the learning rate, or lower beta")


def lead_stays(log: Log) -> Iterator[Finding]:
    """A preference method without a reference whose better answers lead by no more than they did."""
    early, late = log.early("margin"), log.late("margin")
    if late - early <= 0.02 * abs(early) or not log.rises("margin"):
        said = f"the policy hardly moved: better answers lead by {early:.3g} at first and by {late:.3g} at the end"
        yield warning(log.key, said, "raise the learning rate, or give it more steps")


def labels_stay(log: Log) -> Iterator[Finding]:
    """KTO that tells good answers from bad ones no better than the start does."""
    gap = log.late("good_gain") - log.late("bad_gain")
    if abs(gap) < 0.1:
        said = f"the policy hardly moved: good answers gained {gap:.2g} nats more than bad ones"
        yield warning(log.key, said, "raise the learning rate, or lower beta")


PREFERENCE: tuple[Symptom, ...] = (
    not_finite,
    gradients_explode,
    both_answers_sink,
    pairs_by_heart,
    policy_stays,
    overfits,
)
WITHOUT_REFERENCE: tuple[Symptom, ...] = (not_finite, gradients_explode, lead_stays, overfits)
"""Of ORPO and SimPO, whose margins are not measured from the start."""
LABELS: tuple[Symptom, ...] = (not_finite, gradients_explode, all_labelled_sink, labels_stay, overfits)
"""Of KTO."""
