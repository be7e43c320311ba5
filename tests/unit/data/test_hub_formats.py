"""Facts about preference files of the hub: hand-made rows with their columns, and what they mean."""

from __future__ import annotations

import pytest
from reader_rows import C, D, P, read, tiers, turns, write

from assent.core.errors import DataError

ASK = {"role": "user", "content": "Say hello."}


def said(text):
    return {"role": "assistant", "content": text}


def test_arena_battles(tmp_path):
    def battle(winner, **more):
        talks = {f"conversation_{side}": [ASK, said(text)] for side, text in (("a", "Hello!"), ("b", "Go."))}
        row = {
            "question_id": f"q-{winner}",
            "model_a": "x",
            "model_b": "y",
            "winner": winner,
            "judge": "u 1",
            "turn": 1,
        }
        return {**row, **talks, "anony": True, "language": "English", "tstamp": 1.5, **more}

    rows = [battle(name) for name in ("model_a", "model_b", "tie", "tie (bothbad)")]
    items, report = read(C, write(tmp_path / "x.jsonl", *rows))
    assert [tiers(item) for item in items] == [[["Hello!"], ["Go."]], [["Go."], ["Hello!"]], *[[["Hello!", "Go."]]] * 2]
    assert [item.judgments[0].flags != {} for item in items] == [False, False, False, True]
    assert items[0].judgments[0].rater_id == "u 1" and [a.source for a in items[0].completions] == ["x", "y"]
    assert report.parts[0].format == "arena" and report.census.ignored["tstamp"] == 4
    longer = [ASK, said("Hello!"), ASK, said("Again.")]
    with pytest.raises(DataError, match="part before their last answers"):
        read(C, write(tmp_path / "y.jsonl", battle("tie", conversation_b=longer)))
    with pytest.raises(DataError, match="'winner' is 'nobody'"):
        read(C, write(tmp_path / "y.jsonl", battle("nobody")))


def test_saferlhf(tmp_path):
    row = {"prompt": "Q?", "response_0": "One.", "response_1": "Two.", "is_response_0_safe": True}
    row |= {"is_response_1_safe": False, "better_response_id": 1, "safer_response_id": 0, "prompt_source": "x y"}
    (item,), _ = read(C, write(tmp_path / "x.jsonl", row))
    ids = {answer.text: answer.id for answer in item.completions}
    assert tiers(item) == [["Two."], ["One."]]
    assert item.judgments[0].flags == {ids["Two."]: ("unsafe",)}
    assert item.judgments[0].scores == {ids["One."]: {"safer": 1.0}, ids["Two."]: {"safer": 0.0}}
    with pytest.raises(DataError, match="'better_response_id' is 2"):
        read(C, write(tmp_path / "x.jsonl", {**row, "better_response_id": 2}))


@pytest.mark.parametrize(
    ("value", "order", "strength"),
    [
        (-3, [["A."], ["B."]], (4,)),
        (-1, [["A."], ["B."]], (1,)),
        (0, [["A.", "B."]], None),
        (2, [["B."], ["A."]], (2,)),
    ],
)
def test_helpsteer_preferences(tmp_path, value, order, strength):
    three = {"context": [ASK], "response1": "A.", "response2": "B.", "overall_preference": value, "domain": "x"}
    three["individual_preference"] = [{"score": value, "reasoning": "It is so.", "feedback1": "Well written."}]
    two = {"prompt": "Say hello.", "response_1": "A.", "response_2": "B.", "preference_strength": value}
    for row in (three, two):
        (item,), _ = read(C, write(tmp_path / "x.jsonl", row))
        assert (turns(item), tiers(item)) == ([("user", "Say hello.")], order)
        assert item.judgments[0].ranking.strengths == strength


