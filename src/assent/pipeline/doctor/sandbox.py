"""What `assent doctor` says about the sandbox of code rewards: every protection is tried here and now."""

from __future__ import annotations

from collections.abc import Iterator

from assent.checks.code.protections import protections
from assent.core.errors import UserError
from assent.core.findings import Finding, ok, problem, warning
from assent.pipeline.beforehand import code_rewards
from assent.pipeline.config import RunConfig


def check_sandbox(config: RunConfig) -> Iterator[Finding]:
    """Whether code can be run as each code reward asks; nothing of the run's own is executed."""
    for key, term in code_rewards(config):
        try:
            jail = term.open().sandbox.jail
            found = protections(jail)
        except UserError as wrong:
            yield problem(key, str(wrong))
            continue
        said = f"code runs in {jail}; {found.line()}"
        if found.missing:
            yield warning(key, said, "use isolation: auto, unless nothing on this machine is worth protecting")
        else:
            yield ok(key, said)
