"""Transcripts: conversations that stand inside one text, which are read as turns where the marks are HH-RLHF's."""

from __future__ import annotations

import re

from assent.core.types import Message, Role
from assent.data.rows import Row
from assent.data.values import is_written_out

MARK = re.compile(r"\n\n(Human|Assistant):")
"""What begins a turn of an HH-RLHF transcript."""
_ROLES: dict[str, Role] = {"Human": "user", "Assistant": "assistant"}
_ASKING = re.compile(
    r"(?im)^[ \t]*(?:(?:\*\*)?(?:human|user|prompter)(?:\*\*)?:"
    r"|#+ ?(?:instruction|human|user|question|prompt|input)\b:?)"
)
_SAYING = re.compile(
    r"(?im)^[ \t]*(?:(?:\*\*)?(?:assistant|ai|bot|gpt)(?:\*\*)?:|#+ ?(?:response|assistant|answer|output)\b:?)"
)
_TEMPLATED = re.compile(
    r"<\|im_start\|>|<\|start_header_id\|>|<start_of_turn>|\[INST\].*\[/INST\]|<extra_id_1>"
    r"|<\|(?:user|assistant|system|prompter|human)\|>",
    re.DOTALL,
)
HELD = "prompts that hold a transcript, read as one user turn"
LEARNED = "texts that look like transcripts, learned as plain text"


def begins(text: str) -> bool:
    """Whether a text is an HH-RLHF transcript: a Human's turn first, and an Assistant's after it."""
    whole = "\n\n" + text.lstrip()
    marks = MARK.findall(whole)
    return marks[:1] == ["Human"] and "Assistant" in marks and MARK.split(whole)[0] == ""


def parse(row: Row, text: str, name: str) -> list[Message]:
    """The turns of a transcript; two turns in a row by the same speaker are one. An empty last reply is left out."""
    whole = "\n\n" + text.strip()
    before, *marked = MARK.split(whole)
    if before.strip() or not marked:
        raise row.error(
            f"{name!r} should begin with 'Human:' or 'Assistant:' after two newlines, got {text.strip()[:30]!r}"
        )
    said: list[Message] = []
    for number, (mark, content) in enumerate(zip(marked[::2], marked[1::2], strict=True), start=1):
        spoken = row.spoken(content, f"{name}, turn {number} ({mark})").strip()
        if said and said[-1].role == _ROLES[mark]:
            spoken = said.pop().content + "\n\n" + spoken
        said.append(Message(role=_ROLES[mark], content=spoken))
    return said


def asked(row: Row, text: str, name: str) -> tuple[Message, ...]:
    """A prompt given as one text: one user turn, or the turns of an HH-RLHF transcript.

    Raises the row's error where it is a conversation in other marks, or already went through a chat template.
    """
    row.spoken(text, name)
    if is_written_out(text):
        raise row.error(f"{name!r} is a list of messages as Python prints it; write it as JSON")
    if found := _TEMPLATED.search(text):
        shown = found.group()[:20]
        raise row.error(f"{name!r} went through a chat template already ({shown!r}); give its turns as messages")
    if begins(text):
        return tuple(parse(row, re.sub(r"\n\nAssistant:\s*\Z", "", text.rstrip()), name))
    asking, saying = list(_ASKING.finditer(text)), list(_SAYING.finditer(text))
    if asking and (saying or asking[0].group() == "Human:"):
        is_first = not text[: asking[0].start()].strip()
        is_last = bool(saying) and not text[saying[-1].end() :].strip()
        if is_first or is_last:
            marks = " and ".join(repr(found[0].group().strip()) for found in (asking, saying) if found)
            raise row.error(f"{name!r} is a transcript in one text (marked {marks}); give its turns as messages")
        row.tally.drop(HELD)
    return (Message(role="user", content=text),)


def looks_like(text: str) -> bool:
    """Whether a text is rather a conversation written down than plain text."""
    return begins(text) or bool(_TEMPLATED.search(text)) or bool(_ASKING.search(text) and _SAYING.search(text))
