"""Pieces of the admin pages without a server: the form of settings and back, differences, numbers, charts."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest
from rating_visitors import a_task

from assent.core.errors import StoreError
from assent.core.types import Ranking
from assent.feedback.records.settings import AttributeQuestion, Criterion, ProjectSettings
from assent.stats.estimate import Estimate
from assent.web.admin import charts, numbers
from assent.web.admin.differences import differences
from assent.web.admin.order_form import places_of, ranking_of
from assent.web.admin.settings_form import ROWS, SECTIONS, Filled, fill, read

RICH = ProjectSettings(
    title="A <b>title</b>",
    criteria=(Criterion(name="Helpful", question="Is it?", anchors=("no", "a bit", "yes")),),
    flags=("unsafe",),
    strengths=False,
    overlap_share=0.07,
    gold_share=0.12345,
    lease_seconds=100.0,
    cost_per_hour=17.5,
    consent_text="One line.\nAnother.",
    attributes=(AttributeQuestion(name="region", question="Where?", choices=("north", "south"), purpose="agreement"),),
    goal="near_ties",
)


def interval(value: float, low: float, high: float, n: int) -> Estimate:
    return Estimate(estimate=value, low=low, high=high, n=n)


def _sent(filled: Filled) -> dict[str, str]:
    """What a browser would send of this form."""
    cells = {
        f"{table}.{i}.{column}": text
        for table, rows in filled.rows.items()
        for i, row in enumerate(rows)
        for column, text in row.items()
    }
    return {**filled.values, **cells}


@pytest.mark.parametrize("settings", [ProjectSettings(), RICH, ProjectSettings(is_open=False)])
def test_a_form_sent_as_it_stands_changes_nothing(settings: ProjectSettings) -> None:
    found = read(_sent(fill(settings)), settings).settings
    assert found is not None
    assert found == settings, "to the last digit"


def test_every_setting_has_a_field() -> None:
    named = {entry.name for _, entries in SECTIONS for entry in entries} | set(ROWS) | {"is_open"}
    assert named == set(ProjectSettings.model_fields)


@pytest.mark.parametrize(
    ("field", "text", "place"),
    [
        ("overlap_share", "many", "overlap_share"),
        ("overlap_share", "nan", "overlap_share"),
        ("overlap_share", "130", "overlap_share"),
        ("lease_seconds", "inf", "lease_seconds"),
        ("overlap", "2.5", "overlap"),
        ("goal", "chaos", "goal"),
        ("criteria.0.anchors", "only one", "criteria.0.anchors"),
        ("criteria.7.question", "a question without a name", "criteria.1.name"),
    ],
)
def test_a_refusal_stands_at_its_field_and_keeps_what_was_written(field: str, text: str, place: str) -> None:
    form = {**_sent(fill(RICH)), field: text}
    found = read(form, RICH)
    assert found.settings is None and place in found.problems, found.problems
    assert text in (*found.values.values(), *(cell for row in found.rows["criteria"] for cell in row.values()))


def test_a_row_without_anything_in_it_is_left_out() -> None:
    form = {**_sent(fill(RICH)), "criteria.0.name": " ", "criteria.0.question": "", "criteria.0.anchors": "\n"}
    found = read(form, RICH).settings
    assert found is not None and found.criteria == ()


def test_differences_mark_words_inside_a_line_and_leave_the_rest_out() -> None:
    before = "\n".join(f"line {i}" for i in range(10)) + "\nlast words here\n"
    lines = differences(before, before.replace("last words here", "last new words here"))
    assert [line.kind for line in lines] == ["gap", "same", "same", "changed"]
    assert [(p.kind, p.text) for p in lines[-1].pieces] == [("same", "last"), ("new", " new"), ("same", " words here")]
    assert differences(before, before) == []


def test_lines_that_have_nothing_in_common_are_gone_and_new() -> None:
    assert [line.kind for line in differences("apples\n", "12345\n67\n")] == ["gone", "new", "new"]


def test_numbers_never_come_without_their_interval() -> None:
    found = interval(0.724, 0.61, 0.812, 30)
    assert numbers.share(found) == "72\u202f% (61\u2009–\u200981)"
    assert numbers.coefficient(interval(-0.1, -0.25, 0.05, 9)) == "\u22120.10 (\u22120.25\u2009–\u20090.05)"
    assert numbers.correlation_ends(interval(0.05, -1.21, 1.31, 3)) == "\u22121.00\u2009–\u20091.00"
    assert not numbers.is_known(interval(1.0, 0.5, float("inf"), 1)) and numbers.is_known(interval(1.0, 0.5, 2.0, 3))
    assert numbers.share(interval(1.0, float("-inf"), float("inf"), 1)) == "100\u202f% (?\u2009–\u2009?)"
    assert numbers.share(None) == "–"
    assert numbers.difference(interval(-0.08, -0.15, 0.01, 4)) == "\u22128 (\u221215\u2009–\u2009+1)"


def test_durations_amounts_and_moments() -> None:
    assert [numbers.seconds(value) for value in (5.4, 89, 120, 200, None)] == [
        "5\u202fs",
        "89\u202fs",
        "2\u202fmin",
        "3\u202fmin 20\u202fs",
        "–",
    ]
    assert numbers.money(1234.5, "EUR") == "EUR 1\u202f230" and numbers.money(3.456, "EUR") == "EUR 3.46"
    assert numbers.hours_value(interval(45_000, 0, 0, 3)) == "12.5\u202fh"
    assert numbers.moment(0) == '<time datetime="1970-01-01T00:00:00Z">1970-01-01 00:00 UTC</time>'
    assert numbers.day(float("inf")) == "–"


HOSTILE = '"><script>alert(1)</script>&'


@pytest.mark.parametrize(
    "svg",
    [
        charts.track(interval(0.5, float("-inf"), float("inf"), 1), reference=0.5),
        charts.track(None),
        charts.bars([0, 3, 1200], HOSTILE, titles=[HOSTILE] * 3, ticks=[(1, HOSTILE)]),
        charts.curve(
            [
                charts.Mark(100, interval(0.6, 0.5, 0.7, 9)),
                charts.Mark(50, interval(0.55, 0.4, 0.7, 9)),
            ],
            HOSTILE,
            x_label=HOSTILE,
            levels=[charts.Level(HOSTILE, 0.8)],
        ),
        charts.curve([charts.Mark(0, interval(1.0, 1.0, 1.0, 1))], "one", x_label="x"),
    ],
)
def test_figures_are_well_formed_hold_no_style_and_stay_in_their_frame(svg: str) -> None:
    root = ElementTree.fromstring(svg)
    _, _, width, height = (float(part) for part in root.attrib["viewBox"].split())
    for element in root.iter():
        assert "style" not in element.attrib and element.tag != "script"
        for name in ("x", "x1", "x2", "cx"):
            assert 0 <= float(element.attrib.get(name, 0)) <= width
        for name in ("y", "y1", "y2", "cy"):
            assert 0 <= float(element.attrib.get(name, 0)) <= height


def test_an_order_by_places_ties_equal_places_and_wants_each() -> None:
    task = a_task(1, answers=3)
    a, b, c = (completion.id for completion in task.completions)
    form = {"place.0": "2", "place.1": "1", "place.2": "2"}
    assert ranking_of(form, task) == Ranking(tiers=((b,), (a, c)))
    assert ranking_of(form, task, order=(c, a, b)) == Ranking(tiers=((a,), (c, b)))
    assert places_of(ranking_of(form, task), (a, b, c)) == {"place.0": "2", "place.1": "1", "place.2": "2"}
    for bad in ({"place.2": ""}, {"place.2": "4"}, {"place.2": "0"}, {"place.2": "1e1"}, {"place.2": "\u0661\u0661"}):
        with pytest.raises(StoreError, match="answer C has no place"):
            ranking_of({**form, **bad}, task)
