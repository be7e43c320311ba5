"""Randomness from named streams: the same seed and names give the same numbers, whatever else was drawn.

Nothing in Assent seeds a global generator or carries one across steps. A step draws from
`stream(seed, "rollouts", step)`, so a resumed run needs no saved generator state.
"""

from __future__ import annotations

import hashlib

import numpy as np


def derive(seed: int, *names: str | int) -> int:
    """A 63-bit seed for the stream `names` under `seed`."""
    key = "\x1f".join([str(int(seed)), *(f"{type(name).__name__}:{name}" for name in names)])
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") >> 1


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """A fresh NumPy generator (Philox) for the stream `names` under `seed`."""
    return np.random.Generator(np.random.Philox(derive(seed, *names)))
