"""Facts about what Assent writes: our own format loses nothing, foreign ones say what they lost."""

from __future__ import annotations

import pytest

from assent.core.errors import DataError
from assent.core.types import Comparison, Completion, Conversation, Judgment, Message, Prompt, Ranking, ToolCall
from assent.data import formats
from assent.data.config import Source
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
    "call": (
        load_conversations,
        Conversation(
            messages=(
                Message(role="user", content="a"),
                Message(
                    role="assistant",
                    content="",
                    reasoning="Hm.",
                    tool_calls=(ToolCall(name="look", arguments={"at": [1, None, {"b": 2.5}], "é": {}}, id="c1"),),
                ),
                Message(role="tool", content="– 你好", tool_call_id="c1", name="look"),
            ),
            tools=({"name": "look", "parameters": {"at": None}},),
            id="own",
        ),
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
