"""The policy: a causal language model that says how likely it is to write each scored token of a group batch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import peft
import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from assent.algorithms.logprobs import scored_logps, token_entropy, token_logps
from assent.core import files
from assent.core.errors import ModelError
from assent.models import load, lora, quantized, stops
from assent.models.config import ModelConfig
from assent.models.decoder import Mode, plainly, read_states, token_states
from assent.models.form import Form
from assent.models.groups import GroupBatch
from assent.models.last_layer import Place
from assent.models.ledger import WasteLedger
from assent.models.linear import copy_of
from assent.models.padded import PaddedRows
from assent.models.parity import choose_products, choose_way
from assent.models.quiet import quiet
from assent.models.value_head import ValueHead

_HEAD_BLOCK = {"cpu": 256, "cuda": 4096}
"""Rows of the head computed at once: a block of logits stays in cache on a CPU, and in bounds on a GPU."""


class TokenScores(NamedTuple):
    """What a policy says of the scored tokens of a group batch."""

    logps: Float[Tensor, " S"]
    entropy: Float[Tensor, " S"] | None = None
    """In nats, without gradient; None where not asked for."""
    values: Float[Tensor, " S"] | None = None
    """Of the state before each token, where a value head reads it too."""


class PolicyModel:
    """A causal language model, its tokenizer, and the way it computes group batches.

    `hf` is the transformers model (a PEFT model under LoRA) and holds the live weights; `way` says whether group
    batches are computed without padding (mode "groups") or as padded rows ("padded", `mode_reason` says why).
    """

    def __init__(
        self,
        hf: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        *,
        config: ModelConfig,
        trainable: bool,
        base: str | None = None,
        form: Form | None = None,
    ) -> None:
        """Take a model that was opened from `base`; None: from nowhere on disk.

        One without weights has a `form`, which says what another process found out with them.
        """
        where = base or type(hf).__name__
        load.check_precision(config, trainable=trainable, where=where)
        self.hf: Any = hf
        self.tokenizer = tokenizer
        self.eos_ids = stops.stop_tokens(hf, tokenizer)
        self.own_type = str(hf.dtype).removeprefix("torch.")
        """The type that the weights had on disk, whichever they are computed in."""
        self.max_length = load.context_window(hf)
        self.ledger = WasteLedger()
        self.opened_from: str | None = None
        """The folder or hub id that it was loaded from, for who opens it a second time."""
        self.base = base
        """Where it was opened from: what an adapter that is trained on it lies on."""
        self._head = _Head.of(hf)
        if form is None:
            self.way = choose_way(hf, _Logps(), attention=config.attention, where=where)
            self.products = choose_products(hf, _Logps(), config.products, way=self.way, where=where)
        else:
            self.way, self.products = form.way, form.products
        self._head.is_narrow = self.products.kind == "bfloat16"
        hf.requires_grad_(trainable and config.lora is None)
        if trainable and config.lora is not None:
            self.hf = lora.attach(hf, config.lora, task=lora.WORDS)
        self.hf.eval()

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        config: ModelConfig,
        trainable: bool,
        device: torch.device | str = "cpu",
        revision: str | None = None,
    ) -> PolicyModel:
        """Load from a folder or hub id; an adapter folder is loaded merged. Raises ModelError in one line."""
        opened = load.open_causal_lm(path, config, revision=revision)
        quantized.place(opened.hf, config, device, trainable=trainable, where=opened.base)
        policy = cls(opened.hf, opened.tokenizer, config=config, trainable=trainable, base=opened.base)
        policy.own_type, policy.opened_from = opened.own_type, str(path)
        return policy

    @classmethod
    def hollow(cls, form: Form, *, config: ModelConfig, trainable: bool) -> PolicyModel:
        """A policy of the form of another process's, whose weights are still to come."""
        policy = cls(form.hollow(), form.tokenizer, config=config, trainable=trainable, base=form.base, form=form)
        policy.own_type = form.own_type or policy.own_type
        return policy

    @property
    def mode(self) -> Mode:
        """How group batches are computed."""
        return self.way.mode

    @property
    def mode_reason(self) -> str:
        """Why in padded rows, if so."""
        return self.way.reason

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.core.device

    @property
    def core(self) -> PreTrainedModel:
        """The transformers model itself, adapters in place but without PEFT's wrapper."""
        return self.hf.get_base_model() if isinstance(self.hf, peft.PeftModel) else self.hf

    @property
    def num_parameters(self) -> int:
        """Weights of the model, adapters not counted; tied ones once."""
        return sum(p.numel() for name, p in self.hf.named_parameters() if ".lora_" not in name)

    def dropping(self, seed: int) -> contextlib.AbstractContextManager[None]:
        """Compute as one trains, inside this block: with the dropout of the adapters, drawn from the seed, if any."""
        has_dropout = isinstance(self.hf, peft.PeftModel) and self.hf.peft_config["default"].lora_dropout > 0
        return lora.dropping(self.hf, seed) if has_dropout else contextlib.nullcontext()

    def parameters(self) -> dict[str, nn.Parameter]:
        """What is trained, by name."""
        return {name: p for name, p in self.hf.named_parameters() if p.requires_grad}

    def hidden(self, batch: GroupBatch) -> Float[Tensor, "T d"]:
        """States of all tokens after the last layer and its norm."""
        return token_states(self.core, batch.to(self.device), mode=self.mode, ledger=self.ledger)

    def logps(
        self,
        batch: GroupBatch,
        *,
        temperature: float = 1.0,
        with_entropy: bool = False,
        value_head: ValueHead | None = None,
    ) -> TokenScores:
        """Log-probabilities [S] of the scored tokens under softmax(logits / temperature); entropies [S] if asked.

        With `value_head` also the values [S] of the states before these tokens, of the same pass. Raises ModelError for
        values of padded rows.
        """
        batch = batch.to(self.device)
        if self.mode == "padded":
            if value_head is not None:
                self._refuse_values()
            rows = PaddedRows.of(batch)
            size = rows.tokens.numel()
            self.ledger.count(positions=size, tokens=batch.num_tokens, head_rows=size, scored=batch.num_scored)
            return _padded_logps(self.core, rows, batch, temperature, with_entropy)
        self.ledger.count(head_rows=batch.num_scored, scored=batch.num_scored)
        states = self._read(batch)
        found = self._head.logps(states, batch, temperature, with_entropy)
        return found if value_head is None else found._replace(values=value_head(states))

    def new_value_head(self) -> ValueHead:
        """A value head for its states, which says zero so far. Raises ModelError for padded rows."""
        self._refuse_values()
        return ValueHead(self.core.get_output_embeddings().weight.shape[1], device=self.device)

    def values(self, batch: GroupBatch, value_head: ValueHead) -> Float[Tensor, " S"]:
        """Value of the state before each scored token; its gradient ends at the head. Raises ModelError as `logps`."""
        self._refuse_values()
        with torch.no_grad():
            states = self._read(batch.to(self.device))
        return value_head(states)

    def logits(self, batch: GroupBatch) -> Float[Tensor, "S V"]:
        """Logits of the scored tokens, whole, for whoever wants alternatives; without a gradient."""
        batch = batch.to(self.device)
        with torch.no_grad():
            if self.mode == "padded":
                rows = PaddedRows.of(batch)
                return batch.take_scored(rows.flat(rows.run(self.core).logits)).float()
            return self._head.logits(self._read(batch))

    def _refuse_values(self) -> None:
        if self.mode == "padded":  # log-probabilities come from the model's own logits, and states are not read
            raise ModelError(
                f"{type(self.core).__name__} is computed in padded rows ({self.mode_reason}), whose states no value"
                " head can read; set optimize.value: own_model"
            )

    def _read(self, batch: GroupBatch) -> Float[Tensor, "S d"]:
        return read_states(self.core, batch, "scored", way=self.way, ledger=self.ledger)

    @contextlib.contextmanager
    def reference(self) -> Iterator[None]:
        """Be the model as it was loaded, inside this block: adapters off. Raises ModelError without LoRA."""
        if not isinstance(self.hf, peft.PeftModel):
            raise ModelError("a fully trained model has no adapter to switch off; load the start a second time instead")
        with self.hf.disable_adapter():
            yield

    def save(self, folder: str | Path, *, merged: bool = False, base_name: str | None = None) -> None:
        """Write a plain Hugging Face folder: safetensors and tokenizer, or a PEFT adapter unless `merged`.

        generation_config.json lists all of `eos_ids`, so that plain transformers stops where sampling here does.
        An adapter names its base `base_name` (default: as it was loaded), which may be an adapter on another base. A
        model that was not loaded from anywhere has no base to name: it is always merged.
        """
        folder, hf = Path(folder), self.hf
        stops.write_stop_tokens(self.core, self.tokenizer, self.eos_ids)
        if isinstance(hf, peft.PeftModel) and self.base is not None and not merged:
            lora.save_adapter(hf, folder, base=self.base, name=base_name)
            if self.core.generation_config is not None:
                self.core.generation_config.save_pretrained(str(folder))  # peft leaves it out
        else:
            hf = lora.merged_copy(hf) if isinstance(hf, peft.PeftModel) else hf
            with quiet():
                hf.save_pretrained(str(folder))
        self.tokenizer.save_pretrained(str(folder))
        files.readable(folder)