def test_helpsteer_rows_of_one_response_are_ordered_among_those_of_their_prompt(tmp_path):
    rows = [
        {
            "prompt": p,
            "response": r,
            "helpfulness": h,
            "correctness": 1,
            "coherence": 2,
            "complexity": 3,
            "verbosity": 4,
        }
        for p, r, h in (("P", "low", 1), ("P", "high", 4), ("Q", "alone", 2), ("P", "same", 1))
    ]
    path = write(tmp_path / "x.jsonl", *rows)
    with pytest.raises(DataError, match=r":3: the only response to its prompt"):
        read(C, path)
    (item,), report = read(C, path, skip_bad=True)
    assert tiers(item) == [["high"], ["low", "same"]] and report.num_bad == 1
    assert [len(item.messages) for item in read(D, path)[0]] == [2] * 4


def test_nectar(tmp_path):
    answers = [{"answer": a, "rank": r, "model": m} for a, r, m in (("b", 2.0, "m"), ("a", 1.0, "n"), ("c", 2.0, "o"))]
    row = {"prompt": "\n\nHuman: Hi\n\nAssistant: Yes?\n\nHuman: Bye\n\nAssistant: ", "answers": answers, "turns": 2}
    (item,), _ = read(C, write(tmp_path / "x.jsonl", {**row, "source": ["x"], "good_natured": True}))
    assert turns(item) == [("user", "Hi"), ("assistant", "Yes?"), ("user", "Bye")]
    assert tiers(item) == [["a"], ["b", "c"]]


def test_webgpt_and_shp(tmp_path):
    row = {"question": {"dataset": "eli5", "id": "1", "full_text": "Why?"}, "answer_0": "So.", "answer_1": "No."}
    row |= {"score_0": -0.5, "score_1": 0.5, "quotes_0": {"title": ["A b"], "extract": ["c d"]}, "tokens_0": {"x": [1]}}
    (item,), _ = read(C, write(tmp_path / "x.jsonl", row))
    assert (turns(item), tiers(item)) == ([("user", "Why?")], [["No."], ["So."]])
    row = {"post_id": "p", "history": "Why is it?", "human_ref_A": "So.", "human_ref_B": "No.", "labels": 0}
    (item,), report = read(C, write(tmp_path / "x.jsonl", {**row, "score_A": 3, "score_B": 9, "domain": "ask_train"}))
    assert (turns(item), tiers(item)) == ([("user", "Why is it?")], [["No."], ["So."]])
    assert report.parts[0].format == "shp"


KAGGLE = {
    "id": 30192,
    "model_a": "m1",
    "model_b": "m2",
    "prompt": '["Say \\u201chello\\u201d."]',
    "response_a": '["Hello!"]',
    "response_b": '["What?"]',
    "winner_model_a": 1,
    "winner_model_b": 0,
    "winner_tie": 0,
}


def test_arena_battles_as_json_lists_of_texts(tmp_path):
    tie = {**KAGGLE, "id": 2, "winner_model_a": 0, "winner_tie": 1}
    two = {"prompt": ["Hi", "And?"], "response_a": ["Yes?", "Bye."], "response_b": ["Yes?", "So."]}
    path = write(
        tmp_path / "x.jsonl", KAGGLE, tie, {**KAGGLE, **two, "id": 3, "winner_model_a": "0", "winner_model_b": "1"}
    )
    items, report = read(C, path)
    assert [turns(item) for item in items] == [
        [("user", "Say “hello”.")],
        [("user", "Say “hello”.")],
        [("user", "Hi"), ("assistant", "Yes?"), ("user", "And?")],
    ]
    assert [tiers(item) for item in items] == [[["Hello!"], ["What?"]], [["Hello!", "What?"]], [["So."], ["Bye."]]]
    assert [answer.source for answer in items[0].completions] == ["m1", "m2"]
    assert set(report.census.used) == set(KAGGLE) and not report.census.ignored
    assert turns(read(P, path)[0][0]) == [("user", "Say “hello”.")]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (
            {"prompt": '["Hi", "And?"]', "response_a": '["A", "B"]', "response_b": '["C", "D"]'},
            "part before their last",
        ),
        ({"response_a": '["A", "B"]'}, "'response_a' holds 2 answers to 1 questions"),
        ({"response_b": "[null]"}, r"response_b\[0\] is null: one side said nothing"),
        ({"response_b": '[""]'}, r"'response_b\[0\]' is empty"),
        ({"response_b": "What?"}, r"'response_b' is 'What\?'; it should be a list of texts as JSON"),
        ({"winner_tie": 1}, "exactly one of winner_model_a, winner_model_b, winner_tie should be 1"),
        ({"winner_model_a": 0}, "exactly one of"),
        ({"winner_model_a": None}, "exactly one of"),
        ({"winner_model_b": 0.5}, "exactly one of"),
    ],
)
def test_arena_battles_that_cannot_be_compared_are_refused(tmp_path, change, named):
    with pytest.raises(DataError, match=named):
        read(C, write(tmp_path / "x.jsonl", {**KAGGLE, **change}))


