"""One tiny model for each way in which an architecture can be wrong beyond short rows: all are found at load time."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BertGenerationConfig,
    DeepseekV32Config,
    DogeConfig,
    FalconConfig,
    LlamaConfig,
    LlamaForCausalLM,
    Phi3Config,
    PretrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    XLNetConfig,
)
from transformers.models.llama import modeling_llama

from assent.core import seeds
from assent.core.errors import ModelError
from assent.core.group import Group
from assent.models.attention import IMPLEMENTATION
from assent.models.config import ModelConfig
from assent.models.groups import pack
from assent.models.policy import PolicyModel
from assent.models.shrink import WINDOW, shrunk
from assent.models.tiny import tiny_tokenizer

SMALL = {
    "vocab_size": 320,
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
    "initializer_range": 0.15,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "short_factor": [1.0] * 6,
    "long_factor": [4.0, 2.0, 3.0, 5.0, 2.5, 6.0],
    "original_max_position_embeddings": 24,
}


@pytest.fixture
def anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found out of a class is forgotten: the test patches it."""
    monkeypatch.setattr("assent.models.parity._verdicts", {})


def model(config: PretrainedConfig, kind: type[PreTrainedModel] | None = None, **settings: Any) -> PreTrainedModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = copy.deepcopy(config)
        made = AutoModelForCausalLM.from_config(config, **settings) if kind is None else kind(config)
    return made.eval()


def opened(hf: PreTrainedModel, **settings: Any) -> PolicyModel:
    return PolicyModel(hf, tiny_tokenizer(), config=ModelConfig(**settings), trainable=False)


def rows(*shapes: tuple[int, int]) -> list[Group]:
    random = seeds.stream(3, "rows")
    return [Group(random.integers(5, 300, size=p), (random.integers(5, 300, size=c),)) for p, c in shapes]


@torch.no_grad()
def off_single_rows(policy: PolicyModel, plain: PreTrainedModel, groups: list[Group]) -> float:
    """How far log-probabilities of a batch are from those of each row alone."""
    [batch] = pack(groups, budget=10**6)
    found = batch.scatter(policy.logps(batch).logps)
    off = 0.0
    for number, group in enumerate(groups):
        tokens = torch.from_numpy(np.concatenate([group.prompt, group.continuations[0]]))[None]
        logps = plain(tokens).logits[0, :-1].log_softmax(-1).gather(-1, tokens[0, 1:, None])[:, 0]
        off = max(off, (found[number] - logps[len(group.prompt) - 1 :]).abs().max().item())
    return off


@pytest.mark.parametrize("attention", ["groups", "padded"])
@pytest.mark.parametrize(
    "config",
    [
        LlamaConfig(**SMALL, rope_parameters=LONGROPE),
        Phi3Config(**SMALL, rope_parameters=LONGROPE, original_max_position_embeddings=24),
    ],
    ids=["llama", "phi3"],
)
def test_longrope_ends_at_the_original_context(config: PretrainedConfig, attention: str) -> None:
    policy = opened(model(config), attention=attention)
    assert policy.max_length == 24
    assert off_single_rows(policy, model(config), rows((12, 12), (3, 4))) < 1e-4
    # Why: one longer row would change what is said of the short one.
    plain = model(config)
    short, long = rows((3, 4), (20, 40))
    [alone], [together] = pack([short], budget=999), pack([short, long], budget=999)
    with torch.no_grad():
        moved = policy.logps(together).logps[-4:] - policy.logps(alone).logps
    assert moved.abs().max() > 0.05 and off_single_rows(policy, plain, [short]) < 1e-4


def test_other_scalings_of_positions_keep_the_whole_context() -> None:
    yarn = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 24}
    policy = opened(model(LlamaConfig(**SMALL, rope_parameters=yarn)))
    assert (policy.mode, policy.max_length) == ("groups", 128)
    assert off_single_rows(policy, model(LlamaConfig(**SMALL, rope_parameters=yarn)), rows((40, 60), (3, 4))) < 1e-4


@pytest.mark.parametrize(
    "config", [BertGenerationConfig(**SMALL), XLNetConfig(vocab_size=320, d_model=32, n_layer=2, n_head=2, d_inner=64)]
)
def test_a_model_that_sees_later_tokens_is_refused_with_the_number(config: PretrainedConfig) -> None:
    with pytest.raises(ModelError, match=r"sees later tokens: .* by \d"):
        opened(model(config))


