"""Stable names for content: the same content has the same hash on every machine and day."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any


def hash_bytes(content: bytes) -> str:
    """SHA-256 in hex, 64 characters."""
    return hashlib.sha256(content).hexdigest()


def hash_json(value: Any) -> str:
    """Hash of a JSON-able value; key order does not matter, floats keep every digit."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hash_bytes(text.encode())


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def short(digest: str) -> str:
    """The first 12 characters: enough to tell artifacts of a run apart, short enough to read."""
    return digest[:12]
