"""Facts about exports: what is written reads back as the same weak orders, and what is lost is said in numbers."""

from __future__ import annotations

import json

import pytest

from assent.core.errors import DataError, UserError
from assent.core.types import Comparison, Completion, Judgment, Message, Note, Prompt, Ranking, Rater
from assent.data.anonymity import suppressed
from assent.data.config import Source
from assent.data.exports import EXPORTS, encode, export
from assent.data.load import load_comparisons, load_conversations
from assent.data.losses import Losses

HISTORY = (("user", "a"), ("assistant", "b"), ("user", "c"))


def comparison(*tiers, name="q", messages=None, rater="r", texts=None, unplaced=(), strengths=None, **judgment):
    turns = messages or (("user", f"Why {name}?"),)
    prompt = Prompt(messages=tuple(Message(role=role, content=content) for role, content in turns))
    names = sorted([*(i for tier in tiers for i in tier), *unplaced])
    answers = {
        i: Completion(
            prompt_id=prompt.id, text=(texts or {}).get(i, f"answer {i} to {name}"), id=f"{name}/{i}", source="m"
        )
        for i in names
    }
    ranking = Ranking(tiers=tuple(tuple(f"{name}/{i}" for i in tier) for tier in tiers), strengths=strengths)
    return Comparison(
        prompt=prompt,
        completions=tuple(answers.values()),
        judgments=(Judgment(task_id=f"t-{name}", rater_id=rater, ranking=ranking, **judgment),),
    )


def by_two(first, second):
    """One comparison with the judgments of two raters."""
    other = second.judgments[0].model_copy(update={"rater_id": "s"})
    return first.model_copy(update={"judgments": (first.judgments[0], other)})


CROWD = [
    comparison(("b",), ("a",), ("c",), name="1"),
    by_two(comparison(("b",), ("a", "c"), name="2"), comparison(("a", "c"), ("b",), name="2")),
    comparison(("d", "a"), ("c", "b"), name="3", rater="s"),
    comparison(("a",), ("b",), name="4", rater="t"),
]


def orders(comparisons):
    """Every weak order as tiers of texts, whoever said it."""
    found = []
    for one in comparisons:
        texts = {c.id: c.text for c in one.completions}
        for judgment in one.judgments:
            tiers = tuple(tuple(sorted(texts[i] for i in tier)) for tier in judgment.ranking.tiers)
            found.append((tuple((m.role, m.content) for m in one.prompt.messages), tiers))
    return sorted(found)


def pairs(comparisons):
    """Every strict pair as (prompt, better, worse)."""
    found = []
    for one in comparisons:
        texts = {c.id: c.text for c in one.completions}
        for judgment in one.judgments:
            strict = [(a, b) for a, b, is_tie in judgment.ranking.pairs() if not is_tie]
            found += [(one.prompt.text, texts[a], texts[b]) for a, b in strict]
    return sorted(found)


def back(path, format="auto"):
    return load_comparisons([Source(path=path, format=format)])[0]


WHOLE = ["assent", "ultrafeedback", "oasst", "argilla", "label_studio"]
PAIRS = ["trl", "trl_implicit", "trl_plain", "hh"]


@pytest.mark.parametrize(("format", "ending"), [(f, e) for f in WHOLE for e in EXPORTS[f].endings])
def test_formats_of_whole_rankings_read_back_as_the_same_weak_orders(tmp_path, format, ending):
    path = tmp_path / f"x{ending}"
    export(CROWD, format, path)
    read = back(path)
    assert orders(read) == orders(CROWD)
    first = path.read_bytes()
    export(CROWD, format, path)
    assert path.read_bytes() == first


@pytest.mark.parametrize(("format", "ending"), [(f, e) for f in PAIRS for e in EXPORTS[f].endings])
def test_formats_of_pairs_read_back_as_all_strict_pairs_and_count_the_ties(tmp_path, format, ending):
    path = tmp_path / f"x{ending}"
    report = export(CROWD, format, path)
    assert pairs(back(path)) == pairs(CROWD)
    # Task 2 has one tie in each of two rankings, task 3 two: a = d and b = c.
    assert report.losses["ties dropped"] == 4
    # 3 + 3 + 3 + 6 pairs of four rankings of more than two answers, ties among them.
    assert "4 rankings became 15 pairs, ties included" in report.lines()
    assert report.rows == len(pairs(CROWD)) and report.lines()[0] == f"wrote {report.rows} pairs as {format}"


