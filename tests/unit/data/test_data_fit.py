"""Facts about making token sequences fit a context: answers stay whole, counts are told."""

from __future__ import annotations

import numpy as np
import pytest

from assent.core.errors import DataError
from assent.core.group import Group
from assent.data.fit import fit


def group(prompt: int, *answers: int) -> Group:
    return Group(np.arange(100, 100 + prompt), tuple(np.arange(length) for length in answers))


def test_what_fits_is_left_alone():
    given = [group(3, 2, 5), group(1, 7)]
    found = fit(given, max_length=8, policy="error")
    assert found.items == tuple(given) and found.kept == (0, 1) and found.lines() == []


def test_error_names_the_item_and_both_lengths():
    with pytest.raises(DataError, match=r"item 2 does not fit: its prompt has 4 tokens, 3 fit; shorten it"):
        fit([group(3, 5), group(4, 2, 5)], max_length=8, policy="error")


def test_drop_keeps_positions():
    found = fit([group(9, 1), group(3, 2), group(8, 1)], max_length=8, policy="drop")
    assert (found.kept, found.num_dropped, found.num_truncated) == ((1,), 2, 0)
    assert found.lines() == ["2 dropped, longer than the context"]


def test_truncation_cuts_the_prompts_beginning_for_the_longest_answer():
    found = fit([group(6, 2, 4)], max_length=7, policy="truncate_left")
    assert found.items[0].prompt.tolist() == [103, 104, 105]
    assert [len(c) for c in found.items[0].continuations] == [2, 4] and found.num_truncated == 1


def test_truncation_keeps_the_beginning_of_text():
    found = fit([group(6, 4)], max_length=7, policy="truncate_left", bos_id=100)
    assert found.items[0].prompt.tolist() == [100, 104, 105]


def test_an_answer_that_leaves_no_room_is_dropped():
    found = fit([group(2, 8), group(2, 7)], max_length=8, policy="truncate_left")
    assert found.kept == (1,) and len(found.items[0].prompt) == 1
    assert (found.num_dropped, found.num_truncated) == (1, 1)


def test_where_nothing_fits_the_error_says_so():
    with pytest.raises(DataError, match=r"none of 2 demonstrations fits into 4 tokens; raise max_length"):
        fit([group(3, 2), group(9, 9)], max_length=4, policy="drop").checked("demonstrations", max_length=4)
    some = fit([group(1, 2), group(9, 9)], max_length=4, policy="drop")
    nothing = fit([], max_length=4, policy="drop")
    assert some.checked("x", max_length=4) is some and nothing.checked("x", max_length=4) is nothing
