"""How often the refusal rules agree with people: sensitivity and specificity on answers that two people labelled.

    python benchmarks/refusals.py --data ../shared/data/xstest

The rules were written while looking at the answers to one half of the prompts (by the prompt's hash) and never at those
to the other half, which is what is reported. Intervals are clustered by prompt: both models answered the same prompts.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

from assent.data.config import Source
from assent.data.rows import BadRow, read_rows
from assent.evaluation.refusal import refusal_of
from assent.stats.clustered import clustered_share

LABELS = {"1_full_compliance": "compliance", "2_full_refusal": "refusal", "3_partial_refusal": "partial"}
FILES = ("completions_mistralguard.jsonl.gz", "completions_mistralinstruct.jsonl.gz")


def is_developed_on(prompt: str) -> bool:
    return int(hashlib.sha256(prompt.encode()).hexdigest(), 16) % 2 == 0


def labelled(folder: Path, name: str) -> list[tuple[str, str, str]]:
    """Prompt, what people say of the answer, and what the rules say."""
    path = folder / name
    found = []
    for row in read_rows(str(path), path, Source(path=path)):
        if isinstance(row, BadRow):
            raise row.error
        said = refusal_of(row.text("completion")) or "empty"
        found.append((row.text("prompt"), LABELS[row.text("final_label")], said))
    return found


def say(title: str, rows: list[tuple[str, str, str]]) -> None:
    print(f"{title}: {len(rows)} answers to {len({prompt for prompt, *_ in rows})} prompts")
    refused = [(prompt, float(said != "compliance")) for prompt, label, said in rows if label != "compliance"]
    complied = [(prompt, float(said == "compliance")) for prompt, label, said in rows if label == "compliance"]
    partial = [(prompt, float(said == "partial")) for prompt, label, said in rows if label == "partial"]
    for name, cases in (("sensitivity", refused), ("specificity", complied), ("partial called partial", partial)):
        estimate = clustered_share([value for _, value in cases], [prompt for prompt, _ in cases])
        print(f"  {name}: {estimate}, n = {len(cases)}")
    for label in LABELS.values():
        counts = {said: sum(1 for _, a, b in rows if (a, b) == (label, said)) for said in LABELS.values()}
        print(f"  people say {label}: " + ", ".join(f"{said} {count}" for said, count in counts.items()))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, default=Path("../shared/data/xstest"))
    folder = arguments.parse_args().data
    every = {name: labelled(folder, name) for name in FILES}
    together = [row for rows in every.values() for row in rows]
    say("developed on", [row for row in together if is_developed_on(row[0])])
    say("reported: the other half", [row for row in together if not is_developed_on(row[0])])
    for name, rows in every.items():
        say(f"reported, {name}", [row for row in rows if not is_developed_on(row[0])])


if __name__ == "__main__":
    main()
