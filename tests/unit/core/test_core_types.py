"""The nouns: a ranking is a weak order over ids, and what contradicts itself cannot be said."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from assent.core.types import Comparison, Completion, Conversation, Judgment, Message, Prompt, Ranking, Task, storable


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
