"""Means of a judge's scores, put right by the labels that people gave to some of the same answers.

The judge says something of many answers, people of few. The corrected mean is right for any judge; a good one makes it
narrower than the labels alone (`stats/ppi.py`). It holds where the answers that people labelled were drawn at random.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from assent.core.types import Judgment, RaterKind, Record
from assent.feedback.quality.criteria import Scored, fits, scored
from assent.feedback.quality.facts import TaskFacts
from assent.feedback.quality.sheets import Scale, Sheets, by_answer, by_side
from assent.feedback.records import settings as asked_for
from assent.stats.estimate import Estimate
from assent.stats.ppi import FEWEST, prediction_powered
from assent.stats.resampled import ANYWHERE

WIN_RATE = "win_rate"
Item = tuple[str, str, str]
"""Prompt, answer or pair of answers, and model or pair of models."""


class ByCriteria(Record):
    """Everything that a project's scores say."""

    people: Scored | None
    """None where no person scored anything."""
    judges: Scored | None
    """The same of judges: programs of any kind."""
    corrected: tuple[Corrected, ...]
    """Means and win rates of judges, put right by people."""

    @classmethod
    def of(
        cls,
        judgments: Iterable[Judgment],
        facts: Mapping[str, TaskFacts],
        asked: Iterable[asked_for.Criterion],
        *,
        kinds: Mapping[str, RaterKind],
        gold: Collection[str] = (),
        repeats: Collection[str] = (),
    ) -> ByCriteria | None:
        """From judgments and what a project asks; None where nobody scored anything. See `Sheets.read`."""
        scales = {one.name: (1.0, float(len(one.anchors))) for one in asked}
        people, judges = (Sheets.read(side, facts, gold=gold, repeats=repeats) for side in by_side(judgments, kinds))
        theirs, of_judges = scored(people, scales), scored(judges, scales)
        if theirs is None and of_judges is None:
            return None
        corrected = [*corrected_scores(people, judges, scales), *corrected_win_rates(people, judges)]
        return cls(people=theirs, judges=of_judges, corrected=tuple(corrected))


class Corrected(Record):
    """One mean: corrected, by the labels alone, and by the judge alone."""

    what: str
    """A criterion, or win_rate."""
    model: str
    other: str = ""
    """Of a win rate, the model that it is against."""
    corrected: Estimate
    labels_alone: Estimate
    judge_alone: float
    judge_weight: float
    """λ: 0 the judge was not used, 1 wholly."""
    items: int
    """Answers, or pairs of answers, that the judge knows."""
    labels: int
    """Those of them that people labelled too."""
    unjudged: int
    """What people labelled and the judge did not; left out."""
    saved: int
    """So many labels more would have made the labels alone as sure; 0 where the judge does not help."""


def corrected_scores(people: Sheets, judges: Sheets, scales: Mapping[str, Scale]) -> list[Corrected]:
    """The mean of each model on each criterion that judges and people scored; several judges count as their mean."""
    found = []
    for name in [*scales, *sorted({one.criterion for one in people.scores} - scales.keys())]:
        scale = scales.get(name)
        said = by_answer(s for s in people.scores if s.criterion == name and fits(s.value, scale))
        # A judge may have a scale of its own, for any number that tells answers apart will do.
        judged = by_answer(s for s in judges.scores if s.criterion == name and fits(s.value, None))
        found += _of_models(name, judged, said, scale or ANYWHERE)
    return found


def corrected_win_rates(people: Sheets, judges: Sheets) -> list[Corrected]:
    """The share of wins of each model against each other one, ties half, on pairs that judges and people compared."""
    return _of_models(WIN_RATE, _wins(judges), _wins(people), (0.0, 1.0))


def _of_models(
    what: str, judged: Mapping[Item, float], said: Mapping[Item, float], between: tuple[float, float]
) -> list[Corrected]:
    models = sorted({model for *_, model in judged})
    found = []
    for model in models:
        items = [item for item in judged if item[2] == model]
        others = [item for item in said if item[2] == model and item not in judged]
        one = _correct(items, judged, said, between)
        if one is not None:
            first, _, second = model.partition(_AGAINST)
            named = {"what": what, "model": first, "other": second, "unjudged": len(others)}
            found.append(one.model_copy(update=named))
    return found


_AGAINST = "\x00"  # between the names of two models, in none of which it can be


def _correct(
    items: Sequence[Item], judged: Mapping[Item, float], said: Mapping[Item, float], between: tuple[float, float]
) -> Corrected | None:
    """None where everything is labelled, so that there is nothing to correct, or too little is."""
    labelled = [item for item in items if item in said]
    if len(labelled) == len(items) or len({prompt for prompt, *_ in labelled}) < FEWEST:
        return None
    scores = np.array([judged[item] for item in items])
    labels = np.array([said.get(item, np.nan) for item in items])
    found = prediction_powered(scores, labels, [prompt for prompt, *_ in items], between=between)
    gain = (found.labels_alone.half_width / found.mean.half_width) ** 2 - 1 if found.mean.half_width > 0 else 0.0
    return Corrected(
        what="",
        model="",
        corrected=found.mean,
        labels_alone=found.labels_alone,
        judge_alone=float(scores.mean()),
        judge_weight=found.weight,
        items=len(items),
        labels=len(labelled),
        unjudged=0,
        saved=max(round(len(labelled) * gain), 0),
    )


def _wins(sheets: Sheets) -> dict[Item, float]:
    """(prompt, pair of answers, pair of models) -> mean share for the model whose name comes first."""
    given: dict[Item, list[float]] = {}
    for sheet in sheets.found:
        for choice in sheet.choices:
            sides = sorted([(sheet.models[choice.first], choice.first), (sheet.models[choice.second], choice.second)])
            (model, one), (other, second) = sides
            if model and other and model != other:
                score = choice.score if one == choice.first else 1 - choice.score
                given.setdefault((choice.prompt_id, f"{one} {second}", f"{model}{_AGAINST}{other}"), []).append(score)
    return {item: sum(scores) / len(scores) for item, scores in given.items()}
