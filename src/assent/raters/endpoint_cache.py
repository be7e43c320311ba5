"""Replies of endpoints, kept by what was asked: the same question costs once.

A file of its own for each reply, 0600, written whole or not at all. The folder may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assent.core import files
from assent.core.hashing import hash_json

_VERSION = 1


@dataclass(frozen=True)
class ReplyCache:
    """The replies in a folder; without one nothing is kept."""

    folder: Path | None

    @staticmethod
    def key(asked: Any) -> str:
        """The name of a question: a hash of everything that the reply depends on."""
        return hash_json([_VERSION, asked])

    def get(self, key: str) -> dict[str, Any] | None:
        """The reply to a question; None where it is not kept, or its file is not what was written."""
        if self.folder is None:
            return None
        with contextlib.suppress(OSError, ValueError):
            kept = json.loads(self._path(key).read_text(encoding="utf-8"))
            if isinstance(kept, dict) and kept.get("key") == key and isinstance(kept.get("reply"), dict):
                return kept["reply"]  # type: ignore[no-any-return]
        return None

    def put(self, key: str, reply: dict[str, Any]) -> None:
        """Keep a reply. Raises UserError or RunError where it cannot be written."""
        if self.folder is None:
            return
        if not self.folder.is_dir():
            with files.disk_errors(self.folder):
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = json.dumps({"key": key, "reply": reply}, ensure_ascii=True)
        files.write_text(self._path(key), content + "\n", is_private=True)

    def _path(self, key: str) -> Path:
        assert self.folder is not None
        return self.folder / key[:2] / f"{key}.json"
