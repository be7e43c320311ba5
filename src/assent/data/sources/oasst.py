"""OpenAssistant trees (Köpf et al. 2023): sibling assistant replies with ranks, 0 = best.

Two shapes are read: whole trees (`prompt` with nested `replies`) and one row per ranked group (`messages`, `replies`).
Ranks are already pooled over volunteers, so they count as one judgment. A demonstration is a history and its best
reply; only that reply is learned (meta `learn: last`), because the history may hold replies that lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from assent.core.types import Comparison, Completion, Conversation, Judgment, Message, Prompt, Ranking
from assent.data.rows import Row
from assent.data.sources import ranked, turns
from assent.data.sources.format import Format
from assent.data.values import name_of
from assent.data.values import number as number_in

_RATER = "oasst"


@dataclass(frozen=True)
class _Siblings:
    """At least two ranked replies to one history."""

    prompt: Prompt
    parent: str
    answers: tuple[Completion, ...]
    rank: dict[str, float]


def comparisons(row: Row) -> list[Comparison]:
    """One comparison per group of ranked sibling replies."""
    return [_comparison(row, group) for group in _groups(row)]


def conversations(row: Row) -> list[Conversation]:
    """One demonstration per group: the history and its best reply."""
    found = []
    for group in _groups(row):
        best = min(group.answers, key=lambda answer: group.rank[answer.id])
        said = (*group.prompt.messages, Message(role="assistant", content=best.text))
        found.append(Conversation(messages=said, meta={**group.prompt.meta, "learn": "last"}))
    return found


def _comparison(row: Row, group: _Siblings) -> Comparison:
    judgment = Judgment(
        task_id=f"oasst/{group.parent}",
        rater_id=_RATER,
        ranking=Ranking.by_score({i: -rank for i, rank in group.rank.items()}),
    )
    return ranked.comparison(row, group.prompt, group.answers, [judgment])


def _groups(row: Row) -> Iterator[_Siblings]:
    meta = {"split_group": f"oasst/{row.values.get('message_tree_id')}"}
    if _is_tree(row.values):
        yield from _walk(row, row.need("prompt"), (), meta)
        return
    history = turns.messages(row, row.need("messages"), "messages")
    group = _siblings(row, turns.prompt(row, history, **meta), row.text("parent_id"), row.listed("replies"))
    if group is None:
        raise row.error("fewer than two replies have a rank; nothing to compare")
    yield group


def _walk(row: Row, node: Any, history: tuple[Message, ...], meta: Mapping[str, Any]) -> Iterator[_Siblings]:
    """Every ranked group below a node, parents first."""
    if not isinstance(node, Mapping):
        raise row.error(f"a message of the tree should be an object, got {type(node).__name__}")
    spoken = {key: node.get(key) for key in ("role", "text")}
    said = (*history, *turns.messages(row, [spoken], str(node.get("message_id", "message"))))
    replies = [
        reply for reply in node.get("replies") or () if not (isinstance(reply, Mapping) and reply.get("deleted"))
    ]
    if said[-1].role == "user":
        group = _siblings(row, turns.prompt(row, said, **meta), str(node.get("message_id")), replies)
        if group is not None:
            yield group
    for reply in replies:
        yield from _walk(row, reply, said, meta)


def _siblings(row: Row, prompt: Prompt, parent: str, replies: list[Any]) -> _Siblings | None:
    answers, rank = [], {}
    for number, reply in enumerate(replies):
        place = number_in(reply.get("rank")) if isinstance(reply, Mapping) else None
        if not isinstance(reply, Mapping) or place is None:
            row.tally.drop("replies without a rank, which are not compared")
            continue
        text = row.spoken(reply.get("text", ""), f"replies[{number}].text")
        answer = Completion(
            prompt_id=prompt.id,
            text=text,
            id=str(reply.get("message_id") or ""),
            source=str(reply.get("model_name") or ""),
        )
        if answer.id in rank:
            raise row.error(f"reply {answer.id!r} stands twice among the replies to {parent!r}; ids must be unique")
        answers.append(answer)
        rank[answer.id] = place
    return _Siblings(prompt, parent, tuple(answers), rank) if len(answers) > 1 else None


def _is_tree(values: Mapping[str, Any]) -> bool:
    return isinstance(values.get("prompt"), Mapping) and "replies" in values["prompt"]


def _matches(values: Mapping[str, Any]) -> bool:
    return _is_tree(values) or ("replies" in values and "messages" in values)


def _row_id(row: Row) -> str | None:
    name = "message_tree_id" if _is_tree(row.values) else "parent_id"
    return name_of(row.values.get(name))


FORMAT = Format(
    name="oasst",
    columns="prompt {text, role, replies} | parent_id, messages, replies [{text, rank}]",
    matches=_matches,
    conversations=conversations,
    comparisons=comparisons,
    row_id=_row_id,
    is_closed=True,
)
