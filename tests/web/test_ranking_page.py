"""Ranking by keys, mouse and drag: what is on the page is what the store keeps, by ids and not by letters."""

from __future__ import annotations

import pytest
from chromium_rater import FOUR, PLAIN, Desk, middle, task

pytestmark = pytest.mark.browser


def test_four_answers_with_a_tie_are_ordered_in_five_keys(desk: Desk) -> None:
    desk.ask(task("one"))
    desk.open()
    shown = desk.shown()
    desk.press("2", "1", "=", "4", "3")
    assert desk.sentence == "B > A = D > C"
    desk.submit()
    said = desk.said()
    assert said.ranking is not None
    assert said.ranking.tiers == ((shown[1],), (shown[0], shown[3]), (shown[2],))
    assert said.ranking.strengths is None
    assert said.order_shown == tuple(shown)


def test_ids_are_right_however_the_answers_are_shuffled(desk: Desk) -> None:
    """Best is always the answer that says 1, wherever it is shown; eight tasks, so that orders differ."""
    desk.ask(*(task(f"t{n}", [f"says {i}" for i in range(1, 5)]) for n in range(8)))
    desk.open()
    orders = set()
    for _ in range(8):
        texts = [text.strip() for text in desk.page.locator(".answer-text").all_inner_texts()]
        orders.add(tuple(texts))
        desk.press(*(str(texts.index(f"says {i}") + 1) for i in range(1, 5)))
        desk.submit()
    assert len(orders) > 1
    judgments = desk.judgments()
    assert len(judgments) == 8
    for said in judgments:
        assert said.ranking is not None
        assert [i.rsplit("/", 1)[1] for i in said.ranking.ids] == ["1", "2", "3", "4"]


def test_nothing_can_be_submitted_before_every_answer_has_a_place(desk: Desk) -> None:
    desk.ask(task("one"))
    desk.open()
    assert desk.page.locator("#places .tier").count() == 0
    desk.press("Control+Enter", "Enter")
    desk.press("1", "2", "3", "Control+Enter", "Enter")
    desk.page.locator("#submit").click(force=True)
    desk.page.wait_for_timeout(300)
    assert desk.judgments() == []
    assert "every answer needs" in str(desk.page.locator("#said").text_content())
    with desk.page.expect_response("**/rating/submit"):  # the page is empty before the server has answered
        desk.press("4", "Enter")
    desk.page.wait_for_selector("#empty:not([hidden])")
    assert len(desk.judgments()) == 1


def test_undo_goes_back_to_the_empty_rail(desk: Desk) -> None:
    desk.ask(task("one"))
    desk.open()
    seen = [""]
    for key in ("3", "=", "1", "2", "R", "K", ">", "u"):
        desk.press(key)
        seen.append(desk.sentence)
    assert seen[-1] == "B > C = A > D"
    for _ in range(12):
        desk.press("z")
    assert desk.sentence == ""
    assert desk.page.locator("[aria-pressed=true].flag").count() == 0
    assert desk.page.locator("#submit").get_attribute("aria-disabled") == "true"


def test_moving_and_tying_after_the_fact(desk: Desk) -> None:
    desk.ask(task("one"))
    desk.open()
    desk.press("1", "2", "3", "4")
    desk.press("K")  # D is the one at hand
    assert desk.sentence == "A > B > D > C"
    desk.press("=")
    assert desk.sentence == "A > B = D > C"
    desk.press("J")  # out of the tie, downwards
    assert desk.sentence == "A > B > D > C"
    desk.press("1", "J")
    assert desk.sentence == "B > A > D > C"
    desk.press("Backspace")
    assert desk.sentence == "B > D > C"
    desk.press("a")
    assert desk.sentence == "B > D > C > A"


def test_rest_tied_and_everything_tied(desk: Desk) -> None:
    desk.ask(task("one"), task("two"))
    desk.open()
    desk.press("4", "r")
    assert desk.sentence == "D > A = B = C"
    desk.submit()
    desk.press("r")
    assert desk.sentence == "A = B = C = D"
    desk.submit()
    assert {len(said.ranking.tiers) for said in desk.judgments() if said.ranking} == {1, 2}


