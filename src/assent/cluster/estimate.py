"""What a step of training costs on a cluster, on paper: memory of each GPU, seconds of each part, and what binds.

A cost model in bytes and products, for decoders in bf16 with fp32 master weights and AdamW. Nothing is measured here:
rates of machines are assumptions that are printed with the result. Nothing is loaded either, no torch and no Ray.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil
from typing import Literal

GB = 1e9
_MASTER = 16
"""Bytes of a trained weight: itself, its gradient and both moments in fp32."""
_LOW = 2
"""Bytes of a weight in bf16: frozen ones, those that are multiplied, and those that engines are given."""
_WIDE = 4
"""Bytes of a trained weight, or of its gradient, that goes from learner to learner: they are gathered as they are
held, in fp32, and rounded for each product."""
_OPTIMIZER_TRAFFIC = 28
"""Bytes that AdamW reads and writes for each weight."""
_ACTIVATION = 34
"""Bytes of activations of a token, for each layer and each number of its state, without checkpointing."""


@dataclass(frozen=True)
class Machine:
    """A GPU and what connects it; all rates are sustained ones, and assumptions."""

    name: str
    memory: float
    """Bytes that can be used."""
    products: float
    """FLOP/s of products in bf16."""
    bandwidth: float
    """Bytes/s of its memory."""
    inside: float
    """Bytes/s between GPUs of one node, each way."""
    between: float
    """Bytes/s of each GPU to other nodes."""
    per_node: int
    handover: float
    """Bytes/s from the first learner through host memory and the object store into an engine."""

    def line(self) -> str:
        """The assumptions in words."""
        return (
            f"assumed of {self.name}: {self.memory / GB:.0f} GB to use, {self.products / 1e12:.0f} TFLOP/s bf16,"
            f" {self.bandwidth / 1e12:.1f} TB/s memory, {self.inside / GB:.0f} GB/s inside a node of {self.per_node},"
            f" {self.between / GB:.0f} GB/s between nodes, {self.handover / GB:.0f} GB/s weights to engines"
        )


H100 = Machine("H100 80GB SXM", 72 * GB, 400e12, 2.7e12, 360 * GB, 40 * GB, 8, 5 * GB)
"""40 % of 989 TFLOP/s, 80 % of 3.35 TB/s, of 450 GB/s NVLink and of 400 Gb/s InfiniBand, 90 % of 80 GB."""


@dataclass(frozen=True)
class Size:
    """What decides what a decoder costs."""

    name: str
    parameters: float
    layers: int
    width: int
    kv_width: int
    """Numbers of all keys of a token in a layer."""
    ends: float
    """Weights of embedding and head, tied ones once: they are whole while a micro-batch is computed."""

    @property
    def cached(self) -> int:
        """Bytes of keys and values of a token in bf16."""
        return 2 * self.layers * self.kv_width * _LOW

    @property
    def layer(self) -> float:
        """Weights of one layer."""
        return (self.parameters - self.ends) / self.layers


SIZES = (
    Size("8B", 8.03e9, 32, 4096, 1024, 2.0 * 128256 * 4096),
    Size("70B", 70.6e9, 80, 8192, 1024, 2.0 * 128256 * 8192),
)
"""Llama 3.1, by its config.json."""


@dataclass(frozen=True)
class Job:
    """A step of a method that samples, and over how many GPUs it is spread."""

    size: Size
    learners: int
    engines: int
    has_critic: bool = True
    """PPO; without: GRPO and its kin."""
    is_lora: bool = False
    trained: float = 0.01
    """Under LoRA: trained weights as a share of all."""
    prompts: int = 128
    samples: int = 4
    prompt_tokens: int = 256
    answer_tokens: int = 512
    epochs: int = 1
    microbatch: int = 4096
    """Tokens."""
    frozen: Literal["sharded", "replicated"] = "sharded"
    """Where the reference and the reward model lie, and under LoRA the base."""
    gpus_per_engine: int = 1
    is_ahead: bool = False
    """Rollouts are drawn one step ahead, while the learners train."""
    is_checkpointed: bool = False
    """Activations are computed a second time in the backward pass, but for the states between layers."""

    @property
    def tokens(self) -> int:
        """Of a step: prompts once, answers all."""
        return self.prompts * (self.prompt_tokens + self.samples * self.answer_tokens)


@dataclass(frozen=True)
class Estimate:
    """What a job costs: bytes for each GPU by part, seconds of a step by part."""

    learner: dict[str, float]
    engine: dict[str, float]
    seconds: dict[str, float]
    is_ahead: bool
    limit: float

    @property
    def fits(self) -> bool:
        """Whether both kinds of process have the memory."""
        return max(sum(self.learner.values()), sum(self.engine.values())) <= self.limit

    @property
    def step(self) -> float:
        """Seconds of a step: part after part, or sampling beside training."""
        sampling = self.seconds["rollouts"] + self.seconds["weights to engines"]
        training = sum(self.seconds.values()) - sampling
        return max(sampling, training) if self.is_ahead else sampling + training

    @property
    def binds(self) -> str:
        """What to change first."""
        if not self.fits:
            of_learner = sum(self.learner.values()) >= sum(self.engine.values())
            parts = self.learner if of_learner else self.engine
            worst = max(parts, key=lambda name: parts[name])
            return f"memory of {'a learner' if of_learner else 'an engine'}: {worst}"
        return max(self.seconds, key=lambda name: self.seconds[name])


def estimate(job: Job, machine: Machine = H100) -> Estimate:
    """The cost of one step."""
    return Estimate(_learner_bytes(job), _engine_bytes(job), _seconds(job, machine), job.is_ahead, machine.memory)


def fastest(job: Job, gpus: int, machine: Machine = H100) -> Job | None:
    """The same job over so many GPUs, those shared out between learners and engines as is fastest; None: it never fits.

    Learners are counted in eighths of the GPUs, as nodes are filled. Activations are computed twice where they must be.
    """
    found: list[tuple[float, Job]] = []
    part = max(1, gpus // 8)
    for learners in range(part, gpus, part):
        engines = (gpus - learners) // job.gpus_per_engine
        for twice in (False, True):
            one = replace(job, learners=learners, engines=engines, is_checkpointed=twice)
            if engines and (cost := estimate(one, machine)).fits:
                found.append((cost.step, one))
    return min(found, key=lambda pair: pair[0])[1] if found else None


def lines(job: Job, machine: Machine = H100) -> Iterator[str]:
    """An estimate in words."""
    cost = estimate(job, machine)
    method = f"{'PPO' if job.has_critic else 'GRPO'}, {'LoRA' if job.is_lora else 'all weights'}"
    method += ", checkpointed activations" if job.is_checkpointed else ""
    wide = f" of {job.gpus_per_engine} GPUs" if job.gpus_per_engine > 1 else ""
    yield (
        f"{job.size.name}, {method}: {job.learners} learners, {job.engines} engines{wide};"
        f" {job.prompts} prompts x {job.samples} answers, {job.tokens} tokens a step"
    )
    for name, parts in (("a learner", cost.learner), ("an engine's GPU", cost.engine)):
        shown = ", ".join(f"{part} {size / GB:.3g}" for part, size in parts.items())
        yield f"  memory of {name}: {sum(parts.values()) / GB:.3g} of {cost.limit / GB:.0f} GB ({shown})"
    shown = ", ".join(f"{part} {seconds:.2g}" for part, seconds in cost.seconds.items())
    yield f"  a step: {cost.step:.3g} s ({shown})"
    yield f"  {'fits' if cost.fits else 'does not fit'}; what binds: {cost.binds}"


def _learner_bytes(job: Job) -> dict[str, float]:
    size, whole = job.size, job.size.parameters
    trained = whole * job.trained if job.is_lora else whole
    spread = job.learners if job.frozen == "sharded" else 1
    roles = 2 if job.has_critic else 1
    # Under LoRA one base carries all roles; else the reference and, for PPO, the reward model are models of their own.
    frozen = 1 if job.is_lora else 1 + job.has_critic
    kept = _LOW * size.layers + _ACTIVATION if job.is_checkpointed else _ACTIVATION * size.layers
    return {
        "weights, gradients, moments": roles * _MASTER * trained / job.learners,
        "frozen models": frozen * _LOW * whole / spread,
        "layers made whole": _gathered(job) * (2 * size.layer + size.ends) + _pulled(job) * size.layer,
        "activations": job.microbatch * size.width * kept,
    }


def _gathered(job: Job) -> int:
    """Bytes of each weight of the trained model as learners get it from each other."""
    return _LOW if job.is_lora else _WIDE


def _pulled(job: Job) -> float:
    """Bytes of gradient that learners send for each weight of the trained model."""
    return _WIDE * (job.trained if job.is_lora else 1.0)


def _engine_bytes(job: Job) -> dict[str, float]:
    rows = ceil(job.prompts * job.samples / job.engines)
    length = job.prompt_tokens + job.answer_tokens
    return {
        "weights": _LOW * job.size.parameters / job.gpus_per_engine,
        "keys and values": rows * length * job.size.cached / job.gpus_per_engine,
    }


def _seconds(job: Job, machine: Machine) -> dict[str, float]:
    whole = job.size.parameters
    share = job.tokens / job.learners
    roles, backward = (2 if job.has_critic else 1), (4 if job.is_lora else 6)
    scored = 2 + 2 * job.has_critic  # old and reference log-probs; values and rewards
    passes = job.epochs * roles
    link = machine.inside if job.learners <= machine.per_node else machine.between
    moved = whole * (job.learners - 1) / job.learners / link  # seconds for one byte of each weight
    is_gathered = not job.is_lora or job.frozen == "sharded"
    batches = ceil(share / job.microbatch)
    backward += 2 * job.is_checkpointed
    computed = (passes * backward + scored * 2) * whole * share / machine.products
    # Forward and backward gather the weights, and gradients go back; a pass that scores gathers once, of trained models
    # (policy, values) and of as many frozen ones (reference, rewards).
    bytes_sent = passes * (2 * _gathered(job) + _pulled(job)) + scored / 2 * (_gathered(job) + _LOW)
    sent = batches * moved * bytes_sent if is_gathered else 0.0
    trained = whole * job.trained if job.is_lora else whole
    stepped = passes * _OPTIMIZER_TRAFFIC * trained / job.learners / machine.bandwidth
    return {
        "rollouts": _rollouts(job, machine),
        "weights to engines": _LOW * trained / machine.handover,
        "products": computed,
        "all-gathers that nothing hides": max(sent - computed, 0.0),
        "optimizer": stepped,
    }


def _rollouts(job: Job, machine: Machine) -> float:
    """Every row decodes in step with the others; a step reads all weights and keys once, or is bound by products."""
    rows = ceil(job.prompts * job.samples / job.engines)
    rate, read = machine.products * job.gpus_per_engine, machine.bandwidth * job.gpus_per_engine
    cached = rows * (job.prompt_tokens + job.answer_tokens / 2) * job.size.cached
    one = max(2 * job.size.parameters * rows / rate, (_LOW * job.size.parameters + cached) / read)
    prompts = 2 * job.size.parameters * ceil(job.prompts / job.engines) * job.prompt_tokens / rate
    return prompts + job.answer_tokens * one
