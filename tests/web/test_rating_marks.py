"""Flags, scores, notes with quotes, edited answers, reasons to skip: said by touch only, kept as they were said."""

from __future__ import annotations

import pytest
from chromium_rater import CRITERIA, PLAIN, Desk, task
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def test_flags_go_to_the_answer_at_hand(desk: Desk) -> None:
    desk.ask(task("one"))
    desk.open()
    shown = desk.shown()
    desk.press("u")
    assert "Choose an answer first" in str(desk.page.locator("#said").text_content())
    desk.press("1", "2", "u", "Shift+F", "3", "4", "ArrowLeft", "Shift+F")
    desk.card("A").get_by_role("button", name="Unsafe").click()
    desk.card("A").get_by_role("button", name="Unsafe").click()
    desk.submit()
    assert desk.said().flags == {shown[1]: ("unsafe", "factually_wrong"), shown[2]: ("factually_wrong",)}


def test_untouched_scores_are_not_stored(desk: Desk) -> None:
    settings = PLAIN.model_copy(update={"criteria": CRITERIA})
    desk.ask(task("one"), settings=settings)
    desk.open()
    shown = desk.shown()
    _option(desk, "A", "Helpful", 3).check(force=True)
    _option(desk, "B", "Honest", 1).check(force=True)
    _option(desk, "C", "Honest", 2).check(force=True)
    _option(desk, "C", "Honest", 2).click(force=True)  # taken back
    desk.press("1", "2", "3", "4")
    assert desk.sentence == "A > B > C > D"
    desk.submit()
    assert desk.said().scores == {shown[0]: {"Helpful": 3}, shown[1]: {"Honest": 1}}


def test_scores_take_digits_while_they_have_the_focus(desk: Desk) -> None:
    settings = PLAIN.model_copy(update={"criteria": CRITERIA})
    desk.ask(task("one"), settings=settings)
    desk.open()
    shown = desk.shown()
    _option(desk, "D", "Helpful", 1).focus()
    desk.press("4")
    assert desk.sentence == ""
    assert _option(desk, "D", "Helpful", 4).is_checked()
    desk.press("z")
    assert not _option(desk, "D", "Helpful", 4).is_checked()
    _option(desk, "D", "Helpful", 1).focus()
    desk.press("2")
    desk.card("D").locator(".answer-text").focus()
    desk.press("r")
    desk.submit()
    assert desk.said().scores == {shown[3]: {"Helpful": 2}}


def test_anchors_are_shown_and_heard(desk: Desk) -> None:
    settings = PLAIN.model_copy(update={"criteria": CRITERIA})
    desk.ask(task("one"), settings=settings)
    desk.open()
    assert _option(desk, "A", "Helpful", 4).get_attribute("aria-label") == "4: fully"
    desk.card("A").locator(".option").nth(3).hover()
    assert desk.card("A").locator(".anchor >> nth=3").is_visible()


def test_a_note_quotes_what_is_selected(desk: Desk) -> None:
    desk.ask(task("one", ["It says that water boils at 80 degrees.", "two", "three", "four"]))
    desk.open()
    shown = desk.shown()
    wrong = next(i for i, one in enumerate(shown) if one.endswith("/1"))
    desk.page.evaluate(
        """id => {
          const text = document.querySelector(`[data-id="${id}"] .answer-text p`).firstChild;
          const start = text.data.indexOf("80 degrees");
          getSelection().setBaseAndExtent(text, start, text, start + "80 degrees".length);
        }""",
        shown[wrong],
    )
    desk.press("Shift+C")
    desk.page.keyboard.type("It is 100 degrees.")
    desk.press("Escape", "1", "2", "3", "4")
    if wrong == 3:
        desk.press("1")
    desk.press("Shift+C")
    desk.page.keyboard.type("About the whole answer.")
    desk.press("Control+Enter")  # ends writing, does not submit
    desk.press("w")
    desk.page.keyboard.type("Only one of them is right.")
    desk.press("Escape")
    desk.submit()
    said = desk.said()
    assert [(note.completion_id, note.quote, note.text) for note in said.notes] == [
        (shown[wrong], "80 degrees", "It is 100 degrees."),
        (shown[0 if wrong == 3 else 3], "", "About the whole answer."),
    ]
    assert said.critique == "Only one of them is right."


