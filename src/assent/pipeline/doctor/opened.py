"""What `assent doctor` says of settings that cannot be read, before anything that computes is loaded."""

from __future__ import annotations

from pathlib import Path

from assent.core.errors import ConfigError
from assent.core.findings import Finding, note, problem
from assent.pipeline.config import RunConfig
from assent.pipeline.places import left_out_of, open_project


def open_settings(
    path: Path, overlays: tuple[Path, ...] = (), settings: tuple[str, ...] = ()
) -> tuple[RunConfig | None, list[Finding]]:
    """The settings of a run and what was left out of them, or None and what is wrong with them."""
    try:
        config = open_project(path, overlays, settings).config
        lost = (line.rpartition("; ") for line in left_out_of(path, overlays, settings))
        return config, [note("config", said, what_to_do) for said, _, what_to_do in lost]
    except ConfigError as wrong:
        return None, [problem("config", line) for line in str(wrong).splitlines()]


def summary(findings: list[Finding]) -> str:
    """How many errors and warnings, in words."""
    errors, warnings = (sum(f.level == level for f in findings) for level in ("error", "warning"))
    if errors:
        return f"{errors} {'error' if errors == 1 else 'errors'}: `assent run` would fail"
    return "ready for `assent run`" + (f"; warnings to look at: {warnings}" if warnings else "")
