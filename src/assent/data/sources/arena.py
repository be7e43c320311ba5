"""Chatbot Arena battles (Zheng et al. 2023): two conversations with the same user turns, and which one won.

`winner` is model_a, model_b, tie, or "tie (bothbad)", which is a tie of two answers flagged unusable. The last answers
are compared where everything before them is the same.
"""

from __future__ import annotations

from assent.core.types import Comparison
from assent.data.rows import Row
from assent.data.sources import ranked, turns
from assent.data.sources.format import Format
from assent.data.values import name_of

_WINNERS = {
    "model_a": (("a",), ("b",)),
    "model_b": (("b",), ("a",)),
    "tie": (("a", "b"),),
    "tie (bothbad)": (("a", "b"),),
    "both_bad": (("a", "b"),),
}
_BAD = {"tie (bothbad)", "both_bad"}


def comparisons(row: Row) -> list[Comparison]:
    """The last answers of both models to the conversation that they share."""
    sides = {side: turns.messages(row, row.need(f"conversation_{side}"), f"conversation_{side}") for side in "ab"}
    for side, said in sides.items():
        if said[-1].role != "assistant":
            raise row.error(f"'conversation_{side}' ends in a {said[-1].role} turn; it must end in the judged answer")
    if sides["a"][:-1] != sides["b"][:-1]:
        raise row.error("the two conversations part before their last answers; there is no shared prompt to compare on")
    winner = row.text("winner").strip().lower()
    if winner not in _WINNERS:
        raise row.error(f"'winner' is {winner!r}; it should be one of {', '.join(_WINNERS)}")
    verdict = ranked.Verdict(
        rater=name_of(row.values.get("judge")) or "arena",
        tiers=_WINNERS[winner],
        flags=dict.fromkeys("ab", ("unusable",)) if winner in _BAD else {},
    )
    row.tally.read(*(name for name in ("judge",) if row.has(name)))
    prompt = turns.prompt(row, sides["a"][:-1])
    texts = {side: said[-1].content for side, said in sides.items()}
    models = {side: row.optional_text(f"model_{side}") for side in "ab"}
    return [ranked.judged(row, prompt, texts, verdict, models)]


FORMAT = Format(
    name="arena",
    columns="conversation_a, conversation_b, winner",
    matches=lambda values: {"conversation_a", "conversation_b", "winner"} <= values.keys(),
    comparisons=comparisons,
    row_id=lambda row: name_of(row.values.get("question_id")),
    ignores=frozenset({"turn", "anony", "full_conversation", "conv_metadata", "category_tag"}),
)
