"""Decode steps recorded once and repeated: the same answers, from memory that never moves.

`Tape` stands for a CUDA graph. A graph itself is looked at by `make gpu-check` on a machine that has a GPU.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from tape import Recorded
from tiny_policies import VOCABULARY, make_policy

from assent.core.group import TokenIds
from assent.generation import captured, rows
from assent.generation.config import Sampling
from assent.generation.engine import Generation
from assent.generation.local import LocalEngine
from assent.generation.numbers import FixedNumbers
from assent.models.tiny import FAMILIES

ENDS = tuple(range(5, VOCABULARY, 20))
LEAN = [family for family in FAMILIES if family not in ("gpt2", "gpt_neox")]


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    """Steps are recorded on this machine too."""
    recorded = Recorded()
    monkeypatch.setattr(rows, "recorder_for", lambda device: recorded)
    monkeypatch.setattr(rows, "_chosen", {})
    yield recorded


def prompts_of(*lengths: int) -> list[TokenIds]:
    random = np.random.default_rng(0)
    return [random.integers(5, VOCABULARY, n) for n in lengths]


def drawn(engine: LocalEngine, **sampling: float) -> list[list[Generation]]:
    prompts = prompts_of(30, 3, 14, 1, 9, 22, 2, 6, 17, 4, 28, 12)
    how = Sampling(**({"temperature": 0.8, "max_new_tokens": 70} | sampling))
    return engine.generate(prompts, num_samples=3, sampling=how, seed=5)


def assert_same(one: list[list[Generation]], other: list[list[Generation]]) -> None:
    for first, second in zip(one, other, strict=True):
        for a, b in zip(first, second, strict=True):
            assert np.array_equal(a.tokens, b.tokens)
            assert a.finished == b.finished
            np.testing.assert_allclose(a.logps, b.logps, atol=1e-5)


@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("family", LEAN)
def test_answers_are_those_of_steps_that_are_not_recorded(family: str, lora: bool, recorder: Recorded) -> None:
    """Rows join, end and are renumbered, buffers grow past 64 tokens; soft-capped and within windows as well."""
    policy = make_policy(family, mode="groups", eos_ids=ENDS, lora=lora)
    engine = LocalEngine(policy, max_live_rows=9)
    assert engine.rows.kind == "captured", "the twin was refused"
    recorder.recorded = recorder.again = 0
    found = drawn(engine)
    assert recorder.again > 40 > 20 > recorder.recorded > 3

    plain = LocalEngine(policy, max_live_rows=9)
    plain.rows = rows.ChosenRows("lean", "")
    assert_same(found, drawn(plain))
    assert len({len(a.tokens) for row in found for a in row}) > 5, "all equally long: the test would prove little"


def test_a_buffer_that_grows_is_recorded_anew(recorder: Recorded) -> None:
    policy = make_policy("llama", mode="groups")
    engine = LocalEngine(policy, max_live_rows=3)
    plain = LocalEngine(policy, max_live_rows=3)
    plain.rows = rows.ChosenRows("lean", "")
    prompts = prompts_of(5)
    for new, expected in ((60, 1), (70, 2)):
        sampling = Sampling(max_new_tokens=new)
        recorder.recorded = 0
        found = engine.generate(prompts, num_samples=3, sampling=sampling, seed=0)
        assert recorder.recorded == expected
        assert_same(found, plain.generate(prompts, num_samples=3, sampling=sampling, seed=0))


def test_weights_of_the_next_call_are_seen(recorder: Recorded) -> None:
    policy = make_policy("llama", mode="groups")
    engine = LocalEngine(policy, max_live_rows=3)
    before = drawn(engine, max_new_tokens=8)
    with torch.no_grad():
        for weight in policy.hf.parameters():
            weight.mul_(1.3)
    engine._lean.release()  # a policy that is trained does so after each call
    plain = LocalEngine(policy, max_live_rows=3)
    plain.rows = rows.ChosenRows("lean", "")
    after = drawn(engine, max_new_tokens=8)
    assert_same(after, drawn(plain, max_new_tokens=8))
    assert not np.array_equal(before[0][0].logps, after[0][0].logps)


def test_prompts_of_very_different_lengths_are_not_captured(
    recorder: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "CAPTURED_PADDING", 20)
    engine = LocalEngine(make_policy("llama", mode="groups"), max_live_rows=9)
    recorder.recorded = 0
    drawn(engine, max_new_tokens=4)
    assert recorder.recorded == 0


def test_a_step_that_asks_the_device_for_a_number_is_not_captured(
    recorder: Recorded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plain = captured.CapturedRows.step

    def asking(self: captured.CapturedRows, tokens: TokenIds, positions: TokenIds) -> torch.Tensor:
        forward = self._forward
        self._forward = Asking(forward)  # type: ignore[assignment]
        try:
            return plain(self, tokens, positions)
        finally:
            self._forward = forward

    monkeypatch.setattr(captured.CapturedRows, "step", asking)
    engine = LocalEngine(make_policy("llama", mode="groups"), max_live_rows=9)
    assert engine.rows.kind == "lean"
    assert "not permitted when stream is capturing" in caplog.text


class Asking:
    """A decoder that looks at what it computes, as dynamic rotary embeddings do."""

    def __init__(self, forward: object) -> None:
        self._under = forward
        self.device = forward.device  # type: ignore[attr-defined]

    def __call__(self, tokens: torch.Tensor, positions: torch.Tensor, *args: object, **kwargs: object) -> torch.Tensor:
        assert positions.max().item() >= 0
        return self._under(tokens, positions, *args, **kwargs)  # type: ignore[operator]


def test_numbers_lie_where_those_of_the_step_before_lay() -> None:
    numbers = FixedNumbers(torch.device("cpu"), 10)
    first = [numbers.put(np.array([1, 2])), numbers.put(np.array([[3], [4]]))]
    numbers.lay()
    assert [one.tolist() for one in first] == [[1, 2], [[3], [4]]]
    second = [numbers.put(np.array([5, 6])), numbers.put(np.array([[7], [8]]))]
    assert first[0].tolist() == [1, 2], "not before they are laid"
    numbers.lay()
    assert [one.tolist() for one in first] == [[5, 6], [[7], [8]]]
    assert [one.data_ptr() for one in first] == [one.data_ptr() for one in second]
    assert [numbers.count(n, 24) for n in (1, 2, 3, 5, 9, 17)] == [1, 2, 4, 8, 16, 24]
    assert [numbers.length(n, 100) for n in (1, 64, 65, 100)] == [64, 64, 100, 100]
