"""What raters see is what was written: no sign and no line break is lost, whatever Markdown would make of it."""

from __future__ import annotations

import itertools
from html import escape

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from page_seen import look, signs, written

from assent.web.render import markup

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
LINKS = [
    "[a](https://b.c)",
    "[a](<https://b.c>)",
    '[a](https://b.c "t")',
    "[a](https://b.c 't')",
    "[a](https://b.c (t))",
]
LINKS += [
    "[a]( https://b.c/%C3%A9 )",
    "[a](https://b.c/é)",
    "[a](https://b.c/\\_&amp;)",
    "[a]()",
    "[a](<>)",
    "[*a*](http://b)",
]
LINKS += [
    "[a][b]",
    "[a][]",
    "[b]: https://c.d",
    "[b]: <https://c.d> 't'",
    "<https://b.c>",
    "<https://b.c/%C3%A9>",
    "<a@b.c>",
]
LINKS += [
    "<mailto:a@b.c>",
    "https://b.c",
    "![a](https://b.c)",
    '![a · b](https://b.c "t")',
    "![](https://b.c)",
    "![a]()",
]
LINKS += [
    "[![a](https://b.c)](https://d.e)",
    "![![a](https://b.c)](https://d.e)",
    "![a][b]",
    "<b>",
    "</b>",
    "<!-- a -->",
]
LINKS += ["&lt;", "&#65;", "&copy", "(https://b.c)", "<", ">", "[", "]", "](", "![", "[image: a · https://b.c]"]
LATEX = [
    "x",
    "y",
    "2",
    "12",
    "^",
    "_",
    "{",
    "}",
    "{x}",
    "x^2",
    "x^{2}",
    "x_{ij}",
    "\\frac{a}{b}",
    "\\frac ab",
    "\\dfrac{a}{b}",
]
LATEX += [
    "\\sqrt{x}",
    "\\sqrt x",
    "\\sqrt[3]{x}",
    "\\le ",
    "\\leq ",
    "\\alpha ",
    "\\sum_{i=1}^n ",
    "\\sum\\limits_i ",
    "\\, ",
    "~",
]
LATEX += [
    "\\left(",
    "\\right)",
    "(",
    ")",
    "\\left(\\frac{a}{b}\\right)",
    "|",
    "\\text{a b}",
    "\\mathrm{d}",
    "\\mathbb{R}",
    "ℝ",
    "≤",
]
LATEX += [
    "\\hat{x}",
    "\\hat x",
    "'",
    "''",
    "\\prime",
    "-",
    "−",
    "*",
    "=",
    "\\{",
    "\\}",
    "\\%",
    "%",
    "&",
    "\\\\",
    "\\foo",
    "\\sin ",
    "sin",
]
LATEX += [
    "\\begin{pmatrix}a&b\\\\c&d\\end{pmatrix}",
    "\\color{red}{x}",
    "\\phantom{x}",
    "\\overline{x}",
    "\\binom{n}{k}",
    ".",
    "1.5",
]
SIDES = [
    ("$", "$"),
    ("$$", "$$"),
    ("\\(", "\\)"),
    ("\\[", "\\]"),
    ("$$\n", "\n$$"),
    ("\\[\n", "\n\\]"),
    ("\n$$", "$$\n"),
]
FORMULA = st.tuples(st.sampled_from(SIDES), st.lists(st.sampled_from(LATEX), min_size=1, max_size=5)).map(
    lambda made: "".join(made[1]).join(made[0])
)
SPAN = st.sampled_from(WORDS) | st.sampled_from(MARKS) | st.sampled_from(LINKS) | FORMULA
RICH = st.lists(st.tuples(SPAN, st.sampled_from(GAPS)), min_size=1, max_size=8).map(
    lambda parts: "".join(a + b for a, b in parts)
)
DELIMITERS = ["---", "---", "-", "--", "-----", ":---", "---:", ":---:", ":-:", ":-", "- :", ":"]
CELL = st.sampled_from(
    ["a", "", "b c", "**d**", "`e`", "\\|", "`|`", "[a](https://b.c)", "$x$", "$x^{2}$", "-", ":-", "---", "\\"]
)


@st.composite
def tables(draw: st.DrawFn) -> str:
    """A table, or nearly one: with bars at its sides or without, ragged, aligned in every way."""
    columns = draw(st.integers(1, 3))
    sides = st.sampled_from([("|", "|"), ("| ", " |"), ("|", "|"), ("|", ""), ("", "|"), ("", "")])

    def row(cells: st.SearchStrategy[str], number: int) -> str:
        left, right = draw(sides)
        between = draw(st.sampled_from(["|", " | "]))
        return left + between.join(draw(st.lists(cells, min_size=number, max_size=number))) + right

    counts = draw(st.lists(st.sampled_from([0, 0, 0, 0, 1, -1]), max_size=3))
    rows = [row(CELL, columns), row(st.sampled_from(DELIMITERS), columns)]
    rows += [row(CELL, max(columns + more, 0)) for more in counts]
    start = draw(st.sampled_from(["", "", "", "> ", "  "]))
    return "\n".join(start + row for row in rows)