@pytest.mark.parametrize("format", ["argilla", "label_studio"])
def test_tools_with_users_keep_raters_apart_and_name_them_the_same_in_every_export(tmp_path, format):
    path = tmp_path / f"x{EXPORTS[format].ending}"
    assert export(CROWD, format, path).losses["raters renamed"] == 3
    read = back(path)
    by_number = {c.prompt.text: [j.rater_id for j in c.judgments] for c in read}
    r, s = by_number["Why 2?"]
    assert r != s and by_number["Why 1?"] == [r] and by_number["Why 3?"] == [s]
    export(CROWD[2:], format, path)
    assert {c.prompt.text: [j.rater_id for j in c.judgments] for c in back(path)}["Why 3?"] == [s]


def test_everything_a_format_cannot_hold_is_counted(tmp_path):
    said = comparison(
        ("b",),
        ("a",),
        ("c",),
        unplaced=("d",),
        strengths=(3, None),
        critique="b is kind",
        notes=(Note(completion_id="q/a", text="no"), Note(completion_id="q/b", text="yes", quote="b")),
        flags={"q/d": ("unusable", "unsafe")},
        scores={"q/a": {"kind": 2, "true": 1}, "q/b": {"kind": 5}},
        edits={"q/a": "better"},
        seconds=12.5,
        order_shown=("q/a", "q/b", "q/c", "q/d"),
    )
    marked = said.model_copy(update={"judgments": (said.judgments[0].model_copy(update={"ranking": None}),)})
    unsaid = {
        "raters dropped": 1,
        "strengths dropped": 1,
        "critiques dropped": 2,
        "notes dropped": 4,
        "flags dropped": 4,
        "scores dropped": 6,
        "edits dropped": 2,
        "reading times dropped": 2,
        "orders of display dropped": 2,
        "judgments without a ranking dropped": 1,
        "answers without a place dropped": 1,
    }
    assert export([said, marked], "trl", tmp_path / "x.jsonl").losses == unsaid
    kept = {"raters dropped", "critiques dropped", "reading times dropped"}
    assert export([said, marked], "label_studio", tmp_path / "x.json").losses == {
        **{name: count for name, count in unsaid.items() if name not in kept},
        "raters renamed": 1,
    }
    own = export([said, marked], "assent", tmp_path / "own.jsonl")
    assert own.losses == {} and back(tmp_path / "own.jsonl") == [said, marked]


def test_label_studio_and_argilla_bring_critiques_back(tmp_path):
    for format in ("label_studio", "argilla"):
        path = tmp_path / f"{format}.jsonl"
        export([comparison(("b",), ("a",), critique="b is kind", seconds=3.5)], format, path)
        (judgment,) = back(path)[0].judgments
        assert judgment.critique == "b is kind"
        assert judgment.seconds == (3.5 if format == "label_studio" else None)


def test_ultrafeedback_keeps_scores_and_names_criteria(tmp_path):
    scored = comparison(("b",), ("a",), scores={"q/a": {"kind": 2}, "q/b": {"kind": 5}})
    export([scored], "ultrafeedback", tmp_path / "x.jsonl")
    (read,) = back(tmp_path / "x.jsonl")
    assert sorted(s["kind"] for s in read.judgments[0].scores.values()) == [2, 5]
    (row,) = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert [c["overall_score"] for c in row["completions"]] == [1.0, 10.0]


@pytest.mark.parametrize("format", ["trl", "trl_implicit", "oasst", "argilla", "label_studio", "assent"])
def test_conversations_of_several_turns_come_back_whole(tmp_path, format):
    path = tmp_path / "x.jsonl"
    export([comparison(("x",), ("y",), messages=HISTORY)], format, path)
    assert [(m.role, m.content) for m in back(path)[0].prompt.messages] == list(HISTORY)


@pytest.mark.parametrize("format", ["trl_plain", "ultrafeedback"])
def test_formats_of_one_turn_drop_longer_conversations_and_say_so(tmp_path, format):
    items = [comparison(("x",), ("y",)), comparison(("x",), ("y",), messages=HISTORY)]
    report = export(items, format, tmp_path / "x.jsonl")
    assert report.rows == 1
    assert "1 judgment dropped: the prompt has several turns or a system turn" in report.lines()


@pytest.mark.parametrize("format", ["hh", "oasst"])
def test_a_system_turn_is_laid_before_the_first_human_turn(tmp_path, format):
    report = export([comparison(("x",), ("y",), messages=(("system", "S"), *HISTORY))], format, tmp_path / "x.jsonl")
    (read,) = back(tmp_path / "x.jsonl", format)
    assert [m.content for m in read.prompt.messages] == ["S\n\na", "b", "c"]
    assert report.lines()[-1] == "1 system turn laid before the first human turn"


def test_hh_drops_texts_that_would_read_as_turns(tmp_path):
    items = [comparison(("x",), ("y",)), comparison(("x",), ("y",), messages=(("user", "say\n\nHuman: hi"),))]
    report = export(items, "hh", tmp_path / "x.jsonl")
    assert report.rows == 1 and any("as if it were a turn" in line for line in report.lines())


