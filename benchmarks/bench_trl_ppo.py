"""TRL's side of the PPO cells of `bench`: `python benchmarks/bench_trl_ppo.py JOB.json`, with trl==1.12.0.

Later versions of TRL have no PPO. Policy, start, reward model and value model are four models, as its trainer wants
them; under LoRA the start is the policy with its adapter off. It takes one optimizer for policy and value model, and
clips no gradients.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import bench_heldout
import torch
from bench_clock import Clock, peak_mib, told
from bench_work import Work
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer, TrainerCallback
from trl.experimental.ppo import PPOConfig, PPOTrainer

KL = 0.05


class Logged(TrainerCallback):
    """Keeps what is logged of each batch."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        self.lines.append(dict(logs or {}))


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(job["threads"])
    work, variant = Work.of(job), job["variant"]
    tokenizer = AutoTokenizer.from_pretrained(str(work.folder / "model"), padding_side="left")
    rank, logged = work.cell["lora"], Logged()

    def scorer() -> Any:
        kind = AutoModelForSequenceClassification
        return kind.from_pretrained(str(work.folder / "reward"), num_labels=1, dtype=torch.float32)

    def policy() -> Any:
        return AutoModelForCausalLM.from_pretrained(str(work.start), dtype=torch.float32)

    with tempfile.TemporaryDirectory() as folder:
        trainer = PPOTrainer(
            args=PPOConfig(**settings(work, variant, folder)),
            processing_class=tokenizer,
            model=policy(),
            ref_model=None if rank else policy(),
            reward_model=scorer(),
            value_model=scorer(),
            train_dataset=Dataset.from_list([{"input_ids": p["ids"]} for p in work.prompts()]),
            eval_dataset=Dataset.from_list([{"input_ids": p["ids"]} for p in work.prompts()[:1]]),
            peft_config=LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear") if rank else None,
            callbacks=[logged],
        )
        with Clock() as clock:
            trainer.train()
    peak = peak_mib()
    trained = trainer.model.policy.eval()
    told(
        job["out"],
        clock,
        peak_mib=peak,
        losses=[line["loss/policy_avg"] for line in logged.lines if "loss/policy_avg" in line],
        updates=len(logged.lines),
        rollouts={"reward": [line["objective/scores"] for line in logged.lines if "objective/scores" in line]},
        held_out={} if work.is_trial else bench_heldout.rewarded(trained, tokenizer, work),
    )


def settings(work: Work, variant: dict[str, Any], folder: str) -> dict[str, Any]:
    """The same algorithm; the rollout is computed in one slice, which is its fastest."""
    accumulate = variant.get("accumulate", 1)
    return {
        "output_dir": folder,
        "per_device_train_batch_size": work.batch // accumulate,
        "gradient_accumulation_steps": accumulate,
        "local_rollout_forward_batch_size": work.batch,
        "total_episodes": work.updates * work.batch,
        "num_ppo_epochs": work.cell["epochs"],
        "num_mini_batches": 1,
        "num_sample_generations": 0,
        "response_length": work.cell["new_tokens"],
        "stop_token": "eos",
        "temperature": 1.0,
        "missing_eos_penalty": None,
        "kl_coef": KL,
        "cliprange": 0.2,
        "vf_coef": 0.1,
        "cliprange_value": 0.2,
        "gamma": 1.0,
        "lam": 0.95,
        "whiten_rewards": False,
        "learning_rate": work.cell["learning_rate"],
        "lr_scheduler_type": "constant",
        "adam_beta1": 0.9,
        "adam_beta2": 0.999,
        "adam_epsilon": 1e-8,
        "weight_decay": 0.0,
        "bf16": variant.get("bf16", False),
        "use_cpu": True,
        "gradient_checkpointing": False,
        "logging_steps": 1,
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
        "seed": 0,
    }


if __name__ == "__main__":
    main()
