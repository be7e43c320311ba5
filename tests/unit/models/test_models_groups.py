"""The layout of a group batch, worked by hand, and its inverses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from assent.core.group import Group
from assent.models import group_plan
from assent.models.attention import AttentionCall
from assent.models.groups import GroupBatch, pack
from assent.models.take import RowGather


def ids(*tokens: int) -> np.ndarray:
    return np.array(tokens, dtype=np.int64)


def two_groups() -> list[Group]:
    return [Group(ids(7, 8), (ids(1, 2), ids(3))), Group(ids(9), (ids(4, 5),))]


def call(
    query: Tensor, key: Tensor, value: Tensor, *, window: int | None = None, softcap: float | None = None
) -> AttentionCall:
    return AttentionCall(0, query, key, value, scaling=0.5, sliding_window=window, softcap=softcap)


def by_definition(batch: GroupBatch, asked: AttentionCall) -> Tensor:
    """Attention [T, H, D] token by token: over the tokens of the same row at the same or an earlier position."""
    positions = batch.positions.tolist()
    visible: list[list[int]] = [[] for _ in positions]
    for start, end, prefix_start, prefix_end in batch.segments.tolist():
        for token in range(start, end):
            seen = [*range(prefix_start, prefix_end), *range(start, token + 1)]
            visible[token] = [
                s
                for s in seen
                if asked.sliding_window is None or positions[token] - positions[s] < asked.sliding_window
            ]
    shared = asked.query.shape[0] // asked.key.shape[0]
    rows = []
    for token, seen in enumerate(visible):
        heads = []
        for head in range(asked.query.shape[0]):
            scores = asked.key[head // shared, seen] @ asked.query[head, token] * asked.scaling
            if asked.softcap is not None:
                scores = asked.softcap * torch.tanh(scores / asked.softcap)
            heads.append(scores.softmax(0) @ asked.value[head // shared, seen])
        rows.append(torch.stack(heads))
    return torch.stack(rows)


def test_two_groups_worked_by_hand() -> None:
    (batch,) = pack(two_groups(), budget=100)
    assert batch.tokens.tolist() == [7, 8, 1, 2, 3, 9, 4, 5]
    assert batch.positions.tolist() == [0, 1, 2, 3, 2, 0, 1, 2]
    assert batch.segments.tolist() == [[0, 2, 0, 0], [2, 4, 0, 2], [4, 5, 0, 2], [5, 8, 0, 0]]
    assert batch.scored.tolist() == [1, 2, 1, 5, 6]
    assert batch.targets.tolist() == [1, 2, 3, 4, 5]
    assert batch.row.tolist() == [0, 0, 1, 2, 2]
    assert batch.last.tolist() == [3, 4, 7]
    assert batch.rows == (0, 1, 2)
    assert batch.group_of_row == (0, 0, 1)
    assert batch.row_lengths == (2, 1, 2)
    assert (batch.num_tokens, batch.num_scored, batch.num_rows) == (8, 5, 3)
    assert batch.num_unshared_tokens == 4 + 3 + 3


def test_masked_tokens_are_computed_but_not_scored() -> None:
    (batch,) = pack([Group(ids(5), (ids(1, 2, 3),), (np.array([True, False, True]),))], budget=9)
    assert batch.tokens.tolist() == [5, 1, 2, 3]
    assert (batch.scored.tolist(), batch.targets.tolist(), batch.row_lengths) == ([0, 2], [1, 3], (2,))
    assert batch.last.tolist() == [3]


def test_packing_sorts_by_length_keeps_the_callers_numbers_and_never_splits_a_group() -> None:
    groups = [
        Group(ids(1), (ids(2),)),  # 2 tokens, row 0
        Group(ids(*range(5)), (ids(1, 2), ids(3))),  # 8 tokens, longest 7, rows 1 2
        Group(ids(*range(9)), (ids(7),)),  # 10 tokens, row 3
        Group(ids(1, 2), (ids(3, 4),)),  # 4 tokens, row 4
    ]
    batches = pack(groups, budget=6)
    assert [b.rows for b in batches] == [(3,), (1, 2), (4, 0)]
    assert [b.group_of_row for b in batches] == [(2,), (1, 1), (3, 0)]
    assert [b.num_tokens for b in batches] == [10, 8, 6]
    with pytest.raises(ValueError, match="budget"):
        pack(groups, budget=0)


def test_gather_is_the_inverse_of_scatter() -> None:
    per_row = [torch.tensor([10.0, 11.0]), torch.tensor([20.0]), torch.tensor([30.0, 31.0])]
    batches = pack(two_groups(), budget=5)
    assert [b.rows for b in batches] == [(0, 1), (2,)]
    assert batches[1].gather(per_row).tolist() == [30.0, 31.0]
    found: dict[int, list[float]] = {}
    for batch in batches:
        found |= {row: values.tolist() for row, values in batch.scatter(batch.gather(per_row)).items()}
    assert found == {0: [10.0, 11.0], 1: [20.0], 2: [30.0, 31.0]}
    assert batches[1].pick(torch.tensor([5.0, 6.0, 7.0])).tolist() == [7.0]


def test_gather_refuses_values_of_another_length() -> None:
    (batch,) = pack(two_groups(), budget=100)
    with pytest.raises(ValueError, match="scored tokens"):
        batch.gather([torch.zeros(2), torch.zeros(2), torch.zeros(1)])


def test_one_group_needs_one_call_per_kind_and_computes_no_pair_twice() -> None:
    (single,) = pack([Group(ids(1, 2, 3), (ids(4, 5),))], budget=99)
    assert (single.plan.num_calls, single.plan.pairs_computed) == (1, 25)
    (pair,) = pack([Group(ids(1, 2, 3), (ids(4, 5), ids(6, 7)))], budget=99)
    # The prompt's 3 · 3, then both answers joined: 4 queries on 3 + 4 keys.
    assert (pair.plan.num_calls, pair.plan.pairs_computed) == (2, 9 + 28)


lengths = st.integers(1, 12)
shapes = st.lists(st.tuples(lengths, st.lists(lengths, min_size=1, max_size=4)), min_size=1, max_size=5)


@settings(max_examples=30, deadline=None)
@given(shapes, st.sampled_from([None, 1, 3, 8]), st.sampled_from([None, 1.5]))
def test_attention_is_the_one_of_the_definition(
    shape: list[tuple[int, list[int]]], window: int | None, softcap: float | None
) -> None:
    groups = [Group(np.arange(p), tuple(np.arange(n) for n in ns)) for p, ns in shape]
    for batch in pack(groups, budget=40):
        generator = torch.Generator().manual_seed(batch.num_tokens)
        query = torch.randn(4, batch.num_tokens, 3, generator=generator, dtype=torch.float64)
        key, value = torch.randn(2, 2, batch.num_tokens, 3, generator=generator, dtype=torch.float64)
        asked = call(query, key, value, window=window, softcap=softcap)
        torch.testing.assert_close(batch.plan.attend(asked), by_definition(batch, asked))


def test_attention_has_the_gradient_of_the_definition() -> None:
    shape = [(40, [3, 2, 5]), (3, [9]), (2, [1, 30, 1])]
    groups = [Group(np.arange(p), tuple(np.arange(n) for n in ns)) for p, ns in shape]
    (batch,) = pack(groups, budget=1000)
    generator = torch.Generator().manual_seed(1)
    tensors = [torch.randn(h, batch.num_tokens, 4, generator=generator, dtype=torch.float64) for h in (4, 2, 2)]
    weight = torch.randn(batch.num_tokens, 4, 4, generator=generator, dtype=torch.float64)
    gradients = []
    for attend in (batch.plan.attend, lambda asked: by_definition(batch, asked)):
        leaves = [t.clone().requires_grad_() for t in tensors]
        (attend(call(*leaves, window=20)) * weight).sum().backward()
        gradients.append([leaf.grad for leaf in leaves])
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20))
@settings(max_examples=30, deadline=None)
def test_row_gather_has_the_gradient_of_indexing_except_at_padding(index: list[int]) -> None:
    is_padding = np.array([(i * 7 + n) % 3 == 0 for n, i in enumerate(index)])
    take = RowGather(np.array(index), 6, is_padding=is_padding)
    rows = torch.arange(12.0).view(6, 2).requires_grad_()
    taken = take(rows)
    assert torch.equal(taken, rows.detach()[index])
    weight = torch.arange(1.0, 2 * len(index) + 1).view(-1, 2)
    (taken * weight).sum().backward()
    expected = torch.zeros(6, 2)
    for place, row in enumerate(index):
        if not is_padding[place]:
            expected[row] += weight[place]
    assert torch.equal(rows.grad, expected)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 80), st.integers(1, 80)), max_size=40))
@settings(max_examples=60, deadline=None)
def test_buckets_are_cut_where_padding_of_all_their_blocks_gets_dearer_than_another_call(sizes: list[tuple[int, ...]]):
    blocks = [
        group_plan._Block((0, prompt), ((prompt, prompt + keys),), (np.arange(min(queries, keys)),))
        for prompt, keys, queries in sizes
    ]
    slow: list[list[group_plan._Block]] = []
    for block in sorted(blocks, key=lambda b: (b.is_causal, b.num_keys, b.num_queries, b.own), reverse=True):
        wider = [*slow[-1], block] if slow and slow[-1][0].is_causal == block.is_causal else []
        needed = sum(b.num_queries * b.num_keys for b in wider)
        computed = (
            len(wider) * max((b.num_queries for b in wider), default=0) * max((b.num_keys for b in wider), default=0)
        )
        free = max(group_plan._PADDING_FREE, group_plan._PADDING_SHARE * computed)
        slow = [*slow[:-1], wider] if wider and computed - needed <= free else [*slow, [block]]
    assert [[id(b) for b in some] for some in group_plan._bucketed(blocks)] == [[id(b) for b in some] for some in slow]
