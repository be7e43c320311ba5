"""The pages of whoever runs projects in a real browser: accessible, live, dark, right to left, without scripts."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import simulated_project
from chromium_rater import Service, settle

from assent.core.types import Judgment
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store

pytestmark = pytest.mark.browser

IMAGES = Path(__file__).parents[2] / "docs" / "images"
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
PROJECT = f"/admin/projects/{simulated_project.NAME}"
PAGES = {
    "projects": "/admin/projects",
    "dashboard": PROJECT,
    "disagreements": f"{PROJECT}/disagreements",
    "tasks": f"{PROJECT}/tasks",
    "task": f"{PROJECT}/task?id=h-0003",
    "settings": f"{PROJECT}/settings",
    "guidelines": f"{PROJECT}/guidelines?version=2",
    "export": f"{PROJECT}/export?format=trl",
    "people": "/admin/people",
    "tokens": "/admin/tokens",
    "webhooks": "/admin/webhooks",
}


@dataclass
class Office:
    """An admin's browser before a project in full swing."""

    browser: Any
    service: Service
    cookie: str

    def open(self, path: str, *, width: int = 1280, height: int = 900, **options: Any) -> tuple[Any, list[str]]:
        """A page, and what goes wrong on it."""
        context = self.browser.new_context(viewport={"width": width, "height": height}, **options)
        context.add_cookies([{"name": "assent_session", "value": self.cookie, "url": self.service.url}])
        page = context.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
        page.goto(self.service.url + path)
        return page, problems

    @property
    def dispute(self) -> str:
        """The page of a task that raters disagree about."""
        page, _ = self.open(f"{PROJECT}/disagreements")
        return str(page.locator(".opening").first.get_attribute("href"))


