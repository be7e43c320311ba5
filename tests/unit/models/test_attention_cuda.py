"""FlexAttention over the segment table: the same numbers as the buckets, whatever the batch, the window and the cap."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from assent.core.group import Group
from assent.models.attention import AttentionCall
from assent.models.attention_cuda import BLOCK, FlexPlan, _difference, blocks, works
from assent.models.groups import GroupBatch, pack

RNG = np.random.default_rng(11)
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")


def batch(*shapes: tuple[int, tuple[int, ...]]) -> GroupBatch:
    groups = [Group(RNG.integers(1, 99, p), tuple(RNG.integers(1, 99, n) for n in answers)) for p, answers in shapes]
    [found] = pack(groups, budget=10**6)
    return found


MIXED = batch((60, (30, 90, 5)), (130, (40,)), (7, (100, 3)), (1, (1,)), (40, (20, 20, 20, 20)))


@pytest.mark.parametrize(("window", "softcap", "heads"), [(None, None, (4, 4)), (8, None, (4, 2)), (64, 2.0, (4, 2))])
def test_it_says_what_the_buckets_say(window: int | None, softcap: float | None, heads: tuple[int, int]) -> None:
    tensors = [torch.randn(count, MIXED.num_tokens, 16) for count in (heads[0], heads[1], heads[1])]
    call = AttentionCall(0, *tensors, scaling=0.25, sliding_window=window, softcap=softcap)
    flex = FlexPlan(MIXED.segments, MIXED.positions, None, is_compiled=False)
    torch.testing.assert_close(flex.attend(call), MIXED.plan.attend(call), rtol=1e-4, atol=1e-5)


def test_no_block_that_holds_something_visible_is_left_out_and_few_others_are_kept() -> None:
    size = -(-MIXED.num_tokens // BLOCK) * BLOCK
    plan = FlexPlan(MIXED.segments, MIXED.positions, None, is_compiled=False)
    tokens = torch.arange(size)
    visible = plan._visible(None)(tokens[:1], tokens[:1], tokens[:, None], tokens[None, :])
    count = size // BLOCK
    needed = visible.reshape(count, BLOCK, count, BLOCK).any(3).any(1).numpy()
    assert np.array_equal(blocks(MIXED.segments, size), needed)


def test_a_tail_of_padding_sees_only_itself() -> None:
    one = batch((10, (BLOCK - 15,)))  # five places are missing to a whole block
    tensors = [torch.randn(2, one.num_tokens, 16) for _ in range(3)]
    call = AttentionCall(0, *tensors, scaling=0.25, sliding_window=None, softcap=None)
    found = FlexPlan(one.segments, one.positions, None, is_compiled=False).attend(call)
    assert found.shape == (one.num_tokens, 2, 16) and torch.isfinite(found).all()


def test_a_batch_stays_with_its_buckets_on_a_cpu_and_the_check_of_a_device_finds_no_fault() -> None:
    assert MIXED.to("cpu") is MIXED
    assert _difference(torch.device("cpu"), is_compiled=False, with_gradient=False) < 1e-5


@pytest.mark.gpu
@needs_gpu
def test_on_a_gpu_numbers_and_gradients_are_those_of_the_fused_attention() -> None:
    assert works(torch.device("cuda", 0))
