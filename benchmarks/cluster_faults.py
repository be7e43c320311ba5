"""What a run on a cluster loses when one of its processes is killed: an engine, a learner, the command itself.

    python benchmarks/cluster_faults.py [--learners 2] [--engines 2] [--kill engine learner driver]

A small run of PPO on the lab is done once in one process, then on a cluster three times; each time a process is killed
with SIGKILL in the middle of PPO, and the same command is given again if the run ended by it. Printed for each: how
often the command was given, whether every step is in the log once, the steps that were done twice, and how far the
weights are from those of the first run. All on this machine. With `--set compute.staleness=1` or others the
first run is one on the cluster with these settings, which nobody disturbs.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from safetensors.torch import load_file

STEPS = 12
CONFIG = f"""
name: faults
base:
  kind: scratch
  vocab_size: 512
  shape: {{hidden: 32, layers: 2, heads: 2, context: 192}}
  pretrain: {{epochs: 1, batch_size: 16, eval_share: 0.05, optimizer: {{learning_rate: 0.004}}}}
data: {{kind: lab, corpus: 60, demonstrations: 60, prompts: 80}}
sft: {{epochs: 1, batch_size: 16, eval_share: 0.1, optimizer: {{learning_rate: 0.004}}}}
sample: {{prompts: 24, answers: 3, sampling: {{max_new_tokens: 24}}}}
collect: {{raters: {{kind: simulated, number: 4}}}}
reward: {{epochs: 1, batch_size: 8, eval_share: 0.2, optimizer: {{learning_rate: 0.001}}}}
optimize:
  kind: ppo
  steps: {STEPS}
  prompts_per_step: 8
  samples_per_prompt: 2
  minibatches: 2
  sampling: {{max_new_tokens: 24}}
  optimizer: {{learning_rate: 0.0006, tokens_per_microbatch: 256}}
  value_optimizer: {{learning_rate: 0.002, tokens_per_microbatch: 256}}
evaluate: null
compute: {{threads: 1, device: cpu, checkpoint_seconds: 1}}
log: {{tensorboard: false}}
store: {{url: "sqlite:///faults.db"}}
"""


def main() -> None:
    """Run all, and print what came of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--learners", type=int, default=2)
    parser.add_argument("--engines", type=int, default=2)
    parser.add_argument("--kill", nargs="+", default=["engine", "learner", "driver"])
    parser.add_argument("--set", nargs="+", default=[], dest="settings", help="settings of all runs on the cluster")
    parser.add_argument("--checkpoint-seconds", type=float, default=1.0)
    given = parser.parse_args()
    cluster = ["compute.kind=ray", f"compute.learners={given.learners}", f"compute.engines={given.engines}"]
    cluster.append(f"compute.checkpoint_seconds={given.checkpoint_seconds}")
    cluster += given.settings
    with tempfile.TemporaryDirectory(prefix="assent-faults-") as folder:
        first = Path(folder) / "one process"
        project(first)
        begun = time.monotonic()
        finish(started(first, cluster if given.settings else []))
        print(json.dumps({"killed": "nobody", "seconds": round(time.monotonic() - begun)}), flush=True)
        for victim in given.kill:
            own = Path(folder) / victim
            shutil.copytree(first, own)
            forget_ppo(own)
            print(json.dumps({"killed": victim, **killed_and_resumed(own, first, victim, cluster)}), flush=True)


def killed_and_resumed(folder: Path, first: Path, victim: str, cluster: list[str]) -> dict[str, object]:
    """Kill one process in the middle of PPO, and give the command until the run is done."""
    running = started(folder, cluster)
    while count_steps(folder) < STEPS // 2:
        if running.poll() is not None:
            raise SystemExit(f"the run ended before anything was killed: {running.stderr and running.stderr.read()}")
        time.sleep(0.05)
    before = count_steps(folder)
    os.kill(victim_of(running.pid, victim), signal.SIGKILL)
    code, commands, resumed = running.wait(), 1, None
    while code != 0:
        commands += 1
        running = started(folder, cluster)
        said = running.communicate()[1]
        code = running.returncode
        resumed = next((int(line.split()[-1]) for line in said.splitlines() if "resumed at step" in line), resumed)
        if commands > 3:
            raise SystemExit(f"the run does not end: {said}")
    steps = [row["step"] for row in rows(folder)]
    return {
        "commands": commands,
        "steps before": before,
        "resumed at": resumed,
        "every step once": steps == list(range(STEPS)),
        "largest difference of a weight": distance(folder, first),
    }


def victim_of(driver: int, victim: str) -> int:
    """The process to kill: a descendant of the command, or the command."""
    if victim == "driver":
        return driver
    wanted = {"engine": "EngineProcess", "learner": "LearnerProcess"}[victim]
    found = [pid for pid in descendants(driver) if wanted in command_line(pid)]
    return found[-1]


def descendants(pid: int) -> list[int]:
    """All processes that a process has started, by way of others too."""
    parents = {}
    for one in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(one.name)] = int((one / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has ended
    found, new = [], [pid]
    while new:
        new = [child for child, parent in parents.items() if parent in new]
        found += new
    return found


def command_line(pid: int) -> str:
    """What a process calls itself."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def project(folder: Path) -> None:
    """A folder with the settings."""
    folder.mkdir()
    (folder / "faults.yaml").write_text(CONFIG, encoding="utf-8")


def started(folder: Path, settings: list[str]) -> subprocess.Popen[str]:
    """The command, in the folder of the project."""
    sets = [part for one in settings for part in ("--set", one)]
    return subprocess.Popen(
        [sys.executable, "-m", "assent.cli", "run", "faults.yaml", *sets],
        cwd=folder,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def finish(running: subprocess.Popen[str]) -> None:
    """Wait for the end of a run that nobody disturbs."""
    said = running.communicate()[1]
    if running.returncode:
        raise SystemExit(said)


def forget_ppo(folder: Path) -> None:
    """Take out what PPO made."""
    for made in ppo(folder):
        shutil.rmtree(made)
        shutil.rmtree(folder / "runs" / "faults" / "logs" / made.name, ignore_errors=True)


def ppo(folder: Path) -> list[Path]:
    """The artifact of PPO, where it is done."""
    manifests = (folder / "runs" / "artifacts").glob("*/manifest.json")
    return [one.parent for one in manifests if json.loads(one.read_text(encoding="utf-8"))["stage"] == "optimize"]


def rows(folder: Path) -> list[dict[str, float]]:
    """What PPO logged of its steps."""
    found = []
    for log in (folder / "runs" / "faults" / "logs").glob("policy-*/metrics.jsonl"):
        lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
        some = [json.loads(line) for line in lines if line.endswith("\n")]
        found += [row for row in some if row["kind"] == "train" and "kl_coefficient" in row]
    return found


def count_steps(folder: Path) -> int:
    """How many steps of PPO are in the log."""
    return len(rows(folder))


def distance(folder: Path, first: Path) -> float:
    """The largest difference of a weight of the policy from that of the first run."""
    [one], [other] = ppo(folder), ppo(first)
    own, theirs = (load_file(made / "policy" / "model.safetensors") for made in (one, other))
    return max(float((own[name] - theirs[name]).abs().max()) for name in theirs)


if __name__ == "__main__":
    main()
