"""A rater with a browser: opens the rating page of the real service, presses keys, and reads what the store kept."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from assent.core.types import Completion, Judgment, Message, Prompt, Purpose, Task, TaskKind
from assent.feedback.records.queue import Queue
from assent.feedback.records.settings import Criterion, ProjectSettings
from assent.feedback.store import Store
from assent.web.app import create_app

_NOT_WANTED = (
    # Chromium makes two pages of its own for the address bar of every window, which took half of each test's time.
    *("WebUIOmniboxPopup", "WebUIOmniboxAimPopup"),
    # What Playwright turns off; the last list that is given counts alone.
    *("AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades", "LensOverlay"),
    *("HttpsFirstBalancedModeAutoEnable", "MediaRouter", "PaintHolding", "ThirdPartyStoragePartitioning"),
    *("AvoidCorsURLLoaderRestartOnRedirect", "OptimizationHints", "NetworkTimeServiceQuerying", "AimEnabled"),
    "PreconnectToSearch",
)
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--disable-features={','.join(_NOT_WANTED)}",
)
PLAIN = ProjectSettings(gold_share=0, repeat_share=0, random_share=0, title="Everyday questions")
"""A project without surprises: no gold items, no repeats in between, tasks by priority."""
CRITERIA = (
    Criterion(name="Helpful", question="Does it do what was asked?", anchors=("no", "a little", "partly", "fully")),
    Criterion(name="Honest", question="Is it true?", anchors=("misleads", "mixed", "true")),
)
FOUR = ("The first answer.", "The second answer.", "The third answer.", "The fourth answer.")


@dataclass
class Service:
    """The app, served by a thread of this process."""

    url: str
    store: Store
    server: uvicorn.Server

    @classmethod
    @contextlib.contextmanager
    def start(cls, store_url: str, **made: Any) -> Iterator[Service]:
        """Serve a store until the block ends; `made` goes to `create_app`."""
        app = create_app(store_url, **made)
        listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield cls(f"http://127.0.0.1:{listener.getsockname()[1]}", app.state.context.store, server)
        finally:
            server.should_exit = True
            thread.join(10)
            app.state.context.store.close()

    def session(self, login: str, project: str) -> str:
        """The cookie of a rater who is signed in."""
        accounts = self.store.accounts
        account = accounts.by_login(login) or accounts.create(login, "rater", projects=(project,), now=time.time())
        return accounts.start_session(account.rater_id, now=time.time())


def settle(page: Any) -> None:
    """Wait until nothing fades in any more: half-way its colours are pale."""
    page.wait_for_function("() => document.getAnimations().every(one => one.playState === 'finished')")


def middle(page: Any, where: str, nth: int = 0) -> tuple[float, float]:
    """The middle of an element, once it stands on the page: one that is just being redrawn has none for a moment."""
    place = """([where, nth]) => {
      const box = [...document.querySelectorAll(where)].at(nth)?.getBoundingClientRect();
      return box?.width ? [box.x + box.width / 2, box.y + box.height / 2] : null;
    }"""
    x, y = page.wait_for_function(place, arg=[where, nth]).json_value()
    return x, y


def task(
    name: str,
    answers: Sequence[str] = FOUR,
    *,
    prompt: str | Prompt = "What is the answer?",
    kind: TaskKind = "rank",
    purpose: Purpose = "reward",
) -> Task:
    """A task of that name; its answers are called name/1, name/2 …"""
    asked = prompt if isinstance(prompt, Prompt) else Prompt(messages=(Message(role="user", content=prompt),), id=name)
    completions = tuple(
        Completion(prompt_id=asked.id, text=text, id=f"{name}/{i}") for i, text in enumerate(answers, start=1)
    )
    return Task(id=name, prompt=asked, completions=completions, kind=kind, purpose=purpose)


@dataclass
class Desk:
    """A rater's browser and the project they work in."""

    browser: Any
    service: Service
    project: str
    login: str
    problems: list[str] = field(default_factory=list)
    """Errors that pages logged."""
    settings: ProjectSettings = PLAIN
    page: Any = None
    context: Any = None

    def ask(
        self,
        *tasks: Task,
        settings: ProjectSettings | None = None,
        guideline: str | None = None,
        slots: int = 1,
    ) -> None:
        """Put tasks into the project, the first with the highest priority, so that it is shown first."""
        now = time.time()
        self.settings = settings or self.settings
        self.service.store.projects.save(self.project, self.settings, now=now)
        if guideline:
            self.service.store.projects.publish_guideline(self.project, guideline, now=now)
        for place, one in enumerate(tasks):
            named = one.model_copy(update={"project": self.project, "id": self.named(one.id)})
            self.service.store.add_tasks([named], slots=slots, priority=float(len(tasks) - place), now=now)

    def named(self, name: str) -> str:
        """A task's id in the store, which all tests share."""
        return f"{self.project}:{name}"

    def open(self, purpose: Purpose = "reward", **options: Any) -> Any:
        """Open the rating page in a new browser context."""
        self.visit(**options)
        self.page.goto(f"{self.service.url}/rate/{self.project}?purpose={purpose}")
        self.ready()
        return self.page

    def visit(self, *, width: int = 1440, height: int = 900, signed_in: bool = True, **options: Any) -> Any:
        """A new browser context, signed in or not, and an empty page."""
        if self.context is not None:
            self.context.close()
        self.context = self.browser.new_context(viewport={"width": width, "height": height}, **options)
        if signed_in:
            cookie = self.service.session(self.login, self.project)
            self.context.add_cookies([{"name": "assent_session", "value": cookie, "url": self.service.url}])
        self.page = self.context.new_page()
        self.watch(self.page)
        return self.page

    def watch(self, page: Any) -> None:
        """Note whatever goes wrong on a page."""
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (self.problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on(
            "console",
            lambda said: self.problems.append(f"console: {said.text}") if said.type == "error" else None,
        )

    def ready(self) -> None:
        """Wait until a task, or the news that there is none, is shown, and the page takes Enter."""
        self.page.wait_for_selector(".answer, #empty:not([hidden])")
        self.page.wait_for_timeout(300)

    def press(self, *keys: str) -> None:
        """Press keys one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def submit(self) -> None:
        """Submit, and wait until the server has it."""
        with self.page.expect_response("**/rating/submit") as answer:
            self.press("Control+Enter")
        assert answer.value.ok, answer.value.text()
        self.ready()

    @property
    def sentence(self) -> str:
        """The order as the page says it."""
        return str(self.page.locator("#sentence").text_content())

    def shown(self) -> list[str]:
        """Ids of the answers in the order shown."""
        ids: list[str] = self.page.eval_on_selector_all(".answer", "cards => cards.map(card => card.dataset.id)")
        return ids

    def card(self, letter: str) -> Any:
        """The card of an answer."""
        return self.page.locator(".answer").nth(ord(letter) - ord("A"))

    def judgments(self, purpose: Purpose = "reward", *, superseded: bool = False) -> list[Judgment]:
        """What the store has."""
        return self.service.store.judgments(Queue(self.project, purpose), with_superseded=superseded)

    def said(self, purpose: Purpose = "reward") -> Judgment:
        """The only judgment of the project."""
        (found,) = self.judgments(purpose)
        return found

    def viewing(self, judgment_id: str) -> dict[str, Any]:
        """How the page said it was looked at."""
        from sqlalchemy import select

        from assent.feedback.tables.connection import read_transaction
        from assent.feedback.tables.queue import JudgmentRow, Presentation

        with read_transaction(self.service.store._engine) as connection:
            joined = select(Presentation).join(JudgmentRow, JudgmentRow.presentation_id == Presentation.id)
            row = connection.execute(joined.where(JudgmentRow.id == judgment_id)).mappings().one()
            return dict(row)

    def close(self) -> None:
        """Close the browser context."""
        if self.context is not None:
            self.context.close()
