"""Every state of the page: readable for assistive technology, on a phone by thumb, in the dark, right to left."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from chromium_rater import CRITERIA, PLAIN, Desk, middle, settle, task

from assent.core.types import Message, Prompt

pytestmark = pytest.mark.browser

RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
RICH = (
    "**Bold** words, `code`, and a [link](https://example.org/ 'Here').\n\n```python\ndef f(x):\n    return x + 1\n```",
    "A formula $x^2 + y^2 = z^2$, another \\(x^{2}\\) and a list:\n\n1. one\n2. two\n   - inner\n",
    "| a | b |\n|:--|---|\n| 1 | 2 |\n\n> A quotation.",
    "Plain words. " * 60,
)
TALK = Prompt(
    id="talk",
    messages=(
        Message(role="system", content="Keep it short."),
        Message(role="user", content="Hello."),
        Message(role="assistant", content="Hello, what is it?"),
        Message(role="user", content="A question, then."),
    ),
)
ASKING = PLAIN.model_copy(update={"criteria": CRITERIA})


def violations(page: Any) -> list[str]:
    """What axe-core finds wrong."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is missing").Axe()
    settle(page)
    found = axe.run(page, options={"runOnly": {"type": "tag", "values": list(RULES)}}).response["violations"]
    return [f"{one['id']}: {node['target']} {node['failureSummary'][:200]}" for one in found for node in one["nodes"]]


def half_done(desk: Desk) -> None:
    desk.press("2", "1", "=")


def marked(desk: Desk) -> None:
    desk.press("2", "1", "=", "3", ">", "u", "4", "x", "1", "Shift+C")
    desk.page.keyboard.type("A remark.")
    desk.press("Escape", "3", "Shift+E")


def by_criteria(desk: Desk) -> None:
    desk.card("A").get_by_role("radio").nth(1).focus()
    desk.press("2", "Shift+D", "l")


STATES: dict[str, Callable[[Desk], None]] = {
    "fresh": lambda desk: None,
    "half done": half_done,
    "complete": lambda desk: desk.press("4", "3", "r", ">"),
    "marked": marked,
    "scored": by_criteria,
    "keys": lambda desk: desk.press("?"),
    "skipping": lambda desk: desk.press("s"),
    "guidelines": lambda desk: desk.press("Shift+G", "Shift+G"),
    "folded": lambda desk: desk.press("p"),
    "why": lambda desk: desk.press("w"),
}


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_state_breaks_an_accessibility_rule(desk: Desk, scheme: str) -> None:
    desk.ask(
        task("one", RICH, prompt=TALK), task("two"), settings=ASKING, guideline="## Look\n\nBe fair.", slots=len(STATES)
    )
    found = []
    for name, go in STATES.items():
        desk.login = f"{desk.project}-{name.replace(' ', '-')}"
        desk.open(color_scheme=scheme)
        go(desk)
        desk.page.wait_for_timeout(100)
        found += [f"{name}: {problem}" for problem in violations(desk.page)]
    desk.press("Escape", "r", "Control+Enter")
    desk.ready()
    desk.press("z")
    found += [f"reopened: {problem}" for problem in violations(desk.page)]
    assert not found


@pytest.mark.parametrize("kind", ["pair", "rate"])
def test_other_kinds_break_none_either(desk: Desk, kind: str) -> None:
    answers = RICH[:2] if kind == "pair" else RICH[:1]
    desk.ask(task("one", answers, kind=kind), settings=ASKING)  # type: ignore[arg-type]
    desk.open()
    found = violations(desk.page)
    desk.press("1")
    found += violations(desk.page)
    desk.press("Control+Enter")
    desk.page.wait_for_selector("#empty:not([hidden])")
    assert not found + violations(desk.page)


def test_a_phone_ranks_by_thumb(desk: Desk) -> None:
    desk.ask(task("one", RICH), task("two"), settings=ASKING)
    desk.open(width=390, height=844, has_touch=True, is_mobile=True, device_scale_factor=2)
    page, shown = desk.page, desk.shown()
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("#dots .page-dot").count() == 4
    page.locator("#dots .page-dot").nth(2).tap()
    page.wait_for_function("() => document.querySelectorAll('.page-dot')[2].ariaCurrent === 'true'")
    _tap(page, "#tray", "C: place")
    _tap(page, "#tray", "A: place")
    _tap(page, "#tray", "Tie the next")
    _tap(page, "#tray", "D: tie")
    _tap(page, "#tray", "Rest tied")
    assert desk.sentence == "C > A = D > B"
    page.wait_for_timeout(500)
    _tap(page, ".answer >> nth=3", "Unsafe")
    _tap(page, ".dock", "Undo")
    _tap(page, ".dock", "Undo")
    _tap(page, "#tray", "B: place")
    found = violations(page)
    with page.expect_response("**/rating/submit"):
        _tap(page, ".dock", "Submit")
    said = desk.said()
    assert said.ranking is not None
    assert said.ranking.tiers == ((shown[2],), (shown[0], shown[3]), (shown[1],))
    assert said.flags == {}
    assert not found


