"""Draws tables of docs/results.md for the methods' pages, docs/images/results-*.svg.

    python docs/build_result_pictures.py

Nothing is measured here. A number comes from its cell, with its interval, so that a table that is measured anew is
drawn anew. A cell without an interval is named and left out.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

# A test loads this file from elsewhere; its neighbours are found all the same.
sys.path.insert(0, str(Path(__file__).parent))

from curve_picture import EDGE, HEAD, TITLE, placed, size_of, stand_alone, text_at, with_description
from result_pictures import PICTURES, Part, Picture

from assent.report.figures import BeforeAfter, Row, dumbbells, intervals, levels
from assent.stats.estimate import Estimate

DOCS = Path(__file__).parent
RESULTS = DOCS / "results.md"
_NUMBER = r"([+-]?\d+(?:\.\d+)?)"
_CELL = re.compile(rf"{_NUMBER} ?(?:%|) ?\[{_NUMBER}%?, {_NUMBER}%?\]")
_MANY = 10
"""More rows than this are described by the lowest and the highest alone."""


Named = tuple[str, tuple[Estimate, ...]]
"""A row: its name, and one number, or two of before and after."""


def main() -> None:
    """Draw every picture and describe it on its page."""
    results = RESULTS.read_text(encoding="utf-8")
    for one in PICTURES:
        page = DOCS / "methods" / f"{one.page}.md"
        numbers = [read(part, one, results) for part in one.parts]
        for part, (_, missing) in zip(one.parts, numbers, strict=True):
            for name in missing:
                print(f"{one.name}: {part.title}: {name}: no number with an interval; left out")
        text = with_description(page.read_text(encoding="utf-8"), one.name, described(one, results))
        if text is None:
            raise SystemExit(f"{page}: give the picture a place: ![](../images/{one.name})")
        page.write_text(text, encoding="utf-8")
        (DOCS / "images" / one.name).write_text(drawn(one, results), encoding="utf-8")


def drawn(one: Picture, results: str) -> str:
    """The picture as SVG."""
    plots = [(part, _plot(part, read(part, one, results)[0])) for part in one.parts]
    parts, y = [], HEAD
    for part, svg in plots:
        parts += [text_at(EDGE, y + 14, part.title, "name"), placed(svg, EDGE, y + TITLE)]
        y += TITLE + size_of(svg)[1]
    width = max(size_of(svg)[0] for _, svg in plots) + 2 * EDGE
    return stand_alone(one.title, parts, described(one, results), size=(width, y + EDGE / 2))


def described(one: Picture, results: str) -> str:
    """What the picture shows, with its numbers, for people who do not see it."""
    said = ". ".join([one.title, *(_in_words(part, read(part, one, results)[0]) for part in one.parts)])
    return said.replace("[", "(").replace("]", ")")  # brackets would end the description in Markdown


def read(part: Part, one: Picture, results: str) -> tuple[list[Named], list[str]]:
    """The rows that have numbers, and the names of those without. Raises SystemExit where the table is another."""
    head, *rows = table(results, one.section, one.head)
    chosen = rows if part.rows is None else [rows[number] for number in part.rows]
    columns = [head.index(column) for column in part.columns]
    if part.names and len(part.names) != len(chosen):
        raise SystemExit(f"{one.name}: the table has {len(chosen)} rows and the picture {len(part.names)} names")
    if part.draw == "across":
        found = [(name, [estimate(chosen[0][at])]) for name, at in zip(part.columns, columns, strict=True)]
    else:
        names = part.names or [part.label.format(*row) for row in chosen]
        found = [(name, _numbers(part, [row[at] for at in columns])) for name, row in zip(names, chosen, strict=True)]
    known = [(name, tuple(one for one in numbers if one is not None)) for name, numbers in found if None not in numbers]
    return known, [name for name, numbers in found if None in numbers]


def table(results: str, section: str, head: str) -> list[list[str]]:
    """Cells of the table of a section that begins so, its head first; emphasis is taken off."""
    _, _, text = results.partition(f"\n## {section}\n")
    text = text.partition("\n## ")[0]
    start = text.find(f"\n{head}")
    if start < 0:
        raise SystemExit(f"{RESULTS.name}: section {section!r} has no table that begins {head!r}")
    lines = text[start + 1 :].partition("\n\n")[0].splitlines()
    return [[cell.strip().strip("*`").replace("`", "") for cell in line.strip("|").split("|")] for line in
            (lines[0], *lines[2:])]  # fmt: skip


def estimate(cell: str) -> Estimate | None:
    """The number of a cell with its interval; None where there is none."""
    match = _CELL.search(cell.replace("−", "-").replace("*", ""))
    return None if match is None else Estimate(estimate=float(match[1]), low=float(match[2]), high=float(match[3]))


def _numbers(part: Part, cells: Sequence[str]) -> list[Estimate | None]:
    if part.draw == "range":
        low, middle, high = map(float, cells)
        return [Estimate(estimate=middle, low=low, high=high)]
    found = [estimate(cell) for cell in cells]
    if part.draw in ("shares", "before and after"):
        return [_as_share(one) if "%" in cell else one for one, cell in zip(found, cells, strict=True)]
    return found


def _as_share(one: Estimate | None) -> Estimate | None:
    return None if one is None else Estimate(estimate=one.estimate / 100, low=one.low / 100, high=one.high / 100)


def _plot(part: Part, rows: Sequence[Named]) -> str:
    match part.draw:
        case "before and after":
            return dumbbells([BeforeAfter(name, *numbers) for name, numbers in rows], part.title)
        case "shares":
            return intervals([Row(name, number) for name, (number,) in rows], part.title, reference=part.reference)
        case _:
            lines = () if part.reference is None else (part.reference,)
            plain = [Row(name, number) for name, (number,) in rows]
            return levels(plain, part.title, references=lines, digits=_digits(plain))


def _digits(rows: Sequence[Row]) -> int:
    """As many decimals as the table has."""
    numbers = [f"{one:g}" for row in rows for one in (row.value.estimate, row.value.low, row.value.high)]
    return max(len(number.partition(".")[2]) for number in numbers)


def _in_words(part: Part, rows: Sequence[Named]) -> str:
    if len(rows) > _MANY:
        ends = min(rows, key=lambda row: row[1][0].low), max(rows, key=lambda row: row[1][0].low)
        said = [f"{len(rows)} rows, from {ends[0][0]} {_shown(ends[0][1][0])} to {ends[1][0]} {_shown(ends[1][1][0])}"]
    else:
        said = [f"{name} {' to '.join(map(_shown, numbers))}" for name, numbers in rows]
    return f"{part.title}: {'; '.join(said)}"


def _shown(one: Estimate) -> str:
    estimate, low, high = (f"{value + 0.0:g}" for value in (one.estimate, one.low, one.high))  # no minus before 0
    return f"{estimate} ({low} to {high})"


if __name__ == "__main__":
    main()
