"""Preference rows at size: `python benchmarks/size.py --rows 10000 50000 200000` times each step and its peak memory.

Writes N rows (a prompt of about 60 words and two answers of about 40) from a seed, then makes the stages of a run of
them, each in a process of its own: gather (read, number, take out what asks an evaluation prompt), collect, a reward
model, DPO and KTO, of a tiny model and for a few steps. `prompts` sets evaluation prompts aside from the rows
themselves, which searches all of them for near twins; `sample` answers a few of what is left. `sft` reads the better
answers as demonstrations; `inspect` is the look at a data set. A step makes those before it that it needs and that are
not there. Printed are seconds and the peak of resident memory, with that of a process that has only loaded what stages
load (`nothing`) to hold it against, and the slope between the sizes in bytes a row. With `--untried`, gather does not
try each row against the chat template, which takes most of its time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from assent.artifacts.stage import LogOptions, Runner
from assent.artifacts.store import Artifact
from assent.core import seeds
from assent.data.config import Source
from assent.feedback.config import StoreConfig
from assent.generation.config import Sampling
from assent.models.config import ModelConfig
from assent.pipeline.commands.project import inspect_files
from assent.pipeline.config import ComputeConfig, FileData, PretrainedBase, SampleConfig
from assent.pipeline.row_check import Template
from assent.pipeline.stages.declared import (
    run_base,
    run_collect,
    run_fit_reward,
    run_gather,
    run_optimize,
    run_sample,
    run_sft,
)
from assent.pipeline.stages.settings import (
    BaseStage,
    CollectStage,
    GatherStage,
    OptimizeStage,
    Part,
    RewardStage,
    SampleStage,
    SFTStage,
)
from assent.training.config import RewardConfig, SFTConfig
from assent.training.preference_config import DPOConfig, KTOConfig

STEPS = ("nothing", "inspect", "prompts", "gather", "collect", "reward", "dpo", "kto", "sft", "sample")
"""In the order in which they are made; those before a step are found where they have been made."""
WORDS = 20_000
"""Different words."""
PROMPT_WORDS, ANSWER_WORDS = 60, 40
AGAIN, NEARLY = 0.02, 0.01
"""Shares of the rows that ask what an earlier row asks, word for word and but for two words."""
EVALUATION = 200
BATCH = 32
CONTEXT = 1024
"""Tokens that the tiny model reads."""


def main() -> None:
    """Measure each size, print the table and the slopes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 50_000])
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS)
    parser.add_argument("--updates", type=int, default=4, help="optimizer steps of the models")
    parser.add_argument("--untried", action="store_true", help="rows are not tried against the chat template")
    parser.add_argument("--folder", type=Path, help="where rows and artifacts are made; they are removed at the end")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        return make(given.folder, given.only, given)
    found: dict[str, list[tuple[int, float, float]]] = {}
    print(f"{'step':8} {'rows':>9} {'seconds':>9} {'peak MiB':>9}", flush=True)
    for rows in given.rows:
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            # Apart too: a process starts with the peak of the one that it is forked from.
            measured(Path(folder), "rows", rows, given)
            for step in given.steps:
                seconds, peak = measured(Path(folder), step, rows, given)
                found.setdefault(step, []).append((rows, seconds, peak))
                print(f"{step:8} {rows:9,} {seconds:9.1f} {peak:9.0f}", flush=True)
    for step, points in found.items():
        if len(points) > 1:
            print(f"{step}: {slope(points):.0f} bytes a row, seconds as N^{exponent(points):.2f}", flush=True)
    return None


def measured(folder: Path, step: str, rows: int, given: argparse.Namespace) -> tuple[float, float]:
    """Seconds of a step in a process of its own, and the most MiB that were resident in it."""
    asked = ["--only", step, "--rows", str(rows), "--updates", str(given.updates), "--folder", str(folder)]
    asked += ["--untried"] * given.untried
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, __file__, *asked], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{step} of {rows} rows ended with {process.returncode}")
    return time.perf_counter() - began, usage.ru_maxrss / 1024


def slope(points: Sequence[tuple[int, float, float]]) -> float:
    """Bytes of memory that each further row takes, between the smallest and the largest size."""
    return (points[-1][2] - points[0][2]) * 2**20 / (points[-1][0] - points[0][0])


def exponent(points: Sequence[tuple[int, float, float]]) -> float:
    """Of the growth of seconds with rows, between the two largest sizes."""
    (one, before, _), (other, after, _) = points[-2:]
    return float(np.log(after / before) / np.log(other / one))


def make(folder: Path, step: str, given: argparse.Namespace) -> None:
    """Make one stage, with those that it needs found in the folder."""
    if step == "rows":
        return write_rows(folder, given.rows[0])
    if step == "nothing":
        import assent.pipeline.stages.fit_reward
        import assent.pipeline.stages.gather
        import assent.pipeline.stages.optimize  # noqa: F401

        return None
    if step == "inspect":
        print(*inspect_files([str(folder / "rows.jsonl")]), sep="\n")
        return None
    with Runner(folder / "run", seed=0, logs=LogOptions(quiet=True, tensorboard=False)) as run:
        stages(run, folder, given)[step]()
    return None


