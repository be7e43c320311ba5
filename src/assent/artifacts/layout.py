"""Names that every project folder shares: its settings, and the folder of its runs."""

from __future__ import annotations

from pathlib import Path

PROJECT = Path("assent.yaml")
"""The YAML of a project, in its folder; what a command takes where none is named."""
RUNS = Path("runs")
"""Folder of all runs, below the current folder."""
