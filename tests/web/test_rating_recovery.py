"""Nothing is lost on the page: drafts, undo of what was submitted, a server that is away, stale judgments."""

from __future__ import annotations

import time
from typing import Any

import pytest
from chromium_rater import CRITERIA, PLAIN, Desk, task

from assent.feedback.records.queue import Queue

pytestmark = pytest.mark.browser


def test_a_draft_survives_a_reload_with_its_history(desk: Desk) -> None:
    settings = PLAIN.model_copy(update={"criteria": CRITERIA})
    desk.ask(task("one"), task("two"), settings=settings)
    desk.open()
    shown = desk.shown()
    desk.press("3", "=", "1", "u", ">", "Shift+C")
    desk.page.keyboard.type("half a thou")
    desk.press("Escape", "2", "Shift+E")
    desk.page.keyboard.type("New. ")
    desk.press("Escape")
    desk.page.reload()
    desk.ready()
    assert desk.shown() == shown
    assert desk.sentence == "C = A > B"
    assert desk.card("A").locator(".notes textarea").input_value() == "half a thou"
    assert desk.card("A").get_by_role("button", name="Unsafe").get_attribute("aria-pressed") == "true"
    desk.press("z", "z", "z", "z")
    assert desk.sentence == "C = A"
    assert desk.card("A").locator(".notes li").count() == 0
    desk.press("r")
    desk.submit()
    assert not desk.page.evaluate("() => Object.keys(localStorage).some(key => key.startsWith('assent.draft'))")
    assert desk.said().seconds is not None


def test_a_page_left_before_the_key_is_painted_keeps_what_it_said(desk: Desk) -> None:
    """The draft is written after the frame that shows a key; who leaves within that frame loses nothing either."""
    desk.ask(task("one"))
    desk.open()
    desk.page.evaluate(
        """() => {
          const press = (key) => document.body.dispatchEvent(
            new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
          ["2", "1"].forEach(press);
          location.reload();
        }"""
    )
    desk.page.wait_for_event("load")
    desk.ready()
    assert desk.sentence == "B > A"


def test_a_draft_of_a_submitted_task_is_not_written_again(desk: Desk) -> None:
    """The last key and Enter in one frame: what is still to be written then must not come after the submit."""
    desk.ask(task("one"), task("two"))
    desk.open()
    with desk.page.expect_response("**/rating/submit"):
        desk.page.evaluate(
            """() => {
              const press = (key, ctrlKey = false) => document.body.dispatchEvent(
                new KeyboardEvent("keydown", { key, ctrlKey, bubbles: true, cancelable: true }));
              press("r");
              press("Enter", true);
            }"""
        )
    desk.page.wait_for_timeout(300)
    assert desk.sentence == ""
    assert not desk.page.evaluate("() => Object.keys(localStorage).some(key => key.startsWith('assent.draft'))")


def test_another_rater_on_the_same_computer_sees_no_draft(desk: Desk) -> None:
    desk.ask(task("one"), slots=2)
    desk.open()
    desk.press("1", "2")
    kept = desk.context.storage_state()["origins"]
    desk.login += "-other"
    desk.open(storage_state={"cookies": [], "origins": kept})
    assert desk.sentence == ""


def test_the_last_submitted_tasks_can_be_taken_back(desk: Desk) -> None:
    desk.ask(task("one"), task("two"), task("three"))
    desk.open()
    first = desk.shown()
    desk.press("1", "2", "3", "4")
    desk.submit()
    desk.press("r")
    desk.submit()
    desk.press("z", "z")
    desk.page.locator("#reopened").wait_for()
    assert desk.shown() == first
    assert desk.sentence == "A > B > C > D"
    desk.press("K")
    desk.press("4", "K")
    assert desk.sentence == "A > B > D > C"
    desk.submit()
    assert desk.page.locator("#reopened").is_hidden()
    now = {said.task_id: said for said in desk.judgments()}
    everything = desk.judgments(superseded=True)
    assert len(now) == 2
    assert len(everything) == 3
    corrected = now[desk.named("one")]
    assert corrected.ranking is not None
    assert corrected.ranking.ids == (first[0], first[1], first[3], first[2])
    (old,) = [said for said in everything if said.task_id == corrected.task_id and said.id != corrected.id]
    assert corrected.supersedes == old.id


