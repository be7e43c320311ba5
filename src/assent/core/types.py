"""The nouns of alignment: messages, prompts, completions, tasks, rankings, judgments, raters.

A judgment is a weak order over completion ids, never over positions or letters:

    Ranking(tiers=(("b",), ("a", "d"), ("c",)))        reads   b > a = d > c
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from assent.core.errors import DataError
from assent.core.hashing import hash_json, short

Role = Literal["system", "user", "assistant", "tool"]
"""tool: the result of a call that an earlier assistant turn makes."""
Flag = Literal["unsafe", "factually_wrong", "unusable"]
RaterKind = Literal["person", "simulated", "autorater", "reward_model", "function"]
Purpose = Literal["reward", "evaluation"]
TaskKind = Literal["rank", "pair", "rate", "chat", "battle"]
"""rank: order K answers. pair: choose of two. rate: score one answer. chat: a turn of a conversation with two blind
models. battle: two blind answers, new policy against old."""
MAX_ANSWERS = 9
"""Most answers of a task that people rank: each has a digit key."""
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class Record(BaseModel):
    """A frozen value that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _is_empty(value: Any) -> bool:
    return not value


class ToolCall(Record):
    """What an assistant turn asks a tool to do."""

    name: str = Field(min_length=1)
    arguments: dict[str, Any] = Field(default_factory=dict)
    """A JSON object."""
    id: str = Field(default="", exclude_if=_is_empty)
    """Under which a result names it; empty where the source gives none."""

    @model_validator(mode="after")
    def _check(self) -> ToolCall:
        _as_json(self.arguments, f"the arguments of {self.name!r}")
        return self


class Message(Record):
    """One turn of a conversation. What it does not say beside role and content is not written down either."""

    role: Role
    content: str
    """What is said; may be empty where the turn calls tools."""
    tool_calls: tuple[ToolCall, ...] = Field(default=(), exclude_if=_is_empty)
    """Of an assistant turn."""
    tool_call_id: str = Field(default="", exclude_if=_is_empty)
    """The call whose result a tool turn is; empty: the first call that waits for one."""
    name: str = Field(default="", exclude_if=_is_empty)
    """The tool whose result it is."""
    reasoning: str = Field(default="", exclude_if=_is_empty)
    """What an assistant turn thought, apart from what it says."""

    @model_validator(mode="after")
    def _check(self) -> Message:
        for field, role in (("tool_calls", "assistant"), ("reasoning", "assistant"), ("tool_call_id", "tool")):
            if getattr(self, field) and self.role != role:
                raise ValueError(f"a {self.role} turn has {field}, which only {role} turns have")
        if self.name and self.role != "tool":
            raise ValueError(f"a {self.role} turn has a name, which only tool turns have")
        ids = [call.id for call in self.tool_calls if call.id]
        if len(set(ids)) < len(ids):
            raise ValueError(f"a turn has two calls with the same id: {ids}")
        return self

    @property
    def is_plain(self) -> bool:
        """Whether role and content are all there is to it."""
        return self.role != "tool" and not self.tool_calls and not self.reasoning


class Prompt(Record):
    """A conversation that ends where the assistant has to answer. Its id is a hash of what it says unless given."""

    messages: tuple[Message, ...] = Field(min_length=1)
    id: str = ""
    meta: dict[str, Any] = Field(default_factory=dict)
    tools: tuple[dict[str, Any], ...] = Field(default=(), exclude_if=_is_empty)
    """Tools that the assistant may call, as JSON schemas, in the words of the source."""

    @model_validator(mode="after")
    def _name(self) -> Prompt:
        _check_tools(self.messages, self.tools)
        if not self.id:
            object.__setattr__(self, "id", "p-" + short(hash_json(said_in(self))))
        return self

    @classmethod
    def of(cls, text: str, **meta: Any) -> Prompt:
        """A prompt of one user turn."""
        return cls(messages=(Message(role="user", content=text),), meta=meta)

    @property
    def text(self) -> str:
        """The last turn that is neither the assistant's nor a tool's: what the user asks."""
        asked = (turn.content for turn in reversed(self.messages) if turn.role not in ("assistant", "tool"))
        return next(asked, self.messages[-1].content)


Asked = Prompt | Sequence[Message]
"""What a model is asked: a prompt, or turns without tools."""


class Completion(Record):
    """One answer to one prompt, with where it came from. `source` is a policy artifact, a file, or a person."""

    prompt_id: str
    text: str
    id: str = ""
    source: str = ""
    finished: bool = True
    """False where sampling hit its token limit before the end-of-turn token."""
    meta: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _name(self) -> Completion:
        if not self.id:
            object.__setattr__(self, "id", "c-" + short(hash_json([self.prompt_id, self.text, self.source])))
        return self


