"""An OpenAI-compatible address that behaves badly, to test judges that ask it: it knows what it was asked and billed.

It prefers the longer answer of a pair, so that every verdict can be checked. Which fault a question meets hangs on the
question, on how often it was asked, and on the seed: silence, 429 with Retry-After, 500, half a JSON, a hang-up, a web
page, a body sent twice, an empty list of choices, words instead of a verdict, a verdict that is none.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

FAULTS = ("silence", "busy", "broken", "cut", "hang up", "page", "twice", "empty")
"""What a reply may meet on its way; asked again often enough, it comes through."""
ENDLESS = ("drip", "flood")
"""Replies without an end: a byte now and then, and as fast as it goes. Only where a test asks for them."""
WORDS = ("chatter", "no verdict")
"""What a reply may say instead of a verdict, until it is sent back."""
_BLOCK = re.compile(r"\[\[BEGIN ANSWER ([AB]) (\w+)\]\]\n(.*?)\n\[\[END ANSWER \1 \2\]\]", re.DOTALL)


@dataclass
class Hostile:
    """What the address does and what it has seen."""

    fault_share: float = 0.4
    word_share: float = 0.1
    seed: int = 0
    most_faults: int = 4
    """So often a question meets a fault at most."""
    silence: float = 1.5
    """Seconds of silence."""
    slowness: float = 0.02
    """Seconds that a reply takes at most; each takes its own, so that they come out of order."""
    takes_forms: bool = True
    """Whether it knows response_format."""
    key: str | None = None
    """The key that callers must send."""
    answer: Callable[[dict[str, Any]], str] | None = None
    """What it says, where that is not the verdict for the longer answer."""
    asked: Counter[str] = field(default_factory=Counter)
    """How often each question came."""
    faults: Counter[str] = field(default_factory=Counter)
    requests: list[dict[str, Any]] = field(default_factory=list)
    billed: int = 0
    """Tokens of all replies that were written, also of those that were lost on their way."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fault(self, name: str, number: int) -> str:
        """What happens to a question that came `number` times before; empty for nothing."""
        if number >= self.most_faults:
            return ""
        drawn = self._drawn(name, number)
        if drawn < self.fault_share:
            return FAULTS[int(drawn / self.fault_share * len(FAULTS))]
        return ""

    def words(self, name: str) -> str:
        """What a question gets instead of a verdict; empty for a verdict."""
        drawn = self._drawn(name, -1)
        return WORDS[int(drawn / self.word_share * len(WORDS))] if drawn < self.word_share else ""

    def _drawn(self, *names: object) -> float:
        digest = hashlib.sha256(repr((self.seed, *names)).encode()).digest()
        return int.from_bytes(digest[:8], "big") / 2**64


@contextlib.contextmanager
def hostile(state: Hostile) -> Iterator[str]:
    """The address while the block runs, with /v1."""

    class Handler(_Handler):
        pass

    Handler.state = state
    server = _Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


def longer(messages: Sequence[dict[str, str]]) -> str:
    """The verdict that is right: the longer of the answers A and B; 3 where there is one answer to score."""
    question = next(one["content"] for one in messages if one["role"] == "user")
    found = {letter: text for letter, _, text in _BLOCK.findall(question)}
    if len(found) < 2:
        return "3"
    first, second = len(found["A"]), len(found["B"])
    return "tie" if first == second else "A" if first > second else "B"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: object) -> None:
        """Callers that left in the middle are expected."""


class _Handler(BaseHTTPRequestHandler):
    state: Hostile

    def log_message(self, *_: object) -> None:
        """Nothing is written to the screen."""

    def do_POST(self) -> None:
        """Answer a chat, or not."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        name = hashlib.sha256(json.dumps(body["messages"]).encode()).hexdigest()
        state = self.state
        with state.lock:
            state.requests.append(body)
        if state.key is not None and self.headers.get("authorization") != f"Bearer {state.key}":
            self._error(401, f"the key {self.headers.get('authorization')} is wrong")
            return
        if "response_format" in body and not state.takes_forms:
            self._error(400, "response_format is not known")
            return
        with state.lock:
            number = state.asked[name]
            state.asked[name] += 1
        fault = state.fault(name, number)
        with state.lock:
            state.faults[fault or "none"] += 1
        time.sleep(state.slowness * state._drawn(name, number, "slow"))
        with contextlib.suppress(OSError):  # the caller may have left
            self._answer(body, name, fault)

    def _answer(self, body: dict[str, Any], name: str, fault: str) -> None:
        state = self.state
        if fault == "busy":
            self._error(429, "too many requests", **{"Retry-After": "0.05"})
            return
        if fault == "broken":
            self._error(500, "something broke")
            return
        if fault == "page":
            self._send(200, b"<html>Back soon</html>", "text/html")
            return
        if fault in ENDLESS:
            self._send(200, b"", "application/json", **{"Content-Length": "1000000000"})
            until = time.monotonic() + 20
            while time.monotonic() < until:
                self.wfile.write(b" " if fault == "drip" else b" " * 65_536)
                time.sleep(0.1 if fault == "drip" else 0.0)
            return
        reply = json.dumps(self._reply(body, name, is_empty=fault == "empty")).encode()
        if fault == "silence":
            time.sleep(state.silence)
        elif fault == "hang up":
            self.close_connection = True
            self.connection.close()
        elif fault == "cut":
            self._send(200, reply[: len(reply) // 2], "application/json")
        elif fault == "twice":
            self._send(200, reply + reply, "application/json")
        else:
            self._send(200, reply, "application/json")

    def _reply(self, body: dict[str, Any], name: str, *, is_empty: bool) -> dict[str, Any]:
        state, messages = self.state, body["messages"]
        words = state.words(name) if len(messages) < 4 else ""
        verdict = {"evidence": "…", "reason": "it is longer", "verdict": longer(messages)}
        text = {"": json.dumps(verdict), "chatter": "Both are nice.", "no verdict": '{"verdict": "C"}'}[words]
        if state.answer is not None:
            text = state.answer(body)
        sent = sum(len(one["content"]) for one in messages) // 4
        written = max(1, len(text) // 4)
        with state.lock:
            state.billed += sent + written
        said = {"id": name, "object": "chat.completion", "model": body["model"]}
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        usage = {"prompt_tokens": sent, "completion_tokens": written, "total_tokens": sent + written}
        return {**said, "choices": [] if is_empty else [choice], "usage": usage}

    def _error(self, status: int, message: str, **headers: str) -> None:
        content = json.dumps({"error": {"message": message, "type": "error", "code": None}}).encode()
        self._send(status, content, "application/json", **headers)

    def _send(self, status: int, content: bytes, kind: str, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
