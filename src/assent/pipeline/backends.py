"""The only factory: which device, which model class, which engine, for the settings of a run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import peft
import torch
import transformers

from assent.artifacts.find import MODELS, model_folder
from assent.artifacts.store import MANIFEST, Artifact
from assent.cluster import place
from assent.core import files, processor
from assent.core.errors import ConfigError
from assent.core.hashing import hash_json
from assent.data.render import Renderer
from assent.generation.best_of import BestOf
from assent.generation.copied import CopiedEngine
from assent.generation.engine import Engine
from assent.generation.local import LocalEngine
from assent.generation.vllm_honours import refuse_absent
from assent.generation.writer import LocalWriter
from assent.learner import peers
from assent.learner.learner import Scorer
from assent.models import adapter_start, lora, quantized
from assent.models.adapter_start import AdapterStart, weights_of
from assent.models.config import ModelConfig
from assent.models.form import Form
from assent.models.policy import PolicyModel, TokenScores
from assent.models.scalar import ScalarModel
from assent.pipeline.config import ComputeConfig
from assent.pipeline.device import device_of
from assent.pipeline.learners import adapters_off, criterion_scorer, policy_scorer, row_scorer, saving
from assent.training.rewards import ModelReward

_OLD_ADAPTER = "adapter"
_NOTE = """This folder holds a LoRA adapter, not a whole model. It lies on `{start}`, which may be an adapter too.

- All of it as one plain Hugging Face model: `assent export PATH --to FOLDER`, where PATH is this artifact,
  a round or a run, and FOLDER is made.
