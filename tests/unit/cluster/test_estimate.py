"""What a step costs on a cluster, held against numbers worked out by hand for round sizes and rates."""

from __future__ import annotations

from dataclasses import replace

import pytest

from assent.cluster.estimate import H100, SIZES, Job, Machine, Size, estimate, fastest
from assent.core.errors import ConfigError
from assent.pipeline.config import RunConfig
from assent.pipeline.doctor.cluster import size_by

SIZE = Size("round", parameters=1e9, layers=10, width=1000, kv_width=100, ends=1e8)
MACHINE = Machine(
    "round", memory=40e9, products=1e14, bandwidth=1e12, inside=1e11, between=1e10, per_node=8, handover=1e9
)
JOB = Job(
    SIZE,
    learners=4,
    engines=2,
    has_critic=False,
    prompts=10,
    samples=4,
    prompt_tokens=100,
    answer_tokens=225,
    microbatch=1000,
)


def test_memory_of_a_learner_is_its_shards_and_what_is_whole_for_a_moment() -> None:
    parts = estimate(JOB, MACHINE).learner

    assert parts["weights, gradients, moments"] == pytest.approx(16e9 / 4)
    assert parts["frozen models"] == pytest.approx(2e9 / 4)  # the reference alone
    # two layers of 9e7 and the ends of 1e8 in fp32, and the gradient of one layer
    assert parts["layers made whole"] == pytest.approx(4 * (1.8e8 + 1e8) + 4 * 9e7)
    adapters = estimate(replace(JOB, is_lora=True), MACHINE).learner  # a base in bf16; a hundredth is trained
    assert adapters["layers made whole"] == pytest.approx(2 * (1.8e8 + 1e8) + 4 * 9e7 / 100)
    assert parts["activations"] == pytest.approx(34 * 1000 * 1000 * 10)
    once_more = estimate(replace(JOB, is_checkpointed=True), MACHINE).learner
    assert once_more["activations"] == pytest.approx((2 * 10 + 34) * 1000 * 1000)


def test_ppo_has_a_second_model_to_train_and_a_second_one_that_is_frozen() -> None:
    grpo, ppo = (estimate(replace(JOB, has_critic=has), MACHINE) for has in (False, True))

    assert ppo.learner["weights, gradients, moments"] == 2 * grpo.learner["weights, gradients, moments"]
    assert ppo.learner["frozen models"] == 2 * grpo.learner["frozen models"]
    # 6 N to train and 2 * 2 N to score against twice that, by token
    assert grpo.seconds["products"] == pytest.approx(10 * 1e9 * 10_000 / 4 / 1e14)
    assert ppo.seconds["products"] == pytest.approx(20 * 1e9 * 10_000 / 4 / 1e14)


def test_an_engine_holds_all_weights_and_the_keys_of_its_rows() -> None:
    parts = estimate(JOB, MACHINE).engine

    assert parts["weights"] == pytest.approx(2e9)
    assert parts["keys and values"] == pytest.approx(20 * 325 * 2 * 10 * 100 * 2)


def test_seconds_of_rollouts_are_reads_of_weights_where_rows_are_few() -> None:
    seconds = estimate(JOB, MACHINE).seconds

    prompts = 2 * 1e9 * 5 * 100 / 1e14
    read = (2e9 + 20 * (100 + 112.5) * 4000) / 1e12  # 20 rows want 4e10 products: 0.4 ms against 2 ms
    assert seconds["rollouts"] == pytest.approx(prompts + 225 * read)
    assert seconds["weights to engines"] == pytest.approx(2e9 / 1e9)


def test_what_is_gathered_counts_where_products_do_not_hide_it() -> None:
    # 2500 tokens of each learner in 3 micro-batches; an all-gather moves 3/4 of 1e9 weights: policy twice and its
    # gradient, policy and reference once more to be scored; all in fp32 but the reference
    gathered = 3 * (1e9 * 3 / 4) * (4 + 4 + 4 + 4 + 2)
    inside = estimate(JOB, MACHINE).seconds
    between = estimate(JOB, replace(MACHINE, per_node=2)).seconds

    assert inside["all-gathers that nothing hides"] == pytest.approx(max(gathered / 1e11 - 0.25, 0))
    assert between["all-gathers that nothing hides"] == pytest.approx(gathered / 1e10 - 0.25)


def test_one_step_ahead_takes_as_long_as_the_longer_half() -> None:
    cost, ahead = estimate(JOB, MACHINE), estimate(replace(JOB, is_ahead=True), MACHINE)

    sampling = cost.seconds["rollouts"] + cost.seconds["weights to engines"]
    assert cost.step == pytest.approx(sum(cost.seconds.values()))
    assert ahead.step == pytest.approx(max(sampling, cost.step - sampling))


def test_a_model_that_no_gpu_holds_wants_engines_of_several() -> None:
    whole = Job(SIZES[1], 1, 1)

    assert estimate(replace(whole, learners=32, engines=32), H100).binds == "memory of a learner: activations"
    assert fastest(whole, 64, H100) is None
    best = fastest(replace(whole, gpus_per_engine=4), 64, H100)
    assert best is not None and best.learners + 4 * best.engines <= 64 and best.is_checkpointed


def test_a_model_is_sized_by_its_config() -> None:
    llama = {
        "num_hidden_layers": 32,
        "hidden_size": 4096,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "intermediate_size": 14336,
        "vocab_size": 128256,
    }
    size = size_by(llama, name="8B")

    assert size is not None
    assert (size.layers, size.width, size.kv_width, size.ends) == (32, 4096, 1024, SIZES[0].ends)
    assert size.parameters == pytest.approx(SIZES[0].parameters, rel=1e-3)
    assert size_by({"hidden_size": 3}, name="other") is None


def test_products_that_each_process_would_choose_for_itself_are_refused() -> None:
    lab = {"base": {"kind": "scratch"}, "data": {"kind": "lab"}, "collect": {"raters": {"kind": "simulated"}}}
    values = {**lab, "compute": {"kind": "ray"}, "model": {"products": "auto"}}
    with pytest.raises(ConfigError, match=r"model\.products is auto, .* set model\.products: bfloat16 or float32"):
        RunConfig.parse(values)
    assert RunConfig.parse({**values, "model": {"products": "bfloat16"}}).model.products == "bfloat16"