class Capped(LlamaForCausalLM):
    """A head that caps its logits, which its config does not say."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        output = super().forward(*args, **kwargs)
        output.logits = 30 * torch.tanh(output.logits / 30)
        return output


class Unpadded(Capped):
    """Padding changes what the others say."""

    def forward(self, input_ids: Any, attention_mask: Any = None, position_ids: Any = None, **kwargs: Any) -> Any:
        output = super().forward(input_ids, attention_mask=attention_mask, position_ids=position_ids, **kwargs)
        output.logits = output.logits * (1.1 if attention_mask is not None and (attention_mask == 0).any() else 1.0)
        return output


def test_rows_that_padding_changes_are_refused_with_the_number() -> None:
    with pytest.raises(ModelError, match=r"in padded rows its numbers differ from those of single rows by \d.*without"):
        opened(model(LlamaConfig(**SMALL), Unpadded))


def test_keys_that_are_chosen_from_the_whole_row_are_refused_beyond_their_window() -> None:
    # Doge keeps the best keys of a row, later ones and padding among those it chooses from.
    with pytest.raises(ModelError, match=r"by \d"):
        opened(model(DogeConfig(**SMALL, keep_window_size=2048)))


def test_sparse_attention_whose_choice_hangs_on_the_length_is_refused() -> None:
    # With two index heads many scores are exactly 0, and which of equal keys are chosen hangs on how many there are.
    config = DeepseekV32Config(**SMALL, index_n_heads=2, n_routed_experts=4, num_experts_per_tok=2, n_group=1)
    with pytest.raises(ModelError, match=r"by \d"):
        opened(model(config))


def test_alibi_of_falcon_is_counted_once() -> None:
    # The eager form in transformers adds it twice. One head, one layer: attention by hand.
    config = FalconConfig(**(SMALL | {"num_attention_heads": 1, "num_hidden_layers": 1}), alibi=True, multi_query=False)
    config.parallel_attn = False
    policy = opened(model(config))
    plain = policy.core
    tokens = torch.from_numpy(rows((9, 30))[0].continuations[0])[None]
    block, decoder = plain.transformer.h[0], plain.transformer
    with torch.no_grad():
        state = decoder.word_embeddings(tokens)
        query, key, value = (
            block.self_attention.query_key_value(block.input_layernorm(state)).unflatten(-1, (3, 48))[0].unbind(1)
        )
        distance = torch.arange(30)[None] * 2.0**-8  # the slope of a single head
        scores = (query @ key.T + distance) / 48**0.5
        seen = scores.masked_fill(torch.ones(30, 30).triu(1).bool(), -torch.inf).softmax(-1) @ value
        state = state + block.self_attention.dense(seen)[None]
        state = state + block.mlp(block.post_attention_layernorm(state))
        expected = plain.lm_head(decoder.ln_f(state))
        torch.testing.assert_close(plain(tokens).logits, expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_cap_that_half_precision_hides_is_found_on_the_twin(dtype: torch.dtype) -> None:
    policy = opened(model(LlamaConfig(**SMALL), Capped).to(dtype))
    assert policy.mode == "padded"
    assert "differ" in policy.mode_reason


def test_a_mask_of_the_models_own_making_is_not_dropped(monkeypatch: pytest.MonkeyPatch, anew: None) -> None:
    forward = modeling_llama.LlamaAttention.forward

    def windowed(self: Any, hidden_states: Any, attention_mask: Any = None, **kwargs: Any) -> Any:
        length = hidden_states.shape[1]
        near = torch.ones(length, length).tril().bool() & ~torch.ones(length, length).tril(-24).bool()
        hidden = torch.zeros(length, length).masked_fill(~near, -torch.inf)[None, None]
        if attention_mask is not None:
            seen = attention_mask if attention_mask.dtype == torch.bool else attention_mask == 0
            hidden = hidden.masked_fill(~seen, -torch.inf)
            hidden = hidden.masked_fill(torch.eye(length).bool(), 0.0)  # padding sees itself
        return forward(self, hidden_states, attention_mask=hidden, **kwargs)

    monkeypatch.setattr(modeling_llama.LlamaAttention, "forward", windowed)
    policy = opened(model(LlamaConfig(**SMALL)))
    assert policy.mode == "padded"
    assert "attention mask of the model's own making" in policy.mode_reason
    assert off_single_rows(policy, policy.core, rows((40, 50), (3, 4))) < 1e-4


def test_right_numbers_with_a_wrong_gradient_are_not_enough(monkeypatch: pytest.MonkeyPatch, anew: None) -> None:
    forward = modeling_llama.LlamaAttention.forward

    def halved(self: Any, hidden_states: Any, *args: Any, **kwargs: Any) -> Any:
        if self.config._attn_implementation == IMPLEMENTATION:
            hidden_states = (hidden_states + hidden_states.detach()) / 2
        return forward(self, hidden_states, *args, **kwargs)

    monkeypatch.setattr(modeling_llama.LlamaAttention, "forward", halved)
    policy = opened(model(LlamaConfig(**SMALL)))
    assert policy.mode == "padded"
    assert "gradient" in policy.mode_reason


def test_a_small_config_keeps_what_decides_how_tokens_mix() -> None:
    config = Qwen2Config(use_sliding_window=True, sliding_window=4096, max_window_layers=20, num_hidden_layers=28)
    config.rope_parameters = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}
    small = shrunk(config)
    assert small.layer_types == ["full_attention", "sliding_attention"]
    assert (small.sliding_window, small.num_hidden_layers, small.vocab_size) == (WINDOW, 2, 256)
    assert small.rope_parameters == config.rope_parameters | {"original_max_position_embeddings": WINDOW}
    assert small.hidden_size // small.num_attention_heads == config.hidden_size // config.num_attention_heads
    assert (config.sliding_window, config.num_hidden_layers) == (4096, 28)
