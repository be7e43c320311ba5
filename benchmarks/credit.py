"""How much of an answer's score its tokens learn: `python benchmarks/credit.py runs/real-smol`.

The reward model of a run's first round scores the answers that the start gave in its evaluation, and says a number
before each of their tokens, as a value model does that begins as the reward model. From these come PPO's advantages,
for each lambda and each place where values may start. Nothing is trained. An advantage that says whether an answer is
good goes with the answer's score: the correlation over all tokens says how much of it is that, and how much noise. The
KL penalty, 0 at the start, is left out. Intervals are 95 %, over answers.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from assent.algorithms.advantages import gae, token_rewards
from assent.algorithms.policy import explained_variance
from assent.artifacts.find import find_artifact
from assent.core.types import Prompt
from assent.data.render import Renderer
from assent.evaluation.report import read_samples
from assent.models.config import ModelConfig
from assent.models.groups import pack
from assent.models.scalar import ScalarModel
from assent.training.values import line_to_returns

LAMBDAS = (0.95, 1.0)
DRAWS = 1000


@dataclass(frozen=True)
class Scored:
    """Answers laid end to end."""

    said: Tensor
    """By the reward model before each token, as it is saved."""
    scores: Tensor
    """Of each answer, as PPO is paid: normalized."""
    lengths: list[int]

    @property
    def rewards(self) -> Tensor:
        """Of each token, as PPO pays them at no distance from the start."""
        row = torch.repeat_interleave(torch.arange(len(self.lengths)), torch.tensor(self.lengths))
        nothing = torch.zeros_like(self.said)
        return token_rewards(self.scores, nothing, nothing, row, kl_coefficient=0.0)

    def on_the_line(self) -> Tensor:
        """Values as PPO starts them."""
        scale, shift = line_to_returns(self.said, self.rewards, self.lengths, gamma=1.0)
        return scale * self.said + shift


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run with a reward model and an evaluation in round 1")
    parser.add_argument("--answers", type=int, default=64, help="how many, the first")
    parser.add_argument(
        "--longest", type=int, default=384, help="tokens of prompt and answer; longer ones are left out"
    )
    arguments = parser.parse_args()
    found = score(arguments.run / "round-1", arguments.answers, arguments.longest)
    print(
        f"{len(found.lengths)} answers of {np.mean(found.lengths):.0f} tokens; scores {found.scores.std():.2f} apart\n"
    )
    print("| values start | lambda | explained variance | advantages go with the score |\n|---|---|---|---|")
    starts: dict[str, Callable[[Scored], Tensor]] = {
        "as the reward model": lambda one: one.said,
        "at zero": lambda one: torch.zeros_like(one.said),
        "on the scale of the returns": Scored.on_the_line,
    }
    for name, start in starts.items():
        values = start(found)
        for lam in LAMBDAS:
            advantages, returns = gae(found.rewards, values, found.lengths, gamma=1.0, lam=lam)
            seen = float(explained_variance(values, returns))
            print(f"| {name} | {lam:g} | {seen:.2f} | {together(advantages, found)} |")


def score(place: Path, most: int, longest: int) -> Scored:
    """What the reward model of a round says of the first answers of its evaluation's start."""
    model = ScalarModel.load(find_artifact(str(place / "reward")).file("reward"), config=ModelConfig(), trainable=False)
    renderer = Renderer(model.tokenizer)
    samples = read_samples(find_artifact(str(place / "evaluation")).folder)
    groups = [renderer.group(Prompt.of(one["prompt"]), [one["before"]]) for one in samples]
    fitting = [one for one in groups if len(one.prompt) + len(one.continuations[0]) <= longest][:most]
    said, scores, lengths = [], [], []
    with torch.no_grad():
        for batch in pack(fitting, budget=2048):
            said.append(model.at_scored(batch))
            scores.append(model.at_last(batch))
            lengths += batch.row_lengths
    raw = torch.cat(scores)
    return Scored(torch.cat(said), (raw - model.score_mean) / model.score_std, lengths)


def together(advantages: Tensor, found: Scored) -> str:
    """The correlation of both over tokens, with the interval of answers drawn again."""
    rows = [one.numpy() for one in advantages.double().split(found.lengths)]
    scores = found.scores.double().numpy()
    draw = np.random.default_rng(0)

    def of(chosen: np.ndarray) -> float:
        told = np.concatenate([rows[i] for i in chosen])
        paid = np.concatenate([np.full(len(rows[i]), scores[i]) for i in chosen])
        return float(np.corrcoef(told, paid)[0, 1])

    everyone = np.arange(len(rows))
    low, high = np.quantile([of(draw.choice(everyone, len(rows))) for _ in range(DRAWS)], [0.025, 0.975])
    return f"{of(everyone):.2f} [{low:.2f}, {high:.2f}]"


if __name__ == "__main__":
    main()
