"""TRL's side of a cell of `bench`: `python benchmarks/bench_trl.py JOB.json`, in an environment with trl==1.16.0.

TRL's own trainers are given the same token ids in the same order, the same optimizer and the same number of updates,
and nothing to save or evaluate. No source of TRL is copied; where a trainer would tokenize, a subclass hands it what
is tokenized already. The clock runs around the precomputation of a reference, where it is asked for, and `train()`.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import bench_heldout
import torch
from bench_clock import Clock, peak_mib, told
from bench_work import Work, reward
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer, TrainerCallback
from trl import (
    DPOConfig,
    DPOTrainer,
    GRPOConfig,
    GRPOTrainer,
    RewardConfig,
    RewardTrainer,
    RLOOConfig,
    RLOOTrainer,
    SFTConfig,
    SFTTrainer,
)

BETA, KL, LONGEST_PACKED = 0.1, 0.05, 512


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(job["threads"])
    with tempfile.TemporaryDirectory() as folder:
        side = Side(Work.of(job), job["variant"], Path(folder), job["out"])
        getattr(side, {"rloo": "grpo"}.get(side.cell["stage"], side.cell["stage"]))()


class Losses(TrainerCallback):
    """Keeps what is logged of each update."""

    def __init__(self) -> None:
        self.lines: list[dict[str, float]] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if logs and "train_runtime" not in logs:
            self.lines.append({n: float(v) for n, v in logs.items() if isinstance(v, int | float)})


class TokenizedDPO(DPOTrainer):
    """DPO on rows that are token ids already."""

    def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
        return dataset


class Side:
    """One cell's work with TRL."""

    def __init__(self, work: Work, variant: dict[str, Any], folder: Path, out: str) -> None:
        self.work, self.cell, self.folder, self.out = work, work.cell, folder, out
        self.accumulate = variant.get("accumulate", 1)
        self.bf16, self.packing = variant.get("bf16", False), variant.get("packing", False)
        self.precompute = variant.get("precompute", False)
        self.losses = Losses()
        self.tokenizer = AutoTokenizer.from_pretrained(str(work.folder / "model"))
        rank = self.cell["lora"]
        self.peft = None
        if rank:
            task = "SEQ_CLS" if self.cell["stage"] == "reward" else "CAUSAL_LM"
            self.peft = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type=task)

    def settings(self, **more: Any) -> dict[str, Any]:
        """What every trainer is given; no checkpointing of activations, which would cost it time."""
        batch, steps = self.work.batch, self.work.updates
        return {
            "output_dir": str(self.folder / "out"),
            "per_device_train_batch_size": batch // self.accumulate,
            "gradient_accumulation_steps": self.accumulate,
            "max_steps": steps,
            "learning_rate": self.cell["learning_rate"],
            "lr_scheduler_type": "constant",
            "adam_beta1": 0.9,
            "adam_beta2": 0.999,
            "adam_epsilon": 1e-8,
            "weight_decay": 0.0,
            "max_grad_norm": 1.0,
            "bf16": self.bf16,
            "use_cpu": True,
            "gradient_checkpointing": False,
            "logging_steps": 1,
            "report_to": "none",
            "save_strategy": "no",
            "disable_tqdm": True,
            "seed": 0,
            **more,
        }

    def policy(self) -> Any:
        return AutoModelForCausalLM.from_pretrained(str(self.work.start), dtype=torch.float32)

    def sft(self) -> None:
        rows = [
            {"input_ids": p["prompt"] + p["answers"][0], "labels": [-100] * len(p["prompt"]) + p["answers"][0]}
            for p in self.work.pairs()
        ]
        more: dict[str, Any] = {"max_length": None, "train_sampling_strategy": "sequential"}
        if self.packing:
            more = {"max_length": LONGEST_PACKED, "packing": True}
            # As many packed rows an update as make the same number of updates.
            packed = -(-sum(len(r["input_ids"]) for r in rows) // LONGEST_PACKED)
            self.accumulate = min(self.accumulate, max(1, packed // self.work.updates))
            more["gradient_accumulation_steps"] = self.accumulate
            more["per_device_train_batch_size"] = max(1, round(packed / self.work.updates / self.accumulate))
        trainer = SFTTrainer(
            model=self.policy(), args=SFTConfig(**self.settings(**more)), train_dataset=Dataset.from_list(rows),
            processing_class=self.tokenizer, peft_config=self.peft, callbacks=[self.losses],
        )  # fmt: skip
        self.timed(trainer, lambda: bench_heldout.next_token_loss(trainer.model, self.work.held_out()))

    def reward(self) -> None:
        rows = [
            {"chosen_ids": p["prompt"] + p["answers"][0], "rejected_ids": p["prompt"] + p["answers"][1]}
            for p in self.work.pairs()
        ]
        model = AutoModelForSequenceClassification.from_pretrained(
            str(self.work.folder / "reward"), num_labels=1, dtype=torch.float32
        )
        model.config.pad_token_id = self.tokenizer.pad_token_id
        more = {"max_length": None, "train_sampling_strategy": "sequential"}
        trainer = RewardTrainer(
            model=model, args=RewardConfig(**self.settings(**more)), train_dataset=Dataset.from_list(rows),
            processing_class=self.tokenizer, peft_config=self.peft, callbacks=[self.losses],
        )  # fmt: skip
        self.timed(trainer, lambda: bench_heldout.ranking(trainer.model, self.work.held_out()))

    def dpo(self) -> None:
        rows = [
            {"prompt_ids": p["prompt"], "chosen_ids": p["answers"][0], "rejected_ids": p["answers"][1]}
            for p in self.work.pairs()
        ]
        more = {"max_length": None, "beta": BETA, "train_sampling_strategy": "sequential"}
        args = DPOConfig(**self.settings(**more), precompute_ref_log_probs=self.precompute)

        def built() -> Any:
            return TokenizedDPO(
                model=self.policy(), args=args, train_dataset=Dataset.from_list(rows),
                processing_class=self.tokenizer, peft_config=self.peft, callbacks=[self.losses],
            )  # fmt: skip

        before = Clock()
        if self.precompute:  # the reference is computed while the trainer is built: seconds over a plain building
            args.precompute_ref_log_probs = False
            with Clock() as plain:
                built()
            args.precompute_ref_log_probs = True
            with before:
                trainer = built()
            before.seconds = max(0.0, before.seconds - plain.seconds)
        else:
            before.seconds = 0.0
            trainer = built()

        def held_out() -> dict[str, float]:
            if self.peft is not None:
                start: Any = trainer.model.disable_adapter()
            else:
                start = contextlib.nullcontext(self.policy())
            return bench_heldout.preference(trainer.model, self.work.held_out(), start, BETA)

        self.timed(trainer, held_out, also=before.seconds)

    def grpo(self) -> None:
        rows = [{"prompt": p["text"]} for p in self.work.prompts()]
        samples = self.cell["samples"]
        more = {
            "num_generations": samples,
            "max_completion_length": self.cell["new_tokens"],
            "temperature": 1.0,
            "beta": KL,
            "num_iterations": 1,
            "shuffle_dataset": False,
        }
        kind: Any
        if self.cell["stage"] == "grpo":
            kind, args = GRPOTrainer, GRPOConfig(**self.settings(**more), loss_type="grpo", scale_rewards="group")
        else:
            kind, args = RLOOTrainer, RLOOConfig(**self.settings(**more))
        trainer = kind(
            model=self.policy(), reward_funcs=[by_letter], args=args, train_dataset=Dataset.from_list(rows),
            processing_class=self.tokenizer, peft_config=self.peft, callbacks=[self.losses],
        )  # fmt: skip

        def held_out() -> dict[str, float]:
            trainer.model.eval()
            return bench_heldout.rewarded(trainer.model, self.tokenizer, self.work)

        self.timed(trainer, held_out)

    def sample(self) -> None:
        """transformers' `generate`, left-padded prompts each as often as it has answers; warmed up once, untimed."""
        model = self.policy().to(torch.bfloat16 if self.bf16 else torch.float32).eval()
        asked = [p["ids"] for p in self.work.prompts() for _ in range(self.cell["samples"])]
        is_fixed, new = self.cell["lengths"] == "fixed", self.cell["new_tokens"]
        same = {
            "do_sample": True,
            "top_k": 0,
            "top_p": 1.0,
            "temperature": 1.0,
            "pad_token_id": self.tokenizer.pad_token_id,
        }
        model.generation_config.eos_token_id = None if is_fixed else self.work.data["eos"]

        def drawn(rows: list[list[int]], **more: Any) -> list[list[int]]:
            width = max(map(len, rows))
            pad = self.tokenizer.pad_token_id
            ids = torch.tensor([[pad] * (width - len(r)) + r for r in rows])
            mask = torch.tensor([[0] * (width - len(r)) + [1] * len(r) for r in rows])
            with torch.no_grad():
                found = model.generate(input_ids=ids, attention_mask=mask, **{**same, **more})
            return [self._ended(row) for row in found[:, width:].tolist()]

        drawn(asked, max_new_tokens=2)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            with Clock() as clock:
                answers = drawn(asked, max_new_tokens=new)
        peak = peak_mib()
        rows = [p["ids"] for p in self.work.prompts()]
        greedy = [r for row in rows for r in drawn([row], max_new_tokens=8, do_sample=False)]
        lengths = [len(a) for a in answers]
        logps = [bench_heldout.logps(model, p, a).mean().item() for p, a in zip(asked, answers, strict=True)]
        tokens = {"real": sum(lengths) + sum(map(len, rows)), "scored": sum(lengths), "new": sum(lengths)}
        said = {"greedy": greedy, "lengths": lengths, "logps": sum(logps) / len(logps)}
        told(self.out, clock, peak_mib=peak, tokens=tokens, losses=[], updates=1, sampled=said)

    def _ended(self, row: list[int]) -> list[int]:
        """Up to and with the token that ends an answer."""
        eos = self.work.data["eos"]
        if self.cell["lengths"] == "fixed" or eos not in row:
            return row
        return row[: row.index(eos) + 1]

    def timed(self, trainer: Any, held_out: Any, also: float = 0.0) -> None:
        """Train by the clock, then look at what came of it."""
        with Clock() as clock:
            trainer.train()
        clock.seconds += also
        peak = peak_mib()
        trainer.model.eval()
        lines = self.losses.lines
        rollouts = {
            ours: [m[name] for m in lines if name in m]
            for ours, name in (
                ("reward", "reward"),
                ("reward_std", "reward_std"),
                ("length", "completions/mean_length"),
            )
        }
        told(
            self.out, clock, peak_mib=peak, losses=[m["loss"] for m in lines if "loss" in m],
            updates=len(lines), held_out={} if self.work.is_trial else held_out(), rollouts=rollouts,
        )  # fmt: skip


def by_letter(completions: list[str], **_: Any) -> list[float]:
    return [reward(text) for text in completions]


if __name__ == "__main__":
    main()
