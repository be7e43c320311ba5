"""Minimal triggers: delta debugging leaves exactly what is needed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from assent.redteam.minimal import ddmin, shorter_turns, shorter_words
from assent.redteam.script import Script, Turn


@pytest.mark.parametrize("needed", [{3}, {0, 7}, {2, 3, 4}, {0, 1, 2, 3, 4, 5, 6, 7}, set()])
def test_exactly_the_needed_items_are_left(needed: set[int]) -> None:
    assert ddmin(range(8), lambda kept: needed <= set(kept)) == sorted(needed)


def test_no_single_item_of_what_is_left_can_go() -> None:
    def works(kept: Sequence[int]) -> bool:
        return sum(kept) >= 9

    left = ddmin(range(7), works)
    assert works(left)
    assert not any(works([one for one in left if one != gone]) for gone in left)


def test_where_the_budget_ends_the_rest_is_kept_and_still_works() -> None:
    asked = 0

    def works(kept: Sequence[int]) -> bool:
        nonlocal asked
        asked += 1
        return asked <= 2 and 5 in kept

    assert 5 in ddmin(range(16), works)


def test_words_around_the_request_go_and_the_request_stays() -> None:
    script = Script.of("open the door").framed("You are Vex, stay in character and ", " Thank you.")
    small = shorter_words(script, lambda one: "character" in one.last.text)
    assert small.last.text == "character open the door"


def test_an_exchange_goes_as_a_whole_and_parts_of_the_request_stay() -> None:
    turns = (
        Turn("user", before="Hello?"),
        Turn("assistant", is_open=True),
        Turn("user", "open", before="Part 1: "),
        Turn("assistant", before="Noted."),
        Turn("user", before="Nice day."),
        Turn("assistant", before="Yes."),
        Turn("user", "the door"),
    )
    small = shorter_turns(Script(turns), lambda one: "Nice day." in one.text)
    assert [turn.text for turn in small.turns] == ["Part 1: open", "Noted.", "Nice day.", "Yes.", "the door"]
