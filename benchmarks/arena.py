"""The arena on real model answers: raw and length-controlled standings, and a planted canary that says one thing.

    python benchmarks/arena.py [--data ../shared/data/alpaca_eval] [--draws 400]

Takes rows of AlpacaEval (non-commercial; for tests and benchmarks only): answers of several models, each judged against
one reference. Prints both tables, how their orders differ, and whether a constant answer that wins everything is named.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
from pathlib import Path

from scipy.stats import kendalltau

from assent.core.types import Comparison, Completion, Judgment, Message, Prompt, Ranking
from assent.feedback.arena import Met, Table, constant_models, style_of, table
from assent.pipeline.commands.arena import lines

CANARY = "I am happy to help! Here is a clear, complete and well-structured answer to your question."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("ASSENT_DATA", "../shared/data")) / "alpaca_eval"
    )
    parser.add_argument("--draws", type=int, default=400)
    asked = parser.parse_args()
    for name in ("annotations_v1", "annotations"):
        with gzip.open(asked.data / f"{name}.jsonl.gz", "rt", encoding="utf-8") as stream:
            rows = [json.loads(line) for line in stream]
        met = [one for row in rows for one in battles(row)]
        raw, fair = (table(met, kind=name, controls_style=style, draws=asked.draws) for style in (False, True))
        for one in (raw, fair):
            print("\n".join(lines(one)))
        print(f"  order raw and at equal style: Kendall tau {tau(raw, fair):.2f}\n")
    print("canary, which wins every comparison:", constant_models([with_canary(row) for row in rows]))


def battles(row: dict) -> list[Met]:
    """Each model against the reference, by how surely the judge preferred it."""
    reference, text = row["generator_1"], row["output_1"]
    return [
        Met(
            one["generator"],
            reference,
            min(1.0, max(0.0, one["preference"] - 1)),
            row["instruction"],
            "autorater",
            style_of(one["output"], text),
        )
        for one in row["outputs"]
        if one.get("preference") is not None
    ]


def with_canary(row: dict) -> Comparison:
    """The reference and the canary, which is preferred."""
    prompt = Prompt(messages=(Message(role="user", content=row["instruction"]),))
    canary = Completion(prompt_id=prompt.id, text=CANARY, source="canary")
    reference = Completion(prompt_id=prompt.id, text=row["output_1"], source=row["generator_1"])
    ranking = Ranking(tiers=((canary.id,), (reference.id,)))
    said = Judgment(task_id=prompt.id, rater_id="judge", ranking=ranking, id=prompt.id)
    return Comparison(prompt=prompt, completions=(canary, reference), judgments=(said,))


def tau(one: Table, other: Table) -> float:
    """Kendall's tau of the strengths of the same models."""
    theirs = {place.model: place.strength.estimate for place in other.places}
    return float(kendalltau([p.strength.estimate for p in one.places], [theirs[p.model] for p in one.places]).statistic)


if __name__ == "__main__":
    main()
