"""What becomes of texts that models write: formatted where it is harmless, shown as text where it is not."""

from __future__ import annotations

import gc
import time

import pytest
from html_seen import Seen, strangers
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.web.render import invisible, markup
from hostile_texts import HOSTILE


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_becomes_nothing_but_allowed_elements(name: str) -> None:
    html = markup.render(HOSTILE[name])
    assert strangers(html) == []
    assert "javascript:" not in "".join(value.lower() for _, _, value in Seen(html).attributes)


@pytest.mark.parametrize(
    "name", ["script", "handler", "svg", "style", "frame", "formula text", "fence content", "code"]
)
def test_what_cannot_run_is_still_there_to_be_read(name: str) -> None:
    """A rater judges what the model wrote: markup that was dropped instead of shown would hide it."""
    said = Seen(markup.render(HOSTILE[name])).text
    assert any(word in said for word in ("alert(1)", "@import"))


def test_markdown_is_formatted() -> None:
    html = markup.render(
        "# Head\n\nA **b** *c* ~~d~~ `e`\n\n- one\n- two\n\n3. three\n\n> said\n\n|a|b|\n|-|-:|\n|1|2|"
    )
    for tag in ("h3", "strong", "em", "s", "code", "ul", "ol", "li", "blockquote", "table", "th", "td"):
        assert f"<{tag}" in html, tag
    assert 'start="3"' in html
    assert "<h1" not in html, "headings of an answer lie below those of the page"
    assert strangers(html) == []


def test_links_lead_out_marked_and_without_a_referrer() -> None:
    html = markup.render("[site](https://x.example/a?b=1&c=2) <mailto:a@x.example>")
    links = [a for a in Seen(html).attributes if a[0] == "a"]
    assert ("a", "href", "https://x.example/a?b=1&c=2") in links
    assert links.count(("a", "rel", "noopener noreferrer nofollow")) == 2
    assert links.count(("a", "target", "_blank")) == links.count(("a", "data-external", "")) == 2


def test_an_image_is_told_and_never_loaded() -> None:
    html = markup.render("![a red cat](https://evil.example/cat.png?rater=7)")
    assert "<img" not in html
    assert Seen(html).text.strip() == "[image: a red cat · https://evil.example/cat.png?rater=7]"


def test_code_is_coloured_by_classes_and_keeps_every_character() -> None:
    code = 'def f(x: int) -> str:  # <why>\n\treturn "a" * x\n'
    html = markup.render(f"```python\n{code}```")
    assert '<span class="hl-keyword">def</span>' in html
    assert 'data-language="python"' in html
    assert Seen(html).text == code + "\n"


@pytest.mark.parametrize("info", ["", "nosuchlanguage", "python" * 50, "../../etc/passwd"])
def test_code_in_no_known_language_is_plain(info: str) -> None:
    html = markup.render(f"```{info}\nif x:\n```")
    assert "<span" not in html
    assert "if x:" in html


def test_code_on_which_a_grammar_is_slow_is_plain() -> None:
    gc.collect()
    began = time.thread_time()  # of this thread, as the limit: others work beside it
    html = markup.render("```matlab\n" + " \n" * 9_900 + "x = 1;\n```")
    assert "hl-" not in html
    assert time.thread_time() - began < 1  # its grammar takes more than two seconds


@pytest.mark.parametrize(
    "text", ["$x^2$", r"\(x^2\)", "$$x^2$$", r"\[x^2\]", "$$\nx^2\n$$", "\\[\nx^2\n\\]", "a $x^2$, b"]
)
def test_formulas_become_mathml(text: str) -> None:
    assert "<msup><mi>x</mi><mn>2</mn></msup>" in markup.render(text)


def test_a_display_formula_over_lines_is_not_read_as_a_list() -> None:
    html = markup.render("$$\na\n- b\n= c\n$$")
    assert "<ul" not in html and "<h" not in html
    assert 'display="block"' in html


@pytest.mark.parametrize("text", ["It costs $5 and $10.", "US$ 3 or 4$", "a $ b $ c", r"\$x\$", "`$x$`", "x$y$z"])
def test_money_is_not_a_formula(text: str) -> None:
    assert "<math" not in markup.render(text)


