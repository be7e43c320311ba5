"""What each sandbox of code holds here, found by trying, and what a run costs. `python benchmarks/sandbox.py`."""

from __future__ import annotations

import argparse
import platform
from dataclasses import fields

import numpy as np

from assent.checks.code.jails import JAILS, Jail, absence
from assent.checks.code.protections import Protections, protections
from assent.checks.code.sandbox import Sandbox
from assent.core.errors import RunError

CODE = "def add(a, b):\n    return a + b\n"
CALLS = ("add(1, 2)", "add(2, 2)", "add(-1, 1)", "add(0, 0)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100, help="of a function with four tests, per sandbox")
    arguments = parser.parse_args()
    print(platform.platform())
    names = [field.name for field in fields(Protections)]
    print(f"| sandbox | {' | '.join(names)} | seconds a run, median (5 %, 95 %) |\n|{'---|' * (len(names) + 2)}")
    for jail in JAILS:
        print(f"| {jail} | {row(jail, names, arguments.runs)} |")


def row(jail: Jail, names: list[str], runs: int) -> str:
    """The cells of one sandbox."""
    try:
        why = absence(jail)
        found = protections(jail) if why is None else None
    except RunError as error:
        why, found = str(error), None
    if found is None:
        return f"{why} |" + " |" * len(names)
    taken = []
    for _ in range(runs):
        trial = Sandbox(jail).run(CODE, CALLS)
        assert trial.values == (3, 4, 0, 0)
        taken.append(trial.seconds)
    low, middle, high = np.quantile(taken, [0.05, 0.5, 0.95])
    held = ["held" if getattr(found, name) else "**open**" for name in names]
    return f"{' | '.join(held)} | {middle:.3f} ({low:.3f}, {high:.3f})"


if __name__ == "__main__":
    main()
