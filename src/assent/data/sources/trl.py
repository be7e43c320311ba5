"""TRL's preferences (prompt, chosen, rejected) and demonstrations (prompt/completion, text), plain or as messages.

The prompt of a preference may be implicit: then it is what chosen and rejected begin with, provided that no other
column of text stands there. A row of `text` alone becomes a conversation of one assistant turn: plain text to learn,
without a chat template.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assent.core.types import Comparison, Conversation, Message, Prompt
from assent.data.rows import Row
from assent.data.sources import asked, columns, ranked, transcripts, turns
from assent.data.sources.format import Format
from assent.data.values import is_blank, is_turn, number

_RATER = "trl"
_TALKS = ("messages", "conversations")


def comparisons(row: Row) -> list[Comparison]:
    """The preference of a row."""
    who, chosen, rejected = ranked.rater_of(row, _RATER), _side(row, "chosen"), _side(row, "rejected")
    if turns.is_messages(chosen) != turns.is_messages(rejected):
        raise row.error("one of chosen and rejected is text, the other messages; write both the same way")
    if turns.is_messages(chosen):
        prompt, answers = _from_messages(row, {"chosen": chosen, "rejected": rejected})
    elif asked.names(row.values) or any(turns.is_messages(row.values.get(name)) for name in _TALKS):
        said = _asked(row)
        answers = (row.text("chosen"), row.text("rejected"))
        sides = dict(zip(("chosen", "rejected"), answers, strict=True))
        asked.refuse_repeated(row, said, sides)
        for name, text in sides.items():
            if transcripts.begins(text):
                raise row.error(f"{name!r} is a whole transcript beside a prompt; ignore the prompt, or give answers")
        prompt = turns.prompt(row, said)
    else:
        prompt, answers = _from_texts(row)
    return [ranked.preference(row, prompt, *answers, rater=who, scores=_scores(row))]


def conversations(row: Row) -> list[Conversation]:
    """The demonstration of a row."""
    if not row.has("completion") and row.has("text"):
        text = row.text("text")
        if transcripts.looks_like(text):
            row.tally.drop(transcripts.LEARNED)
        return [Conversation(messages=(Message(role="assistant", content=text),))]
    question = asked.prompt(row)
    answer = row.need("completion")
    if turns.is_messages(answer):
        said = turns.messages(row, answer, "completion")
        value = row.values.get("prompt")
        before = turns.flags(row, value, "prompt") if turns.is_messages(value) else []
        learn = turns.flags(row, answer, "completion")
        return [turns.conversation(row, question + said, learn=_joined(question, said, before, learn))]
    text = row.text("completion")
    asked.refuse_repeated(row, question, {"completion": text})
    return [turns.exchange(row, question, text)]


def prompts(row: Row) -> list[Prompt]:
    """The prompt of a demonstration."""
    if not asked.names(row.values):
        raise row.error("a row of plain text has no prompt; list the file under demonstrations")
    row.need("completion")
    return [turns.prompt(row, asked.prompt(row))]


def _joined(
    question: tuple[Message, ...], said: tuple[Message, ...], before: list[bool], learn: list[bool]
) -> list[bool]:
    """Flags of all assistant turns, where at least one of the two parts says something."""
    if not before and not learn:
        return []
    count = [sum(turn.role == "assistant" for turn in part) for part in (question, said)]
    return [*(before or [True] * count[0]), *(learn or [True] * count[1])]


def _side(row: Row, name: str) -> Any:
    """One side of a preference; a single message stands for a list of one."""
    value = row.need(name)
    return [value] if is_turn(value) else value


def _asked(row: Row) -> tuple[Message, ...]:
    """The prompt's turns: a column named like one, else a conversation that waits for its answer."""
    if asked.names(row.values):
        return asked.prompt(row)
    for name in _TALKS:
        if turns.is_messages(row.values.get(name)):
            said = turns.messages(row, row.need(name), name)
            if said[-1].role in ("user", "tool"):
                return said
    return asked.prompt(row)


