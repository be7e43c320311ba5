"""The most answers of a task, where the constant cannot be imported: digit keys of the page, options of a command."""

from __future__ import annotations

import re
import typing

from assent.cli.rating import rate
from assent.core.types import MAX_ANSWERS
from assent.web.context import STATIC


def test_each_answer_has_a_digit_key() -> None:
    keys = (STATIC / "keys.js").read_text(encoding="utf-8")
    digits = re.search(r"/\^\[1-(\d)\]\$/", keys)
    shown = re.findall(r'\["1", "–", "(\d)"\]', keys)
    assert digits is not None and {digits[1], *shown} == {str(MAX_ANSWERS)}


def test_as_many_answers_are_drawn_as_can_be_ranked() -> None:
    option = typing.get_type_hints(rate, include_extras=True)["answers"].__metadata__[0]
    assert (option.min, option.max) == (2, MAX_ANSWERS)