def test_answers_of_the_same_text_are_no_pair(tmp_path):
    items = [comparison(("x",), ("y",)), comparison(("x",), ("y",), texts={"x": "same", "y": "same "})]
    assert export(items, "trl", tmp_path / "x.jsonl").losses["pairs dropped: both answers have the same text"] == 1


def test_edits_become_demonstrations(tmp_path):
    path = tmp_path / "x.jsonl"
    report = export([comparison(("x",), ("y",), edits={"q/x": "So it is."})], "edits", path)
    ((demonstration,), _) = load_conversations([Source(path=path)])
    assert [(m.role, m.content) for m in demonstration.messages] == [("user", "Why q?"), ("assistant", "So it is.")]
    assert "1 ranking dropped, since only edits are written" in report.lines()


def test_nothing_to_write_leaves_no_file_and_says_why(tmp_path):
    with pytest.raises(DataError, match=r"nothing to write as trl: .*1 tie dropped"):
        export([comparison(("x", "y"))], "trl", tmp_path / "x.jsonl")
    with pytest.raises(DataError, match="there are no judgments"):
        export([], "assent", tmp_path / "x.jsonl")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("format", sorted(EXPORTS))
def test_an_ending_a_format_does_not_know_is_refused(tmp_path, format):
    with pytest.raises(DataError, match="choose a name ending in"):
        export(CROWD, format, tmp_path / "x.xlsx")
    with pytest.raises(DataError, match=r"did you mean 'argilla'\?"):
        export(CROWD, "argila", tmp_path / "x.json")
    assert not list(tmp_path.iterdir())


def test_names_inside_the_data_never_become_paths(tmp_path):
    evil = comparison(("../../x",), ("/etc/y",), name="../../../etc/passwd", rater="../../r")
    for format, form in EXPORTS.items():
        if format != "edits":
            export([evil], format, tmp_path / "out" / f"x{form.ending}")
    assert {p.parent for p in tmp_path.rglob("*") if p.is_file()} == {tmp_path / "out"}


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.jsonl"
    export(CROWD, "trl", path)
    before = path.read_bytes()
    with pytest.raises(DataError):
        export([comparison(("x", "y"))], "trl", path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        export(CROWD, "trl", tmp_path / "file" / "x.jsonl")
    assert path.read_bytes() == before and {p.name for p in tmp_path.iterdir()} == {"x.jsonl", "file"}


def people(count, start=0, **attributes):
    return [Rater(id=f"p{start + n}", kind="person", attributes=attributes) for n in range(count)]


def test_attributes_that_fewer_than_five_people_share_do_not_leave():
    losses = Losses()
    crowd = [
        *people(5, region="north"),
        *people(4, 5, region="south"),
        Rater(id="bot", kind="autorater", attributes={"v": "1"}),
    ]
    kept = {r.id: r.attributes for r in suppressed(crowd, losses)}
    assert all(kept[f"p{n}"] == {"region": "north"} for n in range(5))
    assert all(kept[f"p{n}"] == {} for n in range(5, 9))
    assert kept["bot"] == {"v": "1"}
    assert losses.report("x", 1, "rows").lines()[1:] == [
        "4 attributes of raters left out: fewer than five people share them"
    ]


def test_attributes_common_alone_but_rare_together_do_not_leave_together():
    crowd = [
        *people(6, region="north", gender="f"),
        *people(6, 6, region="south", gender="m"),
        *people(2, 12, region="north", gender="m"),
    ]
    kept = [frozenset(r.attributes.items()) for r in suppressed(crowd, Losses())]
    assert all(not cell or kept.count(cell) >= 5 for cell in kept)
    assert kept.count(frozenset({("region", "north"), ("gender", "f")})) == 6


def test_only_our_own_format_carries_attributes_and_only_of_those_who_judged(tmp_path):
    judged = [comparison(("a",), ("b",), name=str(n), rater=f"p{n}") for n in range(5)]
    raters = [*people(5, region="north"), *people(5, 5, region="south")]
    own, _ = encode(judged, "assent", "x.jsonl", raters=raters)
    rows = [json.loads(line) for line in own.splitlines()]
    about = [row["record"] for row in rows if row["kind"] == "rater"]
    assert about == [{"id": f"p{n}", "kind": "person", "attributes": {"region": "north"}} for n in range(5)]
    _, report = encode(judged, "trl", "x.jsonl", raters=raters)
    assert report.losses["attributes of raters dropped"] == 5
    (tmp_path / "x.jsonl").write_bytes(own)
    assert len(back(tmp_path / "x.jsonl")) == 5
