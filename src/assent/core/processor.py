"""What the processor of this machine can do, read without loading anything."""

from __future__ import annotations

import platform
from functools import lru_cache
from pathlib import Path
from typing import Literal

_PAYS = 1.5
"""How many times as fast bfloat16 must be for `auto` to take it: so clear that a second start chooses the same."""
_NEEDED = {"avx512f", "avx512bw", "avx512vl", "avx512dq"}
"""What oneDNN's products in bfloat16 are made of on x86; without it each number is converted by itself."""


def chosen(*, float32: float, bfloat16: float) -> Literal["float32", "bfloat16"]:
    """The type that `auto` computes products in, by the rates at which they were measured."""
    return "bfloat16" if bfloat16 >= _PAYS * float32 else "float32"


def computes_bfloat16(device: str) -> bool:
    """Whether products in bfloat16 are worth computing there; of a CPU that cannot be read, it is taken to be so."""
    return device != "cpu" or _here()


@lru_cache(maxsize=1)
def _here() -> bool:
    return has_bfloat16_products(Path("/proc/cpuinfo"), platform.machine())


def has_bfloat16_products(cpuinfo: Path, machine: str) -> bool:
    """Of a CPU that is described by a file like Linux' /proc/cpuinfo; True where it says nothing."""
    if machine not in ("x86_64", "AMD64"):
        return True
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return True
    found = [set(line.split(":", 1)[1].split()) for line in lines if line.startswith("flags") and ":" in line]
    return not found or found[0] >= _NEEDED
