"""How often the intervals of reports and dashboards hold the truth, where it is known: `python benchmarks/coverage.py`.

Every row draws worlds of its own (`--draws`, fewer where one takes long) and prints the share of 95 % intervals that
hold the number that they are about, with the Monte Carlo interval of that share (Wilson), and the median width. "short"
is surely below 93 %, "over" surely above 97 %; sequences shall hold 95 % at all looks together and may hold more.
`--only` takes the beginning of an interval's name.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import coverage_fits
import coverage_means
import numpy as np
from coverage_means import Row

from assent.core import seeds
from assent.stats.estimate import Estimate
from assent.stats.independent import wilson


class Covered(NamedTuple):
    """How often one kind of interval held the truth."""

    share: Estimate
    """With its Monte Carlo interval."""
    width: float
    verdict: str


def rows() -> list[Row]:
    """What is measured, by interval."""
    found = [*coverage_means.rows(), *coverage_fits.rows()]
    order = list(dict.fromkeys(row.interval for row in found))
    return sorted(found, key=lambda row: order.index(row.interval))


def measure(row: Row, *, draws: int, seed: int = 0) -> Covered:
    """Draw worlds and count."""
    held, widths, count = 0, [], max(draws // row.cost, 20)
    for number in range(count):
        found, truth = row.world(seeds.stream(seed, "coverage", row.interval, row.conditions, number))
        held += found.low <= truth <= found.high
        widths.append(found.high - found.low)
    share = wilson(held, count)
    return Covered(share, float(np.median(widths)), verdict(share, row))


def verdict(share: Estimate, row: Row) -> str:
    """Whether it surely holds too seldom, or too often."""
    if row.aim == "at least 95":
        return "short" if share.high < 0.95 else ""
    return "short" if share.high < 0.93 else "over" if share.low > 0.97 else ""


def line(row: Row, found: Covered) -> str:
    """One line of the table in Markdown."""
    share = found.share
    numbers = f"{share.estimate:.3f} | {share.low:.3f}–{share.high:.3f} | {found.width:.3g}"
    return f"| {row.interval} | {row.conditions} | {numbers} | {found.verdict} |"


def summary(found: Sequence[tuple[Row, Covered]]) -> Iterator[str]:
    """Lowest, middle and highest coverage of each interval, and what lies surely outside."""
    yield "| interval | rows | lowest | median | highest | short | over |\n|---|---|---|---|---|---|---|"
    for interval in dict.fromkeys(row.interval for row, _ in found):
        own = [covered for row, covered in found if row.interval == interval]
        shares, verdicts = [covered.share.estimate for covered in own], [covered.verdict for covered in own]
        spread = f"{min(shares):.3f} | {np.median(shares):.3f} | {max(shares):.3f}"
        yield f"| {interval} | {len(own)} | {spread} | {verdicts.count('short')} | {verdicts.count('over')} |"


def main() -> None:
    """Print the table of all rows, and one by interval."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="such as clustered_share")
    options = parser.parse_args()
    began, found = time.monotonic(), []
    print("| interval | where | covers | Monte Carlo | median width | |\n|---|---|---|---|---|---|")
    for row in rows():
        if row.interval.startswith(options.only):
            found.append((row, measure(row, draws=options.draws, seed=options.seed)))
            print(line(*found[-1]), flush=True)
    print("", *summary(found), "", f"{len(found)} rows in {time.monotonic() - began:.0f} s", sep="\n")


if __name__ == "__main__":
    main()
