"""What importing costs: configs and the command line load nothing heavy, and the people side never loads torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "src" / "assent"
HEAVY = (
    "torch",
    "transformers",
    "peft",
    "datasets",
    "pyarrow",
    "scipy",
    "matplotlib",
    "pandas",
    "sqlalchemy",
    "alembic",
)

PROBE = """
import importlib, sys
heavy = sys.argv[1].split(",")
for name in sys.argv[2:]:
    importlib.import_module(name)
    found = [h for h in heavy if h in sys.modules]
    if found:
        print(name, "loads", ", ".join(found))
        heavy = [h for h in heavy if h not in found]
"""


def test_configs_load_nothing_heavy() -> None:
    assert not _loaded(_modules("**/config.py"), HEAVY)


def test_the_command_line_loads_nothing_heavy_before_it_knows_what_to_do() -> None:
    assert not _loaded(["assent.cli"], (*HEAVY, "numpy"))


def test_the_people_side_never_loads_torch() -> None:
    assert not _loaded(_modules("feedback/*.py"), ("torch", "transformers", "peft"))


def test_the_world_and_its_people_load_without_torch() -> None:
    assert not _loaded([*_modules("lab/*.py"), "assent.raters.crowd"], ("torch", "transformers", "sqlalchemy"))


def _modules(pattern: str) -> list[str]:
    parts = [path.relative_to(PACKAGE).with_suffix("").parts for path in sorted(PACKAGE.glob(pattern))]
    return [".".join(("assent", *(p for p in part if p != "__init__"))) for part in parts]


def _loaded(modules: list[str], heavy: tuple[str, ...]) -> str:
    """What a fresh process says: the first module that loads each heavy one."""
    command = [sys.executable, "-c", PROBE, ",".join(heavy), *modules]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
