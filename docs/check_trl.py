"""Says which arguments of an unpacked TRL how-to/coming-from-trl.md does not have: `python docs/check_trl.py FOLDER`.

The folder is one that holds `trl/`, such as an unpacked wheel. TRL itself is read and not run.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

PAGE = Path(__file__).parent / "how-to" / "coming-from-trl.md"
CONFIGS = ("SFTConfig", "RewardConfig", "DPOConfig", "KTOConfig", "GRPOConfig", "RLOOConfig", "PPOConfig")
OTHERS = ("_BaseConfig", "ModelConfig")
_FIRST = re.compile(r"^\| ([^|]*) \|", re.MULTILINE)


def named(page: str) -> set[str]:
    """The arguments in the first columns of a page's tables."""
    return {name for cell in _FIRST.findall(page) for name in re.findall(r"`(\w+)`", cell)}


def arguments(folder: Path) -> dict[str, set[str]]:
    """Class -> names of its own fields, of all configs in TRL's sources."""
    found: dict[str, set[str]] = {}
    for path in sorted(folder.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and node.name in (*CONFIGS, *OTHERS):
                fields = (one.target for one in node.body if isinstance(one, ast.AnnAssign))
                names = {field.id for field in fields if isinstance(field, ast.Name)}
                found.setdefault(node.name, set()).update(names)
    return found


def main() -> None:
    """Print what is missing; the exit code is 1 where something is."""
    here = named(PAGE.read_text(encoding="utf-8"))
    missing = {config: sorted(names - here) for config, names in arguments(Path(sys.argv[1])).items()}
    for config, names in missing.items():
        print(f"{config}: {', '.join(names) or 'all are there'}")
    sys.exit(any(missing.values()))


if __name__ == "__main__":
    main()
