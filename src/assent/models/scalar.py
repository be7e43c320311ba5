"""Reward and value models: a decoder with one number per token state."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import peft
import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from assent.core import files, seeds
from assent.core.errors import ModelError
from assent.models import criterion_heads, load, lora, quantized, score_head
from assent.models.config import ModelConfig
from assent.models.decoder import Mode, Way, read_states
from assent.models.form import Form
from assent.models.groups import GroupBatch
from assent.models.last_layer import Place
from assent.models.ledger import WasteLedger
from assent.models.parity import choose_products, choose_way
from assent.models.quiet import quiet


class ScalarModel:
    """A decoder with a linear score head, which scores each row, or each token state.

    On disk it is a sequence classifier of one label, or what `models.score_head` says. Where it was also taught what
    people scored by criteria, further labels follow the first, one each (`criteria`). A reward reads a row at its last
    real token, as transformers does with padding after it. The head has no bias, so raw scores equal those of plain
    transformers; `score_mean` and `score_std` (kept in config.json as assent_score_mean and assent_score_std) say how
    to center and scale them.
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
        """Take a model whose decoder was opened from `base`; None: from nowhere on disk.

        One without weights has a `form`, which says what another process found out with them.
        """
        where = base or type(hf).__name__
        load.check_precision(config, trainable=trainable, where=where)
        self.hf: Any = hf
        self.tokenizer = tokenizer
        self.max_length = load.context_window(hf)
        self.ledger = WasteLedger()
        self.base = base
        """Where it was opened from: what an adapter that is trained on it lies on."""
        heads = 1 + len(criterion_heads.of(hf))
        labels = "one label" if heads == 1 else f"{heads} labels"
        if not isinstance(getattr(hf, "score", None), nn.Linear) or hf.score.out_features != heads:
            raise ModelError(
                f"{where}: a reward model needs {labels} under the name score, this one has"
                f" {getattr(hf, 'score', None)}; train a new head with num_labels={heads}"
            )
        if form is None:
            self.way = choose_way(hf, _Scores(), attention=config.attention, where=where)
            self.products = choose_products(hf, _Scores(), config.products, way=self.way, where=where)
        else:
            self.way, self.products = form.way, form.products
        hf.requires_grad_(trainable and config.lora is None)
        score_head.freeze_words(hf)
        if trainable and config.lora is not None:
            self.hf = lora.attach(hf, config.lora, whole_modules=["score"], task=lora.SCORES)
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
    ) -> ScalarModel:
        """Load a saved reward or value model; an adapter folder is loaded merged. Raises ModelError in one line."""
        opened = load.open_scalar(path, config, revision=revision)
        quantized.place(opened.hf, config, device, trainable=trainable, where=opened.base)
        return cls(opened.hf, opened.tokenizer, config=config, trainable=trainable, base=opened.base)

    @classmethod
    def from_policy(
        cls,
        path: str | Path,
        *,
        config: ModelConfig,
        seed: int,
        device: torch.device | str = "cpu",
        revision: str | None = None,
        also: Sequence[str] = (),
    ) -> ScalarModel:
        """A trainable model with the body of a causal language model and a fresh head, and one more for each of `also`.

        Head weights are normal with deviation 1/sqrt(d + 1), drawn from the seed (Stiennon et al. 2020).
        """
        opened = load.scalar_from_causal_lm(path, config, revision=revision, heads=1 + len(also))
        criterion_heads.name(opened.hf, [criterion_heads.Criterion(name) for name in also])
        draw_head(opened.hf, seed=seed)
        quantized.place(opened.hf, config, device, trainable=True, where=opened.base)
        return cls(opened.hf, opened.tokenizer, config=config, trainable=True, base=opened.base)

    @classmethod
    def hollow(cls, form: Form, *, config: ModelConfig, trainable: bool) -> ScalarModel:
        """A model of the form of another process's, whose weights are still to come."""
        return cls(form.hollow(), form.tokenizer, config=config, trainable=trainable, base=form.base, form=form)

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
    def num_features(self) -> int:
        """Width of the states that the score is read from."""
        return int(self.core.score.in_features)

    @property
    def head(self) -> Float[Tensor, " d"]:
        """Weights by which a state becomes a score; a copy."""
        return self._head_rows()[0].float().cpu()

    @head.setter
    def head(self, weights: Float[Tensor, " d"]) -> None:
        rows, own = self._head_rows(), self.core.score.weight
        rows[0] = weights.to(rows)
        if hasattr(own, "full_tensor"):  # parted over processes
            from torch.distributed.tensor import distribute_tensor

            rows = distribute_tensor(rows, own.device_mesh, own.placements)
        with torch.no_grad():
            own.copy_(rows)

    def _head_rows(self) -> Float[Tensor, "H d"]:
        """A copy of the weights of all heads, also where they are parted over processes."""
        rows: Tensor = self.core.score.weight.detach()
        return rows.full_tensor() if hasattr(rows, "full_tensor") else rows.clone()

    @property
    def score_mean(self) -> float:
        """Mean raw score on the answers it was trained on; 0 before."""
        return float(getattr(self.core.config, "assent_score_mean", 0.0))

    @score_mean.setter
    def score_mean(self, value: float) -> None:
        self.core.config.assent_score_mean = float(value)

    @property
    def score_std(self) -> float:
        """Standard deviation of the raw scores on the answers it was trained on; 1 before."""
        return float(getattr(self.core.config, "assent_score_std", 1.0))

    @score_std.setter
    def score_std(self, value: float) -> None:
        if not value > 0:
            raise ValueError(f"score_std must be positive, got {value}")
        self.core.config.assent_score_std = float(value)

    @property
    def criteria(self) -> tuple[criterion_heads.Criterion, ...]:
        """Criteria that have a head of their own, in the order of the heads after the first."""
        return criterion_heads.of(self.core)

    @criteria.setter
    def criteria(self, known: Sequence[criterion_heads.Criterion]) -> None:
        criterion_heads.name(self.core, known)

    @property
    def trained_length(self) -> int:
        """Tokens of the longest row that it was trained to read, at most its context."""
        return min(self.max_length, int(getattr(self.core.config, "assent_max_length", self.max_length)))

    @trained_length.setter
    def trained_length(self, value: int) -> None:
        if value < 1:
            raise ValueError(f"trained_length must be positive, got {value}")
        self.core.config.assent_max_length = int(value)

    def dropping(self, seed: int) -> contextlib.AbstractContextManager[None]:
        """Compute as one trains, inside this block: with the dropout of the adapters, drawn from the seed, if any."""
        has_dropout = isinstance(self.hf, peft.PeftModel) and self.hf.peft_config["default"].lora_dropout > 0
        return lora.dropping(self.hf, seed) if has_dropout else contextlib.nullcontext()

    def parameters(self) -> dict[str, nn.Parameter]:
        """What is trained, by name."""
        return {name: p for name, p in self.hf.named_parameters() if p.requires_grad}

    def at_last(self, batch: GroupBatch) -> Float[Tensor, " B"]:
        """Raw score of each row at its last real token."""
        batch = batch.to(self.device)
        return self._scores(self._read(batch, "last"))

    def at_last_with_criteria(
        self, batch: GroupBatch
    ) -> tuple[Float[Tensor, " B"], Float[Tensor, "B d"], Float[Tensor, "B C"]]:
        """Raw score of each row, the state it is read from, and what each criterion's head says, in deviations."""
        batch = batch.to(self.device)
        states = self._read(batch, "last")
        said = self.core.score(states).float()
        return said[:, 0], states.float(), said[:, 1:]

    def at_last_with_states(self, batch: GroupBatch) -> tuple[Float[Tensor, " B"], Float[Tensor, "B d"]]:
        """Raw score of each row, and the state it is read from."""
        batch = batch.to(self.device)
        states = self._read(batch, "last")
        return self._scores(states), states.float()

    def at_scored(self, batch: GroupBatch) -> Float[Tensor, " S"]:
        """Value of the state before each scored token."""
        batch = batch.to(self.device)
        return self._scores(self._read(batch, "scored"))

    def save(self, folder: str | Path, *, merged: bool = False, base_name: str | None = None) -> None:
        """Write a plain Hugging Face folder: safetensors and tokenizer, or a PEFT adapter with head unless `merged`.

        An adapter names its base `base_name` (default: as it was loaded), which may be an adapter on another base. A
        model that was not loaded from anywhere has no base to name: it is always merged.
        """
        folder, hf = Path(folder), self.hf
        with quiet():
            if isinstance(hf, peft.PeftModel) and self.base is not None and not merged:
                lora.save_adapter(hf, folder, base=self.base, name=base_name)
                self.core.config.save_pretrained(str(folder))  # labels, padding, normalisation: PEFT keeps none of them
            else:
                score_head.save(lora.merged_copy(hf) if isinstance(hf, peft.PeftModel) else hf, folder)
            self.tokenizer.save_pretrained(str(folder))
        files.readable(folder)

    def _read(self, batch: GroupBatch, place: Place) -> Float[Tensor, "N d"]:
        return read_states(self.core, batch, place, way=self.way, ledger=self.ledger)

    def _scores(self, states: Float[Tensor, "N d"]) -> Float[Tensor, " N"]:
        said: Tensor = self.core.score(states)[:, 0]
        return said.float()


class _Scores:
    """What a reward model is asked in the check at load time: the score of each row."""

    place: Place = "last"

    def plain(self, hf: PreTrainedModel, tokens: Tensor) -> Tensor:
        return score_head.plain_scores(hf, tokens)[:, :1].float()

    def padded(self, hf: PreTrainedModel, batch: GroupBatch) -> Tensor:
        return self.from_read(hf, read_states(hf, batch, self.place, way=Way("padded")), batch)

    def from_read(self, hf: Any, states: Tensor, batch: GroupBatch) -> Tensor:
        return hf.score(states)[:, 0].float()


@torch.no_grad()
def draw_head(hf: PreTrainedModel, *, seed: int) -> None:
    """Draw a fresh scalar head from the seed."""
    weight = hf.score.weight
    generator = torch.Generator().manual_seed(seeds.derive(seed, "score head"))
    drawn = torch.randn(weight.shape, generator=generator) / (weight.shape[1] + 1) ** 0.5
    weight.copy_(drawn)
