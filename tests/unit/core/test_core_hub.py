"""The hub is asked once and has a deadline; where it does not answer, only the cache is asked from then on."""

from __future__ import annotations

import http.server
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets.config
import pytest
from huggingface_hub import constants
from transformers import AutoConfig, AutoTokenizer

from assent.core import hub
from assent.core.errors import DataError, ModelError
from assent.data.config import Source
from assent.data.load import load_prompts
from assent.models.context import read_context
from assent.models.tokenizer import load_tokenizer

NAME = "someone/no-such-model"


class Refusing(http.server.BaseHTTPRequestHandler):
    """A hub that answers, if only to say no."""

    asked = 0

    def do_HEAD(self) -> None:
        Refusing.asked += 1
        self.send_response(404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture(autouse=True)
def unasked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A process that has not asked yet, with an empty cache."""
    hub.unreachable.cache_clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setattr(datasets.config, name, False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(hub, "DEADLINE", 0.5)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield
    hub.unreachable.cache_clear()


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A hub that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        yield server


def test_a_hub_that_answers_is_reached_whatever_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setattr(hub, "DEADLINE", 30.0)
        assert hub.unreachable() is None and hub.problem_of(NAME) is None
        assert hub.unreachable() is None
        server.shutdown()
    assert Refusing.asked == 1 and not constants.HF_HUB_OFFLINE


def test_a_silent_hub_is_given_up_and_asked_nothing_more(silent: socket.socket) -> None:
    said = hub.unreachable()
    assert said is not None and said.startswith("the hub could not be reached within 0.5 s (")
    assert constants.HF_HUB_OFFLINE and os.environ["HF_HUB_OFFLINE"] == "1"
    about = hub.problem_of(NAME)
    assert about == f"{NAME} is neither a folder here nor in the hub's cache, and {said}: the name was not checked"
    with pytest.raises(ModelError, match=r"it is no folder here, and the hub .* within 0\.5 s .* was not checked"):
        load_tokenizer(NAME)
    with pytest.raises(ModelError, match=f"{NAME}: its config.json cannot be read"):
        read_context(NAME)
    with pytest.raises(DataError, match=r"not cached here, and the hub could not be reached within 0\.5 s"):
        load_prompts([Source(hub="someone/no-such-data")])
    # One connection in all: the probe. What came after it never left the machine.
    silent.settimeout(1.0)
    silent.accept()[0].close()
    with pytest.raises(TimeoutError):
        silent.accept()


def test_a_cached_model_needs_no_hub(silent: socket.socket, tmp_path: Path) -> None:
    kept = tmp_path / "models--someone--kept"
    (kept / "snapshots" / "c0ffee").mkdir(parents=True)
    (kept / "snapshots" / "c0ffee" / "config.json").write_text('{"model_type": "llama", "max_position_embeddings": 96}')
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text("c0ffee")
    assert hub.unreachable() is not None
    assert hub.problem_of("someone/kept") is None


def test_a_process_that_is_told_to_stay_offline_asks_nobody(
    silent: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert hub.unreachable() == "HF_HUB_OFFLINE keeps this process from asking the hub"
    silent.settimeout(0.5)
    with pytest.raises(TimeoutError):
        silent.accept()


def test_a_folder_is_never_asked_for(silent: socket.socket, tmp_path: Path) -> None:
    hub.prepare(tmp_path)
    assert not constants.HF_HUB_OFFLINE


@pytest.mark.parametrize(
    ("asked", "load", "said"),
    [
        (AutoTokenizer, load_tokenizer, "the tokenizer cannot be loaded"),
        (AutoConfig, read_context, "its config.json cannot be read"),
    ],
)
def test_an_answer_that_breaks_off_is_an_error_of_one_line(
    asked: Any, load: Callable[[Path], object], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asked, "from_pretrained", breaking_off)
    with pytest.raises(ModelError, match=rf"{said} \(peer closed the connection\)") as error:
        load(tmp_path)
    assert "\n" not in str(error.value)


def test_a_dataset_that_breaks_off_is_an_error_of_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "_ask", lambda url, seconds: None)
    monkeypatch.setattr(datasets, "load_dataset", breaking_off)
    with pytest.raises(DataError, match=r"cannot be loaded from the hub: peer closed the connection; check name"):
        load_prompts([Source(hub=NAME)])


def breaking_off(*_: object, **__: object) -> None:
    kind = next(one for one in hub.faults() if one is not OSError)
    raise kind("peer closed the connection\nafter 5 bytes")
