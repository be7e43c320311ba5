"""What `assent doctor` says of settings that cannot be read, before anything that computes is loaded."""

from __future__ import annotations

from pathlib import Path

from assent.core.errors import ConfigError
from assent.core.findings import Finding, problem
from assent.pipeline.config import RunConfig
from assent.pipeline.places import open_project


def open_settings(
    path: Path, overlays: tuple[Path, ...] = (), settings: tuple[str, ...] = ()
) -> tuple[RunConfig | None, list[Finding]]:
    """The settings of a run, or None and what is wrong with them."""
    try:
        return open_project(path, overlays, settings).config, []
    except ConfigError as wrong:
        return None, [problem("config", line) for line in str(wrong).splitlines()]


def summary(findings: list[Finding]) -> str:
    """How many errors and warnings, in words."""
    errors, warnings = (sum(f.level == level for f in findings) for level in ("error", "warning"))
    if errors:
        return f"{errors} {'error' if errors == 1 else 'errors'}: `assent run` would fail"
    return "ready for `assent run`" + (f"; warnings to look at: {warnings}" if warnings else "")