class _Logps:
    """What a policy is asked in the check at load time: log-probabilities of tokens."""

    place: Place = "scored"

    def plain(self, hf: PreTrainedModel, tokens: Tensor) -> Tensor:
        logits = plainly(hf, tokens).logits[:, :-1].float()
        return token_logps(logits.flatten(0, 1), tokens[:, 1:].flatten()).view(len(tokens), -1)

    def padded(self, hf: PreTrainedModel, batch: GroupBatch) -> Tensor:
        return _padded_logps(hf, PaddedRows.of(batch), batch, 1.0, False).logps

    def from_read(self, hf: PreTrainedModel, states: Tensor, batch: GroupBatch) -> Tensor:
        return _Head.of(hf).logps(states, batch, 1.0, False).logps


def _padded_logps(hf: Any, rows: PaddedRows, batch: GroupBatch, temperature: float, with_entropy: bool) -> TokenScores:
    """From the model's own logits, whatever its head does with states."""
    logits = batch.take_scored(rows.flat(rows.run(hf).logits)).float() / temperature
    return TokenScores(token_logps(logits, batch.targets), token_entropy(logits).detach() if with_entropy else None)


class _Head:
    """How a model turns states into logits: a matrix, for some a scale, a bias or a soft cap."""

    def __init__(self, layer: Any, *, scale: float, softcap: float | None) -> None:
        self._layer, self._scale, self._softcap = layer, scale, softcap
        self.is_narrow = False
        """Whether the products of its backward pass are in bfloat16; what it says is float32."""

    @classmethod
    def of(cls, hf: PreTrainedModel) -> _Head:
        settings = hf.config.get_text_config()
        scale = float(getattr(settings, "logit_scale", None) or 1.0)  # Cohere multiplies
        scale /= float(getattr(settings, "logits_scaling", None) or 1.0)  # Granite divides
        return cls(hf.get_output_embeddings(), scale=scale, softcap=getattr(settings, "final_logit_softcapping", None))

    def logits(self, states: Float[Tensor, "S d"]) -> Float[Tensor, "S V"]:
        logits = self._layer(states if self._scale == 1.0 else states * self._scale).float()
        return logits if self._softcap is None else self._softcap * torch.tanh(logits / self._softcap)

    def logps(
        self, states: Float[Tensor, "S d"], batch: GroupBatch, temperature: float, with_entropy: bool
    ) -> TokenScores:
        rounds = self.is_narrow and self._layer.weight.dtype == torch.float32 and torch.is_grad_enabled()
        found = scored_logps(
            states if self._scale == 1.0 else states * self._scale,
            self._layer.weight,
            batch.targets,
            bias=getattr(self._layer, "bias", None),
            temperature=temperature,
            softcap=self._softcap,
            block=_HEAD_BLOCK.get(states.device.type, 4096),
            with_entropy=with_entropy,
            rounded=copy_of(self._layer.weight) if rounds else None,
        )
        return TokenScores(*found)