def test_after_a_reload_the_server_remembers_what_can_be_taken_back(desk: Desk) -> None:
    desk.ask(task("one"), task("two"))
    desk.open()
    first = desk.shown()
    desk.press("2", "=", "1", "3", "4", ">", "Shift+C")
    desk.page.keyboard.type("a note")
    desk.press("Escape")
    desk.submit()
    desk.page.reload()
    desk.ready()
    desk.press("z")
    desk.page.wait_for_selector("#reopened:not([hidden])")
    assert desk.shown() == first
    assert desk.sentence == "B = A > C > D"
    assert desk.page.locator(".notes textarea").input_value() == "a note"
    desk.page.get_by_role("button", name="Leave it as it was").click()
    assert desk.shown() != first
    assert len(desk.judgments(superseded=True)) == 1


def test_a_skip_can_be_taken_back_and_ranked(desk: Desk) -> None:
    desk.ask(task("one"), task("two"))
    desk.open()
    desk.press("s", "1")
    desk.ready()
    desk.press("z")
    desk.page.wait_for_timeout(300)
    desk.press("r")
    desk.submit()
    said = desk.said()
    assert said.skip_reason is None
    assert said.ranking is not None
    assert said.task_id == desk.named("one")


def test_a_server_that_is_away_costs_nothing(desk: Desk) -> None:
    desk.ask(task("one"), task("two"), task("three"))
    desk.open()
    desk.page.route("**/rating/submit", lambda route: route.abort())
    for _ in range(2):
        desk.press("r", "Control+Enter")
        desk.ready()
    desk.page.wait_for_selector("#trouble:not([hidden])")
    assert "Not sent yet: 2" in desk.page.locator("#trouble").inner_text()
    assert desk.judgments() == []
    desk.page.unroute("**/rating/submit")
    desk.page.reload()
    desk.ready()
    desk.page.wait_for_function("() => !Object.keys(localStorage).some(key => key.startsWith('assent.outbox'))")
    assert {said.task_id for said in desk.judgments()} == {desk.named("one"), desk.named("two")}
    desk.problems.clear()  # the browser logs requests that failed


def test_an_answer_that_got_lost_on_its_way_back_is_not_counted_twice(desk: Desk) -> None:
    desk.ask(task("one"), task("two"))
    desk.open()
    lost = []

    def drop_the_first_answer(route) -> None:  # type: ignore[no-untyped-def]
        if not lost:
            lost.append(route.fetch().status)
            route.abort()
        else:
            route.continue_()

    desk.page.route("**/rating/submit", drop_the_first_answer)
    desk.press("r", "Control+Enter")
    desk.page.wait_for_function("() => !Object.keys(localStorage).some(key => key.startsWith('assent.outbox'))")
    assert lost == [200]
    assert len(desk.judgments(superseded=True)) == 1
    desk.problems.clear()


def test_a_refused_judgment_is_shown_and_kept(desk: Desk) -> None:
    desk.ask(task("one"), task("two"))
    desk.open()
    first, other = desk.page, desk.context.new_page()
    desk.watch(other)
    other.goto(first.url)
    desk.page = other
    desk.ready()
    desk.press("1", "2", "3", "4")
    desk.submit()
    desk.page = first
    desk.press("4", "3", "2", "1", "Control+Enter")  # the same task, in a window that is out of date
    first.wait_for_selector("#trouble.bad:not([hidden])")
    first.get_by_role("button", name="Show", exact=True).click()
    question = first.get_by_role("dialog")
    assert "judged this task already" in question.inner_text()
    assert len(desk.judgments(superseded=True)) == 1
    question.get_by_role("button", name="Discard").click()
    assert first.locator("#trouble").is_hidden()
    desk.problems.clear()


def test_who_is_signed_out_meanwhile_keeps_what_they_said(desk: Desk) -> None:
    desk.ask(task("one"), task("two"))
    desk.open()
    desk.context.clear_cookies()
    desk.press("r", "Control+Enter")
    desk.page.wait_for_selector("#trouble.bad:not([hidden])")
    assert "signed out" in desk.page.locator("#trouble").inner_text()
    cookie = desk.service.session(desk.login, desk.project)
    desk.context.add_cookies([{"name": "assent_session", "value": cookie, "url": desk.service.url}])
    desk.page.wait_for_function("() => !Object.keys(localStorage).some(key => key.startsWith('assent.outbox'))")
    assert len(desk.judgments()) == 1
    desk.problems.clear()


