"""Every causal language model of transformers, built tiny: is it trained, sampled and scored right, or refused?

Each architecture is looked at in a process of its own. What Assent computes is held against plain transformers, one row
at a time, without padding and without a cache: log-probabilities and gradients of rows of up to 90 tokens (windows,
top-k and original contexts are 24), log-probabilities of sampled answers, greedy answers, scores of a new head.

    python benchmarks/architectures.py --out docs/architectures.md
    python benchmarks/architectures.py --only llama qwen3_5_text
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from assent.core import seeds
from assent.core.errors import AssentError
from assent.core.group import Group
from assent.generation.config import Sampling
from assent.generation.local import LocalEngine
from assent.models.config import ModelConfig
from assent.models.decoder import body
from assent.models.groups import pack
from assent.models.policy import PolicyModel
from assent.models.scalar import ScalarModel
from assent.models.shrink import shrunk
from assent.models.tiny import tiny_tokenizer

_LONG = {"short_factor": [1.0] * 4, "long_factor": [3.0, 2.0, 4.0, 2.5], "original_max_position_embeddings": 24}
_YARN = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 24}
_SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "vocab_size": 320,
}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama, LongRoPE": ("llama", _SMALL | {"rope_parameters": {"rope_type": "longrope", "rope_theta": 1e4} | _LONG}),
    "phi3, LongRoPE": (
        "phi3",
        _SMALL
        | {"rope_parameters": {"rope_type": "longrope", "rope_theta": 1e4} | _LONG, "pad_token_id": 0}
        | {"original_max_position_embeddings": 24},
    ),
    "llama, YaRN": ("llama", _SMALL | {"rope_parameters": _YARN}),
    "falcon, ALiBi": ("falcon", {"alibi": True}),
    "opt, post-norm": ("opt", {"do_layer_norm_before": False}),
    "qwen2, window": ("qwen2", {"use_sliding_window": True, "sliding_window": 24, "max_window_layers": 1}),
    "stablelm, parallel": ("stablelm", {"use_parallel_residual": True, "qk_layernorm": True}),
    "deepseek_v32, two index heads": ("deepseek_v32", {"index_n_heads": 2}),
    "nemotron": ("nemotron", {"num_key_value_heads": 8, "head_dim": 64}),
    "ministral": ("ministral", {"head_dim": 64}),
    "hunyuan_v1_dense": ("hunyuan_v1_dense", {"head_dim": 64}),
    "hunyuan_v1_moe": ("hunyuan_v1_moe", {"head_dim": 64}),
    "deepseek_v2": ("deepseek_v2", {"num_experts_per_tok": 2, "n_group": 1, "topk_group": 1}),
    "dots1": ("dots1", {"n_routed_experts": 4, "num_experts_per_tok": 2}),
    "codegen": ("codegen", {"n_embd": 256, "n_head": 16, "rotary_dim": 8}),
}
"""Architectures whose default config is not a model, and settings that change how tokens mix."""


@dataclass
class Row:
    """One architecture: numbers are largest differences, of gradients by their length; None where nothing was asked."""

    name: str
    kind: str = ""
    mode: str = ""
    logps: float | None = None
    gradient: float | None = None
    sampler: str = ""
    sampled: float | None = None
    greedy: str = ""
    head: str = ""
    score: float | None = None
    note: str = ""
    seconds: float = 0.0

    def line(self) -> str:
        """As a line of the table."""
        numbers = {n: "" if (v := getattr(self, n)) is None else f"{v:.0e}" for n in _NUMBERS}
        note = self.note.replace("|", "/").replace("\n", " ")[:220]
        cells = [self.name, self.kind, self.mode, numbers["logps"], numbers["gradient"], self.sampler]
        return "| " + " | ".join([*cells, numbers["sampled"], self.greedy, self.head, numbers["score"], note]) + " |"

    @property
    def is_right(self) -> bool:
        """Whether everything that was computed agrees."""
        found = [getattr(self, n) for n in _NUMBERS]
        return bool(self.mode) and all(v is None or v < 1e-2 for v in found) and self.greedy[:1] != "0"


_NUMBERS = ("logps", "gradient", "sampled", "score")
_COLUMNS = ("architecture", "class", "mode", "log-probs", "gradient", "sampler", "sampled", "greedy", "head", "score")
_HEADER = f"| {' | '.join(_COLUMNS)} | note |\n|{'---|' * (len(_COLUMNS) + 1)}"


def build(name: str) -> PreTrainedModel:
    """A tiny model of a type, or of one of VARIANTS, with wide random weights."""
    kind, settings = VARIANTS.get(name, (name, {}))
    config = shrunk(CONFIG_MAPPING[kind](**settings))
    tokenizer = tiny_tokenizer()
    for part in (config, config.get_text_config()):
        for key in ("vocab_size", "vocab_size_per_layer_input", "unpadded_vocab_size"):
            if isinstance(getattr(part, key, None), int):
                setattr(part, key, len(tokenizer))
        part.pad_token_id, part.bos_token_id = tokenizer.pad_token_id, tokenizer.bos_token_id
        part.eos_token_id = tokenizer.eos_token_id
        if isinstance(getattr(part, "initializer_range", None), float):
            part.initializer_range = 0.1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()


def examine(name: str) -> Row:
    """Build one and look at it; a refusal in one line is a result, anything else that fails is a note."""
    row, start = Row(name), time.monotonic()
    try:
        kind, settings = VARIANTS.get(name, (name, {}))
        if CONFIG_MAPPING[kind](**settings).is_encoder_decoder:
            row.mode, row.note = "refused", "an encoder-decoder model"
            return row
        hf = build(name)
    except Exception as error:
        row.note = f"not built: {type(error).__name__}: {_first(error)}"
        return row
    row.kind = type(hf).__name__
    try:
        plain = build(name)
        policy = PolicyModel(hf, tiny_tokenizer(), config=ModelConfig(), trainable=True)
        row.mode, row.note = policy.mode, policy.mode_reason
        _train(row, policy, plain)
        _sample(row, policy, plain)
        _score(row, name)
    except AssentError as error:
        row.mode, row.note = row.mode or "refused", str(error)
    except Exception as error:
        row.note = f"FAILS: {type(error).__name__}: {_first(error)}"
    row.seconds = time.monotonic() - start
    return row


def _groups(longest: int) -> list[Group]:
    random = seeds.stream(5, "architectures")
    shapes = [(30, (3, 60, 12)), (2, (1,)), (1, (25,)), (55, (33, 2)), (4, (7, 7))]

    def text(length: int) -> np.ndarray:
        return random.integers(5, 300, size=length)

    cut = [(min(p, longest // 2), [min(c, longest - min(p, longest // 2)) for c in cs]) for p, cs in shapes]
    return [Group(text(p), tuple(text(c) for c in cs)) for p, cs in cut]


def _plain_logps(plain: PreTrainedModel, prompt: np.ndarray, answer: np.ndarray) -> torch.Tensor:
    tokens = torch.from_numpy(np.concatenate([prompt, answer]))[None]
    logps = plain(tokens, use_cache=False).logits[0, :-1].float().log_softmax(-1)
    return logps.gather(-1, tokens[0, 1:, None])[len(prompt) - 1 :, 0]


def _train(row: Row, policy: PolicyModel, plain: PreTrainedModel) -> None:
    groups = _groups(min(90, policy.max_length))
    found: dict[int, torch.Tensor] = {}
    for batch in pack(groups, budget=150):
        found.update(batch.scatter(policy.logps(batch).logps))
    expected = [_plain_logps(plain, g.prompt, c) for g in groups for c in g.continuations]
    row.logps = max((found[n] - e).abs().max().item() for n, e in enumerate(expected))
    sum((found[n] * torch.cos(torch.arange(len(e)) + n)).sum() for n, e in enumerate(expected)).backward()
    sum((e * torch.cos(torch.arange(len(e)) + n)).sum() for n, e in enumerate(expected)).backward()
    pairs = [
        (a.grad if a.grad is not None else torch.zeros_like(a), b.grad if b.grad is not None else torch.zeros_like(b))
        for a, b in zip(policy.core.parameters(), plain.parameters(), strict=True)
    ]
    off = sum((a - b).square().sum() for a, b in pairs).sqrt()
    row.gradient = (off / sum(b.square().sum() for _, b in pairs).sqrt()).item()


@torch.no_grad()
def _sample(row: Row, policy: PolicyModel, plain: PreTrainedModel) -> None:
    engine = LocalEngine(policy, max_live_rows=5)
    row.sampler = engine.rows.kind
    policy.eos_ids = ()
    random = seeds.stream(6, "prompts")
    longest = min(40, policy.max_length - 9)
    prompts = [random.integers(5, 300, size=n) for n in (longest, 3, min(20, longest))]
    drawn = engine.generate(prompts, num_samples=3, sampling=Sampling(max_new_tokens=8), seed=1)
    row.sampled = max(
        (torch.from_numpy(a.logps) - _plain_logps(plain, p, a.tokens)).abs().max().item()
        for p, answers in zip(prompts, drawn, strict=True)
        for a in answers
    )
    greedy = engine.generate(prompts, num_samples=1, sampling=Sampling(max_new_tokens=8, temperature=0), seed=1)
    right = 0
    for prompt, [answer] in zip(prompts, greedy, strict=True):
        tokens = torch.from_numpy(prompt)[None]
        for _ in range(8):
            best = plain(tokens, use_cache=False).logits[0, -1].argmax()
            tokens = torch.cat([tokens, best[None, None]], dim=1)
        right += int(np.array_equal(tokens[0, len(prompt) :].numpy(), answer.tokens))
    row.greedy = f"{right}/{len(prompts)}"


@torch.no_grad()
def _score(row: Row, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        plain = build(name)
        plain.save_pretrained(folder)
        tiny_tokenizer().save_pretrained(folder)
        model = ScalarModel.from_policy(folder, config=ModelConfig(), seed=2)
        model.save(Path(folder) / "reward")
        again = ScalarModel.load(Path(folder) / "reward", config=ModelConfig(), trainable=False)
    row.head = "own" if "assent_score_head" in model.core.config.to_dict() else "transformers"
    groups = _groups(min(90, model.max_length))
    row.score = 0.0
    for batch in pack(groups, budget=150):
        for one, score in zip(batch.listed(), again.at_last(batch), strict=True):
            state = body(plain)(torch.tensor([one["tokens"]]), use_cache=False).last_hidden_state[0, -1]
            row.score = max(row.score, abs((model.core.score(state) - score).item()))


def _first(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [""])[0][:200]


def sweep(names: list[str], *, timeout: float) -> list[Row]:
    """Look at each in a process of its own, forked from this one, which has imported everything."""
    fork = multiprocessing.get_context("fork")
    rows = []
    for name in names:
        answers = fork.SimpleQueue()
        child = fork.Process(target=lambda name=name, answers=answers: answers.put(asdict(examine(name))))
        child.start()
        child.join(timeout)
        if child.is_alive():
            child.kill()
            row = Row(name, note=f"not looked at: it took longer than {timeout:.0f} s")
        else:
            row = Row(name, note="FAILS: its process died") if answers.empty() else Row(**answers.get())
        rows.append(row)
        print(row.line(), f"{row.seconds:.0f} s", flush=True)
    return rows


def page(rows: list[Row], command: str) -> str:
    """The table with its explanation."""
    looked = [row for row in rows if row.mode in ("groups", "padded")]
    right = sum(row.is_right for row in looked)
    template = Path(__file__).with_suffix(".template").read_text(encoding="utf-8")
    return template.format(
        transformers=transformers.__version__,
        torch=torch.__version__.split("+")[0],
        command=command,
        looked=len(looked),
        right=right,
        others=", ".join(row.name for row in looked if not row.is_right) or "nothing",
        groups=sum(row.mode == "groups" for row in rows),
        padded=sum(row.mode == "padded" for row in rows),
        uncached=sum(row.sampler == "uncached" for row in rows),
        own=sum(row.head == "own" for row in rows),
        refused=sum(row.mode == "refused" for row in rows),
        table="\n".join([_HEADER, *(row.line() for row in rows)]),
    )


def main() -> None:
    """Look at all architectures, or those named, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", help="these model types or variants")
    parser.add_argument("--out", type=Path, help="write the page here")
    parser.add_argument("--timeout", type=float, default=120)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    known = sorted({*MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, *VARIANTS})
    rows = sweep(chosen.only or known, timeout=chosen.timeout)
    if chosen.out:
        chosen.out.write_text(page(rows, "python benchmarks/architectures.py --out docs/architectures.md"))


if __name__ == "__main__":
    main()
