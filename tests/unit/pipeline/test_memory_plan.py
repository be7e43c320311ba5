"""The memory plan: bytes worked out by hand, choices that fit, refusals that say what would, and no torch."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from small_shape import FACTS as SMALL

from assent.core.errors import ConfigError
from assent.core.memory import GIB, Memory, of_machine
from assent.models import flops
from assent.models.memory import PROCESS, SLACK, Pass, Weights, activations, cache, laid_out
from assent.models.shape import DecoderShape, of_config, read_shape
from assent.pipeline.config import RunConfig
from assent.pipeline.memory_plan import MemoryPlan, would_fit

LARGE = SMALL | {
    "vocab_size": 50_000,
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "intermediate_size": 2816,
}


def shape(settings: dict[str, Any]) -> DecoderShape:
    found = of_config(settings)
    assert found is not None
    return found


def folder(tmp_path: Path, settings: dict[str, Any]) -> str:
    (tmp_path / "base").mkdir(exist_ok=True)
    (tmp_path / "base" / "config.json").write_text(json.dumps(settings))
    return str(tmp_path / "base")


def run(base: str, **settings: Any) -> RunConfig:
    data = {"kind": "files", "comparisons": [{"path": "x.jsonl"}]}
    return RunConfig.model_validate({"base": {"kind": "pretrained", "path": base}, "data": data, **settings})


def there(gigabytes: float) -> Memory:
    return Memory("cpu", gigabytes * 1e9, gigabytes * 1e9)


def test_weights_are_counted_as_a_llama_has_them() -> None:
    # Per layer: q and o 64·64, k and v 64·32, three of 64·128, two norms of 64; embedding 1000·64, one norm at the end.
    layer = 2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 128 + 2 * 64
    one = shape(SMALL)
    assert one.parameters == 2 * layer + 64 + 64_000 and one.body == 2 * layer + 64
    assert shape(SMALL | {"tie_word_embeddings": False}).parameters == one.parameters + 64_000
    # LoRA of rank 4 on seven matrices: in + out of each.
    assert one.adapter(4) == 2 * 4 * (128 + 96 + 96 + 128 + 3 * 192)


def test_a_file_of_weights_says_more_than_its_config(tmp_path: Path) -> None:
    base = folder(tmp_path, SMALL)
    header = json.dumps(
        {"a": {"dtype": "F32", "shape": [10, 7], "data_offsets": [0, 280]}, "__metadata__": {}}
    ).encode()
    (Path(base) / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    found = read_shape(base)
    assert found is not None and found.parameters == 70
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "../base"}))
    assert read_shape(tmp_path / "adapter") == found
    assert read_shape(tmp_path / "nothing") is None


def test_bytes_by_hand() -> None:
    one, tokens = shape(SMALL), 100
    # A layer keeps 6d of norms, 2 (q + v) padded by 15 %, q of the output put back, 4f. States after the last: 3d.
    layer = 4 * (6 * 64 + 1.15 * (2 * 64 + 2 * 32) + 64 + 4 * 128)
    # The head of 100 tokens: two blocks of logits, its gradient, and derivatives that are kept.
    head = 4 * (2 * 100 * 1000 + 64_000 + 100 * 1000)
    assert activations(one, Weights(), Pass(tokens, False), "cpu") == pytest.approx(
        SLACK["cpu"] * (tokens * (2 * layer + 4 * 3 * 64) + head)
    )
    again = activations(one, Weights(), Pass(tokens, True), "cpu")
    assert again == pytest.approx(SLACK["cpu"] * (tokens * (layer + 2 * 4 * 64 + 4 * 3 * 64) + head))
    # Keys and values: 2 · layers · rows · length · kv width · 4, and four rows of logits; a prompt of 10 is computed
    # for each row, with keys and values of its own, 3f + 5d numbers at a time.
    kept = 2 * 2 * 8 * 50 * 32 * 4 + 4 * 8 * 1000 * 4
    first = 8 * 10 * (2 * 2 * 32 * 4 + (3 * 128 + 5 * 64) * 4)
    assert cache(one, Weights(), rows=8, length=50, prompt=10) == kept + first
    # nf4: half a byte and a scale of four for 64; the embedding stays in bfloat16.
    quantized = Weights("bfloat16", 16, quantize="nf4").size(one)
    assert quantized == pytest.approx((0.5 + 4 / 64) * one.body + 2 * 64_000)


def test_copies_are_counted_where_there_are_any(tmp_path: Path) -> None:
    one = shape(SMALL)
    drawn = one.body + 64_000  # the layers and the head
    assert laid_out(one, Weights(), "float32", "cpu") == 4 * drawn
    assert laid_out(one, Weights("bfloat16", 16), "bfloat16", "cpu") == 2 * drawn
    assert laid_out(one, Weights(), "bfloat16", "cuda") == 2 * drawn
    assert laid_out(one, Weights(rank=16), "float32", "cuda") == 4 * drawn  # adapters are added to it
    assert laid_out(one, Weights(), "float32", "cuda") == 0
    assert laid_out(one, Weights("bfloat16", 16, quantize="nf4"), "bfloat16", "cpu") == 0
    base = folder(tmp_path, SMALL)
    found = {}
    for products in ("float32", "bfloat16", "auto"):
        config = run(base, sft=None, optimize={"kind": "grpo"}, model={"products": products})
        [fit] = [fit for fit in MemoryPlan.of(config, there(50)).fits if fit.need.stage == "optimize"]
        found[products] = fit.need.weights
        assert fit.need.copied["cpu"] == 4 * drawn and "a copy to draw from" in fit.line()
    # GRPO has three models of the base: policy, its start, reward model.
    assert found["bfloat16"] - found["float32"] == 3 * 2 * one.body and found["auto"] == found["bfloat16"]


def test_a_stage_holds_its_models_their_moments_and_its_fullest_moment(tmp_path: Path) -> None:
    config = run(folder(tmp_path, SMALL), optimize={"kind": "ppo"})
    one = shape(SMALL)
    [fit] = [fit for fit in MemoryPlan.of(config, there(50)).fits if fit.need.stage == "optimize"]
    assert fit.need.models == "policy, its start, reward model, value model"
    scalar = one.body + one.head  # tied: the embedding is all there is besides
    assert fit.need.weights == 4 * (2 * one.parameters + 2 * scalar)
    moments = 8 * (one.parameters + scalar)
    drawing = fit.rows * fit.need.row + fit.need.copied["cpu"]
    fullest = max(drawing, *(one.moving(fit.passes[one.key], "cpu") for one in fit.need.learning))
    assert fit.total == pytest.approx(PROCESS["cpu"] + fit.need.weights + moments + fullest)
    shared = run(folder(tmp_path, SMALL), optimize={"kind": "ppo"}, model={"lora": {}})
    [lora] = [fit for fit in MemoryPlan.of(shared, there(50)).fits if fit.need.stage == "optimize"]
    assert lora.need.weights == 4 * one.parameters and lora.need.models.endswith("on one base")


def test_what_does_not_fit_is_made_to_by_fewer_tokens_then_layers_again_then_fewer_still(tmp_path: Path) -> None:
    config = run(folder(tmp_path, LARGE), optimize={"kind": "dpo"})
    seen = []
    for gigabytes in (30, 13, 10, 8):
        plan = MemoryPlan.of(config, there(gigabytes))
        [fit] = [fit for fit in plan.fits if fit.need.stage == "optimize"]
        how = fit.passes["optimize.optimizer"]
        seen.append((how.tokens, how.is_checkpointed))
        assert fit.is_sure == (fit.total <= 0.9 * gigabytes * 1e9)
        applied = plan.applied(config).method.optimizer  # type: ignore[attr-defined]
        assert applied.checkpointing == ("on" if how.is_checkpointed else "off")
        assert applied.most_tokens == (how.tokens if how.tokens < 2048 else None)
        assert ("gradient checkpointing" in fit.line()) == how.is_checkpointed
    assert seen == [(2048, False), (1024, False), (2048, True), (512, True)]


def test_a_setting_of_ones_own_is_kept(tmp_path: Path) -> None:
    own = {"kind": "dpo", "optimizer": {"checkpointing": "off", "most_tokens": 512}}
    plan = MemoryPlan.of(run(folder(tmp_path, LARGE), optimize=own), there(9))
    [fit] = [fit for fit in plan.fits if fit.need.stage == "optimize"]
    assert fit.passes["optimize.optimizer"] == Pass(512, False)


def test_answers_sampled_at_once_are_fewer_where_their_keys_and_values_do_not_fit(tmp_path: Path) -> None:
    config = run(folder(tmp_path, LARGE), optimize={"kind": "dpo"}, reward=None)
    [fit] = [fit for fit in MemoryPlan.of(config, there(4)).fits if fit.need.stage == "evaluate"]
    assert 8 <= fit.rows < 128 and f"{fit.rows} answers sampled at once in place of 128" in fit.line()
    assert MemoryPlan.of(config, there(4)).applied(config).compute.max_live_rows == fit.rows


def test_what_cannot_fit_is_refused_with_what_would(tmp_path: Path) -> None:
    config = run(folder(tmp_path, LARGE), optimize={"kind": "ppo"})
    plan = MemoryPlan.of(config, there(8))
    with pytest.raises(ConfigError, match=r"optimize needs about .* GB of memory .*; set model.lora: \{rank: 16\}"):
        plan.refuse(config, {"optimize"})
    plan.refuse(config, {"reward"})  # what is done already needs nothing more
    assert [one.level for one in plan.findings(config)].count("error") >= 1
    assert would_fit(config, there(0.1)) == ["take a smaller base, or a machine with more memory"]


def test_a_base_that_is_not_here_is_said_not_to_be_planned(tmp_path: Path) -> None:
    config = run("nobody/nothing-of-that-name")
    plan = MemoryPlan.of(config)
    assert plan.lines() == ["memory: not planned: the base is not here yet, so its size is not known"]
    plan.refuse(config, {"optimize"})
    assert plan.applied(config).method == config.method


def test_memory_is_that_of_the_tightest_group(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:       20000000 kB\nMemFree: 1 kB\nMemAvailable:   15000000 kB\n")
    groups = tmp_path / "groups"
    groups.mkdir()
    assert of_machine(meminfo, groups) == Memory("cpu", 2e7 * 1024, 1.5e7 * 1024)
    (groups / "memory.max").write_text("8000000000\n")
    (groups / "memory.current").write_text("3000000000\n")
    (groups / "memory.stat").write_text("anon 5\ninactive_file 1000000000\n")
    assert of_machine(meminfo, groups) == Memory("cpu", 8e9, 6e9)
    (groups / "memory.max").write_text("max\n")
    assert of_machine(meminfo, groups) == Memory("cpu", 2e7 * 1024, 1.5e7 * 1024)
    assert of_machine(tmp_path / "none", groups) is None
    assert Memory("cpu", 8e9, 6e9).at_most(2.0) == Memory("cpu", 2.0, 2.0) and GIB == 2**30


def test_operations_by_hand() -> None:
    one = shape(SMALL)
    once = 10 * (2 * one.body + 2 * 2 * 64 * 5)
    tokens = flops.Tokens(real=10, scored=4, row=5)
    assert flops.forward(one, tokens) == once + 4 * 2 * 64_000
    assert flops.training(one, tokens, is_lora=False) == 3 * once + 4 * 6 * 64_000
    assert flops.training(one, tokens, is_lora=True, is_checkpointed=True) == 3 * once + 4 * 4 * 64_000
    # Ten rows at once: products bind on a slow device, bytes on one that reads slowly.
    weights = one.body + one.head
    floor = {"rows": 10, "context": 50, "width": 4}
    assert flops.decode_step_floor(one, product_rate=1e3, read_rate=1e30, **floor) == 20 * weights / 1e3
    read = 4 * weights + 10 * 50 * 2 * 2 * 32 * 4
    assert flops.decode_step_floor(one, product_rate=1e30, read_rate=1e3, **floor) == read / 1e3
