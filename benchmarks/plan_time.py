"""CPU seconds of `assent run --plan` of a finished run, by what its weights weigh. `python benchmarks/plan_time.py`.

A tiny model is aligned by DPO; then the base and both models of the run get a file of `--mb` megabytes beside their
weights, as larger models would have. Each command is a process of its own; what is counted is its CPU time, user and
system, which a busy machine moves less than the clock. The first plan has read nothing yet, later ones have;
`--verify` reads every byte. The cache of hashes is one of the benchmark's own.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from assent.artifacts.store import FileEntry, read_manifest, write_manifest
from assent.core.hashing import hash_file
from assent.models.tiny import save_tiny

PAIRS = 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=int, nargs="+", default=[0, 1000], help="of each of three folders of models")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    for megabytes in arguments.mb:
        with tempfile.TemporaryDirectory(prefix="plan-time-") as folder:
            os.environ["ASSENT_CACHE"] = f"{folder}/cache"
            project = Path(folder) / "project"
            finished(project, megabytes)
            (project / "cache").mkdir()
            os.environ["ASSENT_CACHE"] = str(project / "cache")
            show(f"{3 * megabytes} MB, first plan", [cpu_seconds(project, "run", "--plan")])
            for what in (["run", "--plan"], ["run", "--plan", "--verify"]):
                took = [cpu_seconds(project, *what) for _ in range(arguments.repeats)]
                show(f"{3 * megabytes} MB, {' '.join(what)}", took)
    for what in (["--help"], ["version"]):
        show(" ".join(what), [cpu_seconds(Path(), *what) for _ in range(arguments.repeats)])


def finished(project: Path, megabytes: int) -> None:
    """A project whose run is finished, with heavy models."""
    base = save_tiny(project / "base", "llama")
    ballast(base, megabytes)
    rows = ({"prompt": f"What is {n}?", "chosen": "Much.", "rejected": "Nothing."} for n in range(PAIRS))
    (project / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    settings = {
        "name": "toy",
        "base": {"kind": "pretrained", "path": "base"},
        "data": {"kind": "files", "comparisons": [{"path": "pairs.jsonl"}]},
        "reward": None,
        "evaluate": None,
        "optimize": {"kind": "dpo", "batch_size": 8},
        "compute": {"threads": 1, "device": "cpu"},
        "log": {"tensorboard": False},
    }
    (project / "assent.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    cpu_seconds(project, "run", "--quiet")
    for manifest_file in project.glob("runs/**/policy-*/manifest.json"):
        artifact = manifest_file.parent
        path = ballast(artifact / "policy", megabytes)
        manifest = read_manifest(artifact)
        entry = FileEntry(size=path.stat().st_size, sha256=hash_file(path))
        files = {**manifest.files, path.relative_to(artifact).as_posix(): entry}
        write_manifest(artifact, manifest.model_copy(update={"files": files}))


def ballast(folder: Path, megabytes: int) -> Path:
    """A file of random bytes."""
    path = folder / "ballast.bin"
    with path.open("wb") as stream:
        for _ in range(megabytes):
            stream.write(os.urandom(1 << 20))
    return path


def cpu_seconds(folder: Path, *arguments: str) -> float:
    """User and system time of the command."""
    command = [sys.executable, "-m", "assent.cli", *arguments]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as child:
        said = child.stdout.read() if child.stdout is not None else ""
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(said)
    return used.ru_utime + used.ru_stime


def show(what: str, seconds: list[float]) -> None:
    """The median and the extremes."""
    middle = statistics.median(seconds)
    print(f"{what}: {middle:.2f} s [{min(seconds):.2f}, {max(seconds):.2f}], n = {len(seconds)}", flush=True)


if __name__ == "__main__":
    main()
