"""Supervised fine-tuning: it learns, keeps the best weights, stops early, resumes to the bit."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from training_toys import FAST, Toy

from assent.core import seeds
from assent.core.group import Group
from assent.core.types import Conversation, Message, ToolCall
from assent.data.render import Renderer
from assent.models.groups import pack
from assent.models.policy import PolicyModel
from assent.pipeline.learners import policy_learner, policy_scorer
from assent.training.batches import EpochBatches, endless
from assent.training.config import SFTConfig
from assent.training.loop import Loop
from assent.training.sft import SFTResult, evaluation_loss, train_sft

CONFIG = SFTConfig(epochs=4, batch_size=4, evals_per_epoch=1, patience=None, optimizer=FAST)


@pytest.fixture
def groups(toy: Toy) -> list[Group]:
    renderer = toy.renderer(toy.policy(trainable=False))
    asked = ("my order", "a refund", "the parcel", "my password", "the settings", "the link", "a customer", "the data")
    said = [
        Conversation(
            messages=(
                Message(role="user", content=f"Where is {a}?"),
                Message(role="assistant", content=f"I have sent {a}."),
            )
        )
        for a in asked
    ]
    return [g for c in said for g in renderer.demonstration(c)]


def train(policy: PolicyModel, groups: list[Group], config: SFTConfig, loop: Loop) -> SFTResult:
    return train_sft(policy_learner(policy, config.optimizer), groups[:6], groups[6:], config, loop)


def test_it_learns_and_ends_with_the_best_weights(toy: Toy, new_loop: Callable[..., Loop], groups: list[Group]) -> None:
    policy = toy.policy()
    result = train(policy, groups, CONFIG, new_loop())
    assert result.first_eval_loss is not None and result.best_eval_loss is not None
    assert result.best_eval_loss < result.first_eval_loss - 1
    assert evaluation_loss(policy_scorer(policy), pack(groups[6:], budget=512)) == pytest.approx(
        result.best_eval_loss, abs=1e-6
    )


CALLS = (
    "{% for m in messages %}{% if m.tool_calls %}{% set f = m.tool_calls[0].function %}"
    "{{ 'call ' + f.name + f.arguments | tojson + eos_token }}{% else %}{{ m.role + ' ' + m.content }}"
    "{{ eos_token if m.role == 'assistant' else ' ' }}{% endif %}{% endfor %}"
)


def test_it_learns_to_call_a_tool_and_to_tell_the_result(toy: Toy, new_loop: Callable[..., Loop]) -> None:
    policy = toy.policy()
    renderer = Renderer(policy.tokenizer, template=CALLS)
    groups = []
    for what in ("parcel", "order", "refund", "link", "data", "page", "bill", "name"):
        call = ToolCall(name="find", arguments={"what": what})
        turns = (
            Message(role="user", content=f"Where is the {what}?"),
            Message(role="assistant", content="", tool_calls=(call,)),
            Message(role="tool", content="here"),
            Message(role="assistant", content="It is here."),
        )
        groups += renderer.demonstration(Conversation(messages=turns))
    assert len(groups) == 8
    learned = [token for group in groups[:1] for token in group.continuations[0][group.is_scored[0]]]
    assert policy.tokenizer.decode(learned).count("find") == 1
    result = train(policy, groups, CONFIG, new_loop())
    assert result.first_eval_loss is not None and result.best_eval_loss is not None
    assert result.best_eval_loss < result.first_eval_loss - 1


def test_it_stops_when_the_held_out_loss_only_rises(
    toy: Toy, new_loop: Callable[..., Loop], groups: list[Group]
) -> None:
    config = CONFIG.model_copy(
        update={"epochs": 50, "patience": 2, "optimizer": FAST.model_copy(update={"learning_rate": 0.5})}
    )
    result = train(toy.policy(), groups, config, new_loop())
    assert result.stopped_early and result.steps < 100


def test_a_killed_run_ends_with_the_same_bits(toy: Toy, new_loop: Callable[..., Loop], groups: list[Group]) -> None:
    whole, resumed = toy.policy(), toy.policy()
    train(whole, groups, CONFIG, new_loop("whole"))
    loop = new_loop("killed", seconds=0.0)

    class Killed(Exception):
        pass

    record = loop.log.record

    def dies(step: int, values: dict[str, float], *, kind: str = "train") -> None:
        if step == 5:
            raise Killed
        record(step, values, kind=kind)

    loop.log.record = dies  # type: ignore[method-assign]
    with pytest.raises(Killed):
        train(toy.policy(), groups, CONFIG, loop)
    train(resumed, groups, CONFIG, new_loop("killed", seconds=0.0))
    for name, weight in whole.parameters().items():
        assert torch.equal(weight, resumed.parameters()[name]), name


def test_every_item_once_per_epoch_and_another_order_next_time() -> None:
    order = EpochBatches(num_items=10, batch_size=4, epochs=2, seed=1)
    assert order.total_steps == 6
    first, second = ([i for s in steps for i in order.items(s)] for steps in (range(3), range(3, 6)))
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second


def test_the_order_of_an_epoch_is_the_permutation_of_its_named_stream() -> None:
    # The trainers' orders of all runs so far hang on these names; the permutation is drawn once and only sliced.
    order = EpochBatches(num_items=10, batch_size=4, epochs=2, seed=7)
    for epoch in range(2):
        drawn = seeds.stream(7, "epoch", epoch).permutation(10).tolist()
        steps = [order.items(3 * epoch + within) for within in range(3)]
        assert steps == [drawn[:4], drawn[4:8], drawn[8:]]
    first, second = (seeds.stream(7, "p", epoch).permutation(3).tolist() for epoch in range(2))
    assert endless(3, count=2, step=0, seed=7, name="p") == first[:2]
    assert endless(3, count=2, step=1, seed=7, name="p") == [first[2], second[0]]


def test_endless_prompts_use_all_before_any_comes_again() -> None:
    drawn = [i for step in range(5) for i in endless(10, count=4, step=step, seed=0, name="p")]
    assert sorted(drawn[:10]) == sorted(drawn[10:]) == list(range(10))
