"""Talks that are too long lose their first exchanges, and keep the system turn and the end."""

from __future__ import annotations

from typing import Any

import pytest
from data_chat_templates import CHATML

from assent.core.errors import DataError
from assent.core.types import Conversation, Message, Prompt
from assent.data.render import Renderer
from assent.data.talks import fit_comparisons, fit_demonstrations, without_first_exchange


@pytest.fixture
def renderer(byte_level: Any) -> Renderer:
    return Renderer(byte_level, template=CHATML)


def turns(*said: tuple[str, str]) -> tuple[Message, ...]:
    return tuple(Message(role=role, content=content) for role, content in said)  # type: ignore[arg-type]


def long_talk(exchanges: int, *, system: bool = False) -> Conversation:
    said = [("system", "Be brief.")] if system else []
    for n in range(exchanges):
        said += [("user", f"question {n} " + "so " * 20), ("assistant", f"answer {n}")]
    return Conversation(messages=turns(*said))


def test_the_first_exchange_runs_to_the_next_user_turn() -> None:
    talk = turns(
        ("system", "s"), ("user", "1"), ("assistant", "2"), ("assistant", "3"), ("assistant", "4"), ("user", "5"),
        ("assistant", "6"),
    )  # fmt: skip
    assert without_first_exchange(talk) == (talk[0], *talk[5:])
    assert without_first_exchange(talk[:5]) is None
    assert without_first_exchange(turns(("user", "a"), ("user", "b"), ("assistant", "c"))) is None


def test_first_exchanges_go_until_the_rest_fits(renderer: Renderer) -> None:
    whole, short = long_talk(6, system=True), long_talk(1)
    last = Conversation(messages=(whole.messages[0], *whole.messages[-4:]))
    [expected] = renderer.demonstration(last)
    limit = len(expected.prompt) + len(expected.continuations[0])
    fitted = fit_demonstrations([whole, short], renderer, max_length=limit, policy="truncate_left")
    assert (fitted.kept, fitted.shortened, fitted.truncated, fitted.dropped) == ((0, 1), 1, 0, 0)
    made = fitted.flat[0]
    assert made.prompt.tolist() == expected.prompt.tolist()
    assert made.continuations[0].tolist() == expected.continuations[0].tolist()
    assert fitted.lines("demonstrations", max_length=limit) == [
        f"1 of 2 demonstrations lost their first exchanges to fit {limit} tokens"
    ]


def test_one_exchange_that_is_too_long_loses_the_beginning_of_its_prompt(renderer: Renderer) -> None:
    fitted = fit_demonstrations([long_talk(1)], renderer, max_length=20, policy="truncate_left")
    assert (fitted.shortened, fitted.truncated, fitted.dropped) == (0, 1, 0)
    assert sum(map(len, (fitted.flat[0].prompt, fitted.flat[0].continuations[0]))) == 20


def test_dropping_and_refusing_are_said(renderer: Renderer) -> None:
    dropped = fit_demonstrations([long_talk(6), long_talk(1)], renderer, max_length=100, policy="drop")
    assert (dropped.kept, dropped.dropped) == ((1,), 1)
    with pytest.raises(DataError, match="does not fit"):
        fit_demonstrations([long_talk(6)], renderer, max_length=100, policy="error")
    with pytest.raises(DataError, match="none of 1 demonstrations fits"):
        fit_demonstrations([long_talk(6)], renderer, max_length=5, policy="drop").checked(
            "demonstrations", max_length=5
        )


def test_all_answers_of_a_prompt_see_the_same_part_of_the_talk(renderer: Renderer) -> None:
    asked = Prompt(messages=long_talk(5).messages[:-1])
    answers = ["yes", "no " * 10]
    kept = Prompt(messages=asked.messages[-3:])
    expected = renderer.group(kept, answers, [True, True])
    limit = len(expected.prompt) + max(map(len, expected.continuations))
    fitted = fit_comparisons([(asked, answers, [True, True])], renderer, max_length=limit, policy="truncate_left")
    assert fitted.shortened == 1
    assert fitted.flat[0].prompt.tolist() == expected.prompt.tolist()
    assert [c.tolist() for c in fitted.flat[0].continuations] == [c.tolist() for c in expected.continuations]
