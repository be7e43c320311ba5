"""A page that needs nothing but itself: a template filled in, in which what models and people wrote does no harm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from assent.report.diff import visible

_HERE = Path(__file__).parent


def rendered(template: str, **values: Any) -> str:
    """The page of a template of this folder. Texts are escaped, and what could turn or hide text is spelled out."""
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_harmless,
    )
    style = Markup((_HERE / "style.css").read_text(encoding="utf-8"))
    return environment.get_template(template).render(style=style, **values)


def _harmless(value: Any) -> Any:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
