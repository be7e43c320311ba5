"""The chat page in a browser: talk with two toy models by keys alone, blind to the end, on a phone and in Arabic."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from chromium_rater import PLAIN, Desk, Service, settle

from assent.core.types import Judgment, Message
from assent.feedback.battles import battles
from assent.feedback.records.queue import Queue

pytestmark = pytest.mark.browser
_NUMBERS = itertools.count(1)
NAMES = ("falcon-7", "heron-9")


class Toy:
    """A model with a manner of its own, which answers when the gate is open."""

    def __init__(self, name: str, manner: str) -> None:
        self.name, self.manner = name, manner
        self.gate = threading.Event()
        self.gate.set()
        self.fails = False
        self.asked = 0

    def reply(self, messages: Sequence[Message], seed: int) -> str:
        """Answer the last message."""
        self.gate.wait(20)
        if self.fails:
            raise RuntimeError(f"{self.name} fell over")
        said = messages[-1].content
        if said in ANSWERS:
            self.asked += 1
            return ANSWERS[said][self.asked % 2 if len(messages) > 1 else NAMES.index(self.name)]
        return said if "onerror" in said else f"{self.manner}\n\nYou said: *{said}* ({seed % 1000})"


ANSWERS = {
    "Why is the sky blue?": (
        "Air scatters short waves far more than long ones: the share grows with $\\lambda^{-4}$. "
        "Blue light reaches you **from every side**, red light mostly from the sun itself.",
        "Because of the ocean. The sea is blue, and the sky mirrors it.",
    ),
    "How much more is blue scattered than red?": (
        "For 450 nm and 700 nm:\n\n$$\\left(\\frac{700}{450}\\right)^4 \\approx 5.9$$\n\n"
        "So blue is scattered about **six times** as much.",
        "About six times as much. To see it for yourself:\n\n```python\nratio = (700 / 450) ** 4\n"
        'print(f"{ratio:.1f}")  # 5.9\n```\n\n| colour | wavelength |\n|---|--:|\n| blue | 450 nm |\n| red | 700 nm |',
    ),
}
"""What is said on the picture for the documentation."""
TOYS = {NAMES[0]: Toy(NAMES[0], "In **short**:"), NAMES[1]: Toy(NAMES[1], "Let me explain at length:")}


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    url = f"sqlite:///{tmp_path_factory.mktemp('talking')}/feedback.db"
    with Service.start(url, speakers=TOYS) as running:
        yield running


@pytest.fixture
def talker(chromium: object, talking: Service) -> Iterator[Talker]:
    number = next(_NUMBERS)
    for toy in TOYS.values():
        toy.gate.set()
        toy.fails = False
    opened = Talker(chromium, talking, project=f"talks-{number}", login=f"talker-{number}")
    opened.ask(settings=PLAIN)
    yield opened
    problems = list(opened.problems)
    opened.close()
    assert not problems


class Talker(Desk):
    """A rater at the chat page."""

    def talk(self, purpose: str = "reward", **options: Any) -> Any:
        """Open the page."""
        self.visit(**options)
        self.page.goto(f"{self.service.url}/chat/{self.project}?purpose={purpose}")
        return self.page

    def say(self, text: str) -> None:
        """Type a message, send it with Enter, and wait for the answers."""
        self.page.locator("#words").focus()
        self.page.keyboard.type(text)
        self.press("Enter")
        self.page.wait_for_selector(".voice")

    def vote(self, *keys: str) -> None:
        """Press keys, and wait until the vote is kept."""
        with self.page.expect_response("**/vote") as answer:
            self.press(*keys, "Enter")
        assert answer.value.ok, answer.value.text()
        self.page.wait_for_selector("#vote", state="hidden")  # the answer is there a moment before the page shows it

    def end(self) -> None:
        """End the conversation and wait for the names."""
        self.page.locator("[data-end]:visible").click()
        self.page.locator("#end").click()
        self.page.wait_for_selector("#reveal:not([hidden])")

    def kept(self, purpose: str = "reward") -> list[Judgment]:
        """Judgments in the order of their turns."""
        found = self.service.store.judgments(Queue(self.project, purpose))  # type: ignore[arg-type]
        return sorted(found, key=lambda judgment: judgment.task_id)


def test_two_turns_are_talked_and_rated_with_keys_alone_and_the_names_come_last(talker: Talker) -> None:
    page = talker.talk()
    talker.say("Why is the sky blue?")
    assert page.locator(".voice").count() == 2
    assert page.locator("#vote-scale [aria-pressed=true]").count() == 0
    shown = page.eval_on_selector_all(".voice", "cards => cards.map(card => card.dataset.id)")
    talker.vote("2", ">", ">", ">")
    assert page.locator(".went-on").inner_text() == "You preferred answer B. Its model goes on."
    assert page.evaluate("document.activeElement.id") == "words"
    talker.say("And at dusk?")
    talker.vote("=")
    assert "Lots were drawn" in page.locator(".went-on").last.inner_text()
    seen = page.content().lower()
    assert not any(name.split("-")[0] in seen for name in NAMES)
    talker.end()
    names = page.locator("#reveal-rows tr").first.inner_text()
    assert all(name in names for name in NAMES)
    one, two = talker.kept()
    assert one.ranking is not None and two.ranking is not None
    assert (one.ranking.tiers, one.ranking.strengths) == (((shown[1],), (shown[0],)), (3,))
    assert len(two.ranking.tiers) == 1
    assert one.seconds is not None and 0 <= one.seconds < 60


def test_nothing_is_voted_before_something_is_chosen(talker: Talker) -> None:
    page = talker.talk()
    talker.say("Hello")
    talker.press("Enter", "Control+Enter")
    page.locator("#submit").click(force=True)
    page.wait_for_timeout(300)
    assert talker.kept() == []
    assert page.locator("#submit").get_attribute("aria-disabled") == "true"
    assert "Press A or B" in page.locator("#said").inner_text()


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        (["1"], "Answer A is better"),
        (["a"], "Answer A is better"),
        (["b", ">", ">"], "Answer B: better"),
        (["ArrowRight", "ArrowRight"], "Answer B: better"),
        (["ArrowLeft", "ArrowRight"], "Equally good"),
        (["x"], "Both are bad"),
        (["2", ">", ">", "<"], "Answer B: slightly better"),
        (
            ["1", "Backspace"],
            "Press A or B for the better answer (or 1 or 2), = where they are equal, X where both are bad.",
        ),
    ],
)
def test_keys_say_what_the_scale_says(talker: Talker, keys: list[str], sentence: str) -> None:
    page = talker.talk()
    talker.say("Hello")
    talker.press(*keys)
    assert page.locator("#verdict").inner_text() == sentence


def test_the_only_digits_on_the_page_are_the_keys_of_the_answers(talker: Talker) -> None:
    page = talker.talk()
    talker.say("Hello")
    heads = [head.inner_text().split() for head in page.locator(".voice-head").all()]
    assert [head[:2] for head in heads] == [["A", "1"], ["B", "2"]]
    faces = page.eval_on_selector_all("#vote-scale .step", "steps => steps.map(step => step.textContent.trim())")
    assert faces == ["", "", "", "", "=", "", "", "", "", "Both bad X"]
    filled = page.eval_on_selector_all(
        "#vote-scale .steps .step", "steps => steps.map(s => s.querySelectorAll('.on').length)"
    )
    assert filled == [4, 3, 2, 1, 0, 1, 2, 3, 4]


def test_single_keys_can_be_turned_off(talker: Talker) -> None:
    page = talker.talk()
    talker.say("Hello")
    page.locator("#shortcuts").uncheck()
    page.locator("#voices").focus()
    talker.press("2", "x", "=")
    assert page.locator("#vote-scale [aria-pressed=true]").count() == 0
    page.reload()
    page.wait_for_selector(".voice")
    assert not page.locator("#shortcuts").is_checked()
    page.locator(".step.first").first.click()
    with page.expect_response("**/vote"):
        talker.press("Control+Enter")


def test_both_bad_is_a_tie_of_unusable_answers_with_a_reason(talker: Talker) -> None:
    page = talker.talk()
    talker.say("Hello")
    page.get_by_role("button", name="Both are bad").click()
    talker.press("w")
    page.keyboard.type("Neither says hello = 1 2 x")
    talker.press("Control+Enter")
    page.wait_for_selector(".went-on")
    (said,) = talker.kept()
    assert said.critique == "Neither says hello = 1 2 x"
    assert sorted(said.flags.values()) == [("unusable",), ("unusable",)]


def test_the_wait_for_a_slow_model_gives_nothing_away_and_the_page_may_be_left(talker: Talker) -> None:
    TOYS[NAMES[0]].gate.clear()
    page = talker.talk()
    page.locator("#words").fill("Hello")
    page.locator("#send").click()
    page.wait_for_selector("#waiting:not([hidden])")
    assert page.locator("#said").inner_text() == "Both models are writing. Their answers appear together."
    page.reload()
    page.wait_for_timeout(700)
    assert page.locator(".voice").count() == 0
    TOYS[NAMES[0]].gate.set()
    page.wait_for_selector(".voice")
    assert page.locator(".said-turn.user").inner_text().endswith("Hello")


def test_a_model_that_fails_is_said_in_one_line_and_can_be_asked_again(talker: Talker) -> None:
    TOYS[NAMES[1]].fails = True
    page = talker.talk()
    page.locator("#words").fill("Hello")
    page.locator("#send").click()
    page.wait_for_selector("#failed:not([hidden])")
    assert "heron" not in page.content()
    TOYS[NAMES[1]].fails = False
    page.locator("#again").click()
    page.wait_for_selector(".voice")


def test_a_message_survives_a_server_that_is_away_and_a_reload(talker: Talker) -> None:
    page = talker.talk()
    page.route("**/say", lambda route: route.abort())
    page.locator("#words").fill("A long thought")
    page.locator("#send").click()
    page.wait_for_selector("#alarm:not([hidden])")
    assert page.locator("#words").input_value() == "A long thought"
    page.reload()
    assert page.locator("#words").input_value() == "A long thought"
    page.unroute("**/say")
    page.locator("#send").click()
    page.wait_for_selector(".voice")
    assert page.locator("#words").input_value() == ""
    talker.problems[:] = [said for said in talker.problems if "ERR_FAILED" not in said]


def test_a_battle_is_over_with_one_vote_and_read_back(talker: Talker) -> None:
    page = talker.talk(purpose="evaluation")
    talker.say("Which is it?")
    talker.vote("1")
    page.wait_for_selector("#reveal:not([hidden])")
    (battle,) = battles(talker.service.store, talker.project)
    names = page.locator("#reveal-rows td").all_inner_texts()[:2]
    assert (battle.model_a, battle.model_b, battle.outcome) == (*names, "a")
    page.locator("#anew").click()
    talker.say("Another one")
    assert page.locator(".said-turn").count() == 1


def test_hostile_answers_are_shown_and_do_nothing(talker: Talker) -> None:
    page = talker.talk()
    talker.say("<img src=x onerror=alert(1)><script>alert(2)</script>[x](javascript:alert(3))")
    assert page.locator(".voice img, .voice script, .voice a").count() == 0
    assert "onerror=alert(1)" in page.locator(".voice").first.inner_text()


def test_guidelines_are_one_click_away_and_a_translated_conversation_is_noted(talker: Talker) -> None:
    talker.ask(guideline="Ask what you would ask.")
    page = talker.talk()
    with talker.context.expect_page() as opened:
        page.get_by_role("link", name="Guidelines").click()
    assert "Ask what you would ask." in opened.value.locator("main").inner_text()
    talker.say("Hello")
    page.evaluate("() => document.documentElement.classList.add('translated-ltr')")
    page.wait_for_selector("#translated:not([hidden])")
    talker.vote("1")
    (said,) = talker.kept()
    assert talker.viewing(said.id)["is_translated"] is True


def test_texts_of_people_and_models_are_not_to_be_translated(talker: Talker) -> None:
    page = talker.talk()
    talker.say("Hello")
    for prose in page.locator(".prose").all():
        assert (prose.get_attribute("translate"), prose.get_attribute("dir")) == ("no", "auto")


@pytest.mark.parametrize(
    ("width", "scheme", "locale"),
    [(1440, "light", "en"), (1440, "dark", "en"), (390, "light", "ar"), (390, "dark", "ja")],
)
def test_everybody_can_use_the_page(talker: Talker, width: int, scheme: str, locale: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    page = talker.talk(width=width, color_scheme=scheme, locale=locale, has_touch=width < 500)
    assert page.locator("html").get_attribute("dir") == ("rtl" if locale == "ar" else "ltr")
    found = []

    def look(where: str) -> None:
        settle(page)
        for problem in axe.Axe().run(page).response["violations"]:
            found.append((where, problem["id"], [node["html"][:150] for node in problem["nodes"]]))
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    look("start")
    talker.say("مرحبا، كيف الحال؟" if locale == "ar" else "Hello")
    page.locator(".step.second").first.click()
    look("rating")
    page.locator("#submit").click()
    page.wait_for_selector(".went-on")
    look("rated")
    talker.end()
    look("ended")
    assert not found


def test_the_page_is_photographed(talker: Talker) -> None:
    """Writes docs/images/rating-chat.png where asked to (ASSENT_SCREENSHOTS=1); else only checks that it can be."""
    page = talker.talk(width=1280, height=860)
    talker.say("Why is the sky blue?")
    talker.vote("1" if "scatters" in page.locator(".voice").first.inner_text() else "2", ">", ">", ">")
    talker.say("How much more is blue scattered than red?")
    talker.press("2", ">", ">")
    page.wait_for_timeout(200)
    image = page.screenshot()
    assert len(image) > 20_000
    if os.environ.get("ASSENT_SCREENSHOTS"):
        (Path(__file__).parents[2] / "docs" / "images" / "rating-chat.png").write_bytes(image)
