"""Several models on one base: the frozen weights of a policy under LoRA, lent to models with adapters of their own.

Each model is a whole one, a tree of modules that nobody else calls: only the tensors of the base are the same. So no
adapter has to be switched on before a model is asked, and none can be forgotten.
"""

from __future__ import annotations

import json
from pathlib import Path

import peft
from transformers import PreTrainedModel

from assent.core.errors import ModelError
from assent.models import load, lora
from assent.models.config import ModelConfig
from assent.models.policy import PolicyModel
from assent.models.scalar import ScalarModel, draw_head

_REWARD = "reward"
"""What PEFT calls the adapter of the reward model in the layers."""
_KEPT = "assent_"
"""How the facts that a reward model keeps in its config begin."""


def reward_on(policy: PolicyModel, adapter: str | Path, *, config: ModelConfig) -> ScalarModel:
    """A frozen reward model: the base of `policy`, and over it an adapter and a head from a folder.

    Its tokenizer is the folder's own. Raises ModelError where the adapter does not fit the base.
    """
    facts = json.loads((Path(adapter) / "config.json").read_text(encoding="utf-8"))
    heads = len(facts.get("id2label") or ("the only one",))
    hf = lora.lay_fixed(_scalar_on(policy, config, where=str(adapter), heads=heads), adapter, name=_REWARD)
    for name, value in facts.items():
        if name.startswith(_KEPT):
            setattr(hf.config, name, value)
    return ScalarModel(hf, load.tokenizer_of(adapter, config), config=config, trainable=False, base=None)


def value_from_reward(reward: ScalarModel, *, config: ModelConfig) -> ScalarModel:
    """A trainable model that starts as `reward`: its adapter fixed, a fresh one and a copy of its head over it."""
    hf = lora.on_same_weights(reward.hf)
    return ScalarModel(hf, reward.tokenizer, config=config, trainable=True, base=None)


def value_on(policy: PolicyModel, start: str | Path, *, config: ModelConfig, seed: int) -> ScalarModel:
    """A trainable model on the base of `policy`, whose folder is `start`: a fresh adapter and a head from the seed."""
    hf = _scalar_on(policy, config, where=str(start))
    draw_head(hf, seed=seed)
    return ScalarModel(hf, load.tokenizer_of(start, config), config=config, trainable=True, base=None)


def _scalar_on(policy: PolicyModel, config: ModelConfig, *, where: str, heads: int = 1) -> PreTrainedModel:
    if not isinstance(policy.hf, peft.PeftModel) or config.lora is None:
        raise ModelError(f"{where}: all weights of the policy are trained, so none can be shared; set model.lora")
    return load.under_score(lora.base_of(policy.hf), config, where=where, heads=heads)
