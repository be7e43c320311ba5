"""The real human data of `make real`, in two sides that share no prompt and no known person.

    python benchmarks/real_sides.py --data ../shared/data --to build/real

Side `main` trains reward model and policies; side `gold` fits the reward model that judges them and trains nothing
else. Prompts fall by hash, debates and trees whole, and what asks nearly the same on the gold side is left out. Of
UKP's votes people are known: each person falls on one side too, and a vote of one side's person on the other side's
prompt is used by neither. Sets whose judgments were pooled name no people. Rows of a side are in an order by hash, so
that a `limit` takes any of them. The suites' files and the prompts of Dolly are copied beside, so that the
configurations in configs/ name one folder only.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from assent.core import files
from assent.core.hashing import hash_json
from assent.core.types import Comparison
from assent.data import formats
from assent.data.config import FormatName, Source
from assent.data.heldout import take_out
from assent.data.load import load_comparisons
from assent.data.splits import side_of, split_key
from assent.pipeline.guarding import SEED, part

GOLD = 0.4
"""Share of the prompts, and of the people, that the judge learns from."""
SETS: dict[str, tuple[str, FormatName]] = {
    "hh": ("hh_harmless_base_test/pairs.jsonl.gz", "hh"),
    "oasst": ("oasst_en_100_trees/ranked_replies.jsonl.gz", "oasst"),
    "ukp": ("ukp_convarg1/pairs.jsonl.gz", "ukp"),
}
COPIED = ("dolly_15k/dolly.jsonl.gz", "xstest/prompts.jsonl", "hhh_alignment/hhh_alignment.jsonl")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("ASSENT_DATA", "../shared/data")))
    parser.add_argument("--to", type=Path, default=Path("build/real"))
    arguments = parser.parse_args()
    if gone := [
        name for name in (*(place for place, _ in SETS.values()), *COPIED) if not (arguments.data / name).exists()
    ]:
        raise SystemExit(
            f"real_sides: {arguments.data / gone[0]} is not there; set ASSENT_DATA to the folder of the data"
        )
    told = {}
    for name, (place, form) in SETS.items():
        told[name] = write_set(arguments.to, name, Source(path=arguments.data / place, format=form, skip_bad=True))
        print(f"{name}: {told[name]}")
    for place in COPIED:
        target = arguments.to / "data" / place.partition("/")[2]
        shutil.copyfile(arguments.data / place, target)
    files.write_text(arguments.to / "data" / "sides.json", json.dumps(told, indent=2) + "\n")


def write_set(folder: Path, name: str, source: Source) -> dict[str, int]:
    """Write both sides of one set; what is left out of them is counted."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    found, report = load_comparisons([source], quarantine=folder / "data" / f"{name}-bad-rows.jsonl")
    main_side, gold_side, unused = sides(list(found))
    kept = take_out(gold_side, [one.prompt for one in main_side])
    counts = {
        "prompts shared and left out": kept.out,
        "votes used by neither": unused,
        "rows that cannot be read": report.num_bad,
    }
    for side, items in (("main", main_side), ("gold", kept.items)):
        place = folder / side / f"{name}.jsonl"
        place.parent.mkdir(parents=True, exist_ok=True)
        counts[side] = formats.write(place, in_hash_order(items))
    return counts


def sides(comparisons: Sequence[Comparison], share: float = GOLD) -> tuple[list[Comparison], list[Comparison], int]:
    """The main side, the gold side, and how many judgments neither has."""
    people = {judgment.rater_id for one in comparisons for judgment in one.judgments}
    if len(people) > 1:
        parted = part(comparisons, share)
        return parted.train, parted.gold, parted.unused
    by_side: dict[str, list[Comparison]] = {"train": [], "gold": []}
    for one in comparisons:  # pooled: nobody is known
        by_side[side_of(split_key(one), {"train": 1 - share, "gold": share}, seed=SEED)].append(one)
    return by_side["train"], by_side["gold"], 0


def in_hash_order(items: Sequence[Comparison]) -> list[Comparison]:
    """In an order that has nothing to do with the file's."""
    return sorted(items, key=lambda one: hash_json([one.prompt.id, [answer.text for answer in one.completions]]))


if __name__ == "__main__":
    main()
