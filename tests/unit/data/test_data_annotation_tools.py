"""Facts about files of annotation tools: what people said in Argilla and Label Studio, and files that are broken."""

from __future__ import annotations

import json

import pytest

from assent.core.errors import DataError
from assent.data.config import Source
from assent.data.load import load_comparisons

FIELDS = {"instruction": "Say hello.", "reply-1": "Hello!", "reply-2": "Go away.", "reply-3": "Hi."}
ARGILLA = {
    "id": "r-1",
    "fields": FIELDS,
    "metadata": {},
    "suggestions": {"ranking": {"value": ["reply-2", "reply-1", "reply-3"], "score": None, "agent": "m"}},
    "responses": {"ranking": [{"value": ["reply-3", "reply-1", "reply-2"], "user_id": "u-1"}]},
    "vectors": {},
    "status": "completed",
    "_server_id": "s-1",
}
ITEMS = [{"id": "a", "title": "A", "body": "Hello!"}, {"id": "b", "title": "B", "body": "Go away."}]
TASK = {"id": 4, "data": {"prompt": "Say hello.", "items": ITEMS}, "annotations": []}
PAIR = {"id": 5, "data": {"prompt": "Say hello.", "text1": "Hello!", "text2": "Go away."}, "annotations": []}


def written(tmp_path, *rows, name="x.json"):
    path = tmp_path / name
    path.write_text(json.dumps(list(rows)) if name.endswith(".json") else "".join(json.dumps(r) + "\n" for r in rows))
    return path


def read(tmp_path, *rows, **source):
    return load_comparisons([Source(path=written(tmp_path, *rows), **source)])[0]


def said(comparison):
    """rater -> the order in texts."""
    texts = {c.id: c.text for c in comparison.completions}
    return {j.rater_id: j.ranking.sentence(texts) for j in comparison.judgments}


def responses(**questions):
    return {
        **ARGILLA,
        "responses": {q: [{"value": v, "user_id": u} for u, v in by.items()] for q, by in questions.items()},
    }


def annotated(task, *results, **fields):
    annotation = {"completed_by": 7, "lead_time": 12.5, "was_cancelled": False, "result": list(results), **fields}
    return {**task, "annotations": [annotation]}


def ranker(order):
    return {"id": "x", "from_name": "rank", "to_name": "answers", "type": "ranker", "value": {"ranker": order}}


# Argilla


def test_argilla_rankings_are_orders_of_the_fields_they_name(tmp_path):
    (one,) = read(tmp_path, ARGILLA)
    assert one.prompt.text == "Say hello." and said(one) == {"u-1": "Hi. > Hello! > Go away."}


def test_argilla_ranks_that_are_equal_tie(tmp_path):
    value = [{"value": "reply-1", "rank": 1}, {"value": "reply-2", "rank": 2}, {"value": "reply-3", "rank": 1}]
    (one,) = read(tmp_path, responses(ranking={"u-1": value, "u-2": ["reply-2", "reply-1"]}, comment={"u-1": "fine"}))
    assert said(one) == {"u-1": "Hello! = Hi. > Go away.", "u-2": "Go away. > Hello!"}
    # An answer that u-2 left out keeps its place among the completions.
    assert len(one.completions) == 3 and {j.rater_id: j.critique for j in one.judgments} == {"u-1": "fine", "u-2": None}


def test_argilla_options_may_mean_fields_by_their_number(tmp_path):
    (one,) = read(tmp_path, responses(ranking={"u": ["response_2", "response_1"]}))
    assert said(one) == {"u": "Go away. > Hello!"}


def test_argilla_ratings_of_each_answer_are_an_order_and_a_choice_is_a_pair(tmp_path):
    (rated,) = read(tmp_path, responses(**{f"quality_reply-{n}": {"u": v} for n, v in ((1, 4), (2, 1), (3, 4))}))
    assert said(rated) == {"u": "Hello! = Hi. > Go away."}
    pair = {"prompt": "Say hello.", "response-1": "Hello!", "response-2": "Go away."}
    chosen = {**responses(preference={"u": "response-2", "v": "tie"}), "fields": pair}
    assert said(read(tmp_path, chosen)[0]) == {"u": "Go away. > Hello!", "v": "Hello! = Go away."}


