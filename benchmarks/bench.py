"""Assent beside TRL, the same work on both sides: `python benchmarks/bench.py --cells sft-5m dpo-5m`, or `make bench`.

Each cell is run A B A B …, every command in a process session of its own, with the same threads and environment. First
TRL's best way is looked for: micro-batches of the batch, a half, a quarter, an eighth, each for two updates, then bf16,
packing (SFT), a precomputed reference (DPO); a way that passes 8 GB, or takes three times as long as the best one
before it, is left out and named, and so is bf16 where this machine multiplies bfloat16 slower than float32. After
every command the result is written to OUT/bench.json, and the same command goes on where it stopped (`--seconds` stops
it at the next command). A cell that is done with these sources is not done again, unless `--again`. What counts is said
in docs/performance.md.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import platform
import shlex
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import bench_gate
import bench_process
import bench_report
from bench_cells import ACCUMULATE, CELLS, Cell, Variant, further
from bench_process import Failed, Priority

HERE = Path(__file__).parent
ROWS = Path(os.environ.get("ASSENT_DATA", HERE.parents[1] / "shared/data")) / "hh_harmless_base_test/pairs.jsonl.gz"
TRIAL_UPDATES = 2
HOPELESS = 3.0
"""A way is given up once it has taken so many times as long as the best one before it, loading included."""
Record = dict[str, Any]


class OutOfTime(Exception):
    """The seconds that were given are over; what was measured is kept."""


@dataclass
class Bench:
    """Where everything lies, how commands are run, and what was measured so far."""

    out: Path
    threads: int
    priority: Priority
    repeats: int
    again: bool
    end: float
    rivals: dict[str, list[str]]
    """The command of the other side, for PPO and for everything else; a stage whose command is missing is skipped."""
    models: dict[str, Path | None]
    rows: Path | None
    commit: str
    records: list[Record] = field(default_factory=list)

    def measure(self, cell: Cell) -> None:
        """All that is missing of a cell at this commit. Raises OutOfTime between two commands."""
        rival = self.rival(cell)
        folder = self.prepared(cell.shape)
        if folder is None or (cell.both and rival is None):
            return
        record = self.record_of(cell)
        if record is None:
            return
        if not record["rates"]:
            record["rates"] = self.command([sys.executable, str(HERE / "bench_floor.py")], cell, folder, {})["rates"]
            self.keep()
        if cell.both and rival is not None:
            self.find_best(cell, folder, record, rival)
        sides = ["assent", "trl"] if cell.both else ["assent"]
        while len(record["runs"]) < len(sides) * self.repeats:
            if cell.both and record["best"] is None:
                print(f"{cell.name}: no way of the other side gave a result: {record['trials']}", flush=True)
                return
            side = sides[len(record["runs"]) % len(sides)]
            command = [sys.executable, str(HERE / "bench_assent.py")] if side == "assent" else list(rival or ())
            variant = record["best"] if side == "trl" else {}
            try:
                found = self.command(command, cell, folder, {"variant": variant, "updates": cell.updates})
            except Failed as error:
                if side == "assent" or rival is None:
                    raise
                give_up(record, error.reason)
                self.find_best(cell, folder, record, rival)
                continue
            record["runs"].append({"side": side, **found})
            self.keep()
            print(f"  {cell.name} {side}: {found['seconds']:.1f} s, {found['peak_mib']:.0f} MiB", flush=True)
        record["void"], record["done"] = void(record), True
        self.keep()
        print(bench_report.line(record), flush=True)

    def find_best(self, cell: Cell, folder: Path, record: Record, rival: list[str]) -> None:
        """Try the other side's ways on few updates; the one with the fewest seconds an update is its best."""
        ways = [Variant(n) for n in ACCUMULATE if cell.batch % n == 0]
        if cell.stage == "sample":
            ways = [Variant()]
        self.try_out(ways, cell, folder, record, rival)
        timed = {title: one for title, one in record["trials"].items() if "seconds" in one}
        if timed:
            first = min(timed.values(), key=lambda one: one["seconds"])
            plain = {**first["variant"], "bf16": False, "packing": False, "precompute": False}
            limit = HOPELESS * first.get("process_seconds", math.inf)
            self.try_out(further(cell, Variant(**plain)), cell, folder, record, rival, limit=limit)
            timed = {title: one for title, one in record["trials"].items() if "seconds" in one}
            record["best"] = min(timed.values(), key=lambda one: one["seconds"])["variant"]
        self.keep()

    def try_out(
        self,
        ways: list[Variant],
        cell: Cell,
        folder: Path,
        record: Record,
        rival: list[str],
        *,
        limit: float = math.inf,
    ) -> None:
        updates = min(cell.updates, 1 if cell.is_online or cell.stage == "sample" else TRIAL_UPDATES)
        for way in ways:
            if way.title in record["trials"]:
                continue
            try:
                if way.bf16:
                    refuse_slow(record["rates"])
                job = {"variant": asdict(way), "updates": updates, "is_trial": True}
                found = self.command(rival, cell, folder, job, limit=limit)
                seen = {name: found[name] for name in ("peak_mib", "process_seconds")}
                seen["seconds"] = found["seconds"] / updates
            except Failed as error:
                seen = {"failed": error.reason}
            record["trials"][way.title] = {"variant": asdict(way), **seen}
            self.keep()
            print(f"  {cell.name}, {way.title}: {seen.get('seconds', seen.get('failed'))}", flush=True)

    def command(
        self, command: list[str], cell: Cell, folder: Path, job: dict[str, Any], *, limit: float = math.inf
    ) -> dict[str, Any]:
        """Run one command for a cell, unless the time is over."""
        if time.monotonic() > self.end:
            raise OutOfTime
        job = {"cell": asdict(cell), "folder": str(folder), **job}
        child = self.out / "child"
        return bench_process.run(command, job, child, threads=self.threads, priority=self.priority, limit=limit)

    def record_of(self, cell: Cell) -> Record | None:
        """The record to go on with: a new one, or one of this commit that is not finished. None: nothing to do."""
        same = [r for r in self.records if r["mark"] == cell.mark]
        here = [r for r in same if r["commit"] == self.commit and r["repeats"] == self.repeats]
        if here and (not here[-1]["done"] or not self.again):
            return None if here[-1]["done"] else here[-1]
        like = [r for r in self.records if r.get("rival_mark") == cell.rival_mark]
        known = like[-1]["trials"] if like and not self.again else {}
        record: Record = {
            "name": cell.name,
            "cell": asdict(cell),
            "mark": cell.mark,
            "rival_mark": cell.rival_mark,
            "commit": self.commit,
            "date": datetime.date.today().isoformat(),
            "repeats": self.repeats,
            "threads": self.threads,
            "priority": self.priority.level,
            "machine": machine(),
            "rates": {},
            "trials": dict(known),
            "best": None,
            "runs": [],
            "void": [],
            "done": False,
        }
        self.records.append(record)
        return record

    def rival(self, cell: Cell) -> list[str] | None:
        found = self.rivals.get("ppo" if cell.stage == "ppo" else "others")
        if found is None and cell.both:
            print(f"{cell.name}: skipped, there is no environment with TRL for it; `make bench` makes one", flush=True)
        return found

    def prepared(self, shape: str) -> Path | None:
        """The folder of models and rows of a shape, made once. None where its model is not there."""
        folder, model = self.out / "prepared" / shape, self.models.get(shape)
        if (folder / "data.json").is_file():
            return folder
        if shape in self.models and (model is None or not (model / "config.json").is_file()):
            print(f"{shape}: skipped, there is no model in {model}; give one with --model FOLDER", flush=True)
            return None
        folder.mkdir(parents=True, exist_ok=True)
        rows = str(self.rows) if self.rows else None
        job = {"shape": shape, "folder": str(folder), "model": str(model), "rows": rows}
        print(f"{shape}: preparing models and rows", flush=True)
        made = [sys.executable, str(HERE / "bench_prepare.py")]
        bench_process.run(made, job, self.out / "child", threads=self.threads, priority=self.priority)
        return folder

    def keep(self) -> None:
        """Write everything, whole or not at all."""
        path = self.out / "bench.json"
        beside = path.with_suffix(".tmp")
        beside.write_text(json.dumps(self.records, indent=1))
        beside.replace(path)


