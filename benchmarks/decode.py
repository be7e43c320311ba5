"""A decode step beside its floor: `python benchmarks/decode.py --size 135m --rows 64 --new 64 --repeats 3`.

Answers to prompts of random tokens are drawn by the local engine, once with all prompts in buffers as long as the
longest (`together`) and once with prompts of like length on shelves of their own (`shelves`, what the engine does), in
turn, each in a process of its own. Lengths are drawn from a seed: log-normal, median 100, a few many times as long
(`--lengths mixed`), or all equal to the median (`--lengths equal`). Nobody ends early. Printed are seconds of a decode
step (a run with all new tokens less one with a single one), how many times the floor that is (the larger of the step's
products at the rate of square products and of the bytes that it must read, each prompt once, at the rate of a copy,
both measured in the same process), and the peak of resident memory. Both ways must draw the same greedy answers.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from statistics import median

import numpy as np
import torch
from gpu_check_models import Size, new_policy, product_rate, read_rate
from transformers import LlamaConfig

from assent.core.group import TokenIds
from assent.generation import shelves
from assent.generation.config import Sampling
from assent.generation.local import LocalEngine
from assent.models import flops

SIZES = {
    "tiny": {"vocab_size": 320, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    | {"num_attention_heads": 2, "num_key_value_heads": 2},
    "5m": {"vocab_size": 8192, "hidden_size": 256, "intermediate_size": 688, "num_hidden_layers": 4}
    | {"num_attention_heads": 4, "num_key_value_heads": 4},
    "135m": {"vocab_size": 49_152, "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30}
    | {"num_attention_heads": 9, "num_key_value_heads": 3},
}
WAYS = ("together", "shelves")
MEDIAN, SPREAD, LONGEST = 100, 0.9, 1800


def main() -> None:
    """Measure both ways in turn, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="135m")
    parser.add_argument("--rows", type=int, default=64, help="answers that are drawn at once, one to each prompt")
    parser.add_argument("--new", type=int, default=64, help="tokens of each answer")
    parser.add_argument("--lengths", choices=("mixed", "equal"), default="mixed")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--only", choices=WAYS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        print(json.dumps(measured(given)))
        return
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(given.repeats):
        for way in WAYS:
            done = subprocess.run(
                [sys.executable, *sys.argv, "--only", way], check=True, stdout=subprocess.PIPE, text=True
            )
            found[way].append(json.loads(done.stdout.splitlines()[-1]))
    answers = {one["answers"] for runs in found.values() for one in runs}
    if len(answers) != 1:
        raise SystemExit(f"both ways must draw the same answers, and drew {len(answers)} different sets")
    lengths = lengths_of(given)
    print(f"{given.size}, {given.rows} prompts of {min(lengths)} to {max(lengths)} tokens ({sum(lengths)} in all),")
    print(f"{given.new} new tokens each, {given.threads} threads, {given.repeats} runs of each way in turn")
    print("\n| way | ms a decode step (range) | times the floor | peak MiB |\n|---|---|---|---|")
    for way, runs in found.items():
        steps = [1000 * one["step"] for one in runs]
        said = f"{median(steps):.0f} ({min(steps):.0f} to {max(steps):.0f})"
        over = median([one["step"] / one["floor"] for one in runs])
        print(f"| {way} | {said} | {over:.2f} | {median([one['peak'] for one in runs]):.0f} |")


def lengths_of(given: argparse.Namespace) -> list[int]:
    """Tokens of each prompt."""
    if given.lengths == "equal":
        return [MEDIAN] * given.rows
    drawn = np.random.default_rng(0).lognormal(np.log(MEDIAN), SPREAD, given.rows)
    return np.clip(drawn, 8, LONGEST).astype(int).tolist()


def measured(given: argparse.Namespace) -> dict[str, float]:
    """One way, in this process."""
    torch.set_num_threads(given.threads)
    if given.only == "together":
        shelves.SHELF_TOKENS = 10**12
    size = Size(given.size, LlamaConfig(**SIZES[given.size], max_position_embeddings=2048), is_lora=False)
    device = torch.device("cpu")
    policy = new_policy(size, device)
    policy.eos_ids = ()
    engine = LocalEngine(policy, max_live_rows=given.rows)
    lengths = lengths_of(given)
    random = np.random.default_rng(1)
    prompts = [random.integers(10, 320, n) for n in lengths]
    one, _ = drawn(engine, prompts, 1)
    every, answers = drawn(engine, prompts, given.new)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    floor = flops.decode_step_floor(
        size.shape,
        rows=given.rows,
        context=sum(lengths) / given.rows + given.new / 2,
        product_rate=product_rate(device, seconds=2, size=1024, dtype=torch.float32),
        read_rate=read_rate(device, seconds=2, num_bytes=2**28),
        width=4,
    )
    return {"step": (every - one) / (given.new - 1), "floor": floor, "peak": peak, "answers": answers}


def drawn(engine: LocalEngine, prompts: list[TokenIds], new: int) -> tuple[float, float]:
    """Seconds of drawing greedy answers, and a number that stands for their tokens."""
    began = time.perf_counter()
    found = engine.generate(prompts, num_samples=1, sampling=Sampling(temperature=0.0, max_new_tokens=new), seed=0)
    seconds = time.perf_counter() - began
    return seconds, float(hash(tuple(int(t) for row in found for one in row for t in one.tokens)))


if __name__ == "__main__":
    main()
