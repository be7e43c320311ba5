"""Facts about splits and near-duplicates."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter

import numpy as np
import pytest

from assent.core.errors import DataError
from assent.core.types import Conversation, Message, Prompt
from assent.data.duplicates import near_across, near_pairs
from assent.data.shingling import Shingled, normalized
from assent.data.splits import leakage, split, split_key

SHARES = {"train": 0.8, "heldout": 0.2}


def test_shares_are_met_and_nothing_is_lost():
    prompts = [Prompt.of(f"question {n}") for n in range(2000)]
    sides = split(prompts, SHARES, seed=0)
    assert sorted(p.text for side in sides.values() for p in side) == sorted(p.text for p in prompts)
    # 400 expected, standard deviation 17.9.
    assert abs(len(sides["heldout"]) - 400) < 4 * 17.9
    three = split(prompts, {"train": 0.5, "heldout": 0.3, "test": 0.2}, seed=0)
    for name, expected, deviation in (("train", 1000, 22.4), ("heldout", 600, 20.5), ("test", 400, 17.9)):
        assert abs(len(three[name]) - expected) < 4 * deviation


def test_sides_do_not_change_when_data_grow_or_are_reordered():
    prompts = [Prompt.of(f"question {n}") for n in range(300)]
    few, many = split(prompts[:100], SHARES, seed=3), split(prompts[::-1], SHARES, seed=3)
    for name in SHARES:
        assert {p.id for p in few[name]} <= {p.id for p in many[name]}
    other = split(prompts, SHARES, seed=4)
    assert {p.id for p in other["heldout"]} != {p.id for p in many["heldout"]}


def test_every_part_of_two_keys_or_more_is_on_every_side_and_only_the_nearest_key_moves_for_it():
    debates = [Prompt.of(f"{n} {m}", split_group=f"debate {n}", file="debates") for n in range(4) for m in range(5)]
    others = [Prompt.of(f"question {n}", file="questions") for n in range(200)]
    alone = [Prompt.of("only one", file="single")]
    for seed in range(40):
        plain = split([*debates, *others, *alone], SHARES, seed=seed)
        sides = split([*debates, *others, *alone], SHARES, seed=seed, part_of=lambda p: p.meta["file"])
        held = {p.meta["split_group"] for p in sides["heldout"] if p.meta["file"] == "debates"}
        before = {p.meta["split_group"] for p in plain["heldout"] if p.meta["file"] == "debates"}
        assert len(held) == max(1, min(len(before), 3)) and (held == before or not before or len(before) == 4)
        assert sum(len(side) for side in sides.values()) == 221
        unmoved = [[p.text for p in s["heldout"] if p.meta["file"] != "debates"] for s in (plain, sides)]
        assert unmoved[0] == unmoved[1]


def test_conversations_that_begin_alike_stay_together():
    def talk(*contents):
        roles = ("user", "assistant") * 3
        return Conversation(messages=tuple(Message(role=r, content=c) for r, c in zip(roles, contents, strict=False)))

    begun = [talk("Hello!", "a"), talk("hello", "b", "more", "c")]
    assert split_key(begun[0]) == split_key(begun[1]) != split_key(talk("Bye", "a"))
    assert split_key(Prompt.of("x", split_group="tree 7")) == "tree 7"
    assert split_key(Prompt.of("???")) != split_key(Prompt.of("!!!"))


def test_an_empty_side_is_an_error():
    with pytest.raises(DataError, match=r"split \(share 0\.\d\) is empty: 50 items have 1 distinct prompts"):
        split([Prompt.of("same") for _ in range(50)], {"heldout": 0.2, "train": 0.8}, seed=0)


def test_similarity_by_hand():
    # 6 words: 4 shingles; the last word differs: 3 of 5 shingles are shared.
    one, other = "where is my order number five", "Where is my order, number six?"
    assert len(shingles(one)) == len(Shingled.of([one]).flat) == 4
    assert [(p.first, p.second, p.similarity) for p in near_pairs([one, "else", other], threshold=0.6)] == [(0, 2, 0.6)]
    assert near_pairs([one, other], threshold=0.61) == []


def exact_groups(texts: list[str]) -> list[list[int]]:
    """Places of texts that are equal after normalization, by first appearance; without any word, as they stand."""
    groups: dict[str, list[int]] = {}
    for place, text in enumerate(texts):
        groups.setdefault(normalized(text) or text, []).append(place)
    return list(groups.values())


def shingles(text: str) -> frozenset[tuple[str, ...]]:
    """Runs of three words; of a shorter text the whole text."""
    words = normalized(text).split()
    return frozenset(tuple(words[i : i + 3]) for i in range(max(len(words) - 2, 1))) if words else frozenset()


def similar_pairs(texts: list[str], threshold: float) -> dict[tuple[int, int], float]:
    """All pairs of distinct texts compared one by one, with sets of words in place of hashes."""
    first = [group[0] for group in exact_groups(texts)]
    whole = {i: shingles(texts[i]) for i in first}
    counts = Counter(shingle for members in whole.values() for shingle in members)
    many = max(4, min(10, math.ceil(0.2 * len(first))))
    template = {shingle for shingle, count in counts.items() if count >= many}
    own = {i: members - template or members for i, members in whole.items()}
    numbers = {i: Counter(re.findall(r"\d+", texts[i])) for i in first}
    found = {}
    for i, j in itertools.combinations(sorted(first), 2):
        pairs = [(a, b) for a, b in ((own[i], own[j]), (whole[i], whole[j])) if a | b]
        alike = min((len(a & b) / len(a | b) for a, b in pairs), default=0.0)
        if alike >= threshold and numbers[i] == numbers[j]:
            found[i, j] = alike
    return found


def texts_alike(seed: int, *, count: int = 60) -> list[str]:
    """Short texts of few words, copies of them with words changed, and some that begin or end as many do."""
    draw = np.random.default_rng(seed)
    words = [chr(97 + n) * 3 for n in range(40)] + ["1", "22"]
    base = [" ".join(draw.choice(words, size=draw.integers(1, 14))) for _ in range(count)]
    near = [" ".join(np.where(draw.random(len(t.split())) < 0.1, "zz", t.split())) for t in base]
    below = [f"say in one short sentence {text}" for text in (*base[:20], *near[:20])]
    return [*base, *near, *below, "???", "!!!", base[0].upper()]


@pytest.mark.parametrize("seed", [0, 1])
def test_all_pairs_are_found(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against comparing every pair: the prefix filter must lose none and invent none, wherever its blocks end."""
    texts = texts_alike(seed)
    monkeypatch.setattr("assent.data.duplicates.BLOCK", 7)
    monkeypatch.setattr("assent.data.duplicates.PAIRS_AT_ONCE", 50)
    for threshold in (0.3, 0.5, 0.7, 1.0):
        found = near_pairs(texts, threshold=threshold)
        assert {(p.first, p.second): p.similarity for p in found} == similar_pairs(texts, threshold)
        assert [p.similarity for p in found] == sorted((p.similarity for p in found), reverse=True)


