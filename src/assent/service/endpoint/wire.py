"""Requests of the endpoint: which fields are known, which are refused, and what they ask of a model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from assent.core.problems import problems
from assent.core.types import Message, Prompt, ToolCall
from assent.service.endpoint.refused import Refused
from assent.web.bodies import keepable

MOST_ANSWERS = 64
"""Answers to one prompt in one request."""
MOST_PROMPTS = 256
"""Prompts in one request of /v1/completions, or answers in one of /score."""
MOST_TOP = 20
"""Alternatives at each token."""
LABELS = frozenset({"user", "metadata", "store", "safety_identifier", "prompt_cache_key"})
"""Fields by which clients label requests; they change no answer anywhere, and nothing is done with them."""
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
    "response_format": ({"type": "text"},),
    "tools": ([],),
    "functions": ([],),
    "tool_choice": (),
    "parallel_tool_calls": (),
    "reasoning_effort": ("none",),
    "modalities": (["text"],),
    "best_of": (1,),
    "suffix": ("",),
    "top_k": (-1, 0),
    "min_p": (0,),
    "repetition_penalty": (1,),
    "num_beams": (1,),
    "service_tier": ("auto", "default"),
}
"""Fields that are known and not supported, with the values that ask for nothing."""

Asking = TypeVar("Asking", bound="Fields")


class Part(BaseModel):
    """A piece of a message."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["text"]
    text: str


class CalledFunction(BaseModel):
    """The function of an earlier call."""

    model_config = ConfigDict(extra="forbid")

    name: str
    arguments: str


class Called(BaseModel):
    """An earlier call of a tool."""

    model_config = ConfigDict(extra="forbid")

    id: str = ""
    type: Literal["function"] = "function"
    function: CalledFunction


class Turn(BaseModel):
    """A message as clients send it."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Part] | None = None
    name: str | None = None
    tool_calls: list[Called] | None = None
    tool_call_id: str | None = None
    refusal: None = None
    type: Literal["text"] = "text"

    def message(self) -> Message:
        """The message in Assent's words. Raises ValueError where it cannot be said in them."""
        if self.content is None and not self.tool_calls:
            raise ValueError(f"a {self.role} message has no content")
        text = "".join(part.text for part in self.content) if isinstance(self.content, list) else self.content or ""
        calls = tuple(
            ToolCall(name=call.function.name, arguments=_arguments(call.function.arguments), id=call.id)
            for call in self.tool_calls or ()
        )
        return Message(
            role="system" if self.role == "developer" else self.role,
            content=text,
            tool_calls=calls,
            tool_call_id=self.tool_call_id or "",
            name=self.name or "",
        )


class Fields(BaseModel):
    """A body whose unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str | None = None


class StreamOptions(BaseModel):
    """What a stream tells beside the text."""

    model_config = ConfigDict(extra="forbid")

    include_usage: bool = False
    include_obfuscation: Literal[False] = False


class Drawn(Fields):
    """How answers are drawn."""

    n: int = Field(default=1, ge=1, le=MOST_ANSWERS)
    temperature: float = Field(default=1.0, ge=0.0, le=100.0, allow_inf_nan=False)
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    stop: str | list[str] = Field(default_factory=list, max_length=1000)
    seed: int | None = None
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()

    @property
    def stops(self) -> tuple[str, ...]:
        """The stop texts."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)


class ChatRequest(Drawn):
    """POST /v1/chat/completions."""

    messages: list[Turn] = Field(min_length=1)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    logprobs: bool = False
    top_logprobs: int = Field(default=0, ge=0, le=MOST_TOP)

    def longest(self) -> int | None:
        """Tokens of an answer at most; None where nothing is said. Raises Refused where two things are."""
        said = {number for number in (self.max_tokens, self.max_completion_tokens) if number is not None}
        if len(said) > 1:
            raise Refused(400, "max_tokens and max_completion_tokens differ; give one", param="max_completion_tokens")
        return next(iter(said), None)


class CompletionRequest(Drawn):
    """POST /v1/completions."""

    prompt: str | list[int] | list[str] | list[list[int]]
    max_tokens: int = Field(default=16, ge=0)
    logprobs: Annotated[int, Field(ge=0, le=MOST_TOP)] | None = None
    echo: bool = False

    def prompts(self) -> tuple[str | tuple[int, ...], ...]:
        """The prompts one by one: texts as they stand, or token ids. Raises Refused."""
        given: list[Any] = [self.prompt] if isinstance(self.prompt, str) or _are_ids(self.prompt) else self.prompt  # type: ignore[list-item, assignment]
        if not 1 <= len(given) <= MOST_PROMPTS:
            raise Refused(400, f"prompt holds {len(given)} prompts; send 1 to {MOST_PROMPTS}", param="prompt")
        return tuple(one if isinstance(one, str) else tuple(one) for one in given)


class TokenizeRequest(Fields):
    """POST /tokenize, as vLLM's server takes it for a text."""

    prompt: str
    add_special_tokens: bool = True


class DetokenizeRequest(Fields):
    """POST /detokenize, as vLLM's server takes it."""

    tokens: list[int]


class ScoreRequest(Fields):
    """POST /score."""

    prompt: str | None = None
    messages: list[Turn] | None = None
    answers: list[str] = Field(min_length=1, max_length=MOST_PROMPTS)

    def asked(self) -> Prompt:
        """What the answers answer. Raises Refused where it is not said, or twice."""
        if (self.prompt is None) == (self.messages is None):
            raise Refused(400, "give either prompt or messages", param="prompt")
        return Prompt.of(self.prompt) if self.prompt is not None else prompt_of(self.messages or [])


def parse(kind: type[Asking], body: bytes) -> Asking:
    """A request from its body. Raises Refused (400) naming the first field that is wrong, unknown or not supported."""
    try:
        given = keepable(json.loads(body))
    except (ValueError, RecursionError) as error:
        said = str(error) if isinstance(error, ValueError) and not isinstance(error, json.JSONDecodeError) else ""
        raise Refused(400, f"the body {said or 'is no JSON'}; send one JSON object") from None
    if not isinstance(given, dict):
        raise Refused(400, "the body is no JSON object; send {…}")
    fields = {name: value for name, value in given.items() if value is not None and name not in LABELS}
    for name, values in NEUTRAL.items():
        if name in fields and fields[name] not in values:
            raise Refused(400, f"{name} is not supported by this server; leave it out", param=name)
        fields.pop(name, None)
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise _first(error, kind) from None


def prompt_of(turns: list[Turn]) -> Prompt:
    """Messages as a prompt. Raises Refused where they are none."""
    try:
        prompt = Prompt(messages=tuple(turn.message() for turn in turns))
    except ValidationError as error:
        raise Refused(400, problems(error)[0].text, param="messages") from None
    except ValueError as error:
        raise Refused(400, str(error), param="messages") from None
    if prompt.messages[-1].role == "assistant":
        raise Refused(400, "the last message is the assistant's; end with what it is to answer", param="messages")
    return prompt


def _first(error: ValidationError, kind: type[BaseModel]) -> Refused:
    found = problems(error, kind)[0]
    if error.errors()[0]["type"] == "extra_forbidden":
        return Refused(400, f"{found.key} is not known to this server; leave it out", param=found.key)
    said = found.text if found.is_whole else f"{found.key}: {found.text}"
    return Refused(400, said, param=found.key)


def _are_ids(prompt: Any) -> bool:
    return isinstance(prompt, list) and bool(prompt) and isinstance(prompt[0], int)


def _arguments(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ValueError("the arguments of a tool call are no JSON object")
    return found
