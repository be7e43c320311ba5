"""Facts about foreign formats: hand-made rows and what they mean in core types."""

from __future__ import annotations

import gzip
import json
import typing

import pytest

from assent.core.errors import DataError
from assent.core.types import Message
from assent.data.config import DataConfig, FormatName, Source
from assent.data.load import load_comparisons, load_conversations, load_prompts
from assent.data.sources.detect import FORMATS


def lines(path, *rows):
    text = "".join(json.dumps(row) + "\n" for row in rows)
    if path.name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def said(messages):
    return [(m.role, m.content) for m in messages]


def texts(comparison, judgment=0):
    """Answer texts tier by tier, best first."""
    by_id = {c.id: c.text for c in comparison.completions}
    return [[by_id[i] for i in tier] for tier in comparison.judgments[judgment].ranking.tiers]


def one(load, path, **source):
    (item,), _ = load([Source(path=path, **source)])
    return item


def test_every_format_that_is_detected_can_be_named_and_no_other():
    assert {form.name for form in FORMATS} == set(typing.get_args(FormatName)) - {"auto"}


def test_hh_transcript(tmp_path):
    path = lines(
        tmp_path / "x.jsonl.gz",
        {
            "chosen": "\n\nHuman: Hi\n\nAssistant: Hello!\n\nHuman: Bye: now\n\nAssistant: See you.",
            "rejected": "\n\nHuman: Hi\n\nAssistant: Hello!\n\nHuman: Bye: now\n\nAssistant: What?",
        },
    )
    comparison = one(load_comparisons, path)
    assert said(comparison.prompt.messages) == [("user", "Hi"), ("assistant", "Hello!"), ("user", "Bye: now")]
    assert texts(comparison) == [["See you."], ["What?"]]


def test_hh_reply_that_goes_on_under_its_own_name_is_one_turn(tmp_path):
    path = lines(
        tmp_path / "x.jsonl",
        {
            "chosen": "\n\nHuman: Hi\n\nAssistant: One\n\nAssistant: two",
            "rejected": "\n\nHuman: Hi\n\nAssistant: Three",
        },
    )
    assert texts(one(load_comparisons, path)) == [["One\n\ntwo"], ["Three"]]


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Why?", "chosen": "So.", "rejected": "No."},
        {"chosen": "Why? So.", "rejected": "Why? No."},
        {
            "prompt": [{"role": "user", "content": "Why?"}],
            "chosen": [{"role": "assistant", "content": "So."}],
            "rejected": [{"role": "assistant", "content": "No."}],
        },
        {
            "chosen": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}],
            "rejected": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "No."}],
        },
        {  # prompt as text, answers as whole conversations: the binarized UltraFeedback
            "prompt": "Why?",
            "prompt_id": "1",
            "chosen": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}],
            "rejected": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "No."}],
            "messages": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}],
        },
    ],
    ids=["plain", "plain-implicit", "messages", "messages-implicit", "binarized"],
)
def test_every_way_to_write_a_trl_preference_means_the_same(tmp_path, row):
    comparison = one(load_comparisons, lines(tmp_path / "x.jsonl", row))
    assert said(comparison.prompt.messages) == [("user", "Why?")]
    assert texts(comparison) == [["So."], ["No."]]


def test_implicit_plain_prompt_ends_at_a_word(tmp_path):
    # The common beginning is "Say it: th"; an answer does not begin inside a word.
    comparison = one(
        load_comparisons, lines(tmp_path / "x.jsonl", {"chosen": "Say it: thanks", "rejected": "Say it: that"})
    )
    assert said(comparison.prompt.messages) == [("user", "Say it:")]
    assert texts(comparison) == [["thanks"], ["that"]]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"prompt": "A?", "completion": "B"}, [("user", "A?"), ("assistant", "B")]),
        (
            {"prompt": [{"role": "user", "content": "A?"}], "completion": [{"role": "assistant", "content": "B"}]},
            [("user", "A?"), ("assistant", "B")],
        ),
        ({"text": "Once upon a time"}, [("assistant", "Once upon a time")]),
        (
            {
                "messages": [
                    {"role": "system", "content": "S"},
                    {"role": "user", "content": "A"},
                    {"role": "assistant", "content": "B"},
                ]
            },
            [("system", "S"), ("user", "A"), ("assistant", "B")],
        ),
        (
            {"conversations": [{"from": "human", "value": "A"}, {"from": "gpt", "value": "B"}]},
            [("user", "A"), ("assistant", "B")],
        ),
        ({"instruction": "I", "input": "", "output": "O"}, [("user", "I"), ("assistant", "O")]),
        ({"instruction": "I", "input": "N", "output": "O"}, [("user", "I\n\nN"), ("assistant", "O")]),
        ({"instruction": "I", "context": "C", "response": "R"}, [("user", "I\n\nC"), ("assistant", "R")]),
        ({"instruction": "I", "context": None, "response": "R"}, [("user", "I"), ("assistant", "R")]),
    ],
)
def test_demonstrations(tmp_path, row, expected):
    assert said(one(load_conversations, lines(tmp_path / "x.jsonl", row)).messages) == expected