def test_pairs_across_two_sides_are_those_among_all_that_have_one_on_each() -> None:
    texts = texts_alike(3)
    held = Shingled.of(texts)
    is_late = held.distinct >= 70
    found = near_across(held, ~is_late, is_late, threshold=0.4)
    assert found and found == [p for p in near_pairs(texts, threshold=0.4) if p.first < 70 <= p.second]


def test_the_memory_of_a_text_is_that_of_its_shingles() -> None:
    """Twelve words are ten shingles of eight bytes; a set of their words takes more than a kilobyte."""
    held = Shingled.of(" ".join(f"w{n}x{i}" for i in range(12)) for n in range(50))
    assert held.flat.nbytes == 50 * 10 * 8 and held.starts.nbytes + held.first.nbytes + held.numbers.nbytes < 50 * 30


INSTRUCTION = " ".join(f"rule{chr(97 + n)} says so" for n in range(26)) + " read the question and answer it briefly"


@pytest.mark.parametrize("count", [4, 12, 60])
def test_questions_below_one_instruction_are_no_twins(count: int) -> None:
    subjects = [f"{chr(97 + n % 26)}{chr(97 + n // 26)}x{chr(97 + n % 7)}" for n in range(count)]
    texts = [f"{INSTRUCTION}: where can I buy a {word} today" for word in subjects]
    assert near_pairs(texts) == []


