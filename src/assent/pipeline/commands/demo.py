"""`assent demo`: the settings of the demo that come with the package, and the place of its judgments."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

from assent.artifacts.find import RUNS
from assent.feedback.config import SQLITE

STORE = RUNS / "demo" / "feedback.db"
"""Judgments of the demo, below the current folder as everything else that the demo makes."""


def demo_settings() -> tuple[Path, tuple[str, ...]]:
    """The YAML of the demo, and the `--set` that keeps its judgments below the current folder.

    The YAML lies among the installed files, and relative paths of settings are taken from the YAML's folder.
    """
    path = Path(str(resources.files("assent.pipeline").joinpath("demo.yaml")))
    return path, (f"store.url={SQLITE}{os.path.relpath(STORE, path.parent)}",)
