"""What raters see is what was written: no sign and no line break is lost, whatever Markdown would make of it."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from assent.web.render import markup

SIGNS = {"em": "*", "strong": "**", "s": "~~"}
HEADS = {"h3": "#", "h4": "##", "h5": "###", "h6": "####"}


class Written(HTMLParser):
    """The text that a page shows, with the signs that its formatting stands for: written apart from the renderer.

    A bar beside a line of a quotation stands for `>`, a box for code between lines of three backticks unless it names
    others, a tinted word for one backtick on each side unless there are more.
    """

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""
        self.bars = self.owed = 0
        """Quotations that are open, and those whose sign is still to be written in this line."""
        self.fence: str | None = None
        self.ticks = ""
        self.is_code = False
        self.image: list[str] | None = None
        """What stands in the isolated parts of an image that is told: what it shows, where it lies."""
        self.feed(html)
        self.close()

    def write(self, text: str) -> None:
        self.text += ">" * self.owed + text
        self.owed = 0

    def end_line(self) -> None:
        """A line that holds nothing yet is none."""
        if self.text and not self.text.endswith("\n"):
            self.text += "\n"
            self.owed = self.bars

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        self.is_code = self.is_code or tag == "code"
        if tag == "blockquote":
            self.bars += 1
            self.owed += 1
        elif "data-image" in said:
            self.image = []
        elif "data-written" in said:
            self.is_code = True
        elif tag == "pre":
            info = said.get("data-info") or ""
            opening = "" if info.startswith("`") else "```"
            self.write(f"{opening}{info}\n")
            self.owed = self.bars
            opened = opening or info[: len(info) - len(info.lstrip("`"))]
            self.fence = "" if "data-open" in said else said.get("data-closed") or opened
        elif tag == "code" and self.fence is None:
            self.ticks = "" if self.text.endswith("`") else "`"
            self.write(self.ticks)
        elif tag == "br" or "data-blank" in said:
            self.write("\n")
            self.owed = self.bars
        elif tag in {**SIGNS, **HEADS, "a": "["}:
            self.write({**SIGNS, **HEADS, "a": "["}[tag])

    def handle_endtag(self, tag: str) -> None:
        self.is_code = self.is_code and tag != "code"
        if tag == "blockquote":
            self.end_line()
            self.bars -= 1
            self.owed = self.bars
        elif tag == "pre" and self.fence is not None:
            if self.fence:
                self.write(self.fence)
            self.fence = None
            self.end_line()
        elif tag == "code" and self.fence is None:
            self.write(self.ticks)
        elif tag == "span" and self.image is not None:
            self.write("![{}]({})".format(*self.image))
            self.image = None
        elif tag in ("p", "li", *HEADS):
            self.end_line()
        elif tag in SIGNS or tag == "a":
            self.text += SIGNS.get(tag, "]")

    def handle_data(self, data: str) -> None:
        if self.image is not None:
            self.image += [data] if self.lasttag == "bdi" and data not in (" · ", "]") else []
            return
        for piece in data.splitlines(keepends=True) if self.is_code else [data]:
            if self.is_code or piece.strip("\n"):
                self.write(piece)
            if self.is_code and piece.endswith("\n"):
                self.owed = self.bars


def signs(text: str) -> str:
    """Every character that has a look."""
    return "".join(text.split())


WORDS = ["a", "two", "f(x)", "__init__", "init", "x_1", "C:\\new", "\\_", "$5", "3", "4.", "é", "日本", "it's"]
MARKS = ["*", "**", "_", "__", "`", "~~", "#", "-", "+", "1.", "2)", "&amp;", "&", "\\", "[a](https://b.c)", "[1]:"]
MARKS += ["---", "===", "(", ")", "/", "!", "\\*", "***"]
GAPS = ["", "", " ", " ", "  ", "\n", "\n\n", "\n  ", "\n    "]
PART = st.tuples(st.sampled_from(WORDS) | st.sampled_from(MARKS), st.sampled_from(GAPS))
INLINE = st.lists(PART, min_size=1, max_size=14).map(lambda parts: "".join(a + b for a, b in parts))
STARTS = [
    "",
    "",
    "> ",
    ">",
    "> > ",
    ">>",
    "- ",
    "1. ",
    "  ",
    "   ",
    "     ",
    "> - ",
    "> 1. ",
    ">   ",
    "- > ",
    "> - > ",
    "#",
    "\t",
]
FENCES = ["```", "````", "`````", "```py", "``` x y", "````py", "``` ", "~~~", "~~~ b", "```` ```", "``", "` ``"]
INSIDE = [*WORDS, *MARKS, *FENCES, "``a``", "`` ` ``", "a > b", "> a", "", "", "b  "]
LINE = st.tuples(st.sampled_from(STARTS), st.sampled_from(INSIDE) | st.sampled_from(FENCES)).map("".join)
TEXT = INLINE | st.lists(LINE, min_size=1, max_size=8).map("\n".join)


@settings(max_examples=800, deadline=None)
@given(TEXT)
@example("2*3*4 = 24")
@example("Put __init__.py there.")
@example("**a** *b* `c` ~~d~~")
@example("# a #\n\nb")
@example("a\\\nb")
@example("[x]: https://y.z\n\n[x]")
def test_no_sign_is_lost_or_made_up(text: str) -> None:
    """Formatting stands for its own signs, so what is seen can be written down again: no two texts look the same."""
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