def test_a_template_with_two_blanks_makes_no_twins() -> None:
    who, what = ("children", "cooks", "judges", "we"), ("bread", "wine", "Lisbon", "eggs", "trees", "dogs")
    assert (
        near_pairs([f"What should {one} know about {other} before the summer?" for one in who for other in what]) == []
    )


def test_a_twin_below_an_instruction_is_still_found() -> None:
    questions = [
        "how do I get stains of red wine out of a white cotton shirt",
        "what should I see in Lisbon when I have two days and a dog",
        "why does my bread not rise although the yeast is fresh and warm",
        "which trees grow fast in dry and stony ground near the coast",
        "how long do boiled eggs keep outside of the fridge in summer",
    ]
    twin = "how do I get stains of red wine out of a white cotton shirt quickly"
    found = near_pairs([*(f"{INSTRUCTION}: {q}" for q in questions), f"{INSTRUCTION}: {twin}"])
    assert [(p.first, p.second) for p in found] == [(0, 5)]


def test_other_numbers_are_another_question() -> None:
    longer = "please tell me step by step what comes out when you add the numbers"
    assert near_pairs([f"{longer} 3 and 4 together now", f"{longer} 3 and 5 together now"]) == []
    assert near_pairs(["What is 3+4?", "What is 3+5?"]) == []
    assert len(near_pairs([f"{longer} 3 and 4 together now", f"{longer} 3 and 4 together here"])) == 1


def test_copies_are_no_pairs() -> None:
    assert near_pairs(["a b c d"] * 500) == []


def test_leakage_names_every_twin_that_comparing_all_pairs_finds() -> None:
    texts = texts_alike(5)
    train, evaluation = texts[:60], texts[60:]
    expected = set()
    alike = similar_pairs([*train, *evaluation], 0.5)
    groups = exact_groups([*train, *evaluation])
    of = {group[0]: group for group in groups}
    for (i, j), similarity in [*alike.items(), *(((group[0], group[0]), 1.0) for group in groups)]:
        for one, other in ((of[i], of[j]), (of[j], of[i])):
            if one[0] < len(train):
                expected |= {(one[0], e - len(train), similarity) for e in other if e >= len(train)}
    report = leakage([Prompt.of(t) for t in train], [Prompt.of(t) for t in evaluation], threshold=0.5)
    assert len(expected) > 5 and {(x.train, x.evaluation, x.similarity) for x in report.leaks} == expected


def test_leakage_finds_exact_and_near_twins():
    train = [Prompt.of(t) for t in ("Where is my order number five please", "What is tea?", "What is tea")]
    evaluation = [Prompt.of(t) for t in ("what is TEA", "Is it cold?", "where is my order number five then")]
    report = leakage(train, evaluation, threshold=0.5)
    # 7 words, 5 shingles each, the last differs: 4 of 6 are shared.
    assert [(x.train, x.evaluation, round(x.similarity, 3)) for x in report.leaks] == [(1, 0, 1.0), (0, 2, 0.667)]
    assert report.leaked == (0, 2) and report.share == 2 / 3
    assert report.lines() == ["leakage: 2 of 3 evaluation prompts are in training (1 exactly, 1 nearly); drop them"]
    assert "no leakage" in leakage(train, evaluation[1:2]).lines()[0]
