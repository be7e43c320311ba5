"""Tiny model folders, written once per test run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from assent.models.tiny import save_tiny


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folder of a tiny model by family."""
    root = tmp_path_factory.mktemp("tiny")

    def folder(family: str) -> Path:
        if not (root / family).exists():
            save_tiny(root / family, family)
        return root / family

    return folder
