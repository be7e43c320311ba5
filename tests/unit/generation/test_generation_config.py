"""Sampling: what it refuses, and where a stop text cuts."""

from __future__ import annotations

import pytest

from assent.core.errors import ConfigError
from assent.generation.config import Sampling


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"top_k": 0},
        {"min_p": 1.5},
        {"repetition_penalty": 0.0},
        {"max_new_tokens": 0},
        {"stop": [""]},
    ],
)
def test_values_that_cannot_work_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Sampling.parse(wrong)


def test_text_is_cut_at_the_first_stop_that_occurs() -> None:
    sampling = Sampling(stop=("User:", "\n\n"))
    assert sampling.cut("Yes.\n\nUser: and?") == "Yes."
    assert sampling.cut("Yes. User: and?\n\n") == "Yes. "
    assert sampling.cut("Yes.") == "Yes."
    assert Sampling().cut("Yes.\n\n") == "Yes.\n\n"


def test_of_a_growing_text_all_is_settled_but_what_may_become_a_stop() -> None:
    sampling = Sampling(stop=("User:", "\n\n"))
    assert sampling.settled("Yes. U") == sampling.settled("Yes. User") == sampling.settled("Yes. User: and") == "Yes. "
    assert sampling.settled("Yes. Under") == "Yes. Under"
    assert sampling.settled("Yes.\n") == sampling.settled("Yes.\n\n") == "Yes."
    assert sampling.settled("Yes.\nNo") == "Yes.\nNo"
    assert Sampling().settled("Yes. User:") == "Yes. User:"
