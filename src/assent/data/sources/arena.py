"""Chatbot Arena battles (Zheng et al. 2023): two conversations with the same user turns, and which one won.

`winner` is model_a, model_b, tie, or "tie (bothbad)", which is a tie of two answers flagged unusable. The last answers
are compared where everything before them is the same. The form of the Kaggle competition holds the turns as JSON lists
of texts, and the winner as three columns of which one is 1:

    {"prompt": "[\\"Hi\\"]", "response_a": "[\\"Hello!\\"]", "response_b": "[\\"What?\\"]", "winner_model_a": 1, …}
"""

from __future__ import annotations

import json
from typing import Any

from assent.core.types import Comparison, Message
from assent.data.rows import Row
from assent.data.sources import ranked, turns
from assent.data.sources.format import Format
from assent.data.values import is_said, name_of, number

_WINNERS = {
    "model_a": (("a",), ("b",)),
    "model_b": (("b",), ("a",)),
    "tie": (("a", "b"),),
    "tie (bothbad)": (("a", "b"),),
    "both_bad": (("a", "b"),),
}
_BAD = {"tie (bothbad)", "both_bad"}
_ONE_OF = {"winner_model_a": "model_a", "winner_model_b": "model_b", "winner_tie": "tie"}
"""Columns of which one is 1 -> the winner that it means."""


def comparisons(row: Row) -> list[Comparison]:
    """The last answers of both models to the conversation that they share."""
    sides = {side: turns.messages(row, row.need(f"conversation_{side}"), f"conversation_{side}") for side in "ab"}
    for side, said in sides.items():
        if said[-1].role != "assistant":
            raise row.error(f"'conversation_{side}' ends in a {said[-1].role} turn; it must end in the judged answer")
    winner = row.text("winner").strip().lower()
    if winner not in _WINNERS:
        raise row.error(f"'winner' is {winner!r}; it should be one of {', '.join(_WINNERS)}")
    texts = {side: turns.answer(row, said[-1], f"conversation_{side}") for side, said in sides.items()}
    return _judged(row, {side: said[:-1] for side, said in sides.items()}, texts, winner)


def comparisons_of_texts(row: Row) -> list[Comparison]:
    """The last answers of both models, of a row that holds its turns as JSON lists of texts."""
    asked = _texts(row, "prompt")
    answered = {side: _texts(row, f"response_{side}") for side in "ab"}
    for side, said in answered.items():
        if len(said) != len(asked):
            raise row.error(f"'response_{side}' holds {len(said)} answers to {len(asked)} questions; correct the row")
    before = {}
    for side, said in answered.items():
        spoken = [text for exchange in zip(asked, said, strict=True) for text in exchange]
        talk = [Message(role="assistant" if at % 2 else "user", content=text) for at, text in enumerate(spoken)]
        before[side] = tuple(talk[:-1])
    return _judged(row, before, {side: said[-1] for side, said in answered.items()}, _winner(row))


def _judged(row: Row, before: dict[str, tuple[Message, ...]], texts: dict[str, str], winner: str) -> list[Comparison]:
    if before["a"] != before["b"]:
        raise row.error("the two conversations part before their last answers; there is no shared prompt to compare on")
    verdict = ranked.Verdict(
        rater=name_of(row.values.get("judge")) or "arena",
        tiers=_WINNERS[winner],
        flags=dict.fromkeys("ab", ("unusable",)) if winner in _BAD else {},
    )
    row.tally.read(*(name for name in ("judge",) if row.has(name)))
    prompt = turns.prompt(row, before["a"])
    models = {side: row.optional_text(f"model_{side}") for side in "ab"}
    return [ranked.judged(row, prompt, texts, verdict, models)]


def _texts(row: Row, name: str) -> list[str]:
    """A list of texts, or JSON text of one; a null in it is an answer that is not there."""
    value: Any = row.need(name)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise row.error(f"{name!r} is {value[:40]!r}; it should be a list of texts as JSON") from None
    if not isinstance(value, list | tuple) or not value:
        raise row.error(f"{name!r} should be a list of texts with something in it, got {str(value)[:40]!r}")
    for at, text in enumerate(value):
        if not is_said(text):
            raise row.error(f"{name}[{at}] is null: one side said nothing; leave the row out")
    return [row.spoken(text, f"{name}[{at}]") for at, text in enumerate(value)]


def _winner(row: Row) -> str:
    """The winner that the one column says which is 1."""
    marks = {name: row.need(name) for name in _ONE_OF if row.has(name)}
    marks = {name: float(said) if isinstance(said, bool) else number(said) for name, said in marks.items()}
    won = [name for name, mark in marks.items() if mark == 1]
    if len(won) != 1 or any(mark not in (0, 1) for mark in marks.values()):
        said = ", ".join(f"{name} {row.values.get(name)!r}" for name in _ONE_OF)
        raise row.error(f"exactly one of {', '.join(_ONE_OF)} should be 1 and the others 0, got {said}")
    return _ONE_OF[won[0]]


FORMAT = Format(
    name="arena",
    columns="conversation_a, conversation_b, winner",
    matches=lambda values: {"conversation_a", "conversation_b", "winner"} <= values.keys(),
    comparisons=comparisons,
    row_id=lambda row: name_of(row.values.get("question_id")),
    ignores=frozenset({"turn", "anony", "full_conversation", "conv_metadata", "category_tag"}),
)
OF_TEXTS = Format(
    name="arena",
    columns="prompt, response_a, response_b, winner_model_a, winner_model_b, winner_tie",
    matches=lambda values: {"prompt", "response_a", "response_b"} <= values.keys() and bool(_ONE_OF.keys() & values),
    comparisons=comparisons_of_texts,
    row_id=lambda row: name_of(row.values.get("id")),
)
