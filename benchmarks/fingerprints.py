"""Fingerprints of small runs: the key and the hash of every artifact, to hold two versions of the code together.

    python benchmarks/fingerprints.py OUT.json               # runs PPO and DPO on a tiny lab, minutes on one thread
    python benchmarks/fingerprints.py NEW.json --like OLD.json    # and says what differs

The same machine, thread count and package versions give the same bits; so a change that is said to change no result is
held to it by running this before and after.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from assent.core.hashing import hash_file, hash_json

_OPTIMIZER = "{learning_rate: 0.003, schedule: linear, warmup: 0.1, tokens_per_microbatch: 2048}"
_SHARED = f"""
seed: 3
base:
  kind: scratch
  vocab_size: 512
  shape: {{hidden: 32, layers: 2, heads: 2, context: 192}}
  pretrain: {{epochs: 1, batch_size: 32, optimizer: {_OPTIMIZER}}}
data: {{kind: lab, corpus: 300, demonstrations: 400, prompts: 200}}
sft: {{epochs: 1, batch_size: 32, optimizer: {_OPTIMIZER}}}
sample: {{prompts: 40, answers: 4, sampling: {{max_new_tokens: 24}}}}
collect: {{raters: {{kind: simulated, number: 6, sharpness: 3.0}}, overlap_share: 0.3, overlap: 3}}
reward: {{epochs: 2, batch_size: 16, optimizer: {_OPTIMIZER}}}
evaluate: {{prompts: 30, sampling: {{max_new_tokens: 24}}, raters_per_pair: 2}}
compute: {{threads: 1, device: cpu}}
log: {{tensorboard: false}}
"""
_PPO = """
optimize:
  kind: ppo
  steps: 6
  prompts_per_step: 8
  samples_per_prompt: 4
  epochs: 2
  minibatches: 2
  critic_warmup: 1
  ema: 0.8
  ptx: {coefficient: 0.1, batch_size: 8}
  sampling: {max_new_tokens: 24}
  optimizer: {learning_rate: 0.001, schedule: cosine, warmup: 0.03, tokens_per_microbatch: 2048}
  value_optimizer: {learning_rate: 0.002, schedule: cosine, warmup: 0.03, tokens_per_microbatch: 2048}
"""
UNALIKE = ("manifest.json", "metrics.jsonl", "adapter_config.json")
"""Files that hold times, or the path of the folder that the run lies in."""
CASES = {
    "ppo": f"name: ppo\nrounds: 2\n{_SHARED}{_PPO}",
    "ppo_lora": f"name: ppo_lora\nmodel: {{lora: {{rank: 4, alpha: 8}}}}\n{_SHARED}{_PPO}",
    "dpo": f"name: dpo\n{_SHARED}\noptimize: {{kind: dpo, epochs: 2, batch_size: 16, optimizer: {_OPTIMIZER}}}\n",
    "plain_reward": f"name: plain_reward\n{_SHARED}{_PPO}".replace(
        "reward: {epochs: 2", "reward: {raters: {kind: none}"
    ),
}


def run_case(folder: Path, name: str) -> dict[str, dict[str, str]]:
    """Run a case in an empty folder; the key and content hash of every artifact, by its place in the run."""
    (folder / "assent.yaml").write_text(CASES[name], encoding="utf-8")
    subprocess.run([sys.executable, "-m", "assent.cli", "run"], cwd=folder, check=True)
    found = {}
    for manifest in sorted((folder / "runs" / "artifacts").glob("*/manifest.json")):
        values = json.loads(manifest.read_text(encoding="utf-8"))
        part = values["config"].get("part", "")
        label = f"{values['stage']} {part} {values['config'].get('round', '')}".strip()
        content = {
            str(p.relative_to(manifest.parent)): hash_file(p)
            for p in sorted(manifest.parent.rglob("*"))
            if p.is_file() and p.name not in UNALIKE
        }
        place = f"{label} {values['key'][:12]}"
        found[place] = {"key": values["key"], "content": hash_json(content), "files": content}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--like", type=Path, help="fingerprints to compare with")
    parser.add_argument("--case", choices=sorted(CASES), action="append", help="only these; all where left out")
    parser.add_argument("--keep", type=Path, help="a folder to leave the runs in")
    options = parser.parse_args()
    made = {}
    for name in options.case or CASES:
        if options.keep is not None:
            folder = options.keep / name
            folder.mkdir(parents=True, exist_ok=True)
            made[name] = run_case(folder, name)
        else:
            with tempfile.TemporaryDirectory() as temporary:
                made[name] = run_case(Path(temporary), name)
    options.out.write_text(json.dumps(made, indent=1), encoding="utf-8")
    if options.like is not None:
        compare(json.loads(options.like.read_text(encoding="utf-8")), made)


def compare(old: dict, new: dict) -> None:
    """Say for each artifact whether key and content are the same; exits with 1 where one differs."""
    differ = 0
    for case, artifacts in new.items():
        known = old.get(case, {})
        for place, values in artifacts.items():
            other = known.get(place)
            if other is None:
                differ += 1
                print(f"{case}: {place}: no artifact of this key before")
            elif changed := sorted(
                name
                for name in values["files"].keys() | other["files"].keys()
                if values["files"].get(name) != other["files"].get(name) and Path(name).name not in UNALIKE
            ):
                differ += 1
                print(f"{case}: {place}: content differs in {', '.join(changed)}")
        print(f"{case}: {len(artifacts)} artifacts compared")
    print("all the same" if not differ else f"{differ} differ")
    sys.exit(bool(differ))


if __name__ == "__main__":
    main()
