"""The first so many answers of an evaluation, unpicked: `python benchmarks/samples.py runs/real-cpu/round-1`.

Prints docs/samples-real-cpu.md: question, answer of the start, answer of the new policy, each cut to a few hundred
characters. First means in the order of the held-out prompts, which a seed has shuffled; nothing is left out.
"""

from __future__ import annotations

import argparse
import json

from assent.artifacts.find import find_artifact


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("round", help="a round of a run, runs/x/round-1")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--characters", type=int, default=320, help="of each text")
    arguments = parser.parse_args()
    path = find_artifact(f"{arguments.round}/evaluation").file("samples.jsonl")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()][: arguments.count]
    for number, row in enumerate(rows, 1):
        print(f"\n## {number}\n")
        for name, key in (("Question", "prompt"), ("Fine-tuned", "before"), ("After PPO", "after")):
            print(f"**{name}.** {shown(row[key], arguments.characters)}\n")


def shown(text: str, characters: int) -> str:
    """A text on one line as code, so that nothing in it is read as markup."""
    line = " ⏎ ".join(text.split("\n")).replace("`", "ˋ")
    return f"`{line[:characters]}{' …' if len(line) > characters else ''}`"


if __name__ == "__main__":
    main()
