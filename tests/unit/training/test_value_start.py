"""Where a value model of its own begins: on the scale of the returns, as far as it tells of them, and no further."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from test_ppo import CONFIG, assert_same, roles
from training_toys import FAST, Toy, dying, share_of_e

from assent.algorithms.policy import explained_variance
from assent.core.runlog import read_metrics
from assent.core.types import Prompt
from assent.pipeline.learners import value_learner
from assent.training.loop import Loop
from assent.training.ppo import train_ppo
from assent.training.values import ValueStart


class Headed:
    def __init__(self) -> None:
        self.head = torch.tensor([2.0, -4.0])


def test_the_line_by_hand() -> None:
    # Two answers of two tokens, which earn 1 and 3, of which 0 and 4 is said: slope 1/2, and 1 where nothing is said.
    model = Headed()
    start = ValueStart(model)
    rewards = torch.tensor([0.0, 1.0, 0.0, 3.0])
    values = start.fit(torch.tensor([0.0, 0.0, 4.0, 4.0]), rewards, [2, 2], gamma=1.0)
    assert values.tolist() == [1.0, 1.0, 3.0, 3.0]
    assert model.head.tolist() == [1.0, -2.0] and start.shift == 1.0 and not start.is_due


def test_a_penalty_on_the_way_and_a_discount_are_in_the_returns() -> None:
    # To come: -1 + 4/2 = 1 and 4; said by threes.
    start = ValueStart(Headed())
    values = start.fit(torch.tensor([0.0, 9.0]), torch.tensor([-1.0, 4.0]), [2], gamma=0.5)
    assert values.tolist() == pytest.approx([1.0, 4.0]) and start.shift == pytest.approx(1.0)


@pytest.mark.parametrize(
    "said", [[5.0, 5.0, 5.0, 5.0], [4.0, 4.0, 0.0, 0.0]], ids=["says one thing", "says the contrary"]
)
def test_what_tells_nothing_of_the_returns_begins_at_their_mean(said: list[float]) -> None:
    model = Headed()
    start = ValueStart(model)
    values = start.fit(torch.tensor(said), torch.tensor([0.0, 1.0, 0.0, 3.0]), [2, 2], gamma=1.0)
    assert values.tolist() == [2.0] * 4 and not model.head.any()


def test_values_of_noise_explain_nothing_and_harm_nothing() -> None:
    draw = torch.Generator().manual_seed(0)
    lengths = [40] * 50
    scores = torch.randn(50, generator=draw)
    said = 3 * torch.randn(2000, generator=draw) + 7
    rewards = torch.zeros(50, 40)
    rewards[:, -1] = scores
    returns = scores.repeat_interleave(40)
    values = ValueStart(Headed()).fit(said, rewards.flatten(), lengths, gamma=1.0)
    assert explained_variance(said, returns).item() < -5
    assert 0 <= explained_variance(values, returns).item() < 0.05


def test_ppo_begins_there_in_its_first_batch_and_a_killed_run_has_the_same_bits(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt]
) -> None:
    ends = {}
    for name in ("whole", "killed", "killed again"):
        used = roles(toy, dying(share_of_e) if name == "killed" else share_of_e)
        model = toy.scalar()
        loop = new_loop(name.split()[0], seconds=0.0)
        critic = value_learner(model, FAST)
        if name == "killed":
            with pytest.raises(KeyboardInterrupt):
                train_ppo(used, prompts, CONFIG, loop, critic=critic, value_model=model)
        else:
            train_ppo(used, prompts, CONFIG, loop, critic=critic, value_model=model)
            ends[name] = {**used.policy.weights(), **{f"value/{n}": w for n, w in critic.weights().items()}}
    assert_same(ends["killed again"], ends["whole"])
    whole, killed = (new_loop(n).log.folder for n in ("whole", "killed"))
    assert (whole / "metrics.jsonl").read_text() == (killed / "metrics.jsonl").read_text()

    plain = new_loop("plain")
    model = toy.scalar()
    train_ppo(roles(toy, share_of_e), prompts, CONFIG, plain, critic=value_learner(model, FAST))
    first, before = (read_metrics(folder)[0] for folder in (whole, plain.log.folder))
    assert first["reward"] == before["reward"], "the same answers"
    assert first["explained_variance"] > before["explained_variance"]
    assert first["value"] == pytest.approx(first["return"], abs=0.2), "the mean of the returns, by tokens"
