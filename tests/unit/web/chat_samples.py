"""A rating service with two toy models, and people signed in to it."""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from assent.core.types import Message
from assent.feedback.records.settings import ProjectSettings
from assent.feedback.store import Store
from assent.web.app import create_app
from assent.web.context import SESSION

NAMES = ("falcon-7", "heron-9")


@dataclass
class Toy:
    """A model that says what it is told to, when it is told to."""

    name: str
    says: str = "My answer number {n} to: {said}"
    gate: threading.Event = field(default_factory=threading.Event)
    fails: bool = False
    heard: list[tuple[list[Message], int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gate.set()

    def reply(self, messages: Sequence[Message], seed: int) -> str:
        """Wait at the gate, then answer."""
        self.gate.wait(20)
        self.heard.append((list(messages), seed))
        if self.fails:
            raise RuntimeError(f"{self.name} is out of memory at /srv/models/{self.name}")
        return self.says.format(n=len(self.heard), said=messages[-1].content) + f" ({seed % 97})"


@dataclass
class Service:
    """The service, its models, and one rater's browser."""

    url: str
    toys: Mapping[str, Toy]
    client: TestClient
    csrf: str
    rater_id: str

    def post(self, what: str, expect: int = 200, **body: Any) -> dict[str, Any]:
        """Send what the page would send."""
        answer = self.client.post(f"/chat/talks/{what}", json=body, headers={"X-CSRF-Token": self.csrf})
        assert answer.status_code == expect, answer.text
        return dict(answer.json())

    def say(self, text: str, *, to: str | None = None, turn: int = 1, purpose: str = "reward") -> dict[str, Any]:
        """Say something and wait for the answers."""
        state = self.post("say", conversation=to or str(uuid.uuid4()), turn=turn, text=text, purpose=purpose)
        return self.settled(state["conversation"])

    def state(self, conversation: str) -> dict[str, Any]:
        """How a conversation stands."""
        answer = self.client.get("/chat/talks/state", params={"conversation": conversation})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def settled(self, conversation: str) -> dict[str, Any]:
        """How it stands once nobody is waited for."""
        for _ in range(400):
            state = self.state(conversation)
            if state["phase"] != "waiting":
                return state
            time.sleep(0.02)
        raise AssertionError("the models never answered")

    def vote(self, state: dict[str, Any], choice: str, expect: int = 200, **more: Any) -> dict[str, Any]:
        """Rate the turn that is on."""
        said = {"judgment": str(uuid.uuid4())} | more
        return self.post(
            "vote", expect, conversation=state["conversation"], turn=state["turn"], choice=choice, seconds=3.5, **said
        )


def new_service(folder: Path, *, toys: Sequence[Toy] | None = None, **settings: Any) -> Service:
    """A service with the project `talks`, and a rater who is signed in."""
    url = f"sqlite:///{folder}/store.db"
    models = {toy.name: toy for toy in (toys if toys is not None else [Toy(name) for name in NAMES])}
    with Store.open(url) as store:
        store.projects.save("talks", ProjectSettings(title="Talks", **settings), now=1.0)
    app = create_app(url, speakers=models)
    return signed_in(url, app, models, "Rater")


def signed_in(
    url: str, app: Any, models: Mapping[str, Toy], login: str, projects: tuple[str, ...] | None = None
) -> Service:
    """A browser of a new rater."""
    store = app.state.context.store
    account = store.accounts.create(login, "rater", projects=projects, now=time.time())
    client = TestClient(app)
    client.cookies.set(SESSION, store.accounts.start_session(account.rater_id, now=time.time()))
    page = client.get("/chat/talks", headers={"accept": "text/html"})
    found = re.search(r'<meta name="csrf" content="([^"]+)"', page.text)
    return Service(url, models, client, found[1] if found else "", account.rater_id)
