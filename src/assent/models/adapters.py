"""Several adapters on one loaded base, of which one, or none, is active: no second copy of the base."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import peft
from safetensors import SafetensorError

from assent.core.errors import ModelError
from assent.models.lora import CONFIG, fuse
from assent.models.policy import PolicyModel
from assent.models.quiet import quiet


class Adapters:
    """The adapters of a policy that does not learn. Whoever asks the policy says as whom, with `using`."""

    def __init__(self, policy: PolicyModel) -> None:
        self._policy = policy
        self.names: tuple[str, ...] = ()

    def add(self, name: str, folder: Path) -> None:
        """Load an adapter under a name. Raises ModelError where the folder holds none that fits the base."""
        if not (folder / CONFIG).is_file():
            raise ModelError(f"{folder}: holds no adapter ({CONFIG}); fit the profile again")
        hf = self._policy.hf
        # Names of ours may hold what a module's name may not.
        own = f"profile{len(self.names)}"
        try:
            with quiet():
                if isinstance(hf, peft.PeftModel):
                    hf.load_adapter(str(folder), adapter_name=own)
                else:
                    self._policy.hf = peft.PeftModel.from_pretrained(hf, str(folder), adapter_name=own)
        except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise ModelError(f"{folder}: the adapter does not fit the base that is served: {reason}") from error
        fuse(self._policy.hf)
        self._policy.hf.requires_grad_(False)
        self._policy.hf.eval()
        self.names = (*self.names, name)

    @contextlib.contextmanager
    def using(self, name: str | None) -> Iterator[None]:
        """Be the base with this adapter inside the block, or the base alone; not to be nested, nor by two threads."""
        hf = self._policy.hf
        if not isinstance(hf, peft.PeftModel):
            yield
        elif name is None:
            with hf.disable_adapter():
                yield
        else:
            hf.set_adapter(f"profile{self.names.index(name)}")
            hf.requires_grad_(False)  # choosing one makes it trainable
            yield
