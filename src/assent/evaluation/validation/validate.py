"""A judge held against people's labels: one call that makes its record and its anchors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from assent.core import seeds
from assent.core.errors import DataError
from assent.core.types import Comparison
from assent.evaluation.validation.agreement import agreement, alt_test, by_slice
from assent.evaluation.validation.fitting import calibration
from assent.evaluation.validation.labels import OVERALL, LabelledPair, Validated, labelled_pairs, said_of, tasks_of
from assent.evaluation.validation.probes import PROBED, measure_biases
from assent.evaluation.validation.record import Anchor, Bar, JudgeRecord, failures, hash_of_labels
from assent.raters.rater import SingleRater


def validate(
    judge: SingleRater,
    comparisons: Sequence[Comparison],
    *,
    identity: str,
    bar: Bar,
    own_source: str | None = None,
    epsilon: float = 0.15,
    anchors: int = 200,
    probes: int = PROBED,
    seed: int = 0,
) -> tuple[JudgeRecord, list[Anchor]]:
    """Everything that is known of a judge beside people, and the pairs to be judged again on every run.

    Judgments by the judge itself are left out of the labels. Raises DataError where nothing is left.
    """
    theirs = [_without(one, judge.record.id) for one in comparisons]
    labels = [one for one in theirs if one is not None]
    scored = {c for one in labels for j in one.judgments for said in j.scores.values() for c in said}
    names = [OVERALL, *sorted(scored - {OVERALL})]
    pairs = {name: labelled_pairs(labels, criterion=name) for name in names}
    if not pairs[OVERALL]:
        raise DataError(
            f"no pair of answers has a vote of anybody but {judge.record.id}; give comparisons that people made"
        )
    heard = _asked(judge, pairs)
    found = heard.pop(OVERALL)
    criteria = {name: agreement(one) for name, one in heard.items() if one.answered()}
    whole, alt = agreement(found), alt_test(found, epsilon=epsilon)
    biases = measure_biases(found, judge, own_source=own_source, limit=probes)
    record = JudgeRecord(
        judge=judge.record.id,
        identity=identity,
        labels=hash_of_labels(labels),
        agreement=whole,
        criteria=criteria,
        slices=by_slice(found),
        alt_test=alt,
        biases=biases,
        calibration=calibration(found),
        bar=bar,
        failures=failures(bar, whole, alt, biases),
    )
    return record, choose_anchors(found, anchors, seed=seed)


def choose_anchors(found: Validated, number: int, *, seed: int) -> list[Anchor]:
    """So many of the pairs that the judge answered, drawn once and for all; all of them where there are fewer."""
    answered = found.answered()
    drawn = sorted(seeds.stream(seed, "anchors").permutation(len(answered))[:number].tolist())
    return [
        Anchor(prompt=pair.prompt, first=pair.first, second=pair.second, share=pair.share, pick=pick)
        for pair, _, pick in (answered[i] for i in drawn)
    ]


def _asked(judge: SingleRater, pairs: Mapping[str, Sequence[LabelledPair]]) -> dict[str, Validated]:
    """What the judge says of the pairs of each criterion; it is asked once of each, and says all it says then."""
    every = {_key(pair): pair for some in pairs.values() for pair in some}
    tasks = dict(zip(every, tasks_of(list(every.values())), strict=True))
    judgments = judge.judge(list(tasks.values()))
    return {
        name: Validated(tuple(some), tuple(said_of([tasks[_key(one)] for one in some], judgments, criterion=name)))
        for name, some in pairs.items()
    }


def _key(pair: LabelledPair) -> tuple[str, str, str]:
    return pair.prompt.id, pair.first.id, pair.second.id


def _without(comparison: Comparison, rater: str) -> Comparison | None:
    kept = tuple(one for one in comparison.judgments if one.rater_id != rater)
    return comparison.model_copy(update={"judgments": kept}) if kept else None
