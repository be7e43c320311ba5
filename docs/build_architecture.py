"""Writes the picture and the generated parts of docs/architecture.md and CONTRIBUTING.md from the imports of the code.

    python docs/build_architecture.py            # writes them
    python docs/build_architecture.py --counts   # prints sizes of packages, and how their rooms depend on each other
    python docs/build_architecture.py --check    # exit code 1 where something is stale, climbs, circles or is too long

A test in tests/house fails when the picture or a page is not what this script would write.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

# The test loads this file from elsewhere; its neighbours are found all the same.
sys.path.insert(0, str(Path(__file__).parent))

from architecture_picture import picture
from import_graph import ROOT, House, arrows, budget_problems, counts, read_house, structure_problems

PICTURE = ROOT / "docs" / "images" / "architecture.svg"
PAGES = (ROOT / "docs" / "architecture.md", ROOT / "CONTRIBUTING.md")
PART = re.compile(r"(?<=<!-- written by docs/build_architecture\.py: )(\w+) -->\n.*?(?=<!-- end -->)", re.DOTALL)


def floors(house: House) -> str:
    """The floors as a block of text, the top one first."""
    return "\n" + "".join(f"    {' | '.join(floor)}\n" for floor in house.floors) + "\n"


def imports(house: House) -> str:
    """A table of all arrows: the picture leaves out those that follow from others."""
    between = arrows(house)
    rows = []
    for package in house.packages:
        floor = house.floor(package)
        below = "nothing of Assent" if not floor else "the ground floor" if floor == 1 else f"floors 0 to {floor - 1}"
        never = ", never torch" if package in house.people else ", never a database" if package in house.machine else ""
        found = ", ".join(f"`{other}`" for other in house.packages if (package, other) in between) or "none"
        rows.append(f"| `{package}` | {floor} | {below}{never} | {found} |\n")
    return "\n| package | floor | may import | imports |\n|---|---|---|---|\n" + "".join(rows) + "\n"


def written(text: str, house: House) -> str:
    """A page with its generated parts as they should be."""
    parts = {"floors": floors, "imports": imports}
    return PART.sub(lambda match: f"{match[1]} -->\n{parts[match[1]](house)}", text)


def stale(house: House) -> list[str]:
    """What `main` would change."""
    wanted = {PICTURE: picture(house), **{page: written(page.read_text(encoding="utf-8"), house) for page in PAGES}}
    return [
        f"{path.relative_to(ROOT).as_posix()} is out of date: python docs/build_architecture.py"
        for path, text in wanted.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]


def main() -> None:
    """Write, print counts or check."""
    parser = argparse.ArgumentParser(description="The architecture, from the code.")
    parser.add_argument("--counts", action="store_true", help="print how the packages depend on each other")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a promise about structure is broken")
    options = parser.parse_args()
    house = read_house()
    if options.counts:
        print(counts(house))
    if options.check:
        found = [*stale(house), *structure_problems(house), *budget_problems(house)]
        print("\n".join(found) or "the architecture is as promised")
        sys.exit(1 if found else 0)
    if not options.counts:
        PICTURE.write_text(picture(house), encoding="utf-8")
        for page in PAGES:
            page.write_text(written(page.read_text(encoding="utf-8"), house), encoding="utf-8")


if __name__ == "__main__":
    main()
