"""Argilla 2 records: nested as `records.to_json` writes them, or flat as `records.to_datasets` does.

    {"id": "…", "fields": {"prompt": "…", "reply-1": "…", "reply-2": "…"},
     "responses": {"ranking": [{"value": ["reply-2", "reply-1"], "user_id": "…"}], "why": [{"value": "…", …}]}}

Understood are a ranking (a list of options, or of {value, rank}, where equal ranks tie), ratings of each answer by a
question that names it, and a choice of one answer or a tie. Text responses become the critique.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from assent.core.types import Comparison, Completion, Judgment, Ranking
from assent.data.rows import Row
from assent.data.sources import answer_fields, ranked
from assent.data.sources.format import Format
from assent.data.values import name_of

_TIE = {"tie", "equal", "both", "same", "neither"}
_REMARKS = {"critique", "comment", "comments", "feedback", "explanation", "rationale", "reason", "why"}
_FLAT = ".responses"
_NOBODY = "argilla"
_BESIDE = {"id", "status", "_server_id", "external_id", "score"}


@dataclass
class _Said:
    """What one user answered: question -> value."""

    values: dict[str, Any] = field(default_factory=dict)


def comparisons(row: Row) -> list[Comparison]:
    """The answers of a record with every user's ranking of them; nothing where nobody has answered yet."""
    fields, responses = _fields(row), _responses(row)
    users = _by_user(row, responses)
    orders = {user: order for user, said in users.items() if (order := _order(row, said, fields))}
    if not orders:
        row.tally.drop("records that nobody has judged")
        return []
    placed = {name for order in orders.values() for name in order}
    names = sorted(_answers(placed, fields), key=list(fields).index)
    prompt = answer_fields.prompt(row, fields, names)
    answers = {
        name: Completion(prompt_id=prompt.id, text=row.spoken(fields[name], f"fields.{name}"), id=f"{prompt.id}/{name}")
        for name in names
    }
    judgments = [
        Judgment(
            task_id=ranked.task_id(prompt, list(answers.values())),
            rater_id=user,
            ranking=Ranking.by_score({answers[name].id: score for name, score in order.items()}),
            critique=_critique(users[user]),
        )
        for user, order in orders.items()
    ]
    return [ranked.comparison(row, prompt, list(answers.values()), judgments)]


def _fields(row: Row) -> dict[str, Any]:
    if _is_nested(row.values):
        fields = row.need("fields")
        if not isinstance(fields, Mapping) or not fields:
            raise row.error(f"'fields' should be an object of named fields, got {type(fields).__name__}")
        return {str(name): value for name, value in fields.items() if value is not None}
    return {
        name: value
        for name, value in row.values.items()
        if value is not None and "." not in name and name not in _BESIDE and isinstance(value, str | list | tuple)
    }


def _responses(row: Row) -> dict[str, list[Mapping[str, Any]]]:
    """question -> [{value, user_id, status}]"""
    if not _is_nested(row.values):
        return {name.removesuffix(_FLAT): _flat(row, name) for name in row.values if name.endswith(_FLAT)}
    given = row.values["responses"] if row.has("responses") else {}
    if not isinstance(given, Mapping):
        raise row.error(f"'responses' should be an object of questions, got {type(given).__name__}")
    found = {}
    for question, answers in given.items():
        if answers is None:
            continue
        if not isinstance(answers, list | tuple) or not all(isinstance(one, Mapping) for one in answers):
            raise row.error(f"responses.{question} should be a list of {{value, user_id}}, got {str(answers)[:40]!r}")
        found[str(question)] = list(answers)
    return found


def _flat(row: Row, name: str) -> list[Mapping[str, Any]]:
    values = row.values[name] or []
    users = row.values.get(f"{name}.users") or []
    status = row.values.get(f"{name}.status") or []
    if not all(isinstance(one, list | tuple) for one in (values, users, status)):
        raise row.error(f"{name!r}, its users and its status should be lists of one length")
    if len(users) not in (0, len(values)) or len(status) not in (0, len(values)):
        raise row.error(f"{name!r} has {len(values)} values for {len(users)} users and {len(status)} states")
    return [
        {"value": value, "user_id": users[n] if users else None, "status": status[n] if status else None}
        for n, value in enumerate(values)
    ]


