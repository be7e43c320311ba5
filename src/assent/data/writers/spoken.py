"""How writers say turns: as messages of role and content, with the calls where a format holds them, or as texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from assent.core.shown import shown
from assent.core.types import Comparison, Message, Prompt
from assent.data.losses import CALLS_AS_TEXT, TOOL_TURNS, Losses


def as_messages(turns: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages as transformers' chat templates take them: calls below `function`, reasoning as `reasoning_content`."""
    return [_message(turn) for turn in turns]


def with_tools(rows: list[dict[str, Any]], prompts: Sequence[Prompt]) -> list[dict[str, Any]]:
    """Rows with a column `tools` where one of their prompts has any; null in the others, for tables want one shape."""
    if not any(prompt.tools for prompt in prompts):
        return rows
    return [{**row, "tools": list(of.tools) or None} for row, of in zip(rows, prompts, strict=True)]


def as_texts(prompt: Prompt, losses: Losses) -> list[dict[str, str]]:
    """Turns of role and content alone, for people to read; calls, reasoning and tools become turns of their own."""
    losses.add(CALLS_AS_TEXT, sum(not turn.is_plain for turn in prompt.messages) + len(prompt.tools))
    return [{"role": one.role, "content": one.text} for one in shown(prompt)]


def is_one_question(prompt: Prompt) -> bool:
    """Whether a prompt is the text of one user turn and nothing else."""
    return len(prompt.messages) == 1 and prompt.messages[0].role == "user" and not prompt.tools


def is_plain(prompt: Prompt) -> bool:
    """Whether a prompt is text that is said by turns, without tools."""
    return not prompt.tools and all(turn.is_plain for turn in prompt.messages)


def plain_only(comparisons: Sequence[Comparison], losses: Losses) -> list[Comparison]:
    """Those whose prompt is plain; the judgments of the others are counted as lost."""
    kept = [one for one in comparisons if is_plain(one.prompt)]
    losses.add(TOOL_TURNS, sum(len(one.judgments) for one in comparisons) - sum(len(one.judgments) for one in kept))
    return kept


def _message(turn: Message) -> dict[str, Any]:
    said: dict[str, Any] = {"role": turn.role, "content": turn.content}
    if turn.tool_calls:
        said["tool_calls"] = [
            {
                "type": "function",
                **({"id": call.id} if call.id else {}),
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in turn.tool_calls
        ]
    found = {"tool_call_id": turn.tool_call_id, "name": turn.name, "reasoning_content": turn.reasoning}
    return said | {key: text for key, text in found.items() if text}
