"""Passwords as Argon2 hashes, a few at a time."""

from __future__ import annotations

import functools
import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from assent.core.errors import StoreError

SHORTEST, LONGEST = 10, 200
_HASHER = PasswordHasher()
_FEW = threading.BoundedSemaphore(2)  # each hash takes 64 MiB while it is made


def hash_password(password: str) -> str:
    """The hash to keep. Raises StoreError for a password that is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise StoreError(
            f"a password of {len(password)} characters; use between {SHORTEST} and {LONGEST}, say a few words in a row"
        )
    with _FEW:
        return _HASHER.hash(password)


def is_password(password: str, kept: str | None) -> bool:
    """Is this the password of a kept hash? Takes as long where nothing is kept, so that nobody learns who exists."""
    with _FEW:
        try:
            return _HASHER.verify(kept or _nobody(), password[: LONGEST + 1]) and kept is not None
        except (VerificationError, InvalidHashError):
            return False


@functools.cache
def _nobody() -> str:
    return _HASHER.hash("nobody has this password")
