"""How much better could a culture be served, and what do rewards say of it? `python benchmarks/profile_room.py RUN`.

Goes over the profiles that `benchmarks/profiles.py RUN` made. The reply that a culture likes best of all that the lab
can write is held against an answer of the policy that its profile starts from, to held-out prompts: by the lab's truth,
by the parent's reward and by the profile's own. Intervals are over prompts.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from profiles import CULTURES, TODAY, place_of

from assent.artifacts.find import find_artifact
from assent.artifacts.jsonl import read_records
from assent.core.types import Prompt
from assent.generation.config import Sampling
from assent.lab.people import ideal_reply
from assent.models.config import ModelConfig
from assent.pipeline.backends import Backends, machine
from assent.pipeline.config import ComputeConfig
from assent.pipeline.profile_line import Line
from assent.raters.simulated import lab_utility


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the run that `benchmarks/profiles.py` was given")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--start", default="round-2", help="the round whose policy profiles start from")
    parser.add_argument("--prompts", type=int, default=120)
    arguments = parser.parse_args()
    print("| seed | culture | truth | parent's reward | own reward |")
    print("|---|---|---|---|---|")
    for seed in arguments.seeds:
        for culture in CULTURES:
            found = " | ".join(room(arguments, seed, culture))
            print(f"| {seed} | {culture} | {found} |", flush=True)


def room(arguments: argparse.Namespace, seed: int, culture: str) -> list[str]:
    """What the best reply has more than the policy's answer, by truth and both rewards, in words."""
    start = str(arguments.run / arguments.start)
    line = Line.of(place_of(arguments.run, seed), culture, start, today=TODAY)
    assert line.profile.reward is not None
    asked = read_records(line.prompts.file("eval.jsonl"), Prompt)[: arguments.prompts]
    compute = ComputeConfig(threads=1)
    with machine(compute):
        backends = Backends(ModelConfig(), compute)
        writer = backends.writer_named(str(find_artifact(start).folder / "policy"))
        own = writer.write(asked, num_samples=1, sampling=Sampling(temperature=1.0, max_new_tokens=64), seed=seed)
        answers = [row[0].text for row in own]
        best = [ideal_reply(prompt, group=culture) for prompt in asked]
        parent, child = (
            backends.scorer(one.file("reward"), normalize=False)
            for one in (line.reward, find_artifact(line.profile.reward))
        )

        def liked(prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float]:
            thinks = lab_utility()
            return [thinks(prompt, text, culture) for prompt, text in zip(prompts, texts, strict=True)]

        return [in_words(np.subtract(scores(asked, best), scores(asked, answers))) for scores in (liked, parent, child)]


def in_words(more: np.ndarray) -> str:
    """A mean with its 95 % interval."""
    return f"{more.mean():+.2f} ± {1.96 * more.std(ddof=1) / np.sqrt(len(more)):.2f}"


if __name__ == "__main__":
    main()
