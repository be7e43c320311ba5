"""TRL's preferences (prompt, chosen, rejected) and demonstrations (prompt/completion, text), plain or as messages.

The prompt of a preference may be implicit: then it is what chosen and rejected begin with.
A row of `text` alone becomes a conversation of one assistant turn: plain text to learn, without a chat template.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assent.core.types import Comparison, Conversation, Message, Prompt
from assent.data.rows import Row
from assent.data.sources import ranked, turns
from assent.data.sources.format import Format

_RATER = "trl"


def comparisons(row: Row) -> list[Comparison]:
    """The preference of a row."""
    chosen, rejected = row.need("chosen"), row.need("rejected")
    if turns.is_messages(chosen) != turns.is_messages(rejected):
        raise row.error("one of chosen and rejected is text, the other messages; write both the same way")
    if turns.is_messages(chosen):
        prompt, answers = _from_messages(row)
    elif row.has("prompt"):
        prompt = turns.prompt(row, _asked(row))
        answers = (row.text("chosen"), row.text("rejected"))
    else:
        prompt, answers = _from_texts(row)
    return [ranked.preference(row, prompt, *answers, rater=_RATER, scores=_scores(row))]


def conversations(row: Row) -> list[Conversation]:
    """The demonstration of a row."""
    if "completion" not in row.values and "text" in row.values:
        return [Conversation(messages=(Message(role="assistant", content=row.text("text")),))]
    if row.values.get("label") is False:
        raise row.error("'label' is false: people disliked this completion, so it is no demonstration; remove the row")
    asked = turns.prompt(row, _asked(row)).messages
    answer = row.need("completion")
    if turns.is_messages(answer):
        return [turns.conversation(row, asked + turns.messages(row, answer, "completion"))]
    return [turns.conversation(row, (*asked, Message(role="assistant", content=row.text("completion"))))]


def prompts(row: Row) -> list[Prompt]:
    """The prompt of a demonstration."""
    if not row.has("prompt"):
        raise row.error("a row of plain text has no prompt; list the file under demonstrations")
    return [turns.prompt(row, _asked(row))]


def _asked(row: Row) -> tuple[Message, ...]:
    value = row.need("prompt")
    if turns.is_messages(value):
        return turns.messages(row, value, "prompt")
    return (Message(role="user", content=row.text("prompt")),)


def _from_messages(row: Row) -> tuple[Prompt, tuple[str, str]]:
    """Conversational preference; chosen and rejected may repeat the prompt or hold only the answer."""
    sides = {name: turns.messages(row, row.need(name), name) for name in ("chosen", "rejected")}
    whole = {name: side for name, side in sides.items() if side[0].role != "assistant"}
    if not whole:
        asked = _asked(row)
        sides = {name: asked + side for name, side in sides.items()}
    elif len(whole) == 1:
        raise row.error("one of chosen and rejected repeats the prompt, the other does not; write both the same way")
    chosen, rejected = sides.values()
    if chosen[:-1] != rejected[:-1]:
        raise row.error("chosen and rejected differ before their last message; there is no shared prompt to compare on")
    for name, side in sides.items():
        if side[-1].role != "assistant":
            raise row.error(f"{name!r} ends in a {side[-1].role} turn; it must end in the answer that was judged")
    return turns.prompt(row, chosen[:-1]), (chosen[-1].content, rejected[-1].content)


def _from_texts(row: Row) -> tuple[Prompt, tuple[str, str]]:
    """Plain preference without a prompt: the common beginning, cut back to the end of a word."""
    chosen, rejected = row.text("chosen"), row.text("rejected")
    differing = (n for n, (a, b) in enumerate(zip(chosen, rejected, strict=False)) if a != b)
    common = chosen[: next(differing, min(len(chosen), len(rejected)))]
    if chosen[len(common) : len(common) + 1].strip() or rejected[len(common) : len(common) + 1].strip():
        common = common[: max(common.rfind(" "), common.rfind("\n")) + 1]
    if not common.strip():
        raise row.error(
            "chosen and rejected share no beginning to take as the prompt; add a column 'prompt' or rename one"
        )
    answers = {"chosen": chosen[len(common) :].strip(), "rejected": rejected[len(common) :].strip()}
    for name, answer in answers.items():
        row.spoken(answer, f"{name} after the common beginning")
    prompt = turns.prompt(row, (Message(role="user", content=common.strip()),))
    return prompt, (answers["chosen"], answers["rejected"])


def _scores(row: Row) -> dict[str, dict[str, float]]:
    """Scores that binarized sets carry along, under either of their names."""
    found: dict[str, dict[str, float]] = {}
    for side in ("chosen", "rejected"):
        for name in (f"score_{side}", f"{side}-rating", f"{side}_score"):
            value = row.values.get(name)
            if isinstance(value, int | float):
                found[side] = {"overall": float(value)}
    return found


def _holds_preference(values: Mapping[str, Any]) -> bool:
    return "chosen" in values and "rejected" in values


def _holds_demonstration(values: Mapping[str, Any]) -> bool:
    # A column `label` makes it an unpaired preference: its completion may be a bad one.
    answered = "prompt" in values and "completion" in values and "label" not in values
    return answered or (isinstance(values.get("text"), str) and not {"role", "parent_id"} & set(values))


PREFERENCES = Format(
    name="trl", columns="[prompt,] chosen, rejected", matches=_holds_preference, comparisons=comparisons
)
DEMONSTRATIONS = Format(
    name="trl",
    columns="prompt, completion | text",
    matches=_holds_demonstration,
    conversations=conversations,
    prompts=prompts,
)
