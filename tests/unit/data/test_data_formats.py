"""Facts about what Assent writes: our own format loses nothing, foreign ones say what they lost."""

from __future__ import annotations

import json

import pytest

from assent.core.errors import DataError
from assent.core.types import Comparison, Completion, Conversation, Judgment, Message, Prompt, Ranking
from assent.data import formats
from assent.data.config import Source
from assent.data.exports import write_hh, write_trl
from assent.data.load import load_comparisons, load_conversations, load_prompts


def comparison(*tiers, messages=(("user", "Why?"),), **judgment):
    prompt = Prompt(messages=tuple(Message(role=role, content=content) for role, content in messages))
    names = sorted(name for tier in tiers for name in tier)
    answers = {name: Completion(prompt_id=prompt.id, text=f"answer {name}", id=name) for name in names}
    ranking = Ranking(tiers=tiers)
    return Comparison(
        prompt=prompt,
        completions=tuple(answers.values()),
        judgments=(Judgment(task_id="t", rater_id="r", ranking=ranking, **judgment),),
    )


ITEMS = {
    "prompt": (load_prompts, Prompt.of("Hi – 你好", source="x", nested={"a": [1, None]})),
    "conversation": (
        load_conversations,
        Conversation(messages=(Message(role="user", content="a\nb"), Message(role="assistant", content="c"))),
    ),
    "comparison": (
        load_comparisons,
        comparison(
            ("b",), ("a", "c"), critique="b is kind", scores={"a": {"tone": 0.5}}, flags={"c": ("unsafe",)}, seconds=3.5
        ),
    ),
}


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".parquet"])
@pytest.mark.parametrize("kind", sorted(ITEMS))
def test_our_own_format_loses_nothing(tmp_path, kind, ending):
    load, item = ITEMS[kind]
    path = tmp_path / f"x{ending}"
    assert formats.write(path, [item]) == 1
    first = path.read_bytes()
    assert load([Source(path=path)])[0] == [item]
    formats.write(path, [item])
    assert path.read_bytes() == first


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.jsonl"
    formats.write(path, [Prompt.of("old")])
    with pytest.raises(DataError, match=r"hold what JSON cannot: .*; remove it"):
        formats.write(path, [Prompt.of("new"), Prompt.of("bad", number=float("nan"))])
    assert [p.name for p in tmp_path.iterdir()] == ["x.jsonl"]
    assert load_prompts([Source(path=path)])[0] == [Prompt.of("old")]
    with pytest.raises(DataError, match="unknown ending"):
        formats.write(tmp_path / "x.csv", [Prompt.of("a")])


def test_trl_writes_all_pairs_of_a_ranking_and_counts_ties(tmp_path):
    path = tmp_path / "x.jsonl"
    report = write_trl(path, [comparison(("b",), ("a", "c"), critique="!")], conversational=False)
    # b > a, b > c; a = c cannot be said.
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"prompt": "Why?", "chosen": "answer b", "rejected": "answer a"},
        {"prompt": "Why?", "chosen": "answer b", "rejected": "answer c"},
    ]
    assert report.rows == 2 and report.losses["pairs dropped: ties"] == 1
    assert "pairs dropped: ties: 1" in report.lines() and "critiques not written: 1" in report.lines()


@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
def test_trl_conversational_reads_back(tmp_path, ending):
    path = tmp_path / f"x{ending}"
    history = (("system", "S"), ("user", "a"), ("assistant", "b"), ("user", "c"))
    write_trl(path, [comparison(("x",), ("y",), messages=history)])
    (back,), _ = load_comparisons([Source(path=path)])
    assert [(m.role, m.content) for m in back.prompt.messages] == list(history)
    assert [c.text for c in back.completions] == ["answer x", "answer y"]


def test_trl_plain_cannot_hold_several_turns(tmp_path):
    history = (("user", "a"), ("assistant", "b"), ("user", "c"))
    items = [comparison(("x",), ("y",)), comparison(("x",), ("y",), messages=history)]
    report = write_trl(tmp_path / "x.jsonl", items, conversational=False)
    assert report.rows == 1 and sum(count for loss, count in report.losses.items() if "several turns" in loss) == 1


def test_hh_reads_back_and_lays_system_turns_into_the_first_human_turn(tmp_path):
    path = tmp_path / "x.jsonl.gz"
    history = (("system", "S"), ("user", "a"), ("assistant", "b"), ("user", "c"))
    report = write_hh(path, [comparison(("x",), ("y",), messages=history)])
    (back,), _ = load_comparisons([Source(path=path, format="hh")])
    assert [m.content for m in back.prompt.messages] == ["S\n\na", "b", "c"]
    assert report.losses["system turns laid before the first human turn"] == 1


def test_hh_drops_texts_that_would_read_as_turns(tmp_path):
    items = [comparison(("x",), ("y",)), comparison(("x",), ("y",), messages=(("user", "say\n\nHuman: hi"),))]
    report = write_hh(tmp_path / "x.jsonl", items)
    assert report.rows == 1 and any("as if it were a turn" in line for line in report.lines())


def test_nothing_to_write_is_an_error(tmp_path):
    with pytest.raises(DataError, match="nothing to write"):
        write_trl(tmp_path / "x.jsonl", [comparison(("x", "y"))])
    assert not list(tmp_path.iterdir())
