"""OpenAssistant trees: one per judgment, the conversation as a chain, the answers as its last replies with ranks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from assent.core.hashing import hash_json, short
from assent.core.types import Comparison
from assent.data.losses import OPENED_BY_ASSISTANT, Losses, count_unsaid
from assent.data.writers.pairs import alternate, without_system
from assent.data.writers.ranked import Placed, placed
from assent.data.writers.spoken import plain_only

Rows = list[dict[str, Any]]
_ROLES = {"user": "prompter", "assistant": "assistant"}


def oasst(comparisons: Sequence[Comparison], losses: Losses) -> Rows:
    """One tree per judgment; equal ranks are ties, of which OpenAssistant's own trees have none."""
    comparisons = plain_only(comparisons, losses)
    count_unsaid(comparisons, losses, keeps=frozenset())
    rows, ties = [], 0
    for number, one in enumerate(placed(comparisons, losses)):
        turns = without_system(one.comparison.prompt.messages, losses)
        if not turns or not alternate(turns):
            losses.add(OPENED_BY_ASSISTANT)
            continue
        tree = short(hash_json([number, one.judgment.id, one.comparison.prompt.id, one.judgment.rater_id]))
        ties += sum(len(tier) > 1 for tier in one.ranking.tiers)
        chain = _answers(one, tree)
        for depth in reversed(range(len(turns))):
            node = {
                "message_id": f"{tree}-{depth}",
                "parent_id": f"{tree}-{depth - 1}" if depth else None,
                "text": turns[depth].content,
                "role": _ROLES[turns[depth].role],
                "replies": chain,
            }
            chain = [node]
        rows.append({"message_tree_id": tree, "tree_state": "ready_for_export", "prompt": chain[0]})
    if ties:
        losses.notes.append(f"{ties} {'tie' if ties == 1 else 'ties'} written as equal ranks")
    return rows


def _answers(one: Placed, tree: str) -> list[dict[str, Any]]:
    parent = f"{tree}-{len([turn for turn in one.comparison.prompt.messages if turn.role != 'system']) - 1}"
    return [
        {
            "message_id": f"{tree}-answer-{number}",
            "parent_id": parent,
            "text": answer.text,
            "role": "assistant",
            "synthetic": True,
            "model_name": answer.source,
            "rank": one.place(answer),
            "replies": [],
        }
        for number, answer in enumerate(one.answers, start=1)
    ]