def test_strengths_are_said_only_where_they_were_pressed(desk: Desk) -> None:
    desk.ask(task("one"))
    desk.open()
    desk.press("1", "2", "3", "4")
    desk.press("2", ">", ">", ">", "<")  # B over C: 2
    desk.page.locator(".strength").nth(0).click()  # A over B: 1
    desk.submit()
    said = desk.said()
    assert said.ranking is not None
    assert said.ranking.strengths == (1, 2, None)


def test_a_strength_does_not_survive_a_change_of_what_it_compared(desk: Desk) -> None:
    desk.ask(task("one"))
    desk.open()
    desk.press("1", "2", "3", "4", "1", ">", ">")
    desk.press("2", "J")  # A > C > B > D: nobody compared A with C
    desk.submit()
    said = desk.said()
    assert said.ranking is not None
    assert said.ranking.strengths is None


def test_unusable_answers_have_no_place(desk: Desk) -> None:
    desk.ask(task("one"))
    desk.open()
    shown = desk.shown()
    desk.press("1", "2", "3", "x", "4")
    assert desk.sentence == "A > B > D"
    desk.submit()
    said = desk.said()
    assert said.ranking is not None
    assert said.ranking.ids == (shown[0], shown[1], shown[3])
    assert said.flags == {shown[2]: ("unusable",)}


def test_the_mouse_places_ties_and_submits(desk: Desk) -> None:
    desk.ask(task("one"))
    desk.open()
    shown = desk.shown()
    tray = desk.page.locator("#tray")
    tray.get_by_role("button", name="C: place").click()
    desk.card("A").get_by_role("button", name="A: place").click()
    tray.get_by_role("button", name="Tie the next").click()
    tray.get_by_role("button", name="B: tie").click()
    tray.get_by_role("button", name="Rest tied").click()
    assert desk.sentence == "C > A = B > D"
    with desk.page.expect_response("**/rating/submit"):
        desk.page.locator("#submit").click()
    said = desk.said()
    assert said.ranking is not None
    assert said.ranking.tiers == ((shown[2],), (shown[0], shown[1]), (shown[3],))


def test_dragging_places_between_ties_and_reorders(desk: Desk) -> None:
    desk.ask(task("one"))
    desk.open()
    desk.press("1", "2")
    _drag(desk, ("#tray .letter", 0), (".between", 0))  # C between A and B
    assert desk.sentence == "A > C > B"
    _drag(desk, (".answer .letter", 3), (".tier", 0))  # the card's letter onto A
    assert desk.sentence == "A = D > C > B"
    _drag(desk, (".chip", 0), (".gap", -1))  # A to the end
    assert desk.sentence == "D > C > B > A"
    desk.submit()


def test_shortcuts_rest_while_somebody_types_and_in_dialogs(desk: Desk) -> None:
    desk.ask(task("one"))
    desk.open()
    desk.press("1", "w")
    desk.page.keyboard.type("2 3 4 = r u x z")
    assert desk.page.locator("#critique").input_value() == "2 3 4 = r u x z"
    assert desk.sentence == "A"
    desk.press("Escape", "?", "2", "3", "Escape")
    assert desk.sentence == "A"


@pytest.mark.parametrize(("count", "columns"), [(2, 2), (4, 4), (9, 4)])
def test_cards_stand_side_by_side_while_each_has_room(desk: Desk, count: int, columns: int) -> None:
    desk.ask(task("one", [f"Answer {i}. " + "It goes on about the sea. " * 8 for i in range(count)]))
    desk.open(width=1600)
    inside = desk.page.eval_on_selector_all(
        ".answer", "cards => cards.filter(c => c.getBoundingClientRect().right <= innerWidth).length"
    )
    assert inside == columns
    line = desk.page.eval_on_selector(".answer-text", "e => e.clientWidth / parseFloat(getComputedStyle(e).fontSize)")
    assert line > 38 * 0.42  # characters are rarely narrower than 0.42 of their size
    desk.press(*(str(i + 1) for i in range(count)))
    assert desk.sentence == " > ".join("ABCDEFGHI"[:count])
    desk.submit()


def test_guidelines_stand_beside_the_task_with_their_version(desk: Desk) -> None:
    desk.ask(task("one"), task("two"), guideline="Put **first** what you would want.")
    desk.open()
    panel = desk.page.locator("#guidelines")
    panel.wait_for()  # new to this rater
    assert "Version 1" in panel.inner_text()
    assert panel.locator("strong").inner_text() == "first"
    desk.press("Shift+G")
    assert panel.is_hidden()
    desk.page.reload()
    desk.ready()
    assert panel.is_hidden()  # seen before


