"""Whose leans does a score of hate speech inherit? `benchmarks/bias_crehate.py` on CREHate, by country of raters.

1,256 posts judged by people of five countries (Lee et al. 2024). A score of how hateful a post is, is a head on states
(words of the posts, reduced by a singular value decomposition), fitted to pairs: of each rater a post that he or she
called hateful, above one that he or she did not. Then `evaluation/inheritance.py` says what people of each country lean
on more than the others, and what each country does to the score. Posts are offensive; none is printed.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from assent.core import seeds
from assent.data.swaps import swap_lists
from assent.evaluation.inheritance import Inheritance, inheritance
from assent.stats.clustered import clustered_share, paired_difference
from assent.training.answer_features import LENGTH, RAREST, features_of
from assent.training.head_fit import Answers, HeadVotes, fit_head

SIZE = 48
"""Directions of words."""
COMMON = 5
"""Posts that hold a word, at least."""


def rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def states_of(texts: list[str]) -> np.ndarray:
    """[N, SIZE]: words of each post weighted by rarity, reduced."""
    words = [set(text.lower().split()) for text in texts]
    counts = Counter(word for one in words for word in one)
    known = {word: i for i, word in enumerate(sorted(w for w, n in counts.items() if n >= COMMON))}
    found = np.zeros((len(texts), len(known)))
    for row, one in enumerate(words):
        for word in one & known.keys():
            found[row, known[word]] = np.log(len(texts) / counts[word])
    found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)
    left, sizes, _ = np.linalg.svd(found - found.mean(axis=0), full_matrices=False)
    return left[:, :SIZE] * sizes[:SIZE]


def pairs_of(judged: list[dict[str, Any]], place: dict[str, int], seed: int) -> list[tuple[str, int, int]]:
    """(rater, hateful, not hateful): each post of a rater in one pair at most."""
    by_rater: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for one in judged:
        if one["ID"] in place:
            by_rater[str(one["annotator_id"])][int(one["annotation"])].append(place[one["ID"]])
    found = []
    for rater, said in sorted(by_rater.items()):
        random = seeds.stream(seed, "crehate", rater)
        yes, no = random.permutation(said[1]), random.permutation(said[0])
        found += [(rater, int(a), int(b)) for a, b in zip(yes, no, strict=False)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("ASSENT_DATA", "../shared/data")) / "crehate")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    posts = rows(arguments.data / "posts_country_labels.jsonl.gz")
    judged = rows(arguments.data / "raw_annotations.jsonl.gz")
    texts = [one["Text"] for one in posts]
    place = {one["ID"]: i for i, one in enumerate(posts)}
    country = {str(one["annotator_id"]): str(one["nationality"]) for one in judged}
    pairs = pairs_of(judged, place, arguments.seed)
    raters = sorted({rater for rater, _, _ in pairs})
    number = {rater: i for i, rater in enumerate(raters)}
    lists = swap_lists(axes=("identity", "religion", "nationality"))
    names = feature_names(texts, lists)
    answers = Answers(states_of(texts), features_of(texts, names, lists), np.zeros(len(texts), int))
    up, down = np.array([a for _, a, _ in pairs]), np.array([b for _, _, b in pairs])
    who = np.array([number[rater] for rater, _, _ in pairs])
    gaps = answers.states[up] - answers.states[down], answers.features[up] - answers.features[down]
    votes = HeadVotes(*gaps, np.zeros(len(up)), np.ones(len(up)), who, up)
    print(f"{len(pairs)} pairs of {len(raters)} raters and {len(texts)} posts")
    print_accuracy(votes, [country[rater] for rater in raters])
    found = inheritance(votes, answers, names, raters, {r: {"country": country[r]} for r in raters})
    print_leans(found, names)


def feature_names(texts: list[str], lists: Any) -> tuple[str, ...]:
    """Log words, and who is named in enough posts."""
    counts = Counter(f"{a.axis}: {group}" for a in lists.axes for text in texts for group in a.mentions(text))
    return (LENGTH, *(name for name, n in sorted(counts.items()) if n >= RAREST))


def print_accuracy(votes: HeadVotes, country: list[str]) -> None:
    """How often a head orders pairs of unseen posts as people of a country did, with and without their votes."""
    side = seeds.stream(0, "crehate", "side").random(int(votes.prompt.max()) + 1) < 0.3
    test = side[votes.prompt]
    home = np.array(country)[votes.rater]
    everybody = fit_head(votes.without(test))
    print("\n| country | raters | pairs | right, all votes | right, without its votes | difference |")
    print("|---|---|---|---|---|---|")
    for name in sorted(set(country)):
        head = fit_head(votes.without(test | (home == name)))
        own = votes.without(~test | (home != name))
        right, less = ((own.states @ one > 0).astype(float) for one in (everybody, head))
        moved = paired_difference(right, less, own.rater)
        print(
            f"| {name} | {country.count(name)} | {int((home == name).sum())} | {clustered_share(right, own.rater)} |"
            f" {clustered_share(less, own.rater)} | {moved.estimate:+.3f} [{moved.low:+.3f}, {moved.high:+.3f}] |"
        )


def print_leans(found: Inheritance, names: tuple[str, ...]) -> None:
    """Leans of the score, of each country beyond the others, and each country's influence."""
    print("\n| feature | the score | " + " | ".join(f"{one.group}: more" for one in found.groups) + " |")
    print("|---|---|" + "---|" * len(found.groups))
    for name in names:
        print(f"| {name} | {found.leans[name]} | " + " | ".join(str(one.leans[name]) for one in found.groups) + " |")
    print("\ninfluence on the score (lean less the lean without the country)\n")
    for one in found.groups:
        print(f"{one.group}: " + "; ".join(f"{name} {one.influence[name]}" for name in names))
    print("\nalarms: " + ("\n".join(found.alarms) or "none"))
    print("too few raters: " + (", ".join(found.too_small) or "none"))


if __name__ == "__main__":
    main()
