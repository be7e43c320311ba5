"""Pushing to the hub: what goes there is what was exported, private, asked for, and refusals say what to do."""

from __future__ import annotations

import base64
import hashlib
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
import torch
import yaml
from huggingface_hub import constants
from transformers import AutoModelForCausalLM, AutoTokenizer

from assent.cli import main
from assent.core import hub
from run_of_tiny_models import make_run

TOKEN = "hf_of_ours"
COMMIT = "0" * 40


@dataclass
class FakeHub:
    """The hub's HTTP interface, as far as a push needs it."""

    repositories: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    writers: tuple[str, ...] = ("ours",)
    large: dict[str, bytes] = field(default_factory=dict)
    """What lies in the store of large files, by its SHA-256."""
    breaks: int = 0
    """How many uploads of large files break off yet."""

    def answer(self, method: str, path: str, body: bytes, token: str) -> tuple[int, Any]:
        self.asked.append(f"{method} {path}")
        if path == "/":
            return 200, {}
        if path.startswith("/large/"):  # the place itself is the permission, as in a store of objects
            if method == "PUT" and self.breaks:
                self.breaks -= 1
                raise ConnectionAbortedError
            if method == "PUT":
                self.large[path.removeprefix("/large/")] = body
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
        if parts[2:] == ["info", "lfs", "objects", "batch"]:
            return 200, {"transfer": "basic", "objects": [self.wanted(one) for one in json.loads(body)["objects"]]}
        if parts[2:4] == ["resolve", COMMIT]:
            return 200, self.repositories["/".join(parts[:2])]["files"][parts[4]]
        name = "/".join(parts[2:4])
        if name not in self.repositories:
            return 404, {"error": "Repository not found"}
        return self.of_repository(method, self.repositories[name], name, parts[4:], body)

    def wanted(self, one: dict[str, Any]) -> dict[str, Any]:
        """Where a large file goes, if it is not there yet."""
        actions = {"upload": {"href": f"{constants.ENDPOINT}/large/{one['oid']}"}}
        return one if one["oid"] in self.large else one | {"actions": actions}

    def of_repository(
        self, method: str, known: dict[str, Any], name: str, rest: list[str], body: bytes
    ) -> tuple[int, Any]:
        if rest[:1] == ["preupload"]:
            names = [one["path"] for one in json.loads(body)["files"]]
            modes = ["lfs" if name.endswith(".safetensors") else "regular" for name in names]
            both = zip(names, modes, strict=True)
            return 200, {"files": [{"path": name, "uploadMode": mode, "shouldIgnore": False} for name, mode in both]}
        if rest[:1] == ["commit"]:
            for line in map(json.loads, body.decode().splitlines()):
                if line["key"] == "file":
                    known["files"][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                if line["key"] == "lfsFile":
                    known["files"][line["value"]["path"]] = self.large[line["value"]["oid"]]
            return 200, {"commitUrl": f"/{name}/commit/1", "commitOid": "1", "success": True}
        if rest[:1] == ["tree"]:
            oids = {path: hashlib.sha1(content).hexdigest() for path, content in known["files"].items()}
            sizes = {path: len(content) for path, content in known["files"].items()}
            return 200, [{"type": "file", "path": one, "oid": oids[one], "size": sizes[one]} for one in oids]
        siblings = [{"rfilename": one} for one in known["files"]]
        return 200, {"id": name, "private": known["private"], "siblings": siblings, "tags": [], "sha": COMMIT}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    found = FakeHub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            try:
                status, said = found.answer(self.command, self.path, body, self.headers.get("authorization", ""))
            except ConnectionAbortedError:
                self.close_connection = True
                return
            content = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(status)
            if isinstance(said, bytes):
                self.send_header("ETag", f'"{hashlib.sha256(said).hexdigest()}"')
                self.send_header("X-Repo-Commit", COMMIT)
            if status == 404:
                self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_POST = do_PUT = do_HEAD = do_GET  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    template = constants.ENDPOINT + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # large files go as Git LFS; of xet no server is here
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
    assert any(line.startswith("pushed to ") and line.endswith("/ours/polite") for line in said.splitlines())
    there = fake.repositories["ours/polite"]
    assert there["private"] is True
    here = {str(path.relative_to(tmp_path / "polite")): path for path in (tmp_path / "polite").rglob("*")}
    assert {name for name, path in here.items() if path.is_file()} == set(there["files"])
    assert there["files"]["model.safetensors"] == here["model.safetensors"].read_bytes()
    card = there["files"]["README.md"].decode()
    assert yaml.safe_load(card.split("---")[1])["library_name"] == "transformers"
    assert "\n# polite\n" in card and 'from_pretrained("ours/polite")' in card


def test_what_arrived_is_the_model(
    run: str, fake: FakeHub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    given = (f"{run}/round-1", "--push", "ours/polite", "--yes", "--to", str(tmp_path / "polite"))
    assert export(*given, monkeypatch=monkeypatch, capsys=capsys)[0] == 0
    weights = (tmp_path / "polite" / "model.safetensors").read_bytes()
    assert fake.large == {hashlib.sha256(weights).hexdigest(): weights}, "weights go to the store of large files"
    arrived = huggingface_hub.snapshot_download("ours/polite", cache_dir=tmp_path / "cache")
    there, here = (AutoModelForCausalLM.from_pretrained(one).state_dict() for one in (arrived, tmp_path / "polite"))
    assert there.keys() == here.keys() and all(torch.equal(there[name], here[name]) for name in here)
    words = [AutoTokenizer.from_pretrained(one)("my parcel is late")["input_ids"] for one in (arrived, given[-1])]
    assert words[0] == words[1]


def test_a_connection_that_breaks_is_said_and_the_next_push_goes_on(
    run: str, fake: FakeHub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between the tries of the hub's client
    fake.breaks = 100
    given = (f"{run}/round-1", "--push", "ours/polite", "--yes")
    code, said = export(*given, monkeypatch=monkeypatch, capsys=capsys)
    assert code == 2 and "Traceback" not in said
    assert "the connection to the hub broke" in said and "push again, what is there is taken up" in said
    assert not fake.repositories["ours/polite"]["files"], "a commit comes after all its files"
    fake.breaks = 1
    code, said = export(*given, monkeypatch=monkeypatch, capsys=capsys)
    assert code == 0 and "ours/polite, which is there already" in said
    assert "model.safetensors" in fake.repositories["ours/polite"]["files"]
    fake.asked.clear()
    code, _ = export(*given, monkeypatch=monkeypatch, capsys=capsys)
    assert code == 0 and not [one for one in fake.asked if one.startswith("PUT")], "what is there is not sent again"


def test_a_hub_that_answers_nothing_amid_the_questions_is_said(
    run: str, fake: FakeHub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Silent:
        def whoami(self) -> None:
            huggingface_hub.get_session().get("http://127.0.0.1:9/")

    monkeypatch.setattr(huggingface_hub, "HfApi", Silent)
    code, said = export(f"{run}/round-1", "--push", "ours/x", "--yes", monkeypatch=monkeypatch, capsys=capsys)
    assert code == 2 and "the connection to the hub broke" in said and "Traceback" not in said


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
