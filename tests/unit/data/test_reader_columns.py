"""Facts about what stands beside the columns that a reader knows: it is read, or counted, or the row is refused."""

from __future__ import annotations

import pytest
from reader_rows import C, D, P, read, tiers, turns, write

from assent.core.errors import DataError

PAIR = {"prompt": "Why is it late?", "chosen": "The train broke down.", "rejected": "No idea."}
DEMO = {"prompt": "Why is it late?", "completion": "The train broke down."}
TALK = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]}
S, U, A = "system", "user", "assistant"


@pytest.mark.parametrize(
    ("load", "row", "expected"),
    [
        (D, {**TALK, "system": "Be short."}, [(S, "Be short."), (U, "Hi"), (A, "Hello!")]),
        (D, {**TALK, "system": " "}, [(U, "Hi"), (A, "Hello!")]),
        (D, {**DEMO, "system_prompt": "Be kind."}, [(S, "Be kind."), (U, DEMO["prompt"]), (A, DEMO["completion"])]),
        (
            D,
            {"instruction": "And?", "input": "", "output": "So.", "history": [["Why?", "Because."]], "system": "S"},
            [(S, "S"), (U, "Why?"), (A, "Because."), (U, "And?"), (A, "So.")],
        ),
        (D, {"system_prompt": "S", "question": "Q?", "response": "R."}, [(S, "S"), (U, "Q?"), (A, "R.")]),
        (D, {"input": "I", "output": "O"}, [(U, "I"), (A, "O")]),
        (D, {"conversation": [{"input": "a", "output": "b"}]}, [(U, "a"), (A, "b")]),
        (C, {**PAIR, "system": "Be short."}, [(S, "Be short."), (U, PAIR["prompt"])]),
        (C, {**PAIR, "history": [{"role": U, "content": "x"}, {"role": A, "content": "y"}]}, None),
        (C, {"question": "Q?", "chosen": "The a.", "rejected": "The b."}, [(U, "Q?")]),
        (C, {"instruction": "Do.", "input": "It", "chosen": "a", "rejected": "b"}, [(U, "Do.\n\nIt")]),
        (C, {"conversations": TALK["messages"][:1], "chosen": {"role": A, "content": "a"},
             "rejected": {"role": A, "content": "b"}}, [(U, "Hi")]),
        (P, {"question": "Q?", "system": "S"}, [(S, "S"), (U, "Q?")]),
        (P, {"prompt": "\n\nHuman: Hi\n\nAssistant: Yes?\n\nHuman: Bye\n\nAssistant:"},
         [(U, "Hi"), (A, "Yes?"), (U, "Bye")]),
    ],
)  # fmt: skip
def test_what_changes_the_meaning_is_read_wherever_it_stands(tmp_path, load, row, expected):
    (item,), _ = read(load, write(tmp_path / "x.jsonl", row))
    assert turns(item) == (expected or [(U, "x"), (A, "y"), (U, PAIR["prompt"])])


@pytest.mark.parametrize(
    ("load", "row", "named"),
    [
        (D, {**DEMO, "context": "Paris"}, "'context'"),
        (D, {**DEMO, "tools": ["look up"]}, r"tools\[0\] is 'look up'; it should be JSON"),
        (D, {"text": "Once upon a time", "tools": [{"name": "look"}]}, "'tools'"),
        (D, {**DEMO, "images": ["a.png"]}, "'images'"),
        (D, {**DEMO, "weight": 0}, "'weight'"),
        (D, {**DEMO, "train": False}, "'train'"),
        (D, {**DEMO, "loss_mask": [1, 0]}, "'loss_mask'"),
        (D, {**DEMO, "reasoning_content": "First look."}, "'reasoning_content'"),
        (D, {**DEMO, "question": "Another question?"}, "'question'"),
        (D, {**DEMO, "is_correct": False}, "'is_correct'"),
        (D, {**DEMO, "hintergrund": "Ein langer Text."}, "'hintergrund'"),
        (D, {"question": "Q?", "query": "R?", "answer": "A"}, "no format fits"),
        (D, {"text": "Once upon a time", "system": "Tell a story."}, "'system'"),
        (C, {**PAIR, "instruction": "Translate.", "Tools": ["x y"]}, "'instruction', 'Tools' are not read"),
        (C, {"frage": "Q?", "chosen": "The a.", "rejected": "The b."}, r"no 'prompt', and 'frage' may hold it"),
        (C, {"stil": "kurz", "chosen": "The a.", "rejected": "The b."}, "'stil' may hold it"),
        (P, {"prompt": "Q?", "documents": ["one two"]}, "'documents'"),
        (P, {"prompt": "Q?", "input": "I"}, "'input'"),
    ],
)
def test_what_is_not_read_and_could_change_the_meaning_is_refused_by_name(tmp_path, load, row, named):
    path = write(tmp_path / "x.jsonl", row)
    with pytest.raises(DataError, match=named) as caught:
        read(load, path)
    assert str(caught.value).startswith(f"{path}:1: ")


