"""The locked packages are exactly those that pyproject.toml wants, at the pinned versions, and a wrong hash stops."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "lock"
PARTS = ("build", "run", "dev", "torch")


def pins(text: str) -> dict[str, str]:
    """Name to version of a requirements file."""
    found = re.findall(r"^([\w.-]+)(?:\[[^]]*\])?==([^\s;]+)", text, re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


def locked(part: str) -> str:
    return (LOCK / f"{part}.txt").read_text(encoding="utf-8")


def closure(wanted: Iterable[str]) -> set[str]:
    """What these requirements bring along on this machine, by what the installed packages say of themselves."""
    found: set[str] = set()
    done: set[tuple[str, str]] = set()
    todo = [(Requirement(line), "") for line in wanted]
    while todo:
        asked, extra = todo.pop()
        if asked.marker and not asked.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(asked.name)
        found.add(name)
        for own in {"", *asked.extras}:
            if (name, own) not in done:
                done.add((name, own))
                todo += [(Requirement(line), own) for line in requires(name) or ()]
    return found


def here(part: str) -> set[str]:
    """The names of a part whose markers hold on this machine."""
    lines = [line.rstrip("\\ ") for line in locked(part).splitlines() if re.match(r"\w", line)]
    wanted = [Requirement(line) for line in lines]
    return {canonicalize_name(one.name) for one in wanted if one.marker is None or one.marker.evaluate()}


def test_the_lock_is_what_pyproject_wants_and_nothing_else() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    served = closure([*project["dependencies"], *extras["postgres"], *extras["oidc"]])
    assert "torch" in served and served - here("torch") == here("run")  # torch's CUDA is wanted by one build of it only
    assert closure(extras["dev"]) - served - {"assent"} == here(
        "dev"
    )  # which names its own extra for sign-in providers


def test_the_lock_and_the_constraints_pin_the_same_versions() -> None:
    parts = [pins(locked(part)) for part in PARTS]
    together = {name: version for part in parts for name, version in part.items()}
    assert all(together[name] == version for part in parts for name, version in part.items()), "two versions of one"
    assert together == pins((ROOT / "constraints.txt").read_text(encoding="utf-8"))


@pytest.mark.parametrize("part", (*PARTS, "torch-cpu", "quantized"))
def test_every_locked_package_has_a_hash_and_no_place_of_its_own(part: str) -> None:
    blocks = re.findall(r"^\w.*(?:\n .*)*", locked(part), re.MULTILINE)
    assert blocks and not [block for block in blocks if not re.search(r"--hash=sha256:[0-9a-f]{64}", block)]
    assert not re.search(r"://|--index-url|--find-links| @ ", locked(part))


def test_builds_of_torch_for_the_cpu_are_accepted_too() -> None:
    text = locked("torch-cpu")
    assert pins(text)["torch"] == pins(locked("torch"))["torch"] + "+cpu"
    files = re.findall(r"^# (torch-.*\.whl)$", text, re.MULTILINE)
    assert files and len(files) == len(re.findall(r"--hash=sha256:[0-9a-f]{64}", text))


@pytest.mark.parametrize("change, said", [("", ""), ("0", "DO NOT MATCH"), (None, "Hashes are required")])
def test_a_file_with_another_hash_or_none_stops_the_installation(tmp_path: Path, change: str, said: str) -> None:
    """Over the real script, with a package of its own and no network."""
    wheel = tmp_path / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        file.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr("tiny-1.0.dist-info/RECORD", "")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    written = "" if change is None else f" --hash=sha256:{digest if not change else change * 64}"
    (tmp_path / "lock").mkdir()
    shutil.copy(LOCK / "install.sh", tmp_path / "lock")
    (tmp_path / "lock" / "build.txt").write_text(f"tiny==1.0{written}\n", encoding="utf-8")
    (tmp_path / "lock" / "torch.txt").write_text("torch==0.0\n", encoding="utf-8")
    target = tmp_path / "installed"
    env = os.environ | {"PIP_TARGET": str(target), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    command = [str(tmp_path / "lock" / "install.sh"), sys.executable]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode != 0 and said in done.stderr
    assert (target / "tiny-1.0.dist-info").is_dir() == (change == "")
