"""What one round under LoRA leaves on disk, beside the base. `python benchmarks/lora_disk.py --model FOLDER`.

A run of fine-tuning, a reward model, DPO and a short evaluation on a few made-up rows, with adapters on all linear
matrices, in a fresh project. Counted is every file below runs/, by artifact, against the weights of the base as they
lie in its folder. `--dtype bfloat16` first writes the base in that type, in which models are usually published: what is
trained takes the same space, so its share is larger. Numbers of steps do not change the sizes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from assent.models.cast import TYPES, cast_weights

SUBJECTS = ("bread", "wine", "Lisbon", "tomatoes", "notaries", "eggs", "operas", "trees", "tea", "maps", "bees", "snow")
QUESTIONS = ("What should I know about {}?", "Where can I learn more of {}, and how long does it take?")
LIMIT = 1.3
"""The most that a round may take, as a multiple of the base."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--dtype", choices=tuple(TYPES))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        base = given.model.resolve()
        if given.dtype is not None:
            base = shutil.copytree(base, project / "base", copy_function=shutil.copyfile)
            cast_weights(base, given.dtype)
        write_project(project, base, given.rank)
        subprocess.run([sys.executable, "-m", "assent.cli", "run", "--quiet"], cwd=project, check=True)
        show(project / "runs", size_of(base, "*.safetensors"))


def write_project(project: Path, base: Path, rank: int) -> None:
    """A project of two dozen questions, each with a good and a bad answer."""
    asked = [question.format(subject) for subject in SUBJECTS for question in QUESTIONS]
    answers = [f"It depends on what you want to do with {subject}." for subject in SUBJECTS for _ in QUESTIONS]
    pairs = [{"prompt": q, "chosen": a, "rejected": "No."} for q, a in zip(asked, answers, strict=True)]
    shown = [
        {"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]}
        for q, a in zip(asked, answers, strict=True)
    ]
    for name, rows in {"pairs": pairs, "shown": shown}.items():
        (project / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    short = {"epochs": 1, "batch_size": 4}
    settings = {
        "name": "disk",
        "base": {"kind": "pretrained", "path": str(base)},
        "model": {"lora": {"rank": rank}},
        "data": {
            "kind": "files",
            "demonstrations": [{"path": "shown.jsonl"}],
            "comparisons": [{"path": "pairs.jsonl"}],
            "eval_share": 0.25,
        },
        "sft": {**short, "eval_share": 0.25},
        "reward": {**short, "eval_share": 0.25},
        "optimize": {"kind": "dpo", **short},
        "evaluate": {"prompts": 2, "sampling": {"max_new_tokens": 4}},
        "compute": {"device": "cpu", "threads": 1},
        "log": {"tensorboard": False},
    }
    (project / "assent.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")


def show(runs: Path, base: int) -> None:
    """Print what lies below runs/, and refuse more than the limit."""
    print(f"base: {base / 1e6:.1f} MB")
    for manifest in sorted(runs.rglob("manifest.json"), key=lambda one: -size_of(one.parent)):
        stage = json.loads(manifest.read_text(encoding="utf-8"))["stage"]
        print(f"  {stage:<20} {manifest.parent.name:<28} {size_of(manifest.parent) / 1e6:8.1f} MB")
    whole = size_of(runs)
    print(f"all of runs/: {whole / 1e6:.1f} MB, {whole / base:.2f} times the base")
    if whole > LIMIT * base:
        raise SystemExit(f"more than {LIMIT} times the base")


def size_of(folder: Path, pattern: str = "*") -> int:
    """Bytes of the files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob(pattern) if path.is_file())


if __name__ == "__main__":
    main()