- One adapter for plain PEFT, on the base that people know by its name: `assent export PATH --to FOLDER --adapter`.
"""
"""What lies beside an adapter of a run, for who looks into its folder."""
Opened = TypeVar("Opened", PolicyModel, ScalarModel)
TOKENS_PER_MICROBATCH = 4096
"""Of models that only score, where no config says how many."""


@contextmanager
def machine(compute: ComputeConfig) -> Iterator[None]:
    """Set the number of CPU threads for the block; it is process-wide in torch. Raises ConfigError without vLLM."""
    if compute.engine == "vllm":
        refuse_absent()
    transformers.utils.logging.disable_progress_bar()
    threads = torch.get_num_threads()
    torch.set_num_threads(compute.threads or threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@dataclass(frozen=True)
class Backends:
    """Opens models and engines with the settings of one run."""

    model: ModelConfig
    """As the device holds it (`ModelConfig.held_on`), whatever it was given."""
    compute: ComputeConfig

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", self.model.held_on(device_of(self.compute).type))

    def policy(self, folder: Path | str, *, trainable: bool, device: torch.device | None = None) -> PolicyModel:
        """A policy from a folder of an artifact, on another device than the run's where one is given."""
        where = device or device_of(self.compute)
        load = partial(PolicyModel.load, folder, config=self.model, trainable=trainable, device=where)
        policy = self._open_together(load, PolicyModel.hollow, trainable=trainable)
        renderer = self.renderer(policy)
        policy.tokenizer.chat_template = renderer.template
        policy.eos_ids, policy.opened_from = renderer.stop_ids, str(folder)
        return policy

    def reward_model(self, folder: Path | str, *, trainable: bool) -> ScalarModel:
        """A reward model from a folder."""
        load = partial(ScalarModel.load, folder, config=self.model, trainable=trainable, device=device_of(self.compute))
        return self._open_together(load, ScalarModel.hollow, trainable=trainable)

    def new_reward_model(self, policy: Path, *, seed: int, criteria: Sequence[str] = ()) -> ScalarModel:
        """The body of a policy with a fresh scalar head, and one for each criterion."""
        device = device_of(self.compute)
        load = partial(ScalarModel.from_policy, policy, config=self.model, seed=seed, device=device, also=criteria)
        return self._open_together(load, ScalarModel.hollow, trainable=True)

    def _open_together(self, load: Callable[[], Opened], hollow: Callable[..., Opened], *, trainable: bool) -> Opened:
        """The model. Where processes that train together part its weights, the first alone has it whole for a moment.

        The others are told its form, and are given their parts. What is code of its own, or lies on a quantized base,
        is whole on each of them for a moment.
        """
        is_parted = self.compute.frozen == "sharded" or (trainable and self.model.lora is None)
        if not peers.is_joined() or not is_parted:
            return load()
        from assent.learner.sharding import shard

        found: list[Opened] = []

        def of_first() -> Form | None:
            found.append(load())
            return None if quantized.is_wanted(self.model, trainable=trainable) else Form.of(found[0])

        form = peers.from_first(of_first)
        if not found:
            found = [load() if form is None else hollow(form, config=self.model, trainable=trainable)]
        shard(found[0].hf, frozen=self.compute.frozen)
        return found[0]

    def scorer(
        self, folder: Path | str, *, normalize: bool, tokens_per_microbatch: int = TOKENS_PER_MICROBATCH
    ) -> ModelReward:
        """A reward model from a folder as a function of texts."""
        model = self.reward_model(folder, trainable=False)
        shift = (model.score_mean, model.score_std) if normalize else (0.0, 1.0)
        limit = model.trained_length
        return ModelReward(row_scorer(model), self.renderer(model), tokens_per_microbatch, *shift, max_length=limit)

    def criterion_scorer(
        self, folder: Path | str, weights: Mapping[str, float], *, points: bool, tokens_per_microbatch: int
    ) -> ModelReward:
        """What the heads of criteria say of texts, summed by weights: in deviations, or as raters' points."""
        model = self.reward_model(folder, trainable=False)
        scorer, limit = criterion_scorer(model, weights, points=points), model.trained_length
        return ModelReward(scorer, self.renderer(model), tokens_per_microbatch, max_length=limit)

    def critic(self, policy: Path, reward: Path | None, *, seed: int) -> ScalarModel:
        """The reward model where it has the policy's tokenizer, else the policy's body with a new head."""
        if reward is not None and same_tokens(policy, reward):
            return self.reward_model(reward, trainable=True)
        return self.new_reward_model(policy, seed=seed)

    def renderer(self, model: PolicyModel | ScalarModel) -> Renderer:
        """The chat template of a model."""
        ends = model.eos_ids if isinstance(model, PolicyModel) else ()
        return Renderer(model.tokenizer, template=self.model.template, ends=ends, date=self.model.date)

    def engine(self, policy: PolicyModel) -> Engine:
        """What draws answers: from the policy's live weights, from a copy in vLLM, or from copies over a cluster."""
        if place.has_engines():
            return self._shared_engine(policy)
        if self.compute.engine == "vllm":
            return self.vllm_engine(policy)
        is_rounded = self.compute.rollout_dtype == "bfloat16" and processor.computes_bfloat16(policy.device.type)
        dtype = torch.bfloat16 if is_rounded else None
        return LocalEngine(policy, max_live_rows=self.compute.max_live_rows, dtype=dtype)

    def vllm_engine(self, policy: PolicyModel) -> Engine:
        """A sampler that holds a copy of the policy in vLLM, in this process."""
        from assent.generation.vllm import VllmEngine  # loads nothing of vLLM before it draws

        return VllmEngine(policy, self.compute.vllm, max_live_rows=self.compute.max_live_rows)

    def _shared_engine(self, policy: PolicyModel) -> Engine:
        from assent.cluster.engines import SharedEngine  # loads Ray, which only runs on a cluster have

        if policy.opened_from is None:
            raise ConfigError("the engines of a cluster open a policy by its folder, and this one has none")
        is_trained = bool(policy.parameters())
        known = Backends(self.model, self.compute)
        opening = hash_json([policy.opened_from, is_trained, self.model.model_dump(mode="json")])
        open_one = partial(open_engine, known, str(Path.cwd()), policy.opened_from, is_trained)
        is_exact = self.compute.engine == "local" and self.compute.rollout_dtype == "as_trained"
        return SharedEngine(opening, open_one, is_exact=is_exact)

    def writer(self, policy: PolicyModel, *, name: str) -> LocalWriter:
        """A policy as a model that answers under a name."""
        return LocalWriter(name, self.renderer(policy), self.engine(policy), policy.max_length)

    def best_of(self, n: int, writer: LocalWriter, reward: str) -> BestOf:
        """A writer whose best of n answers are given, by the reward model found under a name. Raises UserError."""
        return BestOf(writer, self.scorer(model_folder(reward), normalize=False), n, f"best of {n} of {writer.name}")

    def writer_named(self, name: str) -> LocalWriter:
        """The model that `find.model_folder` finds under a name, loaded to answer. Raises UserError."""
        return self.writer(self.policy(model_folder(name), trainable=False), name=name)

    def reference(self, policy: PolicyModel, start: Path, *, temperature: float) -> Scorer[TokenScores]:
        """The start of a policy: the same base with its adapter off, or a frozen copy of a full model."""
        if self.model.lora is not None:
            return adapters_off(policy, temperature=temperature)
        return policy_scorer(self.policy(start, trainable=False), temperature=temperature)