def test_a_finger_drags_a_letter_between_two_places(desk: Desk) -> None:
    desk.ask(task("one"))
    desk.open(width=390, height=844, has_touch=True, is_mobile=True)
    desk.press("1", "2")
    finger = desk.context.new_cdp_session(desk.page)

    def touch(kind: str, *point: float) -> None:
        points = [dict(zip("xy", point, strict=True))] if point else []
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    x, y = middle(desk.page, "#tray .letter")  # C
    touch("touchStart", x, y)
    touch("touchMove", x + 10, y - 20)
    desk.page.wait_for_timeout(250)  # gaps open while something is dragged
    to_x, to_y = middle(desk.page, ".between")
    for step in (0.3, 0.6, 1.0):
        touch("touchMove", x + (to_x - x) * step, y + (to_y - y) * step)
    touch("touchEnd")
    desk.page.wait_for_function("() => sentence.textContent !== 'A > B'")
    assert desk.sentence == "A > C > B"


def test_on_a_phone_nine_places_follow_the_answer_at_hand(desk: Desk) -> None:
    desk.ask(task("one", [f"Answer {n}" for n in range(9)]))
    desk.open(width=390, height=844, has_touch=True, is_mobile=True)
    desk.press(*"1234567")
    inside = """kind => {
      const [host, one] = [places, places.querySelector(kind)].map(e => e.getBoundingClientRect());
      return one.left >= host.left - 1 && one.right <= host.right + 1;
    }"""
    desk.page.wait_for_function(inside, arg=".hole.next")
    assert desk.page.evaluate(inside, ".chip.current")
    desk.press(*"zzzzzz")
    desk.page.wait_for_function(inside, arg=".tier .chip")
    assert desk.sentence == "A"


def test_on_a_phone_a_note_quotes_the_words_selected_before_the_tap(desk: Desk) -> None:
    desk.ask(task("one", ["It boils at 80 degrees."] * 4))
    desk.open(width=390, height=844, has_touch=True, is_mobile=True)
    desk.page.evaluate(
        """() => {
          const text = document.querySelector(".answer-text p").firstChild;
          getSelection().setBaseAndExtent(text, 12, text, 22);
        }"""
    )
    _tap(desk.page, ".answer >> nth=0", "Note on")
    assert desk.page.locator(".notes blockquote").inner_text() == "80 degrees"
    desk.page.keyboard.type("100")
    _tap(desk.page, "#tray", "Rest tied")
    with desk.page.expect_response("**/rating/submit"):
        _tap(desk.page, ".dock", "Submit")
    (note,) = desk.said().notes
    assert (note.quote, note.text) == ("80 degrees", "100")


def test_what_the_thumb_needs_is_large_and_low(desk: Desk) -> None:
    desk.ask(task("one", RICH))
    desk.open(width=390, height=844, has_touch=True, is_mobile=True)
    for name in ("A: place", "B: place", "Rest tied", "Undo", "Skip", "Submit"):
        box = desk.page.locator(".dock").get_by_role("button", name=name).first.bounding_box()
        assert box["height"] >= 44, name
        assert box["y"] > 844 * 0.6, name


def test_scrolling_an_answer_with_a_finger_moves_nothing(desk: Desk) -> None:
    desk.ask(task("one", ["Long words. " * 400, "b", "c", "d"]))
    desk.open(width=390, height=844, has_touch=True, is_mobile=True)
    finger = desk.context.new_cdp_session(desk.page)
    points = [(200, 500), (200, 420), (200, 340), (200, 300)]
    finger.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": 200, "y": 500}]})
    for x, y in points[1:]:
        finger.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{"x": x, "y": y}]})
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    desk.page.wait_for_timeout(200)
    assert desk.sentence == ""


def test_the_theme_follows_the_system_and_the_toggle(desk: Desk) -> None:
    desk.ask(task("one"))
    desk.open(color_scheme="dark")
    paper = "() => getComputedStyle(document.body).backgroundColor"
    dark = desk.page.evaluate(paper)
    desk.page.locator("details.menu summary").click()
    desk.page.locator("[data-theme-toggle]").click()
    light = desk.page.evaluate(paper)
    assert _brightness(dark) < 60 < 200 < _brightness(light)
    desk.page.reload()
    desk.ready()
    assert desk.page.evaluate(paper) == light


