"""Answers written to break the page: nothing runs, nothing escapes its card, the page stays quick."""

from __future__ import annotations

import time

import pytest
from chromium_rater import PLAIN, Desk, task

from assent.feedback.records.settings import Criterion

pytestmark = pytest.mark.browser

MARK = "window.hacked=(window.hacked||0)+1;alert(1)"
ATTACKS = (
    f"<script>{MARK}</script>after",
    f'<img src=x onerror="{MARK}">',
    f'<svg onload="{MARK}"><a xlink:href="javascript:{MARK}">x</a></svg>',
    f"[click](javascript:{MARK}) and ![x](https://evil.example/x.png) <a href='data:text/html,x'>d</a>",
    f"<iframe srcdoc='<script>parent.{MARK}</script>'></iframe><form action=/sign-out method=post><button>win</button>",
    f"[a](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwv) <body onload={MARK}> <style>*{{display:none}}</style>",
    "</div></article></section></main><h1 style='position:fixed;inset:0'>Mine</h1><base href=//evil.example>",
    "`</code></pre><script>" + MARK + "</script>` $\\href{javascript:" + MARK + "}{x}$ $$\\unicode{60}script$$",
    '<p id="submit" style="position:fixed">named</p><input name="body" autofocus onfocus="' + MARK + '">',
)


def test_nothing_in_an_answer_runs_or_loads(desk: Desk) -> None:
    desk.ask(task("one", ATTACKS, prompt=ATTACKS[1]), task("two"))
    asked: list[str] = []
    desk.visit(width=2400)
    desk.page.on("request", lambda request: asked.append(request.url))
    desk.page.goto(f"{desk.service.url}/rate/{desk.project}")
    desk.ready()
    page = desk.page
    assert page.evaluate("() => window.hacked") is None
    assert all(url.startswith(desk.service.url) for url in asked), asked
    inside = page.eval_on_selector_all(
        ".answer-text *, .turn .prose *",
        """all => all.flatMap(e => [
          ...[...e.attributes].filter(a => /^on|^style$|^src|^id$|^name$/.test(a.name)).map(a => a.name),
          .../^(script|iframe|img|svg|form|input|style|base|object|embed)$/.test(e.localName) ? [e.localName] : [],
          ...(e.getAttribute("href") ?? "").match(/^(javascript|data|vbscript):/i) ? ["href"] : [],
        ])""",
    )
    assert inside == []
    desk.press("r")
    desk.submit()
    assert page.evaluate("() => window.hacked") is None
    assert len(desk.judgments()) == 1


def test_text_cannot_leave_its_card_or_turn_the_page_around(desk: Desk) -> None:
    bidi = "\u202e" + "evil " * 5 + "\u2066\u2067 unclosed " + "\u200f" * 50 + " <b>"
    stacked = "Z" + "\u0301\u0316\u0330" * 400 + "algo"
    wide = "W" * 5_000
    table = "|" + "x|" * 60 + "\n|" + "-|" * 60 + "\n" + ("|" + "y|" * 60 + "\n") * 60
    desk.ask(task("one", [bidi, stacked, wide, table]), task("two"))
    desk.open()
    page = desk.page
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    for card in page.locator(".answer").all():
        outside = card.evaluate(
            """card => {
              const box = card.getBoundingClientRect();
              const at = [box.left - 4, box.right + 4].filter(x => x > 0 && x < innerWidth);
              return at.some(x => card.contains(document.elementFromPoint(x, box.top + box.height / 2)));
            }"""
        )
        assert not outside
        assert card.locator(".answer-foot").is_visible()
    foot = page.locator(".answer-foot").all()
    assert len({round(one.bounding_box()["y"]) for one in foot}) == 1
    assert page.locator("#hint").inner_text().startswith("Read, then press")
    desk.press("4", "3", "=", "2", "1")
    assert desk.sentence == "D > C = B > A"
    desk.submit()


def test_a_line_of_200_kilobytes_leaves_the_page_quick(desk: Desk) -> None:
    huge = "x" * 200_000
    spaced = "word " * 40_000
    deep = ">" * 2_000 + " deep"
    desk.ask(task("one", ["short", "b"]), task("two", [huge, spaced, deep, "*" * 100_000]), task("three"))
    desk.open()
    desk.press("1", "2", "Control+Enter")
    desk.page.wait_for_selector('.answer[data-id^="two/"]')
    desk.page.wait_for_timeout(1000)
    started = time.monotonic()
    desk.press("1", "2", "3", "4", "z", "4")
    desk.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert time.monotonic() - started < 2.0
    assert desk.sentence == "A > B > C > D"
    assert desk.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    desk.submit()
    by_task = {said.task_id: said for said in desk.judgments()}
    assert by_task[desk.named("two")].ranking is not None
    stored = next(t for t in desk.service.store.tasks([desk.named("two")]).values())
    assert {len(answer.text) for answer in stored.completions} >= {200_000}


def test_hostile_guidelines_titles_and_criteria_stay_text(desk: Desk) -> None:
    bad = f"</script><img src=x onerror={MARK}>"
    settings = PLAIN.model_copy(
        update={"title": bad, "criteria": (Criterion(name=bad, question=bad, anchors=(bad, bad)),)}
    )
    desk.ask(task("one"), settings=settings, guideline=bad)
    desk.open()
    assert desk.page.evaluate("() => window.hacked") is None
    assert bad in desk.page.locator(".bar").inner_text()
    assert desk.page.locator("img").count() == 0
