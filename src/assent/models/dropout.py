"""Dropout, which every model is computed without: a ratio of log-probabilities must compare weights, not noise."""

from __future__ import annotations

from torch import nn
from transformers import PretrainedConfig

_NAMES = (
    *("attention_dropout", "attn_pdrop", "attn_dropout", "attention_probs_dropout_prob"),
    *("resid_pdrop", "residual_dropout", "hidden_dropout", "hidden_dropout_prob"),
    *("embd_pdrop", "embed_dropout", "embedding_dropout", "token_dropout"),
    *("ffn_dropout", "mlp_dropout", "activation_dropout", "dropout", "layerdrop"),
    *("classifier_dropout", "summary_first_dropout"),
)
"""What the dropouts of transformers' decoders are called."""


def said_without_dropout(settings: PretrainedConfig) -> None:
    """Set every dropout of a configuration to 0, before a model is built by it."""
    for part in (settings, settings.get_text_config()):
        for name in _NAMES:
            if isinstance(getattr(part, name, None), int | float):
                setattr(part, name, 0.0)


def without_dropout(hf: nn.Module) -> None:
    """Set every dropout of a model to 0."""
    for module in hf.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        for name in _NAMES:
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
