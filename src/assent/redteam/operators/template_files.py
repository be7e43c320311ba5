"""The files in templates/: words of operators, which are data and not code."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import yaml


@cache
def template_file(name: str) -> dict[str, Any]:
    """A file of templates/."""
    path = resources.files("assent.redteam").joinpath("templates", f"{name}.yaml")
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))