def _from_messages(row: Row, values: Mapping[str, Any]) -> tuple[Prompt, tuple[str, str]]:
    """Conversational preference; chosen and rejected may repeat the prompt or hold only the answer."""
    sides = {name: turns.messages(row, value, name) for name, value in values.items()}
    for name, value in values.items():
        if turns.flags(row, value, name)[-1:] == [False]:
            raise row.error(f"the last turn of {name!r} is marked as not to be learned; leave the row out")
    whole = {name: side for name, side in sides.items() if side[0].role != "assistant"}
    if not whole:
        said = _asked(row)
        sides = {name: said + side for name, side in sides.items()}
    elif len(whole) == 1:
        raise row.error("one of chosen and rejected repeats the prompt, the other does not; write both the same way")
    chosen, rejected = sides.values()
    if chosen[:-1] != rejected[:-1]:
        raise row.error("chosen and rejected differ before their last message; there is no shared prompt to compare on")
    for name, side in sides.items():
        if side[-1].role != "assistant":
            raise row.error(f"{name!r} ends in a {side[-1].role} turn; it must end in the answer that was judged")
    said = _agreed(row, chosen[:-1]) if whole else chosen[:-1]
    answers = [turns.answer(row, side[-1], name) for name, side in sides.items()]
    return turns.prompt(row, said), (answers[0], answers[1])


def _agreed(row: Row, shared: tuple[Message, ...]) -> tuple[Message, ...]:
    """What both conversations begin with, or the prompt column where that says the same and more before it."""
    if not row.has("prompt"):
        return shared
    value = row.need("prompt")
    if turns.is_messages(value):
        said = turns.messages(row, value, "prompt")
        if said[-len(shared) :] == shared:
            return said
        if shared[: len(said)] == said or shared[-len(said) :] == said:
            return shared
    else:
        text = row.text("prompt").strip()
        asking = [turn.content.strip() for turn in shared if turn.role == "user"]
        if text in (asking[0], asking[-1], "\n\n".join(turn.content.strip() for turn in shared)) if asking else False:
            return shared
        if transcripts.begins(text) and transcripts.asked(row, text, "prompt") == shared:
            return shared
    raise row.error(
        "'prompt' is not what chosen and rejected begin with; correct it, or leave it out with ignore: [prompt]"
    )


def _from_texts(row: Row) -> tuple[Prompt, tuple[str, str]]:
    """Plain preference without a prompt: the common beginning, cut back to the end of a word."""
    chosen, rejected = row.text("chosen"), row.text("rejected")
    others = [
        name
        for name, value in row.values.items()
        if isinstance(value, str | list | tuple | Mapping)
        and name not in row.tally.used
        and not is_blank(value)
        and not columns.is_harmless(name)
        and number(value) is None
    ]
    if others:
        listed = ", ".join(map(repr, others))
        raise row.error(
            f"there is no 'prompt', and {listed} may hold it; name it with columns: {{prompt: {others[0]}}}, or leave"
            f" out what is not the prompt with ignore: [{', '.join(others)}]"
        )
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
    row.tally.drop("prompts taken from the common beginning of chosen and rejected")
    prompt = turns.prompt(row, transcripts.asked(row, common.strip(), "the common beginning"))
    return prompt, (answers["chosen"], answers["rejected"])


def _scores(row: Row) -> dict[str, dict[str, float]]:
    """Scores that binarized sets carry along, under any of their names; numbers as text are numbers."""
    found: dict[str, dict[str, float]] = {}
    for side in ("chosen", "rejected"):
        for name in (f"score_{side}", f"{side}-rating", f"{side}_score", f"{side}_rating", f"rating_{side}"):
            value = number(row.values.get(name))
            if value is not None:
                row.tally.read(name)
                found[side] = {"overall": value}
    return found


def _holds_preference(values: Mapping[str, Any]) -> bool:
    return "chosen" in values and "rejected" in values


def _holds_demonstration(values: Mapping[str, Any]) -> bool:
    answered = asked.is_clear(values) and "completion" in values
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
