"""The wheel holds everything, its commands work without a clone, and its description reads well anywhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
COMMANDS = """
import assent, sys
from assent.cli import app

print(assent.__file__)
for line in ("init my-project", "demo --plan", "rate --help"):
    try:
        app(line.split(), prog_name="assent", standalone_mode=False)
    except SystemExit as end:
        assert not end.code, line
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    how = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "wheel", *how, "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    files = (path for path in (SOURCE / "assent").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    with zipfile.ZipFile(wheel) as held:
        packed = {name for name in held.namelist() if ".dist-info/" not in name}
    assert packed == {path.relative_to(SOURCE).as_posix() for path in files}


def test_what_is_installed_from_the_wheel_works_in_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    """The packages that it wants are those of this environment; Assent itself is the wheel's."""
    installed, here = tmp_path / "installed", tmp_path / "here"
    here.mkdir()
    with zipfile.ZipFile(wheel) as held:
        held.extractall(installed)
    env = os.environ | {"PYTHONPATH": str(installed)}
    command = [sys.executable, "-c", COMMANDS]
    done = subprocess.run(command, cwd=here, env=env, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(installed))
    assert (here / "my-project" / "assent.yaml").is_file()
    assert "0 of 16 stages are done; results go to runs/demo" in done.stdout
    assert "Serve the rating pages" in done.stdout
    assert not (here / "runs").exists()


def test_the_description_of_the_package_names_no_file_of_the_repository(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as held:
        (name,) = [name for name in held.namelist() if name.endswith(".dist-info/METADATA")]
        text = Parser().parsestr(held.read(name).decode()).get_payload()
    assert isinstance(text, str) and text.startswith("# Assent")
    assert "assent init my-project" in text
    assert not re.findall(r"\]\((?!https?://)[^)]*\)", text)


def test_every_extra_that_an_error_or_a_page_tells_to_install_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    pages = (*SOURCE.rglob("*.py"), *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
    named = {
        extra.strip()
        for path in pages
        for listed in re.findall(r"assent\[([\w, ]+)\]", path.read_text(encoding="utf-8"))
        for extra in listed.split(",")
    }
    assert {"wandb", "oidc", "postgres"} <= named <= set(extras)
    trackers = (SOURCE / "assent" / "core" / "trackers.py").read_text(encoding="utf-8")
    assert "assent[{name}]" in trackers  # the trackers' names are extras, as the next line says
    assert {"wandb", "mlflow"} <= set(extras)
