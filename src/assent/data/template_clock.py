"""The clock of chat templates: whether one reads it, and the same template with the clock stopped at a day."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

from assent.core.errors import ModelError

_CLOCK = re.compile(r"""strftime_now\s*\(\s*(["'])(.*?)\1\s*\)""")
_CALL = re.compile(r"strftime_now\s*\(")


def template_text(template: str) -> str:
    """The Jinja text of a template given as text or as the path of a file. Raises ModelError."""
    if "{" in template:
        return template
    try:
        return Path(template).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise ModelError(f"cannot read the chat template {template}: {reason}; give a file or Jinja text") from None


def reads_clock(template: str) -> bool:
    """Whether a chat template asks for the day; transformers offers it to templates by this one name."""
    return "strftime_now" in template


def told_date(template: str, date: datetime.date) -> str:
    """The template with the clock stopped at midnight of a date; the same text where it reads none.

    transformers hands templates data only, no functions, so that the call itself has to give way.
    """
    now = datetime.datetime.combine(date, datetime.time())
    text = _CLOCK.sub(lambda found: f"{found[1]}{now.strftime(found[2])}{found[1]}", template)
    if not _CALL.search(text):
        return text
    # A format that is computed: a macro of that name, which puts in whatever strftime knows.
    marks = [f"%{flag}{letter}" for flag in ("-", "") for letter in "aAwdbBmyYHIMSfpjUWGuVcxX"]
    filled = " | ".join(["format", *(f"replace('{mark}', '{now.strftime(mark)}')" for mark in marks)])
    return f"{{% macro strftime_now(format) %}}{{{{ {filled} }}}}{{% endmacro %}}{{{{ '' }}}}{text}"