def test_leases_are_kept_while_somebody_works(desk: Desk) -> None:
    """A lease of three seconds, renewed by a clock run forward, holds; the same task goes to nobody else."""
    settings = PLAIN.model_copy(update={"lease_seconds": 40.0})
    desk.ask(task("one"), settings=settings)
    desk.visit()
    desk.page.clock.install(time=time.time())
    renewed: list[int] = []
    desk.page.on("response", lambda answer: renewed.append(answer.status) if "/renew" in answer.url else None)
    desk.page.goto(f"{desk.service.url}/rate/{desk.project}")
    desk.page.clock.run_for(400)
    desk.page.wait_for_selector(".answer")
    desk.press("1")
    desk.page.clock.run_for(29_000)
    desk.press("2")
    desk.page.clock.run_for(2_000)
    desk.page.wait_for_timeout(300)
    assert renewed == [200]
    desk.page.clock.run_for(60_000)  # nobody does anything: the lease may run out
    desk.page.wait_for_timeout(300)
    assert renewed == [200]


def test_two_tasks_ahead_are_lent_and_the_next_is_shown_without_waiting(desk: Desk) -> None:
    desk.ask(*(task(f"t{n}") for n in range(6)))
    desk.open()
    desk.page.route("**/rating/*", lambda route: route.abort())
    for _ in range(3):
        before = desk.shown()
        desk.press("r", "Control+Enter")
        desk.page.wait_for_timeout(300)
        assert desk.shown() != before
    desk.page.locator("#empty").wait_for()
    desk.page.unroute("**/rating/*")
    desk.page.get_by_role("button", name="Look again").click()
    desk.page.wait_for_selector(".answer")
    desk.page.wait_for_function("() => !Object.keys(localStorage).some(key => key.startsWith('assent.outbox'))")
    assert desk.service.store.counts(Queue(desk.project)).have == 3
    desk.problems.clear()


def test_time_counts_only_while_somebody_is_there(desk: Desk) -> None:
    desk.ask(task("one"))
    desk.visit()
    desk.page.clock.install(time=time.time())
    desk.page.goto(f"{desk.service.url}/rate/{desk.project}")
    desk.page.clock.run_for(400)
    desk.page.wait_for_selector(".answer")
    desk.press("1")
    desk.page.clock.run_for(10_000)
    desk.press("2")
    desk.page.clock.run_for(600_000)  # lunch
    desk.press("3")
    desk.page.clock.run_for(5_000)
    desk.press("4")
    with desk.page.expect_response("**/rating/submit"):
        desk.press("Control+Enter")
    said = desk.said()
    assert said.seconds == pytest.approx(10 + 30 + 5, abs=4)  # not 600
    activity = desk.viewing(said.id)["activity"]
    assert activity["elapsed"] > 600
    assert activity["pauses"] == 1
    assert set(activity["answers"]) == set(said.order_shown)
    assert all(one["seen"] == 1 for one in activity["answers"].values())


@pytest.mark.parametrize(
    "mark", ["classList.add('translated-ltr')", "lang = 'fr'", "setAttribute('_msttexthash', '1')"]
)
def test_marks_of_translators_on_the_whole_page_are_noticed(desk: Desk, mark: str) -> None:
    desk.ask(task("one"))
    desk.open()
    desk.page.evaluate(f"() => {{ document.documentElement.{mark}; }}")
    desk.page.wait_for_selector("#translated:not([hidden])")
    desk.press("r")
    desk.submit()
    assert desk.viewing(desk.said().id)["is_translated"] is True


def test_a_page_that_the_browser_translates_is_noticed(desk: Desk) -> None:
    desk.ask(task("one"), task("two"))
    desk.open()
    desk.press("r")
    desk.submit()
    assert desk.page.locator("#translated").is_hidden()
    desk.page.evaluate(
        """() => {
          const font = document.createElement("font");
          const label = document.querySelector("#undo .face");
          font.append(...label.childNodes);
          label.append(font);
        }"""
    )
    desk.page.wait_for_selector("#translated:not([hidden])")
    desk.press("r")
    desk.submit()
    seen = {said.task_id: desk.viewing(said.id)["is_translated"] for said in desk.judgments()}
    assert seen == {desk.named("one"): False, desk.named("two"): True}
    assert desk.page.eval_on_selector_all(".answer-text, .turn .prose", "all => all.every(e => e.translate === false)")


