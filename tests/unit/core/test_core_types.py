"""The nouns: a ranking is a weak order over ids, and what contradicts itself cannot be said."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from assent.core.shown import shown
from assent.core.types import (
    Comparison,
    Completion,
    Conversation,
    Judgment,
    Message,
    Prompt,
    Ranking,
    Task,
    ToolCall,
    storable,
)


def test_every_pair_of_a_ranking_is_given_once_better_first() -> None:
    ranking = Ranking(tiers=(("b",), ("a", "d"), ("c",)))
    assert set(ranking.pairs()) == {
        ("b", "a", False), ("b", "d", False), ("b", "c", False),
        ("a", "d", True), ("a", "c", False), ("d", "c", False),
    }  # fmt: skip
    assert ranking.sentence() == "b > a = d > c"
    assert ranking.rank() == {"b": 0, "a": 1, "d": 1, "c": 2}


def test_scores_become_a_ranking_with_ties() -> None:
    assert Ranking.by_score({"a": 1.0, "b": 3.0, "c": 1.0}).tiers == (("b",), ("a", "c"))


@pytest.mark.parametrize(
    ("tiers", "strengths", "words"),
    [
        ((("a",), ("a",)), None, "names an answer twice"),
        ((("a",), ()), None, "no empty tier"),
        ((("a",), ("b",)), (1, 2), "2 tiers want 1 strengths"),
        ((("a",), ("b",)), (5,), "strengths run from 1 to 4"),
    ],
)
def test_a_ranking_that_contradicts_itself_is_refused(tiers, strengths, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValidationError, match=words):
        Ranking(tiers=tiers, strengths=strengths)


def test_ids_follow_the_content() -> None:
    assert Prompt.of("hi").id == Prompt.of("hi", topic="x").id != Prompt.of("ho").id
    one = Completion(prompt_id="p", text="yes", source="policy-1")
    assert one.id == Completion(prompt_id="p", text="yes", source="policy-1").id
    assert one.id != Completion(prompt_id="p", text="yes", source="policy-2").id


def test_what_no_database_takes_becomes_the_replacement_mark() -> None:
    assert storable("a\x00b \ud800 \udfff né 🙂\n") == "a\ufffdb \ufffd \ufffd né 🙂\n"


def test_the_prompt_of_a_demonstration_is_what_precedes_its_last_answer() -> None:
    turns = [("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")]
    talk = Conversation(messages=tuple(Message(role=r, content=c) for r, c in turns))  # type: ignore[arg-type]
    assert [m.content for m in talk.prompt.messages] == ["a", "b", "c"]
    assert talk.prompt.text == "c"


def test_a_ranking_of_answers_nobody_gave_is_refused() -> None:
    prompt = Prompt.of("q")
    answers = tuple(Completion(prompt_id=prompt.id, text=t) for t in "ab")
    judgment = Judgment(task_id="t", rater_id="r", ranking=Ranking(tiers=((answers[0].id,), ("stranger",))))
    with pytest.raises(ValidationError, match=r"unknown answers: \['stranger'\]"):
        Comparison(prompt=prompt, completions=answers, judgments=(judgment,))


def test_a_task_shows_no_answer_twice() -> None:
    prompt = Prompt.of("q")
    answer = Completion(prompt_id=prompt.id, text="a")
    with pytest.raises(ValidationError, match="the same completion twice"):
        Task(id="t", prompt=prompt, completions=(answer, answer))


USER, ANSWER = Message(role="user", content="Hi"), Message(role="assistant", content="Hello!")
CALL = ToolCall(name="look", arguments={"at": "it"}, id="c1")
CALLING = Message(role="assistant", content="", tool_calls=(CALL,))
RESULT = Message(role="tool", content="seen", tool_call_id="c1")


def test_plain_turns_are_written_and_named_as_they_were_before_turns_could_call_tools() -> None:
    assert USER.model_dump_json() == '{"role":"user","content":"Hi"}'
    assert USER.model_dump() == {"role": "user", "content": "Hi"}
    assert Prompt(messages=(USER,)).model_dump_json() == (
        '{"messages":[{"role":"user","content":"Hi"}],"id":"p-8b1450277179","meta":{}}'
    )
    assert Conversation(messages=(USER,)).model_dump_json() == (
        '{"messages":[{"role":"user","content":"Hi"}],"id":"v-8b1450277179","meta":{}}'
    )


def test_ids_depend_on_calls_results_reasoning_and_tools() -> None:
    called = (USER, CALLING, RESULT, ANSWER)
    other = CALL.model_copy(update={"arguments": {"at": "that"}})
    talks = [
        Conversation(messages=called),
        Conversation(messages=called, tools=({"name": "look"},)),
        Conversation(messages=called, tools=({"name": "see"},)),
        Conversation(messages=(USER, CALLING.model_copy(update={"tool_calls": (other,)}), RESULT, ANSWER)),
        Conversation(messages=(*called[:3], ANSWER.model_copy(update={"reasoning": "Hm."}))),
    ]
    assert len({talk.id for talk in talks}) == len({talk.prompt.id for talk in talks[:-1]}) + 1 == 5
    for talk in talks:
        assert Conversation.model_validate_json(talk.model_dump_json()) == talk
        assert Conversation.model_validate_json(talk.model_dump_json(exclude_defaults=True)) == talk
    assert talks[1].prompt.tools == ({"name": "look"},) and talks[1].prompt.text == "Hi"


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: Message(role="user", content="a", tool_calls=(CALL,)), "a user turn has tool_calls"),
        (lambda: Message(role="tool", content="a", reasoning="b"), "a tool turn has reasoning"),
        (lambda: Message(role="assistant", content="a", name="b"), "a assistant turn has a name"),
        (lambda: Message(role="assistant", content="", tool_calls=(CALL, CALL)), "two calls with the same id"),
        (lambda: ToolCall(name="look", arguments={"at": float("nan")}), "the arguments of 'look' are no JSON"),
        (lambda: Prompt(messages=(USER, RESULT)), r"turn 2 \(role tool\): tool_call_id is 'c1'"),
        (lambda: Prompt(messages=(USER, CALLING, RESULT, USER, RESULT)), r"turn 5 \(role tool\)"),
        (lambda: Prompt(messages=(USER,), tools=({"description": "x"},)), "tool 1 has no name"),
    ],
)
def test_a_turn_holds_what_its_role_can_and_a_result_has_its_call(made, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValidationError, match=words):
        made()


def test_turns_are_shown_as_what_is_thought_said_and_called() -> None:
    thinking = CALLING.model_copy(update={"content": "So.", "reasoning": "Hm."})
    parts = [
        (one.role, one.text) for one in shown(Prompt(messages=(USER, thinking, RESULT), tools=({"name": "look"},)))
    ]
    assert parts == [
        ("tools", '[\n {\n  "name": "look"\n }\n]'),
        ("user", "Hi"),
        ("reasoning", "Hm."),
        ("assistant", "So."),
        ("function_call", '{"name": "look", "arguments": {"at": "it"}, "id": "c1"}'),
        ("tool", "seen"),
    ]