_TURNED = "all => all.map(e => getComputedStyle(e)).map(s => `${s.direction} ${s.scale} ${s.transform}`)"


def test_arabic_reads_from_right_to_left(desk: Desk) -> None:
    answers = ["أضف المزيد من الخميرة.", "الخبز يحتاج إلى وقت أطول.", "plain English words", "كان الماء ساخنًا."]
    desk.ask(task("one", answers, prompt="لماذا لم يرتفع العجين؟"), task("two"), settings=ASKING)
    desk.open(locale="ar")
    page, shown = desk.page, desk.shown()
    if page.locator("html").get_attribute("lang") != "ar":
        pytest.skip("there is no Arabic catalog yet")
    assert page.locator("html").get_attribute("dir") == "rtl"
    lefts = page.eval_on_selector_all(".answer", "cards => cards.map(card => card.getBoundingClientRect().left)")
    assert lefts == sorted(lefts, reverse=True)
    desk.press("ArrowLeft", "u")  # left is onwards
    assert page.locator(".answer.current").get_attribute("data-id") == shown[0]
    desk.press("2", "1", "=", "4", "3")
    assert desk.sentence == "B > A = D > C"
    # Browsers mirror ">" in text from right to left; turned round once more, the rail would say the opposite.
    assert set(page.eval_on_selector_all(".more", _TURNED)) == {"rtl none none"}
    untranslated = page.eval_on_selector_all(
        "button, label, h1, h2, p.hint, .hint",
        "all => all.map(e => e.textContent.trim()).filter(text => /^rate\\.|^links\\./.test(text))",
    )
    assert untranslated == []
    assert not violations(page)
    english = page.locator(".answer-text", has_text="plain English").evaluate("e => getComputedStyle(e).direction")
    assert english == "ltr"
    desk.submit()
    said = desk.said()
    assert said.ranking is not None
    assert said.ranking.ids[0] == shown[1]


def test_in_arabic_the_help_shows_the_keys_as_they_are_pressed(desk: Desk) -> None:
    """A browser mirrors "<" in text from right to left, and the arrow that leads onwards is the left one."""
    desk.ask(task("one", ["a", "b", "c", "d"]))
    desk.open(locale="ar")
    desk.press("?")
    keys = {row.locator("dt").inner_text(): row for row in desk.page.locator("#help-keys > div").all()}
    caps = desk.page.eval_on_selector_all("#help kbd", "all => all.map(e => getComputedStyle(e).direction)")
    assert set(caps) == {"ltr"}
    assert any("→" in said and said.index("→") < said.index("←") for said in keys if "→" in said)
    desk.press("Escape", "ArrowLeft", "ArrowLeft")
    assert desk.page.locator(".answer.current").get_attribute("data-id") == desk.shown()[1]


def test_japanese_and_german_pages_say_everything(desk: Desk) -> None:
    desk.ask(task("one"), slots=4)
    for language in ("ja", "de"):
        desk.open(locale=language)
        if desk.page.locator("html").get_attribute("lang") != language:
            pytest.skip(f"there is no catalog for {language} yet")
        text = desk.page.locator("body").inner_text()
        assert not re.findall(r"\b(?:rate|links|page)\.[a-z_.]+", text)
        assert "Submit" not in text


def test_a_small_window_and_strong_zoom_lose_nothing(desk: Desk) -> None:
    """320 by 256 pixels is what 400 % leaves of a common screen."""
    desk.ask(task("one", RICH), task("two"), settings=ASKING)
    desk.open(width=320, height=256)
    assert desk.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    for text in ("Submit", "Undo", "Skip"):
        button = desk.page.locator(".dock").get_by_role("button", name=text)
        button.scroll_into_view_if_needed()
        assert button.is_visible()
    desk.press("r")
    desk.submit()


def test_focus_is_always_visible(desk: Desk) -> None:
    desk.ask(task("one", RICH), settings=ASKING)
    desk.open()
    unseen = []
    for _ in range(40):
        desk.press("Tab")
        unseen += desk.page.evaluate(
            """() => {
              const e = document.activeElement;
              const parts = [e, e.nextElementSibling, e.parentElement, e.closest(".answer")].filter(Boolean);
              const isSeen = parts.some(part => {
                const style = getComputedStyle(part);
                return style.outlineStyle !== "none" || style.boxShadow !== "none";
              }) || e.matches(".turns");
              return isSeen ? [] : [e.outerHTML.slice(0, 120)];
            }"""
        )
    assert not unseen


def _tap(page: Any, where: str, name: str) -> None:
    page.locator(where).get_by_role("button", name=name).first.tap()


def _brightness(colour: str) -> float:
    return sum(int(part) for part in re.findall(r"\d+", colour)[:3]) / 3
