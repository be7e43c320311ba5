"""Names that every project folder shares: its settings, the folder of its runs, what lies there and in each run."""

from __future__ import annotations

from pathlib import Path

PROJECT = Path("assent.yaml")
"""The YAML of a project, in its folder; what a command takes where none is named."""
RUNS = Path("runs")
"""Folder of all runs, below the current folder."""
RUN_SETTINGS = "run.yaml"
"""In a run's folder: every setting of the run, defaults included."""
ARTIFACTS, WORK, LOGS = "artifacts", "work", "logs"
"""Finished and unfinished stages, shared by all runs of a project (runs/artifacts, runs/work), and logs in each run's
folder. Runs of older versions have artifacts and work in their own folders."""
JUDGES = "judge-cache"
"""Below the runs: answers of judges."""
GIVEN = "given"
"""Below the runs: rows and models that Python programs gave, as files named by their content."""
RESERVED = (ARTIFACTS, WORK, JUDGES, GIVEN)
"""Names below the runs that are no run's."""