RULES = [
    "***",
    "* * *",
    "___",
    "_ _ _",
    "---",
    "- - -",
    "===",
    "==",
    "# a #",
    "## a ##",
    "### a",
    "#### a #",
    "##### a",
]
BLOCK = (
    RICH | tables() | st.sampled_from([*RULES, "a\n===", "a\n---", "a  \nb", "a\\\nb", "7) a\n8) b", "+ a\n- b\n* c"])
)
BLOCKS = st.tuples(st.sampled_from(["", "", "> ", "- ", "1. "]), BLOCK).map("".join)
TEXT = INLINE | st.lists(LINE, min_size=1, max_size=8).map("\n".join)
TEXT |= st.lists(BLOCKS, min_size=1, max_size=4).map("\n\n".join) | st.lists(BLOCKS, min_size=2, max_size=3).map(
    "\n".join
)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[str, str]:
    """A text, and one that differs from it by one sign: left out, put in, or another."""
    text = draw(TEXT)
    at = draw(st.integers(0, len(text)))
    sign = draw(st.sampled_from([*list("*_`~#>-+|:=()[]<>{}\"'!\\$&;^%,.1a2 "), "", "**", "``", "$$", "{x}", "\\,"]))
    return text, text[:at] + sign + text[at + draw(st.integers(0, 2)) :]


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
    shown = written(markup.render(text))
    assert signs(shown) == signs(text)


@settings(max_examples=800, deadline=None)
@given(pairs())
def test_texts_that_differ_in_one_sign_look_different(pair: tuple[str, str]) -> None:
    one, other = pair
    assert signs(one) == signs(other) or look(markup.render(one)) != look(markup.render(other))


@pytest.mark.parametrize("pieces", [[r"x", "2", "^", "{", "}", "_", r"\alpha ", "'", "\\left(", "\\right)", "\\text"]])
def test_pictures_of_formulas_that_look_alike_show_their_sources(pieces: list[str]) -> None:
    sources: dict[str, str] = {}
    for length in (1, 2, 3):
        for chosen in itertools.product(pieces, repeat=length):
            text = f"${''.join(chosen)}$"
            assert sources.setdefault(look(markup.render(text)), signs(text)) == signs(text)


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


@pytest.mark.parametrize(
    "one", ["a || b", "x...", "x << y", r"x^{2}", r"a \cdot\cdot b", r"\text{sin} x", "x % y", r"\frac ab"]
)
def test_a_picture_that_another_formula_would_give_shows_its_source(one: str) -> None:
    assert f'<code data-source="">{escape(one)}</code>' in markup.render(f"${one}$")


@pytest.mark.parametrize(
    "one", [r"\|x\|", r"x_1, \ldots, x_n", r"x \ll y", "x^2", r"\frac{a}{b}", r"\sin x", r"\text{if } x > 0"]
)
def test_a_formula_as_anyone_would_write_it_is_a_picture_alone(one: str) -> None:
    html = markup.render(f"${one}$")
    assert "<math" in html and "data-source" not in html


def test_indentation_and_line_breaks_stay_without_a_fence() -> None:
    text = "def f(x):\n    if x:\n        return 1\n\n    y = 2"
    assert written(markup.render(text)).split("\n")[:3] == text.split("\n")[:3]
    assert "    y = 2" in markup.render(text)


def test_stars_emphasize_at_the_edge_of_words_only() -> None:
    assert "<strong>bold</strong>" in markup.render("This is **bold**, really.")
    assert "<em>so</em>" in markup.render("(*so* it is)")
    for text in ("2*3*4", "(a+b)*(c+d)*(e+f)", "ls *.py *.js*", "f(*args, **kwargs)", "5* and 4* hotels", "_a_ __b__"):
        assert "<em>" not in markup.render(text) and "<strong>" not in markup.render(text), text


def test_plain_shows_every_character() -> None:
    text = "  # a **b**\n\n\n\tc &lt; <b>d</b>\u202e"
    html = markup.render(text, how="plain")
    assert written(html) == "  # a **b**\n\n\n\tc &lt; <b>d</b>‹U+202E›\n"
    assert "<strong" not in html and "<h3" not in html
