"""Which countries of real raters get an offset? `python benchmarks/profiles_people.py`: the trial of profiles, alone.

CREHate (Lee et al. 2024): posts that people of five countries called hateful or not. Each rater's hateful posts stand
above those that he or she did not call so; the parent's head is fitted to everybody's learning side, on states of words
(see `benchmarks/bias_crehate.py`). Held out are raters and posts. Posts are offensive; none is printed.
D3CODE: people of 21 countries who rated six moral foundations. A rater's higher foundation stands above the lower; held
out are raters and pairs of foundations. There are no votes on texts in this set.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
from bias_crehate import pairs_of, rows, states_of
from scipy.special import expit

from assent.core import seeds
from assent.profiles.holdout import is_held_out
from assent.profiles.trial import ALPHA, OffsetTrial, Poll, try_offset
from assent.stats.multiple import benjamini_hochberg
from assent.training.head_fit import HeadVotes, fit_head

FOUNDATIONS = ("care", "equality", "proportionality", "authority", "loyalty", "purity")
PLANTED = (0.3, 0.6, 1.0)
"""Deviations of planted tastes between two answers, in logits."""
FEWEST = 20
"""Raters of a country without which it is not asked about."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("ASSENT_DATA", "../shared/data")))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of how posts are paired")
    parser.add_argument("--power", type=int, default=0, help="planted tastes of each size and country")
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        print(f"\nCREHate, seed {seed}")
        poll, country = crehate(arguments.data / "crehate", seed)
        table(poll, country, seed)
        if arguments.power:
            power(poll, country, arguments.power)
    print("\nD3CODE, moral foundations")
    poll, country = foundations(arguments.data / "d3code_raters")
    table(poll, country, 0)


def crehate(folder: Path, seed: int) -> tuple[Poll, np.ndarray]:
    """Votes on pairs of posts of one side of the split, and the country of each rater."""
    posts = rows(folder / "posts_country_labels.jsonl.gz")
    judged = rows(folder / "raw_annotations.jsonl.gz")
    states = states_of([one["Text"] for one in posts])
    place = {one["ID"]: i for i, one in enumerate(posts)}
    pairs = []
    for side in (True, False):
        pairs += pairs_of(judged, {name: i for name, i in place.items() if is_held_out("prompt", name) == side}, seed)
    home = {str(one["annotator_id"]): str(one["nationality"]) for one in judged}
    names = [one["ID"] for one in posts]
    return poll_of([(rater, names[a], states[a] - states[b]) for rater, a, b in pairs], home)


def foundations(folder: Path) -> tuple[Poll, np.ndarray]:
    """Votes on pairs of foundations, a state of a foundation being which it is."""
    with gzip.open(folder / "raters.jsonl.gz", "rt", encoding="utf-8") as lines:
        people = [json.loads(line) for line in lines]
    ones, votes = np.eye(len(FOUNDATIONS)), []
    for one in people:
        scores = [float(one[name]) if one[name] not in ("", None) else float("nan") for name in FOUNDATIONS]
        for a, b in combinations(range(len(FOUNDATIONS)), 2):
            if np.isfinite(scores[a]) and np.isfinite(scores[b]) and scores[a] != scores[b]:
                up, down = (a, b) if scores[a] > scores[b] else (b, a)
                votes.append((one["rater_id"], f"{FOUNDATIONS[a]} or {FOUNDATIONS[b]}", ones[up] - ones[down]))
    return poll_of(votes, {one["rater_id"]: str(one["Country"]) for one in people})


def poll_of(votes: list[tuple[str, str, np.ndarray]], home: dict[str, str]) -> tuple[Poll, np.ndarray]:
    """A poll whose parent's head is fitted to everybody's learning side."""
    raters, who = np.unique([one[0] for one in votes], return_inverse=True)
    prompts, asked = np.unique([one[1] for one in votes], return_inverse=True)
    states = np.array([one[2] for one in votes])
    size = len(votes)
    made = HeadVotes(states, np.zeros((size, 0)), np.zeros(size), np.ones(size), who, asked)
    nobody = Poll(made, tuple(raters), tuple(prompts), np.zeros(len(raters), bool), np.zeros(states.shape[1]))
    learn = nobody.split().learn
    head = fit_head(made.without(~learn))
    country = np.array([home[str(one)] for one in raters])
    return Poll(made, nobody.raters, nobody.prompts, nobody.members, head), country


def trials(poll: Poll, country: np.ndarray, seed: int) -> Iterator[tuple[str, OffsetTrial]]:
    """Each country as an audience among all others."""
    for name in sorted(set(country.tolist())):
        members = country == name
        if members.sum() >= FEWEST:
            audience = Poll(poll.votes, poll.raters, poll.prompts, members, poll.head)
            yield name, try_offset(audience, level="shared", seed=seed)[1]


def power(poll: Poll, country: np.ndarray, draws: int) -> None:
    """How often a planted taste of each size passes: a country's own votes, said anew with a random direction added."""
    print("\n| country | " + " | ".join(f"τ = {size}: p ≤ 0.05, passes" for size in PLANTED) + " |")
    print("|---|" + "---|" * len(PLANTED))
    for name in sorted(set(country.tolist())):
        members, cells = country == name, []
        for size in PLANTED:
            found = [planted(poll, members, size, seed) for seed in range(draws)]
            seen = sum(one.p is not None and one.p <= ALPHA for one in found)
            cells.append(f"{seen} and {sum(one.passes for one in found)} of {draws}")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def planted(poll: Poll, members: np.ndarray, size: float, seed: int) -> OffsetTrial:
    """The trial of a country whose people want a random direction beside the head, of `size` logits between answers."""
    random, votes = seeds.stream(seed, "profiles", "planted"), poll.votes
    inside = members[votes.rater]
    extra = random.normal(size=votes.states.shape[1])
    extra *= size / np.std(votes.states @ extra)
    turned = inside & (random.random(len(inside)) >= expit(votes.states @ (poll.head + extra)))
    said = np.where(turned, -1.0, 1.0)
    # Which of both was the better one carries no information here: a pair is turned to what was said.
    made = replace(votes, states=votes.states * said[:, None], first=votes.first * said)
    return try_offset(replace(poll, votes=made, members=members), level="shared", seed=seed)[1]


def table(poll: Poll, country: np.ndarray, seed: int) -> None:
    """One line a country."""
    found = list(trials(poll, country, seed))
    adjusted = benjamini_hochberg([1.0 if one.p is None else one.p for _, one in found])
    print(f"{len(poll.votes.weight)} votes of {len(poll.raters)} raters on {len(poll.prompts)} prompts")
    print("\n| country | learned from | held out | p | adjusted | τ | gain, nats a vote | accuracy | would be seen |")
    print("|---|---|---|---|---|---|---|---|---|")
    for (name, one), p in zip(found, adjusted, strict=True):
        gain = "–" if one.gain is None else f"{one.gain.estimate:+.4f} [{one.gain.low:+.4f}, {one.gain.high:+.4f}]"
        right = one.accuracy
        moved = "–" if right is None else f"{right.estimate:+.3f} [{right.low:+.3f}, {right.high:+.3f}]"
        least = "–" if one.smallest is None else f"{one.smallest:.4f}"
        ok = "**" if one.passes else ""
        print(
            f"| {ok}{name}{ok} | {one.learned} | {one.tested} | {one.p:.4f} | {p:.4f} | {one.spread} | {gain} | {moved}"
            f" | {least} |"
        )
    print(f"\npass: {', '.join(name for name, one in found if one.passes) or 'none'}")


if __name__ == "__main__":
    main()