def test_ultrafeedback_ranks_k_answers_with_ties_by_overall_score(tmp_path):
    completions = [
        {"model": "m1", "response": "a", "overall_score": 6.0},
        {"model": "m2", "response": "b", "overall_score": 9.0},
        {"model": "m3", "response": "c", "overall_score": 6.0},
        {"model": "m4", "response": "d", "overall_score": 1.0},
    ]
    comparison = one(load_comparisons, lines(tmp_path / "x.jsonl", {"instruction": "Q", "completions": completions}))
    assert texts(comparison) == [["b"], ["a", "c"], ["d"]]
    assert [c.source for c in comparison.completions] == ["m1", "m2", "m3", "m4"]


def test_ultrafeedback_without_totals_uses_the_mean_rating(tmp_path):
    def rated(text, *ratings):
        names = ("helpfulness", "honesty", "truthfulness")
        return {"response": text, "annotations": {n: {"Rating": r} for n, r in zip(names, ratings, strict=True)}}

    # Means by hand: (5 + 3) / 2 = 4 with one N/A left out, and (4 + 4 + 3) / 3 = 3.67.
    row = {"instruction": "Q", "completions": [rated("low", "4", "4", "3"), rated("high", "5", "N/A", "3")]}
    comparison = one(load_comparisons, lines(tmp_path / "x.jsonl", row))
    assert texts(comparison) == [["high"], ["low"]]
    high = comparison.completions[1]
    assert comparison.judgments[0].scores[high.id] == {"helpfulness": 5.0, "truthfulness": 3.0, "overall": 4.0}


def oasst_message(name, role, text, replies=(), rank=None):
    return {"message_id": name, "role": role, "text": text, "replies": list(replies), "rank": rank, "deleted": False}


def test_oasst_tree_gives_every_ranked_group_and_its_best_reply(tmp_path):
    late = [oasst_message("e", "assistant", "E", rank=0), oasst_message("f", "assistant", "F", rank=1)]
    follow = oasst_message("d", "prompter", "and then?", late)
    first = [oasst_message("b", "assistant", "B", [follow], rank=1), oasst_message("c", "assistant", "C", rank=0)]
    path = lines(
        tmp_path / "t.jsonl", {"message_tree_id": "a", "prompt": oasst_message("a", "prompter", "why?", first)}
    )
    top, below = load_comparisons([Source(path=path)])[0]
    assert (texts(top), texts(below)) == ([["C"], ["B"]], [["E"], ["F"]])
    assert said(below.prompt.messages) == [("user", "why?"), ("assistant", "B"), ("user", "and then?")]
    best, deep = load_conversations([Source(path=path)])[0]
    assert said(best.messages) == [("user", "why?"), ("assistant", "C")]
    # B lost against C: it is history here, nothing to learn.
    assert said(deep.messages)[-1] == ("assistant", "E") and deep.meta["learn"] == "last"
    # A limit counts items, and one row holds two.
    assert load_comparisons([Source(path=path, limit=1)])[0] == [top]


def test_oasst_deleted_and_unranked_replies_are_not_compared(tmp_path):
    replies = [oasst_message(n, "assistant", n, rank=r) for n, r in (("x", 0), ("y", 1), ("z", None), ("w", 2))]
    replies[3]["deleted"] = True
    path = lines(
        tmp_path / "t.jsonl", {"message_tree_id": "a", "prompt": oasst_message("a", "prompter", "why?", replies)}
    )
    assert texts(one(load_comparisons, path)) == [["x"], ["y"]]