def open_engine(backends: Backends, place_of: str, folder: str, is_trained: bool) -> Engine:
    """An engine on its own copy of a policy, for a process that only samples; `folder` as seen from `place_of`."""
    os.chdir(place_of)
    torch.set_num_threads(backends.compute.threads or torch.get_num_threads())
    # What several GPUs share, one alone need not hold: then only vLLM is on them.
    device = torch.device("cpu") if backends.compute.gpus_per_engine > 1 else None
    policy = backends.policy(folder, trainable=is_trained, device=device)
    if backends.compute.engine == "vllm":
        return backends.vllm_engine(policy)
    return CopiedEngine(policy, max_live_rows=backends.compute.max_live_rows)


def save_policy(policy: PolicyModel, output: Path, *, start: Artifact) -> None:
    """Write policy/: a whole model, or for LoRA what was trained on top of `start` alone."""
    save_model(policy, output / "policy", start)


def save_reward(model: ScalarModel, output: Path, *, start: Artifact) -> None:
    """Write reward/: a whole model, or for LoRA its head and what was trained on top of `start`."""
    save_model(model, output / "reward", start)


def save_other_head(model: ScalarModel, output: Path, *, parent: Artifact) -> None:
    """Write reward/: `parent`, from which the model differs in its head and scale alone. What that is, this becomes."""
    folder, under = output / "reward", parent.file("reward")
    if not (under / adapter_start.FILE).is_file():
        model.save(folder, merged=True)
        return
    # Its body stays where it is: the adapter's, on the start that it names.
    shutil.copytree(under, folder)
    lora.replace_head(folder, model.core.score.weight)
    model.core.config.save_pretrained(str(folder))
    files.readable(folder)


def adapter_folder(artifact: Artifact) -> Path | None:
    """The folder of an artifact that holds its adapter; None where all weights were trained."""
    return adapter_of(artifact.folder / MODELS[artifact.kind])


def adapter_of(model: Path) -> Path | None:
    """The adapter in, or in older artifacts beside, the folder of a model; None where all weights were trained."""
    beside = model.parent / _OLD_ADAPTER
    folders = (model, beside) if (model.parent / MANIFEST).is_file() else (model,)
    return next((folder for folder in folders if (folder / lora.CONFIG).is_file()), None)


def save_model(model: PolicyModel | ScalarModel, folder: Path, start: Artifact) -> None:
    """Write a model beside others in an artifact: whole, or for LoRA what was trained on top of `start` alone.

    Of several processes that train together the first writes.
    """
    if not isinstance(model.hf, peft.PeftModel):
        save_whole(model, folder)
        return
    with saving(model) as is_mine:
        if is_mine:
            _save_adapter(model, folder, start)


def save_whole(model: PolicyModel | ScalarModel, folder: Path) -> None:
    """Write a model into a folder; of several processes that train together the first does."""
    with saving(model) as is_mine:
        if is_mine:
            model.save(folder)


def _save_adapter(model: PolicyModel | ScalarModel, folder: Path, start: Artifact) -> None:
    under = MODELS[start.kind]
    # As seen from where the adapter will lie, so that a project folder may be moved.
    model.save(folder, base_name=f"../../{start.name}/{under}")
    model.core.config.save_pretrained(str(folder))
    merged_in = str(model.core.dtype).removeprefix("torch.")
    AdapterStart(merged_in=merged_in, weights=weights_of(start.folder / under)).write(folder)
    files.write_text(folder / "README.md", _NOTE.format(start=start.name))


def same_tokens(first: Path, second: Path) -> bool:
    """Do two model folders hold the same tokenizer?"""
    return (first / "tokenizer.json").read_bytes() == (second / "tokenizer.json").read_bytes()