def test_unpaired_labels(tmp_path):
    rows = [
        {"prompt": "P?", "completion": text, "label": label}
        for text, label in (("good", True), ("bad", False), ("worse", 0), ("fine", "true"), ("poor", False))
    ]
    path = write(tmp_path / "x.jsonl", *rows)
    items, report = read(C, path)
    assert [tiers(item) for item in items] == [[["good"], ["bad"]], [["fine"], ["worse"]], [["good"], ["poor"]]]
    assert report.parts[0].rows == 5 and report.census.used == {"prompt": 5, "completion": 5, "label": 5}
    liked, report = read(D, path, skip_bad=True)
    assert [turns(item)[1][1] for item in liked] == ["good", "fine"] and report.num_bad == 3
    assert len(read(P, path)[0]) == 5
    with pytest.raises(DataError, match=r":1: its prompt has liked completions only"):
        read(C, write(tmp_path / "y.jsonl", rows[0]))
    apart = [{**rows[0], "system": "Be good."}, {**rows[1], "system": "Be bad."}]
    with pytest.raises(DataError, match=r":1: its prompt has liked completions only"):
        read(C, write(tmp_path / "y.jsonl", *apart))
    with pytest.raises(DataError, match=r":1: its prompt has liked completions only"):
        read(C, write(tmp_path / "y.jsonl", rows[0], {**rows[1], "tools": [{"name": "x"}]}))
    with pytest.raises(DataError, match=r":2: 'context' is not read"):
        read(C, write(tmp_path / "y.jsonl", rows[0], {**rows[1], "context": "Paris"}))
    with pytest.raises(DataError, match=r"'label' is 'so so'"):
        read(C, write(tmp_path / "y.jsonl", {**rows[0], "label": "so so"}, rows[1]))


def test_flat_openassistant_messages_are_put_into_trees(tmp_path):
    def message(name, parent, role, rank=None, **more):
        return {"message_id": name, "parent_id": parent, "text": f"t-{name}", "role": role, "rank": rank, **more}

    rows = [
        message("c", "a", "assistant", 1.0, lang="en", message_tree_id="a"),
        message("a", None, "prompter", lang="en", message_tree_id="a"),
        message("b", "a", "assistant", 0.0),
        message("d", "a", "assistant", 2.0, deleted=True),
        message("lost", "gone", "assistant", 0.0),
        message("under", "lost", "prompter"),
    ]
    path = write(tmp_path / "x.jsonl", *rows)
    (item,), report = read(C, path, skip_bad=True)
    assert (turns(item), tiers(item)) == ([("user", "t-a")], [["t-b"], ["t-c"]])
    assert [(row.error.line, row.reason[:10]) for row in report.parts[0].bad] == [(5, "its parent"), (6, "it belongs")]
    assert turns(read(D, path, skip_bad=True)[0][0]) == [("user", "t-a"), ("assistant", "t-b")]
