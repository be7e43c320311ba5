"""Seeds and hashes: names decide them, and they are the same on every machine and day."""

from __future__ import annotations

import numpy as np
import pytest

from assent.core import seeds
from assent.core.hashing import hash_json, hash_json_list


def test_a_stream_repeats_itself_whatever_else_was_drawn() -> None:
    first = seeds.stream(1, "rollouts", 5).normal(size=4)
    np.random.default_rng(0).normal(size=100)
    seeds.stream(1, "rollouts", 4).normal(size=100)
    assert (seeds.stream(1, "rollouts", 5).normal(size=4) == first).all()


def test_seed_names_their_order_and_their_type_all_count() -> None:
    different = [
        seeds.derive(1, "a", "b"),
        seeds.derive(2, "a", "b"),
        seeds.derive(1, "b", "a"),
        seeds.derive(1, "ab"),
        seeds.derive(1, "a", "b", "c"),
        seeds.derive(1, 3),
        seeds.derive(1, "3"),
    ]
    assert len(set(different)) == len(different)


def test_a_derived_seed_is_fixed_for_all_time_and_fits_torch() -> None:
    # SHA-256 of "7\x1fstr:sft", first eight bytes, shifted right by one. If this fails, no run can be repeated.
    assert seeds.derive(7, "sft") == 3451210731618516908
    assert all(0 <= seeds.derive(s, "x") < 2**63 for s in range(100))


def test_streams_of_neighbouring_steps_are_unrelated() -> None:
    draws = np.array([seeds.stream(0, "step", step).random() for step in range(2000)])
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 0.07
    assert draws.mean() == pytest.approx(0.5, abs=0.03)


def test_json_hashes_ignore_key_order_but_no_digit() -> None:
    assert hash_json({"a": 1, "b": 2}) == hash_json({"b": 2, "a": 1})
    assert hash_json(0.1) != hash_json(0.1 + 2e-17)
    assert hash_json([1, 2]) != hash_json([2, 1])


def test_items_one_by_one_have_the_hash_of_their_list() -> None:
    for items in ([], ["ä"], [["a", 1], ["b", 0.1], {"d": None, "c": "\n"}]):
        assert hash_json_list(iter(items)) == hash_json(items)
    assert hash_json_list(["a", "b"]) != hash_json_list(["b", "a"])