def test_a_click_that_ends_writing_does_what_it_says(desk: Desk) -> None:
    """The press takes the focus from the field; what is pressed must not be drawn anew before the button is up."""
    desk.ask(task("one"))
    desk.open()
    desk.press("1", "Shift+C")
    desk.page.keyboard.type("a thought")
    tray = desk.page.locator("#tray")
    tray.get_by_role("button", name="C: place").click()
    assert desk.sentence == "A > C"
    desk.press("w")
    desk.page.keyboard.type("why")
    desk.page.locator(".strength").first.click()
    desk.press("Shift+E")
    desk.page.keyboard.type("Better. ")
    tray.get_by_role("button", name="Rest tied").click()
    assert desk.sentence == "A > C > B = D"
    desk.card("B").get_by_role("button", name="Note on").click()  # and left empty
    desk.card("B").get_by_role("button", name="Unsafe").click()
    assert desk.page.locator(".flag.unsafe[aria-pressed=true]").count() == 1
    desk.submit()
    said = desk.said()
    assert said.ranking is not None
    assert (said.ranking.strengths, said.critique, len(said.notes), len(said.edits)) == ((1, None), "why", 1, 1)


def test_a_note_left_empty_is_none(desk: Desk) -> None:
    desk.ask(task("one"))
    desk.open()
    desk.press("1", "Shift+C", "Escape", "2", "3", "4")
    expect(desk.page.locator(".notes li")).to_have_count(0)
    desk.submit()
    assert desk.said().notes == ()


def test_the_raw_text_of_an_answer_shows_every_sign(desk: Desk) -> None:
    desk.ask(task("one", ["a **b** _c_", "two", "three", "four"]))
    desk.open()
    card = desk.page.locator(".answer", has_text="_c_")
    expect(card.locator(".answer-text strong")).to_have_text("b")
    raw = card.get_by_role("button", name="Show the text of answer")
    raw.click()
    expect(card.locator(".answer-text pre")).to_have_text("a **b** _c_")
    expect(raw).to_have_attribute("aria-pressed", "true")
    raw.click()
    expect(card.locator(".answer-text strong")).to_have_text("b")


def test_an_edited_answer_is_kept_and_the_unchanged_one_is_not(desk: Desk) -> None:
    desk.ask(task("one", ["The *first* answer.", "two", "three", "four"]))
    desk.open()
    shown = desk.shown()
    first = next(i for i, one in enumerate(shown) if one.endswith("/1"))
    desk.press("1", "2", "3", "4", str(first + 1), "Shift+E")
    field = desk.page.locator(".answer.editing textarea:visible").first
    assert field.input_value() == "The *first* answer."  # its source, not its looks
    desk.press("End")
    desk.page.keyboard.type(" And more.")
    desk.press("Escape")
    assert desk.page.locator(".answer.editing").count() == 0
    desk.press(str((first + 1) % 4 + 1), "Shift+E", "Escape")
    desk.submit()
    assert desk.said().edits == {shown[first]: "The *first* answer. And more."}


def test_undo_takes_back_a_whole_stretch_of_typing(desk: Desk) -> None:
    desk.ask(task("one"))
    desk.open()
    desk.press("1", "Shift+C")
    desk.page.keyboard.type("a thought")
    desk.press("Escape", "z")
    assert desk.page.locator(".notes li").count() == 0
    assert desk.sentence == "A"
    desk.press("z")
    assert desk.sentence == ""


def test_skipping_says_why_and_shows_the_next_task(desk: Desk) -> None:
    desk.ask(task("one"), task("two"), task("three"))
    desk.open()
    desk.press("s", "2")
    desk.ready()
    desk.press("s")
    desk.page.locator("#skip-text").fill("my neighbour wrote it")
    desk.press("Enter")
    desk.ready()
    desk.press("s", "Escape", "r")
    desk.submit()
    by_task = {said.task_id: said for said in desk.judgments()}
    assert by_task[desk.named("one")].skip_reason == "unclear"
    assert by_task[desk.named("two")].skip_reason == "my neighbour wrote it"
    assert by_task[desk.named("three")].ranking is not None


def test_what_all_answers_share_can_be_dimmed_and_lengths_are_shown_on_request(desk: Desk) -> None:
    desk.ask(task("one", [f"Water boils. It is hot. Number {i} differs here." for i in range(4)]))
    desk.open()
    assert not desk.page.locator(".words").first.is_visible()
    desk.press("Shift+D", "l")
    dimmed = desk.page.evaluate("() => [...CSS.highlights.get('shared')].map(range => range.toString?.() ?? '').length")
    assert dimmed == 8  # two sentences in each of four answers
    assert desk.page.locator(".words").first.inner_text() == "Words: 9"
    desk.press("Shift+D")
    assert desk.page.evaluate("() => CSS.highlights.has('shared')") is False


def _option(desk: Desk, letter: str, criterion: str, n: int):  # type: ignore[no-untyped-def]
    group = desk.card(letter).get_by_role("radiogroup", name=f"{criterion}, answer {letter}")
    return group.get_by_role("radio").nth(n - 1)
