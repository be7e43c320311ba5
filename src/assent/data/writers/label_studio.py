"""Label Studio tasks with annotations: a Ranker over a List, buckets "1", "2", … where answers tie.

    {"data": {"prompt": "…", "items": [{"id": "a", "title": "A", "body": "…"}, …]},
     "annotations": [{"completed_by": 7, "lead_time": 12.5, "was_cancelled": false, "result": [
        {"from_name": "rank", "to_name": "answers", "type": "ranker", "value": {"ranker": ["b", "a"]}}]}]}

The labeling config that shows them: <View><Text name="prompt" value="$prompt"/><List name="answers" value="$items"/>
<Ranker name="rank" toName="answers"/><TextArea name="critique" toName="prompt"/></View>
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from assent.core import seeds
from assent.core.types import Comparison
from assent.data.losses import RENAMED, Losses, count_unsaid
from assent.data.writers.ranked import Placed, placed
from assent.data.writers.spoken import as_texts, is_one_question

Rows = list[dict[str, Any]]
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def label_studio(comparisons: Sequence[Comparison], losses: Losses) -> Rows:
    """One task per comparison; raters become user numbers, which Label Studio wants."""
    count_unsaid(comparisons, losses, keeps=frozenset({"raters", "critiques", "seconds"}))
    tasks: dict[int, dict[str, Any]] = {}
    numbers: dict[str, int] = {}
    ties = 0
    for one in placed(comparisons, losses):
        if id(one.comparison) not in tasks:
            tasks[id(one.comparison)] = _task(one.comparison, losses)
        task = tasks[id(one.comparison)]
        ties += any(len(tier) > 1 for tier in one.ranking.tiers)
        task["annotations"].append(_annotation(one, _number(one.judgment.rater_id, numbers)))
    losses.add(RENAMED, len(numbers))
    if ties:
        losses.notes.append(f"{ties} {'ranking' if ties == 1 else 'rankings'} with ties written as buckets 1, 2, …")
    return list(tasks.values())


def _task(comparison: Comparison, losses: Losses) -> dict[str, Any]:
    items = [
        {"id": name, "title": name, "body": answer.text, "source": answer.source}
        for name, answer in zip(_names(comparison), comparison.completions, strict=True)
    ]
    # Label Studio's Paragraphs tag shows a dialogue; plain prompts stay text.
    prompt = comparison.prompt
    asked: Any = prompt.text if is_one_question(prompt) else as_texts(prompt, losses)
    return {"data": {"prompt": asked, "items": items}, "annotations": []}


def _annotation(one: Placed, user: int) -> dict[str, Any]:
    names = dict(zip((answer.id for answer in one.comparison.completions), _names(one.comparison), strict=True))
    has_ties = any(len(tier) > 1 for tier in one.ranking.tiers)
    order: Any = [names[i] for i in one.ranking.ids]
    if has_ties:
        order = {str(place): [names[i] for i in tier] for place, tier in enumerate(one.ranking.tiers, start=1)}
    result = [{"from_name": "rank", "to_name": "answers", "type": "ranker", "value": {"ranker": order}}]
    if one.judgment.critique:
        said = {"text": [one.judgment.critique]}
        result.append({"from_name": "critique", "to_name": "prompt", "type": "textarea", "value": said})
    return {
        "result": result,
        "completed_by": user,
        "was_cancelled": False,
        "ground_truth": False,
        "lead_time": one.judgment.seconds,
    }


def _names(comparison: Comparison) -> list[str]:
    return [
        _LETTERS[n] if n < len(_LETTERS) else f"{_LETTERS[n % len(_LETTERS)]}{n // len(_LETTERS)}"
        for n in range(len(comparison.completions))
    ]


def _number(rater_id: str, numbers: dict[str, int]) -> int:
    """A user number: the same in every export, unless two raters of one export fell on the same."""
    if rater_id not in numbers:
        number, taken = seeds.derive(0, "label studio user", rater_id) % 2**31, set(numbers.values())
        while number in taken:
            number = (number + 1) % 2**31
        numbers[rater_id] = number
    return numbers[rater_id]
