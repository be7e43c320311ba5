"""Replies of the endpoint in the shape of OpenAI's interface: choices, log-probabilities, usage, streams."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from typing import Any

from assent.service.endpoint.models import Answer, Answered, ServedPolicy


def chat_reply(policy: ServedPolicy, answered: Answered, *, with_logprobs: bool, seed: int) -> dict[str, Any]:
    """The reply to a chat."""
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", "content": one.text, "refusal": None},
            "logprobs": {"content": _content(policy, answered, one), "refusal": None} if with_logprobs else None,
            "finish_reason": reason(one),
        }
        for index, one in enumerate(answered.answers)
    ]
    return _reply("chat.completion", policy, choices, [answered], seed)


def completion_reply(
    policy: ServedPolicy, answered: Sequence[Answered], *, echo: bool, with_logprobs: bool, seed: int
) -> dict[str, Any]:
    """The reply to texts that were gone on from; choices of one prompt stand together."""
    choices: list[dict[str, Any]] = []
    for row in answered:
        before = policy.decode(row.prompt, is_plain=True) if echo else ""
        for one in row.answers:
            choices.append(
                {
                    "index": len(choices),
                    "text": before + one.text,
                    "logprobs": _columns(policy, row, one, echo=echo) if with_logprobs else None,
                    "finish_reason": reason(one),
                }
            )
    return _reply("text_completion", policy, choices, answered, seed)


class Pieces:
    """The lines of one streamed reply (server-sent events)."""

    def __init__(self, policy: ServedPolicy, *, is_chat: bool, seed: int) -> None:
        self._is_chat = is_chat
        self._shown = ""
        kind = "chat.completion.chunk" if is_chat else "text_completion"
        self._head = {**_reply(kind, policy, [], [], seed)}
        del self._head["usage"]

    def begin(self) -> str:
        """What comes before any text; empty where nothing does."""
        return self._choice({"role": "assistant", "content": ""}) if self._is_chat else ""

    def text(self, so_far: str) -> str:
        """What of a growing text was not sent yet. White space at its end waits: the end of a turn may take it off."""
        sure = so_far.rstrip()
        return self._more(sure) if len(sure) > len(self._shown) and sure.startswith(self._shown) else ""

    def end(self, answered: Answered, *, with_usage: bool) -> str:
        """The rest of the text, why it ended, the usage where it is wanted, and the end of the stream."""
        [one] = answered.answers
        rest = self._more(one.text) if one.text.startswith(self._shown) and one.text != self._shown else ""
        said = rest + self._choice({} if self._is_chat else "", finish_reason=reason(one))
        if with_usage:
            said += event({**self._head, "choices": [], "usage": usage([answered])})
        return said + "data: [DONE]\n\n"

    def _more(self, text: str) -> str:
        new, self._shown = text[len(self._shown) :], text
        return self._choice({"content": new} if self._is_chat else new)

    def _choice(self, what: Any, finish_reason: str | None = None) -> str:
        choice = {"index": 0, "delta" if self._is_chat else "text": what, "logprobs": None}
        return event({**self._head, "choices": [{**choice, "finish_reason": finish_reason}]})


def event(value: dict[str, Any]) -> str:
    """One server-sent event."""
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"


def usage(answered: Sequence[Answered]) -> dict[str, int]:
    """Tokens of the prompts, each once, and of all answers, ends of turns counted."""
    prompt = sum(len(one.prompt) for one in answered)
    written = sum(len(answer.tokens) for one in answered for answer in one.answers)
    return {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written}


def reason(answer: Answer) -> str:
    """Why an answer ended."""
    return "stop" if answer.finished else "length"


def _reply(
    kind: str, policy: ServedPolicy, choices: list[dict[str, Any]], answered: Sequence[Answered], seed: int
) -> dict[str, Any]:
    return {
        "id": f"{'chatcmpl' if kind.startswith('chat') else 'cmpl'}-{secrets.token_hex(12)}",
        "object": kind,
        "created": int(time.time()),
        "model": policy.name,
        "choices": choices,
        "usage": usage(answered),
        "system_fingerprint": None,
        "seed": seed,  # not in OpenAI's interface: with it an answer can be had again where the caller named none
    }


def _content(policy: ServedPolicy, answered: Answered, answer: Answer) -> list[dict[str, Any]]:
    """The tokens of an answer as a chat tells them."""
    said = []
    start = len(answered.prompt) - 1
    for place, token in enumerate(answer.tokens.tolist()):
        others: list[tuple[int, float]] = []
        own = float(answer.logps[place])
        if answer.reading is not None:
            own = float(answer.reading.logps[start + place])
            others = list(zip(*_top(answer, start + place), strict=True))
        said.append(
            {**_told(policy, token, own), "top_logprobs": [_told(policy, other, value) for other, value in others]}
        )
    return said


def _told(policy: ServedPolicy, token: int, logprob: float) -> dict[str, Any]:
    text = policy.decode([token])
    # A token may be a part of a letter, whose bytes its text does not tell.
    return {"token": text, "logprob": logprob, "bytes": None if "\ufffd" in text else list(text.encode())}


def _columns(policy: ServedPolicy, answered: Answered, answer: Answer, *, echo: bool) -> dict[str, Any]:
    """The tokens of an answer, with `echo` behind those of its prompt, in the columns of the older interface.

    The first token of a prompt has no log-probability: nothing stands before it.
    """
    tokens = [*(answered.prompt.tolist() if echo else []), *answer.tokens.tolist()]
    first = 0 if echo else len(answered.prompt)
    own: list[float | None] = []
    top: list[dict[str, float] | None] = []
    for place, token in enumerate(tokens, start=first):
        if place == 0:
            own.append(None)
            top.append(None)
            continue
        value = float(answer.logps[place - first] if answer.reading is None else answer.reading.logps[place - 1])
        own.append(value)
        found: dict[str, float] = {}
        if answer.reading is not None:
            for other, logprob in zip(*_top(answer, place - 1), strict=True):
                found.setdefault(policy.decode([other]), logprob)
        found.setdefault(policy.decode([token]), value)
        top.append(found)
    return {
        "tokens": [policy.decode([token]) for token in tokens],
        "token_logprobs": own,
        "top_logprobs": top,
        "text_offset": None,
    }


def _top(answer: Answer, place: int) -> tuple[list[int], list[float]]:
    assert answer.reading is not None
    return answer.reading.top[place].tolist(), answer.reading.top_logps[place].tolist()
