"""Chat templates of strangers: what runs on or fills the memory is stopped in one clear line; the usual ones run."""

from __future__ import annotations

import time

import pytest

from assent.core.errors import ModelError
from assent.data import template_limits
from assent.data.template_limits import bounded, refuse_hostile

USUAL = (
    "{% for m in messages %}{{ '<|' + m.role + '|>' }}{% generation %}{{ m.content | trim }}{% endgeneration %}"
    "{% if loop.last %}{% break %}{% endif %}{% endfor %}{{ '=' * 20 }}"
)
HOSTILE = ["{{ 'a' * 10**10 }}", "{{ 'a' * 10000000000 }}", "{{ lipsum(n=1000000) }}", "{% set x = 9 ** 9 %}"]


def test_usual_templates_are_not_hostile() -> None:
    refuse_hostile(USUAL, "a template")
    refuse_hostile("{% broken", "a template")


@pytest.mark.parametrize("template", HOSTILE)
def test_what_fills_the_memory_in_one_step_is_refused_by_its_text(template: str) -> None:
    with pytest.raises(ModelError, match=r"which can fill any memory; give another with `template`"):
        refuse_hostile(template, "the template of base")


RANGES = "{% for a in range(99999) %}{% for b in range(99999) %}{{ b }}{% endfor %}{% endfor %}"
CALLS = "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}"


@pytest.mark.parametrize("template", [RANGES, CALLS])
def test_what_runs_on_is_stopped(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    monkeypatch.setattr(template_limits, "MOST_STEPS", 20_000)
    compiled = ImmutableSandboxedEnvironment().from_string(template)
    begun = time.monotonic()
    with pytest.raises(ModelError, match="20,000 steps and did not end"):
        bounded(compiled.render, "the template of base")
    assert time.monotonic() - begun < 20


def test_counting_changes_nothing_else() -> None:
    import sys

    before = sys.gettrace()
    assert bounded(lambda: "text", "a template") == "text"
    assert sys.gettrace() is before
