"""A config with everything that decides how tokens mix, at a size that is computed in milliseconds.

Kept: kinds of layers (one of each), activations, positions, caps, multipliers, widths of heads. Cut: the number of
heads, layers, experts and words, and the width. Windows, chunks, top-k of sparse attention and original contexts become
`WINDOW` tokens, so that rows of a few dozen tokens reach beyond all of them.
"""

from __future__ import annotations

import copy
import dataclasses
import re
from collections.abc import Iterator
from typing import Any, TypeGuard

from transformers import PretrainedConfig

WINDOW = 24
"""Longest window, chunk, top-k or original context of a shrunk config."""
CONTEXT = 128
"""Longest row of a shrunk config."""

_WIDTH = 256
_MOST_LAYERS = 8
_HEADS = re.compile(r"^(swa_)?(num_(attention_)?heads|n_heads?|attention_heads|(en|de)coder_attention_heads)$")
_HEADS_BY_LAYER = "num_attention_heads_per_layer"
_KV_HEADS = re.compile(r"^(swa_)?(num_key_value_heads|num_kv_heads|num_query_groups|kv_n_heads)$")
_LIMITS = (
    (
        r"window_size|window_len|sliding_window$|^local_attention$|chunk_size$|chunk_length$|^index_topk|^block_size$"
        r"|original_max_position_embeddings|^rel_extent$|^index_block_size$|^floor_scale$|^log_scaling_n_floor$|^mem_len$",
        WINDOW,
    ),
    (r"^(max_position_embeddings|n_positions|n_ctx|max_seq_len|max_target_positions|context_length)$", CONTEXT),
    (r"^(decoder_|unpadded_)?vocab_size(_per_layer_input)?$|^ngram_vocab_size_base$|_group_vocab$", 256),
    (r"(intermediate_size|intermediate_size_mlp|ffn_dim|ffn_hidden_size|feed_forward_size|dim_ff|dff|n_inner)$", 128),
    (r"^(num_experts|num_local_experts|n_routed_experts|moe_num_experts|zero_expert_num)$", 4),
    (r"^(num_experts_per_tok(en)?|moe_topk|moe_k|moe_top_k|top_k_experts|n_group|num_expert_group)$", 2),
    (r"^topk_group$", 1),
    (r"(lora_rank|hc_lowrank|laurel_rank|adapter_rank|gated_norm_rank)$", 32),
    (r"(d_state|state_size|time_step_rank|dt_rank)$", 16),
    (r"^index_n_heads$", 16),  # few heads often give scores of exactly 0, and equal scores are chosen by chance
    (r"^(linear_num_heads|linear_num_key_heads|num_layers_per_stack|split_ngram_parts)$", 2),
    (r"^(hidden_size_per_layer_input|ple_embed_dim|router_hidden_size)$", 64),
)
"""Largest value of settings whose name fits, the first that does."""
_LAYERS = re.compile(r"^(num_(hidden_)?layers|n_layers?|(en|de)coder_layers|num_blocks)$")
_FIRST_LAYERS = ("first_k_dense_replace", "num_dense_layers", "moe_layer_start_index")
_LAST_LAYERS = ("num_kv_shared_layers",)
_STATE_HEADS = (
    ("mamba_n_heads", "mamba_d_head"),
    ("n_mamba_heads", "mamba_headdim"),
    ("num_heads", "head_dim"),
    ("mamba_num_heads", "mamba_head_dim"),
)


def shrunk(config: PretrainedConfig) -> PretrainedConfig:
    """The same config, small; `config` is left alone."""
    small = copy.deepcopy(config)
    for part in _parts(small):
        _shrink(part)
    return small


def _parts(config: PretrainedConfig) -> Iterator[PretrainedConfig]:
    yield config
    for value in vars(config).values():
        if isinstance(value, PretrainedConfig):
            yield from _parts(value)


def _shrink(part: PretrainedConfig) -> None:
    # Straight into the object: some configs refuse to be asked, or set, where layers differ.
    settings = vars(part)
    names = part.attribute_map
    _fewer_layers(settings, names.get("num_hidden_layers", "num_hidden_layers"))
    was = dict(settings)
    _narrower(settings, names)
    for name, value in was.items():
        if name.endswith(("_token_id", "_token_ids")):
            settings[name] = _token(name, value)
        elif isinstance(value, dict) and name.startswith("rope"):
            settings[name] = _nearer(value)
        elif settings[name] is value:
            settings[name] = _limited(value, _limit(name))
    _mend_state_space(settings, was, names.get("hidden_size", "hidden_size"))


def _limit(name: str) -> int | None:
    return next((limit for pattern, limit in _LIMITS if re.search(pattern, name)), None)


def _limited(value: Any, limit: int | None) -> Any:
    if limit is None:
        return value
    if isinstance(value, list | tuple):
        return type(value)(_limited(one, limit) for one in value)
    return min(value, limit) if _is_count(value) else value


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _token(name: str, value: Any) -> Any:
    """Special tokens must be words of the small vocabulary."""
    number = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}.get(name, 3)
    if isinstance(value, list):
        return [number] if value else value
    return number if _is_count(value) and value >= 4 else value


def _nearer(rope: dict[str, Any]) -> dict[str, Any]:
    """Rotary settings, also those by kind of layer, whose original context is short."""
    near = {key: _nearer(value) if isinstance(value, dict) else value for key, value in rope.items()}
    original = near.get("original_max_position_embeddings")
    if _is_count(original):
        near["original_max_position_embeddings"] = min(WINDOW, original)
    return near


