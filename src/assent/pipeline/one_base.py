"""One base in memory for the models of a round under LoRA: which of them can stand on it, and why others cannot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from assent.artifacts.identity import hash_folder
from assent.core.errors import ConfigError, ModelError
from assent.models import lora, shared_base
from assent.models.policy import PolicyModel
from assent.models.scalar import ScalarModel
from assent.pipeline.backends import Backends, adapter_of, same_tokens
from assent.training.on_policy_config import OnPolicyConfig


class _Apart(Exception):
    """Why a model has to be one of its own, in words."""


@dataclass(frozen=True)
class OneBase(Backends):
    """Backends whose reward and value models stand on the base of the policy that learns, where they can.

    What cannot is opened as `Backends` does, and the reason is said; under `must` it is a ConfigError.
    """

    policy_model: PolicyModel
    start: Path
    """The folder that `policy_model` was opened from, the base."""
    must: bool
    say: Callable[[str], None]
    _rewards: dict[Path, ScalarModel | None] = field(default_factory=dict, repr=False, compare=False)
    """Reward models by folder; None: one of its own."""

    @classmethod
    def of(
        cls, backends: Backends, policy: PolicyModel, start: Path, config: OnPolicyConfig, say: Callable[[str], None]
    ) -> Backends:
        """Backends on the base of `policy` as the settings say; `backends` themselves where it is not to be shared."""
        is_parted = backends.compute.kind == "ray" and backends.compute.frozen == "sharded"
        if is_parted and config.wants_shared_base:
            raise ConfigError(
                "optimize.shared_base is always, but compute.frozen is sharded, which parts every model for itself; set"
                " one of them to another value"
            )
        if backends.model.lora is None or config.shared_base == "never" or is_parted:
            return backends
        return cls(backends.model, backends.compute, policy, start, config.wants_shared_base, say)

    def reward_model(self, folder: Path | str, *, trainable: bool) -> ScalarModel:
        """A reward model on the base, trainable with an adapter over its own; else one of its own."""
        place = Path(folder)
        if place not in self._rewards:
            self._rewards[place] = self._opened(place)
        shared = self._rewards[place]
        if shared is None:
            return super().reward_model(folder, trainable=trainable)
        return shared_base.value_from_reward(shared, config=self.model) if trainable else shared

    def new_reward_model(self, policy: Path, *, seed: int, criteria: Sequence[str] = ()) -> ScalarModel:
        """A fresh adapter and head on the base, which is asked for by its folder."""
        if policy != self.start or criteria:
            return super().new_reward_model(policy, seed=seed, criteria=criteria)
        return shared_base.value_on(self.policy_model, policy, config=self.model, seed=seed)

    def _opened(self, folder: Path) -> ScalarModel | None:
        try:
            adapter = self._adapter(folder)
            return shared_base.reward_on(self.policy_model, adapter, config=self.model)
        except (_Apart, ModelError) as reason:
            if self.must:
                raise ConfigError(f"optimize.shared_base is always, but {reason}; set it to auto") from reason
            self.say(f"the reward model has a base of its own: {reason}")
            return None

    def _adapter(self, folder: Path) -> Path:
        """The folder of a reward model's adapter, which was trained on the very base. Raises _Apart or ModelError."""
        if self.model.lora is not None and self.model.lora.use_dora:
            raise _Apart("DoRA scales the weights that it lies on, so two adapters over one base are not one model")
        if self.model.dtype != "float32" and not self.must:
            rounded = f"merged, it was rounded to {self.model.dtype}, which its adapter alone is not"
            raise _Apart(f"{rounded}; optimize.shared_base=always takes that")
        adapter = adapter_of(folder) or folder
        base = lora.adapter_base(adapter)
        if base is None:
            raise _Apart(f"{folder} holds whole weights and no adapter")
        if not Path(base.path).is_dir():
            raise _Apart(f"{folder} was trained on {base.path}, not on the start of this policy")
        if not (adapter / "tokenizer.json").is_file() or not same_tokens(self.start, adapter):
            raise _Apart(f"{folder} has another tokenizer than the policy")
        is_same = Path(base.path).resolve() == self.start.resolve()
        if not is_same and hash_folder(Path(base.path)) != hash_folder(self.start):
            raise _Apart(f"{folder} was trained on other weights than the start of this policy ({base.path})")
        return adapter
