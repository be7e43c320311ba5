"""Stable names for content: the same content has the same hash on every machine and day."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def hash_bytes(content: bytes) -> str:
    """SHA-256 in hex, 64 characters."""
    return hashlib.sha256(content).hexdigest()


def hash_json(value: Any) -> str:
    """Hash of a JSON-able value; key order does not matter, floats keep every digit."""
    return hash_bytes(_as_json(value))


def hash_json_list(items: Iterable[Any]) -> str:
    """What `hash_json` gives for the list of these items, of which one is held at a time."""
    digest = hashlib.sha256(b"[")
    for n, item in enumerate(items):
        digest.update((b"," if n else b"") + _as_json(item))
    digest.update(b"]")
    return digest.hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def short(digest: str) -> str:
    """The first 12 characters: enough to tell artifacts of a run apart, short enough to read."""
    return digest[:12]


def _as_json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
