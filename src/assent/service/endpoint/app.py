"""The endpoint's routes: chats, texts, models, tokens, scores."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from assent.generation.config import Sampling
from assent.generation.engine import Generation
from assent.service.endpoint.desk import Desk, Order, go_on
from assent.service.endpoint.door import Door
from assent.service.endpoint.models import Answered, Ask, Question, ServedPolicy, ServedReward
from assent.service.endpoint.refused import Refused, refusal
from assent.service.endpoint.replies import Pieces, chat_reply, completion_reply, event
from assent.service.endpoint.wire import (
    ChatRequest,
    CompletionRequest,
    DetokenizeRequest,
    Drawn,
    ScoreRequest,
    TokenizeRequest,
    parse,
    prompt_of,
)

LONGEST = 1024
"""Tokens of an answer to a chat that names no number, where the context holds them."""
Served = TypeVar("Served")


class Endpoint:
    """Policies and reward models by name, and the desk at which they are asked."""

    def __init__(
        self, policies: Mapping[str, ServedPolicy], rewards: Mapping[str, ServedReward], desk: Desk, *, created: int = 0
    ) -> None:
        self._policies, self._rewards, self._desk, self._created = dict(policies), dict(rewards), desk, created

    def app(self, *, token: str | None) -> ASGIApp:
        """The ASGI app; `token` is what callers have to send, None for nothing."""
        routes = [
            Route("/health", self.health),
            Route("/v1/models", self.models),
            Route("/v1/chat/completions", _answered(self.chat), methods=["POST"]),
            Route("/v1/completions", _answered(self.completions), methods=["POST"]),
            Route("/tokenize", _answered(self.tokenize), methods=["POST"]),
            Route("/detokenize", _answered(self.detokenize), methods=["POST"]),
            Route("/tokenizer_info", _answered(self.tokenizer_info)),
            Route("/score", _answered(self.score), methods=["POST"]),
        ]
        errors: dict[Any, Any] = {HTTPException: _no_route}
        return Door(Starlette(routes=routes, exception_handlers=errors), token=token)

    async def health(self, request: Request) -> Response:
        """Whether it is there, without a token."""
        return JSONResponse({"status": "ok", "waiting": self._desk.waiting})

    async def models(self, request: Request) -> Response:
        """All policies that may be asked now."""
        listed = [
            {"id": name, "object": "model", "created": self._created, "owned_by": "assent"}
            for name, policy in self._policies.items()
            if not _is_refused(policy)
        ]
        return JSONResponse({"object": "list", "data": listed})

    async def chat(self, request: Request) -> Response:
        """Answer a chat."""
        asked = parse(ChatRequest, await request.body())
        policy = self._policy(asked.model)
        if asked.top_logprobs and not asked.logprobs:
            raise Refused(400, "top_logprobs wants logprobs: true", param="top_logprobs")
        longest = min(asked.longest() or LONGEST, policy.policy.max_length)
        ask = Ask(
            (prompt_of(asked.messages),), asked.n, _sampling(asked, longest), _seed(asked), asked.top_logprobs or None
        )
        if asked.stream:
            return await self._stream(request, policy, ask, asked, with_logprobs=asked.logprobs)
        [answered] = await self._answers(request, policy, ask)
        return JSONResponse(chat_reply(policy, answered, with_logprobs=asked.logprobs, seed=ask.seed))

    async def completions(self, request: Request) -> Response:
        """Go on from texts or token ids as they stand."""
        asked = parse(CompletionRequest, await request.body())
        policy = self._policy(asked.model)
        longest = min(asked.max_tokens, policy.policy.max_length)
        reads = asked.logprobs is not None and (asked.echo or asked.logprobs > 0)
        ask = Ask(
            asked.prompts(),
            asked.n,
            _sampling(asked, longest) if longest else None,
            _seed(asked),
            asked.logprobs if reads else None,
        )
        if asked.stream:
            with_logprobs = asked.logprobs is not None
            if asked.echo or len(ask.questions) > 1 or ask.sampling is None:
                raise Refused(400, "stream takes one prompt, without echo, and max_tokens of 1 or more", param="stream")
            return await self._stream(request, policy, ask, asked, with_logprobs=with_logprobs)
        answered = await self._answers(request, policy, ask)
        reply = completion_reply(
            policy, answered, echo=asked.echo, with_logprobs=asked.logprobs is not None, seed=ask.seed
        )
        return JSONResponse(reply)

    async def tokenize(self, request: Request) -> Response:
        """A text as tokens."""
        asked = parse(TokenizeRequest, await request.body())
        policy = self._policy(asked.model)
        text, is_whole = asked.prompt, asked.add_special_tokens
        order = Order(lambda orders: [policy.encode(text, add_special_tokens=is_whole)], None)
        tokens = await self._done(request, order)
        return JSONResponse({"count": len(tokens), "max_model_len": policy.policy.max_length, "tokens": tokens})

    async def detokenize(self, request: Request) -> Response:
        """Tokens as text, special ones spelled out."""
        asked = parse(DetokenizeRequest, await request.body())
        policy = self._policy(asked.model)
        policy.check_tokens(asked.tokens, "tokens")
        order = Order(lambda orders: [policy.decode(asked.tokens)], None)
        return JSONResponse({"prompt": await self._done(request, order)})

    async def tokenizer_info(self, request: Request) -> Response:
        """What a tool that has no tokenizer of its own needs to know of a policy's."""
        policy = self._policy(request.query_params.get("model"))
        tokenizer: Any = policy.policy.tokenizer
        names = ("bos_token", "eos_token", "pad_token", "unk_token", "chat_template")
        said = {name: getattr(tokenizer, name, None) for name in names}
        return JSONResponse({"tokenizer_class": type(tokenizer).__name__, **said})

    async def score(self, request: Request) -> Response:
        """Score answers with a reward model."""
        asked = parse(ScoreRequest, await request.body())
        reward = _named(self._rewards, asked.model, "reward model")
        prompt = asked.asked()
        order = Order(lambda orders: [reward.score(prompt, asked.answers)], None)
        return JSONResponse({"model": reward.name, "scores": await self._done(request, order)})

    def _policy(self, name: str | None) -> ServedPolicy:
        """The policy of a name. Raises Refused where there is none, or where it may not be used now."""
        policy = _named(self._policies, name, "model")
        policy.refuse()
        return policy

    async def _answers(self, request: Request, policy: ServedPolicy, ask: Ask) -> list[Answered]:
        together = ask.together
        key = None if together is None else (policy.name, together)
        return list(await self._done(request, Order(_runs(policy), ask, key)))

    async def _done(self, request: Request, order: Order) -> Any:
        """The result of an order. Raises ClientDisconnect where the client left before; nothing is computed then."""
        self._desk.put(order)
        done = asyncio.ensure_future(asyncio.wrap_future(order.done))
        gone = asyncio.ensure_future(_gone(request))
        try:
            await asyncio.wait({done, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not done.done():
                raise ClientDisconnect
            return done.result()
        finally:
            order.leave()
            gone.cancel()
            if not done.done():
                done.cancel()
            elif not done.cancelled():
                done.exception()  # it was told, or there is nobody to tell

    async def _stream(
        self, request: Request, policy: ServedPolicy, ask: Ask, asked: Drawn, *, with_logprobs: bool
    ) -> Response:
        """Answer while it is written. What is wrong with a request is said before anything is sent."""
        if asked.n > 1 or with_logprobs:
            raise Refused(400, "stream takes neither n above 1 nor logprobs; leave stream out", param="stream")
        loop = asyncio.get_running_loop()
        told: asyncio.Queue[str | None] = asyncio.Queue()

        def tell(text: str | None) -> None:
            loop.call_soon_threadsafe(told.put_nowait, text)

        order = Order(_runs(policy), ask, on_text=tell)
        self._desk.put(order)
        order.done.add_done_callback(lambda _: tell(None))
        gone = asyncio.ensure_future(_gone(request))
        first = asyncio.ensure_future(told.get())
        try:
            await asyncio.wait({first, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not first.done():
                raise ClientDisconnect
            if first.result() is None and order.done.exception() is not None:
                raise refusal(order.done.exception() or RuntimeError())
        except BaseException:
            order.leave()
            raise
        finally:
            gone.cancel()
            first.cancel()
        pieces = Pieces(policy, is_chat=isinstance(asked, ChatRequest), seed=ask.seed)
        sent = _sent(pieces, order, told, first.result(), with_usage=asked.stream_options.include_usage)
        return StreamingResponse(sent, media_type="text/event-stream", headers={"cache-control": "no-store"})


def _answered(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """A route that answers whatever goes wrong."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except ClientDisconnect:
            return Response(status_code=499)  # nobody reads it
        except Exception as error:  # a model may raise anything
            return refusal(error).response()

    return answer


async def _sent(
    pieces: Pieces, order: Order, told: asyncio.Queue[str | None], text: str | None, *, with_usage: bool
) -> AsyncIterator[str]:
    try:
        yield pieces.begin()
        while text is not None:
            if said := pieces.text(text):
                yield said
            text = await told.get()
        error = order.done.exception()
        if error is not None:
            yield event(refusal(error).body)
        else:
            [answered] = order.done.result()
            yield pieces.end(answered, with_usage=with_usage)
    finally:  # also where the client left: its answer ends at the next token
        order.leave()


def _runs(policy: ServedPolicy) -> Any:
    """What the desk does with orders of a policy."""

    def run(orders: Sequence[Order]) -> Sequence[Any]:
        sampling: Sampling | None = orders[0].what.sampling
        on_text = orders[0].on_text

        def on_token(question: Question, now: Generation) -> None:
            go_on(orders)
            if on_text is not None and sampling is not None:
                on_text(sampling.settled(policy.text(question, now.tokens).rstrip("\ufffd")))

        return policy.answer([order.what for order in orders], on_token)

    return run


def _is_refused(policy: ServedPolicy) -> bool:
    try:
        policy.refuse()
    except Refused:
        return True
    return False


def _named(known: Mapping[str, Served], name: str | None, what: str) -> Served:
    """What is called by a name; the only one there is where none is named. Raises Refused (404)."""
    if name is None and len(known) == 1:
        return next(iter(known.values()))
    if name is None or name not in known:
        there = ", ".join(known) or "none"
        said = f"no {what} is named" if name is None else f"there is no {what} {name!r}"
        raise Refused(404, f"{said}; this server has: {there}", param="model", code="model_not_found")
    return known[name]


def _sampling(asked: Drawn, longest: int) -> Sampling:
    if "" in asked.stops:
        raise Refused(400, "a stop text may not be empty", param="stop")
    return Sampling(temperature=asked.temperature, top_p=asked.top_p, max_new_tokens=longest, stop=asked.stops)


def _seed(asked: Drawn) -> int:
    """The seed of a request, or a fresh one: two requests without a seed are two draws."""
    return secrets.randbits(32) if asked.seed is None else asked.seed


async def _gone(request: Request) -> None:
    """Return when the client has left."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        return Refused(405, f"{request.url.path} does not take {request.method}").response()
    known = (
        "/v1/chat/completions, /v1/completions, /v1/models, /tokenize, /detokenize, /tokenizer_info, /score, /health"
    )
    hint = "; tell the tool to use chat completions" if request.url.path == "/v1/responses" else ""
    return Refused(error.status_code, f"there is nothing at {request.url.path}; there is: {known}{hint}").response()
