"""One question to an OpenAI-compatible address and its reply: kept, paid for, tried again, held to a length and a time.

What comes back is not trusted: a web page, half a JSON, an empty list of choices, a refusal, another model. Whatever
may pass is tried again with growing pauses, as long as the address says where it says so; the rest is told in one
line, in which the key never stands.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from assent.core import seeds
from assent.core.errors import ConfigError, UserError
from assent.core.terminal import safe
from assent.core.types import Message, storable
from assent.raters.config import EndpointJudgeConfig
from assent.raters.endpoint_budget import Budget, Cost, most
from assent.raters.endpoint_cache import ReplyCache

if TYPE_CHECKING:
    import openai

FORMS = ("json_schema", "json_object", "none")
"""Ways to hold a reply to JSON, the strictest first."""
LARGEST = 1 << 20
"""Bytes of a reply that are read."""
LONGEST_PAUSE = 300.0
"""Seconds that an address may ask to wait."""
_MOST_PAUSE = 60.0
_SHOWN = 160


class OutageError(Exception):
    """The address did not answer as such an address does, however often it was asked."""


class UnansweredError(Exception):
    """The address answered, but gave no text to this question."""


class StoppedError(Exception):
    """Nobody wants the reply any more."""


@dataclass(frozen=True)
class Reply:
    """What a model wrote. `is_whole` is False where it was cut at its longest."""

    text: str
    is_whole: bool
    tokens: int
    """What it cost when it was asked for."""


@dataclass
class Traffic:
    """What went over the line so far."""

    requests: int = 0
    again: int = 0
    """Requests that repeat one that came to nothing."""
    kept: int = 0
    """Replies that were there from an earlier time."""
    unpriced: int = 0
    """Replies that did not say what they cost; the most that they can have cost was counted."""
    models: set[str] = field(default_factory=set)
    """Names under which the address answered."""


def key_of(config: EndpointJudgeConfig) -> str:
    """The key, out of the environment. Raises ConfigError where a foreign address is asked without one."""
    key = os.environ.get(config.key_env, "").strip()
    if key or config.is_here:
        return key or "none"
    raise ConfigError(f"the environment variable {config.key_env} is not set; put the key for {config.host} into it")


@dataclass
class EndpointClient:
    """Asks one address. Threads may ask at once."""

    config: EndpointJudgeConfig
    key: str = field(repr=False)
    cache: ReplyCache
    versions: Mapping[str, str] = field(default_factory=dict)
    """Hashes of the rubric and the templates; they enter the names under which replies are kept."""
    first_pause: float = 0.5
    """Seconds before a second attempt; each further pause is twice as long."""
    traffic: Traffic = field(default_factory=Traffic)
    is_reached: bool = False
    """Whether the address has given a reply as such addresses do."""

    def __post_init__(self) -> None:
        self.budget = Budget(self.config)
        self.form = FORMS[0] if self.config.structured == "auto" else self.config.structured
        self.fallback: str = ""
        """Why a looser form is used than the strictest, in words."""
        self._is_form_proven = False
        self._stop = threading.Event()
        self._not_before = 0.0
        self._lock = threading.Lock()
        self._client = _opened(self.config, self.key)

    def stop(self) -> None:
        """End pauses, and send nothing more."""
        self._stop.set()

    def ask(self, messages: Sequence[Message], schema: Mapping[str, Any]) -> Reply:
        """The reply to messages.

        Raises UserError where the settings are wrong, OutageError, UnansweredError, BudgetSpentError, StoppedError.
        """
        said = [{"role": one.role, "content": one.content} for one in messages]
        name = self.cache.key(
            {
                "address": self.config.base_url,
                "model": self.config.model,
                "decoding": [self.config.temperature, self.config.max_tokens, self.config.structured],
                "versions": dict(self.versions),
                "messages": said,
                "schema": schema,
            }
        )
        kept = self.cache.get(name)
        if kept is None:
            kept = self._asked(said, schema)
            self.cache.put(name, kept)
        else:
            with self._lock:
                self.traffic.kept += 1
                self.is_reached = True
        return _read(kept)

    def _asked(self, said: list[dict[str, str]], schema: Mapping[str, Any]) -> dict[str, Any]:
        """The first choice of a reply, in the strictest form that the address takes."""
        form = self.form
        while True:
            try:
                body = self._tried(said, schema, form)
            except _RefusedError as refused:
                looser = self._looser(form, refused)
                if looser is None:
                    raise UnansweredError(str(refused)) from None
                form = looser
            else:
                with self._lock:
                    self.is_reached = self._is_form_proven = True
                    if FORMS.index(form) > FORMS.index(self.form):
                        self.fallback = f"the endpoint refused {self.form}, so replies are asked for with {form}"
                        self.form = form
                return body

    def _looser(self, form: str, refused: _RefusedError) -> str | None:
        """The next form to try where a request was refused; None where the form is not why."""
        is_last = form == FORMS[-1] or self.config.structured != "auto"
        if is_last or (self._is_form_proven and form == self.form):
            return None
        return FORMS[FORMS.index(form) + 1] if refused.status in (400, 404, 415, 422, 501) else None

    def _tried(self, said: list[dict[str, str]], schema: Mapping[str, Any], form: str) -> dict[str, Any]:
        """One request, again where that may help. Raises _RefusedError where it is refused for good."""
        aside = most(said, max_tokens=self.config.max_tokens)
        for attempt in range(self.config.retries + 1):
            self.budget.set_aside(aside, is_over=self._stop.is_set)
            cost = aside
            try:
                self._wait_for_turn()
                with self._lock:
                    self.traffic.requests += 1
                    self.traffic.again += attempt > 0
                body = self._sent(said, schema, form)
                cost = self._cost(body, aside)
                return _choice(body) | {"tokens": cost.tokens}
            except (_PassingError, StoppedError) as passing:
                if isinstance(passing, StoppedError) or not passing.may_cost:
                    cost = Cost()
                if isinstance(passing, StoppedError):
                    raise
                if attempt == self.config.retries:
                    times = f"{attempt + 1} times" if attempt else "once"
                    raise OutageError(f"{passing}; tried {times}") from None
                pause = self._pause(passing, attempt, said)
            except (_RefusedError, UserError):
                cost = Cost()
                raise
            finally:
                self.budget.pay(aside, cost)
            if self._stop.wait(pause):
                raise StoppedError
        raise AssertionError("unreachable")

    def _wait_for_turn(self) -> None:
        """Wait as long as the address has asked any of us to."""
        while (left := self._not_before - time.monotonic()) > 0:
            if self._stop.wait(left):
                break
        if self._stop.is_set():
            raise StoppedError

    def _pause(self, passing: _PassingError, attempt: int, said: list[dict[str, str]]) -> float:
        """Seconds until the next attempt: as the address says, else twice as long each time, drawn around that."""
        if passing.wait is not None:
            if passing.wait > LONGEST_PAUSE:
                raise OutageError(f"{passing}, and asks to wait {passing.wait:.0f} s")
            with self._lock:
                self._not_before = max(self._not_before, time.monotonic() + passing.wait)
            return 0.0
        drawn = seeds.stream(attempt, "pause", said[-1]["content"]).uniform(0.5, 1.5)
        return float(min(_MOST_PAUSE, self.first_pause * 2**attempt) * drawn)

    def _cost(self, body: Mapping[str, Any], aside: Cost) -> Cost:
        """What the reply says it cost; the most that it can have cost where it says nothing that can be true."""
        usage = body.get("usage")
        if isinstance(usage, dict):
            sent, written = usage.get("prompt_tokens"), usage.get("completion_tokens")
            if isinstance(sent, int) and isinstance(written, int) and min(sent, written) >= 0:
                return Cost(sent, written)
        with self._lock:
            self.traffic.unpriced += 1
        return aside

    def _sent(self, said: list[dict[str, str]], schema: Mapping[str, Any], form: str) -> dict[str, Any]:
        """Send a request and read its reply as JSON, within the time and the length that a reply may have."""
        asked: dict[str, Any] = {"model": self.config.model, "messages": said}
        asked[self.config.max_tokens_name] = self.config.max_tokens
        if self.config.temperature is not None:
            asked["temperature"] = self.config.temperature
        if form == "json_schema":
            named = {"name": "verdict", "strict": True, "schema": dict(schema)}
            asked["response_format"] = {"type": "json_schema", "json_schema": named}
        elif form == "json_object":
            asked["response_format"] = {"type": "json_object"}
        until = time.monotonic() + self.config.timeout
        with self._failures(), self._client.chat.completions.with_streaming_response.create(**asked) as response:
            kind = response.headers.get("content-type", "").partition(";")[0]
            content = bytearray()
            for piece in response.iter_bytes():
                content += piece
                if len(content) > LARGEST:
                    raise _PassingError(f"a reply is longer than {LARGEST >> 20} MB")
                if time.monotonic() > until:
                    raise _PassingError(f"a reply took longer than {self.config.timeout:g} s")
        try:
            body = json.loads(bytes(content))
        except (ValueError, RecursionError):
            raise _PassingError(f"a reply is no JSON ({safe(kind) or 'of no kind'})") from None
        if not isinstance(body, dict):
            raise _PassingError("a reply is no JSON object")
        model = body.get("model")
        if isinstance(model, str):
            with self._lock:
                self.traffic.models.add(safe(storable(model))[:_SHOWN])
        return body

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        """Turn what the client raises into what may pass, what is refused, and what is the user's to mend."""
        import httpx
        import openai

        try:
            yield
        except openai.APITimeoutError:
            raise _PassingError(f"there was no reply within {self.config.timeout:g} s") from None
        except openai.APIConnectionError as error:
            raise _PassingError(f"the connection failed ({type(error.__cause__ or error).__name__})") from None
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as error:
            raise _PassingError(f"the connection failed ({type(error).__name__})") from None
        except openai.APIStatusError as error:
            self._refuse(error.status_code, self._told(error), error.code, error.response.headers)

    def _refuse(self, status: int, told: str, code: object, headers: Mapping[str, str]) -> None:
        """Raise what an HTTP status means."""
        host = self.config.host
        if status in (401, 403):
            raise UserError(f"{host} refuses the key in {self.config.key_env} (status {status}{told}); correct it")
        if code == "insufficient_quota" or status == 402:
            raise UserError(f"the account at {host} has no money left (status {status}{told})")
        if status == 404 and not self.is_reached and (code == "model_not_found" or self.form == FORMS[-1]):
            raise UserError(
                f"{self.config.base_url} has no model {self.config.model!r}, or no chat completions (status 404{told});"
                " correct model, or base_url, which usually ends in /v1"
            )
        if status in (408, 409, 425, 429) or (status >= 500 and status != 501):
            raise _PassingError(f"status {status}{told}", wait=_wait(headers), may_cost=False)
        raise _RefusedError(f"status {status}{told}", status)

    def _told(self, error: openai.APIStatusError) -> str:
        """What the address says is wrong, on one line and without the key."""
        body = error.body
        said = body.get("message") if isinstance(body, dict) else None
        if not isinstance(said, str) or not said.strip():
            return ""
        # First the key goes, then the length: half a key is not found any more.
        return f": {safe(storable(said.replace(self.key, '…'))).splitlines()[0][:_SHOWN]}"


