"""Is the memory plan right? Peak memory of a process that trains or samples, beside what the plan says of its shape.

    python benchmarks/memory_plan.py            a table; each case in a process of its own, twice the same step

The peak is that of the whole process (`ru_maxrss`), the libraries that it loads included, on a CPU.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from transformers import LlamaConfig


@dataclass(frozen=True)
class Case:
    """One thing to measure."""

    size: str
    what: str
    """full, LoRA, reward or sampling."""
    tokens: int
    """At once; of sampling the answers at once."""
    is_checkpointed: bool = False

    @property
    def name(self) -> str:
        again = ", checkpointed" if self.is_checkpointed else ""
        unit = "answers" if self.what == "sampling" else "tokens"
        return f"{self.size} {self.what}, {self.tokens} {unit}{again}"


SIZES: dict[str, dict[str, int]] = {
    "5M": {"vocab_size": 8192, "hidden_size": 256, "intermediate_size": 704, "layers": 4, "heads": 4, "kv": 4},
    "34M": {"vocab_size": 16384, "hidden_size": 512, "intermediate_size": 1376, "layers": 8, "heads": 8, "kv": 8},
    "135M": {"vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536, "layers": 30, "heads": 9, "kv": 3},
}
CASES = (
    Case("5M", "full", 2048),
    Case("34M", "full", 2048),
    Case("34M", "full", 2048, True),
    Case("34M", "LoRA", 2048),
    Case("34M", "LoRA", 2048, True),
    Case("135M", "full", 1024),
    Case("135M", "full", 1024, True),
    Case("135M", "LoRA", 1024),
    Case("135M", "LoRA", 1024, True),
    Case("135M", "reward", 1024),
    Case("135M", "sampling", 64),
)
PROMPT, ANSWER = 100, 123


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", type=int, help="measure one, and print it as JSON")
    parser.add_argument("--cases", type=int, nargs="*", help="only these")
    asked = parser.parse_args()
    if asked.case is not None:
        print(json.dumps(measured(CASES[asked.case])))
        return
    print("| case | plan, GB | measured, GB | plan / measured |\n|---|---|---|---|")
    for number, case in enumerate(CASES):
        if asked.cases and number not in asked.cases:
            continue
        done = subprocess.run(
            [sys.executable, __file__, "--case", str(number)], capture_output=True, text=True, check=True
        )
        found = json.loads(done.stdout.splitlines()[-1])
        ratio = found["plan"] / found["measured"]
        print(f"| {case.name} | {found['plan'] / 1e9:.2f} | {found['measured'] / 1e9:.2f} | {ratio:.2f} |", flush=True)


def measured(case: Case) -> dict[str, float]:
    """Do it twice and look at the peak."""
    import torch
    from gpu_check_models import Size, new_policy, new_scalar, random_groups

    from assent.generation.config import Sampling
    from assent.generation.local import LocalEngine
    from assent.learner.config import OptimizerConfig
    from assent.models.groups import pack
    from assent.pipeline.learners import policy_learner, value_learner
    from assent.training.sft import next_token_loss

    torch.set_num_threads(2)
    size = Size(case.size, _config(case.size), case.what == "LoRA")
    device = torch.device("cpu")
    settings: dict[str, Any] = {"checkpointing": "on" if case.is_checkpointed else "off"}
    optimizer = OptimizerConfig(tokens_per_microbatch=case.tokens, **settings)
    words = size.shape.vocabulary
    if case.what == "sampling":
        policy = new_policy(size, device)
        policy.eos_ids = ()
        prompts = [g.prompt for g in random_groups(case.tokens, 1, PROMPT, 1, vocabulary=words, seed=1)]
        engine = LocalEngine(policy, max_live_rows=case.tokens)
        engine.generate(prompts, num_samples=1, sampling=Sampling(max_new_tokens=16), seed=0)
    else:
        groups = random_groups(case.tokens // 192, 1, PROMPT, ANSWER, vocabulary=words, seed=1)
        batches = pack(groups, budget=case.tokens)
        for learner, objective in [
            (value_learner(new_scalar(size, device, trainable=True), optimizer), _squares)
            if case.what == "reward"
            else (policy_learner(new_policy(size, device), optimizer), next_token_loss)
        ]:
            for _ in range(2):
                learner.forward_backward(batches, objective, weight=1000.0)  # type: ignore[arg-type]
                learner.step(learning_rate=1e-6)
    return {"plan": planned(case, size), "measured": 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}


def planned(case: Case, size: Any) -> float:
    """What the plan says of it."""
    from assent.learner.config import OptimizerConfig
    from assent.models.memory import Pass, Weights, cache, laid_out
    from assent.pipeline.memory_needs import Learning, Need

    weights = Weights("float32", 16 if case.what == "LoRA" else None, case.what == "reward")
    shape = size.shape
    if case.what == "sampling":
        # The prompts and answers as they are here; a plan of a run takes prompts of 512 tokens.
        row = cache(shape, weights, rows=1, length=PROMPT + 16, prompt=PROMPT)
        copied: dict[Any, float] = {"cpu": laid_out(shape, weights, "float32", "cpu")}
        need = Need("sample", weights.size(shape), "", rows=case.tokens, row=row, copied=copied)
        return need.total("cpu", {}, case.tokens)
    learning = Learning("it", shape, weights, OptimizerConfig())
    one = Pass(case.tokens, case.is_checkpointed)
    return Need("it", weights.size(shape), "", (learning,)).total("cpu", {"it": one}, 0)


def _config(name: str) -> LlamaConfig:
    sizes = dict(SIZES[name])
    sizes["num_hidden_layers"] = sizes.pop("layers")
    sizes["num_attention_heads"], sizes["num_key_value_heads"] = sizes.pop("heads"), sizes.pop("kv")
    return LlamaConfig(**sizes, tie_word_embeddings=True)


def _squares(values: Any, batch: Any) -> Any:
    from assent.algorithms.objective import loss_of

    return loss_of(values.square(), metrics={})


if __name__ == "__main__":
    main()