def _narrower(settings: dict[str, Any], names: dict[str, str]) -> None:
    """Few heads of the width they have; what is a multiple of the model's width follows it."""
    width = settings.get(names.get("hidden_size", "hidden_size"))
    if not _is_count(width) or width < 1:
        return
    heads = settings.get(names.get("num_attention_heads", "num_attention_heads"))
    if not _is_count(heads) or heads < 1:
        heads = max(1, width // 64)
    per_head = settings.get("head_dim")
    per_head = per_head if _is_count(per_head) and per_head > 0 else max(1, width // heads)
    count = min(heads, 4 if 4 * per_head <= _WIDTH else 2)

    def narrow(name: str, value: Any, heads: int) -> Any:
        if isinstance(value, list | tuple) and name == _HEADS_BY_LAYER:
            return type(value)(count for _ in value)
        if not _is_count(value) or value < 1:
            return value
        if _HEADS.search(name):
            return count
        if _KV_HEADS.search(name):
            return count if value >= heads else 1 if value == 1 else max(1, count // 2)
        if value >= width and value % width == 0 and _limit(name) is None:
            return value // width * count * per_head
        return value

    for name, value in list(settings.items()):
        settings[name] = narrow(name, value, heads)
    layers = settings.get("_heterogeneity_spec")
    if layers is not None:
        by_layer = {}
        for layer, own in layers.per_layer_overrides.items():
            these = own.get("num_attention_heads", heads)
            narrowed = {name: narrow(name, value, these) for name, value in own.items()}
            by_layer[layer] = {
                name: _limited(v, limit) if (limit := _limit(name)) else v for name, v in narrowed.items()
            }
        settings["_heterogeneity_spec"] = dataclasses.replace(layers, per_layer_overrides=by_layer)


def _mend_state_space(settings: dict[str, Any], was: dict[str, Any], hidden: str) -> None:
    """Heads of state-space and linear-attention layers that fit the new width."""
    width = settings.get(hidden)
    expand = next((settings[n] for n in ("mamba_expand", "expand") if n in settings), None)
    if "linear_num_value_heads" in was and "linear_num_key_heads" in was:
        ratio = was["linear_num_value_heads"] // max(1, was["linear_num_key_heads"])
        settings["linear_num_value_heads"] = settings["linear_num_key_heads"] * max(1, ratio)
    if not _is_count(width) or expand is None:
        return
    inner = int(expand * width)
    if settings.get("mamba_d_ssm") is not None:
        settings["mamba_d_ssm"] = inner
    for heads, per_head in _STATE_HEADS:
        if heads in settings and settings.get(per_head):
            size = next((d for d in (was[per_head], 64, 32, 16) if inner % d == 0), inner)
            settings[per_head], settings[heads] = size, inner // size
            settings.update({n: 1 for n in ("mamba_n_groups", "n_groups", "mamba_ngroups") if n in settings})
    if "intermediate_size" in settings and "state_size" in settings:
        settings["intermediate_size"] = inner


def _fewer_layers(settings: dict[str, Any], layers: str) -> None:
    """One layer of each kind, at least two, in their order; lists and numbers that speak of layers follow."""
    total = settings.get(layers) or max((settings[n] for n in settings if _LAYERS.search(n)), default=0)
    if not _is_count(total) or total < 1:
        return
    whole = {n: v for n, v in settings.items() if isinstance(v, list | tuple) and len(v) == total}
    listed = {n: v for n, v in settings.items() if n not in whole and _lists_layers(n, v)}
    first = {n: settings[n] for n in _FIRST_LAYERS if _is_count(settings.get(n))}
    last = {n: settings[n] for n in _LAST_LAYERS if _is_count(settings.get(n))}
    own = settings.get("_heterogeneity_spec")

    def kind(layer: int) -> tuple[Any, ...]:
        return (
            *(repr(v[layer]) for v in whole.values()),
            *(layer in v for v in listed.values()),
            *(layer < n for n in first.values()),
            *(layer >= total - n for n in last.values()),
            repr(own.per_layer_overrides.get(layer)) if own is not None else "",
        )

    kinds: dict[Any, int] = {}
    for layer in range(total):
        kinds.setdefault(kind(layer), layer)
    chosen = sorted(kinds.values())[:_MOST_LAYERS]
    pattern = settings.get("block_types")
    if isinstance(pattern, list | tuple) and "block_types" not in whole:
        chosen = list(range(min(total, len(pattern))))  # the kinds repeat by their place
    chosen = sorted([*chosen, *[n for n in range(total) if n not in chosen][: max(0, 2 - len(chosen))]])
    settings.update({n: type(v)(v[layer] for layer in chosen) for n, v in whole.items()})
    settings.update({n: type(v)(new for new, layer in enumerate(chosen) if layer in v) for n, v in listed.items()})
    settings.update({n: sum(layer < v for layer in chosen) for n, v in first.items()})
    settings.update({n: sum(layer >= total - v for layer in chosen) for n, v in last.items()})
    if own is not None:
        kept = {new: o for new, layer in enumerate(chosen) if (o := own.per_layer_overrides.get(layer)) is not None}
        settings["_heterogeneity_spec"] = dataclasses.replace(own, per_layer_overrides=kept)
    for name, value in settings.items():
        if _is_count(value) and name.endswith("_period"):
            settings[name] = min(value, 2)
        elif _is_count(value) and name.endswith("_offset"):
            settings[name] = min(value, 1)
        elif _is_count(value) and value and _LAYERS.search(name) and total % value == 0:
            settings[name] = max(1, len(chosen) * value // total)


def _lists_layers(name: str, value: Any) -> bool:
    """A list of layers' numbers, such as those with experts."""
    is_named = "layer" in name or "idx" in name
    return is_named and isinstance(value, list | tuple) and all(_is_count(one) for one in value)