@pytest.mark.parametrize("other", ["the page is opened again", "in another tab"])
def test_a_task_whose_judgment_waits_in_the_browser_is_not_shown_again(desk: Desk, other: str) -> None:
    desk.ask(task("one", prompt="First?"), task("two", prompt="Second?"))
    desk.open()
    desk.context.route("**/rating/submit", lambda route: route.abort())
    desk.press("1", "2", "3", "4", "Enter")
    desk.page.get_by_text("Second?").wait_for()
    old = desk.page
    desk.page = desk.context.new_page()
    if other == "the page is opened again":
        old.close()
    desk.page.goto(f"{desk.service.url}/rate/{desk.project}")
    desk.ready()
    assert "Second?" in desk.page.inner_text("#prompt")
    desk.context.unroute("**/rating/submit")
    desk.page.reload()
    desk.ready()
    assert "Second?" in desk.page.inner_text("#prompt")
    assert desk.said().task_id == desk.named("one")
    desk.problems.clear()


def test_a_judgment_that_arrives_while_tasks_are_asked_for_hides_its_task(desk: Desk) -> None:
    desk.ask(task("one", prompt="First?"), task("two", prompt="Second?"))
    desk.open()
    desk.context.route("**/rating/submit", lambda route: route.abort())
    desk.press("1", "2", "3", "4", "Enter")
    desk.page.get_by_text("Second?").wait_for()
    desk.context.unroute("**/rating/submit")
    submits: list[Any] = []
    answers: list[Any] = []
    desk.context.route("**/rating/submit", lambda route: submits.append(route))
    desk.context.route("**/rating/next?*", lambda route: answers.append((route, route.fetch())))
    desk.page.reload()
    while not submits or not answers:
        desk.page.wait_for_timeout(20)
    # The server has looked: to it both tasks are open. Now the judgment arrives, and after it the list of tasks.
    submits[0].continue_()
    desk.page.wait_for_function("() => !Object.keys(localStorage).some((key) => key.startsWith('assent.outbox.'))")
    desk.context.unroute("**/rating/next?*")
    for route, answer in answers:
        assert desk.named("one") in answer.text()
        route.fulfill(response=answer)
    desk.ready()
    assert "Second?" in desk.page.inner_text("#prompt")
    desk.problems.clear()


def test_who_is_not_asked_any_more_is_told_and_keeps_what_they_said(desk: Desk) -> None:
    desk.ask(task("one"), settings=PLAIN.model_copy(update={"critique": True}))
    desk.open()
    desk.press("1", "2", "3", "4", "w")
    desk.page.keyboard.type("because")
    desk.press("Escape")
    changed = PLAIN.model_copy(update={"critique": False})
    desk.service.store.projects.save(desk.project, changed, now=time.time())
    desk.submit()
    desk.page.get_by_text("Kept. Not asked here any more: Why.").wait_for()
    assert desk.said().critique == "because"


def test_a_page_that_is_left_frees_what_is_not_begun_and_keeps_what_is(desk: Desk) -> None:
    desk.ask(*(task(f"task{n}") for n in range(4)))
    other = Desk(desk.browser, desk.service, project=desk.project, login=f"{desk.login}-other")
    page = desk.open()
    desk.press("b", "a")
    page.goto("about:blank")  # one task is begun, two more were ahead
    left = _waiting_for(other, 3)
    assert sorted(left) == [desk.named(f"task{n}") for n in (1, 2, 3)], "what is begun is still kept"
    desk.service.store.release(desk.service.store.accounts.by_login(other.login).rater_id)
    page.go_back()
    desk.ready()
    assert desk.sentence == "B > A"
    desk.press("c", "d")
    desk.submit()
    assert desk.shown()[0].startswith("task1/"), "the others come again once they are free"
    other.close()


def test_nobody_draws_another_task_by_reloading_and_the_last_tab_to_close_frees_all(desk: Desk) -> None:
    desk.ask(*(task(f"task{n}") for n in range(9)), settings=PLAIN.model_copy(update={"random_share": 1.0}))
    page = desk.open()
    first = desk.shown()[0].partition("/")[0]
    for _ in range(2):
        page.reload()
        desk.ready()
        assert desk.shown()[0].partition("/")[0] == first
    other = Desk(desk.browser, desk.service, project=desk.project, login=f"{desk.login}-other")
    desk.close()
    assert len(_waiting_for(other, 9)) == 9


def _waiting_for(other: Desk, number: int) -> list[str]:
    """The tasks that another rater is lent, once there are as many as that."""
    store = other.service.store
    account = store.accounts.by_login(other.login) or store.accounts.create(other.login, "rater", now=time.time())
    deadline = time.monotonic() + 5
    while True:
        served = store.serve(account.rater_id, Queue(other.project), limit=9, now=time.time())
        if len(served) >= number or time.monotonic() > deadline:
            return [one.task.id for one in served]
        time.sleep(0.02)
