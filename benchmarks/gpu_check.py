"""One command for whoever has a GPU: is everything right there, how fast is it, does memory end up as planned?

    python benchmarks/gpu_check.py                       at most nine minutes on one NVIDIA GPU (`make gpu-check`)
    python benchmarks/gpu_check.py --device cpu --tiny   the same code on toys, in under a minute

Writes `gpu-check.json` and `gpu-check.md` into `--out` and prints the table and a verdict. Each cell has seconds that
it may take: one is skipped, and said so, where they are more than is left; one that fails stops no other.
"""

from __future__ import annotations

import argparse
import datetime
import gc
import json
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from gpu_check_cells import Bench, Cell
from gpu_check_models import sizes
from gpu_check_training import cells

from assent.core import files


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tiny", action="store_true", help="toys in place of models of real size")
    parser.add_argument("--budget-s", type=float, default=540.0, help="seconds for everything")
    parser.add_argument("--out", type=Path, default=Path("runs/gpu-check"))
    parser.add_argument("--only", nargs="*", default=(), help="cells whose names begin so")
    asked = parser.parse_args(arguments)
    if asked.device == "cuda" and not torch.cuda.is_available():
        print("not run: torch sees no GPU here; --device cpu --tiny runs the same code on toys")
        return 2
    bench = Bench(torch.device(asked.device), asked.tiny)
    chosen = [one for one in cells(sizes(tiny=asked.tiny)) if one.name == "machine" or _is_asked(one, asked.only)]
    results = run(bench, chosen, budget=asked.budget_s)
    found = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "device": asked.device,
        "tiny": asked.tiny,
        "verdict": verdict(results),
        "cells": results,
    }
    asked.out.mkdir(parents=True, exist_ok=True)
    files.write_json(asked.out / "gpu-check.json", found)
    table = markdown(found)
    files.write_text(asked.out / "gpu-check.md", table)
    print(table)
    return int(any(one["state"] == "failed" for one in results))


def run(bench: Bench, chosen: Sequence[Cell], *, budget: float) -> list[dict[str, Any]]:
    """Every cell in turn, as long as there is time; what each found, or why it found nothing."""
    ends, results = time.monotonic() + budget, []
    for cell in chosen:
        left, start = ends - time.monotonic(), time.monotonic()
        if left < (1.0 if bench.tiny else cell.seconds / 2):
            results.append({"cell": cell.name, "state": "skipped", "said": f"time is short: {max(left, 0):.0f} s left"})
            continue
        print(f"{cell.name} …", flush=True)
        found: dict[str, Any]
        try:
            # What takes a GPU so long may take a busy CPU ten times as long, toys or not.
            with alarm(min(left, cell.seconds * (1 if bench.device.type == "cuda" else 10))):
                found = {"state": "ok", **cell.run(bench)}
        # Whatever goes wrong in one cell on an unknown machine, the others still say something.
        except Exception as error:
            found = {"state": "failed", "said": f"{type(error).__name__}: {error}".splitlines()[0][:300]}
        gc.collect()
        results.append({"cell": cell.name, **found, "seconds": round(time.monotonic() - start, 1)})
    return results


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise TimeoutError inside the block when its time is over."""

    def ring(*_: object) -> None:
        raise TimeoutError(f"took more than its {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.1))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def verdict(results: Sequence[dict[str, Any]]) -> str:
    """In one sentence: what worked, what did not, what was not looked at."""
    named = {state: [one["cell"] for one in results if one["state"] == state] for state in ("ok", "failed", "skipped")}
    said = f"{len(named['ok'])} of {len(results)} cells are right"
    for state in ("failed", "skipped"):
        if named[state]:
            said += f"; {state}: {', '.join(named[state])}"
    return said


def markdown(found: dict[str, Any]) -> str:
    """The table that people read."""
    what = f"{found['cells'][0].get('device', found['device'])}{', toys' if found['tiny'] else ''}"
    lines = [
        f"# gpu-check, {found['date']}, {what}",
        "",
        found["verdict"],
        "",
        "| cell | state | s | found |",
        "|---|---|---|---|",
    ]
    for one in found["cells"]:
        facts = {k: v for k, v in one.items() if k not in ("cell", "state", "seconds", "said") and v is not None}
        said = one.get("said") or ", ".join(f"{_plain(k)} {_shown(v)}" for k, v in facts.items())
        lines.append(f"| {one['cell']} | {one['state']} | {one.get('seconds', '')} | {said.replace('|', '/')} |")
    return "\n".join([*lines, "", "```json", json.dumps({"rates": found["cells"][0]}, default=str), "```", ""])


def _is_asked(cell: Cell, only: Sequence[str]) -> bool:
    return not only or any(cell.name.startswith(one) for one in only)


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1e5 else f"{value:.2e}"
    if isinstance(value, int) and value > 10**7:
        return f"{value / 2**30:.2f} GiB"
    return str(value)


if __name__ == "__main__":
    raise SystemExit(main())