def test_links_out_are_asked_about_first(desk: Desk) -> None:
    desk.ask(task("one", ["See [the notes](https://example.org/a?b=c) for more.", *FOUR[1:]]))
    desk.open()
    desk.page.get_by_role("link", name="the notes").click()
    question = desk.page.get_by_role("dialog")
    assert "https://example.org/a?b=c" in question.inner_text()
    question.get_by_role("button", name="Stay here").click()
    assert len(desk.context.pages) == 1
    assert question.count() == 0


def test_a_project_that_asks_for_less_shows_less(desk: Desk) -> None:
    settings = PLAIN.model_copy(update={"flags": (), "strengths": False, "critique": False, "edits": False})
    desk.ask(task("one"), settings=settings)
    desk.open()
    desk.press("1", "2", ">", "u", "Shift+C", "Shift+E", "w", "3", "4")
    assert desk.sentence == "A > B > C > D"
    assert desk.page.locator(".answer textarea:visible, .flag, .strength, #why:visible").count() == 0
    desk.submit()


def _drag(desk: Desk, what: tuple[str, int], where: tuple[str, int]) -> None:
    mouse, page = desk.page.mouse, desk.page
    x, y = middle(page, *what)
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + 20, y - 20, steps=3)
    page.wait_for_timeout(200)  # gaps open while something is dragged
    mouse.move(*middle(page, *where), steps=5)
    mouse.up()


def _inside(desk: Desk) -> int:
    """How many cards are wholly in sight."""
    boxes = "cards => cards.map(card => card.getBoundingClientRect())"
    counted = f"cards => ({boxes})(cards).filter(box => box.left >= 0 && box.right <= innerWidth).length"
    return int(desk.page.eval_on_selector_all(".answer", counted))


@pytest.mark.parametrize(("width", "inside"), [(1280, 4), (1024, 3)])
def test_four_answers_fit_a_usual_window_and_what_does_not_fit_is_said(desk: Desk, width: int, inside: int) -> None:
    desk.ask(task("one", [f"Answer {i}. " + "It goes on about the sea. " * 30 for i in range(4)]))
    desk.open(width=width, height=800)
    assert _inside(desk) == inside
    overflow = "cards => cards.every(c => c.scrollWidth <= c.clientWidth + 1)"
    assert desk.page.eval_on_selector_all(".answer-text, .answer-head, .answer-foot", overflow)
    assert desk.page.locator("#dots").is_visible() == (inside < 4)
    if inside < 4:
        assert desk.page.locator("#dots-more").inner_text() == "1 more beside: ← →"
        desk.press("a", "b", "c", "d")
        last = "() => document.querySelectorAll('.answer')[3].getBoundingClientRect().right <= innerWidth"
        desk.page.wait_for_function(last)
        assert desk.sentence == "A > B > C > D"


@pytest.mark.parametrize("count", [2, 3, 4, 9])
def test_what_cards_and_hints_print_is_what_the_keys_do(desk: Desk, count: int) -> None:
    desk.ask(task("one", [f"Answer {i}." for i in range(count)]))
    desk.open(width=1600)
    heads = [card.inner_text().split()[:2] for card in desk.page.locator(".answer-head").all()]
    assert heads == [["ABCDEFGHI"[i], str(i + 1)] for i in range(count)]
    hint = desk.page.locator("#hint").inner_text()
    desk.press("?")
    typed = " ".join(desk.page.locator("#help-typed").inner_text().split())
    reads = desk.page.locator("#help-reads").inner_text().removeprefix("reads ")
    assert f" {typed} reads {reads}." in hint
    places = [row.inner_text().split("\n")[0] for row in desk.page.locator("#help-keys > div").all()[:2]]
    assert [place.replace(" ", "") for place in places] == [f"A–{'ABCDEFGHI'[count - 1]}", f"1–{count}"]
    desk.press("Escape", *typed.split())
    assert desk.sentence == reads
    desk.press("z", "z", "z", "z", "z", *reversed("123456789"[:count]))
    assert desk.sentence == " > ".join(reversed("ABCDEFGHI"[:count]))
    desk.press("Shift+F")
    assert desk.page.locator(".flag.factually_wrong[aria-pressed=true]").count() == 1
    assert desk.sentence == " > ".join(reversed("ABCDEFGHI"[:count])), "with Shift a letter is a command"
