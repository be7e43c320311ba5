"""Label Studio tasks (JSON export): rankings by Ranker, Pairwise choices, or a Rating of each answer.

    {"id": 1, "data": {"prompt": "…", "items": [{"id": "a", "body": "…"}, {"id": "b", "body": "…"}]},
     "annotations": [{"completed_by": 7, "lead_time": 12.5, "result": [
        {"type": "ranker", "from_name": "rank", "to_name": "answers", "value": {"ranker": ["b", "a"]}}]}]}

Buckets of a Ranker are places where their names hold numbers (1 = best; answers in one bucket tie). Cancelled
annotations are skips and left out. Text areas become the critique.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from assent.core.types import Comparison, Completion, Judgment, Prompt, Ranking
from assent.data.rows import Row
from assent.data.sources import answer_fields, ranked
from assent.data.sources.format import Format
from assent.data.values import name_of

_LEFT = "_"
"""The Ranker's bucket of what was not sorted."""
_TEXTS = ("body", "text", "html", "response", "content")


def comparisons(row: Row) -> list[Comparison]:
    """The answers of a task with every annotator's order of them; nothing where nobody has judged yet."""
    data = row.need("data")
    if not isinstance(data, Mapping):
        raise row.error(f"'data' should be an object, got {type(data).__name__}")
    given = row.values["annotations"] if row.has("annotations") else []
    if not isinstance(given, list | tuple):
        raise row.error(f"'annotations' should be a list, got {type(given).__name__}")
    found: dict[str, _Judged] = {}
    for number, annotation in enumerate(given):
        one = _judged(row, data, annotation, f"annotations[{number}]")
        if one is None:
            continue
        if one.rater in found:
            raise row.error(f"annotations[{number}]: user {one.rater!r} judged this task twice; keep one of the two")
        found[one.rater] = one
    if not found:
        row.tally.drop("tasks that nobody has judged")
        return []
    return [_comparison(row, data, list(found.values()))]


class _Judged:
    """What one annotator said: answer name -> score (highest = best), and the text of every answer."""

    def __init__(self, rater: str, texts: Mapping[str, str], order: Mapping[str, float]) -> None:
        self.rater, self.texts, self.order = rater, texts, order
        self.critique: str | None = None
        self.seconds: float | None = None


def _judged(row: Row, data: Mapping[str, Any], annotation: Any, place: str) -> _Judged | None:
    if not isinstance(annotation, Mapping) or not isinstance(annotation.get("result"), list | tuple):
        raise row.error(f"{place} should be an object with a list 'result', got {str(annotation)[:40]!r}")
    if annotation.get("was_cancelled"):
        row.tally.drop("cancelled annotations left out")
        return None
    results = []
    for number, result in enumerate(annotation["result"]):
        if not isinstance(result, Mapping) or not isinstance(result.get("value"), Mapping):
            raise row.error(f"{place}.result[{number}] should be an object with 'type' and 'value'")
        results.append(result)
    judged = _order(row, data, results, place)
    if judged is None:
        return None
    areas = [result["value"].get("text") for result in results if result.get("type") == "textarea"]
    said = [str(text).strip() for area in areas for text in _listed(area)]
    seconds = annotation.get("lead_time")
    one = _Judged(_user(annotation.get("completed_by")), *judged)
    one.critique = "\n\n".join(text for text in said if text) or None
    one.seconds = float(seconds) if isinstance(seconds, int | float) else None
    return one


def _order(
    row: Row, data: Mapping[str, Any], results: list[Mapping[str, Any]], place: str
) -> tuple[dict[str, str], dict[str, float]] | None:
    """The texts of the answers and their scores, from the first result that is an order."""
    by_type: dict[str, list[Mapping[str, Any]]] = {}
    for result in results:
        by_type.setdefault(str(result.get("type")), []).append(result)
    if "ranker" in by_type:
        texts = _items(row, data)
        return texts, _by_ranker(row, by_type["ranker"][0]["value"].get("ranker"), texts, place)
    if "pairwise" in by_type:
        return _by_pairwise(row, data, by_type["pairwise"][0], place)
    if "rating" in by_type:
        return _by_rating(row, data, by_type["rating"], place)
    return None


def _items(row: Row, data: Mapping[str, Any]) -> dict[str, str]:
    """The answers of a List: the only list of objects with ids."""
    lists = {
        str(name): value
        for name, value in data.items()
        if isinstance(value, list | tuple) and value and all(isinstance(i, Mapping) and "id" in i for i in value)
    }
    if len(lists) != 1:
        raise row.error(f"data holds {len(lists)} lists of objects with an id; a Ranker's task has exactly one")
    name, items = next(iter(lists.items()))
    texts: dict[str, str] = {}
    for number, item in enumerate(items):
        at = f"data.{name}[{number}]"
        text = next((item[key] for key in (*_TEXTS, "title") if item.get(key)), None)
        if item.get("title") and item["title"] != text:
            row.tally.drop("titles of answers left out")
        if str(item["id"]) in texts:
            raise row.error(f"{at} has the id {item['id']!r} of an earlier item; ids must be unique")
        texts[str(item["id"])] = row.spoken("" if text is None else text, f"{at}.body")
    return texts