def _by_user(row: Row, responses: Mapping[str, list[Mapping[str, Any]]]) -> dict[str, _Said]:
    """What each user submitted; drafts and discarded answers are left out."""
    users: dict[str, _Said] = {}
    for question, answers in responses.items():
        for answer in answers:
            if answer.get("status") in ("draft", "discarded"):
                row.tally.drop("drafts and discarded answers left out")
                continue
            if answer.get("value") is None:
                continue
            user = str(answer.get("user_id") or _NOBODY)
            values = users.setdefault(user, _Said()).values
            if question in values:
                raise row.error(f"user {user!r} answers question {question!r} twice; keep one of the two")
            values[question] = answer["value"]
    return users


def _order(row: Row, said: _Said, fields: Mapping[str, Any]) -> dict[str, float]:
    """Answer field -> score, highest = best; empty where nothing the user said is an order."""
    for question, value in said.values.items():
        if isinstance(value, list | tuple) and value and _is_ranking(value):
            return _by_rank(row, question, value, fields)
    ratings = {q: v for q, v in said.values.items() if isinstance(v, int | float) and not isinstance(v, bool)}
    about = {question: name for question in ratings if (name := _about(question, fields))}
    if len(about) > 1 and len(set(about.values())) == len(about):
        return {name: float(ratings[question]) for question, name in about.items()}
    for value in said.values.values():
        answers = [name for name in fields if name not in answer_fields.PROMPT_NAMES]
        if isinstance(value, str) and len(answers) == 2 and value in (*answers, *_TIE):
            return {name: 0.0 if value in _TIE else float(name == value) for name in answers}
    return {}


def _is_ranking(value: Iterable[Any]) -> bool:
    return all(isinstance(one, str) or (isinstance(one, Mapping) and "value" in one) for one in value)


def _by_rank(row: Row, question: str, value: Iterable[Any], fields: Mapping[str, Any]) -> dict[str, float]:
    ranks: dict[str, float] = {}
    for place, one in enumerate(value, start=1):
        option, rank = (one["value"], one.get("rank")) if isinstance(one, Mapping) else (one, None)
        if not isinstance(option, str) or option in ranks:
            raise row.error(f"question {question!r} ranks {option!r} twice or not by name; name each option once")
        if rank is not None and not isinstance(rank, int | float):
            raise row.error(f"question {question!r} gives {option!r} the rank {rank!r}; it should be a number")
        ranks[option] = float(place if rank is None else rank)
    if len(ranks) < 2:
        raise row.error(f"question {question!r} ranks {len(ranks)} answer; a ranking needs at least two")
    meant = answer_fields.pick(row, ranks, [name for name, text in fields.items() if isinstance(text, str)])
    return {meant[option]: -rank for option, rank in ranks.items()}


def _about(question: str, fields: Mapping[str, Any]) -> str | None:
    """The answer that a rating's question names: `standing_reply-1`, `reply-1_quality`."""
    named = [name for name in fields if name in question and name not in answer_fields.PROMPT_NAMES]
    return max(named, key=len) if named else None


def _answers(names: Iterable[str], fields: Mapping[str, Any]) -> set[str]:
    """The answers, and those of their siblings that nobody placed: fields whose names differ only in their number."""
    stems = {name.rstrip("0123456789") for name in names if name[-1:].isdigit()}
    siblings = {name for name in fields if name[-1:].isdigit() and name.rstrip("0123456789") in stems}
    return {*names, *(name for name in siblings if isinstance(fields[name], str) and fields[name].strip())}


def _critique(said: _Said) -> str | None:
    """Answers in text; a single word under another name than these is rather a label."""
    texts = [(question, v.strip()) for question, v in said.values.items() if isinstance(v, str) and v.strip()]
    return "\n\n".join(text for question, text in texts if " " in text or question.lower() in _REMARKS) or None


def _is_nested(values: Mapping[str, Any]) -> bool:
    return "fields" in values and "responses" in values


def _matches(values: Mapping[str, Any]) -> bool:
    nested = _is_nested(values) and isinstance(values.get("fields"), Mapping)
    return nested or any(name.endswith(_FLAT) for name in values)


FORMAT = Format(
    name="argilla",
    columns="fields {prompt, …}, responses {question: [{value, user_id}]}",
    matches=_matches,
    comparisons=comparisons,
    is_closed=True,
    row_id=lambda row: name_of(row.values.get("id")),
)