def give_up(record: Record, reason: str) -> None:
    """Leave out the other side's best way, which gave no result with all updates; runs with it do not count."""
    way = Variant(**record["best"])
    record["trials"][way.title] = {"variant": asdict(way), "failed": f"{reason}, with all updates"}
    record["best"], record["runs"] = None, record["runs"][:1]
    print(f"  {record['name']}, {way.title}: {reason}, with all updates", flush=True)


def refuse_slow(rates: dict[str, float]) -> None:
    """Raise Failed where the machine multiplies bfloat16 numbers slower than float32 numbers."""
    narrow, wide = (rates[f"{kind} train"] / 1e9 for kind in ("bf16", "fp32"))
    if narrow < wide:
        raise Failed(f"not tried: products of bfloat16 at {narrow:.0f} GFLOP/s here, of float32 at {wide:.0f}")


def void(record: Record) -> list[str]:
    """Why a cell's times do not count; nothing where they do."""
    if not record["cell"]["both"]:
        return []
    pairs = zip(record["runs"][::2], record["runs"][1::2], strict=True)
    failed = [bench_gate.problems(record["cell"], a, b, record["best"]) for a, b in pairs]
    return sorted({reason for reasons in failed for reason in reasons})


def machine() -> dict[str, Any]:
    """Which processor, how many cores and how much memory."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    clean = {key.strip(): value.strip() for key, value in facts.items()}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    named = {"family": clean.get("cpu family"), "model": clean.get("model")}
    return {"cpu": clean.get("model name", platform.machine()), **named, "cores": os.cpu_count(), "memory_gib": memory}


def commit_here() -> str:
    """The last commit that changed the sources of this tree, with a + where they differ from it."""

    def git(*command: str) -> str:
        done = subprocess.run(["git", "-C", str(HERE.parent), *command], capture_output=True, text=True)
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--", "src")
    return (git("log", "-1", "--format=%h", "--", "src") or "unknown") + ("+" if changed else "")


def main() -> None:
    arguments = parsed()
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    file = out / "bench.json"
    rivals = {"others": "bench_trl.py", "ppo": "bench_trl_ppo.py"}
    pythons = {"others": arguments.trl, "ppo": arguments.trl_ppo}
    commands = {who: [str(p), str(HERE / rivals[who])] for who, p in pythons.items() if p and p.exists()}
    if arguments.rival:
        commands = dict.fromkeys(rivals, shlex.split(arguments.rival))
    bench = Bench(
        out=out,
        threads=arguments.threads,
        priority=bench_process.granted(arguments.priority),
        repeats=arguments.repeats,
        again=arguments.again,
        end=time.monotonic() + arguments.seconds,
        rivals=commands,
        models={"135m": arguments.model},
        rows=None if arguments.quick else ROWS,
        commit=commit_here(),
        records=json.loads(file.read_text()) if file.is_file() else [],
    )
    for record in bench.records:
        if record["done"]:
            record["void"] = void(record)  # by the gate as it is now
    failed = []
    try:
        for name in () if arguments.report else arguments.cells or CELLS:
            try:
                bench.measure(CELLS[name].quick() if arguments.quick else CELLS[name])
            except Failed as error:
                failed.append(f"{name}: {error.reason}")
    except OutOfTime:
        print("the time is over; the same command goes on from here", flush=True)
    finally:
        bench_report.write(bench.records, out, docs=arguments.docs)
    if failed:
        sys.exit("\n".join([*failed, f"what was measured is kept in {file}"]))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", nargs="*", choices=list(CELLS), metavar="CELL", help=", ".join(CELLS))
    parser.add_argument("--out", type=Path, default=Path("runs/bench"))
    parser.add_argument("--repeats", type=int, default=3, help="pairs of runs of a cell")
    parser.add_argument("--again", action="store_true", help="also what is done at this commit, its trials included")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no command after so many")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--priority", type=int, default=-10, help="of timed commands; 0: as it is")
    parser.add_argument("--model", type=Path, default=Path("models/smollm2-135m"), help="folder of the 135M model")
    parser.add_argument("--trl", type=Path, default=Path(".venv-trl-sft/bin/python"), help="python with trl==1.16.0")
    parser.add_argument("--trl-ppo", type=Path, default=Path(".venv-trl-ppo/bin/python"), help="with trl==1.12.0")
    parser.add_argument("--rival", help="a command in place of both, given the file of a job")
    parser.add_argument("--quick", action="store_true", help="tiny shapes and made up rows: to test this program")
    parser.add_argument("--docs", type=Path, help="also write table and pictures into this documentation folder")
    parser.add_argument("--report", action="store_true", help="measure nothing, only write the report")
    return parser.parse_args()


if __name__ == "__main__":
    main()