@pytest.fixture(scope="module")
def office(chromium: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """A project of two days with twelve simulated people, and an admin who looks at it."""
    home = tmp_path_factory.mktemp("office")
    url, now = f"sqlite:///{home}/feedback.db", time.time()
    with Store.open(url) as store:
        simulated_project.build(store, now=now)
    simulated_project.artifacts(home)
    with Service.start(url) as service:
        account = service.store.accounts.create("olga", "admin", now=now)
        service.store.webhooks  # noqa: B018 - opened here, so that no page pays for it
        yield Office(chromium, service, service.store.accounts.start_session(account.rater_id, now=now))


def _violations(page: Any) -> list[str]:
    """What axe-core finds wrong."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is missing").Axe()
    settle(page)
    found = axe.run(page, options={"runOnly": {"type": "tag", "values": list(RULES)}}).response["violations"]
    return [f"{one['id']}: {node['target']} {node['failureSummary'][:160]}" for one in found for node in one["nodes"]]


@pytest.mark.parametrize(
    ("name", "scheme"),
    [(name, "light") for name in [*PAGES, "adjudicate", "person"]]
    + [(name, "dark") for name in ("dashboard", "adjudicate", "guidelines", "settings")],
)
def test_every_page_is_accessible(office: Office, name: str, scheme: str) -> None:
    if name == "person":
        rater = office.service.store.raters()[0].id
        path = f"/admin/person?id={quote(rater)}"
    else:
        path = f"{PROJECT}/{office.dispute}" if name == "adjudicate" else PAGES[name]
    page, problems = office.open(path, color_scheme=scheme)
    page.wait_for_timeout(300)
    assert _violations(page) == [] and problems == []
    page.context.close()


@pytest.mark.slow
@pytest.mark.parametrize(("width", "locale"), [(390, "ar"), (390, "en"), (1280, "ar")])
def test_no_page_is_wider_than_its_window(office: Office, width: int, locale: str) -> None:
    for path in (*PAGES.values(), f"{PROJECT}/{office.dispute}"):
        page, problems = office.open(path, width=width, locale=locale)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0 and problems == [], path
        page.context.close()


def test_the_dashboard_changes_without_a_reload(office: Office) -> None:
    page, problems = office.open(PROJECT)
    page.wait_for_selector("[data-live]:not(:empty)")
    page.evaluate("window.stays = true")
    before = page.locator(".progress dd").first.inner_text()
    store, queue = office.service.store, Queue(simulated_project.NAME)
    rater, now = store.raters()[0].id, time.time()
    settings = store.projects.get(queue.project).settings  # gold and repeats count for no progress
    store.projects.save(queue.project, settings.model_copy(update={"gold_share": 0.0, "repeat_share": 0.0}), now=now)
    (served,) = store.serve(rater, queue, limit=1, now=now)
    tie = {"tiers": [list(served.order)]}
    judgment = Judgment.model_validate({"task_id": served.task.id, "rater_id": rater, "id": "live", "ranking": tie})
    store.submit(judgment, token=served.token, now=now)
    page.wait_for_function(
        "old => document.querySelector('.progress dd').innerText !== old", arg=before, timeout=60_000
    )
    assert page.evaluate("window.stays") is True and problems == []
    page.context.close()


def test_a_panel_under_the_readers_hands_stays(office: Office) -> None:
    page, _ = office.open(PROJECT)
    page.wait_for_selector("[data-live]:not(:empty)")
    page.locator(".raters a").first.focus()
    page.evaluate("document.querySelector('.board-part.raters').dataset.mark = 'held'")
    page.wait_for_timeout(6000)
    assert page.evaluate("document.activeElement.closest('.board-part.raters') !== null")
    page.context.close()


def test_an_order_is_decided_by_keyboard_alone(office: Office) -> None:
    page, _ = office.open(f"{PROJECT}/{office.dispute}")
    first = page.locator(".steps").first.locator("input").first
    first.focus()
    for place in ("2", "1", "2", "3"):
        page.locator("input:focus")
        for _ in range(int(place) - 1):
            page.keyboard.press("ArrowRight")
        if place == "1":
            page.keyboard.press("Space")
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
    assert page.locator("[data-sentence]").inner_text() == "B > A = C > D"
    page.get_by_label("Reason").focus()
    page.keyboard.type("The second one is right.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**done=decided**")
    decision = office.service.store.projects.adjudications(simulated_project.NAME)[-1]
    assert decision.reason == "The second one is right." and len(decision.ranking.tiers) == 3  # type: ignore[union-attr]
    page.context.close()


def test_rows_are_added_and_a_file_is_brought_in(office: Office, tmp_path: Path) -> None:
    page, problems = office.open(f"{PROJECT}/settings")
    rows = page.locator("[data-rows=criteria] [data-row]")
    count = rows.count()
    page.locator("[data-rows=criteria] [data-add]").click()
    assert rows.count() == count + 1
    page.locator(f"[name='criteria.{count}.name']").fill("Kind")
    page.locator(f"[name='criteria.{count}.anchors']").fill("no\nyes")
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**done=saved**")
    saved = office.service.store.projects.get(simulated_project.NAME).settings
    assert saved.criteria[-1].anchors == ("no", "yes") and saved.cost_per_hour == 24.0
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    good.write_text(json.dumps({"prompt": "Brought in?", "answers": ["Yes.", "No."]}) + "\n")
    bad.write_text(good.read_text() + "{broken\n")
    page.goto(office.service.url + f"{PROJECT}/tasks")
    page.locator("details.fold > summary").click()
    problems.clear()
    form = page.locator("[data-upload=tasks]")
    form.locator("input[type=file]").set_input_files(bad)
    form.get_by_role("button", name="Add tasks").click()
    page.wait_for_selector("[data-upload=tasks] [data-said].error")
    assert "bad.jsonl:2: not valid JSON" in form.locator("[data-said]").inner_text()
    form.locator("input[type=file]").set_input_files(good)
    form.get_by_role("button", name="Add tasks").click()
    page.wait_for_url("**done=added&n=1**")
    page.context.close()


def test_forms_work_without_scripts(office: Office) -> None:
    page, _ = office.open(f"{PROJECT}/guidelines", java_script_enabled=False)
    page.get_by_label("Text", exact=True).fill("# Without scripts\n")
    page.get_by_role("button", name="Show changes").click()
    page.locator("ins").first.wait_for()
    page.get_by_role("button", name="Publish").click()
    page.wait_for_url("**done=published**")
    page.get_by_role("status").first.wait_for()
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_are_photographed(office: Office, scheme: str) -> None:
    """Writes docs/images/rating-admin-*.png where asked to (ASSENT_SCREENSHOTS=1); else only checks that it can be."""
    shots = {"dashboard": PROJECT, "disagreement": f"{PROJECT}/{office.dispute}", "settings": f"{PROJECT}/settings"}
    for name, path in shots.items():
        page, _ = office.open(path, width=1280, height=1240, color_scheme=scheme)
        page.wait_for_timeout(1200)
        image = page.screenshot()
        assert len(image) > 40_000
        if os.environ.get("ASSENT_SCREENSHOTS"):
            suffix = "" if scheme == "light" else "-dark"
            (IMAGES / f"rating-admin-{name}{suffix}.png").write_bytes(image)
        page.context.close()
