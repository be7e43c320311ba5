"""A model behind an address as a writer: free text, kept replies, one line where it fails."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from assent.core.errors import RunError
from assent.core.types import Message, Prompt
from assent.generation.config import Sampling
from assent.raters.config import EndpointJudgeConfig
from assent.raters.endpoint_cache import ReplyCache
from assent.raters.endpoint_writer import EndpointWriter


@contextmanager
def address(asked: list[dict[str, Any]], *, status: int = 200) -> Iterator[str]:
    """An interface that answers with what it was asked last, cut where that is long, and with nothing where short."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(body)
            text = body["messages"][-1]["content"]
            reason = "length" if len(text) > 20 else "stop"
            choice = {"index": 0, "message": {"role": "assistant", "content": text[2:]}, "finish_reason": reason}
            reply = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
            content = json.dumps(reply if status == 200 else {"error": {"message": "no"}}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


def writer(url: str, cache: Path) -> EndpointWriter:
    settings = {"base_url": url, "model": "m", "retries": 0, "timeout": 60.0}
    return EndpointWriter.of(EndpointJudgeConfig.parse(settings), "none", ReplyCache(cache), {"constitution": "x"})


def write(one: EndpointWriter, *texts: str) -> list[tuple[str, bool]]:
    asked = [Prompt.of(texts[0]), *((Message(role="user", content=text),) for text in texts[1:])]
    rows = one.write(asked, num_samples=1, sampling=Sampling(), seed=0)
    return [(row[0].text, row[0].finished) for row in rows]


def test_answers_come_in_order_as_free_text_and_are_asked_for_once(tmp_path: Path) -> None:
    asked: list[dict[str, Any]] = []
    with address(asked) as url:
        one = writer(url, tmp_path)
        said = write(one, "a short one", "b" * 30, "c?", "d last")
        assert said == [("short one", True), ("b" * 28, False), ("", True), ("last", True)]
        assert all("response_format" not in body for body in asked), "no JSON is asked for"
        again = write(writer(url, tmp_path), "a short one", "d last")
        assert again == [said[0], said[3]]
    # A reply without text is no reply to keep; it may have been asked for again.
    assert sum(body["messages"][-1]["content"] != "c?" for body in asked) == 3
    assert one.room("?") is None and one.context is None and one.name.startswith("m at 127.0.0.1")


def test_an_address_that_fails_ends_the_work_in_one_line(tmp_path: Path) -> None:
    with address([], status=500) as url, pytest.raises(RunError, match=r"cannot go on: .*; run the same command"):
        write(writer(url, tmp_path), "a short one")