def storable(text: str) -> str:
    """A model may write anything; what no database or encoding takes (NUL, half a surrogate pair) becomes U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", text)


class Conversation(Record):
    """A demonstration: the assistant turns are what the model should learn to say."""

    messages: tuple[Message, ...] = Field(min_length=1)
    id: str = ""
    meta: dict[str, Any] = Field(default_factory=dict)
    tools: tuple[dict[str, Any], ...] = Field(default=(), exclude_if=_is_empty)
    """As `Prompt.tools`."""

    @model_validator(mode="after")
    def _check(self) -> Conversation:
        _check_tools(self.messages, self.tools)
        if not self.id:
            object.__setattr__(self, "id", "v-" + short(hash_json(said_in(self))))
        return self

    @property
    def prompt(self) -> Prompt:
        """What precedes the last assistant turn."""
        last = max((i for i, m in enumerate(self.messages) if m.role == "assistant"), default=len(self.messages))
        if last == 0:
            raise DataError(f"conversation {self.id} begins with the assistant: there is no prompt before it")
        return Prompt(messages=self.messages[:last], meta=self.meta, tools=self.tools)


def said_in(talk: Prompt | Conversation) -> list[Any]:
    """Everything that is said, as JSON, ids and meta left out; equal lists say the same, letter by letter."""
    turns: list[Any] = [
        [m.role, m.content] if m.is_plain else [m.role, m.content, m.model_dump(exclude={"role", "content"})]
        for m in talk.messages
    ]
    return [*turns, {"tools": list(talk.tools)}] if talk.tools else turns


def tool_name(schema: Mapping[str, Any]) -> str | None:
    """The name in the schema of a tool, which stands in it or below `function`."""
    function = schema.get("function")
    name = (function if isinstance(function, Mapping) else schema).get("name")
    return name if isinstance(name, str) and name.strip() else None


def stray_result(messages: Sequence[Message]) -> str | None:
    """What is wrong with the first result of a tool that belongs to no call before it; None where each has one.

    A result belongs to the call whose id it names; without one to the first call of the last calling turn that has no
    result yet (of its name, where it says one).
    """
    waiting: list[tuple[int, ToolCall]] = []
    last = 0
    for number, turn in enumerate(messages, start=1):
        if turn.tool_calls:
            last = number
            waiting += [(number, call) for call in turn.tool_calls]
        if turn.role != "tool":
            continue
        if turn.tool_call_id:
            fitting = [one for one in waiting if one[1].id == turn.tool_call_id][-1:]
            reason = f"tool_call_id is {turn.tool_call_id!r}, and no call before it that waits for a result has that id"
        else:
            fitting = [one for one in waiting if one[0] == last and turn.name in ("", one[1].name)][:1]
            of = f" of {turn.name!r}" if turn.name else ""
            reason = f"it is the result of a tool, and no call{of} before it waits for one"
        if fitting and turn.name and fitting[0][1].name != turn.name:
            reason = f"name is {turn.name!r}, and the call {turn.tool_call_id!r} is to {fitting[0][1].name!r}"
            fitting = []
        if not fitting:
            return f"turn {number} (role tool): {reason}"
        waiting.remove(fitting[0])
    return None


def _check_tools(messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]) -> None:
    for number, schema in enumerate(tools, start=1):
        if tool_name(schema) is None:
            raise ValueError(f"tool {number} has no name; give it one under name, or under function.name")
    _as_json(tools, "the tools")
    if wrong := stray_result(messages):
        raise ValueError(wrong)


def _as_json(value: Any, what: str) -> None:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what} are no JSON: {error}") from None


class Ranking(Record):
    """A weak order: tiers best first, ids inside a tier are tied.

    `strengths[i]` says how much better tier i is than tier i + 1 (1 slightly … 4 much better), None where not said.
    """

    tiers: tuple[tuple[str, ...], ...] = Field(min_length=1)
    strengths: tuple[int | None, ...] | None = None

    @model_validator(mode="after")
    def _check(self) -> Ranking:
        ids = self.ids
        if not ids or any(not tier for tier in self.tiers):
            raise ValueError("a ranking has no empty tier")
        if len(set(ids)) != len(ids):
            raise ValueError(f"a ranking names an answer twice: {sorted(ids)}")
        if self.strengths is not None and len(self.strengths) != len(self.tiers) - 1:
            raise ValueError(f"{len(self.tiers)} tiers want {len(self.tiers) - 1} strengths, got {len(self.strengths)}")
        if any(s is not None and not 1 <= s <= 4 for s in self.strengths or ()):
            raise ValueError(f"strengths run from 1 to 4, got {self.strengths}")
        return self

    @classmethod
    def by_score(cls, scores: Mapping[str, float]) -> Ranking:
        """Order ids by score, highest first; equal scores tie."""
        levels = sorted(set(scores.values()), reverse=True)
        return cls(tiers=tuple(tuple(i for i, s in scores.items() if s == level) for level in levels))

    @property
    def ids(self) -> tuple[str, ...]:
        """All ranked ids, best first."""
        return tuple(i for tier in self.tiers for i in tier)

    def rank(self) -> dict[str, int]:
        """Tier number of each id, 0 = best."""
        return {i: t for t, tier in enumerate(self.tiers) for i in tier}

    def pairs(self) -> Iterable[tuple[str, str, bool]]:
        """Every implied pair once: (better, worse, False), or (first, second, True) for a tie."""
        rank, ids = self.rank(), self.ids
        for i, first in enumerate(ids):
            for second in ids[i + 1 :]:
                yield first, second, rank[first] == rank[second]

    def sentence(self, names: Mapping[str, str] | None = None) -> str:
        """The order in words: "b > a = d > c"."""
        return " > ".join(" = ".join((names or {}).get(i, i) for i in tier) for tier in self.tiers)


class Task(Record):
    """A question to a rater: order these completions of this prompt."""

    id: str
    prompt: Prompt
    completions: tuple[Completion, ...] = Field(min_length=1)
    kind: TaskKind = "rank"
    purpose: Purpose = "reward"
    project: str = "default"

    @model_validator(mode="after")
    def _check(self) -> Task:
        ids = [c.id for c in self.completions]
        if len(set(ids)) != len(ids):
            raise ValueError(f"task {self.id} holds the same completion twice: {ids}")
        return self


class Note(Record):
    """A remark on an answer, or on a passage of it."""

    completion_id: str
    text: str
    quote: str = ""
    """The words it is about, as they stand in the answer; empty: the answer as a whole."""


class Judgment(Record):
    """What one rater said about one task. Append-only: a correction supersedes, nothing is overwritten."""

    task_id: str
    rater_id: str
    ranking: Ranking | None = None
    """None where the rater only flagged or skipped. Null is not a tie."""
    id: str = ""
    """The client's UUID; submitting it twice changes nothing."""
    flags: dict[str, tuple[Flag, ...]] = Field(default_factory=dict)
    scores: dict[str, dict[str, float]] = Field(default_factory=dict)
    """completion id -> criterion -> score"""
    critique: str | None = None
    """What the rater says about the answers together."""
    notes: tuple[Note, ...] = ()
    """What the rater says about single answers and passages."""
    edits: dict[str, str] = Field(default_factory=dict)
    """completion id -> what it should have said"""
    order_shown: tuple[str, ...] = ()
    seconds: float | None = None
    """Active reading time: page visible, focused, and the rater recently active."""
    skip_reason: str | None = None
    """Why nothing else is said; None where the judgment says something."""
    supersedes: str | None = None
    details: dict[str, Any] = Field(default_factory=dict, exclude_if=_is_empty)
    """What a program measured besides, as plain JSON: a judge's margins, its lean to a place, the mass it covered."""

    @model_validator(mode="after")
    def _check(self) -> Judgment:
        _as_json(self.details, "the details")
        return self