class _PassingError(Exception):
    """What came to nothing this time. `wait` is how long the address asks for."""

    def __init__(self, message: str, *, wait: float | None = None, may_cost: bool = True) -> None:
        super().__init__(message)
        self.wait, self.may_cost = wait, may_cost


class _RefusedError(Exception):
    """A request that the address will not answer, however often it comes."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def _opened(config: EndpointJudgeConfig, key: str) -> openai.OpenAI:
    try:
        import openai
    except ModuleNotFoundError:
        raise UserError("a judge behind an address needs the package openai; pip install 'assent[judges]'") from None
    return openai.OpenAI(base_url=config.base_url, api_key=key, timeout=config.timeout, max_retries=0)


def _choice(body: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a reply: text, refusal and why it ended. Raises _PassingError where it is no reply."""
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise _PassingError("a reply has no choices")
    first = choices[0]
    message = first.get("message")
    message = message if isinstance(message, dict) else {}
    content, refusal, reason = message.get("content"), message.get("refusal"), first.get("finish_reason")
    return {
        "text": content if isinstance(content, str) else None,
        "refusal": bool(refusal) or reason == "content_filter",
        "finish_reason": reason if isinstance(reason, str) else None,
    }


def _read(kept: Mapping[str, Any]) -> Reply:
    if kept.get("refusal"):
        raise UnansweredError("the model refused to judge")
    text = kept.get("text")
    is_whole = kept.get("finish_reason") != "length"
    if not isinstance(text, str) and is_whole:
        raise UnansweredError("the reply has no text")
    tokens = kept.get("tokens")
    return Reply(storable(text) if isinstance(text, str) else "", is_whole, tokens if isinstance(tokens, int) else 0)


def _wait(headers: Mapping[str, str]) -> float | None:
    """Seconds that a reply asks to wait, from a number or a date; None where it asks nothing that can be read."""
    said = headers.get("retry-after", "").strip()
    if not said:
        return None
    with contextlib.suppress(ValueError):
        seconds = float(said)
        return max(0.0, seconds) if seconds == seconds else None
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    return None
