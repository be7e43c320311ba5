"""Formats of pairs: TRL preferences (conversational, implicit, plain) and HH-RLHF transcripts.

A ranking becomes all its pairs; ties cannot be said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from assent.core.types import Comparison, Message
from assent.data.losses import (
    LOOKS_LIKE_TURN,
    OPENED_BY_ASSISTANT,
    SAME_TEXT,
    SEVERAL_TURNS,
    SYSTEM_TURNS,
    TIES,
    UNPLACED,
    UNRANKED,
    Losses,
    count_unsaid,
)
from assent.data.sources.transcripts import MARK
from assent.data.writers.spoken import as_messages, is_one_question, plain_only, with_tools

Rows = list[dict[str, Any]]
_HH_NAMES = {"user": "Human", "assistant": "Assistant"}


def trl(comparisons: Sequence[Comparison], losses: Losses) -> Rows:
    """Rows of prompt, chosen and rejected, each a list of messages."""
    pairs = list(_pairs(comparisons, losses))
    rows = [
        {"prompt": as_messages(c.prompt.messages), "chosen": _answer(chosen), "rejected": _answer(rejected)}
        for c, chosen, rejected in pairs
    ]
    return with_tools(rows, [c.prompt for c, _, _ in pairs])


def trl_implicit(comparisons: Sequence[Comparison], losses: Losses) -> Rows:
    """Rows of chosen and rejected, each the whole conversation."""
    pairs = list(_pairs(comparisons, losses))
    rows = []
    for comparison, chosen, rejected in pairs:
        asked = as_messages(comparison.prompt.messages)
        rows.append({"chosen": [*asked, *_answer(chosen)], "rejected": [*asked, *_answer(rejected)]})
    return with_tools(rows, [c.prompt for c, _, _ in pairs])


def trl_plain(comparisons: Sequence[Comparison], losses: Losses) -> Rows:
    """Rows of prompt, chosen and rejected as plain text, which holds prompts of one user turn only."""
    comparisons = plain_only(comparisons, losses)
    fitting = [c for c in comparisons if is_one_question(c.prompt)]
    losses.add(SEVERAL_TURNS, sum(len(c.judgments) for c in comparisons) - sum(len(c.judgments) for c in fitting))
    return [
        {"prompt": c.prompt.text, "chosen": chosen, "rejected": rejected}
        for c, chosen, rejected in _pairs(fitting, losses)
    ]


def hh(comparisons: Sequence[Comparison], losses: Losses) -> Rows:
    """Rows of two transcripts; a system turn is laid before the first human turn."""
    rows = []
    comparisons = plain_only(comparisons, losses)
    asked: dict[str, tuple[Message, ...]] = {}
    for comparison, chosen, rejected in _pairs(comparisons, losses):
        prompt = comparison.prompt
        if prompt.id not in asked:
            asked[prompt.id] = without_system(prompt.messages, losses)
        turns = asked[prompt.id]
        if not turns or not alternate(turns):
            losses.add(OPENED_BY_ASSISTANT)
        elif any(MARK.search("\n\n" + text) for text in (chosen, rejected, *(turn.content for turn in turns))):
            losses.add(LOOKS_LIKE_TURN)
        else:
            history = "".join(f"\n\n{_HH_NAMES[turn.role]}: {turn.content}" for turn in turns)
            sides = {"chosen": chosen, "rejected": rejected}
            rows.append({side: f"{history}\n\nAssistant: {text}" for side, text in sides.items()})
    return rows


def without_system(turns: Sequence[Message], losses: Losses) -> tuple[Message, ...]:
    """The turns for a format without system turns: what they say is laid before the first other turn."""
    system = [turn.content for turn in turns if turn.role == "system"]
    others = [turn for turn in turns if turn.role != "system"]
    if not system or not others:
        return tuple(others)
    losses.add(SYSTEM_TURNS, len(system))
    first = Message(role=others[0].role, content="\n\n".join([*system, others[0].content]))
    return (first, *others[1:])


def alternate(turns: Sequence[Message]) -> bool:
    """Whether user and assistant speak by turns, the user first."""
    return all(turn.role == ("user", "assistant")[number % 2] for number, turn in enumerate(turns))


def _pairs(comparisons: Sequence[Comparison], losses: Losses) -> Iterator[tuple[Comparison, str, str]]:
    """(comparison, better text, worse text) for every judgment's pairs."""
    count_unsaid(comparisons, losses, keeps=frozenset())
    rankings = pairs = 0
    for comparison in comparisons:
        texts = {completion.id: completion.text for completion in comparison.completions}
        for judgment in comparison.judgments:
            if judgment.ranking is None:
                losses.add(UNRANKED)
                continue
            ids = judgment.ranking.ids
            losses.add(UNPLACED, len(texts) - len(ids))
            if len(ids) > 2:
                rankings, pairs = rankings + 1, pairs + len(ids) * (len(ids) - 1) // 2
            for better, worse, is_tie in judgment.ranking.pairs():
                if is_tie:
                    losses.add(TIES)
                elif texts[better].strip() == texts[worse].strip():
                    losses.add(SAME_TEXT)
                else:
                    yield comparison, texts[better], texts[worse]
    if rankings:
        losses.notes.append(
            f"{rankings} {'ranking' if rankings == 1 else 'rankings'} became {pairs} pairs, ties included"
        )


def _answer(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]