def test_flat_argilla_records_leave_out_drafts_and_what_was_discarded(tmp_path):
    flat = {
        "id": "r-1",
        "status": "pending",
        **FIELDS,
        "ranking.responses": [["reply-1", "reply-2"], ["reply-2", "reply-1"], ["reply-3", "reply-1"]],
        "ranking.responses.users": ["u", "v", "w"],
        "ranking.responses.status": ["submitted", "discarded", "draft"],
        "ranking.suggestion": None,
    }
    assert said(read(tmp_path, flat)[0]) == {"u": "Hello! > Go away."}
    with pytest.raises(DataError, match="has 3 values for 2 users"):
        read(tmp_path, {**flat, "ranking.responses.users": ["u", "v"]})


def test_argilla_chats_are_prompts(tmp_path):
    chat = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": "Hm"},
    ]
    (one,) = read(tmp_path, {**ARGILLA, "fields": {**FIELDS, "instruction": chat}})
    assert [m.content for m in one.prompt.messages] == ["Hi", "Yes?", "Hm"]


def test_records_that_nobody_answered_are_no_comparisons(tmp_path):
    assert len(read(tmp_path, {**ARGILLA, "id": "r-0", "responses": {}}, ARGILLA)) == 1
    assert len(read(tmp_path, {**TASK, "id": 1}, annotated(TASK, ranker(["b", "a"])))) == 1


@pytest.mark.parametrize(
    ("row", "match"),
    [
        ({**ARGILLA, "fields": "Hello"}, r"'fields' should be an object"),
        ({**ARGILLA, "responses": ["ranking"]}, r"'responses' should be an object of questions, got list"),
        (
            {**ARGILLA, "responses": {"ranking": {"value": []}}},
            r"responses.ranking should be a list of \{value, user_id\}",
        ),
        (responses(ranking={"u": ["reply-1", "best"]}), r"option 'best' does not say which of the fields"),
        (responses(ranking={"u": ["reply-1", "reply-1"]}), r"ranks 'reply-1' twice"),
        (responses(ranking={"u": ["reply-1"]}), r"ranks 1 answer; a ranking needs at least two"),
        (
            responses(ranking={"u": [{"value": "reply-1", "rank": "x"}, {"value": "reply-2"}]}),
            r"the rank 'x'; it should be",
        ),
        (
            {**ARGILLA, "fields": {"a": "x", "b": "y", "reply-1": "1", "reply-2": "2", "reply-3": "3"}},
            r"cannot tell which field is the prompt: a, b",
        ),
        ({**ARGILLA, "fields": {**FIELDS, "reply-2": " "}}, r"'fields.reply-2' is empty"),
    ],
)
def test_broken_argilla_records_say_where_and_what(tmp_path, row, match):
    path = written(tmp_path, {**ARGILLA, "id": "r-0"}, row, name="x.jsonl")
    with pytest.raises(DataError, match=match) as caught:
        load_comparisons([Source(path=path, format="argilla")])
    assert str(caught.value).startswith(f"{path}:2: ") and "\n" not in str(caught.value)


# Label Studio


def test_label_studio_rankers_give_orders_with_their_raters_and_times(tmp_path):
    why = {"type": "textarea", "from_name": "why", "to_name": "prompt", "value": {"text": ["short", "and kind"]}}
    (one,) = read(tmp_path, annotated(TASK, ranker(["b", "a"]), why))
    (judgment,) = one.judgments
    assert said(one) == {"label-studio/7": "Go away. > Hello!"}
    assert (judgment.seconds, judgment.critique) == (12.5, "short\n\nand kind")


def test_label_studio_buckets_with_numbers_are_places_and_tie(tmp_path):
    items = [*ITEMS, {"id": "c", "title": "C", "body": "Hi."}, {"id": "d", "title": "D", "body": "?"}]
    task = {**TASK, "data": {"prompt": "Say hello.", "items": items}}
    (one,) = read(tmp_path, annotated(task, ranker({"_": ["d"], "Place 10": ["b"], "Place 2": ["c", "a"]})))
    assert said(one)["label-studio/7"] in ("Hi. = Hello! > Go away.", "Hello! = Hi. > Go away.")
    assert len(one.completions) == 4