def ukp(tmp_path, **changes):
    arguments = [
        {"topic": "t", "id": name, "text": text, "stance": "Yes", "debateTitle": "Tea?"}
        for name, text in (("a", "A"), ("b", "B"))
    ]
    lines(tmp_path / "arguments.jsonl", *arguments)
    votes = [("r1", "a2", "because"), ("r2", "equal", ""), ("r3", "a1", "so")]
    row = {
        "id": "a_b",
        "topic": "t",
        "arg1": "a",
        "arg2": "b",
        "mTurkAssignments": [
            {"turkID": rater, "value": value, "reason": reason, "assignmentSeconds": 30}
            for rater, value, reason in votes
        ],
        "goldLabel": "a2",
        "inStrict": True,
    }
    return lines(tmp_path / "pairs.jsonl", {**row, **changes})


def test_ukp_every_vote_is_a_judgment(tmp_path):
    comparison = one(load_comparisons, ukp(tmp_path))
    assert [texts(comparison, n) for n in range(3)] == [[["B"], ["A"]], [["A", "B"]], [["A"], ["B"]]]
    assert [j.rater_id for j in comparison.judgments] == ["r1", "r2", "r3"]
    assert [j.critique for j in comparison.judgments] == ["because", None, "so"]
    assert comparison.judgments[0].seconds == 30 and comparison.judgments[0].order_shown == ("a", "b")
    assert comparison.prompt.text == "Tea?\n\nWhat is a convincing argument for this position: Yes"
    assert comparison.meta["gold"] == "a2"


def test_ukp_folder_reads_pairs_and_looks_arguments_up(tmp_path):
    ukp(tmp_path)
    items, report = load_comparisons([Source(path=tmp_path)])
    assert len(items) == 1 and [part.format for part in report.parts] == ["ukp"]


@pytest.mark.parametrize(
    "ranking",
    [
        {"ranking": "b > a = c"},
        {"ranking": ["b", ["a", "c"]]},
        {"ranks": {"a": 2, "b": 1, "c": 2}},
        {"ranks": [2, 1, 2]},
        {"scores": [0.5, 0.9, 0.5]},
    ],
)
def test_plain_ranking(tmp_path, ranking):
    row = {"prompt": "Why?", "answers": {"a": "A", "b": "B", "c": "C"}, "rater": "ann", "seconds": 4, **ranking}
    comparison = one(load_comparisons, lines(tmp_path / "x.jsonl", row))
    assert texts(comparison) == [["B"], ["A", "C"]]
    assert (comparison.judgments[0].rater_id, comparison.judgments[0].seconds) == ("ann", 4)


def test_plain_ranking_of_a_list_with_strengths(tmp_path):
    row = {"prompt": "Why?", "answers": ["x", "y", "z"], "ranking": "3 > 1 > 2", "strengths": [4, None]}
    comparison = one(load_comparisons, lines(tmp_path / "x.jsonl", row))
    assert texts(comparison) == [["z"], ["x"], ["y"]] and comparison.judgments[0].ranking.strengths == (4, None)


def test_prompts_come_from_files_of_any_kind(tmp_path):
    lines(tmp_path / "1.jsonl", {"prompt": "A", "id": "mine"})
    lines(tmp_path / "2.jsonl", {"instruction": "B", "context": "", "response": "R"})
    lines(tmp_path / "3.jsonl", {"prompt": "C", "chosen": "x", "rejected": "y"})
    lines(tmp_path / "4.jsonl", {"messages": [{"role": "user", "content": "D"}]})
    prompts, report = load_prompts([Source(path=tmp_path)])
    assert [p.text for p in prompts] == ["A", "B", "C", "D"] and prompts[0].id == "mine"
    assert [part.format for part in report.parts] == ["prompts", "dolly", "trl", "messages"]


def test_columns_rename_and_limit(tmp_path):
    path = lines(tmp_path / "x.jsonl", *({"question": f"q{n}", "answer": f"a{n}", "text": "noise"} for n in range(5)))
    source = Source(path=path, columns={"prompt": "question", "completion": "answer"}, limit=2)
    items, report = load_conversations([source])
    assert [said(item.messages) for item in items] == [
        [("user", "q0"), ("assistant", "a0")],
        [("user", "q1"), ("assistant", "a1")],
    ]
    assert report.num_items == 2


