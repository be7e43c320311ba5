"""Names that every project folder shares: its settings, the folder of its runs, and the settings in each run."""

from __future__ import annotations

from pathlib import Path

PROJECT = Path("assent.yaml")
"""The YAML of a project, in its folder; what a command takes where none is named."""
RUNS = Path("runs")
"""Folder of all runs, below the current folder."""
RUN_SETTINGS = "run.yaml"
"""In a run's folder: every setting of the run, defaults included."""
