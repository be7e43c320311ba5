"""What `assent doctor` says about the sandbox of code rewards: every protection is tried here and now."""

from __future__ import annotations

from collections.abc import Iterator

from assent.checks.code.protections import protections
from assent.core.errors import UserError
from assent.core.findings import Finding, ok, problem, warning
from assent.pipeline.config import RunConfig
from assent.training.code_reward import CodeRewardConfig
from assent.training.on_policy_config import OnPolicyConfig


def check_sandbox(config: RunConfig) -> Iterator[Finding]:
    """Whether code can be run as each code reward asks; nothing of the run's own is executed."""
    terms = config.optimize.rewards if isinstance(config.optimize, OnPolicyConfig) else ()
    for place, term in enumerate(terms):
        if not isinstance(term, CodeRewardConfig):
            continue
        key = f"optimize.rewards[{place}]"
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
