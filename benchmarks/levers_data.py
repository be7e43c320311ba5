"""What benchmarks/levers.py works on: rows of random tokens, a small model, and judgments of a run on the lab."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import LlamaConfig, LlamaForCausalLM

from assent.artifacts.jsonl import read_records
from assent.core.group import Group
from assent.core.types import Comparison, Prompt
from assent.data.render import Renderer
from assent.lab.reward import truth
from assent.models.config import ModelConfig
from assent.models.groups import GroupBatch, pack
from assent.models.policy import PolicyModel
from assent.models.tiny import save_tiny
from assent.pipeline.ranked import ranked_groups
from assent.training.reward import Member

Floats = NDArray[np.float64]
HELD_OUT = 0.3


def small_model(folder: Path) -> Path:
    """5.2 million parameters: vocabulary 8192, width 256, four layers; random weights."""
    save_tiny(folder, "llama")
    config = LlamaConfig(
        vocab_size=8192,
        hidden_size=256,
        intermediate_size=704,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def random_batches(groups: int) -> list[GroupBatch]:
    """Groups of two answers; prompts of about 110 tokens, answers of about 60, both log-normal."""
    rng = np.random.default_rng(0)

    def row(middle: int) -> NDArray[np.int64]:
        return rng.integers(5, 8000, max(2, int(rng.lognormal(np.log(middle), 0.5))))

    return pack([Group(row(110), (row(60), row(60))) for _ in range(groups)], budget=2048)


@dataclass(frozen=True)
class Lab:
    """Judgments to learn from, and answers of other prompts with their truth."""

    learn: list[Member]
    groups: list[Group]
    truths: list[Floats]

    def truth_kept(self, scores: Sequence[float]) -> float:
        """Share of pairs of answers to a prompt, of different truth, that scores order as it does."""
        right = count = 0
        parts = np.split(np.array(scores), np.cumsum([len(t) for t in self.truths])[:-1])
        for told, known in zip(parts, self.truths, strict=True):
            by_truth, by_score = (np.sign(x[:, None] - x[None]) for x in (known, told))
            of = by_truth > 0
            right, count = right + int((by_score[of] > 0).sum()), count + int(of.sum())
        return right / count


def lab(policy: Path, comparisons: Path) -> Lab:
    """Of a run on the lab: its last prompts are held out."""
    opened = PolicyModel.load(policy, config=ModelConfig(), trainable=False)
    every = read_records(comparisons, Comparison)
    cut = int(len(every) * (1 - HELD_OUT))
    renderer = Renderer(opened.tokenizer)
    learn, test = (ranked_groups(some, renderer, limit=192, too_long="drop") for some in (every[:cut], every[cut:]))
    truths = [
        np.array(truth([one.prompt] * len(one.completions), [answer.text for answer in one.completions]))
        for one in test.comparisons
    ]
    return Lab(list(zip(learn.groups, learn.targets, strict=True)), test.groups, truths)


def texts(policy: PolicyModel, file: Path, count: int) -> list[Group]:
    """The last question of the first rows of an HH file, with both answers."""
    renderer, found = Renderer(policy.tokenizer), []
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for line in itertools.islice(lines, count):
            chosen, rejected = (json.loads(line)[side].rpartition("\n\nAssistant:") for side in ("chosen", "rejected"))
            question = chosen[0].rpartition("\n\nHuman:")[2].strip()
            found.append(renderer.group(Prompt.of(question), [chosen[2].strip(), rejected[2].strip()]))
    return found
