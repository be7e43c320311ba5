"""People who visit the rating service over HTTP: signed in or not, with the requests their pages would send."""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.testclient import TestClient

from assent.core.types import Completion, Prompt, Task
from assent.feedback.records.people import Account, Role
from assent.feedback.store import Store
from assent.web.app import create_app
from quick_routes import FirstAnalysed

PAGE = {"accept": "text/html"}
NOON = 1_800_000_000.0
ROUTES = FirstAnalysed()


@dataclass
class Clock:
    """Time as a test wants it."""

    now: float = NOON

    def __call__(self) -> float:
        return self.now


@dataclass
class Visitor:
    """A browser."""

    client: TestClient
    csrf: str = ""
    account: Account | None = None

    def page(self, path: str, status: int = 200) -> str:
        """A page as a browser asks for it; its CSRF value is kept for what is sent next."""
        response = self.client.get(path, headers=PAGE)
        assert response.status_code == status, response.text
        found = re.search(r'<meta name="csrf" content="([^"]*)"', response.text)
        self.csrf = found[1] if found else self.csrf
        return response.text

    def send_form(self, path: str, **fields: str) -> Any:
        """Send a form of the page seen last; the answer is not followed."""
        return self.client.post(path, data={"csrf": self.csrf, **fields}, headers=PAGE, follow_redirects=False)

    def post(self, path: str, body: Any) -> Any:
        """Send JSON as the scripts of our pages do."""
        return self.client.post(path, json=body, headers={"x-csrf-token": self.csrf})

    def get(self, path: str, **query: Any) -> Any:
        """Ask for JSON."""
        return self.client.get(path, params=query)

    def next(self, limit: int = 1, **query: Any) -> list[dict[str, Any]]:
        """The next tasks."""
        response = self.get("/rating/next", **({"project": "default", "limit": limit} | query))
        assert response.status_code == 200, response.text
        items: list[dict[str, Any]] = response.json()["items"]
        return items

    def enter(self, token: str) -> Any:
        """Sign in by a one-time link."""
        self.page(f"/enter/{token}")
        return self.send_form(f"/enter/{token}")


def ranking(item: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A judgment that ranks the answers as they are shown, the last two tied."""
    ids = [answer["id"] for answer in item["answers"]]
    tiers = [[i] for i in ids[:-2]] + [ids[-2:]]
    said = {"id": str(uuid.uuid4()), "task_id": item["task_id"], "token": item["token"], "ranking": {"tiers": tiers}}
    return said | {"seconds": 12.5} | more


def a_task(number: int, *, project: str = "default", answers: int = 4, text: str = "answer") -> Task:
    """Question `number` with its answers."""
    prompt = Prompt.of(f"question {number} of {project}")
    said = tuple(Completion(prompt_id=prompt.id, text=f"{text} {n} to {number}", source="m") for n in range(answers))
    return Task(id=f"{project}-{number}", prompt=prompt, completions=said, project=project)


@dataclass
class House:
    """The service with its clock."""

    app: Any
    store: Store
    clock: Clock
    clients: list[TestClient] = field(default_factory=list)

    @classmethod
    @contextlib.contextmanager
    def open(cls, url: str, **options: Any) -> Iterator[House]:
        """A service on a store, whose dashboard may be looked at anew at once, however long a look took."""
        clock = Clock()
        with pytest.MonkeyPatch.context() as patch:
            ROUTES.stand_in(patch)
            app = create_app(url, clock=clock, **options)
        context = app.state.context
        context.watch._rest = 0.0
        try:
            yield cls(app, context.store, clock)
        finally:
            context.store.close()

    def visitor(self, **headers: str) -> Visitor:
        """Somebody who is not signed in."""
        return Visitor(TestClient(self.app, raise_server_exceptions=False, headers=headers))

    def person(self, role: Role = "rater", login: str = "", projects: tuple[str, ...] | None = None) -> Visitor:
        """Somebody who is signed in."""
        login = login or f"{role}-{uuid.uuid4().hex[:6]}"
        account = self.store.accounts.create(login, role, projects=projects, now=self.clock())
        visitor = self.visitor()
        response = visitor.enter(self.store.accounts.new_link(account.rater_id, now=self.clock()))
        assert response.status_code == 303, response.text
        visitor.account = account
        visitor.page("/me")
        return visitor

    def program(self, role: Role = "rater") -> TestClient:
        """A program with an API token."""
        account = self.store.accounts.create(f"program-{uuid.uuid4().hex[:6]}", role, now=self.clock())
        token = self.store.accounts.tokens.add(account.rater_id, "test", now=self.clock()).token
        headers = {"authorization": f"Bearer {token}"}
        return TestClient(self.app, raise_server_exceptions=False, headers=headers)

    def add_tasks(self, count: int = 3, *, slots: int = 1, **more: Any) -> None:
        """Queue some tasks."""
        self.store.add_tasks([a_task(n, **more) for n in range(count)], slots=slots, now=self.clock())
