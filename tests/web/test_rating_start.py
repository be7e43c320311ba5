"""From an invitation to the first ranking, and away from the keys: what somebody new, or without single keys, does."""

from __future__ import annotations

import time

import pytest
from chromium_rater import Desk, task
from playwright.sync_api import TimeoutError as Late

from assent.feedback.records.queue import Queue

pytestmark = pytest.mark.browser


def test_somebody_invited_signs_up_and_submits_a_ranking(desk: Desk) -> None:
    desk.ask(task("one"), guideline="Be fair.")
    invited = desk.service.store.accounts.invitations.add("rater", project=desk.project, now=time.time())
    page = desk.visit(signed_in=False)
    page.goto(f"{desk.service.url}/join/{invited.token}")
    page.get_by_label("Name").first.fill(f"new-{desk.login}")
    page.locator("#password").fill("a long enough password")
    page.locator("main form button").click()
    page.get_by_role("heading", name="Everyday questions").wait_for()
    page.locator("main .panel a.button.primary").first.click()
    desk.ready()
    page.locator("#guidelines").wait_for()
    desk.press("2", "1", "=", "4", "3")
    assert desk.sentence == "B > A = D > C"
    desk.submit()
    assert desk.said().rater_id == desk.service.store.accounts.by_login(f"new-{desk.login}").rater_id
    assert desk.service.store.counts(Queue(desk.project)).have == 1


def test_without_single_keys_everything_still_works(desk: Desk) -> None:
    desk.ask(task("one"))
    desk.open()
    desk.press("?")
    desk.page.get_by_label("Single keys are shortcuts").uncheck()
    desk.press("Escape", "1", "2", "r", "x")
    assert desk.sentence == ""
    tray = desk.page.locator("#tray")
    tray.get_by_role("button", name="B: place").focus()
    desk.press("Enter")
    assert desk.sentence == "B"
    tray.get_by_role("button", name="Rest tied").focus()
    desk.press("Space")
    assert desk.sentence == "B > A = C = D"
    desk.page.reload()
    desk.ready()
    desk.press("z")
    assert desk.sentence == "B > A = C = D"  # still off
    desk.submit()
    assert desk.said().ranking is not None


def test_a_rater_on_a_keyboard_of_another_script_presses_the_same_keys(desk: Desk) -> None:
    """Arabic and French rows: the digit's place counts; Cyrillic: the letter printed on the key."""
    desk.ask(task("one"))
    desk.open()
    press = """([key, code, shiftKey]) => document.body.dispatchEvent(
        new KeyboardEvent("keydown", { key, code, shiftKey: Boolean(shiftKey), bubbles: true, cancelable: true }))"""
    for key in (["٢", "Digit2"], ["&", "Digit1"], ["=", "Digit0", True], ["é", "Numpad4"]):
        desk.page.evaluate(press, key)
    assert desk.sentence == "B > A = D"
    desk.page.evaluate(press, ["к", "KeyR"])
    assert desk.sentence == "B > A = D > C"
    desk.page.evaluate(press, ["я", "KeyZ"])
    assert desk.sentence == "B > A = D"


def test_a_number_that_grows_is_explained_once_and_until_the_next_judgment(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assent.web.rating.counts.COUNTED_FOR", 0)
    desk.ask(*(task(f"early {n}") for n in range(4)))
    desk.open()
    with desk.page.expect_response("**/rating/next?*"):  # counted before there is more
        _rank(desk)
    left = 3
    for added, is_told in ((3, True), (3, False)):
        now = time.time()
        more = [task(f"{desk.project} {now} {n}").model_copy(update={"project": desk.project}) for n in range(added)]
        desk.service.store.add_tasks(more, now=now)
        left += added
        # A page that has three tasks at hand does not ask the server: the judgment after the next makes it ask.
        for _ in range(3):
            _rank(desk)
            left -= 1
            if _says(desk, left):
                break
        else:
            pytest.fail(f"{left} wait, and the page says: {desk.page.locator('#waiting').inner_text()}")
        assert desk.page.locator("#grown").is_visible() is is_told
    assert "More waits than before" in str(desk.page.locator("#grown").text_content())


def _rank(desk: Desk) -> None:
    """Rank the four answers in their order."""
    desk.press("1", "2", "3", "4")
    desk.submit()


def _says(desk: Desk, left: int) -> bool:
    """Whether the page comes to say that so many wait, one more or less for an answer that was under way."""
    number = "n => Number(document.querySelector('#waiting').textContent.match(/[0-9]+/)[0]) >= n - 1"
    try:
        desk.page.wait_for_function(number, arg=left, timeout=5000)
    except Late:
        return False
    return True