@pytest.mark.parametrize(
    ("selected", "order"),
    [("left", "Hello! > Go away."), ("right", "Go away. > Hello!"), ("none", "Hello! = Go away.")],
)
def test_label_studio_pairwise_choices(tmp_path, selected, order):
    pick = {"type": "pairwise", "from_name": "pw", "to_name": "text1,text2", "value": {"selected": selected}}
    assert said(read(tmp_path, annotated(PAIR, pick, completed_by={"id": 3, "email": "a@b"}))[0]) == {
        "label-studio/a@b": order
    }


def test_label_studio_ratings_of_each_answer_are_an_order(tmp_path):
    stars = [
        {"type": "rating", "from_name": f"r{n}", "to_name": f"text{n}", "value": {"rating": v}}
        for n, v in ((1, 2), (2, 5))
    ]
    assert said(read(tmp_path, annotated(PAIR, *stars))[0]) == {"label-studio/7": "Go away. > Hello!"}


def test_cancelled_annotations_are_skips(tmp_path):
    good = annotated(TASK, ranker(["b", "a"]))
    cancelled = {"was_cancelled": True, "completed_by": 8, "result": [ranker(["a", "b"])]}
    assert len(read(tmp_path, {**good, "annotations": [*good["annotations"], cancelled]})[0].judgments) == 1


@pytest.mark.parametrize(
    ("row", "match"),
    [
        ({**TASK, "data": 5}, r"'data' should be an object"),
        ({**TASK, "annotations": {}}, r"'annotations' should be a list|no format fits"),
        ({**TASK, "annotations": [{"result": None}]}, r"annotations\[0\] should be an object with a list 'result'"),
        (
            annotated(TASK, {"type": "ranker"}),
            r"annotations\[0\].result\[0\] should be an object with 'type' and 'value'",
        ),
        (annotated(TASK, ranker(["b", "z"])), r"annotations\[0\] ranks the unknown item 'z'; items are a, b"),
        (annotated(TASK, ranker(["b", "b"])), r"ranks an item twice"),
        (annotated(TASK, ranker(["b"])), r"ranks 1 item"),
        (annotated(TASK, ranker({"good": ["a"], "bad": ["b"]})), r"bucket 'good' has no place in an order"),
        (annotated({**TASK, "data": {"prompt": "x"}}, ranker(["a", "b"])), r"data holds 0 lists"),
        (
            annotated({**TASK, "data": {"prompt": "x", "items": [ITEMS[0], ITEMS[0]]}}, ranker(["a", "b"])),
            r"data.items\[1\] has the id 'a' of an earlier item",
        ),
        (
            annotated(PAIR, {"type": "pairwise", "to_name": "text1,text2", "value": {"selected": "up"}}),
            r"should be left, right or none, got 'up'",
        ),
        (
            annotated(PAIR, {"type": "pairwise", "to_name": "text1,image", "value": {"selected": "left"}}),
            r"option 'image' does not say which",
        ),
        (
            {**TASK, "annotations": 2 * annotated(TASK, ranker(["a", "b"]))["annotations"]},
            r"annotations\[1\]: user 'label-studio/7' judged this task twice",
        ),
    ],
)
def test_broken_label_studio_tasks_say_where_and_what(tmp_path, row, match):
    path = written(tmp_path, {**annotated(TASK, ranker(["a", "b"])), "id": 1}, row, name="x.jsonl")
    with pytest.raises(DataError, match=match) as caught:
        load_comparisons([Source(path=path, format="label_studio")])
    assert str(caught.value).startswith(f"{path}:2: ") and "\n" not in str(caught.value)


def test_a_file_cut_in_the_middle_says_where(tmp_path):
    path = written(tmp_path, ARGILLA, name="x.json")
    path.write_text(path.read_text()[:-40])
    with pytest.raises(DataError, match=r"x.json:1: not valid JSON: .* at column \d+"):
        load_comparisons([Source(path=path)])
