"""How an interpreter is started so that it sees nothing of the machine: by bubblewrap, by Landlock, or not at all."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from assent.checks.code.syscalls import filter_for

Jail = Literal["bubblewrap", "landlock", "limits_only"]
"""bubblewrap: own namespaces, where only Python and the system's libraries exist. landlock: the kernel refuses other
files. limits_only: neither. In all three, system calls are filtered on Linux (x86_64 and aarch64)."""
JAILS: tuple[Jail, ...] = get_args(Jail)
ENVIRONMENT: Mapping[str, str] = {"PYTHONHASHSEED": "0"}
"""All that the code finds in its environment: the same order of sets each time."""
_LIBRARIES = ("/lib", "/lib64", "/lib32", "/usr/lib", "/usr/lib64")


@dataclass(frozen=True)
class Start:
    """How the interpreter starts, and what it is told to shut behind itself."""

    command: tuple[str, ...]
    readable: tuple[str, ...] | None
    """Folders that Landlock leaves open for reading; None: Landlock is not used."""
    filter: bytes
    """Of system calls; empty: not filtered."""


def absence(jail: Jail) -> str | None:
    """Why a jail cannot be there, as far as it shows without starting it; None where it may."""
    if jail == "bubblewrap" and shutil.which("bwrap") is None:
        return "bwrap is not installed"
    if jail == "landlock" and not sys.platform.startswith("linux"):
        return "there is no Landlock but on Linux"
    return None


def start_of(jail: Jail) -> Start:
    """The start of an interpreter in a jail. What it runs is in the text of `inside.py`."""
    python = str(Path(sys.executable).resolve())
    # As -I, but -I ignores the seed of hashes too; the environment is empty but for it.
    command = (python, "-s", "-S", "-P", "-c", _inside())
    calls = filter_for() if sys.platform.startswith("linux") else b""
    match jail:
        case "bubblewrap":
            return Start((*_bubblewrap(), *command), None, calls)
        case "landlock":
            return Start(command, tuple(one for one in _folders() if Path(one).is_dir()), calls)
        case "limits_only":
            return Start(command, None, calls)


@cache
def _inside() -> str:
    return Path(__file__).with_name("inside.py").read_text(encoding="utf-8")


def _folders() -> list[str]:
    """Where Python and the libraries it is linked to lie."""
    return [str(Path(sys.base_prefix).resolve()), *_LIBRARIES]


def _bubblewrap() -> list[str]:
    command = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    for folder in _folders():
        if Path(folder).is_symlink():
            command += ["--symlink", str(Path(folder).readlink()), folder]
        elif Path(folder).is_dir():
            command += ["--ro-bind", folder, folder]
    command += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]  # where the loader looks for libpython
    command += ["--dev-bind", "/dev/null", "/dev/null", "--dir", "/empty", "--chdir", "/empty"]
    return [*command, "--remount-ro", "/"]