def test_the_user_may_ignore_a_column_and_it_is_counted(tmp_path):
    path = write(tmp_path / "x.jsonl", {**DEMO, "context": "Paris", "id": 3}, {**DEMO, "context": None, "lang": "en"})
    items, report = read(D, path, ignore=("context",))
    assert len(items) == 2
    assert report.census.ignored == {"context": 1, "id": 1, "lang": 1}
    assert report.lines()[1] == "  columns read: completion 2, prompt 2; ignored: context 1, id 1, lang 1"
    with pytest.raises(DataError, match=r"ignore names the column 'contxt', which no row has; did you mean 'context'"):
        read(D, path, ignore=("contxt", "context"))


def test_a_column_that_gives_way_to_a_renamed_one_is_counted(tmp_path):
    path = write(tmp_path / "x.jsonl", {**DEMO, "question": "What else?"})
    (item,), report = read(D, path, columns={"prompt": "question"})
    assert turns(item)[0] == (U, "What else?") and report.census.ignored == {"prompt": 1}


def test_columns_that_repeat_what_was_read_say_nothing_new(tmp_path):
    whole = [{"role": U, "content": PAIR["prompt"]}, {"role": A, "content": PAIR["chosen"]}]
    row = {**PAIR, "messages": whole, "question": PAIR["prompt"] + " "}
    (item,), report = read(C, write(tmp_path / "x.jsonl", row))
    assert tiers(item) == [[PAIR["chosen"]], [PAIR["rejected"]]]
    assert report.census.ignored == {"messages": 1, "question": 1}


@pytest.mark.parametrize(
    ("row", "match"),
    [
        ({"prompt": "Say it twice.", "chosen": "Say it twice. Well.", "rejected": "Say it twice. No."}, "whole prompt"),
        ({**PAIR, "prompt": "Human: Hi\nAssistant: Yes?\nHuman: Bye\nAssistant:"}, "is a transcript in one text"),
        ({**PAIR, "prompt": "Below.\n\n### Instruction:\nGo.\n\n### Response:"}, "is a transcript in one text"),
        ({**PAIR, "prompt": "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"}, "chat template already"),
        ({**PAIR, "prompt": "[{'role': 'user', 'content': 'Hi'}]"}, "as Python prints it"),
        (
            {
                "prompt": "Other?",
                "chosen": TALK["messages"],
                "rejected": [*TALK["messages"][:1], {"role": A, "content": "x"}],
            },
            "'prompt' is not what chosen and rejected begin with",
        ),
        (
            {
                "system": "Be long.",
                "prompt": [{"role": S, "content": "Be short."}, {"role": U, "content": "Hi"}],
                "chosen": "a",
                "rejected": "b",
            },
            "say different things",
        ),
    ],
)
def test_prompts_that_contradict_or_hold_more_than_one_turn_are_refused(tmp_path, row, match):
    with pytest.raises(DataError, match=match):
        read(C, write(tmp_path / "x.jsonl", row))


def test_one_answer_may_begin_with_the_prompt(tmp_path):
    """The one that was rejected may have been rejected for it."""
    row = {**PAIR, "rejected": PAIR["prompt"] + " Why indeed."}
    assert tiers(read(C, write(tmp_path / "x.jsonl", row))[0][0])[1] == [row["rejected"]]


def test_the_longer_prompt_counts_where_it_ends_in_what_both_conversations_share(tmp_path):
    asked = [{"role": S, "content": "Be short."}, {"role": U, "content": "Hi"}]
    row = {"prompt": asked, "chosen": TALK["messages"], "rejected": [asked[1], {"role": A, "content": "What?"}]}
    (item,), _ = read(C, write(tmp_path / "x.jsonl", row))
    assert turns(item) == [(S, "Be short."), (U, "Hi")]


def test_other_columns_of_a_prompt_reach_reward_functions_as_meta(tmp_path):
    row = {"prompt": "What is 3 + 4?", "answer": "7", "tests": [{"in": 1}], "id": "q-1", "level": None, "hint": ""}
    (item,), report = read(P, write(tmp_path / "x.jsonl", row))
    assert item.meta == {"answer": "7", "tests": [{"in": 1}]} and item.id == "q-1"
    assert (report.census.used, report.census.kept) == ({"prompt": 1, "id": 1}, {"answer": 1, "tests": 1})
    (item,), _ = read(P, write(tmp_path / "y.jsonl", {**TALK, "ground_truth": "7"}))
    assert item.meta == {"ground_truth": "7"}
    (item,), _ = read(P, write(tmp_path / "z.jsonl", {"question": "Q?", "answer": "a b"}))
    assert item.meta == {"answer": "a b"}


def test_weights_take_a_share_or_repeat_and_say_so(tmp_path):
    path = write(tmp_path / "x.jsonl", *({"prompt": f"q{n} ?", "completion": f"a{n}"} for n in range(10)))
    half, report = read(D, path, weight=0.5)
    assert len(half) == 5 and half == read(D, path, weight=0.5)[0]
    assert report.lines()[-1] == f"{path}: weight 0.5 makes 5 items of 10"
    twice, _ = read(D, path, weight=2.5)
    assert sorted({turns(item)[0][1]: twice.count(item) for item in twice}.values()) == [2] * 5 + [3] * 5
    assert len(read(P, path, weight=0.3)[0]) == 3
    with pytest.raises(DataError, match="weight 2 would repeat prompts"):
        read(P, path, weight=2)
