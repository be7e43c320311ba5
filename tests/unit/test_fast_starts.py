"""Fast starts: the command and a plan load no library that computes; what decides threads is set before torch is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from assent.pipeline.commands.project import make_project

HEAVY = {"torch", "transformers", "peft", "scipy", "matplotlib", "datasets", "pyarrow", "tensorboard", "fastapi"}


def loaded(code: str, folder: Path, **environment: str) -> tuple[str, set[str]]:
    """What a fresh process prints, and the heavy libraries that it has loaded."""
    told = f"{code}\nimport sys\nprint('loaded', *sorted(set(sys.modules) & {HEAVY!r}))"
    known = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run(
        [sys.executable, "-c", told], cwd=folder, env=known | environment, capture_output=True, text=True, check=True
    )
    *said, last = done.stdout.splitlines()
    return "\n".join(said), set(last.split()[1:])


def command(*arguments: str) -> str:
    """Code that runs a command, prints its exit code, and goes on."""
    run = f"import sys\nfrom assent.cli import main\nsys.argv = {['assent', *arguments]}\n"
    return run + "try:\n    main()\nexcept SystemExit as end:\n    print(end.code)"


def test_the_command_loads_nothing_that_computes(tmp_path: Path) -> None:
    assert loaded("import assent.cli", tmp_path)[1] | loaded("import sqlite3", tmp_path)[1] == set()


def test_a_plan_loads_nothing_that_computes(tmp_path: Path) -> None:
    make_project(tmp_path / "p")
    code = "from pathlib import Path\nfrom assent.pipeline.plan import plan_project\n"
    code += "print(*plan_project(Path('assent.yaml')), sep='\\n')"
    said, heavy = loaded(code, tmp_path / "p")
    assert "stages are done; results go to runs" in said and "would run" in said
    assert heavy == set()


def test_a_plan_opens_no_store_in_which_nothing_was_said(tmp_path: Path) -> None:
    make_project(tmp_path / "p")
    code = "from pathlib import Path\nfrom assent.pipeline.plan import plan_project\n"
    code += "plan_project(Path('assent.yaml'))\nimport sys\nprint('sqlalchemy' in sys.modules)"
    assert (tmp_path / "p" / "feedback.db").is_file()
    assert loaded(code, tmp_path / "p")[0] == "False"


def test_settings_that_cannot_be_read_are_told_before_anything_that_computes_is_loaded(tmp_path: Path) -> None:
    make_project(tmp_path / "p")
    said, heavy = loaded(command("doctor", "--set", "optimize.x=1"), tmp_path / "p")
    assert "unknown key 'optimize.x'" in said and said.splitlines()[-1] == "2"
    assert heavy == set()


def test_a_doctor_of_a_new_model_loads_nothing_that_only_models_and_measures_need(tmp_path: Path) -> None:
    make_project(tmp_path / "p")
    code = f"{command('doctor')}\nprint('transformers.modeling_utils' in sys.modules)"
    said, heavy = loaded(code, tmp_path / "p")
    assert "ready for `assent run`" in said and "GFLOP/s measured now" in said
    assert said.splitlines()[-2:] == ["0", "False"]
    assert heavy == {"torch", "transformers"}  # to measure products; to train a tokenizer


@pytest.mark.parametrize(
    ("chosen", "spins"),
    [({}, "10000"), ({"GOMP_SPINCOUNT": "77"}, "77"), ({"OMP_WAIT_POLICY": "active"}, "None")],
)
def test_waiting_threads_spin_shortly_unless_the_user_chose(tmp_path: Path, chosen: dict[str, str], spins: str) -> None:
    code = f"{command('version')}\nimport os\nprint(os.environ.get('GOMP_SPINCOUNT'))"
    assert loaded(code, tmp_path, **chosen)[0].splitlines()[-1] == spins
