"""The pages around rating: start, profile, guidelines, signing in; each for every window, and without a fault."""

from __future__ import annotations

import time
from typing import Any

import pytest
from chromium_rater import Desk, settle, task

from assent.core.types import Message, Prompt

pytestmark = pytest.mark.browser

RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}
SIGNED_IN = ("/", "/me", "/guidelines/{project}", "/rate/{project}", "/rate/nowhere")
LONG = Prompt(
    id="long",
    messages=tuple(
        Message(role="assistant" if n % 2 else "user", content=f"Turn {n}. " + "It goes on about bread. " * 20)
        for n in range(9)
    ),
)


@pytest.mark.parametrize(("width", "locale"), [(1440, "en"), (900, "de"), (390, "ja"), (320, "ar")])
def test_no_page_of_a_rater_is_wider_than_its_window(desk: Desk, width: int, locale: str) -> None:
    desk.ask(task("one"), guideline="Be fair.")
    invited = desk.service.store.accounts.invitations.add("rater", project=desk.project, now=time.time())
    desk.visit(width=width, height=844, locale=locale)
    wide = [path for path in SIGNED_IN if _is_wider(desk, path)]
    desk.visit(width=width, height=844, locale=locale, signed_in=False)
    wide += [path for path in ("/sign-in", f"/join/{invited.token}") if _is_wider(desk, path)]
    assert wide == []
    desk.problems.clear()  # the browser logs that there is no project "nowhere"


@pytest.mark.parametrize(("scheme", "locale"), [("light", "en"), ("dark", "ar")])
def test_no_page_of_a_rater_breaks_an_accessibility_rule(desk: Desk, scheme: str, locale: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    desk.ask(task("one"), guideline="## Look\n\nBe fair, see [this](https://example.org/).")
    invited = desk.service.store.accounts.invitations.add("rater", project=desk.project, now=time.time())
    found: list[tuple[str, str, Any]] = []

    def look(path: str) -> None:
        desk.page.goto(desk.service.url + path.format(project=desk.project))
        settle(desk.page)
        for problem in axe.run(desk.page, options=RULES).response["violations"]:
            found.append((path, problem["id"], [node["html"][:150] for node in problem["nodes"]]))

    desk.visit(color_scheme=scheme, locale=locale)
    for path in SIGNED_IN:
        look(path)
    desk.visit(color_scheme=scheme, locale=locale, signed_in=False)
    for path in ("/sign-in", f"/join/{invited.token}"):
        look(path)
    assert not found
    desk.problems.clear()


def test_the_prompt_stays_in_sight_with_the_whole_conversation(desk: Desk) -> None:
    """Its end is shown, its beginning a scroll away, and it stays where it is while answers are read to their end."""
    desk.ask(task("one", ["A long answer. " * 800, "b", "c", "d"], prompt=LONG))
    desk.open()
    page = desk.page
    assert page.locator(".turn").count() == 9
    before = page.locator("#turns").bounding_box()
    assert page.evaluate("() => { const e = turns; return e.scrollTop + e.clientHeight >= e.scrollHeight - 1; }")
    page.eval_on_selector_all(".answer-text", "all => all.forEach(e => e.scrollTo(0, e.scrollHeight))")
    page.mouse.move(300, 600)
    page.mouse.wheel(0, 5_000)
    page.wait_for_timeout(200)
    assert page.locator("#turns").bounding_box() == before
    assert before["y"] + before["height"] < 900 / 2
    page.locator("#turns").focus()
    desk.press("Home")
    page.wait_for_function("() => turns.scrollTop === 0")
    assert page.locator(".turn").first.is_visible()


def test_a_new_version_of_the_guidelines_opens_by_itself_between_two_tasks(desk: Desk) -> None:
    desk.ask(*(task(f"t{n}") for n in range(6)), guideline="Be fair.")
    desk.open()
    desk.press("Shift+G", "r")
    desk.service.store.projects.publish_guideline(desk.project, "Be fair, *and quick*.", now=time.time())
    desk.submit()
    desk.page.wait_for_selector("#guidelines:not([hidden])")
    panel = desk.page.locator("#guidelines")
    assert ("Version 2" in panel.inner_text(), panel.locator("em").inner_text()) == (True, "and quick")


def _is_wider(desk: Desk, path: str) -> bool:
    desk.page.goto(desk.service.url + path.format(project=desk.project))
    desk.page.wait_for_timeout(100)
    return bool(desk.page.evaluate("() => document.documentElement.scrollWidth > innerWidth"))