class Rater(Record):
    """Someone who judges. Attributes are self-described and optional (group, region, language, …)."""

    id: str
    kind: RaterKind
    attributes: dict[str, str] = Field(default_factory=dict)


class Comparison(Record):
    """One prompt, its K completions, and every ranking people gave them: what a reward model learns from."""

    prompt: Prompt
    completions: tuple[Completion, ...] = Field(min_length=2)
    judgments: tuple[Judgment, ...] = Field(min_length=1)
    meta: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> Comparison:
        known = {c.id for c in self.completions}
        if len(known) != len(self.completions):
            raise ValueError(f"completion ids repeat in prompt {self.prompt.id}")
        for judgment in self.judgments:
            unknown = set(judgment.ranking.ids if judgment.ranking else ()) - known
            if unknown:
                raise ValueError(f"a ranking of prompt {self.prompt.id} names unknown answers: {sorted(unknown)}")
        return self


class Marked(Record):
    """A prompt, its answers, and what was said of them without ranking two: flags, scores, edits, remarks.

    Tasks with a single answer (kind rate) among them. KTO learns from it; reward models learn from `Comparison`.
    """

    prompt: Prompt
    completions: tuple[Completion, ...] = Field(min_length=1)
    judgments: tuple[Judgment, ...] = Field(min_length=1)
