"""Pushing to the hub: what goes there is what was exported, private, asked for, and refusals say what to do."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import yaml
from huggingface_hub import constants

from assent.cli import main
from assent.core import hub
from run_of_tiny_models import make_run

TOKEN = "hf_of_ours"


@dataclass
class FakeHub:
    """The hub's HTTP interface, as far as a push needs it."""

    repositories: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    writers: tuple[str, ...] = ("ours",)

    def answer(self, method: str, path: str, body: bytes, token: str) -> tuple[int, Any]:
        self.asked.append(f"{method} {path}")
        if path == "/":
            return 200, {}
        if token != f"Bearer {TOKEN}":
            return 401, {"error": "Invalid credentials"}
        parts = path.split("?")[0].strip("/").split("/")
        if parts[:2] == ["api", "validate-yaml"]:
            return 200, {"errors": [], "warnings": []}
        if parts[:2] == ["api", "whoami-v2"]:
            return 200, {"name": "ada", "type": "user", "auth": {}}
        if parts[:3] == ["api", "repos", "create"]:
            sent = json.loads(body)
            owner = sent.get("organization") or "ada"
            if owner not in self.writers:
                return 403, {"error": "You don't have the rights"}
            name = f"{owner}/{sent['name']}"
            private = sent.get("private", sent.get("visibility") == "private")
            self.repositories[name] = {"private": private, "files": {}}
            return 200, {"url": f"/{name}", "name": name, "id": name}
        name = "/".join(parts[2:4])
        if name not in self.repositories:
            return 404, {"error": "Repository not found"}
        return self.of_repository(method, self.repositories[name], name, parts[4:], body)

    def of_repository(
        self, method: str, known: dict[str, Any], name: str, rest: list[str], body: bytes
    ) -> tuple[int, Any]:
        if rest[:1] == ["preupload"]:
            files = [{**one, "uploadMode": "regular", "shouldIgnore": False} for one in json.loads(body)["files"]]
            return 200, {"files": [{k: one[k] for k in ("path", "uploadMode", "shouldIgnore")} for one in files]}
        if rest[:1] == ["commit"]:
            for line in map(json.loads, body.decode().splitlines()):
                if line["key"] == "file":
                    known["files"][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            return 200, {"commitUrl": f"/{name}/commit/1", "commitOid": "1", "success": True}
        return 200, {"id": name, "private": known["private"], "siblings": [], "tags": [], "sha": "0" * 40}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    found = FakeHub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, said = found.answer(self.command, self.path, body, self.headers.get("authorization", ""))
            content = json.dumps(said).encode()
            self.send_response(status)
            if status == 404:
                self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_POST = do_HEAD = do_GET  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.unreachable.cache_clear()
    yield found
    hub.unreachable.cache_clear()
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_run(tmp_path_factory.mktemp("push") / "x", rounds=1))


def export(*arguments: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    monkeypatch.setattr("sys.argv", ["assent", "export", *arguments])
    code = 0
    try:
        main()
    except SystemExit as end:
        code = int(end.code or 0)
    said = capsys.readouterr()
    return code, said.out + said.err


def test_what_is_exported_lies_on_the_hub_private_with_its_card(
    run: str, fake: FakeHub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    given = (f"{run}/round-1", "--push", "ours/polite", "--yes", "--to", str(tmp_path / "polite"))
    code, said = export(*given, monkeypatch=monkeypatch, capsys=capsys)
    assert code == 0 and "as ada to ours/polite, a new repository, private" in said
    assert said.splitlines()[-1].endswith("/ours/polite")
    there = fake.repositories["ours/polite"]
    assert there["private"] is True
    here = {str(path.relative_to(tmp_path / "polite")): path for path in (tmp_path / "polite").rglob("*")}
    assert {name for name, path in here.items() if path.is_file()} == set(there["files"])
    assert there["files"]["model.safetensors"] == here["model.safetensors"].read_bytes()
    card = there["files"]["README.md"].decode()
    assert yaml.safe_load(card.split("---")[1])["library_name"] == "transformers"
    assert "\n# polite\n" in card and 'from_pretrained("ours/polite")' in card


def test_an_adapter_is_pushed_too_and_says_so(
    run: str, fake: FakeHub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = (f"{run}/round-1", "--adapter", "--push", "ours/adapter", "--public", "--yes")
    code, said = export(*given, monkeypatch=monkeypatch, capsys=capsys)
    assert code == 0 and "public: everybody can read it" in said
    there = fake.repositories["ours/adapter"]
    assert there["private"] is False and "adapter_config.json" in there["files"]
    assert yaml.safe_load(there["files"]["README.md"].decode().split("---")[1])["library_name"] == "peft"


def test_nothing_goes_without_a_yes(
    run: str, fake: FakeHub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    code, said = export(f"{run}/round-1", "--push", "ours/polite", monkeypatch=monkeypatch, capsys=capsys)
    assert code == 2 and "nothing was pushed; say y to the question, or --yes" in said
    assert not fake.repositories


@pytest.mark.parametrize(
    ("target", "token", "line"),
    [
        ("ours/polite", "hf_wrong", "the hub does not know this token; set HF_TOKEN"),
        ("theirs/polite", TOKEN, "this token may not write to theirs/polite; take one with write rights"),
        ("polite", TOKEN, "names no repository; say OWNER/NAME"),
    ],
)
def test_a_refusal_says_what_to_do(
    target: str,
    token: str,
    line: str,
    run: str,
    fake: FakeHub,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    given = (f"{run}/round-1", "--push", target, "--yes")
    code, said = export(*given, monkeypatch=monkeypatch, capsys=capsys)
    assert code == 2 and line in said and "Traceback" not in said
    assert not fake.repositories


def test_without_a_token_or_a_connection_nothing_is_written(
    run: str, fake: FakeHub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    given = (f"{run}/round-1", "--push", "ours/polite", "--yes", "--to", str(tmp_path / "out"))
    code, said = export(*given, monkeypatch=monkeypatch, capsys=capsys)
    assert code == 2 and "there is no token for the hub; set HF_TOKEN" in said
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    hub.unreachable.cache_clear()
    code, said = export(*given, monkeypatch=monkeypatch, capsys=capsys)
    assert code == 2 and "nothing was pushed: export with --to" in said
    assert not (tmp_path / "out").exists() and not fake.repositories
