"""Parts of the report: word diffs, figures in the page's colours, settings."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from assent.core.config import Config
from assent.report.configuration import settings_of
from assent.report.diff import change, visible, word_diff
from assent.report.figures import (
    Bar,
    BeforeAfter,
    Curve,
    Frame,
    Row,
    Trend,
    bars,
    curves,
    dumbbells,
    histogram,
    intervals,
    levels,
    percent,
    trends,
)
from assent.report.plots import NAMES
from assent.stats.estimate import Estimate

HALF = Estimate(estimate=0.5, low=0.4, high=0.6)


def marked(pieces: tuple) -> list[str]:
    return [p.text for p in pieces if p.is_changed]


def test_a_changed_word_is_marked_and_its_neighbours_are_not() -> None:
    found = word_diff("Your parcel arrives on Monday.", "Your parcel arrives on Friday.")
    assert marked(found.before) == ["Monday"] and marked(found.after) == ["Friday"]
    assert not found.is_rewritten


def test_two_changed_words_are_one_mark() -> None:
    found = word_diff("You will get it late, I am afraid.", "You will get it next week, I am afraid.")
    assert marked(found.after) == ["next week"]


def test_a_rewritten_answer_is_not_marked_word_by_word() -> None:
    found = word_diff("No.", "We will send a new lamp tomorrow morning without cost")
    assert found.is_rewritten and marked(found.after) == []


def test_spaces_do_not_make_strangers_look_alike() -> None:
    # Of six words each, two are the same: a third. With the five spaces counted it would be seven of eleven.
    found = word_diff("it is a lot to use", "we see one lot to them")
    assert found.in_common == pytest.approx(2 * 2 / 12)


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_diff_loses_no_character(before: str, after: str) -> None:
    found = word_diff(before, after)
    assert "".join(p.text for p in found.before) == before
    assert "".join(p.text for p in found.after) == after


def test_change_runs_from_nothing_to_everything() -> None:
    assert change("the same", "the same") == 0
    assert change("abc", "xyz") == 1


def test_hidden_characters_are_spelled_out_and_languages_left_alone() -> None:
    assert visible("a\u202eb\x1bc") == "a⟨U+202E⟩b⟨U+001B⟩c"
    for text in ("line\nline\tend", "שלום عالم", "می\u200cخواهم", "👩\u200d👧", "naïve 日本語"):
        assert visible(text) == text


def test_percent_says_something_near_the_ends() -> None:
    said = [percent(v).replace("\u00a0", " ") for v in (0, 0.004, 0.834, 0.996, 1)]
    assert said == ["0 %", "0.4 %", "83 %", "99.6 %", "100 %"]


FIGURES = {
    "curves": lambda name: curves([Curve(range(90), [0.1 * i for i in range(90)], smooth=True)], name),
    "one point": lambda name: curves([Curve([0], [1.0])], name, frame=Frame(low=0)),
    "flat": lambda name: curves([Curve([0, 1], [0.0, 0.0])], name, frame=Frame(low=0, high=1, is_share=True)),
    "nan": lambda name: curves([Curve([0, 1, 2], [0.0, float("nan"), 1.0])], name),
    "log": lambda name: curves([Curve([0, 1], [1e-6, 3e-6])], name, frame=Frame(is_log=True)),
    "log with zero": lambda name: curves([Curve([0, 1], [0.0, 3e-6])], name, frame=Frame(is_log=True)),
    "intervals": lambda name: intervals([Row(name, HALF)], name, reference=0.5),
    "levels": lambda name: levels([Row(name, HALF)], name, references=(0, 1)),
    "dumbbells": lambda name: dumbbells([BeforeAfter(name, HALF, HALF)], name),
    "histogram": lambda name: histogram([0.0, 0.0], [0.0], name, x=name),
    "bars": lambda name: bars([Bar(name, 0.0, name)], name),
    "trends": lambda name: trends(
        [Trend(name, [HALF, None, HALF]), Trend("b", [None] * 3)], name, ticks=["a", "b", "c"]
    ),
}


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("name", ["plain", "<b>\"&' $\\frac{ --> ]]>"])
def test_every_figure_is_sound_markup_in_the_colours_of_the_page(figure: str, name: str) -> None:
    svg = FIGURES[figure](name)
    tree = ElementTree.fromstring(svg.replace("xlink:href", "href"))
    assert tree.get("aria-label") == name
    assert not {child.tag for child in tree.iter()} & {"b", "script", "style", "metadata"}
    colours = set(re.findall(r"#[0-9a-f]{6}\b", svg)) - {"#000000"}
    assert not colours, f"not from the page: {colours}"
    used = set(re.findall(r"var\(--([a-z]+)\)", svg))
    assert used and used <= set(NAMES.values())
    assert "font-family" not in svg, "texts have the font of the page"


def test_what_stands_at_the_end_of_a_row_fits_into_the_figure() -> None:
    svg = levels([Row("a", Estimate(estimate=-1234.5, low=-2234.5, high=-1034.5))], "wide", digits=3)
    wide = float(re.findall(r'viewBox="0 0 ([\d.]+)', svg)[0])
    (start,) = re.findall(r' x="([\d.]+)"[^>]*>-1234\.500 \[-2234\.500, -1034\.500\]<', svg)
    assert float(start) + 30 * 5.5 < wide  # 30 letters of 11 pixels, about half as wide as high


def test_settings_compare_with_the_default_of_the_place_where_they_stand() -> None:
    class Rate(Config):
        rate: float = 1.0
        """How fast."""

    class Both(Config):
        needed: str
        """No default."""
        slow: Rate = Rate(rate=0.5)
        fast: Rate = Field(default_factory=Rate)

    found = {s.key: s for s in settings_of(Both(needed="x", slow=Rate(rate=0.5), fast=Rate(rate=0.5)))}
    assert not found["slow.rate"].is_changed  # 0.5 is this field's default, though not that of Rate
    assert found["fast.rate"].is_changed and found["fast.rate"].default == "1.0"
    assert found["needed"].default is None and found["needed"].is_changed
    assert found["slow.rate"].help == "How fast."
