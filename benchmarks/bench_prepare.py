"""Makes what both sides of `bench` start from, once: models as plain folders, rows as token ids, prompts.

`python benchmarks/bench_prepare.py JOB.json`. Rows are HH harmless-base test pairs (`$ASSENT_DATA`), tokenized here,
so that both sides read the very same ids. A row of more than LONGEST tokens, and a prompt whose text does not give the
same tokens again, is left out and counted. The small model is trained on other rows first, so that its answers end by
themselves at natural lengths; random weights never end one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer

from assent.core.files import write_json
from assent.core.group import Group
from assent.core.runlog import RunLog
from assent.core.types import Comparison
from assent.data.config import Source
from assent.data.load import load_comparisons
from assent.data.render import Renderer
from assent.learner.config import OptimizerConfig
from assent.models.byte_pairs import train_tokenizer
from assent.models.config import ModelConfig, ScratchConfig
from assent.models.policy import PolicyModel
from assent.models.scalar import ScalarModel
from assent.models.scratch import new_model
from assent.pipeline.learners import policy_learner
from assent.training.config import SFTConfig
from assent.training.loop import Loop
from assent.training.sft import train_sft

LONGEST, LONGEST_PROMPT, EQUAL = 512, 96, 64
SHAPES = {
    "5m": (8192, ScratchConfig(hidden=256, layers=4, heads=4, context=2048)),
    "tiny": (320, ScratchConfig(hidden=32, layers=2, heads=2, context=2048)),
}
"""Vocabulary and shape of the models that are made from scratch."""
BEFORE = {"5m": (320, 3.0), "tiny": (8, 1.0)}
"""Demonstrations and passes of the fine-tuning that the small models start from."""
SEED = 0


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(job["threads"])
    shape, folder = job["shape"], Path(job["folder"])
    comparisons = read(job["rows"])
    model, start = folder / "model", folder / "start"
    if shape in SHAPES:
        scratch(shape, comparisons, model)
    else:
        copied(Path(job["model"]), model)
    policy = PolicyModel.load(model, config=ModelConfig(), trainable=False)
    renderer = Renderer(policy.tokenizer)
    policy.tokenizer.chat_template = renderer.template
    policy.tokenizer.save_pretrained(str(model))
    rows, left_out = rendered(comparisons, renderer)
    facts = laid_out(rows, policy.tokenizer, renderer)
    facts |= {"left_out": left_out, "parameters": policy.num_parameters, "eos": renderer.end_id}
    if shape in SHAPES:
        first_lesson(shape, model, start, rows)
    else:
        start.unlink(missing_ok=True)
        start.symlink_to("model")
    ScalarModel.from_policy(start, config=ModelConfig(), seed=SEED).save(folder / "reward")
    write_json(folder / "data.json", facts)
    write_json(Path(job["out"]), {"rows": len(rows), **left_out})


def read(path: str | None) -> list[Comparison]:
    """The pairs of a file; without one a few made up ones."""
    if path is not None:
        return load_comparisons([Source(path=path, skip_bad=True)])[0]
    made = [
        {
            "prompt": f"Question {n}: what is {n} plus {n % 7}?",
            "chosen": f"It is {n + n % 7}.",
            "rejected": "No" * (n % 9),
        }
        for n in range(64)
    ]
    here = Path(sys.argv[1]).parent / "rows.jsonl"
    here.write_text("".join(json.dumps(row | {"rejected": row["rejected"] + " idea."}) + "\n" for row in made))
    return load_comparisons([Source(path=str(here))])[0]


def scratch(shape: str, comparisons: Sequence[Comparison], folder: Path) -> None:
    """A tokenizer of the texts and a model with random weights."""
    texts = [m.content for c in comparisons for m in c.prompt.messages]
    texts += [a.text for c in comparisons for a in c.completions]
    size, scratch = SHAPES[shape]
    tokenizer = train_tokenizer(texts, vocab_size=size, context=scratch.context)
    new_model(tokenizer, scratch, seed=SEED).save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))


def copied(model: Path, folder: Path) -> None:
    """Links to a model's files, with a tokenizer whose padding ends nothing: the other side masks padding by its id."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = AutoTokenizer.from_pretrained(str(model))
    if tokenizer.pad_token_id in (None, tokenizer.eos_token_id):
        special = [t for t in tokenizer.all_special_tokens if t not in (tokenizer.eos_token, tokenizer.bos_token)]
        named = [str(t) for t in tokenizer.added_tokens_decoder.values() if t.special]
        tokenizer.pad_token = next(t for t in special + named if t not in (tokenizer.eos_token, tokenizer.bos_token))
    for file in model.iterdir():
        if not (folder / file.name).exists():
            (folder / file.name).symlink_to(file.resolve())
    for file in folder.glob("tokenizer*"):
        file.unlink()
    tokenizer.save_pretrained(str(folder))


def rendered(comparisons: Sequence[Comparison], renderer: Renderer) -> tuple[list[tuple[Comparison, Group]], Any]:
    """Each pair, better answer first, with its tokens; and how many are too long."""
    found, long = [], 0
    for comparison in comparisons:
        texts = {answer.id: answer.text for answer in comparison.completions}
        (best,), (worst,) = comparison.judgments[0].ranking.tiers[:2]  # type: ignore[union-attr]
        if not texts[best].strip() or not texts[worst].strip():
            long += 1
            continue
        group = renderer.group(comparison.prompt, [texts[best], texts[worst]])
        if group.longest > LONGEST:
            long += 1
        else:
            found.append((comparison, group))
    return found, {"too long or empty": long}


def laid_out(rows: Sequence[tuple[Comparison, Group]], tokenizer: Any, renderer: Renderer) -> dict[str, Any]:
    """Pairs as lists of ids, and short prompts as text and as they are given to a renderer."""
    pairs = [{"prompt": g.prompt.tolist(), "answers": [c.tolist() for c in g.continuations]} for _, g in rows]
    prompts, other = [], 0
    for comparison, group in rows:
        if len(group.prompt) > LONGEST_PROMPT:
            continue
        text = tokenizer.decode(group.prompt, skip_special_tokens=False)
        if tokenizer(text)["input_ids"] != group.prompt.tolist():
            other += 1
            continue
        prompts.append(
            {"text": text, "ids": group.prompt.tolist(), "prompt": comparison.prompt.model_dump(mode="json")}
        )
    equal = [
        {"prompt": p["prompt"][-EQUAL:], "answers": [a[:EQUAL] for a in p["answers"]]}
        for p in pairs
        if len(p["prompt"]) >= EQUAL and min(map(len, p["answers"])) >= EQUAL
    ]
    return {"pairs": pairs, "prompts": prompts, "equal": equal or pairs, "prompts that read otherwise": other}


def first_lesson(shape: str, model: Path, start: Path, rows: Sequence[tuple[Comparison, Group]]) -> None:
    """A short fine-tuning on the last rows, which no cell trains on."""
    count, epochs = BEFORE[shape]
    policy = PolicyModel.load(model, config=ModelConfig(), trainable=True)
    optimizer = OptimizerConfig(learning_rate=1e-3, schedule="cosine", warmup=0.1)
    config = SFTConfig(epochs=epochs, batch_size=16, optimizer=optimizer)
    groups = [Group(g.prompt, g.continuations[:1]) for _, g in rows[-count:]]
    loop = Loop(
        start.parent / "first lesson", RunLog(start.parent / "first lesson", quiet=True, tensorboard=False), SEED
    )
    train_sft(policy_learner(policy, optimizer), groups, [], config, loop)
    policy.save(start)


if __name__ == "__main__":
    main()
