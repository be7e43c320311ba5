"""Facts about messages: parts are joined, what a turn holds besides its text is read or refused, flags are heeded."""

from __future__ import annotations

import pytest
from data_chat_templates import CHATML
from reader_rows import C, D, P, read, turns, write

from assent.core.errors import DataError
from assent.core.types import Conversation, Message
from assent.data.render import Renderer

USER = {"role": "user", "content": "Hi"}
SAID = {"role": "assistant", "content": "Hello!"}


def talk(*said):
    return {"messages": list(said)}


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "text", "text": "Hello!"}],
        [{"type": "text", "text": "Hello!", "image_url": None}],
        [{"type": None, "text": "Hello!"}],
        ["Hello!"],
        {"type": "output_text", "text": "Hello!"},
    ],
)
def test_text_parts_are_text(tmp_path, content):
    (item,), _ = read(D, write(tmp_path / "x.jsonl", talk(USER, {**SAID, "content": content})))
    assert turns(item) == [("user", "Hi"), ("assistant", "Hello!")]


def test_several_text_parts_are_joined_by_line_ends_and_other_parts_refused_by_type(tmp_path):
    parts = [{"type": "text", "text": "One."}, {"type": "text", "text": "Two."}]
    (item,), _ = read(D, write(tmp_path / "x.jsonl", talk({**USER, "content": parts}, SAID)))
    assert turns(item)[0] == ("user", "One.\nTwo.")
    parts[1] = {"type": "image_url", "image_url": {"url": "a.png"}}
    with pytest.raises(DataError, match=r"messages\[0\]\.content\[1\] is of type 'image_url'"):
        read(D, write(tmp_path / "x.jsonl", talk({**USER, "content": parts}, SAID)))


def test_an_empty_system_turn_is_none_and_counted(tmp_path):
    path = write(tmp_path / "x.jsonl", talk({"role": "system", "content": ""}, USER, SAID), talk(USER, SAID))
    items, report = read(D, path)
    assert turns(items[0]) == turns(items[1]) and report.census.dropped == {"empty system turns left out": 1}


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        ({"scratchpad": "He greets me."}, "'scratchpad'"),
        ({"thinking": "He greets me.", "thought": "Who is that?"}, "two different texts under thinking and thought"),
        ({"name": "ann"}, "'name'"),
        ({"images": ["a.png"]}, "'images'"),
        ({"audio": {"id": "a"}}, "'audio'"),
        ({"weight": 0.5}, r"messages\[1\]\.weight is 0.5"),
        ({"value": "Other words."}, "two different texts"),
        ({"from": "human"}, "two roles"),
        ({"gedanken": "Er grüßt mich."}, "'gedanken'"),
    ],
)
def test_what_a_turn_holds_besides_its_text_is_refused_by_name(tmp_path, extra, named):
    with pytest.raises(DataError, match=named):
        read(D, write(tmp_path / "x.jsonl", talk(USER, {**SAID, **extra})))


def test_keys_of_turns_that_say_nothing_or_may_be_ignored(tmp_path):
    said = {**SAID, "tool_calls": [], "name": None, "model": "m 1", "timestamp": 3, "weight": 1}
    (item,), report = read(D, write(tmp_path / "x.jsonl", talk(USER, said)))
    assert item.meta == {} and report.census.ignored == {"messages.model": 1, "messages.timestamp": 1}
    path = write(tmp_path / "y.jsonl", talk({**USER, "name": "ann"}, SAID))
    assert read(D, path, ignore=("messages.name",))[1].census.ignored == {"messages.name": 1}


def test_messages_may_be_written_as_json_text(tmp_path):
    path = write(
        tmp_path / "x.jsonl", {"messages": '[{"role": "user", "content": "Hi"}, {"from": "gpt", "value": "A"}]'}
    )
    (item,), report = read(D, path)
    assert turns(item) == [("user", "Hi"), ("assistant", "A")]
    assert report.census.dropped == {"messages read from JSON text": 1}


def test_turns_marked_as_not_to_be_learned_are_not(tmp_path, byte_level):
    again = [USER, {**SAID, "weight": 0}, {**USER, "content": "And?"}, {"role": "assistant", "content": "Bye!"}]
    (item,), _ = read(D, write(tmp_path / "x.jsonl", talk(*again)))
    assert item.meta == {"learn": [1]}
    for row in (talk(USER, {**SAID, "train": False}), talk({**USER, "train": True}, SAID)):
        with pytest.raises(DataError, match="not to be learned|only those are learned"):
            read(D, write(tmp_path / "y.jsonl", row))
    with pytest.raises(DataError, match="marked as not to be learned"):
        read(C, write(tmp_path / "z.jsonl", {"prompt": "Hi", "chosen": [{**SAID, "loss": False}], "rejected": [SAID]}))
    assert turns(read(P, tmp_path / "x.jsonl")[0][0])[-1] == ("user", "And?")
    renderer = Renderer(byte_level, template=CHATML)
    (group,) = renderer.demonstration(item)
    assert group.is_scored is not None
    scored = group.continuations[0][group.is_scored[0]]
    assert renderer.text(scored) == "Bye!"


def test_numbers_of_learned_turns_count_from_the_last(byte_level):
    said = [Message(role=role, content=text) for role, text in zip(["user", "assistant"] * 3, "abcdef", strict=True)]
    renderer = Renderer(byte_level, template=CHATML)
    (group,) = renderer.demonstration(Conversation(messages=tuple(said), meta={"learn": [2, 3]}))
    assert group.is_scored is not None
    # Turns d and b; f, the last, is cut off, since nothing of it is learned.
    ends = [token for token, kept in zip(group.continuations[0], group.is_scored[0], strict=True) if kept]
    assert byte_level.decode(ends) == "b<|im_end|>d<|im_end|>"
    with pytest.raises(Exception, match=r"meta learn: \[0\]"):
        renderer.demonstration(Conversation(messages=tuple(said), meta={"learn": [0]}))
