"""Groups and targets in flat arrays: equal in every number to those put in; training on them ends in the same bits."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training_toys import FAST, Toy

from assent.algorithms.columns import Columns
from assent.artifacts.jsonl import Records, write_records
from assent.core.group import Group
from assent.core.group_store import GroupStore
from assent.core.types import Comparison, Completion, Judgment, Prompt, Ranking
from assent.models.groups import Packed, pack
from assent.pipeline.learners import policy_learner, train_reward_model
from assent.pipeline.ranked import ranked_groups
from assent.training.config import NoRatersConfig, RewardConfig
from assent.training.dpo import train_dpo
from assent.training.loop import Loop
from assent.training.members import Members
from assent.training.preference_config import DPOConfig
from assent.training.target_store import TargetStore
from assent.training.targets import Target, local_chances, local_pairs, local_votes, target_of

ANSWERS = ("You have a refund today.", "I am sorry.", "No.", "Open the settings, then follow the link, please.")


def comparisons_of(prompts: Iterable[Prompt]) -> list[Comparison]:
    """Two to four answers, one to three rankings with ties, strengths and orders shown; of every fifth nobody ranks."""
    found = []
    for n, prompt in enumerate(prompts):
        answers = tuple(Completion(prompt_id=prompt.id, text=t, id=f"c{i}") for i, t in enumerate(ANSWERS[: 2 + n % 3]))
        ids = [one.id for one in answers]
        judgments = []
        for r in range(1 + n % 3):
            turned = ids[r % len(ids) :] + ids[: r % len(ids)]
            tiers = (tuple(turned[:2]), *((one,) for one in turned[2:])) if r == 1 else tuple((i,) for i in turned)
            strengths = tuple(1 + (n + k) % 4 for k in range(len(tiers) - 1)) if n % 2 else None
            ranking = None if n % 5 == 4 else Ranking(tiers=tiers, strengths=strengths)
            order = tuple(ids[::-1]) if r else ()
            judgments.append(Judgment(task_id="t", rater_id=f"r{(n + r) % 4}", ranking=ranking, order_shown=order))
        found.append(Comparison(prompt=prompt, completions=answers, judgments=tuple(judgments)))
    return found


def lists_of(toy: Toy, comparisons: list[Comparison]) -> tuple[list[Group], list[Target]]:
    renderer = toy.renderer(toy.policy(trainable=False))
    both = [(c, target) for c in comparisons if (target := target_of(c)) is not None]
    return [renderer.group(c.prompt, [a.text for a in c.completions]) for c, _ in both], [t for _, t in both]


def assert_same_columns(one: Columns, other: Columns) -> None:
    for field in fields(one):
        given, kept = getattr(one, field.name), getattr(other, field.name)
        assert given.dtype == kept.dtype and torch.equal(given, kept), field.name


def test_groups_come_out_as_they_were_put_in() -> None:
    draw = np.random.default_rng(0)
    groups = [
        Group(
            draw.integers(0, 2**17, 1 + n),
            tuple(draw.integers(0, 2**17, 1 + k + n % 2) for k in range(1 + n % 3)),
            tuple(draw.random(1 + k + n % 2) < 0.7 for k in range(1 + n % 3)) if n % 2 else (),
        )
        for n in range(9)
    ]
    store = GroupStore(groups)
    assert len(store) == 9
    for given, kept in zip(groups, store, strict=True):
        arrays = ((g.prompt, *g.continuations, *g.is_scored) for g in (given, kept))
        for one, other in zip(*arrays, strict=True):
            assert one.dtype == other.dtype and np.array_equal(one, other)


def test_targets_come_out_as_they_were_put_in(prompts: list[Prompt]) -> None:
    targets = [t for c in comparisons_of(prompts) if (t := target_of(c, margins=(0.0, 1 / 3, 2 / 3, 1.0))) is not None]
    store = TargetStore()
    for target in targets:
        store.append(target)
    assert len(store) == len(targets) == 13
    for given, kept in zip(targets, store, strict=True):
        assert (given.tiers, given.raters, given.weight) == (kept.tiers, kept.raters, kept.weight)
        assert_same_columns(given.pairs, kept.pairs)
        assert_same_columns(given.votes, kept.votes)
    with pytest.raises(ValueError, match="scores or chances"):
        store.append(replace(targets[0], chance=torch.ones(1)))


def test_batches_laid_out_one_by_one_are_those_of_the_longest_first_rule() -> None:
    draw = np.random.default_rng(1)
    shapes = [(int(draw.integers(1, 9)), draw.integers(1, 9, int(draw.integers(1, 4)))) for _ in range(40)]
    groups = [Group(np.arange(p), tuple(np.arange(int(n)) for n in ns)) for p, ns in shapes]
    expected: list[list[int]] = []
    room = 0
    for n in sorted(range(40), key=lambda n: (-groups[n].longest, -groups[n].num_tokens, n)):
        if not expected or groups[n].num_tokens > room:
            expected.append([])
            room = 30
        expected[-1].append(n)
        room -= groups[n].num_tokens
    lazy, whole = Packed(GroupStore(groups), budget=30), pack(groups, budget=30)
    assert [list(dict.fromkeys(batch.group_of_row)) for batch in lazy] == expected
    for one, other in zip(lazy, whole, strict=True):
        assert (
            one.rows == other.rows and torch.equal(one.tokens, other.tokens) and torch.equal(one.scored, other.scored)
        )


def test_a_micro_batch_finds_its_own_targets_in_the_order_of_the_members(toy: Toy, prompts: list[Prompt]) -> None:
    """Against going through all members and asking of each whether its first row is there."""
    groups, targets = lists_of(toy, comparisons_of(prompts))
    members = Members(groups, targets)
    first = np.cumsum([0, *(len(g.continuations) for g in groups)])
    for batch in Packed(groups, budget=120):
        local = {row: i for i, row in enumerate(batch.rows)}
        there = [(local[int(row)], t) for row, t in zip(first[:-1], targets, strict=True) if int(row) in local]
        for found, kind in ((local_pairs(batch, members), "pairs"), (local_votes(batch, members), "votes")):
            own = [(start, getattr(t, kind)) for start, t in there]
            shifted = [replace(part, better=part.better + start, worse=part.worse + start) for start, part in own]
            assert_same_columns(type(found).join(shifted), found)
        assert len(local_chances(batch, members)) == sum(len(t.pairs.better) for _, t in there)


@pytest.mark.parametrize("method", ["joint", "ties", "dpo"])
def test_training_on_columns_of_a_file_ends_in_the_bits_of_lists(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt], method: str, tmp_path: Path
) -> None:
    comparisons = comparisons_of(prompts)
    write_records(tmp_path / "comparisons.jsonl", comparisons)
    renderer = toy.renderer(toy.policy(trainable=False))
    read = Records(tmp_path / "comparisons.jsonl", Comparison)
    columns = ranked_groups(read, renderer, limit=200, too_long="error")
    assert isinstance(columns.groups, GroupStore) and list(columns.comparisons) == [
        one for one in comparisons if any(j.ranking for j in one.judgments)
    ]
    weights, logs = [], []
    for name, groups, targets in (("lists", *lists_of(toy, comparisons)), ("rows", columns.groups, columns.targets)):
        loop = new_loop(name)
        if method == "dpo":
            policy = toy.policy()
            config = DPOConfig(epochs=1, batch_size=4, optimizer=FAST, sft=0.1)
            held_out = groups[:3], targets[:3]
            train_dpo(policy_learner(policy, FAST), groups[3:], targets[3:], config, loop, held_out)
            weights.append(dict(policy.parameters()))
        else:
            model = toy.scalar()
            kind = {} if method == "joint" else {"raters": NoRatersConfig()}
            held_out = Members(groups[:3], targets[:3])
            config = RewardConfig(epochs=1, batch_size=4, optimizer=FAST, **kind)
            train_reward_model(model, groups[3:], targets[3:], config, loop, held_out=held_out)
            weights.append(dict(model.parameters()))
        logs.append((loop.log.folder / "metrics.jsonl").read_text(encoding="utf-8"))
    assert logs[0] == logs[1] and logs[0]
    assert all(torch.equal(weight, weights[1][name]) for name, weight in weights[0].items())
