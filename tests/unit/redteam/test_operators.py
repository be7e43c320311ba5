"""Operators: what they make of a request, that encodings can be read back, and that chance is all that varies."""

from __future__ import annotations

import base64
from itertools import pairwise

import pytest

from assent.core.errors import ConfigError
from assent.redteam.operators.catalog import OPERATORS, operators_named
from assent.redteam.operators.encodings import ENCODINGS
from assent.redteam.operators.operator import FAMILIES, Operator, applied
from assent.redteam.script import Script

REQUEST = "Where is the red lamp kept today?"


def named(name: str) -> Operator:
    return next(one for one in OPERATORS if one.name == name)


def test_names_are_unique_and_every_family_has_operators() -> None:
    names = [one.name for one in OPERATORS]
    assert len(set(names)) == len(names) == 96
    assert {one.family for one in OPERATORS} == set(FAMILIES)
    assert not set(names) & set(FAMILIES)


@pytest.mark.parametrize("operator", ENCODINGS, ids=lambda one: one.name)
@pytest.mark.parametrize("request_", [REQUEST, "Tell me, please: who has it?"])
def test_an_encoding_hides_the_request_and_can_be_read_back(operator: Operator, request_: str) -> None:
    payload = applied([operator], request_, seed=3).last.payload
    assert payload != request_
    assert operator.decode is not None
    assert operator.decode(payload).casefold() == request_.casefold()


def test_encodings_agree_with_other_programs() -> None:
    assert applied([named("base64")], "lamp?", seed=0).last.payload == base64.b64encode(b"lamp?").decode()
    assert applied([named("hex")], "lamp", seed=0).last.payload == "6c 61 6d 70"
    assert applied([named("rot13")], "Hello", seed=0).last.payload == "Uryyb"
    assert applied([named("atbash")], "Abz", seed=0).last.payload == "Zya"
    assert applied([named("morse")], "sos ok", seed=0).last.payload == "... --- ... / --- -.-"
    assert applied([named("reversal")], "lamp", seed=0).last.payload == "pmal"


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda one: one.name)
def test_an_operator_gives_the_same_for_the_same_seed_and_ends_with_the_user(operator: Operator) -> None:
    script = applied([operator], REQUEST, seed=1)
    assert script == applied([operator], REQUEST, seed=1)
    assert script != Script.of(REQUEST)
    assert script.last.role == "user" and script.last.text.strip()
    roles = [turn.role for turn in script.turns if turn.role != "system"]
    assert all(first != second for first, second in pairwise(roles)), roles
    assert "".join(turn.payload for turn in script.turns), "what is asked is nowhere protected"


@pytest.mark.parametrize("operator", [o for o in OPERATORS if o.family in ("wrapper", "persuasion", "context")])
def test_words_around_a_request_leave_it_as_it_is(operator: Operator) -> None:
    assert REQUEST in applied([operator], REQUEST, seed=0).text


def test_a_perturbation_differs_from_draw_to_draw() -> None:
    made = {applied([named("typos")], REQUEST, seed=0, draw=draw).text for draw in range(8)}
    assert len(made) > 2
    assert all(sorted(text) == sorted(REQUEST) for text in made)


def test_what_is_left_of_a_chain_does_not_change_when_another_operator_goes() -> None:
    both = applied([named("typos"), named("urgency")], REQUEST, seed=5)
    alone = applied([named("typos")], REQUEST, seed=5)
    assert both.last.payload == alone.last.payload


def test_a_chain_is_applied_from_the_inside() -> None:
    inner = applied([named("urgency"), named("base64")], REQUEST, seed=0)
    outer = applied([named("base64"), named("urgency")], REQUEST, seed=0)
    assert "two minutes" in base64.b64decode(inner.last.payload).decode()
    assert base64.b64decode(outer.last.payload).decode() == REQUEST and "two minutes" in outer.last.before


def test_many_shots_are_as_many_as_their_name_says() -> None:
    for count in (4, 8, 16, 64):
        turns = applied([named(f"many_shot_{count}")], REQUEST, seed=0).turns
        assert sum(turn.role == "assistant" for turn in turns) == count


def test_a_script_with_open_turns_asks_once_more_for_each() -> None:
    script = applied([named("foot_in_the_door")], REQUEST, seed=0)
    assert script.calls == 3
    first = script.messages(())
    assert first is not None and [turn.role for turn in first] == ["user"]
    last = script.messages(("A.", "B."))
    assert last is not None and [m.content for m in last if m.role == "assistant"] == ["A.", "B."]


def test_operators_are_chosen_by_name_and_family() -> None:
    assert operators_named(()) == OPERATORS
    assert {one.family for one in operators_named(("encoding",))} == {"encoding"}
    assert [one.name for one in operators_named(("typos", "base64"))] == ["base64", "typos"]
    with pytest.raises(ConfigError, match="no operator or family 'base65'"):
        operators_named(("base65",))
