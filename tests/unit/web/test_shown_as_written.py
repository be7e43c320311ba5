"""What raters see is what was written: no sign and no line break is lost, whatever Markdown would make of it."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from assent.web.render import markup

SIGNS = {"em": "*", "strong": "**", "s": "~~", "code": "`"}
HEADS = {"h3": "#", "h4": "##", "h5": "###"}


class Written(HTMLParser):
    """The text that a page shows, with the signs that its formatting stands for: written apart from the renderer."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.text += SIGNS.get(tag, "") + HEADS.get(tag, "") + {"a": "[", "br": "\n"}.get(tag, "")

    def handle_endtag(self, tag: str) -> None:
        self.text += SIGNS.get(tag, "") + ("]" if tag == "a" else "")

    def handle_data(self, data: str) -> None:
        self.text += data


def signs(text: str) -> str:
    """Every character that has a look."""
    return "".join(text.split())


WORDS = ["a", "two", "f(x)", "__init__", "init", "x_1", "C:\\new", "\\_", "$5", "3", "4.", "é", "日本", "it's"]
MARKS = ["*", "**", "_", "__", "`", "~~", "#", "-", "+", "1.", "2)", "&amp;", "&", "\\", "[a](https://b.c)", "[1]:"]
MARKS += ["---", "===", "(", ")", "/", "!", "\\*", "***"]
GAPS = ["", "", " ", " ", "  ", "\n", "\n\n", "\n  ", "\n    "]
PART = st.tuples(st.sampled_from(WORDS) | st.sampled_from(MARKS), st.sampled_from(GAPS))
TEXT = st.lists(PART, min_size=1, max_size=14).map(lambda parts: "".join(a + b for a, b in parts))


@settings(max_examples=600, deadline=None)
@given(TEXT)
@example("2*3*4 = 24")
@example("Put __init__.py there.")
@example("**a** *b* `c` ~~d~~")
@example("# a #\n\nb")
@example("a\\\nb")
@example("[x]: https://y.z\n\n[x]")
def test_no_sign_is_lost_or_made_up(text: str) -> None:
    """Formatting stands for its own signs, so what is seen can be written down again: no two texts look the same."""
    assume("``" not in text)  # how many backticks fence code is not shown
    shown = Written(markup.render(text)).text
    assert signs(shown) == signs(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Rain on the roof\nand a cat", "Rain on the roof and a cat"),
        ("2*3*4 = 24", "234 = 24"),
        ("Put __init__.py there.", "Put init.py there."),
        ("a &amp; b", "a & b"),
        (r"C:\_new", "C:_new"),
        ("- a\n- b", "* a\n* b"),
        ("1. a\n1. b", "1. a\n2. b"),
        ("[a](https://b.c)", "[a](https://b.d)"),
        ("def f():\n    return 1", "def f():\nreturn 1"),
        ("x = *p * *q", "x = p * q"),
        ("> a", "a"),
    ],
)
def test_texts_that_differ_look_different(one: str, other: str) -> None:
    assert markup.render(one) != markup.render(other)


def test_indentation_and_line_breaks_stay_without_a_fence() -> None:
    text = "def f(x):\n    if x:\n        return 1\n\n    y = 2"
    assert Written(markup.render(text)).text.split("\n")[:3] == text.split("\n")[:3]
    assert "    y = 2" in markup.render(text)


def test_stars_emphasize_at_the_edge_of_words_only() -> None:
    assert "<strong>bold</strong>" in markup.render("This is **bold**, really.")
    assert "<em>so</em>" in markup.render("(*so* it is)")
    for text in ("2*3*4", "(a+b)*(c+d)*(e+f)", "ls *.py *.js*", "f(*args, **kwargs)", "5* and 4* hotels", "_a_ __b__"):
        assert "<em>" not in markup.render(text) and "<strong>" not in markup.render(text), text


def test_plain_shows_every_character() -> None:
    text = "  # a **b**\n\n\n\tc &lt; <b>d</b>\u202e"
    html = markup.render(text, how="plain")
    assert Written(html).text == "  # a **b**\n\n\n\tc &lt; <b>d</b>‹U+202E›"
    assert "<strong" not in html and "<h3" not in html