@pytest.mark.parametrize(
    "text", [r"$\frac{1}{$", r"$\newcommand{\a}{b}\a$", r"$\begin{matrix}$", "$" + "{" * 99 + "}" * 99 + "$"]
)
def test_a_formula_that_cannot_be_read_is_shown_as_it_was_written(text: str) -> None:
    html = markup.render(text)
    assert Seen(html).text.strip() == text
    assert "<code>" in html


def test_formulas_paint_nothing_outside_their_place() -> None:
    html = markup.render(HOSTILE["formula size"]) + markup.render(HOSTILE["formula style"])
    attributes = Seen(html).attributes
    assert not {name for _, name, _ in attributes} & {
        "style",
        "class",
        "href",
        "mathbackground",
        "mathcolor",
        "height",
        "voffset",
    }
    assert not any("9999em" in value for _, _, value in attributes), "its source is shown, and stretches nothing"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("abc\u202egpj.exe", "abc‹U+202E›gpj.exe"),
        ("a\u2066b\u2069", "a‹U+2066›b‹U+2069›"),
        ("&#x202e;abc", "&#x202e;abc"),
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("pass\u200bword", "pass‹U+200B›word"),
        ("a" + "\u200b" * 40 + "b", "a‹U+200B ×40›b"),
        ("\ufeffa\u2028b", "‹U+FEFF›a‹U+2028›b"),
        ("a\U000e0041\U000e0042", "a‹U+E0041›‹U+E0042›"),
        ("a\x00b\x7f", "a␀b␡"),
        ("e" + "\u0301" * 50, "e" + "\u0301" * 8 + "‹42 marks›"),
        ("`\u202e`", "‹U+202E›"),
        ("\ud800", "\ufffd"),
    ],
)
def test_characters_that_hide_or_reorder_are_written_out(text: str, shown: str) -> None:
    assert Seen(markup.render(text)).text.strip() == shown


@pytest.mark.parametrize(
    "text",
    [
        "می‌خواهم",  # Persian with a zero-width non-joiner
        "👩‍👩‍👧 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",  # joined family, flag of England
        "שלום \u200fabc\u200f",  # right-to-left marks
        "ภาษา\u200bไทย",  # Thai word break
        "葛\U000e0100",  # ideographic variant
        "Việt Nam, naïve, क्षत्रिय",
        "soft\u00adhyphen",
    ],
)
def test_characters_that_a_script_needs_stay(text: str) -> None:
    assert invisible.show(text) == text


def test_blocks_find_their_own_direction_and_lists_have_that_of_their_text() -> None:
    html = markup.render("مرحبا\n\nhello\n\n- نقطة أولى\n- نقطة\n\n> اقتباس\n\n|عمود|\n|-|\n|a|")
    seen = Seen(html).attributes
    assert {(tag, value) for tag, name, value in seen if name == "dir"} >= {
        ("p", "auto"),
        ("li", "auto"),
        ("ul", "rtl"),
        ("blockquote", "rtl"),
        ("table", "rtl"),
        ("td", "auto"),
    }
    assert 'dir="ltr"' in markup.render("```python\nx = 'مرحبا'\n```")


COSTLY = {
    "one line": "x" * 200_000,
    "very long": ("word " * 40 + "\n") * 1_100,
    "wide table": "|" + "a|" * 1000 + "\n|" + "-|" * 1000 + "\n" + "|\n" * 90_000,
    "tall table": "|a|b|\n|-|-|\n" + "|1|2|\n" * 30_000,
    "nested lists": "".join("  " * i + "- a\n" for i in range(400)),
    "nested quotes": ">" * 5_000 + "a\n",
    "nested emphasis": ("*a **a " * 300 + "b* b** " * 300 + "\n\n") * 40,
    "brackets": ("[" * 1000 + "\n") * 200,
    "half links": ("[a](" * 1000 + "\n") * 50,
    "images in images": ("![[" * 500 + "\n") * 130,
    "ticks": " ".join("`" * i for i in range(1, 190)) * 10,
    "stars": ("*" * 5000 + "a\n") * 40,
    "signs": ("*a* **b** [c](http://d.e) `f` " * 20 + "\n") * 300,
    "ampersands": ("&" * 5000 + "\n") * 40,
    "open formulas": "\\[\n" * 66_000,
    "half formulas": ("\\[\n" * 600 + "\\]x\n") * 100,
    "dollars": ("$a $a " * 300 + "\n") * 110,
    "formulas": ("$\\frac{a}{b}$ " * 20 + "\n") * 700,
    "references": "".join(f"[a{i}]: http://b/{i}\n" for i in range(9_000)),
    "rules": "- - - a\n" * 25_000,
    "lines": "a  \n" * 50_000,
    "code": ("```python\n" + 'x = "a" + f(1)\n' * 20 + "```\n") * 600,
    "overrides": "\u202e\u202d" * 100_000,
}