def stages(run: Runner, folder: Path, given: argparse.Namespace) -> dict[str, Callable[[], Artifact]]:
    """Each step as a function; a step calls those before it."""
    model, compute = ModelConfig(), ComputeConfig()
    epochs = given.updates * BATCH / given.rows[0]
    source = Source(path=folder / "rows.jsonl")
    template = None if given.untried else Template.at(folder / "tiny", model)
    apart = FileData(
        prompts=(Source(path=folder / "prompts.jsonl"),), eval_prompts=(Source(path=folder / "evaluation.jsonl"),)
    )
    base = BaseStage(base=PretrainedBase(path=str(folder / "tiny")), model=model, compute=compute)
    start = partial(run, run_base, base)

    def gathered(part: Part, data: FileData, **inputs: Artifact) -> Artifact:
        return run(run_gather, GatherStage(part=part, data=data, template=template), **inputs)

    def learned() -> Artifact:
        return gathered("comparisons", FileData(comparisons=(source,)), held_out=gathered("prompts", apart))

    def collected(*, marks: bool = False) -> Artifact:
        store = StoreConfig(url=f"sqlite:///{folder / 'store.db'}")
        known = {"collect": None, "lab": None, "people_seed": 0, "marks": marks}
        stage = CollectStage(**known, model=model, store=store, compute=compute)
        return run(run_collect, stage, given=learned())

    def rewarded() -> Artifact:
        config = RewardConfig(epochs=epochs, batch_size=BATCH, eval_share=0.05)
        stage = RewardStage(reward=config, model=model, compute=compute)
        return run(run_fit_reward, stage, start=start(), judgments=collected())

    def optimized() -> Artifact:
        stage = OptimizeStage(optimize=DPOConfig(epochs=epochs, batch_size=BATCH), model=model, compute=compute)
        return run(run_optimize, stage, start=start(), judgments=collected())

    own = FileData(comparisons=(source,), eval_share=EVALUATION / given.rows[0])

    def liked() -> Artifact:
        stage = OptimizeStage(optimize=KTOConfig(epochs=epochs, batch_size=BATCH), model=model, compute=compute)
        return run(run_optimize, stage, start=start(), judgments=collected(marks=True))

    def tuned() -> Artifact:
        answers = Source(path=folder / "rows.jsonl", columns={"completion": "chosen"}, ignore=("rejected",))
        given = gathered("demonstrations", FileData(demonstrations=(answers,)))
        config = SFTConfig(epochs=epochs, batch_size=BATCH, eval_share=0.05)
        return run(run_sft, SFTStage(sft=config, model=model, compute=compute), base=start(), demonstrations=given)

    def sampled() -> Artifact:
        config = SampleConfig(prompts=BATCH, answers=2, sampling=Sampling(max_new_tokens=16))
        stage = SampleStage(sample=config, round=1, model=model, compute=compute)
        return run(run_sample, stage, policy=start(), prompts=gathered("prompts", own))

    return {
        "prompts": lambda: gathered("prompts", own),
        "kto": liked,
        "sft": tuned,
        "sample": sampled,
        "gather": learned,
        "collect": collected,
        "reward": rewarded,
        "dpo": optimized,
    }


def write_rows(folder: Path, count: int, *, seed: int = 0) -> None:
    """rows.jsonl, prompts.jsonl (other prompts), evaluation.jsonl (some that rows ask), and the tiny model."""
    draw = Texts(seed)
    save_model(folder / "tiny", [draw.text(PROMPT_WORDS) for _ in range(200)])
    asked: list[str] = []
    with (folder / "rows.jsonl").open("w", encoding="utf-8") as stream:
        for row in draw.rows(count):
            stream.write(json.dumps(row) + "\n")
            if len(asked) < EVALUATION // 4:
                asked.append(row["prompt"])
    others = [draw.text(PROMPT_WORDS) for _ in range(EVALUATION * 2)]
    for name, texts in (
        ("prompts", others[:EVALUATION]),
        ("evaluation", [*asked, *others[EVALUATION + len(asked) :]]),
    ):
        lines = "".join(json.dumps({"prompt": text}) + "\n" for text in texts)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")


def save_model(folder: Path, texts: Sequence[str]) -> None:
    """A tiny model that reads a whole row: of a longer context, with a tokenizer that knows the words."""
    from assent.models.byte_pairs import train_tokenizer  # transformers comes along
    from assent.models.tiny import tiny_model

    tokenizer = train_tokenizer(texts, vocab_size=4096, context=CONTEXT)
    model = tiny_model("llama", tokenizer=tokenizer)
    model.config.max_position_embeddings = CONTEXT
    model.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))


class Texts:
    """Texts of words that are as frequent as words are (Zipf), drawn by a seed."""

    def __init__(self, seed: int) -> None:
        self._draw = seeds.stream(seed, "size")
        letters = np.array(list("etaoinshrdlucmfw"))
        sizes = self._draw.integers(2, 9, WORDS)
        self._words = ["".join(self._draw.choice(letters, size)) for size in sizes]
        shares = 1 / np.arange(10, WORDS + 10)
        self._shares = np.cumsum(shares / shares.sum())

    def text(self, words: int) -> str:
        """A text of about so many words."""
        count = int(self._draw.integers(words * 3 // 4, words * 5 // 4 + 1))
        places = np.minimum(np.searchsorted(self._shares, self._draw.random(count)), WORDS - 1)
        return " ".join(self._words[i] for i in places)

    def rows(self, count: int) -> Iterator[dict[str, str]]:
        """So many rows; some ask again what one of the thousand rows before asked."""
        recent: list[str] = []
        for _ in range(count):
            prompt, chance = self.text(PROMPT_WORDS), float(self._draw.random())
            if recent and chance < AGAIN + NEARLY:
                prompt = recent[int(self._draw.integers(len(recent)))]
                if chance < NEARLY:
                    words = prompt.split()
                    words[len(words) // 2] = words[-1] = self.text(4).split()[0]
                    prompt = " ".join(words)
            recent = [*recent[-999:], prompt]
            yield {"prompt": prompt, "chosen": self.text(ANSWER_WORDS), "rejected": self.text(ANSWER_WORDS)}


if __name__ == "__main__":
    main()
