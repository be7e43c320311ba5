"""The time plan: operations counted by hand, decoding at its floor, orders in words, and what is not known said so."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from small_shape import FACTS

from assent.models.shape import DecoderShape, of_config
from assent.pipeline.commands.project import make_project
from assent.pipeline.config import RunConfig
from assent.pipeline.doctor.examine import examine
from assent.pipeline.doctor.rates import rates_of
from assent.pipeline.leaning import LOOKED_AT
from assent.pipeline.memory_needs import shape_of
from assent.pipeline.time_needs import Known, Texts, Work, works
from assent.pipeline.time_plan import OVER, Rates, TimePlan, said, seconds

KNOWN = Known(
    demonstrations=Texts(100, prompt=10, answer=20),
    comparisons=Texts(50, prompt=10, answer=20, answers=2),
    prompt=12,
    answer=30,
)
SLOW = Rates(products=1e9, reading=1e30, where="one thread")


def shape() -> DecoderShape:
    found = of_config(FACTS)
    assert found is not None
    return found


def run(**settings: Any) -> RunConfig:
    data = {"kind": "files", "comparisons": [{"path": "x.jsonl"}], "demonstrations": [{"path": "y.jsonl"}]}
    return RunConfig.model_validate({"base": {"kind": "pretrained", "path": "base"}, "data": data, **settings})


def work(stage: str, known: Known = KNOWN, **settings: Any) -> Work:
    [found] = [one for one in works(run(**settings), shape(), known) if one.stage == stage]
    return found


def layers(tokens: float, row: float) -> float:
    """Two operations a weight and token, and 2 · layers · width · row of attention."""
    return tokens * (2 * shape().body + 2 * 2 * 64 * row)


HEAD = 2 * 64_000
"""Operations of the head for a token."""


def test_fine_tuning_by_hand() -> None:
    # Two passes over 95 of 100 conversations of 10 + 20 tokens; the other five are measured before, and after each.
    learned = 3 * layers(95 * 30, 30) + 3 * HEAD * 95 * 20
    held_out = layers(5 * 30, 30) + HEAD * 5 * 20
    assert work("sft").products == pytest.approx(2 * learned + 3 * held_out)
    # Under LoRA the weights have no gradient of their own.
    lora = 2 * layers(95 * 30, 30) + 2 * HEAD * 95 * 20
    assert work("sft", model={"lora": {}}).products == pytest.approx(2 * lora + 3 * held_out)


def test_a_reward_model_and_dpo_by_hand() -> None:
    # 50 prompts of 10 tokens, computed once for two answers of 20: 2500 tokens in rows of 30. A score has no head.
    once = layers(2500, 30)
    # One pass over 0.85, all of it scored once more at the end, for its scale and its leans; 0.15 measured before the
    # first step and after the last, and then scored beside other prompts.
    assert work("reward").products == pytest.approx(0.85 * 3 * once + 0.85 * once + 3 * 0.15 * once)
    many = Known(comparisons=Texts(1000, prompt=10, answer=20, answers=2))
    found = work("reward", many, reward={"evaluate_every": None}).products
    assert found == pytest.approx(20 * (3 * 0.85 + 2 * 0.15) * once + 256 / 50 * once)
    # 150 held out and 850 learned in steps of 2: a look each 150 / (3 · 2 · 0.1) = 250 of 425 steps.
    found = work("reward", many, reward={"batch_size": 2}).products
    assert found == pytest.approx(20 * (3 * 0.85 + 4 * 0.15) * once + 256 / 50 * once)
    assert LOOKED_AT[False] == 256
    # DPO: one pass, and the start's log-probabilities of 2000 answer tokens.
    found = work("optimize", optimize={"kind": "dpo"}).products
    assert found == pytest.approx(3 * once + 3 * HEAD * 2000 + once + HEAD * 2000)
    free = work("optimize", optimize={"kind": "simpo"}).products
    assert found - free == pytest.approx(once + HEAD * 2000)


def test_a_step_of_grpo_and_of_ppo_by_hand() -> None:
    given = {"steps": 3, "prompts_per_step": 2, "samples_per_prompt": 4, "sampling": {"max_new_tokens": 25}}
    # 2 prompts of 12 tokens, 8 answers of 25: the limit is shorter than the 30 of the data. 224 tokens in rows of 37.
    once, head = layers(224, 37), HEAD * 200
    step = once + 2 * (once + head) + 3 * (once + head)  # scored by the reward model, policy and start; learned from
    grpo = work("optimize", optimize={"kind": "grpo", "epochs": 1, **given})
    assert grpo.products == pytest.approx(3 * step)
    [drawn] = grpo.sampling
    assert (drawn.rows, drawn.times, drawn.texts) == (8, 3, Texts(2, 12, 25, 4))
    # PPO learns twice here, and its value model scores once and learns as often, without a head.
    ppo = work("optimize", optimize={"kind": "ppo", "epochs": 2, **given})
    assert ppo.products == pytest.approx(3 * (step + 3 * (once + head) + once + 2 * 3 * once))


def test_judgments_of_all_rounds_so_far_are_learned_from() -> None:
    raters = {"raters": {"kind": "reward_model", "path": "judge"}}
    sample = {"prompts": 10, "answers": 4}
    found = work("reward", rounds=2, collect=raters, sample=sample, reward={"evaluate_every": None})
    # Each sampled prompt brings 12 + 4 · 30 tokens in rows of 42; those of the data have 50 in rows of 30.
    tokens = [50 * 50 + n * 10 * 132 for n in (1, 2)]
    low, high = (sum(3.7 * layers(one, row) for one in tokens) for row in (30, 42))
    assert low < found.products < high
    drawn = work("sample", rounds=2, collect=raters, sample=sample)
    assert drawn.products == 0 and drawn.sampling[0].times == 2


def test_seconds_are_products_by_the_rate_and_decoding_by_its_floor() -> None:
    assert seconds(Work("sft", 3e9), shape(), SLOW) == OVER * 3
    # 4 prompts of 12 tokens; 80 answer tokens in steps of 4, each of which multiplies 4 rows with all weights.
    drawn = work("evaluate", Known(prompt=12, answer=20), evaluate={"prompts": 4}, optimize={"kind": "dpo"}).sampling[0]
    weights = shape().body + shape().head
    by_hand = layers(48, 12) / 1e9 + 20 * 2 * weights * 4 / 1e9
    assert seconds(Work("evaluate", 0, (drawn,)), shape(), SLOW) == pytest.approx(OVER * by_hand)
    # Where reading is what takes time: weights and the keys and values of 4 rows of 22 tokens, four bytes each.
    reading = 20 * 4 * (weights + 4 * 22 * 2 * 2 * 32) / 1e3
    found = seconds(Work("evaluate", 0, (drawn,)), shape(), Rates(1e30, 1e3, ""))
    assert found == pytest.approx(OVER * reading)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.2, "less than 10 s"),
        (41, "about 40 s"),
        (94, "about 95 s"),
        (98, "about 2 min"),
        (1220, "about 20 min"),
        (5850, "about 2 h"),
        (10_000, "about 3 h"),
        (1e6, "about 10 days"),
        (1e9, "about 12000 days"),
    ],
)
def test_an_order_in_words(value: float, words: str) -> None:
    assert said(value) == words


def test_what_is_not_known_is_said_and_the_sum_is_a_least_one() -> None:
    known = Known(comparisons=KNOWN.comparisons, prompt=10)
    lines = [str(one) for one in TimePlan.of(run(), shape(), known, SLOW).findings()]
    assert "note     time: sft: not known, for data.demonstrations is not counted here" in lines
    assert "all stages: at least about" in lines[-1] and "answers that reach their limit" in lines[-1]
    assert "an estimate" in lines[-1] and "1 GFLOP/s measured now (one thread)" in lines[-1]


def test_the_doctor_says_a_time_for_each_stage_and_measures_for_less_than_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_project(tmp_path / "p")
    monkeypatch.chdir(tmp_path / "p")
    findings = [one.message for one in examine(Path("assent.yaml")) if one.key == "time"]
    assert [one.split(":")[0] for one in findings] == ["base", "sft", "reward", "optimize", "evaluate", "all stages"]
    assert "prompts of 1" in findings[-1] and not any("not known" in one for one in findings)
    broken = examine(Path("assent.yaml"), (), ("optimize.sampling.temperature=0",))
    assert not [one for one in broken if one.key == "time"]
    config = run()
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "config.json").write_text(json.dumps(FACTS))
    monkeypatch.chdir(tmp_path)
    found = shape_of(config)
    assert found is not None
    threads, begin = torch.get_num_threads(), time.process_time()
    rates = rates_of(config, found)
    assert time.process_time() - begin < 1.0 * threads + 0.5 and torch.get_num_threads() == threads
    assert 1e8 < rates.products < 1e15 and 1e7 < rates.reading < 1e14