@pytest.mark.parametrize("name", COSTLY)
def test_200_kilobytes_of_anything_take_less_than_a_second(name: str) -> None:
    """The quicker of three times, of texts that differ by a word: a busy machine slows even CPU time."""
    seconds = []
    for attempt in ("", "x ", "xx "):
        text = (attempt + COSTLY[name])[:200_000]
        began = time.process_time()
        html = markup.render(text)
        seconds.append(time.process_time() - began)
        if seconds[-1] < 1.0:
            break
    assert min(seconds) < 1.0
    assert len(html) < 10 * len(text)
    assert strangers(html) == []


@pytest.mark.parametrize(
    ("name", "reason"), [("one line", "line"), ("tall table", "table"), ("nested lists", "deep"), ("signs", "busy")]
)
def test_what_costs_too_much_is_whole_and_says_why(name: str, reason: str) -> None:
    text = COSTLY[name][:200_000]
    html = markup.render(text)
    assert ("p", "data-plain", reason) in Seen(html).attributes
    assert Seen(html).text == markup.REASONS[reason] + text


def test_nothing_is_cut_off_where_the_parser_gives_up_on_depth() -> None:
    """markdown-it drops what lies deeper than its limit without a word."""
    text = ">" * 60 + " the answer"
    assert "the answer" in Seen(markup.render(text)).text


def test_a_long_ordinary_answer_is_formatted() -> None:
    text = (
        "## Part\n\nSome *words* and `code` in a usual paragraph, with a [link](https://x.example).\n\n- a\n- b\n\n"
        * 200
    )
    assert len(text) > 15_000
    gc.collect()  # a collection of everything that other tests hold is no work of this text
    assert "data-plain" not in markup.render(text)


def test_the_same_text_gives_the_same_html_from_the_cache() -> None:
    text = "**cached** " * 2_000
    first = markup.render(text)
    assert markup.render(text) is first


def test_the_cache_forgets_what_was_used_least_when_it_is_full() -> None:
    cache = markup._Cache(characters=10)
    cache.put(b"a", "12345")
    cache.put(b"b", "12345")
    assert cache.get(b"a") == "12345"
    cache.put(b"c", "1")
    assert (cache.get(b"a"), cache.get(b"b"), cache.get(b"c")) == ("12345", None, "1")


PIECES = st.sampled_from([
    "*", "**", "_", "`", "```\n", "~~", "[", "](", ")", "!", "$", "$$", "\\(", "\\)", "\\[", "\\]", "\\frac", "{",
    "}", "|", "|-|-|\n", "\n", "\n\n", "- ", "1. ", "> ", "# ", "    ", "<", ">", "</", "<script>", "<svg onload=",
    "<!--", "-->", "&lt;", "&#x3c;", '"', "'", "javascript:", "https://x.example/", "mailto:", "data:text/html,",
    "onerror=alert(1)", "style=", "\\href{javascript:x}{y}", "\\text{", "\\unicode{x3c}", "\u202e", "\u200b", "\x00",
    "\x1b[1m", "\ud800", "م", "日本", "a", "python\n", "\\style{a}{b}",
])  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES | st.text(max_size=6), max_size=60).map("".join))
def test_no_text_at_all_makes_anything_but_allowed_elements(text: str) -> None:
    html = markup.render(text)
    assert strangers(html) == []
    assert not set(html) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\x1b\x00")