def _by_ranker(row: Row, value: Any, texts: Mapping[str, str], place: str) -> dict[str, float]:
    if isinstance(value, Mapping):
        buckets = {str(name): _listed(ids) for name, ids in value.items() if str(name) != _LEFT and ids}
        places = {name: re.findall(r"\d+", name) for name in buckets}
        if any(len(found) != 1 for found in places.values()):
            unclear = next(name for name, found in places.items() if len(found) != 1)
            raise row.error(f"{place}: bucket {unclear!r} has no place in an order; name buckets 1, 2, … (1 = best)")
        order = {str(i): -float(places[name][0]) for name, ids in buckets.items() for i in ids}
        count = sum(len(ids) for ids in buckets.values())
    else:
        ids = _listed(value)
        order, count = {str(i): -float(n) for n, i in enumerate(ids)}, len(ids)
    unknown = [i for i in order if i not in texts]
    if unknown:
        raise row.error(f"{place} ranks the unknown item {unknown[0]!r}; items are {', '.join(texts)}")
    if count != len(order):
        raise row.error(f"{place} ranks an item twice")
    if len(order) < 2:
        raise row.error(f"{place} ranks {len(order)} item; a ranking needs at least two")
    return order


def _by_pairwise(
    row: Row, data: Mapping[str, Any], result: Mapping[str, Any], place: str
) -> tuple[dict[str, str], dict[str, float]]:
    selected = result["value"].get("selected")
    if selected not in ("left", "right", "none"):
        raise row.error(f"{place}: a pairwise choice should be left, right or none, got {selected!r}")
    tags = [tag.strip() for tag in str(result.get("to_name") or "").split(",")]
    texts = _named(row, data, tags, place)
    left, right = texts
    best = {"left": left, "right": right}.get(selected)
    return texts, {name: float(name == best) for name in (left, right)}


def _by_rating(
    row: Row, data: Mapping[str, Any], results: list[Mapping[str, Any]], place: str
) -> tuple[dict[str, str], dict[str, float]] | None:
    scores: dict[str, float] = {}
    for result in results:
        tag, rating = str(result.get("to_name") or ""), result["value"].get("rating")
        if not isinstance(rating, int | float):
            raise row.error(f"{place}: the rating of {tag!r} is {rating!r}; it should be a number")
        if tag in scores:
            return None  # several ratings of one answer are criteria, not an order
        scores[tag] = float(rating)
    if len(scores) < 2:
        return None
    texts = _named(row, data, list(scores), place)
    return texts, dict(zip(texts, scores.values(), strict=True))


def _named(row: Row, data: Mapping[str, Any], tags: list[str], place: str) -> dict[str, str]:
    """The texts that tags of the labeling config show; the config is not in the file, so their names must tell."""
    if len(set(tags)) != len(tags) or len(tags) < 2:
        raise row.error(f"{place}: 'to_name' should name two answers, got {', '.join(tags)!r}")
    fields = [str(name) for name, value in data.items() if isinstance(value, str)]
    meant = answer_fields.pick(row, tags, fields)
    return {meant[tag]: row.spoken(data[meant[tag]], f"data.{meant[tag]}") for tag in tags}


def _comparison(row: Row, data: Mapping[str, Any], judged: list[_Judged]) -> Comparison:
    texts = judged[0].texts
    if any(set(one.texts) != set(texts) for one in judged):
        raise row.error("two annotations judge different answers of the task; split it into two tasks")
    prompt: Prompt = answer_fields.prompt(row, {k: v for k, v in data.items() if not _is_items(v)}, texts)
    answers = {
        name: Completion(prompt_id=prompt.id, text=text, id=f"{prompt.id}/{name}") for name, text in texts.items()
    }
    task_id = ranked.task_id(prompt, list(answers.values()))
    judgments = [
        Judgment(
            task_id=task_id,
            rater_id=one.rater,
            ranking=Ranking.by_score({answers[name].id: score for name, score in one.order.items()}),
            critique=one.critique,
            seconds=one.seconds,
        )
        for one in judged
    ]
    return ranked.comparison(row, prompt, list(answers.values()), judgments)


def _user(value: Any) -> str:
    """Who did it: a number, or an object with an email or id."""
    if isinstance(value, Mapping):
        value = value.get("email") or value.get("id")
    return f"label-studio/{value}" if value not in (None, "") else "label_studio"


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [] if value is None else [value]


def _is_items(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(i, Mapping) and "id" in i for i in value)


def _matches(values: Mapping[str, Any]) -> bool:
    return isinstance(values.get("data"), Mapping) and isinstance(values.get("annotations"), list | tuple)


FORMAT = Format(
    name="label_studio",
    columns="data {prompt, items | …}, annotations [{result, completed_by}]",
    matches=_matches,
    comparisons=comparisons,
    is_closed=True,
    row_id=lambda row: name_of(row.values.get("id")),
)