def test_json_array_parquet_and_saved_dataset_read_alike(tmp_path):
    import datasets

    rows = [{"prompt": f"q{n}", "completion": f"a{n}"} for n in range(3)]
    expected = [[("user", f"q{n}"), ("assistant", f"a{n}")] for n in range(3)]
    (tmp_path / "x.json").write_text(json.dumps(rows))
    (tmp_path / "y.json").write_text(json.dumps({"data": rows}))
    table = datasets.Dataset.from_list(rows)
    table.to_parquet(str(tmp_path / "x.parquet"))
    table.save_to_disk(str(tmp_path / "saved"))
    datasets.DatasetDict({"train": table.select([0]), "test": table}).save_to_disk(str(tmp_path / "splits"))
    for source in (
        Source(path=tmp_path / "x.json"),
        Source(path=tmp_path / "y.json"),
        Source(path=tmp_path / "x.parquet"),
        Source(path=tmp_path / "saved"),
        Source(hub=str(tmp_path / "saved")),
        Source(path=tmp_path / "splits", split="test"),
    ):
        assert [said(item.messages) for item in load_conversations([source])[0]] == expected


def test_config_as_a_user_writes_it():
    config = DataConfig.parse(
        {
            "demonstrations": [{"path": "x.jsonl"}],
            "comparisons": [{"hub": "org/name", "format": "hh", "skip_bad": True}],
        }
    )
    assert config.demonstrations[0].format == "auto" and config.comparisons[0].split == "train"


def test_message_roles_of_other_projects():
    from assent.data.rows import Row
    from assent.data.sources.turns import messages

    row = Row({}, "x", 1)
    assert messages(row, [{"role": "prompter", "text": "Hi"}], "m") == (Message(role="user", content="Hi"),)


def test_plain_text_is_cut_at_blank_lines_into_passages_of_the_stated_size(tmp_path):
    paragraph = "word " * 300 + "\n\n"  # 1,502 characters: three make a passage
    path = tmp_path / "book.txt.gz"
    path.write_bytes(gzip.compress(("\ufeff" + paragraph * 7).encode()))
    found, report = load_conversations([Source(path=path)])
    assert [len(c.messages[0].content.split()) for c in found] == [900, 900, 300]
    assert {m.role for c in found for m in c.messages} == {"assistant"}
    assert report.parts[0].rows == 3


def test_plain_text_beside_data_files_is_a_licence_and_not_read(tmp_path):
    lines(tmp_path / "a.jsonl", {"text": "one"})
    (tmp_path / "LICENSE.txt").write_text("All rights reserved.")
    found, _ = load_conversations([Source(path=tmp_path)])
    assert [c.messages[0].content for c in found] == ["one"]


def test_plain_text_that_is_not_utf8_names_its_line(tmp_path):
    (tmp_path / "latin.txt").write_bytes(b"good\n\nna\xefve\n")
    with pytest.raises(DataError, match=r"latin\.txt:3: not UTF-8 \(byte 3\)"):
        load_conversations([Source(path=tmp_path / "latin.txt")])


PAIR = {"prompt": "Why?", "chosen": "So.", "rejected": "No."}
TRANSCRIPTS = {"chosen": "\n\nHuman: Hi\n\nAssistant: a", "rejected": "\n\nHuman: Hi\n\nAssistant: b"}
RANKED = {"prompt": "Why?", "answers": ["So.", "No."], "ranks": [1, 2]}


@pytest.mark.parametrize("row", [PAIR, TRANSCRIPTS, RANKED], ids=["trl", "hh", "ranking"])
@pytest.mark.parametrize(
    ("beside", "rater"),
    [
        ({"annotator": "ann"}, "ann"),
        ({"annotator_id": 7}, "7"),
        ({"worker_id": 7.0, "labeler": ""}, "7"),
        ({"rater": "bob", "annotator": "ann"}, "bob"),
        ({"annotator": None, "rater_id": "r-1"}, "r-1"),
    ],
)
def test_who_judged_is_read_from_columns_of_that_name(tmp_path, row, beside, rater):
    (comparison,), report = load_comparisons([Source(path=lines(tmp_path / "x.jsonl", {**row, **beside}))])
    assert comparison.judgments[0].rater_id == rater
    read = next(line for line in report.lines() if "columns read" in line)
    assert next(name for name, value in beside.items() if str(value).startswith(rater)) in read.partition(";")[0]


@pytest.mark.parametrize("row", [PAIR, TRANSCRIPTS, RANKED], ids=["trl", "hh", "ranking"])
@pytest.mark.parametrize("value", [["ann", "bob"], None, "  ", True])
def test_a_column_that_names_nobody_in_particular_names_no_rater(tmp_path, row, value):
    comparison = one(load_comparisons, lines(tmp_path / "x.jsonl", {**row, "annotator": value}))
    assert comparison.judgments[0].rater_id in ("trl", "hh", "unknown")
